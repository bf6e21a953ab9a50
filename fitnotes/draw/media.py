"""The files that go with a page: figures, diagrams and the note's own images.

Names carry a hash of the content, so that a new page never changes a file that the page before it uses.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fitnotes.document import pandoc
from fitnotes.draw import darken, pictures
from fitnotes.draw.pictures import BadPicture, Convert
from fitnotes.errors import Problem
from fitnotes.execute.cache import write_atomically
from fitnotes.source.note import Note
from fitnotes.store.inputs import file_hash

DARK = "fig-dark"  # attribute of an image: the address of the one for dark pages


@dataclass(slots=True)
class Media:
    """Collects files in ``folder``; the page refers to them by ``prefix`` + name.

    ``convert`` turns a file that the target cannot show into one that it can (see `pictures.converter`).
    ``inputs`` are the local files that were read, ``linked`` the notes that it has links to, with whether they
    are there; ``why`` is the reason why the last file could not be shown. ``asked``: False where nobody looks at
    the page, only at its labels and problems. ``dark``: the page has a dark look, and wants pictures for it.
    """

    folder: Path
    prefix: str
    convert: Convert = lambda data, suffix: (data, suffix)
    asked: bool = True
    dark: bool = False
    why: str = ""
    files: dict[str, Path] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    linked: dict[str, str] = field(default_factory=dict)

    def add(self, data: bytes, suffix: str, stem: str) -> str | None:
        """Writes one file and returns its address in the page; None if the target cannot show it."""
        self.why = ""
        try:
            converted = self.convert(data, suffix)
        except BadPicture as error:
            self.why = str(error)
            return None
        if converted is None:
            return None
        data, suffix = converted
        safe = re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-")[:60] or "image"
        name = f"{safe}-{hashlib.sha256(data).hexdigest()[:10]}{suffix}"
        path = self.folder / name
        if name not in self.files and not (path.is_file() and path.read_bytes() == data):
            write_atomically(path, data)
        self.files[name] = path
        return f"{self.prefix}{name}"


def remove_old(files: Path, keep: set[str]) -> None:
    """Takes away the files of an earlier page: those with a hash in their name that this one does not use."""
    if not files.is_dir():
        return
    for path in files.iterdir():
        if path.name not in keep and re.search(r"-[0-9a-f]{10}\.\w+$", path.name):
            path.unlink(missing_ok=True)
    if not any(files.iterdir()):
        shutil.rmtree(files, ignore_errors=True)


MISSING_PART = "missing-part"  # a placeholder and its caption, in the place of an image inside a figure


def placeholder(text: str) -> Any:
    """A visible stand-in for an image that cannot be shown."""
    import panflute as pf

    return pf.Span(pf.Str(f"[{text}]"), classes=["missing"])


def place_images(doc: Any, note: Note, media: Media) -> list[Problem]:
    """Copies the note's local images beside the page; what cannot be shown becomes a visible box."""
    import panflute as pf

    placer = _Placer(note, media, str(doc.format))

    def visit(element: Any, doc: Any) -> Any:
        url = element.url
        if (media.prefix and url.startswith(media.prefix)) or url in media.files or url.startswith("data:"):
            return None
        if alt := element.attributes.pop("fig-alt", ""):
            element.content = [pf.Str(alt)]
        dark = element.attributes.pop(DARK, "")
        if re.match(r"^(https?:)?//", url):
            placer.say(
                f"image {url} lies on the network; pages load nothing from there",
                url,
                "network-image",
                "save it beside the note and refer to the file",
            )
            box = placeholder(f"image not included: {url}")
            box.content = [pf.Link(*box.content, url=url)]
            return box
        placed = placer.place(url)
        address = placer.place_dark(dark, url) if dark else None
        if placed is None:
            return placeholder(f"image missing: {url}")
        element.url = placed
        if address:
            element.attributes[DARK] = address
        return None

    pandoc.walk(doc, visit, pf.Image, metadata=True)
    return placer.problems


class _Placer:
    """The images of one note on their way beside its page, each once."""

    def __init__(self, note: Note, media: Media, target: str) -> None:
        self.note = note
        self.media = media
        self.target = target
        self.problems: list[Problem] = []
        self._placed: dict[str, str | None] = {}

    def say(self, message: str, url: str, code: str, hint: str | None = None) -> None:
        line = self.note.line_of(f"]({url}") or self.note.line_of(url)
        self.problems.append(Problem("warning", message, self.note.shown, line, hint, code=code))

    def read(self, path: Path) -> bytes | None:
        """A file that the page shows, whether it is there or not; None if it cannot be read."""
        self.media.inputs[str(path)] = file_hash(path)
        try:
            return path.read_bytes()
        except OSError:
            return None

    def place(self, url: str) -> str | None:
        """The address of the note's own image ``url`` in the page; None, and a warning, if there is none."""
        if url not in self._placed:
            self._placed[url] = self._place(url)
        return self._placed[url]

    def place_dark(self, dark: str, url: str) -> str | None:
        """The address of the image for dark pages: a file, or, for ``true``, the image itself recoloured."""
        if not self.media.dark:
            self.read(self._path(dark)) if dark.lower() not in ("true", "false") else None
            return None
        if dark.lower() == "false":
            return None
        if dark.lower() != "true":
            return self.place(dark)
        if not self.media.asked:
            return None
        path = self._path(url)
        data = self.read(path)
        svg = self._shown_as_svg(data, path.suffix.lower(), path.parent) if data else None
        if svg is None:
            self.say(
                f"image {url}: only a drawing (SVG, PDF) can be recoloured for dark pages", url, "picture"
            )
            return None
        return self.media.add(darken.darkened(svg), ".svg", f"{path.stem}-dark")

    def _shown_as_svg(self, data: bytes, suffix: str, folder: Path) -> bytes | None:
        try:
            if suffix in (".svg", ".svgz"):
                data, suffix = pictures.recognised(data, suffix)
                data = self._with_linked(data, folder)[0]
            found = self.media.convert(data, suffix)
        except BadPicture:
            return None
        return found[0] if found and found[1] == ".svg" else None

    def _path(self, url: str) -> Path:
        return self.note.path.parent / urllib.parse.unquote(url.split("#")[0].split("?")[0])

    def _place(self, url: str) -> str | None:
        path = self._path(url)
        if not path.suffix:  # as \\includegraphics allows
            found = [path.with_name(path.name + suffix) for suffix in (".svg", ".pdf", ".png", ".jpg")]
            self.media.inputs.update((str(file), file_hash(file)) for file in found)
            path = next((file for file in found if file.is_file()), path)
        self.media.inputs[str(path)] = file_hash(path)
        try:
            data = path.read_bytes()
        except OSError as error:
            reason = "not found" if isinstance(error, FileNotFoundError) else str(error.strerror)
            self.say(f"image {url}: {reason}", url, "missing-file")
            return None
        suffix = path.suffix.lower()
        if suffix in (".svg", ".svgz"):
            data, suffix = self._whole(data, url, path)
        address = self.media.add(data, suffix, path.stem)
        if address is None and self.media.why:
            self.say(f"image {url} cannot be read: {self.media.why}", url, "picture")
        elif address is None:
            hint = "convert it to PDF (epstopdf does) or SVG" if suffix in pictures.POSTSCRIPT else None
            message = f"image {url}: this target cannot show {path.suffix} files"
            self.say(message, url, "picture" if suffix in pictures.POSTSCRIPT else "", hint)
        return address

    def _whole(self, data: bytes, url: str, path: Path) -> tuple[bytes, str]:
        """An SVG with a size and with the pictures that it links to; what it loses on the way is said."""
        try:
            data, suffix = pictures.recognised(data, path.suffix.lower())
        except BadPicture:
            return data, path.suffix.lower()  # said when it is converted
        if suffix != ".svg":
            return data, suffix
        if lost := pictures.lost_in(pictures.decoded(data), self.target):
            self.say(f"image {url}: {lost}", url, "picture")
        data, missing = self._with_linked(data, path.parent)
        for name in missing:
            self.say(f"image {url} links to {name}, which is not shown", url, "picture", "embed it there")
        return data, suffix

    def _with_linked(self, svg: bytes, folder: Path) -> tuple[bytes, list[str]]:
        text, missing = pictures.with_linked(pictures.decoded(svg), folder, self.read)
        return pictures.sized(text).encode(), missing
