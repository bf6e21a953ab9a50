"""Callouts and tabs: boxes of words beside the text, in the spellings of Quarto, MyST and GitHub.

`read_callouts` makes one kind of Div of each; every target dresses them in its own way.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from fitnotes.document import pandoc
from fitnotes.document.fragments import read_captions
from fitnotes.passes.language import Words

KINDS = ("note", "tip", "important", "warning", "caution")
# Classes of a Div that mean one of them, as MyST, Docusaurus and pandoc's users write them.
_CLASSES = {
    **{f"callout-{kind}": kind for kind in KINDS}, **{kind: kind for kind in KINDS},
    "hint": "tip", "attention": "warning", "danger": "caution", "seealso": "note", "info": "note",
}  # fmt: skip
_ALERT = re.compile(r"^\[!(NOTE|TIP|IMPORTANT|WARNING|CAUTION)\]$", re.IGNORECASE)
CALLOUT, TABSET, TAB = "callout", "tabset", "tab"
TITLE = "callout-title"

Dress = Callable[[str, list[Any], list[Any], Any], list[Any]]  # (kind, title, content, element) → blocks


def read_callouts(doc: Any, words: Words) -> None:
    """Puts a Div of the class ``callout``, or ``tabset``, in the place of every spelling of one."""
    import panflute as pf

    titles: dict[str, list[Any]] = {}
    wanted: list[str] = []

    def collect(element: Any, doc: Any) -> None:
        if element.attributes.get("title"):
            wanted.append(element.attributes["title"])

    pandoc.walk(doc, collect, pf.Div)
    if wanted:
        titles = read_captions(wanted)

    def callout(kind: str, element: Any, title: list[Any], content: list[Any]) -> Any:
        name = title or [pf.Str(words(kind.capitalize()))]
        kept = {k: v for k, v in element.attributes.items() if k == "collapse"}
        classes = [CALLOUT, f"callout-{kind}", *(["callout-titled"] if title else [])]
        return pf.Div(
            pf.Plain(pf.Span(*name, classes=[TITLE])),
            *_paragraphs(content),
            identifier=element.identifier,
            classes=classes,
            attributes=kept,
        )

    def visit(element: Any, doc: Any) -> Any:
        if isinstance(element, pf.BlockQuote):
            return alert(element)
        if "panel-tabset" in element.classes or "tab-set" in element.classes:
            return _tabset(element, titles)
        kind = next((_CLASSES[c] for c in element.classes if c in _CLASSES), "")
        if not kind or CALLOUT in element.classes:
            return None
        content = list(element.content)
        title = titles.get(element.attributes.get("title", ""), [])
        if not title and content and isinstance(content[0], pf.Header):
            heading = content.pop(0)
            title = list(heading.content)
            if not element.identifier and _own_identifier(heading):
                element.identifier = heading.identifier
        return callout(kind, element, title, content)

    def alert(element: Any) -> Any:
        first = element.content[0] if len(element.content) else None
        if not isinstance(first, pf.Para) or not len(first.content):
            return None
        found = _ALERT.match(getattr(first.content[0], "text", ""))
        if found is None or (len(first.content) > 1 and not isinstance(first.content[1], pf.SoftBreak)):
            return None
        rest = list(first.content)[2:]
        content = [*([pf.Para(*rest)] if rest else []), *list(element.content)[1:]]
        return callout(found[1].lower(), pf.Div(), [], content)

    pandoc.walk(doc, visit, pf.Div, pf.BlockQuote)


def _own_identifier(heading: Any) -> bool:
    """Whether its author gave it one to refer to."""
    import panflute as pf

    made = re.sub(r"[^\w-]", "", pf.stringify(heading).lower().replace(" ", "-"))
    return heading.identifier != made and bool(re.match(r"sec[-:]", heading.identifier))


def _paragraphs(blocks: list[Any]) -> list[Any]:
    """What stands right before a closing fence is no paragraph to pandoc."""
    import panflute as pf

    return [pf.Para(*b.content) if isinstance(b, pf.Plain) else b for b in blocks]


def _tabset(element: Any, titles: dict[str, list[Any]]) -> Any:
    """Tabs from headings (Quarto) or from divs of the class ``tab-item`` (MyST)."""
    import panflute as pf

    before: list[Any] = []
    tabs: list[tuple[str, list[Any], list[Any]]] = []
    level = next((b.level for b in element.content if isinstance(b, pf.Header)), 0)
    for block in element.content:
        if isinstance(block, pf.Header) and block.level == level:
            name = block.identifier if _own_identifier(block) else ""
            tabs.append((name, list(block.content), []))
        elif isinstance(block, pf.Div) and "tab-item" in block.classes:
            title = titles.get(block.attributes.get("title", ""), [])
            tabs.append((block.identifier, title, list(block.content)))
        elif tabs:
            tabs[-1][2].append(block)
        else:
            before.append(block)
    if not tabs:
        return None
    made = [
        pf.Div(
            pf.Plain(pf.Span(*title, classes=[TITLE])), *_paragraphs(content), identifier=name, classes=[TAB]
        )
        for name, title, content in tabs
    ]
    return [*before, pf.Div(*made, identifier=element.identifier, classes=[TABSET])]


def dress(
    doc: Any, box: Dress, tabs: Callable[[list[tuple[list[Any], list[Any], Any]]], list[Any]] | None = None
) -> None:
    """Replaces every callout by ``box(kind, title, content, element)`` and every tabset by ``tabs`` of its
    (title, content, element); without ``tabs`` they stand below one another."""
    import panflute as pf

    def parted(element: Any) -> tuple[list[Any], list[Any]]:
        first, *content = element.content
        return list(first.content[0].content), content

    def visit(element: Any, doc: Any) -> Any:
        if CALLOUT in element.classes:
            kind = next(c.removeprefix("callout-") for c in element.classes if c.startswith("callout-"))
            return box(kind, *parted(element), element)
        if TABSET in element.classes:
            return (tabs or _in_turn)([(*parted(tab), tab) for tab in element.content])
        return None

    pandoc.walk(doc, visit, pf.Div)


def _in_turn(tabs: list[tuple[list[Any], list[Any], Any]]) -> list[Any]:
    import panflute as pf

    made = []
    for title, content, element in tabs:
        made.append(pf.Div(pf.Para(pf.Strong(*title)), *content, identifier=element.identifier))
    return made


def quoted(kind: str, title: list[Any], content: list[Any], element: Any) -> list[Any]:
    """A callout as a quotation that begins with its title: for targets without boxes."""
    import panflute as pf

    quote = pf.BlockQuote(pf.Para(pf.Strong(*title)), *content)
    return [pf.Div(quote, identifier=element.identifier)] if element.identifier else [quote]
