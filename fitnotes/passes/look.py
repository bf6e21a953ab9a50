"""How a target has what pandoc has no words for: theorems, rows, boxes, tabs, page breaks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import panflute as pf

from fitnotes.document.tree import Change, Elements
from fitnotes.passes import callouts, crossrefs, floats, styles, theorems

BACK = "backlinks"  # the class of the links from an entry to where it is cited


def no_page_break(block: bool) -> Change:
    return []


def anchor(name: str) -> pf.Element:
    return pf.Span(identifier=name)


def arrows(names: Sequence[str]) -> Elements:
    links = [
        pf.Link(pf.Str("↩"), url=f"#{name}", title=f"cited here ({n})") for n, name in enumerate(names, 1)
    ]
    return [pf.Span(*links, classes=[BACK])]


def as_it_is(side: str, content: Elements) -> Elements:
    return content


def as_quotation(content: Elements) -> Elements:
    return [pf.BlockQuote(*content)]


def uncoloured(words: str, back: str, content: Elements) -> Elements:
    return content


@dataclass(frozen=True, slots=True)
class Look:
    """Each field makes what stands in the tree of what the note says.

    ``page_break(block)``; ``theorem(div, kind, name)``; ``row(columns, widths)``, widths in percent;
    ``box(kind, title, content, div)`` for callouts; ``tabs`` of (title, content, div), None: below one another;
    ``aligned(side, content)``, ``coloured(words, back, content)`` with colours as ``#rrggbb``, ``aside(content)``;
    ``link(address, target, prefix)`` for references; ``anchor(name)`` where something is cited, ``cited(names)`` the
    way back there from the list of references.
    """

    page_break: Callable[[bool], Change] = no_page_break
    theorem: theorems.Setter = theorems.as_div
    row: floats.Row = floats.below_one_another
    box: callouts.Box = callouts.quoted
    tabs: callouts.Tabs | None = None
    link: crossrefs.Link = crossrefs.plain_link
    aligned: styles.Aligned = as_it_is
    coloured: styles.Coloured = uncoloured
    aside: styles.Aside = as_quotation
    anchor: Callable[[str], pf.Element] = anchor
    cited: Callable[[Sequence[str]], Elements] = arrows
