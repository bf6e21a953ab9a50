"""What users of other tools reported as wrong, remade: results, captions, characters, files."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from conftest import Run, needs

PLOT = "import matplotlib.pyplot as plt\nfrom IPython.display import display, HTML, Markdown\n"


def _build(fitnotes: Run, write, note: str, *targets: str, code: int = 0) -> str:
    """What a build says."""
    write("a.md", note)
    done = fitnotes("build", "a.md", *(word for target in targets for word in ("--to", target)))
    assert done.returncode == code, done.stderr
    return done.stderr


def _html(project: Path) -> str:
    return (project / "_build/html/a.html").read_text().split("<main", 1)[1]


def _pdf(project: Path) -> str:
    text = subprocess.run(
        ["pdftotext", "-raw", project / "_build/pdf/a.pdf", "-"], capture_output=True, text=True
    ).stdout
    return " ".join(text.split())


@pytest.mark.parametrize(
    "shown", ["display(fig)", "display(Markdown('|a|\\n|-|\\n|1|'))", "display({'a': 1})", "print('*x*')"]
)
def test_what_is_printed_around_a_result_is_one_text(shown: str, fitnotes: Run, write, project: Path) -> None:
    code = f"""{PLOT}fig, ax = plt.subplots(figsize=(2, 1))
print("::: {{.callout-tip}}\\n")
print("before it\\n")
{shown}
print("\\nbehind it\\n")
print(":::\\n")
plt.close(fig)
print("outside")"""
    assert (
        _build(
            fitnotes, write, f"```{{python}}\n#| output: asis\n#| echo: false\n{code}\n```\n", "html", "gfm"
        )
        == ""
    )
    page = _html(project)
    box = re.search(r'(?s)<div class="callout callout-tip">(.*?behind it.*?)</div>\s*<p>outside', page)
    assert box
    assert "before it" in box[1]
    assert ":::" not in page
    gfm = (project / "_build/gfm/a.md").read_text()
    assert re.search(r"(?s)> \[!TIP\].*> before it.*> behind it\n\noutside", gfm)


def test_formulas_of_sympy_are_formulas(fitnotes: Run, write, project: Path) -> None:
    pytest.importorskip("sympy")
    note = """```{python}
import sympy as sp
sp.init_printing()
x, a = sp.symbols("x alpha")
sp.Integral(sp.exp(-a * x**2), (x, 0, sp.oo))
```

```{python}
[sp.sqrt(2), x**2]
```

Inline `sp.diff(x**3, x)`{.python}.
"""
    assert _build(fitnotes, write, note, "html", "pdf") == ""
    page = _html(project)
    assert "<img" not in page
    assert page.count('class="math display"') == 2
    assert "\\int" in page
    assert "3 x^{2}" in page


def test_colours_of_a_styler_stay(fitnotes: Run, write, project: Path) -> None:
    pytest.importorskip("jinja2")
    note = """```{python}
#| label: tbl-s
#| tbl-cap: Styled
import pandas as pd
df = pd.DataFrame({"acc": [0.981, 0.902], "err": [-1, 3]})
df.style.format({"acc": "{:.1%}"}).map(lambda v: "color: red; font-weight: bold" if v < 0 else "", subset=["err"])
```
"""
    assert _build(fitnotes, write, note, "html", "tex") == ""
    page = _html(project)
    assert "98.1%" in page
    cell = re.search(r'<span style="([^"]*)">-1</span>', page)
    assert "color: red" in cell[1]
    assert "font-weight: bold" in cell[1]
    assert "\\textbf{\\textcolor[HTML]{FF0000}{-1}}" in (project / "_build/tex/a.tex").read_text()


def test_html_of_a_result_is_read_for_paper(fitnotes: Run, write, project: Path) -> None:
    note = f"""```{{python}}
{PLOT}class Words:
    def _repr_html_(self): return "<p>Only <b>bold</b>: 3 &lt; 4</p><ul><li>item</li></ul>"
Words()
```

```{{python}}
HTML("<canvas id='c'></canvas><script>draw()</script>")
```
"""
    said = _build(fitnotes, write, note, "html", "pdf")
    shown = _pdf(project)
    assert "Only bold: 3 < 4" in shown
    assert "item" in shown
    assert "object at" not in shown
    assert "a.md:10: warning: block 2 shows HTML that means nothing on paper" in said
    assert "a.md:10: warning: <script> is blocked by the page's content policy" in said


LAST = ["fig", "fig, ax = plt.subplots(); ax.plot([1, 2])\nfig", "plt.figure(); plt.plot([1, 2]); plt.gcf()",
        "def make():\n    f, a = plt.subplots(); return f\nmake()", "plt.figure(); plt.plot([1, 2]); plt.show()",
        "plt.figure(); plt.plot([1, 2], [3, 1], [2, 2])",
        "fig, ax = plt.subplots(); ax.plot([1, 2])\ndisplay(fig)",
        "fig, ax = plt.subplots(); display(fig); plt.close(fig)",
        "fig, ax = plt.subplots(); fig"]  # fmt: skip


def test_a_figure_is_shown_once(fitnotes: Run, write, project: Path) -> None:
    first = f"```{{python}}\n#| output: false\n{PLOT}fig, ax = plt.subplots(figsize=(2, 1))\n```\n\n"
    for number, code in enumerate(LAST):
        write(f"notes/{number}.md", f"{first}```{{python}}\n{code}\n```\n")
    assert fitnotes("build").stderr == ""
    for number, code in enumerate(LAST):
        page = (project / f"_build/html/{number}.html").read_text()
        assert page.count("<img") == 1, code
        assert "Line2D" not in page
    changed = "fig, ax = plt.subplots(figsize=(2, 1))\ndisplay(fig)\nax.set_title('later')"
    write("b.md", f"```{{python}}\n{PLOT}{changed};\n```\n")
    assert fitnotes("build", "b.md").stderr == ""
    assert (project / "_build/html/b.html").read_text().count("<img") == 2


def test_expressions_stand_in_captions_titles_and_may_await(fitnotes: Run, write, project: Path) -> None:
    note = f"""---
title: "On `n`{{.python}} points"
date: "`{{python}} stamp`"
---

```{{python}}
n = 12; stamp = "today*"
async def twice(x): return 2 * x
```

```{{python}}
#| label: fig-a
#| fig-cap: "A plot of `{{python}} n` points, `{{python}} f'{{n / 7:.2f}}'`"
#| fig-alt: "Points: `n`{{.python}}"
{PLOT}plt.plot(range(n));
```

Awaited: `{{python}} await twice(n + 9)`.
"""
    assert _build(fitnotes, write, note, "html", "pdf", "gfm") == ""
    page = (project / "_build/html/a.html").read_text()
    assert "<title>On 12 points</title>" in page
    assert "A plot of 12 points, 1.71" in page
    assert 'alt="Points: 12"' in page
    assert "Awaited: 42." in page
    assert "today*" in page
    assert "On 12 points" in _pdf(project)
    write("a.md", note.replace("n = 12", "n = 13"))
    assert fitnotes("build", "a.md", "--to", "html").returncode == 0
    assert "A plot of 13 points" in (project / "_build/html/a.html").read_text()


@pytest.mark.parametrize(
    ("code", "hint"),
    [("input('name? ')", "without anyone to ask"), ("import sys; sys.exit(0)", "a block ends by itself"),
     ("__file__", "Path.cwd() is it")],
)  # fmt: skip
def test_errors_that_surprise_have_a_hint(code: str, hint: str, fitnotes: Run, write) -> None:
    said = _build(fitnotes, write, f"```{{python}}\n{code}\n```\n", code=1)
    assert said.startswith("a.md:2: block 1 raised ")
    assert hint in said


def test_stored_results_stay_beside_a_block_that_is_no_python(fitnotes: Run, write, project: Path) -> None:
    good = "```{python}\nprint('one')\n```\n\n```{python}\nprint('two')\n```\n"
    _build(fitnotes, write, good)
    write("a.md", f"{good}\n```{{python}}\nprint(\n```\n\n```{{python}}\n)(\n```\n")
    done = fitnotes("build", "a.md", "--no-execute")
    assert done.returncode == 1
    assert [line.split(": ")[0] for line in done.stderr.splitlines() if "SyntaxError" in line] == [
        "a.md:10",
        "a.md:14",
    ]
    assert "<code>one</code>" in _html(project)
    assert "<code>two</code>" in _html(project)


@pytest.mark.parametrize("name", ["make.py", "book.ipynb", "data.txt", "README"])
def test_what_is_no_note_is_refused(name: str, fitnotes: Run, write) -> None:
    write(name, "{}\n")
    done = fitnotes("build", name)
    assert (done.returncode, done.stderr.split("\n")[0]) == (
        2,
        f"{name}: not a note: notes end in .md, .markdown, .qmd",
    )


def test_lint_finds_everything_at_once(fitnotes: Run, write) -> None:
    write(
        "a.md",
        """---
fitnotes:
  tiemout: 3
  seed: x
---

```{python}
#| ehco: false
#| timeout: soon
print(1
```

```{.python fig_cpa="x"}
)(
```

$\\frac{1$ @fig-none ![](gone.png) \\nocommand <blink>x</blink>

```{python}
#| label: [
x = 1
```
""",
    )
    found = [
        line.split(" ")[:2]
        for line in fitnotes("lint", "a.md").stdout.splitlines()
        if line.startswith("a.md")
    ]
    places = {(where.split(":")[1], code) for where, code in found}
    assert places >= {
        ("3", "setting"), ("4", "setting"), ("8", "unknown-option"), ("9", "unknown-option"), ("10", "syntax"),
        ("13", "unknown-option"), ("14", "syntax"), ("17", "formula"), ("17", "undefined-label"),
        ("17", "missing-file"), ("17", "missing-alt"), ("20", "unknown-option"),
    }  # fmt: skip


# --------------------------------------------------------------------------------------------------
# Characters and files


def test_characters_that_no_font_has_are_named_and_counted(fitnotes: Run, write, project: Path) -> None:
    nowhere = "\U00012345\U00012346\U00012347\U00012348\U00012349"  # cuneiform, which no machine of ours has
    said = _build(fitnotes, write, f"Known: é π Ж ✓.\n\nUnknown: {nowhere} and {nowhere[0]}.\n", "pdf")
    assert said.startswith(f"a.md:3: warning: no font here has '{nowhere[0]}'")
    assert "and 2 more: boxes stand in the PDF\n  install a font that has it: on Debian apt install" in said
    assert "é" not in said


def test_control_characters_are_left_out_and_said(fitnotes: Run, write, project: Path) -> None:
    said = _build(
        fitnotes,
        write,
        "One\x83two and\x0c three\ufeff.\n\n$a\x01 = b$\n\nsoft\u00adhyphen\u200b.\n",
        "html",
        "pdf",
    )
    assert [line for line in said.splitlines() if "control" in line] == [
        "a.md:1: warning: U+0083 is a control character; it is left out",
        "a.md:1: warning: U+000C is a control character; it is left out",
        "a.md:1: warning: U+FEFF is a control character; it is left out",
        "a.md:3: warning: U+0001 is a control character; it is left out",
    ]
    page = _html(project)
    assert "Onetwo and three." in page
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff]", page)
    assert "soft\u00adhyphen\u200b" in page


@needs("chromium")
def test_pages_from_right_to_left(fitnotes: Run, write, project: Path) -> None:
    write(
        "a.md",
        "---\nlang: he\ndir: rtl\ntitle: שלום\n---\n\n$$ a = b $$ {#eq-a}\n\nראה @eq-a.\n\n```{python}\nx = 1\n```\n",
    )
    assert fitnotes("build", "a.md").returncode == 0
    page = project / "_build/html/a.html"
    assert "משוואה" in page.read_text()
    text = re.sub(r"<meta http-equiv=\"Content-Security.*?>", "", page.read_text())
    script = """const s = getComputedStyle(document.querySelector("code"));
      const sideways = document.documentElement.scrollWidth - innerWidth;
      document.body.dataset.found = [sideways, s.direction, s.textAlign].join()"""
    page.write_text(text.replace("</body>", f"<script>{script}</script></body>"))
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", page.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    assert re.search(r'data-found="([^"]*)"', dom)[1] == "0,ltr,left"


def test_notes_and_folders_that_are_links(fitnotes: Run, project: Path) -> None:
    real = project.parent / "elsewhere"
    (real / "deep").mkdir(parents=True)
    (real / "r.md").write_text("# Real\n\n![A dot](dot.png)\n")
    (real / "deep/d.md").write_text("# Deep\n")
    (real / "dot.png").write_bytes(Path(__file__).with_name("corpus").joinpath("dot.png").read_bytes())
    notes = project / "notes"
    notes.mkdir()
    (notes / "link.md").symlink_to(real / "r.md")
    (notes / "folder").symlink_to(real / "deep")
    (notes / "loop").symlink_to(notes)
    (notes / "n.md").write_text("[x](link.md) [y](folder/d.md)\n")
    done = fitnotes("build")
    assert (done.returncode, done.stderr) == (0, "")
    pages = sorted(
        p.relative_to(project / "_build/html").as_posix() for p in (project / "_build/html").rglob("*.html")
    )
    assert pages == ["folder/d.html", "link.html", "n.html"]
    assert 'href="folder/d.html"' in (project / "_build/html/n.html").read_text()
    assert "built 0, from cache 1" in fitnotes("build", "notes/link.md").stdout


def test_names_with_spaces_are_said_as_they_are(fitnotes: Run, write) -> None:
    write("my notes/a b.md", "One\n\n![x](b c.png)\n")
    assert (
        "my notes/a b.md:3: warning: image b c.png: not found" in fitnotes("build", "my notes/a b.md").stderr
    )


# --------------------------------------------------------------------------------------------------
# Links


def test_links_that_lead_nowhere_are_said(fitnotes: Run, write, project: Path) -> None:
    write(
        "other.md",
        "# A *big* heading\n\n## Twice\n\n## Twice\n\n$$ a $$ {#eq-there}\n\n[]{#place}\n\nUnder\n-----\n",
    )
    write("data.csv", "1,2\n")
    write("sub/index.md", "# Sub\n")
    good = ["sub/", "sub", "other", "other#place", *[
        "#own", "#second-part", "#spot", "other.md#a-big-heading", "other.md#twice-1", "other.md#place", "data.csv",
        "other.md#under", "other.md", "other.html", "#", "mailto:a@b.org", "https://example.org/#x", "#eq-mine",
    ]]  # fmt: skip
    bad = ["#nowhere", "other.md#none", "gone.csv", "gone.md"]
    text = "# Head {#own}\n\n## Second Part\n\n[]{#spot}\n\n$$ b $$ {#eq-mine}\n\n"
    text += "".join(f"[w{n}]({url})\n\n" for n, url in enumerate([*good, *bad]))
    write("a.md", f"{text}[empty]() and [words][] and [^none]\n\nSee @other#eq-their.\n")
    done = fitnotes("build", "a.md", "--to", "html", "--to", "pdf")
    assert done.returncode == 1  # the reference
    said = done.stderr
    first = text.count("\n") - 2 * len(bad) + 1
    wanted = [
        "the link to #nowhere leads nowhere: nothing here has that name",
        "link to other.md#none: that note has no none",
        "link to gone.csv: there is no such file",
        "link to gone.md: there is no such note",
    ]
    for n, words in enumerate(wanted):
        assert f"a.md:{first + 2 * n}: warning: {words}" in said
    assert "the link of 'empty' leads nowhere" in said
    assert "[^none] is defined nowhere" in said
    assert "@other#eq-their refers to nothing in that note\n  did you mean eq-there?" in said
    for url in good:
        assert f" {url}:" not in said, url
        assert f" {url} leads" not in said, url
    page = _html(project)
    assert page.count('href="sub/index.html"') == 2
    assert 'href="other.html#place">w3' in page
    copied = re.search(r'href="(a_files/data-\w+\.csv)"', page)[1]
    assert (project / "_build/html" / copied).read_text() == "1,2\n"
    found = fitnotes("lint", "a.md").stdout
    assert [
        code for code in ("anchor", "missing-note", "missing-file", "footnote") if f" {code} " not in found
    ] == []


def test_prices_are_no_formulas(fitnotes: Run, write, project: Path) -> None:
    prices = (
        "It costs **35$** here and *20$* there.", "US$7 and 3$/kg of it", "A price of 35$ **or more** and then 20$.",
        "Prices rise from $1,000 to $2,000 now.", "$25/user and $30/team",
    )  # fmt: skip
    for number, text in enumerate(prices):
        write(f"notes/{number}.md", f"{text}\n\nBut $x$, $2 x$ and $n = 3$ are.\n")
    assert fitnotes("build").stderr == ""
    for number, text in enumerate(prices):
        page = (project / f"_build/html/{number}.html").read_text().split("<main", 1)[1]
        assert page.count('class="math') == 3, text
        assert page.count("$") == text.count("$")
    assert fitnotes("lint", "notes").stdout == ""


def test_processes_that_start_afresh_know_the_note(fitnotes: Run, write, project: Path) -> None:
    note = """```{python}
import multiprocessing as mp
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

SCALE = 2

@dataclass
class P:
    x: int

def cube(p):
    return SCALE * p.x ** 3

print("once")
```

```{python}
for method in ("fork", "spawn", "forkserver"):
    with mp.get_context(method).Pool(2) as pool:
        print(method, pool.map(cube, [P(1), P(2)]))
with ProcessPoolExecutor(2, mp_context=mp.get_context("spawn")) as pool:
    print("executor", list(pool.map(cube, [P(3)])))
```
"""
    assert _build(fitnotes, write, note) == ""
    page = _html(project)
    for line in ("fork [2, 16]", "spawn [2, 16]", "forkserver [2, 16]", "executor [54]"):
        assert line in page
    assert page.count("once\n") + page.count("once<") == 1


def test_control_characters_of_titles_go_and_those_of_code_stay(fitnotes: Run, write, project: Path) -> None:
    note = "---\ntitle: A\x83 title\n---\n\n```{python}\n#| echo: false\nprint(len('a\x0cb'))\n```\n"
    said = _build(fitnotes, write, note)
    assert said == "a.md:2: warning: U+0083 is a control character; it is left out\n"
    assert "<code>3</code>" in _html(project)
    assert ">A title</h1>" in _html(project)
