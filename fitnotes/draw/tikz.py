"""TikZ drawings through an installed LaTeX: one PDF each, which every target gets in the format that it shows.

A drawing is a ```` ```tikz ```` block, or, for targets other than LaTeX, a TikZ environment that stands in the text.
What was drawn once is kept, so that a build with nothing new in it starts no LaTeX.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import panflute as pf

from fitnotes.document import nodes
from fitnotes.document.fragments import read_captions
from fitnotes.document.nodes import DARK, placeholder
from fitnotes.document.tree import Change, Elements, walk
from fitnotes.draw import darken
from fitnotes.draw.media import Media
from fitnotes.draw.pictures import folder_of, kept
from fitnotes.errors import ConversionError, Problem
from fitnotes.execute.slots import cores
from fitnotes.passes.rawtex import DRAWINGS, is_drawing
from fitnotes.passes.results import output_block
from fitnotes.settings import nearest, to_bool
from fitnotes.source.note import LINE, TIKZ, Note
from fitnotes.store.files import digest
from fitnotes.store.inputs import MISSING, file_hash
from fitnotes.tex import packages
from fitnotes.tex.engines import LATEX, any_latex, how_to_install, run_latex
from fitnotes.tex.preamble import Preamble

VERSION = 1  # of the document that a drawing is put in: with another one all are drawn anew
TIME_LIMIT = 60.0  # seconds for one run
ATTRIBUTES = frozenset({"caption", "fig-cap", "fig-alt", "width", "height", "filename", "label", DARK})

# `axis` and its like stand inside a drawing.
_DRAWS = re.compile(rf"\\begin\s*\{{(?:{'|'.join(DRAWINGS)})\}}|\\tikz(?![A-Za-z])|\\feynmandiagram")
_INSIDE = re.compile(r"\s*\\begin\s*\{(?:\w*axis|groupplot|scope|pgf\w+)\}")
_HOISTED = re.compile(
    r"\s*(?:%|$|\\(?:usepackage|RequirePackage|usetikzlibrary|usepgfplotslibrary|usepgflibrary|usegdlibrary|tikzset"
    r"|tikzcdset|ctikzset|pgfplotsset|tikzstyle|definecolor|colorlet|(?:new|renew|provide)command|def|DeclareMathOperator"
    r"|documentclass|newlength|setlength)(?![A-Za-z]))"
)
_OPTION = re.compile(r"%\|\s*([\w.-]+)\s*:\s*(.*?)\s*$")
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


_failed: dict[str, tuple[float, TikzError]] = {}
SAME_BUILD = 30.0  # seconds for which a mistake is remembered, so that LaTeX stops at it once for all targets


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


class Drawer:
    """Draws for one page. ``dark``: a second picture for dark pages, unless a block says otherwise."""

    def __init__(
        self,
        note: Note,
        media: Media,
        preamble: Preamble,
        root: Path,
        *,
        engine: str = "",
        dark: bool = False,
    ) -> None:
        self.note = note
        self.media = media
        self.preamble = preamble
        self.folder = folder_of(root)
        self.engine = any_latex(engine)
        self.dark = dark
        self.problems: list[Problem] = []
        self._drawn: dict[Drawing, bytes | TikzError] = {}

    # ----------------------------------------------------------------------------------------------
    # In the document

    def draw_blocks(self, doc: pf.Doc) -> list[Problem]:
        """Puts a picture in the place of every ```` ```tikz ```` block; one that is wrong stays as source under its
        error. Returns what was found wrong."""
        found: Elements = []
        walk(doc, lambda e: found.append(e) if e.classes[:1] == [TIKZ] else None, pf.CodeBlock)
        if not found:
            return []
        blocks = {id(element): self._block(element) for element in found}
        captions = read_captions([c for _, options in blocks.values() if (c := _caption(options))])
        self._draw_all([drawing for drawing, _ in blocks.values()])

        def visit(element: pf.Element) -> Change:
            if id(element) not in blocks:
                return None
            drawing, options = blocks[id(element)]
            caption = _caption(options)
            words = captions.get(caption, [])
            made = self._image(drawing, options, element.identifier or "drawing", doc)
            if isinstance(made, list):
                return made
            if not caption and not element.identifier:
                return pf.Para(made)
            return pf.Figure(
                pf.Plain(made), caption=pf.Caption(pf.Plain(*words)), identifier=element.identifier
            )

        walk(doc, visit, pf.CodeBlock)
        return self._taken()

    def draw_raw(self, doc: pf.Doc) -> list[Problem]:
        """The same for TikZ that stands in the text as in LaTeX, and for a diagram that is all of a formula."""
        found: Elements = []

        def look(element: pf.Element) -> None:
            raw = not isinstance(element, pf.Math)
            if (
                element.format in ("tex", "latex") if raw else element.format == "DisplayMath"
            ) and is_drawing(element.text):
                found.append(element)

        walk(doc, look, pf.RawBlock, pf.RawInline, pf.Math)
        at = 0
        drawings: dict[int, Drawing] = {}
        for element in found:
            place = self.note.text.find(element.text, at)
            at = place + 1 if place >= 0 else at
            line = self.note.text.count("\n", 0, place) + 1 if place >= 0 else self.note.line_of(element.text)
            drawings[id(element)] = self._with_files(re.sub(r"\\\[|\\\]", "", element.text), line)
        self._draw_all(list(drawings.values()))

        def visit(element: pf.Element) -> Change:
            if id(element) not in drawings:
                return None
            drawing = drawings[id(element)]
            if self.engine is None and isinstance(self._drawn.get(drawing), TikzError):
                return self._source(element, drawing)
            made = self._image(drawing, {}, "drawing", doc)
            if isinstance(element, pf.RawBlock):
                return made if isinstance(made, list) else pf.Para(made)
            if isinstance(made, list):
                return nodes.error(pf.Code(element.text))
            if isinstance(element, pf.Math):  # a line of its own
                return [pf.LineBreak()] * bool(element.prev) + [made] + [pf.LineBreak()] * bool(element.next)
            return made

        walk(doc, visit, pf.RawBlock, pf.RawInline, pf.Math)
        return self._taken()

    def _source(self, element: pf.Element, drawing: Drawing) -> pf.Element:
        """What stands in the text of a note that was written for LaTeX is shown, where there is none."""
        shown = element.text.strip().split("\n")[0][:60]
        message = f"raw TeX {shown} is a drawing, for which no LaTeX is installed; its source is shown"
        hint = how_to_install("lualatex")
        self.problems.append(Problem("raw-tex", message, self.note.shown, drawing.line, hint))
        if isinstance(element, pf.RawBlock):
            return pf.CodeBlock(element.text, classes=["latex"])
        return pf.Code(element.text)

    def _taken(self) -> list[Problem]:
        found, self.problems = self.problems, []
        return found

    def _block(self, element: pf.Element) -> tuple[Drawing, dict[str, str]]:
        """A block's source without its options, and these."""
        given = dict(element.attributes)
        mark = given.pop(LINE, None)
        line = int(mark) + 1 if mark else self.note.line_of(element.text)
        lines = element.text.split("\n")
        for n, text in enumerate(lines):
            option = _OPTION.match(text)
            if option is None:
                break
            given[option[1]] = option[2].strip("\"'")
            lines[n] = ""
        options: dict[str, str] = {}
        for key, value in given.items():
            name = key.replace(".", "-").replace("_", "-")
            if name in ATTRIBUTES:
                options[name] = value
            else:
                hint = nearest(name, ATTRIBUTES)
                message = f"unknown option {key!r} of a drawing"
                self._say("unknown-option", message, line and line - 1, hint)
        element.identifier = element.identifier or options.get("label", "")
        return self._with_files("\n".join(lines), line), options

    def _say(self, code: str, message: str, line: int | None, hint: str | None, shown: str = "") -> None:
        self.problems.append(Problem(code, message, shown or self.note.shown, line, hint))

    def _image(
        self, drawing: Drawing, options: Mapping[str, str], stem: str, doc: pf.Doc
    ) -> pf.Element | Elements:
        """The drawing as an image, or as blocks that say what is wrong."""
        made = self._drawn.get(drawing)
        if made is None:  # nobody looks at it
            return placeholder("drawing not shown")
        if isinstance(made, TikzError):
            shown, line = made.place or (self.note.shown, drawing.line)
            missing = self.engine is None
            code = "missing-program" if missing else "diagram"
            self._say(code, f"tikz: {made}", line, made.hint, shown)
            where = f"line {line}: " if line and shown == self.note.shown else ""
            message = output_block(f"tikz: {where}{made}", "error", str(doc.format))
            return [message, pf.CodeBlock(drawing.code.strip("\n"), classes=["latex"])]
        url = self.media.add(made, ".pdf", options.get("filename") or stem)
        if url is None:
            return placeholder("drawing not shown")
        attributes = {key: options[key] for key in ("width", "height") if key in options}
        if self.media.dark and self._wants_dark(options, drawing):
            converted = self.media.convert(made, ".pdf")
            if converted is not None and converted[1] == ".svg":
                dark = self.media.add(darken.darkened(converted[0]), ".svg", f"{stem}-dark")
                attributes[DARK] = dark or ""
        alt = options.get("fig-alt") or _caption(options) or "Drawing"
        return pf.Image(pf.Str(alt), url=url, attributes=attributes, classes=["diagram"])

    def _wants_dark(self, options: Mapping[str, str], drawing: Drawing) -> bool:
        try:
            return to_bool(options.get(DARK, self.dark))
        except ValueError as expected:
            message = f"option {DARK}: expected {expected}, found {options[DARK]!r}"
            self._say("unknown-option", message, drawing.line and drawing.line - 1, None)
            return False

    # ----------------------------------------------------------------------------------------------
    # LaTeX

    def _with_files(self, code: str, line: int | None) -> Drawing:
        """The drawing with the files beside the note that it names, such as data of a plot."""
        files = {}
        for name in re.findall(r"\{\s*([\w./ -]+\.\w{1,5})\s*\}", code):
            path = self.note.path.parent / name
            self.media.inputs[str(path)] = known = file_hash(path)
            if known != MISSING and ".." not in Path(name).parts and not Path(name).is_absolute():
                files[name] = known
        return Drawing(code, line, tuple(sorted(files.items())))

    def _draw_all(self, drawings: Sequence[Drawing]) -> None:
        wanted = [d for d in dict.fromkeys(drawings) if d not in self._drawn] if self.media.asked else []
        if wanted:
            with ThreadPoolExecutor(max_workers=min(len(wanted), cores())) as pool:
                self._drawn.update(zip(wanted, pool.map(self._draw, wanted), strict=True))

    def _draw(self, drawing: Drawing) -> bytes | TikzError:
        """The drawing as PDF. Without a LaTeX, one that another machine has drawn will do."""
        lines = self._document(drawing)
        text = "\n".join(text for text, _ in lines)

        def make(engine: str) -> Callable[[], bytes]:
            return lambda: self._run(engine, text, lines, drawing)

        try:
            for engine in [self.engine] if self.engine else LATEX:
                key = digest("tikz", VERSION, engine, text, drawing.files)
                when, error = _failed.get(key, (0.0, None))
                if error is not None and time.monotonic() - when < SAME_BUILD:
                    raise error
                try:
                    return kept(self.folder, key, make(engine) if self.engine else _give_up)
                except LookupError:
                    continue
                except TikzError as error:
                    _failed[key] = time.monotonic(), error
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
        body = re.sub(r"(?<!\\)%.*", "", "\n".join(code[start:end]))
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
        with tempfile.TemporaryDirectory(prefix="fitnotes-") as scratch:
            source = Path(scratch, "drawing.tex")
            source.write_text(text, encoding="utf-8")
            for name, _ in drawing.files:
                copy = source.parent / name
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes((self.note.path.parent / name).read_bytes())
            try:
                good, log = run_latex(engine, source, TIME_LIMIT)
                if good and re.search(r"Rerun to get|remember\s+picture", log + text):
                    good, log = run_latex(engine, source, TIME_LIMIT)
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


def _caption(options: Mapping[str, str]) -> str:
    return options.get("fig-cap") or options.get("caption", "")


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
