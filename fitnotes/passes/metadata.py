"""The note's header: what no page shows goes, and what pandoc's templates cannot print is put in plain words."""

from __future__ import annotations

import difflib
import re

import panflute as pf

from fitnotes.document.formats import DECKS
from fitnotes.document.read import plain
from fitnotes.document.tree import SHOWN, collect, walk
from fitnotes.passes.page import Page
from fitnotes.tex.preamble import KEYS

# What a note may say of its look to Quarto, in `format: {html: {…}}` for one format alone.
_OF_FORMAT = frozenset({
    "toc", "toc-depth", "toc-title", "number-sections", "number-depth", "code-fold", "code-summary", "slide-level",
    "incremental", "papersize", "geometry", "margin", "mainfont", "monofont", "fontsize", "linestretch",
    "documentclass", "classoption",
})  # fmt: skip
# Keys that mean something to pandoc or Quarto, and nothing here.
_FOREIGN = frozenset({
    "number-offset", "lof", "lot", "list-of-figures", "list-of-tables", "css", "theme", "filters", "shortcodes",
    "code-tools", "code-link", "code-copy", "code-overflow", "code-line-numbers", "code-annotations", "fig-width",
    "fig-height", "fig-align", "fig-format", "fig-dpi", "fig-responsive", "fig-cap-location", "tbl-cap-location",
    "cap-location", "tbl-colwidths", "df-print", "reference-location", "citation-location", "footnotes-hover",
    "citations-hover", "crossrefs-hover", "shift-heading-level-by", "highlight-style", "syntax-highlighting",
    "syntax-definition", "syntax-definitions", "template", "template-partials", "output-file", "page-layout",
    "callout-appearance", "callout-icon", "title-block-style", "title-block-banner", "date-format", "toc-location",
    "toc-expand", "anchor-sections", "smooth-scroll", "html-math-method", "colorlinks", "linkcolor", "urlcolor",
    "citecolor", "toccolor", "keep-tex", "keep-md", "margin-left", "margin-right", "margin-top", "margin-bottom",
    "biblio-style", "natbib", "biblatex", "cite-method", "include-before-body", "include-after-body", "params",
    "appendix-style", "appendix-cite-as", "lightbox", "backgroundcolor", "fontcolor", "sansfont", "mathfont",
    "CJKmainfont", "top-level-division", "reference-doc", "epub-cover-image", "secnumdepth", "comments",
})  # fmt: skip
_INSTEAD = {
    "pdf-engine": "pdf-engine",
    "latex-engine": "pdf-engine",
    "html-math-method": "math",
}  # our settings
_KNOWN = _OF_FORMAT | {
    "title", "subtitle", "author", "authors", "date", "abstract", "abstract-title", "keywords", "bibliography",
    "header-includes", "include-in-header", "include-header", "crossref", "institute", "nocite", "link-citations",
    "fitnotes",
}  # fmt: skip


def read_header(page: Page) -> None:
    """Says which keys mean nothing here, and puts those of ``format:`` that are about this format in the header."""
    metadata = page.doc.metadata.content
    given = list(metadata)
    if "format" in metadata:
        formats = metadata.pop("format")
        if isinstance(formats, pf.MetaMap):
            names = DECKS | {page.format.name} if page.deck else page.format.all_names
            for name, options in formats.content.items():
                if not isinstance(options, pf.MetaMap):
                    continue
                given += options.content
                if name.split("-")[-1] in names:
                    for key, value in options.content.items():
                        if key in _OF_FORMAT:
                            metadata.setdefault(key, value)
    line = page.note.line_of
    _say_keys(page, sorted(dict.fromkeys(given), key=lambda key: line(f"{key}:") or 0))


def _say_keys(page: Page, keys: list[str]) -> None:
    note = page.note
    foreign = [key for key in keys if key in _FOREIGN and "marp" not in keys]  # Marp has words of its own
    if foreign:
        line = note.line_of(f"{foreign[0]}:")
        message = f"in the header, {', '.join(foreign)} mean{'s' * (len(foreign) == 1)} nothing here"
        page.say("header-key", message, line)
    for key in keys:
        if key in _INSTEAD and key not in _FOREIGN:
            message = f"in the header, {key} means nothing by itself"
            hint = f"write it as {_INSTEAD[key]} below fitnotes:"
            page.say("header-key", message, note.line_of(f"{key}:"), hint)
        elif len(key) > 4 and key not in _FOREIGN and not _is_known(key):
            close = difflib.get_close_matches(key, _KNOWN, n=1, cutoff=0.8)
            if close and close[0] not in keys and close[0].rstrip("s") != key:
                message = f"in the header, {key} means nothing"
                page.say("header-key", message, note.line_of(f"{key}:"), f"did you mean {close[0]}?")


def _is_known(key: str) -> bool:
    """Also as pandoc-crossref writes it: ``numberSections``."""
    return key.replace("-", "").replace("_", "").lower() in {known.replace("-", "") for known in _KNOWN}


def drop_preamble(page: Page) -> None:
    """Each target puts its own preamble in."""
    for key in KEYS:
        page.doc.metadata.content.pop(key, None)


def drop_unseen_tex(page: Page) -> None:
    """Takes out the metadata that no page shows where it holds TeX: a converter would try its hand at it."""
    metadata = page.doc.metadata.content
    for key in [key for key in metadata if key not in SHOWN]:
        if collect(metadata[key], pf.Math, pf.RawInline, pf.RawBlock):
            del metadata[key]


def drop_settings(page: Page) -> None:
    page.doc.metadata.content.pop("fitnotes", None)


def name_authors(page: Page) -> None:
    """``author: [{name: …, affiliation: …}]``: pandoc's templates print names only as plain values. MyST's key is
    ``authors``."""
    metadata = page.doc.metadata.content
    if "authors" in metadata:
        metadata.setdefault("author", metadata.pop("authors"))
    authors = metadata.get("author")
    people = list(authors.content) if isinstance(authors, pf.MetaList) else [authors] if authors else []
    if any(isinstance(person, pf.MetaMap) and "name" in person.content for person in people):
        metadata["author"] = pf.MetaList(*map(_person, people))


def _person(person: pf.Element) -> pf.Element:
    """A name, and where it comes from: ``Ada (Trinity College, Cambridge)``."""
    if not isinstance(person, pf.MetaMap) or "name" not in person.content:
        return person
    given = person.content
    name = given["name"]
    if isinstance(name, pf.MetaMap):  # Quarto's parts of a name
        parts = [
            str(plain(name.content[key])) for key in ("literal", "given", "family") if key in name.content
        ]
        name = pf.MetaInlines(pf.Str(" ".join(parts[:1] if "literal" in name.content else parts)))
    places = [given[key] for key in ("affiliation", "affiliations", "institute") if key in given]
    shown = "; ".join(filter(None, map(_place, places)))
    if not shown:
        return name
    words = list(name.content) if isinstance(name, pf.MetaInlines) else [pf.Str(str(plain(name)))]
    return pf.MetaInlines(*words, pf.Space(), pf.Str(f"({shown})"))


def _place(value: pf.Element) -> str:
    found = plain(value)
    listed = found if isinstance(found, list) else [found]
    named = [item.get("name", "") if isinstance(item, dict) else item for item in listed]
    return "; ".join(str(item) for item in named if item)


def say_leaked(page: Page) -> None:
    """Markup that pandoc has read as words: said, since a reader of the page would wonder
    (test_numbering.py: test_markup_that_is_read_as_words_is_said)."""

    def look(element: pf.Element) -> None:
        if isinstance(element.parent, pf.TableCell):  # no div begins in one
            return
        for part in element.content:
            text = part.text if isinstance(part, pf.Str) else ""
            if text.startswith(":::") or re.match(r"\{#(?:fig|tbl|tab|eq|lst|sec|thm)[-:]", text):
                shown = text.split()[0]
                hint = "an empty line above it, or another name, may make pandoc read it"
                page.say("pandoc", f"{shown[:40]} is shown as text", page.note.line_of(shown), hint)

    walk(page.doc, look, pf.Para, pf.Plain)
