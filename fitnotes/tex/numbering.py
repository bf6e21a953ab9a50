"""Numbers as LaTeX counts them: sections, and what is numbered within them."""

from __future__ import annotations

import re

import panflute as pf

from fitnotes.tex.tokens import calls

_DEPTHS = {"section": 1, "subsection": 2, "subsubsection": 3}
SET_COUNTER = re.compile(r"^\s*\\(set|addto)counter\s*\{equation\}\s*\{(-?\d+)\}\s*$")


def depth(section: str) -> int:
    """How many levels of headings are in a number within ``section``; 0 for none."""
    return _DEPTHS.get(section, 0)


def within(preamble: str) -> dict[str, int]:
    """Counter → the depth of the headings that it counts in, as the preamble says."""
    found = (call.arguments for call in calls(preamble, numberwithin="gg", counterwithin="sgg"))
    return {counter: depth(section) for counter, section in found}


LEVELS = 6  # of headings


class Sections:
    """The numbers of the headings so far."""

    def __init__(self) -> None:
        self._counts = [0] * LEVELS
        self.appendix = (
            False  # from the first heading of the class `appendix` on, the first level has letters
        )

    def step(self, heading: pf.Element) -> int:
        """Counts a heading of panflute's; returns its level, 0 if it takes no number."""
        if "unnumbered" in heading.classes:
            return 0
        if "appendix" in heading.classes and not self.appendix:
            self.appendix = True
            self._counts = [0] * LEVELS
        self._counts[heading.level - 1] += 1
        self._counts[heading.level :] = [0] * (LEVELS - heading.level)
        return int(heading.level)

    def prefix(self, levels: int) -> str:
        names = [str(n) for n in self._counts[:levels]]
        if self.appendix and names:
            names[0] = chr(ord("A") + self._counts[0] - 1) if self._counts[0] else "0"
        return "".join(f"{name}." for name in names)


class EquationFormat:
    """What ``\\theequation`` makes of a count: ``2.1``, or as the preamble redefines it."""

    def __init__(self, preamble: str) -> None:
        self.depth = within(preamble).get("equation", 0)
        self._own = ""
        for call in calls(preamble, renewcommand="smg"):
            name, meaning = call.arguments
            if name.strip() == "\\theequation":
                self._own = meaning

    def __call__(self, count: int, sections: Sections) -> str:
        if not self._own:
            return f"{sections.prefix(self.depth)}{count}"
        text = self._own
        for name, level in _DEPTHS.items():
            text = re.sub(rf"\\the{name}(?![A-Za-z])", sections.prefix(level).rstrip("."), text)
        text = re.sub(r"\\arabic\s*\{equation\}", str(count), text)
        return re.sub(r"\\[A-Za-z]+\s*|[{}]", "", text).strip()
