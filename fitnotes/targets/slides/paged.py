"""A note as a PDF deck through Typst: a page for each slide, and what stands on it smaller where it does not fit."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import panflute as pf

from fitnotes.document import nodes, pandoc
from fitnotes.document.tree import Change, Elements, walk
from fitnotes.passes.page import Page
from fitnotes.store.files import write_atomically
from fitnotes.store.scratch import scratch_folder
from fitnotes.targets.registry import Job
from fitnotes.targets.slides.deck import (
    FULL,
    SIZES,
    Overfull,
    Slide,
    colours,
    lone_image,
    overfull,
    say_full,
    scale_pixels,
    size,
    split,
)
from fitnotes.targets.typst import pdf
from fitnotes.targets.typst.look import SLIDES
from fitnotes.targets.typst.pdf import TypesetPdf, query, say_foreign, typeset, typst_page, without_refused

STEPS = pdf.STEPS
PIXEL = 0.658  # pt: a page is 842 pt wide, a slide 1280 pixels


@dataclass(frozen=True, slots=True)
class Deck:
    """A deck as Typst sets it, and the slides with more on them than fits."""

    page: Page
    made: TypesetPdf
    overfull: tuple[Overfull, ...]


def write(job: Job) -> Page:
    """Raises ConversionError."""

    def attempt(refused: frozenset[str]) -> Page:
        with scratch_folder() as folder:
            deck = _deck(job, folder, refused)
            for one in deck.overfull:
                say_full(deck.page, one, "it goes on on another page")
            say_foreign(deck.page, deck.made.text)
            write_atomically(job.page, deck.made.pdf)
            return deck.page

    return without_refused(attempt)


def measure(job: Job) -> tuple[Overfull, ...]:
    """The slides of a deck that Typst finds over-full. Raises ConversionError."""

    def attempt(refused: frozenset[str]) -> tuple[Overfull, ...]:
        with scratch_folder() as folder:
            return _deck(job, folder, refused).overfull

    return without_refused(attempt)


def _deck(job: Job, folder: Path, refused: frozenset[str]) -> Deck:
    page, sources = typst_page(job, folder, SLIDES, refused, deck=True)
    slides = split(page)
    page.doc.content = [block for n, slide in enumerate(slides, 1) for block in _set_slide(slide, n)]
    ratio = "4-3" if size(page) == SIZES["4:3"] else "16-9"
    args = [f"--template={pandoc.template('fitnotes-slides.typst')}", "--variable", f"ratio={ratio}"]
    args += [] if page.marp else ["--variable", "titleslide"]
    made = typeset(page, args, folder, sources)
    full = []
    for item in query(made, "<overfull>"):
        if item["scale"] < FULL:
            full.append(overfull(slides[int(item["slide"]) - 1], item["scale"] if item["fits"] else 0))
    return Deck(page, made, tuple(full))


def _code(text: str) -> pf.Element:
    return pf.RawBlock(text, format="typst")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _set_slide(slide: Slide, number: int) -> Elements:
    """One slide for Typst."""
    options = ", ".join([*_options(slide, number), *_pictures_behind(slide)])
    if slide.title is not None:
        slide.title.level = 1 if slide.section else 2
        made = [_code(f"#slide({options})["), slide.title, _code("][")]
    else:
        made = [_code(f"#slide({options}, none)[")]
    limit = "11.2cm" if slide.crowd == 0 else "7.2cm"
    for block in slide.blocks:
        if not nodes.is_pause(block):
            made += _fitted(block, limit)
    return [*made, _code("]")]


def _options(slide: Slide, number: int) -> list[str]:
    """What the template has to know of a slide, but for its pictures."""
    kind = "centred" if slide.section or "lead" in slide.classes else "plain"
    options = [f"number: {number}", f'kind: "{kind}"', f"shown: {_quoted(slide.number)}"]
    for key, name in (("header", "head"), ("footer", "foot")):
        if words := slide.words(key):
            options.append(f"{name}: {_quoted(words)}")
    back, text = colours(slide.style, slide.classes)
    options += [f'fill: rgb("{back}")'] if back else []
    options += [f'colour: rgb("{text}")'] if text else []
    return options


def _pictures_behind(slide: Slide) -> list[str]:
    """What the template has to know of the pictures behind or beside the words; of the first one, how they show."""
    if not slide.backgrounds:
        return []
    first = slide.backgrounds[0].attributes
    urls = "".join(f"{_quoted(image.url)}, " for image in slide.backgrounds)
    fit = first.get("fit", "contain" if "zoom" in first else "cover")
    options = [f"images: ({urls})", f'fit: "{fit if fit in ("cover", "contain") else "contain"}"']
    options += [f'side: "{slide.side}"', f"share: {slide.share if slide.side else 100}%"]
    options += [f"zoom: {first['zoom']}%"] if first.get("zoom") else []
    options += [f"veil: {100 * (1 - float(first['opacity'])):g}%"] if _is_part(first.get("opacity")) else []
    options += ["vertical: true"] if any(i.attributes.get("vertical") for i in slide.backgrounds) else []
    return options


def _is_part(text: str | None) -> bool:
    """Whether it is a number from 0 to 1."""
    try:
        return text is not None and 0 <= float(text) <= 1
    except ValueError:
        return False


def _fitted(block: pf.Element, limit: str) -> Elements:
    """Pictures that stand by themselves no higher than ``limit``, or than the slide if they have a size."""

    def wrap(element: pf.Element) -> Change:
        if (image := lone_image(element)) is None:
            return None
        sized = "width" in image.attributes or "height" in image.attributes
        call = "#fitown(10.5cm)[" if sized else f"#fit({limit})["
        opening, end = pf.RawInline(call, format="typst"), pf.RawInline("]", format="typst")
        return (pf.Para if isinstance(element, pf.Para) else pf.Plain)(opening, image, end)

    holder = pf.Div(block)
    walk(holder, lambda e: scale_pixels(e, PIXEL), pf.Image)
    walk(holder, wrap, pf.Para, pf.Plain)
    return list(holder.content)
