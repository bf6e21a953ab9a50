"""A document on its way to a page: what every step reads, and what it leaves for those behind it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import panflute as pf

from fitnotes.document.formats import Format
from fitnotes.document.read import Document, plain
from fitnotes.document.tree import collect
from fitnotes.draw import mathjax
from fitnotes.draw.media import Media
from fitnotes.errors import OUTSIDE, TRUST, Problem
from fitnotes.execute.result import Result
from fitnotes.passes.crossrefs import Elsewhere, References, nowhere
from fitnotes.passes.language import Words
from fitnotes.passes.look import Look
from fitnotes.passes.maths import Maths, formula_key
from fitnotes.passes.theorems import TheoremKind
from fitnotes.source.note import Note
from fitnotes.tex.preamble import Preamble


@dataclass(frozen=True, slots=True)
class Place:
    """Where pages stand. ``base``: the folder of the notes that the pages' folders mirror; ``root``: the
    project's; ``elsewhere``: what labels other notes have; ``formats``: every name that ``when-format`` may say;
    ``inside``: they show files of the project alone."""

    base: Path
    root: Path
    elsewhere: Elsewhere = nowhere
    formats: frozenset[str] = frozenset()
    inside: bool = False

    def reads(self, file: Path) -> bool:
        """Whether a file may be read, wherever links of the file system lead."""
        try:
            return not self.inside or file.resolve().is_relative_to(self.root.resolve())
        except (OSError, RuntimeError):  # links in a circle
            return False


@dataclass(frozen=True, slots=True)
class Placed:
    """Something of a note as a target's text has it: ``kind`` is pandoc's of a formula, "" of what is none."""

    text: str
    line: int | None
    kind: str = ""


@dataclass(slots=True)
class Page:
    """A document that steps make into a page of one format.

    ``results`` by block index; ``suffix``: of the pages that its links lead to; ``deck``: it is going to be slides;
    ``labels_only``: nobody looks at it, only at its labels. ``doc`` is the tree, which steps change; the fields below
    it are what they learn, in the order in which they learn it.
    """

    document: Document
    results: Mapping[int, Result]
    format: Format
    media: Media
    place: Place
    look: Look
    suffix: str
    deck: bool = False
    labels_only: bool = False
    doc: pf.Doc = field(init=False)
    problems: list[Problem] = field(default_factory=list)
    marp: Mapping[str, str] = field(default_factory=dict)  # Marp's settings, in a note written for it
    preamble: Preamble = field(default_factory=Preamble)
    words: Words = field(default_factory=Words)
    theorems: Mapping[str, TheoremKind] = field(default_factory=dict)  # the kinds there are
    refs: References = field(init=False)
    numbered: bool = False  # its sections
    raised: int = 0  # by how many levels headings were
    maths: Maths = field(default_factory=Maths)
    beside: list[Path] = field(default_factory=list)  # the files that go with it
    met: set[str] = field(default_factory=set)  # the kinds of theorems that are in it
    made: dict[str, int | None] = field(default_factory=dict)  # HTML that blocks made → their line
    placed: list[Placed] = field(default_factory=list)  # formulas and raw TeX in its LaTeX, by number

    def __post_init__(self) -> None:
        self.doc = self.document.load(self.format.name)
        self.refs = References(self.note, self.place.elsewhere, self.words)

    @property
    def note(self) -> Note:
        return self.document.note

    @property
    def found(self) -> list[Problem]:
        """Everything that was found wrong on the way, each once."""
        every = [*self.preamble.problems, *self.problems, *self.maths.problems, *self.refs.problems]
        return list(dict.fromkeys(every))

    def say(self, code: str, message: str, line: int | None = None, hint: str | None = None) -> None:
        """Says something about the note."""
        self.problems.append(Problem(code, message, self.note.shown, line, hint))

    def reads(self, file: Path, name: str) -> bool:
        """Whether a file may be read; one that stays out is said, ``name`` as the note has it."""
        if self.place.reads(file):
            return True
        self.say("outside", f"{name} {OUTSIDE}", self.note.line_of(name), TRUST)
        return False

    @property
    def has_maths(self) -> bool:
        return bool(collect(self.doc, pf.Math, metadata=True))

    @property
    def formula_names(self) -> set[str]:
        """The commands that stand in the note's formulas."""
        written = (text for places in self.maths.written.values() for _, text in places)
        return {name for text in written for name in re.findall(r"\\[A-Za-z@]+", text)}

    @property
    def packages(self) -> list[str]:
        """MathJax's packages for what the note's preamble loads."""
        return mathjax.packages(self.preamble.tex)

    def asks(self, key: str, otherwise: bool) -> bool:
        """A yes or no in the note's metadata; takes it out, since pandoc would act on it too."""
        metadata = self.doc.metadata.content
        value = metadata.pop(key, metadata.pop(key.replace("-", ""), None))
        return otherwise if value is None else str(plain(value)).lower() in ("true", "yes", "1")

    def word(self, key: str) -> str:
        """What the header says under a key, which is taken out."""
        return str(plain(self.doc.metadata.content.pop(key, None))).strip()

    def count(self, key: str) -> int | None:
        """A whole number from 1 in the note's metadata, which is taken out; None where there is none."""
        value = str(plain(self.doc.metadata.content.pop(key, None))).strip()
        if value and not re.fullmatch(r"[1-9]\d?", value):
            hint = "expected a whole number from 1"
            self.say("header-key", f"{key}: {value} means nothing", self.note.line_of(f"{key}:"), hint)
            return None
        return int(value) if value else None

    @property
    def allow(self) -> list[str]:
        """What the page may load and run, by its settings; the scripts of a note only where the note may run itself."""
        known = self.document.settings.allow
        return [entry for entry in known if not (self.place.inside and entry.startswith("scripts"))]

    @property
    def folders(self) -> list[Path]:
        """The folders from which a writer may put files into the page, besides fitnotes' own."""
        if not self.place.inside:
            return [Path("/")]
        return [self.place.root, self.note.path.parent.resolve(), self.media.folder]

    def contents(self, headings: int, depth: int) -> list[str]:
        """Pandoc's options for a table of contents. It has one if its note says so, and else if neither note nor
        project are against it and there are more than so many ``headings``; ``depth``: its levels, if the note says
        nothing of them."""
        levels = self.count("toc-depth") or depth
        said = self.doc.metadata.content.get("toc")
        wanted = self.asks("toc", True) and (self.document.settings.toc or said is not None)
        there = sum(isinstance(block, pf.Header) for block in self.doc.content)
        if not wanted or there <= (0 if said is not None else headings):
            return []
        return ["--toc", f"--toc-depth={levels}"]

    def converter_warnings(self, warnings: tuple[str, ...]) -> None:
        """Pandoc's own warnings about the writing, as problems of the note."""
        for warning in warnings:
            if "nonempty <title>" in warning or "Defaulting to" in warning or "title" in warning[:40]:
                continue
            self.say("pandoc", f"pandoc: {' '.join(warning.split())}")

    def formula_line(self, formula: str) -> int | None:
        """The first line of a formula."""
        places = self.maths.written.get(formula_key(formula), [])
        return next((line for line, _ in places if line is not None), None)

    def formula_problem(self, formula: str, reason: str) -> None:
        """A formula that MathJax cannot typeset: said at every place where it stands, as its author wrote it."""
        if formula_key(formula) in self.maths.broken:
            return
        name = reason.removeprefix("Undefined control sequence ").strip()
        if name != reason and (macro := self.preamble.macros.commands.get(name)) is not None:
            count = len(macro.parameters)
            reason = f"{name} wants {count} argument{'' if count == 1 else 's'}"
        for line, original in self.maths.written.get(formula_key(formula), [(None, formula)]):
            self.say("formula", f"{' '.join(original.split())[:80]}: MathJax says: {reason}", line)


def relative_prefix(folder: Path, page_folder: Path) -> str:
    return Path(os.path.relpath(folder, page_folder)).as_posix() + "/"
