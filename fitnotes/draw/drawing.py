"""What all kinds of drawings share: a block of the note in, a picture or a reason out.

A kind is a class with the members of `Kind` and a row in `fitnotes.source.languages.DRAWN`. It knows neither the tree
nor the target: `fitnotes.passes.drawings` finds the blocks, and puts in their place what the kind gives.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Protocol

from fitnotes.draw.media import Media
from fitnotes.errors import Problem
from fitnotes.source.languages import DRAWN
from fitnotes.source.note import Note
from fitnotes.tex.preamble import Preamble

# Options that every kind has.
COMMON = frozenset({"caption", "fig-cap", "fig-alt", "width", "height", "filename", "label"})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a kind may know beside its block: the note, what its preamble defines, and where files lie.

    ``packages`` are MathJax's; ``pdf_engine`` is the LaTeX that the note's settings name; ``dark``: figures are wanted
    for dark pages too; ``labels_only``: only the labels of the page are asked for.
    """

    note: Note
    media: Media
    preamble: Preamble
    root: Path
    packages: Sequence[str] = ()
    pdf_engine: str = ""
    dark: bool = False
    labels_only: bool = False
    failures: dict[str, Exception] = field(
        default_factory=dict
    )  # known from another page of the note, by a key

    @property
    def unseen(self) -> bool:
        """Nobody looks at the pictures: the labels are asked for, or what lint finds."""
        return self.labels_only or not self.media.asked


@dataclass(frozen=True, slots=True)
class Sketch:
    """A block to be drawn. ``fence`` and ``line`` are the note's lines of its fence and of its first line of code;
    ``unknown`` are the options that its kind does not have, as they are written."""

    code: str
    options: Mapping[str, str]
    identifier: str = ""
    fence: int | None = None
    line: int | None = None
    unknown: tuple[str, ...] = ()

    @property
    def caption(self) -> str:
        return self.options.get("fig-cap") or self.options.get("caption", "")


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture as a file, with what was found wrong in it. ``dark``: the same for dark pages, as SVG."""

    data: bytes
    suffix: str
    problems: tuple[Problem, ...] = ()
    dark: bytes | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """Why there is no picture. ``shown`` are the words above the source, which stands in its place."""

    problem: Problem
    shown: str
    source: str
    classes: tuple[str, ...] = ()


def with_options(block: Sketch, known: Collection[str], comment: str) -> Sketch:
    """The block with the options that stand at the top of its code, behind ``comment`` and a ``|``, as Quarto and knitr
    have them: ``%%| fig-cap: Words``. Of those in its fence, too, ``fig.cap`` and ``fig_cap`` are ``fig-cap``."""
    given = dict(block.options)
    lines = block.code.split("\n")
    for n, text in enumerate(lines):
        option = re.match(rf"\s*{comment}\|\s*([\w.-]+)\s*:\s*(.*?)\s*$", text)
        if option is None:
            break
        given[option[1]] = option[2].strip("\"'")
        lines[n] = ""
    names = {key: key.replace(".", "-").replace("_", "-") for key in given}
    options = {names[key]: value for key, value in given.items() if names[key] in known}
    for ours, theirs in (("width", "fig-width"), ("height", "fig-height")):
        value = next((given[key] for key in given if names[key] == theirs), "")
        if value:  # Quarto's are in inches
            options.setdefault(ours, f"{value}in" if re.fullmatch(r"\d+(?:\.\d+)?", value) else value)
    return replace(
        block,
        code="\n".join(lines),
        options=options,
        identifier=block.identifier or options.get("label", ""),
        unknown=tuple(key for key in given if names[key] not in {*known, "fig-width", "fig-height"}),
    )


class Kind(Protocol):
    """A kind of drawings, made anew for each page."""

    noun: ClassVar[str]  # what one is called: "diagram"
    options: ClassVar[frozenset[str]]

    def __init__(self, around: Surroundings) -> None: ...

    def learn(self, tex: str) -> None:
        """What a formula or raw TeX above the next blocks defines."""

    def read(self, block: Sketch) -> Sketch:
        """The block without the options that stand in its code."""

    def draw(self, blocks: Sequence[Sketch]) -> list[Drawn | Failed | None]:
        """A picture of each, in order.

        None if ``labels_only``; and also whenever they are ``unseen``, for a kind that takes seconds. One that is fast
        draws then all the same, so that lint finds its mistakes.
        """

    def source(self, block: Sketch) -> str | None:
        """The code as it stays for a format that draws it by itself; None if none does."""


def kind(language: str, around: Surroundings) -> Kind:
    """The kind of the blocks of one language."""
    module, _, name = DRAWN[language].partition(":")
    made: Kind = getattr(importlib.import_module(module), name)(around)
    return made
