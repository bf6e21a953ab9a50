"""From results to page: the steps over the tree, in their order, each with what it needs and what holds after it.

Read from top to bottom it says what fitnotes does to a note. `COMPOSE` is for every format, as far as the format is
such that a step means something to it; `FINISH` puts what a target has in the place of what pandoc has no words for.
A test holds the order against ``needs``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import panflute as pf

from fitnotes.document import nodes
from fitnotes.document.formats import Format
from fitnotes.document.read import Document
from fitnotes.draw.media import Media
from fitnotes.errors import Problem
from fitnotes.execute.result import Result
from fitnotes.passes import (
    callouts,
    citations,
    crossrefs,
    drawings,
    floats,
    images,
    links,
    marp,
    maths,
    metadata,
    rawhtml,
    rawtex,
    results,
    shortcodes,
    styles,
    tables,
    theorems,
    variants,
)
from fitnotes.passes.language import read_words
from fitnotes.passes.look import Look
from fitnotes.passes.page import Page, Place
from fitnotes.tex.preamble import latex_only, read_preamble


def always(page: Page) -> bool:
    """always"""
    return True


@dataclass(frozen=True, slots=True)
class Step:
    """One change of the tree. ``run`` may give what it found wrong; ``needs`` are the steps that must have been
    before it, where they mean something to the format at all; ``after`` says what holds then."""

    name: str
    run: Callable[[Page], Iterable[Problem] | None]
    after: str
    needs: tuple[str, ...] = ()
    when: Callable[[Page], bool] = always
    labels: bool = True  # whether the labels of a note depend on it


def take(page: Page, steps: Sequence[Step]) -> None:
    """Takes the steps that mean something to the page, in their order."""
    for step in steps:
        if (step.labels or not page.labels_only) and step.when(page):
            page.problems += step.run(page) or ()


def compose(
    document: Document,
    found: Mapping[int, Result],
    format_: Format,
    media: Media,
    place: Place,
    *,
    look: Look | None = None,
    suffix: str = "",
    deck: bool = False,
    labels_only: bool = False,
) -> Page:
    """The page of one format, with everything in it but what its target has in its own way.

    ``found`` are the results by block index. ``suffix``: of the pages that links lead to, if it is not the format's;
    ``deck``: it is going to be slides; ``labels_only``: only its labels are asked for.
    """
    suffix = suffix or format_.suffix
    page = Page(document, found, format_, media, place, look or Look(), suffix, deck, labels_only)
    take(page, COMPOSE)
    return page


# --------------------------------------------------------------------------------------------------
# What the formats differ in


def is_tex(page: Page) -> bool:
    """LaTeX"""
    return page.format.is_tex


def not_tex(page: Page) -> bool:
    """all but LaTeX"""
    return not page.format.is_tex


def has_own_tables(page: Page) -> bool:
    """formats with tables of their own for those in HTML"""
    return page.format.has_own_tables


def drops_tags(page: Page) -> bool:
    """formats in which HTML means nothing"""
    return not page.format.keeps_tags


def keeps_tags(page: Page) -> bool:
    """formats in which HTML stays"""
    return page.format.keeps_tags


def counts_nothing(page: Page) -> bool:
    """formats whose writer numbers no headings"""
    return not page.format.numbers_headings


def no_deck(page: Page) -> bool:
    """pages, not slides"""
    return not page.deck


def errors_are_single(page: Page) -> bool:
    """notes in which `error=true` is said of single blocks"""
    return not page.document.settings.error


def has_ties(page: Page) -> bool:
    """notes with a `~`"""
    return "~" in page.note.text


# --------------------------------------------------------------------------------------------------
# Steps that leave something for others


def _splice(page: Page) -> list[Problem]:
    document = page.document
    return results.splice(
        page.doc,
        page.note,
        document.blocks,
        page.results,
        html=page.format.is_html,
        fold=document.settings.fold,
        media=page.media,
        folds=(page.word("code-fold").lower(), page.word("code-summary")),
        places=page.made,
    )


def _missing_errors(page: Page) -> list[Problem]:
    return results.missing_errors(page.note, page.document.blocks, page.results)


def _read_marp(page: Page) -> list[Problem]:
    page.marp = marp.settings(page.doc, page.note.text)
    if not page.marp:
        return []
    return marp.read_marp(page.doc, page.marp, page.note, styled=page.deck and page.format.is_html)


def _read_preamble(page: Page) -> None:
    settings, note = page.document.settings, page.note
    files = settings.preamble_files(note.path.parent, page.place.root)
    page.preamble = read_preamble(page.doc, note, files, page.place.reads)
    page.media.inputs.update(page.preamble.inputs)


def _latex_only(page: Page) -> list[Problem]:
    return latex_only(page.preamble, page.format.name, page.format.instead)


def _read_words(page: Page) -> None:
    page.words = read_words(page.doc.metadata.content)
    page.refs.words = page.words


def _find_theorems(page: Page) -> None:
    page.theorems = theorems.kinds(page.preamble.tex, page.words)
    theorems.find_divs(page.doc, page.theorems)


def _tables(page: Page) -> None:
    room = page.format.room if not page.deck else 0
    pad = None if page.format.has_own_tables else tables.phantom if page.format.is_tex else tables.spaces
    for words in tables.set_widths(page.doc, room, wraps=page.format.wraps, pad=pad):
        line = page.note.line_of(words.split(" ")[0]) if words else None
        page.say("wide-table", "a table wider than the page stands there in parts, one below the other", line)
    if page.format.is_tex:
        tables.breakable(page.doc, pf.RawInline("\\allowbreak{}", format="latex"))


def _find_sections(page: Page) -> None:
    page.numbered = page.asks("number-sections", page.asks("numberSections", False))
    depth = page.count("number-depth")
    if page.numbered:
        crossrefs.number_top_only(page.doc)
        page.raised = crossrefs.raise_headings(page.doc)
        crossrefs.number_down_to(page.doc, depth)


def _formulas(page: Page) -> None:
    expanding = not page.format.is_tex
    page.maths = maths.normalise(page.doc, page.note, page.preamble, page.refs, expanding=expanding)


def _paragraphs(page: Page) -> None:
    page.doc.content = nodes.paragraphs(page.doc.content)


def _number(page: Page) -> None:
    theorems.number(page.doc, page.note, page.refs, page.theorems)
    inside = crossrefs.depths(page.preamble.tex, page.words.chapters)
    written = not page.format.numbers_headings
    tex = page.format.is_tex
    crossrefs.number(page.doc, page.note, page.refs, inside, sections=page.numbered, written=written, tex=tex)
    crossrefs.title_boxes(page.doc, page.words)


COMPOSE: tuple[Step, ...] = (
    Step("keys", metadata.read_header, "what the header says of one format is said of this one"),
    Step("results", _splice, "every block is its code and what it gave"),
    Step("marp", _read_marp, "what is written for Marp has our words", ("results",)),
    Step("formats", variants.say_unknown, "no format is asked for that there is not", ("results",), labels=False),
    Step("variants", variants.choose, "only what this format shows is left", ("results", "marp")),
    Step("speaker", variants.without_speaker, "no speaker's notes and no pauses", ("marp",),
         when=no_deck),
    Step("expected errors", _missing_errors, "a block that was to raise an error did", labels=False,
         when=errors_are_single),
    Step("preamble", _read_preamble, "macros, packages and theorems of the header are known"),
    Step("shortcodes", shortcodes.read_shortcodes, "shortcodes are what they give", ("variants",)),
    Step("drawings", drawings.draw_blocks, "what is drawn from a block is a figure or an error",
         ("results", "variants", "preamble")),
    Step("header", metadata.drop_preamble, "each target puts its own preamble in", ("preamble",)),
    Step("words", _read_words, "names of things in the note's language"),
    Step("theorems", _find_theorems, "theorems from Markdown are theorems", ("preamble", "words")),
    Step("boxes", lambda page: callouts.read_callouts(page.doc, page.words), "callouts and tabs are one kind of Div",
         ("words", "results")),
    Step("list tables", lambda page: tables.read_lists(page.doc), "tables in lists are tables", ("results",)),
    Step("floats", lambda page: floats.read_floats(page.doc, page.note),
         "figures with parts, listings, rows have their structure", ("results", "drawings", "boxes")),
    Step("LaTeX alone", _latex_only, "what the preamble says to LaTeX alone is said", ("preamble",), not_tex, False),
    Step("raw TeX", lambda page: rawtex.read_raw_tex(page.doc, page.note, page.preamble, page.theorems),
         "TeX in prose is structure, or visible source", ("preamble", "theorems"), not_tex),
    Step("raw drawings", drawings.draw_raw, "TikZ in the text is a picture", ("raw TeX", "preamble"), not_tex),
    Step("TeX citations", lambda page: rawtex.read_citations(page.doc), "`\\cite` is pandoc's own citation",
         ("results",), is_tex),
    Step("theorem names", lambda page: theorems.read_titles(page.doc), "names of theorems stand in them as words",
         ("theorems", "raw TeX")),
    Step("ties", lambda page: rawtex.tie_references(page.doc), "`~` before a reference is a space that does not break",
         ("raw TeX",), has_ties),
    Step("HTML tables", lambda page: rawhtml.read_tables(page.doc), "tables in HTML are tables", ("results",),
         has_own_tables),
    Step("raw HTML", rawhtml.read_raw_html, "tags in prose are structure", ("raw TeX",), drops_tags),
    Step("HTML images", rawhtml.find_images, "`<img>` and `<svg>` are images", ("raw HTML",)),
    Step("styles", lambda page: styles.read_styles(page.doc, keeps=page.format.inline_svg),
         "sides and colours are our own", ("raw HTML",)),
    Step("tables", _tables, "tables have room", ("HTML tables", "raw TeX", "shortcodes"), labels=False),
    Step("images", images.place_images, "every image lies beside the page, or a box says why not",
         ("HTML images", "floats", "raw TeX")),
    Step("links", links.link_pages, "links to notes are links to pages", ("raw TeX",), labels=False),
    Step("unseen TeX", metadata.drop_unseen_tex, "no TeX where no page shows it", ("preamble", "header"), not_tex),
    Step("settings", metadata.drop_settings, "settings are no metadata of the page"),
    Step("authors", metadata.name_authors, "authors are plain names", labels=False),
    Step("sections", _find_sections, "headings that count begin at the first level", ("words", "boxes", "floats")),
    Step("formulas", _formulas, "formulas have one form and their numbers", ("preamble", "raw TeX", "sections")),
    Step("paragraphs", _paragraphs, "text before a formula is a paragraph", ("formulas",)),
    Step("whole HTML", rawhtml.mend, "no paragraph stands where HTML has none", ("paragraphs",), keeps_tags),
    Step("numbers", _number, "everything that counts has its number, every label its target",
         ("sections", "formulas", "drawings", "floats", "boxes", "theorem names", "raw drawings", "images")),
    Step("places", links.say_nowhere, "no link leads nowhere without a word", ("numbers", "links"), labels=False),
    Step("leaks", metadata.say_leaked, "no markup is shown as words without a warning", ("numbers",), labels=False),
    Step("title", lambda page: crossrefs.shift_headings(page.doc, page.raised),
         "headings stand below the title, which is one there", ("numbers",),
         counts_nothing),
    Step("inner references", lambda page: maths.resolve_inside(page.doc, page.refs, page.maths),
         "references inside formulas, and inside tags, are their numbers", ("numbers",), not_tex),
)  # fmt: skip


# --------------------------------------------------------------------------------------------------
# What a target has in its own way


def _raw(page: Page) -> None:
    reference = functools.partial(crossrefs.tex_reference, page.refs)
    rawtex.replace_raw(page.doc, page_break=page.look.page_break, reference=reference)


def _theorems(page: Page) -> None:
    page.met |= theorems.set_theorems(page.doc, page.theorems, page.look.theorem)


RAW = Step("commands", _raw, "`\\ref` is a link, `\\newpage` a new page", ("numbers",), not_tex)
REFERENCES = Step("references", lambda page: crossrefs.resolve(page.doc, page.refs, page.look.link),
                  "`@fig-x` is a link", ("numbers", "commands"))  # fmt: skip
CITATIONS = Step("citations", citations.cite, "citations are as their style has them", ("references",))
CAPTIONS = Step("captions", lambda page: crossrefs.caption_prefixes(page.doc, page.words),
                "captions begin with their number", ("numbers", "citations"), not_tex)  # fmt: skip
THEOREMS = Step("set theorems", _theorems, "theorems are as the target has them", ("references", "citations"))
ROWS = Step("rows", lambda page: floats.set_rows(page.doc, page.look.row), "so is what stands side by side",
            ("references", "captions"))  # fmt: skip
BOXES = Step("set boxes", lambda page: callouts.set_boxes(page.doc, page.look.box, page.look.tabs),
             "so are callouts and tabs", ("references", "rows"))  # fmt: skip
STYLES = Step("set styles", lambda page: styles.set_styles(page.doc, page.look),
              "so are sides and colours", ("references", "boxes"))  # fmt: skip
FINISH: tuple[Step, ...] = (RAW, REFERENCES, CITATIONS, CAPTIONS, THEOREMS, ROWS, BOXES, STYLES)
