"""Shortcodes of Quarto and Hugo, ``{{< meta title >}}``: those that have a meaning here have it, others are said."""

from __future__ import annotations

import copy
import re
import shlex

import panflute as pf

from fitnotes.document.tree import Change, Elements, walk
from fitnotes.passes.page import Page
from fitnotes.source.inline import SHORTCODE


def read_shortcodes(page: Page) -> None:
    """Puts what each of them gives in its place; one that means nothing stays as it is written, and is said."""
    reader = _Reader(page)
    walk(page.doc, reader.paragraph, pf.Para, pf.Plain, metadata=True)
    walk(page.doc, reader.visit, pf.Span, metadata=True)


def _words(element: pf.Element) -> list[str]:
    text = element.attributes.get("args", "")
    try:
        return shlex.split(text, posix=True)
    except ValueError:  # a quotation mark without its other
        return text.split()


class _Reader:
    def __init__(self, page: Page) -> None:
        self.page = page

    def paragraph(self, element: pf.Element) -> Change:
        """A shortcode alone in its paragraph may stand for a block."""
        only = element.content[0] if len(element.content) == 1 else None
        if not isinstance(only, pf.Span) or SHORTCODE not in only.classes:
            return None
        name = (_words(only) or [""])[0]
        return pf.RawBlock("\\newpage", format="tex") if name == "pagebreak" else None

    def visit(self, element: pf.Element) -> Change:
        if SHORTCODE not in element.classes:
            return None
        name, *words = _words(element) or [""]
        named = dict(word.split("=", 1) for word in words if "=" in word)
        plain = [word for word in words if "=" not in word]
        if name == "meta" and plain:
            found = self._metadata(plain[0])
            return found if found is not None else self._unknown(element, f"the header has no {plain[0]}")
        if name == "kbd":
            return pf.Strong(pf.Str(" ".join(plain)))
        if name in ("video", "audio", "figure", "ref", "relref") and (plain or "src" in named):
            return self._file(name, named.get("src") or plain[0], named)
        if name == "include" and plain:
            return self._unknown(
                element, f"{plain[0]} is not put in: the project has no such text, or it includes itself"
            )
        return self._unknown(element, "nothing here reads it")

    def _metadata(self, path: str) -> Elements | None:
        """What the header says, as inlines."""
        metadata = self.page.doc.metadata
        value: pf.Element | None = metadata
        keys = path.split(".")
        if keys[0] == "substitutions" and keys[0] not in metadata.content:  # as Jupyter Book has it
            keys.insert(0, "myst")
        for key in keys:
            value = value.content.get(key) if isinstance(value, pf.MetaMap) else None
        if isinstance(value, pf.MetaInlines):
            return list(copy.deepcopy(value).content)
        if isinstance(value, pf.MetaString):
            return [pf.Str(value.text)]
        if isinstance(value, pf.MetaBool):
            return [pf.Str(str(value.boolean).lower())]
        return None

    def _file(self, name: str, address: str, named: dict[str, str]) -> Change:
        words = named.get("caption") or named.get("title") or named.get("alt") or ""
        if name == "figure":
            attributes = {"width": named["width"]} if "width" in named else {}
            return pf.Image(*([pf.Str(words)] if words else []), url=address, attributes=attributes)
        return pf.Link(pf.Str(words or address), url=address)

    def _unknown(self, element: pf.Element, why: str) -> pf.Element:
        written = "{{< " + element.attributes.get("args", "") + " >}}"
        line = self.page.note.line_of(written)
        if line is None:  # with other spaces, or Hugo's other signs
            name = re.escape((_words(element) or [""])[0])
            found = re.search(rf"\{{\{{[<%]\s*/?{name}", self.page.note.text)
            line = self.page.note.line_of(found[0]) if found else None
        self.page.say("shortcode", f"{written}: {why}", line)
        return pf.Code(written)
