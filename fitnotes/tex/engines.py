"""Programs that are not in the package: an installed LaTeX, or Chromium. How LaTeX is run, which no note escapes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from fitnotes.errors import ConversionError, MissingProgram

TIME_LIMIT = 180  # seconds for one run
LATEX = ("lualatex", "pdflatex", "xelatex", "tectonic")
HOW_TO_INSTALL = {
    "tectonic": "see https://tectonic-typesetting.github.io",
    "chromium": "on Debian: apt install chromium",
}


def how_to_install(name: str) -> str:
    package = {"xelatex": "texlive-xetex", "lualatex": "texlive-luatex"}.get(
        name, "texlive-latex-recommended"
    )
    packages = f"{package} texlive-latex-recommended texlive-latex-extra lmodern"
    return HOW_TO_INSTALL.get(name, f"on Debian: apt install {packages}")


def find_engine(name: str) -> str:
    """The engine's path. Raises MissingProgram with how to get it."""
    if found := shutil.which(name):
        return found
    hint = f"{how_to_install(name)}; or use typst, which needs nothing"
    raise MissingProgram(f"--pdf-engine {name}: {name} is not installed", hint=hint)


def any_latex(wanted: str) -> str | None:
    """The name of an installed LaTeX, ``wanted`` if that is one; None if there is none."""
    names = [wanted] * (wanted in LATEX) + list(LATEX)
    return next((name for name in names if shutil.which(name)), None)


def run_latex(engine: str, source: Path, limit: float = TIME_LIMIT) -> tuple[bool, str]:
    """Runs LaTeX once on ``source``, without shell escape, reading and writing below its folder only. Whether it
    went well, and its log. Raises MissingProgram; ConversionError if it takes too long."""
    command = [
        find_engine(engine),
        "-interaction=nonstopmode",
        "-halt-on-error",
        "-no-shell-escape",
        source.name,
    ]
    if engine == "tectonic":
        command = [command[0], "--untrusted", "--keep-logs", source.name]
    environment = {
        **os.environ,
        "openin_any": "p",
        "openout_any": "p",
        "SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH", "0"),
        "FORCE_SOURCE_DATE": "1",
        # As much of the line in front of an error as there may be.
        "max_print_line": "1000",
        "error_line": "254",
        "half_error_line": "239",
    }
    try:
        done = subprocess.run(
            command, cwd=source.parent, env=environment, capture_output=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired:
        raise ConversionError(f"{engine} took longer than {limit:g} s") from None
    log_file = source.with_suffix(".log")
    log = log_file.read_text(encoding="utf-8", errors="replace") if log_file.is_file() else ""
    if done.returncode and not log:
        log = (done.stdout + done.stderr).decode("utf-8", "replace")
    return not done.returncode, log
