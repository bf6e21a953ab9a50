"""Links from note to note become links from page to page."""

from __future__ import annotations

import re
import urllib.parse
from pathlib import Path

import panflute as pf

from fitnotes.document.tree import walk
from fitnotes.errors import Problem
from fitnotes.source.note import SUFFIXES, Note
from fitnotes.store.inputs import MISSING


def link_pages(doc: pf.Doc, note: Note, suffix: str, base: Path, linked: dict[str, str]) -> list[Problem]:
    """``[text](other.md#part)`` leads to the page of other.md, with this ``suffix`` (".html", ".pdf").

    Pages mirror the folders below ``base``, so only the suffix changes. A file elsewhere has no page, and its
    link stays. A note that is not there is warned about. ``linked`` gets what was looked for.
    """
    folder = note.path.parent
    problems: list[Problem] = []

    def visit(element: pf.Element) -> None:
        if re.match(r"[a-zA-Z][\w+.-]*:|//", element.url):
            return
        path, mark, part = element.url.partition("#")
        if not path.endswith(SUFFIXES):
            return
        file = Path(folder, urllib.parse.unquote(path)).resolve()
        linked[str(file)] = "there" if file.is_file() else MISSING
        if not file.is_file():
            message = f"link to {path}: there is no such note"
            problems.append(Problem("missing-note", message, note.shown, note.line_of(f"]({element.url}")))
        elif file.is_relative_to(base.resolve()):
            element.url = re.sub(r"\.\w+$", suffix, path) + mark + part

    walk(doc, visit, pf.Link, metadata=True)
    return problems
