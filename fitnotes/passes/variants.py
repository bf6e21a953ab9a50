"""What a note has for some formats only, and what only a deck of slides shows."""

from __future__ import annotations

import panflute as pf

from fitnotes.document import nodes
from fitnotes.document.formats import DECKS
from fitnotes.document.tree import Change, walk
from fitnotes.passes.page import Page
from fitnotes.settings import nearest


def _formats(element: pf.Element, key: str) -> set[str]:
    return {name.strip() for name in element.attributes.get(key, "").split(",") if name.strip()}


def say_unknown(page: Page) -> None:
    """Formats in a ``when-format`` that there are not: what they hide would be gone without a word."""

    def look(element: pf.Element) -> None:
        for key in ("when-format", "unless-format"):
            for name in filter(None, (w.strip() for w in element.attributes.get(key, "").split(","))):
                if name not in page.place.formats:
                    line = page.note.line_of(f'{key}="')
                    hint = nearest(name, page.place.formats)
                    page.say("unknown-format", f"{key}={name}: there is no such format", line, hint)

    walk(page.doc, look, pf.Div, pf.Span)


def choose(page: Page) -> None:
    """``::: {.content-visible when-format="slides"}`` and ``.content-hidden``: for some formats only."""
    formats = DECKS | {page.format.name} if page.deck else page.format.all_names

    def visit(element: pf.Element) -> Change:
        shown = "content-visible" in element.classes
        if not shown and "content-hidden" not in element.classes:
            return None
        wanted, unless = _formats(element, "when-format"), _formats(element, "unless-format")
        holds = bool(wanted & formats) if wanted else not unless & formats
        return list(element.content) if holds == shown else []

    walk(page.doc, visit, pf.Div, pf.Span)


def without_speaker(page: Page) -> None:
    """Takes out what is for slides alone: the speaker's notes, and pauses."""

    def visit(element: pf.Element) -> Change:
        if isinstance(element, pf.Para):
            return [] if nodes.is_pause(element) else None
        return [] if nodes.has_class(element, nodes.NOTES, nodes.DIRECTIVE) else None

    walk(page.doc, visit, pf.Div, pf.Span, pf.Para)
