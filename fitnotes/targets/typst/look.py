"""What a PDF by Typst has in its own way."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import panflute as pf

from fitnotes.document import nodes
from fitnotes.document.read import plain
from fitnotes.document.tree import Change, Elements, walk
from fitnotes.passes import theorems
from fitnotes.passes.look import Look, no_page_break
from fitnotes.passes.page import Page
from fitnotes.passes.pipeline import Step


def _page_break(block: bool) -> pf.Element:
    text = "#pagebreak(weak: true)"
    return pf.RawBlock(text, format="typst") if block else pf.RawInline(text, format="typst")


def _theorem(element: pf.Element, kind: theorems.TheoremKind, name: Elements) -> Elements:
    """A theorem as a block of its own, its words in italics where amsthm has them so."""
    div = theorems.as_div(element, kind, name)
    opening = "#theorem[" if kind.style == "plain" else "#theorem(italic: false)["
    content = list(div.content)
    if kind.style == "plain":  # emphasis inside emphasis is upright
        title, *rest = content[0].content
        content[0].content = [pf.Emph(title), *rest]
    if kind.style == "proof":
        end = pf.RawInline("#h(1fr)$square$", format="typst")
        content[-1].content = [*list(content[-1].content)[:-2], end]
    label = f" <{div.identifier}>" if div.identifier else ""
    return [pf.RawBlock(opening, format="typst"), *content, pf.RawBlock(f"]{label}", format="typst")]


def _row(columns: list[Elements], widths: list[float]) -> Elements:
    """Things side by side, as a grid."""
    shares = ", ".join(f"{width:g}fr" for width in widths)
    made: Elements = [pf.RawBlock(f"#grid(columns: ({shares},), column-gutter: 1.2em, [", format="typst")]
    for i, column in enumerate(columns):
        made += [*([pf.RawBlock("], [", format="typst")] if i else []), *column]
    return [*made, pf.RawBlock("])", format="typst")]


def _callout(kind: str, title: Elements, content: Elements, element: pf.Element) -> Elements:
    label = f" <{element.identifier}>" if element.identifier else ""
    start = pf.RawInline(f'#callout("{kind}", [', format="typst")
    return [
        pf.Plain(start, *title, pf.RawInline("])[", format="typst")),
        *content,
        pf.RawBlock(f"]{label}", format="typst"),
    ]


def _anchor(name: str) -> pf.Element:
    # In brackets: a label by itself would end a heading.
    return pf.RawInline(f"#[#metadata(none)<{name}>]", format="typst")


def _cited_on(names: Sequence[str]) -> Elements:
    labels = "".join(f"<{name}>, " for name in names)
    return [pf.RawInline(f"#citedon(({labels}))", format="typst")]


def _mend(page: Page) -> None:
    """What Typst's writer would lose: error and missing marks, links to nowhere."""
    set_before = {"Equation", *(kind.title for kind in page.theorems.values())}
    identifiers = {name for name, target in page.refs.targets.items() if target.kind in set_before}

    def collect(element: pf.Element) -> None:
        identifier = getattr(element, "identifier", "")
        if identifier and identifier in identifiers:
            element.identifier = ""  # an error of its own; Typst would refuse the whole document
        elif identifier:
            identifiers.add(identifier)

    walk(page.doc, collect, metadata=True)

    def visit(element: pf.Element) -> Change:
        if isinstance(element, pf.Str):
            # What begins a list, a heading or a term, where it stands first: pandoc sees that at the start of a
            # paragraph alone, not in cells, notes, links or other brackets.
            return (
                pf.RawInline(_escaped(element.text), format="typst") if _READ.search(element.text) else None
            )
        if isinstance(element, pf.LineBreak):
            # The end of a line would end a heading.
            return pf.RawInline("#linebreak()", format="typst") if _in_heading(element) else None
        if nodes.is_cell(element):
            # A block of its own would be as wide as what it holds, and put a figure at the margin.
            anchor = pf.RawBlock(f"#metadata(none) <{element.identifier}>", format="typst")
            return [*([anchor] if element.identifier else []), *element.content]
        if nodes.is_listing(element) or nodes.is_panel(element):
            side = "left" if nodes.is_listing(element) else "center"
            first, *rest = element.content
            start = pf.RawInline(f"#boxtitle({side})[", format="typst")
            element.content = [pf.Plain(start, *first.content, pf.RawInline("]", format="typst")), *rest]
            return None
        if isinstance(element, pf.Div) and "center" in element.classes:
            opening = pf.RawBlock("#align(center)[", format="typst")
            return [opening, *element.content, pf.RawBlock("]", format="typst")]
        if isinstance(element, pf.Span) and element.identifier and not len(element.content):
            return _anchor(element.identifier)  # a label alone in its paragraph would be that of nothing
        if isinstance(element, pf.Span) and element.identifier and _in_heading(element):
            place, element.identifier = _anchor(element.identifier), ""
            return [place, element]
        if nodes.is_problem(element):
            start = pf.RawInline("#problem[", format="typst")
            return [start, *element.content, pf.RawInline("]", format="typst")]
        if (
            isinstance(element, pf.Link)
            and element.url.startswith("#")
            and element.url[1:] not in identifiers
        ):
            return list(element.content)
        return None

    walk(page.doc, visit, pf.Div, pf.Span, pf.Link, pf.Str, pf.LineBreak, metadata=True)


def _in_heading(element: pf.Element) -> bool:
    above: pf.Element | None = element
    while above is not None and not isinstance(above, pf.Header):
        above = above.parent
    return above is not None


# What Typst would read in a text: the start of a list or a heading, and its short hands for dashes, dots and quotes.
_READ = re.compile(r"^(?:[+\-/]|=+|\d+\.)(?:\s|$)|['\"]|--|-\?|\.\.\.")


def _escaped(text: str) -> str:
    """Words of text as Typst's markup, whatever they begin with."""
    return re.sub(r"[^\w\s,;:!?()%–’]|_", lambda sign: f"\\{sign[0]}", text)


PAPERS = {"letter": "us-letter", "legal": "us-legal", "executive": "us-executive"}


def _paper(page: Page) -> None:
    """LaTeX's names of paper sizes as Typst's."""
    metadata = page.doc.metadata.content
    if "papersize" in metadata:
        name = str(plain(metadata["papersize"])).strip().lower().removesuffix("paper")
        page.doc.metadata["papersize"] = PAPERS.get(name, name) if re.fullmatch(r"[a-z0-9-]+", name) else "a4"


def _aligned(side: str, content: Elements) -> Elements:
    return [pf.RawBlock(f"#align({side})[", format="typst"), *content, pf.RawBlock("]", format="typst")]


def _aside(content: Elements) -> Elements:
    return [pf.RawBlock("#aside[", format="typst"), *content, pf.RawBlock("]", format="typst")]


def _coloured(words: str, back: str, content: Elements) -> Elements:
    start = f'#highlight(fill: rgb("{back}"))[' if back else ""
    start += f'#text(fill: rgb("{words}"))[' if words else ""
    end = "]" * start.count("[")
    return [pf.RawInline(start, format="typst"), *content, pf.RawInline(end, format="typst")]


PAPER = Look(
    page_break=_page_break, theorem=_theorem, row=_row, box=_callout, anchor=_anchor, cited=_cited_on,
    aligned=_aligned, coloured=_coloured, aside=_aside,
)  # fmt: skip
SLIDES = replace(PAPER, page_break=no_page_break)
MEND = Step("marks", _mend, "marks and boxes are Typst's, no link leads nowhere", ("set boxes", "citations"))
SIZE = Step("paper", _paper, "the paper has Typst's name for it")
