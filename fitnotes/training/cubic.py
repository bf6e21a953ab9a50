"""The cubic fit, on every rung of the ladder: f_ω(x) = a + b x + c x² + d x³.

The problem is that of the tutorial "Learning PyTorch with Examples" (pytorch.org): minimise
L(ω) = Σ_i (f_ω(x_i) − y_i)² by gradient descent ω ← ω − η ∇L(ω). Each function below writes out the same
descent with one more part of torch; from one start, all take the same way (`LADDER`, `compare`).

All take samples with x and y of shape (n,), a number of ``steps``, the learning rate ``lr`` = η and the start
``omega`` (default: `start()`); they compute in the dtype and on the device of the samples (numpy: on the
CPU), return a `History` and raise ValueError for samples without meaning and when the fit diverges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fitnotes.training.data import Array, Samples
from fitnotes.training.history import History, Record
from fitnotes.training.rungs import Optimizer, draws, optimizer_name

MODEL = "y = {a} + {b}\\,x + {c}\\,x^2 + {d}\\,x^3"
SHARED_MODEL = MODEL + " + {e}\\left(x^4 + x^5\\right)"


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
    """The ω that no descent can beat, from the linear least-squares problem in float64, and its loss."""
    x, y = (values.astype(np.float64) for values in samples.numpy())
    powers = np.vander(x, 4, increasing=True)
    omega = Cubic(*np.linalg.lstsq(powers, y, rcond=None)[0].tolist())
    return omega, cubic_loss(omega, x, y)


def fit_by_hand(
    samples: Samples, *, steps: int = 2000, lr: float = 1e-6, omega: Sequence[float] | None = None
) -> History:
    """Rung 1: numpy, with the derivatives written out."""
    record = Record("numpy, by hand", samples, steps, lr, device="cpu")
    losses = record.losses.numpy()
    x, y = samples.numpy()
    a, b, c, d = np.array(_omega(omega), dtype=x.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        for t in record.steps():
            residual = a + b * x + c * x**2 + d * x**3 - y
            losses[t] = np.square(residual).sum()
            u = 2 * residual
            a -= lr * u.sum()
            b -= lr * (u * x).sum()
            c -= lr * (u * x**2).sum()
            d -= lr * (u * x**3).sum()
    return _history(record, (a, b, c, d))


def fit_tensors(
    samples: Samples, *, steps: int = 2000, lr: float = 1e-6, omega: Sequence[float] | None = None
) -> History:
    """Rung 2: the same lines on tensors, which may live on a GPU."""
    record = Record("tensors, by hand", samples, steps, lr)
    x, y = samples
    a, b, c, d = torch.tensor(_omega(omega), dtype=x.dtype, device=x.device)
    for t in record.steps():
        residual = a + b * x + c * x**2 + d * x**3 - y
        record.losses[t] = residual.square().sum()
        u = 2 * residual
        a -= lr * u.sum()
        b -= lr * (u * x).sum()
        c -= lr * (u * x**2).sum()
        d -= lr * (u * x**3).sum()
    return _history(record, (a, b, c, d))


def fit_autograd(
    samples: Samples, *, steps: int = 2000, lr: float = 1e-6, omega: Sequence[float] | None = None
) -> History:
    """Rung 3: `loss.backward()` finds the derivatives."""
    record = Record("autograd", samples, steps, lr)
    x, y = samples
    a, b, c, d = _leaves(_omega(omega), x)
    for t in record.steps():
        loss = (a + b * x + c * x**2 + d * x**3 - y).pow(2).sum()
        record.losses[t] = loss.detach()
        loss.backward()
        with torch.no_grad():
            for parameter in (a, b, c, d):
                parameter -= lr * parameter.grad  # type: ignore[operator]
                parameter.grad = None
    return _history(record, (a, b, c, d))


class Polynomial(torch.autograd.Function):
    """ω ↦ (Σ_k ω_k x_i^k)_i for ω of shape (k,) and fixed x of shape (n,), with its derivative by hand."""

    @staticmethod
    def forward(ctx: Any, omega: Tensor, x: Tensor) -> Tensor:
        powers = torch.stack([x**k for k in range(len(omega))])
        ctx.save_for_backward(powers)
        return omega @ powers

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        """∂L/∂ω_k = Σ_i ∂L/∂f_i · x_i^k."""
        (powers,) = ctx.saved_tensors
        return powers @ grad_outputs[0], None


def fit_function(
    samples: Samples, *, steps: int = 2000, lr: float = 1e-6, omega: Sequence[float] | None = None
) -> History:
    """Rung 4: the polynomial is a `Function` whose derivative we tell autograd."""
    record = Record("own Function", samples, steps, lr)
    x, y = samples
    w = torch.tensor(_omega(omega), dtype=x.dtype, device=x.device, requires_grad=True)
    for t in record.steps():
        loss = (Polynomial.apply(w, x) - y).pow(2).sum()  # type: ignore[no-untyped-call]
        record.losses[t] = loss.detach()
        loss.backward()
        with torch.no_grad():
            w -= lr * w.grad  # type: ignore[operator]
            w.grad = None
    return _history(record, w)


def fit_nn(
    samples: Samples, *, steps: int = 2000, lr: float = 1e-6, omega: Sequence[float] | None = None
) -> History:
    """Rung 5: a layer of `torch.nn` on the powers (x, x², x³), its parameters still updated by hand."""
    record = Record("torch.nn", samples, steps, lr)
    x, y = samples
    powers = torch.stack([x, x**2, x**3], dim=1)
    layer = _linear(x, omega)
    model = torch.nn.Sequential(layer, torch.nn.Flatten(0, 1))
    loss_function = torch.nn.MSELoss(reduction="sum")
    for t in record.steps():
        loss = loss_function(model(powers), y)
        record.losses[t] = loss.detach()
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= lr * parameter.grad  # type: ignore[operator, misc]
    return _history(record, _coefficients(layer))


def fit_optim(
    samples: Samples,
    *,
    steps: int = 2000,
    lr: float = 1e-6,
    omega: Sequence[float] | None = None,
    optimizer: Optimizer = torch.optim.SGD,
) -> History:
    """Rung 6: the same layer, updated by an optimizer of `torch.optim`."""
    record = Record(optimizer_name(optimizer), samples, steps, lr)
    x, y = samples
    powers = torch.stack([x, x**2, x**3], dim=1)
    layer = _linear(x, omega)
    model = torch.nn.Sequential(layer, torch.nn.Flatten(0, 1))
    loss_function = torch.nn.MSELoss(reduction="sum")
    descent = optimizer(model.parameters(), lr=lr)
    for t in record.steps():
        loss = loss_function(model(powers), y)
        record.losses[t] = loss.detach()
        descent.zero_grad()
        loss.backward()
        descent.step()
    return _history(record, _coefficients(layer))


class CubicModule(torch.nn.Module):
    """f_ω as a module with four float64 parameters (``.to(x)`` takes them where x is); takes and gives
    tensors of any one shape."""

    def __init__(self, omega: Sequence[float]) -> None:
        super().__init__()
        self.a, self.b, self.c, self.d = (
            torch.nn.Parameter(torch.tensor(v, dtype=torch.float64)) for v in omega
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.a + self.b * x + self.c * x**2 + self.d * x**3


def fit_module(
    samples: Samples,
    *,
    steps: int = 2000,
    lr: float = 1e-6,
    omega: Sequence[float] | None = None,
    optimizer: Optimizer = torch.optim.SGD,
) -> History:
    """Rung 7: the model is a `Module` of our own."""
    record = Record("own Module", samples, steps, lr)
    x, y = samples
    model = CubicModule(_omega(omega)).to(x)
    descent = optimizer(model.parameters(), lr=lr)
    for t in record.steps():
        loss = (model(x) - y).pow(2).sum()
        record.losses[t] = loss.detach()
        descent.zero_grad()
        loss.backward()
        descent.step()
    return _history(record, tuple(model.parameters()))


class SharedModule(CubicModule):
    """f_ω(x) + e (x⁴ + … ), with k terms that all share the one weight e."""

    def __init__(self, omega: Sequence[float], e: float) -> None:
        super().__init__(omega)
        self.e = torch.nn.Parameter(torch.tensor(e, dtype=torch.float64))

    def forward(self, x: Tensor, k: int = 0) -> Tensor:
        y = super().forward(x)
        for power in range(4, 4 + k):
            y = y + self.e * x**power
        return y


def fit_shared(
    samples: Samples,
    *,
    steps: int = 2000,
    lr: float = 1e-6,
    omega: Sequence[float] | None = None,
    e: float | None = None,
    seed: int = 0,
) -> History:
    """Rung 8: control flow and weight sharing. A loop builds the model anew in each step, with no, one or
    two more terms e x⁴ + e x⁵, as `draws(seed, steps)` says; all share the weight ``e`` and add to its
    gradient. Without ``e`` the loop adds no term, and this is the cubic fit again."""
    record = Record("loop, shared weight", samples, steps, lr)
    x, y = samples
    model = SharedModule(_omega(omega), e or 0.0).to(x)
    terms = [0] * steps if e is None else draws(seed, steps)
    for t in record.steps():
        loss = (model(x, terms[t]) - y).pow(2).sum()
        record.losses[t] = loss.detach()
        loss.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.grad is not None:  # e has none in a step that did not use it
                    parameter -= lr * parameter.grad  # type: ignore[misc]
                    parameter.grad = None
    if e is None:
        return _history(record, tuple(model.parameters())[:4])
    return record.history(dict(model.named_parameters()), SHARED_MODEL)


def fit_shared_by_hand(
    samples: Samples,
    *,
    steps: int = 2000,
    lr: float = 1e-6,
    omega: Sequence[float] | None = None,
    e: float,
    seed: int = 0,
) -> History:
    """What rung 8 does, in numpy: ∂L/∂e = Σ_i u_i (x_i⁴ + x_i⁵ + …), a sum over the terms that share e."""
    record = Record("shared weight, by hand", samples, steps, lr, device="cpu")
    losses = record.losses.numpy()
    x, y = samples.numpy()
    w = np.array([*_omega(omega), e], dtype=x.dtype)
    powers = np.stack([x**k for k in range(6)])
    with np.errstate(over="ignore", invalid="ignore"):
        for t, k in zip(record.steps(), draws(seed, steps), strict=True):
            shared = powers[4 : 4 + k].sum(axis=0)
            residual = w[:4] @ powers[:4] + w[4] * shared - y
            losses[t] = np.square(residual).sum()
            u = 2 * residual
            w -= lr * np.append(powers[:4] @ u, shared @ u)
    return record.history(dict(zip("abcde", w, strict=True)), SHARED_MODEL)


LADDER: tuple[Callable[..., History], ...] = (
    fit_by_hand,
    fit_tensors,
    fit_autograd,
    fit_function,
    fit_nn,
    fit_optim,
    fit_module,
    fit_shared,
)


def _omega(omega: Sequence[float] | None) -> Cubic:
    if omega is None:
        return start()
    values = np.asarray(omega)
    if values.shape != (4,) or values.dtype.kind not in "iuf" or not np.isfinite(values).all():
        raise ValueError(f"omega must be four finite numbers (a, b, c, d), not {omega!r}")
    return Cubic(*map(float, omega))


def _leaves(values: Iterable[float], like: Tensor) -> list[Tensor]:
    return [torch.tensor(v, dtype=like.dtype, device=like.device, requires_grad=True) for v in values]


def _linear(like: Tensor, omega: Sequence[float] | None) -> torch.nn.Linear:
    """A layer that makes of the powers (x, x², x³), shape (n, 3), the values of f_ω, shape (n, 1)."""
    a, *weights = _omega(omega)
    layer = torch.nn.Linear(3, 1).to(like)
    with torch.no_grad():
        layer.bias.fill_(a)
        layer.weight.copy_(torch.tensor([weights], dtype=like.dtype))
    return layer


def _coefficients(layer: torch.nn.Linear) -> Tensor:
    return torch.cat([layer.bias, layer.weight[0]])


def _history(record: Record, omega: Iterable[Any]) -> History:
    parameters = dict(zip("abcd", omega, strict=True))
    return record.history(parameters, MODEL, lambda: least_squares(record.samples)[1])
