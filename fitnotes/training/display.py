"""How numbers and tables look: as Markdown, the same in a note and in Jupyter."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a header, and a sentence below; columns of numbers stand on the right."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    below: str = ""
    words: tuple[int, ...] = ()  # the columns that hold words and stand on the left

    def _repr_markdown_(self) -> str:
        rule = tuple(":--" if i in self.words else "--:" for i in range(len(self.header)))
        table = "\n".join("| " + " | ".join(line) + " |" for line in (self.header, rule, *self.rows))
        return f"{table}\n\n{self.below}" if self.below else table


def significant(value: float, digits: int = 6) -> str:
    """A number with so many significant digits, zeros kept: 209.958, 144.660, 2.20000e-07."""
    return f"{value:#.{digits}g}".removesuffix(".")


def places(value: float, digits: int = 4) -> str:
    """A number with so many decimal places, or with an exponent where they would hide it.

    >>> places(1.82), places(-2.5e-7), places(0.0)
    ('1.8200', '-2.5000e-07', '0')
    """
    if value == 0:
        return "0"
    return f"{value:.{digits}f}" if 10**-digits <= abs(value) < 1e6 else f"{value:.{digits}e}"


def plain(text: str) -> str:
    """A name as Markdown that shows just its characters."""
    return re.sub(r"([\\`*_{}\[\]<>|$#~^@])", r"\\\1", text)


def small(value: float) -> str:
    """An error, with two digits: 3.1e-12, or 0."""
    return f"{value:.1e}" if value else "0"


def vector(values: Sequence[float]) -> str:
    """One number as it is, several in brackets, the first six: (1.8200, 2.5950)."""
    texts = [places(value) for value in values[:6]]
    if len(values) > len(texts):
        texts.append("…")
    return texts[0] if len(texts) == 1 else f"({', '.join(texts)})"


def entry(flat: int, shape: tuple[int, ...]) -> str:
    """Where the entry number ``flat`` of a tensor stands, counted from 0: [0, 2]; nothing for a number."""
    return f"[{', '.join(str(n) for n in np.unravel_index(flat, shape))}]" if shape else ""


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
