"""Tables: decimal points below one another, captions that stay, and columns that have room."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import panflute as pf
import pytest
from conftest import Run, needs
from hypothesis import given, settings
from hypothesis import strategies as st

from fitnotes.document import pandoc
from fitnotes.document.tree import load
from fitnotes.passes import tables

NUMBERS = st.one_of(
    st.integers(-9999, 99999).map(str), st.decimals(-999, 9999, places=3).map(str),
    st.sampled_from(["0.5", "12.25", "-3.0"]),
)  # fmt: skip


def _read(markdown: str) -> pf.Doc:
    return load(pandoc.run(["-f", pandoc.READER, "-t", "json"], markdown).text, "html")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=6), st.sampled_from(["---", "--:"]))
def test_decimal_points_stand_below_one_another(rows: list[tuple[str, str]], side: str) -> None:
    doc = _read(f"| a | b |\n|{side}|{side}|\n" + "".join(f"| {a} | {b} |\n" for a, b in rows))
    tables.set_widths(doc, 0, wraps=True, pad=tables.spaces)
    table = doc.content[0]
    for n in (0, 1):
        cells = [pf.stringify(row.content[n]) for row in table.content[0].content]
        assert [cell.rstrip("\u2007\u2008") for cell in cells] == [
            row[n] for row in rows
        ]  # as they were written
        if table.colspec[n][0] == "AlignRight":
            behind = {len(cell) - len(re.split(r"[.\u2008]", cell)[0]) for cell in cells}
            assert len(behind) == 1  # places behind the digits in front of the point


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 30), st.integers(3, 40), st.integers(40, 120), st.booleans())
def test_every_column_has_room_and_none_is_lost(columns: int, width: int, room: int, wraps: bool) -> None:
    head = [f"c{n}x".ljust(width, "y") for n in range(columns)]
    doc = _read("| " + " | ".join(head) + " |\n|" + "---|" * columns + "\n| " + " | ".join(head) + " |\n")
    tables.set_widths(doc, room, wraps=wraps, pad=None)
    shown = pf.stringify(doc)
    for n in range(columns):
        assert f"c{n}x" in shown
    for part in doc.content:
        words = sum(width + 2.5 for _ in part.colspec)
        assert words <= room * 1.25 or len(part.colspec) <= max(3, 2)
        given = [share for _, share in part.colspec if isinstance(share, float)]
        assert not given or abs(sum(given) - 1) < 0.01


TABLES = """\
```{python}
#| label: tbl-frame
#| tbl-cap: A caption that is much longer than the narrow table below it and wants the room of the text
import pandas as pd
pd.DataFrame({"a": [1.5, 22.25], "n": [7, 300], "s": ["x", "y"]})
```

| Name | Call | Where |
|---|---|---|
| `some_function_with_a_long_name(argument_one)` | `another.module.path.to.something.deep` | `third_thing_of_the_row` |

| """ + " | ".join(f"column{n}" for n in range(18)) + " |\n|" + "---|" * 18 + "\n| " + " | ".join(
    f"value{n}" for n in range(18)) + " |\n\n: Wide {#tbl-wide}\n\nSee @tbl-wide and @tbl-frame.\n"  # fmt: skip


@needs("chromium")
def test_tables_in_a_browser(fitnotes: Run, write, project: Path) -> None:
    write("a.md", TABLES)
    assert fitnotes("build", "a.md").returncode == 0
    script = """
      const boxes = [...document.querySelectorAll("figure.table, main > table, .cell > table")].map(e => {
        const t = e.matches("table") ? e : e.querySelector("table");
        const c = e.querySelector("figcaption"), r = t.getBoundingClientRect();
        return {width: r.width, scrolls: t.scrollWidth > t.clientWidth + 1,
                caption: c ? c.getBoundingClientRect().width : 0,
                above: c ? c.getBoundingClientRect().bottom <= r.top + 1 : true};
      });
      const last = [...document.querySelector("figure.table tbody").lastElementChild.children];
      const said = {boxes, sideways: document.documentElement.scrollWidth - innerWidth,
                    rules: last.map(e => getComputedStyle(e).borderBottomStyle)};
      document.body.dataset.found = JSON.stringify(said);
    """
    page = project / "_build/html/a.html"
    text = re.sub(r"<meta http-equiv=\"Content-Security.*?>", "", page.read_text())
    page.write_text(text.replace("</body>", f"<script>{script}</script></body>"))
    command = [
        "chromium",
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--dump-dom",
        "--window-size=1000,800",
        page.as_uri(),
    ]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    found = json.loads(re.search(r'data-found="([^"]*)"', dom)[1].replace("&quot;", '"'))
    frame, code, wide = found["boxes"]
    assert found["sideways"] <= 0
    assert set(found["rules"]) == {"solid"}  # also below the index
    assert frame["caption"] > frame["width"]
    assert frame["above"]
    assert not frame["scrolls"]
    assert wide["scrolls"]
    assert wide["caption"] <= 1000
    assert code["width"] <= 760


def test_tables_on_paper(fitnotes: Run, write, project: Path) -> None:
    write("a.md", TABLES)
    for engine in ("typst", "lualatex"):
        done = fitnotes("build", "a.md", "--to", "pdf", "--pdf-engine", engine)
        assert done.returncode == 0, done.stderr
        assert "wider than the page" in done.stderr
        boxes = subprocess.run(
            ["pdftotext", "-bbox", project / "_build/pdf/a.pdf", "-"], capture_output=True, text=True
        ).stdout
        page = float(re.search(r'<page width="([\d.]+)"', boxes)[1])
        words = [
            (word, float(a), float(b), float(c), float(d))
            for a, b, c, d, word in re.findall(
                r'xMin="([\d.-]+)" yMin="([\d.-]+)" xMax="([\d.-]+)" yMax="([\d.-]+)">([^<]*)<', boxes
            )
        ]
        for n in range(18):
            assert any(word == f"value{n}" for word, *_ in words), n
        for word, left, top, right, bottom in words:
            assert 20 < left < right < page - 20, word
            for other, left2, top2, right2, bottom2 in words:  # nothing is printed over anything
                across = min(right, right2) - max(left, left2)
                down = min(bottom, bottom2) - max(top, top2)
                same = (word, left, top) == (other, left2, top2)
                assert same or across < 2 or down < 4, (word, other)
        sizes = [bottom - top for word, _, top, _, bottom in words if word.startswith("value")]
        assert min(sizes) > 5  # points


@pytest.mark.parametrize("dashes", ["|---|---|", "|:-----|:--:|", "|--|------------------|"])
def test_widths_by_dashes_where_they_are_meant(dashes: str) -> None:
    doc = _read(f"| a | b |\n{dashes}\n| x | {'long words ' * 12} |\n")
    tables.set_widths(doc, 0, wraps=True, pad=None)
    kept = all(isinstance(width, float) for _, width in doc.content[0].colspec)
    assert kept == (len(dashes) > 18)
