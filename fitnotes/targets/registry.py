"""Every target there is: what the command line offers, and who writes it.

A target is declared by a module or folder beside this file, in a tuple called TARGETS. These modules are light: the
command line reads all of them. What writes is named in the declaration, and loaded when it is needed.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import fitnotes.targets
from fitnotes.document.formats import DECKS, Format

if TYPE_CHECKING:
    from fitnotes.document.read import Document
    from fitnotes.execute.result import Result
    from fitnotes.passes.page import Page, Place


@dataclass(frozen=True, slots=True)
class Job:
    """A page to be written: ``page`` is its file. ``engine`` makes PDFs; ``embed``: everything in one file;
    ``assets``: the folder for what pages share; ``formulas``: the file that lists those MathJax is known to set."""

    document: Document
    results: Mapping[int, Result]
    page: Path
    place: Place
    assets: Path
    formulas: Path
    engine: str = "typst"
    embed: bool = False


Writer = Callable[[Job], "Page"]
ASSETS = "_assets"  # the folder beside pages with what they share
ANY = "*"  # the engine that has no writer of its own


@dataclass(frozen=True, slots=True)
class Target:
    """What ``--to NAME`` makes.

    ``writers``: engine → "module:function", ANY for all others; a writer raises ConversionError or MissingProgram, and
    leaves the page that was there. ``does``: one line for the documentation; ``opens``: the suffixes of ``--output``
    that mean it; ``formats``: those that it is written in; ``deck``: it is slides; ``place``: in lists.
    """

    name: str
    suffix: str
    does: str
    writers: Mapping[str, str]
    formats: tuple[Format, ...]
    place: int
    opens: tuple[str, ...] = ()
    deck: bool = False

    def writer(self, engine: str) -> Writer:
        module, _, function = self.writers.get(engine, self.writers.get(ANY, "")).partition(":")
        found: Writer = getattr(importlib.import_module(module), function)
        return found

    @property
    def engines(self) -> frozenset[str]:
        """Those that have a writer of their own."""
        return frozenset(self.writers) - {ANY}

    @property
    def format_names(self) -> frozenset[str]:
        """What ``when-format`` may call it."""
        names = frozenset[str]().union(*(format_.all_names for format_ in self.formats))
        return names | DECKS if self.deck else names


@functools.cache
def targets() -> Mapping[str, Target]:
    """All targets by name, in the order of lists."""
    found: list[Target] = []
    for module in pkgutil.iter_modules(fitnotes.targets.__path__, f"{fitnotes.targets.__name__}."):
        found += getattr(importlib.import_module(module.name), "TARGETS", ())
    found.sort(key=lambda target: (target.place, target.name))
    opens = [suffix for target in found for suffix in target.opens]
    assert len(set(opens)) == len(opens), "a suffix of --output means two targets"
    assert len({target.name for target in found}) == len(found), "two targets have one name"
    return {target.name: target for target in found}


def formats() -> Mapping[str, Format]:
    """The formats that targets are written in, by name."""
    return {format_.name: format_ for target in targets().values() for format_ in target.formats}


def suffixes() -> Mapping[str, str]:
    """Suffix of an output file → the target that it means."""
    return {suffix: target.name for target in targets().values() for suffix in target.opens}


def decks() -> Mapping[str, str]:
    """Suffix → the target that makes slides in such a file."""
    return {target.suffix: target.name for target in targets().values() if target.deck}


def format_names() -> frozenset[str]:
    """Every name that ``when-format`` may say."""
    return frozenset[str]().union(*(target.format_names for target in targets().values()))
