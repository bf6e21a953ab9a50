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

import panflute as pf

from fitnotes.document import nodes
from fitnotes.document.tree import Change, Elements, collect, walk
from fitnotes.errors import Problem
from fitnotes.passes.language import KINDS, Words
from fitnotes.settings import closest, nearest
from fitnotes.source.note import Note
from fitnotes.tex.environments import STARRED, in_parentheses
from fitnotes.tex.numbering import Sections, within

REFERENCE = re.compile(
    r"^(?:[^\s#]+\#)?(fig|tbl|tab|eq|sec|lst|thm|lem|cor|prp|prop|cnj|conj|def|defn|exm|ex|exr|exercise|rem|clm|asm"
    r"|nte|tip|wrn|imp|cau)[-:]\S+$"
)
_CALLOUT = re.compile(r"(?:nte|tip|wrn|imp|cau)[-:]\S+$")  # as Quarto has them: with numbers
NO_BREAK = "\u00a0"


@dataclass(frozen=True, slots=True)
class Labelled:
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
Elsewhere = Callable[[str], list[tuple[str, Labelled]]]


def nowhere(label: str) -> list[tuple[str, Labelled]]:
    return []


@dataclass(slots=True)
class References:
    """``targets``: identifier → what it names."""

    note: Note
    elsewhere: Elsewhere = nowhere
    words: Words = field(default_factory=Words)
    targets: dict[str, Labelled] = field(default_factory=dict)
    unnumbered: dict[str, int | None] = field(default_factory=dict)  # labels in rows without a number
    problems: list[Problem] = field(default_factory=list)

    def add(self, label: str, target: Labelled) -> None:
        """Registers a label; one that is given twice is an error with both lines."""
        before = self.targets.get(label)
        if before is not None:
            line = target.line
            if line == before.line:
                line = self.note.line_of(label, after=before.line or 0) or line
            message = f"the label {label} is given twice (first in line {before.line})"
            hint = "give one of them another name"
            self.problems.append(Problem("doubled-label", message, self.note.shown, line, hint))
            return
        self.targets[label] = target

    def find(self, label: str) -> tuple[str, Labelled] | None:
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
                self.problems.append(Problem("doubled-label", message, self.note.shown, line, hint))
            if found:
                return found[0]
        return None

    def missing(self, written: str, label: str) -> None:
        """Says that ``label`` is nowhere. ``written`` is how the note refers to it."""
        known = self.targets
        if "#" in label:  # what that note has
            note, _, label = label.rpartition("#")
            known = {address.rpartition("#")[2]: target for address, target in self.elsewhere(f"{note}#")}
            inside = "that note"
        else:
            inside = "this note"
        hint = nearest(label, known) if known else None
        close = closest(label, known)
        if close and (line := known[close].line):
            hint = f"{hint} (line {line})"
        message = f"{written} refers to nothing in {inside}"
        if label in self.unnumbered and inside == "this note":
            message = f"{written} refers to a formula without a number (line {self.unnumbered[label]})"
            hint = "take the star or \\nonumber away, or give it a \\tag"
        found = re.search(rf"{re.escape(written)}(?![\w:.-]*\w)", self.note.text)
        line = self.note.text.count("\n", 0, found.start()) + 1 if found else self.note.line_of(written)
        self.problems.append(Problem("undefined-label", message, self.note.shown, line, hint))


COUNTED = {"figure": "Figure", "table": "Table", "listing": "Listing"}  # as LaTeX names their counters


def depths(preamble: str, chapters: bool) -> dict[str, int]:
    """Kind → how many levels of headings are in its numbers."""
    inside = within(preamble)
    return {kind: inside.get(name, int(chapters)) for name, kind in COUNTED.items()}


def raise_headings(doc: pf.Doc) -> int:
    """Shifts the headings of a note whose sections begin at ``##``: they count from 1 in every target.

    Returns by how many levels.
    """
    headings = collect(doc, pf.Header, where=_counts)
    shift = min((heading.level for heading in headings), default=1) - 1
    shift_headings(doc, -shift)
    return shift


def _counts(heading: pf.Element) -> bool:
    return not nodes.has_class(heading, "unnumbered")


def number_top_only(doc: pf.Doc) -> None:
    """No numbers for headings in quotations, lists and boxes: not every target gives them one."""
    boxes = (nodes.CALLOUT, nodes.TABSET, nodes.ROW, "theorem")

    def mark(heading: pf.Element) -> None:
        if _counts(heading):
            heading.classes = [*heading.classes, "unnumbered"]

    def visit(element: pf.Element) -> None:
        if not isinstance(element, pf.Div) or nodes.has_class(element, *boxes):
            walk(element, mark, pf.Header)

    walk(doc, visit, pf.BlockQuote, pf.ListItem, pf.Definition, pf.Div)


def number_down_to(doc: pf.Doc, depth: int | None) -> None:
    """No numbers for headings below this level (None: all have one)."""

    def mark(heading: pf.Element) -> None:
        if depth is not None and heading.level > depth and _counts(heading):
            heading.classes = [*heading.classes, "unnumbered"]

    walk(doc, mark, pf.Header)


def shift_headings(doc: pf.Doc, levels: int) -> None:
    def visit(element: pf.Element) -> None:
        element.level = max(1, element.level + levels)

    if levels:
        walk(doc, visit, pf.Header)


def number(
    doc: pf.Doc,
    note: Note,
    refs: References,
    inside: Mapping[str, int] | None = None,
    *,
    sections: bool = False,
    written: bool = False,
    tex: bool = False,
) -> None:
    """Numbers every captioned figure, table and listing of ``doc``, in order, and registers what has a name.

    ``inside``: kind → the levels of headings in its number; ``sections``: headings have numbers too;
    ``written``: these stand in their words, for a writer that numbers nothing; ``tex``: LaTeX counts, letters too.
    """
    walk(doc, _lift, pf.Div)
    numbering = _Numbering(note, refs, inside or {}, sections, written, tex)
    walk(doc, numbering.visit, pf.Figure, pf.Table, pf.Div, pf.Header)


def _lift(element: pf.Element) -> None:
    """A label around a table, as LaTeX's reader leaves it, belongs to the table."""
    inner = [b for b in element.content if isinstance(b, (pf.Table, pf.Figure))]
    if element.identifier and len(inner) == 1 == len(element.content) and not inner[0].identifier:
        inner[0].identifier, element.identifier = element.identifier, ""


class _Numbering:
    """The counters of a note, as its elements come by in order."""

    def __init__(
        self,
        note: Note,
        refs: References,
        inside: Mapping[str, int],
        sections: bool,
        written: bool,
        tex: bool,
    ) -> None:
        self.note = note
        self.refs = refs
        self.inside = inside
        self.sections = sections
        self.written = written
        self.tex = tex
        self.counts = dict.fromkeys(COUNTED.values(), 0)
        self.headings = Sections()
        self.last: dict[str, int] = {}  # where each label stood last: every other use has a line of its own

    def visit(self, element: pf.Element) -> Change:
        if isinstance(element, pf.Header):
            return self._heading(element)
        if isinstance(element, pf.Div):
            self._box(element)
        elif not nodes.is_part(element):
            self._captioned(element, "Figure" if isinstance(element, pf.Figure) else "Table")
        return None

    def _heading(self, element: pf.Element) -> Change:
        before = self.headings.appendix
        level = self.headings.step(element)
        begins = self.headings.appendix and not before
        for kind, levels in self.inside.items():
            if 0 < level <= levels:
                self.counts[kind] = 0
        if element.identifier:
            given = self.headings.prefix(level).rstrip(".") if self.sections and level else ""
            self._register(element.identifier, Labelled("Section", given, words=_title_words(element)))
            lettered = self.headings.appendix and not self.tex
            if given and (self.written or lettered):
                element.content = [pf.Str(given), pf.Space(), *element.content]
            if given and lettered and not self.written:  # a writer would go on with numbers
                element.classes = [*element.classes, "unnumbered"]
        return [pf.RawBlock("\\appendix", format="latex"), element] if begins and self.tex else None

    def _box(self, element: pf.Element) -> None:
        """A Div: one with code or tables that have a number, a callout or tab with a name, a block's results."""
        if nodes.is_listing(element):
            nodes.give_number(element, self._step("Listing", element))
        elif nodes.is_panel(element):
            given = self._step("Table", element)
            nodes.give_number(element, given)
            self._parts(element, given, "Table")
        elif not element.identifier:
            return
        elif nodes.is_callout(element) and _CALLOUT.match(element.identifier):
            kind = nodes.callout_kind(element).capitalize()
            given = str(self.counts.setdefault(kind, 0) + 1)
            self.counts[kind] += 1
            title = element.content[0].content[0]
            words = list(title.content) if nodes.is_titled(element) else []
            behind = [pf.Str(":"), pf.Space(), *words] if words else []
            nodes.give_title(element)
            title.content = [pf.Str(f"{self.refs.words(kind)}{NO_BREAK}{given}"), *behind]
            self._register(element.identifier, Labelled(kind, given))
        elif nodes.is_tab(element) or nodes.is_callout(element):
            self._register(element.identifier, Labelled("Section", words=_title_words(element.content[0])))
        elif nodes.is_unfinished(element) and element.identifier not in self.refs.targets:
            # A block that did not run has nothing to number yet; that it did not run is said elsewhere.
            name = KINDS.get(re.split("[-:]", element.identifier)[0], "Block")
            line = self.note.line_of(element.identifier)
            self.refs.add(element.identifier, Labelled(name, "?", line))

    def _captioned(self, element: pf.Element, kind: str) -> None:
        has_caption = element.caption is not None and len(element.caption.content) > 0
        if not has_caption and not REFERENCE.match(element.identifier):
            return
        given = self._step(kind, element)
        nodes.give_number(element, given)
        self._parts(element, given, kind)
        if not has_caption:
            element.caption = pf.Caption(pf.Plain())

    def _parts(self, element: pf.Element, given: str, kind: str) -> None:
        """Letters for the figures inside a figure."""
        parts = collect(element, pf.Figure, pf.Table, where=nodes.is_part)
        for letter, part in zip(_letters(), parts, strict=False):
            nodes.give_number(part, f"({letter})")
            if part.identifier:
                self._register(part.identifier, Labelled(kind, f"{given}{letter}"))

    def _step(self, kind: str, element: pf.Element) -> str:
        self.counts[kind] += 1
        given = f"{self.headings.prefix(self.inside.get(kind, 0))}{self.counts[kind]}"
        if element.identifier:
            self._register(element.identifier, Labelled(kind, given))
        return given

    def _register(self, identifier: str, target: Labelled) -> None:
        known = self.refs.targets.get(identifier)
        after = self.last.get(identifier) or (known and known.line) or 0
        line = self.note.line_of(f"#{identifier}", after=after) or self.note.line_of(identifier, after=after)
        self.last[identifier] = line or 0
        if known is not None and not REFERENCE.match(identifier):
            return  # two headings of the same words
        self.refs.add(identifier, Labelled(target.kind, target.number, line, target.words))


def _title_words(element: pf.Element) -> str:
    """The words of a heading; its formulas between dollars, for `_words`."""
    formulas = collect(element, pf.Math)
    text = str(pf.stringify(element))
    for formula in formulas:
        text = text.replace(formula.text, f"${formula.text}$", 1)
    return text


def _letters() -> Iterator[str]:
    """a, b, …, z, aa, ab, …"""
    for first in ("", *string.ascii_lowercase):
        for last in string.ascii_lowercase:
            yield first + last


# --------------------------------------------------------------------------------------------------
# References

# What stands before a reference and leaves it its name: "see Figure 1", but "Fig. 1" where Fig. is written.
_LEADING = frozenset({
    "see", "cf.", "cf", "e.g.", "eg.", "also", "compare", "in", "from", "by", "and", "or", "as",
    "siehe", "vgl.", "vgl", "aus", "voir", "cfr.", "ver", "zie",
})  # fmt: skip
Link = Callable[[str, Labelled, str], pf.Element]  # (address, target, prefix) → what the page shows


def resolve(doc: pf.Doc, refs: References, link: Link | None = None, leave_unknown: bool = False) -> None:
    """Replaces ``@fig-x``, ``[-@fig-x]`` and ``[@fig-x; @fig-y]`` by links.

    ``link(address, target, prefix)`` makes one. ``leave_unknown``: a reference to nothing stays as it is, for
    another filter.
    """
    walk(doc, _Resolver(refs, link or plain_link, leave_unknown).visit, pf.Cite, metadata=True)


Found = tuple[str, Labelled]  # (address, target)


@dataclass(frozen=True, slots=True)
class _Resolver:
    """Citations that are references, on their way to be links."""

    refs: References
    link: Link
    leave_unknown: bool

    def visit(self, element: pf.Element) -> Change:
        citations = list(element.citations)
        labels = {c.id: name for c in citations if (name := self._label(c)) is not None}
        if not labels:
            return None
        if len(labels) < len({c.id for c in citations}):
            return self._mixed(citations, labels)
        found = {c.id: self.refs.find(labels[c.id]) for c in citations}
        if self.leave_unknown and not all(found.values()):
            return None
        pieces: list[Elements] = []
        groups = _alike(citations, found)
        for group in groups:
            targets = [target for c in group if (target := found[c.id]) is not None]
            if targets:
                pieces.append(self._links(group, targets))
            else:
                self.refs.missing(f"@{group[0].id}", labels[group[0].id])
                pieces.append([nodes.error(pf.Str(f"?@{group[0].id}"))])
        return _listed(pieces, self.refs.words("and") if len(groups) > 1 else "")

    def _label(self, citation: pf.Citation) -> str | None:
        """The label that a citation means; None for one of a book."""
        for name in (citation.id, citation.id[:1].lower() + citation.id[1:]):
            if REFERENCE.match(name) or name in self.refs.targets:
                return name
        return None

    def _mixed(self, citations: Sequence[pf.Citation], labels: Mapping[str, str]) -> Elements:
        """``[@eq-x; @knuth]``: one of each."""
        ours = [c for c in citations if c.id in labels]
        others = [c for c in citations if c.id not in labels]
        made = self.visit(pf.Cite(citations=ours))
        keys = "; ".join(f"@{c.id}" for c in others)
        rest = [pf.Str(","), pf.Space(), pf.Cite(pf.Str(f"[{keys}]"), citations=others)]
        return [*(made if isinstance(made, list) else []), *rest]

    def _links(self, group: Sequence[pf.Citation], found: Sequence[Found]) -> Elements:
        """Several references to one kind: "Figures 1 and 2", "Equations (1)–(3)"."""
        lead, prefix = self._lead(group, found[0][1])
        links: list[Elements] = [
            [self.link(address, target, prefix if i == 0 else "")]
            for i, (address, target) in enumerate(found)
        ]
        shown: list[Elements] = []
        for run in _runs([target.number for _, target in found]):
            if len(run) > 2:
                shown.append([*links[run[0]], pf.Str("–"), *links[run[-1]]])
            else:
                shown += [links[i] for i in run]
        tail = list(group[-1].suffix or [])
        if tail and re.match(r"\w", pf.stringify(tail[0])):
            tail.insert(0, pf.Space())
        return [*lead, *_listed(shown, self.refs.words("and")), *tail]

    def _lead(self, group: Sequence[pf.Citation], target: Labelled) -> tuple[Elements, str]:
        """What stands before the first link, and the word inside it: "see" and "Figures"."""
        first = group[0]
        prefix = self.refs.words.prefix(target.kind, many=len(group) > 1)
        if first.id[:1].isupper():
            prefix = prefix[:1].upper() + prefix[1:]
        lead: Elements = []
        given = list(first.prefix or [])
        words = " ".join(pf.stringify(e) for e in given).lower().split()
        if words and words[-1] in _LEADING:
            lead = [*given, pf.Space()]
        elif given:  # a name of the author's own
            prefix, lead = "", [*given, pf.Str(NO_BREAK)]
        if first.mode == "SuppressAuthor" or not target.number:
            prefix = ""
        return lead, prefix


def _alike(citations: Sequence[pf.Citation], found: Mapping[str, Found | None]) -> list[list[pf.Citation]]:
    """The citations in groups: those that follow one another, name numbered things of one kind, and have no words
    between them."""
    groups: list[list[pf.Citation]] = []
    for citation in citations:
        before = groups[-1][-1] if groups else None
        if (
            before is not None
            and _same_kind(found[before.id], found[citation.id])
            and not citation.prefix
            and citation.mode == before.mode
            and not before.suffix
        ):
            groups[-1].append(citation)
        else:
            groups.append([citation])
    return groups


def _same_kind(one: Found | None, other: Found | None) -> bool:
    """Whether both are there, with numbers, and of one kind."""
    if one is None or other is None or one[1].kind != other[1].kind:
        return False
    return bool(one[1].number and other[1].number)


def _listed(pieces: Sequence[Elements], last: str) -> Elements:
    """The pieces with commas between them, and the word ``last`` before the last one."""
    out: Elements = []
    for i, piece in enumerate(pieces):
        if i and last and i == len(pieces) - 1:
            out += [pf.Space(), pf.Str(last), pf.Space()]
        elif i:
            out += [pf.Str(","), pf.Space()]
        out += piece
    return out


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


def plain_link(address: str, target: Labelled, prefix: str) -> pf.Element:
    text = f"{prefix}{NO_BREAK}{target.shown}" if prefix else target.shown
    return pf.Link(*_words(text), url=address, classes=["ref"])


def _words(text: str) -> Elements:
    """What a reference shows; a ``\\tag{$\\ast$}`` has TeX in it."""
    if "$" not in text and "\\" not in text:
        return [pf.Str(text)]
    parts = re.split(r"\$|(\\[a-z]+\{[^{}]*\})", text)
    if "$" in text:
        parts = text.split("$")
    return [(pf.Math(p, format="InlineMath") if i % 2 else pf.Str(p)) for i, p in enumerate(parts) if p]


def tex_reference(refs: References, command: str, label: str, link: Link = plain_link) -> pf.Element:
    """``\\ref{label}``, ``\\eqref`` and their like as a link; an unknown label stays visible and is an error."""
    found = refs.find(label)
    if found is None:
        refs.missing(f"\\{command}{{{label}}}", label)
        return nodes.error(pf.Str(f"??{label}"))
    address, target = found
    if command in ("ref", "autoref") and target.number:
        name = f"{refs.words.prefix(target.kind)}{NO_BREAK}" if command == "autoref" else ""
        return pf.Link(*_words(name + target.number.removeprefix(STARRED)), url=address, classes=["ref"])
    bare = command == "eqref" or not target.number
    return link(address, target, "" if bare else refs.words.prefix(target.kind))


def caption_prefixes(doc: pf.Doc, words: Words) -> None:
    """Writes "Figure 1: " into the captions, for targets that do not number by themselves."""

    def visit(element: pf.Element) -> None:
        given = nodes.take_number(element)
        if not given:
            return
        inner = nodes.is_part(element)
        if element.caption is None or not len(element.caption.content):
            element.caption = pf.Caption(pf.Plain())
        label = given if inner else words.title("Table" if isinstance(element, pf.Table) else "Figure")
        label = label if inner else f"{label}{NO_BREAK}{given}"
        first = element.caption.content[0]
        first.content = [*_numbered(label, first, "" if inner else ":"), *first.content]

    walk(doc, visit, pf.Figure, pf.Table)


def title_boxes(doc: pf.Doc, words: Words) -> None:
    """Writes "Listing 1: " above the code, and "Table 2: " above the tables, that have a number: for all targets."""

    def visit(element: pf.Element) -> None:
        given = nodes.take_number(element) if nodes.is_listing(element) or nodes.is_panel(element) else ""
        if given:
            first = element.content[0]
            label = f"{words.title('Table' if nodes.is_panel(element) else 'Listing')}{NO_BREAK}{given}"
            first.content = [*_numbered(label, first, ":"), *first.content]

    walk(doc, visit, pf.Div)


def _numbered(label: str, caption: pf.Element, mark: str) -> Elements:
    start = pf.Span(pf.Str(label), classes=["caption-number"])
    has_text = bool(pf.stringify(caption).strip())
    return [start, *([pf.Str(mark)] if mark and has_text else []), *([pf.Space()] if has_text else [])]
