"""Numbers and references: the same in every target, within a note and across notes."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from conftest import ROOT, Run
from test_corpus import archive, pdf, plain
from test_pages import words

NOTE = r"""---
number-sections: true
header-includes: |
  \newtheorem{thm}{Theorem}
  \newtheorem{lem}[thm]{Lemma}
---

# One

\begin{align}
a &= 1 \label{eq:a} \\
b &= 2 \notag \\
c &= 3 \label{eq:c}
\end{align}

$$d = 4$$ {#eq-d}

::: {.thm #thm-one name="First"}
Words with \eqref{eq:c}.

$$e = 5 \label{eq:e}$$
:::

\begin{lem}\label{lem:two}
Raw words.
\begin{equation} f = 6 \label{eq:f} \end{equation}
\end{lem}

$$g = 7 \tag{G} \label{eq:g}$$

> A quote: $$h = 8 \label{eq:h}$$

| a | b |
|---|---|
| 1 | 2 |

| c | d |
|---|---|
| 3 | 4 |

: With a caption {#tbl-with}

![A picture](dot.png){#fig-dot}

Refer: \eqref{eq:a} \eqref{eq:c} [-@eq-d] \eqref{eq:e} \ref{eq:f} \eqref{eq:g} \eqref{eq:h} @thm-one,
\ref{lem:two}, @tbl-with, @fig-dot. End.
"""
EXPECTED = "(1)(2)(3)(4)5(G)(6)Theorem1,2,Table1,Figure1."


@pytest.mark.parametrize("target", ["html", "typst", "lualatex", "pdflatex", "gfm", "docx", "epub"])
def test_the_same_numbers_in_every_target(target: str, fitnotes: Run, write, project: Path) -> None:
    engine = target if target.endswith("latex") else None
    if engine and shutil.which(engine) is None:
        pytest.skip(f"{engine} is not installed")
    write("note.md", NOTE)
    shutil.copy(ROOT / "tests" / "notes" / "dot.png", project)
    kind = "pdf" if engine or target == "typst" else target
    done = fitnotes("build", "note.md", "--to", kind, *(["--pdf-engine", engine] if engine else []))
    assert (done.returncode, done.stderr) == (0, "")
    folder = project / "_build" / kind
    if kind == "pdf":
        text = pdf(folder / "note.pdf")[0]
    elif kind == "docx":
        text = archive(folder / "note.docx", r"word/document\.xml")
    elif kind == "epub":
        text = archive(folder / "note.epub", r"text/.*\.xhtml")
    else:
        text = next(folder.glob("note.*")).read_text(encoding="utf-8")
        text = re.sub(r"<[^>]+>", "", re.sub(r"\[([^\]]*)\]\(#[^)]*\)", r"\1", text))
    found = plain(text).replace("*", "")
    assert re.search("Table1:Withacaption", found)
    assert re.search("Figure1:Apicture", found)
    found = found[found.rindex("Refer:") + 6 : found.rindex("End.")]
    assert found == EXPECTED


def test_every_reference_in_html_has_its_target(fitnotes: Run, write, project: Path) -> None:
    write("note.md", NOTE)
    shutil.copy(ROOT / "tests" / "notes" / "dot.png", project)
    fitnotes("build", "note.md")
    page = (project / "_build" / "html" / "note.html").read_text(encoding="utf-8")
    links = re.findall(r'href="#([^"]+)" class="ref"', page)
    assert len(links) == 12
    assert all(page.count(f'id="{name}"') == 1 for name in links)


ONE = "# One\n\n$$a = 1 \\label{eq:one}$$\n\nSee \\eqref{eq:two}, @eq:three and @two#eq:three.\n"
TWO = (
    "# Two\n\n```{.python output=asis echo=false}\nprint('$$z = 0 \\\\label{eq:zero}$$')\n```\n\n"
    "$$b = 2 \\label{eq:two}$$\n\n$$c = 3$$ {#eq:three}\n\nBack to \\eqref{eq:one}.\n"
)


def test_references_across_notes(fitnotes: Run, write, project: Path) -> None:
    """The numbers count what blocks write, whichever note is built first, and follow the other note's edits."""
    write("notes/one.md", ONE)
    write("notes/deep/two.md", TWO)
    for target in ("html", "gfm"):
        done = fitnotes("build", "--to", target, "-j", "1")
        assert (done.returncode, done.stderr) == (0, "")
        suffix = {"html": "html", "gfm": "md"}[target]
        text = (project / "_build" / target / f"one.{suffix}").read_text(encoding="utf-8")
        assert f"deep/two.{suffix}#eq:two" in text
        shown = re.sub(r"<[^>]+>|\]\([^)]*\)|\[", "", text)
        assert "See (2), Equation\u00a0(3) and Equation\u00a0(3)." in shown.replace("&nbsp;", "\u00a0")
        back = (project / "_build" / target / "deep" / f"two.{suffix}").read_text(encoding="utf-8")
        assert f"../one.{suffix}#eq:one" in back
    write("notes/deep/two.md", TWO.replace("# Two", "# Two\n\n$$y = 1 \\label{eq:y}$$"))
    assert "one.md: wrote" in fitnotes("build").stdout
    text = (project / "_build" / "html" / "one.html").read_text(encoding="utf-8")
    assert ">(3)</a>" in text
    assert fitnotes("build").stdout.startswith("built 0, from cache 2")


def test_references_across_notes_on_paper(fitnotes: Run, write, project: Path) -> None:
    write("notes/one.md", ONE)
    write("notes/two.md", TWO)
    assert fitnotes("build", "--to", "pdf").returncode == 0
    assert "See (2), Equation (3)" in words(project / "_build" / "pdf" / "one.pdf").replace("\u00a0", " ")


def test_a_label_in_two_other_notes_is_ambiguous(fitnotes: Run, write) -> None:
    for name in ("a", "b"):
        write(f"notes/{name}.md", "$$x \\label{eq:x}$$\n")
    write("notes/c.md", "By \\eqref{eq:x}.\n")
    done = fitnotes("build", "notes/c.md")
    assert done.returncode == 1
    assert "c.md:1: eq:x stands in several notes: a.html, b.html\n  write note#eq:x" in done.stderr
    write("notes/c.md", "By @a#eq:x.\n")
    assert fitnotes("build", "notes/c.md").returncode == 0


def test_wrong_labels_have_their_lines(fitnotes: Run, write) -> None:
    write(
        "note.md",
        "$$a \\label{eq:x}$$\n\n\\begin{align*} b \\label{eq:b} \\end{align*}\n\n$$c \\label{eq:x}$$\n\n"
        "\\eqref{eq:b}, \\eqref{eq:y}, $\\eqref{eq:z}$ and @thm-none.\n",
    )
    for target in ("html", "pdf", "tex", "gfm"):
        done = fitnotes("build", "note.md", "--to", target)
        assert done.returncode == 1
        assert "note.md:5: the label eq:x is given twice (first in line 1)" in done.stderr
        assert "note.md:7: \\eqref{eq:b} refers to a formula without a number (line 3)" in done.stderr
        assert "note.md:7: \\eqref{eq:y} refers to nothing in this note" in done.stderr
        assert "did you mean eq:x? (line 1)" in done.stderr
        assert "\\eqref{eq:z} refers to nothing" in done.stderr
        assert "note.md:7: @thm-none refers to nothing" in done.stderr
