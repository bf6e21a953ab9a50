"""Figures, tables and equations: numbers, and links to them from ``@fig-loss`` or ``\\ref{fig:loss}``.

Both habits are read: ``fig-`` (Quarto) and ``fig:`` (pandoc-crossref). A reference to nothing is an
error with its line, and stays visible.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fitnotes import pandoc
from fitnotes.errors import Problem
from fitnotes.note import Note

KINDS = {"fig": "Figure", "tbl": "Table", "tab": "Table", "eq": "Equation", "sec": "Section"}
REFERENCE = re.compile(r"^(fig|tbl|tab|eq|sec|lst|thm)[-:]\S+$")
NO_BREAK = "\u00a0"


@dataclass(slots=True)
class References:
    """``targets``: identifier → the text a reference shows, such as "Table 2"."""

    targets: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def number(doc: Any, note: Note) -> References:
    """Numbers every captioned figure and table of ``doc``, in order."""
    import panflute as pf

    refs = References()
    counts = {"Figure": 0, "Table": 0}
    seen: dict[str, int | None] = {}

    def visit(element: Any, doc: Any) -> None:
        kind = {pf.Figure: "Figure", pf.Table: "Table"}.get(type(element))
        identifier = getattr(element, "identifier", "")
        if identifier and isinstance(element, (pf.Figure, pf.Table, pf.Div, pf.Header)):
            where = note.line_of(f"#{identifier}") or note.line_of(identifier)
            if identifier in seen and REFERENCE.match(identifier):
                again = note.line_of(f"#{identifier}", after=seen[identifier] or 0)
                message = f"#{identifier} is given twice (first in line {seen[identifier]})"
                refs.problems.append(Problem("error", message, note.shown, again, exit_code=1))
            seen.setdefault(identifier, where)
        if kind is None:
            if isinstance(element, pf.Div) and "cell" in element.classes and identifier:
                # A block that did not run has nothing to number yet; that it did not run is said elsewhere.
                name = KINDS.get(re.split("[-:]", identifier)[0], "Block")
                if len(element.classes) > 1:
                    refs.targets.setdefault(identifier, f"{name}{NO_BREAK}?")
            if isinstance(element, pf.Header) and identifier:
                refs.targets[identifier] = pf.stringify(element)
            return
        caption = element.caption.content if element.caption else []
        if not len(caption) and not REFERENCE.match(identifier):
            return
        counts[kind] += 1
        if identifier:
            refs.targets[identifier] = f"{kind}{NO_BREAK}{counts[kind]}"
        if not len(caption):
            element.caption = pf.Caption(pf.Plain())

    pandoc.walk(doc, visit)
    return refs


def _find(identifier: str, refs: References, equations: Mapping[str, str]) -> tuple[str, str] | None:
    """(identifier as it stands in the document, text) for either spelling."""
    for name in (identifier, identifier.replace("-", ":", 1), identifier.replace(":", "-", 1)):
        if name in refs.targets:
            return name, refs.targets[name]
        if name in equations:
            return name, f"Equation{NO_BREAK}({equations[name]})"
    return None


def resolve(
    doc: Any,
    note: Note,
    refs: References,
    equations: Mapping[str, str],
    equation: Callable[[str, bool], Any],
    leave_unknown: bool = False,
) -> None:
    """Replaces ``@fig-x`` and ``[-@fig-x]`` by links. ``equation(label, bare)`` links to an equation.

    ``leave_unknown``: a reference to nothing stays as it is, for another filter.
    """
    import panflute as pf

    def visit(element: Any, doc: Any) -> Any:
        if not isinstance(element, pf.Cite):
            return None
        citations = list(element.citations)
        if not all(REFERENCE.match(c.id) for c in citations):
            return None
        if leave_unknown and not all(_find(c.id, refs, equations) for c in citations):
            return None
        out: list[Any] = []
        for i, citation in enumerate(citations):
            if i:
                out += [pf.Str(","), pf.Space]
            bare = citation.mode == "SuppressAuthor"
            if citation.prefix:
                out += [*citation.prefix, pf.Space]
            out.append(link(citation.id, bare))
            if citation.suffix:
                out += list(citation.suffix)
        return out

    def link(identifier: str, bare: bool) -> Any:
        found = _find(identifier, refs, equations)
        if found is None:
            line = note.line_of(f"@{identifier}")
            known = sorted([*refs.targets, *equations])
            from fitnotes.settings import nearest

            hint = nearest(identifier, known) if known else None
            message = f"@{identifier} refers to nothing in this note"
            refs.problems.append(Problem("error", message, note.shown, line, hint, exit_code=1))
            return pf.Span(pf.Str(f"?@{identifier}"), classes=["error"])
        name, text = found
        if name in equations and name not in refs.targets:
            return equation(name, bare)
        shown = text.split(NO_BREAK)[-1] if bare else text
        return pf.Link(pf.Str(shown), url=f"#{name}", classes=["ref"])

    pandoc.walk(doc, visit)


def caption_prefixes(doc: Any, refs: References) -> None:
    """Writes "Figure 1: " into the captions, for targets that do not number by themselves."""
    import panflute as pf

    counts = {"Figure": 0, "Table": 0}

    def visit(element: Any, doc: Any) -> None:
        kind = {pf.Figure: "Figure", pf.Table: "Table"}.get(type(element))
        if kind is None or element.caption is None or not len(element.caption.content):
            return
        counts[kind] += 1
        first = element.caption.content[0]
        start = pf.Span(pf.Str(f"{kind}{NO_BREAK}{counts[kind]}"), classes=["caption-number"])
        has_text = bool(pf.stringify(first).strip())
        first.content = [start, *([pf.Str(":"), pf.Space] if has_text else []), *first.content]

    pandoc.walk(doc, visit)


def plain_reference(note: Note, refs: References, command: str, label: str) -> Any:
    """``\\ref{label}`` to a figure, table or section; an unknown label stays visible and is an error."""
    import panflute as pf

    if label in refs.targets:
        text = refs.targets[label]
        return pf.Link(pf.Str(text.split(NO_BREAK)[-1] if command == "ref" else text), url=f"#{label}")
    line = note.line_of(f"\\{command}{{{label}}}")
    message = f"\\{command}{{{label}}} refers to nothing in this note"
    refs.problems.append(Problem("error", message, note.shown, line, exit_code=1))
    return pf.Span(pf.Str(f"??{label}"), classes=["error"])
