"""Figures with parts, code with a caption, things side by side: as Quarto and pandoc-crossref write them.

``:::: {#fig-pair layout-ncol=2}`` around images, or an id on code (``#lst-fit``), become a Figure, a Table or a
Div that `crossrefs` numbers. What stands side by side becomes a row of columns;
`set_rows` lets a target write it.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Mapping, Sequence

import panflute as pf

from fitnotes.document import nodes
from fitnotes.document.fragments import read_captions
from fitnotes.document.tree import Change, Elements, collect, walk
from fitnotes.errors import Problem
from fitnotes.source.note import Note

_KIND = re.compile(r"^(fig|tbl|tab|lst)[-:]")
_CAPTIONS = ("lst-cap", "lst_cap", "caption")
_OPTIONS = ("layout-ncol", "layout-nrow", "layout")
_TITLED = re.compile(r"^(?:Listing|Code|Algorithm)\s*:\s*|^:\s+")
_IDENTIFIER = re.compile(r"\s*\{#(lst[-:][^\s}]+)[^}]*\}\s*$")

# Rows of widths, or a number of columns (negative: of rows), or nothing said.
Layout = list[list[float]] | int | None


def read_floats(doc: pf.Doc, note: Note) -> list[Problem]:
    """Puts the structure in the place of what the author wrote."""
    problems: list[Problem] = []
    _read_listings(doc)

    def visit(element: pf.Element) -> Change:
        if nodes.has_class(element, "columns"):
            return _columns(element)
        kind = _KIND.match(element.identifier)
        laid_out = next((name for name in _OPTIONS if name in element.attributes), "")
        if nodes.is_listing(element) or nodes.is_panel(element) or not (kind or laid_out):
            return None
        if nodes.is_cell(element) and not laid_out:
            return None
        blocks = _flat(list(element.content))
        try:
            layout = _layout(element.attributes)
        except ValueError as expected:
            message = f"{laid_out}={element.attributes[laid_out]}: expected {expected}"
            problems.append(Problem("unknown-option", message, note.shown, note.line_of(laid_out)))
            layout = None
        if kind is None:
            return _side_by_side(blocks, layout, parts=False)
        return _float(element, kind[1], blocks, layout)

    walk(doc, _label_alone, pf.Para)
    walk(doc, visit, pf.Div)
    walk(doc, _flat_words, pf.Image)
    return problems


def _label_alone(paragraph: pf.Element) -> Change:
    """An image with a label and no caption, or one that is a link, which are no figures to pandoc, as one."""
    only = paragraph.content[0] if len(paragraph.content) == 1 else None
    linked = isinstance(only, pf.Link) and len(only.content) == 1
    image = only.content[0] if linked and only is not None else only
    if not isinstance(image, pf.Image) or not re.match(r"fig[-:]", image.identifier):
        return None
    identifier, image.identifier = image.identifier, ""
    words = (
        pf.Caption(pf.Plain(*copy.deepcopy(image).content)) if linked and len(image.content) else pf.Caption()
    )
    return pf.Figure(pf.Plain(paragraph.content[0]), caption=words, identifier=identifier)


def _flat_words(image: pf.Element) -> None:
    """No notes, citations or labels in what stands for a picture: they are in its caption already."""
    holder = pf.Span(*image.content)
    if collect(holder, pf.Cite, pf.Note, pf.RawInline, pf.Span, pf.Link):
        walk(holder, lambda e: [], pf.Note)
        image.content = [pf.Str(pf.stringify(holder))]


# --------------------------------------------------------------------------------------------------
# Code


def _read_listings(doc: pf.Doc) -> None:
    _take_titles(doc)

    def is_listing(code: pf.Element) -> bool:
        captioned = any(name in code.attributes for name in ("lst-cap", "lst_cap"))
        return captioned or bool(re.match(r"lst[-:]", code.identifier))

    def caption(code: pf.Element) -> str:
        return next((code.attributes[name] for name in _CAPTIONS if code.attributes.get(name)), "")

    found = collect(doc, pf.CodeBlock, where=is_listing)
    if not found:
        return
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
        kept: Elements = []
        at = 0
        while at < len(blocks):  # from the top: words between two blocks of code are those of the first
            pair = blocks[at : at + 2]
            code = next((b for b in pair if isinstance(b, pf.CodeBlock) and not b.identifier), None)
            found = next((t for b in pair if (t := title(b)) is not None), None)
            if len(pair) == 2 and code is not None and found is not None:
                code.identifier, code.attributes["lst-cap"] = found
                kept.append(code)
                at += 2
            else:
                kept.append(blocks[at])
                at += 1
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


def _layout(attributes: Mapping[str, str]) -> Layout:
    """What is said of the layout. Raises ValueError."""
    if "layout" in attributes:
        return _rows_of_widths(attributes["layout"])
    for name, sign in (("layout-ncol", 1), ("layout-nrow", -1)):
        if name in attributes:
            if not re.fullmatch(r"[1-9]\d?", attributes[name].strip()):
                raise ValueError("a whole number from 1")
            return sign * int(attributes[name])
    return None


def _rows_of_widths(text: str) -> list[list[float]]:
    """Raises ValueError."""
    what = "rows of widths such as [[1, 1], [2]]"
    try:
        rows = json.loads(text)
    except json.JSONDecodeError:
        raise ValueError(what) from None
    rows = rows if rows and isinstance(rows[0], list) else [rows]
    numbers = all(isinstance(w, (int, float)) and w for row in rows for w in row)
    if not numbers or not all(any(w > 0 for w in row) for row in rows):
        raise ValueError(what)
    return [[float(width) for width in row] for row in rows]


def _images(block: pf.Element) -> Elements | None:
    """The images of a paragraph that holds nothing else."""
    if not nodes.is_words(block) or not len(block.content):
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
        part = nodes.figure(pf.Plain(box), list(words.content), image.identifier)
    elif isinstance(image, pf.Image) and (image.identifier or len(image.content)):
        identifier, image.identifier = image.identifier, ""
        part = nodes.figure(pf.Plain(image), list(image.content), identifier)
    else:
        return pf.Plain(image)
    nodes.make_part(part)
    return part


def _side_by_side(blocks: Sequence[pf.Element], layout: Layout, *, parts: bool) -> Elements:
    made: Elements = []
    for cells, widths in _rows(_cells(blocks, parts), layout):
        if len(widths) == 1 and layout is None:
            made += cells
        else:
            made.append(_row(cells, widths))
    return made


def _rows(written: list[Elements], layout: Layout) -> list[tuple[Elements, list[float]]]:
    """What stands in each row, with the widths: as it is ``written`` where nothing is said."""
    if layout is None:
        return [(row, [1.0] * len(row)) for row in written]
    cells = [cell for row in written for cell in row]
    if isinstance(layout, int):
        count = layout if layout > 0 else max(-(-len(cells) // -layout), 1)
        return [(cells[i : i + count], [1.0] * count) for i in range(0, len(cells), count)]
    rows: list[tuple[Elements, list[float]]] = []
    at = 0
    while at < len(cells):
        widths = layout[min(len(rows), len(layout) - 1)]
        count = sum(width > 0 for width in widths)
        rows.append((cells[at : at + count], widths))
        at += count
    return rows


def _row(cells: Elements, widths: list[float]) -> pf.Div:
    rest = iter(cells)
    columns = []
    for width in widths:
        cell = next(rest, None) if width > 0 else None  # a negative width is a gap
        columns.append(nodes.column([] if cell is None else [cell]))
    return nodes.row(columns, widths)


def _columns(element: pf.Element) -> Elements | None:
    """Pandoc's columns, or Marp's habit: a div of that class with a div for each column in it."""
    cells = [block for block in element.content if isinstance(block, pf.Div)]
    if not cells:
        return None
    columns = [nodes.column(list(cell.content), cell.identifier) for cell in cells]
    before = [block for block in element.content if not isinstance(block, pf.Div)]
    return [*before, nodes.row(columns, _widths(cells), element.identifier)]


def _widths(cells: Sequence[pf.Element]) -> list[float]:
    """In percent; those of which nothing is said share what is left."""
    given = [re.match(r"([\d.]+)%$", cell.attributes.get("width", "")) for cell in cells]
    said = [float(match[1]) if match else None for match in given]
    rest = max(100 - sum(width for width in said if width), 0) / (said.count(None) or 1)
    return [width or rest or 100 / len(cells) for width in said]


def _float(element: pf.Element, kind: str, blocks: Elements, layout: Layout) -> Change:
    """A Div with the id of a figure, table or listing as one. ``kind``: what its id begins with."""
    kind = kind if kind in ("fig", "lst") else "tbl"
    identifier = element.identifier
    caption = _take_caption(element.attributes, kind, blocks)
    if kind == "lst":
        has_code = any(isinstance(block, pf.CodeBlock) for block in blocks)
        return nodes.listing(caption, blocks, identifier) if has_code else None
    # Code that made a figure stands before it.
    code = [block for block in blocks if isinstance(block, pf.CodeBlock)]
    shown = [block for block in blocks if not isinstance(block, pf.CodeBlock)]
    write = _table if kind == "tbl" else _figure
    return [*code, write(shown, caption, identifier, layout)]


def _take_caption(attributes: Mapping[str, str], kind: str, blocks: Elements) -> Elements:
    """The caption: the one in its attributes, or its last paragraph, which is taken out."""
    given = next((attributes[name] for name in (f"{kind}-cap", "caption") if name in attributes), "")
    if given:
        return read_captions([given])[given]
    if len(blocks) > 1 and nodes.is_words(blocks[-1]) and _images(blocks[-1]) is None:
        return list(blocks.pop().content)
    return []


def _table(blocks: Elements, caption: Elements, identifier: str, layout: Layout) -> pf.Element:
    """A table that takes the name, or several under one caption."""
    tables = [block for block in blocks if isinstance(block, pf.Table)]
    if len(blocks) == 1 == len(tables) and not tables[0].identifier:
        return _named(tables[0], caption, identifier)
    inner = _side_by_side(blocks, layout, parts=len(tables) > 1)
    return nodes.panel(caption, inner, identifier)


def _figure(blocks: Elements, caption: Elements, identifier: str, layout: Layout) -> pf.Element:
    """A figure that takes the name, or one around an image or several parts."""
    if len(blocks) == 1:
        only = blocks[0]
        if isinstance(only, pf.Figure) and not only.identifier:
            return _named(only, caption, identifier)
        if len(_images(only) or ()) == 1:
            return nodes.figure(pf.Plain(*only.content), caption, identifier)
    inner = _side_by_side(blocks, layout, parts=True)
    return pf.Figure(*inner, caption=pf.Caption(pf.Plain(*caption)), identifier=identifier)


def _named(element: pf.Element, caption: Elements, identifier: str) -> pf.Element:
    """A figure or table with the name, and the caption where there is one, of what stood around it."""
    element.identifier = identifier
    if caption:
        element.caption = pf.Caption(pf.Plain(*caption))
    return element


# --------------------------------------------------------------------------------------------------
# Writing


Row = Callable[[list[Elements], list[float]], Elements]  # (columns, their widths in percent) → blocks


def set_rows(doc: pf.Doc, row: Row) -> None:
    """Replaces every row of things side by side by what ``row(columns, widths)`` makes; widths in percent."""

    def visit(element: pf.Element) -> Change:
        return row(*nodes.columns_and_widths(element)) if nodes.is_row(element) else None

    walk(doc, visit, pf.Div)


def below_one_another(columns: list[Elements], widths: list[float]) -> Elements:
    """For targets that have nothing beside anything."""
    return [block for column in columns for block in column]
