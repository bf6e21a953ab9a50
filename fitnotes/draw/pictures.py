"""Pictures in the formats that each target can show. Every conversion is done once and kept on disk.

Typst does them: it places SVG and PDF, and writes both. Where an SVG asks for fonts that it has not, the fonts of
matplotlib stand in, so that no word is lost and every machine draws the same.
"""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import html
import io
import re
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from fitnotes.document.formats import Format
from fitnotes.store.blobs import Blobs
from fitnotes.store.files import digest

VERSION = 1  # of what is below: with another one all pictures are made anew
PPI = 200  # dots to the inch where a drawing has to become dots
# Scripts and pictographs that the fonts inside Typst lack.
FOREIGN = re.compile("[\u0530-\u10ff\u2e80-\ud7ff\uf900-\ufaff\uff00-\uffef\U0001f000-\U0003ffff]")
Convert = Callable[[bytes, str], tuple[bytes, str] | None]


class BadPicture(Exception):
    """A file that is no picture, or one that cannot be converted."""


# --------------------------------------------------------------------------------------------------
# What a format can show

_DOTS = frozenset({".png", ".jpg", ".jpeg", ".gif", ".webp", ".tif", ".tiff", ".bmp", ".avif"})
# What Typst reads, which makes one picture of another.
_TYPST = frozenset({".png", ".jpg", ".jpeg", ".gif", ".webp", ".pdf"})


def converter(format_: Format, root: Path | None) -> Convert:
    """What turns a file into one that a format can show: (data, suffix) → (data, suffix), None where it
    cannot. Raises BadPicture. What it makes is kept below the project's ``root``."""
    blobs = Blobs.of(root)

    def convert(data: bytes, suffix: str) -> tuple[bytes, str] | None:
        data, suffix = recognised(data, suffix)
        if suffix in POSTSCRIPT:
            return None
        goal = _goal(format_, data, suffix)
        if goal is None:
            return None
        if goal != suffix:
            key = digest("picture", VERSION, _typst_version(), hashlib.sha256(data).hexdigest(), suffix, goal)
            return blobs.made_once(key, lambda: _made(data, suffix, goal)), goal
        if suffix == ".svg":
            data = without_prolog(data)
            _well_formed(data)
        elif suffix in _TYPST:  # one that Typst or LaTeX cannot read would end the whole document
            key = digest("read", _typst_version(), hashlib.sha256(data).hexdigest(), suffix)
            blobs.made_once(key, lambda: b"ok" if _compiled(data, suffix, "svg") else b"")
        return data, suffix

    return convert


def _well_formed(svg: bytes) -> None:
    from xml.parsers import expat

    try:
        expat.ParserCreate().Parse(svg, True)
    except (expat.ExpatError, ValueError) as error:  # an encoding that it does not know
        raise BadPicture(f"not an SVG: {error}") from None


def _goal(format_: Format, data: bytes, suffix: str) -> str | None:
    """The suffix of the file that the format gets in the place of one."""
    if suffix == ".svg" and suffix in format_.pictures and not format_.svg_words and b"<text" in data:
        return format_.drawings
    if suffix in (".jpg", ".jpeg") and not format_.turns_photos and _turned(data):
        return ".png"
    if suffix in format_.pictures:
        return suffix
    if suffix in (".svg", ".pdf"):
        return format_.drawings
    if suffix in _DOTS:
        return ".png"
    return suffix if format_.is_html else None


def _made(data: bytes, suffix: str, goal: str) -> bytes:
    if suffix in _DOTS:
        return _dots(data)
    made = _compiled(data, suffix, goal[1:])
    return _unwrapped(made) if suffix == ".pdf" and goal == ".svg" else made


POSTSCRIPT = (".eps", ".ps")
_STARTS = (
    (b"\x89PNG", ".png"), (b"\xff\xd8\xff", ".jpg"), (b"GIF8", ".gif"), (b"%PDF-", ".pdf"), (b"%!PS", ".eps"),
    (b"II*\0", ".tif"), (b"MM\0*", ".tif"),
)  # fmt: skip


def recognised(data: bytes, suffix: str) -> tuple[bytes, str]:
    """A file by what it is, whatever its name says: a JPEG named .png, or an SVG that is packed."""
    if data[:2] == b"\x1f\x8b" and suffix in (".svg", ".svgz"):
        try:
            return gzip.decompress(data), ".svg"
        except (OSError, EOFError) as error:
            raise BadPicture(str(error)) from None
    known = next((kind for start, kind in _STARTS if data.startswith(start)), "")
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        known = ".webp"
    return data, suffix if not known or (known, suffix) in ((".jpg", ".jpeg"), (".tif", ".tiff")) else known


def _turned(data: bytes) -> bool:
    """Whether a camera noted that the photo is to be turned, which LaTeX and Word do not."""
    if b"Exif" not in data[:4096]:
        return False
    from PIL import Image

    try:
        return bool(Image.open(io.BytesIO(data)).getexif().get(0x0112, 1) != 1)
    except Exception:  # said when it is placed
        return False


def _dots(data: bytes) -> bytes:
    """The first frame as PNG."""
    from PIL import Image, ImageOps

    try:
        picture = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
        out = io.BytesIO()
        dpi = picture.info.get("dpi", (0, 0))
        mode = picture.mode if picture.mode in ("RGB", "RGBA", "L", "LA", "1") else "RGBA"
        picture.convert(mode).save(out, "PNG", **({"dpi": dpi} if min(dpi) >= 30 else {}))
    except Exception as error:  # Pillow raises many kinds for a file that is not what it seems
        raise BadPicture(str(error)) from None
    return out.getvalue()


# --------------------------------------------------------------------------------------------------
# Typst


@functools.cache
def _typst_version() -> str:
    from importlib import metadata

    return metadata.version("typst")


@functools.cache
def _fonts(system: bool) -> Any:
    import matplotlib
    import typst

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return typst.Fonts(include_system_fonts=system, font_paths=[str(folder)])


def svg_to_pdf(svg: bytes) -> bytes:
    """A vector PDF of the picture's own size."""
    return _compiled(svg, ".svg", "pdf")


def svg_to_png(svg: bytes, ppi: float = PPI) -> bytes:
    """The picture in dots, ``ppi`` to the inch of its own size."""
    return _compiled(svg, ".svg", "png", ppi)


def _compiled(data: bytes, suffix: str, form: str, ppi: float = PPI) -> bytes:
    """The picture alone on a page of its size. Raises BadPicture."""
    import typst

    foreign = False
    if suffix == ".svg":
        text = with_known_fonts(decoded(data))
        foreign = FOREIGN.search(text) is not None
        data = text.encode()
    with tempfile.TemporaryDirectory(prefix="fitnotes-") as scratch:
        Path(scratch, f"picture{suffix}").write_bytes(data)
        page = Path(scratch, "picture.typ")
        page.write_text(
            "#set page(width: auto, height: auto, margin: 0pt, fill: none)\n#set text(font: \"DejaVu Sans\")\n"
            f'#image("picture{suffix}")', "utf-8",
        )  # fmt: skip
        compile_: Any = typst.compile
        dots = ppi if form == "png" else None
        try:
            made = compile_(str(page), root="/", font_paths=_fonts(foreign), format=form, ppi=dots)
        except typst.TypstError as error:
            raise BadPicture(str(getattr(error, "message", None) or error)) from None
        except BaseException as error:  # a fault in a library below it is no Exception
            if type(error).__name__ != "PanicException":
                raise
            raise BadPicture("Typst cannot read it") from None
    return _with_dpi(bytes(made), ppi) if form == "png" else bytes(made)


def _with_dpi(png: bytes, ppi: float) -> bytes:
    """The PNG with its dots to the inch, without which Word takes it for one of a screen."""
    dots = round(ppi / 0.0254)
    chunk = b"pHYs" + dots.to_bytes(4) * 2 + b"\x01"  # to the metre
    start = 33  # behind the signature and the first chunk
    return png[:start] + (9).to_bytes(4) + chunk + zlib.crc32(chunk).to_bytes(4) + png[start:]


def _unwrapped(svg: bytes) -> bytes:
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


# --------------------------------------------------------------------------------------------------
# SVG as text

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
