"""Are these derivatives right? By hand, by autograd and by central differences, side by side.

Autograd may be right about the wrong function, a derivation on paper may be wrong, and difference quotients
are never exact. Where all three agree, each within what rounding explains, the derivative is right.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from fitnotes.training.agreement import Disagreement, epsilon
from fitnotes.training.derivatives import (
    Task,
    by_autograd,
    by_differences,
    by_hand,
    directional,
    pose,
    second,
)
from fitnotes.training.display import Table, small

SHOWN = 16  # entries of one argument that a table shows one by one; of more, the worst


@dataclass(frozen=True, slots=True)
class Entry:
    """One derivative: by autograd, by hand and by central differences (None where it was not taken), and
    the largest distance from autograd's, relative to the larger of the two.

    ``verdict``: "agree", or "too small": all are zero within the uncertainty of the differences.
    """

    argument: str
    name: str
    autograd: float
    by_hand: float | None
    differences: float | None
    error: float
    verdict: str


@dataclass(frozen=True, slots=True, eq=False)
class GradientCheck:
    """Derivatives that agree, entry by entry."""

    entries: tuple[Entry, ...]

    @property
    def error(self) -> float:
        """The largest relative error of all entries, but for those that are too small to be judged."""
        return max((entry.error for entry in self.entries if entry.verdict == "agree"), default=0.0)

    def table(self) -> Table:
        """A row for each derivative that is not zero; of an argument with many, for that with the largest
        error. What is left out is counted below."""
        hand = any(entry.by_hand is not None for entry in self.entries)
        shown = [e for e in self.entries if e.autograd or e.by_hand or e.verdict != "agree"]
        shown = shown or list(self.entries)
        rows = []
        for argument in dict.fromkeys(entry.argument for entry in shown):
            own = [entry for entry in shown if entry.argument == argument]
            if len(own) <= SHOWN:
                rows += [_row(entry, "", hand) for entry in own]
            else:
                worst = max(own, key=lambda entry: (entry.differences is not None, entry.error))
                rows.append(_row(worst, f", the worst of {len(own)}", hand))
        header = ("", "autograd", *(["by hand"] if hand else []), "differences", "relative error", "verdict")
        return Table(header, tuple(rows), self._summary(len(self.entries) - len(shown)), words=(0,))

    def _summary(self, zero: int) -> str:
        count = len(self.entries)
        small_ones = sum(entry.verdict == "too small" for entry in self.entries)
        if small_ones:
            said = f"{count - small_ones} of {count} derivatives agree, {small_ones} too small to be judged"
        else:
            said = f"All {count} derivatives agree" if count > 2 else "Both derivatives agree"
            said = said if count > 1 else "The derivative agrees"
        if zero:
            said += f" ({zero} of them zero and not shown)"
        moved = sum(entry.differences is not None for entry in self.entries)
        if moved < count:
            said += f", {moved} of them, drawn by lot, with differences too"
        return f"{said}. The largest relative error is {small(self.error)}."

    def _repr_markdown_(self) -> str:
        return self.table()._repr_markdown_()


def check_gradients(
    f: Callable[..., Any],
    by_hand: Any = None,
    *,
    at: Any,
    given: Sequence[Any] = (),
    along: Any = None,
    order: int = 1,
    dtype: torch.dtype = torch.float64,
    tolerance: float | None = None,
    most: int = 500,
) -> GradientCheck:
    """Compares the derivatives of ``f`` at a point, three ways; raises `Disagreement` when they part.

    ``f`` takes the arguments in ``at`` and then those in ``given``, and returns a tensor; a `Function` is
    checked through its ``apply``. ``by_hand`` (optional) is a function of the same arguments, or what it
    would return: for one argument a derivative, for several a tuple of them or a mapping by name. The
    derivative of an output of shape o by an argument of shape s has the shape o + s: for a number the
    gradient, for a vector the Jacobian matrix. Where o = s, shape s stands for a function entry by entry.

    ``at``: a number, a tensor, an array; a tuple of such; a mapping from names to such; or a `Module`, whose
    parameters are then the arguments: ``f`` and ``by_hand`` take a copy of the module. ``given``: arguments
    that stay fixed, such as data. All become tensors of ``dtype``, on the device of the first tensor.

    ``along``: of the form of ``at``; checks the derivative in that direction, J v, only: ``by_hand`` then
    takes the arguments, the directions and what is given, and returns a tensor of the output's shape.
    ``order=2`` checks the second derivatives of an ``f`` that returns a number: autograd's through
    ``create_graph``, differences of its gradient; of several arguments, ``by_hand`` gives rows of blocks.

    ``tolerance``: the relative error between autograd and differences, by default ε^(3/8), 1e-6 in float64;
    autograd and by hand, exact up to rounding, must agree within its 1.5th power, 1e-9. ``most``: of an
    argument with more entries, so many drawn by lot are compared with differences, all with the derivation.

    A derivative that is smaller than what differences can see (at a minimum, or beside a large constant in
    ``f``) is called "too small" in the table. Where ``f`` has a corner there is no derivative, and agreement
    would mean nothing: that is a `Disagreement`, too.

    Raises ValueError for shapes that do not fit, values that are not finite, by name, and for an ``f`` that
    returns other values when it is called again.
    """
    if order not in (1, 2):
        raise ValueError(f"order must be 1 or 2, not {order}")
    if order == 2 and along is not None:
        raise ValueError("along and order=2 do not go together: check the gradient's derivative along v")
    if most < 1:
        raise ValueError(f"most must be at least 1, not {most}")
    if tolerance is not None and not 0 <= tolerance <= 0.1:
        raise ValueError(f"tolerance must be from 0 to 0.1, not {tolerance}")
    problem = pose(f, by_hand, at, given, dtype)
    if along is not None:
        problem = directional(problem, along)
    elif order == 2:
        problem = second(problem)
    return _judged(problem, epsilon(dtype) ** 0.375 if tolerance is None else tolerance, most)


def _judged(problem: Task, tolerance: float, most: int) -> GradientCheck:
    """The three ways and the verdict, entry by entry."""
    eps = epsilon(problem.values[0].dtype)
    exact, hand = by_autograd(problem), by_hand(problem)
    entries: list[Entry] = []
    wrong: list[tuple[float, str]] = []  # (relative error, what is wrong)
    for j, differences in enumerate(by_differences(problem, most, tolerance)):
        noise = 1e3 * eps * float(np.abs(exact[j]).max(initial=0.0))  # of sums whose terms cancel
        typical = float(differences.uncertain.max(initial=0.0))
        position = {int(k): at for at, k in enumerate(differences.columns)}
        for i, k in np.ndindex(*exact[j].shape):
            name, a = problem.label(j, i, k), float(exact[j][i, k])
            h = d = None
            u, errors, others = typical, [0.0], ""
            if k in position:
                d, u, jump = (float(matrix[i, position[k]]) for matrix in differences[1:])
                errors.append(_relative(a, d))
                others = f" and central differences {d:.8g}"
                if said := _differences_object(a, d, u, jump, tolerance):
                    wrong.append((math.inf if jump else errors[-1], f"{name}: {said}"))
            if hand is not None:
                h = float(hand[j][i, k])
                errors.append(_relative(a, h))
                # Smaller than what differences see, a derivative is rounding, and no two of them are alike.
                if not (_close(a, h, tolerance**1.5, noise) or max(abs(a), abs(h)) <= u):
                    wrong.append((errors[-1], f"{name}: by hand {h:.8g}, but autograd says {a:.8g}{others}"))
            size = max(abs(v) for v in (a, h, d) if v is not None)
            vanishes = k in position and 0 < size <= 2 * u and u > 1e-2 * size
            verdict = "too small" if vanishes else "agree"
            entries.append(Entry(problem.names[j], name, a, h, d, max(errors), verdict))
    if wrong:
        error, said = max(wrong, key=lambda item: (math.isnan(item[0]), item[0]))
        notes = [] if math.isinf(error) else [f"relative error {error:.1e}"]
        if len(wrong) > 1:
            notes.append(f"the worst of {len(wrong)} comparisons that fail")
        raise Disagreement(f"{said} ({'; '.join(notes)})" if notes else said)
    return GradientCheck(tuple(entries))


def _differences_object(a: float, d: float, uncertain: float, jump: float, tolerance: float) -> str:
    """What central differences have against a derivative; nothing if they agree."""
    both = f"autograd says {a:.8g}, central differences {d:.8g}"
    if math.isinf(jump):
        return f"f jumps there: choose another point; {both}"
    if jump:
        return f"f has a corner there, its slope jumps by {jump:.6g}: choose another point; {both}"
    if not _close(a, d, tolerance, 2 * uncertain):
        return f"autograd says {a:.8g}, but central differences {d:.8g}, give or take {uncertain:.1g}"
    # An uncertainty as large as the derivative would excuse anything but a zero.
    if not (abs(a) <= 2 * uncertain or uncertain <= 1e-2 * max(abs(a), abs(d))):
        return (
            f"{both}, which may be off by {uncertain:.1g}: too much to judge; choose another point or scale f"
        )
    return ""


def _close(a: float, b: float, tolerance: float, noise: float) -> bool:
    return abs(a - b) <= tolerance * max(abs(a), abs(b)) + noise  # False for NaN


def _relative(a: float, b: float) -> float:
    """|a − b| relative to the larger of the two."""
    return abs(a - b) / (max(abs(a), abs(b)) or 1.0)


def _row(entry: Entry, note: str, hand: bool) -> tuple[str, ...]:
    numbers = [entry.autograd, *([entry.by_hand] if hand else []), entry.differences]
    texts = [
        "–" if v is None else f"{0.0 if abs(v) < 1e-10 and not entry.autograd else v:.6g}" for v in numbers
    ]
    return (
        f"`{entry.name}`{note}",
        *texts,
        small(entry.error) if entry.verdict == "agree" else "–",
        entry.verdict,
    )
