"""Results of every kind, on the page and on paper."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pypdf import PdfReader
from test_pages import words

from fitnotes.passes.results import loss_table


def html(project: Path) -> str:
    return (project / "_build" / "html" / "note.html").read_text(encoding="utf-8")


def pdf(project: Path) -> Path:
    return project / "_build" / "pdf" / "note.pdf"


def built(fitnotes, write, text: str) -> None:
    write("note.md", text)
    done = fitnotes("build", "note.md", "--to", "html", "--to", "pdf")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_data_frame_is_a_table(fitnotes, write, project: Path) -> None:
    built(fitnotes, write, "```{.python #tbl-frame tbl-cap='A *frame*'}\nimport pandas as pd\n"
          "pd.DataFrame({'a|b': [1.5, None], 'c_d': ['x*y', '$z$']}, index=['r1', 'r2'])\n```\n\n"
          "@tbl-frame\n")  # fmt: skip
    page = html(project)
    assert '<figure id="tbl-frame" class="table">' in page
    assert "A <em>frame</em>" in page
    text = re.sub(r"<[^>]+>", " ", page)
    for cell in ("a|b", "c_d", "x*y", "$z$", "NaN", "1.5", "r2"):
        assert cell in text, cell
    paper = words(pdf(project))
    assert "a|b" in paper
    assert "x*y" in paper


def test_latex_markdown_and_html_results(fitnotes, write, project: Path) -> None:
    built(fitnotes, write, """```python
from IPython.display import HTML, Latex, Markdown, Math
display(Math(r"x^2_1"))
display(Latex(r"\\begin{align} a &= b \\end{align}"))
display(Markdown("**strong** and $y$"))
display(HTML("<b>only in HTML</b>"))
```

Inline: `Math("z^3")`{.python}, `"$w_1$"`{.python}, `"5 * 3 * 2 _a_ <b>"`{.python}.

```{.python output=asis}
print("- printed\\n- *Markdown*")
```
""")  # fmt: skip
    page = html(project)
    assert "\\[x^2_1\\]" in page
    assert "\\begin{align*} a &amp;= b \\tag{1} \\end{align*}" in page
    assert "<strong>strong</strong>" in page
    assert "<b>only in HTML</b>" in page
    assert "\\(z^3\\)" in page
    assert "\\(w_1\\)" in page
    assert "5 * 3 * 2 _a_ &lt;b&gt;" in page
    assert "<li><em>Markdown</em></li>" in page
    assert "only in HTML" in words(pdf(project))
    assert "IPython.core" not in words(pdf(project))


def test_figures_are_vectors_in_both(fitnotes, write, project: Path) -> None:
    built(fitnotes, write, """```{.python #fig-two fig-cap="Two"}
import matplotlib.pyplot as plt
plt.plot([1, 2]); plt.title("first"); plt.show()
plt.plot([2, 1])
```
""")  # fmt: skip
    page = html(project)
    assert page.count("<img ") == 2
    assert page.count("<figcaption>") == 1
    assert len(set(re.findall(r'src="(note_files/[^"]+\.svg)"', page))) == 2
    assert sum(len(p.images) for p in PdfReader(pdf(project)).pages) == 0, "a picture became pixels"
    assert "Figure 1: Two" in words(pdf(project)).replace("\u00a0", " ")


def test_long_output_folds_and_is_cut_on_paper(fitnotes, write, project: Path) -> None:
    built(fitnotes, write, "```python\nfor i in range(100):\n    print('line', i)\n```\n")
    page = html(project)
    assert "<summary>100 lines of output</summary>" in page
    assert "line 99" in page
    paper = words(pdf(project))
    assert "line 29" in paper
    assert "line 31" not in paper
    assert "70 more lines" in paper


def test_warnings_show_unless_they_are_not_wanted(fitnotes, write, project: Path) -> None:
    code = "import warnings\nwarnings.warn('careful')\nprint('done')"
    built(fitnotes, write, f"```python\n{code}\n```\n\n```{{.python warning=false}}\n{code}\n```\n")
    assert html(project).count("UserWarning: careful") == 1
    assert html(project).count("<code>done</code>") == 2


def test_errors_in_hidden_blocks_are_shown(fitnotes, write, project: Path) -> None:
    write("note.md", "```{.python include=false}\n1 / 0\n```\n")
    assert fitnotes("build", "note.md").returncode == 1
    assert "ZeroDivisionError" in html(project)


def test_an_inline_expression_that_raises(fitnotes, write, project: Path) -> None:
    write("note.md", "One.\n\nThe value is `1 / 0`{.python}.\n")
    done = fitnotes("build", "note.md")
    assert done.returncode == 1
    assert done.stderr.startswith("note.md:3: `1 / 0` raised ZeroDivisionError")
    assert "ZeroDivisionError" in html(project)


def test_two_sets_of_captions_and_references(fitnotes, write, project: Path) -> None:
    write("note.md", "```{.python #fig-a fig-cap=\"It's $x^2$\"}\n"
          "import matplotlib.pyplot as plt\nplt.plot([1]);\n"
          "```\n\n![](dot.svg){#fig-b}\n\n[@fig-a; @fig-b], [-@fig-b], @fig-c\n")  # fmt: skip
    write("dot.svg", '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>')
    done = fitnotes("build", "note.md")
    assert done.returncode == 1
    assert "@fig-c refers to nothing in this note" in done.stderr
    assert "?@fig-c" in html(project)


@pytest.mark.parametrize(
    "line",
    ["0 0.5", "step 0 loss 0.5", "Step 0: loss 0.5", "step=0 loss=0.5", "epoch 0, loss: 0.5", " t = 0, 0.5"],
)
def test_loss_lines_with_their_words(line: str) -> None:
    table = loss_table(line)
    assert table is not None
    assert table[0].endswith("| 0 | 0.5 |")


def test_a_computed_value_inside_a_formula_is_an_error(fitnotes, write) -> None:
    write("note.md", "Text.\n\n$x = `1`{.python}$\n")
    done = fitnotes("build", "note.md")
    assert done.returncode == 1
    assert done.stderr.startswith("note.md:3: a computed value inside a formula")


def test_a_reference_to_a_block_that_did_not_run_is_no_error_of_its_own(fitnotes, write) -> None:
    write("note.md", "```{.python #tbl-a output=loss-table tbl-cap=A}\nprint(0, 1)\n```\n\n@tbl-a\n")
    done = fitnotes("build", "note.md", "--no-execute")
    assert done.returncode == 0
    assert "refers to nothing" not in done.stderr


def test_an_unknown_option_of_a_diagram(fitnotes, write) -> None:
    write("note.md", "```{.mermaid captoin=x}\ngraph TD\n a --> b\n```\n")
    done = fitnotes("build", "note.md")
    assert done.returncode == 2
    assert "did you mean caption?" in done.stderr
