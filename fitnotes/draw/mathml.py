"""MathML as browsers know it (MathML Core), of the MathML that MathJax writes."""

from __future__ import annotations

import functools
import re
import unicodedata
from itertools import pairwise
from xml.etree import ElementTree

_VARIANTS = {
    "BLACK-LETTER": "FRAKTUR", "-TEX-CALLIGRAPHIC": "SCRIPT", "-TEX-BOLD-CALLIGRAPHIC": "BOLD SCRIPT",
    "-TEX-MATHIT": "ITALIC", "-TEX-OLDSTYLE": "", "SANS-SERIF-ITALIC": "SANS-SERIF ITALIC",
    "BOLD-ITALIC": "BOLD ITALIC",
    "BOLD-SCRIPT": "BOLD SCRIPT", "BOLD-FRAKTUR": "BOLD FRAKTUR", "BOLD-SANS-SERIF": "SANS-SERIF BOLD",
}  # fmt: skip


def variant_name(variant: str) -> str:
    """The style of an alphabet as Unicode's names call it; ``mathvariant`` is MathML's or MathJax's word for it."""
    return _VARIANTS.get(variant.upper(), variant.upper())


@functools.cache
def alphabets() -> dict[tuple[str, str], str]:
    """(style, plain character) → the mathematical character of that style, from their Unicode names."""
    table: dict[tuple[str, str], str] = {}
    for code in (*range(0x1D400, 0x1D800), *range(0x2100, 0x2150)):
        char = chr(code)
        kind, _, plain = unicodedata.decomposition(char).partition(" ")
        name = unicodedata.name(char, "").removeprefix("MATHEMATICAL ")
        style = re.match(
            r"((?:BOLD |ITALIC |SCRIPT |FRAKTUR |BLACK-LETTER |DOUBLE-STRUCK |SANS-SERIF |MONOSPACE )+)", name
        )
        if kind == "<font>" and style and " " not in plain:
            words = style[1].strip()
            table.setdefault((_VARIANTS.get(words, words), chr(int(plain, 16))), char)
    table["ITALIC", "h"] = "\u210e"
    return table


_MML = "http://www.w3.org/1998/Math/MathML"
ElementTree.register_namespace("", _MML)


def core_mathml(text: str) -> str:
    """MathJax's MathML in what browsers read (MathML Core): alphabets as characters, tables by their style.

    Browsers know neither ``mathvariant`` (but for "normal"), nor ``mlabeledtr``, nor how a table aligns and
    rules its columns.
    """
    if not text:  # a formula with an error has none
        return ""
    root = ElementTree.fromstring(text)
    for element in root.iter():
        _clean(element)
        _keep_spaces(element)
        _set_alphabet(element)
        _space_operators(element)
    for table in list(root.iter(f"{{{_MML}}}mtable")):
        _style_table(table)
    return ElementTree.tostring(root, encoding="unicode")


def _is(element: ElementTree.Element, name: str) -> bool:
    return element.tag == f"{{{_MML}}}{name}"


def _clean(element: ElementTree.Element) -> None:
    """Without MathJax's own notes, and without the blanks between elements."""
    for name in [name for name in element.attrib if name.startswith("data-")]:
        del element.attrib[name]
    if len(element) and element.text and not element.text.strip():
        element.text = None
    element.tail = None


def _keep_spaces(element: ElementTree.Element) -> None:
    """Words would break at a space where a cell is narrow."""
    if _is(element, "mtext") and element.text:
        element.text = element.text.replace(" ", "\u00a0")


def _set_alphabet(element: ElementTree.Element) -> None:
    """The characters of the alphabet that ``mathvariant`` names."""
    style = variant_name(element.get("mathvariant", "normal"))
    if style == "NORMAL":
        return
    del element.attrib["mathvariant"]
    element.text = "".join(alphabets().get((style, char), char) for char in element.text or "")
    if _is(element, "mi") and len(element.text) == 1:  # browsers slant a letter that stands alone
        element.set("mathvariant", "normal")


def _space_operators(element: ElementTree.Element) -> None:
    """sin x: browsers know no space for the invisible sign between them."""
    for before, after in pairwise(element):
        if before.text == "\u2061" and not (after.text or "").startswith("("):
            before.set("rspace", "0.167em")


def _words(element: ElementTree.Element, name: str, otherwise: str) -> list[str]:
    return element.attrib.pop(name, otherwise).split() or [otherwise]


def _at(words: list[str], place: int) -> str:
    """The last word counts for all places behind it."""
    return words[min(place, len(words) - 1)]


def _style_table(table: ElementTree.Element) -> None:
    """What the attributes of a table say, as the style of its cells; numbers in a column at the margin."""
    columns, gaps = _words(table, "columnalign", "center"), _words(table, "columnspacing", "1em")
    rules, lines = _words(table, "columnlines", "none"), _words(table, "rowlines", "none")
    table.attrib.pop("rowspacing", None)
    frame = table.attrib.pop("frame", "none")
    rows = list(table)
    numbers = [_without_number(row) for row in rows]
    for n, row in enumerate(rows):
        own = _words(row, "columnalign", "") if "columnalign" in row.attrib else columns
        for i, cell in enumerate(row):
            align = cell.attrib.pop("columnalign", _at(own, i))
            style = [f"text-align:{align}", f"text-align:-webkit-{align}"]
            style += [f"padding-left:{_short(_at(gaps, i - 1) if i else '0em')}", "padding-right:0"]
            if i < len(row) - 1 and _at(rules, i) != "none":
                style += ["border-right:.06em solid", "padding-right:.5em"]
            if n < len(rows) - 1 and _at(lines, n) != "none":
                style.append("border-bottom:.06em solid")
            cell.set("style", ";".join(style))
    if frame != "none":
        table.set("style", "border:.06em solid")
    if any(number is not None for number in numbers):
        table.set("class", "numbered")
        width = max(map(len, rows))
        for row, number in zip(rows, numbers, strict=True):
            _number(row, number, width)


def _short(length: str) -> str:
    """A length without needless digits.

    >>> _short("1.000em")
    '1em'
    """
    size = re.match(r"([\d.]+)(.*)", length)
    return f"{float(size[1]):g}{size[2]}" if size else length


def _without_number(row: ElementTree.Element) -> ElementTree.Element | None:
    """Makes a numbered row a plain one; the cell of its number."""
    if not _is(row, "mlabeledtr"):
        return None
    number = row[0]
    row.remove(number)
    row.tag = f"{{{_MML}}}mtr"
    return number


def _number(row: ElementTree.Element, number: ElementTree.Element | None, width: int) -> None:
    """Centres a row of ``width`` cells between two of one size, of which the right one has its number."""
    for _ in range(width - len(row)):
        ElementTree.SubElement(row, f"{{{_MML}}}mtd")
    row.insert(0, ElementTree.Element(f"{{{_MML}}}mtd", {"style": "width:50%"}))
    style = "width:50%;text-align:right;text-align:-webkit-right"
    last = ElementTree.SubElement(row, f"{{{_MML}}}mtd", {"style": style})
    last.extend(list(number) if number is not None else [])
