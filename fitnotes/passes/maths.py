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
from dataclasses import dataclass, field, replace

import panflute as pf

from fitnotes.document import nodes
from fitnotes.document.tree import Change, Elements, walk
from fitnotes.errors import Problem
from fitnotes.passes.crossrefs import Labelled, References
from fitnotes.source.note import Cursor, Note
from fitnotes.tex.environments import (
    ENVIRONMENT,
    INNER_REFERENCE,
    LABEL,
    environment_end,
    rewrite,
    row_numbers,
    split_environments,
    with_tags,
)
from fitnotes.tex.escapes import unescaped
from fitnotes.tex.macros import (
    DEFINITION,
    MacroError,
    Macros,
    definitions,
    expand,
    learn,
    replace_argument,
    split_definitions,
    used_names,
)
from fitnotes.tex.numbering import SET_COUNTER, EquationFormat, Sections
from fitnotes.tex.portable import portable
from fitnotes.tex.preamble import Preamble
from fitnotes.tex.tokens import blank_comments, without_comments


@dataclass(slots=True)
class Maths:
    """What is known of a note's formulas. ``definitions`` are those of its body, for a LaTeX preamble;
    ``written`` is where each formula stands and how its author wrote it; ``broken`` have been complained of."""

    definitions: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    written: dict[str, list[tuple[int | None, str]]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)

    def note(self, text: str, line: int | None, original: str) -> None:
        places = self.written.setdefault(formula_key(text), [])
        if (line, original) not in places:
            places.append((line, original))


def formula_key(text: str) -> str:
    """A formula whatever a target has done to it."""
    return re.sub(r"\s+", "", LABEL.sub("", text).replace("\\mathstrut", ""))


def _equation_labels(element: pf.Element) -> None:
    """``$$…$$ {#eq-x}`` as Quarto and pandoc-crossref write it: a label inside the formula."""
    content = list(element.content)
    kept: Elements = []
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


def _span_formula(element: pf.Element, display: Callable[[str], Elements]) -> Change:
    """``[\\\\(x\\\\)]{.math .inline}``: what pandoc makes of a formula when it reads its own HTML back."""
    words = ["\n" if isinstance(e, pf.SoftBreak) else pf.stringify(e) for e in element.content]
    text = "".join(words).translate({0x2019: "'", 0x2018: "'", 0x201C: '"', 0x201D: '"'}).strip()
    for left, right in (("\\(", "\\)"), ("\\[", "\\]")):
        if text.startswith(left) and text.endswith(right):
            tex = text[2:-2].strip()
            return pf.Math(tex, format="InlineMath") if left == "\\(" else display(tex)
    return None


class _Formulas:
    """The formulas of one note, in its order."""

    def __init__(
        self, doc: pf.Doc, note: Note, preamble: Preamble, refs: References, expanding: bool
    ) -> None:
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
        self.sections = Sections()
        self.format = EquationFormat(preamble.tex)
        self.count = 0
        self.letters = 0  # inside subequations: how many so far, from 1

    # -- numbers

    def step(self) -> str:
        if self.letters:
            self.letters += 1
            return f"{self._number()}{chr(ord('a') + self.letters - 2)}"
        self.count += 1
        return self._number()

    def _number(self) -> str:
        return self.format(self.count, self.sections)

    def heading(self, element: pf.Element) -> None:
        level = self.sections.step(element)
        if 0 < level <= self.format.depth:
            self.count = 0

    def register(self, labels: list[tuple[str, str | None]], line: int | None) -> None:
        for label, number in labels:
            written = f"\\label{{{label}}}" if f"{{{label}}}" in self.note.text else f"#{label}}}"
            at = self.labels.line_of(written) or line
            if number is None:
                self.unnumbered[label] = at
            else:
                self.refs.add(label, Labelled("Equation", number, at))

    # -- definitions

    def collect(self, element: pf.Element) -> None:
        """Before the formulas are read: what the body defines, and where a label follows a formula."""
        if isinstance(element, (pf.Para, pf.Plain)):
            _equation_labels(element)
        elif (isinstance(element, pf.Math) or nodes.is_raw_tex(element)) and DEFINITION.search(element.text):
            new = Macros()
            seen = {*self.later.commands, *self.macros.commands}
            for definition in learn(element.text, new):
                if definition.name in seen:
                    self.again.add(definition.name)
                seen.add(definition.name)
            self.later.commands = {**new.commands, **self.later.commands}
            self.later.environments = {**new.environments, **self.later.environments}

    def define(self, text: str, line: int | None) -> None:
        self.preamble.define(text, self.note.shown, line, self.macros)
        for definition in definitions(text):
            # Of a macro that changes on the way formulas take none; raw TeX in prose has its first meaning
            # (corpus/redefined).
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
            self.found.problems.append(Problem("macro", f"formula: {error}", self.note.shown, line))
            self.found.broken.add(formula_key(text))
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
        self.found.problems.append(Problem("early-use", message, self.note.shown, line, hint))

    # -- formulas

    def inline(self, text: str) -> pf.Math:
        return pf.Math(portable(text) if self.expanding else text, format="InlineMath")

    def display(self, text: str, line: int | None) -> Elements:
        original = text
        text = self.expand(without_comments(text), line)
        whole = re.match(r"(?s)\s*\\begin\s*\{subequations\}(.*)\\end\s*\{subequations\}\s*$", text)
        if whole:
            return self._subequations(whole[1], line)
        made: Elements = []
        for part in rewrite(text):
            numbers, labels = row_numbers(part, self.step)
            self.register(labels, line)
            part = portable(with_tags(part, numbers)) if self.expanding else part
            self.found.note(part, line, original)
            made.append(pf.Math(part, format="DisplayMath"))
        return made

    def _subequations(self, body: str, line: int | None) -> Elements:
        self.count += 1
        first = ENVIRONMENT.search(body)
        lead = body[: first.start()] if first else ""
        self.register([(label, self._number()) for label in LABEL.findall(lead)], line)
        self.letters = 1
        made: Elements = []
        rest = LABEL.sub("", lead) + body[len(lead) :]
        while head := ENVIRONMENT.search(rest):
            end = environment_end(rest, head.start())
            if end < 0:
                break
            if words := rest[: head.start()].split():
                made += [pf.Space(), pf.Str(" ".join(words)), pf.Space()]
            made += self.display(rest[head.start() : end], line)
            rest = rest[end:]
        made += [pf.Str(" ".join(rest.split()))] if rest.split() else []
        self.letters = 0
        formulas = [item for item in made if isinstance(item, pf.Math)]
        if formulas:
            formulas[0].text += "".join(m[0] for m in LABEL.finditer(lead))
        if not self.expanding:
            return [pf.RawInline(f"\n\\begin{{subequations}}{body}\\end{{subequations}}\n", format="latex")]
        return made

    def visit(self, element: pf.Element) -> Change:
        if isinstance(element, pf.Header):
            self.heading(element)
            return None
        if isinstance(element, pf.Span):
            if "math" not in element.classes:
                return None
            return _span_formula(element, lambda tex: self.display(tex, None))
        # Without the label that stood behind it (`_equation_labels`).
        written = re.sub(r"\\label\{[^{}]*\}\Z", "", element.text)
        if isinstance(element, pf.Math):
            return self._formula(element, self.cursor.line_of_formula(written))
        line = self.cursor.line_of(written)
        return self._raw(element, line) if nodes.is_raw_tex(element) else None

    def _formula(self, element: pf.Element, line: int | None) -> Change:
        if re.search(r"`[^`]+`\{\.?python", element.text):
            message = "a computed value inside a formula: end the formula before it, or compute all of it"
            self.found.problems.append(Problem("macro", message, self.note.shown, line))
        if eaten := _EATEN.search(element.text):
            message = f"the % begins a comment: {eaten[1].strip()[:40]} is not shown"
            problem = Problem(
                "formula", message, self.note.shown, line, "write \\%, or end the line behind the comment"
            )
            self.found.problems.append(problem)
        rest, found = split_definitions(unescaped(element.text))
        if found:
            self.define(found, line)
        if not rest.strip():
            return []
        if element.format != "InlineMath" or ENVIRONMENT.match(rest.strip()):
            return self.display(rest, line)
        text = self.expand(rest.strip(), line)
        if ENVIRONMENT.match(text.strip()):
            return self.display(text, line)
        made = self.inline(LABEL.sub("", text))
        self.found.note(made.text, line, rest)
        return made

    def _raw(self, element: pf.Element, line: int | None) -> Change:
        """Raw TeX in prose: definitions, counters, and formulas without dollars."""
        if counter := SET_COUNTER.match(element.text):
            self.count = int(counter[2]) + (self.count if counter[1] == "addto" else 0)
            return [] if self.expanding else None
        rest, found = split_definitions(element.text)
        if found:
            self.define(found, line)
        if not blank_comments(rest).strip():
            changed = [d for d in definitions(element.text) if d.name in self.again]
            if self.expanding or not changed:
                return []
            element.text = re.sub(r"\\(?:new|provide)(command|environment)", r"\\renew\1", element.text)
            return None  # raw TeX in prose sees the change too
        formulas = split_environments(rest)
        if formulas is None and self.expanding:
            formulas = split_environments(self.expand(rest, line))
        if formulas is not None:
            whole = [part for formula in formulas for part in self.display(formula, line)]
            return pf.Para(*whole) if isinstance(element, pf.RawBlock) else whole
        element.text = rest
        return None


def resolve_inside(doc: pf.Doc, refs: References, known: Maths) -> None:
    """``\\eqref`` and ``\\ref`` inside formulas: their numbers as text. A formula that is nothing else is a
    reference like one in prose (corpus/reference-in-text). For targets other than LaTeX, when everything has its
    number."""
    for label, target in refs.targets.items():  # \\tag{\\ref{eq:a}'}
        if "ref" in target.number:
            plain = INNER_REFERENCE.sub(lambda m: _number_of(refs, m), target.number)
            refs.targets[label] = replace(target, number=plain)

    def shown(match: re.Match[str]) -> str:
        """The number; inside a text or a tag it needs no braces of its own."""
        label = match[2].strip()
        found = refs.find(label)
        if found is None:
            refs.missing(match[0], label)
            return f"??{label}"
        number = found[1].number
        return f"({number})" if match[1] else number

    def visit(element: pf.Element) -> Change:
        if "ref" not in element.text:
            return None
        alone = re.fullmatch(r"\s*\\(eqref|ref)\s*\{([^}]*)\}\s*", element.text)
        if alone and element.format == "InlineMath":
            return pf.RawInline(f"\\{alone[1]}{{{alone[2].strip()}}}", format="latex")
        before = element.text
        for name in ("text", "textbf", "textit", "textrm", "mbox", "tag", "intertext"):
            inside = functools.partial(_with_words, name, shown)
            element.text = replace_argument(element.text, name, inside)
        element.text = INNER_REFERENCE.sub(lambda m: f"\\text{{{shown(m)}}}", element.text)
        if element.text != before:
            for line, original in known.written.get(formula_key(before), []):
                known.note(element.text, line, original)
        return None

    walk(doc, visit, pf.Math, metadata=True)


def _number_of(refs: References, match: re.Match[str]) -> str:
    found = refs.targets.get(match[2].strip())
    number = found.number if found else "??"
    return f"({number})" if match[1] else number


def _with_words(command: str, words: Callable[[re.Match[str]], str], inside: str) -> str:
    return f"\\{command}{{{INNER_REFERENCE.sub(words, inside)}}}"


def normalise(doc: pf.Doc, note: Note, preamble: Preamble, refs: References, *, expanding: bool) -> Maths:
    """Brings the formulas of ``doc`` into one form, in document order, and registers their labels.

    ``expanding``: macros are replaced and numbers written in, for targets other than LaTeX.
    """
    formulas = _Formulas(doc, note, preamble, refs, expanding)
    raw = (pf.Math, pf.RawBlock, pf.RawInline)
    walk(doc, formulas.collect, *raw, pf.Para, pf.Plain, metadata=True)
    walk(doc, formulas.visit, *raw, pf.Span, pf.Header, metadata=True)
    for label, line in formulas.unnumbered.items():
        if label not in refs.targets:
            refs.unnumbered[label] = line
    walk(doc, _with_punctuation, pf.Div, pf.BlockQuote, pf.ListItem, pf.Definition)
    _with_punctuation(doc)
    return formulas.found


def _with_punctuation(element: pf.Element) -> None:
    """The full stop behind a bare environment, which pandoc reads as a paragraph of its own, into the formula
    (corpus/punctuation)."""
    kept: Elements = []
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
            and pf.stringify(block).strip() != ". . ."  # a pause of a slide
        ):
            formula.text = _before_the_end(formula.text, first)
            if len(words) > 1:
                kept.append(type(block)(*words[1:]))
            continue
        kept.append(block)
    if len(kept) != len(element.content):
        element.content = kept


# A comment that ends with the formula, on the line of what it hides the rest of: TeX shows neither.
_EATEN = re.compile(r"(?<!\\)(?:\\\\)*%([^\n]*\S[^\n]*)\Z")


def _before_the_end(text: str, sign: str) -> str:
    """``sign`` behind the last row of a formula, in front of its number."""
    end = re.search(
        r"\s*(?:\\tag\*?\s*\{[^{}]*\}\s*)?(?:\\\\\s*)?(?:\\end\s*\{[^}]*\})?(?:\\label\{[^}]*\})*\s*$", text
    )
    return f"{text[: end.start()]}{sign}{text[end.start() :]}" if end else text + sign


def expand_formulas(doc: pf.Doc, macros: Macros) -> None:
    """For a document that another program goes on with: known macros replaced, nothing else touched."""

    def visit(element: pf.Element) -> None:
        with contextlib.suppress(MacroError):  # the reader of the formula will say it
            element.text = portable(expand(element.text, macros.copy()))

    walk(doc, visit, pf.Math, metadata=True)
