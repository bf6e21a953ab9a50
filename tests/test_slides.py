"""Slides: decks in Chromium and as PDF, from a talk, from a note that is too full, and from one for Marp."""

from __future__ import annotations

import json
import re
import shutil
from html import unescape
from pathlib import Path

import pytest
from conftest import ROOT, Run, needs
from PIL import Image
from pypdf import PdfReader
from test_corpus import plain
from test_pages import build, served, visit

FULL = """---
title: Too full
---

# One

## Fits

- a
- b

## Does not fit

1. a
2. b
3. c
4. d
5. e
6. f
7. g
8. h
9. i
10. j
11. k
12. l
13. m
14. n
15. o
16. p
17. q
18. r

---

```{.python echo=false}
import matplotlib.pyplot as plt
plt.figure(figsize=(12, 9))
plt.plot([1, 2]);
```

## A table as wide as the sea

| alpha beta gamma | delta epsilon zeta | eta theta iota | kappa lambda mu | nu xi omicron | pi rho sigma tau |
|------------------|--------------------|----------------|-----------------|---------------|------------------|
| 1.2345678901     | 2.3456789012       | 3.4567890123   | 4.5678901234    | 5.678901234   | 6.7890123456     |

$$
a + b + c + d + e + f + g + h + i + j + k + l + m + n + o + p + q + r + s + t + u + v + w + x + y + z
+ a + b + c + d + e + f + g = 0
$$

```{.mermaid}
graph TD
  a["$\\\\frac{a}{b}$"] --> b --> c --> d --> e --> f --> g
```
"""
HARD = """---
title: Hard
abstract: An abstract with $x$.
---

# Wide

```python
import pandas as pd
print("x" * 170 + "LAST")
pd.DataFrame({f"column{i}": [i * 1.5, 2.5] for i in range(11)})
```

# Tall

![](tall.png){width=60%}

# Notes

Words.[^1] A [link](#nowhere).

\\newpage

[^1]: The footnote.

# Tabs

::: {.panel-tabset}
## Tab one
First tab.

## Tab two
Second tab.
:::

# Columns

:::: columns
::: column
### Inner
left

. . .

later
:::
::: column
right
:::
::::

# Results

```{.python output=asis echo=false}
print("words\\n\\n# From a block\\n\\nmore")
```
"""
COLOURS = """---
marp: true
_class: lead
backgroundColor: lightyellow
paginate: true
---

# First

---

<!-- _backgroundColor: rebeccapurple -->

# Purple

one line
and another

---

![bg](#123456)

# A colour as image

---

<!-- _paginate: hold -->
<!-- _backgroundImage: url(dot.png) -->

# By directive

---

<!-- _paginate: skip -->

![h:200](tall.png)

---

---

# Last <!-- said by the way -->
"""
DECKS = {"marp": 7, "talk": 9, "full": 6, "hard": 8, "colours": 7}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The decks, built to HTML and to PDF by Typst."""
    folder = tmp_path_factory.mktemp("slides")
    (folder / "notes").mkdir()
    shutil.copy(ROOT / "notes" / "talk.md", folder / "notes")
    for name in ("marp.md", "dot.png"):
        shutil.copy(ROOT / "tests" / "notes" / name, folder / "notes")
    (folder / "notes" / "full.md").write_text(FULL.replace("\\\\\\\\", "\\\\"), encoding="utf-8")
    for name, text in (("hard", HARD), ("colours", COLOURS)):
        (folder / "notes" / f"{name}.md").write_text(text.replace("\\\\", "\\"), encoding="utf-8")
    Image.new("RGB", (400, 900), "navy").save(folder / "notes" / "tall.png")
    outcomes = build(folder, folder / "notes", "slides", "slides-pdf")
    assert [str(p) for o in outcomes for p in o.problems if p.severity == "error"] == []
    (folder / "warnings.json").write_text(
        json.dumps({o.source.path.stem: [(p.line, p.message) for p in o.problems] for o in outcomes})
    )
    return folder


def deck(root: Path, name: str) -> str:
    return (root / "_build" / "slides" / f"{name}.html").read_text(encoding="utf-8")


PROBE = """
window.onload = async function () {
  const frame = document.querySelector("iframe"), inside = frame.contentWindow;
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));
  while (!inside.deck || !inside.deck.isReady()) await wait(50);
  const deck = inside.deck, slides = [];
  for (let n = 0; n < deck.getTotalSlides(); n++) {
    deck.slide(n, 0, 99);
    await wait(150);
    const slide = deck.getCurrentSlide(), room = slide.getBoundingClientRect();
    const parts = [...slide.querySelectorAll("h1, h2, p, li, img, table, pre, .math svg, figcaption")];
    const outside = parts.filter((part) => {
      const box = part.getBoundingClientRect();
      if (!box.width || part.closest("aside, .assistive, .slide-bg")) return false;
      return box.right > room.right + 2 || box.bottom > room.bottom + 2 || box.left < room.left - 2;
    });
    const body = slide.querySelector(".slide-body");
    slides.push({
      text: slide.innerText, outside: outside.map((part) => part.outerHTML.slice(0, 80)),
      over: body ? body.scrollHeight - body.clientHeight : 0, height: room.height,
      cut: [...slide.querySelectorAll("table, pre")].filter((part) => part.scrollWidth > part.clientWidth + 1).length,
      blank: [...slide.querySelectorAll("img")].filter((image) => !image.naturalWidth).length,
    });
  }
  deck.slide(0);
  const press = (code) => new inside.KeyboardEvent("keydown", { keyCode: code, bubbles: true });
  const key = (code) => inside.document.dispatchEvent(press(code));
  const where = [];
  for (const code of [39, 39, 37, 36, 35]) { key(code); await wait(50); where.push(deck.getIndices().h); }
  const result = document.createElement("pre");
  result.id = "result";
  const asked = inside.performance.getEntriesByType("resource").length;
  result.textContent = JSON.stringify({ slides, where, asked });
  document.body.append(result);
};"""


@needs("chromium")
@pytest.mark.parametrize("name", DECKS)
def test_a_deck_in_the_browser(name: str, root: Path, tmp_path: Path) -> None:
    folder = root / "_build" / "slides"
    probe = f'<iframe src="{name}.html" width="1280" height="720"></iframe><script>{PROBE}</script>'
    (folder / f"probe-{name}.html").write_text(probe, encoding="utf-8")
    with served(folder) as address:
        dom, console, asked = visit(f"{address}/probe-{name}.html", tmp_path)
    assert console == []
    names = {url.rpartition("/")[2] for url in asked} - {"", "favicon.ico"}
    assert all("127.0.0.1" in url or "localhost" in url for url in asked)
    assert names == {f"{name}.html", f"probe-{name}.html"}
    match = re.search(r'<pre id="result">(.*?)</pre>', dom, re.DOTALL)
    assert match, dom[-800:]
    found = json.loads(unescape(match[1]))
    assert len(found["slides"]) == DECKS[name]
    for slide in found["slides"]:
        assert slide["outside"] == [], slide["text"]
        assert slide["over"] <= 1, slide["text"]
        assert (slide["blank"], slide["cut"]) == (0, 0), slide["text"]
        assert abs(slide["height"] - 720) < 2
    last = DECKS[name] - 1
    assert found["where"] == [1, 2, 1, 0, last]  # right, right, left, home, end
    assert found["asked"] == 0


@pytest.mark.parametrize("name", DECKS)
def test_a_deck_is_one_file(name: str, root: Path) -> None:
    text = deck(root, name)
    body = text[text.index("</head>") :]
    body = re.sub(r"(?s)<script.*?</script>", "", body)
    for address in re.findall(r'(?:src|href|srcset|data-src)="([^"]*)"', body):
        assert address.startswith(("data:", "#")) or address.endswith(".html"), address[:100]
    assert "url(http" not in text
    assert not (root / "_build" / "slides" / f"{name}_files").exists()


@pytest.mark.parametrize("name", DECKS)
def test_a_pdf_deck_has_a_page_for_each_slide(name: str, root: Path) -> None:
    pages = PdfReader(root / "_build" / "slides-pdf" / f"{name}.pdf").pages
    assert len(pages) == DECKS[name]
    box = pages[0].mediabox
    assert float(box.width) / float(box.height) == pytest.approx(16 / 9, rel=1e-3)


def test_over_full_slides_are_said_with_their_lines(root: Path) -> None:
    said = json.loads((root / "warnings.json").read_text())
    assert said["talk"] == []
    for name in ("marp", "hard", "colours"):
        assert [words for _, words in said[name] if "#nowhere leads nowhere" not in words] == [], name
    lines = dict(said["full"])
    assert "the slide 'Does not fit' is over-full: it is shown at" in lines[12]
    assert 5 not in lines
    assert 7 not in lines
    assert len(said["full"]) == len(lines)  # HTML and PDF say the same, once


@pytest.mark.parametrize("engine", ["lualatex", "pdflatex"])
def test_beamer(engine: str, root: Path, tmp_path: Path) -> None:
    if shutil.which(engine) is None:
        pytest.skip(f"{engine} is not installed")
    names = ("marp", "full", "colours") if engine == "lualatex" else ("talk",)
    for name in names:
        [outcome] = build(root, root / "notes" / f"{name}.md", "slides-pdf",
                          overrides=(("pdf_engine", engine),), output=tmp_path)  # fmt: skip
        messages = [(p.line, p.message) for p in outcome.problems]
        assert len(PdfReader(tmp_path / "slides-pdf" / f"{name}.pdf").pages) == DECKS[name]
        if name == "full":
            assert (12, "the slide 'Does not fit' is over-full: it is shown smaller") in messages
        else:
            assert messages == []
    text = plain(
        " ".join(p.extract_text() for p in PdfReader(tmp_path / "slides-pdf" / f"{names[0]}.pdf").pages)
    )
    wanted = (
        ("Two behind", "and words", "inner", "1.024")
        if engine == "lualatex"
        else ("What to take home", "They agree")
    )
    for said in wanted:
        assert plain(said) in text, said


def test_what_marp_says_is_read(root: Path) -> None:
    text = deck(root, "marp")
    sections = re.findall(r"(?s)<section (.*?)>(.*?)</section>", text)
    assert 'class="slide lead"' in sections[0][0]
    assert 'class="slide plain"' in sections[1][0]
    assert "has-right" in sections[3][0]
    assert "--share: 40%" in sections[3][0]
    assert 'data-background-color="#22262d"' in sections[4][0]
    assert "color: #ffffff" in sections[4][0]
    assert "dark-slide" in sections[4][0]
    assert "Say that the step size is what matters." in sections[1][1]
    assert '<aside class="notes">' in sections[1][1]
    assert sections[1][1].count("<li>") == 4
    assert 'class="layout"' in sections[2][1]
    assert all("Optimisation, week 3" in body for _, body in sections)
    assert ["A course" in body for _, body in sections] == [True] * 5 + [False] * 2
    numbers = [re.search(r"<span>(\d*)</span></div>", body) for _, body in sections]
    assert [n and n[1] for n in numbers] == ["", "2", "3", "4", "5", None, None]
    assert sections[5][1].count("<img") == 2
    assert "@scope (#slide-7)" in sections[6][1]
    assert "_class" not in text[text.index("<body") :]
    pages = [
        plain(page.extract_text()) for page in PdfReader(root / "_build" / "slides-pdf" / "marp.pdf").pages
    ]
    assert "Bulletsstaybullets" in pages[1]
    assert "stepsize" not in "".join(pages)  # a speaker's note
    assert [("Acourse" in page) for page in pages] == [True] * 5 + [False] * 2


def test_colours_and_numbers_of_marp(root: Path) -> None:
    sections = re.findall(r"(?s)<section (.*?)>(.*?)</section>", deck(root, "colours"))
    grounds = [re.search(r'data-background-color="([^"]*)"', head) for head, _ in sections]
    assert [g and g[1] for g in grounds] == ["#ffffe0", "#663399", "#123456", *["#ffffe0"] * 4]
    assert ["dark-slide" in head for head, _ in sections] == [False, True, True, *[False] * 4]
    assert ["slide lead" in head for head, _ in sections] == [True, *[False] * 6]
    numbers = [re.search(r"<span>(\d*)</span></div>", body) for _, body in sections]
    assert [n and n[1] for n in numbers] == ["1", "2", "3", "3", None, "4", "5"]
    assert 'class="slide-bg' in sections[3][1]
    assert "height: 200px" in sections[4][1]
    assert "one line<br" in sections[1][1]
    assert "said by the way" in sections[6][1].split("<aside")[1]
    assert "<h1" in sections[2][1]


def test_nothing_is_lost_on_hard_slides(root: Path) -> None:
    text = deck(root, "hard")
    pages = [
        plain(page.extract_text()) for page in PdfReader(root / "_build" / "slides-pdf" / "hard.pdf").pages
    ]
    for said in (
        "An abstract",
        "LAST",
        "column10",
        "The footnote.",
        "First tab.",
        "Second tab.",
        "Inner",
        "later",
        "more",
    ):
        assert said in text, said
        assert plain(said) in "".join(pages), said
    assert plain("The footnote.") in next(page for page in pages if page.startswith("Notes"))
    sections = re.findall(r'(?s)<section id="slide-\d.*?</section>', text)
    assert "The footnote." in sections[2]
    assert sections[4].count("<div>\n") >= 2  # both columns are there
    assert ". . ." not in sections[4]


@pytest.mark.parametrize("words", ["bg right:half", "bg opacity:thin", "bg w:x 12345%", "bg left:-3%"])
def test_words_about_a_picture_that_mean_nothing_stop_no_deck(
    words: str, fitnotes: Run, write, project: Path
) -> None:
    shutil.copy(ROOT / "tests" / "notes" / "dot.png", project)
    attributes = 'zoom=abc opacity=";x" share="1e9" side=up fit=";"'
    write(
        "note.md",
        f"# Slide\n\nWords\n\n![{words}](dot.png)\n\n---\n\n![bg](dot.png){{{attributes}}}\n\nMore\n",
    )
    done = fitnotes("build", "note.md", "--to", "slides", "--to", "slides-pdf")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_marp_note_as_a_page(fitnotes: Run, write, project: Path) -> None:
    write("note.md", (ROOT / "tests" / "notes" / "marp.md").read_text(encoding="utf-8"))
    shutil.copy(ROOT / "tests" / "notes" / "dot.png", project)
    done = fitnotes("build", "note.md", "--to", "html", "--to", "gfm")
    assert (done.returncode, done.stderr) == (0, "")
    page = (project / "_build" / "html" / "note.html").read_text(encoding="utf-8")
    assert "bg right" not in page
    assert "step size is what matters" not in page
    assert "#a00000" not in page
    assert (project / "_build" / "gfm" / "note.md").read_text(encoding="utf-8").count("note_files/dot-") == 4


SPLITS = {
    "headings of one level": ("# A\n\na\n\n# B\n\nb\n", ["A", "B"]),
    "sections above": ("# S\n\n## A\n\na\n\n## B\n\nb\n", ["S", "A", "B"]),
    "content below the first level": ("# A\n\nwords\n\n## inner\n\nb\n", ["A"]),
    "rules": ("a\n\n---\n\nb\n\n---\n\nc\n", ["", "", ""]),
    "rule before a heading": ("# A\n\na\n\n---\n\n# B\n\nb\n", ["A", "B"]),
    "an own level": ("---\nslide-level: 2\n---\n\n# S\n\nwords\n\n## A\n\na\n", ["S", "A"]),
    "rules in code": ("# A\n\n```yaml\n---\na: 1\n---\n```\n", ["A"]),
    "only rules in Marp": ("---\nmarp: true\n---\n\n# A\n\n## a\n\n---\n\n## B\n", ["A", "B"]),
    "a divider in Marp": ("---\nmarp: true\nheadingDivider: 2\n---\n\n# A\n\n## B\n\n### c\n", ["A", "B"]),
    "headings in boxes": ("# A\n\n::: {.callout-tip}\n## T\nw\n:::\n\n# B\n\nb\n", ["A", "B"]),
}


@pytest.mark.parametrize("name", SPLITS)
def test_where_slides_begin(name: str, write, project: Path) -> None:
    source, titles = SPLITS[name]
    note = write("note.md", source)
    [outcome] = build(project, note, "slides")
    assert outcome.problems == []
    text = (project / "_build" / "slides" / "note.html").read_text(encoding="utf-8")
    text = text[text.index('<div class="slides">') :]
    sections = re.findall(r'(?s)<section id="slide.*?</section>', text)
    heads = [re.search(r"(?s)^<section[^>]*>\s*<h\d[^>]*>(.*?)</h", s) for s in sections]
    assert [re.sub(r"<[^>]+>", "", h[1]).strip() if h else "" for h in heads] == titles


def test_what_is_for_slides_alone(fitnotes: Run, write, project: Path) -> None:
    write("note.md", "# A\n\nwords\n\n. . .\n\nlater\n\n::: notes\nSay it.\n:::\n\n"
          '::: {.content-visible when-format="slides"}\nOnly there.\n:::\n\n::: incremental\n- x\n:::\n')  # fmt: skip
    done = fitnotes("build", "note.md", "--to", "html", "--to", "slides", "--to", "slides-pdf")
    assert (done.returncode, done.stderr) == (0, "")
    page = (project / "_build" / "html" / "note.html").read_text(encoding="utf-8")
    slides = (project / "_build" / "slides" / "note.html").read_text(encoding="utf-8")
    for said in ("Say it.", "Only there."):
        assert said not in page
        assert said in slides
    assert ". . ." not in page + slides[slides.index("<body") :]
    assert re.search(r'(?s)class="fragment">.*later', slides)


def test_a_deck_may_have_a_name_of_its_own(fitnotes: Run, write, project: Path) -> None:
    write("note.md", "# A\n\na\n")
    for name, target in (("deck.html", "slides"), ("deck.pdf", "slides-pdf")):
        done = fitnotes("build", "note.md", "--to", target, "-o", name)
        assert (done.returncode, done.stderr) == (0, "")
        assert (project / name).is_file()
    assert "Reveal" in (project / "deck.html").read_text(encoding="utf-8")


def test_errors_on_slides_show_and_have_lines(fitnotes: Run, write, project: Path) -> None:
    write("note.md", "# A\n\n```python\n1 / 0\n```\n\n$\\nosuch$ and ![](none.png) and @fig-none.\n")
    done = fitnotes("build", "note.md", "--to", "slides", "--to", "slides-pdf")
    assert done.returncode == 1
    raised, image = "note.md:4: block 1 raised ZeroDivisionError", "note.md:7: warning: image none.png"
    for said in (raised, image, "note.md:7: formula", "note.md:7: @fig-none refers to nothing"):
        assert done.stderr.count(said) == 1, said
    text = (project / "_build" / "slides" / "note.html").read_text(encoding="utf-8")
    for shown in ("ZeroDivisionError", "image missing: none.png", "?@fig-none"):
        assert shown in text
