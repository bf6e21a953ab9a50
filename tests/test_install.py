"""The wheel and the filters: both work from any folder, without the checkout."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from conftest import ROOT, environment

NOTE = """---
title: Filters
header-includes: |
  \\newcommand{\\R}{\\mathbb{R}}
---

```{.python #tbl-loss output=loss-table tbl-cap="Losses"}
for step in range(3):
    print(step, 0.5**step)
```

In $\\R$: `2**5`{.python}, see @tbl-loss and @fig-graph.

```{.mermaid #fig-graph caption="Graph"}
graph TD
  a --> b
```
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel in it, and this environment's packages behind."""
    folder = tmp_path_factory.mktemp("install")
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT)]
    copy = folder / "source"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(copy)], check=True)
    for name in subprocess.run(
        ["git", "ls-files", "-mo", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run([*pip[:-1], str(copy)], check=True, timeout=300)
    (wheel,) = folder.glob("*.whl")
    home = folder / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    (site,) = home.glob("lib/python*/site-packages")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", site, str(wheel)], check=True
    )
    # Packages of this environment, without its editable fitnotes, which a .pth file would bring in.
    (site / "_behind.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return home


def run(home: Path, code: str, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = (
        [str(home / "bin" / "python"), *arguments] if not code else [str(home / "bin" / "python"), "-c", code]
    )
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, env=environment())


def test_the_wheel_builds_a_note_from_another_folder(installed: Path, tmp_path: Path) -> None:
    where = run(installed, "import fitnotes; print(fitnotes.__file__)", tmp_path)
    assert str(installed) in where.stdout, where
    (tmp_path / "note.md").write_text(NOTE)
    done = run(installed, "", tmp_path, "-m", "fitnotes", "build", "note.md", "--to", "html", "--to", "pdf")
    assert done.returncode == 0, done.stderr
    assert "ran 1 block" in done.stdout
    page = (tmp_path / "_build" / "html" / "note.html").read_text()
    assert '<figure id="tbl-loss" class="table">' in page


def pandoc(folder: Path, python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = environment()
    env["PATH"] = f"{python.parent}:{env['PATH']}"
    command = ["pandoc", "note.md", *arguments, "-s", "--mathjax", "-o", "note.html"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, env=env)


def check_filtered(folder: Path, done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    page = (folder / "note.html").read_text()
    text = re.sub(r"\s+", " ", page)
    assert '<table id="tbl-loss">' in page
    assert '<td style="text-align: right;">0.25</td>' in page
    assert ": 32, see" in text
    assert 'class="ref">Table' in text
    assert "Figure 1" in text.replace("\u00a0", " ")
    (picture,) = re.findall(r'src="(note_files/[^"]+\.svg)"', page)
    assert (folder / picture).is_file()
    assert "\\mathbb{R}" in page


def test_filters_from_a_checkout(tmp_path: Path) -> None:
    (tmp_path / "note.md").write_text(NOTE)
    filters = [f"-F{ROOT / 'filters' / name}" for name in ("run_blocks.py", "draw_mermaid.py")]
    check_filtered(tmp_path, pandoc(tmp_path, Path(sys.executable), *filters))


def test_filters_from_an_install(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "note.md").write_text(NOTE)
    folder = run(installed, "", tmp_path, "-m", "fitnotes", "data-dir").stdout.strip()
    assert str(installed) in folder
    arguments = ["--data-dir", folder, "-F", "run_blocks.py", "-F", "draw_mermaid.py"]
    check_filtered(tmp_path, pandoc(tmp_path, installed / "bin" / "python", *arguments))


def test_a_filter_says_what_went_wrong(tmp_path: Path) -> None:
    (tmp_path / "note.md").write_text("Text.\n\n```{.python}\n1 / 0\n```\n")
    done = pandoc(tmp_path, Path(sys.executable), f"-F{ROOT / 'filters' / 'run_blocks.py'}")
    assert done.returncode == 0
    assert "block 1 raised ZeroDivisionError" in done.stderr
    assert "ZeroDivisionError" in (tmp_path / "note.html").read_text()
    (tmp_path / "note.md").write_text("Text.\n\n```{python}\n1 / 0\n```\n")
    done = pandoc(tmp_path, Path(sys.executable), f"-F{ROOT / 'filters' / 'run_blocks.py'}")
    assert done.returncode != 0
    assert "write ```{.python}" in done.stderr
    (tmp_path / "note.md").write_text("Text.\n\n```{.python eco=1}\n1 / 0\n```\n")
    done = pandoc(tmp_path, Path(sys.executable), f"-F{ROOT / 'filters' / 'run_blocks.py'}")
    assert done.returncode != 0
    assert "did you mean echo?" in done.stderr
    assert "Traceback" not in done.stderr
