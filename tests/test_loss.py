"""Nothing of a note is missing in any of its outputs without a word: the loss meter over notes, corpus and
documentation, and over things that are longer than a page."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, Run, environment
from loss import lost, words

TARGETS = ("html", "pdf", "gfm", "docx", "tex", "epub")


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """All notes of the repository, built for every target, and what was said."""
    folder = tmp_path_factory.mktemp("all")
    for part in ("notes", "tests/corpus", "docs"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("_build", ".fitnotes"))
    (folder / "fitnotes.toml").write_text('notes = "."\n')
    said = ""
    # The .tex files are looked at by the fastest of the engines.
    for targets, engine in ([t for t in TARGETS if t != "tex"], "typst"), (["tex"], "pdflatex"):
        to = [word for target in targets for word in ("--to", target)]
        done = subprocess.run(
            ["fitnotes", "build", ".", *to, "--no-execute", "--pdf-engine", engine],
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
        )
        said += done.stdout + done.stderr
    return folder, said


def test_the_meter_sees_what_is_gone(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Heading\n\nVisible words and others.\n\n$x$ `code` [link](y)\n")
    (tmp_path / "a.html").write_text("<h1>Heading</h1><p>Visible words and code link</p>")
    assert lost(tmp_path / "a.md", [tmp_path / "a.html"]) == {".html": ["others"]}
    assert lost(tmp_path / "a.md", [tmp_path / "a.html"], "a.md:3: warning: others cannot be shown") == {}
    assert words("ﬁgure naïve x12 ab")["figure"] == 1


@pytest.mark.parametrize("target", TARGETS)
def test_no_word_is_lost(everything: tuple[Path, str], target: str) -> None:
    folder, said = everything
    notes = [
        *(folder / "notes").glob("*.md"),
        *(folder / "tests/corpus").glob("*.md"),
        *(folder / "docs").glob("*.md"),
    ]
    assert len(notes) > 90
    suffix = {"gfm": "md"}.get(target, target)
    gone = {}
    for note in notes:
        output = folder / "_build" / target / note.relative_to(folder).with_suffix(f".{suffix}")
        if not output.is_file():
            assert note.name in said  # and why not
            continue
        if found := lost(note, [output], said):
            gone[note.name] = found
    assert gone == {}


BODY = "".join(f"Paragraph number{n}q with some words.\n\n```\ncode{n}\nmore\n```\n\n" for n in range(40))
LINES = "".join(f"Line number{n}q\n" for n in range(130))
ROWS = "| a | b |\n|---|---|\n" + "".join(f"| number{n}q | x |\n" for n in range(90))
SENTENCES = " ".join(f"Sentence number{n}q goes on with more words." for n in range(260))


def _inside(first: str, text: str, others: str | None = None) -> str:
    lines = text.split("\n")
    rest = first if others is None else others
    return "\n".join([first + lines[0], *(rest + line for line in lines[1:])])


LONG = {
    "theorem": f"::: {{.theorem}}\n{BODY}:::\n",
    "solution": f"::: {{.solution}}\n{BODY}:::\n",
    "callout": f"::: {{.callout-note}}\n{BODY}:::\n",
    "alert": "> [!TIP]\n" + _inside("> ", BODY),
    "quotation": _inside("> ", BODY),
    "list": _inside("- ", BODY, "  "),
    "definitions": "Term\n" + _inside(":   ", BODY, "    "),
    "columns": f":::: columns\n::: {{.column}}\n{BODY}:::\n::: {{.column}}\nx\n:::\n::::\n",
    "row": f":::: {{layout-ncol=2}}\n::: {{}}\n{BODY}:::\n\n::: {{}}\nx\n:::\n::::\n",
    "tabs": f"::: {{.panel-tabset}}\n# A\n\n{BODY}\n# B\n\nx\n:::\n",
    "aligned": f'<div align="center">\n\n{BODY}\n</div>\n',
    "details": f"<details>\n<summary>More</summary>\n\n{BODY}\n</details>\n",
    "table": ROWS,
    "captioned table": f"{ROWS}\n: Words {{#tbl-x}}\n",
    "panel": f"::: {{#tbl-y}}\n{ROWS}\n{ROWS.replace('q', 'p')}\nBoth\n:::\n",
    "cell": f"| a | b |\n|---|---|\n| {SENTENCES} | x |\n",
    "code": f"```\n{LINES}```\n",
    "listing": f"```{{#lst-x lst-cap=Words}}\n{LINES}```\n",
    "note": f"Words.^[{SENTENCES}]\n",
    "paragraph": f"{SENTENCES}\n",
    "appendix": f"# A {{.appendix}}\n\n{BODY}",
    "exercise": f"```{{exercise}}\n{_inside('', BODY).replace('```', '~~~')}```\n",
}


@pytest.mark.parametrize("engine", ["typst", "lualatex"])
def test_what_is_longer_than_a_page_is_all_there(engine: str, fitnotes: Run, write, project: Path) -> None:
    for name, text in LONG.items():
        write(f"{name}.md", f"Before it.\n\n{text}\nAfter all.\n")
    done = fitnotes("build", ".", "--to", "pdf", "--pdf-engine", engine, timeout=400)
    gone = {}
    for name, text in LONG.items():
        wanted = [f"number{n}q" for n in range(300) if f"number{n}q" in text]
        file = project / "_build/pdf" / f"{name}.pdf"
        shown = subprocess.run(["pdftotext", "-raw", file, "-"], capture_output=True, text=True).stdout
        shown = shown.replace("\n", " ")
        missing = [
            word
            for word in wanted
            if word not in shown.replace("- ", "").replace(" ", "") and word not in shown
        ]
        said = f"{name}.md: warning: {engine}: something is higher than a page" in done.stderr
        if (missing and not said) or "After all." not in shown:
            gone[name] = missing[:3]
    assert gone == {}
