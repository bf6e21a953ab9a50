"""The macro expander and the rewriting of formulas."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fitnotes.draw.mathjax import typeset
from fitnotes.passes.theorems import kinds
from fitnotes.tex import siunitx
from fitnotes.tex.environments import cells, rewrite, row_numbers, rows, split_environments, with_tags
from fitnotes.tex.macros import MacroError, Macros, brace_scripts, expand, learn, split_definitions
from fitnotes.tex.packages import renewed
from fitnotes.tex.portable import portable
from fitnotes.tex.tokens import Reader, blank_comments, calls, packages, without_comments
from fitnotes.tex.unicode import mathematical, unshown

PREAMBLE = r"""
\usepackage{amsmath}
\newcommand{\R}{\mathbb{R}}
\newcommand\ww{\boldsymbol{\omega}}
\renewcommand*{\vec}[1]{\mathbf{#1}}
\newcommand{\norm}[2][2]{\lVert #2 \rVert_{#1}}
\providecommand{\R}{wrong}
\def\pair#1#2{\langle #1, #2 \rangle}
\def\upto#1;{#1}
\let\real\R
\DeclareMathOperator{\diag}{diag}
\DeclareMathOperator*{\argmin}{arg\,min}
\DeclarePairedDelimiter{\abs}{\lvert}{\rvert}
\newenvironment{mat}{\begin{bmatrix}}{\end{bmatrix}}
"""


@pytest.fixture
def macros() -> Macros:
    known = Macros()
    learn(PREAMBLE, known)
    return known


@pytest.mark.parametrize(
    ("tex", "expanded"),
    [
        (r"x \in \R^n", r"x \in \mathbb{R}^n"),
        (r"f_\ww(x)", r"f_{\boldsymbol{\omega}}(x)"),
        (r"\vec xy", r"\mathbf{x}y"),
        (r"\norm{x} + \norm[1]{y}", r"\lVert x \rVert_{2} + \lVert y \rVert_{1}"),
        (r"\pair{a}b", r"\langle a, b \rangle"),
        (r"\upto a+b; c", r"a+b c"),
        (r"\real", r"\mathbb{R}"),
        (r"\diag(x), \argmin_x", r"\operatorname{diag}(x), \operatorname*{arg\,min}_x"),
        (r"\abs{x} \abs*{y} \abs[\big]{z}",
         r"\lvert x \rvert \left\lvert y \right\rvert \bigl\lvert z \bigr\rvert"),
        (r"\begin{mat}1\end{mat}", r"\begin{bmatrix}1\end{bmatrix}"),
        (r"a \\R b", r"a \\R b"),
        (r"\Re", r"\Re"),
        (r"50\% of $", r"50\% of $"),
        ("a % comment \\R\nb", "a \nb"),
        (r"\newcommand{\q}{Q} \q", " Q"),
    ],
)  # fmt: skip
def test_expand(macros: Macros, tex: str, expanded: str) -> None:
    assert expand(tex, macros) == expanded


def test_a_command_name_never_grows_into_its_argument() -> None:
    macros = Macros()
    learn(r"\newcommand{\v}[1]{\alpha #1}\newcommand{\w}[1]{#1\beta}", macros)
    assert expand(r"\v{x}", macros) == r"\alpha x"
    assert expand(r"\w{a}b", macros) == r"a\beta b"


def test_a_macro_without_end_is_an_error() -> None:
    macros = Macros()
    learn(r"\newcommand{\x}{\x}", macros)
    with pytest.raises(MacroError, match="without end"):
        expand(r"\x", macros)


def test_definitions_are_split_off() -> None:
    rest, found = split_definitions(r"\newcommand{\X}{{a}{b}}Y = \X")
    assert (rest, found) == (r"Y = \X", r"\newcommand{\X}{{a}{b}}")


@given(st.text(alphabet=st.sampled_from("ab12+-=^_{}() &\\"), max_size=40))
@settings(max_examples=300, deadline=None)
def test_text_without_macros_stays(tex: str) -> None:
    assert expand(tex, Macros()) == tex


BODIES = st.sampled_from([r"\alpha", r"\mathbb{R}", "x+y", r"\frac{1}{2}", r"\mathbf{v}"])
USES = st.lists(
    st.sampled_from([r"\one", r"\two{z}", r"\two{\one}", "a", "+", " ", "^{2}", "_{i}"]), min_size=1
)


@given(BODIES, BODIES, USES)
@example(r"\alpha", "x+y", [r"\one", r"\two{z}"])
@settings(max_examples=200, deadline=None)
def test_expanding_means_what_mathjax_means_by_the_macro(one: str, two: str, uses: list[str]) -> None:
    """MathJax with the definitions and MathJax on the expanded formula draw the same, or both refuse."""
    preamble = rf"\newcommand{{\one}}{{{one}}}\newcommand{{\two}}[1]{{{two} #1}}"
    macros = Macros()
    learn(preamble, macros)
    formula = "".join(uses)
    native, expanded = typeset([(preamble + formula, True), (expand(formula, macros), True)])
    assert bool(native.error) == bool(expanded.error)
    assert paths(native.svg) == paths(expanded.svg)


def paths(svg: str) -> list[str]:
    import re

    return re.findall(r'data-c="([0-9A-F]+)"', svg)


def test_braces_for_latex(macros: Macros) -> None:
    assert brace_scripts(r"f_\ww(x)^\boldsymbol{s}_\alpha", macros) == r"f_{\ww}(x)^{\boldsymbol{s}}_\alpha"


@pytest.mark.parametrize(
    ("tex", "formulas"),
    [
        (r"x = \begin{align*}a&=b\end{align*}", [r"x = \begin{aligned}a&=b\end{aligned}"]),
        (r"\begin{align*}a\end{align*}.", ["\\begin{align*}a.\n\\end{align*}"]),
        (r"\begin{eqnarray}a&=&b\end{eqnarray}", [r"\begin{align}a&=b\end{align}"]),
        (r"a \\ b", ["\\begin{gathered}\na \\\\ b\n\\end{gathered}"]),
        (r"\begin{gather}a\end{gather}\begin{align}b\end{align}",
         [r"\begin{gather}a\end{gather}", r"\begin{align}b\end{align}"]),
        ("a\n\n b", ["a\nb"]),
        (r"\begin{align*} a", [r"\begin{align*} a"]),
    ],
)  # fmt: skip
def test_rewrite(tex: str, formulas: list[str]) -> None:
    assert rewrite(tex) == formulas


def test_rows_and_cells_respect_what_is_inside() -> None:
    assert rows(r"a \\ \begin{bmatrix} 1 \\ 2 \end{bmatrix} \\[2pt] {x \\ y}") == [
        "a ", r" \begin{bmatrix} 1 \\ 2 \end{bmatrix} ", r" {x \\ y}"]  # fmt: skip
    assert cells(r"a & {b & c} & \&") == ["a ", " {b & c} ", r" \&"]


def test_numbers_count_as_latex_does() -> None:
    count = iter("1234")
    step = lambda: next(count)  # noqa: E731
    one, labels = row_numbers(r"\begin{equation} a \label{eq:one} \end{equation}", step)
    assert (one, labels) == (["1"], [("eq:one", "1")])
    tex = r"\begin{align} a \label{eq:two} \\[2pt] b \nonumber \\ c \tag{X} \\ d \\ \end{align}"
    found, labels = row_numbers(tex, step)
    assert (found, labels) == (["2", None, "X", "3"], [("eq:two", "2")])
    assert with_tags(tex, found) == (
        r"\begin{align*} a \tag{2}  \\[2pt] b \\ c \tag{X} \\ d \tag{3} \\ \end{align*}\label{eq:two}"
    )
    assert row_numbers(r"\begin{align*} a \label{x} \end{align*}", step) == ([None], [("x", None)])


def test_split_environments() -> None:
    assert split_environments("\\begin{align}a\\end{align} % note\n") == [r"\begin{align}a\end{align}"]
    assert split_environments(r"\begin{align}a\end{align} and text") is None
    assert split_environments(r"\begin{center}a\end{center}") is None


NAMES = (r"\one", r"\two", r"\three", r"\four")
SIGNS = ("a", "x", "+", r"\alpha ", "2", r"\mathbb{R}", r"\frac{1}{2}", "^{n}", "_{i}", r"\left( b \right)")


@st.composite
def macro_files(draw: st.DrawFn) -> tuple[str, str]:
    """(definitions, a formula that uses them): every name is defined before its use in another."""
    lines: list[str] = []
    uses: list[str] = []

    def body(arguments: int) -> str:
        pieces = [*SIGNS[:7], *(f"#{i}" for i in range(1, arguments + 1)), *uses]
        return "".join(draw(st.lists(st.sampled_from(pieces), min_size=1, max_size=4)))

    for name in NAMES:
        kind = draw(
            st.sampled_from(["plain", "arguments", "optional", "def", "let", "operator", "paired", "again"])
        )
        if kind == "plain":
            lines.append(f"\\newcommand{{{name}}}{{{body(0)}}}")
            use = f"{name} "
        elif kind == "arguments":
            count = draw(st.integers(1, 3))
            lines.append(f"\\newcommand{name}[{count}]{{{body(count)}}}")
            use = name + "".join(draw(st.sampled_from(["{u}", "{v+w}", "{{z}}"])) for _ in range(count))
        elif kind == "optional":
            lines.append(f"\\newcommand{{{name}}}[2][d]{{{body(2)}}}")
            use = name + draw(st.sampled_from(["{u}", "[o]{u}", "[{p}]{u}"]))
        elif kind == "def":
            lines.append(f"\\def{name}#1#2{{{body(2)}}}")
            use = name + draw(st.sampled_from(["{u}{v}", " uv", "u{v}"]))
        elif kind == "let":
            lines.append(f"\\let{name}=\\beta")
            use = f"{name} "
        elif kind == "operator":
            star = draw(st.sampled_from(["", "*"]))
            lines.append(f"\\DeclareMathOperator{star}{{{name}}}{{op}}")
            use = f"{name} "
        elif kind == "paired":
            lines.append(f"\\DeclarePairedDelimiter{{{name}}}{{\\lvert}}{{\\rvert}}")
            use = draw(st.sampled_from([f"{name}{{u}}", f"{name}*{{u}}", f"{name}[\\big]{{u}}"]))
        else:
            lines.append(f"\\newcommand{{{name}}}{{wrong}}\\renewcommand{{{name}}}{{{body(0)}}}")
            use = f"{name} "
        uses.append(use)
    formula = draw(st.lists(st.sampled_from([*uses, *SIGNS]), min_size=1, max_size=6))
    return "\n".join(lines), "".join(formula)


@given(macro_files())
@settings(max_examples=150, deadline=None)
def test_generated_macros_mean_what_mathjax_means_by_them(source: tuple[str, str]) -> None:
    definitions, formula = source
    macros = Macros()
    learn(definitions, macros)
    native, ours = typeset([(definitions + "\n" + formula, True), (expand(formula, macros), True)])
    assert bool(native.error) == bool(ours.error), (native.error, ours.error)
    assert paths(native.svg) == paths(ours.svg)


def pandoc_knows(source: tuple[str, str]) -> bool:
    """Not operators and delimiters; and it takes #12 for a twelfth argument, which TeX and MathJax do not."""
    import re

    return not re.search(r"Paired|Operator|#\d\d", source[0])


@given(macro_files().filter(pandoc_knows))
@settings(max_examples=60, deadline=None)
def test_generated_macros_mean_what_pandoc_means_by_them(source: tuple[str, str]) -> None:
    """Pandoc expands by itself when it reads Markdown; what it knows comes out the same."""
    from fitnotes.document.pandoc import run

    definitions, formula = source
    macros = Macros()
    learn(definitions, macros)
    text = f"{definitions}\n\n$$[{formula}]$$\n"
    theirs = run(["-f", "markdown", "-t", "html", "--mathjax", "--wrap=none"], text).text
    found = theirs[theirs.index("\\[") + 2 : theirs.rindex("\\]")]
    import html

    one, two = typeset([(html.unescape(found), True), (f"[{expand(formula, macros)}]", True)])
    assert bool(one.error) == bool(two.error), (found, one.error, two.error)
    assert paths(one.svg) == paths(two.svg)


@given(st.text(alphabet=st.sampled_from("ab@1 \t\n%\\{}[]*")))
@settings(max_examples=500, deadline=None)
def test_the_tokens_are_the_text(tex: str) -> None:
    reader, tokens = Reader(tex), []
    while token := reader.take():
        tokens.append(token)
    assert "".join(tokens) == tex
    assert without_comments(tex) == "".join(token for token in tokens if not token.startswith("%"))
    assert blank_comments(tex).count("\n") == tex.count("\n")


WORDS = st.sampled_from(["thm", "Th\\'{e}or\\`{e}me", "a, b", "\\{", "{[x]}", "\\% y", "{{}}", ""])
GAPS = st.sampled_from(["", " ", "\n", " % a \\cmd{x} } ]\n  ", "%\n"])
BETWEEN = st.sampled_from(
    ["", "x ", "\\other{y}", "\\cmds{z}", "\\\\cmd{q}", "%\\cmd*{q}\n", "\\%", "{", "\n"]
)
COMMANDS = st.tuples(BETWEEN, st.sampled_from(["", "*"]), WORDS, WORDS, WORDS, st.tuples(*[GAPS] * 4))


@given(st.lists(COMMANDS))
@settings(max_examples=300, deadline=None)
def test_calls_are_found_with_what_they_take(commands: list[tuple[str, ...]]) -> None:
    tex, expected = "", []
    for between, star, option, first, second, gap in commands:
        use = f"\\cmd{gap[0]}{star}{gap[1]}[{option}]{gap[2]}{{{first}}}{gap[3]}{{{second}}}"
        start = len(tex) + len(between)
        expected.append((bool(star), (option, first, second), start, start + len(use)))
        tex += between + use + "x"
    found = [(call.starred, call.arguments, call.start, call.end) for call in calls(tex, cmd="sogg")]
    assert found == expected


@given(st.text(alphabet=st.sampled_from("a\\{}[]%*\n"), max_size=12), st.sampled_from(["sogog", "omm", ""]))
def test_broken_calls_are_passed_over(rest: str, takes: str) -> None:
    for call in calls(f"\\cmd{rest}", cmd=takes):
        assert call.start == 0 < call.end <= len(rest) + 4


def test_the_preamble_is_read_as_tex() -> None:
    """Comments are none of it, and braces in braces belong to it."""
    assert packages("\\usepackage[a={[b]}]{x, % y,\n z}\n% \\usepackage{w}") == {"x", "z"}
    assert kinds("\\newtheorem{thm}{Th\\'{e}or\\`{e}me}")["thm"].title == "Th\\'{e}or\\`{e}me"
    once = "% \\newcommand{\\R}{1}\n\\newcommand{\\R}{2}"
    assert renewed(once) == once
    assert renewed("\\newcommand\\R1\\newcommand*{ \\R }{2}") == "\\newcommand\\R1\\renewcommand*{ \\R }{2}"


def test_characters_mean_what_their_commands_mean() -> None:
    """A prime on the line, or limits beside a sum, would be other mathematics than TeX's."""
    assert portable("f\u2033_2 + f\u2019") == "f''_2 + f'"
    assert portable("∑_{i} x \\text{it\u2019s ∑}") == "\\sum _{i} x \\text{it\u2019s ∑}"
    assert portable("\u201cx\u201d") == "\\text{\u201c}x\\text{\u201d}"
    assert mathematical("f\u2034 ≲ … \u2019 \u2013") == "f''' \\lesssim  \\ldots  ' \\text{\u2013}"
    assert unshown(mathematical("ω ⊶ \\text{⊶} ü")) == "⊶"
    native, ours = typeset([("\\sum_{i=1}^n f''_2", True), (portable("∑_{i=1}^n f\u2033_2"), True)])
    assert native.svg == ours.svg


SIUNITX = {
    r"\num{1.5e-3}": r"1.5\times 10^{-3}",
    r"\num{1e6}": r"1\times 10^{6}",
    r"\num{e6}": r"10^{6}",
    r"\num{12345.678}": r"12\,345.678",
    r"\num{1234}": "1234",
    r"\num{1,25}": "1.25",
    r"\num{-.5}": "-0.5",
    r"\num{1.23456(7)}": r"1.234\,56(7)",
    r"\num{2.0 +- 0.1 e3}": r"2.0(1)\times 10^{3}",
    r"\num{12.34 +- 1.5}": "12.34(150)",
    r"\num{5 +- 0.25}": "5.00(25)",
    r"\num[separate-uncertainty]{2.0 +- 0.1 e3}": r"(2.0 \pm 0.1)\times 10^{3}",
    r"\num[uncertainty-mode=separate]{123.4(56)}": r"123.4 \pm 5.6",
    r"\num[uncertainty-mode=full]{1.23 +- 0.04}": "1.23(0.04)",
    r"\qty[separate-uncertainty]{2.0(1)}{\meter}": r"(2.0 \pm 0.1)\,\mathrm{m}",
    r"\num[round-mode=places, round-precision=2]{3.14159}": "3.14",
    r"\num[round-mode = figures]{0.012345}": "0.012",
    r"\num[output-decimal-marker={,}]{1.5}": "1{,}5",
    r"\num[exponent-product=\cdot]{1e3}": r"1\cdot 10^{3}",
    r"\num{x}": "x",
    r"\num[group-separator={,}]{1234567.12345}": "1{,}234{,}567.123{,}45",
    r"\numproduct{3x4}": r"3\times 4",
    r"\numlist{1;2;3}": r"1,\ 2\text{ and }3",
    r"\numrange{1}{5}": r"1\text{ to }5",
    r"\unit{\kilo\meter\per\second\squared}": r"\mathrm{km}\,\mathrm{s}^{-2}",
    r"\unit[per-mode=symbol]{\meter\per\second}": r"\mathrm{m}/\mathrm{s}",
    r"\unit[per-mode=fraction]{\meter\per\second}": r"\frac{\mathrm{m}}{\mathrm{s}}",
    r"\unit{\square\meter}": r"\mathrm{m}^{2}",
    r"\unit{\meter\tothe{4}}": r"\mathrm{m}^{4}",
    r"\unit{m/s}": r"\mathrm{m/s}",
    r"\unit{\kg\m\s}": r"\mathrm{kg}\,\mathrm{m}\,\mathrm{s}",
    r"\unit{\um}": r"\mathrm{\mu m}",
    r"\qty{5}{\kilo\ohm}": r"5\,\mathrm{k\Omega}",
    r"\qty{20}{\celsius}": r"20\,\mathrm{{}^{\circ}C}",
    r"\qtyrange{1}{5}{\meter}": r"1\,\mathrm{m}\text{ to }5\,\mathrm{m}",
    r"\qtylist{1;2}{\meter}": r"1\,\mathrm{m}\text{ and }2\,\mathrm{m}",
    r"\ang{45}": r"45^{\circ}",
    r"\ang{1;2;3}": r"1^{\circ}2'3''",
    r"\SI{3}{\kg}": r"3\,\mathrm{kg}",
}


@pytest.mark.parametrize("command", SIUNITX)
def test_numbers_and_units_of_siunitx(command: str) -> None:
    macros = Macros()
    siunitx.add(macros, "")
    assert expand(command, macros) == rf"\ensuremath{{{SIUNITX[command]}}}"
    assert typeset([(portable(expand(command, macros)), False)])[0].error == ""


def test_a_unit_that_siunitx_has_not_is_left_to_the_reader_of_the_formula() -> None:
    macros = Macros()
    siunitx.add(macros, "")
    learn(r"\newcommand{\epoch}{\mathrm{epoch}}", macros)
    assert expand(r"\qty{3}{\epoch}", macros) == r"\ensuremath{3\,\mathrm{epoch}}"
    assert "lightyear" in typeset([(portable(expand(r"\unit{\lightyear}", macros)), False)])[0].error


def test_siunitx_is_set_up_by_the_preamble() -> None:
    macros = Macros()
    siunitx.add(macros, r"\usepackage{siunitx} \sisetup{per-mode = symbol, output-decimal-marker = {,}}")
    assert expand(r"\qty{1.5}{\m\per\s}", macros) == r"\ensuremath{1{,}5\,\mathrm{m}/\mathrm{s}}"


@given(st.integers(-(10**9), 10**9), st.integers(0, 6), st.one_of(st.none(), st.integers(-30, 30)))
def test_a_number_keeps_its_value(digits: int, places: int, power: int | None) -> None:
    text = f"{digits / 10**places:.{places}f}" + (f"e{power}" if power is not None else "")
    shown = siunitx.number(text, {})
    read = shown.replace(r"\,", "").replace(r"\times 10^{", "e").replace("}", "")
    assert float(read) == float(text)
