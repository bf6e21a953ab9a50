"""What is asked of a build, what became of each note, and where progress goes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from fitnotes.build.sources import Source
from fitnotes.errors import FitnotesError, Problem
from fitnotes.execute.run import Told
from fitnotes.store.inputs import Input

# "waiting": it refers to a note that is being built, and is built once more.
Status = Literal["built", "cached", "failed", "skipped", "waiting"]


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks for. ``page``: the one file to write, when ``--output`` names a file.

    ``outside``: where nothing is run, files outside the project are read all the same.

    ``retry``: of the notes whose last build failed, those that are built again though nothing that they are
    made from has changed; None: all.
    """

    targets: tuple[str, ...] = ("html",)
    output: Path | None = None
    page: Path | None = None
    execute: bool = True
    outside: bool = False
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
    status: Status = "built"
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

    def fail(self, error: FitnotesError) -> None:
        """What ended the work on it, as one of its problems."""
        self.status = "failed"
        path = error.path or self.source.path.name
        self.problems.append(Problem(error.code, error.message, path, error.line, error.hint))

    def add(self, problems: Iterable[Problem]) -> None:
        """Problems, each once: several pages of a note have the same."""
        self.problems += [p for p in problems if p not in self.problems]


class Report(Protocol):
    """Where progress goes."""

    def running(self, source: Source, what: str, done: int, total: int) -> None: ...

    def finished(self, outcome: Outcome) -> None: ...

    def problem(self, problem: Problem) -> None: ...
