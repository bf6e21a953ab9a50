"""Display formulas that are wider than the text: set smaller, which is said."""

from __future__ import annotations

import re

from fitnotes.passes.page import Page, Placed
from fitnotes.targets.latex import places

_FIT = r"""\newsavebox{\formulabox}
\newcommand{\fitnotesfit}[1]{\sbox{\formulabox}{$\displaystyle#1$}%
  \ifdim\wd\formulabox>\linewidth\resizebox{\linewidth}{!}{\usebox{\formulabox}}\else\usebox{\formulabox}\fi}
"""
_OVERFULL = r"^Overfull \\hbox \(([\d.]+)pt too wide\) detected at line (\d+)"
_NUMBER = 36  # pt: room for it
_WIDER = "\\relax "


def narrowed(log: str, text: str, page: Page, engine: str) -> str:
    """The LaTeX with those formulas smaller that its log finds too wide; as it is if there are none."""
    for width, line in re.findall(_OVERFULL, log, re.MULTILINE):
        over = float(width)
        found = _displays(page, text, int(line)) if over >= 1 else []
        for number, placed in found:
            changed = _smaller(text, number, placed, over)
            if changed != text and len(found) == 1:
                message = f"{engine}: the formula is {over:.0f} pt wider than the text: it is set smaller"
                page.say("wide-formula", message, placed.line, "break it into rows, in aligned or multline")
            text = changed
    needed = _FIT if "\\fitnotesfit{" in text and _FIT not in text else ""
    if "\\resizebox" in needed + text and "{graphicx}" not in text:
        needed += "\\usepackage{graphicx}\n"
    return text.replace("\\begin{document}", f"{needed}\\begin{{document}}", 1)


def _displays(page: Page, text: str, line: int) -> list[tuple[int, Placed]]:
    """The displays that end in a line of the LaTeX."""
    last = places.at_line(page, text, line)
    inline = [int(n) for n in re.findall(places.MARK, text.split("\n")[line - 1])]
    numbers = [n for n in inline if n < len(page.placed) and page.placed[n].kind == "DisplayMath"]
    if not numbers and last.placed and last.placed.kind == "DisplayMath":
        numbers = [last.number]
    return [(n, page.placed[n]) for n in numbers]


def _smaller(text: str, number: int, placed: Placed, over: float) -> str:
    """The LaTeX with one formula as wide as its line; one with numbers is set on a wider one, which is made smaller."""
    whole = places.mark(number) + placed.text
    if f"\\[{whole}\\]" in text:
        if "\\tag" not in placed.text:
            return text.replace(f"\\[{whole}\\]", f"\\[\\fitnotesfit{{{whole}}}\\]", 1)
        whole = f"\\[{whole}\\]"
    if f"{_WIDER}{whole}" in text or whole not in text:
        return text
    wider = (
        f"\\begin{{minipage}}{{\\dimexpr\\linewidth+{over + _NUMBER:.0f}pt}}{_WIDER}{whole}\\end{{minipage}}"
    )
    return text.replace(whole, f"\\par\\noindent\\resizebox{{\\linewidth}}{{!}}{{{wider}}}\\par ", 1)
