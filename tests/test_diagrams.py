"""Formulas in the labels of diagrams, and what a diagram's own directives say."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitnotes.document import pandoc
from fitnotes.document.tree import dump, load
from fitnotes.draw.drawing import Surroundings
from fitnotes.draw.media import Media
from fitnotes.draw.mermaid import render
from fitnotes.draw.mermaid.labels import DiagramLabels, LabelFormula, for_github, place, split
from fitnotes.draw.mermaid.metrics import Size, extents, pieces, width, wrap
from fitnotes.draw.mermaid.render import DiagramError, draw
from fitnotes.draw.mermaid.style import Styles
from fitnotes.errors import Problem
from fitnotes.passes import drawings
from fitnotes.source.note import read_note
from fitnotes.tex.macros import Macros, learn
from fitnotes.tex.preamble import Preamble

SVG = "{http://www.w3.org/2000/svg}"

# Wherever Mermaid draws text: the diagram, and how many formulas it shows.
KINDS = {
    "flowchart": (
        'graph LR\n A[word $x$ one] -->|edge $\\alpha_i$| B{$x > 0$}\n C("q $\\frac{a}{b}$") -- $y$ --> D[($W$)]\n'
        " D --> E{{$\\sigma$}} --> F((x $y$))\n subgraph s [Title $\\mathbb{R}^n$]\n B\n end\n",
        9,
    ),
    "sequence": (
        "sequenceDiagram\n participant A as Alice $\\pi$\n participant $x$\n A->>$x$: hello $f(x)$ there\n"
        " Note over A,$x$: a note $$\\sum_i x_i$$\n loop every $\\epsilon > 0$\n $x$-->>A: ok\n end\n",
        7,  # participants stand above and below
    ),
    "class": (
        "classDiagram\n class Layer {\n +Matrix $W \\in \\mathbb{R}^{m \\times n}$\n +forward($x$) $\\sigma(x)$\n }\n"
        ' Layer "1" --> "$n$" M : has $\\frac{a}{b}$\n note for Layer "note $$\\sum_i x_i$$"\n',
        6,
    ),
    "state": (
        "stateDiagram-v2\n [*] --> S0 : $p_0 = \\frac{1}{2}$\n S0 : start $s_0$\n S0 --> S1 : when $x > \\theta$\n"
        ' state "speed $v$" as S1\n note right of S1\n energy $$E = \\frac{1}{2} m v^2$$\n end note\n',
        5,
    ),
    "mindmap": ("mindmap\n  root((root $\\pi$))\n    A $x^2$ item\n    B[square $\\sqrt{2}$]\n", 3),
    "er": ('erDiagram\n A ||--o{ B : "places $n \\ge 1$"\n A {\n string name "the $\\mu$"\n }\n', 2),
    "gantt": (
        "gantt\n title A $\\Delta t$ title\n dateFormat YYYY-MM-DD\n section Sec $\\alpha$\n"
        " Task $\\frac{a}{b}$ :a1, 2024-01-01, 30d\n",
        3,
    ),
    "pie": ('pie title Pie of $p(x)$\n "Dogs $x_1$" : 386\n "Cats" : 85\n', 2),
    "journey": ("journey\n title J $\\alpha$\n section Go $\\beta$\n  Make $x$: 5: Me\n", 3),
    "timeline": ("timeline\n title T $\\tau$\n 2002 : $L = mc^2$ : word $x$\n", 3),
    "quadrant": (
        'quadrantChart\n title Q $q$\n x-axis Low $x$ --> High $\\infty$\n quadrant-1 We $\\frac{a}{b}$\n'
        ' "Camp $\\alpha$": [0.3, 0.6]\n',
        5,
    ),
    "git": ('gitGraph\n commit id: "c $x$"\n commit tag: "v $\\beta$"\n', 2),
    "block": ('block-beta\n columns 2\n a["A $x$"] b["$\\frac{x}{y}$"]\n', 2),
    "chart": ('xychart-beta\n title "X $\\lambda$"\n x-axis [jan, "f $\\phi$"]\n bar [5000, 6000]\n', 2),
    "requirement": (
        "requirementDiagram\n requirement r {\n id: 1\n text: the $x$ text\n risk: high\n verifymethod: test\n }\n",
        1,
    ),
    "sankey": ("sankey-beta\nA $x,y$,B,10\n", 1),
    "kanban": ("kanban\n  Todo $n$\n    [do $x$ now]\n", 2),
    "title": ("---\ntitle: Loss $L(\\theta)$\nconfig:\n  theme: forest\n---\nflowchart TD\n a --> b\n", 1),
    "architecture": ("architecture-beta\n group api(cloud)[API $x$]\n service db(database)[Data $y$] in api\n", 2),
    "c4": ('C4Context\n title System $s$\n Person(a, "Cust $x$", "A $y$ cust")\n', 3),
}  # fmt: skip


def tree(svg: str) -> Element:
    root = ElementTree.fromstring(svg)
    for element in root.iter():
        element.tag = element.tag.removeprefix(SVG)
    return root


def formulas(root: Element) -> list[Element]:
    return [element for element in root.iter("svg") if element.get("class") == "formula"]


def words(root: Element) -> str:
    return " ".join("".join(e.itertext()) for e in root.iter("text"))


def number(element: Element, name: str) -> float:
    return float(element.get(name, "0"))


def places(root: Element) -> Iterator[tuple[Element, float, float]]:
    """Every element that is drawn, with what its groups move it by; a <use> shows what it refers to."""
    by_id = {element.get("id"): element for element in root.iter()}

    def below(element: Element, x: float, y: float) -> Iterator[tuple[Element, float, float]]:
        if moved := re.search(r"translate\(([-\d.e]+)[, ]+([-\d.e]+)\)", element.get("transform", "")):
            x, y = x + float(moved[1]), y + float(moved[2])
        yield element, x, y
        if element.tag == "use":
            yield from below(by_id[element.get("href", "")[1:]], x, y)
        for child in element:
            if child.tag not in ("defs", "marker", "style"):
                yield from below(child, x, y)

    return below(root, 0.0, 0.0)


def boxes(svg: str) -> list[tuple[float, float, float, float]]:
    """(x, y, width, height) of each node's rectangle, and then of each formula."""
    nodes, shown = [], []
    for element, x, y in places(tree(svg)):
        here = (
            x + number(element, "x"),
            y + number(element, "y"),
            number(element, "width"),
            number(element, "height"),
        )
        if "label-container" in element.get("class", "").split():
            nodes.append(here)
        elif element.get("class") == "formula":
            shown.append(here)
    return nodes + shown


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_diagram_shows_its_formulas(kind: str) -> None:
    source, count = KINDS[kind]
    root = tree(draw(source))
    assert len(formulas(root)) == count
    assert "$" not in words(root)
    assert not re.search("[\u1400-\u167f]", "".join(root.itertext()))
    for formula in formulas(root):
        assert number(formula, "width") > 3
        shapes = [e for e in formula.iter() if e.tag in ("path", "rect", "line")]
        assert shapes
        assert all("fill:" in e.get("style", "") for e in shapes)


@pytest.mark.parametrize(
    "tex",
    ["$x$", "$y_j$", r"$\mathbf{W}^{(1)}$", r"$$\frac{\partial L}{\partial w}$$", r"$$\sum_{i=1}^n x_i$$",
     r"$\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}$"],
)  # fmt: skip
def test_a_formula_stands_in_the_middle_of_its_box(tex: str) -> None:
    (bx, by, bw, bh), (fx, fy, fw, fh) = boxes(draw(f'graph TD\n A["{tex}"]'))
    assert abs(bx + bw / 2 - fx - fw / 2) < 1.5
    assert abs(by + bh / 2 - fy - fh / 2) < 1.5
    assert bw - fw > 15
    assert bh - fh > 15


def test_words_and_formulas_stand_side_by_side() -> None:
    svg = draw("graph TD\n A[loss $L$ is small]")
    (bx, _, bw, _), (fx, _, fw, _) = boxes(svg)
    found = {
        "".join(e.itertext()): (x + number(e, "x"), e.get("style", ""))
        for e, x, _ in places(tree(svg))
        if e.tag == "text"
    }
    left, right = found["loss"], found["is small"]
    space = width(" ", {}) * 16
    assert left[0] == pytest.approx(fx - space, abs=0.1)
    assert "text-anchor:end" in left[1]
    assert right[0] == pytest.approx(fx + fw + space, abs=0.1)
    assert "text-anchor:start" in right[1]
    start, end = left[0] - width("loss", {}) * 16, right[0] + width("is small", {}) * 16
    assert (start + end) / 2 == pytest.approx(bx + bw / 2, abs=1.5)


def test_a_tall_formula_between_lines_keeps_its_distance() -> None:
    svg = draw(r"graph TD" "\n" r' A["one<br/>$$\begin{pmatrix} 1 \\ 2 \\ 3 \end{pmatrix}$$<br/>two"]')
    (_, by, _, bh), (_, fy, _, fh) = boxes(svg)
    rows = {"".join(e.itertext()): y + number(e, "y") for e, _, y in places(tree(svg)) if e.tag == "text"}
    assert by + 10 < rows["one"] < fy - 6
    assert fy + fh + 6 < rows["two"] < by + bh - 10


def test_an_arrow_passes_below_the_formula_on_it() -> None:
    root = tree(draw("sequenceDiagram\n A->>B: $$\\frac{\\partial L}{\\partial w}$$\n B->>A: $x$\n"))
    arrows = [number(e, "y1") for e in root.iter("line") if "messageLine" in e.get("class", "")]
    first, second = [(number(e, "y"), number(e, "height")) for e in formulas(root)]
    assert first[0] + first[1] < arrows[0] < second[0]
    assert second[0] + second[1] < arrows[1]


def test_a_price_is_no_formula() -> None:
    root = tree(draw("graph TD\n A[costs $5 and $6] --> B[US$] --> C[\\$x$]\n C -->|$8| D[$7 or $x$]"))
    assert "costs $5 and $6" in words(root)
    assert "$x$" in words(root)
    assert "$7 or" in words(root)
    assert len(formulas(root)) == 1


@pytest.mark.parametrize(
    "tex",
    [r"P(A|B)", r"\{y \mid y < z\}", r"\text{say ``hi''; \#1}", "[0, 1)", r'\text{"quoted"}', "a > b --> c",
     r"\text{if $x$ is}"],
)  # fmt: skip
@pytest.mark.parametrize("shape", ["[{}]", '("{}")', "{{{}}}", "(({}))", "[({})]", "{{{{{}}}}}"])
def test_no_sign_in_a_formula_reaches_the_parser(tex: str, shape: str) -> None:
    root = tree(draw(f"graph TD\n A{shape.format(f'${tex}$')} -->|${tex}$| B"))
    assert len(formulas(root)) == 2
    assert words(root).split() == ["B"]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("A[$x$] --> B[$y$]", ["x", "y"]),
        ('A["costs $5"] --> B["$x$"]', ["x"]),
        ("A -->|$5| B[$x$] ", ["x"]),
        ("x in $]0, 1[$ and $[0, 1)$", ["]0, 1[", "[0, 1)"]),
        ("$ x$ and $x $ and $x$5", []),
        ("$$ x $$", ["x"]),
        ("$$a\n+ b$$", ["a\n+ b"]),
        ("$$a\n\nb$$", []),
        ("$\\text{for $x$} y$", ["\\text{for $x$} y"]),
        ("%% a $x$\nA[$y$]", ["y"]),
        ("+count()$\n+sum()$", []),
    ],
)
def test_what_is_a_formula(source: str, found: list[str]) -> None:
    assert [part.tex for part in split(source) if isinstance(part, LabelFormula)] == found


@given(st.text(alphabet=st.sampled_from("$$$ax5\n {}\\%"), max_size=40))
def test_splitting_loses_nothing(source: str) -> None:
    def plain(text: str) -> str:
        return re.sub(r"\\+\$", "$", text)

    parts = split(source)
    assert plain("".join(p if isinstance(p, str) else p.written for p in parts)) == plain(source)
    for part in parts:
        if isinstance(part, LabelFormula):
            assert part.tex
            assert part.tex == part.tex.strip()
            assert part.written in source
            assert source.split("\n")[part.line - 1].find(part.written.split("\n")[0]) >= 0
    assert "$" in source or parts in ([source], [])


@given(st.text(alphabet=st.sampled_from("ab X"), max_size=60), st.floats(1, 20))
def test_wrapping_loses_nothing(text: str, most: float) -> None:
    sizes = {"X": Size(3.0, 1.0, 0.5)}
    lines = wrap(text, sizes, most)
    assert "".join(lines) == text
    assert all(width(line, sizes) <= most or len(line.split()) <= 1 for line in lines)
    assert "".join(pieces(text, sizes)) == text


def test_room_for_a_line() -> None:
    sizes = {"X": Size(1.0, 1.5, 1.0), "y": Size(1.0, 0.4, 0.0)}
    assert extents("words", sizes, 1.5) == (0.75, 0.75)
    assert extents("y", sizes, 1.5) == (0.75, 0.75)
    above, below = extents("X", sizes, 1.5)
    assert above == below > 1.25
    above, below = extents("X by", sizes, 1.5)
    assert above > 1.5 - 0.346
    assert below > 1.0 + 0.346


def test_a_style_sheet_is_read_as_a_browser_does() -> None:
    root = tree(
        "<svg xmlns='http://www.w3.org/2000/svg' id='d'><style>#d{fill:#111;font-size:20px}"
        "#d .a text{fill:red}.a text.b{fill:blue}.a&gt;text{text-anchor:middle}@media print{text{fill:pink}}"
        "text:hover{fill:pink}#d .z{fill:green!important}g:not(.a) text{font-weight:bold}"
        "text]{fill:pink}[*|fill]{fill:pink}/*text{*/</style>"
        "<g class='a'><text>1</text><text class='b z' style='fill:pink'><tspan font-size='2em'>2</tspan></text>"
        "<g><text fill='gold'>3</text></g></g><text fill='gold'>4</text></svg>"
    )
    styles = Styles(root)
    one, two, three, four = list(root.iter("text"))
    assert (styles.of(one)["fill"], styles.of(one)["text-anchor"]) == ("red", "middle")
    assert (styles.of(two)["fill"], styles.of(two[0])["font-size"]) == ("green", "40")
    assert (styles.of(three)["fill"], styles.of(three)["text-anchor"]) == ("red", "start")
    assert [styles.of(text)["font-weight"] for text in (two, three)] == ["normal", "bold"]
    assert (styles.of(four)["fill"], styles.of(four)["font-size"]) == ("gold", "20")


@pytest.mark.parametrize(
    ("source", "colour"),
    [
        ("graph TD\n A[$x$]\n classDef hot fill:#f96,color:#abcdef\n class A hot", "#abcdef"),
        ("graph TD\n A[$x$]\n style A fill:#bbf,color:#00f", "#00f"),
        ("%%{init: {'theme':'dark'}}%%\ngraph TD\n A[$x$]", "#ccc"),
        ("sequenceDiagram\n A->>B: $x$", "#333"),
        ("graph TD\n A[$\\color{red} x$]", "red"),
    ],
)
def test_a_formula_has_the_colour_of_its_label(source: str, colour: str) -> None:
    path = next(e for f in formulas(tree(draw(source))) for e in f.iter("path"))
    assert f"fill:{colour};" in path.get("style", "")


def test_a_parser_error_has_its_line_and_the_formulas_as_written() -> None:
    with pytest.raises(DiagramError) as caught:
        draw('graph TD\n A["$$x\n + y$$"]\n b --> c[[unclosed $z$\n c --> d')
    assert caught.value.line == 4
    with pytest.raises(DiagramError) as caught:
        draw("sequenceDiagram\n A->>B: $x$\n activate $y$ nonsense -> \n")
    assert not re.search("[\u1400-\u167f]", str(caught.value))


def test_the_other_renderer_shows_formulas_too() -> None:
    mermaid_render = pytest.importorskip("mermaid_render")
    labels = DiagramLabels.read(split("graph LR\n A[word $x$ one] -->|$\\alpha$| B{$$\\frac{a}{b}$$}"))
    svg = bytes(mermaid_render.mermaid_to_svg(labels.source(wide=True))).decode()
    root = tree(place(svg, labels))
    assert len(formulas(root)) == 3
    assert not re.search("[\u1400-\u167f$]", words(root))


def test_the_same_picture_each_time() -> None:
    source = KINDS["flowchart"][0]
    first = draw(source)
    render.draw_parts.cache_clear()
    assert draw(source) == first


def test_typst_draws_the_formula(tmp_path: Path) -> None:
    import typst
    from PIL import Image

    svg = draw('graph TD\n A["$\\blacksquare$"]\n style A fill:#ffffff,stroke:#ffffff,color:#0000ff')
    (tmp_path / "a.svg").write_text(svg, encoding="utf-8")
    page = tmp_path / "a.typ"
    page.write_text('#set page(width: auto, height: auto, margin: 0pt)\n#image("a.svg")', encoding="utf-8")
    image = Image.open(io.BytesIO(typst.compile(str(page), format="png", ppi=96, ignore_system_fonts=True)))
    red, green, blue = image.convert("RGB").getpixel((image.width // 2, image.height // 2))
    assert (red < 40, green < 40, blue > 200) == (True, True, True)


# -- directives


def rule(svg: str, pattern: str) -> str:
    found = re.search(pattern, svg)
    assert found is not None
    return found[1]


def test_directives_say_how_a_diagram_looks() -> None:
    def boxes_of(init: str) -> str:
        return rule(
            draw(f"%%{{init: {init}}}%%\ngraph LR\n A[one] --> B"), r"\.node rect[^{]*\{fill:([^;]*);"
        )

    assert boxes_of("{'theme':'dark'}") == "#1f2020"
    assert boxes_of("{'theme':'forest'}") == "#cde498"
    assert boxes_of("{'theme':'neutral'}") == "#eee"
    assert boxes_of("{'theme':'base', 'themeVariables': {'primaryColor':'#ff0000'}}") == "#ff0000"
    assert boxes_of('{"theme":"forest"}') == "#cde498"
    large = draw("%%{init: {'themeVariables': {'fontSize':'22px'}}}%%\ngraph LR\n A[$x$]")
    small = draw("graph LR\n A[$x$]")
    assert boxes(large)[1][2] / boxes(small)[1][2] == pytest.approx(22 / 16, abs=0.01)


def test_curves_are_those_that_a_diagram_asks_for() -> None:
    def edge(head: str) -> str:
        svg = draw(f"{head}graph LR\n A --> B --> C\n A --> C\n")
        return rule(svg, r'<path d="([^"]*)"[^>]*L_A_C_0')

    assert "C" in edge("")
    assert "C" not in edge("%%{init: {'flowchart': {'curve': 'linear'}}}%%\n")
    assert "C" not in edge("---\nconfig:\n  flowchart:\n    curve: stepAfter\n---\n")


# -- in a note


def in_note(folder: Path, text: str, *, keep: bool = False) -> tuple[str, list[str], list[Problem]]:
    """The note as Markdown, its pictures and its problems."""
    path = folder / "note.md"
    path.write_text(text, encoding="utf-8")
    note = read_note(path)
    ast, _ = pandoc.read(note)
    doc = load(ast, "html")
    macros = Macros()
    learn(r"\newcommand{\loss}{\mathcal{L}}", macros)
    media = Media(folder / "files", "files/")
    around = Surroundings(note, media, Preamble(macros=macros), folder)
    kept = frozenset({"mermaid"} if keep else ())
    problems = drawings.draw(doc, around, html=True, keep=kept)
    written = pandoc.write(dump(doc), "markdown").text
    return written, [file.read_text(encoding="utf-8") for file in media.files.values()], problems


def shapes(svg: str) -> list[str]:
    return [e.get("d", "") for f in formulas(tree(svg)) for e in f.iter("path")]


def test_macros_of_the_preamble_and_of_the_note_before(tmp_path: Path) -> None:
    text = "$\\newcommand{\\R}[1]{\\mathbb{R}^{#1}}$\n\n```mermaid\ngraph LR\n A[$\\loss$] --> B[$\\R{n}$]\n```\n"
    _, pictures, problems = in_note(tmp_path, text)
    assert problems == []
    assert shapes(pictures[0]) == shapes(draw("graph LR\n A[$\\mathcal{L}$] --> B[$\\mathbb{R}^{n}$]"))


def test_a_formula_that_cannot_be_set_is_said_and_shown_as_written(tmp_path: Path) -> None:
    text = "# A\n\n```mermaid\ngraph LR\n A[$x$] -->|so| B\n B --> C[bad $\\frac{a$ here]\n C --> D[$\\unknown$]\n```\n"
    _, pictures, problems = in_note(tmp_path, text)
    assert [(p.severity, p.line, p.code, p.exit_code) for p in problems] == [
        ("error", 6, "formula", 1),
        ("error", 7, "formula", 1),
    ]
    assert problems[0].text == "formula $\\frac{a$: MathJax says: Missing close brace"
    root = tree(pictures[0])
    assert len(formulas(root)) == 1
    assert "$\\frac{a$" in words(root)


def test_a_block_with_options_and_a_directive(tmp_path: Path) -> None:
    text = (
        "```{.mermaid format=png scale=5 width=300 caption='Computational graph'}\n"
        "%%{init: {'theme':'base', 'themeVariables': {'primaryColor':'#BB2528', 'primaryTextColor':'#fff'}}}%%\n"
        '  graph LR\n    x(($x$)) --> z["$z = wx + b$"]\n    z -->|"$\\sigma(z)$"| L(($\\loss$))\n'
        '    L -.->|"$$\\frac{\\partial \\loss}{\\partial w}$$"| z\n```\n'
    )
    written, pictures, problems = in_note(tmp_path, text)
    assert problems == []
    assert "![Computational graph]" in written
    assert 'width="300"' in written
    assert len(formulas(tree(pictures[0]))) == 5
    assert "#BB2528" in pictures[0]


def test_github_draws_it_by_itself(tmp_path: Path) -> None:
    text = '```mermaid\ngraph LR\n A[$f(x)$ of] -->|$a<b$| B{{"$\\loss$"}}\n B --> C[costs $5 and $6]\n```\n'
    written, pictures, problems = in_note(tmp_path, text, keep=True)
    assert (pictures, problems) == ([], [])
    assert 'A["$$f(x)$$ of"] -->|"$$a \\lt b$$"| B{{"$$\\mathcal{L}$$"}}' in written
    assert "C[costs $5 and $6]" in written


def test_github_gets_quotes_where_brackets_are() -> None:
    assert for_github(split("pie title $x$\n")) == "pie title $$x$$\n"
    assert for_github(split("graph TD\n A(($x$)) --> B{$y$}")) == 'graph TD\n A(("$$x$$")) --> B{"$$y$$"}'


def test_lines_of_a_block() -> None:
    """The renderer shows the tag of a line's end in labels of block diagrams."""
    for tag in ("<br/>", "<br>", "<br />"):
        svg = draw(f'block-beta\n  columns 1\n  a[["one {tag} two"]]\n  b["plain"]\n')
        assert "br" not in re.sub(r"<[^>]*>", "", svg)
        assert re.search(r"<tspan[^>]*>one</tspan><tspan[^>]*>two</tspan>", svg)
