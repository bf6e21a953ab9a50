"""Fixtures and the rule about skipping: with FITNOTES_NO_SKIP set (in CI), a skip is a failure."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# In CI the same examples each time; elsewhere hypothesis looks for new ones.
settings.register_profile("ci", derandomize=True)
if os.environ.get("FITNOTES_NO_SKIP"):
    settings.load_profile("ci")

ROOT = Path(__file__).resolve().parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--accept", action="store_true", help="rewrite the expected output of command tests")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("FITNOTES_NO_SKIP") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be: {report.longrepr}"


def environment() -> dict[str, str]:
    """The environment of a user's shell, with this Python's programs first."""
    from fitnotes.pandoc import program

    path = [str(Path(sys.executable).parent), str(ROOT / "tests" / "bin"), str(Path(program()).parent)]
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("FITNOTES_", "PYTHON", "OMP_", "MKL_"))}
    return {**kept, "PATH": os.pathsep.join([*path, os.environ["PATH"]]), "COLUMNS": "80", "TERM": "dumb"}


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty folder that is a project of its own."""
    (tmp_path / "fitnotes.toml").write_text("", encoding="utf-8")
    return tmp_path


@pytest.fixture
def fitnotes(project: Path) -> Run:
    """Runs the command in the project: `fitnotes("build", "note.md")`."""

    def run(*args: str, cwd: Path | None = None, timeout: float = 120, **env: str):
        return subprocess.run(
            [str(Path(sys.executable).parent / "fitnotes"), *args],
            cwd=cwd or project,
            env={**environment(), **env},
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return run


@pytest.fixture
def write(project: Path) -> Callable[[str, str], Path]:
    def put(name: str, text: str) -> Path:
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return put


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")
