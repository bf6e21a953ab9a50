"""A note as a frozen record: what its author wrote, what pandoc reads, and where something stands in it."""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass
from pathlib import Path

from fitnotes.errors import UsageError
from fitnotes.settings import display_path
from fitnotes.source.mark import mark

SUFFIXES = (".md", ".markdown", ".qmd")


@dataclass(frozen=True, slots=True)
class Note:
    """One source file. ``text`` is what the author wrote, ``marked`` what pandoc reads."""

    path: Path
    text: str
    marked: str

    @property
    def shown(self) -> str:
        return display_path(self.path)

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
        self._at = 0
        self._ends = [match.start() for match in re.finditer("\n", note.text)]

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
        return bisect.bisect_left(self._ends, at) + 1 if at >= 0 else None


def read_note(path: Path) -> Note:
    """Reads a source file. Raises UsageError when it is not there, not readable or not UTF-8."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", path=display_path(path)) from None
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise UsageError(
            f"not UTF-8 (byte {error.start})", path=display_path(path), line=line, hint="save it as UTF-8"
        ) from None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise UsageError("holds a NUL byte: not a text file", path=display_path(path), line=line)
    return Note(path, text, mark(text))
