"""Figures, tables, equations, theorems: numbers, and links to them from ``@fig-loss`` or ``\\ref{fig:loss}``.

Both habits are read: ``fig-`` (Quarto) and ``fig:`` (pandoc-crossref). A reference to nothing is an
error with its line, and stays visible. What a note does not have may stand in another of its project.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fitnotes import pandoc
from fitnotes.errors import Problem
from fitnotes.note import Note
from fitnotes.render.environments import STARRED, in_parentheses
from fitnotes.settings import nearest

KINDS = {"fig": "Figure", "tbl": "Table", "tab": "Table", "eq": "Equation", "sec": "Section"}
REFERENCE = re.compile(
    r"^(?:[^\s#]+\#)?(fig|tbl|tab|eq|sec|lst|thm|lem|cor|prp|prop|cnj|conj|def|defn|exm|ex|exr|exercise|rem|clm|asm)"
    r"[-:]\S+$"
)
NO_BREAK = "\u00a0"


@dataclass(frozen=True, slots=True)
class Target:
    """Something with a number. ``words`` are shown for what has none, such as a heading."""

    kind: str
    number: str = ""
    line: int | None = None
    words: str = ""

    def text(self, *, bare: bool = False) -> str:
        """As a reference shows it: "Figure 2", "Equation (4)"; ``bare`` is the number alone."""
        if not self.number:
            return self.words or self.kind
        number = in_parentheses(self.number) if self.kind == "Equation" else self.number
        return number if bare else f"{self.kind}{NO_BREAK}{number}"


# Where a label stands in other notes of the project: (address of the place, its target).
Elsewhere = Callable[[str], list[tuple[str, Target]]]


def nowhere(label: str) -> list[tuple[str, Target]]:
    return []


@dataclass(slots=True)
class References:
    """``targets``: identifier → what it names."""

    note: Note
    elsewhere: Elsewhere = nowhere
    targets: dict[str, Target] = field(default_factory=dict)
    unnumbered: dict[str, int | None] = field(default_factory=dict)  # labels in rows without a number
    problems: list[Problem] = field(default_factory=list)

    def add(self, label: str, target: Target) -> None:
        """Registers a label; one that is given twice is an error with both lines."""
        before = self.targets.get(label)
        if before is not None:
            line = target.line
            if line == before.line:
                line = self.note.line_of(label, after=before.line or 0) or line
            message = f"the label {label} is given twice (first in line {before.line})"
            hint = "give one of them another name"
            self.problems.append(
                Problem("error", message, self.note.shown, line, hint, exit_code=1, code="doubled-label")
            )
            return
        self.targets[label] = target

    def find(self, label: str) -> tuple[str, Target] | None:
        """(address, target) of a label in either spelling, here or in another note."""
        spellings = list(dict.fromkeys((label, label.replace("-", ":", 1), label.replace(":", "-", 1))))
        for name in spellings:
            if name in self.targets:
                return f"#{name}", self.targets[name]
        for name in spellings:
            found = self.elsewhere(name)
            if len(found) > 1:
                where = ", ".join(address.split("#")[0] for address, _ in found)
                message = f"{label} stands in several notes: {where}"
                hint = f"write note#{label}"
                line = self.note.line_of(label)
                self.problems.append(
                    Problem("error", message, self.note.shown, line, hint, exit_code=1, code="doubled-label")
                )
            if found:
                return found[0]
        return None

    def missing(self, written: str, label: str) -> None:
        """Says that ``label`` is nowhere. ``written`` is how the note refers to it."""
        hint = nearest(label, self.targets) if self.targets else None
        close = re.match(r"did you mean (.*)\?$", hint or "")
        if close and (line := self.targets[close[1]].line):
            hint = f"{hint} (line {line})"
        message = f"{written} refers to nothing in {'that note' if '#' in label else 'this note'}"
        if label in self.unnumbered:
            message = f"{written} refers to a formula without a number (line {self.unnumbered[label]})"
            hint = "take the star or \\nonumber away, or give it a \\tag"
        line = self.note.line_of(written)
        self.problems.append(
            Problem("error", message, self.note.shown, line, hint, exit_code=1, code="undefined-label")
        )


def number(doc: Any, note: Note, refs: References) -> None:
    """Numbers every captioned figure and table of ``doc``, in order, and registers what has a name."""
    import panflute as pf

    counts = {"Figure": 0, "Table": 0}

    def register(identifier: str, target: Target) -> None:
        after = refs.targets[identifier].line if identifier in refs.targets else 0
        line = note.line_of(f"#{identifier}", after=after or 0) or note.line_of(identifier, after=after or 0)
        if identifier in refs.targets and not REFERENCE.match(identifier):
            return  # two headings of the same words
        refs.add(identifier, Target(target.kind, target.number, line, target.words))

    def visit(element: Any, doc: Any) -> None:
        kind = {pf.Figure: "Figure", pf.Table: "Table"}.get(type(element))
        identifier = element.identifier
        if kind is None:
            if not identifier:
                return
            if isinstance(element, pf.Div) and "cell" in element.classes and len(element.classes) > 1:
                # A block that did not run has nothing to number yet; that it did not run is said elsewhere.
                name = KINDS.get(re.split("[-:]", identifier)[0], "Block")
                if identifier not in refs.targets:
                    refs.add(identifier, Target(name, "?", note.line_of(identifier)))
            if isinstance(element, pf.Header):
                register(identifier, Target("Section", words=pf.stringify(element)))
            return
        caption = element.caption.content if element.caption else []
        if not len(caption) and not REFERENCE.match(identifier):
            return
        counts[kind] += 1
        if identifier:
            register(identifier, Target(kind, str(counts[kind])))
        if not len(caption):
            element.caption = pf.Caption(pf.Plain())

    def lift(element: Any, doc: Any) -> None:
        """A label around a table, as LaTeX's reader leaves it, belongs to the table."""
        inner = [b for b in element.content if isinstance(b, (pf.Table, pf.Figure))]
        if element.identifier and len(inner) == 1 == len(element.content) and not inner[0].identifier:
            inner[0].identifier, element.identifier = element.identifier, ""

    pandoc.walk(doc, lift, pf.Div)
    pandoc.walk(doc, visit, pf.Figure, pf.Table, pf.Div, pf.Header)


def resolve(
    doc: Any,
    note: Note,
    refs: References,
    link: Callable[[str, Target, bool], Any] | None = None,
    leave_unknown: bool = False,
) -> None:
    """Replaces ``@fig-x`` and ``[-@fig-x]`` by links. ``link(address, target, bare)`` makes one.

    ``leave_unknown``: a reference to nothing stays as it is, for another filter.
    """
    import panflute as pf

    make = link or plain_link

    def visit(element: Any, doc: Any) -> Any:
        citations = list(element.citations)
        ours = [c for c in citations if REFERENCE.match(c.id) or c.id in refs.targets]
        if not ours:
            return None
        if len(ours) < len(citations):  # [@eq-x; @knuth]: one of each
            others = [c for c in citations if c not in ours]
            made = visit(pf.Cite(citations=ours), doc) or []
            return [*made, pf.Str(","), pf.Space, pf.Cite(pf.Str(f"[@{others[0].id}]"), citations=others)]
        found = {c.id: refs.find(c.id) for c in citations}
        if leave_unknown and not all(found.values()):
            return None
        out: list[Any] = []
        for i, citation in enumerate(citations):
            if i:
                out += [pf.Str(","), pf.Space]
            bare = citation.mode == "SuppressAuthor"
            if citation.prefix:
                out += [*citation.prefix, pf.Space]
            target = found[citation.id]
            if target is None:
                refs.missing(f"@{citation.id}", citation.id)
                out.append(pf.Span(pf.Str(f"?@{citation.id}"), classes=["error"]))
            else:
                out.append(make(*target, bare))
            if citation.suffix:
                out += list(citation.suffix)
        return out

    pandoc.walk(doc, visit, pf.Cite)


def plain_link(address: str, target: Target, bare: bool) -> Any:
    import panflute as pf

    return pf.Link(*_words(target.text(bare=bare)), url=address, classes=["ref"])


def _words(text: str) -> list[Any]:
    """What a reference shows; a ``\\tag{$\\ast$}`` has TeX in it."""
    import panflute as pf

    if "$" not in text and "\\" not in text:
        return [pf.Str(text)]
    parts = re.split(r"\$|(\\[a-z]+\{[^{}]*\})", text)
    if "$" in text:
        parts = text.split("$")
    return [(pf.Math(p, format="InlineMath") if i % 2 else pf.Str(p)) for i, p in enumerate(parts) if p]


def tex_reference(refs: References, command: str, label: str, link: Any = plain_link) -> Any:
    """``\\ref{label}``, ``\\eqref`` and their like as a link; an unknown label stays visible and is an error."""
    import panflute as pf

    found = refs.find(label)
    if found is None:
        refs.missing(f"\\{command}{{{label}}}", label)
        return pf.Span(pf.Str(f"??{label}"), classes=["error"])
    address, target = found
    if command in ("ref", "autoref") and target.number:
        name = f"{target.kind}{NO_BREAK}" if command == "autoref" else ""
        return pf.Link(*_words(name + target.number.removeprefix(STARRED)), url=address, classes=["ref"])
    return link(address, target, command == "eqref")


def caption_prefixes(doc: Any) -> None:
    """Writes "Figure 1: " into the captions, for targets that do not number by themselves."""
    import panflute as pf

    counts = {"Figure": 0, "Table": 0}

    def visit(element: Any, doc: Any) -> None:
        kind = {pf.Figure: "Figure", pf.Table: "Table"}[type(element)]
        if element.caption is None or not len(element.caption.content):
            return
        counts[kind] += 1
        first = element.caption.content[0]
        start = pf.Span(pf.Str(f"{kind}{NO_BREAK}{counts[kind]}"), classes=["caption-number"])
        has_text = bool(pf.stringify(first).strip())
        first.content = [start, *([pf.Str(":"), pf.Space] if has_text else []), *first.content]

    pandoc.walk(doc, visit, pf.Figure, pf.Table)
