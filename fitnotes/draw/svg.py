"""The text of an SVG: what is changed in it before a target or Typst gets it."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

from fitnotes.document.formats import Format

_ROOT = re.compile(r"""<svg\b(?:[^>"']|"[^"]*"|'[^']*')*>""")
_UNITS = {"": 0.75, "px": 0.75, "pt": 1.0, "pc": 12.0, "in": 72.0, "cm": 72 / 2.54, "mm": 72 / 25.4,
          "q": 72 / 101.6, "em": 12.0, "rem": 12.0, "ex": 6.0}  # fmt: skip


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
    start = svg.find(b"<svg")
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


def sized(svg: str) -> str:
    """The SVG with its size in points. Without one, or with a percentage, readers disagree about it; and pixels
    are another length in Typst than in a browser."""
    root = _ROOT.search(svg)
    if root is None:
        return svg
    opening = root[0]
    box = [
        float(n) for n in re.findall(r"[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?", _attribute(opening, "viewBox") or "")
    ]
    width, height = (_points(_attribute(opening, name) or "") for name in ("width", "height"))
    if len(box) == 4 and box[2] > 0 and box[3] > 0:
        if width and not height:
            height = width * box[3] / box[2]
        elif height and not width:
            width = height * box[2] / box[3]
        elif not width:
            width, height = box[2] * 0.75, box[3] * 0.75
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


_LINKED = re.compile(r"""(<image\b[^>]*?\b(?:xlink:)?href\s*=\s*)(["'])(?!data:|#)([^"']+)\2""")
_NOTHING = b'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'
_TYPES = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".gif": "gif", ".webp": "webp", ".svg": "svg+xml"}


def with_linked(svg: str, folder: Path, read: Callable[[Path], bytes | None]) -> tuple[str, list[str]]:
    """The SVG with the pictures that it links to inside it, where no page would look for them, and the names of
    those that are not there. ``read`` gives a file."""
    missing: list[str] = []

    def change(match: re.Match[str]) -> str:
        name = html.unescape(match[3])
        path = folder / unquote(name.removeprefix("file://"))
        data = None if re.match(r"(https?:)?//", name) else read(path)
        kind = _TYPES.get(path.suffix.lower())
        if data is None or kind is None:
            missing.append(name)
            data, kind = _NOTHING, "svg+xml"  # Typst would refuse the whole picture
        return f"{match[1]}{match[2]}data:image/{kind};base64,{base64.b64encode(data).decode()}{match[2]}"

    return _LINKED.sub(change, svg), missing


def lost_in(svg: str, format_: Format) -> str | None:
    """What a format does not show of an SVG: text in the two forms that not every reader knows."""
    if re.search(r"<(?:svg:)?flowRoot\b", svg) and re.search(
        r"<(?:svg:)?flow(?:Para|Span)\b[^>]*>[^<]*\S", svg
    ):
        return "its flowed text shows nowhere but in Inkscape; there, Text > Convert to Text makes it plain"
    outside = re.sub(r"(?s)<switch\b.*?</switch>", "", svg)
    if not format_.keeps_tags and "<foreignObject" in outside:
        return "its text is HTML (foreignObject), which only browsers show"
    return None
