"""TikZ drawings through an installed LaTeX: one PDF each, which every target gets in the format that it shows.

A drawing is a ```` ```tikz ```` block, or, for targets other than LaTeX, a TikZ environment that stands in the text.
What was drawn once is kept, so that a build with nothing new in it starts no LaTeX.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from fitnotes.document.nodes import DARK
from fitnotes.draw import darken
from fitnotes.draw.drawing import COMMON, Drawn, Failed, Sketch, Surroundings, with_options
from fitnotes.errors import ConversionError, Problem
from fitnotes.execute.slots import cores
from fitnotes.settings import to_bool
from fitnotes.store.blobs import Blobs
from fitnotes.store.files import digest
from fitnotes.store.inputs import MISSING, file_hash
from fitnotes.store.scratch import scratch_folder
from fitnotes.tex import packages
from fitnotes.tex.engines import LATEX, any_latex, how_to_install, run_latex
from fitnotes.tex.tokens import blank_comments

VERSION = 1  # of the document that a drawing is put in: with another one all are drawn anew
TIME_LIMIT = 60.0  # seconds for one run
# Environments that are a TikZ drawing by themselves.
DRAWINGS = ("tikzpicture", "tikzcd", "circuitikz", "forest")
_DRAWING = re.compile(
    rf"\s*(?:\\\[\s*)?\\begin\{{({'|'.join(DRAWINGS)})\}}(?s:.*)\\end\{{\1\}}\s*(?:\\\]\s*)?"
    r"|\s*\\tikz\s*(?:\[[^\]]*\])?\s*\{(?s:.*)\}\s*"
)


def is_drawing(text: str) -> bool:
    """Whether raw TeX is a TikZ drawing and nothing else."""
    return _DRAWING.fullmatch(text) is not None


# `axis` and its like stand inside a drawing.
_DRAWS = re.compile(rf"\\begin\s*\{{(?:{'|'.join(DRAWINGS)})\}}|\\tikz(?![A-Za-z])|\\feynmandiagram")
_INSIDE = re.compile(r"\s*\\begin\s*\{(?:\w*axis|groupplot|scope|pgf\w+)\}")
_HOISTED = re.compile(
    r"\s*(?:%|$|\\(?:usepackage|RequirePackage|usetikzlibrary|usepgfplotslibrary|usepgflibrary|usegdlibrary|tikzset"
    r"|tikzcdset|ctikzset|pgfplotsset|tikzstyle|definecolor|colorlet|(?:new|renew|provide)command|def|DeclareMathOperator"
    r"|documentclass|newlength|setlength)(?![A-Za-z]))"
)
# Of the page, not of a drawing; geometry would give it a page again.
_PAGE = re.compile(
    r"\\usepackage\s*(?:\[[^\]]*\])?\s*\{(?:geometry|fancyhdr|titlesec|setspace)\}|\\geometry\s*\{[^}]*\}"
    r"|\\pagestyle\s*\{[^}]*\}|\\documentclass\s*(?:\[[^\]]*\])?\s*\{[^}]*\}"
)
# The drawing's name and the time are not to be in it: the same source gives the same file.
_HEAD = r"""\documentclass[11pt,border=1pt]{standalone}
\usepackage{iftex}
\ifPDFTeX\usepackage[T1]{fontenc}\usepackage{lmodern}\pdftrailerid{}\fi
\ifLuaTeX\pdfvariable trailerid {[<0> <0>]}\fi"""


class TikzError(Exception):
    """``place`` is where LaTeX stopped, if that is known: (file as shown, line)."""

    def __init__(
        self, message: str, place: tuple[str, int | None] | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.place = place
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Drawing:
    """A drawing's source. ``line`` is the note's line of its first line, ``files`` are those that it reads."""

    code: str
    line: int | None
    files: tuple[tuple[str, str], ...] = ()


class Tikz:
    """The drawings of one page."""

    noun: ClassVar[str] = "drawing"
    options: ClassVar[frozenset[str]] = COMMON | {DARK}

    def __init__(self, around: Surroundings) -> None:
        self.around = around
        self.note = around.note
        self.media = around.media
        self.preamble = around.preamble
        self.blobs = Blobs.of(around.root)
        self.engine = any_latex(around.pdf_engine)
        self._files: dict[int, tuple[tuple[str, str], ...]] = {}

    def learn(self, tex: str) -> None:
        """LaTeX learns from the preamble alone."""

    def read(self, block: Sketch) -> Sketch:
        """The options stand at the top of its code too: ``%| caption: Words``."""
        return self.with_files(with_options(block, self.options, "%"))

    def source(self, block: Sketch) -> str | None:
        return None

    def draw(self, blocks: Sequence[Sketch]) -> list[Drawn | Failed | None]:
        if self.around.unseen:
            return [None] * len(blocks)
        drawings = [Drawing(block.code, block.line, self._files[id(block)]) for block in blocks]
        wanted = list(dict.fromkeys(drawings))
        with ThreadPoolExecutor(max_workers=min(len(wanted), cores())) as pool:
            made = dict(zip(wanted, pool.map(self._draw, wanted), strict=True))
        return [self._result(block, made[d]) for block, d in zip(blocks, drawings, strict=True)]

    def _result(self, block: Sketch, made: bytes | TikzError) -> Drawn | Failed:
        if isinstance(made, TikzError):
            shown, line = made.place or (self.note.shown, block.line)
            code = "missing-program" if self.engine is None else "diagram"
            where = f"line {line}: " if line and shown == self.note.shown else ""
            problem = Problem(code, f"tikz: {made}", shown, line, made.hint)
            return Failed(problem, f"tikz: {where}{made}", block.code.strip("\n"), ("latex",))
        dark, problems = self._dark(block, made) if self.media.dark else (None, ())
        return Drawn(made, ".pdf", problems, dark)

    def _dark(self, block: Sketch, pdf: bytes) -> tuple[bytes | None, tuple[Problem, ...]]:
        """The drawing for dark pages, if it is wanted."""
        try:
            wanted = to_bool(block.options.get(DARK, self.around.dark))
        except ValueError as expected:
            message = f"option {DARK}: expected {expected}, found {block.options[DARK]!r}"
            return None, (Problem("unknown-option", message, self.note.shown, block.fence),)
        converted = self.media.convert(pdf, ".pdf") if wanted else None
        return darken.darkened(converted[0]) if converted and converted[1] == ".svg" else None, ()

    # ----------------------------------------------------------------------------------------------
    # LaTeX

    def with_files(self, block: Sketch) -> Sketch:
        """Takes note of the files beside the note that a drawing names, such as data of a plot."""
        files = {}
        for name in re.findall(r"\{\s*([\w./ -]+\.\w{1,5})\s*\}", block.code):
            path = self.note.path.parent / name
            if not path.resolve().is_relative_to(self.around.root.resolve()):
                continue
            self.media.inputs[str(path)] = known = file_hash(path)
            if known != MISSING and ".." not in Path(name).parts and not Path(name).is_absolute():
                files[name] = known
        self._files[id(block)] = tuple(sorted(files.items()))
        return block

    def _draw(self, drawing: Drawing) -> bytes | TikzError:
        """The drawing as PDF. Without a LaTeX, one that another machine has drawn will do."""
        lines = self._document(drawing)
        text = "\n".join(text for text, _ in lines)

        def make(engine: str) -> Callable[[], bytes]:
            return lambda: self._run(engine, text, lines, drawing)

        try:
            for engine in [self.engine] if self.engine else LATEX:
                key = digest("tikz", VERSION, engine, text, drawing.files)
                if (known := self.around.failures.get(key)) is not None:
                    raise known
                try:
                    return self.blobs.made_once(key, make(engine) if self.engine else _give_up)
                except LookupError:
                    continue
                except TikzError as error:
                    self.around.failures[key] = error
                    raise
            raise TikzError(
                "no LaTeX is installed, which drawings in TikZ need", hint=how_to_install("lualatex")
            )
        except TikzError as error:
            return error

    def _document(self, drawing: Drawing) -> list[tuple[str, tuple[str, int | None] | None]]:
        """The lines of the LaTeX document, each with where it comes from."""
        shown = self.note.shown
        code = drawing.code.split("\n")
        first = drawing.line

        def numbered(start: int, end: int) -> list[tuple[str, tuple[str, int | None] | None]]:
            return [(code[n], (shown, first + n if first else None)) for n in range(start, end)]

        begin = next((n for n, text in enumerate(code) if text.strip() == r"\begin{document}"), None)
        end = next((n for n, text in enumerate(code) if text.strip() == r"\end{document}"), len(code))
        top = begin if begin is not None else _top(code)
        start = begin + 1 if begin is not None else top
        body = blank_comments("\n".join(code[start:end]))
        wrapped = not _DRAWS.search(body) and (_INSIDE.match(body) or not re.match(r"\s*\\begin\s*\{", body))
        hoisted = [(_PAGE.sub("", text), place) for text, place in numbered(0, top)]
        inside = ["\\begin{tikzpicture}"] if wrapped else []
        outside = ["\\end{tikzpicture}"] if wrapped else []
        needed = "\n".join([*inside, body, *(text for text, _ in hoisted)])
        return [
            *((text, None) for text in _HEAD.split("\n")),
            *self._preamble(needed),
            *hoisted,
            *((text, None) for text in ["\\begin{document}", *inside]),
            *numbered(start, end),
            *((text, None) for text in [*outside, "\\end{document}"]),
        ]

    def _preamble(self, body: str) -> list[tuple[str, tuple[str, int | None] | None]]:
        own, places = [], []
        for part in self.preamble.parts:
            lines = part.text.split("\n")
            own += lines
            places += [(part.shown, part.line + n if part.line else None) for n in range(len(lines))]
        text = _PAGE.sub("", "\n".join(own))
        compat = re.search(r"\{\w*axis\}|\{groupplot\}|\\addplot", body) and "compat" not in text + body
        made = packages.write(f"{body}$", packages.renewed(text), [], "", geometry=True, mainfont=True)
        lines = [line for line in ["\\usepackage{tikz}", *made.split("\n")] if line.strip()]
        known = {
            line.strip(): place
            for line, place in zip(packages.renewed(text).split("\n"), places, strict=False)
        }
        extra = ["\\pgfplotsset{compat=newest}"] if compat else []
        return [(line, known.get(line.strip())) for line in [*lines, *extra]]

    def _run(
        self,
        engine: str,
        text: str,
        lines: Sequence[tuple[str, tuple[str, int | None] | None]],
        drawing: Drawing,
    ) -> bytes:
        with scratch_folder() as scratch:
            source = Path(scratch, "drawing.tex")
            source.write_text(text, encoding="utf-8")
            for name, _ in drawing.files:
                copy = source.parent / name
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes((self.note.path.parent / name).read_bytes())
            try:
                good, log = run_latex(engine, source, TIME_LIMIT, root=self.around.root)
                if good and re.search(r"Rerun to get|remember\s+picture", log + text):
                    good, log = run_latex(engine, source, TIME_LIMIT, root=self.around.root)
            except ConversionError as error:
                raise TikzError(error.message) from None
            if not good:
                raise _reason(engine, log, lines)
            try:
                return source.with_suffix(".pdf").read_bytes()
            except OSError:  # LaTeX makes none where nothing is drawn
                raise TikzError("it draws nothing") from None


def _give_up() -> bytes:
    raise LookupError


def _top(code: Sequence[str]) -> int:
    """How many lines at the top belong into the preamble; one command may take several."""
    n = 0
    while n < len(code) and _HOISTED.match(code[n]):
        end, depth = n, _depth(code[n])
        while depth > 0 and end + 1 < len(code):
            end += 1
            depth += _depth(code[end])
        n = end + 1
    return n


def _depth(line: str) -> int:
    line = re.sub(r"\\.|%.*", "", line)
    return line.count("{") - line.count("}") + line.count("[") - line.count("]")


def _reason(engine: str, log: str, lines: Sequence[tuple[str, tuple[str, int | None] | None]]) -> TikzError:
    """LaTeX's reason, and where it stopped."""
    reason = next((line[2:].strip() for line in log.split("\n") if line.startswith("! ")), f"{engine} failed")
    place = None
    if stop := re.search(r"^l\.(\d+) ?(.*)$", log, re.MULTILINE):
        number = int(stop[1])
        place = next((lines[n][1] for n in range(min(number, len(lines)) - 1, -1, -1) if lines[n][1]), None)
        if reason.startswith("Undefined control sequence") and (
            names := re.findall(r"\\[A-Za-z@]+", stop[2])
        ):
            reason = f"LaTeX does not know {names[-1]}"
    reason = re.sub(r"^(?:(?:Package|Class) )?\w+ Error: ", "", reason).rstrip(".")
    package = re.search(r"File `([^']+\.(?:sty|cls))' not found", reason)
    return TikzError(reason, place, f"install the LaTeX package that has {package[1]}" if package else None)
