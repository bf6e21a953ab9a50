"""Several fits of one model from one start: their losses must be the same, up to rounding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fitnotes.training.agreement import Disagreement, epsilon
from fitnotes.training.display import Table, latex_number, plain, significant, small
from fitnotes.training.history import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Fits that agree. ``deviations[k]`` is that of fit k from the first one: the largest of all steps and of
    the parameters at the end."""

    histories: tuple[History, ...]
    deviations: tuple[float, ...]
    tolerance: float
    at: tuple[int, ...]
    seconds: bool = False

    @property
    def deviation(self) -> float:
        """The largest deviation of all fits and steps."""
        return max(self.deviations)

    def table(self) -> Table:
        """A row for each fit: its loss at some steps, its deviation from the first fit."""
        header = ("", *(f"loss at step {t}" if t == self.at[0] else f"{t}" for t in self.at), "deviation")
        rows = []
        for history, deviation in zip(self.histories, self.deviations, strict=True):
            losses = (significant(float(history.losses[t])) for t in self.at)
            own = small(deviation) if history is not self.histories[0] else "–"
            time = (f"{1e6 * history.seconds:.0f}",) if self.seconds else ()
            rows.append((plain(history.name), *losses, own, *time))
        below = (
            f"The largest deviation of all {len(self.histories[0].losses)} steps is "
            f"${latex_number(self.deviation, 2)}$, where rounding allows ${latex_number(self.tolerance, 2)}$."
        )
        header += ("µs per step",) if self.seconds else ()
        return Table(header, tuple(rows), below, words=(0,))

    def curve(self, axes: Axes | None = None) -> Axes:
        """All losses by step in one picture."""
        return self.histories[0].curve(*self.histories[1:], axes=axes)

    def _repr_markdown_(self) -> str:
        return self.table()._repr_markdown_()


def rounding(history: History) -> float:
    """The deviation that rounding explains in a fit that settles: ε (steps + 8 √n) for n points.

    A sum over n terms is off by about √n ε, and such errors enter anew in each of the steps. Where a descent
    settles they do not grow: it is drawn to where its twin is drawn. One at the edge of divergence, or with
    a rule that divides by small numbers, may part from its twin by more, and needs a tolerance of its own.
    """
    return epsilon(history.dtype) * (len(history.losses) + 8 * math.sqrt(history.n))


def compare(
    *histories: History,
    at: Sequence[int] | None = None,
    tolerance: float | None = None,
    seconds: bool = False,
) -> Comparison:
    """Compares the losses of fits of one model from one start, step by step, with those of the first.

    The loss is L = ‖f(x) − y‖², so the deviation of two fits at a step is |√L₁ − √L₂|, the difference of
    their residuals' lengths, relative to √L₁ + ‖y‖ and a tenth of the first residual. (The relative
    difference of L itself says little once a fit is nearly perfect: all its digits are then rounding.)
    Parameters of the same names are compared too, as one vector, relative to its length.

    ``at``: the steps whose losses are shown (default: about four). ``tolerance``: default `rounding` of the
    least precise fit. ``seconds``: show the time of a step, too, which differs from run to run.
    Raises Disagreement when a deviation exceeds the tolerance, ValueError when there is nothing to compare.
    """
    if len(histories) < 2:
        raise ValueError(f"compare needs at least two fits, not {len(histories)}")
    for history in histories:
        if not isinstance(history, History):
            raise ValueError(f"compare needs what a fit returns, not {type(history).__name__}")
    if tolerance is not None and not 0 <= tolerance < math.inf:
        raise ValueError(f"tolerance must be a finite number from 0, not {tolerance}")
    first, steps = histories[0], len(histories[0].losses)
    if not steps:
        raise ValueError(f"{first.name} has no steps")
    for history in histories:
        if len(history.losses) != steps:
            raise ValueError(
                f"{history.name} has {len(history.losses)} steps, {first.name} has {steps}: "
                "only fits with the same number of steps can be compared"
            )
    shown = _steps_to_show(steps) if at is None else tuple(at)
    for t in shown:
        if not 0 <= t < steps:
            raise ValueError(f"compare: there is no step {t} among the steps 0 to {steps - 1}")
    allowed = max(map(rounding, histories)) if tolerance is None else tolerance
    deviations = []
    for history in histories:
        ours, theirs = np.sqrt(history.losses), np.sqrt(first.losses)
        scale = theirs + first.target + theirs[0] / 10 + np.finfo(np.float64).tiny
        by_step = np.abs(ours - theirs) / scale
        # Said with not: a NaN must not pass.
        if not np.all(by_step <= allowed):
            t = int(np.argmax(~(by_step <= allowed)))
            raise Disagreement(
                f"{history.name} parts from {first.name} at step {t}: loss {history.losses[t]:.7g} against "
                f"{first.losses[t]:.7g}, a deviation of {by_step[t]:.1e} where rounding allows {allowed:.1e}"
            )
        apart, name = _parameters_apart(history, first)
        if not apart <= allowed:
            raise Disagreement(
                f"{history.name} and {first.name} have nearly the same losses, but other parameters at the "
                f"end: {name} above all, a deviation of {apart:.1e} where rounding allows {allowed:.1e}"
            )
        deviations.append(max(float(by_step.max()), apart))
    return Comparison(histories, tuple(deviations), allowed, shown, seconds)


def _parameters_apart(one: History, other: History) -> tuple[float, str]:
    """The distance of the parameters, all as one vector, relative to its length, and the name of the one that
    is the most to blame; 0 where the fits have different parameters."""
    if one.parameters.keys() != other.parameters.keys():
        return 0.0, ""
    pairs = {
        name: (np.asarray(value), np.asarray(other.parameters[name]))
        for name, value in one.parameters.items()
    }
    if any(a.shape != b.shape for a, b in pairs.values()):
        return 0.0, ""
    parts = {name: float(np.linalg.norm((a - b).astype(np.float64))) for name, (a, b) in pairs.items()}
    size = math.hypot(*(float(np.linalg.norm(b.astype(np.float64))) for _, b in pairs.values()))
    if not parts:
        return 0.0, ""
    return math.hypot(*parts.values()) / (size or 1.0), max(parts, key=lambda name: parts[name])


def _steps_to_show(steps: int) -> tuple[int, ...]:
    """The first step and three more, as evenly as the usual printing of every hundredth step has them."""
    quarter = max(1, steps // 4)
    return tuple(sorted({0, quarter - 1, min(2 * quarter, steps) - 1, steps - 1}))
