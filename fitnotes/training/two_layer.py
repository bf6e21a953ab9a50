"""The two-layer network, on every rung of the ladder: Ŷ = max(X W₁, 0) W₂.

The problem is that of the tutorial "Learning PyTorch with Examples" (pytorch.org): X of shape (n, D_in), Y of
shape (n, D_out), W₁ of shape (D_in, H), W₂ of shape (H, D_out), and the loss C = ‖Ŷ − Y‖², the sum of all
squares. With Z = X W₁ and R = max(Z, 0), and [Z > 0] for the matrix of ones and zeros, the chain rule gives

    G = ∂C/∂Ŷ = 2 (Ŷ − Y),   ∂C/∂W₂ = Rᵀ G,   ∂C/∂W₁ = Xᵀ ((G W₂ᵀ) ∘ [Z > 0]).

Each function below is the same gradient descent with one more part of torch; from one start, all take the
same way (`LADDER`, `compare`). All take ``samples``, a number of ``steps``, the learning rate ``lr`` and the
start ``weights`` (default: `start(samples)`); they compute in the dtype and on the device of the samples
(numpy: on the CPU), return a `History` and raise ValueError for shapes that do not fit together, samples
without meaning and a fit that diverges.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fitnotes.training.data import Array, Samples
from fitnotes.training.history import History, Record
from fitnotes.training.rungs import Optimizer, draws, optimizer_name

MODEL = "\\hat{Y} = \\max(X W_1, 0)\\, W_2"
SHARED_MODEL = "\\hat{Y} = \\max(\\cdots \\max(\\max(X W_1, 0)\\, W_m, 0) \\cdots W_m, 0)\\, W_2"


class Weights(NamedTuple):
    """``w1`` of shape (D_in, H) and ``w2`` of shape (H, D_out); ``wm``, where a network has it, of (H, H)."""

    w1: Array
    w2: Array
    wm: Array | None = None


def start(samples: Samples, hidden: int = 100, *, seed: int = 1) -> Weights:
    """Independent standard normal weights, for learning rates about 1e-6."""
    rng = np.random.default_rng(seed)
    d_in, d_out = _columns(samples)
    return Weights(rng.standard_normal((d_in, hidden)), rng.standard_normal((hidden, d_out)))


def linear_start(samples: Samples, hidden: int = 100, *, seed: int = 1) -> Weights:
    """Weights as `torch.nn.Linear` draws them, uniform on ±1/√(columns before), for rates about 1e-4.

    ``wm`` is drawn with them, for `fit_shared`.
    """
    rng = np.random.default_rng(seed)
    d_in, d_out = _columns(samples)

    def uniform(rows: int, columns: int) -> Array:
        bound = 1 / np.sqrt(rows)
        return rng.uniform(-bound, bound, (rows, columns))

    return Weights(uniform(d_in, hidden), uniform(hidden, d_out), uniform(hidden, hidden))


def two_layer_loss(w1: Array, w2: Array, x: Array, y: Array) -> float:
    """C = ‖max(X W₁, 0) W₂ − Y‖²."""
    return float(np.square(np.maximum(x @ w1, 0) @ w2 - y).sum())


def two_layer_gradient(w1: Array, w2: Array, x: Array, y: Array) -> Weights:
    """(∂C/∂W₁, ∂C/∂W₂), each of the shape of its matrix."""
    z = x @ w1
    r = np.maximum(z, 0)
    g = 2 * (r @ w2 - y)
    return Weights(x.T @ ((g @ w2.T) * (z > 0)), r.T @ g)


def fit_by_hand(
    samples: Samples, *, steps: int = 500, lr: float = 1e-6, weights: Weights | None = None
) -> History:
    """Rung 1: numpy, with the derivatives written out."""
    record = _record("numpy, by hand", samples, steps, lr, device="cpu")
    losses = record.losses.numpy()
    x, y = samples.numpy()
    w1, w2 = (w.astype(x.dtype) for w in _weights(weights, samples)[:2])
    with np.errstate(over="ignore", invalid="ignore"):
        for t in record.steps():
            z = x @ w1
            r = np.maximum(z, 0)
            residual = r @ w2 - y
            losses[t] = np.square(residual).sum()
            g = 2 * residual
            by_w1, by_w2 = x.T @ ((g @ w2.T) * (z > 0)), r.T @ g
            w1 -= lr * by_w1
            w2 -= lr * by_w2
    return record.history({"W1": w1, "W2": w2}, MODEL)


def fit_tensors(
    samples: Samples, *, steps: int = 500, lr: float = 1e-6, weights: Weights | None = None
) -> History:
    """Rung 2: the same lines on tensors, which may live on a GPU."""
    record = _record("tensors, by hand", samples, steps, lr)
    x, y = samples
    w1, w2 = _tensors(_weights(weights, samples)[:2], x)
    for t in record.steps():
        z = x @ w1
        r = z.clamp(min=0)
        residual = r @ w2 - y
        record.losses[t] = residual.square().sum()
        g = 2 * residual
        by_w1, by_w2 = x.T @ ((g @ w2.T) * (z > 0)), r.T @ g
        w1 -= lr * by_w1
        w2 -= lr * by_w2
    return record.history({"W1": w1, "W2": w2}, MODEL)


def fit_autograd(
    samples: Samples, *, steps: int = 500, lr: float = 1e-6, weights: Weights | None = None
) -> History:
    """Rung 3: `loss.backward()` finds the derivatives."""
    record = _record("autograd", samples, steps, lr)
    x, y = samples
    w1, w2 = (w.requires_grad_() for w in _tensors(_weights(weights, samples)[:2], x))
    for t in record.steps():
        loss = ((x @ w1).clamp(min=0) @ w2 - y).pow(2).sum()
        record.losses[t] = loss.detach()
        loss.backward()
        with torch.no_grad():
            for w in (w1, w2):
                w -= lr * w.grad  # type: ignore[operator]
                w.grad = None
    return record.history({"W1": w1, "W2": w2}, MODEL)


class ReLU(torch.autograd.Function):
    """max(z, 0) with its derivative by hand; takes and gives tensors of any one shape. Use `ReLU.apply`."""

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        ctx.save_for_backward(z)
        return z.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        """∂C/∂z = ∂C/∂r where z > 0, and 0 elsewhere."""
        (z,) = ctx.saved_tensors
        result: Tensor = grad_outputs[0] * (z > 0)
        return result


def fit_function(
    samples: Samples, *, steps: int = 500, lr: float = 1e-6, weights: Weights | None = None
) -> History:
    """Rung 4: the ReLU is a `Function` whose derivative we tell autograd."""
    record = _record("own Function", samples, steps, lr)
    relu: Callable[[Tensor], Tensor] = ReLU.apply
    x, y = samples
    w1, w2 = (w.requires_grad_() for w in _tensors(_weights(weights, samples)[:2], x))
    for t in record.steps():
        loss = (relu(x @ w1) @ w2 - y).pow(2).sum()
        record.losses[t] = loss.detach()
        loss.backward()
        with torch.no_grad():
            for w in (w1, w2):
                w -= lr * w.grad  # type: ignore[operator]
                w.grad = None
    return record.history({"W1": w1, "W2": w2}, MODEL)


def fit_nn(
    samples: Samples, *, steps: int = 500, lr: float = 1e-6, weights: Weights | None = None
) -> History:
    """Rung 5: layers of `torch.nn` (without bias, as in the formula), still updated by hand."""
    record = _record("torch.nn", samples, steps, lr)
    x, y = samples
    first, second = (_linear(w) for w in _tensors(_weights(weights, samples)[:2], x))
    model = torch.nn.Sequential(first, torch.nn.ReLU(), second)
    loss_function = torch.nn.MSELoss(reduction="sum")
    for t in record.steps():
        loss = loss_function(model(x), y)
        record.losses[t] = loss.detach()
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for w in model.parameters():
                w -= lr * w.grad  # type: ignore[operator, misc]
    return record.history({"W1": first.weight.T, "W2": second.weight.T}, MODEL)


def fit_optim(
    samples: Samples,
    *,
    steps: int = 500,
    lr: float = 1e-6,
    weights: Weights | None = None,
    optimizer: Optimizer = torch.optim.SGD,
) -> History:
    """Rung 6: the same layers, updated by an optimizer of `torch.optim`."""
    record = _record(optimizer_name(optimizer), samples, steps, lr)
    x, y = samples
    first, second = (_linear(w) for w in _tensors(_weights(weights, samples)[:2], x))
    model = torch.nn.Sequential(first, torch.nn.ReLU(), second)
    loss_function = torch.nn.MSELoss(reduction="sum")
    descent = optimizer(model.parameters(), lr=lr)
    for t in record.steps():
        loss = loss_function(model(x), y)
        record.losses[t] = loss.detach()
        descent.zero_grad()
        loss.backward()
        descent.step()
    return record.history({"W1": first.weight.T, "W2": second.weight.T}, MODEL)


class TwoLayerNet(torch.nn.Module):
    """The network as a module: tensors of shape (n, D_in) become tensors of shape (n, D_out)."""

    def __init__(self, w1: Tensor, w2: Tensor) -> None:
        super().__init__()
        self.w1, self.w2 = torch.nn.Parameter(w1.clone()), torch.nn.Parameter(w2.clone())

    def forward(self, x: Tensor) -> Tensor:
        return (x @ self.w1).clamp(min=0) @ self.w2


def fit_module(
    samples: Samples,
    *,
    steps: int = 500,
    lr: float = 1e-6,
    weights: Weights | None = None,
    optimizer: Optimizer = torch.optim.SGD,
) -> History:
    """Rung 7: the network is a `Module` of our own."""
    record = _record("own Module", samples, steps, lr)
    x, y = samples
    model = TwoLayerNet(*_tensors(_weights(weights, samples)[:2], x))
    descent = optimizer(model.parameters(), lr=lr)
    for t in record.steps():
        loss = (model(x) - y).pow(2).sum()
        record.losses[t] = loss.detach()
        descent.zero_grad()
        loss.backward()
        descent.step()
    return record.history({"W1": model.w1, "W2": model.w2}, MODEL)


class SharedNet(TwoLayerNet):
    """The network with k more layers between the two, all with the one matrix ``wm`` of shape (H, H)."""

    def __init__(self, w1: Tensor, w2: Tensor, wm: Tensor) -> None:
        super().__init__(w1, w2)
        self.wm = torch.nn.Parameter(wm.clone())

    def forward(self, x: Tensor, k: int = 0) -> Tensor:
        r = (x @ self.w1).clamp(min=0)
        for _ in range(k):
            r = (r @ self.wm).clamp(min=0)
        return r @ self.w2


def fit_shared(
    samples: Samples,
    *,
    steps: int = 500,
    lr: float = 1e-6,
    weights: Weights | None = None,
    most: int = 3,
    seed: int = 0,
) -> History:
    """Rung 8: control flow and weight sharing. A loop builds the network anew in each step, with 0 to
    ``most`` middle layers, as `draws(seed, steps, most)` says; all of them share ``weights.wm``. Weights
    without ``wm`` have no middle layer, and this is the two-layer net again."""
    record = _record("loop, shared weights", samples, steps, lr)
    x, y = samples
    w1, w2, wm = _weights(weights, samples)
    middle = np.zeros((w1.shape[1],) * 2) if wm is None else wm
    model = SharedNet(*_tensors((w1, w2, middle), x))
    layers = [0] * steps if wm is None else draws(seed, steps, most)
    for t in record.steps():
        loss = (model(x, layers[t]) - y).pow(2).sum()
        record.losses[t] = loss.detach()
        loss.backward()
        with torch.no_grad():
            for w in model.parameters():
                if w.grad is not None:  # wm has none in a step that did not use it
                    w -= lr * w.grad  # type: ignore[misc]
                    w.grad = None
    if wm is None:
        return record.history({"W1": model.w1, "W2": model.w2}, MODEL)
    return record.history({"W1": model.w1, "W2": model.w2, "Wm": model.wm}, SHARED_MODEL)


def fit_shared_by_hand(
    samples: Samples, *, steps: int = 500, lr: float = 1e-6, weights: Weights, most: int = 3, seed: int = 0
) -> History:
    """What rung 8 does, in numpy: ∂C/∂W_m is a sum, to which each use of W_m adds its part."""
    record = _record("shared weights, by hand", samples, steps, lr, device="cpu")
    losses = record.losses.numpy()
    x, y = samples.numpy()
    checked = _weights(weights, samples)
    if checked.wm is None:
        raise ValueError("weights.wm is None: there is no matrix to share")
    w1, w2, wm = (w.astype(x.dtype) for w in (checked.w1, checked.w2, checked.wm))
    with np.errstate(over="ignore", invalid="ignore"):
        for t, k in zip(record.steps(), draws(seed, steps, most), strict=True):
            r = [np.maximum(x @ w1, 0)]  # the output of each layer
            for _ in range(k):
                r.append(np.maximum(r[-1] @ wm, 0))
            residual = r[-1] @ w2 - y
            losses[t] = np.square(residual).sum()
            g = 2 * residual
            by_w2 = r[-1].T @ g
            delta = (g @ w2.T) * (r[-1] > 0)  # ∂C/∂Z of the last hidden layer
            by_wm = np.zeros_like(wm)
            for before in reversed(r[:-1]):
                by_wm += before.T @ delta
                delta = (delta @ wm.T) * (before > 0)
            w1 -= lr * (x.T @ delta)
            w2 -= lr * by_w2
            wm -= lr * by_wm
    return record.history({"W1": w1, "W2": w2, "Wm": wm}, SHARED_MODEL)


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


def _columns(samples: Samples) -> tuple[int, int]:
    for name, values in (("x", samples.x), ("y", samples.y)):
        if values.ndim != 2:
            raise ValueError(
                f"samples.{name} has shape {tuple(values.shape)}, but this model needs (n, columns)"
            )
    return samples.x.shape[1], samples.y.shape[1]


def _weights(weights: Weights | None, samples: Samples) -> Weights:
    """The given weights, or the default. Raises ValueError when a shape does not fit."""
    d_in, d_out = _columns(samples)
    if weights is None:
        return start(samples)
    if not isinstance(weights, Weights):
        raise ValueError(f"weights must be Weights(w1, w2), not {type(weights).__name__}")
    weights = Weights(*(None if w is None else np.asarray(w, dtype=np.float64) for w in weights))  # type: ignore[arg-type]
    w1, w2, wm = weights
    hidden = w1.shape[-1] if w1.ndim else 0
    for name, w, shape in (
        ("w1", w1, (d_in, hidden)),
        ("w2", w2, (hidden, d_out)),
        ("wm", wm, (hidden, hidden)),
    ):
        if w is not None and w.shape != shape:
            raise ValueError(
                f"weights.{name} has shape {w.shape}, but x {tuple(samples.x.shape)}, "
                f"y {tuple(samples.y.shape)} and {hidden} hidden units need {shape}"
            )
        if w is not None and not np.isfinite(w).all():
            raise ValueError(f"weights.{name} is not finite everywhere")
    return weights


def _tensors(weights: tuple[Array | None, ...], like: Tensor) -> list[Tensor]:
    return [torch.tensor(w, dtype=like.dtype, device=like.device) for w in weights]


def _linear(w: Tensor) -> torch.nn.Linear:
    """A layer x ↦ x w; `Linear` keeps the transpose of w."""
    layer = torch.nn.Linear(w.shape[0], w.shape[1], bias=False).to(w)
    with torch.no_grad():
        layer.weight.copy_(w.T)
    return layer


def _record(
    name: str, samples: Samples, steps: int, lr: float, *, device: torch.device | str | None = None
) -> Record:
    return Record(name, samples, steps, lr, dimensions=2, device=device)
