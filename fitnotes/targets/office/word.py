"""A note as a Word document: with its own formulas, and a picture set by MathJax where it has none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

import panflute as pf

from fitnotes.document import nodes
from fitnotes.document.tree import Change, Elements, collect, walk
from fitnotes.draw import mathjax, pictures
from fitnotes.draw.mathtree import Untranslatable
from fitnotes.draw.media import Media
from fitnotes.draw.pictures import svg_to_png
from fitnotes.passes.look import Look
from fitnotes.passes.page import Page
from fitnotes.passes.pipeline import FINISH, Step, compose, take
from fitnotes.store.scratch import scratch_folder
from fitnotes.targets.office import DOCX, omml
from fitnotes.targets.office.file import write_file
from fitnotes.targets.registry import Job
from fitnotes.tex import environments

SIZE = 11  # pt, of the text in Word
_BREAK = '<w:p><w:r><w:br w:type="page"/></w:r></w:p>'


def _page_break(block: bool) -> Change:
    return pf.RawBlock(_BREAK, format="openxml") if block else []


def _with_numbers(tex: str) -> str:
    """Tags as text behind their rows, which is how Word shows a number."""
    tex = re.sub(r"(\\begin\{(?:aligned|gathered|split|multlined)\})\s*\[[tcb]\]", r"\1", tex)
    return environments.TAG.sub(
        lambda m: f"\\qquad\\text{{{environments.in_parentheses(environments.tag_number(m))}}}", tex
    )


def convert(formulas: Sequence[tuple[str, bool]], extra: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Each (TeX, display?) as Word's own formula, and the reason why MathJax has none; a picture has to show those
    without either."""
    found = []
    for tree in mathjax.trees(formulas, extra):
        if isinstance(tree, str):
            found.append(("", tree))
            continue
        try:
            found.append((omml.translate(tree), ""))
        except Untranslatable:
            found.append(("", ""))
    return found


def _word_formulas(page: Page) -> None:
    found: dict[tuple[str, bool], str] = {}

    def ready(element: pf.Element) -> tuple[str, bool]:
        text = re.sub(r"\\(?:nonumber|notag|allowdisplaybreaks)(?![A-Za-z])", "", element.text)
        return _with_numbers(text), element.format == "DisplayMath"

    for element in collect(page.doc, pf.Math, metadata=True):
        found.setdefault(ready(element), element.text)
    if not found:
        return
    formulas = list(found)
    extra = page.packages
    made = dict(zip(formulas, convert(formulas, extra), strict=True))
    for formula, (_, reason) in made.items():
        if reason:
            page.formula_problem(found[formula], reason)

    def put(element: pf.Element) -> Change:
        formula = ready(element)
        code, reason = made[formula]
        if reason:
            return nodes.error(pf.Code(formula[0]))
        if code:
            return pf.RawInline(omml.paragraph(code) if formula[1] else code, format="openxml")
        svg, width, _ = mathjax.picture(mathjax.typeset([formula], extra)[0].svg, SIZE)
        url = page.media.add(svg_to_png(svg.encode(), 600), ".png", "formula")
        return pf.Image(pf.Str(formula[0]), url=url or "", attributes={"width": f"{min(width, 440):.1f}pt"})

    walk(page.doc, put, pf.Math, metadata=True)
    _by_themselves(page)


def _by_themselves(page: Page) -> None:
    """Display formulas in paragraphs of their own, as Word has them."""

    def is_display(element: pf.Element) -> bool:
        if isinstance(element, pf.Span) and len(element.content) == 1:  # one with a label
            return is_display(element.content[0])
        return isinstance(element, pf.RawInline) and element.text.startswith(omml.PARAGRAPH)

    def visit(element: pf.Element) -> Change:
        content = list(element.content)
        if len(content) < 2 or not any(map(is_display, content)):
            return None
        parts: list[list[pf.Element]] = [[]]
        for item in content:
            if is_display(item):
                parts += [[item], []]
            elif parts[-1] or not isinstance(item, (pf.Space, pf.SoftBreak)):
                parts[-1].append(item)
        return [type(element)(*part) for part in parts if part]

    walk(page.doc, visit, pf.Para, pf.Plain)


def _anchors(page: Page) -> None:
    def visit(element: pf.Element) -> Change:
        element.text, labels = environments.take_labels(element.text)
        whole = element
        for label in reversed(labels):
            whole = pf.Span(whole, identifier=label)
        return whole if labels else None

    walk(page.doc, visit, pf.Math, metadata=True)


STEPS = (
    *FINISH,
    Step("anchors", _anchors, "labels of formulas are places", ("formulas", "citations")),
    Step("Word's formulas", _word_formulas, "formulas are such that pandoc makes Word's own", ("anchors",)),
)


def _aligned(side: str, content: Elements) -> Elements:
    """Paragraphs of words alone, which a run can hold; others stay where they are."""
    made: Elements = []
    for block in content:
        words = nodes.is_words(block) and all(
            isinstance(e, (pf.Str, pf.Space, pf.SoftBreak)) for e in block.content
        )
        if not words:
            made.append(block)
            continue
        text = escape(pf.stringify(block))
        run = f'<w:r><w:t xml:space="preserve">{text}</w:t></w:r>'
        made.append(pf.RawBlock(f'<w:p><w:pPr><w:jc w:val="{side}"/></w:pPr>{run}</w:p>', format="openxml"))
    return made


def _coloured(words: str, back: str, content: Elements) -> Elements:
    """Words alone, which a run can hold; others keep the colour of the text."""
    if not all(isinstance(e, (pf.Str, pf.Space, pf.SoftBreak)) for e in content):
        return content
    look = f'<w:color w:val="{words[1:]}"/>' if words else ""
    look += f'<w:shd w:val="clear" w:fill="{back[1:]}"/>' if back else ""
    text = escape(pf.stringify(pf.Span(*content)))
    return [
        pf.RawInline(
            f'<w:r><w:rPr>{look}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>', format="openxml"
        )
    ]


LOOK = Look(page_break=_page_break, aligned=_aligned, coloured=_coloured)


def write(job: Job) -> Page:
    """Raises ConversionError; the document that was there stays then."""
    with scratch_folder() as scratch:
        media = Media(scratch, "", convert=pictures.converter(DOCX, job.place.root))
        page = compose(job.document, job.results, DOCX, media, job.place, look=LOOK)
        take(page, STEPS)
        write_file(page, "docx", job.page, scratch, page.contents(7, 2))
    return page
