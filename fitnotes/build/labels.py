"""Labels of other notes: what ``\\eqref{eq:x}`` or ``@other#eq-x`` means when the note itself has no such label."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from fitnotes.build.sources import Source, notes_below
from fitnotes.errors import FitnotesError
from fitnotes.execute.run import Executor
from fitnotes.settings import Project
from fitnotes.source.include import put_in
from fitnotes.source.note import read_note

if TYPE_CHECKING:
    from fitnotes.passes.crossrefs import Labelled


class NotYet(Exception):
    """The other note is being built too, and its blocks have not run yet."""


class Labels:
    """The labels of a project's notes, read when they are asked for and kept for one build.

    ``overrides`` are settings of the command line, ``running`` the notes whose results are not known yet.
    """

    def __init__(
        self,
        project: Project,
        sources: Sequence[Source],
        executor: Executor,
        overrides: Mapping[str, object] | None = None,
    ) -> None:
        self._project = project
        self._overrides = dict(overrides or {})
        self._executor = executor
        self._sources = {source.path: source for source in sources}
        self._known: dict[Path, dict[str, Labelled]] = {}
        self._texts: dict[Path, str] = {}
        self._included: dict[Path, set[Path]] = {}
        self._lock = threading.Lock()
        self._walked: set[Path] = set()
        self.running: set[Path] = set()

    def start(self, running: Iterable[Path]) -> None:
        """These notes are going to be built: what was known of their labels no longer holds."""
        self.running = set(running)
        for path in self.running:
            self._known.pop(path, None)
            self._texts.pop(path, None)

    def find(self, label: str, asking: Source, suffix: str, used: set[Path]) -> list[tuple[str, Labelled]]:
        """(address, target) for every other note that has ``label``; ``note#label`` names the note, and ``note#`` alone
        asks for all that it has.

        The paths of these go into ``used``. Raises NotYet.
        """
        found = self._find(label, asking, suffix, used)
        if not found and asking.base not in self._walked:  # notes that nobody named
            self._walked.add(asking.base)
            for source in notes_below(asking.base):
                self._sources.setdefault(source.path, source)
            found = self._find(label, asking, suffix, used)
        return found

    def _find(self, label: str, asking: Source, suffix: str, used: set[Path]) -> list[tuple[str, Labelled]]:
        wanted, mark, label = label.rpartition("#")
        found = []
        for path, source in list(self._sources.items()):
            if path == asking.path or source.base != asking.base:
                continue
            if mark and wanted not in (path.stem, source.relative.with_suffix("").as_posix()):
                continue
            if label not in self._text(path):
                continue
            if path in self.running:
                raise NotYet
            known = self._of(source)
            names = [name for name in (known if mark and not label else [label]) if name in known]
            if not names:
                continue
            used.add(path)
            page = quote(
                Path(os.path.relpath(source.relative.with_suffix(suffix), asking.relative.parent)).as_posix()
            )
            found += [(f"{page}#{name}", known[name]) for name in names]
        return found

    def included(self, path: Path) -> set[Path]:
        """The files whose text a note includes."""
        self._text(path)
        return self._included.get(path, set())

    def _text(self, path: Path) -> str:
        if path not in self._texts:
            try:
                text = path.read_text(encoding="utf-8", errors="replace")
                self._texts[path], parts = put_in(text, path, self._project.root)
                self._included[path] = {part.path for part in parts} - {path}
            except OSError:
                self._texts[path] = ""
        return self._texts[path]

    def _of(self, source: Source) -> dict[str, Labelled]:
        """The labels of one note, with the stored results of its blocks."""
        with self._lock:
            if source.path not in self._known:
                try:
                    self._known[source.path] = self._read(source)
                except FitnotesError:
                    self._known[source.path] = {}  # said when that note itself is built
            return self._known[source.path]

    def _read(self, source: Source) -> dict[str, Labelled]:
        from fitnotes.document.read import read_document
        from fitnotes.draw.media import Media
        from fitnotes.passes.page import Place
        from fitnotes.passes.pipeline import compose
        from fitnotes.targets.html import HTML

        note = read_note(source.path, self._project.root)
        document = read_document(note, self._project.settings, self._overrides)
        done = self._executor.look(note, document.blocks, document.settings)
        results = {index: result for index, result in done.results.items() if result.status == "ok"}
        media = Media(Path(), "", convert=lambda data, suffix: None, asked=False)
        place = Place(source.base, self._project.root)
        return compose(document, results, HTML, media, place, labels_only=True).refs.targets
