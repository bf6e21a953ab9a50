"""The note's own images: copied beside the page, in a format that it shows; what is not there becomes a visible box."""

from __future__ import annotations

import re
from pathlib import Path

import panflute as pf

from fitnotes.document import nodes
from fitnotes.document.tree import Change, walk
from fitnotes.draw import darken, pictures
from fitnotes.draw.pictures import BadPicture
from fitnotes.draw.svg import decoded, lost_in, sized, with_linked
from fitnotes.errors import Problem
from fitnotes.passes.page import Page
from fitnotes.settings import allowed_hosts, host_of, unquoted
from fitnotes.store.inputs import file_hash


def place_images(page: Page) -> list[Problem]:
    """Copies the note's local images beside the page; what cannot be shown becomes a visible box."""
    media = page.media
    placer = _Placer(page)

    def visit(element: pf.Element) -> Change:
        url = element.url
        if (media.prefix and url.startswith(media.prefix)) or url in media.files or url.startswith("data:"):
            return None
        if alt := element.attributes.pop("fig-alt", ""):
            element.content = [pf.Str(alt)]
        dark = element.attributes.pop(nodes.DARK, "")
        if re.match(r"^(https?:)?//", url) and page.format.is_html and _allowed(url, page):
            return None
        if re.match(r"^(https?:)?//", url):
            placer.say(
                f"image {url} lies on the network; pages load nothing from there",
                url,
                "network-image",
                "save it beside the note and refer to the file, or write allow: [images] below fitnotes:",
            )
            told = "" if _is_captioned(element) else " ".join(pf.stringify(element).split())
            box = nodes.placeholder(f"image not included: {url}" + (f": {told}" if told else ""))
            box.content = [pf.Link(*box.content, url=url)]
            return box
        placed = placer.place(url)
        address = placer.place_dark(dark, url) if dark else None
        if placed is None:
            words = [] if _is_captioned(element) else list(element.content)
            return nodes.placeholder(f"image missing: {unquoted(url)}", words)
        element.url = placed
        if address:
            element.attributes[nodes.DARK] = address
        return None

    walk(page.doc, visit, pf.Image, metadata=True)
    return placer.problems


def _is_captioned(image: pf.Element) -> bool:
    """Whether the words of an image stand in its caption."""
    return image.parent is not None and isinstance(image.parent.parent, pf.Figure)


def _allowed(url: str, page: Page) -> bool:
    """Whether the settings let pages load this image from the network."""
    hosts = allowed_hosts(page.allow).get("images")
    return hosts is not None and (not hosts or host_of(url) in hosts)


class _Placer:
    """The images of one note on their way beside its page, each once."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.note = page.note
        self.media = page.media
        self.format = page.format
        self.places = page.place
        self.problems: list[Problem] = []
        self._placed: dict[str, str | None] = {}

    def say(self, message: str, url: str, code: str, hint: str | None = None) -> None:
        plain = unquoted(url)
        message = message.replace(url, plain)
        line = next((at for text in (f"]({url}", url, plain) if (at := self.note.line_of(text))), None)
        self.problems.append(Problem(code, message, self.note.shown, line, hint))

    def read(self, path: Path) -> bytes | None:
        """A file that the page shows, whether it is there or not; None if it cannot be read."""
        if not self.page.reads(path, path.name):
            return None
        self.media.inputs[str(path)] = file_hash(path)
        try:
            return path.read_bytes() if path.is_file() else None
        except (OSError, ValueError):
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
        """The file: beside the note; with a slash in front, as site generators have it, below the project's root. A
        bare name may be anywhere below the notes' folder, as in Obsidian."""
        name = unquoted(url.split("#")[0].split("?")[0])
        path = self.note.path.parent / name
        if not path.is_file() and self.note.path.is_symlink():
            return self.note.path.resolve().parent / name
        if name.startswith("/") and not path.is_file():
            return self.places.root / name.lstrip("/")
        if f"![[{name}" in self.note.text and not path.is_file():
            return next(
                (found for found in sorted(self.places.base.rglob(path.name)) if found.is_file()), path
            )
        return path

    def _place(self, url: str) -> str | None:
        path = self._path(url)
        if not self.page.reads(path, unquoted(url)):
            return None
        if not path.suffix:  # as \\includegraphics allows
            found = [path.with_name(path.name + suffix) for suffix in (".svg", ".pdf", ".png", ".jpg")]
            self.media.inputs.update((str(file), file_hash(file)) for file in found)
            path = next((file for file in found if file.is_file()), path)
        self.media.inputs[str(path)] = file_hash(path)
        try:
            if path.exists() and not path.is_file():
                raise OSError(0, "it is no file")
            data = path.read_bytes()
        except (OSError, ValueError) as error:
            known = isinstance(error, OSError) and not isinstance(error, FileNotFoundError)
            reason = str(error.strerror) if known and isinstance(error, OSError) else "not found"
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
            self.say(message, url, "unshown-picture", hint)
        return address

    def _whole(self, data: bytes, url: str, path: Path) -> tuple[bytes, str]:
        """An SVG with a size and with the pictures that it links to; what it loses on the way is said."""
        try:
            data, suffix = pictures.recognised(data, path.suffix.lower())
        except BadPicture:
            return data, path.suffix.lower()  # said when it is converted
        if suffix != ".svg":
            return data, suffix
        if lost := lost_in(decoded(data), self.format):
            self.say(f"image {url}: {lost}", url, "picture")
        data, missing = self._with_linked(data, path.parent)
        for name in missing:
            self.say(f"image {url} links to {name}, which is not shown", url, "picture", "embed it there")
        return data, suffix

    def _with_linked(self, svg: bytes, folder: Path) -> tuple[bytes, list[str]]:
        text, missing = with_linked(decoded(svg), folder, self.read)
        return sized(text).encode(), missing
