"""Data to fit."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Samples(NamedTuple):
    """Points of a curve: ``x`` and ``y``, both of shape (n,), of one dtype, on one device."""

    x: Tensor
    y: Tensor


def sine(n: int = 2000, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> Samples:
    """``n`` points of y = sin x, evenly spaced on [-π, π] with both ends.

    Raises ValueError when n < 1.
    """
    if n < 1:
        raise ValueError(f"sine: n must be at least 1, not {n}")
    x = torch.linspace(-torch.pi, torch.pi, n, dtype=dtype, device=device)
    return Samples(x, torch.sin(x))
