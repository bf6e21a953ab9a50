"""A document as slides: where each begins, what it says, what the speaker says.

Headings split, as with pandoc: those of the slide level begin a slide, those above it a section with a slide of
its own, those below stand on a slide. A rule (``---``) always splits; in notes for Marp it alone does.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import panflute as pf

from fitnotes.document import nodes
from fitnotes.document.read import plain
from fitnotes.document.tree import Change, Elements, walk
from fitnotes.errors import Problem
from fitnotes.passes.marp import LOCAL, STYLE, colour
from fitnotes.passes.page import Page
from fitnotes.source.fences import fences, header_end
from fitnotes.source.note import Note

FOOTNOTES = "slide-footnotes"  # the class of the Div with a slide's footnotes
SIZES = {"16:9": (1280, 720), "4:3": (960, 720)}
FULL = 0.93  # a slide that has to shrink to less than this is said to be over-full


@dataclass(slots=True)
class Slide:
    """``title``: its heading, if it has one; ``section``: a heading above the slide level, by itself.

    ``line``: where it begins in the note; ``style``: Marp's directives that hold for it.
    """

    line: int | None = None
    title: pf.Element | None = None
    section: bool = False
    blocks: Elements = field(default_factory=list)
    notes: Elements = field(default_factory=list)
    backgrounds: Elements = field(default_factory=list)
    css: list[tuple[bool, str]] = field(default_factory=list)  # (for this slide alone?, its style)
    style: dict[str, str] = field(default_factory=dict)
    number: str = ""  # as it is shown; "" where none is

    @property
    def classes(self) -> list[str]:
        own = list(self.title.classes) if self.title is not None else []
        return [*own, *self.style.get("class", "").split(), *(["section"] if self.section else [])]

    def words(self, key: str) -> str:
        """The header or the footer, without what is markup."""
        return " ".join(re.sub(r"<[^>]+>|!\[[^\]]*\]\([^)]*\)|[*`$]", "", self.style.get(key, "")).split())

    @property
    def side(self) -> str:
        """Where its pictures stand beside the words: "left", "right" or ""."""
        return next((i.attributes["side"] for i in self.backgrounds if i.attributes.get("side")), "")

    @property
    def share(self) -> str:
        """The part of the slide that those take, in percent."""
        return next((i.attributes["share"] for i in self.backgrounds if i.attributes.get("share")), "50")

    @property
    def empty(self) -> bool:
        return self.title is None and not (self.blocks or self.backgrounds or self.notes)

    @property
    def fresh(self) -> bool:
        """Nothing but pictures behind it so far."""
        return self.title is None and not self.blocks

    @property
    def crowd(self) -> int:
        """How many things of some height stand on it beside its pictures."""

        def picture(block: pf.Element) -> bool:
            if isinstance(block, pf.Figure):
                return True
            return nodes.is_words(block) and any(isinstance(e, pf.Image) for e in block.content)

        found: Elements = []
        for block in self.blocks:
            found += list(block.content) if nodes.is_cell(block) else [block]
        return sum(not picture(block) and not isinstance(block, (pf.RawBlock, pf.Null)) for block in found)


def split(page: Page) -> list[Slide]:
    """The slides of a page, as its steps left it, without its title's."""
    blocks = list(page.doc.content)
    splitter = _Splitter(page, _slide_levels(page, blocks))
    for block in _unpacked(blocks):
        splitter.take(block)
    slides = splitter.slides
    for slide in slides:
        _inner_directives(slide)
        _take_footnotes(slide)
    kept = [slide for slide in slides if not slide.empty or page.marp] or slides[:1]
    _count(kept, "false" if page.marp else "true")
    return kept


class _Splitter:
    """The slides so far, as the blocks of a document come by in order.

    ``style`` and ``lasting``, directives and backgrounds, hold for the slides to come too.
    """

    def __init__(self, page: Page, levels: set[int]) -> None:
        """``levels``: of the headings that begin a slide."""
        self.marp = page.marp
        self.only_rules = bool(page.marp) and "headingDivider" not in page.marp
        self.levels = levels
        self.places = _Places(page.note)
        self.style = {key: page.marp[key] for key in LOCAL if key in page.marp}
        self.lasting: Elements = []
        first = {key[1:]: value for key, value in page.marp.items() if key.startswith("_")}
        self.slides = [Slide(self.places.start, style=self.style | first)]

    @property
    def slide(self) -> Slide:
        """The one that is being filled."""
        return self.slides[-1]

    def take(self, block: pf.Element) -> None:
        if isinstance(block, pf.HorizontalRule):
            self._rule()
        elif isinstance(block, pf.Header):
            self._heading(block)
        elif isinstance(block, pf.Div) and nodes.has_class(block, nodes.DIRECTIVE):
            self._directives(block.attributes)
        elif self.marp and isinstance(block, pf.RawBlock) and (match := STYLE.match(block.text)):
            self.slide.css.append((bool(match[1]), match[2]))
        elif isinstance(block, pf.RawBlock) and re.fullmatch(r"(?s)\s*<!--.*?-->\s*", block.text):
            pass  # nothing that a slide could show
        elif isinstance(block, pf.Div) and nodes.has_class(block, nodes.NOTES):
            self.slide.notes += list(block.content)
        else:
            self._content(block)

    def _begin(self, line: int | None) -> None:
        self.slides.append(Slide(line, backgrounds=copy.deepcopy(self.lasting), style=dict(self.style)))

    def _rule(self) -> None:
        line = self.places.next_rule()
        if not self.slide.empty or self.marp:
            self._begin(line)

    def _heading(self, block: pf.Element) -> None:
        line = self.places.next_heading(pf.stringify(block))
        begins = self.slide.fresh if self.only_rules else block.level in self.levels
        if not begins:
            self.slide.blocks.append(block)
            return
        if not self.slide.fresh:
            self._begin(line)
        self.slide.title = block
        self.slide.section = block.level < max(self.levels) and not self.marp

    def _directives(self, attributes: Mapping[str, str]) -> None:
        for key, value in attributes.items():
            if key.startswith("_"):
                self.slide.style[key[1:]] = value
            elif key in LOCAL:
                self.style[key] = self.slide.style[key] = value

    def _content(self, block: pf.Element) -> None:
        rest = _without_backgrounds(block, self.slide)
        new = [image for image in self.slide.backgrounds if image.attributes.pop("lasting", "")]
        if new:
            self.lasting, self.slide.backgrounds = copy.deepcopy(new), new
        if rest is not None:
            self.slide.blocks.append(rest)


def _count(slides: list[Slide], paginate: str) -> None:
    """Numbers, as Marp counts: ``hold`` has that of the slide before, ``skip`` none, and is not counted."""
    count = 0
    for slide in slides:
        said = slide.style.get("paginate", paginate)
        count += said not in ("hold", "skip")
        slide.number = "" if said in ("false", "skip") else str(max(count, 1))


def _take_footnotes(slide: Slide) -> None:
    """Footnotes to the foot of their own slide."""
    notes: list[Elements] = []

    def visit(element: pf.Element) -> Change:
        notes.append(list(element.content))
        return _note_number(len(notes))

    holder = pf.Div(*slide.blocks)
    walk(holder, visit, pf.Note)
    slide.blocks = list(holder.content)
    if notes:
        made = [block for n, content in enumerate(notes, 1) for block in _footnote(n, content)]
        slide.blocks.append(pf.Div(*made, classes=[FOOTNOTES]))


def _note_number(n: int) -> pf.Element:
    return pf.Superscript(pf.Str(str(n)))


def _footnote(n: int, content: Elements) -> Elements:
    """The content of a footnote with its number in front."""
    first, *rest = content
    number = [_note_number(n), pf.Space()]
    if nodes.is_words(first):
        return [pf.Para(*number, *first.content), *rest]
    return [pf.Para(*number), first, *rest]


def _unpacked(blocks: Elements) -> Elements:
    """The blocks; results that hold headings or rules without the Div around them."""
    out: Elements = []
    for block in blocks:
        cell = nodes.is_cell(block)
        splits = cell and any(isinstance(b, (pf.Header, pf.HorizontalRule)) for b in block.content)
        out += list(block.content) if splits else [block]
    return out


def _inner_directives(slide: Slide) -> None:
    """Comments that stand within a line."""

    def take_directive(element: pf.Element) -> Change:
        if not nodes.has_class(element, nodes.DIRECTIVE):
            return None
        slide.style |= {key.lstrip("_"): value for key, value in element.attributes.items()}
        return []

    def take_note(element: pf.Element) -> Change:
        if not nodes.has_class(element, nodes.NOTES):
            return None
        slide.notes.append(pf.Para(*element.content))
        return []

    def unpause(element: pf.Element) -> Change:
        """A pause inside a column or a quotation means nothing."""
        return [] if nodes.is_pause(element) else None

    for block in [*slide.blocks, *([slide.title] if slide.title is not None else [])]:
        walk(block, take_directive, pf.Span)
        walk(block, take_note, pf.Span)
        walk(block, unpause, pf.Para)
    # What held nothing but a directive or a note leaves nothing.
    slide.blocks = [b for b in slide.blocks if not nodes.is_words(b) or len(b.content)]


def _slide_levels(page: Page, blocks: Elements) -> set[int]:
    """The levels of headings that begin a slide: down to the highest one with something else right behind it, as
    pandoc counts."""
    metadata = page.doc.metadata.content
    for value in (page.marp.get("headingDivider"), plain(metadata.pop("slide-level", None))):
        if value and (given := re.findall(r"\d", str(value))):
            return set(range(1, int(given[0]) + 1)) if len(given) == 1 else {int(level) for level in given}
    levels = [
        block.level
        for block, after in pairwise(blocks)
        if isinstance(block, pf.Header) and not isinstance(after, (pf.Header, pf.HorizontalRule))
    ]
    return set(range(1, min(levels, default=1) + 1))


def _without_backgrounds(block: pf.Element, slide: Slide) -> pf.Element | None:
    """The block without the images that are backgrounds; None if nothing is left."""
    if not nodes.is_words(block):
        return block
    found = [e for e in block.content if isinstance(e, pf.Image) and nodes.has_class(e, nodes.BACKGROUND)]
    if not found:
        return block
    slide.backgrounds += found
    rest = [e for e in block.content if not any(e is image for image in found)]
    blank = (pf.Space, pf.SoftBreak, pf.LineBreak)
    if all(isinstance(e, blank) for e in rest):
        return None
    block.content = rest
    return block


class _Places:
    """The lines of headings and rules, in the order in which they stand in the note."""

    def __init__(self, note: Note) -> None:
        lines = note.text.split("\n")
        first = header_end(lines)
        self.start = next((n for n in range(first + 1, len(lines) + 1) if lines[n - 1].strip()), first + 1)
        self._headings: list[tuple[int, str]] = []
        self._rules: list[int] = []
        code: set[int] = set()
        for fence in fences(lines, first):
            code.update(range(fence.start, len(lines) if fence.end is None else fence.end + 1))
        for n in range(first, len(lines)):
            if n in code:
                continue
            if re.match(r"#{1,6}\s", lines[n]):
                self._headings.append((n + 1, lines[n]))
            elif re.match(r" {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$", lines[n]):
                above = lines[n - 1].strip() if n else ""
                if above and lines[n].strip().strip("-") == "":
                    self._headings.append((n, lines[n - 1]))  # underlined
                else:
                    self._rules.append(n + 1)
            elif re.match(r"=+\s*$", lines[n]) and n and lines[n - 1].strip():
                self._headings.append((n, lines[n - 1]))

    def next_heading(self, words: str) -> int | None:
        """That of the next one with these words; others have become titles of callouts or tabs."""
        first = re.search(r"[^\W_]+", words)
        for i, (line, text) in enumerate(self._headings):
            if first is None or first[0] in text:
                self._headings = self._headings[i + 1 :]
                return line
        return None

    def next_rule(self) -> int | None:
        return self._rules.pop(0) if self._rules else None


# --------------------------------------------------------------------------------------------------
# What the writers share


def size(page: Page) -> tuple[int, int]:
    """Of a slide, in pixels of its own."""
    return SIZES.get(page.marp.get("size", "16:9"), SIZES["16:9"])


@dataclass(frozen=True, slots=True)
class Overfull:
    """A slide with more on it than fits: it shows at this ``scale``; 0: not even so, None: it is not known by how
    much smaller."""

    title: str
    line: int | None
    scale: float | None


def overfull(slide: Slide, scale: float | None = None) -> Overfull:
    title = "" if slide.title is None else " ".join(pf.stringify(slide.title).split())
    return Overfull(title, slide.line, scale)


def say_full(page: Page, one: Overfull, beyond: str) -> None:
    """A warning about an over-full slide. ``beyond``: what becomes of what does not fit even in small."""
    name = f" {one.title!r}" if one.title else ""
    how = f"it is shown at about {round(one.scale * 100)} %" if one.scale else "it is shown smaller"
    how = beyond if one.scale == 0 else how
    message = f"the slide{name} is over-full: {how}"
    problem = Problem("overfull", message, page.note.shown, one.line, "split it with a --- or a heading")
    if problem not in page.problems:
        page.problems.append(problem)


def lone_image(paragraph: pf.Element) -> pf.Element | None:
    """The image that is all there is in a paragraph."""
    only = paragraph.content[0] if len(paragraph.content) == 1 else None
    return only if isinstance(only, pf.Image) else None


def scale_pixels(image: pf.Element, unit: float) -> None:
    """Widths in the pixels of a slide, as Marp has them; ``unit``: points to the pixel."""
    for key in ("width", "height"):
        if match := re.fullmatch(r"([\d.]+)(?:px)?", image.attributes.get(key, "")):
            image.attributes[key] = f"{float(match[1]) * unit:.1f}pt"


def colours(style: Mapping[str, str], classes: list[str]) -> tuple[str, str]:
    """(of the ground, of the words) of a slide, as ``#rrggbb``; "" where it has none of its own."""
    back = colour(style.get("backgroundColor", "")) or ("#22262d" if "invert" in classes else "")
    words = colour(style.get("color", "")) or ("#f0f2f5" if back and is_dark(back) else "")
    return back, words


def is_dark(colour: str) -> bool:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return 0.3 * red + 0.59 * green + 0.11 * blue < 128
