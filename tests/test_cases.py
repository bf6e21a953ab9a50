"""Small notes on which tools of this kind went wrong, by public reports of their users: what each page shows here.

All are built together, once, to HTML, GitHub's Markdown, a PDF by Typst and a .tex file. The sources named are
the reports; the notes are this project's own.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path

import pytest
from conftest import environment

ALL = ("html", "gfm", "pdf", "tex")


@dataclass(frozen=True)
class Case:
    """A note, and what it becomes. ``shown`` is in the text of every target, ``absent`` in none but LaTeX's, whose
    source has other words too; a target's own words in ``only``. ``said``: parts of what the build says; without them
    it says nothing of the note."""

    note: str
    shown: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    only: dict[str, tuple[str, ...]] = field(default_factory=dict)
    failed: bool = False


CASES = {
    # quarto-dev/quarto-cli#7558
    "div-around-a-figure": Case(
        """```{python}
#| output: asis
#| echo: false
import matplotlib.pyplot as plt
from IPython.display import display
figure, axes = plt.subplots(figsize=(2, 1))
print(":::: {.callout-note}\\n\\nabove\\n")
display(figure)
print("\\nbelow\\n\\n::::\\n\\noutside")
plt.close(figure)
```
""",
        ("above", "below", "outside"),
        (":::",),
        only={"gfm": ("> [!NOTE]",)},
    ),
    # quarto-dev/quarto-cli#10347: colours of a terminal are no text
    "colours-of-a-terminal": Case(
        '```{python}\n#| echo: false\nprint("\\x1b[1;34mblue\\x1b[0m rest \\x1b[38;2;1;2;3mexact\\x1b[m")\n```\n',
        ("blue rest exact",),
        ("[0m", "[1;34m", "\x1b"),
    ),
    # quarto-dev/quarto-cli#9397: a film's controls need a script, which pages run only if they are let
    "animation": Case(
        """```{python}
#| echo: false
import matplotlib.pyplot as plt
from IPython.display import HTML
from matplotlib.animation import FuncAnimation
figure, axes = plt.subplots(figsize=(2, 1))
(point,) = axes.plot([0], [0], "o")
film = FuncAnimation(figure, lambda i: (point.set_data([i], [0]),), frames=2)
plt.close(figure)
HTML(film.to_jshtml())
```
""",
        absent=("IPython.core", "object at 0x"),
        said=("<script> is blocked", "allow: [scripts]"),
    ),
    # jupyter/nbconvert#288
    "input": Case(
        '```{python}\nanswer = input("Who? ")\n```\n\nStill here.\n',
        ("EOFError", "Still here."),
        said=("raised EOFError", "without anyone to ask"),
        failed=True,
    ),
    # nteract/papermill#536
    "exit": Case(
        '```{python}\nimport sys\nprint("before it")\nsys.exit(0)\n```\n\n```{python}\nprint("behind it")\n```\n',
        ("before it", "SystemExit"),
        said=("raised SystemExit", "a block ends by itself"),
        failed=True,
    ),
    # marimo-team/marimo#1988
    "own-file": Case(
        "```{python}\nprint(__file__)\n```\n",
        ("NameError",),
        said=("'__file__' is not defined", "Path.cwd()"),
        failed=True,
    ),
    # gutow/Algebra_with_Sympy#22
    "formulas-of-objects": Case(
        """```{python}
#| echo: false
from IPython.display import Latex, Math, display

class Both:
    def _repr_html_(self):
        return "<em>as HTML</em>"

    def _repr_latex_(self):
        return "$\\\\mathcal{B}$"

display(Math(r"\\frac{p}{q}"))
display(Latex(r"\\begin{align} u &= 5 \\\\ v &= 6 \\end{align}"))
Both()
```
""",
        absent=("Both object",),
        only={"html": (r"\frac{p}{q}", r"u &= 5"), "tex": (r"\frac{p}{q}", r"u &= 5"), "gfm": (r"\frac{p}{q}",)},
    ),
    # jupyter/nbconvert#474
    "html-of-objects": Case(
        """```{python}
#| echo: false
from IPython.display import HTML, display
display(HTML("<b>strong</b> words <table><tr><th>key</th></tr><tr><td>cell</td></tr></table>"))
```
""",
        ("strong", "words", "key", "cell"),
        ("IPython.core",),
    ),
    # quarto-dev/quarto-cli#6288
    "expressions-in-captions": Case(
        """---
title: "Of `count`{.python} things"
---

```{python}
#| echo: false
count = 41
```

| a |
|---|
| `{python} count + 1` |

: All `{python} count` {#tbl-all}

# Head `{python} count + 2`

Note.[^n] See @tbl-all.

[^n]: Also `{python} count + 3`.
""",
        ("Of 41 things", "42", "All 41", "Head 43", "Also 44", "Table 1"),
        ("{python}", "count + "),
    ),
    # rstudio/rmarkdown#2560
    "blocks-in-lists": Case(
        """i)  First
    ```{python}
    a = 10 + 1
    print("got", a)
    ```
ii)  Second
    ```{python}
    print("got", a + 1)
    ```
iii)  Third

    ```{python}
    print("got", a + 2)
    ```

> ```{python}
> print("quoted", a + 3)
> ```
""",
        ("got 11", "got 12", "got 13", "quoted 14"),
        ("```{python}",),
    ),
    # ipython/matplotlib-inline, sphinx-gallery#1025
    "one-figure": Case(
        """```{python}
#| echo: false
#| label: fig-one
#| fig-cap: The only one
import matplotlib.pyplot as plt
figure, axes = plt.subplots(figsize=(2, 1))
axes.plot([3, 4])
figure
```
""",
        ("The only one",),
        only={"html": ("Figure 1",), "tex": ("caption{The only one}",)},
    ),
    # jgm/pandoc#2722
    "prices": Case(
        "From $7 to $9, **35$** or *20$*, US$8 and 4$/kg; $1,500 while $p = 3$.\n\nSet $PATH and $HOME.\n",
        ("From $7 to $9", "35$", "20$", "US$8 and 4$/kg", "$1,500 while", "Set $PATH and $HOME"),
        only={"html": ('<span class="math inline">',)},
    ),
    # jgm/pandoc#1677
    "dollars-inside-formulas": Case(
        "$a_\\text{low $k$ end}$ and $$f = "
        "\\begin{cases} 1 & \\text{if $x > 2$} \\\\ 0 & \\text{else} \\end{cases}$$\n",
        only={"pdf": ("low", "end", "if", "else"), "html": (r"\text{low",)},
        absent=("$k$ end}$",),
    ),
    # jgm/texmath#194
    "operators": Case(
        "$\\operatorname*{arg\\,max}_x f$, $\\operatorname{y_2}(t)$, $$\\mathop{\\hat{uvw}}_{abc} + A \\overset{\\sim}"
        "{\\longrightarrow} B$$\n",
        absent=("FitnotesOperator",),
    ),
    # Zettlr/Zettlr#871
    "tex-by-mistake": Case(
        "We have p \\in q, and 50\\% of \\#3 \\& \\_x.\n",
        ("50% of #3 & _x",),
        said=("raw TeX \\in means nothing to this target; its source is shown",),
        only={"html": ("\\in",), "pdf": ("\\in",), "gfm": ("\\in",)},
    ),
    # Zettlr/Zettlr#5759
    "control-characters": Case(
        "A control\u0083 sign, a\ufeff mark and a \x0cfeed.\n",
        ("A control sign, a mark and a feed.",),
        ("\u0083", "\ufeff", "\x0c"),
        said=("U+0083", "U+FEFF", "U+000C"),
    ),
    "numbers-with-units": Case(
        "---\nheader-includes: \\usepackage{siunitx}\n---\n\n"
        "$\\num{2.5e-3}$ and \\num{7e6}, $\\qtyrange{1}{5}{\\celsius}$.\n",
        absent=("2.5e - 3", "num{", "7 e"),
        only={"pdf": ("2.5 × 10", "7 × 10")},
    ),
    # jgm/pandoc#9586
    "cells-that-look-like-markup": Case(
        "| sign | example |\n|---|---|\n| + | + 1 |\n| = | = x |\n| / | / a: b |\n| 2. | 2. second |\n\n"
        "A note.^[3. of May] "
        "**1 July. Then** [5. link](https://example.org)\n",
        ("+ 1", "= x", "/ a: b", "2. second", "3. of May", "1 July. Then", "5. link"),
    ),
    # jgm/pandoc#11446
    "headings-with-citations": Case(
        "---\nbibliography: books.bib\n---\n\n## As @ada wrote\n\nText A.\n\n## Seen [@ada] before\n\nText B.\n\n"
        "The long\\\n"
        "way there\n---------\n\nText C.\n",
        ("As", "wrote", "Text A.", "Seen", "before", "Text B.", "The long", "way there", "Text C."),
        only={"pdf": ("Lovelace",), "html": ("Lovelace",)},
    ),
    # quarto-dev/quarto-cli#6367
    "fence-inside-a-string": Case(
        '```{python}\ntext = """\n    ```\n    y = 1\n    ```\n    ```\n"""\nprint("long", len(text))\n```\n\n'
        '```{python}\nprint("second", "block")\n```\n',
        ("long 35", "second block"),
    ),
    # jgm/pandoc#4683
    "notes-everywhere": Case(
        """---
title: "Words^[Note of the title]"
author: "B. Writer^[Note of the author]"
---

# Heading^[Note of the heading]

| One[^c] | Two |
|---|---|
| three^[Note of a cell] | four |

: Below it^[Note of a caption] {#tbl-n}

[^c]: Note of the head.
""",
        tuple(f"Note of {what}" for what in ("the title", "the author", "the heading", "a cell")),
    ),
    # quarto-dev/quarto-cli#4310
    "html-tags": Case(
        """<p align="center">middle words</p>

<figure>
<img src="a.png" alt="dot">
<figcaption>Caption <b>fat</b></figcaption>
</figure>

Press <kbd>Ctrl</kbd>, H<sub>2</sub>O, <mark>marked</mark>, <span style="color:red">red</span>, line<br>break, &rarr;

<details><summary>More of it</summary>

Folded **text**.

</details>

<table><tr><th rowspan="2">R</th><td>11</td></tr><tr><td>22</td></tr></table>
""",
        ("middle words", "Caption", "fat", "Ctrl", "marked", "red", "More of it", "Folded", "11", "22"),
        only={"html": ('<p align="center"> middle words </p>', "<summary> More of it </summary>"), "tex": ("red",)},
    ),
    # quarto-dev/quarto-cli#7962
    "picture-of-the-network": Case(
        "![Far away](https://example.org/p.png){#fig-far}\n\nSee @fig-far.\n",
        ("Far away", "Figure 1"),
        said=("lies on the network", "save it beside the note"),
    ),
    # quarto-dev/quarto-cli#310
    "shortcodes": Case(
        "---\nsubtitle: Underneath\n---\n\nIt says {{< meta subtitle >}} here.\n\n{{< include _part.md >}}\n\n"
        "{{< video https://example.org/v.mp4 >}}\n\n{{< lipsum 3 >}}\n",
        ("It says Underneath here.", "The part, with 12 in it", "https://example.org/v.mp4", "lipsum"),
        ("{{< meta", "{{< include"),
        said=("{{< lipsum 3 >}}: nothing here reads it",),
    ),
    # jgm/pandoc#10463
    "wide-tables": Case(
        "| Name | Call | Where |\n|---|---|---|\n| `function_with_a_long_name(first_argument, second)` | "
        "`another.module.path.to.something` | https://example.org/a/long/path/page.html |\n\n"
        + "| " + " | ".join(f"column {n}" for n in range(18)) + " |\n" + "|---" * 18 + "|\n"
        + "| " + " | ".join(f"value{n}" for n in range(18)) + " |\n",
        ("value0", "value17"),
        said=("a table wider than the page",),
    ),
    "bars-in-cells": Case(
        "| op | meaning |\n|---|---|\n| `p \\| q` | or |\n| p \\| q | plain |\n| $|x|$ | $P(A \\mid B)$ |\n",
        ("p | q", "plain"),
        only={"html": ("<code>p | q</code>",)},
    ),
    # quarto-dev/quarto-cli#6248
    "annotations": Case(
        "```{python}\nx = [1, 2]  # <1>\nprint(sum(x))  # <2>\n```\n1. A list.\n2. Its sum.\n",
        ("# <1>", "A list.", "Its sum."),
    ),
    "words-that-are-booleans": Case(
        "---\ntitle: 1.10\nsubtitle: no\nlang: no\n---\n\n# En\n\nTekst.\n",
        ("1.10", "Tekst."),
        said=("subtitle: no is no word in YAML", "lang: no is no word in YAML"),
        only={"html": ('lang="no"', ">no<")},
    ),
    # typora/typora-issues#2733
    "notes-of-many-blocks": Case(
        "A long one.[^long]\n\n> [!WARNING]\n> Careful.[^w]\n\n[^long]: First of it.\n\n    Second with $x$.\n\n"
        "    - point\n\n"
        "[^w]: Of the warning.\n\n[^unused]: Never.\n\nMissing.[^missing]\n",
        ("First of it.", "Second with", "point", "Of the warning.", "[^missing]"),
        said=("the footnote [^missing] is defined nowhere", "'unused' defined at line 14"),
    ),
    # quarto-dev/quarto-cli#1621
    "options-of-diagrams": Case(
        '```{mermaid}\n%%| label: fig-flow\n%%| fig-cap: "A flow"\nflowchart LR\n'
        '    A["one <br/> two"] --> B["p < q"]\n```\n\n'
        "See @fig-flow.\n\n```mermaid\nblock-beta\ncolumns 1\n    a[\"up<br/>down\"]\n```\n",
        ("A flow", "Figure 1"),
        ("%%|", "br/&gt;"),
    ),
    # jgm/pandoc#8853
    "vault": Case(
        """A link to [[prices]], with words [[prices|the prices]], ![[a.png]].

==bright $x$== and %%hidden%% gone ^name

> [!tip]- Folded title
> Body.

> [!theorem] Own kind
> Unknown.
""",
        ("the prices", "bright", "Folded title", "Body.", "Own kind", "Unknown."),
        ("[[", "==", "hidden", "[!tip]-", "^name"),
    ),
    # parallax/jsPDF#2178
    "right-to-left": Case(
        "---\ntitle: שלום\nlang: he\ndir: rtl\n---\n\n# ראשונה\n\nטקסט עם words.\n\n$$ a = b $$ {#eq-a}\n\n"
        "ראה @eq-a.\n",
        only={"html": ('dir="rtl"', "ראשונה"), "gfm": ("ראשונה",), "pdf": ("words",), "tex": ("ראשונה",)},
        absent=("Equation",),
    ),
    # quarto-dev/quarto-cli#8040
    "options-of-chunks": Case(
        "```{python}\n#| fig-width: 4\n#| fig-height: 2\n#| code-fold: true\n#| code-summary: Unfold\n"
        "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nprint('drawn')\n```\n",
        ("drawn",),
        ("fig-height",),
        only={"html": ("<summary>Unfold</summary>",)},
    ),
    # jupyter-book/mystmd#2120
    "cells-of-myst": Case(
        '```{code-cell} ipython3\n:tags: [hide-input]\nprint("first", 1 + 1)\n```\n\n```{code-cell} python\n---\n'
        'name: x\n---\n'
        '# a comment\n\nprint("second", 2 + 2)\n```\n\n```{include} _part.md\n```\n',
        ("first 2", "second 4", "The part, with 12 in it"),
        (":tags:", "name: x"),
    ),
    # jgm/pandoc#9746
    "comment-above-the-header": Case(
        "<!-- a comment -->\n\n---\ntitle: Behind a comment\n---\n\nText.\n",
        ("Behind a comment", "Text."),
        ("title:",),
    ),
    "attributes-of-python": Case(
        '```{.python .numberLines startFrom="5"}\nz = 3\nprint("z is", z)\n```\n', ("z is 3",), ("startFrom=",)
    ),
    # quarto-dev/quarto-cli#9972
    "depth-of-numbers": Case(
        "---\nnumber-sections: true\nnumber-depth: 2\n---\n\n# Preface {-}\n\n# One {#sec-one}\n\n## Sub {#sec-sub}\n\n"
        "### Below {#sec-below}\n\nText.\n\n# More {.appendix}\n\nSee @sec-one, @sec-sub.\n",
        ("Preface", "Below", "Section 1, Section 1.1"),
        ("1.1.1 Below",),
    ),
    # jupyter/notebook#4312
    "await": Case(
        """```{python}
import asyncio
async def thrice(x):
    await asyncio.sleep(0.001)
    return 3 * x
print("first", await thrice(7))
await thrice(8)
```

```{python}
print(await asyncio.gather(thrice(1), thrice(2)))
```

```{python}
asyncio.run(thrice(10))
```

Inline `await thrice(11)`{.python}.
""",
        ("first 21", "24", "[3, 6]", "30", "Inline 33."),
        ("coroutine",),
    ),
    # marimo-team/marimo#9717
    "pools": Case(
        """```{python}
import multiprocessing as mp
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

@dataclass
class Side:
    length: int

def area(side):
    return side.length ** 2

with ProcessPoolExecutor(2) as pool:
    print("default", list(pool.map(area, [Side(2), Side(3)])))
with mp.get_context("spawn").Pool(2) as pool:
    print("spawn", pool.map(area, [Side(4), Side(5)]))
```
""",
        ("default [4, 9]", "spawn [16, 25]"),
    ),
    # quarto-dev/quarto-cli#141
    "formulas-of-sympy": Case(
        """```{python}
#| echo: false
import sympy as sp
sp.init_printing()
w, beta = sp.symbols("w beta")
sp.Eq(sp.Symbol("J"), sp.Integral(sp.exp(-beta * w**2), (w, -sp.oo, sp.oo)))
```

```{python}
#| echo: false
[sp.sqrt(3), sp.Rational(1, 7)]
```

And `sp.diff(sp.cos(w)**3, w)`{.python} inline.
""",
        ("And", "inline."),
        ("image/png", "Integral(", "sqrt(3)", "cos(w)"),
        only={
            "html": (r"\int\limits_{-\infty}^{\infty}", r"\frac{1}{7}", r"\cos"),
            "gfm": (r"\frac{1}{7}", r"\sqrt{3}"),
            "tex": (r"\frac{1}{7}", r"\sqrt{3}"),
        },
    ),
    # quarto-dev/quarto-cli#2513
    "styled-tables": Case(
        """```{python}
#| label: tbl-marked
#| tbl-cap: Marked results
#| echo: false
import pandas as pd
frame = pd.DataFrame({"part": ["fit", "held"], "hit": [0.975, 0.911], "gap": [-2, 5]})
(frame.style.format({"hit": "{:.1%}"}).map(lambda v: "color: red; font-weight: bold" if v < 0 else "", subset=["gap"])
 .background_gradient(cmap="Blues", subset=["hit"]).hide(axis="index"))
```

See @tbl-marked.
""",
        ("Marked results", "97.5%", "91.1%", "held", "Table 1"),
        ("0.975", "style>"),
        only={"html": ("color: red",), "tex": ("textcolor", "colorbox")},
    ),
    # ipython/ipython#4581
    "signs-of-all-kinds": Case(
        r"""```{python}
import sys
print("naïve π ≈ 3.14, ∂f/∂x → ∞, ñ, Ж")
print(sys.stdout.encoding, sys.stdout.isatty())
print("bell\x07 null\x00 form\x0c tab\tend")
print("\ud83d lone".encode("utf-8", "replace").decode())
```

```{python}
print("lone", "\ud800", "there")
```
""",
        ("naïve π ≈ 3.14, ∂f/∂x → ∞, ñ, Ж", "utf-8 False", "? lone", "lone \\ud800 there"),
        ("\x07", "\x00", "\x0c"),
    ),
    # yzane/vscode-markdown-pdf#320
    "kinds-of-diagrams": Case(
        """```mermaid
timeline
    title Terms
    section First
        Autumn<br>8 hours : Seminar
```

```mermaid
gitGraph
    commit id: "begin"
    branch work
    commit
    checkout main
    merge work tag: "v2"
```

```mermaid
mindmap
  root((Core))
    Wave
    Cubic<br/>curve
```

```mermaid
quadrantChart
    x-axis Near --> Far
    y-axis Cool --> Hot
    P: [0.2, 0.8]
```

```mermaid
xychart-beta
    title "Error"
    x-axis [1, 2, 3]
    line [9, 3, 1]
```

```mermaid
pie showData
    "seen" : 70
    "unseen" : 30
```

```mermaid
gantt
    dateFormat YYYY-MM-DD
    section S
    Draft :a1, 2026-02-01, 9d
```

```mermaid
block-beta
columns 1
    start[["Above<br/>below"]]
```

```mermaid
stateDiagram-v2
    [*] --> Rest
    Rest --> Moves : push / $F$
```

```mermaid
sequenceDiagram
    participant A as Jürgen
    A->>+B: Hi<br/>there #quot;friend#quot;
    Note right of B: Thinks
    B-->>-A: Reply <ok>
```

```mermaid
erDiagram
    NOTE ||--o{ BLOCK : holds
```

```mermaid
journey
    section Walk
      Rise: 2: Me
```

```mermaid
sankey-beta
a,b,7
```

The end.
""",
        ("The end.",),
        ("br/&gt;", "Syntax error"),
    ),
    # mne-tools/mne-python#9832
    "figures-once": Case(
        """```{python}
#| label: fig-shown
#| fig-cap: Shown by hand
#| echo: false
import matplotlib.pyplot as plt
figure, axes = plt.subplots(figsize=(2, 1))
axes.plot([5, 6])
display(figure)
```

See @fig-shown.
""",
        ("Shown by hand", "Figure 1"),
    ),
    # Quarto's and MyST's words for what stands beside the text
    "beside-the-text": Case(
        "Words.[A note beside them]{.aside} More.\n\n::: {.column-margin}\nA box there.\n:::\n\n"
        "```{margin} Head\nIts text.\n```\n\n:::{aside}\nThe last.\n:::\n",
        ("A note beside them", "A box there.", "Head", "Its text.", "The last."),
        (":::", "{margin}", "{aside}"),
        only={"html": ('<span class="aside">',), "gfm": ("> A box there.", "[^1]"), "tex": ("\\footnote{A",)},
    ),
    # a mutated note: what never closes, many times
    "much-that-never-ends": Case(
        "".join(f"\\begin{{tabular}}{{c}} row {n} \\\\\n\n" for n in range(14)) + "[" * 400 + "\n\nThe end.\n",
        ("row 13", "The end."),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of the pages, and what the build says."""
    folder = tmp_path_factory.mktemp("cases")
    (folder / "fitnotes.toml").write_text("")
    notes = folder / "notes"
    notes.mkdir()
    for name, case in CASES.items():
        (notes / f"{name}.md").write_text(case.note)
    (notes / "_part.md").write_text("---\ntitle: Of its own\n---\n\nThe part, with `{python} 3 * 4` in it.\n")
    (notes / "books.bib").write_text("@book{ada, author={Lovelace, Ada}, title={Notes}, year={1843}}\n")
    subprocess.run(
        [sys.executable, "-c", "import matplotlib.image as m; m.imsave('a.png', [[0, 1], [1, 0]])"],
        cwd=notes, check=True,
    )  # fmt: skip
    command = [Path(sys.executable).parent / "fitnotes", "build", "--output", "out"]
    command += [word for target in ALL for word in ("--to", target)]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 1, done.stderr
    return folder / "out", done.stderr


def _text(pages: Path, name: str, target: str) -> str:
    """What a reader finds there, blanks made one."""
    suffix = {"html": "html", "gfm": "md", "pdf": "pdf", "tex": "tex"}[target]
    page = pages / target / f"{name}.{suffix}"
    if target == "pdf":
        text = subprocess.run(
            ["pdftotext", "-raw", page, "-"], capture_output=True, text=True, check=True
        ).stdout
    else:
        text = page.read_text()
    if target == "html":
        text = re.sub(r"(?s)<(script|style)\b.*?</\1>", "", text)
    return " ".join(text.split())


def _plain(text: str, target: str) -> str:
    """Without the markup of its target, as far as words in it are looked for."""
    if target == "html":
        text = re.sub(r"<[^>]*>", "", text)
    if target in ("html", "gfm"):
        text = unescape(re.sub(r"</?(?:b|i|em|strong|a|span|code|kbd|mark|img|sup|sub)\b[^>]*>", "", text))
    if target == "gfm":
        text = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text.replace("\\\\", "\\"))
        text = re.sub(r"\[([^\]^]*)\]\([^)]*\)", r"\1", text).replace("**", "")
    if target == "tex":
        text = re.sub(
            r"\\(?:textbf|emph|texttt|href\{[^}]*\}|hyperref\[[^]]*\]|protect|hyperlink\{[^}]*\})(?=[{ ])",
            "",
            text,
        )
        text = (
            text.replace("\\textbackslash{}", "\\")
            .replace("\\textbackslash ", "\\")
            .replace("\\textbar{}", "|")
            .replace("\\textbar ", "|")
            .replace("\\^{}", "^")
            .replace("~", " ")
        )
        text = re.sub(r"\\([%#&_${}])", r"\1", text).replace("{}", "")
        text = re.sub(r"\{([^{}\\]*)\}", r"\1", text)
    text = " ".join(text.replace("\xa0", " ").replace("\xad", "").split())
    return text.replace("- ", "-").replace(" ", "") if target == "pdf" else text


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("target", ALL)
def test_the_page_shows_what_the_note_says(name: str, target: str, built: tuple[Path, str]) -> None:
    case, text = CASES[name], _text(built[0], name, target)
    plain = _plain(text, target)
    seen = (
        (lambda words: words.replace("- ", "-").replace(" ", ""))
        if target == "pdf"
        else (lambda words: words)
    )
    assert [words for words in case.shown if seen(words) not in plain] == [], plain
    assert [words for words in case.absent if target != "tex" and seen(words) in plain] == [], plain
    for words in case.only.get(target, ()):
        assert words in text or seen(words) in plain, text


@pytest.mark.parametrize("name", CASES)
def test_the_build_says_what_is_not_as_written(name: str, built: tuple[Path, str]) -> None:
    case = CASES[name]
    messages = re.findall(rf"(?m)^notes/{name}\.md.*(?:\n  .*)*", built[1])
    messages = [message for message in messages if "lualatex" not in message]  # what is not installed
    for words in case.said:
        assert any(words in message for message in messages), messages
    if not case.said:
        assert messages == []
