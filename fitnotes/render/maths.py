"""One source, every output right: formulas brought into a form that each target takes, and numbered.

`normalise` goes through a note in its order, as TeX would. For LaTeX formulas keep their macros, and
definitions go into the preamble; for every other target macros are expanded where they stand, and the
number of each row is written into it as a ``\\tag``, so that all targets show the same ones.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fitnotes import pandoc
from fitnotes.errors import Problem
from fitnotes.note import Cursor, Note
from fitnotes.render.crossrefs import References, Target
from fitnotes.render.macros import (
    DEFINITION,
    MacroError,
    Macros,
    brace_scripts,
    definitions,
    expand,
    learn,
    replace_argument,
    split_definitions,
    used_names,
)
from fitnotes.render.preamble import Preamble

NUMBERED = frozenset(
    {
        "equation",
        "align",
        "gather",
        "multline",
        "alignat",
        "flalign",
        "eqnarray",
        "xalignat",
        "IEEEeqnarray",
        "dmath",
    }
)
_OTHER = ("displaymath", "math", "subequations")
_NAMES = "|".join(sorted({*NUMBERED, *_OTHER}, key=len, reverse=True))
_BALANCED = r"((?:[^{}]|\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})*)"
TAG = re.compile(r"\\tag(\*?)\s*\{" + _BALANCED + r"\}")
LABEL = re.compile(r"\\label\s*\{([^}]*)\}")
INNER_REFERENCE = re.compile(r"\\(eq)?ref\s*\{([^}]*)\}")
ENVIRONMENT = re.compile(rf"\\begin\s*\{{((?:{_NAMES})\*?)\}}")
_WITHIN = re.compile(r"\\(?:numberwithin|counterwithin\*?)\s*\{equation\}\s*\{(?:sub)?section\}")


@dataclass(slots=True)
class Maths:
    """What is known of a note's formulas. ``definitions`` are those of its body, for a LaTeX preamble."""

    definitions: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    labels: frozenset[str] = frozenset()


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


_BREAK = r"\\\\(?:\s*\[[^\]]*\])?"
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
    text = re.sub(r"\n[ \t]*(?:%[ \t]*)?(?:\n[ \t]*(?:%[ \t]*(?=\n))?)+", "\n", text.strip())
    head = ENVIRONMENT.match(text)
    if head is None:
        # x = \begin{align*}…: inside a formula it is called aligned.
        inner = {"align": "aligned", "gather": "gathered", "alignat": "alignedat"}
        for outer, name in inner.items():
            text = re.sub(rf"\\(begin|end)\{{{outer}\*?\}}", rf"\\\1{{{name}}}", text)
        labels = "".join(match[0] for match in LABEL.finditer(text))
        if len(rows(text)) > 1 and len(cells(text)) == 1:
            text = "\\begin{gathered}\n" + LABEL.sub("", text) + "\n\\end{gathered}" + labels
        if labels and not TAG.search(text):
            return ["\\begin{equation}\n" + text + "\n\\end{equation}"]
        return [text]
    end = environment_end(text, 0)
    if end < 0:
        return [text]
    first, rest = text[:end], text[end:].strip()
    name = head[1]
    if name.startswith(("eqnarray", "IEEEeqnarray")):
        body = first[head.end() : first.rindex("\\end")]
        if name.startswith("I"):
            body = re.sub(r"^\s*(?:\[[^\]]*\])?\s*\{[^}]*\}", "", body)
        body = "\\\\".join(re.sub(r"&([^&]*)&", r"&\1", row) for row in rows(body))
        star = "*" if name.endswith("*") else ""
        first = f"\\begin{{align{star}}}{body}\\end{{align{star}}}"
    if name.startswith("dmath"):
        first = re.sub(r"\\(begin|end)\{dmath", r"\\\1{equation", first)
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


def row_numbers(text: str, step: Callable[[], str]) -> tuple[list[str | None], list[tuple[str, str | None]]]:
    """The number of each row of a display formula, counted as LaTeX does, and its labels with their numbers.

    ``step()`` gives the next number. None: the row has none.
    """
    head = ENVIRONMENT.match(text)
    if head is None or environment_end(text, 0) < 0:
        tag = TAG.search(text)
        number = tag[2] if tag else None
        return [number], [(label.strip(), number) for label in LABEL.findall(text)]
    name = head[1]
    found: list[str | None] = []
    labels: list[tuple[str, str | None]] = []
    for line in environment_rows(text, head):
        tag = TAG.search(line)
        if tag:
            number = tag[2]
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
    name = head[1].rstrip("*")
    star = "*" if name in NUMBERED else ""
    return f"\\begin{{{name}{star}}}" + "".join(pieces) + f"\\end{{{name}{star}}}{labels}"


def take_labels(text: str) -> tuple[str, list[str]]:
    """A formula without its labels, and these."""
    return LABEL.sub("", text).rstrip() if "\\label" in text else text, [
        m.strip() for m in LABEL.findall(text)
    ]


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


class _Formulas:
    """The formulas of one note, in its order."""

    def __init__(self, doc: Any, note: Note, preamble: Preamble, refs: References, expanding: bool) -> None:
        self.doc = doc
        self.note = note
        self.preamble = preamble
        self.refs = refs
        self.expanding = expanding
        self.macros = preamble.macros.copy()
        self.later = Macros()
        self.again: set[str] = set()  # macros that the body defines more than once
        self.emitted = set(preamble.macros.commands)
        self.unnumbered: dict[str, int | None] = {}
        self.cursor = Cursor(note)
        self.labels = Cursor(note)
        self.found = Maths()
        self.sections = 0
        self.count = 0
        self.letters = 0  # inside subequations: how many so far, from 1
        self.within = bool(_WITHIN.search(preamble.tex))

    # -- numbers

    def step(self) -> str:
        if self.letters:
            self.letters += 1
            return f"{self._number()}{chr(ord('a') + self.letters - 2)}"
        self.count += 1
        return self._number()

    def _number(self) -> str:
        return f"{self.sections}.{self.count}" if self.within else str(self.count)

    def heading(self, element: Any) -> None:
        if element.level == 1 and "unnumbered" not in element.classes:
            self.sections += 1
            if self.within:
                self.count = 0

    def register(self, labels: list[tuple[str, str | None]], line: int | None) -> None:
        for label, number in labels:
            written = f"\\label{{{label}}}" if f"{{{label}}}" in self.note.text else f"#{label}}}"
            at = self.labels.line_of(written) or line
            if number is None:
                self.unnumbered[label] = at
            else:
                self.refs.add(label, Target("Equation", number, at))

    # -- definitions

    def collect(self, element: Any, doc: Any) -> None:
        """Before the formulas are read: what the body defines, and where a label follows a formula."""
        import panflute as pf

        if isinstance(element, (pf.Para, pf.Plain)):
            _equation_labels(element)
        elif (isinstance(element, pf.Math) or _is_tex(element)) and DEFINITION.search(element.text):
            new = Macros()
            for definition in learn(element.text, new):
                name = definition.name
                if name in self.later.commands or name in self.macros.commands:
                    self.again.add(name)
            self.later.commands = {**new.commands, **self.later.commands}
            self.later.environments = {**new.environments, **self.later.environments}

    def define(self, text: str, line: int | None) -> None:
        self.preamble.define(text, self.note.shown, line, self.macros)
        for definition in definitions(text):
            # Of a macro that changes on the way formulas take none; raw TeX in prose has its first meaning.
            if definition.name not in self.emitted:
                self.found.definitions.append(text[definition.start : definition.end])
            self.emitted.add(definition.name)

    def expand(self, text: str, line: int | None) -> str:
        """The formula with its macros expanded; for LaTeX only those that change on the way."""
        if self.later.commands or self.later.environments:
            for name in dict.fromkeys(used_names(text)):
                if name in self.later.commands and name not in self.macros.commands:
                    self._early(name, line)
                    self.macros.commands[name] = self.later.commands[name]
                elif name in self.later.environments and name not in self.macros.environments:
                    self.macros.environments[name] = self.later.environments[name]
        known = self.macros
        if not self.expanding:
            known = Macros({n: m for n, m in known.commands.items() if n in self.again})
            if not known.commands:
                return text
        try:
            return expand(text, known.copy())
        except MacroError as error:
            self.found.problems.append(
                Problem("error", f"formula: {error}", self.note.shown, line, exit_code=1, code="formula")
            )
            return text

    def _early(self, name: str, line: int | None) -> None:
        where = self.note.line_of(name + "}") or self.note.line_of(name)
        match = re.search(
            rf"\\(?:newcommand|def|let|Declare\w+|gdef)\*?\s*\{{?\s*{re.escape(name)}(?![A-Za-z])",
            self.note.text,
        )
        if match:
            where = self.note.text.count("\n", 0, match.start()) + 1
        message = f"{name} is used before its definition in line {where}"
        hint = "move the definition up, best into header-includes"
        self.found.problems.append(Problem("warning", message, self.note.shown, line, hint, code="early-use"))

    # -- formulas

    def inline(self, text: str) -> Any:
        import panflute as pf

        return pf.Math(_portable(text) if self.expanding else text, format="InlineMath")

    def display(self, text: str, line: int | None) -> list[Any]:
        import panflute as pf

        text = self.expand(text, line)
        whole = re.match(r"(?s)\s*\\begin\s*\{subequations\}(.*)\\end\s*\{subequations\}\s*$", text)
        if whole:
            return self._subequations(whole[1], line)
        made = []
        for part in rewrite(text):
            numbers, labels = row_numbers(part, self.step)
            self.register(labels, line)
            made.append(
                pf.Math(_portable(with_tags(part, numbers)) if self.expanding else part, format="DisplayMath")
            )
        return made

    def _subequations(self, body: str, line: int | None) -> list[Any]:
        import panflute as pf

        self.count += 1
        first = ENVIRONMENT.search(body)
        lead = body[: first.start()] if first else ""
        self.register([(label, self._number()) for label in LABEL.findall(lead)], line)
        self.letters = 1
        parts = split_environments(LABEL.sub("", lead) + body[len(lead) :])
        if parts is None:
            self.letters = 0
            return self.display(body, line)
        made = [element for part in parts for element in self.display(part, line)]
        self.letters = 0
        if made:
            made[0].text += "".join(m[0] for m in LABEL.finditer(lead))
        if not self.expanding:
            return [pf.Math(f"\\begin{{subequations}}{body}\\end{{subequations}}", format="DisplayMath")]
        return made

    def visit(self, element: Any, doc: Any) -> Any:
        import panflute as pf

        if isinstance(element, pf.Header):
            self.heading(element)
            return None
        if isinstance(element, pf.Span):
            if "math" not in element.classes:
                return None
            return _span_formula(element, lambda tex: self.display(tex, None))
        line = self.cursor.line_of(element.text)
        if isinstance(element, pf.Math):
            if re.search(r"`[^`]+`\{\.?python", element.text):
                message = "a computed value inside a formula: end the formula before it, or compute all of it"
                self.found.problems.append(
                    Problem("error", message, self.note.shown, line, exit_code=1, code="formula")
                )
            rest, found = split_definitions(element.text)
            if found:
                self.define(found, line)
            if not rest.strip():
                return []
            if element.format == "InlineMath" and not ENVIRONMENT.match(rest.strip()):
                text = self.expand(rest.strip(), line)
                if ENVIRONMENT.match(text.strip()):
                    return self.display(text, line)
                return self.inline(LABEL.sub("", text))
            return self.display(rest, line)
        if not _is_tex(element):
            return None
        rest, found = split_definitions(element.text)
        if found:
            self.define(found, line)
        block = isinstance(element, pf.RawBlock)
        if not re.sub(r"(?<!\\)%[^\n]*", "", rest).strip():
            return []
        formulas = split_environments(rest)
        if formulas is None and self.expanding:
            formulas = split_environments(self.expand(rest, line))
        if formulas is not None:
            made = [part for formula in formulas for part in self.display(formula, line)]
            return pf.Para(*made) if block else made
        element.text = rest
        return None

    def references(self, element: Any, doc: Any) -> Any:
        """``\\eqref`` inside a formula: its number as text; a formula that is nothing else is a reference."""
        import panflute as pf

        if "ref" not in element.text:
            return None
        alone = re.fullmatch(r"\s*\\(eqref|ref)\s*\{([^}]*)\}\s*", element.text)
        if alone and element.format == "InlineMath":
            return pf.RawInline(f"\\{alone[1]}{{{alone[2].strip()}}}", format="latex")

        def shown(match: re.Match[str]) -> str:
            label = match[2].strip()
            found = self.refs.find(label)
            if found is None:
                self.missing(match[0], label)
                return f"\\text{{??{label}}}"
            number = found[1].number
            return f"\\text{{({number})}}" if match[1] else f"\\text{{{number}}}"

        element.text = INNER_REFERENCE.sub(shown, element.text)
        return None

    def missing(self, written: str, label: str) -> None:
        self.refs.missing(written, label)


def _is_tex(element: Any) -> bool:
    import panflute as pf

    return isinstance(element, (pf.RawBlock, pf.RawInline)) and element.format in ("tex", "latex")


def normalise(doc: Any, note: Note, preamble: Preamble, refs: References, *, expanding: bool) -> Maths:
    """Brings the formulas of ``doc`` into one form, in document order, and registers their labels.

    ``expanding``: macros are replaced and numbers written in, for targets other than LaTeX.
    """
    import panflute as pf

    formulas = _Formulas(doc, note, preamble, refs, expanding)
    raw = (pf.Math, pf.RawBlock, pf.RawInline)
    pandoc.walk(doc, formulas.collect, *raw, pf.Para, pf.Plain, metadata=True)
    pandoc.walk(doc, formulas.visit, *raw, pf.Span, pf.Header, metadata=True)
    for label, line in formulas.unnumbered.items():
        if label not in refs.targets:
            refs.unnumbered[label] = line
    pandoc.walk(doc, _with_punctuation, pf.Div, pf.BlockQuote, pf.ListItem, pf.Definition)
    _with_punctuation(doc, doc)
    if expanding:
        pandoc.walk(doc, formulas.references, pf.Math, metadata=True)
    return formulas.found


def _with_punctuation(element: Any, doc: Any) -> None:
    """The full stop behind a bare environment, which pandoc reads as a paragraph of its own, into the formula."""
    import panflute as pf

    kept: list[Any] = []
    for block in element.content:
        before = kept[-1] if kept else None
        formula = before.content[-1] if isinstance(before, pf.Para) and len(before.content) else None
        words = list(block.content) if isinstance(block, (pf.Para, pf.Plain)) else []
        first = getattr(words[0], "text", "") if words else ""
        is_display = isinstance(formula, pf.Math) and formula.format == "DisplayMath"
        if (
            formula is not None
            and is_display
            and re.fullmatch(r"[.,;:!?]", first)
            and isinstance(words[0], pf.Str)
        ):
            formula.text = _before_the_end(formula.text, first)
            if len(words) > 1:
                kept.append(type(block)(*words[1:]))
            continue
        kept.append(block)
    if len(kept) != len(element.content):
        element.content = kept


def _before_the_end(text: str, sign: str) -> str:
    """``sign`` behind the last row of a formula, in front of its number."""
    end = re.search(
        r"\s*(?:\\tag\*?\s*\{[^{}]*\}\s*)?(?:\\\\\s*)?(?:\\end\s*\{[^}]*\})?(?:\\label\{[^}]*\})*\s*$", text
    )
    return f"{text[: end.start()]}{sign}{text[end.start() :]}" if end else text + sign


def expand_formulas(doc: Any, macros: Macros) -> None:
    """For a document that another program goes on with: known macros replaced, nothing else touched."""
    import panflute as pf

    def visit(element: Any, doc: Any) -> None:
        with contextlib.suppress(MacroError):  # the reader of the formula will say it
            element.text = _portable(expand(element.text, macros.copy()))

    pandoc.walk(doc, visit, pf.Math, metadata=True)


_SUPER = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿⁱ", "0123456789+-ni", strict=True))
_SUB = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋ₙᵢⱼₖ", "0123456789+-nijk", strict=True))
_RAISED = re.compile(f"[{''.join(_SUPER)}]+|[{''.join(_SUB)}]+")


# {\bf x} and {a \over b}, which LaTeX has better words for.
_OLD_FONT = re.compile(r"\{\s*\\(bf|rm|it|cal|sf|tt)(?![A-Za-z])\s*" + _BALANCED + r"\}")
_OVER = re.compile(r"\{" + _BALANCED + r"\\over(?![A-Za-z])" + _BALANCED + r"\}")


def _raised(match: re.Match[str]) -> str:
    """``x²`` as ``x^{2}``."""
    table, sign = (_SUPER, "^") if match[0][0] in _SUPER else (_SUB, "_")
    return f"{sign}{{{''.join(table[char] for char in match[0])}}}"


def _words_apart(command: str, inside: str) -> str:
    """``\\text{for $x>0$}`` as words and formulas side by side, which every converter reads."""
    if "$" not in inside:
        return f"\\{command}{{{inside}}}"
    parts = re.split(r"(?<!\\)\$", inside)
    if len(parts) % 2 == 0:
        return f"\\{command}{{{inside}}}"
    return "".join(
        f"{{{part}}}" if i % 2 else f"\\{command}{{{part}}}" for i, part in enumerate(parts) if part
    )


def _portable(text: str) -> str:
    """An expanded formula without what only some engines read."""
    if not text.isascii():
        text = _RAISED.sub(_raised, text)
    if "\\" not in text:
        return text
    text = re.sub(r"\\bm(?![A-Za-z])", r"\\boldsymbol", text)
    text = _OLD_FONT.sub(lambda m: f"\\math{m[1]}{{{m[2]}}}", text)
    text = _OVER.sub(r"\\frac{\1}{\2}", text)
    text = re.sub(r"\\ensuremath\s*\{" + _BALANCED + r"\}", r"\1", text)
    text = re.sub(r"\\intertext\s*\{" + _BALANCED + r"\}", r"\\text{\1} \\notag \\\\", text)
    text = re.sub(r"\\math(?:ds|bbm)(?![A-Za-z])", r"\\mathbb", text)
    if "$" in text:
        for name in ("text", "textrm", "textit", "textbf", "mbox"):
            text = replace_argument(text, name, functools.partial(_words_apart, name))
    return brace_scripts(text, Macros()) if re.search(r"[_^]\s*\\", text) else text
