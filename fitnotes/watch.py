"""``fitnotes watch``: builds, waits until something is saved, and builds again with the sessions still alive."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from fitnotes.build import Build, Outcome, Report, Request
from fitnotes.errors import FitnotesError
from fitnotes.execute.inputs import FILE, PACKAGE, STAT, Input, package_version
from fitnotes.execute.kept import Kept
from fitnotes.execute.sessions import stop_server
from fitnotes.execute.slots import available_memory
from fitnotes.report import Plain
from fitnotes.settings import Project, display_path, find_project
from fitnotes.sources import Source, find_sources

SHARE = 4  # of the memory that is free at the start, this part at most is held by kept sessions
GATHER = 30  # milliseconds without another save until a build starts


class Watch:
    """One run of ``fitnotes watch``: what is kept from build to build."""

    def __init__(
        self, paths: Sequence[Path], project: Project, request: Request, report: Callable[[], Plain]
    ) -> None:
        self.paths = paths
        self.project = project
        self.request = request
        self.report = report
        self.kept = Kept(available_memory() // SHARE)
        self._packages: dict[str, str] = {}
        self._outside: set[Path] = set()

    def build(self) -> list[Outcome]:
        """Builds what is not up to date. A wrong setting or path is said, and waits for its correction."""
        report = self.report()
        try:
            if self.project.config is not None:
                self.project = find_project(self.project.root)
            sources = find_sources(self.paths, self.project)
            self._same_packages()
            with report:
                outcomes = Build(self.project, self.request, _Quiet(report), self.kept).run(sources)
        except FitnotesError as error:
            report.err.write(f"fitnotes: {error}\n")
            return []
        self.kept.trim()
        self._learn(item for outcome in outcomes for item in outcome.inputs)
        return outcomes

    def _learn(self, inputs: Iterable[Input]) -> None:
        """Which packages sessions have loaded, and which folders outside of the project they read."""
        for item in inputs:
            if item.kind == PACKAGE:
                self._packages[item.name] = item.value
            elif item.kind in (FILE, STAT) and os.path.isabs(item.name):
                self._outside.add(Path(item.name).parent)

    def _same_packages(self) -> None:
        """A package that was installed anew: the loaded one must not run any more."""
        if any(package_version(name) != version for name, version in self._packages.items()):
            self.kept.close()
            stop_server()
            self._packages.clear()

    def folders(self) -> list[Path]:
        """What to look at for changes: the project, where the notes lie, and what blocks read elsewhere."""
        found = {self.project.root, *(p.resolve() if p.is_dir() else p.resolve().parent for p in self.paths)}
        found |= {folder for folder in self._outside if folder.is_dir()}
        return [
            f for f in sorted(found) if not any(f != other and f.is_relative_to(other) for other in found)
        ]

    def concerns(self, path: str) -> bool:
        """Whether a changed file may matter: not what builds write themselves."""
        own = (self.project.store, self.project.results, self.request.output or self.project.output)
        changed = Path(path)
        if any(changed.is_relative_to(folder) for folder in own):
            return False
        parts = changed.parts
        return not any(part in (".git", "__pycache__", "node_modules") for part in parts)


class _Quiet:
    """Reports what was built; what was up to date is no news in a watch."""

    def __init__(self, report: Plain) -> None:
        self._report = report

    def running(self, source: Source, what: str, done: int, total: int) -> None:
        pass

    def finished(self, outcome: Outcome) -> None:
        if outcome.status != "cached":
            self._report.finished(outcome)


def watch_notes(
    paths: Sequence[Path], project: Project, request: Request, report: Callable[[], Plain]
) -> None:
    """Builds and waits until Ctrl-C."""
    import watchfiles

    find_sources(paths, project)  # a wrong path is an error now, not a line among others
    watch = Watch(paths, project, request, report)
    printer = report()
    try:
        # Watching begins before the first build, so that a save during a build is not missed.
        stop = threading.Event()
        folders = watch.folders()
        while True:
            changes = watchfiles.watch(
                *folders,
                watch_filter=lambda change, path: watch.concerns(path),
                debounce=1600,
                step=GATHER,
                rust_timeout=100,
                yield_on_timeout=True,
                raise_interrupt=True,
                stop_event=stop,
                ignore_permission_denied=True,
            )
            next(changes)
            start = time.perf_counter()
            outcomes = watch.build()
            if printer.verbosity >= 0:
                names = ", ".join(display_path(folder) for folder in folders)
                seconds = time.perf_counter() - start
                count = f"{len(outcomes)} note{'' if len(outcomes) == 1 else 's'}"
                printer.line(f"{count}, {seconds:.1f} s; watching {names} (Ctrl-C ends)")
            for found in changes:
                if found:
                    watch.build()
                if watch.folders() != folders:
                    folders = watch.folders()
                    break
    except KeyboardInterrupt:
        printer.line("ended")
    finally:
        watch.kept.close()
        stop_server()


_: type[Report] = _Quiet
