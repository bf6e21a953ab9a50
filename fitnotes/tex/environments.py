"""Display formulas as text: environments, their rows and cells, labels and tags."""

from __future__ import annotations

import re
from collections.abc import Callable

from fitnotes.tex.tokens import blank_comments, without_comments

NUMBERED = frozenset(
    "equation align gather multline alignat flalign eqnarray xalignat IEEEeqnarray dmath".split()  # noqa: SIM905
)
_OTHER = ("displaymath", "math", "subequations")
_NAMES = "|".join(sorted({*NUMBERED, *_OTHER}, key=len, reverse=True))
BALANCED = r"((?:[^{}]|\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})*)"
TAG = re.compile(r"\\tag(\*?)\s*\{" + BALANCED + r"\}")
LABEL = re.compile(r"\\label\s*\{([^}]*)\}")
INNER_REFERENCE = re.compile(r"\\(eq)?ref\s*\{([^}]*)\}")
ENVIRONMENT = re.compile(rf"\\begin\s*\{{((?:{_NAMES})\*?)\}}")


def environment_end(text: str, start: int) -> int:
    """Where the environment that begins at ``start`` ends; -1 if it does not."""
    name = ENVIRONMENT.match(text, start)
    if name is None:
        return -1
    depth = 0
    for match in re.finditer(rf"\\(begin|end)\s*\{{{re.escape(name[1])}\}}", text[start:]):
        depth += 1 if match[1] == "begin" else -1
        if depth == 0:
            return start + match.end()
    return -1


def split_environments(text: str) -> list[str] | None:
    """A text made of display environments only, one by one; None if anything else stands in it."""
    found = []
    at = 0
    text = blank_comments(text)
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        end = environment_end(text, at)
        if end < 0:
            return None
        found.append(text[at:end])
        at = end
    return found


def replace_environments(text: str, replacement: Callable[[str], str]) -> str:
    """``text`` with ``replacement(environment)`` in the place of every display environment."""
    out, at = [], 0
    while head := ENVIRONMENT.search(text, at):
        end = environment_end(text, head.start())
        if end < 0:
            break
        out += [text[at : head.start()], replacement(text[head.start() : end])]
        at = end
    return "".join([*out, text[at:]])


# As amsmath reads it: a bracket behind a space is not the break's.
_BREAK = r"\\\\\*?(?:\[[^\]]*\])?"
_BREAK_MARK = "\0(\\\\\\\\[^\0]*)\0"


def rows(body: str) -> list[str]:
    """The rows of an environment's body, split at the ``\\\\`` outside braces and inner environments."""
    return re.split("\0[^\0]*\0", _mark_breaks(body))


def cells(row: str) -> list[str]:
    """The cells of one row, split at its own ``&``."""
    return re.split("\0[^\0]*\0", _mark_breaks(row, "&"))


def _mark_breaks(body: str, separator: str = _BREAK) -> str:
    """``body`` with every separator of its own between two NUL characters."""
    depth = 0

    def mark(match: re.Match[str]) -> str:
        nonlocal depth
        if match[1]:
            return f"\0{match[0]}\0" if depth == 0 else match[0]
        depth += (match[0] in ("{", "\\begin")) - (match[0] in ("}", "\\end"))
        return match[0]

    return re.sub(rf"({separator})|\\(?:begin|end)\b|\\[^a-zA-Z]|[{{}}]", mark, body)


def rewrite(text: str) -> list[str]:
    """One display formula in a form that LaTeX, MathJax and texmath take; sometimes it is two formulas."""
    text = re.sub(r"\n(?:[ \t]*\n)+[ \t]*", "\n", without_comments(text).strip())
    # Not every reader keeps to amsmath's rule about the bracket (corpus/trailing-break).
    text = re.sub(r"(\\\\\*?)(\s+)\[", r"\1\2{}[", text)
    head = ENVIRONMENT.match(text)
    if head is None:
        return [_bare(text)]
    end = environment_end(text, 0)
    if end < 0:
        return [text]
    first, rest = _in_amsmath(text[:end], head), text[end:].strip()
    if head[1].rstrip("*") in NUMBERED:
        first = _without_last_break(first)
    if "\\label" in rest and not LABEL.sub("", rest).strip():  # {#eq-x} behind it (corpus/quarto-label)
        first, rest = _with_last(first, rest), ""
    if not rest:
        return [first]
    if re.fullmatch(r"[.,;:!?]", rest):  # the sentence's punctuation belongs inside (corpus/punctuation)
        return [_with_last(first, rest)]
    if ENVIRONMENT.match(rest):
        return [first, *rewrite(rest)]
    return [text]


def _bare(text: str) -> str:
    """A formula that is no environment, with one around it where its rows or its label need one
    (corpus/rows-outside)."""
    # x = \begin{align*}…: inside a formula it is called aligned (corpus/inner-align).
    inner = {"align": "aligned", "gather": "gathered", "alignat": "alignedat"}
    for outer, name in inner.items():
        text = re.sub(rf"\\(begin|end)\{{{outer}\*?\}}", rf"\\\1{{{name}}}", text)
    labels = "".join(match[0] for match in LABEL.finditer(text))
    if len(rows(text)) > 1 and len(cells(text)) == 1:
        text = "\\begin{gathered}\n" + LABEL.sub("", text) + "\n\\end{gathered}" + labels
    if labels and not TAG.search(text):
        return "\\begin{equation}\n" + text + "\n\\end{equation}"
    return text


def _in_amsmath(text: str, head: re.Match[str]) -> str:
    """An environment as amsmath has it: those of other packages, and of old, are not known everywhere
    (corpus/eqnarray, corpus/iee)."""
    name, body = head[1], text[head.end() : text.rindex("\\end")]
    if name.startswith(("eqnarray", "IEEEeqnarray")):
        if name.startswith("I"):
            body = re.sub(r"^\s*(?:\[[^\]]*\])?\s*\{[^}]*\}", "", body)
        body = "\\\\".join(re.sub(r"&([^&]*)&", r"&\1", row) for row in rows(body))
        star = "*" if name.endswith("*") else ""
        return f"\\begin{{align{star}}}{body}\\end{{align{star}}}"
    if name.startswith("dmath"):
        return re.sub(r"\\(begin|end)\{dmath", r"\\\1{equation", text)
    return body.strip() if name in ("displaymath", "math") else text


def _without_last_break(text: str) -> str:
    """A break behind the last row would be one more row, with a number (corpus/trailing-break)."""
    close = text.rindex("\\end")
    body = text[:close].rstrip()
    shorter = re.sub(r"\s*\\\\\*?(?:\[[^\]]*\])?$", "\n", body)
    return shorter + text[close:] if shorter != body else text


def _with_last(text: str, last: str) -> str:
    """An environment with something more at its end."""
    close = text.rindex("\\end")
    return f"{text[:close].rstrip()}{last}\n{text[close:]}"


STARRED = "\0"  # in front of a number that takes no parentheses


def tag_number(tag: re.Match[str]) -> str:
    return STARRED + tag[2] if tag[1] else tag[2]


def row_numbers(text: str, step: Callable[[], str]) -> tuple[list[str | None], list[tuple[str, str | None]]]:
    """The number of each row of a display formula, counted as LaTeX does, and its labels with their numbers.

    ``step()`` gives the next number. None: the row has none.
    """
    head = ENVIRONMENT.match(text)
    if head is None or environment_end(text, 0) < 0:
        tag = TAG.search(text)
        number = tag_number(tag) if tag else None
        return [number], [(label.strip(), number) for label in LABEL.findall(text)]
    name = head[1]
    found: list[str | None] = []
    labels: list[tuple[str, str | None]] = []
    for line in environment_rows(text, head):
        tag = TAG.search(line)
        if tag:
            number = tag_number(tag)
        elif name.endswith("*") or name not in NUMBERED or re.search(r"\\(nonumber|notag)(?![A-Za-z])", line):
            number = None
        else:
            number = step()
        found.append(number)
        labels += [(label.strip(), number) for label in LABEL.findall(line)]
    return found, labels


def environment_rows(text: str, head: re.Match[str]) -> list[str]:
    body = text[head.end() : text.rindex("\\end")]
    lines = [body] if head[1].rstrip("*") in ("equation", "multline") else rows(body)
    if len(lines) > 1 and not LABEL.sub("", lines[-1]).strip():
        lines.pop()
    return lines


def with_tags(text: str, numbers: list[str | None]) -> str:
    """The formula with its numbers as tags, in an environment that does not count; its labels at the end."""
    head = ENVIRONMENT.match(text)
    labels = "".join(match[0] for match in LABEL.finditer(text))
    if head is None or environment_end(text, 0) < 0:
        return LABEL.sub("", text).rstrip() + labels
    body = text[head.end() : text.rindex("\\end")]
    single = head[1].rstrip("*") in ("equation", "multline")
    pieces = [body] if single else re.split(_BREAK_MARK, _mark_breaks(body))
    for i in range(0, len(pieces), 2):
        line = re.sub(r"\\(?:nonumber|notag)(?![A-Za-z])[ \t]*", "", LABEL.sub("", pieces[i]))
        if i // 2 < len(numbers) and (number := numbers[i // 2]) is not None and not TAG.search(line):
            space = line[len(line.rstrip()) :]
            line = f"{line.rstrip()} \\tag{{{number}}}{space}"
        pieces[i] = line
    # flalign has no place for a tag, in MathJax.
    name = {"flalign": "align", "xalignat": "alignat"}.get(head[1].rstrip("*"), head[1].rstrip("*"))
    star = "*" if name in NUMBERED else ""
    return f"\\begin{{{name}{star}}}" + "".join(pieces) + f"\\end{{{name}{star}}}{labels}"


def without_numbers(text: str) -> str:
    """A formula whose rows have no tags, in an environment that does not count."""
    text = TAG.sub("", text)
    return re.sub(rf"\\(begin|end)\{{({'|'.join(NUMBERED)})\}}", r"\\\1{\2*}", text)


def in_parentheses(number: str) -> str:
    """A row's number as it is shown: ``(2)``, but what ``\\tag*`` gives is shown as it is."""
    return number[1:] if number.startswith(STARRED) else f"({number})"


def take_labels(text: str) -> tuple[str, list[str]]:
    """A formula without its labels, and these."""
    return LABEL.sub("", text).rstrip() if "\\label" in text else text, [
        m.strip() for m in LABEL.findall(text)
    ]
