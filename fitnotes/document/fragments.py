"""Pieces of Markdown, HTML or LaTeX that stand inside results and options, as pandoc elements.

All pieces of one kind are read by one pandoc process.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fitnotes.document import pandoc

HTML = "html"
LATEX = "latex+raw_tex"  # what it does not know stays, instead of vanishing
MARKDOWN = pandoc.READER


class Fragments:
    """Collects pieces (`add`), reads them all (`read`), gives their blocks back (`blocks`)."""

    def __init__(self) -> None:
        self._wanted: dict[str, dict[str, int]] = {}
        self._read: dict[tuple[str, str], list[Any]] = {}

    def add(self, text: str, source: str = MARKDOWN) -> None:
        self._wanted.setdefault(source, {}).setdefault(text, 0)

    def read(self) -> None:
        for source, texts in self._wanted.items():
            names = [text for text in texts if (source, text) not in self._read]
            for text, blocks in zip(names, pandoc.read_fragments(names, source), strict=True):
                self._read[source, text] = blocks

    def has(self, text: str, source: str = MARKDOWN) -> bool:
        return (source, text) in self._read

    def blocks(self, text: str, source: str = MARKDOWN) -> list[Any]:
        import copy

        return copy.deepcopy(self._read[source, text])

    def inlines(self, text: str, source: str = MARKDOWN) -> list[Any]:
        """The inline content of the piece's paragraphs."""
        import panflute as pf

        found: list[Any] = []
        for block in self.blocks(text, source):
            if isinstance(block, (pf.Para, pf.Plain)):
                if found:
                    found.append(pf.Space)
                found.extend(block.content)
        return found or ([pf.Str(text)] if text.strip() else [])


def read_captions(texts: Iterable[str]) -> dict[str, list[Any]]:
    """Captions as inlines, by their text."""
    fragments = Fragments()
    wanted = list(dict.fromkeys(texts))
    for text in wanted:
        fragments.add(text)
    fragments.read()
    return {text: fragments.inlines(text) for text in wanted}
