"""Fenced blocks in the text of a note: where they begin and end, as CommonMark has it, and what they say they are.

The one reader of fences: notes, lint and decks look at code through it. See https://spec.commonmark.org, section
"Fenced code blocks"; pandoc keeps to the same rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fitnotes.source.languages import READ

LINE = "fitnotes-line"  # the attribute by which a fence tells pandoc its line
# What may stand before a fence: the marks of quotations and list items.
_OPENING = re.compile(
    r"^(?P<prefix>(?:[ \t]|>|(?:[-*+]|\(?\w{1,3}[.)])[ \t])*)(?P<ticks>`{3,}|~{3,})[ \t]*(?P<info>.*)$"
)
_CLOSING = re.compile(r"^(?P<prefix>[ \t>]*)(?P<ticks>`{3,}|~{3,})[ \t]*$")
CODE_SPAN = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)")


@dataclass(frozen=True, slots=True)
class Fence:
    """A fenced block. ``start`` and ``end`` are the indices of its two fences; ``end`` is None where it is never
    closed. ``prefix`` is what stands before it: indentation, quotation marks, a list item."""

    start: int
    end: int | None
    prefix: str
    ticks: str
    info: str

    @property
    def lines(self) -> range:
        """The lines of its code."""
        assert self.end is not None
        return range(self.start + 1, self.end)


def header_end(lines: Sequence[str]) -> int:
    """How many lines the YAML header takes, with the empty lines and comments above it (0: there is none)."""
    first = header_start(lines)
    return metadata_end(lines, first) if first is not None else 0


def header_start(lines: Sequence[str]) -> int | None:
    """The line with which the header begins; comments and empty lines may stand above it."""
    comment = False
    for n, line in enumerate(lines):
        if comment or line.lstrip().startswith("<!--"):
            comment = "-->" not in line
        elif line.strip():
            return n if line.rstrip() == "---" else None
    return None


def metadata_end(lines: Sequence[str], start: int) -> int:
    """The line behind the YAML that begins with the ``---`` of line ``start``; 0 if it does not end."""
    for n in range(start + 1, len(lines)):
        if lines[n].rstrip() in ("---", "..."):
            return n + 1
    return 0


def fence_at(lines: Sequence[str], n: int) -> Fence | None:
    """The fenced block that line ``n`` opens, if it opens one."""
    match = _OPENING.match(lines[n])
    if match is None or not _opens(lines, n, match):
        return None
    return Fence(n, _end(lines, n, match), match["prefix"], match["ticks"], match["info"])


def _opens(lines: Sequence[str], n: int, match: re.Match[str]) -> bool:
    ticks, info = match["ticks"], match["info"]
    if ticks[0] == "`" and "`" in info and not info.startswith("{"):
        # inline code that happens to start a line (test_note.py: test_a_fence_that_pandoc_takes_for_inline_code)
        return False
    if re.match(r" {4}|\t", lines[n]):
        # In a list item, or a line of indented code: the first has its end indented alike.
        end = re.compile(rf"[ \t]{{2,}}[>\s]*{re.escape(ticks)}+\s*$")
        return any(end.match(line) for line in lines[n + 1 :])
    return True


def _end(lines: Sequence[str], n: int, opening: re.Match[str]) -> int | None:
    """The line that closes it: as many of the same signs, nothing behind them, and not indented like code."""
    ticks = opening["ticks"]
    deepest = _container(lines, n, opening["prefix"]) + 3
    for at in range(n + 1, len(lines)):
        match = _CLOSING.match(lines[at])
        if match is None or match["ticks"][0] != ticks[0] or len(match["ticks"]) < len(ticks):
            continue
        quoted = match["prefix"].count(">") <= opening["prefix"].count(">")
        if quoted and len(match["prefix"].expandtabs(4)) <= deepest:
            return at
    return None


_ITEM = re.compile(r"[ \t]*(?:[-*+:]|\(?(?:\w{1,3}|#)[.)])[ \t]+")


def _container(lines: Sequence[str], n: int, prefix: str) -> int:
    """The column at which the text of the list item begins that a fence stands in; 0 outside of lists."""
    indent = len(prefix.expandtabs(4))
    if prefix.strip() or not indent:  # behind the mark of the item itself, or of a quotation
        return indent
    column = 0
    for above in reversed(lines[:n]):
        item = _ITEM.match(above)
        if item is not None and len(item[0].expandtabs(4)) <= indent:
            column = len(item[0].expandtabs(4))
            break
        if above.strip() and not above[0].isspace():
            break
    return max(column, indent - 3)  # a fence stands at most so far inside


def shortfall(lines: Sequence[str], fence: Fence) -> int:
    """How many columns a block lacks to stand in the list item above it, whose text begins deeper than most people
    indent: behind ``iii)``, say. Pandoc would read it as words of the item, or as indented code. Below words of the
    item, it may also stand too deep, by as many columns as this is below 0."""
    if fence.prefix.strip() or not fence.prefix:
        return 0
    close = bool(fence.start and lines[fence.start - 1].strip())
    indent = len(fence.prefix.expandtabs(4))
    for above in reversed(lines[: fence.start]):
        item = _ITEM.match(above)
        if item is not None:
            own = len(above) - len(above.lstrip())
            column = len(item[0].expandtabs(4))
            if own < indent < column <= indent + 3 or (close and column < indent <= column + 3):
                return column - indent
            return 0
        if above.strip() and not above[0].isspace():
            return 0
    return 0


def fences(lines: Sequence[str], first: int = 0) -> Iterator[Fence]:
    """All fenced blocks from line ``first`` on; what is inside one is no fence."""
    n = first
    while n < len(lines):
        fence = fence_at(lines, n)
        if fence is not None:
            yield fence
            n = len(lines) if fence.end is None else fence.end
        n += 1


def author_fence(line: str) -> str | None:
    """The fence of a line as its author wrote it, without what stands before it; None if it is no fence."""
    match = _OPENING.match(line)
    return match["ticks"] + match["info"] if match else None


# --------------------------------------------------------------------------------------------------
# What a fence says

_BARE = re.compile(r"^(?P<language>[\w-]+)[ \t]*(?P<attributes>\{.*\})?[ \t]*$")
_BRACED = re.compile(r"^\{[ \t]*(?P<dot>\.?)(?P<language>[\w-]+)(?P<rest>[ \t,}].*)$")


def _knitr(rest: str) -> str:
    """``, label, echo=FALSE}`` as attributes: commas between options go, a bare word is the label."""
    inside = rest.rsplit("}", 1)[0]
    parts = re.findall(r"""[^\s,="']+\s*=\s*(?:"[^"]*"|'[^']*'|[^\s,]+)|[#.][^\s,]+|[^\s,]+""", inside)
    words = []
    for part in parts:
        if "=" in part:
            key, value = re.split(r"\s*=\s*", part, maxsplit=1)
            words.append(f"{key}={value.lower() if value in ('TRUE', 'FALSE') else value}")
        else:
            words.append(part if part[0] in "#." else f"#{part}")
    return "".join(" " + word for word in words)


def fence_info(info: str, line: int) -> str | None:
    """The info string of a fence that runs or is drawn, with its line marked; None for any other fence."""
    if braced := _BRACED.match(info):
        language, rest = braced["language"], braced["rest"]
        if language not in READ:
            # The language need not come first: pandoc itself writes {.sourceCode .python}.
            later = re.search(r"(?<!\S)\.([\w-]+)(?=[\s}])", rest)
            if not (braced["dot"] and later and later[1] in READ and rest.rstrip().endswith("}")):
                return None
            inside = f".{language}{rest.rstrip()[:-1]}".replace(later[0], "", 1)
            return f'{{.{later[1]} {inside.strip()} {LINE}="{line}"}}'
        if not rest.rstrip().endswith("}"):
            return None
        attributes = " " + rest.rstrip()[:-1].strip() if braced["dot"] else _knitr(rest)
        return f'{{.{language}{attributes.rstrip()} {LINE}="{line}"}}'
    if bare := _BARE.match(info):
        language = bare["language"]
        if language not in READ:
            return None
        attributes = " " + (bare["attributes"] or "{}")[1:-1].strip()
        return f'{{.{language}{attributes.rstrip()} {LINE}="{line}"}}'
    words = re.match(r"([\w-]+)[ \t]+([^{}`]+)$", info)
    if words and words[1] in READ:
        # ```python numberLines title="x": pandoc would read no block at all.
        parts = re.findall(r"""[^\s=]+=(?:"[^"]*"|'[^']*'|\S+)|\S+""", words[2])
        attributes = " ".join(part if "=" in part or part[0] in "#." else f".{part}" for part in parts)
        return f'{{.{words[1]} {attributes} {LINE}="{line}"}}'
    return None
