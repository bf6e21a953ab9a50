"""What has to run: a key for every block, and the stored results that still hold.

Block k's key is the hash of its environment, the key of the block before it in its session, its source
and the options that change the run. Captions, echo and the like are not in it.
"""

from __future__ import annotations

import ast
import functools
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from fitnotes import __version__
from fitnotes.errors import Problem
from fitnotes.execute.cache import Cache, Result, digest
from fitnotes.execute.inputs import file_hash
from fitnotes.execute.protocol import FIGURE
from fitnotes.note import Block, Note
from fitnotes.settings import Settings

# What the module's name does not say.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "cv2": "opencv-python",
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
    "yaml": "PyYAML",
    "mpl_toolkits": "matplotlib",
    "pylab": "matplotlib",
}
_IMPORT = re.compile(r"^\s*(?:from\s+([A-Za-z_]\w*)|import\s+(.+))", re.MULTILINE)

# Worth loading once for all sessions. torch's optimizers pull in torch._dynamo (seconds) when first made.
PRELOADED = ("numpy", "torch", "pandas", "scipy", "sympy")


@dataclass(frozen=True, slots=True)
class Step:
    """A block with its key and, if there is one, its stored result."""

    block: Block
    key: str
    stored: Result | None


def imports(source: str) -> set[str]:
    """Top-level modules that some Python text imports."""
    names: set[str] = set()
    for first, rest in _IMPORT.findall(source):
        if first:
            names.add(first)
        for part in rest.split(","):
            if match := re.match(r"\s*([A-Za-z_]\w*)", part):
                names.add(match[1])
    return names


def preloads(sources: Sequence[str]) -> list[str]:
    """Modules that the fork server should load for these texts."""
    names: set[str] = set()
    for source in sources:
        names |= imports(source)
    text = "\n".join(sources)
    if "fitnotes" in names:
        names |= {"numpy", "torch"}
    found = [name for name in PRELOADED if name in names]
    if "torch" in found and re.search(r"\boptim|\bAdam|\bSGD\(|\bLADDER\b|\bfit_(?:optim|module)\b", text):
        found.append("torch._dynamo")
    if "matplotlib" in names or "pylab" in names:
        found.append("matplotlib.pyplot")
        if len(sources) > 1:  # one note gains nothing from a figure drawn before its own
            found.append(FIGURE)
    return found


@functools.cache
def version(module: str) -> str | None:
    """The installed version of the package that has this module; None for the author's own modules,
    whose files are recorded when they are imported."""
    try:
        return metadata.version(DISTRIBUTIONS.get(module, module))
    except (metadata.PackageNotFoundError, ValueError):
        return None


def environment(sources: Sequence[str], settings: Settings) -> str:
    """A hash of what surrounds a session: Python, the seed, and the packages that the texts import."""
    names: set[str] = set()
    for source in sources:
        names |= imports(source)
    if "fitnotes" in names:
        names |= {"numpy", "torch"}
    versions = {name: version(name) for name in sorted(names - set(sys.stdlib_module_names))}
    return digest(__version__, sys.version, versions, settings.seed, settings.threads)


def sessions(blocks: Sequence[Block]) -> dict[str, list[Block]]:
    """Blocks by session, in the order in which they run."""
    groups: dict[str, list[Block]] = {}
    for block in blocks:
        if block.options.eval:
            groups.setdefault(block.options.session, []).append(block)
    return groups


def plan(
    note: Note, blocks: Sequence[Block], settings: Settings, cache: Cache, *, whole: bool = True
) -> list[list[Step]]:
    """For each session its steps. With ``whole``, one step without a result that holds makes the whole
    note run: what a page shows comes from one run, and sessions may pass files to each other."""
    planned = []
    for name, group in sessions(blocks).items():
        key = digest(environment([b.code for b in group], settings), name, str(_stored_name(note, cache)))
        steps = []
        for block in group:
            depends = [(file, file_hash(note.path.parent / file)) for file in block.options.depends]
            key = digest(
                key, block.code, block.inline, block.spec, block.conversion, block.options.error, depends
            )
            stored = cache.load(key)
            if stored is not None and stored.at != block.line and tells_lines(stored, note.path.name):
                stored = None
            steps.append(Step(block, key, stored))
        planned.append(steps)
    if not whole or all(step.stored for steps in planned for step in steps):
        return planned
    return [[Step(step.block, step.key, None) for step in steps] for steps in planned]


def tells_lines(result: Result, name: str) -> bool:
    """Whether a result shows line numbers of the note, in a traceback or a warning."""
    for output in result.outputs:
        text = output.get("text", "")
        if output["output_type"] == "error" or f'{name}", line' in text or f"{name}:" in text:
            return True
    return False


def _stored_name(note: Note, cache: Cache) -> Path | str:
    """The note's name belongs to the key: tracebacks show it, and relative paths start at its folder."""
    try:
        return note.path.relative_to(cache.root)
    except ValueError:
        return note.path


def syntax_problem(note: Note, blocks: Sequence[Block]) -> tuple[Block, Problem] | None:
    """The first block that is not Python, found before anything of the note runs.

    IPython's magics are allowed; its transformer is only loaded where plain Python does not parse.
    """
    for block in blocks:
        if not block.options.eval or block.options.error:
            continue
        error = _syntax_error(block.code, block.inline)
        if error is not None:
            line = (block.line or 1) + (error.lineno or 1) - 1
            message = f"{block.name}: SyntaxError: {error.msg}"
            found = (error.text or "").strip()
            problem = Problem(
                "error", message, note.shown, line, f"{found}" if found else None, exit_code=1, code="syntax"
            )
            return block, problem
    return None


def _syntax_error(code: str, inline: bool) -> SyntaxError | None:
    mode = "eval" if inline else "exec"
    try:
        compile(code, "<note>", mode, flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        return None
    except SyntaxError as error:
        if inline:
            return error
        plain = error
    except ValueError as error:  # a NUL byte
        return SyntaxError(str(error))
    from IPython.core.inputtransformer2 import TransformerManager

    try:
        transformed = TransformerManager().transform_cell(code)
        compile(transformed, "<note>", mode, flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except SyntaxError:
        return plain
    return None
