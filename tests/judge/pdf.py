"""The signs of a PDF: their characters as the PDF has them, and their ink."""

from __future__ import annotations

import io
import subprocess
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar
from xml.etree import ElementTree

from judge.drawing import (
    PIECES,
    Drawing,
    Glyph,
    Matrix,
    box,
    letters,
    plain,
    points_of,
    tag,
    times,
    transform,
)

# Signs that TeX puts together of two.
_OVERLAID = {
    ("/", "\u2208"): "\u2209", (".", "="): "\u2250", ("|", "\u2193"): "\u2193", ("|", "\u2191"): "\u2191",
    ("\u2191", "|"): "\u2191",
    ("\u00af", "h"): "\u0127", ("-", "-"): "-", ("=", "="): "=", ("-", "\u2192"): "\u2192", ("\u2190", "-"): "\u2190",
    ("=", "\u21d2"): "\u21d2", ("\u21d0", "="): "\u21d0", ("\u2190", "\u2192"): "\u2194", ("|", "="): "\u22a8",
    ("\u21d0", "\u21d2"): "\u21d4", ("\u21c0", "\u21bd"): "\u21cc", ("\u223c", "="): "\u2245", ("|", "-"): "\u22a2",
    ("|", "|"): "|", ("\u2016", "\u2016"): "\u2016", ("\u25b9", "\u25c3"): "\u22c8",
    ("\u2264", "/"): "\u2270", ("\u222b", "\u222b"): "\u222c",
    ("-", "\u21a0"): "\u21a0", ("\u21a6", "\u2192"): "\u21a6", ("\u21aa", "\u2192"): "\u21aa",
    ("\u2190", "\u21a9"): "\u21a9", ("-", "\u21c0"): "\u21c0", ("\u21bd", "-"): "\u21bd", ("-", "\u21a9"): "\u21a9",
}  # fmt: skip
_TIP = "\ue150"  # of a brace above or below
T = TypeVar("T")
UNNAMED = "\ufffd"  # a piece without a character of its own


def characters(pdf: bytes) -> Iterator[list[str]]:
    """The characters of each page, in the order in which they are drawn, without spaces."""
    from pdfminer.converter import PDFPageAggregator
    from pdfminer.layout import LTChar
    from pdfminer.pdfinterp import PDFPageInterpreter, PDFResourceManager
    from pdfminer.pdfpage import PDFPage

    manager = PDFResourceManager()
    device = PDFPageAggregator(manager, laparams=None)
    interpreter = PDFPageInterpreter(manager, device)

    def inside(item: Any) -> Iterator[str]:
        if isinstance(item, LTChar):
            yield item.get_text()
        elif hasattr(item, "__iter__"):
            for child in item:
                yield from inside(child)

    for page in PDFPage.get_pages(io.BytesIO(pdf)):
        interpreter.process_page(page)
        yield [char for char in inside(device.get_result()) if char.strip()]


def named(glyphs: Sequence[Glyph], chars: Sequence[str], *, of_tex: bool = False) -> list[Glyph]:
    """The signs from the boxes of their ink and their characters, in the order in which they are drawn. ``of_tex``:
    TeX's fonts put some together of two."""
    signs: list[Glyph] = []
    for glyph, char in zip(glyphs, chars, strict=True):
        name = plain(char) if not char.startswith("(cid:") else UNNAMED
        before = signs[-1] if signs else None
        if of_tex and before is not None and before.char == "\u0338":
            signs[-1] = replace(before.joined(glyph), char=unicodedata.normalize("NFC", name + "\u0338"))
            continue
        if (
            of_tex
            and before is not None
            and _overlap(before, glyph)
            and (char := _OVERLAID.get((before.char, name)))
        ):
            signs[-1] = replace(before.joined(glyph), char=char)
            continue
        signs += [replace(glyph, char=letter) for letter in letters(name)]
    return assembled(signs)


def _overlap(one: Glyph, other: Glyph) -> bool:
    across = min(one.right, other.right) - max(one.left, other.left)
    along = min(one.top, other.top) - max(one.bottom, other.bottom)
    return across > 0 and along > -0.2


def _above(one: Glyph, other: Glyph) -> bool:
    """Whether two pieces may be parts of one tall sign."""
    across = min(one.right, other.right) - max(one.left, other.left)
    return across > -0.05 and other.bottom < one.top + 0.15 and other.top > one.bottom - 0.15


def _beside(one: Glyph, other: Glyph) -> bool:
    """Whether two pieces may be parts of one long sign."""
    level = abs(one.middle[1] - other.middle[1]) < 0.35
    return level and other.left < one.right + 0.15 and other.right > one.left - 0.15


def assembled(glyphs: Sequence[Glyph]) -> list[Glyph]:
    """Pieces without a character of their own joined to the sign that they belong to."""
    out: list[Glyph] = []
    for glyph in glyphs:
        before = out[-1] if out else None
        near = before is not None and (_above(before, glyph) or _beside(before, glyph) or glyph.char == _TIP)
        if before is not None and near and (char := _whole(before.char, glyph.char)):
            out[-1] = replace(before.joined(glyph), char=char)
        else:
            out.append(glyph)
    return [replace(glyph, char=PIECES.get(glyph.char, glyph.char)) for glyph in out]


def _whole(one: str, other: str) -> str:
    """The sign that two pieces beside each other belong to; nothing if they are two signs."""
    if UNNAMED in (one, other):
        return one if other == UNNAMED else other
    if other == "\uf8f4":  # the middle of both braces
        return one if PIECES.get(one, one) in ("{", "}") else ""
    if other == "\u2192" and one in ("\ue190", "\ue191"):
        return PIECES[one]
    if one == "\u2190" and other == "\ue192":
        return PIECES[other]
    return other if other in PIECES and PIECES.get(one, one) == PIECES[other] else ""


# --------------------------------------------------------------------------------------------------
# PDFs with many formulas, each behind a paragraph that is a mark

MARK = "§¶"  # both signs: a formula may have one of them
_XLINK = "{http://www.w3.org/1999/xlink}href"


def marked(pdf: Path, unit: float) -> list[Drawing]:
    """What stands behind each mark of a PDF, read by pdftocairo. ``unit``: an em, in pt."""
    svg = pdf.with_suffix(".svg")
    subprocess.run(["pdftocairo", "-svg", pdf, svg], check=True, capture_output=True)
    root = ElementTree.fromstring(svg.read_bytes())
    shapes = {e.get("id"): _outline(e) for e in root.iter() if tag(e) == "symbol"}
    pages = [e for e in root.iter() if tag(e) == "page"] or [root]
    drawings: list[Drawing] = []
    for page, chars in zip(pages, characters(pdf.read_bytes()), strict=True):
        drawings += _of_page(page, chars, shapes, unit)
    return drawings


def _outline(symbol: ElementTree.Element) -> list[tuple[float, float]]:
    return [point for path in symbol.iter() if tag(path) == "path" for point in points_of(path.get("d", ""))]


def _of_page(
    page: ElementTree.Element,
    chars: Sequence[str],
    shapes: Mapping[str | None, Sequence[tuple[float, float]]],
    unit: float,
) -> Iterator[Drawing]:
    drawn: list[tuple[Glyph, str]] = []  # with the name of its shape; "" is a rule

    def read(element: ElementTree.Element, at: Matrix) -> None:
        at = times(at, transform(element.get("transform", "")))
        if tag(element) in ("defs", "symbol", "clipPath"):
            return
        name = element.get(_XLINK, "")[1:]
        if tag(element) == "use" and name in shapes:
            here = times(at, (1, 0, 0, 1, float(element.get("x", 0)), float(element.get("y", 0))))
            if glyph := box("", shapes[name], here):
                drawn.append((glyph, name))
        elif tag(element) == "path" and (rule := box("rule", points_of(element.get("d", "")), at)):
            drawn.append((rule, ""))
        for child in element:
            read(child, at)

    read(page, (1 / unit, 0, 0, -1 / unit, 0, 0))
    if MARK[0] not in chars:
        return
    start = [*chars].index(MARK[0])
    signs = [n for n, (_, name) in enumerate(drawn) if name]
    first = drawn[signs[start]][1]  # the shape of the mark's first sign
    inks = _split(drawn[signs[start] :], lambda one: one[1] == first)
    words = _split(chars[start:], lambda char: char == MARK[0])
    for ink, word in zip(inks, words, strict=True):
        glyphs = [glyph for glyph, name in ink if name]
        rules = [glyph for glyph, name in ink if not name]
        if len(glyphs) == len(word):
            yield _drawing(glyphs[len(MARK) :], word[len(MARK) :], rules)
        else:
            yield Drawing(error=f"{len(glyphs)} glyphs for {len(word)} characters: {' '.join(word)}")


def _split(things: Sequence[T], begins: Callable[[T], bool]) -> list[list[T]]:
    parts: list[list[T]] = []
    for thing in things:
        if begins(thing):
            parts.append([])
        parts[-1].append(thing)
    return parts


def _drawing(glyphs: Sequence[Glyph], chars: Sequence[str], rules: Sequence[Glyph]) -> Drawing:
    signs = named(glyphs, chars, of_tex=True)
    braces = [glyph for glyph in signs if glyph.char == "\u23de"]
    free = [rule for rule in rules if not any(_holds(brace, rule) for brace in braces)]
    return Drawing(signs, _framed(_whole_rules(free)), afloat=True).moved()


def _holds(brace: Glyph, rule: Glyph) -> bool:
    """Whether TeX draws the rule as a part of a brace, between its tips."""
    x, y = rule.middle
    return brace.left <= x <= brace.right and brace.bottom < y < brace.top


def _whole_rules(rules: Sequence[Glyph]) -> list[Glyph]:
    """Those that touch, end to end, as one."""
    out: list[Glyph] = []
    for rule in sorted(rules, key=lambda r: (round(r.middle[1], 1), r.left)):
        last = out[-1] if out else None
        flat = rule.top - rule.bottom < 0.2 and rule.right - rule.left > 0.2
        level = flat and last is not None and abs(last.middle[1] - rule.middle[1]) < 0.05
        if (
            last is not None
            and level
            and last.top - last.bottom < 0.2
            and 0 <= rule.left - last.left <= last.right - last.left + 0.03
        ):
            out[-1] = last.joined(rule)
        else:
            out.append(rule)
    return out


def _framed(rules: Sequence[Glyph]) -> list[Glyph]:
    """The four sides of a frame as one."""
    flat = [rule for rule in rules if rule.top - rule.bottom < 0.2]
    tall = [rule for rule in rules if rule.top - rule.bottom >= 0.2]
    out = [*tall]
    while flat:
        one = flat.pop(0)
        near = lambda a, b: abs(a - b) < 0.1  # noqa: E731
        for other in flat:
            sides = [t for t in tall if near(t.bottom, one.middle[1]) and near(t.top, other.middle[1])]
            ends = near(one.left, other.left) and near(one.right, other.right)
            if (
                ends
                and any(near(t.left, one.left) for t in sides)
                and any(near(t.right, one.right) for t in sides)
            ):
                flat.remove(other)
                one = one.joined(other)
                break
        out.append(one)
    return out
