r"""Where the formulas and the raw TeX of a note stand in its LaTeX: each begins with a mark, ``\fitnotesat{7}``, that
prints nothing and by which LaTeX's messages find the line of the note."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fitnotes.passes.page import Page, Placed

NAME = "fitnotesat"
MARK = re.compile(rf"\\{NAME}\{{(\d+)\}}")
# As pandoc writes it where it makes a formula text: bookmarks, descriptions.
_AS_TEXT = re.compile(rf"\\textbackslash\s*(?:\{{\}})?{NAME}\\\{{\d+\\\}}")
DEFINITION = f"\\def\\{NAME}#1{{}}"  # on the first line, so that lines keep their numbers


def marked(page: Page, placed: Placed) -> str:
    """The text of something with its mark in front; ``page`` knows it from now on."""
    page.placed.append(placed)
    return mark(len(page.placed) - 1) + placed.text


def mark(number: int) -> str:
    return f"\\{NAME}{{{number}}}"


def only_in_formulas(text: str) -> str:
    """The LaTeX that pandoc has written, with marks where they print nothing only."""
    return _AS_TEXT.sub("", text)


def without_marks(text: str) -> str:
    return MARK.sub("", text)


@dataclass(frozen=True, slots=True)
class Spot:
    """Where LaTeX is when it says something. ``placed`` is the last thing that has begun there, with its ``number``;
    ``inside``: it has not ended. ``words``: what LaTeX has just read."""

    placed: Placed | None = None
    number: int = -1
    inside: bool = False
    words: str = ""

    def line(self, page: Page, name: str = "") -> int | None:
        """The note's line: where ``name`` stands in or behind what is placed there, else where that begins."""
        start = self.placed.line if self.placed else None
        found = page.note.line_of(name, after=(start or 1) - 1) if name else None
        return found if found and found >= (start or 1) else start


def spot(page: Page, log: str, text: str) -> Spot:
    """Where LaTeX has stopped, from its log."""
    place = re.search(r"^l\.(\d+) ?(.*)$", log, re.MULTILINE)
    if place is None:
        return Spot()
    words = place[2].removeprefix("...")
    return at_line(page, text, int(place[1]), words)


def at_line(page: Page, text: str, line: int, words: str = "") -> Spot:
    """What stands in a line of the LaTeX (from 1), at the end of ``words`` in it if there are any."""
    start = 0
    for _ in range(line - 1):
        start = text.find("\n", start) + 1
        if not start:
            return Spot(words=words)
    end = text.find("\n", start)
    end = len(text) if end < 0 else end
    found = text.find(words, start, end) if words else -1
    offset = found + len(words) if found >= 0 else end
    last = None
    for match in MARK.finditer(text, 0, offset):
        last = match
    if last is None or int(last[1]) >= len(page.placed):
        return Spot(words=words)
    placed = page.placed[int(last[1])]
    ended = last.end() + len(placed.text) + len("\\)")  # at which LaTeX sees what is missing
    return Spot(placed, int(last[1]), offset <= ended, words)


def replaced(text: str, number: int, placed: Placed, new: str) -> str:
    """The LaTeX with ``new`` in the place of a formula, its delimiters included."""
    whole = mark(number) + placed.text
    left, right = {"InlineMath": ("\\(", "\\)"), "DisplayMath": ("\\[", "\\]")}[placed.kind]
    delimited = f"{left}{whole}{right}"
    return text.replace(delimited if delimited in text else whole, mark(number) + new, 1)


def stands(text: str, number: int, placed: Placed) -> bool:
    """Whether a formula is still there as it was written."""
    return mark(number) + placed.text in text
