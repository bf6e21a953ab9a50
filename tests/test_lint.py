"""`fitnotes lint`: what it finds, where, how it is silenced, and that --fix changes nothing but what it says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import panflute as pf
import pytest
from conftest import ROOT, Run
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fitnotes.build.sources import Source
from fitnotes.document.pandoc import read
from fitnotes.document.tree import collect, load
from fitnotes.draw.mathjax import typeset
from fitnotes.errors import CODES
from fitnotes.lint.check import Linter
from fitnotes.lint.scan import Scan
from fitnotes.passes.crossrefs import References
from fitnotes.passes.maths import normalise
from fitnotes.settings import Project, Settings
from fitnotes.source.mark import mark
from fitnotes.source.note import Note
from fitnotes.tex.preamble import read_preamble

NOTE = r"""---
title: A note
header-includes: |
  \newcommand{\R}{\mathbb{R}}
  \newcommand{\R}{\mathcal{R}}
  \newcommand{\unused}{U}
  \tikzset{x=1cm}
  \foo
bibliography: refs.bib
---

With $f_\boldsymbol{x}$ and $ y^2 $ and $\frac{a$ see \eqref{eq:none}.
- one
- two

$$
a = b

+ c \label{eq:a}
$$

$$\begin{align*} d &= e \label{eq:a} \end{align*}$$

![](no.png) [@knuth; @gauss] \baz{x}

$\early$ \newcommand{\early}{E} [to](gone.md)

```{.python ecko=false}
1 +
```
"""
FOUND = {
    (5, "redefinition"), (6, "unused-macro"), (8, "preamble"), (12, "unbraced-script"), (12, "spaced-dollars"),
    (12, "formula"), (12, "undefined-label"), (13, "list-blank-line"), (18, "blank-line"),
    (22, "environment-in-dollars"), (24, "missing-file"), (24, "missing-alt"), (24, "citation"), (24, "raw-tex"),
    (26, "early-use"), (26, "missing-note"),
}  # fmt: skip


def lint(fitnotes: Run, *args: str) -> tuple[int, list[dict[str, object]]]:
    done = fitnotes("lint", "--format", "json", *args)
    return done.returncode, json.loads(done.stdout)


def test_what_it_finds(fitnotes: Run, write, project: Path) -> None:
    write("refs.bib", "@book{gauss, title={D}}\n")
    write("note.md", NOTE.replace("ecko=false", "").replace("1 +", "1"))
    code, found = lint(fitnotes, "note.md")
    assert code == 1
    assert {(f["line"], f["code"]) for f in found} >= FOUND - {(24, "x")}
    assert {f["code"] for f in found} <= set(CODES)
    place = next(f for f in found if f["code"] == "unbraced-script")
    assert (place["line"], place["column"], place["fixable"]) == (12, 9, True)
    assert not (project / ".fitnotes" / "results").exists()
    text = fitnotes("lint", "note.md")
    assert (
        "note.md:12:9: unbraced-script \\boldsymbol{x} behind _ or ^ needs braces in LaTeX\n" in text.stdout
    )


def test_every_wrong_option_is_named(fitnotes: Run, write) -> None:
    write("note.md", "```{.python ecko=false}\n1\n```\n\n```{.python timeout=soon}\n#| figcap: x\n2\n```\n")
    code, found = lint(fitnotes, "note.md")
    assert code == 1
    assert [(f["line"], f["code"], f["hint"]) for f in found] == [
        (1, "unknown-option", "did you mean echo?"),
        (5, "unknown-option", None),
        (6, "unknown-option", "did you mean fig-cap?"),
    ]


def test_doubled_labels_give_both_lines(fitnotes: Run, write) -> None:
    write("note.md", "$$a \\label{eq:x}$$\n\n$$b \\label{eq:x}$$\n\n# A {#sec-a}\n\n# B {#sec-a}\n")
    _, found = lint(fitnotes, "note.md")
    assert [(f["line"], f["message"]) for f in found] == [
        (3, "the label eq:x is given twice (first in line 1)"),
        (7, "the label sec-a is given twice (first in line 5)"),
    ]


def test_clean_notes_and_hints_pass(fitnotes: Run, write) -> None:
    write(
        "note.md", "# Title\n\nSome $x^2$.\n\n- one\n- two\n\n```python\nprint(3.14159)\n```\n\nIt is 3.14.\n"
    )
    assert lint(fitnotes, "note.md") == (0, [])
    assert fitnotes("build", "note.md").returncode == 0
    code, (found,) = lint(fitnotes, "note.md")
    assert (code, found["code"], found["line"], found["column"]) == (0, "typed-number", 12, 7)


def test_one_cause_gives_one_message(fitnotes: Run, write) -> None:
    """Many formulas with the one command that MathJax does not know; editors still get every place."""
    write("note.md", "\n\n".join(f"A $x_{n} \\nosuch$ and $\\other{n}$." for n in range(9)) + "\n")
    shown = fitnotes("lint", "note.md").stdout.split("\n")
    unknown = [line for line in shown if "nosuch" in line and "note.md" in line]
    assert len(unknown) == 1
    assert unknown[0].startswith("note.md:1:")
    assert unknown[0].endswith("(again in lines 3, 5, 7, 9, 11 and 3 more)")
    _, every = lint(fitnotes, "note.md")
    assert [found["line"] for found in every if "nosuch" in found["message"]] == [*range(1, 18, 2)]
    assert len(every) == 18


def test_silencing(fitnotes: Run, write, project: Path) -> None:
    line = "See $f_\\bm{x}$ and ![](no.png)."
    write("note.md", f"{line} <!-- lint: ignore unbraced-script, missing-alt -->\n")
    assert [f["code"] for f in lint(fitnotes, "note.md")[1]] == ["missing-file"]
    write(
        "note.md", f"<!-- lint: ignore missing-file -->\n{line}\n\n<!-- lint: ignore-file missing-alt -->\n"
    )
    assert [f["code"] for f in lint(fitnotes, "note.md")[1]] == ["unbraced-script"]
    write("fitnotes.toml", 'lint-ignore = ["unbraced-script", "missing-alt"]\n')
    write("note.md", f"{line}\n")
    assert [f["code"] for f in lint(fitnotes, "note.md")[1]] == ["missing-file"]
    write("fitnotes.toml", 'lint-ignore = ["unbraced-scrip"]\n')
    done = fitnotes("lint", "note.md")
    assert (done.returncode, "did you mean unbraced-script?" in done.stderr) == (2, True)


def test_fix_mends_and_keeps_every_other_byte(fitnotes: Run, write, project: Path) -> None:
    before = NOTE.replace("```{.python ecko=false}\n1 +\n", "```\n  $ a_\\bm{b} $ in code  \n").replace(
        r"$\frac{a$", ""
    )
    path = write("note.md", before)
    assert "mended 4" in fitnotes("lint", "--fix", "note.md").stderr
    after = path.read_text(encoding="utf-8")
    assert after == (
        before.replace(r"$f_\boldsymbol{x}$", r"$f_{\boldsymbol{x}}$").replace("$ y^2 $", "$y^2$")
        .replace("eq:none}.\n- one", "eq:none}.\n\n- one").replace("a = b\n\n+ c", "a = b\n+ c")
    )  # fmt: skip
    assert "mended 0" in fitnotes("lint", "--fix", "note.md").stderr
    assert path.read_text(encoding="utf-8") == after


def test_fix_keeps_the_ends_of_lines(fitnotes: Run, project: Path) -> None:
    path = project / "note.md"
    for before, after in (
        (b"\xef\xbb\xbfa $ x^2 $\r\nb\r\n", b"\xef\xbb\xbfa $x^2$\r\nb\r\n"),
        (b"a $ x^2 $\r\nb\n", b"a $ x^2 $\r\nb\n"),
    ):
        path.write_bytes(before)
        fitnotes("lint", "--fix", "note.md")
        assert path.read_bytes() == after


PIECES = st.lists(
    st.sampled_from(
        [
            "$f_\\boldsymbol{x}$", "$ x^2 $", "$a_\\bm b^\\operatorname{T}$", "$$\na\n\n+ b\n$$", "- item", "1. one",
            "words here", "`$ a_\\bm{b} $`", "```\n$ x_\\bm{y} $\n- a\n```", "", "\n", "  - deep", "> quote $ y_1 $",
            "\\begin{align}\na_\\boldsymbol{c} &= 1 \\\\\nb &= 2\n\\end{align}", "$5 and $6", "<!-- $ x^2 $ -->",
            "| a | $ b^2 $ |\n|---|---|\n| c | d |", "    $ x_1 $ indented", "\\(x_\\bm{z}\\)", "# Head $ h^2 $",
        ]
    ),
    min_size=1,
    max_size=7,
)  # fmt: skip


def formulas(path: Path) -> list[tuple[str, bool]]:
    import panflute as pf

    text = path.read_text(encoding="utf-8")
    note = Note(path, text, mark(text))
    doc = load(read(note)[0], "html")
    normalise(doc, note, read_preamble(doc, note, []), References(note), expanding=True)
    return [(e.text, e.format == "DisplayMath") for e in collect(doc, pf.Math)]


@given(PIECES, st.sampled_from(["\n", "\n\n", " "]))
@settings(max_examples=60, deadline=None)
def test_fix_is_idempotent_and_never_changes_what_mathjax_renders(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[str], between: str
) -> None:
    folder = tmp_path_factory.mktemp("fix")
    path = folder / "note.md"
    path.write_text(between.join(pieces) + "\n", encoding="utf-8")
    before = typeset(formulas(path))
    file = Source(path, folder)
    Linter(Project(folder, Settings()), [file]).fix(file)
    once = path.read_text(encoding="utf-8")
    assert Linter(Project(folder, Settings()), [file]).fix(file) == 0
    assert path.read_text(encoding="utf-8") == once
    assert typeset(formulas(path)) == before


@given(st.text(alphabet=st.sampled_from("$\\ab{}_^ \n`-()[]1~"), max_size=60))
@settings(max_examples=300, deadline=None)
def test_scanning_keeps_places(text: str) -> None:
    source = Scan(text)
    assert len(source.prose) == len(text)
    assert [i for i, c in enumerate(source.prose) if c == "\n"] == [
        i for i, c in enumerate(text) if c == "\n"
    ]
    for span in source.formulas:
        assert 0 <= span.start <= span.inner <= span.close <= span.end <= len(text)


def test_codes_are_documented() -> None:
    readme = (ROOT / "docs" / "lint.md").read_text(encoding="utf-8")
    documented = dict(re.findall(r"^\| `([\w-]+)` \| (\w+) \|", readme, re.MULTILINE))
    assert documented == {name: code.severity for name, code in CODES.items() if code.own}


PIECES = st.sampled_from(
    ["$x$", "$ y_1 $", "$z = $", "costs $5", r"\$3", "`$a$`", r"\(b\)", r"$\text{if $c$}$", r"$d \mbox{ if $e$}$",
     "word", "10$ and", "$ f < g $.", "($h$)", "**$i$**", "US$7", "$k$1", "<b>$l$</b>", "$m +\nn$", "$5 = $ 6", "and\n",
     "$$o$$",     r"$\{p\}$", "- $q$", "a, b$", "$ r"]
)  # fmt: skip


@given(st.lists(PIECES, min_size=1, max_size=7).map(" ".join))
@settings(max_examples=60, deadline=None)
def test_lint_and_the_build_see_the_same_formulas(text: str) -> None:
    doc = load(read(Note(Path("note.md"), text, mark(text)))[0], "html")
    assume(not collect(doc, pf.RawInline, where=lambda e: e.format == "tex"))  # what is inside is TeX's
    seen = [math.text for math in collect(doc, pf.Math) if math.format == "InlineMath"]
    found = [span.text(text) for span in Scan(text).formulas if not span.display]
    assert [tex.split() for tex in found] == [tex.replace("{}$", "$").split() for tex in seen]
