"""The cubic fit: f_ω(x) = a + b x + c x² + d x³, with the gradient by hand and by autograd.

The problem is that of the tutorial "Learning PyTorch with Examples" (pytorch.org): minimise
L(ω) = Σ_i (f_ω(x_i) − y_i)² by gradient descent ω ← ω − η ∇L(ω).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from fitnotes.training.data import Samples
from fitnotes.training.history import History, checked, finite

Array = NDArray[np.float64]

MODEL = "y = {a} + {b}\\,x + {c}\\,x^2 + {d}\\,x^3"


class Cubic(NamedTuple):
    """ω = (a, b, c, d)."""

    a: float
    b: float
    c: float
    d: float


def start(seed: int = 0) -> Cubic:
    """Four independent standard normal numbers."""
    return Cubic(*np.random.default_rng(seed).standard_normal(4).tolist())


def cubic_loss(omega: Cubic, x: Array, y: Array) -> float:
    """L(ω) = Σ_i (f_ω(x_i) − y_i)² for x, y of shape (n,)."""
    a, b, c, d = omega
    return float(np.square(a + b * x + c * x**2 + d * x**3 - y).sum())


def cubic_gradient(omega: Cubic, x: Array, y: Array) -> Cubic:
    """∇L(ω) = (u·1, u·x, u·x², u·x³) with u_i = 2 (f_ω(x_i) − y_i): the chain rule, x and y of shape (n,)."""
    a, b, c, d = omega
    u = 2 * (a + b * x + c * x**2 + d * x**3 - y)
    return Cubic(float(u.sum()), float(u @ x), float(u @ x**2), float(u @ x**3))


def least_squares(samples: Samples) -> tuple[Cubic, float]:
    """The ω that no descent can beat, from the linear least-squares problem, and its loss."""
    x, y = (t.detach().cpu().numpy().astype(np.float64) for t in samples)
    powers = np.vander(x, 4, increasing=True)
    omega = Cubic(*np.linalg.lstsq(powers, y, rcond=None)[0].tolist())
    return omega, cubic_loss(omega, x, y)


def fit_by_hand(
    samples: Samples, *, steps: int = 2000, lr: float = 1e-6, omega: Cubic | None = None
) -> History:
    """Gradient descent in numpy with the derivatives written out. float64.

    ``omega`` is the start (default: `start()`). Raises ValueError when the fit diverges.
    """
    checked(steps, lr)
    x, y = (t.detach().cpu().numpy().astype(np.float64) for t in samples)
    a, b, c, d = omega or start()
    losses = np.empty(steps)
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(steps):
            residual = a + b * x + c * x**2 + d * x**3 - y
            losses[t] = np.square(residual).sum()
            u = 2 * residual
            a -= lr * u.sum()
            b -= lr * (u * x).sum()
            c -= lr * (u * x**2).sum()
            d -= lr * (u * x**3).sum()
    limit = least_squares(samples)[1]
    parameters = {"a": float(a), "b": float(b), "c": float(c), "d": float(d)}
    return History("by hand (numpy)", finite(losses, lr), parameters, MODEL, limit)


def fit_autograd(
    samples: Samples, *, steps: int = 2000, lr: float = 1e-6, omega: Cubic | None = None
) -> History:
    """The same descent with the gradient from torch's autograd, in the samples' own dtype and device.

    Raises ValueError when the fit diverges.
    """
    checked(steps, lr)
    x, y = samples
    a, b, c, d = (
        torch.tensor(v, dtype=x.dtype, device=x.device, requires_grad=True) for v in omega or start()
    )
    losses = torch.empty(steps, dtype=x.dtype, device=x.device)
    for t in range(steps):
        loss = (a + b * x + c * x**2 + d * x**3 - y).pow(2).sum()
        losses[t] = loss.detach()  # stays on the device: no step waits for it
        loss.backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for parameter in (a, b, c, d):
                assert parameter.grad is not None
                parameter -= lr * parameter.grad
                parameter.grad = None
    limit = least_squares(samples)[1]
    parameters = {name: value.item() for name, value in zip("abcd", (a, b, c, d), strict=True)}
    return History("autograd (torch)", finite(losses.cpu().numpy(), lr), parameters, MODEL, limit)
