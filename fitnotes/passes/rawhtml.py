"""Raw HTML in a note: pictures in it are placed like others, and on paper its words keep their meaning."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import panflute as pf

from fitnotes.document import pandoc
from fitnotes.document.tree import Change, Elements, dump, load, walk
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


def _is_html(element: pf.Element) -> bool:
    return isinstance(element, (pf.RawBlock, pf.RawInline)) and element.format in ("html", "html5", "html4")


def find_images(doc: pf.Doc) -> None:
    """``<img …>`` becomes pandoc's image, so that its file is copied, checked and shown everywhere."""

    def visit(element: pf.Element) -> Change:
        if not _is_html(element) or not re.fullmatch(r"(?is)\s*<img\b[^>]*>\s*", element.text):
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
    problems: list[Problem] = []
    found: Elements = []
    walk(doc, lambda e: found.append(e) if _is_html(e) else None, pf.RawBlock, pf.RawInline, metadata=True)
    if not found:
        return problems
    read_tables(doc)

    def warn(tag: str) -> None:
        line = note.line_of(tag)
        message = f"HTML {' '.join(tag.split())[:60]!r} means nothing on paper; only its text is kept"
        problems.append(Problem("raw-html", message, note.shown, line))

    def inlines(content: Elements) -> Elements:
        stack: list[tuple[str, str | None, Elements]] = [("", None, [])]

        def close() -> None:
            _, kind, inside = stack.pop()
            made = [getattr(pf, kind)(*inside)] if kind and inside else inside
            stack[-1][2].extend(made)

        for item in content:
            match = _TAG.match(item.text) if isinstance(item, pf.RawInline) and _is_html(item) else None
            if match is None:
                if isinstance(item, pf.RawInline) and _is_html(item):
                    continue  # a comment
                stack[-1][2].append(item)
                continue
            name = match["name"].lower()
            if name == "br":
                stack[-1][2].append(pf.LineBreak())
            elif name == "img":
                stack[-1][2].append(item)
            elif name in _ENCLOSING and not match["end"]:
                stack.append((name, _ENCLOSING[name], []))
            elif name in _ENCLOSING:
                while len(stack) > 1 and any(open_[0] == name for open_ in stack):
                    done = stack[-1][0] == name
                    close()
                    if done:
                        break
            elif name not in _NOTHING and not match["end"]:
                warn(item.text)
        while len(stack) > 1:
            close()
        return stack[0][2]

    def visit(element: pf.Element) -> Change:
        content = getattr(element, "content", None)
        if content is not None and any(isinstance(i, pf.RawInline) and _is_html(i) for i in content):
            element.content = inlines(list(content))
        if (
            isinstance(element, pf.RawBlock)
            and _is_html(element)
            and not re.match(r"(?i)\s*<img\b", element.text)
        ):
            tags = re.findall(r"<[a-zA-Z][^>]*>", element.text)
            for tag in tags:
                name = _TAG.match(tag)["name"].lower()  # type: ignore[index]
                if name not in _ENCLOSING and name not in _NOTHING and name != "div":
                    warn(tag)
            words = html.unescape(
                re.sub(r"(?s)<!--.*?-->|<(style|script).*?</\1>|<[^>]+>", "", element.text)
            ).strip()
            return pf.Para(pf.Str(words)) if words else []
        return None

    walk(doc, visit, metadata=True)
    return problems


def read_tables(doc: pf.Doc) -> None:
    """Tables written in HTML: pandoc's HTML reader makes them of the blocks between their tags."""
    blocks = list(doc.content)
    out: Elements = []
    at = 0
    while at < len(blocks):
        block = blocks[at]
        if not (_is_html(block) and re.match(r"(?i)\s*<table\b", block.text)):
            out.append(block)
            at += 1
            continue
        end, depth = at, 0
        while end < len(blocks):
            text = blocks[end].text if _is_html(blocks[end]) else ""
            depth += len(re.findall(r"(?i)<table\b", text)) - len(re.findall(r"(?i)</table\b", text))
            end += 1
            if depth <= 0:
                break
        part = pf.Doc(*blocks[at:end], api_version=(1, 23, 1))
        markup = pandoc.write(dump(part), "html", ["--mathjax", "--wrap=none"]).text
        out.extend(load(pandoc.run(["-f", "html", "-t", "json"], markup).text, "json").content)
        at = end
    doc.content = out
