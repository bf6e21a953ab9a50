"""What a note has for some formats only, and what only a deck of slides shows."""

from __future__ import annotations

import re
from collections.abc import Callable

import panflute as pf

from fitnotes.document import nodes
from fitnotes.document.formats import DECKS
from fitnotes.document.read import plain
from fitnotes.document.tree import Change, Elements, collect, walk
from fitnotes.passes.page import Page
from fitnotes.settings import nearest
from fitnotes.source.options import is_condition
from fitnotes.tex.macros import split_definitions

VISIBLE, HIDDEN = "content-visible", "content-hidden"
_KINDS = (pf.Div, pf.Span, pf.CodeBlock, pf.Code, pf.Header, pf.Table, pf.Figure, pf.Image, pf.Link)


def say_unknown(page: Page) -> None:
    """What is said of content to show or hide, and nobody here understands: it is hidden, and said."""
    subjects = _Subjects(page)
    said: set[tuple[str, str]] = set()

    def look(element: pf.Element) -> None:
        if not _is_conditional(element):
            return
        if odd := _misspelt(element):
            message = f".{odd} means nothing; what it is about is hidden"
            line = page.note.line_of(f".{odd}")
            page.say("unknown-condition", message, line, nearest(odd, (VISIBLE, HIDDEN)))
        for key, value in _conditions(element).items():
            if (key, value) in said or (wrong := subjects.unknown(key, value)) is None:
                continue
            said.add((key, value))
            line = page.note.line_of(f'{key}="{value}"') or page.note.line_of(f"{key}=")
            page.say("unknown-condition", f"{wrong[0]}; what it is about is hidden", line, wrong[1])

    walk(page.doc, look, *_KINDS)


def _is_conditional(element: pf.Element) -> bool:
    return any(map(_ABOUT.match, element.classes)) or bool(_conditions(element))


def _misspelt(element: pf.Element) -> str:
    """A class that is nearly one of ours; "" if it has none."""
    return next((c for c in element.classes if _ABOUT.match(c) and c not in (VISIBLE, HIDDEN)), "")


def _conditions(element: pf.Element) -> dict[str, str]:
    """What its attributes say of when it is shown."""
    named = {"format", "profile", "meta"} if any(map(_ABOUT.match, element.classes)) else set()
    return {key: value for key, value in element.attributes.items() if is_condition(key) or key in named}


_ABOUT = re.compile(r"content-(?:vis|hid)\w*$")


class _Subjects:
    """What a page is, as far as conditions ask: its formats, the profiles of its build, the metadata of its note."""

    def __init__(self, page: Page) -> None:
        self._formats = DECKS | {page.format.name} if page.deck else page.format.all_names
        self._known = page.place.formats
        self._profiles = page.document.settings.profile
        self._metadata = {key: plain(value) for key, value in page.doc.metadata.content.items()}

    def unknown(self, key: str, value: str) -> tuple[str, str] | None:
        """What is said of a condition that means nothing here, and what it could have been."""
        when, _, subject = key.partition("-")
        if when not in ("when", "unless") or subject not in _SUBJECTS:
            known = (f"{word}-{what}" for word in ("when", "unless") for what in _SUBJECTS)
            return f"{key} is no condition", nearest(key, known)
        words = _listed(value)
        if not words:
            return f"{key} says nothing", f'write {key}="…"'
        odd = next((w for w in words if subject == "format" and self._known and w not in self._known), None)
        return (f"{key}={odd}: there is no such format", nearest(odd, self._known)) if odd else None

    def holds(self, key: str, value: str) -> bool:
        when, _, subject = key.partition("-")
        here = {"format": self._formats, "profile": self._profiles}
        asked = _listed(value)
        found = any(map(self._says, asked)) if subject == "meta" else any(w in here[subject] for w in asked)
        return found == (when == "when")

    def _says(self, path: str) -> bool:
        """Whether the header has something under a path, and not a no."""
        value: object = self._metadata
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        return str(value).lower() not in ("", "none", "false", "no", "off", "0", "[]", "{}")


_SUBJECTS = ("format", "profile", "meta")


def _listed(value: str) -> list[str]:
    return [word.strip() for word in value.split(",") if word.strip()]


def choose(page: Page) -> None:
    """``::: {.content-visible when-format="slides"}`` and ``.content-hidden``, with ``profile`` or ``meta`` in the
    place of ``format``, and ``unless-`` in that of ``when-``. With several conditions all have to hold. One that is
    unknown hides: what is meant for some readers only is better missing, and said, than shown to all."""
    subjects = _Subjects(page)

    def hidden(element: pf.Element) -> bool:
        if "hidden" in element.classes or _is_unseen(element):
            return True
        if not _is_conditional(element):
            return False
        given = _conditions(element).items()
        if _misspelt(element) or any(subjects.unknown(key, value) for key, value in given):
            return True
        holds = all(subjects.holds(key, value) for key, value in given)
        return holds == (HIDDEN in element.classes)

    def visit(element: pf.Element) -> Change:
        if isinstance(element, pf.Figure):
            return None if len(element.content) else []
        if isinstance(element, pf.Plain):  # of a figure, or of a tight list
            return None if len(element.content) or not isinstance(element.parent, pf.Figure) else []
        if isinstance(element, pf.Header):
            return None
        if hidden(element):
            return _definitions(element)
        return _without_conditions(element) if _is_conditional(element) else None

    _drop_sections(page.doc, hidden)
    walk(page.doc, visit, *_KINDS, pf.Plain)


def _is_unseen(element: pf.Element) -> bool:
    """As in a browser: ``hidden``, or a style that says so. (To pandoc-crossref a figure that is ``hidden=y`` is only
    not in its list.)"""
    style = element.attributes.get("style", "")
    unseen = re.search(r"(?i)display\s*:\s*none|visibility\s*:\s*hidden", style)
    asked = isinstance(element, (pf.Div, pf.Span)) and element.attributes.get("hidden") in (
        "",
        "hidden",
        "true",
    )
    return asked or bool(unseen)


def _definitions(element: pf.Element) -> Elements:
    """What is left of something hidden: the macros that it defines, which print nothing."""
    if not isinstance(element, pf.Div):
        return []
    only = collect(element, pf.Math, pf.RawBlock, where=lambda e: "\\" in e.text and not is_shown(e.text))
    return [e if isinstance(e, pf.RawBlock) else pf.Para(e) for e in only]


def is_shown(tex: str) -> bool:
    """Whether TeX is more than definitions."""
    return bool(split_definitions(tex)[0].strip())


def _without_conditions(element: pf.Element) -> Change:
    """What is shown, with what else its author said of it."""
    for key in _conditions(element):
        del element.attributes[key]
    element.classes = [name for name in element.classes if not _ABOUT.match(name)]
    bare = not (element.classes or element.identifier or element.attributes)
    return list(element.content) if bare and isinstance(element, (pf.Div, pf.Span)) else None


def _drop_sections(doc: pf.Doc, hidden: Callable[[pf.Element], bool]) -> None:
    """A heading that is hidden hides what stands below it, to the next one of its level."""

    def visit(element: pf.Element) -> None:
        kept: Elements = []
        below = 0  # the level of the hidden heading
        for block in element.content:
            if isinstance(block, pf.Header) and (not below or block.level <= below):
                below = block.level if hidden(block) else 0
                if not below and _is_conditional(block):
                    _without_conditions(block)
            if not below:
                kept.append(block)
        if len(kept) < len(element.content):
            element.content = kept

    walk(doc, visit, pf.Div)
    visit(doc)


def without_speaker(page: Page) -> None:
    """Takes out what is for slides alone: the speaker's notes, and pauses."""

    def visit(element: pf.Element) -> Change:
        if isinstance(element, pf.Para):
            return [] if nodes.is_pause(element) else None
        return [] if nodes.has_class(element, nodes.NOTES, nodes.DIRECTIVE) else None

    walk(page.doc, visit, pf.Div, pf.Span, pf.Para)
