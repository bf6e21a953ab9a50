"""Values in the YAML of a note that are no words to YAML: ``lang: no`` is false there, ``title: 1.10`` is 1.1.

They are put between quotes before pandoc reads them, where words are meant. The number of lines stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# Keys whose value is words, whatever YAML thinks; also below them, as `name` of an author.
WORDS = frozenset({
    "title", "subtitle", "author", "date", "abstract", "abstract-title", "lang", "keywords", "description", "subject",
    "institute", "thanks", "toc-title", "label", "caption", "name",
})  # fmt: skip
_ENTRY = re.compile(
    r"^(?P<before>(?P<indent> *)(?:- +)*(?:(?P<key>[\w-]+) *: +)?)(?P<value>[^#'\"\s].*?)(?P<rest>\s*(?:\s#.*)?)$"
)
_BLOCK = re.compile(r"(?:^|\s)[|>][+-]?\d?[+-]?\s*(?:#.*)?$")
_YES_OR_NO = re.compile(r"(?i)(?:y|yes|no?|on|off)$")
_NUMBER = re.compile(
    r"[-+]?(?:0x[\da-fA-F]+|0o[0-7]+|\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?)$"
)

_PLAIN = r"0|-?[1-9]\d{0,14}|-?(?:0|[1-9]\d{0,8})\.\d{0,6}[1-9]"


@dataclass(frozen=True, slots=True)
class Odd:
    """A value that YAML takes for another: in ``lines[n]``, from ``start`` to ``end``."""

    n: int
    key: str
    value: str
    start: int
    end: int
    word: bool  # what looks like a yes or no, where words are meant


def odd_values(lines: list[str], start: int, end: int) -> Iterator[Odd]:
    """Those of the YAML in ``lines[start:end]``."""
    block: int | None = None  # the indentation of what a literal text stands in
    top = ""
    for n in range(start, end):
        line = lines[n]
        indent = len(line) - len(line.lstrip(" "))
        if block is not None and (not line.strip() or indent > block):
            continue
        block = indent if _BLOCK.search(line) else None
        if key := re.match(r"([\w-]+) *:(?:\s*(?:#.*)?|.*\s[|>]\S*\s*)$", line):
            top = key[1]
        elif block is None and (match := _ENTRY.match(line)):
            if not match["indent"] and match["key"]:
                top = match["key"]
            if match["key"] or "-" in match["before"]:
                name = match["key"] if match["key"] in WORDS else top
                for at, value in _values(match["value"], match.start("value")):
                    if (word := _is_word(name, value)) or _is_changed(value):
                        yield Odd(n, match["key"] or top, value, at, at + len(value), word)


def _values(text: str, start: int) -> Iterator[tuple[int, str]]:
    """The value, or those of a list in brackets, with their places."""
    if not (text.startswith("[") and text.endswith("]")):
        yield start, text
        return
    if not re.search(r"['\"{}\[\]]", text[1:-1]):
        for match in re.finditer(r"[^,\s][^,]*", text[1:-1]):
            yield start + 1 + match.start(), match[0].rstrip()


def _is_word(key: str, value: str) -> bool:
    return key in WORDS and bool(_YES_OR_NO.match(value))


def _is_changed(value: str) -> bool:
    """A number that pandoc would write otherwise: 1.10, 007, 1e3."""
    return bool(_NUMBER.match(value)) and not re.fullmatch(
        r"0|-?[1-9]\d{0,14}|-?(?:0|[1-9]\d{0,8})\.\d{0,6}[1-9]", value
    )


def quote_values(lines: list[str], start: int, end: int) -> None:
    for odd in reversed(list(odd_values(lines, start, end))):
        line = lines[odd.n]
        lines[odd.n] = f'{line[: odd.start]}"{odd.value}"{line[odd.end :]}'


_LARGEST = 100_000  # values of a header, with what its aliases stand for


def is_bomb(text: str) -> bool:
    """Whether aliases in YAML stand for more than any header needs, each for several of the one before it."""
    if not re.search(r"[\s\[,]&\w", text) or not re.search(r"[\s\[,]\*\w", text):
        return False
    import yaml

    sizes: dict[int, int] = {}

    def size(node: yaml.Node) -> int:
        if id(node) not in sizes:
            sizes[id(node)] = 1  # of itself, if it is in itself
            inside = [part for pair in node.value for part in (pair if isinstance(pair, tuple) else (pair,))]
            sizes[id(node)] = 1 + (0 if isinstance(node, yaml.ScalarNode) else sum(map(size, inside)))
        return sizes[id(node)]

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        return False  # pandoc says what is wrong
    return root is not None and size(root) > _LARGEST
