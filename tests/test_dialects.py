"""Notes written for other tools: R Markdown's and Quarto's cells, MyST's directives and roles, each read or named."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Run, environment
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
    code = "```{python}\n#| fig-asp: 2\n#| code-tools: true\nprint(1)\n```\n\n"
    code += "```{.python .input  n=1}\nprint(2)\n```\n"
    write("note.md", code)
    done = fitnotes("build", "note.md", "--to", "gfm")
    expected = "note.md:2: warning: options fig-asp, code-tools mean nothing here\n"
    assert (done.returncode, done.stderr) == (0, expected)
    write("note.md", code.replace("code-tools", "code-tolos"))
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


# (what stands in the note, what stands in its HTML page, and what does not)
SPELLINGS = [
    ("A link to [[other]].", '<a href="other.html">other</a>', "[["),
    ("With words [[other|the *other*]].", '<a href="other.html">the <em>other</em></a>', "[["),
    ("A part [[other#Big Words|p]].", '<a href="other.html#big-words">p</a>', "[["),
    ("Of itself [[#Here it is]].", '<a href="#here-it-is">Here it is</a>', "[["),
    ("Deep [[hidden]].", '<a href="deep/hidden.html">hidden</a>', "[["),
    ("| a |\n|---|\n| [[other\\|w]] |", '<a href="other.html">w</a>', "[["),
    ("| a |\n|---|\n| `x \\| y` |", "<code>x | y</code>", "\\|"),
    ("![[dot.png]]", '<img src="a_files/dot-', "[["),
    ("![[dot.png|40]]", 'width="40"', "[["),
    ("![[dot.png|40x30]]", 'height="30"', "[["),
    ("![[far.png]]", '<img src="a_files/far-', "[["),
    ("==marked $x=1$ words== and", "<mark>marked", "=="),
    ("x==y and y==z", "x==y and y==z", "<mark>"),
    ("$a == b == c$ and `==m==`", "a == b == c", "<mark>"),
    ("Words %%a comment%% here", "Words here", "comment"),
    ("%%\nhidden\n\nlines\n%%", "", "hidden"),
    ("50%% and 60%%", "50%% and 60%%", "<mark>"),
    ("[[1]] and a[[i]] and [[1, 2], [3, 4]]", "[[1]] and a[[i]] and [[1, 2], [3, 4]]", "<a href"),
    ("Words [[other]] ^block-name", ">other</a>", "^block"),
    ("`[[code]]`", "<code>[[code]]</code>", "<a href"),
    ("## Head {: #own .no_toc}", '<h2 id="own">Head</h2>', "{:"),
    ("Words.\n{: .lead}", "<p>Words.</p>", "{:"),
    ("Words.\n{: #named}", 'id="named"', "{:"),
    ("![p](dot.png){: width=\"30%\"}", "width:30.0%", "{:"),
    ("*Words*{: .red} here", "<em>Words</em> here", "{:"),
    ("{% highlight ruby %}\nx = 1\n\n# no heading\n{% endhighlight %}", "# no heading", "highlight"),
    ("* TOC\n{:toc}", "", "TOC"),
    ("{% raw %}\nkept\n{% endraw %}", "kept", "raw"),
    ("![p](/assets/rooted.png)", '<img src="a_files/rooted-', "missing"),
    ("[l](/deep/hidden.md)", 'href="deep/hidden.html"', "/deep"),
    ("{{< meta subtitle >}}", "The <em>sub</em>", "{{"),
    ("{{< meta course.name >}}", "Fits", "{{"),
    ("{{{< meta subtitle >}}}", "<code>{{&lt; meta subtitle &gt;}}</code>", "The <em>sub</em></p>"),
    ("{{< pagebreak >}}", "", "pagebreak"),
    ("{{< kbd Ctrl-C >}}", "Ctrl-C", "kbd"),
    ('{{< figure src="dot.png" title="Words" >}}', 'alt="Words"', "{{"),
    ("> [!tip]- Folds $x$\n> Words", "<details", "[!tip]"),
    ("> [!NOTE]\n> Words", "callout-note", "[!NOTE]"),
    ("> [!faq]+ Who?\n> Words", "Who?", "[!faq]"),
    ("> [!bug]\n> Words", "callout-caution", "[!bug]"),
    ("> [!quote] Gauss\n> Words", "<blockquote>", "[!quote]"),
    ("> [!own-kind]\n> Words", "Own-kind", "[!own"),
    ("See @nte-a.\n\n::: {#nte-a .callout-note}\nW\n:::", '<a href="#nte-a" class="ref">Note 1</a>', "?@"),
    ("See @tip-a.\n\n::: {#tip-a .callout-tip}\n## T\nW\n:::", "Tip 1: T", "?@"),
]  # fmt: skip


def _spelt(written: str) -> str:
    header = "---\nsubtitle: The *sub*\ncourse:\n  name: Fits\n---\n\n"
    return f"{header}# Here it is\n\n{written}\n\nThe end.\n"


@pytest.fixture(scope="module")
def spelt(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The pages of all `SPELLINGS`, one a note, and what their build says."""
    project = tmp_path_factory.mktemp("spellings")
    (project / "fitnotes.toml").write_text("")
    dot = Path(__file__).with_name("corpus").joinpath("dot.png").read_bytes()
    for name in ("dot.png", "deep/far.png", "assets/rooted.png"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_bytes(dot)
    notes = {
        "other.md": "# Big Words\n",
        "deep/hidden.md": "# Hidden\n",
        "sub/a.md": "Links start at all notes' folder.\n",
    }
    notes |= {f"a{n}.md": _spelt(written) for n, (written, _, _) in enumerate(SPELLINGS)}
    for name, text in notes.items():
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(text)
    command = [str(Path(sys.executable).parent / "fitnotes"), "build", ".", "--to", "html"]
    done = subprocess.run(
        command, cwd=project, env=environment(), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return project / "_build/html", done.stderr


@pytest.mark.parametrize("n", range(len(SPELLINGS)), ids=[row[0] for row in SPELLINGS])
def test_spellings_of_others(n: int, spelt: tuple[Path, str]) -> None:
    written, wanted, unwanted = SPELLINGS[n]
    text = _spelt(written)
    assert mark(text).count("\n") == text.count("\n")
    assert f"a{n}.md:" not in spelt[1], spelt[1]
    page = (spelt[0] / f"a{n}.html").read_text()
    body = page.replace("\u00a0", " ").replace(f"a{n}_files", "a_files").split("<main", 1)[1]
    body = body.split("Here it is</h1>", 1)[1] if unwanted != "raw" else body
    assert wanted in body
    assert unwanted not in body
    assert "The end." in body


def test_what_others_have_and_nobody_reads_is_said(fitnotes: Run, write) -> None:
    write("other.md", "# Other\n")
    write(
        "a.md",
        "{{< include x.md >}}\n\n{{< lipsum 2 >}} {{< meta nothing >}}\n\n[[nowhere|Words]]\n\n![[other]]\n",
    )
    said = fitnotes("build", "a.md", "--to", "html").stderr
    for line in (
        "a.md:1: warning: {{< include x.md >}}: x.md is not put in: the project has no such text",
        "a.md:3: warning: {{< lipsum 2 >}}: nothing here reads it",
        "a.md:3: warning: {{< meta nothing >}}: the header has no nothing",
        "a.md:5: warning: [[nowhere]]: there is no such note",
        "a.md:7: warning: ![[other]] is a link here",
    ):
        assert line in said


def test_files_that_a_note_includes_are_part_of_it(fitnotes: Run, write, project: Path) -> None:
    part = """---
title: Of its own
---

## Inside {#sec-in}

$$ a = b $$ {#eq-in}

```{python}
inside = 20 + 1
```

{{< include ../_deeper.md >}}
"""
    write("notes/parts/_part.md", part)
    write("notes/_deeper.md", "The value `{python} inside` of the deeper one.\n")
    write("notes/_alone.md", "By MyST.\n")
    write(
        "notes/a.md",
        "---\ntitle: Whole\n---\n\nSee @sec-in and @eq-in.\n\n{{< include parts/_part.md >}}\n\n"
        "```{include} _alone.md\n```\n\n"
        ":::{include} /notes/_alone.md\n:::\n\n- `{{< include no.md >}}`\n\n~~~\n{{< include no.md >}}\n~~~\n",
    )
    write("notes/b.md", "From another note: @eq-in.\n")
    done = fitnotes("build", "--to", "html", "--to", "gfm")
    assert (done.returncode, "warning" in done.stderr) == (0, False), done.stderr
    html = (project / "_build/html/a.html").read_text()
    assert "<title>Whole</title>" in html
    assert "Of its own" not in html
    assert "The value 21 of the deeper one." in html
    assert html.count("<p>By MyST.</p>") == 2
    assert html.count("{{&lt; include no.md &gt;}}") == 2
    assert '<a href="a.html#eq-in"' in (project / "_build/html/b.html").read_text()
    assert "nothing found" in fitnotes("lint").stderr
    # What is found wrong in a file is said with its line, and a change of it is a change of the note.
    assert "from cache 2" in fitnotes("build").stdout
    write("notes/parts/_part.md", part.replace("20 + 1", "1 / 0"))
    said = fitnotes("build").stderr
    assert "notes/parts/_part.md:10: block 1 raised ZeroDivisionError" in said
    html = (project / "_build/html/a.html").read_text()
    assert 'File "parts/_part.md", line 10, in &lt;module&gt;' in html
    write("notes/_deeper.md", "A formula $\\nothing$.\n")
    assert "notes/_deeper.md:1: formula \\nothing" in fitnotes("build").stderr
    assert re.search(r"notes/_deeper.md:1:\d+: formula \\nothing", fitnotes("lint").stdout)
    write("notes/a.md", "Words.\n\n$\\nothing$ {{< include _deeper.md >}}\n")
    assert "notes/a.md:3: warning: {{< include _deeper.md >}}" in fitnotes("build").stderr


@pytest.mark.parametrize(
    "name", ["a.md", "_again.md", "../outside.md", "/etc/hosts", "nothing.md", "dot.png", "sub"]
)
def test_what_cannot_be_included_is_said(name: str, fitnotes: Run, write, project: Path) -> None:
    (project.parent / "outside.md").write_text("SECRET\n")
    write("a.md", f"Words.\n\n{{{{< include {name} >}}}}\n\nThe end.\n")
    write("_again.md", "Once.\n\n{{< include a.md >}}\n")
    write("sub/x.md", "")
    (project / "dot.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    done = fitnotes("build", "a.md")
    place = "_again.md:3" if name == "_again.md" else "a.md:3"
    assert f"{place}: warning: {{{{< include {'a.md' if '_' in name else name} >}}}}" in done.stderr
    page = (project / "_build/html/a.html").read_text()
    assert "The end." in page
    assert "SECRET" not in page


def test_options_of_quarto_for_cells(fitnotes: Run, write, project: Path) -> None:
    write("a.md", """\
---
code-summary: Show it
---

```{python}
#| fig-width: 3
#| fig-height: 1.5
#| out-width: 80%
import matplotlib.pyplot as plt
fig = plt.figure(); plt.plot([1, 2]);
```

```{python}
print(*fig.get_size_inches(), *plt.rcParams["figure.figsize"] == (3, 1.5))
```

```{python}
#| code-fold: true
print("folded")
```

```{python}
#| code-fold: show
#| code-summary: A <b>
#| code-line-numbers: true
print("open")
```

```{python}
#| label: tbl-x
#| tbl-cap: Both
#| tbl-subcap: [One, Two $x$]
#| layout-ncol: 2
from IPython.display import Markdown
display(Markdown("|a|\\n|-|\\n|1|\\n"))
display(Markdown("|b|\\n|-|\\n|2|\\n"))
```

@tbl-x, @tbl-x-2 and @fig-x-3

```{python}
#| label: fig-x
#| fig-cap: All
#| fig-subcap: [First, Second, Third]
#| layout: [[1, 1], [1]]
for i in range(3):
    plt.figure(figsize=(2, 1)); plt.plot([i, 2]);
```
""".replace('print(*fig.get_size_inches(), *plt.rcParams["figure.figsize"] == (3, 1.5))',
            'print(*fig.get_size_inches(), tuple(plt.rcParams["figure.figsize"]) == (3, 1.5))'))  # fmt: skip
    done = fitnotes("build", "a.md", "--to", "html", "--to", "pdf", "--to", "gfm")
    assert (done.returncode, "warning" in done.stderr) == (0, False), done.stderr
    page = (project / "_build/html/a.html").read_text().replace("\u00a0", " ")
    assert "3.0 1.5 False" in page  # the block's figure; other blocks have what they had
    assert "width:80.0%" in page
    assert '<details class="code-fold"><summary>Show it</summary>' in page
    assert '<details class="code-fold" open><summary>A &lt;b&gt;</summary>' in page
    assert "numberLines" in page
    assert [f">{ref}</a>" in page for ref in ("Table 1", "Table 1b", "Figure 1c")] == [True] * 3
    assert page.count('class="layout"') == 3  # the tables, and two rows of figures
    assert "folded" in (project / "_build/gfm/a.md").read_text()


def test_options_of_quarto_for_diagrams(fitnotes: Run, write, project: Path) -> None:
    write(
        "a.md",
        """\
See @fig-flow and @fig-wrong.

```{mermaid}
%%| label: fig-flow
%%| fig-cap: "Words with $x$"
%%| fig-width: 4
%%| echo: false
graph LR
  a --> b
```

```{mermaid}
%%| label: fig-wrong
%%| fig-cap: Not drawn
graph LR
  a -->
```
""",
    )
    done = fitnotes("build", "a.md", "--to", "html", "--to", "gfm")
    assert "a.md:3: warning: echo means nothing for a diagram" in done.stderr
    assert "refers to nothing" not in done.stderr
    assert "a.md:16: mermaid" in done.stderr
    page = (project / "_build/html/a.html").read_text()
    assert '<figure id="fig-flow">' in page
    assert '<figure id="fig-wrong">' in page
    assert "width:4in" in page
    assert 'alt="Words with x"' in page
    assert "%%|" not in page
    assert "%%|" not in (project / "_build/gfm/a.md").read_text()


@pytest.mark.parametrize("layout", ['layout-nrow="2"', 'layout="[[-1]]"', 'layout="[]"', 'layout="[[1],[]]"'])
def test_layouts_of_nothing_end(layout: str, fitnotes: Run, write) -> None:
    write("a.md", f"::: {{{layout}}}\n:::\n\n::: {{#fig-a {layout}}}\n![x](y.png)\n:::\n")
    done = fitnotes("build", "a.md", timeout=60)
    assert "internal" not in done.stderr
    assert "Traceback" not in done.stderr


def test_tables_figures_and_substitutions_of_myst(fitnotes: Run, write, project: Path) -> None:
    write(
        "a.md",
        """---
substitutions:
  thing: "**bold** $x$"
---

Of {{ thing }} and `{{ thing }}`.

```{table} My *caption*
:name: tbl-a

| a | b |
|---|---|
| 1 | 2 |
```

:::{list-table} Listed
:header-rows: 1
:name: tbl-b

* - Head
  - Two
* - $y$
  - last
:::

:::{figure} dot.png
:name: fig-z
:width: 30%

A caption
:::

:::{math}
:label: eq-m
a = b
:::

See {numref}`tbl-a`, @tbl-b, @fig-z and {eq}`eq-m`.
""",
    )
    (project / "dot.png").write_bytes(Path(__file__).with_name("corpus").joinpath("dot.png").read_bytes())
    done = fitnotes("build", "a.md", "--to", "html", "--to", "pdf", "--to", "gfm")
    assert (done.returncode, done.stderr) == (0, "")
    page = (project / "_build/html/a.html").read_text().replace("\u00a0", " ")
    for wanted in (
        '<strong>bold</strong> <span class="math inline">\\(x\\)</span>', "<code>{{ thing }}</code>",
        "</span>: My <em>caption</em>", "<th>Head</th>", "\\(y\\)", '<figure id="fig-z">', ">Table 1</a>",
        ">Table 2</a>",
        ">Figure 1</a>", ">(1)</a>", '<figure id="tbl-b" class="table">',
    ):  # fmt: skip
        assert wanted in page, wanted
    assert ":::" not in page


def test_appendices_have_letters(fitnotes: Run, write, project: Path) -> None:
    write(
        "a.md",
        """---
number-sections: true
crossref:
  chapters: true
---

# One {#sec-one}

# Proofs {.appendix #sec-app}

## Sub {#sec-sub}

![A dot](dot.png){#fig-dot}

# More {#sec-more}

See @sec-one, @sec-app, @sec-sub, @sec-more and @fig-dot.
""",
    )
    (project / "dot.png").write_bytes(Path(__file__).with_name("corpus").joinpath("dot.png").read_bytes())
    done = fitnotes("build", "a.md", "--to", "html", "--to", "tex", "--to", "gfm", "--to", "pdf")
    assert (done.returncode, done.stderr) == (0, "")
    page = (project / "_build/html/a.html").read_text().replace("\u00a0", " ")
    for wanted in ("A Proofs</h1>", "A.1 Sub</h2>", "B More</h1>", ">Section 1</a>", ">Section A</a>",
                   ">Section A.1</a>", ">Section B</a>", ">Figure A.1</a>", "Figure A.1</span>"):  # fmt: skip
        assert wanted in page, wanted
    tex = (project / "_build/tex/a.tex").read_text()
    assert tex.index("\\appendix") < tex.index("\\section{Proofs}")
    assert "# A Proofs" in (project / "_build/gfm/a.md").read_text()


def test_notes_in_the_header_have_the_numbers_of_their_places(fitnotes: Run, write, project: Path) -> None:
    write(
        "a.md",
        '---\ntitle: "T^[Title note]"\nauthor: ["A^[Author note]", B]\n'
        'abstract: "S^[Abstract note]"\n---\n\nX^[Last]\n',
    )
    assert fitnotes("build", "a.md").returncode == 0
    page = (project / "_build/html/a.html").read_text()
    numbers = re.findall(r"<sup>(\d)</sup>", page.split("<main")[1])
    assert numbers == ["1", "2", "3", "4"]
    notes = re.findall(r'<li id="fn\d"><p>([\w ]+)<', page)
    assert notes == ["Title note", "Author note", "Abstract note", "Last"]
    assert "<title>T</title>" in page


@pytest.mark.parametrize(
    ("note", "name"),
    [("```{code-cell} python\nx = 1\n```\n\n```{toctree}\nx\n```\n", "MyST"),
     ("{{< video x >}} {{< lipsum >}}\n", "Quarto"), ("[[gone]] and ==marks==\n", "Obsidian"),
     ("```{r}\nx <- 1\n```\n", "R Markdown"),
     ("---\nlayout: post\ntheme: x\n---\n\nWords\n{: .lead}\n", "Jekyll")],
)  # fmt: skip
def test_lint_names_the_tool_that_a_note_seems_to_be_for(note: str, name: str, fitnotes: Run, write) -> None:
    write("a.md", note)
    assert f"this note seems to be written for {name}\n" in fitnotes("lint", "a.md").stdout


def test_a_comment_makes_no_slide(fitnotes: Run, write, project: Path) -> None:
    write(
        "a.md",
        "---\ntitle: Deck\n---\n<!-- a comment -->\n\n## One\n\nWords\n\n<!-- another -->\n\n## Two\n\nMore\n",
    )
    assert fitnotes("build", "a.md", "--to", "slides").returncode == 0
    deck = (project / "_build/slides/a.html").read_text()
    assert len(re.findall(r"<section\b", deck.split("<body", 1)[1])) == 3


BOXES = (
    "```{prf:algorithm}", '::: {.card title="Main *loop*"}', ":::{prf:criterion}", "```{sidebar}", "```{margin}",
    '::: {.theorem name="Main *loop*"}', "```{exercise}", ":::{dropdown}", "```{topic}", ":::{note}", ":::{tip}",
)  # fmt: skip


def test_no_title_of_a_box_is_lost(fitnotes: Run, write, project: Path) -> None:
    for number, box in enumerate(BOXES):
        title = "" if "Main" in box else " Main *loop*"
        write(f"notes/{number}.md", f"Before.\n\n{box}{title}\nWords\n{box[:3]}\n\nAfter.\n")
    targets = ("--to", "html", "--to", "gfm", "--to", "tex", "--pdf-engine", "pdflatex")
    assert fitnotes("build", *targets).returncode == 0
    for number, box in enumerate(BOXES):
        for name in (f"html/{number}.html", f"gfm/{number}.md", f"tex/{number}.tex"):
            text = re.sub(r"<[^>]*>|[*_]|\\emph|\\textit|[{}]", "", (project / "_build" / name).read_text())
            assert "Main loop" in text, (box, name, text)
            assert "Words" in text


def test_captions_between_two_blocks_of_code(fitnotes: Run, write, project: Path) -> None:
    """As pandoc-crossref has it: they are those of the block above, and else of the one below."""
    code = "```haskell\nmain{}\n```\n\n"
    text = code.format(1) + ": First {#lst:a}\n\n" + code.format(2) + ": Second {#lst:b}\n\n" + code.format(3)
    write(
        "a.md", f"{text}Words.\n\nListing: Third {{#lst:c}}\n\n{code.format(4)}See @lst:a, @lst:b, @lst:c.\n"
    )
    done = fitnotes("build", "a.md")
    assert (done.returncode, done.stderr) == (0, "")
    page = re.sub(r"<[^>]*>", "", (project / "_build/html/a.html").read_text()).replace("\u00a0", " ")
    parts = ("Listing 1: First", "main1", "Listing 2: Second", "main2", "main3", "Listing 3: Third", "main4")
    order = [page.index(part) for part in parts]
    assert order == sorted(order)


def test_what_is_not_in_a_list_is_on_the_page(fitnotes: Run, write, project: Path) -> None:
    """``hidden=y`` of pandoc-crossref's is about lists of figures."""
    write("a.md", "# Head {hidden=y}\n\n![Words](x.png){#fig:a hidden=y}\n\nSeen.\n")
    assert fitnotes("build", "a.md").returncode == 0
    page = (project / "_build/html/a.html").read_text()
    assert [words in page for words in ("Head", "Words", "Seen.")] == [True] * 3


ITEMS = ["i)  ", "ii)  ", "iii)  ", "1. ", "10. ", "100.  ", "- ", "*   ", "a. ", "#. "]


@pytest.mark.parametrize("below", ["\n", "\n\n"])
def test_blocks_in_lists_run_however_deep_they_stand(below: str, fitnotes: Run, write, project: Path) -> None:
    """Between no deeper than the text of the item and as far as people indent."""
    parts = []
    for n, item in enumerate(ITEMS):
        for indent in (2, 3, 4, 5):
            if abs(indent - len(item)) > (3 if indent < len(item) else 1):
                continue  # a block beside the list, or indented code
            code = f"```{{python}}\nprint('ran{n}x{indent}')\n```".replace("\n", "\n" + " " * indent)
            parts.append(f"{item}Words {n}{below}{' ' * indent}{code}\n\nBetween.\n")
    write("a.md", "\n".join(parts))
    done = fitnotes("build", "a.md")
    assert (done.returncode, done.stderr) == (0, "")
    page = (project / "_build/html/a.html").read_text()
    wanted = re.findall(r"print\('(ran\w+)'\)", "\n".join(parts))
    assert len(wanted) > 15
    assert [name for name in wanted if f"<code>{name}</code>" not in page] == []
    assert "```" not in page


def test_a_fence_in_indented_code_is_said(fitnotes: Run, write, project: Path) -> None:
    write("a.md", "Text:\n\n    ```{python}\n    shown = 1\n    ```\n")
    done = fitnotes("build", "a.md")
    assert (done.returncode, "a.md:3: warning: this fence stands in indented code" in done.stderr) == (
        0,
        True,
    )
    assert "shown = 1" in re.sub(r"<[^>]*>", "", (project / "_build/html/a.html").read_text())
