"""Formulas for Typst, one by one: one that Typst (or pandoc's conversion) cannot take becomes a picture set by MathJax,
on the baseline, instead of ending the whole PDF."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import panflute as pf

from fitnotes.document import pandoc
from fitnotes.document.tree import walk
from fitnotes.draw import mathjax
from fitnotes.draw.media import Media
from fitnotes.errors import ConversionError
from fitnotes.passes.page import Page
from fitnotes.tex import environments

SIZE = 11  # pt, as in the template
GRID = "#block(width: 100%"
_MARK = "fitnotesformula"
_LIMITS, _OPERATOR = "FitnotesLimits", "FitnotesOperator"
# What the converter or Typst shows wrong without a word: MathJax sets these (corpus/left-right, corpus/colour,
# test_constructs.py: test_large_delimiters_and_bars_keep_no_distance_in_typst).
PICTURES = re.compile(
    r"\\(?:textcolor|color|colorbox|fcolorbox|smash|hline|cline|mathscr|substack\s*\{[^}]*\\substack)(?![A-Za-z])"
    r"|\\[bB]igg?[lrm]?\s*(?:\\\||\\[lr]?[vV]ert)"
    r"|\\left\s*(?:\\\||\.)|\\right\s*(?:\\\||\\?\|)"
    r"|\\left\s*\\?[{(\[|]\s*\\begin|\{smallmatrix\}|\\begin\{array\}\s*\{[^}]*\||\\&"
)


# --------------------------------------------------------------------------------------------------
# Formulas


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula as it goes to pandoc's converter. ``numbers`` are those of its rows."""

    tex: str
    display: bool
    numbers: tuple[str | None, ...] = ()
    labels: tuple[str, ...] = ()


def _ready(tex: str) -> str:
    """What pandoc's converter gets wrong or does not know, in words that it knows."""
    tex = re.sub(r"\\!", "", tex)
    tex = re.sub(r"\\;", r"\\:", tex)
    tex = re.sub(r"\\(?:nonumber|notag|allowdisplaybreaks|displaystyle)(?![A-Za-z])", "", tex)
    tex = re.sub(r"\\left\s*\\lVert(.*?)\\right\s*\\rVert", r"\\lVert\1\\rVert", tex, flags=re.DOTALL)
    tex = re.sub(r"\\left\s*\\\|(.*?)\\right\s*\\\|", r"\\lVert\1\\rVert", tex, flags=re.DOTALL)
    tex = re.sub(r"(\\begin\{(?:aligned|gathered|split|alignedat|multlined)\})\s*\[[tcb]\]", r"\1", tex)
    tex = _pairs_apart(tex)
    tex = re.sub(r"\\label\s*\{[^}]*\}", "", environments.TAG.sub("", tex))
    tex = _cases_apart(tex)
    tex = re.sub(r"\\thinspace(?![A-Za-z])", r"\\,", tex)
    # The converter makes plain text of operators; the marks tell which were they, and of which kind.
    tex = re.sub(r"\\operatorname\s*\*\s*\{", r"\\operatorname{" + _LIMITS + " ", tex)
    return re.sub(rf"\\operatorname\s*\{{(?!{_LIMITS})", r"\\operatorname{" + _OPERATOR + " ", tex)


_DELIMITERS = {
    "(": "paren.l", ")": "paren.r", "[": "bracket.l", "]": "bracket.r", "{": "brace.l", "}": "brace.r",
}  # fmt: skip


def _operators(code: str) -> str | None:
    """Typst operators in the place of marked text; None if a mark did not survive as text."""
    code = re.sub(rf'"{_LIMITS}([^"]*)"', r'op("\1", limits: #true)', code)
    code = re.sub(rf'"{_OPERATOR}([^"]*)"', r'op("\1")', code)
    # Typst keeps the space between words and signs by itself.
    code = re.sub(r'"((?:[^"\\]|\\.)*?) +"(?= )', r'"\1"', code)
    code = re.sub(r'(?<= )" +((?:[^"\\]|\\.)*?)"', r'"\1"', code)
    # A bar is an ordinary sign in TeX; Typst would space it like a relation.
    code = re.sub(r"(?<!\\)\\\|", 'class("normal", bar.v)', code)

    def large(match: re.Match[str]) -> str:
        kind = "opening" if match[2] in "([{" else "closing"
        return f'class("{kind}", lr(size: #{match[1]}%, {_DELIMITERS[match[2]]}))'

    # A large delimiter stays one: as the content that the converter makes of it, it would keep its distance.
    code = re.sub(r"#scale\(x: (\d+)%, y: \1%\)\[\\?([()\[\]{}])\]", large, code)
    return None if _LIMITS in code or _OPERATOR in code else code


def _cases_apart(tex: str) -> str:
    """The gap between a case and its condition, which Typst does not make (corpus/cases)."""

    def body(match: re.Match[str]) -> str:
        lines = []
        for line in environments.rows(match[2]):
            first, *rest = environments.cells(line)
            lines.append("&".join([first, *(f"\\quad {cell}" for cell in rest)]))
        return match[1] + "\\\\".join(lines) + match[3]

    return re.sub(r"(?s)(\\begin\{[dr]?cases\})(.*?)(\\end\{[dr]?cases\})", body, tex)


def _pairs_apart(tex: str) -> str:
    """`align` leaves a gap between its pairs of columns; Typst's alignment leaves none
    (corpus/align-star, corpus/flalign)."""
    head = re.match(r"\\begin\{(align|flalign|aligned)\*?\}", tex)
    if head is None or "\\end" not in tex:
        return tex
    close = tex.rindex("\\end")
    lines = []
    for line in environments.rows(tex[head.end() : close]):
        cells = environments.cells(line)
        lines.append(
            cells[0]
            + "".join("&" + ("\\qquad " if i % 2 == 0 else "") + c for i, c in enumerate(cells[1:], 1))
        )
    return tex[: head.end()] + "\\\\".join(lines) + tex[close:]


def _numbered_rows(tex: str, numbers: Sequence[str | None]) -> str | None:
    """Several numbered rows as a grid with the numbers at the margin, since Typst numbers a formula once.

    None where the environment is another one, or a cell cannot be converted.
    """
    head = re.match(r"\\begin\{(?:(?:align|gather|eqnarray|flalign)\*?\}|alignat\*?\}\s*\{\d+\})", tex)
    if head is None or "\\end" not in tex:
        return None
    lines = [environments.cells(line) for line in environments.rows(tex[head.end() : tex.rindex("\\end")])]
    lines = lines[: len(numbers)]
    columns = max(len(line) for line in lines)
    cells = [cell.strip() for line in lines for cell in [*line, *[""] * (columns - len(line))]]
    codes = convert([Formula(_ready(cell), True) if cell else Formula("x", True) for cell in cells])
    content = []
    for i, (cell, code) in enumerate(zip(cells, codes, strict=True)):
        if code is None:
            return None
        inner = code.strip("$").strip()
        # Right-hand sides begin with a relation, which needs something before it to keep its distance.
        start = '"" ' if i % columns % 2 else ""
        content.append(f"$display({start}{inner})$" if cell else "[]")
    rows = []
    for i, number in enumerate(numbers[: len(lines)]):
        shown = f"[{_tag(number)}]" if number else "[]"
        rows.append(", ".join(["[]", *content[i * columns : (i + 1) * columns], shown]))
    sides = ", ".join("right" if i % 2 == 0 else "left" for i in range(columns)) if columns > 1 else "center"
    # A gap between the pairs of columns, none inside a pair.
    gaps = ", ".join(["0pt", *("2em" if i % 2 else "0pt" for i in range(columns - 1)), "0pt"])
    return (
        f"{GRID}, above: 1.5em, below: 1.6em, grid(columns: (1fr, {'auto, ' * columns}1fr), "
        f"column-gutter: ({gaps}), row-gutter: 1.5em, "
        f"align: (column, row) => horizon + (left, {sides}, right).at(column), " + ", ".join(rows) + "))"
    )


def convert(formulas: Sequence[Formula]) -> list[str | None]:
    """Each formula as Typst maths with its dollars; None where pandoc's converter gives up."""
    if not formulas:
        return []
    blocks: list[dict[str, Any]] = []
    for formula in formulas:
        kind = {"t": "DisplayMath" if formula.display else "InlineMath"}
        blocks.append({"t": "Para", "c": [{"t": "Math", "c": [kind, formula.tex]}]})
        blocks.append({"t": "RawBlock", "c": ["typst", f"//{_MARK}"]})
    ast = json.dumps({"pandoc-api-version": [1, 23, 1], "meta": {}, "blocks": blocks})
    text = pandoc.write(ast, "typst", ["--wrap=none"]).text
    parts = [part.strip() for part in text.split(f"//{_MARK}")][: len(formulas)]
    # A formula that could not be converted comes back as its escaped source.
    good = [_operators(part) if part.startswith("$") and part.endswith("$") else None for part in parts]
    return [None if PICTURES.search(f.tex) else part for f, part in zip(formulas, good, strict=True)]


def _picture(formula: Formula, media: Media, extra: Sequence[str]) -> tuple[str | None, str]:
    """The formula set by MathJax as a Typst image, and the reason where MathJax cannot either."""
    tex = re.sub(r"\\label\s*\{[^}]*\}", "", formula.tex)
    result = mathjax.typeset([(_untagged(tex), formula.display)], extra)[0]
    if result.error:
        return None, result.error
    svg, width, depth = mathjax.picture(result.svg, SIZE)
    url = media.add(svg.encode(), ".svg", "formula")
    alt = json.dumps(formula.tex, ensure_ascii=False)
    where = json.dumps(url)
    if not formula.display:
        return f"#box(baseline: {depth:.2f}pt, image({where}, width: {width:.2f}pt, alt: {alt}))", ""
    image = f"image({where}, width: calc.min({width:.2f}pt, size.width), alt: {alt})"
    return f"#layout(size => align(center, {image}))", ""


def _untagged(tex: str) -> str:
    """Starred environments and no tags: the number is set by Typst beside the picture."""
    tex = environments.TAG.sub("", tex)
    return re.sub(rf"\\(begin|end)\{{({'|'.join(environments.NUMBERED)})\}}", r"\\\1{\2*}", tex)


def _tag(number: str) -> str:
    """A row's number, with its parentheses, as Typst content."""
    text = environments.in_parentheses(number)
    if re.fullmatch(r"[\w().]+", text):
        return text
    with contextlib.suppress(ConversionError):
        return pandoc.run(["-f", "latex", "-t", "typst"], text).text.strip()
    return f"#{json.dumps(text, ensure_ascii=False)}"


def _equation(formula: Formula, body: str) -> str:
    """A display formula with its number and labels."""
    given = [n for n in formula.numbers if n is not None]
    anchors = [f"#metadata(none) <{label}>" for label in formula.labels]
    if len(given) == 1 and body.startswith("$"):
        label = f" <{formula.labels[0]}>" if formula.labels else ""
        extra = "".join(f"{a}\n" for a in anchors[1:])
        # Display maths needs its spaces inside the dollars.
        inner = body.strip("$").strip()
        number = f"numbering: (..) => [{_tag(given[0])}]"
        return f"{extra}#math.equation(block: true, {number}, $ {inner} $){label}"
    if given and not body.startswith(("$", GRID)):
        numbers = " ".join(_tag(n) for n in given)
        number = f"place(right + horizon, [{numbers}])"
        body = f"#block(width: 100%)[{body}#{number}]"
    return "".join(f"{a}\n" for a in anchors) + body


def set_formulas(page: Page, refused: frozenset[str]) -> dict[str, str]:
    """Puts Typst code in the place of every formula. ``refused``: Typst code known not to compile.

    Returns the Typst code of each converted formula with its TeX, to find a culprit by.
    """
    found: list[tuple[pf.Element, Formula]] = []

    def collect(element: pf.Element) -> None:
        display = element.format == "DisplayMath"
        numbers: list[str | None] = []
        element.text, labels = environments.take_labels(element.text)
        if display:
            numbers, _ = environments.row_numbers(element.text, lambda: "")
        found.append((element, Formula(_ready(element.text), display, tuple(numbers), tuple(labels))))

    walk(page.doc, collect, pf.Math, metadata=True)
    unique = list(dict.fromkeys(formula for _, formula in found))
    code = dict(zip(unique, convert(unique), strict=True))
    originals = {formula: element.text for element, formula in found}
    replaced: dict[Formula, str] = {}
    sources: dict[str, str] = {}
    for formula in unique:
        body = code[formula]
        if sum(n is not None for n in formula.numbers) > 1:
            body = _numbered_rows(originals[formula], formula.numbers)
        if body is not None and body not in refused:
            sources[body] = originals[formula]
        else:
            whole = Formula(originals[formula], formula.display, formula.numbers, formula.labels)
            body, reason = _picture(whole, page.media, page.packages)
            if body is None:
                page.formula_problem(whole.tex, reason)
                body = f"#raw({json.dumps(whole.tex, ensure_ascii=False)})"
        replaced[formula] = _equation(formula, body) if formula.display else body

    texts = iter(replaced[formula] for _, formula in found)

    walk(page.doc, lambda e: pf.RawInline(next(texts), format="typst"), pf.Math, metadata=True)
    return sources
