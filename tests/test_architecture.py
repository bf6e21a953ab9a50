"""Imports point one way, and the command line starts light."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator

from conftest import ROOT

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
