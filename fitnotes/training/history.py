"""What a fit returns: its losses, its parameters, and ways to show them."""

from __future__ import annotations

import csv
import functools
import io
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fitnotes.training.data import Array, Samples, check_samples
from fitnotes.training.display import Table, latex_number, plain, significant

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class History:
    """One fit.

    ``losses[t]`` is the loss before step t, shape (steps,). ``parameters`` are those after the last step:
    numbers, or arrays for matrices. ``seconds`` is the time of one step on average. ``least`` computes the
    least loss that the model can reach, where it is known. ``n`` is the number of points and ``target`` = ‖y‖
    the size of what was fitted; both say how much rounding to expect.
    """

    name: str
    losses: NDArray[np.float64]
    parameters: Mapping[str, float | Array]
    model: str
    dtype: torch.dtype = torch.float64
    seconds: float = math.nan
    least: Callable[[], float] | None = None
    n: int = 1
    target: float = 0.0

    @functools.cached_property
    def limit(self) -> float | None:
        """The least loss that the model can reach on these points; None where nobody knows it."""
        return self.least() if self.least is not None else None

    @property
    def final(self) -> float:
        """The last recorded loss."""
        return float(self.losses[-1])

    def table(self, every: int = 100, decimals: int | None = None) -> Table:
        """The loss at steps every - 1, 2 every - 1, …, as the usual training loop prints it, with so many
        decimals or six digits."""
        if every < 1:
            raise ValueError(f"table: every must be at least 1, not {every}")
        steps = range(every - 1, len(self.losses), every)
        losses = self.losses.tolist()
        texts = [significant(losses[t]) if decimals is None else f"{losses[t]:.{decimals}f}" for t in steps]
        rows = tuple(zip(map(str, steps), texts, strict=True))
        return Table(("step", "loss"), rows)

    def curve(self, *others: History, axes: Axes | None = None) -> Axes:
        """Loss by step on a logarithmic axis, several fits in one picture, the limit as a dashed line."""
        import matplotlib.pyplot as plt

        if axes is None:
            _, axes = plt.subplots()
        for history in (self, *others):
            axes.semilogy(history.losses, label=history.name)
        limits = {f"{h.limit:.3f}": h.limit for h in (self, *others) if h.limit is not None}
        for text, limit in sorted(limits.items()):
            axes.axhline(limit, color="grey", linestyle="--", linewidth=1, label=f"least possible: {text}")
        axes.set_xlabel("step")
        axes.set_ylabel("loss")
        axes.legend()
        return axes

    @property
    def equation(self) -> str:
        """The fitted model as LaTeX in dollars, its numbers rounded to three significant digits."""
        text = self.model
        for name, value in self.parameters.items():
            if isinstance(value, float):
                text = text.replace("{" + name + "}", latex_number(value + 0.0))
        return "$" + text.replace("+ -", "- ") + "$"

    def to_csv(self, path: str | Path | None = None) -> str:
        """Lines ``step,loss`` with every digit; also written to ``path`` when it is given."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("step", "loss"))
        writer.writerows(enumerate(self.losses.tolist()))
        return _written(text.getvalue(), path)

    def to_json(self, path: str | Path | None = None) -> str:
        """Name, model, dtype, seconds, limit, parameters (matrices as lists of rows) and losses, with every
        digit; also written to ``path`` when it is given."""
        record = {
            "name": self.name,
            "model": self.model,
            "dtype": str(self.dtype).removeprefix("torch."),
            "seconds": None if math.isnan(self.seconds) else self.seconds,
            "limit": self.limit,
            "parameters": {name: np.asarray(value).tolist() for name, value in self.parameters.items()},
            "losses": self.losses.tolist(),
        }
        return _written(json.dumps(record), path)

    def _repr_markdown_(self) -> str:
        every = max(1, len(self.losses) // 10)
        return f"{plain(self.name)}: {self.equation}\n\n{self.table(every)._repr_markdown_()}"


def _written(text: str, path: str | Path | None) -> str:
    if path is not None:
        Path(path).write_text(text, encoding="utf-8")
    return text


class Record:
    """The losses of a fit while it runs, and its clock.

    ``losses`` has the shape (steps,) and the dtype of the samples, and lives where they do or on ``device``:
    a loop ``for t in record.steps()`` writes ``record.losses[t] = loss.detach()``, and no step waits for a
    GPU to hand over a number.
    ``dimensions``: of the samples' x and y.

    Raises ValueError for samples, a number of steps or a learning rate that mean nothing.
    """

    def __init__(
        self,
        name: str,
        samples: Samples,
        steps: int,
        lr: float,
        *,
        dimensions: int = 1,
        device: torch.device | str | None = None,
    ) -> None:
        check_samples(samples, dimensions)
        if not isinstance(steps, int) or steps < 1:
            raise ValueError(f"steps must be at least 1, a whole number, not {steps!r}")
        if not (isinstance(lr, float | int) and math.isfinite(lr) and lr >= 0):
            raise ValueError(f"lr must be a finite number from 0, not {lr!r}")
        self.name, self.samples, self.lr = name, samples, lr
        self.losses = torch.empty(steps, dtype=samples.x.dtype, device=device or samples.x.device)
        self._started = 0.0

    def steps(self) -> Iterator[int]:
        """0, 1, …, steps - 1. The clock starts with the first one: what is set up before does not count."""
        self._started = time.perf_counter()
        yield from range(len(self.losses))

    def history(
        self,
        parameters: Mapping[str, Tensor | Array | float],
        model: str,
        least: Callable[[], float] | None = None,
    ) -> History:
        """Stops the clock. Raises ValueError when a loss is not finite: the steps were too long."""
        losses = self.losses.cpu().numpy().astype(np.float64)  # waits for the device
        seconds = (time.perf_counter() - self._started) / len(losses)
        bad = np.flatnonzero(~np.isfinite(losses))
        if bad.size:
            t = int(bad[0])
            before = f" (step {t - 1}: {losses[t - 1]:.3g})" if t else ""
            raise ValueError(
                f"{self.name}: the loss is {losses[t]} at step {t}{before}: "
                f"the fit diverges with lr = {self.lr:g}; try a smaller one"
            )
        x, y = self.samples
        values = {name: _value(parameter) for name, parameter in parameters.items()}
        return History(
            self.name, losses, values, model, x.dtype, seconds, least, n=len(x), target=float(y.norm())
        )


def _value(parameter: Tensor | Array | float) -> float | Array:
    array = np.array(parameter.detach().cpu().numpy() if isinstance(parameter, Tensor) else parameter)
    return float(array) if array.ndim == 0 else array
