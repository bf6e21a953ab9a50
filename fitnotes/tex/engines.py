"""Programs that are not in the package: an installed LaTeX, or Chromium. How LaTeX is run, which no note escapes."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from fitnotes import confine
from fitnotes.errors import ConversionError, MissingProgram
from fitnotes.settings import Project, Settings

TIME_LIMIT = 180  # seconds for one run
LATEX = ("lualatex", "pdflatex", "xelatex", "tectonic")
# Variables of kpathsea: where TeX's own files and those of this user lie.
_TREES = (
    "TEXMFROOT", "TEXMFDIST", "TEXMFLOCAL", "TEXMFHOME", "TEXMFVAR", "TEXMFCONFIG", "TEXMFSYSVAR", "TEXMFSYSCONFIG",
    "TEXMFCACHE", "OSFONTDIR",
)  # fmt: skip
_FONTS = ("~/.fonts", "~/.fonts.conf", "~/.local/share/fonts", "~/.config/fontconfig", "~/.cache/fontconfig")
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
    names = without_lua([wanted] * (wanted in LATEX) + list(LATEX))
    return next((name for name in names if shutil.which(name)), None)


def without_lua(names: Sequence[str]) -> list[str]:
    """Those that a foreign text cannot make run Lua, which opens any file; all where the kernel keeps them to their
    folders."""
    return [name for name in names if confine.available() or name != "lualatex"]


@functools.cache
def _trees() -> tuple[str, ...]:
    """The folders of TeX and of fonts; those of a TeX that has no kpsewhich are not known."""
    found = [os.path.expanduser(path) for path in _FONTS]
    if program := shutil.which("kpsewhich"):
        wanted = "--expand-braces=" + ":".join(f"${name}" for name in _TREES)
        done = subprocess.run([program, wanted], capture_output=True, text=True, check=False)
        found += done.stdout.strip().split(":")
    return tuple(
        dict.fromkeys(path.strip("!").rstrip("/") for path in found if path.strip("!").startswith("/"))
    )


def _lua_cache(folder: Path) -> str:
    """Where LuaTeX keeps what it has learnt of fonts: in ``folder``, since a note's Lua may write there. It begins with
    the list of fonts that this machine has already."""
    own = folder / "luatex-cache" / "generic" / "names"
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        known = (Path(tree, "luatex-cache", "generic", "names") for tree in _trees())
        if not own.exists() and (names := next((path for path in known if path.is_dir()), None)):
            shutil.copytree(names, own)
    return ":".join((str(folder), *_trees()))


def run_latex(
    engine: str, source: Path, limit: float = TIME_LIMIT, *, root: Path | None = None
) -> tuple[bool, str]:
    """Runs LaTeX once on ``source``, without shell escape, reading and writing below its folder only; in the store of
    the project ``root`` LuaTeX keeps what it learns of fonts. Whether it went well, and its log. Raises MissingProgram;
    ConversionError if it takes too long."""
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
    cache = (Project(root, Settings()).store if root else source.parent) / "texmf"
    if engine == "lualatex":
        environment["TEXMFCACHE"] = _lua_cache(cache)
    if engine != "tectonic":  # it fetches packages, and runs no Lua
        command = confine.confined(command, reads=_trees(), writes=[source.parent, cache])
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
