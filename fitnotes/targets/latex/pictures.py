"""Formulas that MathJax takes and LaTeX does not, or that LaTeX would show as others: as MathJax's pictures."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fitnotes.draw import mathjax
from fitnotes.passes.page import Page, Placed
from fitnotes.targets.latex import places
from fitnotes.tex import environments, unicode
from fitnotes.tex.macros import MacroError, expand, learn
from fitnotes.tex.packages import ALPHABETS
from fitnotes.tex.portable import portable
from fitnotes.tex.tokens import packages

SIZE = 11  # pt, as in the template
# Alphabets of capitals: in the place of anything else their fonts have other signs, and LaTeX says nothing
# (test_latex.py: test_alphabets_show_what_the_browser_shows). \\mathbb has the k, and a 1 from elsewhere.
_CAPITALS = re.compile(
    r"\\(?:mathcal|mathscr)\s*(?:\{[^{}\\]*[^A-Z\s{}\\][^{}]*\}|[a-z0-9])"
    r"|\\mathbb\s*(?:\{(?!1\})[^{}\\]*[^A-Zk\s{}\\][^{}]*\}|[a-jl-z02-9])"
)


def expanded(page: Page, tex: str) -> str | None:
    """A formula without the note's macros; None if they never end."""
    macros = page.preamble.macros.copy()
    learn("\n".join(page.maths.definitions), macros)
    try:
        return portable(expand(tex, macros))
    except MacroError:
        return None


def beforehand(page: Page, text: str) -> str:
    """The LaTeX with pictures for the formulas whose alphabets or fonts lack what they are asked for."""
    if packages(page.preamble.tex) & ALPHABETS:
        return text
    named = re.compile(r"\\math(?:cal|scr|bb)(?![A-Za-z])")
    suspects = {name for name, macro in page.preamble.macros.commands.items() if named.search(macro.body)}
    suspects |= {"\\mathcal", "\\mathscr", "\\mathbb", "\\cal"}
    for number, placed in enumerate(page.placed):
        if not placed.kind:
            continue
        if signs := unicode.unshown(placed.text):
            text = shown(page, text, [number], "", f"{signs[0]}: LaTeX's fonts have no such sign")
        elif suspects.intersection(re.findall(r"\\[A-Za-z]+", placed.text)):
            wrong = _CAPITALS.search(expanded(page, placed.text) or "")
            if wrong:
                text = shown(page, text, [number], "", f"{wrong[0]}: LaTeX's font has capitals only")
    return text


def shown(page: Page, text: str, numbers: Sequence[int], unknown: str, reason: str) -> str:
    """The LaTeX with pictures for the formulas of those numbers, and for all others that have the command ``unknown``,
    which is said with the ``reason``; as it is, if the first cannot be one."""
    if unknown:
        has = re.compile(re.escape(unknown) + "(?![A-Za-z@])")
        others = [n for n, placed in enumerate(page.placed) if placed.kind and has.search(placed.text)]
        numbers = list(dict.fromkeys([*numbers, *others]))
    for number in numbers:
        placed = page.placed[number]
        picture = _picture(page, placed) if places.mark(number) in text else None
        if picture is None:
            if number == numbers[0]:
                return text
            continue
        page.say("latex", f"{reason}: the formula is a picture", places.Spot(placed).line(page, unknown))
        text = places.replaced(text, number, placed, picture)
    if "{graphicx}" in text:
        return text
    return text.replace("\\begin{document}", "\\usepackage{graphicx}\n\\begin{document}", 1)


def _picture(page: Page, placed: Placed) -> str | None:
    """A formula as a picture by MathJax, on its line and with its number; None if it has several numbers, or if MathJax
    does not take it."""
    display = placed.kind == "DisplayMath"
    bare, labels = environments.take_labels(placed.text)
    tex = expanded(page, bare)
    if tex is None:
        return None
    numbers = [number for number in environments.row_numbers(tex, lambda: "")[0] if number is not None]
    if display and len(numbers) > 1:
        return None
    made = mathjax.typeset([(environments.without_numbers(tex), display)], page.packages)[0]
    if made.error:
        return None
    svg, width, depth = mathjax.picture(made.svg, SIZE)
    address = page.media.add(svg.encode(), ".svg", "formula")
    graphic = f"\\includegraphics[width={width:.2f}pt]{{{address}}}"
    if not display:
        return f"\\raisebox{{{-depth:.2f}pt}}{{{graphic}}}"
    ends = "".join(f"\\label{{{label}}}" for label in labels)
    if numbers and (number := numbers[0]):
        star = "*" if number.startswith(environments.STARRED) else ""
        ends = f"\\tag{star}{{{number.lstrip(environments.STARRED)}}}{ends}"
    name = "equation" if numbers else "equation*"
    return f"\\begin{{{name}}}\\vcenter{{\\hbox{{{graphic}}}}}{ends}\\end{{{name}}}"
