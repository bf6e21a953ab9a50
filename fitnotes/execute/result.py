"""What running one block gave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from fitnotes.store.inputs import Input

Status = Literal["ok", "error", "timeout", "crash", "not run", "missing"]


# What an error of Python's does not say to the author of a note.
_HINTS = {
    "raised EOFError": "a note is built without anyone to ask: write the value into the code",
    "raised SystemExit": "this ends a script; a block ends by itself, and those below it run",
    "Figure.show works only": "it was shown and closed at the end of its block: write its name alone to show it again",
    "name '__file__' is not defined": "blocks run in the folder of their note: Path.cwd() is it",
}


@dataclass(frozen=True, slots=True)
class Result:
    """What running one block gave.

    ``outputs`` are nbformat output dicts; ``message`` and ``line`` say what went wrong where; ``at`` are the
    lines where the session's blocks stood, up to this one; ``inputs`` is what it depended on, ``wrote`` the
    project's files that it wrote, ``volatile`` what it read that cannot be had again; ``lines`` are
    `line_sums` of the modules it imported. ``after`` is the state of the block before it in its session,
    ``state`` stands for everything that happened in the session up to here.
    """

    status: Status
    outputs: tuple[dict[str, Any], ...] = ()
    message: str = ""
    line: int | None = None
    seconds: float = 0.0
    inputs: tuple[Input, ...] = ()
    at: tuple[int | None, ...] = ()
    wrote: tuple[str, ...] = ()
    volatile: tuple[str, ...] = ()
    lines: tuple[tuple[str, str], ...] = ()
    after: str = ""
    state: str = ""

    @property
    def hint(self) -> str | None:
        """How to mend what went wrong, where that is known."""
        return next((hint for words, hint in _HINTS.items() if words in self.message), None)
