"""Formulas in words that every engine reads: MathJax, texmath and LaTeX."""

from __future__ import annotations

import functools
import re

from fitnotes.tex.environments import BALANCED
from fitnotes.tex.macros import Macros, brace_scripts, replace_argument
from fitnotes.tex.unicode import WORDS, raised

_RUSSIAN = re.compile(r"\\(tg|ctg|cosec|arctg|arcctg|sh|ch|th|cth)(?![A-Za-z])")  # as Babel has them
_SIGNS = {"vcentcolon": ":", "llbracket": "[\\![", "rrbracket": "]\\!]"}
# Letters and signs of text that LaTeX takes in formulas, too.
_LETTERS = {
    "P": "¶", "copyright": "©", "ss": "ß", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "o": "ø", "O": "Ø", "aa": "å",
    "l": "ł", "L": "Ł",
}  # fmt: skip
_LETTER = re.compile(rf"\\({'|'.join(_LETTERS)})(?![A-Za-z])")
# As mathtools has them since 2022.
_COLON = re.compile(r"\\(coloneq|Coloneq|eqcolon|Eqcolon)(?![A-Za-z])")
# {\bf x} and {a \over b}, which LaTeX has better words for (corpus/old-style).
_OLD_FONT = re.compile(r"\{\s*\\(bf|rm|it|cal|sf|tt)(?![A-Za-z])\s*" + BALANCED + r"\}")
_OVER = re.compile(r"\{" + BALANCED + r"\\over(?![A-Za-z])" + BALANCED + r"\}")


# Signs that MathJax would set otherwise than what they stand for: primes on the line, limits beside a sum.
_COMMANDS = str.maketrans({
    "\u2032": "'", "\u2033": "'" * 2, "\u2034": "'" * 3, "\u2057": "'" * 4, "\u2019": "'",
    **{quote: rf"\text{{{quote}}}" for quote in "\u201c\u201d\u2018"},
    "∑": r"\sum ", "∏": r"\prod ", "∐": r"\coprod ", "⋂": r"\bigcap ", "⋃": r"\bigcup ", "⋁": r"\bigvee ",
    "⋀": r"\bigwedge ", "⨁": r"\bigoplus ", "⨂": r"\bigotimes ", "⨆": r"\bigsqcup ",
})  # fmt: skip


def _words_apart(command: str, inside: str) -> str:
    """``\\text{for $x>0$}`` as words and formulas side by side, which every converter reads
    (corpus/text-maths)."""
    if "$" not in inside:
        return f"\\{command}{{{inside}}}"
    parts = re.split(r"(?<!\\)\$", inside)
    if len(parts) % 2 == 0:
        return f"\\{command}{{{inside}}}"
    return "".join(
        f"{{{part}}}" if i % 2 else f"\\{command}{{{part}}}" for i, part in enumerate(parts) if part
    )


def portable(text: str) -> str:
    """An expanded formula without what only some engines read."""
    if not text.isascii():
        text = raised(text)
        parts = WORDS.split(text)
        text = "".join(part if n % 2 else part.translate(_COMMANDS) for n, part in enumerate(parts))
    if "\\" not in text:
        return text
    text = re.sub(r"\\bm(?![A-Za-z])", r"\\boldsymbol", text)
    text = re.sub(r"\\(?:qedhere|require\s*\{[^}]*\})(?![A-Za-z])", "", text)
    text = re.sub(r"\\(vcentcolon|[lr]l?r?bracket)(?![A-Za-z])", lambda m: _SIGNS.get(m[1], m[0]), text)
    text = _LETTER.sub(lambda m: rf"\text{{{_LETTERS[m[1]]}}}", text)
    text = _COLON.sub(lambda m: rf"\{m[1].replace('eq', 'eqq')}", text)
    text = _OLD_FONT.sub(lambda m: f"\\math{m[1]}{{{m[2]}}}", text)
    text = _OVER.sub(r"\\frac{\1}{\2}", text)
    text = re.sub(r"\\ensuremath\s*\{" + BALANCED + r"\}", r"\1", text)
    text = _RUSSIAN.sub(r"\\operatorname{\1}", text)
    text = re.sub(r"\\(?:short)?intertext\s*\{" + BALANCED + r"\}", r"\\text{\1} \\notag \\\\", text)
    text = re.sub(r"\\math(?:ds|bbm)(?![A-Za-z])", r"\\mathbb", text)
    if "$" in text:
        for name in ("text", "textrm", "textit", "textbf", "mbox"):
            text = replace_argument(text, name, functools.partial(_words_apart, name))
    return brace_scripts(text, Macros()) if re.search(r"[_^]\s*\\", text) else text
