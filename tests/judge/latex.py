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
from fitnotes.targets.latex import LATEX
from fitnotes.targets.latex.document import latex
from fitnotes.targets.latex.look import LOOK, steps
from fitnotes.tex import environments
from judge.drawing import PICTURE, Drawing
from judge.pdf import MARK, marked

_NUMBERED = re.compile(r"\\(begin|end)\s*\{(equation|align|gather|multline|alignat|flalign|eqnarray)\}")
_FILLS = re.compile(r"\\begin\s*\{(?:align|gather|multline|flalign)\*?\}")  # as wide as the column in LaTeX
# Definitions would go to the preamble of all.
_DEFINES = re.compile(
    r"\\(?:(?:re|provide)?newcommand|g?def|let|newenvironment|renewenvironment|Declare\w+)(?![A-Za-z])"
)
# Errors behind which LaTeX goes on as if nothing had been.
_ALONE = re.compile(
    "Undefined control|LaTeX Error: (?:Illegal char|Environment .* undefined)|Extra align|Package xcolor|.*Old form"
    "|.*Multiple .label|Missing number|Illegal unit|You can't use"
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
    **dict.fromkeys(("vextendsingle", "barshort", "notshortbar"), "|"), "radicalbt": "√", "radicalvertex": "\ue001",
    "radicaltp": "\ue001", **dict.fromkeys(("vextenddouble", "parallelshort"), "‖"), "mapsto": "\ue190",
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
        lines += [MARK, "", f"$${tex}$$" if display else f"${tex}$", ""]
    text = "\n".join(lines)
    return Note(folder / "judge.md", text, mark(text))


def by_latex(formulas: Sequence[tuple[str, bool]], extra: Sequence[str] = ()) -> list[Drawing]:
    """The drawing of each (TeX, display?) that stands in the PDF."""
    drawings = [Drawing(error=PICTURE if _DEFINES.search(tex) else "") for tex, _ in formulas]
    left = [n for n, drawing in enumerate(drawings) if not drawing.error]
    for _ in range(60):  # what LaTeX stops at may take others with it: they are set again, without it
        errors, found = _typeset([formulas[n] for n in left], extra)
        for place, reason in errors.items():
            drawings[left[place]].error = f"LaTeX: {reason}"
        if not errors:
            if len(found) != len(left):
                raise ValueError(f"{len(found)} formulas in the PDF, not {len(left)}")
            for n, drawing in zip(left, found, strict=True):
                drawings[n] = replace(drawing, fills=bool(_FILLS.search(formulas[n][0])))
            return drawings
        left = [n for place, n in enumerate(left) if place not in errors]
    raise ValueError(f"LaTeX stops again and again: {errors}")


def _typeset(
    formulas: Sequence[tuple[str, bool]], extra: Sequence[str]
) -> tuple[dict[int, str], list[Drawing]]:
    """The reasons of those at which LaTeX stops; if there are none, what it has made of all."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = latex(
            _page(note_of(formulas, extra, folder, f"geometry: '{_PAPER}'\nfontsize: 10pt"), folder), []
        )
        text = text.replace("\\begin{document}", _UNICODE, 1)
        source = folder / "judge.tex"
        source.write_text(text, encoding="utf-8")
        command = ["lualatex", "-interaction=nonstopmode", source.name]
        subprocess.run(command, cwd=folder, capture_output=True, check=False)
        log = source.with_suffix(".log").read_text(encoding="utf-8", errors="replace")
        places = [n for n, line in enumerate(text.split("\n"), 1) if line == MARK]
        errors: dict[int, str] = {}
        for reason, place, line in re.findall(r"^! (.*)\n(?:.*?\n)*?^l\.(\d+)(.*)", log, re.MULTILINE):
            if int(place) < places[0]:
                raise ValueError(f"LaTeX: {reason} in the preamble")
            errors.setdefault(bisect.bisect_right(places, int(place)) - 1, f"{reason} {line[-30:]}")
        # What comes of another one's error is set again.
        first = min((n for n, reason in errors.items() if not _ALONE.match(reason)), default=None)
        if errors:
            return {n: r for n, r in errors.items() if n == first or _ALONE.match(r)}, []
        return {}, marked(source.with_suffix(".pdf"), 10)


def _page(note: Note, folder: Path) -> Page:
    document = read_document(note, Settings())
    place = Place(folder, folder, formats=registry.format_names())
    page = compose(document, {}, LATEX, Media(folder, ""), place, look=LOOK)
    take(page, steps(plain=True))
    return page
