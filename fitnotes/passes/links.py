"""Links from note to note become links from page to page."""

from __future__ import annotations

import os
import re
import urllib.parse
from pathlib import Path

import panflute as pf

from fitnotes.document.tree import Change, walk
from fitnotes.passes.page import Page
from fitnotes.settings import nearest, unquoted
from fitnotes.source.inline import WIKILINK, identifier
from fitnotes.source.note import SUFFIXES
from fitnotes.store.inputs import MISSING


def link_pages(page: Page) -> None:
    """``[text](other.md#part)`` leads to the page of other.md, with the suffix of its pages (".html", ".pdf").

    Pages mirror the folders below the notes' base, so only the suffix changes. A file elsewhere has no page, and its
    link stays. A note that is not there is warned about.
    """
    walk(page.doc, _Links(page).visit, pf.Link, metadata=True)


_RUNS = (".html", ".htm", ".xhtml", ".xht", ".xml", ".mht", ".mhtml")  # what runs scripts where it is opened
_LARGEST = 50_000_000  # bytes of a file that is copied beside the page


def _has(file: Path, part: str) -> bool:
    """Whether a note has a heading or a label of this name, as far as its text says."""
    text = file.read_text(encoding="utf-8", errors="replace")
    name = unquoted(part)
    if re.search(rf"(?:#|\{{|\b){re.escape(name)}\b", text):
        return True
    headings = re.findall(r"(?m)^#{1,6}[ \t]+(.*?)[ \t]*(?:\{[^}]*\})?[ \t]*$", text)
    headings += re.findall(r"(?m)^(\S.*)\n(?:=+|-+)[ \t]*$", text)
    return re.sub(r"-\d+$", "", name) in {
        identifier(re.sub(r"[*_`$\\]", "", words)) for words in headings
    } | {identifier(words) for words in headings}


def say_nowhere(page: Page) -> None:
    """Links to places that the note does not have, once all that it has are known."""
    there = set(page.refs.targets)
    walk(page.doc, lambda e: there.add(getattr(e, "identifier", "")))

    def look(element: pf.Element) -> None:
        name = unquoted(element.url[1:])
        if element.url.startswith("#") and name and name not in there and "ref" not in element.classes:
            close = nearest(name, there - {""}) if there - {""} else None
            line = page.note.line_of(f"]({element.url}") or page.note.line_of(element.url)
            page.say(
                "anchor", f"the link to {element.url} leads nowhere: nothing here has that name", line, close
            )

    walk(page.doc, look, pf.Link, metadata=True)


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
        if not path:
            return self._inner(element, part)
        if path.startswith("/") and (rooted := self.page.place.root / path.lstrip("/")).exists():
            path = self._relative(rooted)
        if not path.endswith(SUFFIXES):
            self._file(element, path)
            return None
        # As it is written, not where a link of the file system leads to.
        file = Path(os.path.abspath(self.folder / unquoted(path)))
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
        if part and self.page.place.reads(file) and not _has(file, part):
            message = f"link to {element.url}: that note has no {part}"
            self.page.say("anchor", message, self.page.note.line_of(f"]({element.url}"))
        if file.is_relative_to(self.base):
            element.url = re.sub(r"\.\w+$", self.page.suffix, path) + mark + part
        return None

    def _inner(self, element: pf.Element, part: str) -> Change:
        """A link to nothing is its words; one to a place in the note is looked at when all its places are known."""
        if part or element.url == "#":
            return None
        line = self.page.note.line_of("]()")
        self.page.say("anchor", f"the link of '{pf.stringify(element)}' leads nowhere", line)
        return list(element.content)

    def _file(self, element: pf.Element, path: str) -> None:
        """A file of the note: pages of HTML have it beside them."""
        file = Path(os.path.abspath(self.folder / unquoted(path.split("?")[0])))
        note = next((n for n in (file / "index.md", file.with_name(f"{file.name}.md")) if n.is_file()), None)
        if note is not None and note.is_relative_to(self.base):  # as sites leave out what their server adds
            element.url = self._relative(note.with_suffix(self.page.suffix)) + element.url[len(path) :]
            return
        if path.startswith("/") or file.is_dir() or any(file.with_suffix(end).is_file() for end in SUFFIXES):
            return  # of the site, or the page of a note
        self.page.media.linked[str(file)] = "there" if file.is_file() else MISSING
        if not file.is_file():
            message = f"link to {unquoted(path)}: there is no such file"
            self.page.say("missing-file", message, self.page.note.line_of(f"]({element.url}"))
        elif not self.page.place.reads(file) or (self.page.place.inside and file.suffix.lower() in _RUNS):
            return
        elif self.page.format.is_html and self.page.media.asked and file.stat().st_size < _LARGEST:
            element.url = self.page.media.copy(file) + element.url[len(path) :]

    def _relative(self, file: Path) -> str:
        return urllib.parse.quote(Path(os.path.relpath(file, self.folder)).as_posix())

    def _missing(self, element: pf.Element, wiki: bool) -> None:
        path = element.url.partition("#")[0]
        written = f"[[{unquoted(path).removesuffix('.md')}" if wiki else f"]({element.url}"
        what = f"{written}]]" if wiki else f"link to {path}"
        self.page.say("missing-note", f"{what}: there is no such note", self.page.note.line_of(written))
