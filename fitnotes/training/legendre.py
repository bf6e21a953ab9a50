"""A fit through a function whose derivative we tell autograd ourselves: y = a + b P₃(c + d x).

P₃(x) = (5x³ − 3x)/2 is the Legendre polynomial of degree 3, P₃′(x) = 3(5x² − 1)/2
(NIST Digital Library of Mathematical Functions, §18.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fitnotes.training.data import Samples
from fitnotes.training.history import History, Record

MODEL = "y = {a} + {b}\\,P_3\\left({c} + {d}\\,x\\right)"
START = (0.0, -1.0, 0.0, 0.3)


class LegendreP3(torch.autograd.Function):
    """P₃ with its derivative by hand; takes and gives tensors of any one shape. Use `LegendreP3.apply`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return 0.5 * (5 * x**3 - 3 * x)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        """∂L/∂x = ∂L/∂P₃ · P₃′(x)."""
        (grad_output,) = grad_outputs
        (x,) = ctx.saved_tensors
        result: Tensor = grad_output * 1.5 * (5 * x**2 - 1)
        return result


def fit_legendre(
    samples: Samples, *, steps: int = 2000, lr: float = 5e-6, start: Sequence[float] = START
) -> History:
    """Gradient descent on (a, b, c, d) from ``start``, in the samples' dtype and device; x and y have shape
    (n,). Raises ValueError for samples without meaning and when the fit diverges."""
    record = Record("Legendre", samples, steps, lr)
    x, y = samples
    p3 = LegendreP3.apply
    a, b, c, d = (
        torch.full((), v, dtype=x.dtype, device=x.device, requires_grad=True) for v in _start(start)
    )
    for t in record.steps():
        y_pred = a + b * p3(c + d * x)  # type: ignore[no-untyped-call]
        loss = (y_pred - y).pow(2).sum()
        record.losses[t] = loss.detach()
        loss.backward()
        with torch.no_grad():
            for parameter in (a, b, c, d):
                parameter -= lr * parameter.grad  # type: ignore[operator]
                parameter.grad = None
    return record.history({"a": a, "b": b, "c": c, "d": d}, MODEL)


def fit_legendre_by_hand(
    samples: Samples, *, steps: int = 2000, lr: float = 5e-6, start: Sequence[float] = START
) -> History:
    """The same descent in numpy: with z = c + d x, the model's derivatives by (a, b, c, d) are
    1, P₃(z), b P₃′(z) and b P₃′(z) x."""
    record = Record("Legendre, by hand", samples, steps, lr, device="cpu")
    losses = record.losses.numpy()
    x, y = samples.numpy()
    a, b, c, d = np.array(_start(start), dtype=x.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        for t in record.steps():
            z = c + d * x
            p3 = 0.5 * (5 * z**3 - 3 * z)
            residual = a + b * p3 - y
            losses[t] = np.square(residual).sum()
            u = 2 * residual
            by_z = u * b * 1.5 * (5 * z**2 - 1)
            a -= lr * u.sum()
            b -= lr * (u * p3).sum()
            c -= lr * by_z.sum()
            d -= lr * (by_z * x).sum()
    return record.history({"a": a, "b": b, "c": c, "d": d}, MODEL)


def _start(start: Sequence[float]) -> Sequence[float]:
    values = np.asarray(start)
    if values.shape != (4,) or values.dtype.kind not in "iuf" or not np.isfinite(values).all():
        raise ValueError(f"start must be four finite numbers (a, b, c, d), not {start!r}")
    return start
