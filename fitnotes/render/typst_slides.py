"""A note as a PDF deck through Typst: a page for each slide, and what stands on it smaller where it does not fit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fitnotes import pandoc
from fitnotes.execute.cache import Result
from fitnotes.read import Document
from fitnotes.render.deck import FULL, SIZES, Slide, colours, pause, say_full, scale_pixels, size, split
from fitnotes.render.page import Page, Place
from fitnotes.render.typst import write_typst_pdf

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

    def overfull(page: Page, found: list[Mapping[str, Any]]) -> None:
        for item in found:
            if item["scale"] < FULL:
                say_full(page, slides[int(item["slide"]) - 1], item["scale"] if item["fits"] else 0)

    return write_typst_pdf(document, results, target, place, arrange=arrange, asked=("<overfull>", overfull))


def _code(text: str) -> Any:
    import panflute as pf

    return pf.RawBlock(text, format="typst")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _page(page: Page, slide: Slide, number: int) -> list[Any]:
    """One slide for Typst."""

    style = slide.style
    kind = "centred" if slide.section or "lead" in slide.classes else "plain"
    options = [f"number: {number}", f'kind: "{kind}"']
    if style.get("header"):
        options.append(f"head: {_quoted(style['header'])}")
    if style.get("footer"):
        options.append(f"foot: {_quoted(style['footer'])}")
    if style.get("paginate", "false" if page.marp else "true") in ("false", "skip"):
        options.append("paginate: false")
    back, text = colours(style, slide.classes)
    options += [f'fill: rgb("{back}")'] if back else []
    options += [f'colour: rgb("{text}")'] if text else []
    side = next((i.attributes["side"] for i in slide.backgrounds if i.attributes.get("side")), "")
    if slide.backgrounds:
        share = next(i.attributes.get("share", "100") for i in slide.backgrounds) if side else "100"
        urls = "".join(f"{_quoted(i.url)}, " for i in slide.backgrounds)
        fit = slide.backgrounds[0].attributes.get("fit", "cover")
        fit = fit if fit in ("cover", "contain") else "contain"
        options += [f"images: ({urls})", f'side: "{side}"', f"share: {share}%", f'fit: "{fit}"']
    made: list[Any] = []
    if slide.title is not None:
        slide.title.level = 1 if slide.section else 2
        made = [_code(f"#slide({', '.join(options)})["), slide.title, _code("][")]
    else:
        made = [_code(f"#slide({', '.join(options)}, none)[")]
    limit = "11.2cm" if slide.crowd == 0 else "7.2cm"
    for block in slide.blocks:
        if pause(block):
            continue
        made += _fitted(block, limit)
    return [*made, _code("]")]


def _fitted(block: Any, limit: str) -> list[Any]:
    """Pictures that have no width of their own, no higher than ``limit``."""
    import panflute as pf

    def wrap(element: Any, doc: Any) -> Any:
        if "width" in element.attributes or "height" in element.attributes:
            scale_pixels(element, PIXEL)
            return None
        opening = pf.RawInline(f"#fit({limit})[", format="typst")
        return [opening, element, pf.RawInline("]", format="typst")]

    holder = pf.Div(block)
    pandoc.walk(holder, wrap, pf.Image)
    return list(holder.content)
