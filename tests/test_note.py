"""Reading: fences, marks, options, inline expressions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from fitnotes.document import pandoc
from fitnotes.document.read import read_document
from fitnotes.document.tree import dump
from fitnotes.errors import UsageError
from fitnotes.settings import Settings
from fitnotes.source.block import split_spec
from fitnotes.source.dollars import tightened
from fitnotes.source.fences import LINE, fences
from fitnotes.source.languages import READ
from fitnotes.source.mark import mark, unmark
from fitnotes.source.note import Note, read_note
from fitnotes.source.options import header_options


def note(text: str) -> Note:
    return Note(Path("/tmp/n.md"), text, mark(text))


def blocks(text: str, **settings: object):
    return read_document(note(text), Settings(**settings)).blocks


@pytest.mark.parametrize(
    "fence",
    [
        "```python",
        "``` python",
        "~~~python",
        "```{.python}",
        "```{python}",
        "```{ .python .numberLines startFrom=3 }",
        "```{python, echo=FALSE}",
        "```python {.numberLines}",
        "``` {.sourceCode .python}",
        "```{python my-label}",
        "```py",
    ],
)
def test_every_spelling_of_a_python_fence_runs(fence: str) -> None:
    end = fence[:3]
    (block,) = blocks(f"Text.\n\n{fence}\nx = 1\n{end}\n")
    assert (block.code, block.line) == ("x = 1", 4)


def test_knitr_options_and_labels() -> None:
    (block,) = blocks("```{python my-fig, echo=FALSE, fig.cap='A, b'}\n1\n```\n")
    assert (block.options.label, block.options.echo, block.options.fig_cap) == ("my-fig", False, "A, b")


def test_blocks_in_lists_and_quotes_have_their_lines() -> None:
    found = blocks("- a\n\n  ```python\n  one = 1\n  ```\n\n> ```python\n> two = 2\n> ```\n")
    assert [(b.code, b.line) for b in found] == [("one = 1", 4), ("two = 2", 8)]


def test_a_fence_inside_a_longer_fence_is_text() -> None:
    text = "````markdown\n```python\nboom\n```\n````\n\n    ```python\n    also text\n    ```\n"
    assert blocks(text) == ()
    assert LINE not in dump(read_document(note(text), Settings()).load("json"))


def test_a_fence_in_the_header_or_a_comment_is_no_block() -> None:
    assert blocks('---\ntitle: "```python"\n---\n\n<!--\n```python\nx\n```\n-->\n') == ()


def test_options_above_the_code_win_and_keep_its_lines() -> None:
    (block,) = blocks("```{.python echo=true}\n#| echo: false\n#| fig-cap: 'a: b'\nx = 1\n```\n")
    assert not block.options.echo
    assert block.options.fig_cap == "a: b"
    assert block.code == "\n\nx = 1"
    assert block.line == 2


def test_marked_notes_run_what_is_marked() -> None:
    text = "```python\na\n```\n\n```{.python .run}\nb\n```\n"
    assert [b.code for b in blocks(text, execute="marked")] == ["b"]
    assert blocks("---\nexecute: false\n---\n\n" + text) == ()


def test_inline_expressions_have_lines_and_formats() -> None:
    found = blocks("One `a`{.python}.\n\n```python\na = 1\n```\n\nTwo `a`{.python} and `{python} b:.2f`.\n")
    shown = [(b.code, b.spec, b.line) for b in found if b.inline]
    assert shown == [("a", "", 1), ("a", "", 7), ("b", ".2f", 7)]


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("x", ("x", "", "")),
        ("x:.3f", ("x", "", ".3f")),
        ("d['a:b']:>10", ("d['a:b']", "", ">10")),
        ("x[1:2]", ("x[1:2]", "", "")),
        ("(lambda x: x)(2)", ("(lambda x: x)(2)", "", "")),
        ("x!r:>4", ("x", "r", ">4")),
        ("x != y", ("x != y", "", "")),
        ("{1: 2}", ("{1: 2}", "", "")),
    ],
)
def test_split_spec(source: str, parts: tuple[str, str, str]) -> None:
    assert split_spec(source) == parts


@given(st.text(alphabet=st.sampled_from("`~{}.pythonmermaid \n=$-#|>:ab0\\"), max_size=200))
@settings(max_examples=300, deadline=None)
def test_marking_keeps_the_lines(text: str) -> None:
    assert mark(text).count("\n") == text.count("\n")


LINES = st.sampled_from(
    ["```python", "```", "````", "~~~", "text", "", "    code", "- item", "> quote", "```{.mermaid}", "x = 1"]
)


@given(st.lists(LINES, max_size=12))
@settings(max_examples=40, deadline=None)
def test_marks_never_show(lines: list[str]) -> None:
    """Whatever pandoc takes for literal text reads as the author wrote it."""
    text = "\n".join(lines)
    ast = json.dumps(json.loads(dump(read_document(note(text), Settings(execute="none")).load("json"))))
    plain = pandoc.run(["-f", "json", "-t", "plain"], ast).text
    assert LINE not in plain


def test_a_block_that_is_never_closed_is_an_error() -> None:
    document = read_document(note("Text.\n\n```python\nx = 1\n"), Settings())
    assert document.blocks == ()
    assert [(p.line, p.exit_code) for p in document.problems] == [(3, 1)]


def test_unmark_puts_the_fence_back() -> None:
    source = ["```python", "x"]
    assert unmark(mark("\n".join(source)), source) == "```python\nx"


@pytest.mark.parametrize(
    ("line", "tight"),
    [
        ("$ x^2 $", "$x^2$"),
        ("$5 and $6", "$5 and $6"),
        ("`$ x^2 $`", "`$ x^2 $`"),
        ("Let $x = $ one", "Let $x =$ one"),
        (r"$\alpha $ and $ a < b $.", r"$\alpha$ and $a < b$."),
        ("paid 5$, and 6$ more", "paid 5$, and 6$ more"),
        ("for $5 = $ 6", "for $5 = $ 6"),
        ("between $20 and $ 30 = all", "between $20 and $ 30 = all"),
        ("$a +\nb$ and $c$, $d$ = $e$", "$a +\nb$ and $c$, $d$ = $e$"),
        (r"$x \mbox{ if $b$}$ and $y$", r"\(x \mbox{ if {}$b$}\) and $y$"),
        (r"$x \tag{$*$}$", r"\(x \tag{$*$}\)"),
        (r"\(\mbox{$b$}\) and $ c $", r"\(\mbox{$b$}\) and $c$"),
        ("<a href='$ x $'>$ y $</a>", "<a href='$ x $'>$y$</a>"),
        ("Set $HOME = x and $PATH = y", "Set $HOME = x and $PATH = y"),
        ("= b$ which is _always_ $c$ here", "= b$ which is _always_ $c$ here"),
        ("echo $ A=1 and then $ B=2", "echo $ A=1 and then $ B=2"),
        (r"$f(x)$ and \eqref{eq:a} for $g(x)$ then", r"$f(x)$ and \eqref{eq:a} for $g(x)$ then"),
        (r"$\text{for $x>0$}$", r"$\text{for $x>0$}$"),
        (r"\$ x_1 \$", r"\$ x_1 \$"),
        ("$$ x^2 $$", "$$ x^2 $$"),
        ("($ x_1 $)", "($x_1$)"),
    ],
)
def test_formulas_between_odd_dollars(line: str, tight: str) -> None:
    assert tightened(line) == tight


UNCHANGED = [
    "9. ninth item that\n   wraps\n10. tenth item\n11. eleventh",
    "::: {.note}\n10. ten\n:::",
    "list:\n10. ten",
    "The pid is `$$` in bash.\n\nSecond with `$$` too.",
    "    echo $$\n\n    echo $$ again",
    "- item $$\n\n- item2 $$",
    "Use $$ for pid.\n\nThen $$ again.",
    "costs $$ today\n\ntext\n\n$$\nx\n$$",
    "$$\nx =\n10. \\times 2\n$$",
    "    indented $ x_1 $ code",
    '<a href="?q=$ x_1 $">link</a>',
    "---\ntitle: $ x_1 $\n---\n",
    "    ```{python}\n",
]


@pytest.mark.parametrize("text", UNCHANGED)
def test_what_pandoc_reads_right_is_left_alone(text: str) -> None:
    assert mark(text) == text


DISPLAYS = [
    "A\n$$\nx\n$$\n\nB\n\n$$\ny\n$$\n\nC",
    "scheme $$\nx\n$$ with a guess\n\nB\n\n$$\ny\n$$\n\nC",
    "$$x$$\n\nB\n\n$$\ny\n$$\n\nC $$z$$ and $$\nw\n$$\n\nD",
    "$$x$$ and $$\ny$$\n\nB\n\n$$\nz\n$$",
]


@pytest.mark.parametrize("text", DISPLAYS)
def test_display_formulas_as_pandoc_reads_them_are_left_alone(text: str) -> None:
    assert mark(text) == text


@pytest.mark.parametrize("path", sorted((ROOT / "notes").glob("*.md")), ids=lambda p: p.stem)
def test_the_demo_notes_are_marked_at_their_fences_only(path: Path) -> None:
    source = path.read_text().split("\n")
    for before, after in zip(source, mark("\n".join(source)).split("\n"), strict=True):
        assert after == before or before.startswith("```")


def test_empty_lines_in_a_formula_and_a_year_at_the_start_of_a_line() -> None:
    assert mark("$$\na = b\n\n+ c\n$$\n") == "$$\na = b\n%\n+ c\n$$\n"
    assert mark("He was born in\n1985. It was") == "He was born in\n1985\\. It was"


@pytest.mark.parametrize(
    "text",
    [
        '```{python fig-cap="see `x`"}\nprint(1)\n```\n',
        "    ```{python}\n\nText.\n\n```{python}\nprint(1)\n```\n",
        "<!--\n```python\n-->\n\n```{python #fig-a}\nprint(1)\n```\n",
        '```python title="x.py" numberLines\nprint(1)\n```\n'.replace('title="x.py" ', ""),
    ],
)
def test_blocks_near_what_only_looks_like_a_fence_run(text: str) -> None:
    assert [b.code for b in blocks(text)] == ["print(1)"]


@pytest.mark.parametrize("text", ["text\n~~~python\nprint(1)\n~~~\n", "```{python\nprint(1)\n```\n"])
def test_a_fence_that_pandoc_does_not_read_is_an_error(text: str) -> None:
    with pytest.raises(UsageError, match="does not read this fence"):
        blocks(text)


def test_header_options_must_be_yaml() -> None:
    assert header_options("#| echo: false\nx") == ({"echo": False}, 1)
    assert header_options("# | no\nx") == ({}, 0)


def test_unreadable_notes(tmp_path: Path) -> None:
    latin = tmp_path / "latin.md"
    latin.write_bytes("fine\nna\xefve".encode("latin-1"))
    with pytest.raises(UsageError, match="not UTF-8") as error:
        read_note(latin)
    assert error.value.line == 2
    binary = tmp_path / "binary.md"
    binary.write_bytes(b"a\0b")
    with pytest.raises(UsageError, match="NUL"):
        read_note(binary)
    with pytest.raises(UsageError, match="cannot be read"):
        read_note(tmp_path)


def test_windows_line_ends_and_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "dos.md"
    path.write_bytes(b"\xef\xbb\xbf---\r\ntitle: x\r\n---\r\n\r\n```python\r\n1\r\n```\r\n")
    (block,) = read_document(read_note(path), Settings()).blocks
    assert (block.code, block.line) == ("1", 6)


def test_a_rule_swallows_nothing_below_it(tmp_path: Path) -> None:
    """Pandoc alone takes what is below a rule for metadata, if it can."""
    (tmp_path / "note.md").write_text("Above.\n\n---\nNote: words below.\n\nBehind.\n", encoding="utf-8")
    doc = read_document(read_note(tmp_path / "note.md"), Settings()).load("html")
    assert pandoc.write(dump(doc), "plain").text.split() == [
        "Above.",
        "-" * 72,
        "Note:",
        "words",
        "below.",
        "Behind.",
    ]


def test_a_comment_behind_a_definition_is_not_printed(tmp_path: Path) -> None:
    text = "\\newcommand{\\R}{\\mathbb{R}} % the reals\n\nWords.\n"
    (tmp_path / "note.md").write_text(text, encoding="utf-8")
    doc = read_document(read_note(tmp_path / "note.md"), Settings()).load("html")
    assert "the reals" not in pandoc.write(dump(doc), "plain").text


# What looks like the end of a block and is none: deeper, of other signs, shorter, or an item of a list.
INSIDE = [
    ("```python\ns = '''\n    ```\n'''\nprint(s)\n```\n", "s = '''\n    ```\n'''\nprint(s)"),
    ("````python\ns = '''\n```\n'''\n````\n", "s = '''\n```\n'''"),
    ("```python\ns = '~~~'\n~~~\n```\n", "s = '~~~'\n~~~"),
    ("- item\n\n  ```python\n  x = 1\n  ```\n", "x = 1"),
    ("> ```python\n> x = 1\n> ```\n", "x = 1"),
    ("```python\n- ```\n```\n", "- ```"),
    ("```python\nx = 1\n   ```\n", "x = 1"),
]


@pytest.mark.parametrize(("text", "code"), INSIDE)
def test_a_block_ends_where_commonmark_ends_it(text: str, code: str, tmp_path: Path) -> None:
    (tmp_path / "note.md").write_text(text, encoding="utf-8")
    (block,) = read_document(read_note(tmp_path / "note.md"), Settings()).blocks
    assert block.code == code


LINES = st.sampled_from(
    ["```", "````", "~~~", "    ```", "  ```", "```python", "x = 1", "", "> ```", "``` x", "text"]
)


@given(st.lists(LINES, max_size=12))
@settings(max_examples=300, deadline=None)
def test_fences_are_those_of_commonmark(lines: list[str]) -> None:
    """Against markdown-it, where no list or quotation is open: it has the rules to the letter."""
    lines = [*lines, "end"]
    tokens = MarkdownIt("commonmark").parse("\n".join(lines))
    quoted = any(token.type in ("blockquote_open", "code_block") for token in tokens)
    if quoted or any(lines[fence.start].startswith("    ") for fence in fences(lines)):
        return  # what is indented may stand in a list for all we know
    theirs = [(t.map[0], t.map[1]) for t in tokens if t.type == "fence" and t.map]
    ours = [(f.start, len(lines) if f.end is None else f.end + 1) for f in fences(lines)]
    assert ours == theirs


@pytest.mark.parametrize("language", sorted(READ))
@pytest.mark.parametrize("fence", ["```{{.{} #fig-a\n1\n```", "```{{{}, echo=false}} 1\n```"])
def test_a_fence_that_pandoc_takes_for_inline_code(language: str, fence: str, tmp_path: Path) -> None:
    path = tmp_path / "note.md"
    path.write_text(f"Words.\n\n{fence.format(language)}\n", encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        read_document(read_note(path), Settings())
    assert caught.value.line == 3
    assert caught.value.hint == f"write ```{{.{language} …}} with the brace closed on the same line"
