"""Pieces of Markdown, HTML or LaTeX that stand inside results and options, as pandoc elements.

All pieces of one kind are read by one pandoc process.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import panflute as pf

from fitnotes.document import pandoc
from fitnotes.document.tree import Elements, load

HTML = "html"
LATEX = "latex+raw_tex"  # what it does not know stays, instead of vanishing
MARKDOWN = pandoc.READER


class Fragments:
    """Collects pieces (`add`), reads them all (`read`), gives their blocks back (`blocks`)."""

    def __init__(self) -> None:
        self._wanted: dict[str, dict[str, int]] = {}
        self._read: dict[tuple[str, str], Elements] = {}

    def add(self, text: str, source: str = MARKDOWN) -> None:
        self._wanted.setdefault(source, {}).setdefault(text, 0)

    def read(self) -> None:
        for source, texts in self._wanted.items():
            names = [text for text in texts if (source, text) not in self._read]
            for text, blocks in zip(names, _read(names, source), strict=True):
                self._read[source, text] = blocks

    def has(self, text: str, source: str = MARKDOWN) -> bool:
        return (source, text) in self._read

    def blocks(self, text: str, source: str = MARKDOWN) -> Elements:
        import copy

        return copy.deepcopy(self._read[source, text])

    def inlines(self, text: str, source: str = MARKDOWN) -> Elements:
        """The inline content of the piece's paragraphs."""
        found: Elements = []
        for block in self.blocks(text, source):
            if isinstance(block, (pf.Para, pf.Plain)):
                if found:
                    found.append(pf.Space())
                found.extend(block.content)
        return found or ([pf.Str(text)] if text.strip() else [])


def read_captions(texts: Iterable[str]) -> dict[str, Elements]:
    """Captions as inlines, by their text."""
    fragments = Fragments()
    wanted = list(dict.fromkeys(texts))
    for text in wanted:
        fragments.add(text)
    fragments.read()
    return {text: fragments.inlines(text) for text in wanted}


_SEPARATOR = "fitnotesfragmentseparator"


def _read(fragments: Sequence[str], source: str = pandoc.READER) -> list[Elements]:
    """Each fragment as a list of panflute blocks, with one pandoc process for all of them.

    A fragment that swallows the separator behind it (an unclosed div, say) is read by itself.
    """
    if not fragments:
        return []
    between = f"\n\n{_SEPARATOR}\n\n"
    # Pipe tables with longer lines than this get the full width of the text, and their cells wrap.
    command = ["-f", source, "-t", "json", "--columns=100"]
    groups: list[Elements] = [[]]
    for block in load(pandoc.run(command, between.join(fragments)).text, "json").content:
        if _is_separator(block):
            groups.append([])
        else:
            groups[-1].append(block)
    if len(groups) != len(fragments):
        groups = [list(load(pandoc.run(command, f).text, "json").content) for f in fragments]
    return groups


def _is_separator(block: pf.Element) -> bool:
    content = getattr(block, "content", None)
    return (
        type(block).__name__ in ("Para", "Plain")
        and content is not None
        and len(content) == 1
        and getattr(content[0], "text", None) == _SEPARATOR
    )
