"""A judge of formulas: each is drawn by MathJax, as the browser shows it, and by another target, and both are compared
sign by sign: which signs there are, how large, where, and the rules between them.

    python tests/judge.py FILE… [--page judge.html]     formulas one a line, `#` before what is none

writes both pictures of every formula that differs, side by side, with the differences.
"""

from __future__ import annotations

import argparse
import html
import io
import re
import statistics
import tempfile
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import panflute as pf

from fitnotes.document.read import read_document
from fitnotes.document.tree import walk
from fitnotes.draw import mathjax
from fitnotes.draw.media import Media
from fitnotes.passes.page import Place
from fitnotes.passes.pipeline import compose
from fitnotes.settings import Settings
from fitnotes.source.note import read_note
from fitnotes.targets import registry
from fitnotes.targets.typst import TYPST
from fitnotes.targets.typst import formulas as typst_formulas
from fitnotes.tex import environments

ROOT = Path(__file__).resolve().parents[1]
SIZE = 10  # pt
WORDS = (ROOT / "templates" / "fitnotes-maths.typst").read_text(encoding="utf-8")

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
    "\u2500": "\u2015", "\u2a3f": "\u2210", "\u25ef": "\u25cb",
}  # fmt: skip
# The pieces that a tall sign is put together of.
PIECES = {
    "\u239b": "(", "\u239c": "(", "\u239d": "(", "\u239e": ")", "\u239f": ")", "\u23a0": ")", "\u23a1": "[",
    "\u23a2": "[",
    "\u23a3": "[", "\u23a4": "]", "\u23a5": "]", "\u23a6": "]", "\u23a7": "{", "\u23a8": "{", "\u23a9": "{",
    "\u23aa": "{",
    "\u23ab": "}", "\u23ac": "}", "\u23ad": "}", "\ue150": "\u23de", "\ue151": "\u23de", "\ue152": "\u23de",
    "\ue153": "\u23de", "\ue154": "\u23de", "\ue001": "\u221a", "\ue000": "\u221a",
}  # fmt: skip
STRETCHED = frozenset(
    "()[]{}|\u2016\u2329\u232a\u230a\u230b\u2308\u2309/\\\u23de\u23df\u2190\u2192\u2194^~\u2191\u2193\u221a\u22ee\u22f1\u22f0"
    "\u2191\u2193\u2195\u21d1\u21d3\u2218"
)
# Signs that New Computer Modern Math draws much larger or smaller than MathJax's font.
SHAPES = frozenset(
    "`\u201c\u201d\u21cc\u21cb\u21a0\u219e\u2acc\u2acb\u2ac5\u2ac6\u2a87\u2a88\u231c\u231d\u231e\u231f\u21e0\u21e2\u21dd\u219b\u219a"
    "\u25be\u25b4\u2322\u22e7\u22cb\u22cc\u22a8\u2271\u2270\u2235\u2234\u2226\u2224\u2205\u21c9\u21c7\u21b7\u21b6\u21ae\u21ad\u21a3\u21a2"
    "\u2044\u2022\u00f7\u00ae"
)


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
    picture: str = ""
    error: str = ""
    afloat: bool = False  # its line is not known

    def moved(self) -> Drawing:
        """With its left edge at 0."""
        left = min((g.left for g in (*self.glyphs, *self.rules)), default=0.0)
        shift = lambda g: replace(g, left=g.left - left, right=g.right - left)  # noqa: E731
        return replace(self, glyphs=[*map(shift, self.glyphs)], rules=[*map(shift, self.rules)])

    @property
    def width(self) -> float:
        return max((g.right for g in (*self.glyphs, *self.rules)), default=0.0)


Judged = tuple[str, Drawing, Drawing, list[str]]
Matrix = tuple[float, float, float, float, float, float]


def _times(a: Matrix, b: Matrix) -> Matrix:
    return (
        a[0] * b[0] + a[2] * b[1], a[1] * b[0] + a[3] * b[1], a[0] * b[2] + a[2] * b[3], a[1] * b[2] + a[3] * b[3],
        a[0] * b[4] + a[2] * b[5] + a[4], a[1] * b[4] + a[3] * b[5] + a[5],
    )  # fmt: skip


def _transform(text: str) -> Matrix:
    whole: Matrix = (1, 0, 0, 1, 0, 0)
    for name, inside in re.findall(r"(\w+)\(([^)]*)\)", text):
        n = [float(v) for v in re.split(r"[\s,]+", inside.strip())]
        if name == "translate":
            whole = _times(whole, (1, 0, 0, 1, n[0], n[1] if len(n) > 1 else 0))
        elif name == "scale":
            whole = _times(whole, (n[0], 0, 0, n[-1], 0, 0))
        elif name == "matrix":
            whole = _times(whole, (n[0], n[1], n[2], n[3], n[4], n[5]))
    return whole


def _box(char: str, points: Iterable[tuple[float, float]], at: Matrix) -> Glyph | None:
    moved = [(at[0] * x + at[2] * y + at[4], at[1] * x + at[3] * y + at[5]) for x, y in points]
    if not moved:
        return None
    xs, ys = [x for x, _ in moved], [y for _, y in moved]
    return Glyph(char, min(xs), min(ys), max(xs), max(ys))


def _points(path: str) -> list[tuple[float, float]]:
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


# --------------------------------------------------------------------------------------------------
# MathJax


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


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _read_mathjax(element: ElementTree.Element, at: Matrix, drawing: Drawing) -> None:
    at = _times(at, _transform(element.get("transform", "")))
    if element.get("data-labels"):  # numbers stand at the margin
        return
    if _tag(element) == "svg" and element.get("x") is not None:
        _read_part(element, at, drawing)
        return
    own = [child for child in element if _tag(child) in ("path", "svg") or child.get("data-c")]
    if element.get("data-mml-node") == "mo" and len(own) > 1:
        _read_sign(own, at, drawing)
        return
    if _tag(element) == "text":  # of a font of the reader's
        drawing.error = "words in another font"
    elif _tag(element) == "path" and element.get("data-c"):
        char = plain(chr(int(element.get("data-c", "0"), 16)))
        if glyph := _box("", _points(element.get("d", "")), at):
            drawing.glyphs += [replace(glyph, char=letter) for letter in letters(char)]
    elif box := _rule(element, at):
        drawing.rules.append(box)
    for child in element:
        _read_mathjax(child, at, drawing)


def _read_part(element: ElementTree.Element, at: Matrix, drawing: Drawing) -> None:
    """A part of a stretched sign, cut out of a longer one."""
    box = [float(v) for v in element.get("viewBox", "0 0 1 1").split()]
    x, y = float(element.get("x", 0)), float(element.get("y", 0))
    scale = (float(element.get("width", 1)) / box[2], float(element.get("height", 1)) / box[3])
    at = _times(at, (scale[0], 0, 0, scale[1], x - box[0] * scale[0], y - box[1] * scale[1]))
    inner = Drawing()
    for child in element:
        _read_mathjax(child, at, inner)
    cut = _box("", [(box[0], box[1]), (box[0] + box[2], box[1] + box[3])], at)
    assert cut is not None
    for one in inner.glyphs:
        left, bottom = max(one.left, cut.left), max(one.bottom, cut.bottom)
        drawing.glyphs.append(Glyph(one.char, left, bottom, min(one.right, cut.right), min(one.top, cut.top)))


def _read_sign(parts: Sequence[ElementTree.Element], at: Matrix, drawing: Drawing) -> None:
    """Several drawings for one operator: a word, or the pieces of a tall sign."""
    signs = Drawing()
    for part in parts:
        for child in part if _tag(part) == "g" else [part]:  # the middle of a brace is a group
            _read_mathjax(
                child, _times(at, _transform(part.get("transform", ""))) if child is not part else at, signs
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
    hidden = {"data-background", "data-frame", "data-hitbox"} & {*element.keys()}
    if _tag(element) == "rect" and not hidden:
        x, y, w, h = (float(element.get(name, 0)) for name in ("x", "y", "width", "height"))
        return _box("rule", [(x, y), (x + w, y + h)], at)
    if _tag(element) == "line":
        return _box(
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


# --------------------------------------------------------------------------------------------------
# Typst


def by_typst(formulas: Sequence[tuple[str, bool]], extra: Sequence[str] = ()) -> list[Drawing]:
    """The drawing of each (TeX, display?) that stands in the PDF: its characters are read from there."""
    made = []
    converted = typst_formulas.convert(formulas, extra)
    codes = [c.typst.code if c.typst else "" for c in converted]
    ready = []
    for (_, display), code in zip(formulas, codes, strict=True):
        style = "display" if display else "inline"
        ready.append(f"${style}({code})$" if code else "")
    drawn = iter(_compile([code for code in ready if code]))
    for found, code in zip(converted, ready, strict=True):
        one = next(drawn) if code else Drawing(error=found.reason or PICTURE)
        # What fills the column is narrow here.
        made.append(
            replace(
                one,
                afloat=bool(found.typst and ("#it.fit" in found.typst.wide or "it.line" in found.typst.wide)),
            )
        )
    return made


PICTURE = "a picture"  # MathJax's own: nothing to compare
_PAGE = f"""#set page(width: auto, height: auto, margin: 40pt)
#set text(size: {SIZE}pt, font: "New Computer Modern")
#show math.equation: set text(font: "New Computer Modern Math")
{WORDS}
"""


def _compile(codes: Sequence[str]) -> list[Drawing]:
    import typst

    if not codes:
        return []
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "judge.typ"
        # A sign far to the left on the line tells where the line is.
        pages = [f"#box(width: 0pt)[x]#h(0pt){code}" for code in codes]
        source.write_text(_PAGE + "\n#pagebreak()\n".join(pages), encoding="utf-8")
        try:
            pdf = bytes(typst.compile(str(source)))
            pictures = typst.compile(str(source), format="svg")
        except typst.TypstError as error:
            if len(codes) == 1:
                return [Drawing(error=f"Typst: {error}")]
            half = len(codes) // 2
            return [*_compile(codes[:half]), *_compile(codes[half:])]
    svgs = [bytes(p).decode() for p in (pictures if isinstance(pictures, list) else [pictures])]
    return [_read_typst(svg, chars) for svg, chars in zip(svgs, _characters(pdf), strict=True)]


def _characters(pdf: bytes) -> Iterator[list[str]]:
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


_XLINK = "{http://www.w3.org/1999/xlink}href"


def _read_typst(svg: str, chars: Sequence[str]) -> Drawing:
    root = ElementTree.fromstring(svg)
    shapes = {e.get("id"): e for e in root.iter() if _tag(e) == "symbol"}
    drawing, glyphs = Drawing(picture=svg), []

    def read(element: ElementTree.Element, at: Matrix) -> None:
        at = _times(at, _transform(element.get("transform", "")))
        if _tag(element) in ("defs", "symbol", "clipPath"):
            return
        if _tag(element) == "use" and element.get(_XLINK, "")[1:] in shapes:
            shape = shapes[element.get(_XLINK, "")[1:]]
            here = _times(at, (1, 0, 0, 1, float(element.get("x", 0)), float(element.get("y", 0))))
            points = [p for path in shape.iter() if _tag(path) == "path" for p in _points(path.get("d", ""))]
            glyphs.append(_box("", points, here))
        elif _tag(element) == "path" and element.get("class") == "typst-shape":
            paint = element.get("stroke") or ""
            box = _box("rule", _points(element.get("d", "")), at)
            if box and (element.get("fill") in (None, "none") or element.get("fill") != "#ffffff"):
                drawing.rules += [] if paint.endswith("00") and len(paint) == 9 else [box]
        for child in element:
            read(child, at)

    unit = 1 / SIZE
    read(root, (unit, 0, 0, -unit, 0, 0))
    drawn = [glyph for glyph in glyphs if glyph is not None]
    if len(drawn) != len(chars):
        drawing.error = f"{len(drawn)} glyphs for {len(chars)} characters"
        return drawing
    base = drawn[0].bottom  # of the x in front
    named: list[Glyph] = []
    for glyph, char in zip(drawn[1:], chars[1:], strict=True):
        glyph = replace(glyph, bottom=glyph.bottom - base, top=glyph.top - base)
        name = plain(char) if not char.startswith("(cid:") else "\ufffd"
        for letter in letters(name):
            named.append(replace(glyph, char=letter))
    drawing.glyphs = _assembled(named)
    drawing.rules = [replace(r, bottom=r.bottom - base, top=r.top - base) for r in drawing.rules]
    return drawing.moved()


def _above(one: Glyph, other: Glyph) -> bool:
    """Whether two pieces may be parts of one tall sign."""
    across = min(one.right, other.right) - max(one.left, other.left)
    return across > -0.05 and other.bottom < one.top + 0.15 and other.top > one.bottom - 0.15


def _beside(one: Glyph, other: Glyph) -> bool:
    """Whether two pieces may be parts of one long sign."""
    level = abs(one.middle[1] - other.middle[1]) < 0.35
    return level and other.left < one.right + 0.15 and other.right > one.left - 0.15


def _assembled(glyphs: Sequence[Glyph]) -> list[Glyph]:
    """Pieces without a character of their own joined to the sign that they belong to."""
    out: list[Glyph] = []
    for glyph in glyphs:
        before = out[-1] if out else None
        near = before is not None and (_above(before, glyph) or _beside(before, glyph))
        if before is not None and near and "\ufffd" in (glyph.char, before.char):
            char = before.char if glyph.char == "\ufffd" else glyph.char
            out[-1] = replace(before.joined(glyph), char=char)
        else:
            out.append(glyph)
    return out


# --------------------------------------------------------------------------------------------------
# The comparison


def differences(shown: Drawing, other: Drawing) -> list[str]:
    """What another drawing has otherwise than what the browser shows."""
    if shown.error or other.error:
        return [] if shown.error or other.error == PICTURE else [other.error]
    found: list[str] = []
    scale = shown.width / other.width if other.width and shown.width else 1.0
    if not other.afloat and abs(shown.width - other.width) > 0.35 + 0.12 * shown.width + 0.2 * len(
        shown.rules
    ):
        found.append(f"the width is {other.width:.2f} em, not {shown.width:.2f}")
    rulers = (
        [g for g in shown.rules if g.right - g.left > 0.2],
        [g for g in other.rules if g.right - g.left > 0.2],
    )
    pools: dict[str, tuple[list[Glyph], list[Glyph]]] = defaultdict(lambda: ([], []))
    for side, drawing in enumerate((shown, other)):
        for glyph in drawing.glyphs:
            pools[glyph.char][side].append(glyph)
        pools["rule"][side].extend(rulers[side])
    # The bar over something and the root's are rules for one and signs for the other.
    for char in ("\u2015", "\u00af", "_", "\u2013"):
        if char in pools and len(pools[char][0]) != len(pools[char][1]):
            for side in (0, 1):
                pools["rule"][side].extend(g for g in pools[char][side] if g.right - g.left > 0.2)
            pools[char] = ([], [])
    if shown.afloat:
        _put_beside(pools)
    for char, (here, there) in sorted(pools.items()):
        if len(here) != len(there):
            found.append(f"{char!r} {len(there)} times, not {len(here)}")
            continue
        found += [
            told for told in _apart(char, here, there, scale, shown) if not (other.afloat and "far" in told)
        ]
    return found


def _put_beside(pools: Mapping[str, tuple[list[Glyph], list[Glyph]]]) -> None:
    """Puts the signs of a drawing on the line of the one that is shown: as high as most of them are."""
    apart = [
        one.middle[1] - other.middle[1]
        for here, there in pools.values()
        if len(here) == len(there) == 1
        for one, other in zip(here, there, strict=True)
    ]
    shift = statistics.median(apart) if apart else 0.0
    for _, there in pools.values():
        there[:] = [replace(g, bottom=g.bottom + shift, top=g.top + shift) for g in there]


def _apart(char: str, here: list[Glyph], there: list[Glyph], scale: float, shown: Drawing) -> Iterator[str]:
    # Delimiters and rows come in other sizes in another font, and move what stands beside them.
    drawn = [*shown.glyphs, *shown.rules]
    bars = len(shown.rules)  # MathJax leaves more room beside fractions
    dots = (
        0.4 if any(g.char in "\u22ee\u22f1" for g in drawn) else 0.0
    )  # and above dots, which make their row taller
    height = max((g.top for g in drawn), default=0.0) - min((g.bottom for g in drawn), default=0.0)
    for glyph, near in _pairs(here, there, scale):
        x, y = glyph.middle
        dx, dy = near.middle[0] * scale - x, near.middle[1] - y
        tall, own = near.top - near.bottom, glyph.top - glyph.bottom
        free = char in STRETCHED or char == "rule"
        if char == "rule":
            tall, own = near.right - near.left, glyph.right - glyph.left
            if abs(tall - own) > 0.25 + 0.18 * own:
                yield f"a rule is {tall:.2f} em long, not {own:.2f}"
        elif (
            own > 0.2
            and char not in SHAPES
            and not (0.45 if free else 0.78) < tall / own < (2.2 if free else 1.28)
        ):
            yield f"{char!r} is {tall:.2f} em tall, not {own:.2f}"
        if abs(dy) > (0.6 if char == "rule" else 0.3) + 0.06 * height + dots:
            yield f"{char!r} is {abs(dy):.2f} em too {'high' if dy > 0 else 'low'}"
        if abs(dx) > 0.35 + 0.04 * shown.width + 0.2 * bars:
            yield f"{char!r} is {abs(dx):.2f} em too far {'right' if dx > 0 else 'left'}"


def _pairs(here: Sequence[Glyph], there: Sequence[Glyph], scale: float) -> Iterator[tuple[Glyph, Glyph]]:
    """Each of the same signs with that nearest to it, the nearest first."""

    def far(pair: tuple[int, int]) -> float:
        one, other = here[pair[0]], there[pair[1]]
        apart = abs(other.middle[0] * scale - one.middle[0]) + abs(other.middle[1] - one.middle[1])
        wide = abs((other.right - other.left) * scale - (one.right - one.left)) if one.char == "rule" else 0.0
        tall = abs((other.top - other.bottom) - (one.top - one.bottom)) if one.char not in STRETCHED else 0.0
        return apart + wide + 5 * tall

    seen: tuple[set[int], set[int]] = set(), set()
    for i, j in sorted(((i, j) for i in range(len(here)) for j in range(len(there))), key=far):
        if i not in seen[0] and j not in seen[1]:
            seen[0].add(i)
            seen[1].add(j)
            yield here[i], there[j]


def page(rows: Iterable[tuple[str, Drawing, Drawing, Sequence[str]]]) -> str:
    """Both pictures of formulas side by side, with what differs."""
    out = ["<!doctype html><meta charset=utf-8><title>Formulas</title>"
           "<style>td{padding:.4em;border:1px solid #ccc}"
           "svg{max-width:30em;max-height:14em}</style>"
           "<table><tr><th>TeX<th>browser<th>other<th>differences"]  # fmt: skip
    for tex, shown, other, found in rows:
        told = "<br>".join(map(html.escape, found))
        out.append(
            f"<tr><td><code>{html.escape(tex)}</code><td>{shown.picture}<td>{other.picture or html.escape(other.error)}"
            f"<td>{told}"
        )
    return "\n".join(out)


def read(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").split("\n")
    return [line for line in lines if line.strip() and not line.startswith("#")]


def of_notes(paths: Iterable[Path], folder: Path) -> list[tuple[str, bool]]:
    """The formulas (TeX, display?) of notes as a target without macros gets them, without running their blocks."""
    found: list[tuple[str, bool]] = []

    def collect(element: pf.Element) -> None:
        text, _ = environments.take_labels(element.text)
        found.append((text, element.format == "DisplayMath"))

    for path in paths:
        document = read_document(read_note(path), Settings())
        place = Place(path.parent, path.parent, formats=registry.format_names())
        page = compose(document, {}, TYPST, Media(folder, ""), place)
        walk(page.doc, collect, pf.Math, metadata=True)
    return list(dict.fromkeys(found))


def judge(formulas: Sequence[tuple[str, bool]], extra: Sequence[str] = ()) -> list[Judged]:
    """(TeX, the browser's drawing, Typst's, what differs) of each formula (TeX, display?) that MathJax takes."""
    rows = []
    drawn = zip(formulas, by_mathjax(formulas, extra), by_typst(formulas, extra), strict=True)
    for (tex, _), shown, other in drawn:
        if not shown.error:
            rows.append((tex, shown, other, differences(shown, other)))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--page", type=Path, default=Path("judge.html"))
    parser.add_argument("--all", action="store_true", help="those without differences too")
    parser.add_argument("--physics", action="store_true", help="with the package physics")
    args = parser.parse_args()
    asked = [(tex, True) for path in args.files if path.suffix != ".md" for tex in read(path)]
    with tempfile.TemporaryDirectory() as folder:
        asked += of_notes([path for path in args.files if path.suffix == ".md"], Path(folder))
    rows = judge(list(dict.fromkeys(asked)), ["physics"] * args.physics)
    wrong = [row for row in rows if row[3]]
    args.page.write_text(page(rows if args.all else wrong), encoding="utf-8")
    for tex, _, _, found in wrong:
        print(tex, *(f"    {difference}" for difference in found), sep="\n")
    print(f"{len(rows)} formulas, {len(wrong)} differ")


if __name__ == "__main__":
    main()
