"""Checks of a note's source: what can be seen without reading it as a document."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fitnotes.errors import CODES, Severity
from fitnotes.lint.scan import Scan, Span
from fitnotes.tex.environments import ENVIRONMENT, rows
from fitnotes.tex.escapes import unescaped
from fitnotes.tex.macros import Macros, needs_braces, unbraced


@dataclass(frozen=True, slots=True)
class Edit:
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Finding:
    """``line`` and ``column`` count from 1; ``edits`` mend it without a change of meaning."""

    line: int
    column: int
    code: str
    message: str
    hint: str | None = None
    edits: tuple[Edit, ...] = ()
    path: str = ""

    @property
    def severity(self) -> Severity:
        return CODES[self.code].severity


def check_source(source: Scan, macros: Macros) -> Iterator[Finding]:
    """``macros`` are those of the preamble."""
    for span in source.formulas:
        yield from _formula(source, span, macros)
    yield from _lists(source)
    yield from _annotations(source)
    for match in re.finditer(r"!\[\s*\]\(([^)]*)\)(?!\{[^}]*alt)", source.prose):
        line, column = source.place(match.start())
        yield Finding(
            line, column, "missing-alt", f"{match[1]} has no description", "write it between [ and ]"
        )


def _formula(source: Scan, span: Span, macros: Macros) -> Iterator[Finding]:
    body = span.text(source.text)
    for start, end in unbraced(body, macros):
        if not needs_braces(body[start:end], macros):
            continue
        line, column = source.place(span.inner + start)
        shown = body[start:end]
        opening = Edit(span.inner + start, span.inner + start, "{")
        braces = (opening, Edit(span.inner + end, span.inner + end, "}"))
        yield Finding(line, column, "unbraced-script", f"{shown} behind _ or ^ needs braces in LaTeX",
                      f"write {{{shown}}}", braces)  # fmt: skip
    if (meant := unescaped(body)) != body:
        line, column = source.place(span.start)
        yield Finding(line, column, "escaped-maths", "backslashes that Markdown wants, in a formula",
                      "it is read as if they were not there", (Edit(span.inner, span.close, meant),))  # fmt: skip
    if span.odd:
        whole = source.text[span.start : span.end]
        line, column = source.place(span.start)
        edits = (Edit(span.start, span.end, span.odd),)
        yield Finding(line, column, "spaced-dollars", f"{whole} is a formula here, but not to most readers",
                      f"write {span.odd}", edits)  # fmt: skip
    if not span.display:
        return
    for match in re.finditer(r"\n((?:[ \t]*\n)+)", body):
        line, column = source.place(span.inner + match.start(1))
        edits = (Edit(span.inner + match.start(1), span.inner + match.end(1), ""),)
        yield Finding(line, column, "blank-line", "an empty line inside a display formula ends it in LaTeX",
                      "take it out", edits)  # fmt: skip
    line, column = source.place(span.start)
    if not span.bare and ENVIRONMENT.match(body.strip()):
        name = ENVIRONMENT.match(body.strip())[1]  # type: ignore[index]
        hint = f"write it without the dollars, or as {name.rstrip('*')}ed" if name[:5] != "equat" else None
        yield Finding(line, column, "environment-in-dollars", f"{name} inside $$ stops LaTeX", hint)
    elif not span.bare and len(rows(body)) > 1:
        hint = "put it into gathered or aligned"
        yield Finding(
            line, column, "rows-outside", "\\\\ outside an environment breaks no line in LaTeX", hint
        )


_ANNOTATED = re.compile(r"^.*\S[ \t]+(?:#|//|--|%|;|<!--|/\*)[ \t]*<(\d+)>[^\w\n]*$")


def _annotations(source: Scan) -> Iterator[Finding]:
    """Quarto's annotations of code: a number at the end of a line, and a list behind the block that explains it."""
    lines = source.text.split("\n")
    for n in sorted(source.code_lines):
        if not (match := _ANNOTATED.match(lines[n])):
            continue
        end = next((m for m in range(n, len(lines)) if m not in source.code_lines), len(lines))
        below = next((line for line in lines[end:] if line.strip()), "")
        if re.match(r" {0,3}1[.)] ", below):
            message = f"<{match[1]}> is a comment of the code, and the list below the block a list"
            hint = "no page links them; docs/dialects.md says what is read"
            yield Finding(n + 1, match.start(1), "annotation", message, hint)
            return


_ITEM = re.compile(r"^ {0,3}(?:[-*+]|\d{1,2}[.)])[ \t]+\S")


def _lists(source: Scan) -> Iterator[Finding]:
    lines = source.prose.split("\n")
    offset = 0
    displays = [(span.start, span.end) for span in source.formulas if span.display]
    for n, line in enumerate(lines):
        above = lines[n - 1] if n else ""
        starts = (
            _ITEM.match(line)
            and above.strip()
            and n not in source.code_lines
            and n - 1 not in source.code_lines
        )
        inside = any(start <= offset < end for start, end in displays)
        if (
            starts
            and not inside
            and not _in_list(lines, n - 1)
            and not re.match(r"\s*(?:[#|:>]|\\|-{3})", above)
        ):
            yield Finding(n + 1, 1, "list-blank-line", "a list needs an empty line before it elsewhere",
                          "put one in", (Edit(offset, offset, "\n"),))  # fmt: skip
        offset += len(line) + 1


def _in_list(lines: Sequence[str], n: int) -> bool:
    """Whether line n belongs to a list: it is an item, or goes on with one."""
    while n >= 0 and lines[n].strip():
        if (
            _ITEM.match(lines[n])
            or re.match(r"\s{2,}\S", lines[n])
            or re.match(r"\s*(?:[-*+]|\d+[.)])\s", lines[n])
        ):
            return True
        n -= 1
    return False
