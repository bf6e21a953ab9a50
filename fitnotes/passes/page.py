"""What every target does first: results in, diagrams drawn, images placed, formulas and references known."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import panflute as pf

from fitnotes.document import nodes
from fitnotes.document.read import Document, plain
from fitnotes.document.tree import SHOWN, Change, Elements, walk
from fitnotes.draw import mathjax, tikz
from fitnotes.draw.media import Media
from fitnotes.draw.mermaid import diagrams
from fitnotes.errors import Problem
from fitnotes.execute.result import Result
from fitnotes.passes import (
    callouts,
    crossrefs,
    floats,
    links,
    marp,
    maths,
    rawhtml,
    rawtex,
    results,
    theorems,
)
from fitnotes.passes.images import place_images
from fitnotes.passes.language import Words, read_words
from fitnotes.settings import nearest
from fitnotes.source.note import Note
from fitnotes.tex.preamble import KEYS, Preamble, read_preamble, unheard

# Formats of text that reads elsewhere: their writers get formulas ready made.
SUFFIXES = {
    "html": ".html", "typst": ".pdf", "latex": ".pdf", "gfm": ".md", "docx": ".docx", "epub": ".epub",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Page:
    """A document with its results in it, not yet written. ``doc`` is panflute's, for one target."""

    document: Document
    doc: pf.Doc
    target: str
    media: Media
    preamble: Preamble
    maths: maths.Maths
    refs: crossrefs.References
    theorems: Mapping[str, theorems.Kind]
    problems: list[Problem]
    root: Path
    numbered: bool = False  # its sections
    marp: Mapping[str, str] = field(default_factory=dict)  # Marp's settings, in a note written for it

    @property
    def words(self) -> Words:
        return self.refs.words

    @property
    def found(self) -> list[Problem]:
        """Everything that was found wrong on the way, each once."""
        every = [*self.preamble.problems, *self.problems, *self.maths.problems, *self.refs.problems]
        return list(dict.fromkeys(every))

    @property
    def has_maths(self) -> bool:
        found: Elements = []
        walk(self.doc, lambda e: found.append(e), pf.Math, metadata=True)
        return bool(found)

    @property
    def formula_names(self) -> set[str]:
        """The commands that stand in the note's formulas."""
        written = (text for places in self.maths.written.values() for _, text in places)
        return {name for text in written for name in re.findall(r"\\[A-Za-z@]+", text)}

    def asks(self, key: str, otherwise: bool) -> bool:
        """A yes or no in the note's metadata; takes it out, since pandoc would act on it too."""
        return _asks(self.doc, key, otherwise)

    @property
    def headings(self) -> int:
        return sum(isinstance(block, pf.Header) for block in self.doc.content)


def _asks(doc: pf.Doc, key: str, otherwise: bool) -> bool:
    metadata = doc.metadata.content
    value = metadata.pop(key, metadata.pop(key.replace("-", ""), None))
    return otherwise if value is None else str(plain(value)).lower() in ("true", "yes", "1")


@dataclass(frozen=True, slots=True)
class Place:
    """Where pages stand. ``base``: the folder of the notes that the pages' folders mirror; ``root``: the
    project's; ``elsewhere``: what labels other notes have."""

    base: Path
    root: Path
    elsewhere: crossrefs.Elsewhere = crossrefs.nowhere


def compose(
    document: Document,
    found: Mapping[int, Result],
    target: str,
    media: Media,
    place: Place,
    *,
    suffix: str = "",
    deck: bool = False,
) -> Page:
    """The page for one target. ``found`` are the results by block index. ``suffix``: that of the pages;
    ``deck``: it is going to be slides."""
    note = document.note
    doc = document.load(target)
    problems = results.splice(
        doc, note, document.blocks, found, target=target, fold=document.settings.fold, media=media
    )
    for_marp = marp.settings(doc, note.text)
    if for_marp:
        marp.read_marp(doc, for_marp, styled=deck and target == "html")
        if "gradient" in note.text and re.search(r"(?i)backgroundImage:.*gradient", note.text):
            line = note.line_of("gradient(")
            problems.append(Problem("slides", "gradients behind slides are left out", note.shown, line))
    problems += _unknown_formats(doc, note)
    _choose(doc, {"slides", "revealjs", "beamer", target} if deck else {*FORMATS.get(target, ()), target})
    if not deck:
        _without_speaker(doc)
    if not document.settings.error:  # said of single blocks, not of all of them
        problems += results.missing_errors(note, document.blocks, found)
    suffix = suffix or SUFFIXES[target]
    preamble = read_preamble(doc, note, document.settings.preamble_files(note.path.parent, place.root))
    media.inputs.update(preamble.inputs)
    extra = mathjax.packages(preamble.tex)
    problems += diagrams.draw_diagrams(
        doc, note, media, keep=target == "gfm", macros=preamble.macros, extra=extra
    )
    drawer = tikz.Drawer(
        note,
        media,
        preamble,
        place.root,
        engine=document.settings.pdf_engine,
        dark=document.settings.fig_dark,
    )
    problems += drawer.draw_blocks(doc)
    for key in KEYS:  # each target puts its own preamble in
        doc.metadata.content.pop(key, None)
    words = read_words(doc.metadata.content)
    kinds = theorems.kinds(preamble.tex, words)
    theorems.find_divs(doc, kinds)
    callouts.read_callouts(doc, words)
    problems += floats.read_floats(doc, note)
    if target != "latex":
        problems += unheard(preamble, target)
        problems += rawtex.read_raw_tex(doc, note, preamble, kinds)
        problems += drawer.draw_raw(doc)
    else:
        rawtex.read_citations(doc)
    theorems.read_titles(doc)
    if "~" in note.text:
        rawtex.tie_references(doc)
    if target == "gfm":
        rawhtml.read_tables(doc)
    if target not in ("html", "gfm", "epub"):
        problems += rawhtml.read_raw_html(doc, note)
    rawhtml.find_images(doc)
    problems += place_images(doc, note, media)
    problems += links.link_pages(doc, note, suffix, place.base, media.linked)
    if target != "latex":
        _drop_unseen(doc)
    doc.metadata.content.pop("fitnotes", None)
    _name_authors(doc)
    refs = crossrefs.References(note, place.elsewhere, words)
    numbered = _asks(doc, "number-sections", _asks(doc, "numberSections", False))
    raised = 0
    if numbered:
        crossrefs.number_top_only(doc)
        raised = crossrefs.raise_headings(doc)
    known = maths.normalise(doc, note, preamble, refs, expanding=target != "latex")
    # Pandoc leaves text right before raw TeX without its paragraph.
    doc.content = [pf.Para(*b.content) if isinstance(b, pf.Plain) else b for b in doc.content]
    theorems.number(doc, note, refs, kinds)
    inside = crossrefs.depths(preamble.tex, words.chapters)
    crossrefs.number(doc, note, refs, inside, sections=numbered, written=target == "gfm")
    crossrefs.title_boxes(doc, words)
    problems += _leaked(doc, note)
    if target == "gfm":  # below the title, which is a heading there
        crossrefs.shift_headings(doc, raised)
    if target != "latex":
        maths.resolve_inside(doc, refs, known)
    return Page(
        document, doc, target, media, preamble, known, refs, kinds, problems, place.root, numbered, for_marp
    )


FORMATS = {"typst": ("pdf",), "latex": ("pdf", "tex"), "epub": ("html",)}  # as Quarto names them


def _choose(doc: pf.Doc, formats: set[str]) -> None:
    """``::: {.content-visible when-format="slides"}`` and ``.content-hidden``: for some formats only."""

    def visit(element: pf.Element) -> Change:
        shown = "content-visible" in element.classes
        if not shown and "content-hidden" not in element.classes:
            return None
        wanted = {w.strip() for w in element.attributes.get("when-format", "").split(",") if w.strip()}
        unless = {w.strip() for w in element.attributes.get("unless-format", "").split(",") if w.strip()}
        holds = bool(wanted & formats) if wanted else not unless & formats
        return list(element.content) if holds == shown else []

    walk(doc, visit, pf.Div, pf.Span)


_FORMATS = {"html", "pdf", "typst", "latex", "tex", "gfm", "docx", "epub", "slides", "revealjs", "beamer"}


def _unknown_formats(doc: pf.Doc, note: Note) -> list[Problem]:
    """Formats in a ``when-format`` that there are not: what they hide would be gone without a word."""
    problems: list[Problem] = []

    def look(element: pf.Element) -> None:
        for key in ("when-format", "unless-format"):
            for name in filter(None, (w.strip() for w in element.attributes.get(key, "").split(","))):
                if name not in _FORMATS:
                    message = f"{key}={name}: there is no such format"
                    hint = nearest(name, _FORMATS)
                    problems.append(
                        Problem("unknown-format", message, note.shown, note.line_of(f'{key}="'), hint)
                    )

    walk(doc, look, pf.Div, pf.Span)
    return problems


def _leaked(doc: pf.Doc, note: Note) -> list[Problem]:
    """Markup that pandoc has read as words: said, since a reader of the page would wonder."""
    problems: list[Problem] = []

    def look(element: pf.Element) -> None:
        for part in element.content:
            text = getattr(part, "text", "") if isinstance(part, pf.Str) else ""
            if text.startswith(":::") or re.match(r"\{#(?:fig|tbl|tab|eq|lst|sec|thm)[-:]", text):
                shown = text.split()[0]
                message = f"{shown[:40]} is shown as text"
                hint = "an empty line above it, or another name, may make pandoc read it"
                line = note.line_of(shown)
                problems.append(Problem("pandoc", message, note.shown, line, hint))

    walk(doc, look, pf.Para, pf.Plain)
    return problems


def _without_speaker(doc: pf.Doc) -> None:
    """Takes out what is for slides alone: the speaker's notes, and pauses."""

    def visit(element: pf.Element) -> Change:
        if isinstance(element, pf.Para):
            return [] if nodes.is_pause(element) else None
        return [] if nodes.has_class(element, nodes.NOTES, nodes.DIRECTIVE) else None

    walk(doc, visit, pf.Div, pf.Span, pf.Para)


def _drop_unseen(doc: pf.Doc) -> None:
    """Takes out the metadata that no page shows where it holds TeX: a converter would try its hand at it."""
    metadata = doc.metadata.content
    for key in [key for key in metadata if key not in SHOWN]:
        tex: Elements = []
        walk(metadata[key], lambda e: tex.append(e), pf.Math, pf.RawInline, pf.RawBlock)  # noqa: B023
        if tex:
            del metadata[key]


def _name_authors(doc: pf.Doc) -> None:
    """``author: [{name: …, affiliation: …}]``: pandoc's templates print names only as plain values."""
    authors = doc.metadata.content.get("author")
    for item in authors.content if isinstance(authors, pf.MetaList) else [authors]:
        if isinstance(item, pf.MetaMap) and "name" in item.content:
            people = authors.content if isinstance(authors, pf.MetaList) else [authors]
            named = [p.content.get("name", p) if isinstance(p, pf.MetaMap) else p for p in people if p]
            doc.metadata.content["author"] = pf.MetaList(*named)
            return


def converter_warnings(page: Page, warnings: tuple[str, ...]) -> None:
    """Pandoc's own warnings about the writing, as problems of the note."""
    for warning in warnings:
        if "nonempty <title>" in warning or "Defaulting to" in warning or "title" in warning[:40]:
            continue
        first = " ".join(warning.split())
        note = page.document.note
        page.problems.append(Problem("pandoc", f"pandoc: {first}", note.shown))


def formula_line(page: Page, formula: str) -> int | None:
    """The first line of a formula."""
    places = page.maths.written.get(maths.formula_key(formula), [])
    return next((line for line, _ in places if line is not None), None)


def formula_problem(page: Page, formula: str, reason: str) -> None:
    """A formula that MathJax cannot typeset: said at every place where it stands, as its author wrote it."""
    if maths.formula_key(formula) in page.maths.broken:
        return
    note = page.document.note
    for line, original in page.maths.written.get(maths.formula_key(formula), [(None, formula)]):
        message = f"{' '.join(original.split())[:80]}: MathJax says: {reason}"
        page.problems.append(Problem("formula", message, note.shown, line))


def relative_prefix(folder: Path, page_folder: Path) -> str:
    return Path(os.path.relpath(folder, page_folder)).as_posix() + "/"
