"""Which dollars in prose are a formula's: one answer for the build, for lint and for every target.

Pandoc takes ``$x$`` for a formula where no space stands inside the dollars and no digit behind them, and all else for
money. People write more: a space at one side or at both, a formula in words inside a formula (``\\mbox{if $b$}``), and
in kramdown ``$$x$$`` in the middle of a line. What is read so here becomes what pandoc reads; the rest stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fitnotes.source.fences import CODE_SPAN

# Commands in whose argument a dollar begins a formula inside the formula (corpus/dollars).
_WORDS = re.compile(
    r"\\(?:text\w*|mbox|hbox|fbox|vbox|ce|pu|tag\*?|intertext|shortintertext|operatorname\*?)\s*$"
)
CODE = "\ufffc"  # stands for every character of code, which no formula holds
_HIDDEN = re.compile(r"(?s)<!--.*?-->|</?[A-Za-z][^<>\n]*>")
_MATHS = re.compile(r"(?s)\\\(.*?\\\)|\\\[.*?\\\]|\\.|\$\$|\$")


@dataclass(frozen=True, slots=True)
class Dollars:
    """A formula in its line, ``text[start:end]`` with its dollars; ``body`` is it without them and without the spaces
    at their sides. ``odd``: pandoc would not read it so."""

    start: int
    end: int
    body: str
    odd: bool

    @property
    def written(self) -> str:
        """As pandoc reads it, which ends such a formula at a blank before a dollar."""
        if "$" not in self.body:
            return f"${self.body}$"
        return "\\(" + re.sub(r"\s\$", lambda match: match[0][0] + "{}$", self.body) + "\\)"


def without_code(text: str) -> str:
    """The text with code, comments and tags as `CODE`, as long as before."""
    for pattern in (CODE_SPAN, _HIDDEN):
        if "`" in text or "<" in text:
            text = pattern.sub(lambda match: re.sub(r"[^\n]", CODE, match[0]), text)
    return text


def formulas_in(text: str, *, kramdown: bool = False) -> Iterator[Dollars]:
    """The formulas between dollars in a paragraph, and those dollars that are money, without a body; code in it should
    be hidden (`without_code`). ``kramdown``: ``$$x$$`` beside words is a formula in its line."""
    at = 0
    while match := _MATHS.search(text, at):
        at = match.end()
        if match[0] == "$$":
            end = text.find("$$", at)
            if end < 0:
                continue
            if kramdown and in_line(text, match.start(), end + 2) and (body := text[at:end].strip()):
                yield Dollars(match.start(), end + 2, body, odd=True)
            at = end + 2
        elif match[0] == "$":
            found = formula_at(text, match.start())
            yield found or Dollars(match.start(), at, "", odd=False)
            at = found.end if found else at


def is_kramdown(text: str) -> bool:
    """Whether the dollars of a text are kramdown's: only double ones, and some of them between words of a line
    (corpus/kramdown)."""
    if not re.search(r"\S[ \t]*\$\$\S[^$\n]*\S?\$\$[ \t]*\S", text):
        return False
    return not any(found.body and not found.odd for found in formulas_in(text))


def in_line(text: str, start: int, end: int) -> bool:
    """Whether words stand beside it in its line."""
    before = text[text.rfind("\n", 0, start) + 1 : start]
    behind = text[end:].partition("\n")[0]
    return "\n" not in text[start:end] and bool(
        re.search(r"\w", re.sub(r"^\s*(?:[-*+]|\d+[.)])\s", "", before)) or re.search(r"\w", behind)
    )


def formula_at(text: str, start: int) -> Dollars | None:
    """The formula that the dollar at ``start`` opens, if it does; without a body where pandoc alone would take money
    for one."""
    close = _close(text, start + 1)
    body = text[start + 1 : close] if close > 0 else ""
    if not body or CODE in body:
        return None
    behind = text[close + 1 : close + 2]
    tight = body[0] not in " \t\n" and (body[-1] not in " \t\n" or body[-2:-1] == "\\")
    if tight and not behind.isdigit() and _is_money(body):
        return Dollars(start, start + 1, "", odd=True)
    if tight and not behind.isdigit():
        rest = re.sub(r"\\text\{[^{}]*\}|\\.", "", body)  # the one command that pandoc knows
        return Dollars(start, close + 1, body, odd="$" in rest and "\\)" not in body)
    spaced = body.strip(" \t")
    beside = text[start - 1 : start] if start else ""
    if (
        tight
        or spaced.count("\n") != body.count("\n")
        or "\n\n" in body
        or "\n" in (body[0], body[-1])
        or "\\)" in body
    ):
        return None
    if behind.isalnum() or behind in ("$", "_") or beside.isalnum() or beside in ("_", "$", "\\"):
        return None
    both = body[0] in " \t" and body[-1] in " \t"
    return Dollars(start, close + 1, spaced, odd=True) if spaced and _is_maths(spaced, both=both) else None


def _close(text: str, at: int) -> int:
    """The place of the dollar that closes a formula which begins at ``at``; -1 if none does."""
    groups: list[bool] = []  # those that are open: whether words stand in them
    inner = False
    begin = at
    while at < len(text):
        char = text[at]
        if char == "\\":
            at += 2
            continue
        if char == "\n" and text[at + 1 : at + 2] == "\n":
            return -1
        if char == "{":
            groups.append(bool(_WORDS.search(text, begin, at)) and not inner)
        elif char == "}" and groups:
            groups.pop()
        elif char == "$":
            if not any(groups):
                return at if at > begin else -1
            inner = not inner
        at += 1
    return -1


def _is_money(body: str) -> bool:
    """Whether words stand between two prices: ``US$7 and 3$/kg``, ``**35$** here and *20$*``."""
    if re.search(r"[\\^_{}=<>|&]", body):
        return False
    priced = re.fullmatch(r"\d[\d.,]*\s+(?:(?:[A-Za-z]{2,}[,;]?\s+)+[*(]*|[*(]*\*)\d[\d.,]*", body)
    opened = re.search(r"(?:\s|\()\*\*(?=\S)", body) and body.count("**") % 2  # bold that ends behind it
    return bool(priced or opened or ("**" in body and re.search(r"[a-zA-Z]{2,}", body)))


def _is_maths(body: str, *, both: bool) -> bool:
    """Whether what stands between spaced dollars is a formula, and not words between two prices
    (corpus/spaces-dollars). ``both``: a space stands at both sides."""
    if body.count("{") != body.count("}"):
        return False
    words = re.search(r"(?<![\\a-zA-Z{])[a-zA-Z]{3,}", body)
    worded = re.search(r"[a-zA-Z]{2,}|[^\w\s+*/<>=().,|-]|\d\s+[a-zA-Z]\b", body)
    plain = re.search(r"[a-zA-Z]", body) and not worded
    looks = re.search(r"[\\^_={]", body) and not words
    if not both:  # $5 = $ is no formula, and "a" between two prices is a word
        return bool(looks and re.search(r"\\?[a-zA-Z]", body))
    return bool(looks or plain)


def tightened(text: str, *, kramdown: bool = False) -> str:
    """A paragraph in which every formula is one for pandoc.

    >>> tightened("the value $ x^2 $, not $ 5 and $ 6 nor $ A=1 and then $ B; let $x = $ one")
    'the value $x^2$, not \\\\$ 5 and \\\\$ 6 nor \\\\$ A=1 and then \\\\$ B; let $x =$ one'
    """
    bare = without_code(text)
    everything = list(formulas_in(bare, kramdown=kramdown))
    # Pandoc would let money begin a formula that ends in code, behind a tag, or at one that is written anew.
    if not any(found.odd for found in everything) and text.count("$") == bare.count("$"):
        money = any(not found.body for found in everything)
        if not (money and "<" in text and text != bare):
            return text
    out, at = [], 0
    for found in everything:
        if found.odd or not (found.body or "{verbatim" in text):
            out += [text[at : found.start], found.written if found.body else "\\$"]
            at = found.end
    return "".join([*out, text[at:]])
