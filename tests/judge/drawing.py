"""What stands in the picture of a formula: its signs, each with the box of its ink, and its rules."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from xml.etree import ElementTree

SIZE = 10  # pt
PICTURE = "a picture"  # MathJax's own, or nothing to compare with

# Signs that are written with one code by one and with another by the other.
SAME = {
    "\u2225": "\u2016", "\u2223": "|", "\u0302": "^", "\u02c6": "^", "\u0303": "~", "\u02dc": "~", "\u0304": "\u00af",
    "\u02c9": "\u00af", "\u0307": "\u02d9", "\u0308": "\u00a8", "\u030a": "\u02da", "\u030c": "\u02c7", 
    "\u0306": "\u02d8",
    "\u0301": "\u00b4", "\u02ca": "\u00b4", "\u0300": "`", "\u02cb": "`", "\u20d7": "\u2192", "\u2212": "-",
    "\u22c6": "*", "\u2217": "*", "\u23d0": "|", "\u2032": "'", "\u00b7": "\u22c5", "\u2215": "/", "\u25b3": "\u25b5",
    "\u23dc": "\u2322", "\u23dd": "\u2323", "\u27e8": "\u2329", "\u27e9": "\u232a", "\u3008": "\u2329",
    "\u3009": "\u232a", "\u22ef": "\u2026", "\u27f6": "\u2192", "\u2216": "\\",
    "\u25fb": "\u25a1", "\u23df": "\u23de", "\u2035": "`", "\u2033": "''", "\u2034": "'''", "\u2057": "''''",
    "\u2500": "\u2015", "\u2a3f": "\u2210",
    "\u25ef": "\u25cb",
    "\u2206": "\u0394", "\u2126": "\u03a9", "\u00b5": "\u03bc", "\u25e6": "\u2218",
    "\u27f9": "\u21d2", "\u27f8": "\u21d0", "\u27fa": "\u21d4", "\u27f5": "\u2190", "\u27f7": "\u2194",
    "\u27fc": "\u21a6", "\u25b2": "\u25b4", "\u25bc": "\u25be", "\U0002d7cb": "\u03dd", "\u2219": "\u2022",
    "\u25b7": "\u25b9", "\u25c1": "\u25c3", "\u2a06": "\u2294", "\u2662": "\u2666", "\u2661": "\u2665",
    "\u20dd": "\u25cb", "\u27ee": "{", "\u27ef": "}", "\u27f2": "\u21ba", "\u27f3": "\u21bb",
}  # fmt: skip
# The pieces that a tall or long sign is put together of, as fonts name them; those beyond \ue18f are the judge's own.
PIECES = {
    piece: sign
    for sign, pieces in (
        ("(", "\u239b\u239c\u239d\uf8eb\uf8ec\uf8ed"), (")", "\u239e\u239f\u23a0\uf8f6\uf8f7\uf8f8"),
        ("[", "\u23a1\u23a2\u23a3\uf8ee\uf8ef\uf8f0"), ("]", "\u23a4\u23a5\u23a6\uf8f9\uf8fa\uf8fb"),
        ("{", "\u23a7\u23a8\u23a9\u23aa\uf8f1\uf8f2\uf8f3\uf8f4"), ("}", "\u23ab\u23ac\u23ad\uf8fc\uf8fd\uf8fe"),
        ("\u23de", "\ue150\ue151\ue152\ue153\ue154"), ("\u221a", "\ue000\ue001"),
        ("\u21a6", "\ue190"), ("\u21aa", "\ue191"), ("\u21a9", "\ue192"),
    )
    for piece in pieces
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Glyph:
    """A sign, and the box of its ink in em: the baseline of the formula is at 0, up is positive."""

    char: str
    left: float
    bottom: float
    right: float
    top: float

    @property
    def middle(self) -> tuple[float, float]:
        return (self.left + self.right) / 2, (self.bottom + self.top) / 2

    def joined(self, other: Glyph) -> Glyph:
        return Glyph(
            self.char, min(self.left, other.left), min(self.bottom, other.bottom),
            max(self.right, other.right), max(self.top, other.top),
        )  # fmt: skip


@dataclass(slots=True)
class Drawing:
    """What stands in the picture of a formula. ``picture`` is its SVG, ``error`` why there is none."""

    glyphs: list[Glyph] = field(default_factory=list)
    rules: list[Glyph] = field(default_factory=list)
    frames: list[Glyph] = field(default_factory=list)
    picture: str = ""
    error: str = ""
    afloat: bool = False  # its line is not known
    fills: bool = False  # it is as wide as its column: places across are not known

    def moved(self) -> Drawing:
        """With its left edge at 0."""
        left = min((g.left for g in (*self.glyphs, *self.rules, *self.frames)), default=0.0)
        return self._shifted(-left, 0.0)

    def from_line(self, base: float) -> Drawing:
        """With its line at 0, which is at ``base``."""
        return self._shifted(0.0, -base)

    def _shifted(self, dx: float, dy: float) -> Drawing:
        def shift(g: Glyph) -> Glyph:
            return Glyph(g.char, g.left + dx, g.bottom + dy, g.right + dx, g.top + dy)

        return replace(
            self,
            glyphs=[*map(shift, self.glyphs)],
            rules=[*map(shift, self.rules)],
            frames=[*map(shift, self.frames)],
        )

    @property
    def width(self) -> float:
        return max((g.right for g in (*self.glyphs, *self.rules, *self.frames)), default=0.0)


Matrix = tuple[float, float, float, float, float, float]


def times(a: Matrix, b: Matrix) -> Matrix:
    return (
        a[0] * b[0] + a[2] * b[1], a[1] * b[0] + a[3] * b[1], a[0] * b[2] + a[2] * b[3], a[1] * b[2] + a[3] * b[3],
        a[0] * b[4] + a[2] * b[5] + a[4], a[1] * b[4] + a[3] * b[5] + a[5],
    )  # fmt: skip


def transform(text: str) -> Matrix:
    whole: Matrix = (1, 0, 0, 1, 0, 0)
    for name, inside in re.findall(r"(\w+)\(([^)]*)\)", text):
        n = [float(v) for v in re.split(r"[\s,]+", inside.strip())]
        if name == "translate":
            whole = times(whole, (1, 0, 0, 1, n[0], n[1] if len(n) > 1 else 0))
        elif name == "scale":
            whole = times(whole, (n[0], 0, 0, n[-1], 0, 0))
        elif name == "matrix":
            whole = times(whole, (n[0], n[1], n[2], n[3], n[4], n[5]))
    return whole


def box(char: str, points: Iterable[tuple[float, float]], at: Matrix) -> Glyph | None:
    moved = [(at[0] * x + at[2] * y + at[4], at[1] * x + at[3] * y + at[5]) for x, y in points]
    if not moved:
        return None
    xs, ys = [x for x, _ in moved], [y for _, y in moved]
    return Glyph(char, min(xs), min(ys), max(xs), max(ys))


def points_of(path: str) -> list[tuple[float, float]]:
    """The points that a path goes through, nearly: its control points among them."""
    points, x, y = [], 0.0, 0.0
    begin = (0.0, 0.0)
    path = re.sub(r"M 0 0\s*(?=[Mm])", "", path)  # a start of nothing
    for command, inside in re.findall(r"([A-Za-z])([^A-Za-z]*)", path):
        n = [float(v) for v in re.findall(r"-?\d*\.?\d+(?:e-?\d+)?", inside)]
        relative = command.islower()
        if command in "Hh":
            x = n[-1] + (x if relative else 0)
            points.append((x, y))
        elif command in "Vv":
            y = n[-1] + (y if relative else 0)
            points.append((x, y))
        elif command in "Zz":
            x, y = begin
        else:
            start = (x, y) if relative else (0.0, 0.0)
            for i in range(0, len(n) - 1, 2):
                points.append((start[0] + n[i], start[1] + n[i + 1]))
            x, y = points[-1]
            begin = (x, y) if command in "Mm" else begin
    return points


def plain(char: str) -> str:
    """A sign without its alphabet: those are compared by the letters of their names."""
    char = "".join(c for c in char if c not in "\ufe00\ufe01")
    char = SAME.get(char, char)
    flat = unicodedata.normalize("NFKC", char)
    return SAME.get(flat, flat) if len(flat) == 1 or flat.isalpha() else char


def letters(char: str) -> str | list[str]:
    """Those that a ligature or a sign of several primes is made of."""
    return char if char.isalpha() or char[0] == "'" else [char]


def tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
