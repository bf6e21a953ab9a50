"""One source, every output right: formulas and raw TeX brought into a form that each target takes.

`normalise` does what all targets need: raw environments become formulas, definitions are gathered, the
forms that some engine refuses are rewritten. Then each target takes what suits it: LaTeX keeps the
macros (`definitions` go into its preamble), the others get `expand_all`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fitnotes import pandoc
from fitnotes.errors import Problem
from fitnotes.note import Note
from fitnotes.render.macros import MacroError, Macros, brace_scripts, expand, learn, split_definitions

NUMBERED = frozenset({"equation", "align", "gather", "multline", "alignat", "flalign", "eqnarray"})
_OTHER = ("displaymath", "math", "IEEEeqnarray", "dmath", "subequations")
_NAMES = "|".join(sorted({*NUMBERED, *_OTHER}, key=len, reverse=True))
_BALANCED = r"((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)"
TAG = re.compile(r"\\tag\*?\s*\{" + _BALANCED + r"\}")
ENVIRONMENT = re.compile(rf"\\begin\s*\{{((?:{_NAMES})\*?)\}}")
PREAMBLE_KEYS = ("header-includes", "include-header", "macros")


@dataclass(slots=True)
class Maths:
    """What is known of a note's formulas. ``equations``: label → number, as LaTeX would count."""

    macros: Macros = field(default_factory=Macros)
    preamble: list[str] = field(default_factory=list)
    definitions: list[str] = field(default_factory=list)
    equations: dict[str, str] = field(default_factory=dict)
    count: int = 0
    problems: list[Problem] = field(default_factory=list)


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
    text = re.sub(r"(?<!\\)%[^\n]*", "", text)
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        end = environment_end(text, at)
        if end < 0:
            return None
        found.append(text[at:end])
        at = end
    return found


def rows(body: str) -> list[str]:
    """The rows of an environment's body, split at the ``\\\\`` outside braces and inner environments."""
    return _split(body, r"\\\\(?:\s*\[[^\]]*\])?")


def cells(row: str) -> list[str]:
    """The cells of one row, split at its own ``&``."""
    return _split(row, "&")


def _split(body: str, separator: str) -> list[str]:
    found, start, depth = [], 0, 0
    for match in re.finditer(rf"({separator})|\\(?:begin|end)\b|\\[^a-zA-Z]|[{{}}]", body):
        token = match[0]
        if match[1]:
            if depth == 0:
                found.append(body[start : match.start()])
                start = match.end()
        elif token in ("{", "\\begin"):
            depth += 1
        elif token in ("}", "\\end"):
            depth -= 1
    return [*found, body[start:]]


def rewrite(text: str) -> list[str]:
    """One display formula in a form that LaTeX, MathJax and texmath take; sometimes it is two formulas."""
    text = re.sub(r"\n[ \t]*(?:%[ \t]*)?(?:\n[ \t]*(?:%[ \t]*(?=\n))?)+", "\n", text.strip())
    text = re.sub(r"\\(?:begin|end)\{subequations\}", "", text).strip()
    head = ENVIRONMENT.match(text)
    if head is None:
        # x = \begin{align*}…: inside a formula it is called aligned.
        inner = {"align": "aligned", "gather": "gathered", "alignat": "alignedat"}
        for outer, name in inner.items():
            text = re.sub(rf"\\(begin|end)\{{{outer}\*?\}}", rf"\\\1{{{name}}}", text)
        if len(rows(text)) > 1 and "&" not in text:
            return ["\\begin{gathered}\n" + text + "\n\\end{gathered}"]
        if "\\label" in text:
            return ["\\begin{equation}\n" + text + "\n\\end{equation}"]
        return [text]
    end = environment_end(text, 0)
    if end < 0:
        return [text]
    first, rest = text[:end], text[end:].strip()
    name = head[1]
    if name.startswith("eqnarray"):
        body = first[head.end() : first.rindex("\\end")]
        body = "\\\\".join(re.sub(r"&([^&]*)&", r"&\1", row) for row in rows(body))
        star = "*" if name.endswith("*") else ""
        first = f"\\begin{{align{star}}}{body}\\end{{align{star}}}"
    if name in ("displaymath", "math"):
        first = first[head.end() : first.rindex("\\end")].strip()
    if not rest:
        return [first]
    if re.fullmatch(r"[.,;:!?]", rest):  # the sentence's punctuation belongs inside
        close = first.rindex("\\end")
        return [f"{first[:close].rstrip()}{rest}\n{first[close:]}"]
    if ENVIRONMENT.match(rest):
        return [first, *rewrite(rest)]
    return [text]


def numbers(text: str, maths: Maths) -> tuple[str, list[str | None]]:
    """Counts a display formula's rows as LaTeX does: (environment name, the number of each row or None)."""
    head = ENVIRONMENT.match(text)
    if head is None or environment_end(text, 0) < 0:
        tag = TAG.search(text)
        return "", [tag[1] if tag else None]
    name = head[1]
    body = text[head.end() : text.rindex("\\end")]
    lines = [body] if name.rstrip("*") in ("equation", "multline") else rows(body)
    if len(lines) > 1 and not lines[-1].strip():
        lines.pop()
    found: list[str | None] = []
    for line in lines:
        tag = TAG.search(line)
        if tag:
            number: str | None = tag[1]
        elif name.endswith("*") or name not in NUMBERED or re.search(r"\\(nonumber|notag)\b", line):
            number = None
        else:
            maths.count += 1
            number = str(maths.count)
        found.append(number)
        for label in re.findall(r"\\label\s*\{([^}]*)\}", line):
            if number is not None:
                maths.equations[label.strip()] = number
    return name, found


def metadata_tex(doc: Any) -> list[str]:
    """The raw LaTeX of the note's preamble, under whichever of its names the author used."""
    import panflute as pf

    found: list[str] = []

    def collect(element: Any, doc: Any) -> None:
        if isinstance(element, (pf.RawBlock, pf.RawInline)) and element.format in ("tex", "latex"):
            found.append(element.text)

    for key in PREAMBLE_KEYS:
        value = doc.metadata.content.get(key)
        if value is None:
            continue
        before = len(found)
        value.walk(collect)
        if len(found) == before and (text := pf.stringify(value).strip()):
            found.append(text)
    return found


def _equation_labels(element: Any) -> None:
    """``$$…$$ {#eq-x}`` as Quarto and pandoc-crossref write it: a label inside the formula."""
    import panflute as pf

    content = list(element.content)
    kept: list[Any] = []
    while content:
        item = content.pop(0)
        kept.append(item)
        if not (isinstance(item, pf.Math) and item.format == "DisplayMath"):
            continue
        spaces = 1 if content and isinstance(content[0], (pf.Space, pf.SoftBreak)) else 0
        label = content[spaces] if len(content) > spaces else None
        match = re.match(r"\{#(eq[-:][^}\s]+)\}(.*)$", label.text) if isinstance(label, pf.Str) else None
        if match:
            item.text = f"{item.text}\\label{{{match[1]}}}"
            content[: spaces + 1] = [pf.Str(match[2])] if match[2] else []
    if len(kept) != len(element.content):
        element.content = kept


def _span_formula(element: Any, display: Callable[[str], list[Any]]) -> Any:
    """``[\\\\(x\\\\)]{.math .inline}``: what pandoc makes of a formula when it reads its own HTML back."""
    import panflute as pf

    words = ["\n" if isinstance(e, pf.SoftBreak) else pf.stringify(e) for e in element.content]
    text = "".join(words).translate({0x2019: "'", 0x2018: "'", 0x201C: '"', 0x201D: '"'}).strip()
    for left, right in (("\\(", "\\)"), ("\\[", "\\]")):
        if text.startswith(left) and text.endswith(right):
            tex = text[2:-2].strip()
            return pf.Math(tex, format="InlineMath") if left == "\\(" else display(tex)
    return None


def normalise(doc: Any, note: Note) -> Maths:
    """Brings the formulas of ``doc`` into one form and learns the note's macros, in document order."""
    import panflute as pf

    maths = Maths()
    for tex in metadata_tex(doc):
        maths.preamble.append(tex)
        learn(tex, maths.macros)
    for key in PREAMBLE_KEYS:  # each target puts its own preamble in
        doc.metadata.content.pop(key, None)

    def define(tex: str) -> None:
        learn(tex, maths.macros)
        maths.definitions.append(tex)

    def display(text: str) -> list[Any]:
        found = []
        for part in rewrite(text):
            numbers(part, maths)
            found.append(pf.Math(part, format="DisplayMath"))
        return found

    def visit(element: Any, doc: Any) -> Any:
        if isinstance(element, (pf.Para, pf.Plain)):
            _equation_labels(element)
            return None
        if isinstance(element, pf.Span) and "math" in element.classes:
            return _span_formula(element, display)
        if isinstance(element, pf.Math) and re.search(r"`[^`]+`\{\.?python", element.text):
            message = "a computed value inside a formula: end the formula before it, or compute all of it"
            line = note.line_of(element.text)
            maths.problems.append(Problem("error", message, note.shown, line, exit_code=1))
        if isinstance(element, pf.Math):
            rest, found = split_definitions(element.text)
            if found:
                define(found)
            if not rest.strip():
                return []
            if element.format == "InlineMath" and not ENVIRONMENT.match(rest.strip()):
                element.text = rest.strip()
                return None
            return display(rest)
        if isinstance(element, (pf.RawBlock, pf.RawInline)) and element.format in ("tex", "latex"):
            rest, found = split_definitions(element.text)
            if found:
                define(found)
            block = isinstance(element, pf.RawBlock)
            if not re.sub(r"(?<!\\)%[^\n]*", "", rest).strip():
                return []
            formulas = split_environments(rest)
            if formulas is not None:
                made = [part for formula in formulas for part in display(formula)]
                return pf.Para(*made) if block else made
            element.text = rest
        return None

    # Labels have to be inside their formulas before these are counted.
    pandoc.walk(doc, lambda e, d: _equation_labels(e) if isinstance(e, (pf.Para, pf.Plain)) else None)
    pandoc.walk(doc, visit)
    return maths


def expand_all(doc: Any, note: Note, maths: Maths) -> None:
    """Replaces the note's macros in every formula. A macro without end is an error with its line."""
    import panflute as pf

    def visit(element: Any, doc: Any) -> None:
        if isinstance(element, pf.Math):
            try:
                text = expand(element.text, maths.macros)
            except MacroError as error:
                line = note.line_of(element.text)
                maths.problems.append(Problem("error", f"formula: {error}", note.shown, line, exit_code=1))
                return
            text = re.sub(r"\\bm(?![A-Za-z])", r"\\boldsymbol", text)
            text = re.sub(r"\\ensuremath\s*\{" + _BALANCED + r"\}", r"\1", text)
            text = re.sub(r"\\intertext\s*\{" + _BALANCED + r"\}", r"\\text{\1} \\notag \\\\", text)
            text = re.sub(r"\\mathds(?![A-Za-z])", r"\\mathbb", text)
            element.text = brace_scripts(text, Macros())

    doc.walk(visit)  # the title too
