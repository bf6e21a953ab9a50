"""Files that a note includes, ``{{< include part.md >}}`` and MyST's ``{include}``: their text becomes the note's.

It is put in before anything else looks at the note, so that blocks, formulas and labels in it are the note's own. What
is found wrong in it is said with its own file and line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from fitnotes.source.fences import Fence, fence_at, header_end

_SHORTCODE = re.compile(r"""\{\{<\s*include\s+(?P<sign>["']?)(?P<name>[^"'<>]+?)(?P=sign)\s*>\}\}\s*$""")
_DIRECTIVE = re.compile(r"(?P<colons>:{3,})?[ \t]*\{include\}[ \t]+(?P<name>\S+)[ \t]*$")


_MOST_LINES, _MOST_PARTS = 500_000, 2_000  # of a note with what it includes


@dataclass(frozen=True, slots=True)
class Part:
    """From line ``start`` of the whole text on, as far as the next part: the lines of ``path`` from ``line`` on."""

    start: int
    path: Path
    line: int


def put_in(text: str, path: Path, root: Path) -> tuple[str, tuple[Part, ...]]:
    """The text of the note ``path`` with those that it includes, and where each comes from; no parts if it includes
    none. A file that is not there, is no text, lies outside ``root`` or includes itself leaves its line as it is."""
    if "include" not in text:
        return text, ()
    whole = _Whole(root.resolve())
    whole.add(text.split("\n"), path, 1, frozenset({path.resolve()}))
    return ("\n".join(whole.lines), tuple(whole.parts)) if len(whole.parts) > 1 else (text, ())


class _Whole:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.lines: list[str] = []
        self.parts: list[Part] = []

    def add(self, lines: list[str], path: Path, first: int, above: frozenset[Path]) -> None:
        """The lines of ``path``, whose number ``first`` is the first of them; ``above``: it and what includes it."""
        self.parts.append(Part(len(self.lines) + 1, path, first))
        comment = False
        n = 0
        while n < len(lines):
            fence = None
            if comment or lines[n].lstrip().startswith("<!--"):
                comment = "-->" not in lines[n]
                last = n
            else:
                fence = fence_at(lines, n)
                last = n if fence is None else len(lines) - 1 if fence.end is None else fence.end
                name, end = _named(lines, n, fence)
                room = len(self.lines) < _MOST_LINES and len(self.parts) < _MOST_PARTS
                included = self._read(name, path, above) if name and room else None
                if included is not None:
                    file, text = included
                    inside = text.split("\n")
                    skipped = header_end(inside)
                    self.add(inside[skipped:], file, skipped + 1, above | {file})
                    self.parts.append(Part(len(self.lines) + 1, path, first + end + 1))
                    n = end + 1
                    continue
            self.lines += lines[n : last + 1]
            n = last + 1

    def _read(self, name: str, path: Path, above: frozenset[Path]) -> tuple[Path, str] | None:
        file = self.root / name.lstrip("/") if name.startswith("/") else path.parent / name
        try:
            file = file.resolve()
            if not file.is_relative_to(self.root) or not file.is_file() or file in above:
                return None
            text = file.read_bytes().decode("utf-8-sig")
        except (OSError, ValueError):
            return None
        return None if "\0" in text else (file, plain_lines(text).rstrip("\n"))


def _named(lines: list[str], n: int, fence: Fence | None) -> tuple[str, int]:
    """The file that line ``n`` includes, or nothing, and the last line that says so."""
    if fence is not None:
        found = _DIRECTIVE.match(fence.info)
        if found is None or fence.end is None or fence.prefix or any(lines[at].strip() for at in fence.lines):
            return "", n
        return found["name"], fence.end
    if found := _SHORTCODE.match(lines[n]):
        return found["name"], n
    found = _DIRECTIVE.match(lines[n])
    if found is not None and found["colons"] and lines[n + 1 : n + 2] == [found["colons"]]:
        return found["name"], n + 1
    return "", n


def plain_lines(text: str) -> str:
    """With the ends of lines that Unix has."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
