"""Which pages are up to date: a record for each, with everything it was made from.

A record is written after its page and only for a page without errors, so whatever interrupts a build,
the next one finds either the whole page or a reason to write it.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fitnotes.build.request import Request
from fitnotes.build.sources import Source
from fitnotes.errors import Problem
from fitnotes.settings import Project
from fitnotes.source.note import Note
from fitnotes.store.files import digest, write_atomically
from fitnotes.store.inputs import FILE, Current, Input, file_hash, stored_path


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
    """``inputs``: everything else that the page shows or that its blocks depended on, as it was; ``files``: what was
    written beside it, by name, and what was in each."""

    stamp: str
    page: str
    content: str
    inputs: tuple[Input, ...]
    files: tuple[tuple[str, str], ...]
    warnings: tuple[Problem, ...]
    source: str = ""

    @classmethod
    def read(cls, data: bytes) -> Record:
        """Raises what a record that nobody wrote so raises: `BROKEN`."""
        fields = json.loads(data)
        return cls(
            fields["stamp"],
            str(fields["page"]),
            str(fields["content"]),
            tuple(Input(*item) for item in fields["inputs"]),
            tuple((str(name), str(content)) for name, content in fields["files"]),
            tuple(Problem(**warning) for warning in fields["warnings"]),
            str(fields["source"]),
        )

    def written(self, root: Path, folder: Path) -> dict[Path, bool]:
        """The page and the files beside it, as far as they are there, each with whether it may be removed: it is as it
        was written and lies in ``folder``. A record may have come with somebody else's project."""
        page = root / self.page
        below = folder.resolve()
        return {
            path: path.resolve().is_relative_to(below) and file_hash(path) == content
            for path, content in (
                (page, self.content),
                *((page.parent / name, known) for name, known in self.files),
            )
            if path.is_file()
        }


BROKEN = (OSError, ValueError, KeyError, TypeError, RecursionError)


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
            return Record.read(self._path(page).read_bytes())
        except BROKEN:
            return None

    def fresh(self, page: Path, stamp: str, current: Current) -> Record | None:
        """The record, if the page on disk is the one that would be written again."""
        record = self.load(page)
        if record is None or not stamp or record.stamp != stamp or file_hash(page) != record.content:
            return None
        beside = (
            Input(FILE, stored_path(str(page.parent / name), self.root), known)
            for name, known in record.files
        )
        if current.changed(beside) is not None:
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
        beside = sorted((stored_path(str(file), page.parent), file_hash(file)) for file in set(files))
        record = Record(
            stamp,
            stored_path(str(page), self.root),
            file_hash(page),
            tuple(sorted(set(inputs))),
            tuple(beside),
            tuple(warnings),
            stored_path(str(source), self.root),
        )
        write_atomically(self._path(page), json.dumps(asdict(record)).encode())

    def remove_orphans(self, output: Path) -> list[tuple[Path, Path]]:
        """Removes the pages below ``output`` whose notes are gone, as far as they are as they were written; gives
        each with its note. What only they show goes with them."""
        gone: list[tuple[Path, Record, dict[Path, bool]]] = []
        used: set[Path] = set()
        for file, record in self.all():
            written = record.written(self.root, output)
            page = self.root / record.page
            orphan = bool(record.source) and not (self.root / record.source).exists()
            if orphan and page.is_relative_to(output) and written.get(page, True):
                gone.append((file, record, written))
            else:
                used |= set(written)
        for file, _, written in gone:
            for path, removable in written.items():
                if removable and path not in used:
                    path.unlink(missing_ok=True)
            file.unlink(missing_ok=True)
        return [(self.root / record.page, self.root / record.source) for _, record, _ in gone]

    def all(self) -> Iterator[tuple[Path, Record]]:
        """Every record with its file; those that cannot be read are passed over."""
        for file in sorted(self.folder.glob("*.json")):
            with contextlib.suppress(*BROKEN):
                yield file, Record.read(file.read_bytes())


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
            self.request.outside,
        )
