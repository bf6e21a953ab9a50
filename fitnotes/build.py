"""A build: for each note read → plan → execute → splice → write. Composition only."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from fitnotes.errors import BLOCK_FAILED, FitnotesError, Problem
from fitnotes.execute import plan as planning
from fitnotes.execute.cache import Cache, Result, digest
from fitnotes.execute.inputs import file_hash
from fitnotes.execute.sessions import Cancelled, run_sessions, start_server
from fitnotes.labels import Labels, NotYet
from fitnotes.note import Block, Note, read_note
from fitnotes.pages import Pages, program_signature
from fitnotes.settings import Project, Settings
from fitnotes.sources import Source, notes_below, page_suffix

if TYPE_CHECKING:  # these load panflute, which a build with nothing to do goes without
    from fitnotes.read import Document
    from fitnotes.render.page import Page, Place

TARGETS = ("html", "pdf", "tex", "gfm", "docx", "epub")


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks for. ``page``: the one file to write, when ``--output`` names a file."""

    targets: tuple[str, ...] = ("html",)
    output: Path | None = None
    page: Path | None = None
    execute: bool = True
    refresh: bool = False
    jobs: int = 0
    fail_fast: bool = False
    embed: bool = False
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

    @property
    def exit_code(self) -> int:
        return max((p.exit_code for p in self.problems), default=0)


class Report(Protocol):
    """Where progress goes."""

    def running(self, source: Source, what: str, done: int, total: int) -> None: ...

    def finished(self, outcome: Outcome) -> None: ...


class Build:
    """One run of ``fitnotes build``. `run` may be called once."""

    def __init__(self, project: Project, request: Request, report: Report) -> None:
        self.project = project
        self.request = request
        self.report = report
        self.cancel = threading.Event()
        self.cache = Cache(project.root, project.store / "results")
        self.pages = Pages(project.root, project.store / "pages")
        self.output = request.output or project.output
        self._preloads: list[str] = []
        self._labels = Labels(project, [], self.cache)

    def run(self, sources: Sequence[Source]) -> list[Outcome]:
        """Builds the notes, several at a time, and returns their outcomes in the order of ``sources``."""
        self._labels = Labels(self.project, [*self._others(sources), *sources], self.cache)
        outcomes: dict[Path, Outcome] = {}
        stale: list[tuple[Source, Note, list[str]]] = []
        for source in sources:
            outcome = Outcome(source)
            try:
                note = read_note(source.path)
            except FitnotesError as error:
                self._fail(outcome, error)
                outcomes[source.path] = outcome
                self.report.finished(outcome)
                continue
            targets = [t for t in self.request.targets if not self._fresh(source, note, t, outcome)]
            if targets:
                stale.append((source, note, targets))
            else:
                outcome.status = "cached"
                outcomes[source.path] = outcome
                self.report.finished(outcome)
        if not stale:
            return [outcomes[source.path] for source in sources]

        self._preloads = planning.preloads([note.text for _, note, _ in stale])
        if self.request.execute and any(
            not self.pages.known(self._page(source, target)) for source, _, ts in stale for target in ts
        ):
            self._start_server()  # something never built: its sessions can start loading now

        jobs = max(1, self.request.jobs or os.cpu_count() or 1)
        stop = False
        self._labels.running = {source.path for source, _, _ in stale}
        later: list[Outcome] = []
        with ThreadPoolExecutor(max_workers=min(jobs, len(stale))) as pool:
            waiting: dict[Future[Outcome], Source] = {
                pool.submit(self._note, source, note, targets): source for source, note, targets in stale
            }
            try:
                while waiting:
                    done, _ = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
                    for future in done:
                        source = waiting.pop(future)
                        if future.cancelled():
                            outcomes[source.path] = Outcome(source, "skipped")
                            continue
                        outcome = future.result()
                        if outcome.status == "waiting":
                            later.append(outcome)
                            continue
                        outcomes[source.path] = outcome
                        self.report.finished(outcome)
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
        known = {source.path: (note, targets) for source, note, targets in stale}
        for first in later:
            outcome = self._note(first.source, *known[first.source.path])
            outcome.ran, outcome.reused = first.ran, first.reused
            outcome.seconds += first.seconds
            outcomes[first.source.path] = outcome
            self.report.finished(outcome)
        return [outcomes[source.path] for source in sources]

    def _others(self, sources: Sequence[Source]) -> list[Source]:
        """The project's other notes, to whose labels these may refer."""
        folder = (self.project.root / self.project.settings.notes).resolve()
        bases = {source.base for source in sources}
        return notes_below(folder) if folder in bases and folder.is_dir() else []

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
            planning.environment([note.text], self.project.settings),
        )

    def _fresh(self, source: Source, note: Note, target: str, outcome: Outcome) -> bool:
        if self.request.refresh:
            return False
        page = self._page(source, target)
        record = self.pages.fresh(page, self._stamp(source, note, target), self.cache)
        if record is None:
            return False
        outcome.problems += [w for w in record.warnings if w not in outcome.problems]
        outcome.written.append(page)
        return True

    def _start_server(self) -> None:
        start_server(self._preloads, self.project.settings.threads)

    def _fail(self, outcome: Outcome, error: FitnotesError) -> None:
        outcome.status = "failed"
        outcome.problems.append(
            Problem(
                "error",
                error.message,
                error.path or outcome.source.path.name,
                error.line,
                error.hint,
                error.exit_code,
            )
        )

    def _note(self, source: Source, note: Note, targets: list[str]) -> Outcome:
        outcome = Outcome(source)
        start = time.perf_counter()
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
            outcome.problems.append(Problem("error", message, note.shown, exit_code=3))
        except Exception as error:
            # Our own fault: said in one line, without harm to the other notes.
            if os.environ.get("FITNOTES_DEBUG"):
                raise
            hint = "this is a bug in fitnotes; FITNOTES_DEBUG=1 shows where"
            message = f"internal error: {type(error).__name__}: {error}"
            outcome.problems.append(Problem("error", message, note.shown, hint=hint, exit_code=3))
        finally:
            self._labels.running.discard(source.path)
        if outcome.exit_code:
            outcome.status = "failed"
        outcome.seconds = time.perf_counter() - start
        return outcome

    def _build_note(self, source: Source, note: Note, targets: list[str], outcome: Outcome) -> None:
        threading.Thread(target=self._load, args=(source, note, targets)).start()
        from fitnotes.read import read_document

        self.report.running(source, "reading", 0, 0)
        document = read_document(note, self.project.settings, dict(self.request.overrides))
        outcome.problems += document.problems
        results = self._execute(source, note, document.blocks, document.settings, outcome)
        self._labels.running.discard(source.path)
        for target in targets:
            if self.cancel.is_set():
                raise Cancelled
            self.report.running(source, f"writing {target}", 0, 0)
            page = self._page(source, target)
            used: set[Path] = set()
            try:
                composed = self._write(document, results, target, page, source, used)
            except FitnotesError as error:  # the other formats may have no trouble
                self._fail(outcome, error)
                continue
            found = composed.found
            outcome.written.append(page)
            inputs = {**composed.media.inputs, **{str(path): file_hash(path) for path in used}}
            for path in (note.path.parent / name for b in document.blocks for name in b.options.depends):
                inputs[str(path)] = file_hash(path)
                if inputs[str(path)] == "missing":
                    message = f"depends={path.name}: there is no such file"
                    found.append(Problem("warning", message, note.shown, note.line_of(path.name)))
            outcome.problems += [p for p in found if p not in outcome.problems]
            for result in results.values():
                inputs.update((str(self.project.root / path), known) for path, known in result.inputs)
            files = []
            if target in ("gfm", "tex") or (target == "html" and not self.request.embed):
                files = [*composed.media.files.values()]
            if target == "html" and not self.request.embed:
                files += self._assets(page, script=composed.has_maths)
            warnings = [*document.problems, *found]
            # A page with errors is recorded, for `clean`, but never up to date.
            failed = any(p.severity == "error" for p in outcome.problems)
            stamp = "" if failed else self._stamp(source, note, target)
            with contextlib.suppress(OSError):  # said when the results could not be stored
                self.pages.store(page, stamp, inputs, files, warnings)

    def _load(self, source: Source, note: Note, targets: list[str]) -> None:
        """What the writers need, loaded while pandoc reads and blocks run."""
        import panflute  # noqa: F401

        import fitnotes.render.page

        if "html" not in targets or "$" not in note.text:
            return
        import fitnotes.render.html  # noqa: F401
        from fitnotes.render import mathjax

        if not self.pages.known(self._page(source, "html")):  # its formulas are still to be checked
            mathjax.warm()

    def _store(self, step: planning.Step, result: Result, note: Note, outcome: Outcome) -> None:
        """Stores a result; where that is not possible the page is written all the same."""
        try:
            self.cache.store(step.key, result)
        except OSError as error:
            message = f"results cannot be stored in {self.project.store.name}: {error.strerror}"
            problem = Problem("warning", message, note.shown)
            if problem not in outcome.problems:
                outcome.problems.append(problem)

    def _assets(self, page: Path, *, script: bool) -> list[Path]:
        from fitnotes.render.html import ASSETS, asset_names

        folder = (page.parent if self.request.page else self.output / "html") / ASSETS
        return [folder / name for name in asset_names(script)]

    def _execute(
        self,
        source: Source,
        note: Note,
        blocks: Sequence[Block],
        settings: Settings,
        outcome: Outcome,
    ) -> dict[int, Result]:
        """A result for every block that has one: stored, run now, or the reason why there is none."""
        results: dict[int, Result] = {}
        steps = planning.plan(note, blocks, settings, self.cache, whole=self.request.execute)
        if self.request.refresh and self.request.execute:
            steps = [[planning.Step(s.block, s.key, None) for s in group] for group in steps]
        for path in self.cache.unreadable:
            outcome.problems.append(
                Problem("warning", f"stored result {path.name} cannot be read and is made again", note.shown)
            )
        self.cache.unreadable.clear()
        wrong = planning.syntax_problem(note, blocks)
        if wrong is not None:
            block, problem = wrong
            outcome.problems.append(problem)
            text = [f'File "{note.path.name}", line {problem.line}', problem.message, problem.hint or ""]
            for group in steps:
                for step in group:
                    reason = f"not run: {block.name} is not valid Python"
                    results[step.block.index] = step.stored or Result("not run", message=reason)
            output = {"output_type": "error", "ename": "SyntaxError", "traceback": [t for t in text if t]}
            results[block.index] = Result("error", (output,), problem.message, problem.line)
            return results
        pending = [group for group in steps if any(step.stored is None for step in group)]
        for group in steps:
            for step in group:
                if step.stored is not None:
                    results[step.block.index] = step.stored
                    outcome.reused += not step.block.inline
        if not pending:
            return results
        if not self.request.execute:
            missing = Result("missing", message="no stored result; not run (--no-execute)")
            for step in (s for group in pending for s in group if s.stored is None):
                results[step.block.index] = missing
                message = f"{step.block.name} has no stored result that still holds"
                outcome.problems.append(Problem("warning", message, note.shown, step.block.line))
            return results
        self._start_server()
        total = sum(not step.block.inline for group in pending for step in group)
        count = 0
        self.report.running(source, f"block 1 of {total}", 0, total)

        def done(step: planning.Step, result: Result) -> None:
            nonlocal count
            results[step.block.index] = result
            if not step.block.inline:
                count += 1
                self.report.running(source, f"block {min(count + 1, total)} of {total}", count, total)
            if result.status == "ok":
                self._store(step, result, note, outcome)
                outcome.ran += not step.block.inline
            elif result.status != "not run":
                line = result.line or step.block.line
                outcome.problems.append(
                    Problem("error", result.message, note.shown, line, exit_code=BLOCK_FAILED)
                )

        run_sessions(note, pending, settings, self.project, self.cancel, done)
        return results

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
        from fitnotes.render.page import Place

        engine = document.settings.pdf_engine

        def elsewhere(label: str) -> list[tuple[str, Any]]:
            return self._labels.find(label, source, page_suffix(target), used)

        place = Place(source.base, self.project.root, elsewhere)
        if target == "html" or (target == "pdf" and engine == "chromium"):
            return self._write_html(document, results, target, page, place)
        if target == "pdf" and engine == "typst":
            from fitnotes.render.typst import write_typst_pdf

            return write_typst_pdf(document, results, page, place)
        if target in ("pdf", "tex"):
            from fitnotes.render.latex import write_latex_pdf, write_tex

            if target == "tex":
                return write_tex(document, results, page, place)
            return write_latex_pdf(document, results, page, engine, place)
        if target == "gfm":
            from fitnotes.render.gfm import write_gfm

            return write_gfm(document, results, page, place)
        from fitnotes.render.office import write_docx, write_epub

        return (write_docx if target == "docx" else write_epub)(document, results, page, place)

    def _write_html(
        self, document: Document, results: Mapping[int, Result], target: str, page: Path, place: Place
    ) -> Page:
        from fitnotes.render.html import ASSETS, write_html

        formulas = self.project.store / "formulas"
        if target == "html":
            assets = (page.parent if self.request.page else self.output / "html") / ASSETS
            embed = self.request.embed
            return write_html(
                document, results, page, assets, embed=embed, place=place, known_formulas=formulas
            )
        from fitnotes.render.latex import write_chromium_pdf

        with tempfile.TemporaryDirectory(prefix="fitnotes-") as scratch:
            html = Path(scratch) / f"{page.stem}.html"
            assets = html.parent / ASSETS
            composed = write_html(
                document, results, html, assets, embed=False, place=place, known_formulas=formulas
            )
            write_chromium_pdf(html, page)
        return composed
