"""A build: for each note read → plan → execute → splice → write. Composition only."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from fitnotes.build.freshness import Pages, program_signature
from fitnotes.build.labels import Labels, NotYet
from fitnotes.build.sources import Source, notes_below, page_suffix
from fitnotes.errors import FitnotesError, Problem
from fitnotes.execute import plan as planning
from fitnotes.execute.kept import Kept
from fitnotes.execute.result import Result
from fitnotes.execute.run import Execution, Executor, Told
from fitnotes.execute.sessions import Cancelled, set_environment, start_server, sweep
from fitnotes.execute.slots import cores
from fitnotes.settings import Project, display_path
from fitnotes.source.note import Note, read_note
from fitnotes.store.files import digest
from fitnotes.store.inputs import FILE, MISSING, RESULTS, THERE, Input, file_hash, stored_path

if TYPE_CHECKING:  # these load panflute, which a build with nothing to do goes without
    from fitnotes.document.read import Document
    from fitnotes.draw.media import Media
    from fitnotes.passes.page import Page, Place


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks for. ``page``: the one file to write, when ``--output`` names a file.

    ``retry``: of the notes whose last build failed, those that are built again though nothing that they are
    made from has changed; None: all.
    """

    targets: tuple[str, ...] = ("html",)
    output: Path | None = None
    page: Path | None = None
    execute: bool = True
    refresh: bool = False
    jobs: int = 0
    fail_fast: bool = False
    embed: bool = False
    explain: bool = False
    retry: frozenset[Path] | None = None
    overrides: tuple[tuple[str, object], ...] = ()


@dataclass(slots=True)
class Outcome:
    """What became of one note."""

    source: Source
    status: str = "built"  # "built", "cached", "failed", "skipped"
    problems: list[Problem] = field(default_factory=list)
    written: list[Path] = field(default_factory=list)
    ran: int = 0
    reused: int = 0
    seconds: float = 0.0
    told: list[Told] = field(default_factory=list)
    inputs: set[Input] = field(default_factory=set)
    wrote: set[str] = field(default_factory=set)

    @property
    def exit_code(self) -> int:
        return max((p.exit_code for p in self.problems), default=0)


class Report(Protocol):
    """Where progress goes."""

    def running(self, source: Source, what: str, done: int, total: int) -> None: ...

    def finished(self, outcome: Outcome) -> None: ...

    def problem(self, problem: Problem) -> None: ...


FAILED = "failed "  # in front of the stamp of a page with errors, which is never up to date
ROUNDS = 3  # builds of a note because others wrote what it read


class Build:
    """One run of ``fitnotes build``. `run` may be called once. ``kept``: sessions of a watch."""

    def __init__(self, project: Project, request: Request, report: Report, kept: Kept | None = None) -> None:
        self.project = project
        self.request = request
        self.report = report
        self.cancel = threading.Event()
        self.pages = Pages(project.root, project.store / "pages")
        self.output = request.output or project.output
        self.jobs = max(1, request.jobs or cores() // project.settings.threads)
        self.executor = Executor(
            project,
            run=request.execute,
            refresh=request.refresh,
            jobs=self.jobs,
            cancel=self.cancel,
            kept=kept,
            start=self._start_server,
        )
        self.current = self.executor.current
        self._preloads: list[str] = []
        self._labels = Labels(project, [], self.executor)
        self._outcomes: dict[Path, Outcome] = {}
        self.running: set[Path] = set()
        self._told: list[Source] = []  # whose outcome is still to be reported, in order

    def run(self, sources: Sequence[Source]) -> list[Outcome]:
        """Builds the notes, several at a time, and returns their outcomes in the order of ``sources``, which is
        also the order in which they are reported."""
        set_environment(self.project.settings.threads)
        self._labels = Labels(self.project, [*self._others(sources), *sources], self.executor)
        self._told = list(sources)
        work = [found for source in sources if (found := self._stale(source))]
        for round_ in range(ROUNDS):
            if not work:
                break
            self._build(work, again=round_ > 0)
            work = [found for source in self._outdated(sources) if (found := self._stale(source))]
        for source, _, _ in work:
            message = "it reads what other notes write, and they what it writes: no order is right"
            self._warn(source.path, message)
        self._shared_files()
        self._report(last=True)
        if self.request.page is None and not self._others(sources):
            for page, note in self.pages.remove_orphans(self.output):
                message = f"removed, since its note {display_path(note)} is gone"
                self.report.problem(Problem("orphan", message, display_path(page)))
        if self.executor.cache.stored and self.project.settings.cache_size:
            self.executor.cache.trim(self.project.settings.cache_size)
        return [self._outcomes[source.path] for source in sources]

    def _stale(self, source: Source) -> tuple[Source, Note, list[str]] | None:
        """What has to be written of a note; None, and an outcome, if nothing."""
        outcome = Outcome(source)
        try:
            note = read_note(source.path)
        except FitnotesError as error:
            self._fail(outcome, error)
            self._outcomes[source.path] = outcome
            self._report()
            return None
        targets = [t for t in self.request.targets if not self._fresh(source, note, t, outcome)]
        if targets:
            return source, note, targets
        outcome.status = "cached"
        self._outcomes[source.path] = outcome
        if self.request.explain:
            self._explain(note, outcome)
        self._report()
        return None

    def _explain(self, note: Note, outcome: Outcome) -> None:
        """What would become of the blocks of a note whose pages are up to date."""
        from fitnotes.document.read import read_document

        document = read_document(note, self.project.settings, dict(self.request.overrides))
        told = self.executor.look(note, document.blocks, document.settings).told
        kept = "it would run for a new page, this one is up to date"
        outcome.told = [
            replace(t, verdict="kept", why=f"{kept} ({t.why})") if t.verdict == "missing" else t for t in told
        ]

    def _build(self, work: Sequence[tuple[Source, Note, list[str]]], *, again: bool) -> None:
        self._preloads = planning.preloads([planning.with_modules(note) for _, note, _ in work])
        if self.request.execute and any(
            not self.pages.known(self._page(source, target)) for source, _, ts in work for target in ts
        ):
            self._start_server()  # something never built: its sessions can start loading now
        stop = False
        self._labels.start(source.path for source, _, _ in work)
        later: list[Outcome] = []
        known = {source.path: (note, targets) for source, note, targets in work}
        with ThreadPoolExecutor(max_workers=min(self.jobs, len(work))) as pool:
            waiting: dict[Future[Outcome], Source] = {
                pool.submit(self._note, source, note, targets): source
                for source, note, targets in sorted(work, key=self._weight)
            }
            try:
                while waiting:
                    done, _ = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
                    for future in done:
                        source = waiting.pop(future)
                        if future.cancelled():
                            self._outcomes[source.path] = Outcome(source, "skipped")
                            continue
                        outcome = future.result()
                        if outcome.status == "waiting":
                            later.append(outcome)
                            continue
                        self._outcomes[source.path] = outcome
                        if again and source not in self._told:
                            self._told.append(source)
                        self._report()
                        if outcome.exit_code and self.request.fail_fast and not stop:
                            stop = True
                            self.cancel.set()
                            for other in waiting:
                                other.cancel()
            except BaseException:
                self.cancel.set()
                for other in waiting:
                    other.cancel()
                raise
        # Notes that refer to notes whose blocks had still to run: their results are stored by now.
        for first in sorted(later, key=lambda outcome: str(outcome.source.path)):
            outcome = self._note(first.source, *known[first.source.path])
            outcome.ran, outcome.reused, outcome.told = first.ran, first.reused, first.told
            outcome.wrote = first.wrote
            outcome.seconds += first.seconds
            self._outcomes[first.source.path] = outcome
            self._report()

    def _weight(self, work: tuple[Source, Note, list[str]]) -> float:
        """Sorts the longest first; what never ran may be long."""
        entry = self.executor.ledger.load(work[0].path)
        return -entry.seconds if entry else float("-inf")

    def _outdated(self, sources: Sequence[Source]) -> list[Source]:
        """Notes that read, or refer to, what another note has changed in this build."""
        if self.cancel.is_set():
            return []
        self.current.forget()
        found = []
        for source in sources:
            others = {path for p, o in self._outcomes.items() if p != source.path for path in o.wrote}
            others |= {path.rpartition("/")[0] or "." for path in others}  # a listed folder
            outcome = self._outcomes[source.path]
            shared = [i for i in outcome.inputs if i.name in others or i.kind == RESULTS]
            if shared and self.current.changed(shared) is not None:
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
        return [source for source in notes_below(folder) if source.path not in asked]

    # ----------------------------------------------------------------------------------------------

    def _page(self, source: Source, target: str) -> Path:
        return self.request.page or source.page(self.output, target)

    def _stamp(self, source: Source, note: Note, target: str) -> str:
        return digest(
            program_signature(),
            note.text,
            asdict(self.project.settings),
            self.request.overrides,
            target,
            self.request.embed,
            self.request.execute,
        )

    def _fresh(self, source: Source, note: Note, target: str, outcome: Outcome) -> bool:
        if self.request.refresh:
            return False
        page = self._page(source, target)
        stamp = self._stamp(source, note, target)
        record = self.pages.fresh(page, stamp, self.current)
        if record is None and self.request.retry is not None and source.path not in self.request.retry:
            record = self.pages.fresh(page, FAILED + stamp, self.current)
        if record is None:
            return False
        outcome.problems += [w for w in record.warnings if w not in outcome.problems]
        outcome.written.append(page)
        outcome.inputs |= set(record.inputs)
        return True

    def _start_server(self) -> None:
        sweep()
        start_server(self._preloads, self.project.settings.threads)

    def _fail(self, outcome: Outcome, error: FitnotesError) -> None:
        outcome.status = "failed"
        outcome.problems.append(
            Problem(error.code, error.message, error.path or outcome.source.path.name, error.line, error.hint)
        )

    def _note(self, source: Source, note: Note, targets: list[str]) -> Outcome:
        outcome = Outcome(source)
        start = time.perf_counter()
        self.running.add(source.path)
        try:
            self._build_note(source, note, targets, outcome)
        except FitnotesError as error:
            self._fail(outcome, error)
        except Cancelled:
            outcome.status = "skipped"
        except NotYet:
            outcome.status = "waiting"
            outcome.seconds = time.perf_counter() - start
            return outcome
        except OSError as error:
            # Disk full, no permission: said as it is, with the file.
            message = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
            outcome.problems.append(Problem("system", message, note.shown))
        except Exception as error:
            # Our own fault: said in one line, without harm to the other notes.
            if os.environ.get("FITNOTES_DEBUG"):
                raise
            hint = "this is a bug in fitnotes; FITNOTES_DEBUG=1 shows where"
            message = f"internal error: {type(error).__name__}: {error}"
            outcome.problems.append(Problem("internal", message, note.shown, hint=hint))
        finally:
            self._labels.running.discard(source.path)
            self.running.discard(source.path)
        if outcome.exit_code:
            outcome.status = "failed"
        outcome.seconds = time.perf_counter() - start
        return outcome

    def _build_note(self, source: Source, note: Note, targets: list[str], outcome: Outcome) -> None:
        threading.Thread(target=self._load, args=(source, note, targets)).start()
        from fitnotes.document.read import read_document

        self.report.running(source, "reading", 0, 0)
        document = read_document(note, self.project.settings, dict(self.request.overrides))
        outcome.problems += document.problems
        done = self._execute(source, document, outcome)
        self._labels.running.discard(source.path)
        for target in targets:
            if self.cancel.is_set():
                raise Cancelled
            self.report.running(source, f"writing {target}", 0, 0)
            page = self._page(source, target)
            used: set[Path] = set()
            try:
                composed = self._write(document, done.results, target, page, source, used)
            except FitnotesError as error:  # the other formats may have no trouble
                self._fail(outcome, error)
                continue
            found = composed.found
            outcome.written.append(page)
            inputs = self._inputs(document, composed.media, used, done)
            for item in inputs:
                name = Path(item.name).name
                if item.value == MISSING and any(name in b.options.depends for b in document.blocks):
                    message = f"depends={name}: there is no such file"
                    found.append(Problem("depends", message, note.shown, note.line_of(name)))
            outcome.problems += [p for p in found if p not in outcome.problems]
            outcome.inputs |= inputs
            files = []
            if target in ("gfm", "tex") or (target == "html" and not self.request.embed):
                files = [*composed.media.files.values()]
            if target == "html" and not self.request.embed:
                files += self._assets(page, script=composed.has_maths)
            warnings = [*document.problems, *found]
            failed = any(p.is_error for p in outcome.problems)
            stamp = (FAILED if failed else "") + self._stamp(source, note, target)
            with contextlib.suppress(OSError):  # said when the results could not be stored
                self.pages.store(page, source.path, stamp, inputs, files, warnings)

    def _load(self, source: Source, note: Note, targets: list[str]) -> None:
        """What the writers need, loaded while pandoc reads and blocks run."""
        import panflute  # noqa: F401

        import fitnotes.passes.page

        if "html" not in targets or "$" not in note.text:
            return
        import fitnotes.targets.html  # noqa: F401
        from fitnotes.draw import mathjax

        if not self.pages.known(self._page(source, "html")):  # its formulas are still to be checked
            mathjax.warm()

    def _assets(self, page: Path, *, script: bool) -> list[Path]:
        from fitnotes.targets.html import ASSETS, asset_names

        folder = (page.parent if self.request.page else self.output / "html") / ASSETS
        return [folder / name for name in asset_names(script)]

    def _execute(self, source: Source, document: Document, outcome: Outcome) -> Execution:
        def progress(done: int, total: int) -> None:
            self.report.running(source, f"block {min(done + 1, total)} of {total}", done, total)

        done = self.executor.execute(document.note, document.blocks, document.settings, progress)
        outcome.problems += done.problems
        outcome.ran, outcome.reused, outcome.told = done.ran, done.reused, done.told
        outcome.inputs, outcome.wrote = set(done.inputs), done.wrote
        return done

    def _inputs(self, document: Document, media: Media, used: set[Path], done: Execution) -> set[Input]:
        """Everything that a page was made from: files that it shows, other notes whose labels it names, and what
        its blocks depended on and wrote."""
        root = self.project.root
        shown, linked = media.inputs.items(), media.linked.items()
        inputs = {Input(FILE, stored_path(path, root), known) for path, known in shown} | done.inputs
        inputs |= {Input(THERE, stored_path(path, root), known) for path, known in linked}
        for path in used:
            name = stored_path(str(path), root)
            inputs |= {Input(FILE, name, file_hash(path)), Input(RESULTS, name, self.executor.states(name))}
        for name in {name for result in done.results.values() for name in result.wrote}:
            inputs.add(Input(FILE, name, file_hash(root / name)))
        return inputs

    def _write(
        self,
        document: Document,
        results: Mapping[int, Result],
        target: str,
        page: Path,
        source: Source,
        used: set[Path],
    ) -> Page:
        """Writes one page with the writer of its target; imports only that one."""
        from fitnotes.passes.page import Place

        engine = document.settings.pdf_engine

        def elsewhere(label: str) -> list[tuple[str, Any]]:
            return self._labels.find(label, source, page_suffix(target), used)

        place = Place(source.base, self.project.root, elsewhere)
        if target == "html" or (target == "pdf" and engine == "chromium"):
            return self._write_html(document, results, target, page, place)
        if target == "pdf" and engine == "typst":
            from fitnotes.targets.typst import write_typst_pdf

            return write_typst_pdf(document, results, page, place)
        if target in ("pdf", "tex"):
            from fitnotes.targets.latex import write_latex_pdf, write_tex

            if target == "tex":
                return write_tex(document, results, page, place)
            return write_latex_pdf(document, results, page, engine, place)
        if target == "slides":
            from fitnotes.targets.slides.reveal import write_slides

            return write_slides(document, results, page, place)
        if target == "slides-pdf" and engine in ("typst", "chromium"):
            from fitnotes.targets.slides.paged import write_typst_slides

            return write_typst_slides(document, results, page, place)
        if target == "slides-pdf":
            from fitnotes.targets.slides.beamer import write_beamer

            return write_beamer(document, results, page, engine, place)
        if target == "gfm":
            from fitnotes.targets.gfm import write_gfm

            return write_gfm(document, results, page, place)
        from fitnotes.targets.office import write_docx, write_epub

        return (write_docx if target == "docx" else write_epub)(document, results, page, place)

    def _write_html(
        self, document: Document, results: Mapping[int, Result], target: str, page: Path, place: Place
    ) -> Page:
        from fitnotes.targets.html import ASSETS, write_html

        formulas = self.project.store / "formulas"
        if target == "html":
            assets = (page.parent if self.request.page else self.output / "html") / ASSETS
            embed = self.request.embed
            return write_html(
                document, results, page, assets, embed=embed, place=place, known_formulas=formulas
            )
        from fitnotes.targets.latex import write_chromium_pdf

        with tempfile.TemporaryDirectory(prefix="fitnotes-") as scratch:
            html = Path(scratch) / f"{page.stem}.html"
            assets = html.parent / ASSETS
            composed = write_html(
                document, results, html, assets, embed=False, place=place, known_formulas=formulas
            )
            write_chromium_pdf(html, page)
        return composed
