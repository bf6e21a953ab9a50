"""What both ladders share: the choice of an optimizer, and the dice of the last rung."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable

import torch

# Such as torch.optim.SGD: called with the parameters and lr=…
Optimizer = Callable[..., torch.optim.Optimizer]


def optimizer_name(optimizer: Optimizer) -> str:
    """The name of an optimizer, with the options that a `partial` gives it: torch.optim.SGD(momentum=0.9)."""
    if isinstance(optimizer, functools.partial):
        options = ", ".join(f"{name}={value}" for name, value in optimizer.keywords.items())
        return f"{optimizer_name(optimizer.func)}({options})"
    name = getattr(optimizer, "__name__", "")
    if not name.isidentifier():
        return "an optimizer"
    return f"torch.optim.{name}" if str(optimizer.__module__).startswith("torch.optim") else name


def draws(seed: int, steps: int, most: int = 2) -> list[int]:
    """How often each step uses a shared weight: independent numbers from 0 to ``most``."""
    if most < 0:
        raise ValueError(f"most must be at least 0, not {most}")
    rng = random.Random(seed)
    return [rng.randint(0, most) for _ in range(steps)]
