"""Building one note: read, execute, and write each of its pages."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fitnotes.build.freshness import Freshness
from fitnotes.build.labels import Labels, NotYet
from fitnotes.build.request import Outcome, Report, Request
from fitnotes.build.sources import Source, page_suffix
from fitnotes.document import pandoc
from fitnotes.errors import ConversionError, FitnotesError, Problem, unexpected
from fitnotes.execute.run import Execution, Executor
from fitnotes.execute.sessions import Cancelled, ServerGone
from fitnotes.settings import Project, display_path
from fitnotes.source.note import Note
from fitnotes.store.inputs import FILE, MISSING, RESULTS, THERE, Input, file_hash, stored_path
from fitnotes.targets import registry
from fitnotes.targets.registry import ASSETS, Job

if TYPE_CHECKING:  # these load panflute, which a build with nothing to do goes without
    from fitnotes.document.read import Document
    from fitnotes.passes.page import Page, Place


class NoteBuilder:
    """Builds notes, also several at a time. ``cancel`` ends it between two pages."""

    def __init__(
        self,
        project: Project,
        request: Request,
        report: Report,
        executor: Executor,
        freshness: Freshness,
        labels: Labels,
        cancel: threading.Event,
    ) -> None:
        self.project = project
        self.request = request
        self.report = report
        self.executor = executor
        self.freshness = freshness
        self.labels = labels
        self.cancel = cancel
        self.running: set[Path] = set()

    def build(self, source: Source, note: Note, targets: Sequence[str]) -> Outcome:
        """What became of a note. Whatever goes wrong with it harms no other one."""
        outcome = Outcome(source)
        start = time.perf_counter()
        self.running.add(source.path)
        try:
            self._pages(source, note, targets, outcome)
        except FitnotesError as error:
            outcome.fail(error)
        except Cancelled:
            outcome.status = "skipped"
        except NotYet:
            outcome.status = "waiting"
            outcome.seconds = time.perf_counter() - start
            return outcome
        except ServerGone:
            message = "the process that starts sessions was killed, again and again"
            outcome.problems.append(Problem("system", message, note.shown))
        except Exception as error:
            outcome.problems.append(unexpected(error, note.shown))
        finally:
            self.labels.running.discard(source.path)
            self.running.discard(source.path)
        outcome.problems = [note.placed(problem) for problem in outcome.problems]
        if outcome.exit_code:
            outcome.status = "failed"
        outcome.seconds = time.perf_counter() - start
        return outcome

    def _pages(self, source: Source, note: Note, targets: Sequence[str], outcome: Outcome) -> None:
        document = self._read(source, note, targets)
        outcome.problems += document.problems
        done = self._execute(source, document, outcome)
        self.labels.running.discard(source.path)
        for target in targets:
            if self.cancel.is_set():
                raise Cancelled
            self.report.running(source, f"writing {target}", 0, 0)
            try:
                self._page(source, document, done, target, outcome)
            except FitnotesError as error:  # the other formats may have no trouble
                outcome.fail(error)

    def _read(self, source: Source, note: Note, targets: Sequence[str]) -> Document:
        self.report.running(source, "reading", 0, 0)
        threading.Thread(target=self._load, args=(source, note, targets)).start()
        read = pandoc.read(note)  # in the time that it takes, the tree's own modules load
        from fitnotes.document.read import read_document

        return read_document(note, self.project.settings, dict(self.request.overrides), read)

    def _load(self, source: Source, note: Note, targets: Sequence[str]) -> None:
        """What the writers need, loaded while pandoc reads and blocks run."""
        import panflute  # noqa: F401

        import fitnotes.passes.pipeline  # noqa: F401

        if "$" not in note.text:
            return
        asked = [registry.targets()[target] for target in targets]
        for target in asked:
            target.writer(self.project.settings.pdf_engine)
        from fitnotes.draw import mathjax

        # Formulas that nobody has set yet, for one that is not LaTeX.
        fresh = (target for target in asked if not self.freshness.known(source, target.name))
        if any(not format_.is_tex for target in fresh for format_ in target.formats):
            mathjax.warm()

    def _execute(self, source: Source, document: Document, outcome: Outcome) -> Execution:
        def progress(done: int, total: int) -> None:
            self.report.running(source, f"block {min(done + 1, total)} of {total}", done, total)

        done = self.executor.execute(document.note, document.blocks, document.settings, progress)
        outcome.problems += done.problems
        outcome.ran, outcome.reused, outcome.told = done.ran, done.reused, done.told
        outcome.inputs, outcome.wrote = set(done.inputs), done.wrote
        return done

    def _page(
        self, source: Source, document: Document, done: Execution, target: str, outcome: Outcome
    ) -> None:
        """Writes one page, and notes what it was made from."""
        note = document.note
        used: set[Path] = set()
        page = self._write(source, document, done, target, used)
        outcome.written.append(self.freshness.page(source, target))
        inputs = self._inputs(note, page, used, done)
        found = [*page.found, *_missing_depends(document, inputs)]
        outcome.add(found)
        outcome.inputs |= inputs
        warnings = [note.placed(problem) for problem in [*document.problems, *found]]
        failed = any(p.is_error for p in outcome.problems)
        self.freshness.store(source, note, target, inputs, page.beside, warnings, failed=failed)

    def _write(
        self, source: Source, document: Document, done: Execution, target: str, used: set[Path]
    ) -> Page:
        """One page, by the writer of its target; imports only that one. The notes whose labels it names go into
        ``used``."""
        file = self.freshness.page(source, target)
        self._refuse_links(file)
        job = Job(
            document,
            done.results,
            file,
            self._place(source, target, used),
            assets=(file.parent if self.request.page else self.freshness.output / "html") / ASSETS,
            formulas=self.project.store / "formulas",
            engine=document.settings.pdf_engine,
            embed=self.request.embed,
        )
        return registry.targets()[target].writer(job.engine)(job)

    def _refuse_links(self, page: Path) -> None:
        """Raises ConversionError where a link in the output leads out of it: somebody else's project may hold one."""
        if not self.request.page:
            output = self.freshness.output
            beside = (page.parent, page.with_name(f"{page.stem}_files"), output / "html" / ASSETS)
            for folder in beside:
                if not folder.resolve().is_relative_to(output.resolve()):
                    message = f"{display_path(folder)} is a link that leads out of {display_path(output)}"
                    raise ConversionError(
                        message, hint="remove it: pages are written into their folder alone"
                    )

    def _place(self, source: Source, target: str, used: set[Path]) -> Place:
        from fitnotes.passes.page import Place

        suffix = page_suffix(target)
        return Place(
            source.base,
            self.project.root,
            lambda label: self.labels.find(label, source, suffix, used),
            registry.format_names(),
            inside=not (self.request.execute or self.request.outside),
        )

    def _inputs(self, note: Note, page: Page, used: set[Path], done: Execution) -> set[Input]:
        """Everything that a page was made from: files that it includes and shows, other notes whose labels it names,
        and what its blocks depended on and wrote."""
        root = self.project.root
        shown, linked = page.media.inputs.items(), page.media.linked.items()
        inputs = {Input(FILE, stored_path(path, root), known) for path, known in shown} | done.inputs
        inputs |= {Input(THERE, stored_path(path, root), known) for path, known in linked}
        parts = note.included.union(*map(self.labels.included, used))
        inputs |= {Input(FILE, stored_path(str(path), root), file_hash(path)) for path in parts}
        for path in used:
            name = stored_path(str(path), root)
            inputs |= {Input(FILE, name, file_hash(path)), Input(RESULTS, name, self.executor.states(name))}
        for name in {name for result in done.results.values() for name in result.wrote}:
            inputs.add(Input(FILE, name, file_hash(root / name)))
        return inputs


def _missing_depends(document: Document, inputs: set[Input]) -> list[Problem]:
    """Files that blocks say they depend on, and that are not there."""
    problems = []
    for item in inputs:
        name = Path(item.name).name
        if item.value == MISSING and any(name in b.options.depends for b in document.blocks):
            message = f"depends={name}: there is no such file"
            note = document.note
            problems.append(Problem("depends", message, note.shown, note.line_of(name)))
    return problems
