"""Raw TeX in prose, for targets other than LaTeX: structure where pandoc's LaTeX reader can read it, visible
source with a warning where not. Nothing goes without a word."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import panflute as pf

from fitnotes.document import nodes
from fitnotes.document.fragments import LATEX, Fragments
from fitnotes.document.tree import Change, Elements, collect, walk
from fitnotes.draw.tikz import is_drawing
from fitnotes.errors import ConversionError, Problem
from fitnotes.passes.theorems import TheoremKind, split_raw
from fitnotes.source.note import Cursor, Note
from fitnotes.tex.environments import replace_environments, split_environments
from fitnotes.tex.macros import MacroError, Macros, expand, learn, split_definitions
from fitnotes.tex.numbering import SET_COUNTER
from fitnotes.tex.preamble import Preamble
from fitnotes.tex.tokens import blank_comments

PAGE_BREAK = re.compile(r"^\s*\\(newpage|pagebreak|clearpage|cleardoublepage)(\[\d\])?(\{\})?\s*$")
# Layout that means nothing outside LaTeX and leaves no trace there, on purpose (tests/notes/constructs).
SILENT = re.compile(
    r"^\s*\\(?:hfill|vfill|noindent|indent|centering|raggedright|medskip|smallskip|bigskip|par|maketitle"
    r"|tableofcontents|null|relax|allowbreak|FloatBarrier|frenchspacing|newline|linebreak|nopagebreak"
    r"|[hv]space\*?\{[^}]*\}|setlength\{?\\\w+\}?\{[^}]*\}|setcounter\{\w+\}\{\d+\}|pagestyle\{\w+\}"
    r"|qedhere|qed|thispagestyle\{\w+\}|usepackage(?:\[[^\]]*\])?\{[^}]*\})\s*$"
)
REFERENCE = re.compile(r"^\\(eqref|ref|autoref|[cC]ref|nameref|pageref)\s*\{([^}]*)\}$")
# What pandoc's LaTeX reader takes and does not show as LaTeX does
# (test_preamble.py: test_what_the_reader_of_raw_tex_drops_is_said).
_LOST = (
    (re.compile(r"\\item\s*\[[^\]]*\](?=(?:(?!\\end\{description\})[\s\S])*\\end\{(?:enumerate|itemize)\})"),
     "the labels of \\item are LaTeX's alone; the list has its own here"),
    (re.compile(r"\\begin\{(?:enumerate|itemize)\}\s*\[[^\]]*\]"),
     "the options of the list are LaTeX's alone; it has its own labels here"),
    (re.compile(r"\\cmidrule\([^)]*\)"), "\\cmidrule with a trim is LaTeX's alone, and leaves a trace in its row here"),
    (re.compile(r"(?m)^[ \t]*(?:[-*] |\d+\. |```|~~~)[^&\n]*$|\*\*\w[^*\n]*\*\*"),
     "Markdown inside raw TeX is read as TeX; write the environment as a fenced div"),
)  # fmt: skip
_HELD = "fitnotesformula"
# How pandoc's LaTeX reader marks what a link was.
_REFERENCE_TYPES = {
    "ref": "ref", "eqref": "eqref", "autoref": "autoref", "ref+label": "cref",
    "ref+Label": "Cref", "ref+page": "pageref",
}  # fmt: skip
_VERBATIM = re.compile(r"\\begin\{(?:verbatim|lstlisting|minted|Verbatim)")


def _is_tex(element: pf.Element) -> bool:
    """Not the source of a ``\\cite`` that pandoc has understood, which it keeps."""
    return nodes.is_raw_tex(element) and not isinstance(element.parent, pf.Cite)


@dataclass(slots=True)
class _Piece:
    """Raw TeX on its way: a theorem with pieces in it, or text with its macros expanded (``later``: as it is)."""

    kind: str
    title: str
    label: str
    text: str
    inner: list[_Piece]
    ready: str = ""  # for pandoc's reader
    later: bool = False


def _later(text: str) -> bool:
    """Formulas, definitions, references and page breaks stay raw, for `normalise` and `replace_raw`."""
    rest = blank_comments(split_definitions(text)[0]).strip()
    return (
        not rest
        or split_environments(rest) is not None
        or bool(PAGE_BREAK.match(text) or SILENT.match(text) or REFERENCE.match(text.strip()))
        or bool(SET_COUNTER.match(text))
        or is_drawing(text)
    )


class _Reader:
    """Raw TeX as structure: first `take` every piece in the order of the note, then `blocks` for each."""

    def __init__(self, note: Note, macros: Macros, theorems: Mapping[str, TheoremKind]) -> None:
        self.note = note
        self.macros = macros
        self.theorems = theorems
        self.problems: list[Problem] = []
        self.fragments = Fragments()
        self.held: list[str] = []

    def hold(self, formula: str) -> str:
        """A display formula out of sight of pandoc's reader, which would drop its numbers and labels."""
        self.held.append(formula)
        return f"\\{_HELD}{{{len(self.held) - 1}}}"

    def take(self, text: str) -> list[_Piece]:
        pieces = []
        for kind, title, label, body in split_raw(text, self.theorems) or [("", "", "", text)]:
            if kind:
                pieces.append(_Piece(kind, title, label, "", self.take(body)))
            elif body.strip():
                pieces.append(self._text(body))
        return pieces

    def _text(self, text: str) -> _Piece:
        if _later(text):
            return _Piece("", "", "", text, [], later=True)
        if _VERBATIM.search(text):
            ready = text
        else:
            ready = replace_environments(text, self.hold)
            with contextlib.suppress(MacroError):
                ready = expand(ready, self.macros.copy())
            if split_environments(ready) is not None:  # an environment of the author's own, for a formula
                return _Piece("", "", "", text, [], later=True)
            ready = replace_environments(ready, self.hold)
        self._say_lost(text)
        self.fragments.add(ready, LATEX)
        return _Piece("", "", "", text, [], ready)

    def _say_lost(self, text: str) -> None:
        """What pandoc's reader drops without a word."""
        for pattern, message in _LOST:
            if match := pattern.search(text):
                line = self.note.line_of(match[0])
                self.problems.append(Problem("raw-tex", message, self.note.shown, line))

    def read(self) -> None:
        with contextlib.suppress(ConversionError):  # pandoc refuses one of them: each is tried by itself
            self.fragments.read()

    def blocks(self, pieces: list[_Piece], line: int | None) -> Elements:
        made: Elements = []
        for piece in pieces:
            if piece.kind:
                made.append(
                    nodes.theorem(piece.kind, piece.title, piece.label, self.blocks(piece.inner, line))
                )
            elif piece.later:
                made.append(pf.RawBlock(piece.text, format="latex"))
            else:
                made += self._structure(piece, line)
        return made

    def _structure(self, piece: _Piece, line: int | None) -> Elements:
        blocks = self._read_one(piece.ready)
        if blocks is None:
            return [self.source(pf.RawBlock(piece.text, format="latex"), line)]

        def leftover(inner: pf.Element) -> Change:
            if isinstance(inner, pf.Link):
                command = _REFERENCE_TYPES.get(inner.attributes.get("reference-type", ""))
                label = inner.attributes.get("reference", "")
                return pf.RawInline(f"\\{command}{{{label}}}", format="latex") if command else None
            if not _is_tex(inner):
                return None
            formula = re.fullmatch(rf"\\{_HELD}\{{(\d+)\}}\s*", inner.text)
            if formula:
                return _raw_like(inner, self.held[int(formula[1])])
            return None if _later(inner.text) else self.source(inner, line)

        holder = pf.Div(*blocks)
        walk(holder, leftover, pf.RawBlock, pf.RawInline, pf.Link)
        return list(holder.content)

    def _read_one(self, text: str) -> Elements | None:
        fragments = self.fragments
        if not fragments.has(text, LATEX):
            fragments = Fragments()
            fragments.add(text, LATEX)
            try:
                fragments.read()
            except ConversionError:
                return None
        blocks = fragments.blocks(text, LATEX)
        words = "".join(pf.stringify(block) for block in blocks).strip()
        return blocks if words or any(_has_content(block) for block in blocks) else None

    def source(self, element: pf.Element, line: int | None) -> pf.Element:
        shown = element.text.strip().split("\n")[0][:60]
        message = f"raw TeX {shown} means nothing to this target; its source is shown"
        at = self.note.line_of(shown, after=(line or 1) - 1) or line
        self.problems.append(Problem("raw-tex", message, self.note.shown, at))
        block = isinstance(element, pf.RawBlock)
        return pf.CodeBlock(element.text, classes=["tex"]) if block else pf.Code(element.text)


def read_raw_tex(
    doc: pf.Doc, note: Note, preamble: Preamble, theorems: Mapping[str, TheoremKind]
) -> list[Problem]:
    """For targets other than LaTeX: raw TeX in prose becomes structure where pandoc's LaTeX reader can read
    it, and its visible source with a warning where not. Formulas, definitions, references and page breaks
    in it stay raw, for `normalise` and `replace_raw`.
    """
    found: Elements = []
    kinds = (pf.Math, pf.RawBlock, pf.RawInline)
    walk(
        doc,
        lambda e: found.append(e) if _is_tex(e) or isinstance(e, pf.Math) else None,
        *kinds,
        metadata=True,
    )
    if all(isinstance(element, pf.Math) for element in found):
        return []
    macros = preamble.macros.copy()
    later = Macros()
    for element in found:
        learn(element.text, later)
    macros.commands = {**later.commands, **macros.commands}  # used before its definition, if need be
    macros.environments = {**later.environments, **macros.environments}
    reader = _Reader(note, macros, theorems)
    cursor = Cursor(note)
    pieces: dict[int, tuple[list[_Piece], int | None]] = {}
    for element in found:
        line = cursor.line_of(element.text)
        if _is_tex(element) and not _later(element.text):
            pieces[id(element)] = reader.take(element.text), line
        learn(element.text, macros)
    if not pieces:
        return []
    reader.read()

    def visit(element: pf.Element) -> Change:
        if id(element) not in pieces:
            return None
        parts, line = pieces[id(element)]
        made = reader.blocks(parts, line)
        if isinstance(element, pf.RawBlock):
            return made
        inlines: Elements = []
        for part in made:
            if isinstance(part, pf.RawBlock):
                inlines.append(pf.RawInline(part.text, format="latex"))
            elif isinstance(part, pf.CodeBlock):
                inlines.append(pf.Code(part.text))
            elif isinstance(part, (pf.Para, pf.Plain)):
                inlines.extend(part.content)
            else:
                return reader.source(element, line)
        return inlines

    walk(doc, visit, pf.RawBlock, pf.RawInline, metadata=True)
    return reader.problems


def tie_references(doc: pf.Doc) -> None:
    """``Figure~\\ref{fig:a}`` in Markdown: the tilde is LaTeX's space that does not break."""

    def visit(element: pf.Element) -> None:
        content = element.content.list
        for word, after in pairwise(content):
            follows = isinstance(after, pf.Cite) or (_is_tex(after) and "ref" in after.text)
            if isinstance(word, pf.Str) and word.text.endswith("~") and follows:
                word.text = word.text[:-1] + "\u00a0"

    walk(doc, visit, pf.Para, pf.Plain, pf.Span, pf.Emph, pf.Strong)


_CITE = re.compile(
    r"^\\(?P<command>[cC]ite[tp]?|parencite|textcite|autocite)\*?(?P<notes>(?:\[[^\]]*\]){0,2})\{(?P<keys>[^}]*)\}$"
)


def read_citations(doc: pf.Doc) -> None:
    """For LaTeX: ``\\cite{key}`` as pandoc's own citation, so that its bibliography, or the warning that there is
    none, covers it too. Elsewhere `read_raw_tex` has done it."""

    def visit(element: pf.Element) -> Change:
        match = _CITE.match(element.text.strip()) if _is_tex(element) else None
        if match is None:
            return None
        mode = "AuthorInText" if match["command"].lower() in ("citet", "textcite") else "NormalCitation"
        notes = re.findall(r"\[([^\]]*)\]", match["notes"])
        keys = [key.strip() for key in match["keys"].split(",")]
        citations = [pf.Citation(key, mode=mode) for key in keys]
        if notes:
            citations[-1].suffix = (
                [pf.Str(","), pf.Space(), pf.Str(notes[-1].replace("~", "\u00a0"))] if notes[-1] else []
            )
        if len(notes) > 1 and notes[0]:
            citations[0].prefix = [pf.Str(notes[0])]
        return pf.Cite(pf.Str(f"[{', '.join(keys)}]"), citations=citations)

    walk(doc, visit, pf.RawInline)


def replace_raw(
    doc: pf.Doc, *, page_break: Callable[[bool], Change], reference: Callable[[str, str], pf.Element]
) -> None:
    """Replaces what `read_raw_tex` left: ``page_break(block)`` gives the element for ``\\newpage``,
    ``reference(command, label)`` that for ``\\ref`` and the like; layout commands go without a trace."""

    def visit(element: pf.Element) -> Change:
        if not _is_tex(element):
            return None
        block = isinstance(element, pf.RawBlock)
        if PAGE_BREAK.match(element.text):
            return page_break(block)
        if match := REFERENCE.match(element.text.strip()):
            found: Elements = []
            for label in match[2].split(","):
                found += [pf.Str(","), pf.Space()] if found else []
                found.append(reference(match[1], label.strip()))
            return pf.Para(*found) if block else found
        return []

    walk(doc, visit, pf.RawBlock, pf.RawInline, metadata=True)


def _has_content(block: pf.Element) -> bool:
    kinds = (pf.Image, pf.Table, pf.Math, pf.HorizontalRule, pf.Code, pf.CodeBlock)
    return isinstance(block, kinds) or bool(collect(block, *kinds))


def _raw_like(element: pf.Element, tex: str) -> pf.Element:
    return (pf.RawBlock if isinstance(element, pf.RawBlock) else pf.RawInline)(tex, format="latex")
