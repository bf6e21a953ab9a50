"""The words for the browser's tab."""

from __future__ import annotations

import html
import re

import panflute as pf

from fitnotes.document.tree import collect
from fitnotes.draw import mathjax
from fitnotes.passes.page import Page


def page_title(page: Page) -> str:
    """The words for the browser's tab; a formula in them as its signs."""
    metadata = page.doc.metadata.content
    for key in ("pagetitle", "title"):
        if key in metadata and (text := _signs(metadata[key]).strip()):
            return text
    for block in page.doc.content:
        if isinstance(block, pf.Header):
            return _signs(block)
    return page.document.note.path.stem


def _signs(element: pf.Element) -> str:
    tex = [formula.text for formula in collect(element, pf.Math)]
    text = str(pf.stringify(element))
    for formula, made in zip(tex, mathjax.mathml([(t, False) for t in tex]), strict=True):
        signs = re.sub(r"<[^>]+>", "", made.mathml)
        text = text.replace(formula, html.unescape(signs) or formula, 1)
    return text
