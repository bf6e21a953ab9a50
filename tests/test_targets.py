"""What each format is for: pages without a script, a .tex to go on writing in, files for GitHub, Word and EPUB."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest
from conftest import ROOT, Run, needs
from test_pages import visit, words

from fitnotes.targets import registry

NOTE = r"""---
title: All of it with $\R$
header-includes: |
  % the reals
  \newcommand{\R}{\mathbb{R}}
  \DeclareMathOperator*{\argmin}{arg\,min}
---

# Formulas

For $x \in \R^n$ and $\sin x$, $\boldsymbol{\sigma}$:

\begin{align}
\theta &= \argmin_x f(x) \label{eq:a} \\
M &= \begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}
\end{align}

By \eqref{eq:a} in [the other](other.md), see @fig-wave.

```{.python #fig-wave fig-cap="A wave"}
import matplotlib.pyplot as plt
plt.plot([0, 1, 0]);
```

```{.mermaid caption="Steps"}
graph LR
  a --> b
```
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("targets")
    (root / "fitnotes.toml").touch()
    (root / "note.md").write_text(NOTE, encoding="utf-8")
    (root / "other.md").write_text("# Other\n", encoding="utf-8")
    return root


@pytest.fixture
def built(folder: Path, fitnotes: Run):
    def run(*args: str) -> Path:
        done = fitnotes("build", "note.md", "other.md", *args, cwd=folder)
        assert (done.returncode, done.stderr) == (0, "")
        return folder / "_build"

    return run


@needs("chromium")
@pytest.mark.parametrize("mode", ["static", "mathml"])
def test_pages_without_a_script(mode: str, built, tmp_path: Path) -> None:
    page = built("--to", "html", "--math", mode, "-o", mode).parent / mode / "html" / "note.html"
    text = page.read_text(encoding="utf-8")
    assert "tex-svg" not in text
    assert not (page.parent / "_assets" / "tex-svg-full.js").exists()
    assert "<title>All of it with ℝ</title>" in text
    dom, console, asked = visit(page.as_uri(), tmp_path)
    assert (console, asked) == ([], [])
    formulas = re.findall(r'<span class="math (?:inline|display) (?:static|mathml)">', dom)
    assert len(formulas) == 5
    assert dom.count("<math ") == 5
    assert 'alttext="x \\in \\mathbb{R}^n"' in dom
    assert set(re.findall(r'mathvariant="(\w+)"', dom)) <= {"normal"}
    assert "𝝈" in dom  # bold and slanted by its character, which browsers know
    for number in ("(1)", "(2)"):
        assert f"<mtext>{number}</mtext>" in dom
    if mode == "static":
        assert dom.count("<svg") >= 6
        names = set(re.findall(r'href="#(MJX-[\w-]+)"', dom))
        assert names
        assert names <= set(re.findall(r'<path id="(MJX-[\w-]+)"', dom))


@pytest.mark.parametrize("engine", ["pdflatex", "lualatex", "xelatex"])
def test_tex_compiles_as_it_is(engine: str, built, tmp_path: Path) -> None:
    if shutil.which(engine) is None:
        pytest.skip(f"{engine} is not installed")
    build = built("--to", "tex")
    shutil.copytree(build / "tex", tmp_path / "tex")
    command = [engine, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "note.tex"]
    for _ in range(2):
        done = subprocess.run(command, cwd=tmp_path / "tex", capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "undefined" not in done.stdout
    text = words(tmp_path / "tex" / "note.pdf")
    assert "By (1)" in text
    assert "Figure 1: A wave" in text


def test_tex_reads_as_if_written_by_hand(built) -> None:
    text = (built("--to", "tex") / "tex" / "note.tex").read_text(encoding="utf-8")
    own = "% the reals\n\\newcommand{\\R}{\\mathbb{R}}\n\\DeclareMathOperator*{\\argmin}{arg\\,min}\n"
    assert own in text
    assert "\\(x \\in \\R^n\\)" in text
    assert "\\argmin_x f(x) \\label{eq:a}" in text
    assert "\\begin{verbatim}\nimport matplotlib" in text
    loaded = set(re.findall(r"\\usepackage(?:\[[^\]]*\])?\{([^}]*)\}", text))
    assert loaded == {
        "iftex", "inputenc", "fontenc", "lmodern", "fontspec", "geometry", "xcolor", "amsmath,amssymb", "graphicx",
        "fancyvrb", "fvextra", "hyperref",
    }  # fmt: skip
    plain = re.search(r"\\begin\{document\}.*", text, re.DOTALL)
    assert plain is not None
    assert "fitnotes" not in text.replace("_files", "")


def test_tex_of_a_short_note_is_short(fitnotes: Run, write, project: Path) -> None:
    write("note.md", "# Title\n\nWords.\n")
    fitnotes("build", "note.md", "--to", "tex")
    text = (project / "_build" / "tex" / "note.tex").read_text(encoding="utf-8")
    assert "amsmath" not in text
    assert "Verbatim" not in text
    assert len(text.split("\n")) < 30


def test_github_keeps_diagrams_and_has_no_macros(built) -> None:
    build = built("--to", "gfm")
    text = (build / "gfm" / "note.md").read_text(encoding="utf-8")
    assert text.startswith("# All of it with $\\mathbb{R}$\n")
    assert "``` mermaid\ngraph LR" in text
    assert "[the other](other.md)" in text
    assert "\\R" not in text.replace("\\Rightarrow", "")
    (picture,) = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert (build / "gfm" / picture).is_file()


@pytest.mark.parametrize("target", ["docx", "epub"])
def test_archives_are_whole_and_the_same_each_time(target: str, built) -> None:
    file = built("--to", target) / target / f"note.{target}"
    with zipfile.ZipFile(file) as packed:
        assert packed.testzip() is None
        for name in packed.namelist():
            if name.endswith((".xml", ".xhtml", ".opf", ".rels", ".ncx")):
                ElementTree.fromstring(packed.read(name))
        whole = " ".join(packed.read(n).decode() for n in packed.namelist() if n.endswith((".xml", ".xhtml")))
    assert ("<m:oMath" if target == "docx" else "<math") in whole
    first = hashlib.sha256(file.read_bytes()).hexdigest()
    built("--to", target, "--refresh")
    assert hashlib.sha256(file.read_bytes()).hexdigest() == first


def test_links_lead_to_pages_of_the_same_format(built) -> None:
    build = built("--to", "epub", "--to", "docx")
    with zipfile.ZipFile(build / "docx" / "note.docx") as packed:
        assert "other.docx" in packed.read("word/_rels/document.xml.rels").decode()
    with zipfile.ZipFile(build / "epub" / "note.epub") as packed:
        assert "other.epub" in "".join(packed.read(n).decode() for n in packed.namelist() if "xhtml" in n)


def test_output_file_names_choose_the_format(fitnotes: Run, write, project: Path) -> None:
    write("note.md", "Words.\n")
    for name in ("out.md", *(f"a{suffix}" for suffix in registry.suffixes() if suffix != ".md")):
        assert fitnotes("build", "note.md", "-o", name).returncode == 0
        assert (project / name).is_file()
    done = fitnotes("build", "note.md", "-o", "note.md")
    assert (done.returncode, "is the note itself" in done.stderr) == (2, True)


@needs("pdflatex")
def test_latex_goes_on_past_what_it_does_not_know(fitnotes: Run, write, project: Path) -> None:
    write(
        "note.md",
        "---\nheader-includes: |\n  \\usepackage{nosuchpackage}\n  \\renewcommand{\\newone}{N}\n"
        "  \\newcommand{\\P}{P_0}\n  \\newcommand{\\newone}{M}\n---\n\nA \\foo{word} and $\\bar x \\P \\newone$.\n\n"
        "\\begin{strange}\ninside\n\\end{strange}\n\nAnd $\\nocommand$.\n",
    )
    done = fitnotes("build", "note.md", "--to", "pdf", "--pdf-engine", "pdflatex")
    assert done.returncode == 1
    assert "note.md:3: warning: pdflatex: the package nosuchpackage is not installed" in done.stderr
    assert "note.md:9: warning: pdflatex: it does not know \\foo, whose name is shown" in done.stderr
    assert "note.md:11: warning: pdflatex: it does not know the environment strange" in done.stderr
    assert "note.md:15: pdflatex: it does not know \\nocommand" in done.stderr
    text = words(project / "_build" / "pdf" / "note.pdf")
    for shown in ("foo", "word", "inside", "nocommand", "P0"):
        assert shown in text


def test_json_of_the_formats_in_help(fitnotes: Run) -> None:
    text = fitnotes("build", "--help").stdout
    assert (
        json.dumps(["html", "pdf", "slides", "slides-pdf", "tex", "gfm", "docx", "epub"])[1:-1]
        .replace('"', "")
        .replace(", ", "|")
        in text
    )
    assert (ROOT / "docs" / "constructs.md").is_file()
