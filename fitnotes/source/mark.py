"""The text of a note as pandoc gets it: spellings that pandoc does not know become those that it does.

Pandoc's Markdown reader keeps no source positions. So the text is *marked* before it is read: every
fence that opens a block which runs or is drawn gets an attribute with its line. Pandoc alone then decides what is a
code block; `unmark` takes the marks back out of anything it read as literal text. The number of lines stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from fitnotes.source import foreign, html, kramdown, myst, roles
from fitnotes.source.dollars import is_kramdown, tightened, without_code
from fitnotes.source.fences import (
    LINE,
    Fence,
    author_fence,
    fence_at,
    fence_info,
    header_end,
    header_start,
    metadata_end,
    shortfall,
)
from fitnotes.source.header import quote_values
from fitnotes.source.inline import is_vault, rewritten
from fitnotes.source.prose import Display, mark_prose

# What no page shows and XML does not hold: control characters, and the sign that begins a file in the middle of one.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff\ufffe\uffff]")
_INDENT = re.compile(r"[ \t>]*")


def mark(text: str) -> str:
    """The text with the line of every Python, Mermaid and TikZ fence written into its attributes.

    A fence inside a longer fence is text and stays as it is.
    """
    return _mark(text)[0]


def unclosed_fence(text: str) -> int | None:
    """The line of a fence that is never closed, of a block that runs or is drawn: pandoc takes it for text."""
    return _mark(text)[1]


_SHORTHAND = re.compile(
    r"\\(?:(?:re|provide)?(?:new)?command\*?|def)\s*\{?\s*(\\[A-Za-z]+)\s*\}?\s*\{\s*"
    r"(\\(?:begin|end)\s*\{(?:equation|align|gather|multline|eqnarray|flalign|displaymath)\*?\})\s*\}"
)


def _shorthands(text: str) -> dict[str, str]:
    r"""``\newcommand{\be}{\begin{equation}}``: macros that stand for an end of a formula. Pandoc has to see it
    (corpus/environment-shorthand)."""
    return dict(_SHORTHAND.findall(text)) if "\\begin" in text else {}


class _Shorthands:
    """Macros for the ends of a formula, written out in prose."""

    def __init__(self, text: str) -> None:
        self._known = _shorthands(text)
        names = "|".join(rf"{re.escape(name)}(?![A-Za-z])" for name in self._known)
        self._uses = re.compile(names) if names else None

    def write_out(self, line: str) -> str:
        if self._uses is None or _SHORTHAND.search(line) or "`" in line:
            return line
        return self._uses.sub(lambda match: self._known[match[0]], line)


def _mark(text: str) -> tuple[str, int | None]:
    marking = _Marking(text)
    marking.run()
    lines, prose = marking.lines, marking.prose
    _close_environments(lines, prose)
    substitutes = bool(re.search(r"(?m)^[ ]*substitutions:", text))
    _spell(lines, prose, vault=is_vault(text), substitutes=substitutes)
    _close_brackets(lines, prose, marking.displays)
    _tighten(lines, prose)
    return "\n".join(lines), marking.unclosed


class _Marking:
    """A text on its way through the rewriters, line by line."""

    def __init__(self, text: str) -> None:
        self.lines = text.split("\n")
        self.prose: list[int] = []  # lines of paragraphs
        self.displays: set[int] = set()  # lines of display formulas, and those in which one begins or ends
        self.unclosed: int | None = None  # the line of a fence that runs and never ends
        self._shorthands = _Shorthands(text)
        self._elements = html.Elements()
        self._display = Display.CLOSED

    def run(self) -> None:
        lines, n = self.lines, self._header() - 1
        in_comment = False
        while (n := n + 1) < len(lines):
            lines[n] = CONTROL.sub("", lines[n])
            if in_comment or lines[n].lstrip().startswith("<!--"):
                in_comment = "-->" not in lines[n]
            elif (last := self._dialect(n)) >= n:
                n = last
            elif (fence := fence_at(lines, n)) is None:
                self._line(n)
            else:
                self._display = Display.CLOSED
                n = self._fence(fence)

    def _header(self) -> int:
        """How many lines the header takes, whose values are put in quotes where they need them."""
        end, start = header_end(self.lines), header_start(self.lines) or 0
        if end:
            self.lines[:end] = [CONTROL.sub("", line) for line in self.lines[:end]]
            self.lines[:start] = [""] * start  # pandoc wants nothing above a header
            quote_values(self.lines, start + 1, end - 1)
        return end

    def _dialect(self, n: int) -> int:
        """Rewrites what begins in line ``n`` and only some readers know; the last line that needs no further look, or
        ``n - 1``."""
        lines, closed = self.lines, self._display == Display.CLOSED
        if closed and (last := self._elements.rewrite(lines, n)) >= n:
            self.prose += range(n, last + 1)
            return last
        if (behind := _metadata(lines, n)) > n:
            quote_values(lines, n + 1, behind - 1)
            return behind - 1
        if closed and (last := kramdown.rewrite(lines, n)) >= n:
            return last
        if (last := myst.rewrite(lines, n)) >= n:
            self._display = Display.CLOSED
        return last

    def _line(self, n: int) -> None:
        lines, before = self.lines, self._display
        lines[n] = self._shorthands.write_out(lines[n])
        roles.rewrite(lines, n, in_display=before != Display.CLOSED)
        self._display = mark_prose(lines, n, before)
        if before == self._display == Display.CLOSED and not re.match(r" {4}|\t", lines[n]):
            self.prose.append(n)
        elif before != self._display or before != Display.CLOSED:
            self.displays.add(n)

    def _fence(self, fence: Fence) -> int:
        """The last line of a block; that of the text where it never ends."""
        if fence.end is not None and (missing := shortfall(self.lines, fence)):
            for at in range(fence.start, fence.end + 1):
                self.lines[at] = _shifted(self.lines[at], missing)
            fence = replace(fence, prefix=_shifted(fence.prefix, missing, empty=True))
        if fence.info.strip() == "math" and (end := _math_fence(self.lines, fence)) is not None:
            return end
        if foreign.rewrite(self.lines, fence):
            return fence.end or fence.start
        marked = fence_info(fence.info.strip(), fence.start + 1)
        if fence.end is None:
            self.unclosed = fence.start + 1 if marked is not None else None
            return len(self.lines)
        if marked is not None:
            self.lines[fence.start] = f"{fence.prefix}{fence.ticks} {marked}"
        return fence.end


def _shifted(line: str, columns: int, *, empty: bool = False) -> str:
    """A line so many columns to the right, or to the left as far as it has blanks."""
    if not (line.strip() or empty):
        return line
    return " " * columns + line if columns > 0 else re.sub(rf"^ {{0,{-columns}}}", "", line)


_KEY = re.compile(r"[a-z][\w-]*:(?:\s|$)|\s|#|-\s|$")


def _metadata(lines: list[str], n: int) -> int:
    """The line behind a block of metadata further down in a note; n if there is none, but a rule
    (test_dialects.py: test_the_header_is_found_below_comments)."""
    if lines[n].rstrip() != "---" or not n or lines[n - 1].strip() or not lines[n + 1 : n + 2]:
        return n
    end = metadata_end(lines, n)
    inside = lines[n + 1 : end - 1]
    if not end or not inside or not re.match(r"[a-z][\w-]*:", inside[0]) or not all(map(_KEY.match, inside)):
        return n
    return end if all(line.strip() for line in inside) else n


_MANY_OPEN = 3  # environments without an end, from which on pandoc looks for it again and again
_DEEPEST = 4  # brackets around one that is still read
_ENVIRONMENT = re.compile(r"\\(begin|end)\{([A-Za-z]+\*?)\}")


def _close_environments(lines: list[str], prose: list[int]) -> None:
    """Where many environments of TeX have no end, their beginnings as text: pandoc looks for the end of each inside all
    others, in a time that doubles with every one (test_dialects.py: test_reading_ends)."""
    open_: dict[str, list[tuple[int, int]]] = {}
    for n in prose:
        if "\\begin" not in lines[n] and "\\end" not in lines[n]:
            continue
        for match in _ENVIRONMENT.finditer(lines[n]):
            places = open_.setdefault(match[2], [])
            if match[1] == "begin":
                places.append((n, match.start()))
            elif places:
                places.pop()
    unclosed = [place for places in open_.values() for place in places]
    if len(unclosed) < _MANY_OPEN:
        return
    for n, at in sorted(unclosed, reverse=True):
        lines[n] = f"{lines[n][:at]}\\{lines[n][at:]}"


_NO_BRACKETS = re.compile(
    r"(?s)(`+)(?!`).*?(?<!`)\1(?!`)|\$\$.*?\$\$|\$[^$]*\$|\\\(.*?\\\)|\\\[.*?\\\]|\\.|<!--.*?-->"
)


def _close_brackets(lines: list[str], prose: list[int], displays: set[int]) -> None:
    """Where many brackets of a paragraph have no end, as in half-open intervals, or stand in many others, they are
    characters: pandoc tries each of them as the start of a link, in a time that doubles with every one
    (test_dialects.py: test_reading_ends)."""
    for part in _paragraphs(lines, sorted({*prose, *displays})):
        text = "\n".join(lines[n] for n in part)
        if text.count("[") < _MANY_OPEN:
            continue
        seen = _NO_BRACKETS.sub(lambda match: " " * len(match[0]), text)
        open_: list[int] = []
        deep: list[int] = []
        for match in re.finditer(r"[\[\]]", seen):
            if match[0] == "[":
                open_.append(match.start())
            elif open_:
                start = open_.pop()
                deep += [start, match.start()] if len(open_) >= _DEEPEST else []
        characters = sorted([*deep, *(open_ if len(open_) >= _MANY_OPEN else ())], reverse=True)
        if not characters:
            continue
        for at in characters:
            text = f"{text[:at]}&#{ord(text[at])};{text[at + 1 :]}"
        lines[part[0] : part[-1] + 1] = text.split("\n")


def _paragraphs(lines: list[str], prose: list[int]) -> Iterator[list[int]]:
    """The lines of prose, paragraph by paragraph."""
    start = 0
    for i, n in enumerate(prose):
        if i + 1 == len(prose) or prose[i + 1] != n + 1 or not lines[n].strip():
            yield prose[start : i + 1]
            start = i + 1


def _spell(lines: list[str], prose: list[int], *, vault: bool, substitutes: bool) -> None:
    """Spellings of other dialects as pandoc's, paragraph by paragraph."""
    for part in _paragraphs(lines, prose):
        text = "\n".join(lines[at] for at in part)
        if (spelt := rewritten(text, vault=vault, substitutes=substitutes)) != text:
            lines[part[0] : part[-1] + 1] = spelt.split("\n")


def _tighten(lines: list[str], prose: list[int]) -> None:
    """Formulas between dollars as pandoc reads them, paragraph by paragraph."""
    if not any("$" in lines[n] for n in prose):
        return
    doubled = is_kramdown(without_code("\n".join(lines[n] for n in prose)))
    for part in _paragraphs(lines, prose):
        text = "\n".join(lines[at] for at in part)
        if "$" in text:
            lines[part[0] : part[-1] + 1] = tightened(text, kramdown=doubled).split("\n")


def _math_fence(lines: list[str], fence: Fence) -> int | None:
    """GitHub's own way to write a display formula, as one of pandoc's; the line where it ends.

    None if it does not end, is empty, or holds dollars of its own.
    """
    end = None
    for at in range(fence.start + 1, len(lines)):
        if lines[at].strip() == fence.ticks:
            end = at if at > fence.start + 1 else None
            break
        if "$" in lines[at]:
            break
    if end is None:
        return None
    for at in range(fence.start + 1, end):
        lines[at] = lines[at] if lines[at].strip() else "%"
    lines[fence.start], lines[end] = fence.prefix + "$$", fence.prefix + "$$"
    return end


def unmark(text: str, original: list[str]) -> str:
    """Literal text as the author wrote it: lines that carry a mark are put back."""
    if LINE not in text:
        return text
    out = []
    for line in text.split("\n"):
        found = re.search(rf'{LINE}="(\d+)"', line)
        fence = author_fence(original[int(found[1]) - 1]) if found else None
        if fence is not None:
            line = _INDENT.match(line)[0] + fence  # type: ignore[index]
        out.append(line)
    return "\n".join(out)
