"""The LaTeX preamble of a note: what its header, the project and its files define, with their lines.

The header is read as YAML, not as the Markdown that pandoc makes of it, so that LaTeX gets it as written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import panflute as pf

from fitnotes.document.tree import collect
from fitnotes.errors import OUTSIDE, TRUST, Problem
from fitnotes.settings import display_path
from fitnotes.source.fences import header_end, header_start
from fitnotes.source.note import Note
from fitnotes.store.inputs import file_hash
from fitnotes.tex import siunitx
from fitnotes.tex.macros import Definition, Macros, definitions, learn
from fitnotes.tex.tokens import Call, blank_comments, calls, packages

# The names that authors give it: pandoc's, Quarto's, and two that neither knows.
KEYS = ("header-includes", "include-header", "include-in-header", "macros")
# These say that a name is new; the others are meant to replace what there is.
_NEW = ("newcommand", "DeclareMathOperator", "NewDocumentCommand", "newenvironment", "def")
_FENCE = re.compile(r"^(`{3,}|~{3,})[ \t]*\{=(\w+)\}[ \t]*$")
# What a preamble holds beside macros and means nothing, or is honoured elsewhere, outside LaTeX.
_LAYOUT = re.compile(
    r"\\(?:usepackage|RequirePackage|documentclass|PassOptionsToPackage|newtheorem|theoremstyle|numberwithin"
    r"|counterwithin|setlength|addtolength|setcounter|addtocounter|newcounter|newlength|geometry|hypersetup"
    r"|allowdisplaybreaks|makeatletter|makeatother|graphicspath|pagestyle|thispagestyle|pagenumbering|linespread"
    r"|setmainfont|setsansfont|setmonofont|setmathfont|definecolor|colorlet|captionsetup|lstset|lstdefinestyle"
    r"|usetikzlibrary|tikzset|pgfplotsset|sisetup|setlist|titleformat|titlespacing|fancyhf|fancyhead|fancyfoot"
    r"|lhead|rhead|chead|lfoot|rfoot|cfoot|onehalfspacing|doublespacing|singlespacing|frenchspacing|sloppy"
    r"|raggedbottom|flushbottom|setstretch|crefname|Crefname|bibliographystyle|addbibresource|DeclareGraphicsExtensions"
    r"|floatplacement|mathtoolsset|renewcommand\*?\s*\{?\\(?:baselinestretch|arraystretch)\}?|hyphenation"
    r"|setkeys|AtBeginDocument|AtEndDocument|pdfoutput|selectfont|normalfont|itshape|sffamily|rmfamily|relax"
    r"|declaretheorem|declaretheoremstyle|newtheoremstyle|DeclareFontFamily|DeclareFontShape|DeclareSymbolFont"
    r"|long|global|protected|outer|newif|everymath|parindent|parskip|textwidth|textheight|oddsidemargin|evensidemargin|topmargin|hfuzz)"
    r"(?![A-Za-z@])[^\\\n]*"
)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the preamble. ``line`` is that of its first line in the file ``shown``."""

    text: str
    shown: str
    line: int | None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where something was defined, and with which words."""

    shown: str
    line: int | None
    words: str


@dataclass(slots=True)
class Preamble:
    """``macros`` are those defined before the first word of the note. ``html`` is for the head of a page;
    ``reads`` tells which files may be read."""

    parts: list[Part] = field(default_factory=list)
    html: list[str] = field(default_factory=list)
    macros: Macros = field(default_factory=Macros)
    places: dict[str, Origin] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    reads: Callable[[Path], bool] = field(default=lambda path: True, compare=False)

    @property
    def tex(self) -> str:
        return "\n".join(part.text for part in self.parts)

    def define(self, text: str, shown: str, line: int | None, macros: Macros | None = None) -> None:
        """Learns the definitions in ``text`` (into ``macros``); a name that is given a second time is said."""
        known = self.macros if macros is None else macros
        for definition in learn(text, known):
            at = None if line is None else line + text.count("\n", 0, definition.start)
            place = Origin(shown, at, " ".join(text[definition.start : definition.end].split()))
            before = self.places.get(definition.name)
            if before is not None and before != place and definition.command in _NEW:
                self._again(definition, place, before)
            if definition.command != "providecommand" or before is None:
                self.places[definition.name] = place

    def _again(self, definition: Definition, place: Origin, before: Origin) -> None:
        if definition.command == "def" and place.words == before.words:
            return
        where = f"line {before.line}" if before.shown == place.shown else f"{before.shown}:{before.line}"
        other = "" if place.words == before.words else ", there as something else"
        message = (
            f"{definition.name} is defined again (first in {where}{other}); the last one holds from here"
        )
        self.problems.append(
            Problem("redefinition", message, place.shown, place.line, "\\renewcommand says that it is meant")
        )


def read_preamble(
    doc: pf.Doc, note: Note, files: Sequence[Path], reads: Callable[[Path], bool] = lambda path: True
) -> Preamble:
    """The preamble in ``doc``'s metadata, which keeps it. ``files`` are the project's, and come first; ``reads`` tells
    whether a file may be read.

    A file that is not there is warned about.
    """
    found = Preamble(reads=reads)
    for path in files:
        _read_file(path, found, note, None)
    for key in KEYS:
        value = doc.metadata.content.get(key)
        if value is None:
            continue
        node = _header_node(note, key)
        pieces = list(_pieces(node)) if node is not None else [(text, None) for text in _raw_tex(value)]
        for text, line in pieces:
            if text is None:
                found.problems.append(_no_macro(note, line))
                continue
            _sort(_with_input(text, note, found), line, key, note, found)
    for part in found.parts:
        found.define(part.text, part.shown, part.line)
    if "siunitx" in packages(found.tex):
        siunitx.add(found.macros, found.tex)
    return found


def _with_input(text: str, note: Note, found: Preamble) -> str:
    """``\\input{macros}`` replaced by the file beside the note, if there is one."""

    def read(match: re.Match[str]) -> str:
        for name in (match[1].strip(), match[1].strip() + ".tex"):
            path = note.path.parent / name
            if not found.reads(path):
                continue
            found.inputs[str(path)] = file_hash(path)  # it may yet appear
            if path.is_file():
                return path.read_text(encoding="utf-8", errors="replace").strip()
        return match[0]

    return re.sub(r"(?<!\\)\\(?:input|include)\s*\{([^}]*)\}", read, text)


def _header_node(note: Note, key: str) -> Any:
    """The YAML node under ``key`` in the note's header; None if it cannot be found."""
    import yaml

    lines = note.text.split("\n")
    start, end = header_start(lines), header_end(lines)
    if start is None or not end:
        return None
    inside = ["" if n <= start else line for n, line in enumerate(lines[: end - 1])]
    try:
        root = yaml.compose("\n".join(inside[1:]), Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return None  # pandoc is more lenient
    if not isinstance(root, yaml.MappingNode):
        return None
    return next((value for name, value in root.value if getattr(name, "value", None) == key), None)


def _no_macro(note: Note, line: int | None) -> Problem:
    message = "a macro of the header has another form than name: definition"
    hint = (
        'expected R: \\mathbb{R}, or norm: ["\\lVert #1 \\rVert", 1], a list with the number of its arguments'
    )
    return Problem("preamble", message, note.shown, line, hint)


def _pieces(node: Any) -> Iterator[tuple[str | None, int | None]]:
    """The texts under a node, each with the note's line of its first line; None for what is no macro."""
    import yaml

    if isinstance(node, yaml.ScalarNode):
        inside = node.style in ("|", ">")
        yield node.value, node.start_mark.line + 2 + inside
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _pieces(item)
    elif isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value in ("text", "file"):
                yield from _pieces(value)
            else:
                yield _macro(name.value, value), name.start_mark.line + 2


def _macro(name: Any, value: Any) -> str | None:
    """``R: \\mathbb{R}`` or ``norm: ["\\lVert #1 \\rVert", 1]``, as MathJax's configuration has it; None for what is
    neither."""
    words = (
        [getattr(item, "value", None) for item in value.value]
        if isinstance(value.value, list)
        else [value.value]
    )
    if not 1 <= len(words) <= 3 or not all(isinstance(word, str) for word in (name, *words)):
        return None
    count = f"[{words[1]}]" if len(words) > 1 else ""
    default = f"[{words[2]}]" if len(words) > 2 else ""
    return f"\\newcommand{{\\{name.lstrip(chr(92))}}}{count}{default}{{{words[0]}}}"


def _raw_tex(value: pf.Element) -> list[str]:
    """The TeX in a metadata value as pandoc has read it, for headers that YAML does not tell."""
    raw = collect(value, pf.RawBlock, pf.RawInline, where=lambda e: e.format in ("tex", "latex"))
    return [element.text for element in raw] or [text for text in [pf.stringify(value).strip()] if text]


def _sort(text: str, line: int | None, key: str, note: Note, found: Preamble) -> None:
    """Puts one text where it belongs: TeX, HTML, or the name of a file with TeX in it."""
    stripped = text.strip()
    if not stripped:
        return
    if re.fullmatch(r"[^\\\n<{]+\.(?:tex|sty|ltx|def)", stripped):
        _read_file(note.path.parent / stripped, found, note, line)
        return
    for kind, body, offset in _fenced(text):
        _keep(body, None if line is None else line + offset, kind, key, note, found)


def _fenced(text: str) -> Iterator[tuple[str, str, int]]:
    """The parts of a text with ```` ```{=latex} ```` in it: (format, text, lines before it)."""
    kind, fence, start, rows = "", "", 0, text.split("\n")
    for number, row in enumerate(rows):
        opening = _FENCE.match(row.strip())
        if (not fence and opening) or (fence and row.strip() == fence):
            yield kind, "\n".join(rows[start:number]), start
            start = number + 1
            fence, kind = (opening[1], opening[2]) if opening and not fence else ("", "")
    yield kind, "\n".join(rows[start:]), start


def _keep(text: str, line: int | None, kind: str, key: str, note: Note, found: Preamble) -> None:
    if not text.strip():
        return
    if kind.startswith("html") or (not kind and text.lstrip().startswith("<")):
        found.html.append(text)
    elif kind in ("", "tex", "latex"):
        if not kind and "\\" not in text and not re.fullmatch(r"(?s)(\s*%[^\n]*\n?)*", text):
            message = f"{key}: {text.strip()[:40]!r} is neither TeX nor HTML, and goes nowhere"
            found.problems.append(Problem("preamble", message, note.shown, line))
            return
        found.parts.append(Part(text.rstrip(), note.shown, line))


def _read_file(path: Path, found: Preamble, note: Note, line: int | None) -> None:
    if not found.reads(path):
        found.problems.append(
            Problem("outside", f"preamble {display_path(path)} {OUTSIDE}", note.shown, line, TRUST)
        )
        return
    found.inputs[str(path)] = file_hash(path)
    try:
        if path.exists() and not path.is_file():
            raise OSError("it is no file")
        text = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = "not found" if isinstance(error, FileNotFoundError) else str(error)
        message = f"preamble {display_path(path)}: {reason}"
        found.problems.append(Problem("missing-file", message, note.shown, line))
        return
    found.parts.append(Part(text.rstrip(), display_path(path), 1))


def latex_only(preamble: Preamble, target: str, instead: str = "") -> list[Problem]:
    """For targets other than LaTeX: what stands in the preamble and has no meaning there. ``instead``: the option that
    would honour it."""
    problems = []
    for part in preamble.parts:
        rest = blank_comments(part.text)
        for call in _latex_numbers(rest):
            line = None if part.line is None else part.line + rest.count("\n", 0, call.start)
            words = rest[call.start : call.end]
            message = f"preamble: {words} changes numbers in LaTeX only; in {target} they are others"
            problems.append(Problem("preamble", message, part.shown, line))
        rest = _LAYOUT.sub("", _blank_definitions(rest))
        for number, row in enumerate(rest.split("\n")):
            command = re.search(r"\\([A-Za-z@]+)", row)
            if command is None or "@" in command[1]:
                continue
            message = f"preamble: \\{command[1]} is for LaTeX only and does nothing in {target}"
            line = None if part.line is None else part.line + number
            hint = f"{instead} honours it" if instead else None
            problems.append(Problem("preamble", message, part.shown, line, hint))
    return problems


def _latex_numbers(tex: str) -> Iterator[Call]:
    """What changes numbers in LaTeX and not here: to be said, since they would be wrong without a word."""
    takes = {"newtheorem": "go", "renewcommand": "sm", "numberwithin": "gg", "counterwithin": "sgg"}
    for call in calls(tex, **takes):
        what, *then = call.arguments
        if call.name == "newtheorem":
            changes = then == ["equation"]
        elif call.name == "renewcommand":
            changes = bool(re.match(r"\s*\\the(?!equation\b)[a-z]", what))
        else:
            changes = what in ("figure", "table")
        if changes:
            yield call


def _blank_definitions(text: str) -> str:
    """``text`` with spaces in the place of its definitions, and without what stands in braces."""
    chars = list(text)
    for definition in definitions(text):
        for i in range(definition.start, definition.end):
            chars[i] = "\n" if chars[i] == "\n" else " "
    rest = "".join(chars)
    while (shorter := re.sub(r"\{[^{}]*\}", lambda m: "\n" * m[0].count("\n"), rest)) != rest:
        rest = shorter
    return rest
