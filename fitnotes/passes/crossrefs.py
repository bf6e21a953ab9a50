"""Sections, figures, tables, listings, equations, theorems: numbers, and links to them from ``@fig-loss`` or
``\\ref{fig:loss}``.

Both habits are read: ``fig-`` (Quarto) and ``fig:`` (pandoc-crossref). A reference to nothing is an
error with its line, and stays visible. What a note does not have may stand in another of its project.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fitnotes.document import pandoc
from fitnotes.errors import Problem
from fitnotes.passes.language import KINDS, Words
from fitnotes.settings import nearest
from fitnotes.source.note import Note
from fitnotes.tex.environments import STARRED, in_parentheses
from fitnotes.tex.numbering import Sections, within

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

    @property
    def shown(self) -> str:
        """The number as a reference shows it, or the words: "2", "(4)"."""
        if not self.number:
            return self.words or self.kind
        return in_parentheses(self.number) if self.kind == "Equation" else self.number


# Where a label stands in other notes of the project: (address of the place, its target).
Elsewhere = Callable[[str], list[tuple[str, Target]]]


def nowhere(label: str) -> list[tuple[str, Target]]:
    return []


@dataclass(slots=True)
class References:
    """``targets``: identifier → what it names."""

    note: Note
    elsewhere: Elsewhere = nowhere
    words: Words = field(default_factory=Words)
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
            whole = re.sub(r"-\d+$", "", name)  # a part of a block's figure that did not run
            if whole in self.targets and self.targets[whole].number == "?":
                return f"#{whole}", self.targets[whole]
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
        found = re.search(rf"{re.escape(written)}(?![\w:.-]*\w)", self.note.text)
        line = self.note.text.count("\n", 0, found.start()) + 1 if found else self.note.line_of(written)
        self.problems.append(
            Problem("error", message, self.note.shown, line, hint, exit_code=1, code="undefined-label")
        )


SUBFIGURE = "subfigure"  # the class of a figure inside a figure; it has a letter instead of a number
LISTING = "listing"  # the class of a Div with code that has a number
PANEL = "panel"  # the class of a Div with several tables that have one number
COUNTED = {"figure": "Figure", "table": "Table", "listing": "Listing"}  # as LaTeX names their counters


def depths(preamble: str, chapters: bool) -> dict[str, int]:
    """Kind → how many levels of headings are in its numbers."""
    inside = within(preamble)
    return {kind: inside.get(name, int(chapters)) for name, kind in COUNTED.items()}


def raise_headings(doc: Any) -> int:
    """Shifts the headings of a note whose sections begin at ``##``: they count from 1 in every target.

    Returns by how many levels.
    """
    import panflute as pf

    headings: list[Any] = []
    pandoc.walk(doc, lambda e, d: headings.append(e), pf.Header)
    shift = min((h.level for h in headings if "unnumbered" not in h.classes), default=1) - 1
    shift_headings(doc, -shift)
    return shift


def number_top_only(doc: Any) -> None:
    """No numbers for headings in quotations, lists and boxes: not every target gives them one."""
    import panflute as pf

    boxes = {"callout", "tabset", "layout", "theorem"}

    def mark(element: Any, doc: Any) -> None:
        if "unnumbered" not in element.classes:
            element.classes = [*element.classes, "unnumbered"]

    def visit(element: Any, doc: Any) -> None:
        if not isinstance(element, pf.Div) or boxes & set(element.classes):
            pandoc.walk(element, mark, pf.Header)

    pandoc.walk(doc, visit, pf.BlockQuote, pf.ListItem, pf.Definition, pf.Div)


def shift_headings(doc: Any, levels: int) -> None:
    import panflute as pf

    def visit(element: Any, doc: Any) -> None:
        element.level = max(1, element.level + levels)

    if levels:
        pandoc.walk(doc, visit, pf.Header)


def number(
    doc: Any, note: Note, refs: References, inside: Mapping[str, int] | None = None, *, sections: bool = False
) -> None:
    """Numbers every captioned figure, table and listing of ``doc``, in order, and registers what has a name.

    ``inside``: kind → the levels of headings in its number; ``sections``: headings have numbers too.
    """
    import panflute as pf

    counts = dict.fromkeys(COUNTED.values(), 0)
    inside = inside or {}
    headings = Sections()

    last: dict[str, int] = {}  # where each label stood last: every other use of it has a line of its own

    def register(identifier: str, target: Target) -> None:
        first = refs.targets[identifier].line if identifier in refs.targets else 0
        after = last.get(identifier) or first or 0
        line = note.line_of(f"#{identifier}", after=after) or note.line_of(identifier, after=after)
        last[identifier] = line or 0
        if identifier in refs.targets and not REFERENCE.match(identifier):
            return  # two headings of the same words
        refs.add(identifier, Target(target.kind, target.number, line, target.words))

    def step(kind: str, element: Any) -> str:
        counts[kind] += 1
        given = f"{headings.prefix(inside.get(kind, 0))}{counts[kind]}"
        if element.identifier:
            register(element.identifier, Target(kind, given))
        return given

    def heading(element: Any) -> None:
        level = headings.step(element)
        for kind, levels in inside.items():
            if 0 < level <= levels:
                counts[kind] = 0
        if element.identifier:
            given = headings.prefix(level).rstrip(".") if sections and level else ""
            register(element.identifier, Target("Section", given, words=_title_words(element)))
            if given and doc.format == "gfm":  # whose writer numbers nothing
                element.content = [pf.Str(given), pf.Space, *element.content]

    def parts(element: Any, given: str, kind: str) -> None:
        """Letters for the figures inside a figure."""
        inner: list[Any] = []
        pandoc.walk(
            element, lambda e, d: inner.append(e) if SUBFIGURE in e.classes else None, pf.Figure, pf.Table
        )
        for letter, part in zip(_letters(), inner, strict=False):
            part.attributes["number"] = f"({letter})"
            if part.identifier:
                register(part.identifier, Target(kind, f"{given}{letter}"))

    def visit(element: Any, doc: Any) -> None:
        if isinstance(element, pf.Header):
            heading(element)
            return
        kind = {pf.Figure: "Figure", pf.Table: "Table"}.get(type(element))
        if kind is None:
            if LISTING in element.classes:
                element.attributes["number"] = step("Listing", element)
            elif PANEL in element.classes:
                element.attributes["number"] = step("Table", element)
                parts(element, element.attributes["number"], "Table")
            elif element.identifier and {"tab", "callout"} & set(element.classes):
                register(element.identifier, Target("Section", words=_title_words(element.content[0])))
            elif element.identifier and "cell" in element.classes and len(element.classes) > 1:
                # A block that did not run has nothing to number yet; that it did not run is said elsewhere.
                name = KINDS.get(re.split("[-:]", element.identifier)[0], "Block")
                if element.identifier not in refs.targets:
                    refs.add(element.identifier, Target(name, "?", note.line_of(element.identifier)))
            return
        if SUBFIGURE in element.classes:
            return
        caption = element.caption.content if element.caption else []
        if not len(caption) and not REFERENCE.match(element.identifier):
            return
        given = step(kind, element)
        element.attributes["number"] = given
        parts(element, given, kind)
        if not len(caption):
            element.caption = pf.Caption(pf.Plain())

    def lift(element: Any, doc: Any) -> None:
        """A label around a table, as LaTeX's reader leaves it, belongs to the table."""
        inner = [b for b in element.content if isinstance(b, (pf.Table, pf.Figure))]
        if element.identifier and len(inner) == 1 == len(element.content) and not inner[0].identifier:
            inner[0].identifier, element.identifier = element.identifier, ""

    pandoc.walk(doc, lift, pf.Div)
    pandoc.walk(doc, visit, pf.Figure, pf.Table, pf.Div, pf.Header)


def _title_words(element: Any) -> str:
    """The words of a heading; its formulas between dollars, for `_words`."""
    import panflute as pf

    tex: list[str] = []
    pandoc.walk(element, lambda e, d: tex.append(e.text), pf.Math)
    text = str(pf.stringify(element))
    for formula in tex:
        text = text.replace(formula, f"${formula}$", 1)
    return text


def _letters() -> Iterator[str]:
    """a, b, …, z, aa, ab, …"""
    for first in ("", *string.ascii_lowercase):
        for last in string.ascii_lowercase:
            yield first + last


# --------------------------------------------------------------------------------------------------
# References

# What stands before a reference and leaves it its name: "see Figure 1", but "Fig. 1" where Fig. is written.
_LEADING = frozenset(
    [
        "see",
        "cf.",
        "cf",
        "e.g.",
        "eg.",
        "also",
        "compare",
        "in",
        "from",
        "by",
        "and",
        "or",
        "as",
        "siehe",
        "vgl.",
        "vgl",
        "in",
        "aus",
        "voir",
        "cfr.",
        "ver",
        "zie",
    ]
)
Link = Callable[[str, Target, str], Any]  # (address, target, prefix) → what the page shows


def resolve(
    doc: Any, note: Note, refs: References, link: Link | None = None, leave_unknown: bool = False
) -> None:
    """Replaces ``@fig-x``, ``[-@fig-x]`` and ``[@fig-x; @fig-y]`` by links.

    ``link(address, target, prefix)`` makes one. ``leave_unknown``: a reference to nothing stays as it is, for
    another filter.
    """
    import panflute as pf

    make = link or plain_link

    def known(citation: Any) -> str | None:
        """The label that a citation means; None for one of a book."""
        for name in (citation.id, citation.id[:1].lower() + citation.id[1:]):
            if REFERENCE.match(name) or name in refs.targets:
                return str(name)
        return None

    def visit(element: Any, doc: Any) -> Any:
        citations = list(element.citations)
        labels = {c.id: name for c in citations if (name := known(c)) is not None}
        if not labels:
            return None
        if any(c.id not in labels for c in citations):  # [@eq-x; @knuth]: one of each
            ours = [c for c in citations if c.id in labels]
            others = [c for c in citations if c.id not in labels]
            made = visit(pf.Cite(citations=ours), doc) or []
            keys = "; ".join(f"@{c.id}" for c in others)
            return [*made, pf.Str(","), pf.Space, pf.Cite(pf.Str(f"[{keys}]"), citations=others)]
        found = {c.id: refs.find(labels[c.id]) for c in citations}
        if leave_unknown and not all(found.values()):
            return None
        groups: list[list[Any]] = []
        for citation in citations:  # those of a kind that follow one another
            target = found[citation.id]
            last = found[groups[-1][-1].id] if groups else None
            alike = target and last and target[1].kind == last[1].kind and target[1].number and last[1].number
            if (
                alike
                and not citation.prefix
                and citation.mode == groups[-1][-1].mode
                and not groups[-1][-1].suffix
            ):
                groups[-1].append(citation)
            else:
                groups.append([citation])
        pieces = []
        for group in groups:
            if found[group[0].id] is None:
                refs.missing(f"@{group[0].id}", labels[group[0].id])
                pieces.append([pf.Span(pf.Str(f"?@{group[0].id}"), classes=["error"])])
            else:
                pieces.append(_group(group, [found[c.id] for c in group]))
        return _listed(pieces, refs.words("and") if len(groups) > 1 and len(citations) > 1 else "")

    def _group(group: list[Any], found: list[Any]) -> list[Any]:
        """Several references to one kind: "Figures 1 and 2", "Equations (1)–(3)"."""
        first = group[0]
        many = len(group) > 1
        prefix = refs.words.prefix(found[0][1].kind, many=many)
        if first.id[:1].isupper():
            prefix = prefix[:1].upper() + prefix[1:]
        lead: list[Any] = []
        given = list(first.prefix or [])
        words = " ".join(pf.stringify(e) for e in given).lower().split()
        if words and words[-1] in _LEADING:
            lead = [*given, pf.Space]
        elif given:  # a name of the author's own
            prefix, lead = "", [*given, pf.Str(NO_BREAK)]
        if first.mode == "SuppressAuthor" or not found[0][1].number:
            prefix = ""
        links = [[make(a, t, prefix if i == 0 else "")] for i, (a, t) in enumerate(found)]
        shown: list[list[Any]] = []
        for run in _runs([t.number for _, t in found]):
            if len(run) > 2:
                shown.append([*links[run[0]], pf.Str("–"), *links[run[-1]]])
            else:
                shown += [links[i] for i in run]
        tail = list(group[-1].suffix or [])
        if tail and re.match(r"\w", pf.stringify(tail[0])):
            tail.insert(0, pf.Space())
        return [*lead, *_listed(shown, refs.words("and")), *tail]

    def _listed(pieces: list[list[Any]], last: str) -> list[Any]:
        out: list[Any] = []
        for i, piece in enumerate(pieces):
            if i and last and i == len(pieces) - 1:
                out += [pf.Space, pf.Str(last), pf.Space]
            elif i:
                out += [pf.Str(","), pf.Space]
            out += piece
        return out

    pandoc.walk(doc, visit, pf.Cite, metadata=True)


def _runs(numbers: Sequence[str]) -> list[list[int]]:
    """Positions in groups whose numbers follow one another.

    >>> _runs(["1", "2", "3", "5", "A.1", "A.2"])
    [[0, 1, 2], [3], [4, 5]]
    """
    groups: list[list[int]] = []
    before: tuple[str, int, str] | None = None
    for i, given in enumerate(numbers):
        match = re.fullmatch(r"(.*?)(\d+)([a-z]?)", given)
        now = (match[1], int(match[2]), match[3]) if match else None
        if groups and before and now and now in (_next(before), (*before[:2], _letter(before[2]))):
            groups[-1].append(i)
        else:
            groups.append([i])
        before = now
    return groups


def _next(number: tuple[str, int, str]) -> tuple[str, int, str]:
    return number[0], number[1] + 1, number[2]


def _letter(letter: str) -> str:
    """The letter behind this one.

    >>> _letter("a")
    'b'
    """
    return chr(ord(letter) + 1) if letter else "-"


def plain_link(address: str, target: Target, prefix: str) -> Any:
    import panflute as pf

    text = f"{prefix}{NO_BREAK}{target.shown}" if prefix else target.shown
    return pf.Link(*_words(text), url=address, classes=["ref"])


def _words(text: str) -> list[Any]:
    """What a reference shows; a ``\\tag{$\\ast$}`` has TeX in it."""
    import panflute as pf

    if "$" not in text and "\\" not in text:
        return [pf.Str(text)]
    parts = re.split(r"\$|(\\[a-z]+\{[^{}]*\})", text)
    if "$" in text:
        parts = text.split("$")
    return [(pf.Math(p, format="InlineMath") if i % 2 else pf.Str(p)) for i, p in enumerate(parts) if p]


def tex_reference(refs: References, command: str, label: str, link: Link = plain_link) -> Any:
    """``\\ref{label}``, ``\\eqref`` and their like as a link; an unknown label stays visible and is an error."""
    import panflute as pf

    found = refs.find(label)
    if found is None:
        refs.missing(f"\\{command}{{{label}}}", label)
        return pf.Span(pf.Str(f"??{label}"), classes=["error"])
    address, target = found
    if command in ("ref", "autoref") and target.number:
        name = f"{refs.words.prefix(target.kind)}{NO_BREAK}" if command == "autoref" else ""
        return pf.Link(*_words(name + target.number.removeprefix(STARRED)), url=address, classes=["ref"])
    bare = command == "eqref" or not target.number
    return link(address, target, "" if bare else refs.words.prefix(target.kind))


def caption_prefixes(doc: Any, words: Words) -> None:
    """Writes "Figure 1: " into the captions, for targets that do not number by themselves."""
    import panflute as pf

    def visit(element: Any, doc: Any) -> None:
        given = element.attributes.pop("number", "")
        if not given:
            return
        inner = SUBFIGURE in element.classes
        if element.caption is None or not len(element.caption.content):
            element.caption = pf.Caption(pf.Plain())
        label = given if inner else words.title("Table" if isinstance(element, pf.Table) else "Figure")
        label = label if inner else f"{label}{NO_BREAK}{given}"
        first = element.caption.content[0]
        first.content = [*_numbered(label, first, "" if inner else ":"), *first.content]

    pandoc.walk(doc, visit, pf.Figure, pf.Table)


def title_boxes(doc: Any, words: Words) -> None:
    """Writes "Listing 1: " above the code, and "Table 2: " above the tables, that have a number: for all targets."""
    import panflute as pf

    def visit(element: Any, doc: Any) -> None:
        given = element.attributes.pop("number", "") if {LISTING, PANEL} & set(element.classes) else ""
        if given:
            first = element.content[0]
            label = f"{words.title('Table' if PANEL in element.classes else 'Listing')}{NO_BREAK}{given}"
            first.content = [*_numbered(label, first, ":"), *first.content]

    pandoc.walk(doc, visit, pf.Div)


def _numbered(label: str, caption: Any, mark: str) -> list[Any]:
    import panflute as pf

    start = pf.Span(pf.Str(label), classes=["caption-number"])
    has_text = bool(pf.stringify(caption).strip())
    return [start, *([pf.Str(mark)] if mark and has_text else []), *([pf.Space] if has_text else [])]
