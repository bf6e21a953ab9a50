"""Inside a session's process: runs the blocks it is sent and answers with their outputs.

Knows nothing of notes, pandoc or pages; it gets code with line numbers and returns nbformat outputs.
"""

from __future__ import annotations

import ast
import contextlib
import faulthandler
import gc
import importlib.abc
import importlib.machinery
import linecache
import multiprocessing
import os
import random
import signal
import sys
import threading
import time
import traceback
import types
import warnings
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, ClassVar

import IPython
from IPython.core.compilerop import CachingCompiler
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.history import HistoryManager
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from fitnotes.execute.capture import Capture
from fitnotes.execute.inputs import InputRecorder, system_folders
from fitnotes.execute.protocol import Code, Job

HistoryManager.enabled = False


# --------------------------------------------------------------------------------------------------
# The shell


class _Compiler(CachingCompiler):  # type: ignore[misc]
    """Compiles blocks under the note's name and line numbers, so that tracebacks point into the note."""

    note = "<note>"
    offset = 0

    def cache(self, transformed_code: str, number: int = 0, raw_code: str | None = None) -> str:
        return self.note

    def ast_parse(self, source: str, filename: str = "", symbol: str = "exec") -> Any:
        try:
            tree = super().ast_parse(source, self.note, symbol)
        except SyntaxError as error:
            if error.lineno is not None:
                rows = source.split("\n")
                error.text = rows[error.lineno - 1] if error.lineno <= len(rows) else None
                error.lineno += self.offset
                if error.end_lineno is not None:
                    error.end_lineno += self.offset
            raise
        return ast.increment_lineno(tree, self.offset) if isinstance(tree, ast.AST) else tree


class _Display(DisplayHook):  # type: ignore[misc]
    """The value of a block's last expression."""

    def write_output_prompt(self) -> None:
        pass

    def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
        add_output("execute_result", format_dict, md_dict)

    def finish_displayhook(self) -> None:
        pass

    def quiet(self) -> bool:
        """A semicolon behind the last expression hides its value."""
        return bool(self.semicolon_at_end_of_expression(session.code))


class _Publisher(DisplayPublisher):  # type: ignore[misc]
    """`display(...)` and figures."""

    def publish(
        self,
        data: Any,
        metadata: Any = None,
        source: Any = None,
        *,
        transient: Any = None,
        update: bool = False,
        **kwargs: Any,
    ) -> None:
        name = (transient or {}).get("display_id")
        capture = session.capture
        if update and name is not None:
            for output in capture.outputs:
                if output.get("display_id") == name:
                    output["data"] = jsonable(data)
            return
        add_output("display_data", data, metadata, name)

    def clear_output(self, wait: bool = False) -> None:
        session.capture.cut()
        session.capture.outputs.clear()


class _Shell(InteractiveShell):  # type: ignore[misc]
    compiler_class = _Compiler

    def init_virtualenv(self) -> None:
        """Nothing: IPython would put another environment's packages behind ours."""

    def init_history(self) -> None:
        super().init_history()
        self.history_manager.enabled = False

    def showtraceback(self, *args: Any, **kwargs: Any) -> None:
        """Keeps the error: one that run_cell does not return (a repr that raises, a magic) counts too."""
        error = sys.exc_info()[1]
        if error is not None:
            session.errors.append(error)

    def enable_gui(self, gui: Any = None) -> None:
        """Nothing: there is no window; `%matplotlib inline` asks for it."""

    def ask_exit(self) -> None:
        raise SystemExit("quit() in a block")

    def showsyntaxerror(self, *args: Any, **kwargs: Any) -> None:
        self.showtraceback()


class _Session:
    """What the display hooks of this process write to."""

    capture: Capture
    code = ""
    errors: ClassVar[list[BaseException]] = []


session = _Session()


def jsonable(data: Any) -> dict[str, str]:
    """A MIME bundle with text values; bytes become base64, as in a notebook file."""
    import base64
    import json

    bundle: dict[str, str] = {}
    for mime, value in dict(data).items():
        if isinstance(value, bytes):
            bundle[mime] = base64.b64encode(value).decode("ascii")
        elif isinstance(value, str):
            bundle[mime] = value
        else:
            bundle[mime] = json.dumps(value, default=str)
    return bundle


def add_output(kind: str, data: Any, metadata: Any, display_id: str | None = None) -> None:
    output: dict[str, Any] = {"output_type": kind, "data": jsonable(data), "metadata": dict(metadata or {})}
    if display_id is not None:
        output["display_id"] = display_id
    session.capture.add(output)


def make_shell() -> Any:
    """The process's one shell. Also called in the fork server, so that sessions find it made."""
    if InteractiveShell.initialized():
        return InteractiveShell.instance()
    config = Config()
    config.InteractiveShell.colors = "nocolor"
    config.InteractiveShell.xmode = "Plain"
    config.InteractiveShell.automagic = False
    config.InteractiveShell.ast_node_interactivity = "last_expr"
    config.InlineBackend.figure_formats = {"svg"}
    config.InlineBackend.print_figure_kwargs = {"bbox_inches": "tight", "metadata": {"Date": None}}
    config.InlineBackend.rc = {}
    _Shell.displayhook_class = _Display
    _Shell.display_pub_class = _Publisher
    shell = _Shell.instance(config=config)
    compiler = _Compiler()
    compiler.flags = shell.compile.flags
    shell.compile = compiler
    return shell


# --------------------------------------------------------------------------------------------------
# Reproducible starts


def _seed_numpy(module: types.ModuleType, seed: int) -> None:
    module.random.seed(seed % 2**32)


def _seed_torch(module: types.ModuleType, seed: int) -> None:
    module.manual_seed(seed)
    threads = os.environ.get("OMP_NUM_THREADS", "")
    if threads.isdigit() and module.get_num_threads() != int(threads):
        module.set_num_threads(int(threads))


def _set_matplotlib(module: types.ModuleType, seed: int) -> None:
    """The same ids in every SVG of the same figure, and a size that suits a column of text."""
    module.rcParams["svg.hashsalt"] = "fitnotes"
    module.rcParams["figure.figsize"] = (5.6, 3.6)


_PREPARE = {"numpy": _seed_numpy, "torch": _seed_torch, "matplotlib": _set_matplotlib}


class _PrepareOnImport(importlib.abc.MetaPathFinder):
    """Seeds a library that a block imports later than the session's start."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        prepare = _PREPARE.get(name)
        if prepare is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        loader = spec.loader if spec else None
        if spec is None or loader is None:
            return None
        run = loader.exec_module
        seed = self.seed

        def exec_module(module: types.ModuleType) -> None:
            run(module)
            prepare(module, seed)

        loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _seed_everything(seed: int) -> None:
    random.seed(seed)
    for name, prepare in _PREPARE.items():
        if name in sys.modules:
            prepare(sys.modules[name], seed)
    sys.meta_path.insert(0, _PrepareOnImport(seed))


def _import_from_source(recorder: InputRecorder) -> None:
    """The author's own modules are compiled from their source: Python believes a cached file whose source
    changed within its second, and reading only that file would hide the source from the recorder."""
    loader = importlib.machinery.SourceFileLoader
    cached = loader.get_code

    def get_code(self: Any, fullname: str) -> Any:
        path = self.get_filename(fullname)
        if not recorder.counts(os.path.abspath(path)):
            return cached(self, fullname)
        return self.source_to_code(self.get_data(path), path)

    loader.get_code = get_code  # type: ignore[method-assign]


# --------------------------------------------------------------------------------------------------
# Tracebacks


def _user_frames(stack: traceback.StackSummary, note: str, folder: str) -> traceback.StackSummary:
    """The frames a reader can act on: the note's, those of the author's own files, and the last one, unless
    it is in fitnotes: where we raise an error is no news to anyone."""
    ours = os.path.dirname(os.path.dirname(os.path.realpath(__file__))) + os.sep
    system = system_folders()
    frames = list(stack)
    first = next((i for i, frame in enumerate(frames) if frame.filename == note), len(frames))
    tool = os.path.dirname(os.path.realpath(IPython.__file__)) + os.sep
    kept = []
    for i, frame in enumerate(frames[first:], first):
        theirs = os.path.realpath(frame.filename).startswith(system) or frame.filename.startswith("<")
        if os.path.realpath(frame.filename).startswith((tool, ours)):
            continue
        if frame.filename == note or not theirs or i == len(frames) - 1:
            if frame.filename != note and os.path.isabs(frame.filename) and not theirs:
                frame.filename = os.path.relpath(frame.filename, folder)
            elif theirs:
                frame.filename = _short(frame.filename)
                frame.colno = frame.end_colno = None  # no marks below lines that nobody here can change
            kept.append(frame)
    return traceback.StackSummary.from_list(kept)


def _short(path: str) -> str:
    """A library's file from its package on: no path of this machine gets into a page."""
    for folder in sorted(system_folders(), key=len, reverse=True):
        if os.path.realpath(path).startswith(folder):
            return os.path.realpath(path)[len(folder) :]
    return path


def describe_error(error: BaseException, note: str, folder: str, line: int, lines: int) -> dict[str, Any]:
    """An nbformat error dict, with ``line``: the note's line that the error belongs to."""
    summary = traceback.TracebackException.from_exception(error, compact=True)
    at = None
    if isinstance(error, SyntaxError) and error.filename == note:
        at = error.lineno
    else:
        own = [f.lineno for f in summary.stack if f.filename == note and f.lineno]
        inside = [n for n in own if line <= n < line + max(lines, 1)]
        at = inside[-1] if inside else (own[-1] if own else None)
    seen: set[int] = set()
    todo: list[traceback.TracebackException | None] = [summary]
    while todo:
        part = todo.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        if part.stack is not None:
            part.stack = _user_frames(part.stack, note, folder)
        todo += [part.__cause__, part.__context__, *(getattr(part, "exceptions", None) or [])]
    text = "".join(summary.format())
    try:
        message = str(error) if not isinstance(error, SyntaxError) else (error.msg or "invalid syntax")
    except Exception:
        message = "(its message cannot be shown)"
    return {
        "output_type": "error",
        "ename": type(error).__name__,
        "evalue": message,
        "traceback": text.rstrip("\n").split("\n"),
        "line": at or line,
    }


# --------------------------------------------------------------------------------------------------
# The loop


def _end_with(lifeline: Connection) -> None:
    """Ends this process and all it started as soon as the parent is gone, whatever a block is doing.

    Nothing is ever sent down ``lifeline``; it only ends. On Linux the kernel itself then kills the process
    group, even when a block holds the interpreter's lock in compiled code; elsewhere a thread does.
    """
    if sys.platform == "linux":
        import fcntl

        fd = lifeline.fileno()
        fcntl.fcntl(fd, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(fd, 10, signal.SIGKILL)  # F_SETSIG
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_ASYNC)
        if lifeline.poll(0):  # gone before this was set up
            os._exit(1)
        return

    def watch() -> None:
        with contextlib.suppress(OSError, EOFError):
            lifeline.poll(None)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _inline_value(value: Any, code: Code, shell: Any) -> dict[str, str]:
    """What an inline expression shows: formatted text, or the object's own maths or Markdown."""
    if code.conversion:
        conversions: dict[str, Callable[[Any], str]] = {"r": repr, "s": str, "a": ascii}
        value = conversions[code.conversion](value)
    if code.spec or code.conversion:
        return {"text/plain": format(value, code.spec)}
    if isinstance(value, str):
        return {"text/plain": value}
    if any(hasattr(value, name) for name in ("_repr_markdown_", "_repr_latex_", "_repr_mimebundle_")):
        bundle, _ = shell.display_formatter.format(value)
        rich = {k: v for k, v in jsonable(bundle).items() if k in ("text/markdown", "text/latex")}
        if rich:
            return rich
    return {"text/plain": format(value, "")}


def run_code(shell: Any, code: Code, job: Job) -> BaseException | None:
    """Runs one block or expression; its outputs go to the capture. Returns what it raised."""
    text = session.code = code.code
    lines = linecache.getlines(job.name)
    for i, line in enumerate(text.split("\n")):
        if 0 <= code.line - 1 + i < len(lines):
            lines[code.line - 1 + i] = line + "\n"
    if code.inline:
        try:
            tree = ast.parse(text, job.name, "eval")
            ast.increment_lineno(tree, code.line - 1)
            value = eval(compile(tree, job.name, "eval"), shell.user_ns)
            add_output("execute_result", _inline_value(value, code, shell), {})
        except BaseException as raised:
            return raised
        return None
    blank = len(text) - len(text.lstrip("\n"))
    # IPython drops leading empty lines before it parses.
    shell.compile.offset = code.line - 1 + (blank if text.strip() else 0)
    session.errors.clear()
    result = shell.run_cell(text, store_history=False)
    error = result.error_before_exec or result.error_in_exec or next(iter(session.errors), None)
    return error if error is None or isinstance(error, BaseException) else RuntimeError(str(error))


def serve(connection: Connection, lifeline: Connection, job: Job) -> None:
    """Runs what comes down the connection until it closes."""
    if os.name == "posix":
        os.setpgid(0, 0)
        signal.signal(signal.SIGINT, signal.default_int_handler)
    _end_with(lifeline)
    gc.freeze()
    capture = session.capture = Capture(Path(job.capture))
    faulthandler.enable(file=2, all_threads=False)
    os.chdir(job.folder)
    own = os.path.realpath(job.script_folder) if job.script_folder else None
    sys.path[:] = [job.folder, *(p for p in sys.path if p and os.path.realpath(p) != own)]
    sys.argv[:] = [job.name]
    shell = make_shell()
    shell.compile.note = job.name
    sys.modules["__main__"] = shell.user_module
    # Blank but for the blocks that have run: what `inspect` reads is Python.
    lines = ["\n"] * (job.text.count("\n") + 1)
    linecache.cache[job.name] = (len(job.text), None, lines, job.name)
    warnings.resetwarnings()
    warnings.simplefilter("default")
    for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
        warnings.filterwarnings("ignore", category=category)

    def showwarning(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: Any = None,
        line: str | None = None,
    ) -> None:
        if category is UserWarning and str(message).startswith("To exit: use"):
            return  # IPython's advice to a person at a prompt
        place = filename if filename == job.name else _short(filename)
        capture.warn(f"{place}:{lineno}: {category.__name__}: {message}\n")

    warnings.showwarning = showwarning
    _seed_everything(job.seed)
    ignore = (job.capture, os.path.dirname(__file__), *job.ignore)
    recorder = InputRecorder(ignore, (job.root, job.folder), os.path.join(job.capture, "inputs"))
    _import_from_source(recorder)
    multiprocessing.set_start_method(None, force=True)  # what Python itself would choose
    owner = os.getpid()
    while True:
        try:
            code: Code | None = connection.recv()
            if code is None:
                break
            capture.begin()
            start = time.perf_counter()
            error = run_code(shell, code, job)
            if os.getpid() != owner:  # a child that the block forked ran to its end
                if error is not None and not isinstance(error, SystemExit):
                    length = code.code.count("\n") + 1
                    lost = describe_error(error, job.name, job.folder, code.line, length)
                    print(*lost["traceback"], sep="\n", file=sys.stderr)
                capture.flush()
                os._exit(0 if error is None else getattr(error, "code", 1) or 0)
            seconds = time.perf_counter() - start
            outputs = capture.end()
            inputs = recorder.collect()
            described = None
            if error is not None:
                length = code.code.count("\n") + 1
                described = describe_error(error, job.name, job.folder, code.line, length)
                outputs.append(described)
            reply = {
                "outputs": outputs,
                "error": described,
                "seconds": seconds,
                "inputs": inputs,
            }
            connection.send(reply)
        except EOFError:
            break
        except KeyboardInterrupt:
            continue  # came when no block was running any more
    with contextlib.suppress(OSError):
        connection.close()
