"""Pictures in the formats that each target can show. Every conversion is done once and kept on disk.

Typst does them: it places SVG and PDF, and writes both. Where an SVG asks for fonts that it has not, the fonts of
matplotlib stand in, so that no word is lost and every machine draws the same.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

from fitnotes.document.formats import Format
from fitnotes.draw import apart
from fitnotes.draw.inert import inert
from fitnotes.draw.svg import decoded, unwrapped, with_known_fonts, without_prolog
from fitnotes.store.blobs import Blobs
from fitnotes.store.files import digest

VERSION = 2  # of what is below: with another one all pictures are made anew
PPI = 200  # dots to the inch where a drawing has to become dots
# Scripts and pictographs that the fonts inside Typst lack.
FOREIGN = re.compile("[\u0530-\u10ff\u2e80-\ud7ff\uf900-\ufaff\uff00-\uffef\U0001f000-\U0003ffff]")
Convert = Callable[[bytes, str], tuple[bytes, str] | None]


class BadPicture(Exception):
    """A file that is no picture, or one that cannot be converted."""


# --------------------------------------------------------------------------------------------------
# What a format can show

_DOTS = frozenset({".png", ".jpg", ".jpeg", ".gif", ".webp", ".tif", ".tiff", ".bmp", ".avif"})
# What browsers show as a picture.
SHOWN = _DOTS | {
    ".svg",
    ".svgz",
    ".pdf",
    ".apng",
    ".ico",
    ".jfif",
    ".jxl",
    ".heic",
    ".mp4",
    ".webm",
    ".ogv",
    ".mov",
}
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
        if format_.is_html and suffix not in SHOWN:
            raise BadPicture(f"{suffix or 'a file without a suffix'} is no picture")
        goal = _goal(format_, data, suffix)
        if goal is None:
            return None
        if goal != suffix:
            key = digest("picture", VERSION, _typst_version(), hashlib.sha256(data).hexdigest(), suffix, goal)
            return blobs.made_once(key, lambda: _made(data, suffix, goal)), goal
        if suffix == ".svg":
            data = without_prolog(data)
            _well_formed(data)
            data = _inert(data)
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


def _inert(svg: bytes) -> bytes:
    text = decoded(svg)
    try:
        made = inert(text)
    except ElementTree.ParseError as error:
        raise BadPicture(f"not an SVG: {error}") from None
    return svg if made == text else re.sub(r"^\s*<\?xml[^>]*\?>", "", made).encode()


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
    return unwrapped(made) if suffix == ".pdf" and goal == ".svg" else made


POSTSCRIPT = (".eps", ".ps")
_LARGEST = 64 << 20  # bytes of a packed drawing
_STARTS = (
    (b"\x89PNG", ".png"), (b"\xff\xd8\xff", ".jpg"), (b"GIF8", ".gif"), (b"%PDF-", ".pdf"), (b"%!PS", ".eps"),
    (b"II*\0", ".tif"), (b"MM\0*", ".tif"),
)  # fmt: skip


def recognised(data: bytes, suffix: str) -> tuple[bytes, str]:
    """A file by what it is, whatever its name says: a JPEG named .png, or an SVG that is packed."""
    if data[:2] == b"\x1f\x8b" and suffix in (".svg", ".svgz"):
        try:
            with gzip.open(io.BytesIO(data)) as packed:
                whole = packed.read(_LARGEST + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise BadPicture(str(error)) from None
        if len(whole) > _LARGEST:
            raise BadPicture(f"more than {_LARGEST >> 20} MB when it is unpacked")
        return whole, ".svg"
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


def svg_to_pdf(svg: bytes) -> bytes:
    """A vector PDF of the picture's own size."""
    return _compiled(svg, ".svg", "pdf")


def svg_to_png(svg: bytes, ppi: float = PPI) -> bytes:
    """The picture in dots, ``ppi`` to the inch of its own size."""
    return _compiled(svg, ".svg", "png", ppi)


def _compiled(data: bytes, suffix: str, form: str, ppi: float = PPI) -> bytes:
    """The picture alone on a page of its size. Raises BadPicture."""
    import matplotlib

    foreign = False
    if suffix == ".svg":
        text = with_known_fonts(decoded(data))
        foreign = FOREIGN.search(text) is not None
        data = text.encode()
    page = (
        "#set document(date: none)\n#set page(width: auto, height: auto, margin: 0pt, fill: none)\n"
        '#set text(font: "DejaVu Sans")\n'
        f'#image("picture{suffix}")'
    )
    try:
        made = apart.compile_picture(
            data,
            name="picture.typ",
            files={f"picture{suffix}": None, "picture.typ": page},
            form=form,
            ppi=ppi if form == "png" else None,
            system=foreign,
            fonts=str(Path(matplotlib.get_data_path()) / "fonts" / "ttf"),
        )
    except apart.Failed as failed:
        raise BadPicture(failed.message) from None
    return _with_dpi(made, ppi) if form == "png" else made


def _with_dpi(png: bytes, ppi: float) -> bytes:
    """The PNG with its dots to the inch, without which Word takes it for one of a screen."""
    dots = round(ppi / 0.0254)
    chunk = b"pHYs" + dots.to_bytes(4) * 2 + b"\x01"  # to the metre
    start = 33  # behind the signature and the first chunk
    return png[:start] + (9).to_bytes(4) + chunk + zlib.crc32(chunk).to_bytes(4) + png[start:]
