"""A judge of formulas: each is drawn by MathJax, as the browser shows it, and by another target, and both are compared
sign by sign: which signs there are, how large, where, and the rules between them.

    PYTHONPATH=tests python -m judge FILE… [--by latex] [--page judge.html]

takes formulas one a line (`#` before what is none) or those of notes, and writes both pictures of every formula that
differs, side by side, with the differences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import panflute as pf

from fitnotes.document.read import read_document
from fitnotes.document.tree import walk
from fitnotes.draw.media import Media
from fitnotes.passes.page import Place
from fitnotes.passes.pipeline import compose
from fitnotes.settings import Settings
from fitnotes.source.note import read_note
from fitnotes.targets import registry
from fitnotes.targets.typst import TYPST
from fitnotes.tex import environments
from fitnotes.tex.portable import portable
from judge.compare import differences
from judge.drawing import Drawing
from judge.latex import by_latex
from judge.mathjax import by_mathjax
from judge.typst import by_typst

Formulas = Sequence[tuple[str, bool]]  # (TeX, display?)
Judged = tuple[str, Drawing, Drawing, list[str]]
TARGETS: Mapping[str, Callable[[Formulas, Sequence[str]], list[Drawing]]] = {
    "typst": by_typst,
    "latex": by_latex,
}


def read(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").split("\n")
    return [line for line in lines if line.strip() and not line.startswith("#")]


def of_notes(paths: Iterable[Path], folder: Path) -> list[tuple[str, bool]]:
    """The formulas (TeX, display?) of notes as a target without macros gets them, without running their blocks."""
    found: list[tuple[str, bool]] = []

    def collect(element: pf.Element) -> None:
        text, _ = environments.take_labels(element.text)
        found.append((text, element.format == "DisplayMath"))

    for path in paths:
        document = read_document(read_note(path), Settings())
        place = Place(path.parent, path.parent, formats=registry.format_names())
        page = compose(document, {}, TYPST, Media(folder, ""), place)
        walk(page.doc, collect, pf.Math, metadata=True)
    return list(dict.fromkeys(found))


def judge(formulas: Formulas, extra: Sequence[str] = (), by: str = "typst") -> list[Judged]:
    """(TeX, the browser's drawing, a target's, what differs) of each formula (TeX, display?) that MathJax takes."""
    # LaTeX gets a whole note, whose formulas are brought into one form first.
    forms = [(_in_one_form(tex) if display and by != "typst" else tex, display) for tex, display in formulas]
    shown = by_mathjax(forms, extra)
    taken = [n for n, drawing in enumerate(shown) if not drawing.error]
    others = TARGETS[by]([formulas[n] for n in taken], extra)
    return [
        (formulas[n][0], shown[n], other, differences(shown[n], other))
        for n, other in zip(taken, others, strict=True)
    ]


def _in_one_form(tex: str) -> str:
    made = environments.rewrite(tex)
    return portable(environments.take_labels(made[0])[0]) if len(made) == 1 else tex
