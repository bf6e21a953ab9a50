"""The note's header: what no page shows goes, and what pandoc's templates cannot print is put in plain words."""

from __future__ import annotations

import re

import panflute as pf

from fitnotes.document.tree import SHOWN, collect, walk
from fitnotes.passes.page import Page
from fitnotes.tex.preamble import KEYS


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
    """``author: [{name: …, affiliation: …}]``: pandoc's templates print names only as plain values."""
    metadata = page.doc.metadata.content
    authors = metadata.get("author")
    people = list(authors.content) if isinstance(authors, pf.MetaList) else [authors] if authors else []
    if any(isinstance(person, pf.MetaMap) and "name" in person.content for person in people):
        named = [p.content.get("name", p) if isinstance(p, pf.MetaMap) else p for p in people]
        metadata["author"] = pf.MetaList(*named)


def say_leaked(page: Page) -> None:
    """Markup that pandoc has read as words: said, since a reader of the page would wonder
    (test_numbering.py: test_markup_that_is_read_as_words_is_said)."""

    def look(element: pf.Element) -> None:
        for part in element.content:
            text = part.text if isinstance(part, pf.Str) else ""
            if text.startswith(":::") or re.match(r"\{#(?:fig|tbl|tab|eq|lst|sec|thm)[-:]", text):
                shown = text.split()[0]
                hint = "an empty line above it, or another name, may make pandoc read it"
                page.say("pandoc", f"{shown[:40]} is shown as text", page.note.line_of(shown), hint)

    walk(page.doc, look, pf.Para, pf.Plain)
