"""What the user sees while a build runs: live lines on a terminal, plain ones when piped, then a summary."""

from __future__ import annotations

import contextlib
import re
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TextIO

from fitnotes.build.request import Outcome
from fitnotes.build.sources import Source
from fitnotes.errors import Problem, gathered
from fitnotes.execute.run import Told
from fitnotes.settings import display_path


def _cause(problem: Problem) -> object:
    """Many formulas may have the one command that MathJax does not know."""
    return problem.path, problem.code, problem.hint, problem.message.rpartition("MathJax says: ")[2]


class Plain:
    """One line a note, as it is finished. Problems go to ``err``, everything else to ``out``.

    ``verbosity``: -1 problems only, 0 what was done, 1 also what was up to date and each block. ``explain``:
    also why each block ran.
    """

    def __init__(
        self,
        verbosity: int = 0,
        out: TextIO | None = None,
        err: TextIO | None = None,
        *,
        explain: bool = False,
    ) -> None:
        self.verbosity = verbosity
        self.explain = explain
        self.out = out or sys.stdout
        self.err = err or sys.stderr
        self.start = time.perf_counter()
        self._lock = threading.Lock()

    def __enter__(self) -> Plain:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def running(self, source: Source, what: str, done: int, total: int) -> None:
        if self.verbosity > 0 and done:
            with self._lock:
                self.line(f"{display_path(source.path)}: block {done} of {total} done")

    def finished(self, outcome: Outcome) -> None:
        with self._lock:
            if self.explain and outcome.status != "skipped":
                self.explained(outcome)
            for problem, again in gathered(outcome.problems, _cause, lambda one: one.line):
                self.problem(replace(problem, message=problem.message + again) if again else problem)
            if outcome.status == "skipped" or self.verbosity < 0:
                return
            if outcome.status == "cached" and self.verbosity < 1:
                return
            self.line(describe(outcome))

    def explained(self, outcome: Outcome) -> None:
        """What became of each block and why."""
        self.line(display_path(outcome.source.path))
        shown = [(_named(told), told) for told in outcome.told]
        width = max((len(name) for name, _ in shown), default=0)
        for name, told in shown:
            why = f": {told.why}" if told.why else ""
            self.line(f"  {name:<{width}}  {told.verdict}{why}")
            for more in told.also:
                self.line(f"  {'':<{width}}    {more}")

    def line(self, text: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # nobody reads on; the build goes on
            print(text, file=self.out, flush=True)

    def problem(self, problem: Problem) -> None:
        with contextlib.suppress(BrokenPipeError):
            print(problem, file=self.err, flush=True)

    def summary(self, outcomes: Sequence[Outcome]) -> None:
        if self.verbosity >= 0:
            self.line(summarise(outcomes, time.perf_counter() - self.start))


class Live(Plain):
    """The same on a terminal, with a line below for every note that is being built."""

    def __init__(self, verbosity: int = 0, *, explain: bool = False) -> None:
        super().__init__(verbosity, explain=explain)
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        self._tasks: dict[Any, Any] = {}

    def __enter__(self) -> Live:
        self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()

    def running(self, source: Source, what: str, done: int, total: int) -> None:
        with self._lock:
            description = f"{display_path(source.path)}  {what}"
            task = self._tasks.get(source.path)
            if task is None:
                task = self._tasks[source.path] = self._progress.add_task(description, total=None)
            self._progress.update(task, description=description, total=total or None, completed=done)

    def finished(self, outcome: Outcome) -> None:
        task = self._tasks.pop(outcome.source.path, None)
        if task is not None:
            self._progress.remove_task(task)
        super().finished(outcome)

    def line(self, text: str) -> None:
        style = "red" if re.search(r": failed: |, failed [1-9]", text) else None
        self._console.print(text, style=style, markup=False)

    def problem(self, problem: Problem) -> None:
        style = "bold red" if problem.is_error else "yellow"
        self._console.print(str(problem), style=style, markup=False)


def _named(told: Told) -> str:
    name = told.block.name
    if told.block.inline and len(name) > 40:
        name = f"{name[:38]}…`"
    return f"{name}, session {told.block.options.session}" if told.block.options.session else name


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def describe(outcome: Outcome) -> str:
    name = display_path(outcome.source.path)
    pages = ", ".join(display_path(page) for page in outcome.written)
    if outcome.status == "cached":
        return f"{name}: up to date ({pages})"
    parts = []
    if outcome.ran:
        parts.append(f"ran {_plural(outcome.ran, 'block')}")
    if outcome.reused:
        parts.append(f"{_plural(outcome.reused, 'block')} from cache")
    parts.append(f"wrote {pages}" if pages else "no page written")
    failed = "failed: " if outcome.status == "failed" else ""
    return f"{name}: {failed}{', '.join(parts)} ({outcome.seconds:.1f} s)"


def summarise(outcomes: Sequence[Outcome], seconds: float) -> str:
    counts = {
        word: sum(o.status == status for o in outcomes)
        for word, status in (
            ("built", "built"),
            ("from cache", "cached"),
            ("failed", "failed"),
            ("not started", "skipped"),
        )
    }
    always = ("built", "from cache", "failed")
    text = ", ".join(f"{word} {count}" for word, count in counts.items() if count or word in always)
    failed = [display_path(o.source.path) for o in outcomes if o.status == "failed"]
    warnings = sum(not p.is_error for o in outcomes for p in o.problems)
    where = f" ({', '.join(failed)})" if failed else ""
    also = f"; {_plural(warnings, 'warning')}" if warnings else ""
    return f"{text}{where}{also}; {seconds:.1f} s"
