"""The text of an SVG: what is changed in it before a target or Typst gets it.

A parser says where its elements are, and what is changed is cut out of the text: a tree that is written again would
have other quotes, prefixes and blanks in every place.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.parsers import expat

from fitnotes.document.formats import Format
from fitnotes.settings import unquoted

_DECLARATION = re.compile(r"\ufeff?\s*(?:<\?xml[^>]*\?>\s*)?")
_TAG = re.compile(r"""<(?:[^>"']|"[^"]*"|'[^']*')*>""")
_ROOT = re.compile(r"""<svg\b(?:[^>"']|"[^"]*"|'[^']*')*>""")
_UNITS = {"": 0.75, "px": 0.75, "pt": 1.0, "pc": 12.0, "in": 72.0, "cm": 72 / 2.54, "mm": 72 / 25.4,
          "q": 72 / 101.6, "em": 12.0, "rem": 12.0, "ex": 6.0}  # fmt: skip


@dataclass(slots=True)
class Extent:
    """An element or a comment, by its places in the text."""

    name: str  # without a prefix; "" for a comment
    start: int
    inside: int  # behind its opening tag
    end: int

    def holds(self, other: Extent) -> bool:
        return self.inside <= other.start < self.end


def parts(svg: str) -> list[Extent]:
    """All elements and comments in their order; none of an SVG that is not well formed: no reader shows that."""
    first = _DECLARATION.match(svg)
    before = first.end() if first else 0
    found: list[Extent] = []
    unclosed: list[Extent] = []
    parser = expat.ParserCreate()

    def opened(name: str, attributes: object) -> None:
        start = before + parser.CurrentByteIndex
        tag = _TAG.match(svg, start)
        if tag is None:
            raise ValueError("an element out of an entity, which has no place")
        unclosed.append(Extent(name.rpartition(":")[2], start, tag.end(), tag.end()))
        found.append(unclosed[-1])

    def closed(name: str) -> None:
        part = unclosed.pop()
        if not svg.startswith("/>", part.inside - 2):
            part.end = svg.index(">", before + parser.CurrentByteIndex) + 1

    def comment(words: str) -> None:
        start = before + parser.CurrentByteIndex
        end = svg.index("-->", start) + 3
        found.append(Extent("", start, end, end))

    parser.StartElementHandler, parser.EndElementHandler = opened, closed
    parser.CommentHandler = comment
    try:
        # It counts bytes: with one for every character, its places are those in the text.
        parser.Parse(re.sub(r"[^\x00-\x7f]", "x", svg[before:]).encode("ascii"), True)
    except (expat.ExpatError, ValueError):
        return []
    return found


def _named(svg: str, *names: str) -> list[Extent]:
    """The elements with one of the names. Few files have any, and the others need no parser."""
    return [part for part in parts(svg) if part.name in names] if any(name in svg for name in names) else []


def decoded(svg: bytes) -> str:
    """The text of an SVG, which may say that it is not in UTF-8."""
    head = re.match(rb"\s*<\?xml[^>]*?encoding\s*=\s*[\"']([\w-]+)[\"'][^>]*\?>", svg)
    try:
        text = svg.decode(head[1].decode() if head else "utf-8-sig")
    except (UnicodeDecodeError, LookupError):
        text = svg.decode("utf-8", "replace")
    return re.sub(r"^\ufeff?\s*<\?xml[^>]*\?>\s*", "", text)


def without_prolog(svg: bytes) -> bytes:
    """Without what stands before the first element, but for declarations that it needs."""
    start = svg.find(b"<svg")  # no parser: none reads a prolog that begins with an empty line
    head = svg[:start]
    plain = 0 < start < 5000 and b"<!ENTITY" not in head
    return svg[start:] if plain and not re.search(rb"encoding=[\"'](?!utf-8)", head, re.IGNORECASE) else svg


def _attribute(opening: str, name: str) -> str | None:
    found = re.search(rf"""\s{name}\s*=\s*(?:"([^"]*)"|'([^']*)')""", opening)
    return (found[1] if found[1] is not None else found[2]).strip() if found else None


def _points(length: str) -> float:
    """A length in points; 0 where it says none by itself, as a percentage."""
    match = re.fullmatch(r"\+?(\d*\.?\d+(?:[eE][-+]?\d+)?)\s*([a-zA-Z]*)", length)
    return float(match[1]) * _UNITS.get(match[2].lower(), 0.0) if match else 0.0


_NUMBER = re.compile(r"[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?")


def _size(opening: str, box: Sequence[float]) -> tuple[float, float]:
    """(width, height) in points; what is not said follows from the viewBox. 0 where nothing says it."""
    width, height = (_points(_attribute(opening, name) or "") for name in ("width", "height"))
    if len(box) != 4 or min(box[2:]) <= 0 or (width and height):
        return width, height
    if not (width or height):
        return box[2] * 0.75, box[3] * 0.75
    return width or height * box[2] / box[3], height or width * box[3] / box[2]


def sized(svg: str) -> str:
    """The SVG with its size in points. Without one, or with a percentage, readers disagree about it; and pixels
    are another length in Typst than in a browser."""
    root = _ROOT.search(svg)  # no parser: it would read all of the file for its first tag
    if root is None:
        return svg
    opening = root[0]
    box = [float(number) for number in _NUMBER.findall(_attribute(opening, "viewBox") or "")]
    width, height = _size(opening, box)
    if not width or not height:
        return svg
    given = "" if box else f' viewBox="0 0 {width / 0.75:.6g} {height / 0.75:.6g}"'
    bare = re.sub(r"""\s(?:width|height)\s*=\s*(?:"[^"]*"|'[^']*')""", "", opening)
    made = bare.replace("<svg", f'<svg width="{width:.6g}pt" height="{height:.6g}pt"{given}', 1)
    return svg[: root.start()] + made + svg[root.end() :]


def unwrapped(svg: bytes) -> bytes:
    """The SVG that Typst made of a PDF, out of the one that it lies in, and with a size in points."""
    text = svg.decode("utf-8")
    inside = re.findall(r'xlink:href="data:image/svg\+xml;base64,([^"]+)"', text)
    outer = _ROOT.search(text)
    if len(inside) != 1 or outer is None:
        return svg
    made = base64.b64decode(inside[0]).decode("utf-8")
    root = _ROOT.search(made)
    if root is None:
        return svg
    opening = root[0]
    for name in ("width", "height"):
        own, whole = _attribute(opening, name), _attribute(outer[0], name)
        if abs(_points(own or "") / 0.75 - _points(whole or "")) > 0.5:
            return svg  # a page that is turned
        opening = opening.replace(f'{name}="{own}"', f'{name}="{own}pt"', 1)
    return (made[: root.start()] + opening + made[root.end() :]).encode()


# No parser: families stand in style sheets, in style="…" and in attributes, and are written alike in all of them.
_NAME = r"""(?:"[^"]*"|'[^']*'|&quot;[^&;]*&quot;|[\w .+/%-]+)"""
_FAMILIES = re.compile(
    rf"""(?P<head>\bfont(?:-family)?\s*:\s*)(?P<css>{_NAME}(?:\s*,\s*{_NAME})*)"""
    r"""|(?P<name>\bfont-family\s*=\s*)(?P<quote>["'])(?P<value>.*?)(?P=quote)"""
)
_MONO = re.compile(r"mono|courier|consolas|menlo|\bcode\b|typewriter", re.IGNORECASE)
_SERIF = re.compile(
    r"(?<!sans-)(?<!sans )\bserif|times|roman|georgia|garamond|palatino|cambria|computer modern|libertin|charter",
    re.IGNORECASE,
)


def with_known_fonts(svg: str) -> str:
    """The SVG with a font that is there behind those that it names. Typst knows no `serif` or `monospace`;
    all others become sans-serif."""

    def change(match: re.Match[str]) -> str:
        families = html.unescape(match["css"] or match["value"])
        other = (
            "DejaVu Sans Mono"
            if _MONO.search(families)
            else "Libertinus Serif"
            if _SERIF.search(families)
            else ""
        )
        if not other:
            return match[0]
        if match["css"]:
            return f"{match[0].rstrip()}, {other}"
        return f"{match['name']}{match['quote']}{match['value']}, {other}{match['quote']}"

    return _FAMILIES.sub(change, svg)


_LINKED = re.compile(r"""(\s(?:xlink:)?href\s*=\s*)(["'])(?!data:|#)([^"']+)\2""")
_NOTHING = b'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'
_TYPES = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".gif": "gif", ".webp": "webp", ".svg": "svg+xml"}


def with_linked(svg: str, folder: Path, read: Callable[[Path], bytes | None]) -> tuple[str, list[str]]:
    """The SVG with the pictures that it links to inside it, where no page would look for them, and the names of
    those that are not there. ``read`` gives a file."""
    missing: list[str] = []

    def change(match: re.Match[str]) -> str:
        name = html.unescape(match[3])
        path = folder / unquoted(name.removeprefix("file://"))
        data = None if re.match(r"(https?:)?//", name) else read(path)
        kind = _TYPES.get(path.suffix.lower())
        if data is None or kind is None:
            missing.append(name)
            data, kind = _NOTHING, "svg+xml"  # Typst would refuse the whole picture
        return f"{match[1]}{match[2]}data:image/{kind};base64,{base64.b64encode(data).decode()}{match[2]}"

    out, at = [], 0
    for image in _named(svg, "image"):
        out += [svg[at : image.start], _LINKED.sub(change, svg[image.start : image.inside], count=1)]
        at = image.inside
    return "".join([*out, svg[at:]]), missing


def lost_in(svg: str, format_: Format) -> str | None:
    """What a format does not show of an SVG: text in the two forms that not every reader knows
    (test_pictures.py: test_only_what_a_reader_would_show_is_missed)."""
    flowed = _named(svg, "flowPara", "flowSpan")
    if any(re.match(r"[^<]*[^<\s]", svg[words.inside : words.end]) for words in flowed):
        return "its flowed text shows nowhere but in Inkscape; there, Text > Convert to Text makes it plain"
    if format_.keeps_tags:
        return None
    switches = _named(svg, "switch")  # which have other text for other readers
    if any(not any(switch.holds(words) for switch in switches) for words in _named(svg, "foreignObject")):
        return "its text is HTML (foreignObject), which only browsers show"
    return None
