"""A note as a Markdown file that GitHub renders: its dialect of maths, no macros, results as files beside it.

GitHub's rules are in its documentation under "Writing mathematical expressions": ``$…$`` or ``$`…`$`` in a
line, ```` ```math ```` for a display. Markdown is read before the maths, so ``$…$`` may hold nothing that
means something to it. Some macros are refused (https://github.com/github/markup/issues/1688).
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import panflute as pf

from fitnotes.document import nodes, pandoc
from fitnotes.document.read import Document
from fitnotes.document.tree import Change, Elements, dump, walk
from fitnotes.draw import mathjax, pictures
from fitnotes.draw.media import Media, remove_old
from fitnotes.errors import Problem
from fitnotes.execute.result import Result
from fitnotes.passes.dressing import dress
from fitnotes.passes.page import Page, Place, compose, converter_warnings, formula_line, formula_problem
from fitnotes.store.files import write_atomically
from fitnotes.tex.environments import take_labels
from fitnotes.tex.macros import replace_argument

# What GitHub answers with "The following macros are not allowed".
REFUSED = (
    "operatorname", "mbox", "phantom", "hphantom", "vphantom", "def", "let", "newcommand", "renewcommand",
    "require", "href", "class", "cssId", "style", "unicode", "DeclareMathOperator", "bbox", "mmlToken",
    "newenvironment",
)  # fmt: skip
# What Markdown would take for its own inside $…$.
_MARKDOWN = re.compile(r"\\[^A-Za-z]|[*<>`|&~!\[\]]|_.*_|^[\d\s]|\s$|\\$")


def dialect(tex: str) -> str:
    """A formula in the words that GitHub allows.

    >>> dialect(r"\\operatorname*{arg\\,min}_x \\mbox{if}")
    '\\\\mathop{\\\\mathrm{arg\\\\,min}}\\\\limits_x \\\\text{if}'
    """
    tex = replace_argument(tex, "operatorname*", lambda a: f"\\mathop{{\\mathrm{{{a}}}}}\\limits")
    tex = replace_argument(tex, "operatorname", lambda a: f"\\mathop{{\\mathrm{{{a}}}}}\\nolimits")
    tex = replace_argument(tex, "mbox", lambda a: f"\\text{{{a}}}")
    for name in ("phantom", "hphantom", "vphantom"):  # shows nothing anyway
        tex = replace_argument(tex, name, lambda a: "\\quad" if name == "phantom" else "")  # noqa: B023
    whole = re.fullmatch(r"(?s)\s*\\begin\{equation\*\}(.*)\\end\{equation\*\}\s*", tex)
    return re.sub(r"\n\s*\n", "\n", whole[1] if whole else tex).strip()


def inline(tex: str) -> str:
    """A formula in a line. A line break in it would end it on GitHub."""
    tex = " ".join(dialect(tex).split())
    if "{array}" not in tex:  # a | would end the cell of a table, even inside $`…`$
        tex = re.sub(r"\\\|", r"\\Vert ", tex)
        tex = tex.replace("|", "\\vert ").rstrip()
    return f"$`{tex}`$" if _MARKDOWN.search(tex) else f"${tex}$"


def _formulas(page: Page) -> None:
    """Formulas as GitHub reads them; a display one stands by itself, between the halves of its paragraph."""

    def check(element: pf.Element, text: str) -> None:
        for name in REFUSED:
            if re.search(rf"\\{name}(?![A-Za-z])", text):
                message = f"formula {' '.join(text.split())[:60]}: GitHub does not allow \\{name}"
                line = formula_line(page, element.text)
                page.problems.append(Problem("github-macro", message, page.document.note.shown, line))

    def display(element: pf.Element) -> Elements:
        text, labels = take_labels(element.text)
        anchors = "".join(f'<a id="{label}"></a>' for label in labels)
        text = dialect(text.strip())
        check(element, text)
        block = pf.CodeBlock(text, classes=["math"])
        return [pf.RawBlock(anchors, format="html"), block] if anchors else [block]

    def visit(element: pf.Element) -> Change:
        if isinstance(element, (pf.Para, pf.Plain)):
            if isinstance(element.parent, pf.TableCell):
                return None  # what stands in a cell stays in its line
            content = list(element.content)
            places = [
                i for i, e in enumerate(content) if isinstance(e, pf.Math) and e.format == "DisplayMath"
            ]
            if not places:
                return None
            out: Elements = []
            at = 0
            for i in [*places, len(content)]:
                words = _trim(content[at:i])
                if words and not all(
                    isinstance(w, pf.Str) and re.fullmatch(r"[.,;:]", w.text) for w in words
                ):
                    out.append(pf.Para(*words))
                elif words and out and isinstance(out[-1], pf.CodeBlock):
                    out[-1].text += words[0].text  # the sentence's own full stop
                if i < len(content):
                    out += display(content[i])
                at = i + 1
            return out
        if isinstance(element, pf.Math) and element.format == "InlineMath":
            text = inline(element.text)
            check(element, text)
            return pf.RawInline(text, format="html")
        return None

    walk(page.doc, visit, pf.Math, pf.Para, pf.Plain)
    # Inside what allows no blocks, such as a heading or a table's cell, a display formula stays in its line.
    left = lambda e: pf.RawInline(inline(take_labels(e.text)[0]), format="html")  # noqa: E731
    walk(page.doc, left, pf.Math, metadata=True)


def _trim(inlines: Elements) -> Elements:
    blank = (pf.Space, pf.SoftBreak, pf.LineBreak)
    while inlines and isinstance(inlines[0], blank):
        inlines.pop(0)
    while inlines and isinstance(inlines[-1], blank):
        inlines.pop()
    return inlines


def _plain_structure(page: Page) -> None:
    """What Markdown has no words for: captions below pictures, anchors, divs without their fences."""

    def anchor(identifier: str) -> Elements:
        return [pf.RawBlock(f'<a id="{identifier}"></a>', format="html")] if identifier else []

    def caption(element: pf.Element) -> Elements:
        blocks = list(element.caption.content) if element.caption else []
        return [pf.Para(pf.Emph(*block.content)) if hasattr(block, "content") else block for block in blocks]

    def visit(element: pf.Element) -> Change:
        if isinstance(element, pf.Figure):
            return [*anchor(element.identifier), *nodes.paragraphs(element.content), *caption(element)]
        if isinstance(element, pf.Table):
            made = [*anchor(element.identifier), *caption(element)]
            element.caption = pf.Caption()
            element.identifier = ""
            return [*made, element]
        if isinstance(element, pf.Div):
            return [*anchor(element.identifier), *element.content]
        if isinstance(element, pf.Span):
            start = (
                [pf.RawInline(f'<a id="{element.identifier}"></a>', format="html")]
                if element.identifier
                else []
            )
            bold = {"caption-number", "error", "missing"} & set(element.classes)
            return [*start, pf.Strong(*element.content)] if bold else [*start, *element.content]
        if isinstance(element, pf.CodeBlock):
            language = next(iter(element.classes), "")
            element.classes = ["text"] if language in ("", "output", "error", "warning") else [language]
            element.attributes, element.identifier = {}, ""
        if isinstance(element, pf.Image):
            size = _size(element.attributes)
            element.classes, element.attributes = [], {}
            if size:
                alt = html.escape(pf.stringify(element))
                return pf.RawInline(
                    f'<img src="{html.escape(element.url)}" alt="{alt}"{size}>', format="html"
                )
        if isinstance(element, pf.Link):
            element.classes, element.attributes, element.identifier = [], {}, ""
        if isinstance(element, pf.Header):
            own = _slug(pf.stringify(element)) == element.identifier
            made = [] if own else anchor(element.identifier)
            element.classes, element.attributes, element.identifier = [], {}, ""
            return [*made, element]
        return None

    kinds = (pf.Figure, pf.Table, pf.Div, pf.Span, pf.CodeBlock, pf.Image, pf.Link, pf.Header)
    walk(page.doc, visit, *kinds)


_PIXELS = {"px": 1.0, "": 1.0, "in": 96.0, "cm": 96 / 2.54, "mm": 96 / 25.4, "pt": 96 / 72, "pc": 16.0}


def _size(attributes: Mapping[str, str]) -> str:
    """The size of an image as GitHub takes it: in pixels or percent, as attributes of HTML."""
    made = ""
    for key in ("width", "height"):
        match = re.fullmatch(r"(\d+(?:\.\d*)?)\s*(%|[a-z]*)", str(attributes.get(key, "")).strip())
        if match and match[2] == "%":
            made += f' {key}="{float(match[1]):g}%"'
        elif match and match[2] in _PIXELS:
            made += f' {key}="{float(match[1]) * _PIXELS[match[2]]:.0f}"'
    return made


def _slug(text: str) -> str:
    """The name that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


def _title(page: Page) -> Elements:
    """The header's words as the file's first lines; GitHub would show the header as a table."""
    metadata = page.doc.metadata.content
    made: Elements = []
    if "title" in metadata:
        made.append(pf.Header(*_inlines(metadata["title"]), level=1))
    for key in ("subtitle", "author", "date"):
        if key in metadata:
            value = metadata[key]
            items = list(value.content) if isinstance(value, pf.MetaList) else [value]
            words: Elements = []
            for item in items:
                words += [*([pf.Str(","), pf.Space()] if words else []), *_inlines(item)]
            made.append(pf.Para(pf.Emph(*words)))
    if "abstract" in metadata:
        blocks = metadata["abstract"]
        made += list(blocks.content) if isinstance(blocks, pf.MetaBlocks) else [pf.Para(*_inlines(blocks))]
    return made


def _inlines(value: pf.Element) -> Elements:
    if isinstance(value, pf.MetaInlines):
        return list(value.content)
    return [pf.Str(pf.stringify(value).strip())]


def _alert(kind: str, title: Elements, content: Elements, element: pf.Element) -> Elements:
    """GitHub's own callouts (its documentation: "Basic writing and formatting syntax", Alerts)."""
    start = pf.RawInline(f"[!{kind.upper()}]\n", format="html")
    named = [pf.Para(start, pf.Strong(*title))] if "callout-titled" in element.classes else []
    if not named and content and isinstance(content[0], pf.Para):
        named, content = [pf.Para(start, *content[0].content)], content[1:]
    quote = pf.BlockQuote(*(named or [pf.Para(start)]), *content)
    return [pf.Div(quote, identifier=element.identifier)]


def _nothing(block: bool) -> Elements:
    return []  # a file on GitHub has no pages to break


def write_gfm(document: Document, results: Mapping[int, Result], target: Path, place: Place) -> Page:
    """Writes ``target`` and its files. Raises ConversionError."""
    files = target.parent / f"{target.stem}_files"
    media = Media(files, f"{quote(files.name)}/", convert=pictures.converter("gfm", place.root))
    page = compose(document, results, "gfm", media, place)
    dress(page, page_break=_nothing, box=_alert)
    _check(page)
    page.doc.content = [*_title(page), *page.doc.content]
    args = ["--wrap=none"]
    _formulas(page)
    _plain_structure(page)
    output = pandoc.write(dump(page.doc), "gfm", args, cwd=document.note.path.parent)
    converter_warnings(page, output.warnings)
    write_atomically(target, output.text.encode("utf-8", "replace"))
    remove_old(files, set(media.files))
    return page


def _check(page: Page) -> None:
    """A formula that GitHub cannot show becomes a picture, where MathJax has a package for it; else it is an
    error with its line."""
    found: dict[tuple[str, bool], None] = {}

    def key(element: pf.Element) -> tuple[str, bool]:
        return take_labels(element.text)[0], element.format == "DisplayMath"

    walk(page.doc, lambda e: found.setdefault(key(e)) and None, pf.Math, metadata=True)
    formulas = list(found)
    wrong = [f for f, reason in zip(formulas, mathjax.check(formulas), strict=True) if reason]
    if not wrong:
        return
    extra = mathjax.packages(page.preamble.tex)
    pictures = {}
    for formula, set_ in zip(wrong, mathjax.typeset(wrong, extra), strict=True):
        if set_.error:
            formula_problem(page, formula[0], set_.error)
        else:
            svg, _, _ = mathjax.picture(set_.svg, 12)
            pictures[formula] = page.media.add(svg.encode(), ".svg", "formula")

    def put(element: pf.Element) -> Change:
        url = pictures.get(key(element))
        return pf.Image(pf.Str(element.text), url=url) if url else None

    walk(page.doc, put, pf.Math, metadata=True)
