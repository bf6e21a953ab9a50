"""Imports point one way, and the command line starts light."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from conftest import ROOT, Run

from fitnotes.document import nodes
from fitnotes.passes.pipeline import COMPOSE, FINISH

HEAVY = {"torch", "numpy", "panflute", "matplotlib", "IPython", "pandas", "rich", "yaml", "typst"}


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path in sorted((ROOT / "fitnotes").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", node


def test_functions_fit_on_a_screen() -> None:
    """No more than 60 lines. How many ways lead through one, ruff counts."""
    long = [name for name, node in functions() if node.end_lineno - node.lineno >= 60]
    assert not long


def test_no_folder_holds_everything() -> None:
    package = ROOT / "fitnotes"
    lines = {
        folder.name: sum(len(file.read_text(encoding="utf-8").split("\n")) for file in folder.rglob("*.py"))
        for folder in package.iterdir()
        if folder.is_dir()
    }
    assert max(lines.values()) < sum(lines.values()) / 4, lines


def test_every_folder_is_installed() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = {
        ".".join(file.parent.relative_to(ROOT).parts) for file in (ROOT / "fitnotes").rglob("__init__.py")
    }
    assert packages | {"fitnotes.filters", "fitnotes.templates"} == set(
        settings["tool"]["setuptools"]["packages"]
    )


def loaded_by(*arguments: str) -> set[str]:
    code = (
        "import sys\nfrom fitnotes.cli.main import main\n"
        f"try: main({list(arguments)!r})\nexcept SystemExit: pass\n"
        "print('MODULES', *sorted({m.split('.')[0] for m in sys.modules}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return set(out.rsplit("MODULES", 1)[1].split())


def test_help_and_version_load_nothing_heavy() -> None:
    for arguments in (["--help"], ["--version"], ["build", "--help"], ["data-dir"]):
        assert not loaded_by(*arguments) & HEAVY


def test_a_build_with_nothing_to_do_loads_nothing_heavy(fitnotes, write) -> None:
    note = write("note.md", "```python\nprint(1)\n```\n")
    assert fitnotes("build", "note.md").returncode == 0
    import os

    before = os.getcwd()
    os.chdir(note.parent)
    try:
        assert not loaded_by("build", "note.md") & HEAVY
    finally:
        os.chdir(before)


# --------------------------------------------------------------------------------------------------
# docs/architecture.md

GUIDE = ROOT / "docs" / "architecture.md"


def table(head: str, rows: list[list[str]]) -> str:
    return "\n".join(
        [head, "|" + "---|" * head.count(" | ") + "---|", *(f"| {' | '.join(row)} |" for row in rows)]
    )


def steps_table() -> str:
    rows = [
        [
            f"**{s.name}**" if s in FINISH else s.name,
            s.after,
            ", ".join(s.needs),
            str(s.when.__doc__),
        ]
        for s in (*COMPOSE, *FINISH)
    ]
    return table("| step (bold: as the target has it) | what holds after it | needs | taken for |", rows)


def nodes_table() -> str:
    lines = str(nodes.__doc__).split("\n")
    first, second, third = (n for n, line in enumerate(lines) if line.startswith("==="))
    starts = [match.start() for match in re.finditer(r"(?<!=)=", lines[first])]
    rows = [[line[a:b].strip() for a, b in pairwise([*starts, None])] for line in lines[second + 1 : third]]
    return table("| node | what it is in the tree | made by, taken away by |", rows)


@pytest.mark.parametrize(("name", "made"), [("steps", steps_table), ("nodes", nodes_table)])
def test_the_tables_of_the_guide_are_those_of_the_code(
    name: str, made: Callable[[], str], request: pytest.FixtureRequest
) -> None:
    text = GUIDE.read_text(encoding="utf-8")
    start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, _, rest = text.partition(start)
    _, _, after = rest.partition(end)
    expected = f"{before}{start}\n{made()}\n\n{end}{after}"
    if request.config.getoption("--accept"):
        GUIDE.write_text(expected, encoding="utf-8")
        return
    assert text == expected


def test_the_guide_is_a_note_that_builds(fitnotes: Run, project: Path) -> None:
    for file in ("architecture.md", "engine.md"):
        shutil.copy(ROOT / "docs" / file, project)
    done = fitnotes("build", "architecture.md", "engine.md", "--to", "html", "--to", "pdf")
    assert (done.returncode, done.stderr) == (0, "")
    page = (project / "_build" / "html" / "architecture.html").read_text(encoding="utf-8")
    assert "Figure\u00a01" in page


def test_notes_that_heuristics_name_are_there() -> None:
    named = {
        (path.name, name)
        for path in (ROOT / "fitnotes").rglob("*.py")
        for name in re.findall(r"\b(corpus/[\w-]+|tests/notes/[\w-]+)", path.read_text(encoding="utf-8"))
    }
    assert len(named) > 15
    lost = {
        (path, name)
        for path, name in named
        if not (ROOT / "tests" / f"{name.removeprefix('tests/')}.md").is_file()
    }
    assert not lost
    tests = {
        (path.name, file, name)
        for path in (ROOT / "fitnotes").rglob("*.py")
        for file, name in re.findall(r"\b(test_\w+\.py): (test_\w+)", path.read_text(encoding="utf-8"))
    }
    assert len(tests) > 15
    assert not [
        at for at in tests if f"def {at[2]}(" not in (ROOT / "tests" / at[1]).read_text(encoding="utf-8")
    ]
