"""A network of depth d with one number in each layer: f_k = σ(a_k f_{k−1} + b_k), f_0(x) = x.

Small enough to write its gradient out, deep enough to see what depth and the activation σ do to it. With
z_k = a_k f_{k−1} + b_k and the loss L = Σ_i (f_d(x_i) − y_i)², the chain rule runs backwards:

    δ_d = 2 (f_d − y) σ′(z_d),   δ_{k−1} = δ_k a_k σ′(z_{k−1}),
    ∂L/∂a_k = Σ_i δ_k f_{k−1},   ∂L/∂b_k = Σ_i δ_k.

Each layer puts one factor a_k σ′ into the gradient of those before it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fitnotes.training.data import Array, Samples
from fitnotes.training.display import Table, significant
from fitnotes.training.history import History, Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Heaviside(torch.autograd.Function):
    """1 where z ≥ 0, else 0; takes and gives tensors of any one shape. Use `Heaviside.apply`.

    Its derivative is 0 wherever it has one, and that is what `backward` passes on: nothing.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        return (z >= 0).to(z.dtype)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        return torch.zeros_like(grad_outputs[0])


@dataclass(frozen=True, slots=True)
class Activation:
    """σ on tensors; its derivative σ′(z) as a function of σ(z), on arrays; and σ in LaTeX."""

    name: str
    function: Callable[[Tensor], Tensor]
    slope: Callable[[Array], Array]
    latex: str


ACTIVATIONS: Mapping[str, Activation] = {
    activation.name: activation
    for activation in (
        Activation("identity", lambda z: z, np.ones_like, ""),
        Activation("tanh", torch.tanh, lambda s: 1 - s**2, "\\tanh"),
        Activation("Heaviside", Heaviside.apply, np.zeros_like, "H"),
        Activation("logistic", torch.sigmoid, lambda s: s * (1 - s), "\\operatorname{logistic}"),
    )
}


class Layers(NamedTuple):
    """``a`` and ``b``, each of shape (d,): the number and the shift of each layer, the first one first."""

    a: Array
    b: Array


def start(depth: int, *, seed: int = 0) -> Layers:
    """a_k = 1 + small, b_k = small: normal numbers of standard deviation 0.1.

    A deeper network starts with the layers of a shallower one. Raises ValueError when depth < 1.
    """
    if not isinstance(depth, int) or depth < 1:
        raise ValueError(f"depth must be at least 1, a whole number, not {depth!r}")
    small = 0.1 * np.random.default_rng(seed).standard_normal((depth, 2))
    return Layers(1 + small[:, 0], small[:, 1])


class DepthNet(torch.nn.Module):
    """f_d as a module with the float64 parameters ``a`` and ``b`` (``.to(x)`` takes them where x is); takes
    and gives tensors of any one shape."""

    def __init__(self, layers: Layers, activation: str = "tanh") -> None:
        super().__init__()
        self.sigma = _activation(activation).function
        self.a = torch.nn.Parameter(torch.tensor(layers.a))
        self.b = torch.nn.Parameter(torch.tensor(layers.b))

    def forward(self, x: Tensor) -> Tensor:
        f = x
        for a, b in zip(self.a, self.b, strict=True):
            f = self.sigma(a * f + b)
        return f


def depth_gradient(layers: Layers, x: Array, y: Array, activation: str = "tanh") -> Layers:
    """(∂L/∂a, ∂L/∂b), each of shape (d,), by the recursion above; x and y of shape (n,)."""
    sigma = _activation(activation)
    outputs = [x]
    for a, b in zip(*layers, strict=True):
        outputs.append(sigma.function(torch.from_numpy(np.asarray(a * outputs[-1] + b))).numpy())
    by_a, by_b = np.empty_like(layers.a), np.empty_like(layers.b)
    delta = 2 * (outputs[-1] - y)
    for k in reversed(range(len(layers.a))):
        delta = delta * sigma.slope(outputs[k + 1])
        by_a[k], by_b[k] = (delta * outputs[k]).sum(), delta.sum()
        delta = delta * layers.a[k]
    return Layers(by_a, by_b)


def fit_depth(
    samples: Samples,
    depth: int = 2,
    activation: str = "tanh",
    *,
    steps: int = 2000,
    lr: float = 1e-4,
    layers: Layers | None = None,
) -> History:
    """Gradient descent on all a_k and b_k, from `start(depth)` or from ``layers`` of any depth, in the
    dtype and on the device of the samples; x and y have shape (n,).

    Raises ValueError for an unknown activation, samples without meaning and when the fit diverges.
    """
    layers = start(depth) if layers is None else _layers(layers)
    record = Record(f"{activation}, depth {len(layers.a)}", samples, steps, lr)
    x, y = samples
    model = DepthNet(layers, activation).to(x)
    for t in record.steps():
        loss = (model(x) - y).pow(2).sum()
        record.losses[t] = loss.detach()
        loss.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= lr * parameter.grad  # type: ignore[operator, misc]
                parameter.grad = None
    values = {f"{name}{k}": v for name, p in model.named_parameters() for k, v in enumerate(p.detach(), 1)}
    # With the identity, every depth is a straight line, and least squares knows the best one.
    least = functools.partial(_best_line, samples) if activation == "identity" else None
    return record.history(values, formula(len(model.a), activation), least)


def formula(depth: int, activation: str = "tanh") -> str:
    """f_d in LaTeX, with {a1}, {b1}, … where its numbers go."""
    sigma = _activation(activation).latex
    text = "x"
    for k in range(1, depth + 1):
        text = f"{sigma}\\left({{a{k}}}\\,{text} + {{b{k}}}\\right)"
    return f"y = {text}"


@dataclass(frozen=True, slots=True, eq=False)
class Depths:
    """Fits of several depths and activations, by (activation, depth)."""

    histories: Mapping[tuple[str, int], History]

    def table(self) -> Table:
        """The last loss of each fit: a row for each depth, a column for each activation."""
        names = list(dict.fromkeys(name for name, _ in self.histories))
        depths = sorted({depth for _, depth in self.histories})
        rows = [(str(d), *(significant(self.histories[name, d].final) for name in names)) for d in depths]
        return Table(("depth", *names), tuple(rows))

    def curve(self, axes: Axes | None = None) -> Axes:
        """All losses by step in one picture."""
        first, *others = self.histories.values()
        return first.curve(*others, axes=axes)

    def _repr_markdown_(self) -> str:
        return self.table()._repr_markdown_()


def compare_depths(
    samples: Samples,
    depths: Iterable[int] = (1, 2, 3, 4, 5),
    activations: Iterable[str] = tuple(ACTIVATIONS),
    *,
    steps: int = 500,
    lr: float = 1e-4,
) -> Depths:
    """Fits each depth with each activation from its own `start`."""
    names = (activations,) if isinstance(activations, str) else tuple(activations)
    depths = tuple(depths)
    if not names or not depths:
        raise ValueError("compare_depths needs at least one depth and one activation")
    return Depths(
        {(name, d): fit_depth(samples, d, name, steps=steps, lr=lr) for d in depths for name in names}
    )


def _layers(layers: Layers) -> Layers:
    a, b = (np.asarray(values, dtype=np.float64) for values in layers)
    if a.ndim != 1 or a.shape != b.shape or not a.size:
        raise ValueError(f"layers.a has shape {a.shape} and layers.b {b.shape}: both must be (d,)")
    return Layers(a, b)


def _activation(name: str) -> Activation:
    if name not in ACTIVATIONS:
        raise ValueError(f"unknown activation {name!r}: one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def _best_line(samples: Samples) -> float:
    x, y = (values.astype(np.float64) for values in samples.numpy())
    powers = np.vander(x, 2)
    return float(np.square(powers @ np.linalg.lstsq(powers, y, rcond=None)[0] - y).sum())
