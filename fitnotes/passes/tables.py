"""Tables: columns as wide as what is in them, decimal points below one another, no more columns than paper has room."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import panflute as pf

from fitnotes.document.fragments import read_captions
from fitnotes.document.tree import Change, Elements, collect, walk

_NUMBER = re.compile(r"[-+−–]?\d[\d ,_\u202f]*(?:\.(?P<decimals>\d+))?$")
_ANY_NUMBER = re.compile(
    r"(?:[-+−–]?(?:\d[\d ,_\u202f]*\.?\d*|\.\d+)(?:[eE][-+−]?\d+)?%?|nan|NaN|inf|-inf|None|<NA>)$"
)
Pad = Callable[[str], pf.Element]  # digits and points → what is as wide
_GAP = 2.5  # between columns, in characters


def set_widths(doc: pf.Doc, room: int, *, wraps: bool, pad: Pad | None) -> list[str]:
    """``room``: the characters in a line of the target (0: a page scrolls). ``wraps``: columns of no given width wrap
       by themselves; else those of a table that is too wide get one.
    ``pad``: what is as wide
    as some digits; None: nothing is.

       Returns the captions, or first words, of tables that had to be cut into several.
    """
    cut: list[str] = []

    def visit(table: pf.Element) -> Change:
        assert isinstance(table, pf.Table)
        _forget_dashes(table)
        if pad:
            align_numbers(table, pad)
        if not room:
            return None
        parts = _parted(table, room if not wraps else int(room * 1.25))
        if len(parts) > 1:
            cut.append(" ".join(_text(next(_cells(table))).split())[:40])
        if not wraps:
            for part in parts:
                _fit(part, room)
        return list(parts) if len(parts) > 1 else None

    walk(doc, visit, pf.Table)
    return cut


def read_lists(doc: pf.Doc) -> None:
    """``{list-table}``: a table that is written as a list of lists."""
    found = collect(doc, pf.Div, where=lambda e: "list-table" in e.classes)
    captions = (
        read_captions([e.attributes["title"] for e in found if e.attributes.get("title")]) if found else {}
    )

    def visit(element: pf.Element) -> Change:
        rows = element.content[0] if len(element.content) else None
        if "list-table" not in element.classes or not isinstance(rows, pf.BulletList):
            return None
        given = element.attributes
        made = [_row(item) for item in rows.content]
        heads = int(given.get("header-rows", "0") or 0) if given.get("header-rows", "0").isdigit() else 0
        words = captions.get(given.get("title", ""), [])
        body = pf.TableBody(*made[heads:], row_head_columns=int(given.get("stub-columns", "0") or 0))
        return pf.Table(
            body, head=pf.TableHead(*made[:heads]), foot=pf.TableFoot(), identifier=element.identifier,
            caption=pf.Caption(pf.Plain(*words)) if words else None,
        )  # fmt: skip

    walk(doc, visit, pf.Div)


def _row(item: pf.Element) -> pf.TableRow:
    """An item that is a list of cells; else it is a cell."""
    cells = item.content[0] if len(item.content) else None
    if not isinstance(cells, pf.BulletList):
        return pf.TableRow(pf.TableCell(*item.content))
    return pf.TableRow(*(pf.TableCell(*cell.content) for cell in cells.content))


def _forget_dashes(table: pf.Table) -> None:
    """Pandoc gives the columns of a table with a long line widths by the dashes below its head. Who wrote about as many
    for each has not thought of widths."""
    widths = [width for _, width in table.colspec if isinstance(width, float) and width > 0]
    if len(widths) == len(table.colspec) and max(widths) < 2 * min(widths):
        table.colspec = [(side, "ColWidthDefault") for side, _ in table.colspec]


def _rows(table: pf.Table) -> Iterator[pf.Element]:
    for part in (table.head, *table.content, table.foot):
        if part is not None:
            if isinstance(part, pf.TableBody):
                yield from part.head
            yield from part.content


def _cells(table: pf.Table) -> Iterator[pf.Element]:
    for row in _rows(table):
        yield from row.content


def _is_plain(table: pf.Table) -> bool:
    """Whether every row has a cell for each column."""
    spans = any(getattr(cell, "rowspan", 1) > 1 or getattr(cell, "colspan", 1) > 1 for cell in _cells(table))
    return not spans and all(len(row.content) == len(table.colspec) for row in _rows(table))


def _text(cell: pf.Element) -> str:
    return " ".join(pf.stringify(block).strip() for block in cell.content)


# --------------------------------------------------------------------------------------------------
# Numbers


def align_numbers(table: pf.Table, pad: Pad) -> None:
    """Columns of numbers, at the right or at no side of their own, have their decimal points below one another."""
    if not _is_plain(table):
        return
    for n, (side, width) in enumerate(table.colspec):
        if side not in ("AlignDefault", "AlignRight"):
            continue
        cells = [row.content[n] for body in table.content for row in body.content]
        found = [_NUMBER.match(_text(cell).strip()) for cell in cells]
        if len(cells) < 2 or not all(m or not _text(c).strip() for m, c in zip(found, cells, strict=True)):
            continue
        decimals = [len(match["decimals"] or "") for match in found if match]
        if not decimals or not max(decimals):
            continue
        if side == "AlignDefault":
            table.colspec = [*table.colspec[:n], ("AlignRight", width), *table.colspec[n + 1 :]]
        for cell, match in zip(cells, found, strict=True):
            if match:
                missing = max(decimals) - len(match["decimals"] or "")
                block = cell.content[-1] if len(cell.content) else None
                if missing and isinstance(block, (pf.Plain, pf.Para)):
                    block.content.append(pad(("." if not match["decimals"] else "") + "0" * missing))


def right_numbers(table: pf.Element) -> None:
    """Columns of numbers of any kind, in a table that a block made, stand at the right."""
    if not isinstance(table, pf.Table) or not _is_plain(table):
        return
    for n, (side, width) in enumerate(table.colspec):
        texts = [_text(row.content[n]).strip() for body in table.content for row in body.content]
        numbers = [bool(_ANY_NUMBER.match(text)) for text in texts if text]
        if n and side == "AlignDefault" and numbers and all(numbers):
            table.colspec = [*table.colspec[:n], ("AlignRight", width), *table.colspec[n + 1 :]]


def spaces(digits: str) -> pf.Element:
    """Unicode's spaces that are as wide as digits and a point."""
    return pf.Str(digits.replace(".", "\u2008").replace("0", "\u2007"))


def phantom(digits: str) -> pf.Element:
    """The same in LaTeX."""
    return pf.RawInline(f"\\phantom{{{digits}}}", format="latex")


# --------------------------------------------------------------------------------------------------
# Widths


def _widths(table: pf.Table) -> tuple[list[int], list[int]]:
    """In characters: of each column the longest cell, and the longest word."""
    longest, words = [1] * len(table.colspec), [1] * len(table.colspec)
    for row in _rows(table):
        for n, cell in enumerate(row.content):
            text = _text(cell)
            pictures = 25 * len(collect(cell, pf.Image))
            longest[n] = max(longest[n], min(len(text), 200), pictures)
            parts = re.split(r"\s|(?<=[_./(,-])", text)
            words[n] = max(words[n], max(map(len, parts), default=0), pictures)
    return longest, words


def _parted(table: pf.Table, room: int) -> list[pf.Table]:
    """The table, or, where not even its words have room beside one another, several of a part of its columns each, with
    the first one in all of them."""
    if not _is_plain(table) or len(table.colspec) < 4 or any(isinstance(w, float) for _, w in table.colspec):
        return [table]
    _, words = _widths(table)
    if sum(words) + _GAP * len(words) <= room:
        return [table]
    inside = sum(words[1:]) + _GAP * (len(words) - 1)
    count = -(-inside // max(room - words[0] - _GAP, 1))
    groups: list[list[int]] = [[]]
    used = 0.0
    for n in range(1, len(words)):
        width = words[n] + _GAP
        full = used + width > room - words[0] - _GAP
        if groups[-1] and (full or used + width / 2 > inside / count):
            groups.append([])
            used = 0.0
        groups[-1].append(n)
        used += width
    return [_columns(table, [0, *group], first=at == 0) for at, group in enumerate(groups)]


def _columns(table: pf.Table, wanted: Sequence[int], *, first: bool) -> pf.Table:
    """A table of some columns, with the cells of ``table`` itself; those of its first column belong to the ``first`` of
    such tables, and are copied for the others."""

    def rows(whole: Iterable[pf.Element]) -> Elements:
        return [_row_of(row, wanted, first=first) for row in whole]

    bodies = [
        pf.TableBody(*rows(body.content), head=rows(body.head), row_head_columns=body.row_head_columns,
                     identifier=body.identifier if first else "", classes=body.classes, attributes=body.attributes)
        for body in table.content if isinstance(body, pf.TableBody)
    ]  # fmt: skip
    return pf.Table(
        *bodies,
        head=pf.TableHead(*rows(table.head.content if table.head else ())),
        foot=pf.TableFoot(*rows(table.foot.content if table.foot else ())),
        caption=table.caption if first else None,
        colspec=[table.colspec[n] for n in wanted],
        identifier=table.identifier if first else "",
        classes=table.classes,
        attributes=table.attributes,
    )


def _row_of(row: pf.Element, wanted: Sequence[int], *, first: bool) -> pf.Element:
    cells = [row.content[n] for n in wanted]
    if not first:
        above, cells[0].parent = cells[0].parent, None  # or everything above it is copied too
        copied = copy.deepcopy(cells[0])
        cells[0].parent = above
        cells[0] = copied
    return pf.TableRow(*cells, classes=row.classes, attributes=row.attributes)


def _fit(table: pf.Table, room: int) -> None:
    """Widths for a table that is wider than its line: to each column its words, and what is left to the longest."""
    if not _is_plain(table) or any(isinstance(width, float) for _, width in table.colspec):
        return
    longest, words = _widths(table)
    left = room - sum(words) - _GAP * len(words)
    if sum(longest) + _GAP * len(words) <= room:
        return
    more = [a - b for a, b in zip(longest, words, strict=True)]
    shares = [w + max(left, 0) * m / (sum(more) or 1) for w, m in zip(words, more, strict=True)]
    whole = sum(shares) + _GAP * len(shares)
    table.colspec = [
        (side, round((share + _GAP) / whole, 4))
        for (side, _), share in zip(table.colspec, shares, strict=True)
    ]


# --------------------------------------------------------------------------------------------------
# Code


def breakable(doc: pf.Doc, break_: pf.Element) -> None:
    """Long code in cells may break behind its signs: ``break_`` stands there."""

    def visit(element: pf.Element) -> Change:
        if len(element.text) < 18 or not _in_cell(element):
            return None
        parts = re.findall(r"[^_./(,=:-]*[_./(,=:-]*", element.text)
        made: Elements = []
        for part in filter(None, parts):
            made += [*([copy.deepcopy(break_)] if made else []), pf.Code(part, classes=list(element.classes))]
        return made

    walk(doc, visit, pf.Code)


def _in_cell(element: pf.Element) -> bool:
    above: pf.Element | None = element.parent
    while above is not None and not isinstance(above, pf.TableCell):
        above = above.parent
    return above is not None
