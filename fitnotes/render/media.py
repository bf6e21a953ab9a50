"""The files that go with a page: figures, diagrams and the note's own images.

Names carry a hash of the content, so that a new page never changes a file that the page before it uses.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fitnotes import pandoc
from fitnotes.errors import Problem
from fitnotes.execute.cache import write_atomically
from fitnotes.execute.inputs import file_hash
from fitnotes.note import Note


@dataclass(slots=True)
class Media:
    """Collects files in ``folder``; the page refers to them by ``prefix`` + name.

    ``convert`` turns a file that the target cannot show into one that it can: (data, suffix) → the same
    or another (data, suffix), or None where it cannot. ``inputs`` are the local files that were read,
    ``linked`` the notes that it has links to, with whether they are there.
    """

    folder: Path
    prefix: str
    convert: Callable[[bytes, str], tuple[bytes, str] | None] = lambda data, suffix: (data, suffix)
    files: dict[str, Path] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    linked: dict[str, str] = field(default_factory=dict)

    def add(self, data: bytes, suffix: str, stem: str) -> str | None:
        """Writes one file and returns its address in the page; None if the target cannot show it."""
        converted = self.convert(data, suffix)
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


def placeholder(text: str) -> Any:
    """A visible stand-in for an image that cannot be shown."""
    import panflute as pf

    return pf.Span(pf.Str(f"[{text}]"), classes=["missing"])


def place_images(doc: Any, note: Note, media: Media) -> list[Problem]:
    """Copies the note's local images beside the page; what cannot be shown becomes a visible box."""
    import panflute as pf

    problems: list[Problem] = []
    known: dict[str, str | None] = {}

    def visit(element: Any, doc: Any) -> Any:
        url = element.url
        if media.prefix and url.startswith(media.prefix):
            return None
        if url in media.files or url.startswith("data:"):
            return None
        line = note.line_of(f"]({url}") or note.line_of(url)
        if re.match(r"^(https?:)?//", url):
            message = f"image {url} lies on the network; pages load nothing from there"
            problems.append(
                Problem(
                    "warning",
                    message,
                    note.shown,
                    line,
                    "save it beside the note and refer to the file",
                    code="network-image",
                )
            )
            box = placeholder(f"image not included: {url}")
            box.content = [pf.Link(*box.content, url=url)]
            return box
        if url not in known:
            path = note.path.parent / urllib.parse.unquote(url.split("#")[0].split("?")[0])
            if not path.suffix:  # as \\includegraphics allows
                found = [path.with_name(path.name + suffix) for suffix in (".svg", ".pdf", ".png", ".jpg")]
                media.inputs.update((str(file), file_hash(file)) for file in found)
                path = next((file for file in found if file.is_file()), path)
            media.inputs[str(path)] = file_hash(path)
            try:
                data = path.read_bytes()
            except OSError as error:
                reason = "not found" if isinstance(error, FileNotFoundError) else str(error.strerror)
                problems.append(
                    Problem("warning", f"image {url}: {reason}", note.shown, line, code="missing-file")
                )
                known[url] = None
            else:
                known[url] = media.add(data, path.suffix.lower(), path.stem)
                if known[url] is None:
                    message = f"image {url}: this target cannot show {path.suffix} files"
                    problems.append(Problem("warning", message, note.shown, line))
        if known[url] is None:
            return placeholder(f"image missing: {url}")
        element.url = known[url]
        return None

    pandoc.walk(doc, visit, pf.Image, metadata=True)
    return problems
