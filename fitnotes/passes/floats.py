"""Figures with parts, code with a caption, things side by side: as Quarto and pandoc-crossref write them.

``:::: {#fig-pair layout-ncol=2}`` around images, or an id on code (``#lst-fit``), become a Figure, a Table or a
Div that `crossrefs` numbers. What stands side by side becomes a Div of the class ``layout`` with one Div in it
for each column; `dress` lets a target write it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from fitnotes.document import pandoc
from fitnotes.document.fragments import read_captions
from fitnotes.draw.media import MISSING_PART
from fitnotes.errors import Problem
from fitnotes.passes.crossrefs import LISTING, PANEL, SUBFIGURE
from fitnotes.source.note import Note

LAYOUT = "layout"  # the class of a row of things side by side
_KIND = re.compile(r"^(fig|tbl|tab|lst)[-:]")
_CAPTIONS = ("lst-cap", "lst_cap", "caption")
_OPTIONS = ("layout-ncol", "layout-nrow", "layout")
_TITLED = re.compile(r"^(?:Listing|Code|Algorithm)\s*:\s*|^:\s+")
_IDENTIFIER = re.compile(r"\s*\{#(lst[-:][^\s}]+)[^}]*\}\s*$")


def read_floats(doc: Any, note: Note) -> list[Problem]:
    """Puts the structure in the place of what the author wrote."""
    import panflute as pf

    problems: list[Problem] = []
    _read_listings(doc)

    def visit(element: Any, doc: Any) -> Any:
        if "columns" in element.classes:
            return _columns(element)
        kind = _KIND.match(element.identifier)
        laid_out = [name for name in _OPTIONS if name in element.attributes]
        if {LISTING, PANEL} & set(element.classes) or not (kind or laid_out):
            return None
        if "cell" in element.classes and not laid_out:
            return None
        blocks = _flat(list(element.content))
        try:
            shape = _shape(element.attributes)
        except ValueError as expected:
            line = note.line_of(laid_out[0])
            message = f"{laid_out[0]}={element.attributes[laid_out[0]]}: expected {expected}"
            problems.append(Problem("error", message, note.shown, line, exit_code=2, code="unknown-option"))
            shape = None
        if kind is None:
            return _side_by_side(blocks, shape, parts=False)
        name = "fig" if kind[1] == "fig" else "lst" if kind[1] == "lst" else "tbl"
        return _float(element, name, blocks, shape)

    def alone(element: Any, doc: Any) -> Any:
        """An image with a label and no caption, which is no figure to pandoc."""
        image = element.content[0] if len(element.content) == 1 else None
        if not isinstance(image, pf.Image) or not re.match(r"fig[-:]", image.identifier):
            return None
        identifier, image.identifier = image.identifier, ""
        return pf.Figure(pf.Plain(image), caption=pf.Caption(), identifier=identifier)

    pandoc.walk(doc, alone, pf.Para)
    pandoc.walk(doc, visit, pf.Div)
    pandoc.walk(doc, _flat_words, pf.Image)
    return problems


def _flat_words(image: Any, doc: Any) -> None:
    """No notes, citations or labels in what stands for a picture: they are in its caption already."""
    import panflute as pf

    odd: list[Any] = []
    holder = pf.Span(*image.content)
    pandoc.walk(holder, lambda e, d: odd.append(e), pf.Cite, pf.Note, pf.RawInline, pf.Span, pf.Link)
    if odd:
        pandoc.walk(holder, lambda e, d: [], pf.Note)
        image.content = [pf.Str(pf.stringify(holder))]


# --------------------------------------------------------------------------------------------------
# Code


def _read_listings(doc: Any) -> None:
    import panflute as pf

    _take_titles(doc)
    found: list[Any] = []

    def look(element: Any, doc: Any) -> None:
        if re.match(r"lst[-:]", element.identifier) or {"lst-cap", "lst_cap"} & set(element.attributes):
            found.append(element)

    pandoc.walk(doc, look, pf.CodeBlock)
    if not found:
        return

    def caption(element: Any) -> str:
        return next((element.attributes[name] for name in _CAPTIONS if element.attributes.get(name)), "")

    captions = read_captions([text for text in map(caption, found) if text])

    def wrap(element: Any, doc: Any) -> Any:
        if not any(element is one for one in found):
            return None
        words = captions.get(caption(element), [])
        for name in _CAPTIONS:
            element.attributes.pop(name, None)
        identifier, element.identifier = element.identifier, ""
        return pf.Div(pf.Para(*words), element, identifier=identifier, classes=[LISTING])

    pandoc.walk(doc, wrap, pf.CodeBlock)


def _take_titles(doc: Any) -> None:
    """``Listing: Words {#lst:x}`` above or below code, as pandoc-crossref has it, is the code's own."""
    import panflute as pf

    def title(block: Any) -> tuple[str, str] | None:
        if not isinstance(block, pf.Para):
            return None
        text = pf.stringify(block)
        if not (named := _IDENTIFIER.search(text)) or not _TITLED.match(text):
            return None
        return named[1], _TITLED.sub("", _IDENTIFIER.sub("", text)).strip()

    def visit(element: Any, doc: Any) -> None:
        blocks = list(element.content)
        kept = list(blocks)
        for i, block in enumerate(blocks):
            if (found := title(block)) is None:
                continue
            beside = [blocks[j] for j in (i + 1, i - 1) if 0 <= j < len(blocks)]
            code = next((b for b in beside if isinstance(b, pf.CodeBlock) and not b.identifier), None)
            if code is not None:
                code.identifier, code.attributes["lst-cap"] = found
                kept = [b for b in kept if b is not block]
        if len(kept) < len(blocks):
            element.content = kept

    pandoc.walk(doc, visit, pf.Div)
    visit(doc, doc)


# --------------------------------------------------------------------------------------------------
# Divs


def _flat(blocks: list[Any]) -> list[Any]:
    """The blocks without the Divs around the results of code."""
    import panflute as pf

    out: list[Any] = []
    for block in blocks:
        cell = isinstance(block, pf.Div) and "cell" in block.classes and not _KIND.match(block.identifier)
        out += _flat(list(block.content)) if cell else [block]
    return out


def _shape(attributes: Any) -> list[list[float]] | int | None:
    """Rows of widths, or a number of columns (negative: of rows), or nothing said. Raises ValueError."""
    if "layout" in attributes:
        what = "rows of widths such as [[1, 1], [2]]"
        try:
            rows = json.loads(attributes["layout"])
        except json.JSONDecodeError:
            raise ValueError(what) from None
        rows = rows if rows and isinstance(rows[0], list) else [rows]
        if not all(row and all(isinstance(w, (int, float)) and w for w in row) for row in rows):
            raise ValueError(what)
        return [[float(width) for width in row] for row in rows]
    for name, sign in (("layout-ncol", 1), ("layout-nrow", -1)):
        if name in attributes:
            if not re.fullmatch(r"[1-9]\d?", attributes[name].strip()):
                raise ValueError("a whole number from 1")
            return sign * int(attributes[name])
    return None


def _images(block: Any) -> list[Any] | None:
    """The images of a paragraph that holds nothing else."""
    import panflute as pf

    if not isinstance(block, (pf.Para, pf.Plain)) or not len(block.content):
        return None
    blank = (pf.Space, pf.SoftBreak, pf.LineBreak)
    inlines = [e for e in block.content if not isinstance(e, blank)]

    def picture(element: Any) -> bool:
        link = isinstance(element, pf.Link) and len(element.content) == 1
        missing = isinstance(element, pf.Span) and MISSING_PART in element.classes
        return missing or isinstance(element.content[0] if link else element, pf.Image)

    return inlines if inlines and all(map(picture, inlines)) else None


def _cells(blocks: Sequence[Any], parts: bool) -> list[list[Any]]:
    """What stands in one row as written: the images of a paragraph, and everything else by itself."""
    import panflute as pf

    rows: list[list[Any]] = []
    for block in blocks:
        if (images := _images(block)) is not None:
            rows.append([_part(image) if parts else pf.Plain(image) for image in images])
            continue
        if parts and isinstance(block, (pf.Figure, pf.Table)) and SUBFIGURE not in block.classes:
            block.classes = [*block.classes, SUBFIGURE]
        rows.append([block])
    return rows


def _part(image: Any) -> Any:
    """An image as a figure inside a figure, if it has a name or words."""
    import panflute as pf

    if isinstance(image, pf.Span):
        box, words = image.content
        caption = pf.Caption(pf.Plain(*words.content))
        return pf.Figure(pf.Plain(box), caption=caption, identifier=image.identifier, classes=[SUBFIGURE])
    if not isinstance(image, pf.Image) or not (image.identifier or len(image.content)):
        return pf.Plain(image)
    identifier, image.identifier = image.identifier, ""
    words = pf.Plain(*image.content)
    return pf.Figure(pf.Plain(image), caption=pf.Caption(words), identifier=identifier, classes=[SUBFIGURE])


def _side_by_side(blocks: Sequence[Any], shape: list[list[float]] | int | None, *, parts: bool) -> list[Any]:
    import panflute as pf

    rows = _cells(blocks, parts)
    cells = [cell for row in rows for cell in row]
    if isinstance(shape, int):
        count = shape if shape > 0 else -(-len(cells) // -shape)
        rows = [cells[i : i + count] for i in range(0, len(cells), count)]
        widths = [[1.0] * count for _ in rows]
    elif shape is not None:
        rows, widths, at = [], [], 0
        while at < len(cells):
            row = shape[min(len(rows), len(shape) - 1)]
            count = sum(width > 0 for width in row)
            rows.append(cells[at : at + count])
            widths.append(row)
            at += count
    else:
        widths = [[1.0] * len(row) for row in rows]
    made: list[Any] = []
    for row, sizes in zip(rows, widths, strict=True):
        if len(sizes) == 1 and shape is None:
            made += row
            continue
        columns, rest = [], list(row)
        for size in sizes:  # a negative width is a gap
            columns.append(pf.Div(*([rest.pop(0)] if size > 0 and rest else []), classes=["layout-cell"]))
        whole = sum(abs(size) for size in sizes)
        attributes = {"widths": " ".join(f"{100 * abs(size) / whole:.4g}" for size in sizes)}
        made.append(pf.Div(*columns, classes=[LAYOUT], attributes=attributes))
    return made


def _columns(element: Any) -> list[Any] | None:
    """Pandoc's columns, or Marp's habit: a div of that class with a div for each column in it."""
    import panflute as pf

    cells = [block for block in element.content if isinstance(block, pf.Div)]
    if not cells:
        return None
    given = [re.match(r"([\d.]+)%$", cell.attributes.get("width", "")) for cell in cells]
    said = [float(match[1]) if match else None for match in given]
    rest = max(100 - sum(w for w in said if w), 0) / (said.count(None) or 1)
    widths = [w or rest or 100 / len(cells) for w in said]
    columns = [pf.Div(*cell.content, identifier=cell.identifier, classes=["layout-cell"]) for cell in cells]
    before = [block for block in element.content if not isinstance(block, pf.Div)]
    whole = sum(widths)
    row = pf.Div(*columns, classes=[LAYOUT], identifier=element.identifier,
                 attributes={"widths": " ".join(f"{100 * w / whole:.4g}" for w in widths)})  # fmt: skip
    return [*before, row]


def _float(element: Any, kind: str, blocks: list[Any], shape: list[list[float]] | int | None) -> Any:
    """A Div with the id of a figure, table or listing as one: its last paragraph is the caption."""
    import panflute as pf

    caption: list[Any] = []
    given = next((element.attributes[k] for k in (f"{kind}-cap", "caption") if k in element.attributes), "")
    if given:
        caption = read_captions([given])[given]
    elif len(blocks) > 1 and isinstance(blocks[-1], (pf.Para, pf.Plain)) and _images(blocks[-1]) is None:
        caption = list(blocks.pop().content)
    identifier = element.identifier
    if kind == "lst":
        code = next((b for b in blocks if isinstance(b, pf.CodeBlock)), None)
        if code is None:
            return None
        return pf.Div(pf.Para(*caption), *blocks, identifier=identifier, classes=[LISTING])
    # Code that made a figure stands before it.
    before = [b for b in blocks if isinstance(b, pf.CodeBlock)]
    blocks = [b for b in blocks if not isinstance(b, pf.CodeBlock)]
    if kind == "tbl":
        tables = [b for b in blocks if isinstance(b, pf.Table)]
        if len(blocks) == 1 == len(tables) and not tables[0].identifier:
            tables[0].identifier = identifier
            if caption:
                tables[0].caption = pf.Caption(pf.Plain(*caption))
            return [*before, tables[0]]
        inner = _side_by_side(blocks, shape, parts=len(tables) > 1)
        return [*before, pf.Div(pf.Para(*caption), *inner, identifier=identifier, classes=[PANEL])]
    if len(blocks) == 1 and isinstance(blocks[0], pf.Figure) and not blocks[0].identifier:
        blocks[0].identifier = identifier
        if caption:
            blocks[0].caption = pf.Caption(pf.Plain(*caption))
        return [*before, blocks[0]]
    images = _images(blocks[0]) if len(blocks) == 1 else None
    if images is not None and len(images) == 1:
        inner = [pf.Plain(*blocks[0].content)]
    else:
        inner = _side_by_side(blocks, shape, parts=True)
    return [*before, pf.Figure(*inner, caption=pf.Caption(pf.Plain(*caption)), identifier=identifier)]


# --------------------------------------------------------------------------------------------------
# Writing


def dress(doc: Any, row: Callable[[list[list[Any]], list[float]], list[Any]]) -> None:
    """Replaces every row of things side by side by what ``row(columns, widths)`` makes; widths in percent."""
    import panflute as pf

    def visit(element: Any, doc: Any) -> Any:
        if LAYOUT not in element.classes:
            return None
        widths = [float(width) for width in element.attributes["widths"].split()]
        return row([list(cell.content) for cell in element.content], widths)

    pandoc.walk(doc, visit, pf.Div)


def below_one_another(columns: list[list[Any]], widths: list[float]) -> list[Any]:
    """For targets that have nothing beside anything."""
    return [block for column in columns for block in column]
