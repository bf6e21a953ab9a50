"""HTML in the text of a note, as its author means it: what is indented in an element is no code, an SVG is no prose.

Only text is changed, and the number of lines stays.
"""

from __future__ import annotations

import re

from fitnotes.source.fences import CODE_SPAN

_CONTAINERS = (
    "div", "section", "article", "figure", "details", "center", "table", "thead", "tbody", "tr", "ul", "ol", "dl",
    "header", "footer", "main", "aside", "nav", "form", "fieldset", "blockquote",
)  # fmt: skip
_OPENING = re.compile(rf"(?i)^ {{0,3}}<(?:{'|'.join(_CONTAINERS)})\b")
_TAG = re.compile(rf"(?i)<(/?)(?:{'|'.join(_CONTAINERS)})\b[^<>]*?(/?)>")
_SVG = re.compile(r"(?is)<(svg|math)\b[^<>]*>.*?</\1\s*>")
_SVG_START = re.compile(r"(?i)^[ \t>]*<(svg|math)\b")
_MOST = 5000  # lines of an SVG


class Elements:
    """The HTML elements that are open, line by line."""

    def __init__(self) -> None:
        self._depth = 0
        self._inside = False  # right below a line of HTML
        self._verbatim = False

    def rewrite(self, lines: list[str], n: int) -> int:
        """Rewrites line ``n``, outside fences, and what belongs to it; gives the last line that needs no further look,
        or ``n - 1``."""
        if (match := _SVG_START.match(lines[n])) and (last := _raw(lines, n, match[1])) >= n:
            return last
        line = lines[n]
        if "<" not in line and not self._depth:
            self._inside = False
            return n - 1
        if not re.search(r"(?i)</?(?:pre|script|style|textarea)\b", line) and not self._verbatim:
            self._line(lines, n)
        for tag in re.finditer(r"(?i)<(/?)(?:pre|script|style|textarea)\b", line):
            self._verbatim = not tag[1]
        return n - 1

    def _line(self, lines: list[str], n: int) -> None:
        line = lines[n]
        if self._depth and re.match(r" {4}|\t", line) and (line.lstrip().startswith("<") or self._inside):
            lines[n] = line = line.lstrip()
        if self._depth or _OPENING.match(line):
            self._inside = line.lstrip().startswith("<") or (self._inside and bool(line.strip()))
            for end, alone in _TAG.findall(line):
                self._depth += -1 if end else 0 if alone else 1
            self._depth = max(self._depth, 0)
        lines[n] = _inline(line)


def _raw(lines: list[str], n: int, name: str) -> int:
    """A drawing that begins in line ``n`` as one piece that pandoc does not look into; the line in which it ends."""
    end = re.compile(rf"(?i)</{name}\s*>[ \t]*$")
    last = next((at for at in range(n, min(len(lines), n + _MOST)) if end.search(lines[at])), -1)
    if last < 0:
        return n - 1
    text = "\n".join(lines[n : last + 1])
    ticks = "`" * (max(map(len, re.findall(r"`+", text)), default=0) + 1)
    prefix = re.match(r"[ \t>]*", lines[n])[0]  # type: ignore[index]
    prefix = prefix if ">" in prefix else ""
    for at in range(n, last + 1):
        lines[at] = f"{prefix}{lines[at].lstrip(' >' if prefix else None).rstrip() or '<!-- -->'}"
    lines[n] = f"{prefix}{ticks}{lines[n][len(prefix) :]}"
    lines[last] = f"{lines[last]}{ticks}{{=html}}"
    return last


def _inline(line: str) -> str:
    """Drawings inside a line."""
    if "</svg" not in line and "</math" not in line:
        return line
    code = [span.span() for span in CODE_SPAN.finditer(line)]

    def one(match: re.Match[str]) -> str:
        if "`" in match[0] or any(start <= match.start() < end for start, end in code):
            return match[0]
        return f"`{match[0]}`{{=html}}"

    return _SVG.sub(one, line)
