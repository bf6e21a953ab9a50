"""What runs: a fenced block, or an expression inside a sentence."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from fitnotes.source.options import Options

# An expression inside words, in either spelling.
EXPRESSION = re.compile(
    r"`\{(?:python|py)\}\s+(?P<expression>[^`]+)`(?!\{)|`(?P<other>[^`]+)`\{\.(?:python|py)\}"
)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block to run (``inline`` false) or an inline expression.

    ``line`` is the note's line of the code's first line (for an inline expression, its own line);
    ``number`` counts blocks from 1 as a reader would, inline expressions carry their block before.
    """

    index: int
    number: int
    code: str
    line: int | None
    options: Options
    inline: bool = False
    spec: str = ""
    conversion: str = ""
    host: int = -1  # the index of the block in whose caption an expression stands
    source: str = ""  # and what stands there

    @property
    def name(self) -> str:
        if self.inline:
            return f"`{self.code}`"
        return f"block {self.number}" + (f" ({self.options.label})" if self.options.label else "")


def split_spec(source: str) -> tuple[str, str, str]:
    """An inline expression as (expression, conversion, format spec), split as in an f-string.

    >>> split_spec("loss:.3f")
    ('loss', '', '.3f')
    >>> split_spec("x[1:2]")
    ('x[1:2]', '', '')
    """

    def parses(text: str) -> bool:
        try:
            compile(text.strip(), "<inline>", "eval", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        except (SyntaxError, ValueError):
            return False
        return bool(text.strip())

    if parses(source):
        return source.strip(), "", ""
    ends: Iterator[int] = (i for i, char in enumerate(source) if char == ":")
    candidates = [(source[:end], source[end + 1 :]) for end in ends]
    candidates.append((source, ""))
    for expression, spec in candidates:
        body, bang, conversion = expression.rstrip().rpartition("!")
        if bang and conversion in ("r", "s", "a") and parses(body):
            return body.strip(), conversion, spec
        if parses(expression):
            return expression.strip(), "", spec
    return source.strip(), "", ""  # not Python: the check before the run says why
