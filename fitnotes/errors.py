"""Everything that can go wrong, and the exit code it ends with.

::

    FitnotesError
    ├── UsageError          2   wrong command line, settings or block option
    ├── ConversionError     3   pandoc, Typst or LaTeX cannot convert the note
    └── MissingProgram      4   a program that this build needs is not installed

A block that raises, times out or crashes is not an exception here: it is a `Problem` with
``exit_code`` 1 that travels beside the page, because the page is still written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

BLOCK_FAILED = 1
INTERRUPTED = 130


def located(message: str, path: str | None, line: int | None) -> str:
    """``file:line: message``, as editors and compilers write it."""
    if path is None:
        return message
    return f"{path}:{line}: {message}" if line else f"{path}: {message}"


class FitnotesError(Exception):
    """An error with a place (``path``, ``line``), and a ``hint`` that says how to mend it."""

    exit_code: ClassVar[int] = 3

    def __init__(
        self, message: str, *, path: str | None = None, line: int | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.line = line
        self.hint = hint

    def __str__(self) -> str:
        text = located(self.message, self.path, self.line)
        return f"{text}\n  {self.hint}" if self.hint else text


class UsageError(FitnotesError):
    exit_code = 2


class ConversionError(FitnotesError):
    exit_code = 3


class MissingProgram(FitnotesError):
    exit_code = 4


@dataclass(frozen=True, slots=True)
class Problem:
    """Something found while building that does not stop the page from being written.

    ``code`` is its name for ``fitnotes lint``, where it has one.
    """

    severity: Literal["error", "warning"]
    message: str
    path: str
    line: int | None = None
    hint: str | None = None
    exit_code: int = 0
    code: str = ""

    def __str__(self) -> str:
        kind = "" if self.severity == "error" else "warning: "
        text = located(kind + self.message, self.path, self.line)
        return f"{text}\n  {self.hint}" if self.hint else text
