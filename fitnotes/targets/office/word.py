"""A note as a Word document: its own formulas where pandoc can make them, and a picture set by MathJax where not."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import panflute as pf

from fitnotes.document import nodes, pandoc
from fitnotes.document.tree import Change, collect, walk
from fitnotes.draw import mathjax, pictures
from fitnotes.draw.media import Media
from fitnotes.draw.pictures import svg_to_png
from fitnotes.passes.look import Look
from fitnotes.passes.page import Page
from fitnotes.passes.pipeline import FINISH, Step, compose, take
from fitnotes.targets.office import DOCX
from fitnotes.targets.office.file import write_file
from fitnotes.targets.registry import Job
from fitnotes.tex import environments

SIZE = 11  # pt, of the text in Word
_BREAK = '<w:p><w:r><w:br w:type="page"/></w:r></w:p>'
# What pandoc's conversion takes without a word and shows wrong (corpus/colour, corpus/array, corpus/matrices).
_PICTURES = re.compile(
    r"\\(?:color|smash|hline|cline|begin\{smallmatrix\})(?![A-Za-z])|\\begin\{array\}\s*\{[^}]*\|"
)


def _page_break(block: bool) -> Change:
    return pf.RawBlock(_BREAK, format="openxml") if block else []


def _with_numbers(tex: str) -> str:
    """Tags as text behind their rows, which is how Word shows a number."""
    tex = re.sub(r"(\\begin\{(?:aligned|gathered|split|multlined)\})\s*\[[tcb]\]", r"\1", tex)
    return environments.TAG.sub(
        lambda m: f"\\qquad\\text{{{environments.in_parentheses(environments.tag_number(m))}}}", tex
    )


def convertible(formulas: Sequence[tuple[str, bool]]) -> list[bool]:
    """Whether pandoc can convert each (TeX, display?) itself."""
    mark = "fitnotesformula"
    blocks: list[dict[str, Any]] = []
    for tex, display in formulas:
        kind = {"t": "DisplayMath" if display else "InlineMath"}
        blocks.append({"t": "Para", "c": [{"t": "Math", "c": [kind, tex]}]})
        blocks.append({"t": "Para", "c": [{"t": "Str", "c": mark}]})
    ast = json.dumps({"pandoc-api-version": [1, 23, 1], "meta": {}, "blocks": blocks})
    parts = pandoc.write(ast, "html", ["--mathml", "--wrap=none"]).text.split(f"<p>{mark}</p>")
    return ["<math" in part and not _PICTURES.search(f[0]) for f, part in zip(formulas, parts, strict=False)]


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
    wrong = dict(zip(formulas, mathjax.check(formulas, extra), strict=True))
    fine = dict(zip(formulas, convertible(formulas), strict=True))
    for formula, reason in wrong.items():
        if reason:
            page.formula_problem(found[formula], reason)

    def put(element: pf.Element) -> Change:
        formula = ready(element)
        if wrong[formula]:
            return nodes.error(pf.Code(formula[0]))
        if fine[formula]:
            element.text = formula[0]
            return None
        svg, width, _ = mathjax.picture(mathjax.typeset([formula], extra)[0].svg, SIZE)
        url = page.media.add(svg_to_png(svg.encode(), 600), ".png", "formula")
        return pf.Image(pf.Str(formula[0]), url=url or "", attributes={"width": f"{min(width, 440):.1f}pt"})

    walk(page.doc, put, pf.Math, metadata=True)


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
LOOK = Look(page_break=_page_break)


def write(job: Job) -> Page:
    """Raises ConversionError; the document that was there stays then."""
    with pandoc.scratch_folder() as scratch:
        media = Media(scratch, "", convert=pictures.converter(DOCX, job.place.root))
        page = compose(job.document, job.results, DOCX, media, job.place, look=LOOK)
        take(page, STEPS)
        write_file(page, "docx", job.page, scratch, ["--toc", "--toc-depth=2"] * page.wants_contents(7))
    return page
