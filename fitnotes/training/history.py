"""What a fit returns: its losses, its parameters, and ways to show them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a header; shows itself as a Markdown table, in a note and in Jupyter alike."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def _repr_markdown_(self) -> str:
        lines = [self.header, ("--:",) * len(self.header), *self.rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def significant(value: float, digits: int = 6) -> str:
    """A number with so many significant digits, zeros kept: 209.958, 144.660, 2.20000e-07."""
    return f"{value:#.{digits}g}"


@dataclass(frozen=True, slots=True)
class History:
    """One fit. ``losses[t]`` is the loss before step t, shape (steps,); ``parameters`` are those after the
    last step; ``limit`` is the least loss that the model can reach, where it is known."""

    name: str
    losses: NDArray[np.float64]
    parameters: Mapping[str, float]
    model: str
    limit: float | None = None

    @property
    def final(self) -> float:
        """The last recorded loss."""
        return float(self.losses[-1])

    def table(self, every: int = 100) -> Table:
        """The loss at steps every - 1, 2 every - 1, …, as the usual training loop prints it."""
        if every < 1:
            raise ValueError(f"table: every must be at least 1, not {every}")
        steps = range(every - 1, len(self.losses), every)
        rows = tuple((str(t), significant(float(self.losses[t]))) for t in steps)
        return Table(("step", "loss"), rows)

    def curve(self, *others: History, axes: Axes | None = None) -> Axes:
        """Loss by step on a logarithmic axis, several fits in one picture, the limit as a dashed line."""
        import matplotlib.pyplot as plt

        if axes is None:
            _, axes = plt.subplots()
        for history in (self, *others):
            axes.semilogy(history.losses, label=history.name)
        limits = {h.limit for h in (self, *others) if h.limit is not None}
        for limit in sorted(limits):
            axes.axhline(limit, color="grey", linestyle="--", linewidth=1, label=f"least squares {limit:.3f}")
        axes.set_xlabel("step")
        axes.set_ylabel("loss")
        axes.legend()
        return axes

    @property
    def equation(self) -> str:
        """The fitted model as LaTeX in dollars, coefficients rounded to three significant digits."""
        text = self.model
        for name, value in self.parameters.items():
            text = text.replace("{" + name + "}", latex_number(value))
        return "$" + text.replace("+ -", "- ") + "$"

    def _repr_markdown_(self) -> str:
        every = max(1, len(self.losses) // 10)
        return f"{self.name}: {self.equation}\n\n{self.table(every)._repr_markdown_()}"


def latex_number(value: float, digits: int = 3) -> str:
    """A number for use in a formula, with a power of ten where Python writes an exponent.

    >>> latex_number(-2.2e-9)
    '-2.2 \\\\cdot 10^{-9}'
    """
    text = f"{value:.{digits}g}"
    if "e" not in text:
        return text
    mantissa, exponent = text.split("e")
    return f"{mantissa} \\cdot 10^{{{int(exponent)}}}"


def finite(losses: Sequence[float] | NDArray[np.float64], lr: float) -> NDArray[np.float64]:
    """The losses as float64. Raises ValueError when one is not finite: the step was too long."""
    values = np.asarray(losses, dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        before = f" (step {bad[0] - 1}: {values[bad[0] - 1]:.3g})" if bad[0] else ""
        raise ValueError(
            f"the loss is {values[bad[0]]} at step {bad[0]}{before}: the fit diverges with lr = {lr:g}"
        )
    return values


def checked(steps: int, lr: float) -> None:
    """Raises ValueError for a number of steps or a learning rate that means nothing."""
    if steps < 1:
        raise ValueError(f"steps must be at least 1, not {steps}")
    if not (math.isfinite(lr) and lr >= 0):
        raise ValueError(f"lr must be a finite number from 0, not {lr}")
