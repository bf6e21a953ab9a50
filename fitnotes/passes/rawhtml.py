"""Raw HTML in a note: pictures in it are placed like others, and on paper its words keep their meaning."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

import panflute as pf

from fitnotes.document import nodes, pandoc
from fitnotes.document.tree import Change, Elements, collect, dump, load, walk
from fitnotes.errors import Problem
from fitnotes.source.note import Note

_TAG = re.compile(r"^<(?P<end>/?)(?P<name>[a-zA-Z][\w-]*)")
# What encloses words, as pandoc's own element; None: the words stay, the tag has no meaning on paper.
_ENCLOSING = {
    "sub": "Subscript", "sup": "Superscript", "b": "Strong", "strong": "Strong", "i": "Emph", "em": "Emph",
    "cite": "Emph", "var": "Emph", "dfn": "Emph", "u": "Underline", "ins": "Underline", "s": "Strikeout",
    "del": "Strikeout", "strike": "Strikeout", "kbd": "Strong", "mark": None, "small": None, "big": None,
    "span": None, "a": None, "abbr": None, "font": None, "q": None, "center": None, "nobr": None,
    "details": None, "summary": "Strong", "label": None, "time": None,
}  # fmt: skip
_NOTHING = frozenset({"wbr", "meta", "link", "style", "script", "hr", "p", "br"})


class _Attributes(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.update({key: value or "" for key, value in attrs})


def find_images(doc: pf.Doc) -> None:
    """``<img …>`` becomes pandoc's image, so that its file is copied, checked and shown everywhere."""

    def visit(element: pf.Element) -> Change:
        if not nodes.is_raw_html(element) or not re.fullmatch(r"(?is)\s*<img\b[^>]*>\s*", element.text):
            return None
        given = _Attributes(element.text).found
        if not given.get("src"):
            return None
        shown = {key: given[key] for key in ("width", "height") if given.get(key)}
        alt = given.get("alt", "")
        image = pf.Image(*([pf.Str(alt)] if alt else []), url=given["src"], attributes=shown)
        return pf.Para(image) if isinstance(element, pf.RawBlock) else image

    walk(doc, visit, pf.RawBlock, pf.RawInline)


def read_raw_html(doc: pf.Doc, note: Note) -> list[Problem]:
    """For targets other than HTML: tags become structure; one that has no meaning there is said."""
    if not collect(doc, pf.RawBlock, pf.RawInline, where=nodes.is_raw_html, metadata=True):
        return []
    read_tables(doc)
    reader = _TagReader(note)
    walk(doc, reader.visit, metadata=True)
    return reader.problems


@dataclass(slots=True)
class _TagReader:
    note: Note
    problems: list[Problem] = field(default_factory=list)

    def visit(self, element: pf.Element) -> Change:
        content = getattr(element, "content", None)
        if content is not None and any(isinstance(i, pf.RawInline) and nodes.is_raw_html(i) for i in content):
            element.content = self._structure(list(content))
        if not isinstance(element, pf.RawBlock) or not nodes.is_raw_html(element):
            return None
        return None if re.match(r"(?i)\s*<img\b", element.text) else self._words(element.text)

    def _structure(self, content: Elements) -> Elements:
        """The inlines with elements in the place of tags."""
        nesting = _Nesting()
        for item in content:
            if not (isinstance(item, pf.RawInline) and nodes.is_raw_html(item)):
                nesting.add(item)
            elif match := _TAG.match(item.text):  # else it is a comment
                self._tag(nesting, item, match["name"].lower(), bool(match["end"]))
        return nesting.finish()

    def _tag(self, nesting: _Nesting, item: pf.Element, name: str, ends: bool) -> None:
        if name == "br":
            nesting.add(pf.LineBreak())
        elif name == "img":
            nesting.add(item)
        elif name in _ENCLOSING and ends:
            nesting.close(name)
        elif name in _ENCLOSING:
            nesting.open(name)
        elif name not in _NOTHING and not ends:
            self._warn(item.text)

    def _words(self, text: str) -> Change:
        """What is left of a block between its tags."""
        for tag in re.finditer(r"<([a-zA-Z][\w-]*)[^>]*>", text):
            name = tag[1].lower()
            if name not in _ENCLOSING and name not in _NOTHING and name != "div":
                self._warn(tag[0])
        bare = re.sub(r"(?s)<!--.*?-->|<(style|script).*?</\1>|<[^>]+>", "", text)
        words = html.unescape(bare).strip()
        return pf.Para(pf.Str(words)) if words else []

    def _warn(self, tag: str) -> None:
        line = self.note.line_of(tag)
        message = f"HTML {' '.join(tag.split())[:60]!r} means nothing on paper; only its text is kept"
        self.problems.append(Problem("raw-html", message, self.note.shown, line))


class _Nesting:
    """Inlines on their way into the elements that their tags begin and end."""

    def __init__(self) -> None:
        self._open: list[tuple[str, Elements]] = [("", [])]  # (tag, what is inside), the outermost first

    def add(self, item: pf.Element) -> None:
        self._open[-1][1].append(item)

    def open(self, tag: str) -> None:
        self._open.append((tag, []))

    def close(self, tag: str) -> None:
        """Ends the innermost element of this tag, and what was left open inside it."""
        if any(name == tag for name, _ in self._open):
            while self._close_last() != tag:
                pass

    def finish(self) -> Elements:
        while len(self._open) > 1:
            self._close_last()
        return self._open[0][1]

    def _close_last(self) -> str:
        tag, inside = self._open.pop()
        kind = _ENCLOSING[tag]
        self._open[-1][1].extend([getattr(pf, kind)(*inside)] if kind and inside else inside)
        return tag


def read_tables(doc: pf.Doc) -> None:
    """Tables written in HTML: pandoc's HTML reader makes them of the blocks between their tags."""
    blocks = list(doc.content)
    out: Elements = []
    at = 0
    while at < len(blocks):
        block = blocks[at]
        if not (nodes.is_raw_html(block) and re.match(r"(?i)\s*<table\b", block.text)):
            out.append(block)
            at += 1
            continue
        end = _table_end(blocks, at)
        part = pf.Doc(*blocks[at:end], api_version=(1, 23, 1))
        markup = pandoc.write(dump(part), "html", ["--mathjax", "--wrap=none"]).text
        out.extend(load(pandoc.run(["-f", "html", "-t", "json"], markup).text, "json").content)
        at = end
    doc.content = out


def _table_end(blocks: Elements, start: int) -> int:
    """The index behind the block in which the table that begins in ``blocks[start]`` ends."""
    depth = 0
    for index in range(start, len(blocks)):
        text = blocks[index].text if nodes.is_raw_html(blocks[index]) else ""
        depth += len(re.findall(r"(?i)<table\b", text)) - len(re.findall(r"(?i)</table\b", text))
        if depth <= 0:
            return index + 1
    return len(blocks)
