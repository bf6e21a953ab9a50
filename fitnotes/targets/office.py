"""A note as a Word document or an EPUB.

Word gets its own formulas where pandoc can make them, and a picture set by MathJax where it cannot;
EPUB gets MathML. Numbers and references are those of the other targets.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import panflute as pf

from fitnotes.document import nodes, pandoc
from fitnotes.document.read import Document
from fitnotes.document.tree import Change, collect, dump, walk
from fitnotes.draw import mathjax, pictures
from fitnotes.draw.media import Media
from fitnotes.draw.pictures import svg_to_png
from fitnotes.execute.result import Result
from fitnotes.passes.dressing import dress
from fitnotes.passes.page import Page, Place, compose, converter_warnings, formula_problem
from fitnotes.targets.html import dress_html, page_title, set_formulas
from fitnotes.tex import environments

SIZE = 11  # pt, of the text in Word
_BREAK = '<w:p><w:r><w:br w:type="page"/></w:r></w:p>'
# What pandoc's conversion takes without a word and shows wrong.
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
    extra = mathjax.packages(page.preamble.tex)
    wrong = dict(zip(formulas, mathjax.check(formulas, extra), strict=True))
    fine = dict(zip(formulas, convertible(formulas), strict=True))
    for formula, reason in wrong.items():
        if reason:
            formula_problem(page, found[formula], reason)

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


def write_docx(document: Document, results: Mapping[int, Result], target: Path, place: Place) -> Page:
    """Writes ``target``. Raises ConversionError; the document that was there stays then."""
    with pandoc.scratch_folder() as scratch:
        media = Media(scratch, "", convert=pictures.converter("docx", place.root))
        page = compose(document, results, "docx", media, place)
        dress(page, page_break=_page_break)
        _anchors(page)
        _word_formulas(page)
        _write(page, "docx", target, scratch, _contents(page, 7))
    return page


def write_epub(document: Document, results: Mapping[int, Result], target: Path, place: Place) -> Page:
    """Writes ``target``. Raises ConversionError; the book that was there stays then."""
    with pandoc.scratch_folder() as scratch:
        media = Media(scratch, "", convert=pictures.converter("epub", place.root))
        page = compose(document, results, "epub", media, place)
        dress_html(page)
        title = page_title(page)
        set_formulas(page, "mathml", mathjax.packages(page.preamble.tex))
        # The same book for the same note: its name is made of what it says.
        name = uuid.uuid5(uuid.NAMESPACE_URL, document.note.text)
        args = [
            f"--css={pandoc.template('fitnotes-epub.css')}",
            *([] if "lang" in page.doc.metadata.content else ["--metadata", "lang=en"]),
            "--metadata", f"identifier=urn:uuid:{name}",
            "--metadata", f"title={title}",
        ]  # fmt: skip
        _write(page, "epub3", target, scratch, args)
    return page


def _contents(page: Page, least: int) -> list[str]:
    wanted = page.document.settings.toc and page.asks("toc", True) and page.headings > least
    return ["--toc", "--toc-depth=2"] if wanted else []


def _write(page: Page, to: str, target: Path, pictures: Path, args: list[str]) -> None:
    args = [*args, f"--resource-path={pictures}{os.pathsep}."]
    args += ["--number-sections"] * page.numbered
    output = pandoc.write_file(dump(page.doc), to, target, args, cwd=page.document.note.path.parent)
    converter_warnings(page, output.warnings)
