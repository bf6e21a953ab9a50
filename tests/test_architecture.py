"""Imports point one way, and the command line starts light."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from conftest import ROOT

HEAVY = {"torch", "numpy", "panflute", "matplotlib", "IPython", "pandas", "rich", "yaml", "typst"}


def test_imports_point_one_way() -> None:
    """The rules stand in pyproject.toml."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports")], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


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
