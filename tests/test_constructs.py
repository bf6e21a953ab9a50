"""One note with much of what people write, in every target: nothing may be lost or stop the build."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from conftest import ROOT, needs
from pypdf import PdfReader
from test_pages import build, visit, words

from fitnotes.build.request import Outcome
from fitnotes.draw import mathjax

WARNINGS = [
    "bibliography missing.bib not found",
    "citation of knuth, but there is no bibliography",
    "citation of knuth84, but there is no bibliography",
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("constructs")
    shutil.copytree(ROOT / "tests" / "notes", folder / "notes")
    return folder


def one(root: Path, target: str, **request: object) -> Outcome:
    (outcome,) = build(root, root / "notes" / "constructs.md", target, **request)
    assert [p.message for p in outcome.problems if p.severity == "error"] == []
    return outcome


EVERYWHERE = [
    "Title with", "Ada Lovelace", "Carl Gauss", "1.1 Second heading", "alpha", "Hidden words",
    "born in 1985. It", "hold for", "Theorem 1 (Gauss)", "Every", "Numbered", "and so", "A figure.",
    "100% of this stays", "See 1 and 4", "bold", "under",
]  # fmt: skip


@needs("chromium")
def test_html(root: Path, tmp_path: Path) -> None:
    outcome = one(root, "html")
    assert [p.message for p in outcome.problems] == WARNINGS
    page = root / "_build" / "html" / "constructs.html"
    dom, console, asked = visit(page.as_uri(), tmp_path)
    assert console == []
    assert asked == []
    assert "merror" not in re.sub(r"(?s)<script.*?</script>|<style.*?</style>", "", dom)
    text = " ".join(re.sub(r"<[^>]+>", " ", page.read_text()).split())
    squeezed = text.replace(" ", "")
    for phrase in EVERYWHERE[:-3]:
        if not phrase.startswith("See 1"):  # MathJax writes that number
            assert phrase.replace(" ", "") in squeezed, phrase
    assert page.read_text().count("<img ") == 3


def test_typst(root: Path) -> None:
    outcome = one(root, "pdf")
    assert [p.message for p in outcome.problems] == WARNINGS
    text = words(root / "_build" / "pdf" / "constructs.pdf").replace(" ", "")
    for phrase in EVERYWHERE:
        assert phrase.replace(" ", "") in text, phrase
    assert "(A)" in text
    assert "(4)" in text


@pytest.mark.parametrize("engine", ["lualatex", "pdflatex"])
def test_latex(root: Path, engine: str, tmp_path: Path) -> None:
    if shutil.which(engine) is None:
        pytest.skip(f"{engine} is not installed")
    one(root, "pdf", output=tmp_path, overrides=(("pdf_engine", engine),))
    text = words(tmp_path / "pdf" / "constructs.pdf").replace(" ", "")
    for phrase in EVERYWHERE:
        assert phrase.replace(" ", "") in text, phrase


def test_raw_tex_that_means_nothing_is_shown_and_said(fitnotes, write, project: Path) -> None:
    write("note.md", "Hello \\foo{lost words} there.\n\n\\begin{center}In \\baz{inner} it\\end{center}\n")
    done = fitnotes("build", "note.md", "--to", "html", "--to", "pdf")
    assert done.returncode == 0
    assert "note.md:1: warning: raw TeX \\foo{lost words}" in done.stderr
    html = (project / "_build" / "html" / "note.html").read_text()
    assert "\\foo{lost words}" in html
    assert "\\baz{inner}" in html
    assert "lost words" in words(project / "_build" / "pdf" / "note.pdf")


def test_formulas_as_pandoc_writes_them_from_html(fitnotes, write, project: Path) -> None:
    write("note.md", "In [\\\\(x\\_1\\\\)]{.math .inline} and [\\\\\\[ y\\^2 \\\\\\]]{.math .display}\n")
    done = fitnotes("build", "note.md", "--to", "html", "--to", "pdf")
    assert (done.returncode, done.stderr) == (0, "")
    html = (project / "_build" / "html" / "note.html").read_text()
    assert "\\(x_1\\)" in html
    assert "\\[y^2\\]" in html


def test_foreign_html_is_said_on_paper(fitnotes, write, project: Path) -> None:
    write("note.md", "Press <kbd>Ctrl</kbd> and <blink>wink</blink>.<!-- a comment -->\n")
    done = fitnotes("build", "note.md", "--to", "pdf")
    assert done.returncode == 0
    assert "note.md:1: warning: HTML <blink>" in done.stderr
    assert words(project / "_build" / "pdf" / "note.pdf").startswith("Press Ctrl and wink.")


def test_links_between_notes_and_files_with_odd_names(fitnotes, write, project: Path) -> None:
    write("notes/a b/é #1.md", "[other](../two.md#x), [web](https://example.org)\n\n![](pic%20ture.svg)\n")
    write("notes/a b/pic ture.svg", '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>')
    write("notes/two.md", "# X {#x}\n\n```{.python #fig-a fig-cap='A, b'}\nimport matplotlib.pyplot as plt\n"
          "plt.plot([1]);\n```\n\n@fig-a and @fig:a.\n")  # fmt: skip
    done = fitnotes("build", "--to", "html", "--to", "pdf")
    assert (done.returncode, done.stderr) == (0, "")
    page = (project / "_build" / "html" / "a b" / "é #1.html").read_text()
    assert 'href="../two.html#x"' in page
    (source,) = re.findall(r'<img\s+src="([^"]+)"', page)
    from urllib.parse import unquote

    assert (project / "_build" / "html" / "a b" / unquote(source)).is_file()
    two = (project / "_build" / "html" / "two.html").read_text()
    assert two.count('<a href="#fig-a" class="ref">Figure') == 2


def test_labels_behind_any_formula_of_a_paragraph(fitnotes, write, project: Path) -> None:
    write("note.md", "First\n$$\na\n$$\nthen\n$$\nb\n$$ {#eq-b}\nand\n$$\nc\n$$ {#eq-c}.\n\n@eq-b, @eq-c.\n")
    done = fitnotes("build", "note.md", "--to", "html", "--to", "pdf")
    assert (done.returncode, done.stderr) == (0, "")
    page = (project / "_build" / "html" / "note.html").read_text(encoding="utf-8")
    assert page.count('<span id="eq-') == 2
    assert page.count("\\tag{") == 2


def test_short_double_bars_have_a_strut_in_mathjax(fitnotes, write, project: Path) -> None:
    write("note.md", r"$\left\lVert x \right\rVert$ and $\left\|x\right\|$ and $\left\Vertx\right.$" + "\n")
    fitnotes("build", "note.md")
    page = (project / "_build" / "html" / "note.html").read_text(encoding="utf-8")
    assert page.count("\\mathstrut") == 2


DRAWN = [r"\boxed{a}", r"\cancel{x}", r"\enclose{circle}{x}", r"\begin{array}{|c|}\hline a\end{array}"]


@pytest.mark.parametrize("tex", DRAWN)
def test_what_mathjax_draws_has_a_colour_in_pictures(tex: str) -> None:
    svg, _, _ = mathjax.picture(mathjax.typeset([(tex, False)])[0].svg, 11)
    drawn = re.findall(r'<(?:rect|line|ellipse)[^>]*stroke-width="[1-9][^>]*>', svg)
    assert drawn
    assert all('stroke="black"' in mark for mark in drawn)


NOTES_IN_BOXES = """:::: {#fig-g layout-ncol=2}
![a](dot.png)

![b](dot.png)

Words with two notes.[^1][^2]
::::

[^1]: The first of them.

[^2]: The second of them.

> [!TIP]
> In a box.[^3]

[^3]: And a third.

| head[^4] |
|----------|
| cell     |

[^4]: Of a table.
"""


@pytest.mark.parametrize("engine", ["typst", "lualatex"])
def test_footnotes_in_captions_boxes_and_tables(engine: str, fitnotes, write, project: Path) -> None:
    if engine != "typst" and shutil.which(engine) is None:
        pytest.skip(f"{engine} is not installed")
    shutil.copy(ROOT / "tests" / "notes" / "dot.png", project)
    write("note.md", NOTES_IN_BOXES)
    done = fitnotes("build", "note.md", "--to", "pdf", "--pdf-engine", engine)
    assert (done.returncode, done.stderr) == (0, "")
    text = words(project / "_build" / "pdf" / "note.pdf").replace(" ", "")
    for said in ("Thefirstofthem.", "Thesecondofthem.", "Andathird.", "Ofatable."):
        assert said in text, said


def test_a_comment_that_eats_the_rest_of_a_formula_is_an_error(fitnotes, write, project: Path) -> None:
    write("note.md", "It is $50% of x$.\n\n$$\na = 1 % one\n  + 2 % two\n$$\n\n$$y % z$$\n\n$5%|w|$\n")
    for command in (
        ["build", "note.md", "--to", "html"],
        ["build", "note.md", "--to", "pdf"],
        ["lint", "note.md"],
    ):
        done = fitnotes(*command)
        assert done.returncode == 1, command
        said = done.stdout + done.stderr
        assert "of x is not shown" in said
        assert "z is not shown" in said
        assert "|w| is not shown" in said
        assert "two is not shown" not in said


def test_letters_of_text_in_formulas(fitnotes, write, project: Path) -> None:
    write("note.md", r"$\P_j$, $x^{\ae}$ and $x_\text{max}$." + "\n")
    done = fitnotes("build", "note.md", "--to", "html", "--to", "pdf")
    assert (done.returncode, done.stderr) == (0, "")
    done = fitnotes("lint", "note.md")
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("marker", ["+", "-", "=", "==", "/", "1.", "23."])
def test_no_text_is_read_as_markup_by_typst(marker: str, fitnotes, write, project: Path) -> None:
    words = f"{marker} a: b"
    first = words if marker[0] in "=/" else words.replace(".", "\\.") if marker[0].isdigit() else f"\\{words}"
    note = f"| one | two |\n|---|---|\n| {words} | **{words}** |\n| *{words}* | [{words}](https://example.org) |\n"
    note += f"\nText[^1] and [{words}]{{.x}} and ~~{words}~~.\n\n[^1]: {first}\n\n> {first}\n"
    write("note.md", note)
    done = fitnotes("build", "note.md", "--to", "pdf")
    assert (done.returncode, done.stderr) == (0, "")
    text = "".join(page.extract_text() for page in PdfReader(project / "_build" / "pdf" / "note.pdf").pages)
    shown = re.sub(r"\s", "", text).translate({0x2212: "-", 0x2013: "-"})
    assert shown.count(re.sub(r"\s", "", words)) == 8, text
    assert "\u2022" not in text


def test_headings_in_typst_are_whole(fitnotes, write, project: Path) -> None:
    write("refs.bib", "@book{ada, author={Ada Lovelace}, title={Notes}, year={1843}, publisher={X}}\n")
    note = "---\nbibliography: refs.bib\n---\n\n# As @ada wrote here\n\nText.\n"
    write("note.md", note + "\n# With [words]{#words} and so\n\nText.\n")
    done = fitnotes("build", "note.md", "--to", "pdf")
    assert (done.returncode, done.stderr) == (0, "")
    titles = [
        " ".join(item.title.split()) for item in PdfReader(project / "_build" / "pdf" / "note.pdf").outline
    ]
    assert titles[:2] == ["As Lovelace (1843) wrote here", "With words and so"]
