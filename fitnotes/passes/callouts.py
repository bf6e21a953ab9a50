"""Callouts and tabs: boxes of words beside the text, in the spellings of Quarto, MyST and GitHub.

`read_callouts` makes one kind of Div of each; every target dresses them in its own way.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import panflute as pf

from fitnotes.document import nodes
from fitnotes.document.fragments import read_captions
from fitnotes.document.tree import Change, Elements, collect, walk
from fitnotes.passes.language import Words

KINDS = ("note", "tip", "important", "warning", "caution")
# Classes of a Div that mean one of them, as MyST, Docusaurus and pandoc's users write them.
_CLASSES = {
    **{f"callout-{kind}": kind for kind in KINDS}, **{kind: kind for kind in KINDS},
    "hint": "tip", "attention": "warning", "danger": "caution", "seealso": "note", "info": "note",
}  # fmt: skip
# Obsidian's kinds, as far as their name is no word of ours; the others are notes with their name as title.
_OBSIDIAN = {
    "success": "tip", "check": "tip", "done": "tip", "failure": "caution", "fail": "caution", "missing": "caution",
    "error": "caution", "bug": "caution",
}  # fmt: skip
_QUOTATIONS = ("quote", "cite")
_ALERT = re.compile(r"^\[!([A-Za-z][\w-]*)(?:\|[^\]]*)?\]([-+]?)$")

Box = Callable[[str, Elements, Elements, pf.Element], Elements]  # (kind, title, content, element) → blocks
Tab = tuple[Elements, Elements, pf.Element]  # (title, content, element)
Tabs = Callable[[list[Tab]], Elements]


def read_callouts(doc: pf.Doc, words: Words) -> None:
    """Puts a Div of the class ``callout``, or ``tabset``, in the place of every spelling of one."""
    given = [_given_title(element) for element in collect(doc, pf.Div)]
    titles = read_captions([title for title in given if title]) if any(given) else {}

    def visit(element: pf.Element) -> Change:
        if isinstance(element, pf.BlockQuote):
            return _alert(element, words)
        if nodes.has_class(element, "panel-tabset", "tab-set"):
            return _tabset(element, titles)
        kind = next((_CLASSES[c] for c in element.classes if c in _CLASSES), "")
        if nodes.is_callout(element):
            return None
        if not kind:
            return _titled(element, titles)
        content = list(element.content)
        title = titles.get(element.attributes.get("title", ""), [])
        if not title and content and isinstance(content[0], pf.Header):
            heading = content.pop(0)
            title = list(heading.content)
            if not element.identifier and _own_identifier(heading):
                element.identifier = heading.identifier
        kept = {k: v for k, v in element.attributes.items() if k == "collapse"}
        return nodes.callout(
            kind, title or _name(kind, words), content,
            titled=bool(title), identifier=element.identifier, attributes=kept,
        )  # fmt: skip

    walk(doc, visit, pf.Div, pf.BlockQuote)


def _given_title(element: pf.Element) -> str:
    """The title that a Div has among its attributes, where nothing else reads it."""
    if nodes.is_theorem(element) or nodes.has_class(element, "list-table"):
        return ""
    return element.attributes.get("title") or element.attributes.get("name", "")


def _titled(element: pf.Element, titles: dict[str, Elements]) -> Change:
    """A Div that is no box of ours: its title stands above its words, or it would be gone."""
    title = titles.get(_given_title(element), [])
    if not title or nodes.has_class(element, "tab-item"):
        return None
    for key in ("title", "name"):
        element.attributes.pop(key, None)
    kind = next((name for name in element.classes if name in _NAMED), "")
    name = [pf.Str(f"{kind.capitalize()}:"), pf.Space()] if kind else []
    element.content = [pf.Para(pf.Strong(*name, *title)), *element.content]
    return None


_NAMED = ("algorithm", "criterion", "question")  # of MyST's, whose kind is not seen in its title


def _alert(quotation: pf.Element, words: Words) -> pf.Element | None:
    """A quotation that begins with ``[!NOTE]``, and maybe, as in Obsidian, a title and a sign that it folds."""
    first = quotation.content[0] if len(quotation.content) else None
    if first is None or not nodes.is_words(first) or not len(first.content):
        return None
    found = _ALERT.match(getattr(first.content[0], "text", ""))
    if found is None:
        return None
    inside = list(first.content)
    end = next((i for i, e in enumerate(inside) if isinstance(e, (pf.SoftBreak, pf.LineBreak))), len(inside))
    title, rest = inside[2:end], inside[end + 1 :]
    content = [*([pf.Para(*rest)] if rest else []), *list(quotation.content)[1:]]
    word = found[1].lower()
    if word in _QUOTATIONS:
        head: Elements = [pf.Para(pf.Strong(*title))] if title else []
        return pf.BlockQuote(*head, *content)
    kind = word if word in KINDS else _CLASSES.get(word) or _OBSIDIAN.get(word, "note")
    own = word not in (*KINDS, "info")
    if not title:
        title = (
            [pf.Str(found[1] if found[1].isupper() else found[1].capitalize())] if own else _name(kind, words)
        )
    folds = {"collapse": "true" if found[2] == "-" else "false"} if found[2] else {}
    return nodes.callout(kind, title, content, titled=own or end > 1, attributes=folds)


def _name(kind: str, words: Words) -> Elements:
    """The title of a callout that has none of its own."""
    return [pf.Str(words(kind.capitalize()))]


def _own_identifier(heading: pf.Element) -> bool:
    """Whether its author gave it one to refer to (test_numbering.py: test_numbers_of_headings_in_boxes)."""
    made = re.sub(r"[^\w-]", "", pf.stringify(heading).lower().replace(" ", "-"))
    return heading.identifier != made and bool(re.match(r"sec[-:]", heading.identifier))


def _tabset(element: pf.Element, titles: dict[str, Elements]) -> Change:
    """Tabs from headings (Quarto) or from divs of the class ``tab-item`` (MyST)."""
    before: Elements = []
    tabs: list[tuple[str, Elements, Elements]] = []
    level = next((b.level for b in element.content if isinstance(b, pf.Header)), 0)
    for block in element.content:
        if isinstance(block, pf.Header) and block.level == level:
            name = block.identifier if _own_identifier(block) else ""
            tabs.append((name, list(block.content), []))
        elif isinstance(block, pf.Div) and nodes.has_class(block, "tab-item"):
            title = titles.get(block.attributes.get("title", ""), [])
            tabs.append((block.identifier, title, list(block.content)))
        elif tabs:
            tabs[-1][2].append(block)
        else:
            before.append(block)
    if not tabs:
        return None
    made = [nodes.tab(title, content, name) for name, title, content in tabs]
    return [*before, nodes.tabset(made, element.identifier)]


def set_boxes(
    doc: pf.Doc,
    box: Box,
    tabs: Tabs | None = None,
) -> None:
    """Replaces every callout by ``box(kind, title, content, element)`` and every tabset by ``tabs`` of its
    (title, content, element); without ``tabs`` they stand below one another."""

    def visit(element: pf.Element) -> Change:
        if nodes.is_callout(element):
            return box(nodes.callout_kind(element), *nodes.title_and_content(element), element)
        if nodes.is_tabset(element):
            return (tabs or _in_turn)([(*nodes.title_and_content(tab), tab) for tab in element.content])
        return None

    walk(doc, visit, pf.Div)


def _in_turn(tabs: list[Tab]) -> Elements:
    made: Elements = []
    for title, content, element in tabs:
        made.append(pf.Div(pf.Para(pf.Strong(*title)), *content, identifier=element.identifier))
    return made


def quoted(kind: str, title: Elements, content: Elements, element: pf.Element) -> Elements:
    """A callout as a quotation that begins with its title: for targets without boxes."""
    quote = pf.BlockQuote(pf.Para(pf.Strong(*title)), *content)
    return [pf.Div(quote, identifier=element.identifier)] if element.identifier else [quote]
