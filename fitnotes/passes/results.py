"""Splicing: every block in the AST becomes its code (if shown) and what running it gave.

Two passes. The first decides for every output what it is (text, Markdown, a picture, an error) and
collects the pieces that pandoc has to read; the second, with all of them read at once, builds the
elements. What a page shows depends on display options only here, so changing one reruns nothing.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import panflute as pf

from fitnotes.document import nodes
from fitnotes.document.fragments import HTML, MARKDOWN, Fragments
from fitnotes.document.read import INDEX
from fitnotes.document.tree import Change, Elements, collect, walk
from fitnotes.draw import darken
from fitnotes.draw.media import Media
from fitnotes.errors import Problem
from fitnotes.execute.result import Result
from fitnotes.passes import tables
from fitnotes.source.block import EXPRESSION, Block
from fitnotes.source.languages import DRAWN
from fitnotes.source.note import Note
from fitnotes.source.options import PANDOC_ATTRIBUTES, Options, is_condition

HELD = "fitnotes-held"  # the class of a Span in the place of a piece
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|\x1b[@-_]")
# "99 2141.49" as the usual loops print it, or with the words in: "step 99: loss 2141.49"
# (test_results.py: test_loss_lines_with_their_words).
LOSS = re.compile(
    r"^\s*(?:(?:step|epoch|iter|iteration|t)\s*[:=]?\s*)?(\d+)[\s:,]+(?:loss\s*[:=]?\s*)?"
    r"([-+]?(?:\d[\d_]*\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|nan|inf))\s*$",
    re.IGNORECASE,
)
# What a last line like `plt.plot(x)` evaluates to: the drawing is the result, not this (and its address)
# (test_execute.py: test_matplotlib_inline_is_accepted).
ARTIST = re.compile(
    r"^\(?\[?\s*(<matplotlib\.|<Axes|<\w*(Container|Collection|Line2D)\b.*>|Text\(|\(array\(.*<)", re.DOTALL
)
IMAGES = {"image/svg+xml": ".svg", "image/png": ".png", "image/jpeg": ".jpg"}


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    kind: str  # "stdout", "stderr", "warning", "value", "error", "note"


@dataclass(frozen=True, slots=True)
class Markup:
    """``held``: what stands in its text as an empty Span, with its number."""

    text: str
    source: str = MARKDOWN
    held: tuple[Piece, ...] = ()


@dataclass(frozen=True, slots=True)
class LossTable(Markup):
    """A table made of what was printed."""


@dataclass(frozen=True, slots=True)
class ResultPicture:
    data: bytes
    suffix: str


_FRAME = re.compile(r'frames\[0\] = "data:image/png;base64,([^"]+)"')


@dataclass(frozen=True, slots=True)
class Raw:
    """HTML for HTML pages; any other target shows the text."""

    html: str
    text: str

    @property
    def still(self) -> ResultPicture | None:
        """The first picture of a film that matplotlib has written for scripts."""
        found = _FRAME.search(self.html)
        return ResultPicture(base64.b64decode(found[1]), ".png") if found else None

    @property
    def markup(self) -> str:
        return re.sub(
            r"(?is)<(style|script|canvas|title|form|button|select)\b.*?</\1>|<!--.*?-->", "", self.html
        )


def _all(found: Iterable[Piece]) -> Iterator[Piece]:
    """The pieces, and those that they hold."""
    for piece in found:
        yield piece
        if isinstance(piece, Markup):
            yield from _all(piece.held)


Piece = Text | Markup | ResultPicture | Raw


# --------------------------------------------------------------------------------------------------
# What an output is


def terminal_text(text: str) -> str:
    """What a terminal would show: no colours, and a line rewritten with \\r in its last state.

    >>> terminal_text("10%\\r50%\\r100%\\ndone")
    '100%\\ndone'
    """
    text = ANSI.sub("", text).replace("\r\n", "\n")
    lines = []
    for line in text.split("\n"):
        shown = ""
        for part in line.split("\r"):
            shown = part + shown[len(part) :] if part else shown
        while "\b" in shown:
            shorter = re.sub(r"[^\b]\b|^\b", "", shown, count=1)
            if shorter == shown:
                break
            shown = shorter
        lines.append(shown.rstrip() if "\r" in line else shown)
    # XML and TeX have no other control characters.
    return "".join(c for c in "\n".join(lines) if c in "\n\t" or c >= " ").replace("\x7f", "")


def loss_table(text: str) -> tuple[str, str] | None:
    """Printed ``step loss`` lines as a Markdown table, and the other lines; None if there is no such line.

    The numbers stand in the table as they were printed.
    """
    rows, rest = [], []
    for line in text.split("\n"):
        match = LOSS.match(line)
        if match:
            rows.append(match.groups())
        else:
            rest.append(line)
    if not rows:
        return None
    width = max(len(loss) for _, loss in rows)
    lines = [f"| step | {'loss'.rjust(width)} |", f"|-----:|{'-' * width}-:|"]
    lines += [f"| {step} | {loss} |" for step, loss in rows]
    return "\n".join(lines), "\n".join(rest).strip("\n")


def maths(latex: str) -> str:
    """A ``text/latex`` result as Markdown: with its own dollars, as an environment, or as display maths."""
    text = latex.strip()
    if text.startswith(("$", "\\begin", "\\[", "\\(")):
        for left, right, dollars in (("\\[", "\\]", "$$"), ("\\(", "\\)", "$")):
            if text.startswith(left) and text.endswith(right):
                text = dollars + text[2:-2].strip() + dollars
        inner = re.fullmatch(r"(\$\$?)(.*?)(\$\$?)", text, re.DOTALL)
        if inner and inner[1] == inner[3]:
            # Pandoc wants no space inside the dollars; `$\displaystyle x$` on a line is a display formula.
            body = inner[2].strip()
            if body.startswith("\\displaystyle"):
                return "$$" + body.removeprefix("\\displaystyle").strip() + "$$"
            text = f"{inner[1]}{body}{inner[3]}"
        return text
    return f"$${text}$$"


def _bundle(data: Mapping[str, str]) -> list[Piece]:
    """The richest form of a result that every target can show."""
    if "text/markdown" in data:
        return [Markup(data["text/markdown"])]
    latex = data.get("text/latex", "") if "<table" not in data.get("text/html", "") else ""
    if latex and "image/svg+xml" not in data:  # sympy has a picture of its formula too
        return [Markup(maths(latex))]
    for mime, suffix in IMAGES.items():
        if mime in data:
            text = data[mime]
            raw = text.encode() if mime == "image/svg+xml" else base64.b64decode(text)
            return [ResultPicture(raw, suffix)]
    plain = data.get("text/plain", "")
    if "text/html" in data:
        markup = data["text/html"]
        if "<table" in markup:
            return [
                Markup(re.sub(r"(?s)<style.*?</style>|<script.*?</script>", "", styled_cells(markup)), HTML)
            ]
        return [Raw(markup, plain)]
    return [Text(plain, "value")] if plain else []


_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")


def styled_cells(markup: str) -> str:
    """A table of pandas' Styler, whose colours stand in a style sheet by the ids of cells, with them in the cells."""
    sheet = re.search(r"(?is)<style\b[^>]*>(.*?)</style>", markup)
    if sheet is None:
        return markup
    looks: dict[str, str] = {}
    for names, look in _RULE.findall(sheet[1]):
        for name in re.findall(r"#([\w-]+)\s*(?:,|$)", names.strip()):
            looks[name] = looks.get(name, "") + " ".join(look.split())

    def one(match: re.Match[str]) -> str:
        look = looks.get(match["id"])
        if look is None:
            return match[0]
        return f'{match["open"]}<span style="{escape(look)}">{match["words"]}</span>{match["close"]}'

    cell = r'(?is)(?P<open><(?P<name>t[dh])\b[^>]*\bid="(?P<id>[^"]+)"[^>]*>)(?P<words>.*?)(?P<close></(?P=name)>)'
    return re.sub(cell, one, markup)


def pieces(block: Block, result: Result) -> tuple[list[Piece], list[str]]:
    """What a block shows, in order, and warnings about its options."""
    options = block.options
    found: list[Piece] = []
    shown = options.output != "false" and options.include
    for output in result.outputs:
        kind = output["output_type"]
        if kind == "error":
            found.append(Text("\n".join(output["traceback"]), "error"))
        elif shown and kind == "stream":
            found += _printed(output, options)
        elif shown and not (
            output["data"].keys() == {"text/plain"} and ARTIST.match(output["data"]["text/plain"])
        ):
            found += _bundle(output["data"])
    if options.output == "asis":
        found = _together(found)
    warnings = []
    if options.output == "loss-table" and not _is_table(found) and result.status == "ok":
        warnings.append("output=loss-table, but the block printed no `step loss` lines")
    if result.status in ("timeout", "crash", "missing") or (result.status == "not run" and result.message):
        found.append(Text(result.message, "error" if result.status != "not run" else "note"))
    return found, warnings


def _together(found: Sequence[Piece]) -> list[Piece]:
    """What a block wrote as Markdown as one text, so that a div may begin before a figure and end behind it; what is no
    Markdown keeps its place in it."""
    if sum(isinstance(piece, Markup) and piece.source == MARKDOWN for piece in found) < 2:
        return list(found)
    text = ""
    held: list[Piece] = []
    for piece in found:
        if isinstance(piece, Markup) and piece.source == MARKDOWN:
            text += piece.text
        else:
            text += f"\n\n[]{{.{HELD} n={len(held)}}}\n\n"
            held.append(piece)
    return [Markup(text, held=tuple(held))]


def _printed(output: Mapping[str, Any], options: Options) -> list[Piece]:
    """What was printed, as the options of its block have it."""
    text = terminal_text(output["text"])
    if not text.strip():
        return []
    if output.get("warning"):
        return [Text(text, "warning")] if options.warning else []
    if output["name"] == "stderr":
        return [Text(text, "stderr")]
    if options.output == "asis":
        return [Markup(text)]
    if options.output == "loss-table" and (table := loss_table(text)) is not None:
        rest: list[Piece] = [Text(table[1], "stdout")] if table[1] else []
        return [LossTable(table[0]), *rest]
    return [Text(text, "stdout")]


def _is_table(found: Sequence[Piece]) -> bool:
    return any(isinstance(piece, LossTable) for piece in found)


# --------------------------------------------------------------------------------------------------
# Elements


def output_block(text: str, kind: str, html: bool) -> pf.Element:
    """Output as it was printed. For HTML it is written here: pandoc looks a class that is no language up in
    every syntax it knows, which takes half a second."""
    if html:
        return pf.RawBlock(
            f'<pre class="output {kind}"><code>{escape(text, quote=False)}</code></pre>', format="html"
        )
    # Typst's template goes by the first class.
    marked = {"error": ["error"], "warning": ["warning"], "stderr": ["warning"]}.get(kind, [])
    return pf.CodeBlock(text, classes=[*marked, "output", kind])


@dataclass(slots=True)
class _Shown:
    """What of a block has been shown that takes a caption."""

    table: bool = False
    figure: bool = False


class _Builder:
    def __init__(self, note: Note, html: bool, fold: int, media: Media) -> None:
        self.note = note
        self.html = html
        self.fold = fold
        self.media = media
        self.fragments = Fragments()
        self.problems: list[Problem] = []
        self.places: dict[str, int | None] = {}  # HTML of results → the line of their block
        self.fold_code, self.summary = "", "Code"  # what the header says of all blocks

    def want(self, block: Block, found: Sequence[Piece]) -> None:
        for piece in _all(found):
            if isinstance(piece, Markup):
                self.fragments.add(piece.text, piece.source)
            elif isinstance(piece, Raw) and not self.html:
                self.fragments.add(piece.markup, HTML)
        for caption in (block.options.fig_cap, block.options.tbl_cap):
            if caption:
                self.fragments.add(caption)
        for caption in (*block.options.fig_subcap, *block.options.tbl_subcap):
            self.fragments.add(caption)

    def text(self, piece: Text) -> Elements:
        text = piece.text.strip("\n")
        if piece.kind in ("error", "warning", "stderr"):
            text = self.note.replaced(text)
        lines = text.split("\n")
        if len(lines) <= self.fold or piece.kind == "error":
            return [output_block(text, piece.kind, self.html)]
        if self.html:
            summary = f"{len(lines)} lines of output"
            opening = f'<details class="fold"><summary>{summary}</summary>'
            code = output_block(text, piece.kind, self.html)
            return [pf.RawBlock(opening, format="html"), code, pf.RawBlock("</details>", format="html")]
        hidden = len(lines) - self.fold
        cut = [*lines[: self.fold], f"[… {hidden} more lines; the HTML page has them all]"]
        return [output_block("\n".join(cut), piece.kind, self.html)]

    def code(self, element: pf.Element, block: Block) -> pf.CodeBlock:
        kept = {k: v for k, v in element.attributes.items() if k in PANDOC_ATTRIBUTES}
        numbered = ["numberLines"] if block.options.code_line_numbers else []
        classes = [
            "python",
            *numbered,
            *(c for c in element.classes[1:] if c not in ("run", "no-run") and not c.startswith("content-")),
        ]
        if block.options.lst_cap:
            kept["lst-cap"] = block.options.lst_cap
        name = block.options.label if block.options.label.startswith("lst") else ""
        return pf.CodeBlock(block.code.strip("\n"), classes=classes, attributes=kept, identifier=name)

    def pictures(self, found: Sequence[ResultPicture], block: Block) -> Elements:
        """The block's pictures in one figure."""
        options = block.options
        parted = len(found) > 1 and bool(options.fig_subcap or self.layout(options))
        images = [
            pf.Plain(self.part(picture, n, block) if parted else self.picture(picture, block))
            for n, picture in enumerate(found)
        ]
        caption = self.fragments.inlines(options.fig_cap) if options.fig_cap else []
        if parted:
            columns = self.layout(options) or {"layout-ncol": str(len(found))}
            below = [pf.Para(*caption)] if caption else []
            return [pf.Div(*images, *below, identifier=self.figure_id(block), attributes=columns)]
        if not options.fig_cap and not options.label.startswith("fig"):
            shown: Elements = [pf.Para(*image.content) for image in images]
        else:
            words = pf.Caption(pf.Plain(*caption))
            shown = [pf.Figure(*images, caption=words, identifier=self.figure_id(block))]
        return [nodes.aligned(options.fig_align, shown)] if options.fig_align else shown

    @staticmethod
    def layout(options: Options) -> dict[str, str]:
        """What is said of how its parts stand, as attributes of the Div around them."""
        given = {
            "layout": options.layout, "layout-ncol": options.layout_ncol, "layout-nrow": options.layout_nrow,
        }  # fmt: skip
        return next(({key: value} for key, value in given.items() if value), {})

    def picture(self, picture: ResultPicture, block: Block) -> pf.Element:
        options = block.options
        alt = pf.Str(options.fig_alt or options.fig_cap or f"Figure of {block.name}")
        return self.image(picture, block, [alt], "") or self.not_shown(block)

    def part(self, picture: ResultPicture, n: int, block: Block) -> pf.Element:
        """The nth of several, with what `floats` takes for its caption."""
        options = block.options
        words = options.fig_subcap[n] if n < len(options.fig_subcap) else ""
        caption = self.fragments.inlines(words) if words else []
        name = f"{options.label}-{n + 1}" if options.label.startswith("fig") else ""
        image = self.image(picture, block, caption, name)
        return image or nodes.missing_part(self.not_shown(block), caption, name)

    def image(self, picture: ResultPicture, block: Block, words: Elements, name: str) -> pf.Element | None:
        """None where the target cannot show it."""
        options = block.options
        stem = options.label or f"{self.note.path.stem}-{block.number}"
        url = self.media.add(picture.data, picture.suffix, stem)
        if url is None:
            return None
        attributes = {"width": options.shown_width} if options.shown_width else {}
        if options.fig_dark and self.media.dark and picture.suffix == ".svg":
            dark = self.media.add(darken.darkened(picture.data), picture.suffix, f"{stem}-dark")
            attributes[nodes.DARK] = dark or ""
        return pf.Image(*words, url=url, attributes=attributes, identifier=name)

    @staticmethod
    def not_shown(block: Block) -> pf.Span:
        return nodes.placeholder(f"picture of {block.name} not shown")

    @staticmethod
    def figure_id(block: Block) -> str:
        return "" if block.options.label.startswith(("tbl", "lst")) else block.options.label

    def markup(self, piece: Markup, block: Block, captioned: bool) -> Elements:
        blocks = self.fragments.blocks(piece.text, piece.source)
        if piece.source == HTML:  # pandas wraps its tables
            blocks = [inner for b in blocks for inner in (b.content if isinstance(b, pf.Div) else [b])]
            for made in blocks:
                tables.right_numbers(made)
        if captioned:
            return blocks
        for table in blocks:
            if isinstance(table, pf.Table):
                if block.options.tbl_cap:
                    inlines = self.fragments.inlines(block.options.tbl_cap)
                    table.caption = pf.Caption(pf.Plain(*inlines))
                if block.options.label and not block.options.label.startswith(("fig", "lst")):
                    table.identifier = block.options.label
                break
        return blocks

    def diagram(self, built: Elements, block: Block) -> bool:
        """The first diagram in the text of a result, if there is one, takes the block's caption and label."""
        options = block.options
        for element in built:
            if isinstance(element, pf.CodeBlock) and element.classes and element.classes[0] in DRAWN:
                element.identifier = element.identifier or self.figure_id(block)
                own = {"fig-cap": options.fig_cap, "fig-alt": options.fig_alt, "width": options.shown_width}
                for name, value in own.items():
                    if value:
                        element.attributes.setdefault(name, value)
                return True
        return False

    def build(self, element: pf.Element, block: Block, result: Result, found: Sequence[Piece]) -> Elements:
        options = block.options
        out: Elements = self.folded(element, block) if options.echo and options.include else []
        shown = _Shown()
        out += self.pieces(found, block, shown)
        if options.tbl_subcap:
            out = self.parted_tables(out, block)
        self.check_captions(block, result, shown.table, shown.figure)
        if not out:
            return []
        used = {getattr(e, "identifier", "") for e in out}
        identifier = options.label if options.label not in used else ""
        made = nodes.cell(out, identifier, result.status)
        conditions = {key: value for key, value in element.attributes.items() if is_condition(key)}
        classes = [name for name in element.classes if name.startswith("content-")]
        return [pf.Div(made, classes=classes, attributes=conditions)] if conditions or classes else [made]

    def pieces(self, found: Sequence[Piece], block: Block, shown: _Shown) -> Elements:
        """What the block shows, in order; ``shown`` gets what of it could have a caption."""
        options = block.options
        out: Elements = []
        if not self.html:
            found = [(isinstance(p, Raw) and p.still) or p for p in found]
        pictures = [p for p in found if isinstance(p, ResultPicture)]
        shown.figure = shown.figure or bool(pictures)
        grouped = len(pictures) > 1 and bool(options.fig_cap or self.layout(options) or options.fig_subcap)
        for piece in found:
            if isinstance(piece, Markup):
                built = self.markup(piece, block, shown.table)
                if piece.held:
                    self.put_held(built, piece, block, shown)
                shown.table = shown.table or any(isinstance(b, pf.Table) for b in built)
                shown.figure = self.diagram(built, block) or shown.figure
                out += built
            elif not isinstance(piece, ResultPicture):
                out += self.words(piece, block)
            elif not grouped or piece is pictures[0]:
                out += self.pictures(pictures if grouped else [piece], block)
        return out

    def put_held(self, built: Elements, piece: Markup, block: Block, shown: _Shown) -> None:
        def visit(element: pf.Element) -> Change:
            only = element.content[0] if len(element.content) == 1 else None
            if not isinstance(only, pf.Span) or HELD not in only.classes:
                return None
            return self.pieces([piece.held[int(only.attributes["n"])]], block, shown)

        holder = pf.Div(*built)
        walk(holder, visit, pf.Para, pf.Plain)
        built[:] = list(holder.content)

    def folded(self, element: pf.Element, block: Block) -> Elements:
        """The code; in HTML behind a line that unfolds it, if it is to be."""
        options, code = block.options, self.code(element, block)
        fold = options.code_fold or self.fold_code
        if not self.html or fold not in ("true", "show") or code.identifier:
            return [code]
        summary = escape(options.code_summary or self.summary, quote=False)
        opening = f'<details class="code-fold"{" open" * (fold == "show")}><summary>{summary}</summary>'
        return [pf.RawBlock(opening, format="html"), code, pf.RawBlock("</details>", format="html")]

    def parted_tables(self, out: Elements, block: Block) -> Elements:
        """Several tables under one caption, each with its own."""
        options = block.options
        found = [e for e in out if isinstance(e, pf.Table)]
        if len(found) < 2:
            return out
        for n, table in enumerate(found):
            words = options.tbl_subcap[n] if n < len(options.tbl_subcap) else ""
            table.caption = pf.Caption(pf.Plain(*self.fragments.inlines(words))) if words else None
            table.identifier = f"{options.label}-{n + 1}" if options.label else ""
        below = [pf.Para(*self.fragments.inlines(options.tbl_cap))] if options.tbl_cap else []
        attributes = self.layout(options)
        whole = pf.Div(*found, *below, identifier=options.label, attributes=attributes)
        first = next(i for i, e in enumerate(out) if e is found[0])
        rest = [e for e in out if not isinstance(e, pf.Table)]
        return [*rest[:first], whole, *rest[first:]]

    def words(self, piece: Text | Raw, block: Block) -> Elements:
        if isinstance(piece, Text):
            return self.text(piece)
        if self.html:
            self.places[piece.html] = block.line
            return [pf.RawBlock(piece.html, format="html")]
        blocks = self.fragments.blocks(piece.markup, HTML)
        if any(pf.stringify(b).strip() or collect(b, pf.Image) for b in blocks):
            return blocks
        self.warn(block, f"{block.name} shows HTML that means nothing on paper")
        return self.text(Text(piece.text, "value")) if piece.text else []

    def check_captions(self, block: Block, result: Result, table: bool, figure: bool) -> None:
        """Captions of what the block does not show are said."""
        options = block.options
        if result.status != "ok" or not options.include:
            return
        if options.tbl_cap and not table:
            self.warn(block, "tbl-cap is given, but the block shows no table")
        if options.fig_cap and not figure:
            self.warn(block, "fig-cap is given, but the block shows no figure")

    def inline(self, block: Block, result: Result) -> Elements:
        if result.status != "ok":
            word = {"missing": "not run", "not run": "not run"}.get(result.status, result.message)
            return [nodes.error(pf.Str(f"⟨{block.code}: {word}⟩"))]
        value: Mapping[str, str] = next(
            (o["data"] for o in result.outputs if o["output_type"] == "execute_result"), {}
        )
        others = [o for o in result.outputs if o["output_type"] != "execute_result" and not o.get("warning")]
        if others:
            self.warn(block, f"{block.name} prints; inside a sentence only its value is shown")
        if "text/latex" in value or "text/markdown" in value:
            text = inline_markup(value)
            return self.fragments.inlines(text)
        text = terminal_text(value.get("text/plain", ""))
        formula = re.fullmatch(r"\$([^$]+)\$", text.strip())
        if formula:
            return [pf.Math(formula[1].strip(), format="InlineMath")]
        out: Elements = []
        for word in re.split(r"(\s+)", text):
            if word:
                out.append(pf.Space() if word.isspace() else pf.Str(word))
        return out

    def warn(self, block: Block, message: str) -> None:
        self.problems.append(Problem("result", message, self.note.shown, block.line))


def inline_markup(value: Mapping[str, str]) -> str:
    if "text/latex" in value:
        text = maths(value["text/latex"])
        return f"${text[2:-2].strip()}$" if text.startswith("$$") else text
    return value["text/markdown"]


def missing_errors(note: Note, blocks: Sequence[Block], results: Mapping[int, Result]) -> list[Problem]:
    """Warnings about blocks that were to raise an error and did not: the text around them says they do."""
    return [
        Problem("result", f"error=true, but {block.name} raised no error", note.shown, block.line)
        for block in blocks
        if block.options.error and (result := results.get(block.index)) is not None
        if result.status == "ok" and not any(o["output_type"] == "error" for o in result.outputs)
    ]


def splice(
    doc: pf.Doc,
    note: Note,
    blocks: Sequence[Block],
    results: Mapping[int, Result],
    *,
    html: bool,
    fold: int,
    media: Media,
    folds: tuple[str, str] = ("", ""),
    places: dict[str, int | None] | None = None,
) -> list[Problem]:
    """Replaces every block and inline expression of ``doc`` by its result. Returns warnings.

    ``results`` by block index; one that is not there counts as not run (``eval=false``). ``folds``: whether code is
    folded, and behind which words, where a block does not say it. ``places`` gets the HTML of results, with the lines
    of their blocks.
    """
    builder = _Builder(note, html, fold, media)
    builder.places = {} if places is None else places
    builder.fold_code, builder.summary = folds[0], folds[1] or "Code"
    shown: dict[int, list[Piece]] = {}
    blocks = _worded(blocks, results)
    for block in blocks:
        result = results.get(block.index, Result("not run"))
        if block.inline:
            for output in result.outputs:
                data = output.get("data", {})
                if "text/latex" in data or "text/markdown" in data:
                    builder.fragments.add(inline_markup(data))
            continue
        shown[block.index], warnings = pieces(block, result)
        builder.want(block, shown[block.index])
        for warning in warnings:
            builder.warn(block, warning)
    builder.fragments.read()

    def visit(element: pf.Element) -> Change:
        attributes = getattr(element, "attributes", None)
        if not attributes or INDEX not in attributes:
            return None
        block = blocks[int(attributes[INDEX])]
        result = results.get(block.index, Result("not run"))
        if block.inline:
            return builder.inline(block, result)
        return builder.build(element, block, result, shown[block.index])

    if blocks:
        walk(doc, visit, pf.CodeBlock, pf.Code, metadata=True)
    return builder.problems


def _worded(blocks: Sequence[Block], results: Mapping[int, Result]) -> list[Block]:
    """The blocks, with the values of the expressions in their captions."""
    values: dict[int, dict[str, str]] = {}
    for block in blocks:
        if block.host >= 0:
            result = results.get(block.index, Result("not run"))
            values.setdefault(block.host, {})[block.source] = _as_markdown(block, result)

    def one(block: Block) -> Block:
        known = values.get(block.index)
        if not known:
            return block
        options = block.options.with_words(
            lambda text: EXPRESSION.sub(lambda match: known.get(match[0], match[0]), text)
        )
        return replace(block, options=options)

    return list(map(one, blocks))


def _as_markdown(block: Block, result: Result) -> str:
    """What an expression gives, as Markdown."""
    if result.status != "ok":
        return f"⟨`{block.code}`: {result.status}⟩"
    value: Mapping[str, str] = next(
        (o["data"] for o in result.outputs if o["output_type"] == "execute_result"), {}
    )
    if "text/latex" in value or "text/markdown" in value:
        return inline_markup(value)
    text = terminal_text(value.get("text/plain", ""))
    return (
        text
        if re.fullmatch(r"\$[^$]+\$", text.strip())
        else re.sub(r"([\\`*_{}\[\]<>#$|~^@])", r"\\\1", text)
    )
