"""Raw HTML in a note. Where tags stay, it is mended where pandoc's paragraphs would break it; everywhere else tags
become what they mean: headings, lists, figures, links, pictures. One that means nothing there is said, once."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

import panflute as pf

from fitnotes.document import nodes, pandoc
from fitnotes.document.tree import Change, Elements, collect, dump, load, walk
from fitnotes.errors import Problem
from fitnotes.passes.page import Page
from fitnotes.passes.styles import properties
from fitnotes.source.note import Cursor, Note

_VOID = frozenset({
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr",
})  # fmt: skip
_SHOWN_ELSEWHERE = ("iframe", "video", "audio", "object", "embed")  # what a link can stand for
# Elements that only hold others, and those that leave nothing on paper.
_HOLDERS = frozenset({
    "p", "div", "section", "article", "header", "footer", "main", "nav", "aside", "address", "hgroup", "fieldset",
    "center", "body", "html", "tbody", "thead", "tfoot", "tr", "td", "th", "table", "caption", "colgroup", "legend",
    "picture", "noscript", "form", "span", "small", "big", "font", "abbr", "label", "time", "nobr", "bdi", "bdo",
    "data", "ruby", "rb", "rtc", "rp", "tt", "menu", "search", "acronym",
})  # fmt: skip
_NOTHING = frozenset(
    {"wbr", "meta", "link", "style", "head", "title", "template", "col", "source", "track", "param", "base"}
)
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_INSIDE = frozenset({"li", "dt", "dd", "figcaption", "summary"})  # parts of another, which takes them
# Inline elements of pandoc's own.
_INLINE: dict[str, type[pf.Element]] = {
    "sub": pf.Subscript, "sup": pf.Superscript, "b": pf.Strong, "strong": pf.Strong, "i": pf.Emph, "em": pf.Emph,
    "cite": pf.Emph, "var": pf.Emph, "dfn": pf.Emph, "u": pf.Underline, "ins": pf.Underline, "s": pf.Strikeout,
    "del": pf.Strikeout, "strike": pf.Strikeout, "kbd": pf.Strong,
}  # fmt: skip
_CODE = ("code", "samp", "tt")
_WORDS = frozenset({*_INLINE, *_CODE, "a", "q", "mark", "rt"})


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag as it stands in a note."""

    name: str
    attributes: dict[str, str]
    text: str
    ends: bool = False

    @property
    def stands_alone(self) -> bool:
        return self.name in _VOID or self.text.rstrip().endswith("/>")


class _Parser(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[Tag] = []
        self.text = text
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        written = self.get_starttag_text() or ""
        self.found.append(Tag(tag, {key: value or "" for key, value in attrs}, written))

    def handle_endtag(self, tag: str) -> None:
        self.found.append(Tag(tag, {}, f"</{tag}>", ends=True))


def tags_in(text: str) -> list[Tag]:
    """The tags of a piece of HTML, in order."""
    return _Parser(text).found if "<" in text else []


def one_tag(element: pf.Element) -> Tag | None:
    """The tag that raw HTML is; None where it is more than one, or none."""
    if not nodes.is_raw_html(element) or not re.fullmatch(r"(?s)\s*</?[A-Za-z][^<>]*>\s*", element.text):
        return None
    found = tags_in(element.text)
    return found[0] if found else None


# --------------------------------------------------------------------------------------------------
# Pictures


def find_images(page: Page) -> None:
    """``<img …>`` becomes pandoc's image, so that its file is copied, checked and shown everywhere; an SVG in the text
    becomes a picture where pages are not HTML."""

    def visit(element: pf.Element) -> Change:
        if not nodes.is_raw_html(element):
            return None
        if not page.format.inline_svg and re.match(r"(?i)\s*<svg\b", element.text):
            return _drawing(page, element)
        tag = one_tag(element)
        if tag is None or tag.name != "img" or not tag.attributes.get("src"):
            return None
        image = _image(tag, styled=page.format.keeps_tags)
        return pf.Para(image) if isinstance(element, pf.RawBlock) else image

    walk(page.doc, visit, pf.RawBlock, pf.RawInline)


def _image(tag: Tag, *, styled: bool) -> pf.Image:
    given = tag.attributes
    shown = {key: given[key] for key in ("width", "height") if given.get(key)}
    for key, value in properties(given.get("style", "")).items():
        if key in ("width", "height") and re.fullmatch(r"[\d.]+(?:%|px|cm|mm|in|pt|em|rem)?", value):
            shown[key] = value
    if styled:
        rest = {key: value for key, value in properties(given.get("style", "")).items() if key not in shown}
        style = "; ".join(f"{key}: {value}" for key, value in rest.items())
        shown |= {"style": style} if style else {}
    alt = given.get("alt", "")
    classes = given.get("class", "").split() if styled else []
    words = [pf.Str(alt)] if alt else []
    return pf.Image(
        *words, url=given["src"], title=given.get("title", ""), attributes=shown, classes=classes,
        identifier=given.get("id", ""),
    )  # fmt: skip


def _drawing(page: Page, element: pf.Element) -> Change:
    text = element.text.strip()
    if "xmlns=" not in text.split(">", 1)[0]:
        text = re.sub(r"(?i)^<svg", '<svg xmlns="http://www.w3.org/2000/svg"', text)
    url = page.media.add(text.encode(), ".svg", "drawing")
    if url is None:
        if page.media.why:
            line = page.note.line_of(element.text)
            page.say("picture", f"the SVG cannot be read: {page.media.why}", line)
        box = nodes.placeholder("drawing not shown")
        return pf.Para(box) if isinstance(element, pf.RawBlock) else box
    name = re.search(r"(?s)<title>(.*?)</title>|aria-label=\"([^\"]*)\"", text)
    words = html.unescape((name[1] or name[2] or "").strip()) if name else "Drawing"
    image = pf.Image(pf.Str(words), url=url, classes=["diagram"])
    return pf.Para(image) if isinstance(element, pf.RawBlock) else image


# --------------------------------------------------------------------------------------------------
# Where tags stay

# Elements that hold words and no paragraphs: a browser would end them at one.
_PHRASES = frozenset({"p", *_HEADINGS, "summary", "legend", "button", "dt", "pre", "label", "span", "a"})
# And those in which a paragraph alone is only its words.
_TIGHT = frozenset({"li", "td", "th", "dd", "center", "figcaption", "caption"})


def mend(page: Page) -> None:
    """No paragraphs inside ``<p>``, ``<summary>`` and their like. GitHub and e-books show no frames and no films: a
    link stands for them there."""
    if not page.format.is_html:
        walk(page.doc, _without_frames)
        _without_frames(page.doc)

    def visit(element: pf.Element) -> None:
        content = getattr(element, "content", None)
        if content is None or not any(isinstance(block, pf.RawBlock) for block in content):
            return
        blocks = list(content)
        open_: list[tuple[str, int]] = []
        for at, block in enumerate(blocks):
            tag = one_tag(block) if isinstance(block, pf.RawBlock) else None
            if tag is None or tag.stands_alone:
                continue
            if not tag.ends:
                open_.append((tag.name, at))
            elif any(name == tag.name for name, _ in open_):
                while (last := open_.pop())[0] != tag.name:
                    pass
                inside = range(last[1] + 1, at)
                alone = sum(nodes.is_words(blocks[i]) for i in inside) == 1
                if tag.name in _PHRASES or (tag.name in _TIGHT and alone and len(inside) == 1):
                    for i in inside:
                        if isinstance(blocks[i], pf.Para):
                            blocks[i] = pf.Plain(*blocks[i].content)
        element.content = blocks

    walk(page.doc, visit)
    visit(page.doc)


def _without_frames(element: pf.Element) -> None:
    content = getattr(element, "content", None)
    if content is None or not any(map(nodes.is_raw_html, content)):
        return
    out: Elements = []
    open_: Tag | None = None
    for item in content:
        tag = one_tag(item)
        if open_ is None and tag is not None and tag.name in _SHOWN_ELSEWHERE and not tag.ends:
            open_ = tag
        elif open_ is None:
            out.append(item)
        if open_ is None or tag is None:
            continue
        if tag.name == "source":
            open_.attributes.setdefault("src", tag.attributes.get("src", ""))
        if (tag.ends and tag.name == open_.name) or (tag is open_ and tag.stands_alone):
            links = _inline(open_, [])
            out += [pf.Para(*links)] if links and isinstance(item, pf.RawBlock) else links
            open_ = None
    if open_ is None:  # else it never ends
        element.content = out


# --------------------------------------------------------------------------------------------------
# Where tags mean nothing


def read_raw_html(page: Page) -> list[Problem]:
    """For targets other than HTML: tags become structure; one that has no meaning there is said."""
    doc = page.doc
    if not collect(doc, pf.RawBlock, pf.RawInline, where=nodes.is_raw_html, metadata=True):
        return []
    read_tables(doc)
    reader = _TagReader(page.note, Cursor(page.note))
    walk(doc, reader.visit, metadata=True)
    reader.visit(doc)
    return reader.problems


@dataclass(slots=True)
class _Open:
    """An element that has begun."""

    tag: Tag | None
    content: Elements = field(default_factory=list)


@dataclass(slots=True)
class _TagReader:
    note: Note
    cursor: Cursor
    problems: list[Problem] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)  # the elements that are open and mean nothing

    def visit(self, element: pf.Element) -> None:
        content = getattr(element, "content", None)
        if content is None or isinstance(element, (pf.MetaMap, pf.MetaList)):
            return
        if any(isinstance(item, pf.RawBlock) and nodes.is_raw_html(item) for item in content):
            element.content = _flat(self._structure(list(content), inline=False))
        elif any(isinstance(item, pf.RawInline) and nodes.is_raw_html(item) for item in content):
            element.content = self._structure(list(content), inline=True)

    def _structure(self, content: Elements, *, inline: bool) -> Elements:
        """What stands between tags, in the elements that these mean."""
        open_ = [_Open(None)]
        for item in content:
            if not nodes.is_raw_html(item):
                open_[-1].content.append(item)
            elif (tag := one_tag(item)) is None:
                open_[-1].content += self._piece(item)
            elif tag.ends:
                if tag.name in self.unknown:
                    self.unknown.remove(tag.name)
                if any(element.tag and element.tag.name == tag.name for element in open_):
                    while self._close(open_, inline) != tag.name:
                        pass
            elif tag.name == "source" and open_[-1].tag and "src" in tag.attributes:
                open_[-1].tag.attributes.setdefault("src", tag.attributes["src"])
            elif tag.stands_alone:
                open_[-1].content += self._alone(tag, item)
            else:
                self._say_unknown(tag)
                open_.append(_Open(tag))
        while len(open_) > 1:
            self._close(open_, inline)
        return open_[0].content

    def _close(self, open_: list[_Open], inline: bool) -> str:
        """Ends the innermost element; gives its name."""
        last = open_.pop()
        assert last.tag is not None
        open_[-1].content += (_inline if inline else _block)(last.tag, last.content)
        return last.tag.name

    def _alone(self, tag: Tag, item: pf.Element) -> Elements:
        block = isinstance(item, pf.RawBlock)
        if tag.name == "img":
            return [item]
        if tag.name == "br":
            return [] if block else [pf.LineBreak()]
        if tag.name == "hr":
            return [pf.HorizontalRule()] if block else []
        if tag.name == "embed":
            self._warn(tag)
            return _block(tag, []) if block else _inline(tag, [])
        if tag.name not in _NOTHING | _HOLDERS | _WORDS:
            self._warn(tag)
        return []

    def _piece(self, item: pf.Element) -> Elements:
        """Raw HTML that is more than a tag: a comment, ``<pre>…</pre>``, a drawing, a script."""
        text = item.text.strip()
        block = isinstance(item, pf.RawBlock)
        if re.match(r"(?i)<svg\b", text):
            return [item]
        if re.match(r"(?s)<!--.*-->$|<[!?]", text):
            return []
        found = tags_in(text)
        if found and found[0].name == "pre":
            code = html.unescape(re.sub(r"<[^>]+>", "", text)).strip("\n")
            return [pf.CodeBlock(code)] if block else [pf.Code(code)]
        if found and found[0].name in ("script", "math", "canvas"):
            self._warn(found[0])
        bare = re.sub(r"(?is)<!--.*?-->|<(style|script)\b.*?</\1>|<[^>]+>", "", text)
        words = html.unescape(bare).strip()
        if not words:
            return []
        return [pf.Para(pf.Str(words))] if block else [pf.Str(words)]

    def _say_unknown(self, tag: Tag) -> None:
        """An element that means nothing; what is inside it goes without saying."""
        if tag.name in _KNOWN:
            return
        if not self.unknown:
            self._warn(tag)
        if f"</{tag.name}" in self.note.text:
            self.unknown.append(tag.name)

    def _warn(self, tag: Tag) -> None:
        shown = " ".join(tag.text.split())
        shown = shown if len(shown) <= 60 else f"{shown[:59]}…"
        what = "a link stands in its place" if tag.name in _SHOWN_ELSEWHERE else "only its text is kept"
        message = f"HTML {shown} means nothing on paper; {what}"
        self.problems.append(Problem("raw-html", message, self.note.shown, self.cursor.line_of(tag.text)))


_KNOWN = _HOLDERS | _NOTHING | _WORDS | {
    *_INSIDE, *_HEADINGS, "blockquote", "ul", "ol", "dl", "figure", "details",
}  # fmt: skip


def _block(tag: Tag, content: Elements) -> Elements:
    """What an element of blocks means."""
    name, identifier = tag.name, tag.attributes.get("id", "")
    if name in _NOTHING:
        return []
    if name in _INSIDE:  # its parent takes it
        return [pf.Div(*content, classes=[f"html-{name}"], identifier=identifier)]
    if name in _HEADINGS:
        words = [e for block in content if nodes.is_words(block) for e in block.content]
        return [pf.Header(*words, level=int(name[1]), identifier=identifier)]
    if name == "blockquote":
        return [pf.BlockQuote(*nodes.paragraphs(_flat(content)))]
    if name in ("ul", "ol"):
        items = [pf.ListItem(*_flat(list(e.content))) for e in content if _is(e, "li")]
        return [(pf.OrderedList if name == "ol" else pf.BulletList)(*items)] if items else content
    if name == "dl":
        return _definitions(content)
    if name == "figure":
        caption = [e for part in content if _is(part, "figcaption") for e in nodes.paragraphs(part.content)]
        shown = [e for e in content if not _is(e, "figcaption")]
        images = [one_tag(e) for e in shown if isinstance(e, pf.RawBlock)]
        if len(shown) == 1 and images and images[0] is not None and images[0].name == "img":
            shown = [pf.Plain(pf.RawInline(images[0].text, format="html"))]
        return [pf.Figure(*shown, caption=pf.Caption(*caption), identifier=identifier)]
    if name == "details":
        head = [
            pf.Para(pf.Strong(*b.content))
            for e in content
            if _is(e, "summary")
            for b in e.content
            if nodes.is_words(b)
        ]
        return [*head, *nodes.paragraphs([e for e in content if not _is(e, "summary")])]
    if name in _SHOWN_ELSEWHERE:
        return [pf.Para(*_inline(tag, []))]
    blocks = nodes.paragraphs(content)
    attributes = {key: value for key, value in tag.attributes.items() if key in ("align", "style")}
    if name == "center":
        attributes = {"align": "center"}
    if attributes or identifier:
        return [pf.Div(*blocks, attributes=attributes, identifier=identifier)]
    return blocks


def _is(element: pf.Element, name: str) -> bool:
    return isinstance(element, pf.Div) and f"html-{name}" in element.classes


def _definitions(content: Elements) -> Elements:
    items: Elements = []
    term: Elements = []
    for element in content:
        inside = _flat(list(element.content)) if isinstance(element, pf.Div) else []
        if _is(element, "dt"):
            term = [e for block in inside if nodes.is_words(block) for e in block.content]
        elif _is(element, "dd"):
            items.append(pf.DefinitionItem(term, [pf.Definition(*inside)]))
            term = []
    return [pf.DefinitionList(*items)] if items else content


def _flat(blocks: Elements) -> Elements:
    """The blocks without Divs that waited for a parent and found none."""
    out: Elements = []
    for block in blocks:
        lost = isinstance(block, pf.Div) and any(name.startswith("html-") for name in block.classes)
        out += nodes.paragraphs(_flat(list(block.content))) if lost else [block]
    return out


def _inline(tag: Tag, content: Elements) -> Elements:
    """What an element of words means."""
    name, given = tag.name, tag.attributes
    if name in _NOTHING:
        return []
    if name in _SHOWN_ELSEWHERE:
        address = given.get("src") or given.get("data", "")
        words = given.get("title") or address
        return [pf.Link(pf.Str(words), url=address)] if address else content
    if name in _CODE:
        return [pf.Code(pf.stringify(pf.Span(*content)))] if content else []
    if name == "a" and given.get("href"):
        return [pf.Link(*content, url=given["href"], identifier=given.get("id", ""))]
    if name == "a":
        return [pf.Span(*content, identifier=given.get("id") or given.get("name", ""))]
    if name == "q":
        return [pf.Quoted(*content)]
    if name == "mark":
        return [pf.Span(*content, classes=["mark"])]
    if name == "rt":
        return [pf.Space(), pf.Str("("), *content, pf.Str(")")]
    if name in _INLINE:
        return [_INLINE[name](*content)] if content else []
    style = given.get("style", "")
    if name == "font" and given.get("color"):
        style = f"color: {given['color']}; {style}"
    if style or given.get("id"):
        attributes = {"style": style} if style else {}
        return [pf.Span(*content, attributes=attributes, identifier=given.get("id", ""))]
    return content


# --------------------------------------------------------------------------------------------------
# Tables


def read_tables(doc: pf.Doc) -> None:
    """Tables written in HTML: pandoc's HTML reader makes them of the blocks between their tags."""

    def visit(element: pf.Element) -> None:
        content = getattr(element, "content", None)
        if content is not None and any(isinstance(block, pf.RawBlock) for block in content):
            element.content = _with_tables(list(content))

    walk(doc, visit, pf.Div, pf.BlockQuote, pf.ListItem)
    visit(doc)


def _with_tables(blocks: Elements) -> Elements:
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
    return out


def _table_end(blocks: Elements, start: int) -> int:
    """The index behind the block in which the table that begins in ``blocks[start]`` ends."""
    depth = 0
    for index in range(start, len(blocks)):
        text = blocks[index].text if nodes.is_raw_html(blocks[index]) else ""
        depth += len(re.findall(r"(?i)<table\b", text)) - len(re.findall(r"(?i)</table\b", text))
        if depth <= 0:
            return index + 1
    return len(blocks)
