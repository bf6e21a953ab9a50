"""What the steps say to one another in the tree: pandoc's elements with classes and attributes of ours.

Pandoc has no callout, no theorem, no figure with parts. Each is one of its own elements, marked; it is made here and
asked about here, so that no step has to know how another one marks it.

================  =======================================================  =========================================
node              what it is in the tree                                   made by, taken away by
================  =======================================================  =========================================
cell              Div: what a block shows; with its status if not "ok"     results; stays
callout           Div, its first block the title                           callouts; the target
tabset, tab       Div of Divs, the first block of each its title           callouts; the target
aligned           Div with the side at which its content stands             styles, results; the target
coloured          Span with colours                                        styles; the target
row               Div of Divs side by side, with their widths in percent   floats; the target
listing           Div: the caption's paragraph, then code                  floats; stays
panel             Div: the caption's paragraph, then several tables        floats; stays
part              Figure or Table inside another                           floats; stays
theorem           Div with its kind as second class, maybe a name          theorems and raw TeX; the target
number            attribute of a figure, table, listing, panel, theorem    cross references; captions
placeholder       Span: words in the place of a picture                    media and drawings; the target
dark              attribute of an image: the one for dark pages            results, drawings, images; HTML
directive         empty Div or Span whose attributes hold for its slide    Marp; slides
background        image behind or beside the words of its slide            Marp; slides
speaker's notes   Div or Span                                              Marp, the note's author; slides
================  =======================================================  =========================================
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import panflute as pf

from fitnotes.document.tree import Elements

# Classes and attributes. Templates and style sheets know those of the pages by these names too.
CELL = "cell"
CALLOUT, TABSET, TAB, TITLE = "callout", "tabset", "tab", "callout-title"
TITLED = "callout-titled"
ROW, COLUMN = "layout", "layout-cell"
LISTING, PANEL, PART = "listing", "panel", "subfigure"
THEOREM, THEOREM_NAME = "fitnotes-theorem", "fitnotes-theorem-name"
NUMBER = "number"
ERROR, MISSING, MISSING_PART = "error", "missing", "missing-part"
ALIGNED, COLOURED = "aligned", "coloured"
DARK = "fig-dark"
DIRECTIVE, BACKGROUND, NOTES = "slide-directive", "slide-background", "notes"
PAUSE = re.compile(r"^\.\s\.\s\.$")  # the words of a paragraph between two steps of a slide


def has_class(element: pf.Element, *names: str) -> bool:
    """Whether it has one of these classes."""
    return any(name in element.classes for name in names)


def is_words(element: pf.Element | None) -> bool:
    """Whether it is a paragraph, or what pandoc makes of one in a tight list."""
    return isinstance(element, (pf.Para, pf.Plain))


def is_raw(element: pf.Element, *formats: str) -> bool:
    return isinstance(element, (pf.RawBlock, pf.RawInline)) and element.format in formats


def is_raw_tex(element: pf.Element) -> bool:
    return is_raw(element, "tex", "latex")


def is_raw_html(element: pf.Element) -> bool:
    return is_raw(element, "html", "html5", "html4")


def paragraphs(blocks: Sequence[pf.Element]) -> Elements:
    """The blocks, with whole paragraphs: what stands right before a closing fence, or raw TeX, is none to pandoc."""
    return [pf.Para(*b.content) if isinstance(b, pf.Plain) else b for b in blocks]


# --------------------------------------------------------------------------------------------------
# Numbers


def give_number(element: pf.Element, number: str) -> None:
    element.attributes[NUMBER] = number


def take_number(element: pf.Element) -> str:
    """Its number, which is taken out; "" where it has none."""
    return element.attributes.pop(NUMBER, "")


# --------------------------------------------------------------------------------------------------
# What a block shows


def cell(content: Sequence[pf.Element], identifier: str, status: str) -> pf.Div:
    """``status``: as in `Result`."""
    classes = [CELL, *([status.replace(" ", "-")] if status != "ok" else [])]
    return pf.Div(*content, identifier=identifier, classes=classes)


def is_cell(element: pf.Element) -> bool:
    return isinstance(element, pf.Div) and CELL in element.classes


def is_unfinished(element: pf.Element) -> bool:
    """What a block shows that did not run to its end."""
    return is_cell(element) and len(element.classes) > 1


def placeholder(text: str, words: Sequence[pf.Element] = ()) -> pf.Span:
    """A visible stand-in for an image that cannot be shown, with the ``words`` that describe it."""
    if not words:
        return pf.Span(pf.Str(f"[{text}]"), classes=[MISSING])
    return pf.Span(pf.Str(f"[{text}:"), pf.Space(), *words, pf.Str("]"), classes=[MISSING])


def missing_part(box: pf.Span, words: Elements, identifier: str) -> pf.Span:
    """A placeholder and its caption, in the place of an image inside a figure."""
    return pf.Span(box, pf.Span(*words), identifier=identifier, classes=[MISSING_PART])


def is_missing_part(element: pf.Element) -> bool:
    return isinstance(element, pf.Span) and MISSING_PART in element.classes


def error(content: pf.Element) -> pf.Span:
    """Something that could not be made out, marked where it stands."""
    return pf.Span(content, classes=[ERROR])


def is_problem(element: pf.Element) -> bool:
    return isinstance(element, pf.Span) and has_class(element, ERROR, MISSING)


# --------------------------------------------------------------------------------------------------
# Boxes


def callout(
    kind: str,
    title: Elements,
    content: Elements,
    *,
    titled: bool,
    identifier: str = "",
    attributes: Mapping[str, str] | None = None,
) -> pf.Div:
    """``titled``: by its author, not by its kind."""
    classes = [CALLOUT, f"callout-{kind}", *([TITLED] if titled else [])]
    head = pf.Plain(pf.Span(*title, classes=[TITLE]))
    return pf.Div(
        head, *paragraphs(content), identifier=identifier, classes=classes, attributes=attributes or {}
    )


def is_callout(element: pf.Element) -> bool:
    return isinstance(element, pf.Div) and CALLOUT in element.classes


def is_titled(element: pf.Element) -> bool:
    """Whether a callout has a title of its author's."""
    return TITLED in element.classes


def give_title(element: pf.Element) -> None:
    """Marks that its title says more than its kind."""
    element.classes = [*(name for name in element.classes if name != TITLED), TITLED]


def callout_kind(element: pf.Element) -> str:
    return next(c.removeprefix("callout-") for c in element.classes if c.startswith("callout-"))


def tab(title: Elements, content: Elements, identifier: str) -> pf.Div:
    head = pf.Plain(pf.Span(*title, classes=[TITLE]))
    return pf.Div(head, *paragraphs(content), identifier=identifier, classes=[TAB])


def is_tab(element: pf.Element) -> bool:
    return isinstance(element, pf.Div) and TAB in element.classes


def tabset(tabs: Sequence[pf.Div], identifier: str) -> pf.Div:
    return pf.Div(*tabs, identifier=identifier, classes=[TABSET])


def is_tabset(element: pf.Element) -> bool:
    return isinstance(element, pf.Div) and TABSET in element.classes


def title_and_content(box: pf.Element) -> tuple[Elements, Elements]:
    """Of a callout or a tab."""
    first, *content = box.content
    return list(first.content[0].content), content


def row(columns: Sequence[pf.Element], widths: Sequence[float], identifier: str = "") -> pf.Div:
    """Things side by side; the ``widths`` are shares of their sum."""
    whole = sum(abs(width) for width in widths)
    said = " ".join(f"{100 * abs(width) / whole:.4g}" for width in widths)
    return pf.Div(*columns, classes=[ROW], identifier=identifier, attributes={"widths": said})


def column(content: Sequence[pf.Element], identifier: str = "") -> pf.Div:
    return pf.Div(*content, identifier=identifier, classes=[COLUMN])


def is_row(element: pf.Element) -> bool:
    return isinstance(element, pf.Div) and ROW in element.classes


def columns_and_widths(element: pf.Element) -> tuple[list[Elements], list[float]]:
    """Of a row; widths in percent."""
    widths = [float(width) for width in element.attributes["widths"].split()]
    return [list(cell.content) for cell in element.content], widths


# --------------------------------------------------------------------------------------------------
# Looks


def aligned(side: str, content: Sequence[pf.Element]) -> pf.Div:
    """``side``: left, center or right."""
    return pf.Div(*content, classes=[ALIGNED], attributes={"side": side})


ASIDE = "fitnotes-aside"  # of a Div with what stands beside the text


def is_aligned(element: pf.Element) -> bool:
    return isinstance(element, pf.Div) and ALIGNED in element.classes


def side(element: pf.Element) -> str:
    return str(element.attributes["side"])


def coloured(words: str, back: str, content: Sequence[pf.Element]) -> pf.Span:
    """The colours of words and of what is behind them, as ``#rrggbb``; "" for none."""
    return pf.Span(*content, classes=[COLOURED], attributes={"words": words, "back": back})


def is_coloured(element: pf.Element) -> bool:
    return isinstance(element, pf.Span) and COLOURED in element.classes


def colours(element: pf.Element) -> tuple[str, str]:
    return str(element.attributes["words"]), str(element.attributes["back"])


# --------------------------------------------------------------------------------------------------
# What has a caption


def listing(caption: Elements, content: Sequence[pf.Element], identifier: str) -> pf.Div:
    return pf.Div(pf.Para(*caption), *content, identifier=identifier, classes=[LISTING])


def is_listing(element: pf.Element) -> bool:
    return isinstance(element, pf.Div) and LISTING in element.classes


def panel(caption: Elements, content: Sequence[pf.Element], identifier: str) -> pf.Div:
    return pf.Div(pf.Para(*caption), *content, identifier=identifier, classes=[PANEL])


def is_panel(element: pf.Element) -> bool:
    return isinstance(element, pf.Div) and PANEL in element.classes


def figure(content: pf.Element, caption: Elements, identifier: str) -> pf.Figure:
    return pf.Figure(content, caption=pf.Caption(pf.Plain(*caption)), identifier=identifier)


def is_part(element: pf.Element) -> bool:
    """A figure or table inside another, which has a letter instead of a number."""
    return PART in element.classes


def make_part(element: pf.Element) -> None:
    element.classes = [*element.classes, PART]


def caption_words(element: pf.Element) -> Elements:
    """The words of the first paragraph of a caption."""
    return list(element.caption.content[0].content) if element.caption and element.caption.content else []


# --------------------------------------------------------------------------------------------------
# Theorems


def theorem(kind: str, name: str, label: str, content: Elements) -> pf.Div:
    """``name``: its title as Markdown, still to be read."""
    attributes = {"name": name} if name else {}
    return pf.Div(*content, identifier=label, classes=[THEOREM, kind], attributes=attributes)


def is_theorem(element: pf.Element) -> bool:
    return isinstance(element, pf.Div) and THEOREM in element.classes


def theorem_kind(element: pf.Element) -> str:
    return element.classes[1]


def name_theorem(element: pf.Element, name: Elements, content: Sequence[pf.Element]) -> None:
    """Puts its name in front of its content, where like any words it may hold formulas and references."""
    element.content = [pf.Plain(pf.Span(*name, classes=[THEOREM_NAME])), *content]


def take_theorem_name(element: pf.Element) -> Elements:
    """The name that `name_theorem` has put there, which is taken out again."""
    first = element.content[0] if len(element.content) else None
    if not isinstance(first, pf.Plain) or len(first.content) != 1:
        return []
    inside = first.content[0]
    if THEOREM_NAME not in getattr(inside, "classes", ()):
        return []
    element.content = list(element.content)[1:]
    return list(inside.content)


# --------------------------------------------------------------------------------------------------
# Slides


def is_pause(element: pf.Element) -> bool:
    """A ``. . .`` between two steps of a slide."""
    return isinstance(element, pf.Para) and bool(PAUSE.match(pf.stringify(element).strip()))
