"""Which pages are up to date: a record for each, with everything it was made from.

A record is written after its page and only for a page without errors, so whatever interrupts a build,
the next one finds either the whole page or a reason to write it.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fitnotes.build.request import Request
from fitnotes.build.sources import Source
from fitnotes.errors import Problem
from fitnotes.settings import Project
from fitnotes.source.note import Note
from fitnotes.store.files import digest, write_atomically
from fitnotes.store.inputs import MISSING, Current, Input, file_hash, stored_path


@functools.cache
def program_signature() -> str:
    """A hash of fitnotes itself, code and templates: another version writes other pages."""
    from fitnotes.document import pandoc

    total = hashlib.sha256()
    package = Path(__file__).parents[1]
    for folder, pattern in ((package, "**/*.py"), (pandoc.data_dir() / "templates", "*")):
        for file in sorted(folder.glob(pattern)):
            if file.is_file() and "training" not in file.parts:
                total.update(file.name.encode() + b"\0" + file.read_bytes())
    return total.hexdigest()


@dataclass(frozen=True, slots=True)
class Record:
    """``inputs``: everything else that the page shows or that its blocks depended on, as it was."""

    stamp: str
    page: str
    content: str
    inputs: tuple[Input, ...]
    files: tuple[str, ...]
    warnings: tuple[Problem, ...]
    source: str = ""


class Pages:
    def __init__(self, root: Path, folder: Path) -> None:
        self.root = root
        self.folder = folder

    def _path(self, page: Path) -> Path:
        return self.folder / f"{digest(stored_path(str(page), self.root))[:32]}.json"

    def known(self, page: Path) -> bool:
        return self._path(page).is_file()

    def load(self, page: Path) -> Record | None:
        try:
            data = json.loads(self._path(page).read_bytes())
            return Record(
                data["stamp"],
                data["page"],
                data["content"],
                tuple(Input(*item) for item in data["inputs"]),
                tuple(data["files"]),
                tuple(Problem(**w) for w in data["warnings"]),
                data["source"],
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def fresh(self, page: Path, stamp: str, current: Current) -> Record | None:
        """The record, if the page on disk is the one that would be written again."""
        record = self.load(page)
        if record is None or not stamp or record.stamp != stamp or file_hash(page) != record.content:
            return None
        if not all((page.parent / name).is_file() for name in record.files):
            return None
        return record if current.changed(record.inputs) is None else None

    def store(
        self,
        page: Path,
        source: Path,
        stamp: str,
        inputs: Iterable[Input],
        files: Sequence[Path],
        warnings: Sequence[Problem],
    ) -> None:
        names = tuple(sorted(stored_path(str(file), page.parent) for file in files))
        record = Record(
            stamp,
            stored_path(str(page), self.root),
            file_hash(page),
            tuple(sorted(set(inputs))),
            names,
            tuple(warnings),
            stored_path(str(source), self.root),
        )
        write_atomically(self._path(page), json.dumps(asdict(record)).encode())

    def remove_orphans(self, output: Path) -> list[tuple[Path, Path]]:
        """Removes the pages below ``output`` whose notes are gone, as far as they are as they were written; gives
        each with its note. What only they show goes with them."""
        gone: list[tuple[Path, Record]] = []
        used: set[Path] = set()
        for file in self.folder.glob("*.json"):
            try:
                data = json.loads(file.read_bytes())
                page, source = self.root / data["page"], self.root / data["source"]
                files = {page.parent / name for name in data["files"]}
                orphan = bool(data["source"]) and not source.exists() and page.is_relative_to(output)
            except (OSError, ValueError, KeyError, TypeError):
                continue
            if orphan and file_hash(page) in (data["content"], MISSING):
                gone.append((file, Record("", str(page), "", (), tuple(map(str, files)), (), str(source))))
            else:
                used |= files
        for file, record in gone:
            for path in (Path(record.page), *map(Path, record.files), file):
                if path not in used:
                    path.unlink(missing_ok=True)
        return [(Path(record.page), Path(record.source)) for _, record in gone]

    def all(self) -> list[Record]:
        found = []
        if self.folder.is_dir():
            for file in sorted(self.folder.glob("*.json")):
                try:
                    data = json.loads(file.read_bytes())
                    found.append(Record("", data["page"], "", (), tuple(data["files"]), ()))
                except (OSError, ValueError, KeyError, TypeError):
                    continue
        return found


FAILED = "failed "  # in front of the stamp of a page with errors, which is never up to date


class Freshness:
    """Which pages of a build are up to date."""

    def __init__(self, project: Project, request: Request, current: Current) -> None:
        self.project = project
        self.request = request
        self.current = current
        self.pages = Pages(project.root, project.store / "pages")
        self.output = request.output or project.output

    def page(self, source: Source, target: str) -> Path:
        """The file of a note's page."""
        return self.request.page or source.page(self.output, target)

    def known(self, source: Source, target: str) -> bool:
        """Whether it has been written before."""
        return self.pages.known(self.page(source, target))

    def record(self, source: Source, note: Note, target: str) -> Record | None:
        """The record of a page that needs no writing. One with errors needs it, but in a watch, where nothing that
        it is made from has changed."""
        if self.request.refresh:
            return None
        page, stamp = self.page(source, target), self._stamp(note, target)
        record = self.pages.fresh(page, stamp, self.current)
        if record is None and self.request.retry is not None and source.path not in self.request.retry:
            record = self.pages.fresh(page, FAILED + stamp, self.current)
        return record

    def store(
        self,
        source: Source,
        note: Note,
        target: str,
        inputs: Iterable[Input],
        files: Sequence[Path],
        warnings: Sequence[Problem],
        *,
        failed: bool,
    ) -> None:
        """Notes that a page has been written, and what from."""
        stamp = (FAILED if failed else "") + self._stamp(note, target)
        page = self.page(source, target)
        with contextlib.suppress(OSError):  # said when the results could not be stored
            self.pages.store(page, source.path, stamp, inputs, files, warnings)

    def _stamp(self, note: Note, target: str) -> str:
        """Changes with everything but the inputs that a page depends on."""
        return digest(
            program_signature(),
            note.text,
            asdict(self.project.settings),
            self.request.overrides,
            target,
            self.request.embed,
            self.request.execute,
        )
