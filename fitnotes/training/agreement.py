"""What happens when two computations that must give the same do not."""

from __future__ import annotations

import torch


class Disagreement(Exception):
    """Two ways to compute one thing part by more than rounding explains. The message says where and by how
    much; in a note, it fails the build."""

    __module__ = "fitnotes.training"  # the name under which it is imported, and shown


def epsilon(dtype: torch.dtype) -> float:
    """The distance from 1 to the next number: 1.2e-7 for float32, 2.2e-16 for float64."""
    return float(torch.finfo(dtype).eps)
