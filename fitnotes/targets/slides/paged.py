"""A note as a PDF deck through Typst: a page for each slide, and what stands on it smaller where it does not fit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import panflute as pf

from fitnotes.document import nodes, pandoc
from fitnotes.document.read import Document
from fitnotes.document.tree import Change, Elements, walk
from fitnotes.execute.result import Result
from fitnotes.passes.page import Page, Place
from fitnotes.targets.slides.deck import (
    FULL,
    SIZES,
    Slide,
    colours,
    say_full,
    scale_pixels,
    size,
    split,
)
from fitnotes.targets.typst import write_typst_pdf

PIXEL = 0.658  # pt: a page is 842 pt wide, a slide 1280 pixels


def write_typst_slides(document: Document, results: Mapping[int, Result], target: Path, place: Place) -> Page:
    """Writes ``target``. Raises ConversionError."""
    slides: list[Slide] = []

    def arrange(page: Page) -> list[str]:
        slides[:] = split(page)
        page.doc.content = [block for n, slide in enumerate(slides, 1) for block in _page(page, slide, n)]
        ratio = "4-3" if size(page) == SIZES["4:3"] else "16-9"
        title = [] if page.marp else ["--variable", "titleslide"]
        return [
            f"--template={pandoc.template('fitnotes-slides.typst')}",
            "--variable",
            f"ratio={ratio}",
            *title,
        ]

    def overfull(page: Page, found: list[Any]) -> None:
        for item in found:
            if item["scale"] < FULL:
                say_full(page, slides[int(item["slide"]) - 1], item["scale"] if item["fits"] else 0)

    return write_typst_pdf(document, results, target, place, arrange=arrange, asked=("<overfull>", overfull))


def _code(text: str) -> pf.Element:
    return pf.RawBlock(text, format="typst")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _page(page: Page, slide: Slide, number: int) -> Elements:
    """One slide for Typst."""

    kind = "centred" if slide.section or "lead" in slide.classes else "plain"
    options = [f"number: {number}", f'kind: "{kind}"', f"shown: {_quoted(slide.number)}"]
    for key, name in (("header", "head"), ("footer", "foot")):
        if words := slide.words(key):
            options.append(f"{name}: {_quoted(words)}")
    back, text = colours(slide.style, slide.classes)
    options += [f'fill: rgb("{back}")'] if back else []
    options += [f'colour: rgb("{text}")'] if text else []
    if slide.backgrounds:
        first = slide.backgrounds[0].attributes
        urls = "".join(f"{_quoted(image.url)}, " for image in slide.backgrounds)
        fit = first.get("fit", "contain" if "zoom" in first else "cover")
        options += [f"images: ({urls})", f'fit: "{fit if fit in ("cover", "contain") else "contain"}"']
        options += [f'side: "{slide.side}"', f"share: {slide.share if slide.side else 100}%"]
        options += [f"zoom: {first['zoom']}%"] if first.get("zoom") else []
        options += (
            [f"veil: {100 * (1 - float(first['opacity'])):g}%"] if _number(first.get("opacity")) else []
        )
        options += ["vertical: true"] if any(i.attributes.get("vertical") for i in slide.backgrounds) else []
    made: Elements = []
    if slide.title is not None:
        slide.title.level = 1 if slide.section else 2
        made = [_code(f"#slide({', '.join(options)})["), slide.title, _code("][")]
    else:
        made = [_code(f"#slide({', '.join(options)}, none)[")]
    limit = "11.2cm" if slide.crowd == 0 else "7.2cm"
    for block in slide.blocks:
        if not nodes.is_pause(block):
            made += _fitted(block, limit)
    return [*made, _code("]")]


def _number(text: str | None) -> bool:
    try:
        return text is not None and 0 <= float(text) <= 1
    except ValueError:
        return False


def _fitted(block: pf.Element, limit: str) -> Elements:
    """Pictures that stand by themselves no higher than ``limit``, or than the slide if they have a size."""

    def wrap(element: pf.Element) -> Change:
        if len(element.content) != 1 or not isinstance(image := element.content[0], pf.Image):
            return None
        sized = "width" in image.attributes or "height" in image.attributes
        call = "#fitown(10.5cm)[" if sized else f"#fit({limit})["
        opening, end = pf.RawInline(call, format="typst"), pf.RawInline("]", format="typst")
        return (pf.Para if isinstance(element, pf.Para) else pf.Plain)(opening, image, end)

    holder = pf.Div(block)
    walk(holder, lambda e: scale_pixels(e, PIXEL), pf.Image)
    walk(holder, wrap, pf.Para, pf.Plain)
    return list(holder.content)
