"""Lines outside code where authors and pandoc disagree: formulas, rules, years at the start of a line.

Each is a guess at what an author means; the note or test in brackets is the one that made it necessary.
"""

from __future__ import annotations

import re
from enum import Enum

from fitnotes.source.fences import CODE_SPAN

_DEFINITION_LINE = re.compile(
    r"(\s*\\(?:newcommand|renewcommand|providecommand|def|let|DeclareMathOperator)\b.*?)(?<!\\)%[^\n]*$"
)


class Display(Enum):
    """Whether a display formula is open at a line, and if so, whether empty lines in it are to be mended."""

    CLOSED = 0
    OPEN = 1
    MEND = 2


def mark_prose(lines: list[str], n: int, state: Display) -> Display:
    """Rewrites a line outside code where authors and pandoc disagree; the state of ``$$`` behind it."""
    line = lines[n]
    dollars = _displays(line)
    if state != Display.CLOSED:
        if state == Display.MEND and not line.strip():
            lines[n] = "%"  # pandoc ends a formula at an empty line; TeX reads a comment (corpus/blank-lines)
        return Display.CLOSED if dollars % 2 else state
    if re.match(r" {4}|\t", line):
        return Display.CLOSED
    if dollars % 2:
        return _formula_below(lines, n)
    if "\\" in line and (comment := _DEFINITION_LINE.match(line)):
        # pandoc would print the comment (test_note.py: test_a_comment_behind_a_definition_is_not_printed)
        line = lines[n] = comment[1]
    if (
        line.rstrip() == "---"
        and n
        and not lines[n - 1].strip()
        and lines[n + 1 : n + 2]
        and lines[n + 1].strip()
    ):
        # A rule; pandoc would take "Note: words" below it for metadata, and swallow it
        # (test_note.py: test_a_rule_swallows_nothing_below_it).
        lines[n] = "***"
        return Display.CLOSED
    if "$`" in line:
        line = lines[n] = _github_maths(line)
    if _wrapped_year(lines, n):
        lines[n] = re.sub(r"^(\s*\d+)([.)])", r"\1\\\2", line)
    return Display.CLOSED


def _displays(line: str) -> int:
    """How many ``$$`` stand in a line outside inline code."""
    return len(re.findall(r"(?<!\\)\$\$", CODE_SPAN.sub("", line))) if "$$" in line else 0


def _formula_below(lines: list[str], n: int) -> Display:
    """What the ``$$`` of line n opens: a formula, one that empty lines hide from pandoc, or nothing."""
    empty = False
    for line in lines[n + 1 : n + 60]:
        if _displays(line):
            if not empty:
                return Display.OPEN
            whole = re.match(r"\s*\$\$", lines[n]) and re.search(r"\$\$[.,;]?(\s*\{#[^}]*\})?\s*$", line)
            return Display.MEND if whole else Display.CLOSED
        if line.startswith(("```", "~~~", "---")) or (empty and line.startswith("#")):
            return Display.CLOSED
        empty = empty or not line.strip()
    return Display.CLOSED


def _wrapped_year(lines: list[str], n: int) -> bool:
    """A sentence that goes on with "1985. It was" at the start of a line: no list begins at 1985
    (tests/notes/constructs)."""
    above = lines[n - 1] if n else ""
    return bool(re.match(r"\s{0,3}\d{3,}[.)]\s", lines[n])) and bool(re.search(r"[a-zA-Z,]\s*$", above))


def _github_maths(line: str) -> str:
    """GitHub's ``$`x`$`` as ``$x$``: a code span between dollars (corpus/github-maths)."""
    out, at = [], 0
    for span in CODE_SPAN.finditer(line):
        start, end = span.span()
        if span[1] == "`" and line[start - 1 : start] == "$" and line[end : end + 1] == "$":
            out += [line[at:start], span[0][1:-1].strip()]
            at = end
    return "".join([*out, line[at:]])
