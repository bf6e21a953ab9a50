"""Raw TeX in prose, for targets other than LaTeX: structure where pandoc's LaTeX reader can read it, visible
source with a warning where not. Nothing goes without a word."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from fitnotes import pandoc
from fitnotes.errors import ConversionError, Problem
from fitnotes.note import Note
from fitnotes.render.fragments import LATEX, Fragments
from fitnotes.render.macros import MacroError, expand, learn, split_definitions
from fitnotes.render.maths import replace_environments, split_environments
from fitnotes.render.preamble import Preamble
from fitnotes.render.theorems import Kind, make, split_raw

PAGE_BREAK = re.compile(r"^\s*\\(newpage|pagebreak|clearpage|cleardoublepage)(\[\d\])?(\{\})?\s*$")
# Layout that means nothing outside LaTeX and leaves no trace there, on purpose.
SILENT = re.compile(
    r"^\s*\\(?:hfill|vfill|noindent|indent|centering|raggedright|medskip|smallskip|bigskip|par|maketitle"
    r"|tableofcontents|null|relax|allowbreak|FloatBarrier|frenchspacing|newline|linebreak|nopagebreak"
    r"|[hv]space\*?\{[^}]*\}|setlength\{?\\\w+\}?\{[^}]*\}|setcounter\{\w+\}\{\d+\}|pagestyle\{\w+\}"
    r"|thispagestyle\{\w+\}|usepackage(?:\[[^\]]*\])?\{[^}]*\})\s*$"
)
REFERENCE = re.compile(r"^\\(eqref|ref|autoref|[cC]ref|nameref|pageref)\s*\{([^}]*)\}$")
_HELD = "fitnotesformula"
# How pandoc's LaTeX reader marks what a link was.
_REFERENCE_TYPES = {
    "ref": "ref", "eqref": "eqref", "autoref": "autoref", "ref+label": "cref",
    "ref+Label": "Cref", "ref+page": "pageref",
}  # fmt: skip
_VERBATIM = re.compile(r"\\begin\{(?:verbatim|lstlisting|minted|Verbatim)")


def _is_tex(element: Any) -> bool:
    import panflute as pf

    if isinstance(element.parent, pf.Cite):
        return False  # pandoc keeps the source of a \\cite it has understood
    return isinstance(element, (pf.RawBlock, pf.RawInline)) and element.format in ("tex", "latex")


def read_raw_tex(doc: Any, note: Note, preamble: Preamble, theorems: Mapping[str, Kind]) -> list[Problem]:
    """For targets other than LaTeX: raw TeX in prose becomes structure where pandoc's LaTeX reader can read
    it, and its visible source with a warning where not. Formulas, definitions, references and page breaks
    in it stay raw, for `normalise` and `replace_raw`.
    """
    import panflute as pf

    problems: list[Problem] = []
    found: list[Any] = []
    raw = (pf.RawBlock, pf.RawInline)
    pandoc.walk(doc, lambda e, d: found.append(e) if _is_tex(e) else None, *raw, metadata=True)
    if not found:
        return problems
    macros = preamble.macros.copy()

    def collect(element: Any, doc: Any) -> None:
        learn(element.text, macros)

    pandoc.walk(doc, collect, pf.Math, pf.RawBlock, pf.RawInline)
    fragments = Fragments()
    prepared: dict[str, str] = {}
    parts: dict[str, list[tuple[str, str, str, str]]] = {}

    def later(text: str) -> bool:
        rest = re.sub(r"(?<!\\)%[^\n]*", "", split_definitions(text)[0]).strip()
        return (
            not rest
            or split_environments(rest) is not None
            or bool(PAGE_BREAK.match(text) or SILENT.match(text) or REFERENCE.match(text.strip()))
        )

    held: list[str] = []

    def hold(formula: str) -> str:
        """A display formula out of sight of pandoc's reader, which would drop its numbers and labels."""
        held.append(formula)
        return f"\\{_HELD}{{{len(held) - 1}}}"

    def prepare(text: str) -> None:
        if text in prepared:
            return
        expanded = text if _VERBATIM.search(text) else replace_environments(text, hold)
        if not _VERBATIM.search(text):
            with contextlib.suppress(MacroError):
                expanded = expand(expanded, macros.copy())
        prepared[text] = expanded

    for element in found:
        text = element.text
        if later(text) or text in parts:
            continue
        parts[text] = split_raw(text, theorems) or [("", "", "", text)]
        for _, _, _, body in parts[text]:
            if body.strip() and not later(body):
                prepare(body)
    if not parts:
        return problems
    for text in prepared.values():
        fragments.add(text, LATEX)
    with contextlib.suppress(ConversionError):  # pandoc refuses one of them: each is tried by itself
        fragments.read()

    def structure(text: str) -> list[Any] | None:
        if not fragments.has(prepared[text], LATEX):
            alone = Fragments()
            alone.add(prepared[text], LATEX)
            try:
                alone.read()
            except ConversionError:
                return None
            blocks = alone.blocks(prepared[text], LATEX)
        else:
            blocks = fragments.blocks(prepared[text], LATEX)
        words = "".join(pf.stringify(block) for block in blocks).strip()
        return blocks if words or any(_has_content(block) for block in blocks) else None

    def source(element: Any, line: int | None) -> Any:
        shown = element.text.strip().split("\n")[0][:60]
        message = f"raw TeX {shown} means nothing to this target; its source is shown"
        problems.append(Problem("warning", message, note.shown, line, code="raw-tex"))
        block = isinstance(element, pf.RawBlock)
        return pf.CodeBlock(element.text, classes=["tex"]) if block else pf.Code(element.text)

    def read(text: str, line: int | None) -> list[Any]:
        """The blocks of one piece of raw TeX."""
        if not text.strip():
            return []
        if text not in prepared:
            return [pf.RawBlock(text, format="latex")]
        blocks = structure(text)
        if blocks is None:
            return [source(pf.RawBlock(text, format="latex"), line)]

        def leftover(inner: Any, doc: Any) -> Any:
            if isinstance(inner, pf.Link):
                command = _REFERENCE_TYPES.get(inner.attributes.get("reference-type", ""))
                label = inner.attributes.get("reference", "")
                return pf.RawInline(f"\\{command}{{{label}}}", format="latex") if command else None
            if not _is_tex(inner):
                return None
            formula = re.fullmatch(rf"\\{_HELD}\{{(\d+)\}}\s*", inner.text)
            if formula:
                return type(inner)(held[int(formula[1])], format="latex")
            return None if later(inner.text) else source(inner, line)

        holder = pf.Div(*blocks)
        pandoc.walk(holder, leftover, pf.RawBlock, pf.RawInline, pf.Link)
        return list(holder.content)

    def visit(element: Any, doc: Any) -> Any:
        if not _is_tex(element) or later(element.text):
            return None
        line = note.line_of(element.text)
        made: list[Any] = []
        for kind, title, label, text in parts[element.text]:
            blocks = read(text, line)
            made += [make(kind, title, label, blocks)] if kind else blocks
        if isinstance(element, pf.RawBlock):
            return made
        inlines: list[Any] = []
        for part in made:
            if not isinstance(part, (pf.Para, pf.Plain)):
                return source(element, line)
            inlines.extend(part.content)
        return inlines

    pandoc.walk(doc, visit, pf.RawBlock, pf.RawInline, metadata=True)
    return problems


_CITE = re.compile(
    r"^\\(?P<command>[cC]ite[tp]?|parencite|textcite|autocite)\*?(?P<notes>(?:\[[^\]]*\]){0,2})\{(?P<keys>[^}]*)\}$"
)


def read_citations(doc: Any) -> None:
    """For LaTeX: ``\\cite{key}`` as pandoc's own citation, so that its bibliography, or the warning that there is
    none, covers it too. Elsewhere `read_raw_tex` has done it."""
    import panflute as pf

    def visit(element: Any, doc: Any) -> Any:
        match = _CITE.match(element.text.strip()) if _is_tex(element) else None
        if match is None:
            return None
        mode = "AuthorInText" if match["command"].lower() in ("citet", "textcite") else "NormalCitation"
        notes = re.findall(r"\[([^\]]*)\]", match["notes"])
        keys = [key.strip() for key in match["keys"].split(",")]
        citations = [pf.Citation(key, mode=mode) for key in keys]
        if notes:
            citations[-1].suffix = (
                [pf.Str(","), pf.Space, pf.Str(notes[-1].replace("~", "\u00a0"))] if notes[-1] else []
            )
        if len(notes) > 1 and notes[0]:
            citations[0].prefix = [pf.Str(notes[0])]
        return pf.Cite(pf.Str(f"[{', '.join(keys)}]"), citations=citations)

    pandoc.walk(doc, visit, pf.RawInline)


def replace_raw(doc: Any, *, page_break: Callable[[bool], Any], reference: Callable[[str, str], Any]) -> None:
    """Replaces what `read_raw_tex` left: ``page_break(block)`` gives the element for ``\\newpage``,
    ``reference(command, label)`` that for ``\\ref`` and the like; layout commands go without a trace."""
    import panflute as pf

    def visit(element: Any, doc: Any) -> Any:
        if not _is_tex(element):
            return None
        block = isinstance(element, pf.RawBlock)
        if PAGE_BREAK.match(element.text):
            return page_break(block)
        if match := REFERENCE.match(element.text.strip()):
            found: list[Any] = []
            for label in match[2].split(","):
                found += [pf.Str(","), pf.Space] if found else []
                found.append(reference(match[1], label.strip()))
            return pf.Para(*found) if block else found
        return []

    pandoc.walk(doc, visit, pf.RawBlock, pf.RawInline, metadata=True)


def _has_content(block: Any) -> bool:
    import panflute as pf

    kinds = (pf.Image, pf.Table, pf.Math, pf.HorizontalRule, pf.Code, pf.CodeBlock)
    found = isinstance(block, kinds)

    def look(element: Any, doc: Any) -> None:
        nonlocal found
        found = found or isinstance(element, kinds)

    block.walk(look)
    return found
