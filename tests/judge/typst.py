"""A formula as it stands in a PDF by Typst."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from fitnotes.targets.typst import formulas as typst_formulas
from judge.drawing import PICTURE, SIZE, Drawing, Matrix, box, points_of, tag, times, transform
from judge.pdf import characters, named

WORDS = (Path(__file__).resolve().parents[2] / "templates" / "fitnotes-maths.typst").read_text(
    encoding="utf-8"
)


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
                fills=bool(found.typst and ("#it.fit" in found.typst.wide or "it.line" in found.typst.wide)),
            )
        )
    return made


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
    return [_read_typst(svg, chars) for svg, chars in zip(svgs, characters(pdf), strict=True)]


_XLINK = "{http://www.w3.org/1999/xlink}href"


def _read_typst(svg: str, chars: Sequence[str]) -> Drawing:
    root = ElementTree.fromstring(svg)
    shapes = {e.get("id"): e for e in root.iter() if tag(e) == "symbol"}
    drawing, glyphs = Drawing(picture=svg), []

    def read(element: ElementTree.Element, at: Matrix) -> None:
        at = times(at, transform(element.get("transform", "")))
        if tag(element) in ("defs", "symbol", "clipPath"):
            return
        if tag(element) == "use" and element.get(_XLINK, "")[1:] in shapes:
            shape = shapes[element.get(_XLINK, "")[1:]]
            here = times(at, (1, 0, 0, 1, float(element.get("x", 0)), float(element.get("y", 0))))
            points = [p for path in shape.iter() if tag(path) == "path" for p in points_of(path.get("d", ""))]
            glyphs.append(box("", points, here))
        elif tag(element) == "path" and element.get("class") == "typst-shape":
            paint = element.get("stroke") or ""
            rule = box("rule", points_of(element.get("d", "")), at)
            if rule and (element.get("fill") in (None, "none") or element.get("fill") != "#ffffff"):
                drawing.rules += [] if paint.endswith("00") and len(paint) == 9 else [rule]
        for child in element:
            read(child, at)

    unit = 1 / SIZE
    read(root, (unit, 0, 0, -unit, 0, 0))
    drawn = [glyph for glyph in glyphs if glyph is not None]
    if len(drawn) != len(chars):
        drawing.error = f"{len(drawn)} glyphs for {len(chars)} characters"
        return drawing
    base = drawn[0].bottom  # of the x in front
    drawing.glyphs = named(drawn[1:], chars[1:])
    return drawing.from_line(base).moved()
