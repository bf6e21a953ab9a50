"""A note as a frozen record: what its author wrote, what pandoc reads, and where something stands in it."""

from __future__ import annotations

import bisect
import os
import re
import sys
import threading
from dataclasses import dataclass, replace
from pathlib import Path

from fitnotes.errors import Problem, UsageError
from fitnotes.settings import display_path
from fitnotes.source.fences import header_end
from fitnotes.source.include import Part, plain_lines, put_in
from fitnotes.source.mark import mark

SUFFIXES = (".md", ".markdown", ".qmd")


@dataclass(frozen=True, slots=True)
class Note:
    """One source file. ``text`` is what the author wrote, with the files that it includes; ``marked`` what pandoc
    reads. ``parts``: which file each line of the text comes from, if not all from this one."""

    path: Path
    text: str
    marked: str
    parts: tuple[Part, ...] = ()

    @property
    def shown(self) -> str:
        return display_path(self.path)

    @property
    def included(self) -> set[Path]:
        return {part.path for part in self.parts} - {self.path}

    def place(self, line: int) -> tuple[str, int]:
        """The file, as it is shown, and its line, that line ``line`` of the text comes from."""
        part = next((part for part in reversed(self.parts) if part.start <= line), None)
        return (display_path(part.path), part.line + line - part.start) if part else (self.shown, line)

    def placed(self, problem: Problem) -> Problem:
        """The problem at the place in the author's files; once, when nothing else looks at its line any more."""
        if not self.parts or problem.line is None or problem.path != self.shown:
            return problem
        path, line = self.place(problem.line)
        return replace(problem, path=path, line=line)

    def replaced(self, text: str) -> str:
        """What Python prints of an error or a warning, with the places in the author's files."""
        if not self.parts:
            return text

        def place(match: re.Match[str]) -> str:
            path, line = self.place(int(match["line"]))
            path = (
                self.path.name if path == self.shown else os.path.relpath(path, os.path.dirname(self.shown))
            )
            return f"{match['before']}{path}{match['between']}{line}"

        name = re.escape(self.path.name)
        return re.sub(
            rf'(?P<before>^|File "){name}(?P<between>", line |:)(?P<line>\d+)',
            place,
            text,
            flags=re.MULTILINE,
        )

    def line_of(self, snippet: str, after: int = 0) -> int | None:
        """The line where ``snippet`` first stands behind line ``after``, or None."""
        first = snippet.strip().split("\n", 1)[0].strip()
        if not first:
            return None
        start = 0
        for _ in range(after):
            newline = self.text.find("\n", start)
            if newline < 0:
                break
            start = newline + 1
        at = self.text.find(first, start)
        if at < 0:
            at = self.text.find(first)
        return self.text.count("\n", 0, at) + 1 if at >= 0 else None


class Cursor:
    """Finds pieces of a note's text in the order in which they stand there, and says their lines."""

    def __init__(self, note: Note) -> None:
        self._text = note.text
        self._ends = [match.start() for match in re.finditer("\n", note.text)]
        header = header_end(note.text.split("\n"))  # its texts are met last
        self._at = self._ends[header - 1] if 0 < header <= len(self._ends) else 0

    def line_of(self, snippet: str) -> int | None:
        """The line of ``snippet`` behind the one found before it; else of its first occurrence, or None."""
        first = snippet.strip().split("\n", 1)[0].strip()
        if not first:
            return None
        at = self._text.find(first, self._at)
        if at >= 0:
            self._at = at + len(first)
        else:
            at = self._text.find(first)
        return self._line(at)

    def line_of_formula(self, tex: str) -> int | None:
        """As `line_of`, but words or macros that are spelt like the formula are not taken for it."""
        first = tex.strip().split("\n", 1)[0].strip()
        at = self._text.find(first, self._at) if first else -1
        for _ in range(_LOOKS):
            if at < 0 or self._text[max(at - 20, 0) : at].rstrip().endswith(_OPENINGS):
                break
            at = self._text.find(first, at + 1)
        else:
            at = -1
        if at < 0:
            return self.line_of(tex)
        self._at = at + len(first)
        return self._line(at)

    def _line(self, at: int) -> int | None:
        return bisect.bisect_left(self._ends, at) + 1 if at >= 0 else None


_OPENINGS = ("$", "\\(", "\\[", "`", "```{math}")
_LOOKS = 500  # at so many places, before any that is spelt like it will do


def deep_stacks() -> None:
    """Room for documents that are nested deeply, in the threads that begin from here on."""
    sys.setrecursionlimit(20_000)
    threading.stack_size(512 << 20)


def read_note(path: Path, root: Path | None = None) -> Note:
    """Reads a source file and what it includes from below ``root``, else from beside it. Raises UsageError when it is
    not there, not readable or not UTF-8."""
    text, parts = put_in(read_text(path), path, root or path.parent)
    return Note(path, text, mark(text), parts)


def read_text(path: Path) -> str:
    """What its author wrote. Raises UsageError as `read_note`."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", path=display_path(path)) from None
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise UsageError(
            f"not UTF-8 (byte {error.start})", path=display_path(path), line=line, hint="save it as UTF-8"
        ) from None
    text = plain_lines(text)
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise UsageError("holds a NUL byte: not a text file", path=display_path(path), line=line)
    return text
