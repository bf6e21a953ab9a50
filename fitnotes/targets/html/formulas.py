"""Formulas of a page: checked while pandoc writes, set when the page is built, or with anchors for their labels."""

from __future__ import annotations

import contextlib
import hashlib
import html
import re
import threading
from pathlib import Path

import panflute as pf

from fitnotes.document import nodes
from fitnotes.document.tree import Change, collect, walk
from fitnotes.draw import mathjax
from fitnotes.passes.page import Page
from fitnotes.tex.environments import take_labels


def formulas_of(page: Page) -> list[tuple[str, bool]]:
    """Every (TeX, display?) of a page, each once."""
    found = collect(page.doc, pf.Math, metadata=True)
    return list(dict.fromkeys((e.text, e.format == "DisplayMath") for e in found))


class FormulaCheck(threading.Thread):
    """Finds the formulas that MathJax cannot typeset, while pandoc writes the page.

    Those known to be good are kept in the file ``known``.
    """

    def __init__(self, page: Page, formulas: list[tuple[str, bool]], known: Path, extra: list[str]) -> None:
        super().__init__()
        self.page, self.known, self.extra = page, known, extra
        good = set(known.read_text(encoding="ascii", errors="replace").split()) if known.is_file() else set()
        start = repr(extra)
        names = {f: hashlib.sha256(f"{start}{f[1]}{f[0]}".encode()).hexdigest()[:20] for f in formulas}
        self.fresh = {f: name for f, name in names.items() if name not in good}
        self.errors: list[str] = []
        self.raised: Exception | None = None

    def run(self) -> None:
        try:
            self.errors = mathjax.check(list(self.fresh), self.extra)
        except Exception as error:
            self.raised = error

    def report(self) -> None:
        """Waits, and puts what was found among the page's problems. Raises MissingProgram."""
        if self.is_alive():
            self.join()
        if self.raised is not None:
            raise self.raised
        passed = []
        for (formula, name), error in zip(self.fresh.items(), self.errors, strict=True):
            if error:
                self.page.formula_problem(formula[0], error)
            else:
                passed.append(name)
        if passed:
            with contextlib.suppress(OSError):  # a full disk, or a project that may only be read
                self.known.parent.mkdir(parents=True, exist_ok=True)
                with open(self.known, "a", encoding="ascii") as file:
                    file.write("".join(name + "\n" for name in passed))


def set_formulas(page: Page, mode: str, extra: list[str]) -> None:
    """Formulas as typeset pictures with MathML beside them (``static``), or as MathML alone."""
    formulas = formulas_of(page)
    glyphs = ""
    if mode == "static":
        found, glyphs = mathjax.static(formulas, extra)
    else:
        found = mathjax.mathml(formulas, extra)
    known = dict(zip(formulas, found, strict=True))
    for formula, made in known.items():
        if made.error:
            page.formula_problem(formula[0], made.error)

    def put(element: pf.Element) -> Change:
        display = element.format == "DisplayMath"
        made = known[element.text, display]
        source = html.escape(element.text)
        if made.error:
            return nodes.error(pf.Code(element.text))
        mathml = made.mathml.replace("<math ", f'<math alttext="{source}" ', 1)
        kind = "display" if display else "inline"
        if mode == "static":
            svg = made.svg.replace("<svg ", '<svg aria-hidden="true" ', 1)
            wide = ' class="full"' if 'width="100%"' in svg[:300] else ""
            text = f'<span{wide}>{svg}</span><span class="assistive">{mathml}</span>'
        else:
            text = mathml
        return pf.RawInline(f'<span class="math {kind} {mode}">{text}</span>', format="html")

    walk(page.doc, put, pf.Math, metadata=True)
    if glyphs:  # what the pictures share
        block = pf.RawBlock(f'<svg class="glyphs" aria-hidden="true">{glyphs}</svg>', format="html")
        page.doc.content.insert(0, block)


def _full_bars(text: str) -> str:
    r"""MathJax sets ``\left\|x\right\|`` with bars that are shorter than a line; a strut makes them whole
    (test_constructs.py: test_short_double_bars_have_a_strut_in_mathjax)."""
    return re.sub(r"(\\left\s*\\(?:\||[lr]?Vert(?![A-Za-z])))", r"\1\\mathstrut ", text)


def anchor_formulas(page: Page) -> None:
    """Labels out of the formulas and into the page, where any link finds them."""

    def visit(element: pf.Element) -> Change:
        text, labels = take_labels(element.text)
        element.text = _full_bars(text)
        whole = element
        for label in reversed(labels):
            whole = pf.Span(whole, identifier=label, classes=["equation"])
        return whole if labels else None

    walk(page.doc, visit, pf.Math, metadata=True)
