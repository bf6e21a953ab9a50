"""Formulas in the labels of a diagram, as MathJax sets them.

The renderer of diagrams never sees a formula: one character stands for it in the source, with the formula's
size as its own (`diagram_text`), and in the drawing the formula's picture takes that character's place.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from itertools import chain, groupby
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from fitnotes.draw import mathjax
from fitnotes.draw.mermaid.metrics import (
    ASCENT,
    CENTRAL,
    DESCENT,
    LINE,
    X_HEIGHT,
    Size,
    Sizes,
    extents,
    is_bold,
    pieces,
    width,
)
from fitnotes.draw.mermaid.style import Styles, length
from fitnotes.tex.environments import ENVIRONMENT

# Letters to every parser, and of a script that labels do not come in. The first one widens another.
FILLER, FIRST, LAST = "\u1401", 0x1402, 0x166C
EX = 0.442  # em of MathJax's font in its ex
LARGER = 1.15  # its letters beside those of the labels' font, which are large for their size
LITTLE = 6.0  # pixels that a label may lack: its box has room around it
HIGHEST = 1.9  # em of a formula where the renderer makes no room for its height
# Where it does: labels in HTML, messages, notes and participants, titles.
_GROWING = re.compile(r"\b(?:merman-foreignobject|messageText|noteText|actor|flowchartTitleText)")
SVG = "http://www.w3.org/2000/svg"
_ARROW = re.compile(r"-[->x)|/\\]|<<-")
_SKIPPED = re.compile(r"^[ \t]*%%[^\n]*", re.MULTILINE)  # comments and directives
# Words inside a formula, which may hold formulas of their own.
_WORDS = r"\\(?:text\w*|[mhf]box|colorbox\s*\{[^{}\n]*\})\s*\{(?:[^{}\n]|\{[^{}\n]*\})*\}"
_PIECE = re.compile(
    r"\\\$"
    rf"|\$\$(?P<display>(?:{_WORDS}|[^$\\\n]|\\.|\\?\n(?![ \t]*\n))+?)\$\$"
    rf"|\$(?P<inline>(?!\s)(?:{_WORDS}|[^$\\\n]|\\[^\n])+)(?<!\s)\$(?!\d)",
)


@dataclass(frozen=True, slots=True)
class LabelFormula:
    """``line`` counts from the diagram's first one; ``written`` is how it stands there."""

    tex: str
    display: bool
    line: int
    written: str


def _spans_labels(tex: str) -> bool:
    """Whether a dollar that is one and the next label's formula have been taken for a formula
    (test_diagrams.py: test_a_price_is_no_formula).

    >>> _spans_labels("5] --> B["), _spans_labels("[0, 1)")
    (True, False)
    """
    depth, lowest = 0, 0
    for char in re.sub(r"\\.", "", tex):
        depth += (char in "[({") - (char in "])}")
        lowest = min(lowest, depth)
    odd = lowest < 0 or depth != 0 or tex.count('"') % 2 == 1
    return odd and bool(tex[0].isdigit() or re.search(r"--|==|-\.|->", tex))


def split(source: str) -> list[str | LabelFormula]:
    """The source as words and formulas in turn. ``\\$`` is a dollar, and so is that of a price.

    >>> split("A[costs $5 and $6] --> B")
    ['A[costs $5 and $6] --> B']
    """
    if "$" not in source:
        return [source]
    comments = [match.span() for match in _SKIPPED.finditer(source)]
    found: list[str | LabelFormula] = []
    words, at = "", 0

    while match := _PIECE.search(source, at):
        words += source[at : match.start()]
        at = match.end()
        tex = match["display"] or match["inline"]
        comment = next((end for start, end in comments if start <= match.start() < end), 0)
        if comment:
            words, at = words + source[match.start() : comment], comment
        elif tex is None:
            words += "$"
        elif match["inline"] and _spans_labels(tex):
            words, at = words + "$", match.start() + 1
        elif tex.strip():
            found += [words] * bool(words)
            line = source.count("\n", 0, match.start()) + 1
            found.append(LabelFormula(tex.strip(), match["display"] is not None, line, match[0]))
            words = ""
        else:
            words += match[0]
    return [*found, *[words + source[at:]] * bool(words + source[at:])]


@dataclass(frozen=True, slots=True)
class LabelPicture:
    """A formula's SVG, in MathJax's units, and its size; ``error``: why there is none."""

    size: Size
    svg: Element | None = None
    error: str = ""


def _em(pattern: str, text: str) -> float:
    match = re.search(pattern + r"\s*(-?[\d.]+)ex", text)
    return float(match[1]) * EX * LARGER if match else 0.0


def _typeable(formula: LabelFormula) -> tuple[str, bool]:
    """Without numbers and labels, which a picture in a label has no use for."""
    tex = re.sub(r"\\(?:tag\*?|label)\s*\{[^{}]*\}", "", formula.tex)
    numbered = r"\\(begin|end)\s*\{(align|gather|equation|alignat|flalign|multline|eqnarray)\}"
    return re.sub(numbered, r"\\\1{\2*}", tex), formula.display or bool(ENVIRONMENT.match(tex))


def pictures(formulas: Sequence[LabelFormula], extra: Sequence[str]) -> list[LabelPicture]:
    """Each formula as MathJax sets it; one that it cannot set is as wide as its source."""
    made = []
    for formula, result in zip(
        formulas, mathjax.typeset([_typeable(f) for f in formulas], extra), strict=True
    ):
        if result.error:
            room = Size(width(formula.written, {}), ASCENT, DESCENT)
            made.append(LabelPicture(room, error=result.error))
            continue
        svg = result.svg[result.svg.index("<svg") : result.svg.rindex("</svg>") + 6]
        head = svg[: svg.index(">")]
        below = -_em("vertical-align:", head)
        size = Size(_em('width="', head), _em('height="', head) - below, below)
        made.append(LabelPicture(size, _parse(svg.replace("&nbsp;", "&#160;"))))
    return made


@dataclass(slots=True)
class DiagramLabels:
    """The formulas of one diagram, by the characters that stand for them."""

    pieces: tuple[str | LabelFormula, ...]
    marks: tuple[str, ...] = ()  # of the formulas in ``pieces``, one by one
    formulas: dict[str, LabelFormula] = field(default_factory=dict)
    pictures: dict[str, LabelPicture] = field(default_factory=dict)
    padding: dict[str, int] = field(default_factory=dict)  # empty rows below those of a mark

    @classmethod
    def read(cls, parts: Sequence[str | LabelFormula], extra: Sequence[str] = ()) -> DiagramLabels:
        labels = cls(tuple(parts))
        taken = {char for part in parts if isinstance(part, str) for char in part}
        usable = map(chr, chain(range(FIRST, LAST), range(0xF0000, 0xFFFFE)))
        free = (char for char in usable if char not in taken)
        words = "".join(part for part in parts if isinstance(part, str))
        # A formula may be somebody's name, in another kind of diagram, and has to stay the same one
        # (test_diagrams.py: test_every_kind_of_diagram_shows_its_formulas).
        apart = re.search(r"^\s*(?:graph|flowchart|mindmap|block|kanban)\b", words, re.MULTILINE)
        known: dict[Any, str] = {}
        for n, part in enumerate(parts):
            if isinstance(part, LabelFormula):
                mark = known.setdefault(n if apart else (part.tex, part.display), "") or next(free)
                known[n if apart else (part.tex, part.display)] = mark
                labels.formulas[mark] = part
                labels.marks = (*labels.marks, mark)
        found = pictures(list(labels.formulas.values()), extra) if labels.formulas else []
        labels.pictures = dict(zip(labels.formulas, found, strict=True))
        for mark in labels._messages():
            picture = labels.pictures[mark]
            labels.pictures[mark] = replace(picture, size=replace(picture.size, halved=True))
        return labels

    def _messages(self) -> frozenset[str]:
        """The marks in the messages of a sequence diagram, and nowhere else in it."""
        source = self.source()
        if not self.formulas or not re.search(r"^\s*sequenceDiagram", source, re.MULTILINE):
            return frozenset()
        heads = [line.partition(":")[0] for line in source.split("\n")]
        lines = zip(heads, source.split("\n"), strict=True)
        elsewhere = "".join(head if _ARROW.search(head) else line for head, line in lines)
        return frozenset(mark for mark in self.formulas if mark not in elsewhere)

    @property
    def sizes(self) -> Sizes:
        return {mark: picture.size for mark, picture in self.pictures.items()}

    def source(self, *, wide: bool = False) -> str:
        """For the renderer. ``wide``: for one that cannot be told sizes, characters as wide as formulas."""
        marks = iter(self.marks)
        source = "".join(part if isinstance(part, str) else next(marks) for part in self.pieces)
        for mark, rows in self.padding.items():
            source = re.sub(rf'{mark}[^"\n<\])}}|]*', lambda m: m[0] + f"<br/>{FILLER}" * rows, source)  # noqa: B023
        if wide:
            for mark, size in self.sizes.items():
                source = source.replace(mark, mark + FILLER * round(size.width / 0.6 - 1))
        return source

    def readable(self, text: str) -> str:
        """A message of the renderer with the formulas as they were written."""
        text = text.replace(FILLER, "") if self.formulas else text
        return "".join(self.formulas[char].written if char in self.formulas else char for char in text)

    def line(self, drawn: int) -> int:
        """The line of the note's diagram for one of `source`, which has no lines inside formulas."""
        at, swallowed = 1, 0
        for part in self.pieces:
            if isinstance(part, str):
                if at + part.count("\n") >= drawn:
                    break
                at += part.count("\n")
            else:
                swallowed += part.written.count("\n")
        return drawn + swallowed

    def errors(self) -> Iterable[tuple[LabelFormula, str]]:
        """Each formula that MathJax cannot set, where it stands, with the reason."""
        formulas = (part for part in self.pieces if isinstance(part, LabelFormula))
        for formula, mark in zip(formulas, self.marks, strict=True):
            if reason := self.pictures[mark].error:
                yield formula, reason


# A label of a flowchart between the brackets of its shape, without quotes.
_BARE = r'(?<=[\[({|>/\\])(\s*)([^\[\](){}|"\n]*[%s][^\[\](){}|"\n]*?)(\s*)(?=[\])}|/\\])'


def for_github(parts: Sequence[str | LabelFormula]) -> str:
    """The source with its formulas as GitHub's Mermaid reads them: ``$$…$$``, in quotes where brackets are."""
    formulas = [part for part in parts if isinstance(part, LabelFormula)]
    marks = {formula: chr(0xF0000 + n) for n, formula in enumerate(formulas)}
    if not marks:
        return "".join(part for part in parts if isinstance(part, str))
    source = "".join(part if isinstance(part, str) else marks[part] for part in parts)
    if re.search(r"^\s*(?:graph|flowchart)\b", source, re.MULTILINE):
        source = re.sub(_BARE % "".join(marks.values()), r'\1"\2"\3', source)
    for formula, mark in marks.items():
        tex = " ".join(formula.tex.split()).replace('"', "''")
        # It reads labels as HTML before it looks for formulas.
        tex = re.sub(r"\s*([<>])\s*", lambda sign: r" \lt " if sign[1] == "<" else r" \gt ", tex)
        source = source.replace(mark, f"$${tex}$$")
    return source


# --------------------------------------------------------------------------------------------------
# Into the drawing


def _parse(svg: str) -> Element:
    """The tree with bare names: ElementTree would give prefixes to all of them."""
    root = ElementTree.fromstring(svg)
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{SVG}}}")
        for name in [name for name in element.attrib if name.endswith("}href")]:
            element.set("href", element.attrib.pop(name))
    return root


@dataclass(slots=True)
class _Box:
    """A label that the renderer lays out in even rows, and how far each of them has to reach, in pixels."""

    height: float
    rows: list[Element]
    reach: list[tuple[float, float]]

    @property
    def needed(self) -> float:
        return sum(map(sum, self.reach))


def _boxes(root: Element, labels: DiagramLabels, styles: Styles) -> Iterator[_Box]:
    for box in root.iter("svg"):
        rows = [e for e in box if e.tag == "text" and "foreignobject" in e.get("class", "")]
        if not any(c in labels.formulas for row in rows for c in "".join(row.itertext())):
            continue
        em = float(styles.of(rows[0])["font-size"])
        line = _declared(rows[0], "line-height", 1.5 * em) / em
        for row in [row for row in rows if "".join(row.itertext()).strip() == FILLER]:
            rows.remove(row)
            box.remove(row)
        reach = [extents("".join(row.itertext()), labels.sizes, line) for row in rows]
        height = length(box.get("height", "0"), em)
        yield _Box(height, rows, [(above * em, below * em) for above, below in reach])


def shortage(svg: str, labels: DiagramLabels) -> dict[str, int]:
    """The formulas for which the renderer has not made room, since it only counts rows there: how many more
    it takes."""
    if not any(size.height > LINE for size in labels.sizes.values()):
        return {}
    root = _parse(svg)
    found = {}
    for box in _boxes(root, labels, Styles(root)):
        missing = box.needed - box.height
        if missing > LITTLE:
            marks = [c for row in box.rows for c in "".join(row.itertext()) if c in labels.formulas]
            tallest = max(marks, key=lambda mark: labels.sizes[mark].height)
            line = _declared(box.rows[0], "line-height", 24)
            found[tallest] = math.ceil((missing - LITTLE) / line)
    return found


def place(svg: str, labels: DiagramLabels) -> str:
    """The drawing with the formulas' pictures where their characters stood."""
    if not labels.formulas:
        return svg
    root = _parse(svg)
    styles = Styles(root)
    for box in list(_boxes(root, labels, styles)):
        at = (box.height - box.needed) / 2
        for row, (above, below) in zip(box.rows, box.reach, strict=True):
            row.set("y", f"{at + above:.3f}")
            at += above + below
    for text in [e for e in root.iter("text") if any(c in labels.formulas for c in "".join(e.itertext()))]:
        parent = styles.parents[text]
        at_child = list(parent).index(text)
        parent.remove(text)
        for n, new in enumerate(_drawn(text, labels, styles)):
            parent.insert(at_child + n, new)
    for element in root.iter():  # titles and descriptions for readers who do not see the picture
        for name, value in element.attrib.items():
            if any(char in labels.formulas for char in value):
                element.set(name, labels.readable(value))
        if element.text and any(char in labels.formulas for char in element.text):
            element.text = labels.readable(element.text)
    root.set("xmlns", SVG)
    return ElementTree.tostring(root, encoding="unicode")


def _declared(element: Element, name: str, otherwise: float) -> float:
    match = re.search(rf"{name}:\s*([\d.]+)px", element.get("style", ""))
    return float(match[1]) if match else otherwise


@dataclass(frozen=True, slots=True)
class _Run:
    """Text within the same elements, from the <text> inwards."""

    text: str
    inside: tuple[Element, ...]


@dataclass(slots=True)
class _Row:
    x: float
    y: float
    dy: float = 0.0
    runs: list[_Run] = field(default_factory=list)


def _rows(text: Element, styles: Styles) -> list[_Row]:
    """What stands on one line each: a <tspan> with a place of its own begins another."""
    rows = [_Row(0.0, 0.0)]

    def move(element: Element) -> None:
        em = float(styles.of(element)["font-size"])
        x, y, dy = (element.get(name) for name in ("x", "y", "dy"))
        last = rows[-1]
        if x is None and y is None and not (dy and length(dy, em)):
            return
        new = _Row(last.x if x is None else length(x, em), last.y if y is None else length(y, em), last.dy)
        if last.runs:
            new.y += last.dy if y is None else 0.0
            new.dy = 0.0
            rows.append(new)
        else:
            rows[-1] = new
        if dy is not None:  # an inner one takes the place of an outer one, which is for the first letter
            new.dy = length(dy, em)

    def visit(element: Element, inside: tuple[Element, ...]) -> None:
        move(element)
        inside = (*inside, element)
        if element.text:
            rows[-1].runs.append(_Run(element.text, inside))
        for child in element:
            visit(child, inside)
            if child.tail:
                rows[-1].runs.append(_Run(child.tail, inside))

    visit(text, ())
    preserved = styles.of(text)["white-space"] in ("pre", "pre-wrap", "break-spaces")
    for row in rows:
        row.runs = row.runs if preserved else _collapsed(row.runs)
    return [row for row in rows if row.runs]


def _collapsed(runs: list[_Run]) -> list[_Run]:
    """Spaces as they show: one for many, none at the ends."""
    kept: list[_Run] = []
    for run in runs:
        text = re.sub(r"\s+", " ", run.text)
        if not kept or kept[-1].text.endswith(" "):
            text = text.lstrip()
        if text:
            kept.append(replace(run, text=text))
    if kept:
        kept[-1] = replace(kept[-1], text=kept[-1].text.rstrip())
    return [run for run in kept if run.text]


def _drawn(text: Element, labels: DiagramLabels, styles: Styles) -> list[Element]:
    """The words and formulas of one <text>, each in its place."""
    made: list[Element] = []
    for row in _rows(text, styles):
        made += _drawn_row(text, row, labels, styles)
    for element in made:
        if "transform" in text.attrib:
            element.set("transform", text.attrib["transform"])
    return made


def _baseline(inside: tuple[Element, ...], styles: Styles) -> float:
    """How far below the place of a text its baseline is, in em."""
    value = styles.of(inside[-1])["dominant-baseline"]
    for element in inside[1:]:
        value = element.get("alignment-baseline", value)
    return {
        "central": CENTRAL, "middle": X_HEIGHT / 2, "hanging": 0.8 * ASCENT, "text-before-edge": ASCENT,
        "text-after-edge": -DESCENT, "mathematical": ASCENT / 2,
    }.get(value, 0.0)  # fmt: skip


def _drawn_row(text: Element, row: _Row, labels: DiagramLabels, styles: Styles) -> list[Element]:
    sizes = labels.sizes
    style = styles.of(row.runs[0].inside[-1])
    em = float(style["font-size"])
    whole = "".join(run.text for run in row.runs).replace(FILLER, "")
    middle = row.y + row.dy + (_baseline(row.runs[0].inside, styles) - CENTRAL) * em
    bold = is_bold(style["font-weight"])
    middle += _growth(text, whole, sizes) * em
    parts: list[tuple[str, _Run]] = [
        (part, run) for run in row.runs for part in pieces(run.text.replace(FILLER, ""), sizes)
    ]
    if not any(part in sizes for part, _ in parts):
        return [_words(text, parts, row.x, middle + CENTRAL * em, style["text-anchor"])]
    total = width(whole, sizes, bold) * em
    x = row.x - total * {"middle": 0.5, "end": 1.0}.get(style["text-anchor"], 0.0)
    most = math.inf if _GROWING.search(text.get("class", "")) else HIGHEST
    made: list[Element] = []
    groups = [(formula, list(group)) for formula, group in groupby(parts, lambda item: item[0] in sizes)]
    for n, (is_formula, group) in enumerate(groups):
        if not is_formula:
            words = "".join(part for part, _ in group)
            room = width(words, sizes, bold) * em
            if words.strip():
                left = width(words[: len(words) - len(words.lstrip())], sizes, bold) * em
                right = width(words[len(words.rstrip()) :], sizes, bold) * em
                # Where the reader's font is another one, words stay beside their formula.
                anchor = "end" if n == 0 else "start" if n == len(groups) - 1 else "middle"
                place = {"end": x + room - right, "start": x + left}.get(
                    anchor, x + (left + room - right) / 2
                )
                made.append(_words(text, group, place, middle + CENTRAL * em, anchor))
            x += room
            continue
        for mark, run in group:
            size, picture = sizes[mark], labels.pictures[mark]
            colour = styles.of(run.inside[-1])["fill"]
            if picture.svg is None:
                shown = [(labels.formulas[mark].written, run)]
                made.append(_words(text, shown, x + size.width * em / 2, middle + CENTRAL * em, "middle"))
            else:
                scale = min(1.0, most / size.height)
                base = CENTRAL if len(whole.strip()) > 1 else (size.above - size.below) / 2 * scale
                y = middle + (base - size.above * scale) * em
                if colour == "currentColor":
                    colour = styles.of(run.inside[-1])["color"]
                left = x + size.width * em * (1 - scale) / 2
                made.append(_formula(picture, labels.formulas[mark], left, y, em * scale, colour))
            x += size.width * em
    return made


def _growth(text: Element, row: str, sizes: Sizes) -> float:
    """How much lower (em) the middle of a row stands where texts are placed by their upper edge."""
    if not re.search(r"\b(?:messageText|noteText)\b", text.get("class", "")):
        return 0.0
    return extents(row, sizes, LINE)[0] - LINE / 2


_PLACES = ("x", "y", "dx", "dy", "text-anchor", "dominant-baseline", "alignment-baseline", "textLength", "id")


def _words(text: Element, parts: list[tuple[str, _Run]], x: float, y: float, anchor: str) -> Element:
    """A <text> with ``parts``, on its baseline; within the same elements as they were."""

    def bare(element: Element) -> Element:
        kept = {name: value for name, value in element.attrib.items() if name not in _PLACES}
        if "style" in kept:
            kept["style"] = ";".join(
                item for item in kept["style"].split(";") if item.partition(":")[0].strip() not in _PLACES
            )
        return Element(element.tag, kept)

    new = bare(text)
    new.set("x", f"{x:.3f}")
    new.set("y", f"{y:.3f}")
    # As a style: a style sheet would win over an attribute.
    own = f"text-anchor:{anchor};dominant-baseline:alphabetic;alignment-baseline:auto;white-space:pre"
    new.set("style", f"{new.attrib['style'].rstrip(';')};{own}" if new.get("style") else own)
    last = len(parts) - 1
    for n, (words, run) in enumerate(parts):
        words = words.lstrip() if n == 0 else words
        words = words.rstrip() if n == last else words
        inner = new
        for element in run.inside[1:]:
            inner.append(bare(element))
            inner = inner[-1]
        if inner is new and len(new):
            new[-1].tail = (new[-1].tail or "") + words
        else:
            inner.text = (inner.text or "") + words
    return new


def _formula(
    picture: LabelPicture, formula: LabelFormula, x: float, y: float, em: float, colour: str
) -> Element:
    assert picture.svg is not None
    svg = deepcopy(picture.svg)
    view = svg.get("viewBox", "")
    svg.attrib.clear()
    numbers = {"x": x, "y": y, "width": picture.size.width * em, "height": picture.size.height * em}
    svg.attrib.update({name: f"{value:.3f}" for name, value in numbers.items()})
    svg.attrib |= {"viewBox": view, "class": "formula", "style": "overflow:visible"}
    _coloured(svg, colour, colour, 0.0)
    group = Element("g", {"aria-label": formula.tex})
    group.append(svg)
    return group


def _coloured(element: Element, colour: str, fill: str, stroke_width: float) -> None:
    """Colours written into every shape: a diagram's style sheet has rules for all paths in its boxes."""
    fill = element.attrib.pop("fill", fill)
    element.attrib.pop("stroke", None)
    stroke_width = float(element.attrib.pop("stroke-width", stroke_width))
    ruled = {"data-line", "data-frame"} & element.attrib.keys()
    if ruled:  # MathJax leaves these to its style sheet
        stroke_width = 70.0
    fill = colour if fill == "currentColor" else fill
    if element.tag in ("path", "rect", "line", "text", "polygon", "polyline", "ellipse", "circle"):
        ink = colour if fill == "none" or element.tag == "line" else fill
        inside = "none" if element.tag == "line" or "data-frame" in ruled else fill
        style = f"fill:{inside};stroke:{ink if stroke_width else 'none'};stroke-width:{stroke_width:g}"
        dashes = {"mjx-dashed": "140", "mjx-dotted": "0,140"}.get(element.get("class", ""), "none")
        element.set("style", f"{style};stroke-dasharray:{dashes}")
        if dashes.startswith("0"):
            element.set("stroke-linecap", "round")
    for name in [name for name in element.attrib if name.startswith("data-") or name == "class"]:
        if element.get(name) != "formula":
            del element.attrib[name]
    for child in element:
        _coloured(child, fill if fill != "none" else colour, fill, stroke_width)
