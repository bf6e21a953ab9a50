"""Figures with parts, code with a caption, things side by side: as Quarto and pandoc-crossref write them.

``:::: {#fig-pair layout-ncol=2}`` around images, or an id on code (``#lst-fit``), become a Figure, a Table or a
Div that `crossrefs` numbers. What stands side by side becomes a row of columns;
`dress` lets a target write it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence

import panflute as pf

from fitnotes.document import nodes
from fitnotes.document.fragments import read_captions
from fitnotes.document.tree import Change, Elements, walk
from fitnotes.errors import Problem
from fitnotes.source.note import Note

_KIND = re.compile(r"^(fig|tbl|tab|lst)[-:]")
_CAPTIONS = ("lst-cap", "lst_cap", "caption")
_OPTIONS = ("layout-ncol", "layout-nrow", "layout")
_TITLED = re.compile(r"^(?:Listing|Code|Algorithm)\s*:\s*|^:\s+")
_IDENTIFIER = re.compile(r"\s*\{#(lst[-:][^\s}]+)[^}]*\}\s*$")


def read_floats(doc: pf.Doc, note: Note) -> list[Problem]:
    """Puts the structure in the place of what the author wrote."""
    problems: list[Problem] = []
    _read_listings(doc)

    def visit(element: pf.Element) -> Change:
        if "columns" in element.classes:
            return _columns(element)
        kind = _KIND.match(element.identifier)
        laid_out = [name for name in _OPTIONS if name in element.attributes]
        if nodes.is_listing(element) or nodes.is_panel(element) or not (kind or laid_out):
            return None
        if nodes.is_cell(element) and not laid_out:
            return None
        blocks = _flat(list(element.content))
        try:
            shape = _shape(element.attributes)
        except ValueError as expected:
            line = note.line_of(laid_out[0])
            message = f"{laid_out[0]}={element.attributes[laid_out[0]]}: expected {expected}"
            problems.append(Problem("unknown-option", message, note.shown, line))
            shape = None
        if kind is None:
            return _side_by_side(blocks, shape, parts=False)
        name = "fig" if kind[1] == "fig" else "lst" if kind[1] == "lst" else "tbl"
        return _float(element, name, blocks, shape)

    def alone(element: pf.Element) -> Change:
        """An image with a label and no caption, which is no figure to pandoc."""
        image = element.content[0] if len(element.content) == 1 else None
        if not isinstance(image, pf.Image) or not re.match(r"fig[-:]", image.identifier):
            return None
        identifier, image.identifier = image.identifier, ""
        return pf.Figure(pf.Plain(image), caption=pf.Caption(), identifier=identifier)

    walk(doc, alone, pf.Para)
    walk(doc, visit, pf.Div)
    walk(doc, _flat_words, pf.Image)
    return problems


def _flat_words(image: pf.Element) -> None:
    """No notes, citations or labels in what stands for a picture: they are in its caption already."""
    odd: Elements = []
    holder = pf.Span(*image.content)
    walk(holder, lambda e: odd.append(e), pf.Cite, pf.Note, pf.RawInline, pf.Span, pf.Link)
    if odd:
        walk(holder, lambda e: [], pf.Note)
        image.content = [pf.Str(pf.stringify(holder))]


# --------------------------------------------------------------------------------------------------
# Code


def _read_listings(doc: pf.Doc) -> None:
    _take_titles(doc)
    found: Elements = []

    def look(element: pf.Element) -> None:
        if re.match(r"lst[-:]", element.identifier) or {"lst-cap", "lst_cap"} & set(element.attributes):
            found.append(element)

    walk(doc, look, pf.CodeBlock)
    if not found:
        return

    def caption(element: pf.Element) -> str:
        return next((element.attributes[name] for name in _CAPTIONS if element.attributes.get(name)), "")

    captions = read_captions([text for text in map(caption, found) if text])

    def wrap(element: pf.Element) -> Change:
        if not any(element is one for one in found):
            return None
        words = captions.get(caption(element), [])
        for name in _CAPTIONS:
            element.attributes.pop(name, None)
        identifier, element.identifier = element.identifier, ""
        return nodes.listing(words, [element], identifier)

    walk(doc, wrap, pf.CodeBlock)


def _take_titles(doc: pf.Doc) -> None:
    """``Listing: Words {#lst:x}`` above or below code, as pandoc-crossref has it, is the code's own."""

    def title(block: pf.Element) -> tuple[str, str] | None:
        if not isinstance(block, pf.Para):
            return None
        text = pf.stringify(block)
        if not (named := _IDENTIFIER.search(text)) or not _TITLED.match(text):
            return None
        return named[1], _TITLED.sub("", _IDENTIFIER.sub("", text)).strip()

    def visit(element: pf.Element) -> None:
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

    walk(doc, visit, pf.Div)
    visit(doc)


# --------------------------------------------------------------------------------------------------
# Divs


def _flat(blocks: Elements) -> Elements:
    """The blocks without the Divs around the results of code."""
    out: Elements = []
    for block in blocks:
        cell = nodes.is_cell(block) and not _KIND.match(block.identifier)
        out += _flat(list(block.content)) if cell else [block]
    return out


def _shape(attributes: Mapping[str, str]) -> list[list[float]] | int | None:
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


def _images(block: pf.Element) -> Elements | None:
    """The images of a paragraph that holds nothing else."""
    if not isinstance(block, (pf.Para, pf.Plain)) or not len(block.content):
        return None
    blank = (pf.Space, pf.SoftBreak, pf.LineBreak)
    inlines = [e for e in block.content if not isinstance(e, blank)]

    def picture(element: pf.Element) -> bool:
        link = isinstance(element, pf.Link) and len(element.content) == 1
        return nodes.is_missing_part(element) or isinstance(element.content[0] if link else element, pf.Image)

    return inlines if inlines and all(map(picture, inlines)) else None


def _cells(blocks: Sequence[pf.Element], parts: bool) -> list[Elements]:
    """What stands in one row as written: the images of a paragraph, and everything else by itself."""
    rows: list[Elements] = []
    for block in blocks:
        if (images := _images(block)) is not None:
            rows.append([_part(image) if parts else pf.Plain(image) for image in images])
            continue
        if parts and isinstance(block, (pf.Figure, pf.Table)) and not nodes.is_part(block):
            nodes.make_part(block)
        rows.append([block])
    return rows


def _part(image: pf.Element) -> pf.Element:
    """An image as a figure inside a figure, if it has a name or words."""
    if isinstance(image, pf.Span):
        box, words = image.content
        caption = pf.Caption(pf.Plain(*words.content))
        return pf.Figure(pf.Plain(box), caption=caption, identifier=image.identifier, classes=[nodes.PART])
    if not isinstance(image, pf.Image) or not (image.identifier or len(image.content)):
        return pf.Plain(image)
    identifier, image.identifier = image.identifier, ""
    words = pf.Plain(*image.content)
    return pf.Figure(pf.Plain(image), caption=pf.Caption(words), identifier=identifier, classes=[nodes.PART])


def _side_by_side(
    blocks: Sequence[pf.Element], shape: list[list[float]] | int | None, *, parts: bool
) -> Elements:
    rows = _cells(blocks, parts)
    cells = [cell for row in rows for cell in row]
    if isinstance(shape, int):
        count = shape if shape > 0 else -(-len(cells) // -shape)
        rows = [cells[i : i + count] for i in range(0, len(cells), count)]
        widths = [[1.0] * count for _ in rows]
    elif shape is not None:
        rows, widths, at = [], [], 0
        while at < len(cells):
            sizes = shape[min(len(rows), len(shape) - 1)]
            count = sum(width > 0 for width in sizes)
            rows.append(cells[at : at + count])
            widths.append(sizes)
            at += count
    else:
        widths = [[1.0] * len(row) for row in rows]
    made: Elements = []
    for row, sizes in zip(rows, widths, strict=True):
        if len(sizes) == 1 and shape is None:
            made += row
            continue
        columns, rest = [], list(row)
        for size in sizes:  # a negative width is a gap
            columns.append(nodes.column([rest.pop(0)] if size > 0 and rest else []))
        made.append(nodes.row(columns, sizes))
    return made


def _columns(element: pf.Element) -> Elements | None:
    """Pandoc's columns, or Marp's habit: a div of that class with a div for each column in it."""
    cells = [block for block in element.content if isinstance(block, pf.Div)]
    if not cells:
        return None
    given = [re.match(r"([\d.]+)%$", cell.attributes.get("width", "")) for cell in cells]
    said = [float(match[1]) if match else None for match in given]
    rest = max(100 - sum(w for w in said if w), 0) / (said.count(None) or 1)
    widths = [w or rest or 100 / len(cells) for w in said]
    columns = [nodes.column(list(cell.content), cell.identifier) for cell in cells]
    before = [block for block in element.content if not isinstance(block, pf.Div)]
    return [*before, nodes.row(columns, widths, element.identifier)]


def _float(element: pf.Element, kind: str, blocks: Elements, shape: list[list[float]] | int | None) -> Change:
    """A Div with the id of a figure, table or listing as one: its last paragraph is the caption."""
    caption: Elements = []
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
        return nodes.listing(caption, blocks, identifier)
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
        return [*before, nodes.panel(caption, inner, identifier)]
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


Row = Callable[[list[Elements], list[float]], Elements]  # (columns, their widths in percent) → blocks


def dress(doc: pf.Doc, row: Row) -> None:
    """Replaces every row of things side by side by what ``row(columns, widths)`` makes; widths in percent."""

    def visit(element: pf.Element) -> Change:
        return row(*nodes.columns_and_widths(element)) if nodes.is_row(element) else None

    walk(doc, visit, pf.Div)


def below_one_another(columns: list[Elements], widths: list[float]) -> Elements:
    """For targets that have nothing beside anything."""
    return [block for column in columns for block in column]
