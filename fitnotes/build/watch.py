"""``fitnotes watch``: builds, waits until something is saved, and builds again with the sessions still alive."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from fitnotes.build.report import Plain
from fitnotes.build.request import Outcome, Request
from fitnotes.build.schedule import Build
from fitnotes.build.sources import Source, find_sources
from fitnotes.errors import FitnotesError, Problem
from fitnotes.execute.copies import Copies
from fitnotes.execute.sessions import stop_server
from fitnotes.execute.slots import available_memory
from fitnotes.settings import Project, display_path, find_project
from fitnotes.source.note import SUFFIXES
from fitnotes.store.inputs import FILE, FILES, PACKAGE, Input, file_hash, package_version
from fitnotes.store.scratch import scratch

SHARE = 4  # of the memory that is free at the start, this part at most is held by kept sessions
RESTLESS = 3
MOST = 2000  # files outside of the project that are looked at
LOOK = 0.5  # seconds between looks at them
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
        self.kept = Copies(available_memory() // SHARE)
        self._build: Build | None = None
        self._packages: dict[str, str] = {}
        self._outside: dict[Path, object] = {}  # files that blocks read elsewhere, as they looked last
        self._inputs: set[Path] = set()  # all files and folders that pages were made from
        self._made: set[Path] = set()  # files that blocks wrote in the last build
        self._failed: dict[Path, list[Problem]] = {}
        self._restless = 0

    def build(self, changed: frozenset[Path] | None = None) -> list[Outcome]:
        """Builds what is not up to date; what failed is tried again only where something it is made from, or the
        note itself, was saved. A wrong setting or path is said, and waits for its correction."""
        report = self.report()
        try:
            if self.project.config is not None:
                self.project = find_project(self.project.root)
            sources = find_sources(self.paths, self.project)
            self._same_packages()
            quiet = _Quiet(report, self._failed, changed)
            self._build = Build(self.project, replace(self.request, retry=changed), quiet, self.kept)
            outcomes = self._build.run(sources)
        except FitnotesError as error:
            report.err.write(f"fitnotes: {error}\n")
            return []
        finally:
            self._build = None
        self.kept.trim()
        self._learn(item for outcome in outcomes for item in outcome.inputs)
        inputs = {item.name for outcome in outcomes for item in outcome.inputs if item.kind in FILES}
        self._inputs = {self.project.root / name for name in inputs}
        self._made = {self.project.root / name for outcome in outcomes for name in outcome.wrote}
        return outcomes

    def news(self, saved: frozenset[Path], during: bool) -> frozenset[Path]:
        """The saves that call for a build: not those of files that blocks wrote in the last one. Files that change
        while a build runs, and that nobody saves as notes or modules, call for three builds in a row at most:
        blocks that change what they read would never come to rest."""
        saved = frozenset(path for path in saved - self._made if self._matters(path))
        sources = any(path.suffix in (*SUFFIXES, ".py", ".toml") for path in saved)
        self._restless = self._restless + 1 if saved and during and not sources else 0
        if self._restless > RESTLESS:
            if self._restless == RESTLESS + 1:
                names = ", ".join(sorted(display_path(path) for path in saved)[:3])
                self.report().err.write(f"fitnotes: blocks keep changing {names}; waiting for another save\n")
            return frozenset()
        return saved

    def _matters(self, path: Path) -> bool:
        """Whether a page may be made from a file: one that looks like a source, or that one was made from."""
        if path.suffix in (*SUFFIXES, ".py", ".toml") or path in self._inputs:
            return True
        return any(folder in self._inputs for folder in path.parents)

    def elsewhere(self) -> frozenset[Path]:
        """The files that blocks read outside of the project and that look different now."""
        found = {path for path, known in self._outside.items() if _look(path) != known}
        for path in found:
            self._outside[path] = _look(path)
        return frozenset(found)

    def outrun(self, changed: frozenset[Path]) -> None:
        """Stops a build that is at work on what was just saved: the next one starts with the new text."""
        build = self._build
        if build is not None and build.running & changed:
            build.cancel.set()

    def stop(self) -> None:
        if self._build is not None:
            self._build.cancel.set()

    def _learn(self, inputs: Iterable[Input]) -> None:
        """Which packages sessions have loaded, and which folders outside of the project they read."""
        for item in inputs:
            if item.kind == PACKAGE:
                self._packages[item.name] = item.value
            elif item.kind in FILES and os.path.isabs(item.name) and len(self._outside) < MOST:
                path = Path(item.name)
                if path not in self._outside:  # unless it was saved between its reading and now
                    same = item.kind != FILE or file_hash(path) == item.value
                    self._outside[path] = _look(path) if same else None

    def _same_packages(self) -> None:
        """A package that was installed anew: the loaded one must not run any more."""
        if any(package_version(name) != version for name, version in self._packages.items()):
            self.kept.close()
            stop_server()
            self._packages.clear()

    def folders(self) -> list[Path]:
        """What to look at for changes: the project, and where the notes lie."""
        found = {self.project.root, *(p.resolve() if p.is_dir() else p.resolve().parent for p in self.paths)}
        return [
            f for f in sorted(found) if not any(f != other and f.is_relative_to(other) for other in found)
        ]

    def concerns(self, path: str) -> bool:
        """Whether a changed file may matter: not what builds write themselves."""
        output = self.request.output or self.project.output
        own = (self.project.store, self.project.results, output, scratch())
        changed = Path(path)
        if any(changed.is_relative_to(folder) for folder in own):
            return False
        parts = changed.parts
        return not any(part in (".git", "__pycache__", "node_modules") for part in parts)


def _look(path: Path) -> object:
    try:
        info = path.stat()
    except OSError:
        return None
    return info.st_mtime_ns, info.st_size


class _Quiet:
    """Reports what was built. What is up to date is no news in a watch, nor is a note that fails as it did before
    and was not saved."""

    def __init__(
        self, report: Plain, failed: dict[Path, list[Problem]], changed: frozenset[Path] | None
    ) -> None:
        self._report = report
        self._failed = failed
        self._changed = changed or frozenset()

    def running(self, source: Source, what: str, done: int, total: int) -> None:
        pass

    def problem(self, problem: Problem) -> None:
        self._report.problem(problem)

    def finished(self, outcome: Outcome) -> None:
        path = outcome.source.path
        known = self._failed.pop(path, None)
        if outcome.status == "failed":
            self._failed[path] = outcome.problems
            if known == outcome.problems and path not in self._changed:
                return
        if outcome.status != "cached":
            self._report.finished(outcome)


def watch_notes(
    paths: Sequence[Path], project: Project, request: Request, report: Callable[[], Plain]
) -> None:
    """Builds and waits until Ctrl-C. Builds go on in a thread, so that a save in the middle is seen."""
    import watchfiles

    find_sources(paths, project)  # a wrong path is an error now, not a line among others
    watch = Watch(paths, project, request, report)
    printer = report()
    saved: frozenset[Path] = frozenset()
    with ThreadPoolExecutor(1) as pool:
        try:
            building: Future[list[Outcome]] | None = pool.submit(watch.build)
            first, start = True, time.perf_counter()
            looked = start
            while True:
                folders = watch.folders()
                changes = watchfiles.watch(
                    *folders,
                    watch_filter=lambda change, path: watch.concerns(path),
                    step=GATHER,
                    rust_timeout=GATHER,
                    yield_on_timeout=True,
                    ignore_permission_denied=True,
                )
                for found in changes:
                    saved |= {Path(path) for _, path in found}
                    if time.perf_counter() - looked > LOOK:
                        saved |= watch.elsewhere()
                        looked = time.perf_counter()
                    if building is not None and not building.done():
                        watch.outrun(saved)
                        continue
                    during = building is not None
                    if building is not None:
                        count = len(building.result())
                        building = None
                        if first and printer.verbosity >= 0:
                            printer.line(_ready(count, time.perf_counter() - start, folders))
                        first = False
                        if watch.folders() != folders:
                            break
                    saved = watch.news(saved, during)
                    if saved:
                        building = pool.submit(watch.build, saved)
                        saved = frozenset()
        except KeyboardInterrupt:
            printer.line("ended")
        finally:
            watch.stop()
    watch.kept.close()
    stop_server()


def _ready(count: int, seconds: float, folders: Sequence[Path]) -> str:
    names = ", ".join(display_path(folder) for folder in folders)
    return f"{count} note{'' if count == 1 else 's'}, {seconds:.1f} s; watching {names} (Ctrl-C ends)"
