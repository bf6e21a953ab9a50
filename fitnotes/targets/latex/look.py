"""What LaTeX has in its own way: references that it counts, theorems, parts of figures, rows, boxes."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import panflute as pf

from fitnotes.document import nodes
from fitnotes.document.tree import Change, Elements, collect, walk
from fitnotes.passes import crossrefs, floats, rawtex, theorems
from fitnotes.passes.look import Look
from fitnotes.passes.maths import formula_key
from fitnotes.passes.page import Page, Placed
from fitnotes.passes.pipeline import BOXES, CITATIONS, ROWS, STYLES, THEOREMS, Step
from fitnotes.source.note import Cursor
from fitnotes.store.inputs import file_hash
from fitnotes.targets.latex.places import marked
from fitnotes.tex import environments, unicode
from fitnotes.tex.macros import brace_scripts


def _raw_labels(page: Page) -> None:
    """What raw TeX declares by itself: the theorems in it, and labels that nothing here has numbered."""

    def look(element: pf.Element) -> None:
        page.met.update(n for n in re.findall(r"\\begin\{(\w+\*?)\}", element.text) if n in page.theorems)
        for label in re.findall(r"\\label\s*\{([^}]*)\}", element.text):
            if label.strip() not in page.refs.targets:  # of a figure in raw TeX, say
                page.refs.targets[label.strip()] = crossrefs.Labelled("", "?")

    walk(page.doc, look, pf.RawInline, pf.RawBlock)


def _link(page: Page) -> crossrefs.Link:
    """References to what LaTeX counts by itself are its own commands."""
    counted = {"Equation", *(kind.title for kind in page.theorems.values())}

    def link(address: str, target: crossrefs.Labelled, prefix: str) -> pf.Element:
        if not address.startswith("#") or target.kind not in counted:
            return crossrefs.plain_link(address, target, prefix)
        command = "eqref" if target.kind == "Equation" else "ref"
        name = f"{prefix}~" if prefix else ""
        return pf.RawInline(f"{name}\\{command}{{{address[1:]}}}", format="latex")

    return link


def _references(page: Page) -> None:
    crossrefs.resolve(page.doc, page.refs, _link(page))


# A sign of text, which LaTeX leaves out in formulas.
_TEXT_SIGN = re.compile(
    r"(\\text(?!(?:bf|it|rm|sf|tt|sc|up|md|sl|normal|color|style|llap|rlap|clap|tip)?(?![a-z]))[a-z]+)(?![A-Za-z])(?!\s*\{)"
)


@dataclass(frozen=True, slots=True)
class _Writing:
    """Braces and references as LaTeX wants them; raw TeX stays as it is. ``plain``: output is code like any other."""

    page: Page
    plain: bool
    cursor: Cursor
    seen: dict[str, int] = field(default_factory=dict)  # how often each formula has come

    def visit(self, element: pf.Element) -> Change:
        if isinstance(element, pf.Math):
            return self._formula(element)
        if nodes.is_raw_tex(element):
            return self._raw(element)
        if nodes.is_problem(element):
            opening = pf.RawInline("\\fitnotesproblem{", format="latex")
            return [opening, *element.content, pf.RawInline("}", format="latex")]
        if isinstance(element, pf.CodeBlock) and "output" in element.classes and not self.plain:
            return _verbatim(element)
        return None

    def _formula(self, element: pf.Element) -> Change:
        line = self._line(element.text)
        text = brace_scripts(element.text, self.page.preamble.macros)
        text = unicode.mathematical(
            _TEXT_SIGN.sub(r"\\text{\1}", environments.INNER_REFERENCE.sub(self._inner, text))
        )
        text = marked(self.page, Placed(text, line, element.format))
        if environments.ENVIRONMENT.match(element.text):
            return pf.RawInline(f"\n{text}\n", format="latex")
        element.text = text
        return None

    def _line(self, formula: str) -> int | None:
        """Where a formula stands; one that the note has several times comes in its order."""
        key = formula_key(formula)
        places = self.page.maths.written.get(key, [])
        nth = self.seen[key] = self.seen.get(key, -1) + 1
        return places[min(nth, len(places) - 1)][0] if places else None

    def _raw(self, element: pf.Element) -> Change:
        line = self.cursor.line_of(element.text)
        match = rawtex.REFERENCE.match(element.text.strip())
        if match and not isinstance(element, pf.RawBlock):
            return self._reference(element, match)
        text = environments.INNER_REFERENCE.sub(self._inner, element.text)
        text = _place_graphics(theorems.protect_titles(text, self.page.theorems), self.page)
        if line is not None and "\\" in text:
            text = marked(self.page, Placed(text, line))
        element.text = text
        return None

    def _inner(self, match: re.Match[str]) -> str:
        """A reference inside a formula: one that leads nowhere is an error here too."""
        refs, label = self.page.refs, match[2].strip()
        if label in refs.targets:
            return match[0]
        found = refs.find(label)
        if found is None:
            refs.missing(match[0], label)
            return f"\\text{{??{label}}}"
        number = found[1].number
        return f"\\text{{({number})}}" if match[1] else f"\\text{{{number}}}"

    def _reference(self, element: pf.Element, match: re.Match[str]) -> Change:
        refs = self.page.refs
        command, labels = match[1], [label.strip() for label in match[2].split(",")]
        counted = all(
            label in refs.targets and refs.targets[label].number and refs.targets[label].kind != "Listing"
            for label in labels
        )
        if counted and ("{cleveref}" in self.page.preamble.tex or command.lower() != "cref"):
            element.text = f"\\{command}{{{','.join(labels)}}}"
            return None
        out: Elements = []
        for label in labels:
            out += [pf.Str(","), pf.Space()] if out else []
            out.append(crossrefs.tex_reference(refs, command, label, _link(self.page)))
        return out


_STYLES = {"LowerRoman": "roman", "UpperRoman": "Roman", "LowerAlpha": "alph", "UpperAlpha": "Alph"}
_ENDS = {"OneParen": ("", ")"), "TwoParens": ("(", ")")}
_COUNTERS = ("", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x")


def _deep_list(element: pf.Element) -> Change:
    """A numbered list below four others, whose first number pandoc leaves out (test_latex.py:
    test_lists_are_as_deep_as_written)."""
    if not isinstance(element, pf.OrderedList):
        return None
    level, above = 1, element.parent
    while above is not None:
        level += isinstance(above, pf.OrderedList)
        above = above.parent
    if not 4 < level < len(_COUNTERS) or element.start == 1:
        return None
    counter = f"enum{_COUNTERS[level]}"
    left, right = _ENDS.get(element.delimiter, ("", "."))
    style = _STYLES.get(element.style, "arabic")
    start = (
        f"\\begin{{enumerate}}\n\\def\\label{counter}{{{left}\\{style}{{{counter}}}{right}}}\n"
        f"\\setcounter{{{counter}}}{{{element.start - 1}}}"
    )
    made: Elements = [pf.RawBlock(start, format="latex")]
    for item in element.content:
        made += [pf.RawBlock("\\item", format="latex"), *item.content]
    return [*made, pf.RawBlock("\\end{enumerate}", format="latex")]


def _write(page: Page, *, plain: bool) -> None:
    walk(page.doc, _deep_list, pf.OrderedList)
    kinds = (pf.Math, pf.RawInline, pf.RawBlock, pf.Span, pf.CodeBlock)
    walk(page.doc, _Writing(page, plain, Cursor(page.note)).visit, *kinds, metadata=True)


def _parts(page: Page) -> None:
    """Figures inside a figure, and tables inside a panel, whose captions do not count; a panel counts as a table."""

    def visit(element: pf.Element) -> Change:
        if isinstance(element, pf.Div):
            if nodes.is_listing(element):
                return _titled(element, "")
            if not nodes.is_panel(element):
                return None
            return [pf.RawBlock("\\refstepcounter{table}", format="latex"), _titled(element, "\\centering")]
        number = nodes.take_number(element)
        if isinstance(element, pf.Table) and element.cols > 7 and not nodes.is_part(element):
            size = "\\footnotesize" if element.cols <= 11 else "\\tiny"  # as of a data frame
            start = f"\\begingroup{size}\\setlength{{\\tabcolsep}}{{3pt}}"
            return [pf.RawBlock(start, format="latex"), element, pf.RawBlock("\\endgroup", format="latex")]
        if not nodes.is_part(element):
            several = isinstance(element, pf.Figure) and (
                len(element.content) > 1 or isinstance(element.content[0], pf.Div)
            )
            return _whole(element) if several else None
        anchor = f"\\phantomsection\\label{{{element.identifier}}}" if element.identifier else ""
        words = nodes.caption_words(element)
        opening = pf.RawInline(f"{anchor}{{\\small {number} ", format="latex")
        caption = pf.Para(opening, *words, pf.RawInline("\\par}", format="latex"))
        element.identifier, element.caption = "", pf.Caption()
        if isinstance(element, pf.Table):
            element.classes = []
            return [caption, element]
        centred = pf.RawBlock("\\centering", format="latex")
        return [
            centred,
            *nodes.paragraphs(element.content),
            caption,
        ]

    walk(page.doc, visit, pf.Figure, pf.Table, pf.Div)


def _held(blocks: Elements) -> Elements:
    """The blocks, with figures that stay where they are: a box holds no floats."""

    def visit(element: pf.Element) -> Change:
        if isinstance(element, pf.Figure):
            made = _whole(element)
            made[0].text = made[0].text.replace("\\begin{figure}", "\\begin{figure}[H]", 1)
            return made
        if element.text.startswith("\\begin{figure}\n"):
            element.text = element.text.replace("\\begin{figure}", "\\begin{figure}[H]", 1)
        return None

    holder = pf.Div(*blocks)
    walk(holder, visit, pf.Figure, pf.RawBlock)
    return list(holder.content)


def _titled(box: pf.Element, align: str) -> pf.Element:
    """Code or tables with a number: the words above them in the size of a caption, on the same page."""
    first, *rest = box.content
    start = pf.RawInline(f"\\par{{{align}\\small ", format="latex")
    words = pf.Plain(start, *first.content, pf.RawInline("\\par}\\nobreak", format="latex"))
    box.content = [words, *rest]
    return box


def _whole(figure: pf.Element) -> Elements:
    """A figure of several blocks, each of which pandoc would make a column."""
    words = nodes.caption_words(figure)
    label = f"\\label{{{figure.identifier}}}" if figure.identifier else ""
    words, below = _notes_below(words)
    short = "[]" if below else ""  # a note has no place in a list of figures
    start, end = (
        pf.RawInline(f"\\caption{short}{{", format="latex"),
        pf.RawInline(f"}}{label}", format="latex"),
    )
    return [
        pf.RawBlock("\\begin{figure}\n\\centering", format="latex"),
        *nodes.paragraphs(figure.content),
        *([pf.Plain(start, *words, end)] if words or label else []),
        pf.RawBlock("\\end{figure}", format="latex"),
        *([pf.Plain(*below)] if below else []),
    ]


def _notes_below(words: Elements) -> tuple[Elements, Elements]:
    """The words of a caption with marks for its footnotes, and those, for behind the figure: a float has none."""
    notes: Elements = []

    def mark(element: pf.Element) -> Change:
        notes.append(element)
        return pf.RawInline("\\protect\\footnotemark{}", format="latex")

    holder = pf.Span(*words)
    walk(holder, mark, pf.Note)
    below: Elements = []
    for n, note in enumerate(notes):
        count = f"\\addtocounter{{footnote}}{{{1 - len(notes)}}}" if n == 0 else "\\stepcounter{footnote}"
        inner = [e for block in note.content for e in getattr(block, "content", [])]
        below += [
            pf.RawInline(f"{count}\\footnotetext{{", format="latex"),
            *inner,
            pf.RawInline("}", format="latex"),
        ]
    return list(holder.content), below


def _row(columns: list[Elements], widths: list[float]) -> Elements:
    """Things side by side; tables, which LaTeX breaks over pages, below one another."""
    tables = any(isinstance(block, pf.Table) for column in columns for block in column)
    if tables or any(map(_is_long, columns)):
        return floats.below_one_another(columns, widths)
    made: Elements = []
    between = ""
    for column, width in zip(columns, widths, strict=True):
        start = f"\\begin{{minipage}}[t]{{{0.96 * width / 100:.3f}\\linewidth}}\\vspace{{0pt}}"
        made += [pf.RawBlock(f"{between}{start}", format="latex"), *_held(column)]
        between = "\\end{minipage}\\hfill\n"  # an empty line would end the row
    return [*made, pf.RawBlock("\\end{minipage}\\par\\medskip", format="latex")]


def _is_long(column: Elements) -> bool:
    """Whether it may take more than a page, at whose end LaTeX would cut it off."""
    inside = [part for block in column for part in (block, *collect(block, pf.Para, pf.Plain, pf.CodeBlock))]
    lines = sum(part.text.count("\n") + 3 if isinstance(part, pf.CodeBlock) else 2 for part in inside)
    return lines > 50 or sum(len(pf.stringify(block)) for block in column) > 2500


def _callout(kind: str, title: Elements, content: Elements, element: pf.Element) -> Elements:
    anchor = f"\\phantomsection\\label{{{element.identifier}}}" if element.identifier else ""
    start = pf.RawInline(f"\\begin{{fitnotescallout}}{{fitnotes{kind}}}{anchor}{{\\bfseries ", format="latex")
    return [
        pf.Plain(start, *title, pf.RawInline("\\par}", format="latex")),
        *_held(content),
        pf.RawBlock("\\end{fitnotescallout}", format="latex"),
    ]


def _place_graphics(tex: str, page: Page) -> str:
    """``\\includegraphics`` in raw TeX with its file beside the .tex, as LaTeX may read from there only."""
    note = page.note

    def place(match: re.Match[str]) -> str:
        for suffix in ("", ".pdf", ".png", ".jpg", ".svg"):
            path = note.path.parent / (match[2].strip() + suffix)
            if not page.reads(path, match[2]):
                break
            page.media.inputs[str(path)] = file_hash(path)
            if path.is_file():
                url = page.media.add(path.read_bytes(), path.suffix.lower(), path.stem)
                return f"{match[1]}{{{url}}}" if url else match[0]
        page.say("missing-file", f"image {match[2]}: not found", note.line_of(match[0]))
        return f"\\fitnotesproblem{{[image missing: {match[2]}]}}"

    return re.sub(r"(\\includegraphics\s*(?:\[[^\]]*\])?)\s*\{([^}]*)\}", place, tex)


def _verbatim(element: pf.Element) -> pf.RawBlock:
    """Output with a rule beside it, in an environment of its own."""
    name = "fitnoteserror" if "error" in element.classes else "fitnotesoutput"
    text = element.text.replace(f"\\end{{{name}}}", f"\\end {{{name}}}")
    return pf.RawBlock(f"\\begin{{{name}}}\n{text}\n\\end{{{name}}}", format="latex")


def _anchor(name: str) -> pf.Element:
    return pf.RawInline(f"\\protect\\phantomsection\\protect\\label{{{name}}}", format="latex")


def _cited_on(names: Sequence[str]) -> Elements:
    return [pf.RawInline(f"\\citedon{{{','.join(names)}}}", format="latex")]


def _aligned(side: str, content: Elements) -> Elements:
    name = {"left": "flushleft", "right": "flushright"}.get(side, side)
    start, end = (pf.RawBlock(f"\\{word}{{{name}}}", format="latex") for word in ("begin", "end"))
    return [start, *_held(content), end]


def _aside(content: Elements) -> Elements:
    start, end = (pf.RawBlock(text, format="latex") for text in ("\\begin{quote}\\small", "\\end{quote}"))
    return [start, *_held(content), end]


def _coloured(words: str, back: str, content: Elements) -> Elements:
    start = f"\\colorbox[HTML]{{{back[1:].upper()}}}{{" if back else ""
    start += f"\\textcolor[HTML]{{{words[1:].upper()}}}{{" if words else ""
    end = "}" * (bool(words) + bool(back))
    return [pf.RawInline(start, format="latex"), *content, pf.RawInline(end, format="latex")]


LOOK = Look(
    theorem=theorems.as_latex, row=_row, box=_callout, anchor=_anchor, cited=_cited_on, aligned=_aligned,
    coloured=_coloured, aside=_aside,
)  # fmt: skip


def steps(*, plain: bool) -> tuple[Step, ...]:
    """Those for LaTeX. ``plain``: for someone to go on writing in."""
    return (
        Step("raw labels", _raw_labels, "labels in raw TeX are known", ("numbers",)),
        Step("references", _references, "`@fig-x` is a link, or a command of LaTeX's", ("numbers", "raw labels")),
        CITATIONS,
        THEOREMS,
        Step("parts", _parts, "parts of figures have their letters", ("numbers", "citations")),
        ROWS,
        BOXES,
        STYLES,
        Step("LaTeX", functools.partial(_write, plain=plain), "formulas and raw TeX are LaTeX",
             ("references", "set theorems", "set boxes")),
    )  # fmt: skip
