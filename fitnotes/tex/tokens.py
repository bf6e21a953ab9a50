"""TeX as its tokens: one reader for everything that looks into formulas, preambles and raw TeX.

It never expands anything and knows no command; what a command takes is said by who asks, in letters like
those of xparse (see `Reader.arguments`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

_TOKEN = re.compile(r"\\(?:[A-Za-z@]+|.|\n)|%[^\n]*\n?[ \t]*|[{}]|[^\\%{}]|\\", re.DOTALL)


class TexError(Exception):
    """TeX that cannot be read: something is missing, or never closed."""


class Reader:
    """A position in TeX source. A token is a control sequence, a comment with the end of its line, or a character."""

    def __init__(self, text: str, at: int = 0) -> None:
        self.text = text
        self.at = at

    def peek(self) -> str:
        """The token that stands here; "" at the end."""
        match = _TOKEN.match(self.text, self.at)
        return match[0] if match else ""

    def take(self) -> str:
        token = self.peek()
        self.at += len(token)
        return token

    def skip(self) -> None:
        """Goes behind spaces, ends of lines and comments."""
        while (token := self.peek()) and (token.isspace() or token.startswith("%")):
            self.at += len(token)

    def group(self) -> str:
        """The inside of the {…} that starts here."""
        if self.take() != "{":
            raise TexError("expected {")
        start, depth = self.at, 1
        while depth:
            token = self.take()
            if not token:
                raise TexError("a { is never closed")
            depth += (token == "{") - (token == "}")
        return self.text[start : self.at - 1]

    def argument(self) -> str:
        """A braced group without its braces, or one token."""
        self.skip()
        if self.peek() == "{":
            return self.group()
        token = self.take()
        if not token or token == "}":
            raise TexError("an argument is missing")
        return token

    def optional(self) -> str | None:
        """The inside of [...] if it stands here."""
        mark = self.at
        self.skip()
        if self.peek() != "[":
            self.at = mark
            return None
        self.take()
        start, depth = self.at, 0
        while True:
            token = self.take()
            if not token:
                raise TexError("a [ is never closed")
            if token == "]" and depth == 0:
                return self.text[start : self.at - 1]
            depth += (token == "{") - (token == "}")

    def star(self) -> bool:
        mark = self.at
        self.skip()
        if self.peek() == "*":
            self.take()
            return True
        self.at = mark
        return False

    def arguments(self, takes: str) -> tuple[bool, tuple[str, ...]]:
        """Whether a star stands here, and the arguments behind it, without their comments.

        ``takes`` has a letter for each: ``s`` a star, ``o`` what may stand in brackets ("" if it does not),
        ``m`` a group or a token, ``g`` a group only.
        """
        starred = takes.startswith("s") and self.star()
        found = []
        for letter in takes.removeprefix("s"):
            if letter == "g":
                self.skip()
            read = {"o": self.optional, "m": self.argument, "g": self.group}[letter]
            found.append(without_comments(read() or ""))
        return starred, tuple(found)


def escaped(text: str, at: int) -> bool:
    """Whether the backslash at ``at`` is itself behind one, or in a comment."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    backslashes = len(line) - len(line.rstrip("\\"))
    return backslashes % 2 == 1 or bool(re.search(r"(?<!\\)(?:\\\\)*%", line))


def without_comments(tex: str) -> str:
    """TeX as TeX reads it: a comment takes the end of its line, and the spaces that the next one begins with."""
    return re.sub(r"(?<!\\)((?:\\\\)*)%[^\n]*(?:\n[ \t]*)?", r"\1", tex)


def blank_comments(tex: str) -> str:
    """TeX whose comments are gone and whose lines are the same, to tell where in them something stands.

    Only what is surely a comment: behind a row's ``\\\\`` it stays, since `without_comments` takes it in formulas.
    """
    return re.sub(r"(?<!\\)%[^\n]*", "", tex)


def readings(tex: str, pattern: re.Pattern[str], read: Callable[[Reader], T]) -> Iterator[tuple[int, int, T]]:
    """What ``read`` finds where ``pattern`` does, with its start and end: also inside another find.

    A command in a comment is none, nor are the letters behind a line break; what cannot be read is passed over.
    """
    for match in pattern.finditer(tex):
        if escaped(tex, match.start()):
            continue
        reader = Reader(tex, match.start())
        try:
            found = read(reader)
        except TexError:
            continue
        yield match.start(), reader.at, found


@dataclass(frozen=True, slots=True)
class Call:
    """A use of a command, with its arguments as `Reader.arguments` gives them."""

    name: str
    starred: bool
    arguments: tuple[str, ...]
    start: int
    end: int


def calls(tex: str, **takes: str) -> Iterator[Call]:
    """Each use of the commands that are named, in the order of the text, with what ``takes`` says for each.

    >>> [call.arguments for call in calls(r"\\usepackage[x={a]}]{b, c}\\usepackage {d}", usepackage="og")]
    [('x={a]}', 'b, c'), ('', 'd')]
    """
    pattern = re.compile(rf"\\(?:{'|'.join(takes)})(?![A-Za-z@])")

    def read(reader: Reader) -> tuple[str, bool, tuple[str, ...]]:
        name = reader.take()[1:]
        return name, *reader.arguments(takes[name])

    for start, end, (name, starred, arguments) in readings(tex, pattern, read):
        yield Call(name, starred, arguments, start, end)


def packages(tex: str) -> set[str]:
    """The LaTeX packages that are loaded there."""
    loads = calls(tex, usepackage="og", RequirePackage="og")
    return {name.strip() for call in loads for name in call.arguments[1].split(",")}
