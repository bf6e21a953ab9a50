"""Links from note to note become links from page to page."""

from __future__ import annotations

import os
import re
import urllib.parse
from pathlib import Path

import panflute as pf

from fitnotes.document.tree import Change, walk
from fitnotes.passes.page import Page
from fitnotes.source.inline import WIKILINK
from fitnotes.source.note import SUFFIXES
from fitnotes.store.inputs import MISSING


def link_pages(page: Page) -> None:
    """``[text](other.md#part)`` leads to the page of other.md, with the suffix of its pages (".html", ".pdf").

    Pages mirror the folders below the notes' base, so only the suffix changes. A file elsewhere has no page, and its
    link stays. A note that is not there is warned about.
    """
    walk(page.doc, _Links(page).visit, pf.Link, metadata=True)


class _Links:
    def __init__(self, page: Page) -> None:
        self.page = page
        self.folder = page.note.path.parent
        self.base = page.place.base.resolve()

    def visit(self, element: pf.Element) -> Change:
        wiki = WIKILINK in element.classes
        element.classes = [name for name in element.classes if name != WIKILINK]
        if re.match(r"[a-zA-Z][\w+.-]*:|//", element.url):
            return None
        path, mark, part = element.url.partition("#")
        if path.startswith("/") and (rooted := self.page.place.root / path.lstrip("/")).exists():
            path = self._relative(rooted)
        if not path.endswith(SUFFIXES):
            return None
        # As it is written, not where a link of the file system leads to.
        file = Path(os.path.abspath(self.folder / urllib.parse.unquote(path)))
        if wiki and not file.is_file():  # Obsidian finds a note by its name, wherever it is
            file = next((found for found in sorted(self.base.rglob(file.name)) if found.is_file()), file)
            path = self._relative(file)
        self.page.media.linked[str(file)] = "there" if file.is_file() else MISSING
        if not file.is_file():
            self._missing(element, wiki)
            return list(element.content) if wiki else None
        if "embed" in element.classes:
            element.classes = [name for name in element.classes if name != "embed"]
            message = f"![[{file.stem}]] is a link here: notes are not put inside one another"
            self.page.say("missing-note", message, self.page.note.line_of(f"![[{file.stem}"))
        if file.is_relative_to(self.base):
            element.url = re.sub(r"\.\w+$", self.page.suffix, path) + mark + part
        return None

    def _relative(self, file: Path) -> str:
        return urllib.parse.quote(Path(os.path.relpath(file, self.folder)).as_posix())

    def _missing(self, element: pf.Element, wiki: bool) -> None:
        path = element.url.partition("#")[0]
        written = f"[[{urllib.parse.unquote(path).removesuffix('.md')}" if wiki else f"]({element.url}"
        what = f"{written}]]" if wiki else f"link to {path}"
        self.page.say("missing-note", f"{what}: there is no such note", self.page.note.line_of(written))
