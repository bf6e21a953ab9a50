"""A build of several notes: which have to be written, in which order, how often, and when each is reported.

Where sessions run and how a note becomes pages is for others: `Executor` and `NoteBuilder`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path

from fitnotes.build.clean import refuse_links
from fitnotes.build.freshness import Freshness
from fitnotes.build.labels import Labels
from fitnotes.build.note import NoteBuilder
from fitnotes.build.request import Outcome, Report, Request
from fitnotes.build.sources import Source, notes_below
from fitnotes.errors import OUTSIDE, TRUST, FitnotesError, Problem, UsageError
from fitnotes.execute import plan as planning
from fitnotes.execute.copies import Copies
from fitnotes.execute.run import Executor
from fitnotes.execute.sessions import set_environment, start_server
from fitnotes.execute.slots import cores
from fitnotes.settings import Project, display_path
from fitnotes.source.note import Note, deep_stacks, read_note
from fitnotes.store.inputs import MISSING, RESULTS
from fitnotes.targets import registry

ROUNDS = 3  # builds of a note because others wrote what it read


@dataclass(frozen=True, slots=True)
class Work:
    """A note with the targets whose pages have to be written."""

    source: Source
    note: Note
    targets: tuple[str, ...]


class Build:
    """One run of ``fitnotes build``. `run` may be called once. ``kept``: sessions of a watch."""

    def __init__(
        self, project: Project, request: Request, report: Report, kept: Copies | None = None
    ) -> None:
        self.project = project
        self.request = request
        self.report = report
        self.cancel = threading.Event()
        self.jobs = max(1, request.jobs or cores() // project.settings.threads)
        self.executor = Executor(
            project,
            run=request.execute,
            refresh=request.refresh,
            jobs=self.jobs,
            cancel=self.cancel,
            kept=kept,
            start=self._start_server,
            pages=[project.output / name for name in registry.targets()],
        )
        self.freshness = Freshness(project, request, self.executor.current)
        self._labels = Labels(project, [], self.executor, dict(request.overrides))
        self._notes = self._builder()
        self._preloads: list[str] = []
        self._outcomes: dict[Path, Outcome] = {}
        self._told: list[Source] = []  # whose outcome is still to be reported, in order

    @property
    def running(self) -> set[Path]:
        """The notes that are being built now."""
        return self._notes.running

    def run(self, sources: Sequence[Source]) -> list[Outcome]:
        """Builds the notes, several at a time, and returns their outcomes in the order of ``sources``, which is
        also the order in which they are reported."""
        if not (self.request.execute or self.request.outside):
            refuse_links(self.project)
        set_environment(self.project.settings.threads)
        deep_stacks()
        others = self._others(sources)
        overrides = dict(self.request.overrides)
        self._labels = Labels(self.project, [*others, *sources], self.executor, overrides)
        self._notes = self._builder()
        self._told = list(sources)
        work = self._stale(sources)
        for round_ in range(ROUNDS):
            if not work:
                break
            self._round(work, again=round_ > 0)
            work = self._stale(self._outdated(sources))
        for one in work:
            message = "it reads what other notes write, and they what it writes: no order is right"
            self._warn(one.source.path, message)
        self._shared_files()
        self._report(last=True)
        self._tidy(sources)
        return [self._outcomes[source.path] for source in sources]

    def _builder(self) -> NoteBuilder:
        return NoteBuilder(
            self.project, self.request, self.report, self.executor, self.freshness, self._labels, self.cancel
        )

    def _start_server(self) -> None:
        start_server(self._preloads, self.project.settings.threads, self.project.root)

    def _tidy(self, sources: Sequence[Source]) -> None:
        """Removes pages whose notes are gone, and results used longest ago."""
        if self.request.page is None and not self._others(sources):
            for page, note in self.freshness.pages.remove_orphans(self.freshness.output):
                message = f"removed, since its note {display_path(note)} is gone"
                self.report.problem(Problem("orphan", message, display_path(page)))
        if self.executor.cache.stored and self.project.settings.cache_size:
            self.executor.cache.trim(self.project.settings.cache_size)

    # ----------------------------------------------------------------------------------------------
    # What has to be written

    def _stale(self, sources: Sequence[Source]) -> list[Work]:
        """What has to be written of the notes; the others have their outcome then."""
        work = []
        for source in sources:
            outcome = Outcome(source)
            try:
                self._refuse_outside(source)
                note = read_note(source.path, self.project.root)
            except FitnotesError as error:
                outcome.fail(error)
                self._finished(outcome)
                continue
            targets = self._stale_targets(source, note, outcome)
            if targets:
                work.append(Work(source, note, targets))
                continue
            outcome.status = "cached"
            if self.request.explain:
                self._explain(note, outcome)
            self._finished(outcome)
        return work

    def _refuse_outside(self, source: Source) -> None:
        """Raises UsageError for a note that only a link, or the settings, bring into the project, where nothing is
        run."""
        root = self.project.root.resolve()
        if self.request.execute or self.request.outside or source.path.resolve().is_relative_to(root):
            return
        named = (self.project.root / self.project.settings.notes).resolve()
        if source.path.is_relative_to(root) or source.base == named:
            raise UsageError(OUTSIDE, path=display_path(source.path), hint=TRUST)

    def _stale_targets(self, source: Source, note: Note, outcome: Outcome) -> tuple[str, ...]:
        stale = []
        for target in self.request.targets:
            record = self.freshness.record(source, note, target)
            if record is None:
                stale.append(target)
                continue
            outcome.add(record.warnings)
            outcome.written.append(self.freshness.page(source, target))
            outcome.inputs |= set(record.inputs)
        return tuple(stale)

    def _explain(self, note: Note, outcome: Outcome) -> None:
        """What would become of the blocks of a note whose pages are up to date."""
        from fitnotes.document.read import read_document

        document = read_document(note, self.project.settings, dict(self.request.overrides))
        told = self.executor.look(note, document.blocks, document.settings).told
        kept = "it would run for a new page, this one is up to date"
        outcome.told = [
            replace(t, verdict="kept", why=f"{kept} ({t.why})") if t.verdict == "missing" else t for t in told
        ]

    # ----------------------------------------------------------------------------------------------
    # Writing it

    def _round(self, work: Sequence[Work], *, again: bool) -> None:
        """Builds notes side by side, then those that had to wait for others."""
        self._preloads = planning.preloads([planning.with_modules(one.note) for one in work])
        if self.request.execute and any(
            not self.freshness.known(one.source, target) for one in work for target in one.targets
        ):
            self._start_server()  # something never built: its sessions can start loading now
        self._labels.start(one.source.path for one in work)
        later = self._side_by_side(work, again=again)
        # Notes that refer to notes whose blocks had still to run: their results are stored by now.
        known = {one.source.path: one for one in work}
        for first in sorted(later, key=lambda outcome: str(outcome.source.path)):
            one = known[first.source.path]
            outcome = self._notes.build(one.source, one.note, one.targets)
            outcome.ran, outcome.reused, outcome.told = first.ran, first.reused, first.told
            outcome.wrote = first.wrote
            outcome.seconds += first.seconds
            self._finished(outcome)

    def _side_by_side(self, work: Sequence[Work], *, again: bool) -> list[Outcome]:
        """Builds notes, the longest first. Returns the outcomes of those that wait for another note."""
        later: list[Outcome] = []
        with ThreadPoolExecutor(max_workers=min(self.jobs, len(work))) as pool:
            waiting: dict[Future[Outcome], Source] = {
                pool.submit(self._notes.build, one.source, one.note, one.targets): one.source
                for one in sorted(work, key=self._weight)
            }
            try:
                while waiting:
                    done, _ = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
                    for future in done:
                        source = waiting.pop(future)
                        outcome = Outcome(source, "skipped") if future.cancelled() else future.result()
                        if outcome.status == "waiting":
                            later.append(outcome)
                            continue
                        self._outcomes[source.path] = outcome
                        if future.cancelled():
                            continue
                        if again and source not in self._told:
                            self._told.append(source)
                        self._report()
                        if outcome.exit_code and self.request.fail_fast:
                            self._stop(waiting)
            except BaseException:
                self._stop(waiting)
                raise
        return later

    def _stop(self, waiting: Iterable[Future[Outcome]]) -> None:
        """No other note is begun, and those at work end."""
        self.cancel.set()
        for other in waiting:
            other.cancel()

    def _weight(self, work: Work) -> float:
        """Sorts the longest first; what never ran may be long."""
        entry = self.executor.ledger.load(work.source.path)
        return -entry.seconds if entry else float("-inf")

    def _outdated(self, sources: Sequence[Source]) -> list[Source]:
        """Notes that read, or refer to, what another note has changed in this build."""
        if self.cancel.is_set():
            return []
        self.executor.current.forget()
        found = []
        for source in sources:
            others = {path for p, o in self._outcomes.items() if p != source.path for path in o.wrote}
            others |= {path.rpartition("/")[0] or "." for path in others}  # a listed folder
            outcome = self._outcomes[source.path]
            shared = [i for i in outcome.inputs if i.name in others or i.kind == RESULTS]
            if shared and self.executor.current.changed(shared) is not None:
                found.append(source)
        return found

    def _shared_files(self) -> None:
        """Says which files several notes have written: which one came last is chance."""
        writers: dict[str, list[Path]] = {}
        for path, outcome in self._outcomes.items():
            for name in outcome.wrote:
                writers.setdefault(name, []).append(path)
        for name, paths in sorted(writers.items()):
            if len(paths) > 1:
                names = " and ".join(display_path(path) for path in sorted(paths))
                message = f"{name} is written by {names}: what is in it is chance"
                self._warn(sorted(paths)[0], message)

    def _warn(self, path: Path, message: str) -> None:
        """A warning that is known only when all notes are built; most of them have been reported by then."""
        problem = Problem("shared-file", message, display_path(path))
        self._outcomes[path].problems.append(problem)
        if all(source.path != path for source in self._told):
            self.report.problem(problem)

    def _finished(self, outcome: Outcome) -> None:
        self._outcomes[outcome.source.path] = outcome
        self._report()

    def _report(self, *, last: bool = False) -> None:
        """Reports what is finished, in order. What failed for want of a file may yet be built again."""
        while self._told:
            outcome = self._outcomes.get(self._told[0].path)
            if outcome is None:
                return
            if not last and outcome.exit_code and any(i.value == MISSING for i in outcome.inputs):
                return
            self._told.pop(0)
            self.report.finished(outcome)

    def _others(self, sources: Sequence[Source]) -> list[Source]:
        """The project's other notes, to whose labels these may refer."""
        folder = (self.project.root / self.project.settings.notes).resolve()
        if not folder.is_dir() or all(source.base != folder for source in sources):
            return []
        asked = {source.path for source in sources}
        inside = not (self.request.execute or self.request.outside)
        root = self.project.root.resolve()
        found = [source for source in notes_below(folder) if source.path not in asked]
        return [s for s in found if not inside or s.path.resolve().is_relative_to(root)]
