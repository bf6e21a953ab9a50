"""Blocks that are drawn, and TikZ that stands in the text: pictures in their place, captions, labels, errors."""

from __future__ import annotations

import re
from collections.abc import Mapping

import panflute as pf

from fitnotes.document import nodes
from fitnotes.document.fragments import read_captions
from fitnotes.document.tree import Change, Elements, collect, walk
from fitnotes.draw import drawing
from fitnotes.draw.drawing import Drawn, Failed, Kind, Sketch, Surroundings
from fitnotes.draw.tikz import Tikz, is_drawing
from fitnotes.errors import Problem
from fitnotes.passes.page import Page
from fitnotes.passes.results import output_block
from fitnotes.settings import nearest
from fitnotes.source.fences import LINE
from fitnotes.source.languages import DRAWN
from fitnotes.source.note import Note
from fitnotes.source.options import OPTION_NAMES, is_foreign
from fitnotes.tex.engines import how_to_install

_Made = Drawn | Failed | None


def surroundings(page: Page) -> Surroundings:
    settings = page.document.settings
    return Surroundings(
        page.note, page.media, page.preamble, page.place.root, page.packages, settings.pdf_engine,
        settings.fig_dark, page.labels_only, page.document.failures,
    )  # fmt: skip


def draw_blocks(page: Page) -> list[Problem]:
    """Puts a picture in the place of every block of a kind that is drawn, for a whole page."""
    keep = frozenset({"mermaid"}) if page.format.draws_mermaid else frozenset()
    return draw(page.doc, surroundings(page), html=page.format.is_html, keep=keep)


def draw(
    doc: pf.Doc, around: Surroundings, *, html: bool, keep: frozenset[str] = frozenset(), only: str = ""
) -> list[Problem]:
    """Puts a picture in the place of every block that is drawn; one that is wrong stays as source under its error.

    ``keep``: languages whose source stays, for a target that draws it by itself; it is checked all the same.
    ``only``: one language. Returns what was found wrong.
    """
    languages = [only] if only else list(DRAWN)
    found = collect(doc, pf.CodeBlock, where=lambda e: bool(e.classes) and e.classes[0] in languages)
    if not found:
        return []
    problems: list[Problem] = []
    made: dict[int, tuple[Kind, Sketch, _Made]] = {}
    for language in languages:
        own = [element for element in found if element.classes[0] == language]
        if own:
            kind = drawing.kind(language, around)
            blocks = _read(doc, language, kind, around.note)
            problems += [problem for block in blocks for problem in _unknown(kind, block, around.note)]
            for element, block, result in zip(own, blocks, kind.draw(blocks), strict=True):
                made[id(element)] = kind, block, result
                problems += [result.problem] if isinstance(result, Failed) else []
                problems += result.problems if isinstance(result, Drawn) else ()
    # One pandoc process for all of them.
    captions = read_captions([block.caption for _, block, _ in made.values() if block.caption])

    def visit(element: pf.Element) -> Change:
        if id(element) not in made:
            return None
        kind, block, result = made[id(element)]
        if isinstance(result, Failed):
            failed = _failed(result, html)
            if not block.caption and not block.identifier:
                return failed
            caption = pf.Caption(pf.Plain(*captions.get(block.caption, [])))
            return pf.Figure(*failed, caption=caption, identifier=block.identifier)  # it keeps its number
        source = kind.source(block) if element.classes[0] in keep else None
        if source is not None:
            content: pf.Element = pf.CodeBlock(source, classes=[element.classes[0]])
        else:
            words = captions.get(block.caption, [])
            content = pf.Plain(picture(kind.noun, block, result, around, words))
        if not block.caption and not block.identifier:
            return content if source is not None else pf.Para(*content.content)
        return nodes.figure(content, captions.get(block.caption, []), block.identifier)

    walk(doc, visit, pf.CodeBlock)
    return problems


def _read(doc: pf.Doc, language: str, kind: Kind, note: Note) -> list[Sketch]:
    """The blocks of one language, in order, and on the way to them what formulas and raw TeX define."""
    blocks: list[Sketch] = []

    def visit(element: pf.Element) -> None:
        if isinstance(element, pf.CodeBlock):
            if element.classes[:1] == [language]:
                blocks.append(kind.read(_block(element, kind, note)))
        elif isinstance(element, pf.Math) or nodes.is_raw_tex(element):
            kind.learn(element.text)

    walk(doc, visit, pf.CodeBlock, pf.Math, pf.RawBlock, pf.RawInline)
    return blocks


def _block(element: pf.Element, kind: Kind, note: Note) -> Sketch:
    options = dict(element.attributes)
    mark = options.pop(LINE, None)
    fence = int(mark) if mark else note.line_of(element.text)
    line = fence + 1 if mark and fence else fence
    unknown = tuple(name for name in options if name not in kind.options)
    return Sketch(element.text, options, element.identifier, fence, line, unknown)


def _unknown(kind: Kind, block: Sketch, note: Note) -> list[Problem]:
    foreign = [name for name in block.unknown if is_foreign(name) or name in OPTION_NAMES]
    problems = [
        Problem(
            "unknown-option",
            f"unknown option {name!r} of a {kind.noun}",
            note.shown,
            block.fence,
            nearest(name, kind.options),
        )
        for name in block.unknown
        if name not in foreign
    ]
    if foreign:
        verb = "means" if len(foreign) == 1 else "mean"
        message = f"{', '.join(foreign)} {verb} nothing for a {kind.noun}"
        problems.append(Problem("foreign-option", message, note.shown, block.fence))
    return problems


def _failed(result: Failed, html: bool) -> Elements:
    return [output_block(result.shown, "error", html), pf.CodeBlock(result.source, classes=result.classes)]


def picture(
    noun: str, block: Sketch, result: Drawn | None, around: Surroundings, caption: Elements | None = None
) -> pf.Inline:
    """The picture as an image. With nowhere to put it (labels of another note are looked up), a box stands there, and
    the label of the block counts all the same."""
    media, options = around.media, block.options
    stem = block.identifier or noun
    url = media.add(result.data, result.suffix, options.get("filename") or stem) if result else None
    if result is None or url is None:
        return nodes.placeholder(f"{noun} not shown")
    attributes = {key: options[key] for key in ("width", "height") if key in options}
    if result.dark is not None:
        attributes[nodes.DARK] = media.add(result.dark, ".svg", f"{stem}-dark") or ""
    alt = options.get("fig-alt") or pf.stringify(pf.Span(*(caption or []))).strip() or noun.capitalize()
    return pf.Image(pf.Str(alt), url=url, attributes=attributes, classes=["diagram"])


# --------------------------------------------------------------------------------------------------
# TikZ in the text


def draw_raw(page: Page) -> list[Problem]:
    """The same for TikZ that stands in the text as in LaTeX, and for a diagram that is all of a formula."""

    def is_one(element: pf.Element) -> bool:
        display = isinstance(element, pf.Math) and element.format == "DisplayMath"
        return (display or nodes.is_raw_tex(element)) and is_drawing(element.text)

    found = collect(page.doc, pf.RawBlock, pf.RawInline, pf.Math, where=is_one)
    if not found:
        return []
    around = surroundings(page)
    kind = Tikz(around)
    blocks = [kind.with_files(block) for block in _raw_blocks(found, page.note)]
    results = kind.draw(blocks)
    made = {id(element): (b, r) for element, b, r in zip(found, blocks, results, strict=True)}
    problems: list[Problem] = []

    def visit(element: pf.Element) -> Change:
        if id(element) not in made:
            return None
        block, result = made[id(element)]
        if isinstance(result, Failed):
            if kind.engine is None:
                problems.append(_undrawn(element, block, page.note))
                return _source(element)
            problems.append(result.problem)
            raw_block = isinstance(element, pf.RawBlock)
            return _failed(result, page.format.is_html) if raw_block else nodes.error(pf.Code(element.text))
        image = picture(kind.noun, block, result, around)
        if isinstance(element, pf.RawBlock):
            return pf.Para(image)
        if isinstance(element, pf.Math):  # a line of its own
            before: Elements = [pf.LineBreak()] if element.prev else []
            return [*before, image, *([pf.LineBreak()] if element.next else [])]
        return image

    walk(page.doc, visit, pf.RawBlock, pf.RawInline, pf.Math)
    return problems


def _raw_blocks(found: Elements, note: Note) -> list[Sketch]:
    blocks, at = [], 0
    nothing: Mapping[str, str] = {}
    for element in found:
        place = note.text.find(element.text, at)
        at = place + 1 if place >= 0 else at
        line = note.text.count("\n", 0, place) + 1 if place >= 0 else note.line_of(element.text)
        blocks.append(Sketch(re.sub(r"\\\[|\\\]", "", element.text), nothing, "", line, line))
    return blocks


def _undrawn(element: pf.Element, block: Sketch, note: Note) -> Problem:
    """What stands in the text of a note that was written for LaTeX is shown, where there is none."""
    shown = element.text.strip().split("\n")[0][:60]
    message = f"raw TeX {shown} is a drawing, for which no LaTeX is installed; its source is shown"
    return Problem("raw-tex", message, note.shown, block.line, how_to_install("lualatex"))


def _source(element: pf.Element) -> pf.Element:
    if isinstance(element, pf.RawBlock):
        return pf.CodeBlock(element.text, classes=["latex"])
    return pf.Code(element.text)
