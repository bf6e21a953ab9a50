"""Formulas that were written for a Markdown without formulas: what was escaped there is TeX again.

GitHub's old renderer, Jekyll and others read Markdown first, so that authors wrote ``x\\_i`` for ``x_i``, ``\\\\{`` for
``\\{`` and ``\\*`` for a star. As TeX they mean nothing that anyone would write, or a sign that stands in words alone.
"""

from __future__ import annotations

import contextlib
import re

from fitnotes.tex.tokens import Reader, TexError

# Commands whose argument is words: an escaped underscore in it is one.
WORDS = frozenset(
    ("text", "textrm", "textbf", "textit", "texttt", "textsf", "mbox", "hbox", "fbox", "mathrm", "mathtt", "mathsf",
     "mathit", "mathbf", "operatorname", "label", "ref", "eqref", "tag", "href", "url", "ce", "verb", "unicode")
)  # fmt: skip


# Behind these, and before those, an underscore begins an index; in n\_samples it is a part of a name.
_SCRIPTED = re.compile(r"(?:^|[^A-Za-z\\])[A-Za-z]$|\\[A-Za-z]+\s*$|[})\]']$|[^\x00-\x7f]$")
_SCRIPT = re.compile(r"\{|\\[A-Za-z]|[A-Za-z0-9](?![A-Za-z])|[^\x00-\x7f]")


def unescaped(tex: str) -> str:
    """A formula without the backslashes that Markdown wanted (corpus/escaped).

    >>> unescaped(r"x\\_i = \\\\{ a \\\\, b \\\\}, \\text{a\\_b}")
    'x_i = \\\\{ a \\\\, b \\\\}, \\\\text{a\\\\_b}'
    """
    if "\\_" not in tex and "\\\\" not in tex and "\\*" not in tex:
        return tex
    rows = "\\begin" in tex or "&" in tex
    braces = not rows and tex.count("\\\\{") == tex.count("\\\\}") > 0
    reader, out = Reader(tex), [""]
    while token := reader.take():
        behind = reader.text[reader.at : reader.at + 1]
        if token == "\\_" and _SCRIPTED.search("".join(out[-2:])) and _SCRIPT.match(tex, reader.at):
            token = "_"
        elif token == "\\*":
            token = "*"
        elif token == "\\\\" and not rows and (behind in ",;!:|" or (braces and behind in "{}")) and behind:
            token = "\\"
        elif token[1:].rstrip("*") in WORDS:
            start = reader.at
            reader.skip()
            if reader.peek() == "{":
                with contextlib.suppress(TexError):
                    reader.group()
            token += reader.text[start : reader.at]
        out.append(token)
    return "".join(out)
