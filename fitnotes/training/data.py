"""Data to fit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.floating]


class Samples(NamedTuple):
    """n points to fit: ``x`` and ``y`` of one dtype on one device, a row (or number) for each point."""

    x: Tensor
    y: Tensor

    def numpy(self) -> tuple[Array, Array]:
        """Copies as numpy arrays of the same precision, for fits by hand."""
        x, y = (t.detach().cpu().numpy().copy() for t in self)
        return x, y


def sine(n: int = 2000, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> Samples:
    """``n`` points of y = sin x, evenly spaced on [-π, π] with both ends; x and y of shape (n,).

    Raises ValueError when n < 1.
    """
    if not isinstance(n, int) or n < 1:
        raise ValueError(f"sine: n must be at least 1, a whole number, not {n!r}")
    if not dtype.is_floating_point:
        raise ValueError(f"sine: {dtype} has no fractions")
    x = torch.linspace(-torch.pi, torch.pi, n, dtype=dtype, device=device)
    return Samples(x, torch.sin(x))


def gaussian(
    n: int = 64,
    d_in: int = 1000,
    d_out: int = 10,
    *,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Samples:
    """Independent standard normal numbers: x of shape (n, d_in), y of shape (n, d_out).

    The numbers depend on the seed alone, not on dtype or device. Raises ValueError for a size below 1.
    """
    for name, size in (("n", n), ("d_in", d_in), ("d_out", d_out)):
        if not isinstance(size, int) or size < 1:
            raise ValueError(f"gaussian: {name} must be at least 1, a whole number, not {size!r}")
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n, d_in)), rng.standard_normal((n, d_out))
    return Samples(*(torch.as_tensor(values, dtype=dtype, device=device) for values in (x, y)))


def check_samples(samples: Samples, dimensions: int) -> None:
    """Raises ValueError when x and y (of so many dimensions) do not fit together or are not all finite."""
    if not isinstance(samples, Samples) or not all(isinstance(values, Tensor) for values in samples):
        raise ValueError("the data of a fit must be Samples(x, y) of two tensors")
    x, y = samples
    for name, values in (("x", x), ("y", y)):
        shape = tuple(values.shape)
        if values.ndim != dimensions:
            wanted = "(n,)" if dimensions == 1 else "(n, columns)"
            raise ValueError(f"samples.{name} has shape {shape}, but this model needs {wanted}")
        if values.dtype not in (torch.float32, torch.float64):
            raise ValueError(
                f"samples.{name} has dtype {values.dtype}: torch.float32 or torch.float64 is needed"
            )
        if values.requires_grad:
            raise ValueError(f"samples.{name} requires grad, but data stays as it is: detach() it")
        finite = torch.isfinite(values)
        if not bool(finite.all()):
            where = torch.nonzero(~finite)[0].tolist()
            value = values[tuple(where)].item()
            raise ValueError(f"samples.{name}[{', '.join(map(str, where))}] is {value}: no fit can use it")
    if len(x) != len(y):
        raise ValueError(f"samples.x has {len(x)} rows, but samples.y has {len(y)}")
    if len(x) == 0:
        raise ValueError("samples.x has no rows: there is nothing to fit")
    if (x.dtype, x.device) != (y.dtype, y.device):
        raise ValueError(f"samples.x is {x.dtype} on {x.device}, but samples.y is {y.dtype} on {y.device}")
