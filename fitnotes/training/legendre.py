"""A fit through a function whose derivative we tell autograd ourselves: y = a + b P₃(c + d x).

P₃(x) = (5x³ − 3x)/2 is the Legendre polynomial of degree 3, P₃′(x) = 3(5x² − 1)/2
(NIST Digital Library of Mathematical Functions, §18.5).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fitnotes.training.data import Samples
from fitnotes.training.history import History, checked, finite

MODEL = "y = {a} + {b}\\,P_3\\left({c} + {d}\\,x\\right)"


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
    samples: Samples,
    *,
    steps: int = 2000,
    lr: float = 5e-6,
    start: tuple[float, float, float, float] = (0.0, -1.0, 0.0, 0.3),
) -> History:
    """Gradient descent on (a, b, c, d) from ``start``, in the samples' dtype and device.

    Raises ValueError when the fit diverges.
    """
    checked(steps, lr)
    x, y = samples
    p3 = LegendreP3.apply
    a, b, c, d = (torch.full((), v, dtype=x.dtype, device=x.device, requires_grad=True) for v in start)
    losses = torch.empty(steps, dtype=x.dtype, device=x.device)
    for t in range(steps):
        y_pred = a + b * p3(c + d * x)  # type: ignore[no-untyped-call]
        loss = (y_pred - y).pow(2).sum()
        losses[t] = loss.detach()
        loss.backward()
        with torch.no_grad():
            for parameter in (a, b, c, d):
                assert parameter.grad is not None
                parameter -= lr * parameter.grad
                parameter.grad = None
    parameters = {name: value.item() for name, value in zip("abcd", (a, b, c, d), strict=True)}
    return History("Legendre", finite(losses.cpu().numpy(), lr), parameters, MODEL)
