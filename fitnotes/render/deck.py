"""A document as slides: where each begins, what it says, what the speaker says.

Headings split, as with pandoc: those of the slide level begin a slide, those above it a section with a slide of
its own, those below stand on a slide. A rule (``---``) always splits; in notes for Marp it alone does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from fitnotes import pandoc
from fitnotes.errors import Problem
from fitnotes.note import FENCE, Note, header_end, opens_block
from fitnotes.read import plain
from fitnotes.render.marp import BACKGROUND, DIRECTIVE, LOCAL, NOTES, STYLE
from fitnotes.render.page import Page

SIZES = {"16:9": (1280, 720), "4:3": (960, 720)}
FULL = 0.93  # a slide that has to shrink to less than this is said to be over-full
PAUSE = re.compile(r"^\.\s\.\s\.$")


@dataclass(slots=True)
class Slide:
    """``title``: its heading, if it has one; ``section``: a heading above the slide level, by itself.

    ``line``: where it begins in the note; ``style``: Marp's directives that hold for it.
    """

    line: int | None = None
    title: Any = None
    section: bool = False
    blocks: list[Any] = field(default_factory=list)
    notes: list[Any] = field(default_factory=list)
    backgrounds: list[Any] = field(default_factory=list)
    css: list[tuple[bool, str]] = field(default_factory=list)  # (for this slide alone?, its style)
    style: dict[str, str] = field(default_factory=dict)

    @property
    def classes(self) -> list[str]:
        own = list(self.title.classes) if self.title is not None else []
        return [*own, *self.style.get("class", "").split(), *(["section"] if self.section else [])]

    @property
    def empty(self) -> bool:
        return self.title is None and not self.blocks and not self.backgrounds

    @property
    def fresh(self) -> bool:
        """Nothing but pictures behind it so far."""
        return self.title is None and not self.blocks

    @property
    def crowd(self) -> int:
        """How many things of some height stand on it beside its pictures."""
        import panflute as pf

        def picture(block: Any) -> bool:
            return isinstance(block, pf.Figure) or (
                isinstance(block, (pf.Para, pf.Plain)) and any(isinstance(e, pf.Image) for e in block.content)
            )

        found: list[Any] = []
        for block in self.blocks:
            found += list(block.content) if isinstance(block, pf.Div) and "cell" in block.classes else [block]
        return sum(not picture(block) and not isinstance(block, (pf.RawBlock, pf.Null)) for block in found)


def split(page: Page) -> list[Slide]:
    """The slides of a dressed document, without its title's."""
    import panflute as pf

    blocks = list(page.doc.content)
    only_rules = bool(page.marp) and "headingDivider" not in page.marp
    level = _slide_level(page, blocks)
    places = _Places(page.document.note)
    style = {key: page.marp[key] for key in LOCAL if key in page.marp}
    slides = [Slide(places.start, style=dict(style))]

    def directives(attributes: Mapping[str, str]) -> None:
        for key, value in attributes.items():
            if key.startswith("_"):
                slides[-1].style[key[1:]] = value
            elif key in LOCAL:
                style[key] = slides[-1].style[key] = value

    for block in blocks:
        if isinstance(block, pf.HorizontalRule):
            line = places.next_rule()
            if not slides[-1].empty or page.marp:
                slides.append(Slide(line, style=dict(style)))
            continue
        if isinstance(block, pf.Header):
            line = places.next_heading(pf.stringify(block))
            begins = slides[-1].fresh if only_rules else block.level <= level
            if begins and not slides[-1].fresh:
                slides.append(Slide(line, style=dict(style)))
            if begins:
                slides[-1].title = block
                slides[-1].section = block.level < level and not page.marp
                continue
        if isinstance(block, pf.Div) and DIRECTIVE in block.classes:
            directives(block.attributes)
        elif page.marp and isinstance(block, pf.RawBlock) and (match := STYLE.match(block.text)):
            slides[-1].css.append((bool(match[1]), match[2]))
        elif isinstance(block, pf.Div) and NOTES in block.classes:
            slides[-1].notes += list(block.content)
        else:
            kept = _without_backgrounds(block, slides[-1])
            slides[-1].blocks += [kept] if kept is not None else []
    for slide in slides:
        _inner_directives(slide)
    return [slide for slide in slides if not slide.empty]


def _inner_directives(slide: Slide) -> None:
    """Comments that stand within a line."""
    import panflute as pf

    def visit(element: Any, doc: Any) -> Any:
        if DIRECTIVE not in element.classes:
            return None
        slide.style |= {key.lstrip("_"): value for key, value in element.attributes.items()}
        return []

    for block in [*slide.blocks, *([slide.title] if slide.title is not None else [])]:
        pandoc.walk(block, visit, pf.Span)


def _slide_level(page: Page, blocks: list[Any]) -> int:
    """The highest level of a heading with something else right behind it, as pandoc counts."""
    import panflute as pf

    metadata = page.doc.metadata.content
    for value in (page.marp.get("headingDivider"), plain(metadata.pop("slide-level", None))):
        if value and str(value).isdigit():
            return int(str(value))
    levels = [
        block.level
        for block, after in pairwise(blocks)
        if isinstance(block, pf.Header) and not isinstance(after, (pf.Header, pf.HorizontalRule))
    ]
    return min(levels, default=1)


def _without_backgrounds(block: Any, slide: Slide) -> Any:
    """The block without the images that are backgrounds; None if nothing is left."""
    import panflute as pf

    if not isinstance(block, (pf.Para, pf.Plain)):
        return block
    found = [e for e in block.content if isinstance(e, pf.Image) and BACKGROUND in e.classes]
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
        fence = ""
        for n in range(first, len(lines)):
            match = FENCE.match(lines[n])
            if fence:
                if match and match["ticks"].startswith(fence) and not match["info"].strip():
                    fence = ""
            elif match and opens_block(lines, n, match):
                fence = match["ticks"]
            elif re.match(r"#{1,6}\s", lines[n]):
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


def pause(block: Any) -> bool:
    """Whether it is a ``. . .`` between two steps of a slide."""
    import panflute as pf

    return isinstance(block, pf.Para) and bool(PAUSE.match(pf.stringify(block).strip()))


def say_full(page: Page, slide: Slide, scale: float | None = None) -> None:
    """A warning about a slide that shows at this ``scale``; None: smaller, it is not known by how much."""
    import panflute as pf

    name = f" {' '.join(pf.stringify(slide.title).split())!r}" if slide.title is not None else ""
    how = f"it is shown at {round(scale * 100)} %" if scale else "it is shown smaller"
    how = "it goes on on another page" if scale == 0 else how
    message = f"the slide{name} is over-full: {how}"
    hint = "split it with a --- or a heading"
    problem = Problem("warning", message, page.document.note.shown, slide.line, hint, code="overfull")
    if problem not in page.problems:
        page.problems.append(problem)


def scale_pixels(image: Any, unit: float) -> None:
    """Widths in the pixels of a slide, as Marp has them; ``unit``: points to the pixel."""
    for key in ("width", "height"):
        if match := re.fullmatch(r"([\d.]+)(?:px)?", image.attributes.get(key, "")):
            image.attributes[key] = f"{float(match[1]) * unit:.1f}pt"


_NAMED = {
    "white": "#ffffff", "black": "#000000", "red": "#ff0000", "green": "#008000", "blue": "#0000ff",
    "yellow": "#ffff00", "orange": "#ffa500", "gray": "#808080", "grey": "#808080", "navy": "#000080",
    "teal": "#008080", "aqua": "#00ffff", "lightblue": "#add8e6", "lightgray": "#d3d3d3", "lightgrey": "#d3d3d3",
    "lightyellow": "#ffffe0", "beige": "#f5f5dc", "ivory": "#fffff0", "pink": "#ffc0cb", "purple": "#800080",
    "darkblue": "#00008b", "darkgreen": "#006400", "darkred": "#8b0000", "whitesmoke": "#f5f5f5",
}  # fmt: skip


def _hex(colour: str) -> str:
    colour = _NAMED.get(colour.strip().lower(), colour.strip().lower())
    return colour if re.fullmatch(r"#(?:[0-9a-f]{3}|[0-9a-f]{6})", colour) else ""


def colours(style: Mapping[str, str], classes: list[str]) -> tuple[str, str]:
    inverted = "invert" in classes
    back = _hex(style.get("backgroundColor", "")) or ("#22262d" if inverted else "")
    return back, _hex(style.get("color", "")) or ("#f0f2f5" if inverted else "")
