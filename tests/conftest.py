"""Fixtures and the rule about skipping: with FITNOTES_NO_SKIP set (in CI), a skip is a failure."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from hypothesis import settings

# In CI the same examples each time; elsewhere hypothesis looks for new ones.
settings.register_profile("ci", derandomize=True)
if os.environ.get("FITNOTES_NO_SKIP"):
    settings.load_profile("ci")

# As in the sessions of notes: two processes test at once, and threads that wait for a core cost more than they bring.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell starts what runs in the background (`sh run tests &`) deaf to Ctrl-C, and all commands would inherit it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--accept", action="store_true", help="rewrite the expected output of command tests")


# The files that take longest, in that order. `sh run tests` hands out whole files to two processes, since the tests
# of a file share what its fixtures built: those that are begun last should be short.
LONG = [
    "formulas", "corpus", "pages", "loss", "latex", "hostile", "engine", "rebuilds", "slides", "dialects", "cases",
    "execute", "references", "targets", "reports", "constructs", "fits", "numbering", "command",
]  # fmt: skip


# Those that start LaTeX, a browser or many sessions: `sh run fast` leaves them out.
SLOW = {
    "pages", "corpus", "rebuilds", "engine", "targets", "command", "hostile", "fits", "readme", "execute", "campaign",
    "slides", "cases", "constructs", "numbering", "pictures", "citations", "install", "gradients", "optimizers",
    "dialects", "html", "reports", "visibility", "header", "tables", "loss", "kernel",
}  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {f"test_{name}": at for at, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONG)))
    for item in items:
        if item.path.stem.removeprefix("test_") in SLOW:
            item.add_marker("slow")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("FITNOTES_NO_SKIP") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be: {report.longrepr}"


def environment() -> dict[str, str]:
    """The environment of a user's shell, with this Python's programs first."""
    from fitnotes.document.pandoc import program

    path = [str(Path(sys.executable).parent), str(ROOT / "tests" / "bin"), str(Path(program()).parent)]
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("FITNOTES_", "PYTHON", "OMP_", "MKL_"))}
    return {**kept, "PATH": os.pathsep.join([*path, os.environ["PATH"]]), "COLUMNS": "80", "TERM": "dumb"}


MARK = "FITNOTES_TEST"  # a variable: all that a command starts inherits it, whoever its parent is later


def marked(mark: str) -> list[psutil.Process]:
    """The living processes that have this mark in their environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == mark:
                found.append(process)
    return found


def outlived(mark: str, seconds: float) -> list[str]:
    """The commands with this mark that are still there after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        found = []
        for process in marked(mark):
            with contextlib.suppress(psutil.Error):
                found.append(" ".join(process.cmdline()))
        if not found or time.monotonic() > end:
            return found
        time.sleep(0.05)


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
