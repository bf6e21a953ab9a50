"""What has to run: a key for every block, the stored results that still hold, and why the others do not.

Block k's key is the hash of the session's setting (note, session, seed, threads), the key of the block
before it in its session, its source and the options that change the run. Captions, echo and the like are
not in it. What else a result depends on (files, packages, variables) was recorded when it ran, and is
compared with what is there now.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fitnotes import __version__
from fitnotes.errors import Problem
from fitnotes.execute.cache import Cache
from fitnotes.execute.ledger import Entry, Ran
from fitnotes.execute.protocol import FIGURE
from fitnotes.execute.result import Result
from fitnotes.settings import Settings, show_size
from fitnotes.source.block import Block
from fitnotes.source.note import Note
from fitnotes.store.files import digest
from fitnotes.store.inputs import (
    FILE,
    MISSING,
    PACKAGE,
    PYTHON,
    TREE,
    VARIABLE,
    Current,
    Input,
    first_difference,
    imports,
    line_sums,
    stored_path,
)

# Worth loading once for all sessions. torch's optimizers pull in torch._dynamo (seconds) when first made.
PRELOADED = ("numpy", "torch", "pandas", "scipy", "sympy")


@dataclass(frozen=True, slots=True)
class Planned:
    """A block with its key and, if there is one that holds, its stored result; else ``why`` it has to run."""

    block: Block
    key: str
    stored: Result | None
    why: str = ""


def with_modules(note: Note) -> str:
    """The note's text and those of the author's modules that it imports, for guesses at what they load."""
    texts = [note.text]
    todo = imports(note.text)
    seen: set[str] = set()
    while todo:
        name = todo.pop()
        seen.add(name)
        for file in (note.path.parent / f"{name}.py", note.path.parent / name / "__init__.py"):
            if file.is_file():
                texts.append(file.read_text(encoding="utf-8", errors="replace"))
                todo |= imports(texts[-1]) - seen
    return "\n".join(texts)


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


def setting(settings: Settings) -> dict[str, str]:
    """What holds for all blocks of a session and belongs to their keys."""
    words = {"seed": settings.seed, "threads": settings.threads, "memory": settings.memory}
    return {"fitnotes": __version__} | {word: str(value) for word, value in words.items()}


def sessions(blocks: Sequence[Block]) -> dict[str, list[Block]]:
    """Blocks by session, in the order in which they run."""
    groups: dict[str, list[Block]] = {}
    for block in blocks:
        if block.options.eval:
            groups.setdefault(block.options.session, []).append(block)
    return groups


def code_digests(block: Block) -> tuple[str, str]:
    """Hashes of a block's source alone, and of all of the block that changes its run."""
    code = digest(block.code.strip("\n"))
    options = block.options
    size = [options.size] if any(options.size) else []
    return code, digest(
        block.code, block.inline, block.spec, block.conversion, options.error, options.depends, *size
    )


def depended(block: Block, note: Note, current: Current) -> list[Input]:
    """The files under ``depends``, as they are now."""
    names = [stored_path(str(note.path.parent / file), current.root) for file in block.options.depends]
    return [Input(TREE, name, current.value(TREE, name)) for name in names]


def state(key: str, result: Result, nonce: str) -> str:
    """A hash of what happened in a session up to this result; ``nonce`` where it cannot happen again."""
    return digest(key, result.after, result.outputs, result.inputs, nonce)


def plan(
    note: Note,
    blocks: Sequence[Block],
    settings: Settings,
    cache: Cache,
    current: Current,
    before: Entry | None,
    *,
    elsewhere: bool = False,
    refresh: bool = False,
) -> list[list[Planned]]:
    """For each session its steps. The first step without a result that holds makes all behind it run.

    ``before`` is the note's last run. With ``elsewhere`` results may come from another machine: neither
    its Python and packages nor the files that blocks wrote there matter.
    """
    products = {} if elsewhere else _products(before)
    writers: dict[str, int] = {}
    planned: list[list[Planned]] = []
    for name, group in sessions(blocks).items():
        key = digest(setting(settings), name, stored_path(str(note.path), cache.root))
        after = ""
        cause = ""
        steps = []
        for at, block in enumerate(group):
            key = digest(key, code_digests(block)[1])
            stored: Result | None = None
            why = cause
            if refresh:
                why = why or "asked for"
            elif not cause:
                stored, why = _stored(group[: at + 1], key, after, note, cache, current, elsewhere)
                if stored is not None:
                    after = stored.state
                    for path in stored.wrote:
                        writers[path] = max(writers.get(path, -1), block.index)
                else:
                    why = why or _reason(group, at, settings, before)
                    verb = "has none" if elsewhere else "changed" if why == CODE_CHANGED else "runs again"
                    cause = f"{block.name} above {verb}"
            steps.append(Planned(block, key, stored, why))
        planned.append(steps)
    if elsewhere:
        return planned
    return [_whole_products(steps, products, writers, current) for steps in planned]


CODE_CHANGED = "its code changed"
ABOVE_CHANGED = "the blocks above it changed"


def _products(before: Entry | None) -> Mapping[str, list[str]]:
    return before.products if before else {}


def _whole_products(
    steps: list[Planned], products: Mapping[str, list[str]], writers: Mapping[str, int], current: Current
) -> list[Planned]:
    """The steps; from the first on whose files are no longer as it left them, without results."""
    for at, step in enumerate(steps):
        for path in step.stored.wrote if step.stored else ():
            now = current.value(FILE, path)
            if step.stored is None or writers[path] != step.block.index:
                continue
            if products.get(path) == [step.stored.state, now]:
                continue
            why = f"{path}, which it writes, {'is gone' if now == MISSING else 'is another one now'}"
            again = f"{step.block.name} above runs again"
            return [
                *steps[:at],
                Planned(step.block, step.key, None, why),
                *(Planned(s.block, s.key, None, s.why or again) for s in steps[at + 1 :]),
            ]
    return steps


def _stored(
    blocks: Sequence[Block],
    key: str,
    after: str,
    note: Note,
    cache: Cache,
    current: Current,
    elsewhere: bool,
) -> tuple[Result | None, str]:
    """The result that holds for the last of a session's blocks so far, or why there is none, as far as stored
    results tell."""
    stored, stale = cache.find(key, after, current, elsewhere=elsewhere)
    if stored is not None:
        if stored.at != lines_of(blocks) and tells_lines(stored, blocks[-1], note.path.name):
            return None, "the line numbers that it shows have moved"
        return stored, ""
    if stale is not None:
        return None, describe_change(*stale, current)
    return None, ""


def describe_change(result: Result, item: Input, current: Current) -> str:
    """What became of an input, in words."""
    now = current.value(item.kind, item.name)
    if item.kind == VARIABLE and item.name == "*":
        return "the environment changed, which it reads as a whole"
    if item.kind == VARIABLE:
        verb = (
            "is not set any more" if now == MISSING else "is set now" if item.value == MISSING else "changed"
        )
        return f"the variable {item.name} {verb}"
    if item.kind == PACKAGE:
        return f"{item.name} {item.value} → {now if now != MISSING else 'not installed'}"
    if item.kind == PYTHON:
        return f"{item.value} → {now}"
    if now == MISSING:
        return f"{item.name} is gone"
    if item.value == MISSING:
        return f"{item.name} is there now"
    lines = dict(result.lines).get(item.name)
    if lines is not None:
        try:
            line = first_difference(lines, line_sums((current.root / item.name).read_bytes()))
        except OSError:
            line = None
        if line is not None:
            return f"{item.name}:{line} changed"
    return f"{item.name} changed since"


def _reason(group: Sequence[Block], at: int, settings: Settings, before: Entry | None) -> str:
    """Why nothing is stored for a session's block at ``at``: the first difference from the note's last run."""
    session = group[at].options.session
    ran = [r for r in before.blocks if r.session == session] if before else []
    if before is None or not ran:
        return "it has not run yet"
    return _changed_setting(settings, before.setting) or _changed_block(group, at, ran)


def _changed_setting(settings: Settings, before: Mapping[str, str]) -> str:
    """The first setting that is another one now, with both values; "" if all are the same."""
    for word, value in setting(settings).items():
        was = before.get(word, "unknown")
        if was == value:
            continue
        if word == "memory":
            was, value = (show_size(int(v)) if v.isdigit() else v for v in (was, value))
        return f"{word} {was} → {value}"
    return ""


def _changed_block(group: Sequence[Block], at: int, ran: Sequence[Ran]) -> str:
    """What is another one in a session's code up to the block at ``at``, compared with the blocks that ran."""
    digests = [code_digests(block) for block in group]
    code, whole = digests[at]
    if any(now != old.whole for (_, now), old in zip(digests[:at], ran, strict=False)):
        return ABOVE_CHANGED
    if at >= len(ran):
        return "it is new"
    old = ran[at]  # what stood in its place
    if old.whole == whole:
        return _lost_result(old)
    if old.code == code:
        return "its options changed"
    if any(code == r.code for r in ran):  # it stood elsewhere
        return ABOVE_CHANGED
    moved = any(old.code == now for now, _ in digests)
    return "it is new" if moved else CODE_CHANGED


def _lost_result(old: Ran) -> str:
    """Why there is no result of a block that is the one that ran."""
    if old.status == "ok":
        return "its stored result is gone"
    if old.status == "not run":
        return "it did not come to run"
    return f"it ended with {old.status}"


# Code that may show where it stands, in words of its own.
_ASKS_LINES = re.compile(
    r"lineno|currentframe|traceback|format_exc|\binspect\b|catch_warnings|\blogging\b|_stack\("
)


def lines_of(blocks: Sequence[Block]) -> tuple[int | None, ...]:
    return tuple(block.line for block in blocks)


def tells_lines(result: Result, block: Block, name: str) -> bool:
    """Whether a result shows line numbers of the note, in a traceback or a warning, or may do so."""
    if result.status != "ok" or _ASKS_LINES.search(block.code):
        return True
    for output in result.outputs:
        if output["output_type"] == "error":
            return True
        for text in (output.get("text", ""), *output.get("data", {}).values()):
            if f'{name}", line' in text or f"{name}:" in text:
                return True
    return False


def syntax_problems(note: Note, blocks: Sequence[Block]) -> list[tuple[Block, Problem]]:
    """The blocks that are not Python, found before anything of the note runs.

    IPython's magics are allowed; its transformer is only loaded where plain Python does not parse.
    """
    wrong = []
    for block in blocks:
        if not block.options.eval or block.options.error:
            continue
        error = _syntax_error(block.code, block.inline)
        if error is not None:
            line = (block.line or 1) + (error.lineno or 1) - 1
            message = f"{block.name}: SyntaxError: {error.msg}"
            found = (error.text or "").strip()
            problem = Problem("syntax", message, note.shown, line, f"{found}" if found else None)
            wrong.append((block, problem))
    return wrong


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
