"""A formula as it stands in a PDF by lualatex: what a note is for LaTeX, with one formula below another."""

from __future__ import annotations

import bisect
import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fitnotes.document.read import read_document
from fitnotes.draw.media import Media
from fitnotes.passes.page import Page, Place
from fitnotes.passes.pipeline import compose, take
from fitnotes.settings import Settings
from fitnotes.source.mark import mark
from fitnotes.source.note import Note
from fitnotes.targets import registry
from fitnotes.targets.latex import LATEX, pictures
from fitnotes.targets.latex import places as places_of
from fitnotes.targets.latex.document import latex
from fitnotes.targets.latex.look import LOOK, steps
from fitnotes.targets.latex.places import without_marks
from fitnotes.tex import environments
from judge.drawing import PICTURE, Drawing
from judge.pdf import MARK, marked

_NUMBERED = re.compile(r"\\(begin|end)\s*\{(equation|align|gather|multline|alignat|flalign|eqnarray)\}")
_FILLS = re.compile(r"\\begin\s*\{(?:align|gather|multline|flalign)\*?\}")  # as wide as the column in LaTeX
# Definitions would go to the preamble of all.
_DEFINES = re.compile(
    r"\\(?:(?:re|provide)?newcommand|g?def|let|newenvironment|renewenvironment|Declare\w+)(?![A-Za-z])"
)
_PAPER = "paperwidth=90cm,paperheight=500cm,margin=2cm"
_SIGNS = {
    "slash": "/", "backslash": "\\", "radical": "√", "unionsq": "⊔", "contintegral": "∮", "circledot": "⨀",
    "circleplus": "⨁", "circlemultiply": "⨂", "summation": "∑", "product": "∏", "integral": "∫", "union": "⋃",
    "intersection": "⋂", "unionmulti": "⨄", "logicaland": "⋀", "logicalor": "⋁", "coproduct": "∐",
    **{f"{name}{side}": sign for name, signs in (("paren", "()"), ("bracket", "[]"), ("floor", "⌊⌋"), ("brace", "{}"),
       ("ceiling", "⌈⌉"), ("angbracket", "⟨⟩")) for side, sign in zip(("left", "right"), signs, strict=True)},
}  # fmt: skip
# Names of signs in TeX's fonts that have no character by themselves, and the character.
_NAMES = {
    **{f"{name}{size}": sign for name, sign in _SIGNS.items()
       for size in ("big", "Big", "bigg", "Bigg", "text", "display")},
    **{f"hatwide{more}": "^" for more in ("", "r", "st")}, **{f"tildewide{more}": "~" for more in ("", "r", "st")},
    **{f"bracehtip{side}": "\ue150" for side in ("downleft", "downright", "upleft", "upright")},
    **dict.fromkeys(("vextendsingle", "barshort", "notshortbar"), "|"), "radicalbt": "\ue001",
    "radicalvertex": "\ue001", "radicaltp": "\ue001", **dict.fromkeys(("vextenddouble", "parallelshort"), "‖"),
    "mapsto": "\ue190",
    "arrowhookleft": "\ue191", "arrowhookright": "\ue192", "lessornotsimilar": "⋦", "greaterornotsimilar": "⋧",
    "subsetornoteql": "⊊", "supersetornoteql": "⊋", "notshortparallel": "∦", "arrowtp": "↑", "arrowbt": "↓",
    "arrowdbltp": "⇑", "arrowdblbt": "⇓", "arrowvertexdbl": "‖", "squaresmallsolid": "▪",
}  # fmt: skip
_UNICODE = "\n".join([
    r"\pdfvariable gentounicode=1", r"\protected\def\pdfglyphtounicode{\pdfextension glyphtounicode}",
    r"\input{glyphtounicode}",
    *(f"\\pdfglyphtounicode{{{name}}}{{{ord(sign):04X}}}" for name, sign in _NAMES.items()),
    r"\pagestyle{empty}", r"\begin{document}",
])  # fmt: skip


def note_of(
    formulas: Sequence[tuple[str, bool]], extra: Sequence[str], folder: Path, header: str = ""
) -> Note:
    """A note with the formulas, each behind a paragraph with the mark. Numbers at the margin are not compared."""
    packages = "".join(f"- \\usepackage{{{name}}}\n" for name in extra)
    lines = ["---", header, f"header-includes:\n{packages}" if extra else "", "---", ""]
    for tex, display in formulas:
        tex = _NUMBERED.sub(r"\\\1{\2*}", environments.TAG.sub("", tex))
        lines += [MARK, f"$${tex}$$" if display else f"${tex}$", ""]  # one paragraph, which stays on one page
    text = "\n".join(lines)
    return Note(folder / "judge.md", text, mark(text))


def by_latex(formulas: Sequence[tuple[str, bool]], extra: Sequence[str] = ()) -> list[Drawing]:
    """The drawing of each (TeX, display?) that stands in the PDF."""
    drawings = [Drawing(error=PICTURE if _DEFINES.search(tex) or tex == "$" else "") for tex, _ in formulas]
    left = [n for n, drawing in enumerate(drawings) if not drawing.error]
    while True:
        stopped, found = _typeset([formulas[n] for n in left], extra)
        for place in stopped:  # which fitnotes shows as pictures, and what came of their errors
            drawings[left[place]].error = PICTURE
        if not stopped:
            break
        left = [n for place, n in enumerate(left) if place not in stopped]
    if len(found) != len(left):
        raise ValueError(f"{len(found)} formulas in the PDF, not {len(left)}")
    for n, drawing in zip(left, found, strict=True):
        drawings[n] = replace(drawing, fills=bool(_FILLS.search(formulas[n][0])))
    return drawings


def _typeset(formulas: Sequence[tuple[str, bool]], extra: Sequence[str]) -> tuple[set[int], list[Drawing]]:
    """Those at which LaTeX stops; if there are none, what it has made of all."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        note = note_of(formulas, extra, folder, f"geometry: '{_PAPER}'\nfontsize: 10pt")
        page = _page(note, folder)
        whole = latex(page, [])
        text = without_marks(whole).replace("\\begin{document}", _UNICODE, 1)
        source = folder / "judge.tex"
        source.write_text(text, encoding="utf-8")
        command = ["lualatex", "-interaction=nonstopmode", source.name]
        subprocess.run(command, cwd=folder, capture_output=True, check=False)
        log = source.with_suffix(".log").read_text(encoding="utf-8", errors="replace")
        places = [n for n, line in enumerate(text.split("\n"), 1) if line.startswith(MARK)]
        lines = [int(place) for place in re.findall(r"^! .*\n(?:.*?\n)*?^l\.(\d+)", log, re.MULTILINE)]
        lines += [int(place) for place in re.findall(r"invalid in math mode on input line (\d+)", log)]
        kept = pictures.beforehand(page, whole)
        gone = {str(n) for n, placed in enumerate(page.placed) if not places_of.stands(kept, n, placed)}
        more = _UNICODE.count("\n")
        for n, line in enumerate(whole.split("\n"), 1 + more):
            lines += [n for number in places_of.MARK.findall(line) if number in gone]
        if any(line < places[0] for line in lines):
            raise ValueError(f"LaTeX: an error in the preamble: {re.findall('^! .*', log, re.MULTILINE)[:3]}")
        stopped = {bisect.bisect_right(places, line) - 1 for line in lines}
        if stopped:
            return stopped, []
        return set(), marked(source.with_suffix(".pdf"), 10)


def _page(note: Note, folder: Path) -> Page:
    document = read_document(note, Settings())
    place = Place(folder, folder, formats=registry.format_names())
    page = compose(document, {}, LATEX, Media(folder, ""), place, look=LOOK)
    take(page, steps(plain=True))
    return page
