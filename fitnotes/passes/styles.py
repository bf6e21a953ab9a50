"""What ``style`` and ``align`` say of words: sides, colours, weight. Every target has it in its own way."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import panflute as pf

from fitnotes.document import nodes
from fitnotes.document.tree import Change, Elements, walk
from fitnotes.passes.marp import colour

if TYPE_CHECKING:
    from fitnotes.passes.look import Look

SIDES = ("left", "center", "right")
_ASIDES = {
    "aside",
    "column-margin",
    "margin",
}  # Quarto's words for what stands beside the text, MyST's and ours
Aligned = Callable[[str, Elements], Elements]  # (side, blocks) → blocks
Aside = Callable[[Elements], Elements]  # blocks → blocks
Coloured = Callable[[str, str, Elements], Elements]  # (of the words, behind them: #rrggbb or "") → inlines


def properties(text: str) -> dict[str, str]:
    """The properties of a ``style`` attribute.

    >>> properties("width: 50%; color:red;")
    {'width': '50%', 'color': 'red'}
    """
    pairs = (part.split(":", 1) for part in text.split(";") if ":" in part)
    return {key.strip().lower(): value.strip() for key, value in pairs}


def read_styles(doc: pf.Doc, *, keeps: bool) -> None:
    """Sides of Divs as our own, for every target; colours and weights of Spans, and what stands beside the text, for
    those that do not keep CSS. Words beside a line of text are a footnote there."""

    def visit(element: pf.Element) -> Change:
        if not keeps and _ASIDES & set(element.classes):
            if isinstance(element, pf.Span):
                return pf.Note(pf.Para(*element.content))
            element.classes = [nodes.ASIDE]
        if isinstance(element, pf.Div):
            return _side(element, keeps=keeps)
        return None if keeps or "style" not in element.attributes else _words(element)

    walk(doc, visit, pf.Div, pf.Span)


def _side(element: pf.Element, *, keeps: bool) -> Change:
    style = element.attributes.get("style", "")
    side = element.attributes.pop("align", "").lower() or (
        "" if keeps else properties(style).get("text-align", "")
    )
    side = {"start": "left", "end": "right", "middle": "center"}.get(side, side)
    if side not in SIDES:
        return None
    if not keeps:
        element.attributes.pop("style", None)
    box = nodes.aligned(side, element.content)
    box.identifier, element.identifier = element.identifier, ""
    bare = not element.classes and not element.attributes
    if not bare:
        element.content = [nodes.aligned(side, element.content)]
        element.identifier = box.identifier
    return box if bare else element


def _words(element: pf.Element) -> Change:
    given = properties(element.attributes.pop("style"))
    content = list(element.content)
    words = colour(given.get("color", "")) if "color" in given else ""
    behind = given.get("background-color") or given.get("background", "")
    back = colour(behind) if behind else ""
    if words or back:
        content = [nodes.coloured(words, back, content)]
    if re.match(r"bold|[6-9]00", given.get("font-weight", "")):
        content = [pf.Strong(*content)]
    if given.get("font-style", "") in ("italic", "oblique"):
        content = [pf.Emph(*content)]
    decoration = given.get("text-decoration", given.get("text-decoration-line", ""))
    if "underline" in decoration:
        content = [pf.Underline(*content)]
    if "line-through" in decoration:
        content = [pf.Strikeout(*content)]
    if given.get("font-variant", "") == "small-caps":
        content = [pf.SmallCaps(*content)]
    if element.identifier or element.classes or element.attributes:
        element.content = content
        return None
    return content


def set_styles(doc: pf.Doc, look: Look) -> None:
    """Puts what a target has in the place of what `read_styles` has left."""

    def visit(element: pf.Element) -> Change:
        if isinstance(element, pf.Div) and nodes.ASIDE in element.classes:
            made = look.aside(list(element.content))
            return [pf.Div(*made, identifier=element.identifier)] if element.identifier else made
        if nodes.is_aligned(element):
            made = look.aligned(nodes.side(element), list(element.content))
            return [pf.Div(*made, identifier=element.identifier)] if element.identifier else made
        if nodes.is_coloured(element):
            return look.coloured(*nodes.colours(element), list(element.content))
        return None

    walk(doc, visit, pf.Div, pf.Span, metadata=True)
