"""One numbering: a note with everything in it, and one written for pandoc-crossref, in every target."""

from __future__ import annotations

import functools
import json
import re
import shutil
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest
from conftest import ROOT, Run, needs
from test_corpus import archive, pdf, plain
from test_pages import build, served, visit

REFERENCES = (
    "Figure1,Figure2,Figures2aand2b,Figure3b,Figure4,Figures1–3;"
    "Table1,Table2,Table3,Table3b;Equation(1),Equations(2)and(3),(1),(3);"
    "Listing1,Listings1and2;Theorem1,2,Lemma2;Section1,Section1.1,Section2;"
    "seeFigure1,Fig.1."
)
CAPTIONS = [
    "Figure 1: One picture", "Figure 2: Two pictures", "Figure 3: Two curves", "Figure 4: A graph",
    "Table 1: A table", "Table 2: Computed", "Table 3: Both tables", "Listing 1: A program", "Listing 2: In C",
    "(a) The left", "(b) The right", "(a) up", "(b) down", "(a) Part one", "(b) Part two",
]  # fmt: skip
CROSSREF = (
    "Insec.1andsec.2weseefigs.1and2,fig.2a,tbl.1,eq.(1),eqs.(1)–(3),lst.1,1."
    "Fig.1beginsasentence,Figure1hasanameofitsown."
)
ENGINES = {
    "html": "",
    "typst": "",
    "lualatex": "lualatex",
    "pdflatex": "pdflatex",
    "gfm": "",
    "docx": "",
    "epub": "",
}


def words(page: str) -> str:
    """The text of an HTML page, its formulas as TeX."""
    body = page[page.index("<body") :]
    text = unescape(re.sub(r"<[^>]+>", "", re.sub(r"(?s)<(script|style|nav).*?</\1>", "", body)))
    return re.sub(r"\\[()]", "", text)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("numbers")
    (folder / "notes").mkdir()
    for name in ("numbers.md", "crossref.md", "dot.png"):
        shutil.copy(ROOT / "tests" / "notes" / name, folder / "notes")
    return folder


@pytest.fixture(scope="module")
def shown(root: Path) -> Callable[[str, str], str]:
    """The text of a note's page in one target, as a reader sees it; each target is built once."""

    @functools.cache
    def built(target: str) -> Path:
        engine = ENGINES[target]
        kind = "pdf" if engine or target == "typst" else target
        more = {"overrides": (("pdf_engine", engine),), "output": root / engine} if engine else {}
        outcomes = build(root, root / "notes", kind, **more)
        assert [str(p) for o in outcomes for p in o.problems] == []
        return (root / engine if engine else root / "_build") / kind

    def text(name: str, target: str) -> str:
        folder = built(target)
        if target in ("typst", "lualatex", "pdflatex"):
            return pdf(folder / f"{name}.pdf")[0]
        if target == "docx":
            return archive(folder / f"{name}.docx", r"word/document\.xml")
        if target == "epub":
            return archive(folder / f"{name}.epub", r"text/ch.*\.xhtml")
        written = (folder / f"{name}.{'md' if target == 'gfm' else 'html'}").read_text(encoding="utf-8")
        if target == "html":
            return words(written)
        return re.sub(r"\[([^\]]*)\]\([^)]*\)|\*\*\*?|(?<!\w)\*(?=\w)", r"\1", written).replace("[(", "(")

    return text


def installed(target: str) -> None:
    if ENGINES[target] and shutil.which(ENGINES[target]) is None:
        pytest.skip(f"{ENGINES[target]} is not installed")


@pytest.mark.parametrize("target", ENGINES)
def test_every_kind_has_the_same_number_everywhere(target: str, shown) -> None:
    installed(target)
    text = shown("numbers", target)
    squeezed = plain(text)
    found = re.search(r"BEGIN(.*?)END", squeezed)
    assert found, squeezed[-600:]
    assert found[1] == plain(REFERENCES)
    for caption in CAPTIONS:
        assert plain(caption) in squeezed, caption
    for heading in ("1 First", "1.1 Deeper", "2 Last"):
        if target != "docx":  # Word counts by itself
            assert plain(heading) in squeezed
    assert plain("Theorem 1 (Main)") in squeezed
    assert plain("Lemma 2") in squeezed


@pytest.mark.parametrize("target", ENGINES)
def test_a_document_for_pandoc_crossref(target: str, shown) -> None:
    installed(target)
    squeezed = plain(shown("crossref", target))
    assert plain(CROSSREF) in squeezed, squeezed[:500]
    for caption in (
        "Fig. 1: A dot",
        "Fig. 2: Two dots",
        "(a) left part",
        "Table 1: Rates",
        "Listing 2: The same in",
    ):
        assert plain(caption) in squeezed, caption


ANCHORS = [
    "fig-one", "fig-pair", "fig-left", "fig-drawn", "fig-drawn-2", "tbl-one", "tbl-panel", "tbl-other", "eq-energy",
    "eq:c", "lst-code", "lst:c", "thm-main", "lem:raw", "sec-first", "sec:deeper", "fig-graph",
]  # fmt: skip


def test_every_anchor_is_there_once(root: Path, shown) -> None:
    shown("numbers", "html")
    page = (root / "_build" / "html" / "numbers.html").read_text(encoding="utf-8")
    for anchor in ANCHORS:
        assert len(re.findall(rf'id="{re.escape(anchor)}"', page)) == 1, anchor
    for link in re.findall(r'href="#([^"]+)"', page):
        assert f'id="{link}"' in page


@needs("chromium")
def test_a_reference_shows_what_it_leads_to(root: Path, shown, tmp_path: Path) -> None:
    shown("numbers", "html")
    script = """
    window.onload = async function () {
      const frame = document.querySelector("iframe"), page = frame.contentDocument;
      await frame.contentWindow.MathJax.startup.promise;
      const found = {};
      for (const name of ["fig-one", "eq-energy", "sec-last", "lst:c", "thm-main"]) {
        const link = page.querySelector('a.ref[href="#' + name + '"]');
        link.dispatchEvent(new MouseEvent("mouseenter"));
        await new Promise((done) => setTimeout(done, 400));
        const peek = page.querySelector(".peek");
        found[name] = [peek.hidden, peek.textContent.trim(), peek.querySelectorAll("img, mjx-container svg").length,
                       peek.querySelectorAll("[id]").length];
      }
      page.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }));
      found.closed = page.querySelector(".peek").hidden;
      const result = document.createElement("pre");
      result.id = "result";
      result.textContent = JSON.stringify(found);
      document.body.append(result);
    };"""
    folder = root / "_build" / "html"
    (folder / "probe.html").write_text(
        f'<iframe src="numbers.html" width="1200" height="900"></iframe><script>{script}</script>',
        encoding="utf-8",
    )
    with served(folder) as address:
        dom, console, _ = visit(f"{address}/probe.html", tmp_path)
    assert console == []
    match = re.search(r'<pre id="result">(.*?)</pre>', dom, re.DOTALL)
    assert match, dom[-500:]
    found = json.loads(unescape(match[1]))
    assert found["closed"] is True
    assert found["fig-one"][:3] == [False, "Figure\u00a01: One picture", 1]
    assert found["eq-energy"][2] >= 1
    assert found["sec-last"][1].startswith("2 Last")
    assert "int x;" in found["lst:c"][1]
    assert "It holds" in found["thm-main"][1]
    assert all(found[name][3] == 0 for name in found if name != "closed")


GERMAN = """---
lang: de
---

![Ein Punkt](dot.png){#fig-a}

| a |
|---|
| 1 |

: Werte {#tbl-a}

$$a = 1$$ {#eq-a}

$$b = 1$$ {#eq-b}

::: {.theorem #thm-a}
Er gilt.
:::

::: {.proof}
Klar.
:::

::: {.callout-note}
Worte.
:::

BEGIN @fig-a, @tbl-a, [@eq-a; @eq-b], @thm-a. END
"""


@pytest.mark.parametrize("target", ["html", "pdf"])
def test_words_in_the_language_of_the_note(target: str, fitnotes: Run, write, project: Path) -> None:
    write("note.md", GERMAN)
    shutil.copy(ROOT / "tests" / "notes" / "dot.png", project)
    done = fitnotes("build", "note.md", "--to", target)
    assert (done.returncode, done.stderr) == (0, "")
    page = project / "_build" / target / f"note.{target}"
    text = plain(pdf(page)[0] if target == "pdf" else words(page.read_text(encoding="utf-8")))
    assert plain("BEGIN Abbildung 1, Tabelle 1, Gleichungen (1) und (2), Satz 1. END") in text
    for said in ("Abbildung 1: Ein Punkt", "Tabelle 1: Werte", "Satz 1.", "Beweis.", "Hinweis"):
        assert plain(said) in text


WRONG = """![One](dot.png){#fig-same}

![Two](dot.png){#fig-same}

# A {#sec-x}

# B {#sec-x}

```{.c #lst-x lst-cap="One"}
int a;
```

```{.c #lst-x lst-cap="Two"}
int b;
```

See @fig-sam, @lst-y and [@sec-x; @tbl-none].
"""


def test_unknown_and_doubled_ids_have_both_lines(fitnotes: Run, write, project: Path) -> None:
    write("note.md", WRONG)
    shutil.copy(ROOT / "tests" / "notes" / "dot.png", project)
    done = fitnotes("build", "note.md")
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if line.startswith("note.md")]
    assert said[:3] == [
        "note.md:3: the label fig-same is given twice (first in line 1)",
        "note.md:7: the label sec-x is given twice (first in line 5)",
        "note.md:13: the label lst-x is given twice (first in line 9)",
    ]
    assert "note.md:17: @fig-sam refers to nothing in this note" in said
    assert (
        "  did you mean fig-same (line 1)?" in done.stderr or "did you mean fig-same? (line 1)" in done.stderr
    )
    assert "note.md:17: @tbl-none refers to nothing in this note" in said
    page = (project / "_build" / "html" / "note.html").read_text(encoding="utf-8")
    assert "?@fig-sam" in page
    assert "?@tbl-none" in page


THRICE = """![One](dot.png){#fig-same}

![Two](dot.png){#fig-same}

```{.python #fig-same fig-cap="Three" echo=false}
import matplotlib.pyplot as plt
plt.plot([1, 2]);
```
"""


def test_every_other_use_of_an_id_is_said(fitnotes: Run, write, project: Path) -> None:
    write("note.md", THRICE)
    shutil.copy(ROOT / "tests" / "notes" / "dot.png", project)
    done = fitnotes("build", "note.md")
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if line.startswith("note.md")]
    assert said == [f"note.md:{line}: the label fig-same is given twice (first in line 1)" for line in (3, 5)]


@pytest.mark.parametrize(
    ("div", "message"),
    [
        ("::: {#fig-a layout-ncol=none}", "note.md:1: layout-ncol=none: expected a whole number from 1"),
        ('::: {#fig-a layout="[1, x]"}', "expected rows of widths such as [[1, 1], [2]]"),
    ],
)
def test_a_wrong_layout_is_said(div: str, message: str, fitnotes: Run, write, project: Path) -> None:
    shutil.copy(ROOT / "tests" / "notes" / "dot.png", project)
    write("note.md", f"{div}\n![a](dot.png){{#fig-b}}\n\n![c](dot.png)\n\nBoth.\n:::\n")
    done = fitnotes("build", "note.md")
    assert done.returncode == 2
    assert message in done.stderr


OTHER = """:::: {#fig-pair layout-ncol=2}

![a](dot.png){#fig-a}

![b](dot.png){#fig-b}

Two.
::::

```{.c #lst-c lst-cap="C"}
int x;
```

```{.mermaid #fig-m caption="M"}
graph LR
  a --> b
```
"""


def test_references_to_figures_of_other_notes(fitnotes: Run, write, project: Path) -> None:
    shutil.copy(ROOT / "tests" / "notes" / "dot.png", project)
    (project / "notes").mkdir()
    shutil.copy(ROOT / "tests" / "notes" / "dot.png", project / "notes")
    write("notes/one.md", OTHER)
    write("notes/two.md", "See @one#fig-b, [@one#fig-pair; @one#fig-m], @lst-c.\n")
    done = fitnotes("build", "notes/two.md")
    assert (done.returncode, done.stderr) == (0, "")
    page = (project / "_build" / "html" / "two.html").read_text(encoding="utf-8")
    assert 'href="one.html#fig-b"' in page
    assert plain("See Figure 1b, Figures 1 and 2, Listing 1.") in plain(words(page))


ODD = {
    "a reference with words behind it": ("@fig-a [left], @fig-a's", "Figure 1 left, Figure 1’s"),
    "words in front of each": ("[@fig-a; see also @fig-b]", "Figure 1 and see also Figure 2"),
    "a heading with a formula": ("@sec-x", "About x^2"),
    "a heading in a box": ("@sec-tip", "A title"),
    "a tab": ("@sec-tab", "The tab"),
    "two names of one kind": ("@thm-one, @thm-two", "Theorem 1, Theorem 2"),
    "a part behind z": ("@fig-p27", "Figure 3aa"),
}
MANY = "\n\n".join(f"![p](dot.png){{#fig-p{n}}}" for n in range(1, 29))
AROUND = f"""# About $x^2$ {{#sec-x}}

![One](dot.png){{#fig-a}}

![Two](dot.png){{#fig-b}}

:::: {{#fig-many layout-ncol=14}}
{MANY}

Many.
::::

::: {{.callout-tip}}
## A title {{#sec-tip}}
Words.
:::

::: {{.panel-tabset}}
## The tab {{#sec-tab}}
Words.
:::

::: {{.theorem #thm-one}}
It is so.
:::

::: {{.thm #thm-two}}
It is so too.
:::

"""


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("odd")
    shutil.copy(ROOT / "tests" / "notes" / "dot.png", folder)
    lines = "\n\n".join(f"{name}: {source}." for name, (source, _) in ODD.items())
    (folder / "note.md").write_text(AROUND + lines, encoding="utf-8")
    [outcome] = build(folder, folder / "note.md", "html")
    assert outcome.problems == []
    return plain(words((folder / "_build" / "html" / "note.html").read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", ODD)
def test_odd_references(name: str, odd: str) -> None:
    assert plain(f"{name}: {ODD[name][1]}.") in odd


LEAKS = """Text
:::{tip} Words
body
:::

![a](dot.png){#fig-50%}

::: {.content-visible when-format="htlm"}
x
:::
"""


def test_markup_that_is_read_as_words_is_said(fitnotes: Run, write, project: Path) -> None:
    shutil.copy(ROOT / "tests" / "notes" / "dot.png", project)
    write("note.md", LEAKS)
    done = fitnotes("build", "note.md")
    said = [line for line in done.stderr.splitlines() if line.startswith("note.md")]
    assert any("when-format=htlm: there is no such format" in line for line in said)
    assert any("{#fig-50%} is shown as text" in line for line in said)
    assert any(line.startswith("note.md:2: warning:") for line in said), said


def test_numbers_of_headings_in_boxes(fitnotes: Run, write, project: Path) -> None:
    body = "# One\n\n> ## Quoted\n\n- # In a list\n\n## Two {#sec-two}\n\nSee @sec-two.\n"
    write("note.md", f"---\nnumber-sections: true\n---\n\n{body}")
    for target in ("html", "pdf", "docx"):
        assert fitnotes("build", "note.md", "--to", target).returncode == 0
    page = (project / "_build" / "html" / "note.html").read_text(encoding="utf-8")
    assert plain("See Section 1.1.") in plain(words(page))
    assert plain("1.1 Two") in plain(words(page))
    assert plain("1.1 Two") in plain(pdf(project / "_build" / "pdf" / "note.pdf")[0])
