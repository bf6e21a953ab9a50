"""How much room the labels of a diagram need: words by the metrics of their font, formulas by their pictures.

A label is text in which one character stands for each formula. The renderer asks for its size wherever it
makes room for it, so that a box grows with the formula inside.
"""

from __future__ import annotations

import functools
import importlib.util
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FONT = "DejaVu Sans"  # one unquoted name: resvg and Typst match it against the fonts they carry
ASCENT, DESCENT, X_HEIGHT = 0.928, 0.236, 0.547  # of that font, in em
CENTRAL = (ASCENT - DESCENT) / 2  # from the baseline up to what SVG calls central
LINE = 1.1  # em between two lines that are not HTML
ROOM = 0.16  # em above and below a formula that is taller than its line
_UNITS = 1000


@dataclass(frozen=True, slots=True)
class Size:
    """Of a formula's picture: ``width``, ``above`` and ``below`` its baseline; em of the label's font."""

    width: float
    above: float
    below: float
    halved: bool = False  # where Mermaid makes twice the room that a text takes above what a line does

    @property
    def height(self) -> float:
        return self.above + self.below


Sizes = Mapping[str, Size]


@functools.cache
def _font(bold: bool) -> Any:
    """The font's own file, which matplotlib carries."""
    from PIL import ImageFont

    found = importlib.util.find_spec("matplotlib")
    assert found is not None
    assert found.origin is not None
    folder = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf"
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(folder / name), _UNITS, layout_engine=ImageFont.Layout.BASIC)


@functools.lru_cache(maxsize=8192)
def _words_width(text: str, bold: bool) -> float:
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    narrow = "".join(char for char in text if unicodedata.east_asian_width(char) not in "WF")
    return float(_font(bold).getlength(narrow)) / _UNITS + wide


def pieces(text: str, sizes: Sizes) -> list[str]:
    """``text`` cut into words and, each by itself, the characters that stand for formulas.

    >>> pieces("loss X is", {"X": Size(1, 1, 0)})
    ['loss ', 'X', ' is']
    """
    if not any(char in sizes for char in text):
        return [text] if text else []
    marks = "".join(re.escape(char) for char in sizes)
    return [piece for piece in re.split(f"([{marks}])", text) if piece]


def width(text: str, sizes: Sizes, bold: bool = False) -> float:
    """In em, on one line."""
    parts = pieces(text, sizes)
    return sum(sizes[part].width if part in sizes else _words_width(part, bold) for part in parts)


def extents(text: str, sizes: Sizes, line: float) -> tuple[float, float]:
    """How far a line of the height ``line`` (em) reaches above and below its middle.

    A formula that is all of its line is centred in it; beside words it stands on their baseline.
    """
    found = [sizes[char] for char in text if char in sizes]
    if not found:
        return line / 2, line / 2
    if len(text.strip()) == 1:
        half = max(line / 2, found[0].height / 2 + ROOM)
        return half, half
    above = max(size.above for size in found) - CENTRAL + ROOM
    below = max(size.below for size in found) + CENTRAL + ROOM
    return max(line / 2, above), max(line / 2, below)


def height(text: str, sizes: Sizes, line: float) -> float:
    return sum(sum(extents(row, sizes, line)) for row in text.split("\n"))


def wrap(text: str, sizes: Sizes, most: float | None, bold: bool = False) -> list[str]:
    """The lines of ``text`` where none may be wider than ``most`` em; a word alone may be."""
    lines = []
    for paragraph in text.split("\n"):
        line = ""
        for word in re.findall(r"\S+\s*|\s+", paragraph):
            if most is not None and line and width(line + word, sizes, bold) > most:
                lines.append(line)
                line = ""
            line += word
        lines.append(line)
    return lines


def is_bold(weight: str | None) -> bool:
    """``bolder``, ``700`` and the like."""
    return weight is not None and (weight.startswith("bold") or (weight.isdigit() and int(weight) >= 600))


_WIDTHS = {
    "COMPUTED_LENGTH", "SIMPLE_B_BOX_WIDTH", "RAW_B_BOX_WIDTH", "TSPAN_B_BOX_WIDTH", "WRAP_PROBE_B_BOX_WIDTH",
    "BOUNDING_CLIENT_RECT_WIDTH", "CANVAS_MEASURE_TEXT_WIDTH",
}  # fmt: skip
_HEIGHTS = {"TSPAN_B_BOX_HEIGHT", "RAW_B_BOX_HEIGHT", "SIMPLE_B_BOX_HEIGHT"}
_SIDES = {"B_BOX_X", "B_BOX_X_WITH_ASCII_OVERHANG", "TITLE_B_BOX_X"}
_DIMENSIONS, _WITH_RAW_WIDTH = "MERMAID_CALCULATE_TEXT_DIMENSIONS", "WRAPPED_WITH_RAW_WIDTH"
_METRICS = {"MEASURE", "WRAPPED", _WITH_RAW_WIDTH, _DIMENSIONS}


def answer(request: Any, sizes: Sizes) -> dict[str, Any] | None:
    """What merman asks for, as the fields of its result; None leaves the answer to merman itself."""
    operation, text = request.operation.name, request.text
    formulas = [sizes[char] for char in text if char in sizes]
    if operation in _WIDTHS or operation in _SIDES:
        whole = width(text, sizes, is_bold(request.font_weight)) * request.font_size
        return _length(whole) if operation in _WIDTHS else _sides(whole / 2)
    if operation in _METRICS and (formulas or operation == _DIMENSIONS or _is_html(request)):
        return _metrics(request, sizes)
    if operation in _HEIGHTS and formulas:
        return _length(height(text, sizes, ASCENT + DESCENT) * request.font_size)
    if operation == "RAW_B_BOX_Y_OFFSET" and formulas:
        return _length(-max(ASCENT, *(size.above for size in formulas)) * request.font_size)
    return None


def _is_html(request: Any) -> bool:
    return bool(request.wrap_mode.name == "HTML_LIKE")


def _length(pixels: float) -> dict[str, Any]:
    return {"kind": "LENGTH", "length": pixels}


def _sides(half: float) -> dict[str, Any]:
    return {"kind": "HORIZONTAL_EXTENTS", "bbox_left": half, "bbox_right": half}


def _metrics(request: Any, sizes: Sizes) -> dict[str, Any]:
    """Width, height and lines of a text that is wrapped where it is wider than it may be."""
    text, em, bold = request.text, request.font_size, is_bold(request.font_weight)
    most = None if request.max_width is None else request.max_width / em
    lines = wrap(text, sizes, most, bold)
    found = {
        "kind": "METRICS", "line_count": len(lines), "raw_width": None,
        "width": _widest(text, lines, sizes, most, bold) * em, "height": _tall(request, lines, sizes),
    }  # fmt: skip
    if request.operation.name == _WITH_RAW_WIDTH:
        raw = max(width(row, sizes, bold) for row in text.split("\n"))
        found |= {"kind": _WITH_RAW_WIDTH, "raw_width": raw * em}
    return found


def _widest(text: str, lines: list[str], sizes: Sizes, most: float | None, bold: bool) -> float:
    """In em; a text that had to be wrapped takes all the width that it may."""
    widest = max(width(line.rstrip(), sizes, bold) for line in lines)
    wrapped = most is not None and len(lines) > text.count("\n") + 1
    return max(widest, most or 0.0) if wrapped else widest


def _tall(request: Any, lines: list[str], sizes: Sizes) -> float:
    """The height of all lines, in pixels."""
    em = request.font_size
    # Mermaid rounds what it measures by itself.
    line_height = request.line_height if _is_html(request) else round(LINE * em)
    tall = sum(height(line, sizes, line_height / em) for line in lines) * em
    halved = any(sizes[char].halved for char in request.text if char in sizes)
    if halved and request.operation.name == _DIMENSIONS:
        tall = (tall + line_height * len(lines)) / 2
    return float(tall)


def measurer(sizes: Callable[[], Sizes]) -> Any:
    """A text measurer for merman. ``sizes``: of the formulas in the diagram that is being drawn."""
    import merman

    nothing: dict[str, Any] = {
        "width": 0.0, "height": 0.0, "length": 0.0, "line_count": 1,
        "bbox_left": None, "bbox_right": None, "raw_width": None,
    }  # fmt: skip

    class Measurer(merman.MermanTextMeasurer):  # type: ignore[misc]
        def measure(self, request: Any) -> Any:
            found = answer(request, sizes())
            if found is None:
                return None
            kind = merman.MermanTextMeasurementResultKind[found.pop("kind")]
            return merman.MermanTextMeasureResult(result_kind=kind, **{**nothing, **found})

    return Measurer()
