"""The files that go with a page: figures, diagrams and the note's own images.

Names carry a hash of the content, so that a new page never changes a file that the page before it uses.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from fitnotes.draw.inert import inert
from fitnotes.draw.pictures import BadPicture, Convert
from fitnotes.store.files import write_atomically
from fitnotes.store.inputs import file_hash


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

    def copy(self, file: Path) -> str:
        """The address of a file that the page shows as it is."""
        data = file.read_bytes()
        if file.suffix.lower() == ".svg":  # whoever opens it by itself runs what is in it
            with contextlib.suppress(ElementTree.ParseError):
                data = inert(data.decode("utf-8", "replace")).encode()
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", file.stem).strip("-")[:60] or "file"
        name = f"{stem}-{hashlib.sha256(data).hexdigest()[:10]}{file.suffix.lower()}"
        path = self.folder / name
        if name not in self.files and not (path.is_file() and path.read_bytes() == data):
            write_atomically(path, data)
        self.files[name] = path
        self.inputs[str(file)] = file_hash(file)
        return f"{self.prefix}{name}"


def remove_old(files: Path, keep: set[str]) -> None:
    """Takes away the files of an earlier page: those with a hash in their name that this one does not use."""
    if not files.is_dir() or files.is_symlink():
        return
    for path in files.iterdir():
        if path.name not in keep and re.search(r"-[0-9a-f]{10}\.\w+$", path.name):
            path.unlink(missing_ok=True)
    if not any(files.iterdir()):
        shutil.rmtree(files, ignore_errors=True)
