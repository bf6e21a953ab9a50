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
    elif "$" in line and "<" not in line:
        lines[n] = tighten_maths(line)
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


_FORMULA = re.compile(
    r"\$\$.*?\$\$|\\.|\$(?=\S)(?:[^$\\]|\\.)*?(?<=\S)\$(?!\d)"
    r"|(?P<loose>(?<!\w)\$ +(?P<body>(?:[^$\\`]|\\.)*?) +\$(?![\w$]))"
)


def _github_maths(line: str) -> str:
    """GitHub's ``$`x`$`` as ``$x$``: a code span between dollars (corpus/github-maths)."""
    out, at = [], 0
    for span in CODE_SPAN.finditer(line):
        start, end = span.span()
        if span[1] == "`" and line[start - 1 : start] == "$" and line[end : end + 1] == "$":
            out += [line[at:start], span[0][1:-1].strip()]
            at = end
    return "".join([*out, line[at:]])


def tighten_maths(line: str) -> str:
    """``$ x^2 $`` as ``$x^2$``: pandoc takes dollars with a space inside for money, an author means maths.

    Only where a space stands on both sides, the inside looks like TeX and holds no words; never in code,
    and never across formulas that are well formed (corpus/spaces-dollars).

    >>> tighten_maths("the value $ x^2 $, not $ 5 and $ 6 nor $ A=1 and then $ B")
    'the value $x^2$, not $ 5 and $ 6 nor $ A=1 and then $ B'
    """

    def tight(match: re.Match[str]) -> str:
        body = match["body"]
        if match["loose"] is None or not body.strip() or body.count("{") != body.count("}"):
            return match[0]
        words = re.search(r"(?<![\\a-zA-Z{])[a-zA-Z]{3,}", body)
        worded = re.search(r"[a-zA-Z]{2,}|[^\w\s+*/<>=().,|-]|\d\s+[a-zA-Z]\b", body)
        plain = re.search(r"[a-zA-Z]", body) and not worded
        looks = re.search(r"[\\^_={]", body) and not words
        return f"${body.strip()}$" if looks or plain else match[0]

    out, at = [], 0
    for span in [*CODE_SPAN.finditer(line), None]:
        text = line[at : span.start()] if span else line[at:]
        out.append(_FORMULA.sub(tight, text))
        if span:
            out.append(span[0])
            at = span.end()
    return "".join(out)
