"""The YAML at the top of a note: words stay words, what Quarto and pandoc would do is done or said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Run
from hypothesis import given, settings
from hypothesis import strategies as st

from fitnotes.document import pandoc
from fitnotes.source.mark import mark
from fitnotes.source.note import Note

YES_AND_NO = ["no", "No", "yes", "on", "OFF", "y", "N"]
NUMBERS = ["1.10", "007", "1e3", "0x10", "0o17", "+5", "1.", ".50", "12345678901234567890", "-0", "3", "2.5"]
PLACES = {
    "{key}: {value}": "title",
    "{key}:   {value}   # why": "subtitle",
    "{key}: [Ada, {value}]": "author",
    "{key}:\n  - {value}\n  - Ada": "author",
    "{key}:\n  - name: {value}\n    email: x": "author",
    "{key}:\n- {value}": "keywords",
}
# What must stay as it is.
AROUND = [
    "other: true",
    "macros: |\n  title: 1.10\n  - no",
    "x: 'no'",
    'y: "1.10"',
    "z: [1, 2]",
    "d: 2024-01-02",
]


def _words(value: object) -> list[str]:
    """The strings in a metadata value of pandoc's JSON, and its booleans by their names."""
    if isinstance(value, dict):
        if value.get("t") == "MetaBool":
            return [f"bool {value['c']}"]
        return [] if value.get("t") == "Space" else _words(value.get("c", list(value.values())))
    if isinstance(value, list):
        return [word for item in value for word in _words(item)]
    return [value] if isinstance(value, str) else []


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from([*YES_AND_NO, *NUMBERS]), st.sampled_from(list(PLACES)),
    st.lists(st.sampled_from(AROUND), unique=True, max_size=3), st.sampled_from(["", "\n", "<!-- a comment -->\n\n"]),
)  # fmt: skip
def test_words_of_the_header_are_words(value: str, place: str, around: list[str], above: str) -> None:
    key = PLACES[place]
    text = (
        f"{above}---\n"
        + "\n".join([*around, place.format(key=key, value=value), "last: true"])
        + "\n---\n\nWords.\n"
    )
    assert mark(text).count("\n") == text.count("\n")
    ast, _ = pandoc.read(Note(Path("note.md"), text, mark(text)))
    plain, _ = pandoc.read(Note(Path("note.md"), text, text.removeprefix(above)))
    found, theirs = json.loads(ast)["meta"], json.loads(plain)["meta"]
    assert value in _words(found[key])
    assert found["last"] == {"t": "MetaBool", "c": True}
    assert {k: v for k, v in found.items() if k != key} == {k: v for k, v in theirs.items() if k != key}


def test_a_yes_or_no_is_said_with_its_cure(fitnotes: Run, write, project: Path) -> None:
    write(
        "a.md", "---\ntitle: Yes\nlang: no\nsubtitle: 1.10\n---\n\n| a |\n|---|\n| 1 |\n\n: Tall {#tbl-a}\n"
    )
    done = fitnotes("build", "a.md", "--to", "html", "--to", "pdf")
    assert done.returncode == 0, done.stderr
    assert "a.md:2: warning: title: Yes" in done.stderr
    assert 'write lang: "no"' in done.stderr
    assert "1.10" not in done.stderr  # no other reader is wrong about it, but for the zero
    page = (project / "_build/html/a.html").read_text()
    assert '<html lang="no"' in page
    assert ">Yes</h1>" in page
    assert "1.10" in page


SECTIONS = "# One\n\n## Inner\n\n### Deep\n\n# Two\n\nWords.\n"


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_number_depth(fitnotes: Run, write, project: Path, depth: int) -> None:
    write("a.md", f"---\nnumber-sections: true\nnumber-depth: {depth}\n---\n\n{SECTIONS}")
    assert fitnotes("build", "a.md", "--to", "html", "--to", "tex", "--to", "gfm").returncode == 0
    page = (project / "_build/html/a.html").read_text()
    assert [f'data-number="{n}"' in page for n in ("1", "1.1", "1.1.1", "2")] == [
        True,
        depth > 1,
        depth > 2,
        True,
    ]
    tex = (project / "_build/tex/a.tex").read_text()
    assert ("\\subsection{Inner}" in tex, "\\subsubsection{Deep}" in tex) == (depth > 1, depth > 2)
    gfm = (project / "_build/gfm/a.md").read_text()
    assert ("1.1 Inner" in gfm, "1.1.1 Deep" in gfm, "2 Two" in gfm) == (depth > 1, depth > 2, True)


def test_contents_as_the_note_wants_them(fitnotes: Run, write, project: Path) -> None:
    write("short.md", f"---\ntoc: true\ntoc-depth: 2\n---\n\n{SECTIONS}")
    write(
        "format.md",
        f"---\nformat:\n  html:\n    toc: true\n    toc-depth: 1\n  pdf:\n    toc: false\n---\n\n{SECTIONS}",
    )
    write("none.md", f"---\ntoc: false\n---\n\n{SECTIONS}")
    for name, wanted in (
        ("short", [True, True, False]),
        ("format", [True, False, False]),
        ("none", [False] * 3),
    ):
        assert fitnotes("build", f"{name}.md", "--to", "html", "--to", "tex").returncode == 0
        page = (project / f"_build/html/{name}.html").read_text()
        assert [f'href="#{part}"' in page for part in ("one", "inner", "deep")] == wanted
        tex = (project / f"_build/tex/{name}.tex").read_text()
        assert ("\\tableofcontents" in tex) == (name == "short")


def test_keys_that_mean_nothing_are_said(fitnotes: Run, write) -> None:
    keys = (
        "title: A", "theme: cosmo", "number-offset: 2", "pdf-engine: xelatex", "bibliograhpy: x.bib",
        "number-depth: all", "format:", "  html:", "    css: x.css", "course: Own", "tags: [a]", "jupyter: python3",
    )  # fmt: skip
    write("a.md", "---\n" + "\n".join(keys) + "\n---\n\nWords.\n")
    said = fitnotes("build", "a.md").stderr
    assert "a.md:3: warning: in the header, theme, number-offset, css mean nothing here" in said
    assert (
        "a.md:5: warning: in the header, pdf-engine means nothing by itself\n  write it as pdf-engine below"
        in said
    )
    assert "a.md:6: warning: in the header, bibliograhpy means nothing\n  did you mean bibliography?" in said
    assert "a.md:7: warning: number-depth: all means nothing" in said
    for own in ("course", "tags", "jupyter", "title"):
        assert f" {own}" not in said
