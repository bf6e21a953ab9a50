"""What pages of HTML have in their own way: rows, boxes, tabs."""

from __future__ import annotations

import hashlib
import html
from dataclasses import replace

import panflute as pf

from fitnotes.document import nodes
from fitnotes.document.tree import Change, Elements, walk
from fitnotes.passes import callouts
from fitnotes.passes.look import Look
from fitnotes.passes.page import Page
from fitnotes.passes.pipeline import FINISH, Step
from fitnotes.targets.html.formulas import anchor_formulas


def _page_break(block: bool) -> pf.Element:
    text = '<div class="page-break"></div>' if block else '<span class="page-break"></span>'
    return pf.RawBlock(text, format="html") if block else pf.RawInline(text, format="html")


def _row(columns: list[Elements], widths: list[float]) -> Elements:
    # Raw tags: of a Div that begins with a heading pandoc would make a section.
    start, end = pf.RawBlock("<div>", format="html"), pf.RawBlock("</div>", format="html")
    cells = [block for column in columns for block in (start, *column, end)]
    # The widths stand in a variable, so that a narrow screen can do without them.
    style = f"--columns: {' '.join(f'minmax(0, {width:g}fr)' for width in widths)}"
    return [pf.Div(*cells, classes=["layout"], attributes={"style": style})]


def _callout(kind: str, title: Elements, content: Elements, element: pf.Element) -> Elements:
    classes = " ".join(element.classes)
    name = f' id="{html.escape(element.identifier)}"' if element.identifier else ""
    if "collapse" not in element.attributes:
        head = pf.Div(pf.Plain(*title), classes=[nodes.TITLE])
        return [pf.Div(head, *content, identifier=element.identifier, classes=list(element.classes))]
    opened = " open" if element.attributes["collapse"].lower() == "false" else ""
    start = f'<details class="{classes}"{name}{opened}><summary class="{nodes.TITLE}">'
    return [
        pf.RawBlock(start, format="html"),
        pf.Plain(*title),
        pf.RawBlock("</summary>", format="html"),
        *content,
        pf.RawBlock("</details>", format="html"),
    ]


def _tabs(tabs: list[callouts.Tab]) -> Elements:
    """Tabs that need no script: a radio button for each, and a style that shows the panel behind the chosen."""
    group = "tabs-" + hashlib.sha256(repr([pf.stringify(e) for _, _, e in tabs]).encode()).hexdigest()[:8]
    made: Elements = []
    for n, (title, content, element) in enumerate(tabs, 1):
        name = f"{group}-{n}"
        chosen = " checked" if n == 1 else ""
        made += [
            pf.RawBlock(
                f'<input type="radio" name="{group}" id="{name}"{chosen}><label for="{name}">', format="html"
            ),
            pf.Plain(*title),
            pf.RawBlock("</label>", format="html"),
            pf.Div(*content, identifier=element.identifier, classes=[nodes.TAB]),
        ]
    return [pf.Div(*made, classes=[nodes.TABSET])]


def _aligned(side: str, content: Elements) -> Elements:
    return [pf.Div(*content, classes=[f"aligned-{side}"])]


def _coloured(words: str, back: str, content: Elements) -> Elements:
    style = "; ".join(f"{key}: {value}" for key, value in (("color", words), ("background", back)) if value)
    return [pf.Span(*content, attributes={"style": style})]


BOOK = Look(page_break=_page_break, row=_row, box=_callout, aligned=_aligned, coloured=_coloured)
BROWSER = replace(BOOK, tabs=_tabs)


def _scrolling_tables(page: Page) -> None:
    """A table that scrolls under a caption which stays, and is as wide as the text."""

    def visit(table: pf.Element) -> Change:
        words = nodes.caption_words(table)
        if not words:
            return None
        classes = " ".join(["table", *([nodes.PART] if nodes.is_part(table) else [])])
        name = f' id="{html.escape(table.identifier)}"' if table.identifier else ""
        table.caption, table.identifier = None, ""
        # Raw tags: pandoc would write the caption below.
        start, middle, end = (
            pf.RawBlock(text, format="html")
            for text in (f'<figure{name} class="{classes}"><figcaption>', "</figcaption>", "</figure>")
        )
        return [start, pf.Plain(*words), middle, table, end]

    walk(page.doc, visit, pf.Table)


TABLES = Step(
    "scrolling tables", _scrolling_tables, "captions of tables stand above what scrolls", ("captions",)
)
ANCHORS = Step(
    "anchors", anchor_formulas, "labels of formulas are places on the page", ("formulas", "citations")
)
STEPS = (*FINISH, TABLES, ANCHORS)
