"""Citations: every kind of bibliography, links both ways, and what is missing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from conftest import Run
from test_corpus import archive, pdf, plain
from test_numbering import words

BIBTEX = """@book{knuth84, author={Donald E. Knuth}, title={The {TeX}book with $x^2$},
  publisher={Addison-Wesley}, year=1984}
@book{lamport94, author={Leslie Lamport}, title={{LaTeX}}, publisher={Addison-Wesley}, year=1994}
"""
CSL_JSON = json.dumps(
    [{"id": "knuth84", "type": "book", "author": [{"family": "Knuth", "given": "Donald E."}],
      "title": "The TeXbook", "issued": {"date-parts": [[1984]]}}]
)  # fmt: skip
CSL_YAML = """references:
- id: knuth84
  type: book
  author:
  - family: Knuth
    given: Donald E.
  title: The TeXbook
  issued:
    date-parts: [[1984]]
"""
NUMERIC = """<style xmlns="http://purl.org/net/xbiblio/csl" class="in-text" version="1.0" default-locale="en-US">
<info><title>n</title><id>n</id><updated>2020-01-01T00:00:00+00:00</updated></info>
<citation collapse="citation-number"><sort><key variable="citation-number"/></sort>
<layout prefix="[" suffix="]" delimiter=","><text variable="citation-number"/></layout></citation>
<bibliography second-field-align="flush"><layout><text variable="citation-number" prefix="[" suffix="]"/>
<names variable="author"><name/></names><text variable="title" prefix=", "/></layout></bibliography>
</style>
"""
NOTE = """---
bibliography: {}
---

# Text

As @knuth84 says. See [@knuth84, p. 3].
"""


def page(project: Path) -> str:
    return (project / "_build" / "html" / "note.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.bib", BIBTEX), ("a.json", CSL_JSON), ("a.yaml", CSL_YAML)],
    ids=["bib", "json", "yaml"],
)
def test_bibliographies(name: str, text: str, fitnotes: Run, write, project: Path) -> None:
    write(name, text)
    write("note.md", NOTE.format(name))
    done = fitnotes("build", "note.md")
    assert (done.returncode, done.stderr) == (0, "")
    html = page(project)
    shown = plain(words(html))
    assert plain("As Knuth (1984) says. See (Knuth 1984, 3).") in shown
    assert plain("References") in shown
    # From each place to the entry, and back to each place.
    assert html.count('href="#ref-knuth84"') == 2
    for n in (1, 2):
        assert html.count(f'href="#cite-knuth84-{n}"') == 1
        assert html.count(f'id="cite-knuth84-{n}"') == 1
    # Another file with the same key in it: the page is made anew.
    write(name, text.replace("1984", "1986"))
    assert "wrote" in fitnotes("build", "note.md").stdout
    assert "1986" in page(project)


@pytest.mark.parametrize("target", ["html", "pdf", "gfm", "docx", "epub", "slides"])
def test_a_missing_key_is_marked_and_said_once(target: str, fitnotes: Run, write, project: Path) -> None:
    write("a.bib", BIBTEX)
    write("note.md", "---\nbibliography: a.bib\n---\n\nSee [@lamport94; @nobody].\n\nAgain @nobody.\n")
    done = fitnotes("build", "note.md", "--to", target)
    assert done.returncode == 0
    assert done.stderr == "note.md:5: warning: citation of nobody, which the bibliography does not have\n"
    folder = project / "_build" / target
    if target == "pdf":
        text = pdf(folder / "note.pdf")[0]
        assert plain("(p. 1)") in plain(text)
    elif target == "docx":
        text = archive(folder / "note.docx", r"word/document\.xml")
    elif target == "epub":
        text = archive(folder / "note.epub", r"text/ch.*\.xhtml")
    else:
        written = (folder / ("note.md" if target == "gfm" else "note.html")).read_text(encoding="utf-8")
        text = written if target == "gfm" else words(written)
        assert target == "gfm" or '<span class="error">nobody?</span>' in written
    assert plain("Lamport 1994") in plain(re.sub(r"\]\([^)]*\)|\[", "", text))
    assert "nobody?" in text
    assert "ref-nobody" not in text


def test_the_bibliography_of_a_project_and_its_style(fitnotes: Run, write, project: Path) -> None:
    write("all.bib", BIBTEX)
    write("numeric.csl", NUMERIC)
    write("fitnotes.toml", 'bibliography = "all.bib"\ncsl = "numeric.csl"\n')
    write("own.yaml", CSL_YAML.replace("knuth84", "own").replace("TeXbook", "Own book"))
    write("notes/one.md", "See [@lamport94] and [@knuth84].\n")
    write(
        "notes/two.md",
        "---\nbibliography: ../own.yaml\n---\n\n[@own; @knuth84]\n\n# Sources\n\n::: {#refs}\n:::\n",
    )
    write("notes/none.md", "No citation, mail me@example.com.\n")
    done = fitnotes("build")
    assert (done.returncode, done.stderr) == (0, "")
    one = plain(words((project / "_build" / "html" / "one.html").read_text(encoding="utf-8")))
    assert plain("See [1] and [2].") in one
    two = plain(words((project / "_build" / "html" / "two.html").read_text(encoding="utf-8")))
    assert "[1,2]" in two
    assert plain("Own book") in two
    assert "References" not in two  # it has a heading of its own
    assert "References" not in (project / "_build" / "html" / "none.html").read_text(encoding="utf-8")


def test_missing_files_are_said(fitnotes: Run, write, project: Path) -> None:
    write("note.md", "---\nbibliography: none.bib\ncsl: none.csl\n---\n\nSee [@knuth84].\n")
    done = fitnotes("build", "note.md")
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "note.md:2: warning: bibliography none.bib not found",
        "note.md:3: warning: csl none.csl not found",
        "note.md:6: warning: citation of knuth84, but there is no bibliography",
    ]
    assert '<span class="error">[@knuth84]</span>' in page(project)


def test_a_broken_bibliography_is_one_error(fitnotes: Run, write, project: Path) -> None:
    write("a.json", "[{")
    write("note.md", NOTE.format("a.json"))
    done = fitnotes("build", "note.md")
    assert done.returncode == 1
    assert done.stderr.startswith("note.md:2: ")
    assert "a.json" in done.stderr
    assert len(done.stderr.splitlines()) == 1  # said once; what was cited stays, marked
    assert page(project).count('<span class="error">') == 2


def test_citations_in_captions_titles_and_abstract(fitnotes: Run, write, project: Path) -> None:
    write("a.bib", BIBTEX)
    write("note.md", "---\ntitle: On @knuth84\nabstract: After @lamport94.\nbibliography: a.bib\nnocite: '@*'\n---\n\n"
          "| a |\n|---|\n| [@knuth84] |\n\n: From @knuth84\n\n> Quoted.[^1]\n\n[^1]: By @lamport94.\n")  # fmt: skip
    done = fitnotes("build", "note.md", "--to", "html", "--to", "pdf", "--to", "tex")
    assert (done.returncode, done.stderr) == (0, "")
    shown = plain(words(page(project)))
    for said in ("On Knuth (1984)", "After Lamport (1994).", "From Knuth (1984)", "By Lamport (1994)"):
        assert plain(said) in shown, said
