"""A note as a Markdown file that GitHub renders: no macros, results as files beside it, structure in plain Markdown."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from urllib.parse import quote

import panflute as pf

from fitnotes.document import nodes, pandoc
from fitnotes.document.tree import Change, Elements, dump, walk
from fitnotes.draw import pictures
from fitnotes.draw.media import Media, remove_old
from fitnotes.passes.look import Look
from fitnotes.passes.page import Page
from fitnotes.passes.pipeline import FINISH, Step, compose, take
from fitnotes.store.files import write_atomically
from fitnotes.targets.gfm import GFM
from fitnotes.targets.gfm.formulas import picture_refused, set_formulas
from fitnotes.targets.registry import Job


def _plain_structure(page: Page) -> None:
    """What Markdown has no words for: captions below pictures, anchors, divs without their fences."""

    def anchor(identifier: str) -> Elements:
        return [pf.RawBlock(f'<a id="{identifier}"></a>', format="html")] if identifier else []

    def caption(element: pf.Element) -> Elements:
        blocks = list(element.caption.content) if element.caption else []
        return [pf.Para(pf.Emph(*block.content)) if hasattr(block, "content") else block for block in blocks]

    def visit(element: pf.Element) -> Change:
        if isinstance(element, pf.Figure):
            return [*anchor(element.identifier), *nodes.paragraphs(element.content), *caption(element)]
        if isinstance(element, pf.Table):
            made = [*anchor(element.identifier), *caption(element)]
            element.caption = pf.Caption()
            element.identifier = ""
            return [*made, element]
        if isinstance(element, pf.Div):
            return [*anchor(element.identifier), *element.content]
        if isinstance(element, pf.Span):
            start = (
                [pf.RawInline(f'<a id="{element.identifier}"></a>', format="html")]
                if element.identifier
                else []
            )
            bold = {"caption-number", "error", "missing"} & set(element.classes)
            return [*start, pf.Strong(*element.content)] if bold else [*start, *element.content]
        if isinstance(element, pf.CodeBlock):
            language = next(iter(element.classes), "")
            element.classes = ["text"] if language in ("", "output", "error", "warning") else [language]
            element.attributes, element.identifier = {}, ""
        if isinstance(element, pf.Image):
            size = _size(element.attributes)
            element.classes, element.attributes = [], {}
            if size:
                alt = html.escape(pf.stringify(element))
                return pf.RawInline(
                    f'<img src="{html.escape(element.url)}" alt="{alt}"{size}>', format="html"
                )
        if isinstance(element, pf.Link):
            element.classes, element.attributes, element.identifier = [], {}, ""
        if isinstance(element, pf.Header):
            own = _slug(pf.stringify(element)) == element.identifier
            made = [] if own else anchor(element.identifier)
            element.classes, element.attributes, element.identifier = [], {}, ""
            return [*made, element]
        return None

    kinds = (pf.Figure, pf.Table, pf.Div, pf.Span, pf.CodeBlock, pf.Image, pf.Link, pf.Header)
    walk(page.doc, visit, *kinds)


_PIXELS = {"px": 1.0, "": 1.0, "in": 96.0, "cm": 96 / 2.54, "mm": 96 / 25.4, "pt": 96 / 72, "pc": 16.0}


def _size(attributes: Mapping[str, str]) -> str:
    """The size of an image as GitHub takes it: in pixels or percent, as attributes of HTML."""
    made = ""
    for key in ("width", "height"):
        match = re.fullmatch(r"(\d+(?:\.\d*)?)\s*(%|[a-z]*)", str(attributes.get(key, "")).strip())
        if match and match[2] == "%":
            made += f' {key}="{float(match[1]):g}%"'
        elif match and match[2] in _PIXELS:
            made += f' {key}="{float(match[1]) * _PIXELS[match[2]]:.0f}"'
    return made


def _slug(text: str) -> str:
    """The name that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


def _title(page: Page) -> None:
    """The header's words as the file's first lines; GitHub would show the header as a table."""
    metadata = page.doc.metadata.content
    made: Elements = []
    if "title" in metadata:
        made.append(pf.Header(*_inlines(metadata["title"]), level=1))
    for key in ("subtitle", "author", "date"):
        if key in metadata:
            value = metadata[key]
            items = list(value.content) if isinstance(value, pf.MetaList) else [value]
            words: Elements = []
            for item in items:
                words += [*([pf.Str(","), pf.Space()] if words else []), *_inlines(item)]
            made.append(pf.Para(pf.Emph(*words)))
    if "abstract" in metadata:
        blocks = metadata["abstract"]
        made += list(blocks.content) if isinstance(blocks, pf.MetaBlocks) else [pf.Para(*_inlines(blocks))]
    page.doc.content = [*made, *page.doc.content]


def _inlines(value: pf.Element) -> Elements:
    if isinstance(value, pf.MetaInlines):
        return list(value.content)
    return [pf.Str(pf.stringify(value).strip())]


def _alert(kind: str, title: Elements, content: Elements, element: pf.Element) -> Elements:
    """GitHub's own callouts (its documentation: "Basic writing and formatting syntax", Alerts)."""
    start = pf.RawInline(f"[!{kind.upper()}]\n", format="html")
    named = [pf.Para(start, pf.Strong(*title))] if "callout-titled" in element.classes else []
    if not named and content and isinstance(content[0], pf.Para):
        named, content = [pf.Para(start, *content[0].content)], content[1:]
    quote = pf.BlockQuote(*(named or [pf.Para(start)]), *content)
    return [pf.Div(quote, identifier=element.identifier)]


STEPS = (
    *FINISH,
    Step(
        "refused formulas", picture_refused, "what GitHub cannot show is a picture", ("formulas", "citations")
    ),
    Step("title lines", _title, "the header's words are the first lines", ("refused formulas",)),
    Step("GitHub's formulas", set_formulas, "formulas are Markdown", ("title lines",)),
    Step(
        "plain structure", _plain_structure, "figures, anchors and boxes are Markdown", ("GitHub's formulas",)
    ),
)


def _aligned(side: str, content: Elements) -> Elements:
    start, end = (pf.RawBlock(text, format="html") for text in (f'<div align="{side}">', "</div>"))
    return [start, *content, end]


LOOK = Look(box=_alert, aligned=_aligned)


def write(job: Job) -> Page:
    """Writes a file and what goes with it. Raises ConversionError."""
    files = job.page.parent / f"{job.page.stem}_files"
    media = Media(files, f"{quote(files.name)}/", convert=pictures.converter(GFM, job.place.root))
    page = compose(job.document, job.results, GFM, media, job.place, look=LOOK)
    take(page, STEPS)
    output = pandoc.write(dump(page.doc), "gfm", ["--wrap=none"], cwd=page.note.path.parent)
    page.converter_warnings(output.warnings)
    write_atomically(job.page, output.text.encode("utf-8", "replace"))
    remove_old(files, set(media.files))
    page.beside = list(media.files.values())
    return page
