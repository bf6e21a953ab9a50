"""The only place that starts pandoc: text → AST, AST → output, fragments of text → AST.

Pandoc is the one inside the ``pypandoc_binary`` wheel, so that every machine has the same; a `pandoc`
on the PATH serves only where that wheel has none for the platform.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fitnotes.errors import ConversionError, MissingProgram, Problem
from fitnotes.source.note import Note
from fitnotes.store.files import write_atomically

# Macros stay as written (each target needs something else of them); a list needs no blank line
# before it, nor does a heading or a quote, which is what authors mean; bare addresses become links, as on
# GitHub; \(x\) and \[x\] are formulas, as in LaTeX.
READER = (
    "markdown-latex_macros-blank_before_header-blank_before_blockquote"
    "+lists_without_preceding_blankline+autolink_bare_uris+tex_math_single_backslash"
)


@functools.cache
def program() -> str:
    """The path of pandoc. Raises MissingProgram."""
    if spec := importlib.util.find_spec("pypandoc"):
        for place in spec.submodule_search_locations or ():
            for name in ("pandoc", "pandoc.exe"):
                bundled = Path(place, "files", name)
                if bundled.is_file():
                    return str(bundled)
    if found := shutil.which("pandoc"):
        return found
    raise MissingProgram("pandoc is not installed", hint="pip install pypandoc_binary")


def data_dir() -> Path:
    """The folder with ``filters/`` and ``templates/``: what pandoc calls a data directory."""
    package = Path(__file__).resolve().parents[1]
    # Inside the package in an install, beside it in a checkout.
    return package if (package / "templates").is_dir() else package.parent


def template(name: str) -> Path:
    return data_dir() / "templates" / name


@dataclass(frozen=True, slots=True)
class Output:
    text: str
    warnings: tuple[str, ...]


def run(
    args: Sequence[str],
    text: str = "",
    *,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    limit: float | None = None,
) -> Output:
    """Runs pandoc on ``text``, for ``limit`` seconds at most. Raises ConversionError with pandoc's own message."""
    # Filters run under the Python that PATH gives: it has to be the one that has fitnotes.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    try:
        done = subprocess.run(
            [program(), *args],
            input=text.encode("utf-8", "replace"),
            capture_output=True,
            cwd=cwd,
            env={**(env or {}), **os.environ, "PATH": path},
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ConversionError(
            f"pandoc has not read it after {limit:.0f} s: something in it never ends"
        ) from None
    stderr = done.stderr.decode("utf-8", "replace")
    if done.returncode:
        raise ConversionError(f"pandoc: {stderr.strip() or f'exit status {done.returncode}'}")
    warnings = re.split(r"^\[WARNING\] ", stderr, flags=re.MULTILINE)[1:]
    return Output(done.stdout.decode("utf-8", "replace"), tuple(w.strip() for w in warnings))


def read(note: Note) -> tuple[str, list[Problem]]:
    """The note's AST as pandoc's JSON. Raises ConversionError, with the line for wrong YAML."""
    # What pandoc makes of its own HTML has escaped formulas in spans; `\\\[` in it is no formula's start
    # (test_constructs.py: test_formulas_as_pandoc_writes_them_from_html).
    spans = re.search(r"\]\{\.math\s", note.text)
    reader = READER.replace("+tex_math_single_backslash", "") if spans else READER
    if not spans and re.search(r"\\\\\(.+?\\\\\)", note.text):  # \\(x\\), as some site generators want it
        reader += "+tex_math_double_backslash"
    if "://" not in note.text and "mailto:" not in note.text:  # looking for them takes a third of the time
        reader = reader.replace("+autolink_bare_uris", "")
    try:
        # It reads a megabyte in some 15 s; what has no end may take twice as long with each more of it.
        output = run(["-f", reader, "-t", "json"], note.marked, limit=30 + len(note.marked) / 20_000)
    except ConversionError as error:
        place = re.search(r"YAML parse exception at line (\d+)", error.message)
        if place is None and "YAML metadata" in error.message:
            raise ConversionError(
                f"the YAML header cannot be read: {error.message.splitlines()[-1].strip()}",
                path=note.shown, line=2, hint="put quotes around a value that holds a colon, a bracket or a brace",
            ) from None  # fmt: skip
        if place is None:
            raise ConversionError(error.message, path=note.shown) from None
        reason = " ".join(error.message.split("\n")[2:]).strip()
        raise ConversionError(
            f"the YAML header cannot be read: {reason}",
            path=note.shown,
            line=int(place[1]) + 1,
            hint="put quotes around a value that holds a colon, a bracket or a quote",
        ) from None
    problems = []
    for warning in output.warnings:
        if re.match(r"Duplicate identifier '\w{2,4}[-:]", warning):
            continue  # of something with a number: an error of ours, with both lines
        line = re.search(r"at (?:\S+ )?line (\d+)", warning)
        problems.append(Problem("pandoc", warning, note.shown, int(line[1]) if line else None))
    return output.text, problems


def write(ast: str, to: str, args: Iterable[str] = (), *, cwd: Path | None = None) -> Output:
    """The AST in the format ``to``; ``cwd`` is where relative resources are looked up."""
    return run(["-f", "json", "-t", to, *args], ast, cwd=cwd)


def write_file(
    ast: str, to: str, target: Path, args: Iterable[str] = (), *, cwd: Path | None = None
) -> Output:
    """The AST as a file of a binary format. It takes its place when it is whole."""
    with scratch_folder() as scratch:
        made = scratch / f"out{target.suffix}"
        # No date of today in it: same note, same bytes. (The format of zip begins in 1980.)
        epoch = {"SOURCE_DATE_EPOCH": "315532800"}
        output = run(["-f", "json", "-t", to, *args, "-o", str(made)], ast, cwd=cwd, env=epoch)
        write_atomically(target, made.read_bytes())
    return output


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for the length of one conversion."""
    with tempfile.TemporaryDirectory(prefix="fitnotes-") as name:
        yield Path(name)
