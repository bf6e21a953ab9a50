"""A formula as the browser shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from xml.etree import ElementTree

from fitnotes.draw import mathjax
from judge.drawing import (
    PIECES,
    SIZE,
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


def by_mathjax(formulas: Sequence[tuple[str, bool]], extra: Sequence[str] = ()) -> list[Drawing]:
    """The drawing of each (TeX, display?) that the browser shows."""
    made = []
    for found in mathjax.typeset(formulas, extra):
        if found.error:
            made.append(Drawing(error=found.error))
            continue
        svg = found.svg[found.svg.index("<svg") : found.svg.rindex("</svg>") + 6]
        drawing = Drawing(picture=mathjax.picture(found.svg, SIZE)[0])
        _read_mathjax(ElementTree.fromstring(svg), (0.001, 0, 0, -0.001, 0, 0), drawing)
        drawing.afloat = 'width="100%"' in svg[:300]
        made.append(drawing.moved())
    return made


def _read_mathjax(element: ElementTree.Element, at: Matrix, drawing: Drawing) -> None:
    at = times(at, transform(element.get("transform", "")))
    if element.get("data-labels"):  # numbers stand at the margin
        return
    if tag(element) == "svg" and element.get("x") is not None:
        _read_part(element, at, drawing)
        return
    own = [child for child in element if tag(child) in ("path", "svg") or child.get("data-c")]
    if element.get("data-mml-node") == "mo" and len(own) > 1:
        _read_sign(own, at, drawing)
        return
    if tag(element) == "text":  # of a font of the reader's
        drawing.error = "words in another font"
    elif tag(element) == "path" and element.get("data-c"):
        char = plain(chr(int(element.get("data-c", "0"), 16)))
        if glyph := box("", points_of(element.get("d", "")), at):
            drawing.glyphs += [replace(glyph, char=letter) for letter in letters(char)]
    elif rule := _rule(element, at):
        (drawing.frames if element.get("data-frame") else drawing.rules).append(rule)
    for child in element:
        _read_mathjax(child, at, drawing)


def _read_part(element: ElementTree.Element, at: Matrix, drawing: Drawing) -> None:
    """A part of a stretched sign, cut out of a longer one."""
    view = [float(v) for v in element.get("viewBox", "0 0 1 1").split()]
    x, y = float(element.get("x", 0)), float(element.get("y", 0))
    scale = (float(element.get("width", 1)) / view[2], float(element.get("height", 1)) / view[3])
    at = times(at, (scale[0], 0, 0, scale[1], x - view[0] * scale[0], y - view[1] * scale[1]))
    inner = Drawing()
    for child in element:
        _read_mathjax(child, at, inner)
    cut = box("", [(view[0], view[1]), (view[0] + view[2], view[1] + view[3])], at)
    assert cut is not None
    for one in inner.glyphs:
        left, bottom = max(one.left, cut.left), max(one.bottom, cut.bottom)
        drawing.glyphs.append(Glyph(one.char, left, bottom, min(one.right, cut.right), min(one.top, cut.top)))


def _read_sign(parts: Sequence[ElementTree.Element], at: Matrix, drawing: Drawing) -> None:
    """Several drawings for one operator: a word, or the pieces of a tall sign."""
    signs = Drawing()
    for part in parts:
        for child in part if tag(part) == "g" else [part]:  # the middle of a brace is a group
            _read_mathjax(
                child, times(at, transform(part.get("transform", ""))) if child is not part else at, signs
            )
    names = [glyph.char for glyph in signs.glyphs]
    if any(name in PIECES for name in names) or not any(name.isalpha() or name == "'" for name in names):
        whole = signs.glyphs[0]
        for one in signs.glyphs[1:]:
            whole = whole.joined(one)
        drawing.glyphs.append(replace(whole, char=_of_pieces(names)))
    else:
        drawing.glyphs += signs.glyphs


def _rule(element: ElementTree.Element, at: Matrix) -> Glyph | None:
    hidden = {"data-background", "data-hitbox"} & {*element.keys()}
    if tag(element) == "rect" and not hidden:
        x, y, w, h = (float(element.get(name, 0)) for name in ("x", "y", "width", "height"))
        return box("rule", [(x, y), (x + w, y + h)], at)
    if tag(element) == "line":
        return box(
            "rule", [(float(element.get(f"x{i}", 0)), float(element.get(f"y{i}", 0))) for i in (1, 2)], at
        )
    return None


def _of_pieces(names: Sequence[str]) -> str:
    for half, sign in (
        ("\u23a1\u23a2", "\u2308"),
        ("\u23a2\u23a3", "\u230a"),
        ("\u23a4\u23a5", "\u2309"),
        ("\u23a5\u23a6", "\u230b"),
    ):
        if {*names} == {*half}:
            return sign
    for name in names:
        if name in PIECES:
            return PIECES[name]
    if {"\u2190", "\u2192"} <= {*names}:
        return "\u2194"
    if {"\u21d0", "\u21d2"} <= {*names}:
        return "\u21d4"
    for name in names:
        if name not in "-|=":
            return name
    return max(names, key=names.count) if len(set(names)) == 1 else names[-1]
