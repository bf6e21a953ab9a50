"""Notes written for other tools: R Markdown's and Quarto's cells, MyST's directives and roles, each read or named."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from conftest import Run
from hypothesis import given, settings
from hypothesis import strategies as st

from fitnotes.document import pandoc
from fitnotes.source.mark import mark
from fitnotes.source.note import Note

CODE = [
    "x <- 1",
    "",
    "# a comment",
    "plot(x)",
    "- item",
    "> quoted",
    "$a$ and `b`",
    "| a |",
    "    deep",
    "@fig-x",
    "***",
]
NAMES = ["r", "R", "bash", "sql", "ojs", "julia", "dot", "stan", "Rcpp", "code-cell", "exercise-x", "nosuch"]
HEADS = ["{%s}", "{%s, label, echo=FALSE}", "{%s label}", "{%s} argument", "{ %s }", '{%s, fig.cap="A, b"}']


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(NAMES), st.sampled_from(HEADS), st.lists(st.sampled_from(CODE), max_size=6),
    st.sampled_from(["", "> ", "- item\n\n  "]), st.sampled_from(["```", "~~~", "````"]),
)  # fmt: skip
def test_code_in_any_fence_is_code(name: str, head: str, code: list[str], inside: str, ticks: str) -> None:
    """Nothing of it becomes headings, lists or prose, whatever the fence says; the number of lines stays."""
    if name == "code-cell":
        head = "{%s} r"
    prefix = "> " if inside == "> " else " " * (2 if inside else 0)
    body = "".join(f"{prefix}{line}\n" for line in ["first", *code, "last"])
    start = inside if inside.startswith("-") else prefix
    text = f"Before.\n\n{start}{ticks}{head % name}\n{body}{prefix}{ticks}\n\nAfter.\n"
    assert mark(text).count("\n") == text.count("\n")
    ast, _ = pandoc.read(Note(Path("note.md"), text, mark(text)))
    blocks = re.findall(r'"t":"CodeBlock","c":\[\[.*?\],("(?:[^"\\]|\\.)*")\]', ast)
    assert [json.loads(block) for block in blocks] == ["\n".join(["first", *code, "last"])]
    assert '"t":"Header"' not in ast


CELLS = """\
```{code-cell} ipython3
:tags: [hide-input]

print("one", 1)

# not a heading
```

```{code-cell}
---
tags: [remove-output]
mystnb:
  remove_code_source: false
---
print("two", 2)
```

```{code-cell} ipython3
:tags: [raises-exception]
1 / 0
```

```{code-cell} ipython3
:tags: [remove-cell]
y = 3
```

```{code-cell} ipython3
print("four", y + 1)
```

```{code-block} python
:caption: Shown only
print("not run")
```

```{r}
print("in R")
```
"""


def test_cells_of_myst_run(fitnotes: Run, write, project: Path) -> None:
    write("note.md", CELLS)
    done = fitnotes("build", "note.md", "--to", "gfm")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "note.md:37: warning: nothing here reads ```{r}: it is shown as code\n"
    page = (project / "_build" / "gfm" / "note.md").read_text(encoding="utf-8")
    assert "one 1" in page
    assert 'print("one", 1)' not in page
    assert 'print("two", 2)' in page
    assert "two 2" not in page
    assert "ZeroDivisionError" in page
    assert "y = 3" not in page
    assert "four 4" in page
    assert 'print("not run")' in page
    assert "not run\n" not in page.replace('print("not run")\n', "")
    assert '``` r\nprint("in R")' in page
    code, *_ = [fitnotes("lint", "note.md")]
    assert "unread-fence" in code.stdout


MYST = r"""---
bibliography: r.bib
---
(intro)=
# Introduction

See {eq}`euler`, {eq}`short`, {ref}`intro`, {ref}`the start <intro>`, {numref}`my-fig`, {numref}`Fig. %s <my-fig>`,
{cite}`knuth`, {cite:t}`knuth`, {doc}`other`, {math}`x^2`, {term}`loss`, {eval}`1+1`, {nosuch}`role`.

$$
e^{i\pi} = -1
$$ (euler)

$$ a = b $$ (short)

```{math}
:label: third

c = d

+ e
```

And {eq}`third`.

```{figure} a.svg
:name: my-fig
:width: 50%

The *caption*,
in two lines.
```

```{exercise-start} Hard
:label: ex1
```

Compute it.

```{exercise-end}
```

```{solution} ex1
:class: dropdown
It is done.
```

```{epigraph}
Said *well*.
```

```{index} single: thing
```
"""


SHOWN = (
    "See (1), (2), Introduction, the start, Figure 1, Fig. 1", "Knuth", "other", "loss, 2, ", "Figure 1: The caption",
    "in two lines", "And (3)", "Exercise 1 (Hard)", "Compute it.", "It is done.", "Said well.",
)  # fmt: skip


@pytest.mark.parametrize("target", ["html", "gfm", "pdf"])
def test_myst_is_read_as_myst(target: str, fitnotes: Run, write, project: Path) -> None:
    from test_pages import words

    write("note.md", MYST)
    write("other.md", "# Other\n")
    write("r.bib", "@book{knuth, title={The Art}, author={Donald Knuth}, year={1968}}\n")
    write(
        "a.svg",
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>',
    )
    done = fitnotes("build", "note.md", "--to", target)
    assert (done.returncode, done.stderr) == (0, "")
    if target == "pdf":
        text = words(project / "_build" / "pdf" / "note.pdf")
    else:
        raw = (project / "_build" / target / f"note.{'md' if target == 'gfm' else 'html'}").read_text(
            encoding="utf-8"
        )
        text = " ".join(
            re.sub(
                r"<[^>]+>|\*|\]\([^)]*\)|\[", "", re.sub(r"(?s)<(style|script)\b.*?</\1>", "", raw)
            ).split()
        )
    text = text.replace("\u00a0", " ")
    for shown in SHOWN:
        assert shown in text, (shown, text)
    for gone in ("(euler)", "(short)", "(intro)=", ":label:", "single: thing", "exercise-end", "{eq}"):
        assert gone not in text
    assert "{nosuch}" in text


def test_references_to_nothing_are_said(fitnotes: Run, write) -> None:
    write(
        "note.md",
        "A note[^gone] and one[^here], a [link][nowhere], [another one][Nowhere too].\n\n"
        "Fine: [text][ok], `[^code]`, an array a[i][j], \\[^escaped], $x[^2]$, [x][], f(x)[0][1].\n\n"
        "[ok]: https://example.org/\n[^here]: Words.\n",
    )
    done = fitnotes("build", "note.md", "--to", "gfm")
    said = re.findall(r"note\.md:(\d+): warning: the (\w+ \S+)", done.stderr)
    assert said == [("1", "footnote [^gone]"), ("1", "link [nowhere]"), ("1", "link [Nowhere")]
    assert done.stderr.count("warning") == 3


def test_options_of_others_do_not_stop_a_note(fitnotes: Run, write) -> None:
    code = "```{python}\n#| fig-height: 2\n#| code-fold: true\nprint(1)\n```\n\n"
    code += "```{.python .input  n=1}\nprint(2)\n```\n"
    write("note.md", code)
    done = fitnotes("build", "note.md", "--to", "gfm")
    expected = "note.md:2: warning: options fig-height, code-fold mean nothing here\n"
    assert (done.returncode, done.stderr) == (0, expected)
    write("note.md", code.replace("code-fold", "code-fodl"))
    assert fitnotes("build", "note.md", "--to", "gfm").returncode == 2


def test_the_header_is_found_below_comments(fitnotes: Run, write, project: Path) -> None:
    header = "---\ntitle: Here\nheader-includes: |\n  \\newcommand{\\R}{\\mathbb{R}}\n  \\newcommand{\\R}{2}\n---\n"
    for n, above in enumerate(
        ("", "\n\n", "<!-- one -->\n", "<!-- two\nlines -->\n\n", "\n<!-- a --> \n<!-- b -->\n\n\n")
    ):
        write(
            "note.md",
            f"{above}{header}\nText $\\R$.\n\n---\nlang: de\nauthor: Me\n---\n\nEnd.\n\n---\n\nA rule.\n",
        )
        done = fitnotes("build", "note.md", "--to", "html")
        assert re.search(rf"note\.md:{5 + above.count(chr(10))}: .*\\R", done.stderr), (n, done.stderr)
        page = (project / "_build" / "html" / "note.html").read_text(encoding="utf-8")
        assert "<title>Here" in page
        assert 'lang="de"' in page
        assert "Me" in page
        assert page.count("<hr") == 1
        assert "header-includes" not in page


PIECES = [
    "[", "[0,1), ", "[a](", "![", "*", "**a ", "_", "`", "$", "$$\n", "\\begin{a}\n", "\\begin{tabular}{l}\n x \\\\\n",
    "\\foo{", "<div>\n", "<b>", "::: a\n", "[^a", "~", "^", "> ", "- ", "1. ", "| a ", "{", "\\(", "\\[", "<!--",
    "@a [", "- a\n  ```\n", "[[", "[a][", "![a](b ", "$\\begin{a}", "```{r}\n", "term\n: ", "x", " ", "\n", "\n\n",
]  # fmt: skip


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=3), st.integers(20, 60))
def test_reading_ends(pieces: list[str], count: int) -> None:
    """Whatever has no end in a note, in whatever order: pandoc comes to one."""
    text = "".join(pieces) * count
    assert pandoc.run(["-f", pandoc.READER, "-t", "json"], mark(text), limit=20).text
    assert mark(text).count("\n") == text.count("\n")


def test_half_open_intervals_are_text() -> None:
    """Pandoc takes minutes over twenty of them in a paragraph."""
    text = "On [0,1), [1,2) and [the page](a.md), [2,3), $[3,4)$, `[4,5)`, [5,6), [6,7) it is *so*."
    html = pandoc.run(["-f", pandoc.READER, "-t", "html"], mark(text), limit=20).text.replace("&#91;", "[")
    shown = " ".join(re.sub(r"<[^>]+>", "", html).split()).replace("[3, 4)", "[3,4)")
    assert shown == "On [0,1), [1,2) and the page, [2,3), [3,4), [4,5), [5,6), [6,7) it is so."
    assert '<a href="a.md">the page</a>' in html
    assert mark("[a] and [b](c) and [d") == "[a] and [b](c) and [d"


def test_roles_in_code_are_code() -> None:
    for line in ("    {eq}`x`", "Code `` {eq}`x` `` here.", "`{eq}` and `{ref}`", "```\n{eq}`x`\n```"):
        assert mark(f"Text.\n\n{line}\n") == f"Text.\n\n{line}\n"
