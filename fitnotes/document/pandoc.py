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
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fitnotes import confine
from fitnotes.errors import OUTSIDE, TRUST, ConversionError, MissingProgram, Problem
from fitnotes.source.fences import header_end
from fitnotes.source.header import is_bomb
from fitnotes.source.note import Note
from fitnotes.store.files import write_atomically
from fitnotes.store.scratch import scratch_folder

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


MEMORY = 4 << 30  # bytes that pandoc may take
# No page asks the network for anything while it is made: pandoc looks for a proxy where nobody listens.
NOWHERE = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")


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
    reads: Sequence[Path] | None = None,
    writes: Sequence[Path] = (),
) -> Output:
    """Runs pandoc on ``text``, for ``limit`` seconds at most. With ``reads`` it opens nothing but these folders and
    ``writes``, and no connection. Raises ConversionError with pandoc's own message."""
    # Filters run under the Python that PATH gives: it has to be the one that has fitnotes.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    command = [program(), *args]
    if reads is not None:
        own = [data_dir(), Path(sys.prefix), Path(sys.base_prefix)]
        command = confine.confined(command, reads=[*own, *reads], writes=writes)
    environment = {**(env or {}), **os.environ, **NOWHERE, "PATH": path}
    limit = limit or 60 + len(text) / 20_000
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env=environment,
    ) as process:
        _limit_memory(process.pid)
        try:
            out, told = process.communicate(text.encode("utf-8", "replace"), timeout=limit)
        except BaseException as error:
            process.kill()
            if isinstance(error, subprocess.TimeoutExpired):
                message = f"pandoc has not ended after {limit:.0f} s: something in it never does"
                raise ConversionError(message) from None
            raise
    stderr = told.decode("utf-8", "replace")
    if (
        re.search(r"(?i)heap exhausted|unable to (?:commit|allocate)|out of memory", stderr)
        or process.returncode == -signal.SIGKILL
    ):
        raise ConversionError(
            f"pandoc needs more than {MEMORY >> 30} GB for it: something in it grows without end"
        )
    if process.returncode:
        if refused := re.search(r"^pandoc: (.+?): \w+: permission denied", stderr, re.MULTILINE):
            raise ConversionError(f"{refused[1]} {OUTSIDE}", hint=TRUST)
        stderr = stderr.partition("\nHasCallStack")[0]
        raise ConversionError(f"pandoc: {stderr.strip() or f'exit status {process.returncode}'}")
    warnings = re.split(r"^\[WARNING\] ", stderr, flags=re.MULTILINE)[1:]
    return Output(out.decode("utf-8", "replace"), tuple(w.strip() for w in warnings))


def _limit_memory(process: int) -> None:
    """A small text can make pandoc take all there is."""
    if sys.platform == "linux":
        import resource

        with contextlib.suppress(OSError, ValueError):  # it has ended
            resource.prlimit(process, resource.RLIMIT_DATA, (MEMORY, MEMORY))


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
    lines = note.marked.split("\n")
    if is_bomb("\n".join(lines[1 : header_end(lines) - 1])):
        message = "the aliases in the header stand for more than a hundred thousand values"
        raise ConversionError(message, path=note.shown, line=1)
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
    return _ZERO.sub(r"\1\\ufffd", output.text), problems


# A header can have zero bytes, by "\0"; no name of a file and no page can.
_ZERO = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def write(
    ast: str,
    to: str,
    args: Iterable[str] = (),
    *,
    cwd: Path | None = None,
    reads: Sequence[Path] | None = None,
) -> Output:
    """The AST in the format ``to``; ``cwd`` is where relative resources are looked up, ``reads`` as in `run`."""
    return run(["-f", "json", "-t", to, *args], ast, cwd=cwd, reads=reads)


def write_file(
    ast: str,
    to: str,
    target: Path,
    args: Iterable[str] = (),
    *,
    cwd: Path | None = None,
    reads: Sequence[Path] | None = None,
    mend: Callable[[bytes], bytes] = lambda data: data,
) -> Output:
    """The AST as a file of a binary format, which ``mend`` changes; ``reads`` as in `run`. It takes its place when it
    is whole."""
    with scratch_folder() as scratch:
        made = scratch / f"out{target.suffix}"
        # No date of today in it: same note, same bytes. (The format of zip begins in 1980.)
        epoch = {"SOURCE_DATE_EPOCH": "315532800"}
        output = run(
            ["-f", "json", "-t", to, *args, "-o", str(made)],
            ast,
            cwd=cwd,
            env=epoch,
            reads=reads,
            writes=[scratch],
        )
        write_atomically(target, mend(made.read_bytes()))
    return output
