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
        _check_from_zero(self, "lr", "momentum", "dampening", "weight_decay")
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
            value = getattr(self, name)
            if not (isinstance(value, float | int) and 0 <= value < 1):
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
        if not (isinstance(value, float | int) and math.isfinite(value) and value >= 0):
            raise ValueError(f"{type(rule).__name__}: {name} must be a finite number from 0, not {value!r}")


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

    ``losses[t]`` is the loss after t steps, shape (steps + 1,); ``deviation`` the largest of all steps,
    relative to the step's length."""

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
            f"{small(self.deviation)} of a step's length."
        )
        return Table(header, tuple(rows), below, words=(2,))

    def after(self, t: int, name: str) -> np.ndarray[Any, Any]:
        """The parameter after step t, by the formula."""
        return self._step(t, name).formula

    def gradient(self, t: int, name: str) -> np.ndarray[Any, Any]:
        """The gradient that step t used."""
        return self._step(t, name).gradient

    def _step(self, t: int, name: str) -> Step:
        for step in self.steps:
            if (step.t, step.name) == (t, name):
                return step
        raise KeyError(f"there is no step {t} of a parameter {name}")

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
    the loss, a number. Both take each step from the same place and with the same gradient; each remembers
    for itself what its rule remembers. With ``zero_grad=False``, gradients are not set to zero between
    steps, so that each `backward` adds to what is there.

    Raises Disagreement when two steps part by more than rounding explains, ValueError for a loss or a
    gradient that is not finite.
    """
    _check_arguments(start, rule, steps, dtype)
    names = tuple(start)
    thetas = [_parameter(name, start[name], dtype).requires_grad_() for name in names]
    optimizer = rule.torch(list(thetas))
    states: list[State] = [{} for _ in names]
    taken: list[Step] = []
    losses: list[float] = []
    largest = 0.0
    for t in range(1, steps + 1):
        if zero_grad:
            optimizer.zero_grad()
        loss = _loss(f, thetas, names, t)
        losses.append(float(loss.detach()))
        if loss.requires_grad:
            loss.backward()
        before = [theta.detach().clone() for theta in thetas]
        gradients = [_gradient(name, theta, t) for name, theta in zip(names, thetas, strict=True)]
        optimizer.step()
        for k, name in enumerate(names):
            ours, states[k] = rule.step(t, before[k], gradients[k], states[k])
            theirs = thetas[k].detach().clone()
            largest = max(largest, _deviation(rule, t, name, before[k], ours, theirs))
            state = {symbol: value.numpy() for symbol, value in states[k].items()}
            taken.append(Step(t, name, gradients[k].numpy(), state, ours.numpy(), theirs.numpy()))
    losses.append(float(_loss(f, thetas, names, steps + 1).detach()))
    return Steps(rule, tuple(taken), tuple(losses), largest)


def _check_arguments(start: Mapping[str, Any], rule: Rule, steps: int, dtype: torch.dtype) -> None:
    if not isinstance(steps, int) or steps < 1:
        raise ValueError(f"steps must be at least 1, not {steps!r}")
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"the steps are taken in torch.float32 or torch.float64, not in {dtype}")
    if not isinstance(start, Mapping) or not start:
        raise ValueError('start must give the parameters their names: {"a": 2.0}')
    if isinstance(rule, type) or not hasattr(rule, "step") or not hasattr(rule, "torch"):
        raise ValueError("rule must be one of SGD(lr=…), Adam(…), AdamW(…), or an object like them")


def _deviation(rule: Rule, t: int, name: str, before: Tensor, ours: Tensor, theirs: Tensor) -> float:
    """How far the formula's parameter and torch's are apart after step t, relative to the step's length."""
    step = float((theirs - before).abs().max())
    # A step is known no better than the last digit of the parameter that it changes.
    allowed = epsilon(before.dtype) * (64 * t * step + 4 * float(before.abs().max()))
    apart = float((ours - theirs).abs().max())
    if not apart <= allowed:
        raise Disagreement(
            f"{type(rule).__name__}, step {t}: {name} becomes {vector(ours.flatten().tolist())} "
            f"by the formula, but {vector(theirs.flatten().tolist())} in torch.optim: {apart:.1e} "
            f"apart, where rounding allows {allowed:.1e}"
        )
    return apart / step if step else 0.0


def _gradient(name: str, theta: Tensor, t: int) -> Tensor:
    """What backward left, as a copy; zero, and told to torch, for a parameter that the loss ignores."""
    if theta.grad is None:
        theta.grad = torch.zeros_like(theta)
    if not bool(torch.isfinite(theta.grad).all()):
        raise ValueError(f"the gradient by {name} is not finite in step {t}: {theta.grad.tolist()}")
    return theta.grad.detach().clone()


def _parameter(name: str, value: Any, dtype: torch.dtype) -> Tensor:
    try:
        tensor = value.detach().cpu() if isinstance(value, Tensor) else torch.from_numpy(np.array(value))
    except (TypeError, ValueError) as error:
        raise ValueError(f"start: {name} is no number, array or tensor: {value!r}") from error
    if tensor.is_complex():
        raise ValueError(f"start: {name} is complex")
    tensor = tensor.to(dtype)
    if not tensor.numel():
        raise ValueError(f"start: {name} is empty")
    if not bool(torch.isfinite(tensor).all()):
        raise ValueError(f"start: {name} is not finite everywhere: {value}")
    return tensor.clone()


def _loss(f: Callable[..., Tensor], parameters: list[Tensor], names: tuple[str, ...], t: int) -> Tensor:
    loss = f(*parameters)
    if not isinstance(loss, Tensor) or loss.ndim or not loss.is_floating_point():
        shape = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
        raise ValueError(f"f({', '.join(names)}) must return a number as a tensor, not {shape}")
    if not bool(torch.isfinite(loss)):
        raise ValueError(f"f({', '.join(names)}) is {float(loss.detach())} before step {t}")
    return loss
