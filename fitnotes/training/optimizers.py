"""Optimizers from their formulas, stepped beside those of `torch.optim`.

θ stands for one parameter, g for its gradient, η for the learning rate, λ for the weight decay, t = 1, 2, …
for the step. All products, squares and roots are entry by entry.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from fitnotes.training.agreement import Disagreement, epsilon
from fitnotes.training.display import Table, entry, places, small, vector

State = Mapping[str, Tensor]
SHOWN = 6  # entries of one parameter that a table shows one by one


class Rule(Protocol):
    """How an optimizer steps: by its formula, and as torch has it."""

    def step(self, t: int, theta: Tensor, g: Tensor, state: State) -> tuple[Tensor, State]:
        """The parameter after step t and what the rule remembers; ``state`` is empty at t = 1. Changes
        nothing in place; all tensors have the shape of ``theta``."""
        ...

    def torch(self, parameters: list[Tensor]) -> torch.optim.Optimizer:
        """The same rule of `torch.optim`."""
        ...


@dataclass(frozen=True, slots=True)
class SGD:
    """Gradient descent with momentum μ, dampening τ and Nesterov's variant (torch.optim.SGD, after
    Sutskever et al., ICML 2013):

    g ← g + λ θ;  v ← g at t = 1, then v ← μ v + (1 − τ) g;  d = g + μ v (Nesterov) or v;  θ ← θ − η d.

    Raises ValueError for values without meaning.
    """

    lr: float
    momentum: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _check_from_zero(self, "lr", "momentum", "weight_decay")
        if self.nesterov and (self.momentum <= 0 or self.dampening != 0):
            raise ValueError("SGD: nesterov needs a momentum above 0 and no dampening")

    def step(self, t: int, theta: Tensor, g: Tensor, state: State) -> tuple[Tensor, State]:
        g = g + self.weight_decay * theta
        if self.momentum == 0:
            return theta - self.lr * g, {}
        v = g if t == 1 else self.momentum * state["v"] + (1 - self.dampening) * g
        d = g + self.momentum * v if self.nesterov else v
        return theta - self.lr * d, {"v": v}

    def torch(self, parameters: list[Tensor]) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            parameters,
            lr=self.lr,
            momentum=self.momentum,
            dampening=self.dampening,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
        )


@dataclass(frozen=True, slots=True)
class Adam:
    """Adam (Kingma and Ba, ICLR 2015, algorithm 1), with both means corrected for their start at zero:

    g ← g + λ θ;  m ← β₁ m + (1 − β₁) g;  v ← β₂ v + (1 − β₂) g²;
    m̂ = m / (1 − β₁ᵗ);  v̂ = v / (1 − β₂ᵗ);  θ ← θ − η m̂ / (√v̂ + ε).

    Raises ValueError for values without meaning.
    """

    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _check_from_zero(self, "lr", "eps", "weight_decay")
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{type(self).__name__}: {name} must be from 0 to below 1")

    def step(self, t: int, theta: Tensor, g: Tensor, state: State) -> tuple[Tensor, State]:
        return self._adam(t, theta, g + self.weight_decay * theta, state)

    def _adam(self, t: int, theta: Tensor, g: Tensor, state: State) -> tuple[Tensor, State]:
        zero = torch.zeros_like(theta)
        m = self.beta1 * state.get("m", zero) + (1 - self.beta1) * g
        v = self.beta2 * state.get("v", zero) + (1 - self.beta2) * g**2
        m_hat, v_hat = m / (1 - self.beta1**t), v / (1 - self.beta2**t)
        return theta - self.lr * m_hat / (v_hat.sqrt() + self.eps), {"m": m, "v": v}

    def torch(self, parameters: list[Tensor]) -> torch.optim.Optimizer:
        return torch.optim.Adam(parameters, **self._options())

    def _options(self) -> dict[str, Any]:
        betas = self.beta1, self.beta2
        return {"lr": self.lr, "betas": betas, "eps": self.eps, "weight_decay": self.weight_decay}


@dataclass(frozen=True, slots=True)
class AdamW(Adam):
    """Adam with the weight decay beside the gradient (Loshchilov and Hutter, ICLR 2019, algorithm 2):
    θ ← (1 − η λ) θ, then the step of Adam with the gradient as it is."""

    weight_decay: float = 1e-2

    def step(self, t: int, theta: Tensor, g: Tensor, state: State) -> tuple[Tensor, State]:
        # Not super(): a dataclass with slots is another class than the one that it is written in.
        return self._adam(t, (1 - self.lr * self.weight_decay) * theta, g, state)

    def torch(self, parameters: list[Tensor]) -> torch.optim.Optimizer:
        return torch.optim.AdamW(parameters, **self._options())


def _check_from_zero(rule: object, *names: str) -> None:
    for name in names:
        value = getattr(rule, name)
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{type(rule).__name__}: {name} must be a finite number from 0, not {value}")


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One step of one parameter: the gradient that went in, θ after it by the formula and by torch, and
    what the rule remembers; arrays of the parameter's shape."""

    t: int
    name: str
    gradient: np.ndarray[Any, Any]
    state: Mapping[str, np.ndarray[Any, Any]]
    formula: np.ndarray[Any, Any]
    torch: np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """Steps of a rule beside those of torch, which agree.

    ``losses[t]`` is the loss after t steps, shape (steps + 1,); ``deviation`` the largest relative one."""

    rule: Rule
    steps: tuple[Step, ...]
    losses: tuple[float, ...]
    deviation: float

    def table(self) -> Table:
        """A row for each step and entry of a parameter; of parameters with more than six, their norms."""
        symbols = list(dict.fromkeys(symbol for step in self.steps for symbol in step.state))
        header = ("step", "loss before", "", "gradient", *symbols, "by formula", "torch.optim")
        rows: list[tuple[str, ...]] = []
        for step in self.steps:
            columns = (step.gradient, *(step.state[s] for s in symbols), step.formula, step.torch)
            for k in range(step.formula.size) if step.formula.size <= SHOWN else [None]:
                if k is None:
                    name, numbers = f"‖{step.name}‖", [float(np.linalg.norm(c)) for c in columns]
                else:
                    name = step.name + entry(k, step.formula.shape)
                    numbers = [float(column.flat[k]) for column in columns]
                new = not rows or rows[-1][0] != str(step.t)
                loss = places(self.losses[step.t - 1]) if new else ""
                rows.append((str(step.t), loss, name, *map(places, numbers)))
        below = (
            f"The loss after the last step is {places(self.losses[-1])}. The formula and torch agree up to "
            f"{small(self.deviation)} of a parameter's size."
        )
        return Table(header, tuple(rows), below, words=(2,))

    def after(self, t: int, name: str) -> np.ndarray[Any, Any]:
        """The parameter after step t, by the formula."""
        return next(step.formula for step in self.steps if (step.t, step.name) == (t, name))

    def gradient(self, t: int, name: str) -> np.ndarray[Any, Any]:
        """The gradient that step t used."""
        return next(step.gradient for step in self.steps if (step.t, step.name) == (t, name))

    def _repr_markdown_(self) -> str:
        return self.table()._repr_markdown_()


def optimizer_steps(
    f: Callable[..., Tensor],
    start: Mapping[str, Any],
    rule: Rule,
    *,
    steps: int = 2,
    zero_grad: bool = True,
    dtype: torch.dtype = torch.float64,
) -> Steps:
    """Steps ``rule`` by its formula and in `torch.optim`, side by side, to minimise ``f``.

    ``f`` takes the parameters in ``start`` (numbers, arrays or tensors, by name) in their order and returns
    the loss, a number. Each of the two goes its own way with its own gradients. With ``zero_grad=False``,
    gradients are not set to zero between steps, so that each `backward` adds to what is there.

    Raises Disagreement when the two part by more than rounding explains, ValueError for a loss that is not
    a finite number.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, not {steps}")
    if not start:
        raise ValueError("start has no parameters")
    names = tuple(start)
    thetas = [_parameter(name, start[name], dtype) for name in names]
    theirs = [theta.clone().requires_grad_() for theta in thetas]
    optimizer = rule.torch(list(theirs))
    states: list[State] = [{} for _ in names]
    summed = [torch.zeros_like(theta) for theta in thetas]
    sizes = [theta.abs().max() for theta in thetas]  # a parameter on its way through zero is not small
    allowed = 64 * steps * epsilon(dtype)
    taken: list[Step] = []
    losses: list[float] = []
    largest = 0.0
    for t in range(1, steps + 1):
        leaves = [theta.clone().requires_grad_() for theta in thetas]
        loss = _loss(f, leaves, names, t)
        losses.append(float(loss.detach()))
        gradients = torch.autograd.grad(loss, leaves, materialize_grads=True)
        summed = [old * (not zero_grad) + new for old, new in zip(summed, gradients, strict=True)]
        if zero_grad:
            optimizer.zero_grad()
        _loss(f, theirs, names, t).backward()
        for theta in theirs:
            if theta.grad is None:  # as if the loss named it with a factor of zero
                theta.grad = torch.zeros_like(theta)
        optimizer.step()
        for k, name in enumerate(names):
            thetas[k], states[k] = rule.step(t, thetas[k], summed[k], states[k])
            ours, torchs = thetas[k], theirs[k].detach()
            sizes[k] = torch.maximum(sizes[k], ours.abs().max())
            apart = float((ours - torchs).abs().max() / sizes[k].clamp(min=torch.finfo(dtype).tiny))
            if not apart <= allowed:
                raise Disagreement(
                    f"{type(rule).__name__}, step {t}: {name} is {vector(ours.flatten().tolist())} by the "
                    f"formula, but torch.optim has {vector(torchs.flatten().tolist())}, a deviation of "
                    f"{apart:.1e} where rounding allows {allowed:.1e}"
                )
            largest = max(largest, apart)
            state = {symbol: value.numpy() for symbol, value in states[k].items()}
            taken.append(Step(t, name, summed[k].numpy(), state, ours.numpy(), torchs.clone().numpy()))
    losses.append(float(_loss(f, thetas, names, steps + 1)))
    return Steps(rule, tuple(taken), tuple(losses), largest)


def _parameter(name: str, value: Any, dtype: torch.dtype) -> Tensor:
    tensor = value.detach().cpu() if isinstance(value, Tensor) else torch.from_numpy(np.array(value))
    if not tensor.numel():
        raise ValueError(f"start: {name} is empty")
    if not bool(torch.isfinite(tensor).all()):
        raise ValueError(f"start: {name} is not finite everywhere: {value}")
    return tensor.to(dtype).clone()


def _loss(f: Callable[..., Tensor], parameters: list[Tensor], names: tuple[str, ...], t: int) -> Tensor:
    loss = f(*parameters)
    if not isinstance(loss, Tensor) or loss.ndim:
        shape = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
        raise ValueError(f"f({', '.join(names)}) must return a number as a tensor, not {shape}")
    if not bool(torch.isfinite(loss)):
        raise ValueError(f"f({', '.join(names)}) is {float(loss.detach())} before step {t}")
    return loss
