"""Blocks of Mermaid: their options, and macros of the note in their labels."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from fitnotes.draw.drawing import COMMON, Drawn, Failed, Sketch, Surroundings, with_options
from fitnotes.draw.mermaid.labels import LabelFormula, for_github, split
from fitnotes.draw.mermaid.render import THEMES, DiagramError, draw_parts
from fitnotes.errors import Problem
from fitnotes.tex.macros import MacroError, Macros, expand, learn
from fitnotes.tex.portable import portable

Parts = tuple[str | LabelFormula, ...]


class Mermaid:
    """Those of one page. A macro that the note defines between two diagrams holds in the second one."""

    noun: ClassVar[str] = "diagram"
    # Ours, and those of mermaid-filter; the last ones have no meaning without a browser, but do no harm.
    options: ClassVar[frozenset[str]] = COMMON | {
        "theme", "format", "scale", "loc", "background", "imageClass", "env",
    }  # fmt: skip

    def __init__(self, around: Surroundings) -> None:
        self.around = around
        self.macros = around.preamble.macros.copy()
        self._parts: dict[int, Parts] = {}

    def learn(self, tex: str) -> None:
        with contextlib.suppress(MacroError):
            learn(tex, self.macros)

    def read(self, block: Sketch) -> Sketch:
        read = with_options(block, self.options, "%%")
        self._parts[id(read)] = expanded(split(read.code), self.macros)
        return read

    def draw(self, blocks: Sequence[Sketch]) -> list[Drawn | Failed | None]:
        return [None if self.around.labels_only else self._draw(block) for block in blocks]

    def source(self, block: Sketch) -> str | None:
        return for_github(self._parts[id(block)])

    def _draw(self, block: Sketch) -> Drawn | Failed:
        shown = self.around.note.shown

        def line(offset: int) -> int | None:
            return block.line + offset - 1 if block.line else None

        theme = block.options.get("theme", "default")
        try:
            if theme not in THEMES:
                raise DiagramError(f"unknown theme {theme!r}: one of {', '.join(THEMES)}", 0)
            diagram = draw_parts(self._parts[id(block)], theme, tuple(self.around.packages))
        except DiagramError as error:
            at = line(error.line)
            problem = Problem("diagram", f"mermaid: {error}", shown, at)
            return Failed(problem, f"mermaid: line {at}: {error}", block.code)
        problems = []
        for formula, reason in diagram.wrong:
            message = f"{' '.join(formula.written.split())[:80]}: MathJax says: {reason}"
            problems.append(Problem("formula", message, shown, line(formula.line)))
        return Drawn(diagram.svg.encode(), ".svg", tuple(problems))


def expanded(parts: Sequence[str | LabelFormula], macros: Macros) -> Parts:
    """The diagram with the macros in its formulas replaced, and what only some engines read."""

    def one(part: str | LabelFormula) -> str | LabelFormula:
        if isinstance(part, LabelFormula):
            with contextlib.suppress(MacroError):  # MathJax will say it
                return replace(part, tex=portable(expand(part.tex, macros.copy())))
        return part

    return tuple(one(part) for part in parts)
