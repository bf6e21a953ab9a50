"""Raw TeX in prose, for targets other than LaTeX: structure where pandoc's LaTeX reader can read it, visible
source with a warning where not. Nothing goes without a word."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from typing import Any

from fitnotes import pandoc
from fitnotes.errors import ConversionError, Problem
from fitnotes.note import Note
from fitnotes.render.fragments import LATEX, Fragments
from fitnotes.render.macros import MacroError, Macros, expand, learn, split_definitions
from fitnotes.render.maths import PREAMBLE_KEYS, metadata_tex, split_environments

PAGE_BREAK = re.compile(r"^\s*\\(newpage|pagebreak|clearpage|cleardoublepage)(\[\d\])?(\{\})?\s*$")
# Layout that means nothing outside LaTeX and leaves no trace there, on purpose.
SILENT = re.compile(
    r"^\s*\\(?:hfill|vfill|noindent|indent|centering|raggedright|medskip|smallskip|bigskip|par|maketitle"
    r"|tableofcontents|null|relax|allowbreak|FloatBarrier|frenchspacing|newline|linebreak|nopagebreak"
    r"|[hv]space\*?\{[^}]*\}|setlength\{?\\\w+\}?\{[^}]*\}|setcounter\{\w+\}\{\d+\}|pagestyle\{\w+\}"
    r"|thispagestyle\{\w+\}|usepackage(?:\[[^\]]*\])?\{[^}]*\})\s*$"
)
REFERENCE = re.compile(r"^\\(eqref|ref|autoref|cref|Cref|pageref)\s*\{([^}]*)\}$")
THEOREMS = ("theorem", "lemma", "proposition", "corollary", "definition", "remark", "example")
_VERBATIM = re.compile(r"\\begin\{(?:verbatim|lstlisting|minted|Verbatim)")


def _is_tex(element: Any) -> bool:
    import panflute as pf

    if isinstance(element.parent, pf.Cite):
        return False  # pandoc keeps the source of a \\cite it has understood
    return isinstance(element, (pf.RawBlock, pf.RawInline)) and element.format in ("tex", "latex")


def _known(doc: Any) -> tuple[Macros, str]:
    """Every macro of the note, and its theorem environments (or the usual ones) as definitions."""
    import panflute as pf

    macros = Macros()
    preamble = metadata_tex(doc)
    for tex in preamble:
        learn(tex, macros)

    def collect(element: Any, doc: Any) -> None:
        if _is_tex(element) or isinstance(element, pf.Math):
            learn(element.text, macros)

    pandoc.walk(doc, collect)
    given = re.findall(
        r"\\newtheorem\*?\{[^}]*\}(?:\[[^\]]*\])?\{[^}]*\}(?:\[[^\]]*\])?", "\n".join(preamble)
    )
    have = {re.match(r"\\newtheorem\*?\{([^}]*)\}", text)[1] for text in given}  # type: ignore[index]
    usual = [f"\\newtheorem{{{name}}}{{{name.capitalize()}}}" for name in THEOREMS if name not in have]
    return macros, "\n".join([*usual, *given])


def read_raw_tex(doc: Any, note: Note) -> list[Problem]:
    """For targets other than LaTeX: raw TeX in prose becomes structure where pandoc's LaTeX reader can read
    it, and its visible source with a warning where not. Formulas, definitions, references and page breaks
    in it stay raw, for `normalise` and `replace_raw`.
    """
    import panflute as pf

    problems: list[Problem] = []
    macros, theorems = _known(doc)
    fragments = Fragments()
    prepared: dict[str, str] = {}

    def later(text: str) -> bool:
        rest = re.sub(r"(?<!\\)%[^\n]*", "", split_definitions(text)[0]).strip()
        return (
            not rest
            or split_environments(rest) is not None
            or bool(PAGE_BREAK.match(text) or SILENT.match(text) or REFERENCE.match(text.strip()))
        )

    def want(element: Any, doc: Any) -> None:
        if _is_tex(element) and not later(element.text) and element.text not in prepared:
            text = element.text
            if not _VERBATIM.search(text):
                with contextlib.suppress(MacroError):
                    text = expand(text, macros.copy())
            prepared[element.text] = text

    doc.walk(want)
    if not prepared:
        return problems
    fragments.add(theorems, LATEX)
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
        problems.append(Problem("warning", message, note.shown, line))
        block = isinstance(element, pf.RawBlock)
        return pf.CodeBlock(element.text, classes=["tex"]) if block else pf.Code(element.text)

    def visit(element: Any, doc: Any) -> Any:
        if not _is_tex(element) or later(element.text):
            return None
        line = note.line_of(element.text)
        blocks = structure(element.text)
        if blocks is None:
            return source(element, line)

        def leftover(inner: Any, doc: Any) -> Any:
            if _is_tex(inner) and not later(inner.text):
                return source(inner, line)
            return None

        holder = pf.Div(*blocks).walk(leftover)
        if isinstance(element, pf.RawBlock):
            return list(holder.content)
        inlines: list[Any] = []
        for part in holder.content:
            if not isinstance(part, (pf.Para, pf.Plain)):
                return source(element, line)
            inlines.extend(part.content)
        return inlines

    preamble = {key: doc.metadata.content.pop(key) for key in PREAMBLE_KEYS if key in doc.metadata.content}
    doc.walk(visit)
    doc.metadata.content.update(preamble)
    return problems


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

    doc.walk(visit)


def _has_content(block: Any) -> bool:
    import panflute as pf

    kinds = (pf.Image, pf.Table, pf.Math, pf.HorizontalRule, pf.Code, pf.CodeBlock)
    found = isinstance(block, kinds)

    def look(element: Any, doc: Any) -> None:
        nonlocal found
        found = found or isinstance(element, kinds)

    block.walk(look)
    return found
