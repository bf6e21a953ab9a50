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
# Alphabets of letters: in the place of anything else their fonts have other signs, and LaTeX says nothing
# (test_latex.py: test_alphabets_show_what_the_browser_shows). \\mathbb has the k, and a 1 from elsewhere.
_LETTERS = r"\s*(?:\{" + environments.BALANCED + r"\}|(\\[A-Za-z]+|[^\s{}\\]))"
_ALPHABET = re.compile(r"\\(mathcal|mathscr|mathbb|mathfrak)(?![A-Za-z])" + _LETTERS)
_HAS = {
    "mathcal": "[A-Z\\s]*",
    "mathscr": "[A-Z\\s]*",
    "mathbb": "[A-Zk\\s]*|1",
    "mathfrak": "[A-Za-z0-9\\s]*",
}


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
    named = re.compile(r"\\math(?:cal|scr|bb|frak)(?![A-Za-z])")
    suspects = {name for name, macro in page.preamble.macros.commands.items() if named.search(macro.body)}
    suspects |= {"\\mathcal", "\\mathscr", "\\mathbb", "\\mathfrak", "\\cal"}
    for number, placed in enumerate(page.placed):
        if not placed.kind:
            continue
        if expanded(page, placed.text) is None:  # LaTeX would go on for ever
            page.say("macro", "formula: a macro in it calls itself without end", placed.line)
            text = as_written(text, number, placed)
        elif signs := unicode.unshown(placed.text):
            text = shown(page, text, [number], "", f"{signs[0]}: LaTeX's fonts have no such sign")
        elif suspects.intersection(re.findall(r"\\[A-Za-z]+", placed.text)):
            wrong = _other_letters(expanded(page, placed.text) or "")
            if wrong:
                text = shown(page, text, [number], "", f"{wrong}: LaTeX's font has other signs there")
    return text


def _other_letters(tex: str) -> str:
    """What a formula asks of an alphabet that LaTeX's font does not have."""
    for match in _ALPHABET.finditer(tex):
        if not re.fullmatch(_HAS[match[1]], match[2] if match[2] is not None else match[3]):
            return match[0]
    return ""


def refused(page: Page, text: str) -> dict[int, str]:
    """The formulas that MathJax does not take either, by number, with its reasons."""
    numbers = [n for n, placed in enumerate(page.placed) if placed.kind and places.stands(text, n, placed)]
    asked = [
        (
            expanded(page, environments.take_labels(page.placed[n].text)[0]) or "",
            page.placed[n].kind == "DisplayMath",
        )
        for n in numbers
    ]
    reasons = mathjax.check(asked, page.packages)
    return {n: reason for n, reason in zip(numbers, reasons, strict=True) if reason}


def as_written(text: str, number: int, placed: Placed) -> str:
    """The LaTeX with a formula as its author wrote it, for one that is wrong."""
    shown = "".join(f"\\char{ord(char)}\\relax " if not char.isalnum() else char for char in placed.text)
    text = places.replaced(text, number, placed, f"\\textcolor{{red!70!black}}{{\\texttt{{{shown}}}}}")
    return _with_package(text, "xcolor")


def shown(page: Page, text: str, numbers: Sequence[int], unknown: str, reason: str) -> str:
    """The LaTeX with pictures for the formulas of those numbers, and for all others that have the command ``unknown``,
    which is said with the ``reason``; those that cannot be one stay."""
    if unknown:
        has = re.compile(re.escape(unknown) + "(?![A-Za-z@])")
        others = [n for n, placed in enumerate(page.placed) if placed.kind and has.search(placed.text)]
        numbers = list(dict.fromkeys([*numbers, *others]))
    for number in numbers:
        placed = page.placed[number]
        picture = _picture(page, placed) if places.stands(text, number, placed) else None
        if picture is None:
            continue
        page.say("latex", f"{reason}: the formula is a picture", places.Spot(placed).line(page, unknown))
        text = places.replaced(text, number, placed, picture)
    return _with_package(text, "graphicx")


def _with_package(text: str, name: str) -> str:
    if re.search(rf"\\usepackage(?:\[[^\]]*\])?\{{{name}\}}", text):
        return text
    return text.replace("\\begin{document}", f"\\usepackage{{{name}}}\n\\begin{{document}}", 1)


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
    if address is None:
        return None
    size = f"{width:.2f}pt"
    most = f"\\ifdim{size}>\\linewidth\\linewidth\\else{size}\\fi" if width > 150 else size
    graphic = f"\\includegraphics[width={most}]{{{address}}}"
    if not display:
        return f"\\raisebox{{{-depth:.2f}pt}}{{{graphic}}}"
    ends = "".join(f"\\label{{{label}}}" for label in labels)
    if numbers and (number := numbers[0]):
        star = "*" if number.startswith(environments.STARRED) else ""
        ends = f"\\tag{star}{{{number.lstrip(environments.STARRED)}}}{ends}"
    name = "equation" if numbers else "equation*"
    return f"\\begin{{{name}}}\\vcenter{{\\hbox{{{graphic}}}}}{ends}\\end{{{name}}}"
