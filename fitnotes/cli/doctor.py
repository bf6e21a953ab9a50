"""What is installed, and what each missing thing would enable."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata

from fitnotes.errors import FitnotesError


@dataclass(frozen=True, slots=True)
class Check:
    """``found``: version and place, or "" when it is not there."""

    name: str
    found: str
    needed: bool
    enables: str
    how: str


def _package(name: str, module: str, needed: bool, enables: str, how: str = "") -> Check:
    found = ""
    if importlib.util.find_spec(module) is not None:
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            found = "installed"
    return Check(name, found, needed, enables, how or f"pip install {name}")


def _program(name: str, enables: str, how: str) -> Check:
    return Check(name, shutil.which(name) or "", False, enables, how)


def _pandoc() -> Check:
    from fitnotes.document import pandoc

    found = ""
    try:
        done = subprocess.run([pandoc.program(), "--version"], capture_output=True, text=True, check=True)
        found = f"{done.stdout.split()[1]} ({pandoc.program()})"
    except (FitnotesError, OSError, subprocess.CalledProcessError, IndexError):
        pass
    return Check("pandoc", found, True, "everything", "pip install pypandoc_binary")


def _confinement() -> Check:
    from fitnotes import confine

    found = "by the kernel (Landlock, seccomp)" if confine.available() else ""
    enables = "LaTeX and Typst of a note of a stranger kept to their folders: see docs/strangers.md"
    return Check("confinement", found, False, enables, "Linux 5.13 or newer, with Landlock")


def _recording() -> Check:
    """Tried in a process of its own, which then ends: the filter never goes."""
    from fitnotes.execute.kernel import calls

    found = ""
    if calls.known is not None and sys.platform == "linux" and os.environ.get("FITNOTES_RECORD") != "off":
        tried = "from fitnotes.execute.kernel.session import install; install()"
        done = subprocess.run([sys.executable, "-c", tried], capture_output=True)
        found = "" if done.returncode else "by the kernel (seccomp notification)"
    enables = "files that compiled code and programs read, as inputs of blocks: see docs/engine.md"
    return Check(
        "recording", found, False, enables, "Linux 5.5 or newer, and a container that allows seccomp"
    )


def checks() -> list[Check]:
    latex = "on Debian: apt install texlive-luatex texlive-latex-recommended texlive-latex-extra lmodern"
    return [
        Check(
            "python", f"{sys.version.split()[0]} ({sys.executable})", True, "everything", "https://python.org"
        ),
        _pandoc(),
        _package("panflute", "panflute", True, "everything"),
        _package("ipython", "IPython", True, "running blocks"),
        _package("numpy", "numpy", True, "notes that use it, and fitnotes.training"),
        _package(
            "torch", "torch", True, "notes that use it, and fitnotes.training", 'pip install "torch==2.13.0"'
        ),
        _package("matplotlib", "matplotlib", True, "figures"),
        _package("typst", "typst", True, "PDF without LaTeX", 'pip install "typst>=0.14.9,<0.15"'),
        _package("django-static-mathjax", "mathjax", True, "formulas in HTML pages"),
        _package("mini-racer", "py_mini_racer", True, "checking formulas at build time"),
        _confinement(),
        _recording(),
        _package("merman", "merman", False, "Mermaid diagrams (without it, a slower renderer draws them)"),
        _package("pandas", "pandas", False, "data frames as tables"),
        _program("lualatex", "--pdf-engine lualatex: LaTeX's typesetting, unicode; drawings in TikZ", latex),
        _program("xelatex", "--pdf-engine xelatex", "on Debian: apt install texlive-xetex lmodern"),
        _program("pdflatex", "--pdf-engine pdflatex: the fastest LaTeX, no unicode", latex),
        _program("tectonic", "--pdf-engine tectonic", "https://tectonic-typesetting.github.io"),
        _program(
            "chromium", "--pdf-engine chromium: the HTML page, printed", "on Debian: apt install chromium"
        ),
    ]
