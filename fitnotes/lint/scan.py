"""Where prose, formulas and code stand in a note's source, by offset.

Pandoc says what a note means but not where; this finds the places. Whatever is changed on its word is
read by pandoc again before it is kept (see `fitnotes.lint.check`).
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass

from fitnotes.source.dollars import CODE, formula_at, in_line, is_kramdown, without_code
from fitnotes.source.fences import CODE_SPAN, fences, header_end
from fitnotes.tex.environments import ENVIRONMENT, environment_end


@dataclass(frozen=True, slots=True)
class Span:
    """A formula. ``start`` and ``end`` take in its dollars, ``inner`` and ``close`` do not."""

    start: int
    inner: int
    close: int
    end: int
    display: bool
    bare: bool = False  # an environment without dollars
    odd: str = ""  # how other readers see a formula in it, too

    def text(self, source: str) -> str:
        return source[self.inner : self.close]


class Scan:
    """A note's text with what is not prose blanked out: ``prose`` has the same length and lines, and `CODE` for code in
    a line."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._ends = [match.start() for match in re.finditer("\n", text)]
        self.with_comments, self.code_lines = _blank(text)
        self.prose = re.sub(
            r"(?s)<!--.*?-->|<(pre|script|style)\b.*?</\1>", lambda m: _spaces(m[0]), self.with_comments
        )
        self.formulas = list(_formulas(without_code(self.prose)))

    def place(self, offset: int) -> tuple[int, int]:
        """(line, column), both from 1, of an offset."""
        line = bisect.bisect_left(self._ends, offset)
        start = self._ends[line - 1] + 1 if line else 0
        return line + 1, offset - start + 1

    def words(self) -> str:
        """The prose without its formulas."""
        out = list(self.prose)
        for span in self.formulas:
            for i in range(span.start, span.end):
                out[i] = "\n" if out[i] == "\n" else " "
        return "".join(out)


def _spaces(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def _blank(text: str) -> tuple[str, set[int]]:
    """The text with header and code as spaces, and the lines (from 0) of fenced code."""
    lines = text.split("\n")
    top = header_end(lines)
    code: set[int] = set()
    for fence in fences(lines, top):
        code.update(range(fence.start, len(lines) if fence.end is None else fence.end + 1))
    listed = False  # in a list, where deep lines are no code (test_lint.py: test_clean_notes_and_hints_pass)
    for n in range(top, len(lines)):
        if n in code:
            continue
        if re.match(r" {4}|\t", lines[n]) and not listed and (n - 1 in code or not lines[n - 1].strip()):
            code.add(n)
        elif lines[n].strip() and not re.match(r"\s", lines[n]):
            listed = bool(re.match(r"(?:[-*+:]|\(?\w{1,3}[.)])\s|\[\^", lines[n]))
    shown = [_spaces(line) if n < top or n in code else line for n, line in enumerate(lines)]
    whole = "\n".join(shown)
    return CODE_SPAN.sub(lambda m: re.sub(r"[^\n]", CODE, m[0]), whole), code


_MATHS = re.compile(
    r"(?s)\\.(?<!\\\[)(?<!\\\()(?<!\\b)"
    r"|\$\$(?P<d>.+?)\$\$|\\\[(?P<b>.+?)\\\]|\\\((?P<p>.+?)\\\)|(?P<i>\$)|(?P<e>\\begin)"
)


def _formulas(prose: str) -> Iterator[Span]:
    kramdown = is_kramdown(prose)
    at = 0
    while match := _MATHS.search(prose, at):
        at = match.end()
        kind = match.lastgroup
        if kind is None:
            continue
        if kind == "e":
            end = environment_end(prose, match.start()) if ENVIRONMENT.match(prose, match.start()) else -1
            if end > 0:
                yield Span(match.start(), match.start(), end, end, True, True)
                at = end
            continue
        if kind == "i":
            if (found := formula_at(prose, match.start())) and found.body:
                at = found.end
                odd = found.written if found.odd else ""
                yield Span(found.start, found.start + 1, found.end - 1, found.end, False, odd=odd)
            continue
        in_its_line = kind == "d" and kramdown and in_line(prose, match.start(), match.end())
        display = kind in ("d", "b") and not in_its_line
        odd = f"${match[kind].strip()}$" if in_its_line else ""
        yield Span(match.start(), match.start(kind), match.end(kind), match.end(), display, odd=odd)
