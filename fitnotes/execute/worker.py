"""Inside a session's process: runs the blocks it is sent and answers with their outputs.

Knows nothing of notes, pandoc or pages; it gets code with line numbers and returns nbformat outputs.
"""

from __future__ import annotations

import ast
import contextlib
import errno
import faulthandler
import gc
import inspect
import linecache
import multiprocessing
import os
import random
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from fitnotes.execute import probes, spawning
from fitnotes.execute.capture import Capture
from fitnotes.execute.lifeline import end_with
from fitnotes.execute.protocol import Cell, Hold, Setup, Wake
from fitnotes.execute.recorder import Recorder
from fitnotes.execute.seeding import seed_everything
from fitnotes.execute.shell import add_output, jsonable, make_shell, session
from fitnotes.execute.sleeper import descriptors, obstacle, sleep
from fitnotes.execute.tracebacks import describe_error, short_path


def _inline_value(value: Any, code: Cell, shell: Any) -> dict[str, str]:
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


def run_code(shell: Any, code: Cell, job: Setup) -> BaseException | None:
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
            compiled = compile(
                tree, job.name, "eval", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
            )
            value = eval(compiled, shell.user_ns)
            if compiled.co_flags & inspect.CO_COROUTINE:  # it awaits something
                value = shell.loop_runner(value)
            add_output("execute_result", _inline_value(value, code, shell), {})
        except BaseException as raised:
            return raised
        return None
    blank = len(text) - len(text.lstrip("\n"))
    # IPython drops leading empty lines before it parses.
    shell.compile.offset = code.line - 1 + (blank if text.strip() else 0)
    session.errors.clear()
    session.ended = False
    with figure_size(*code.size):
        result = shell.run_cell(text, store_history=False)
    error = result.error_before_exec or result.error_in_exec or next(iter(session.errors), None)
    return error if error is None or isinstance(error, BaseException) else RuntimeError(str(error))


@contextlib.contextmanager
def figure_size(width: float, height: float) -> Iterator[None]:
    """Figures of this size in inches, unless the block itself says otherwise; 0: as it was."""
    if not (width or height):
        yield
        return
    import matplotlib

    before = list(matplotlib.rcParams["figure.figsize"])
    asked = [width or before[0], height or before[1]]
    matplotlib.rcParams["figure.figsize"] = asked
    try:
        yield
    finally:
        if list(matplotlib.rcParams["figure.figsize"]) == asked:
            matplotlib.rcParams["figure.figsize"] = before


def _quiet_warnings(capture: Capture, name: str) -> None:
    """Warnings as a reader wants them: those of the author's own calls, with the note's name and line."""
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
        place = filename if filename == name else short_path(filename)
        capture.warn(f"{place}:{lineno}: {category.__name__}: {message}\n")

    warnings.showwarning = showwarning


def _limit_memory(limit: int) -> None:
    """At most ``limit`` bytes of the process's own data: the allocation that asks for more fails, in its line."""
    if limit and os.name == "posix":
        import resource

        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        soft = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _peak_memory() -> int:
    """The most bytes that this process has held at a time."""
    if os.name != "posix":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


class Worker:
    """One session: its namespace, and the connection to the parent."""

    def __init__(self, connection: Connection, lifeline: Connection, job: Setup) -> None:
        if os.name == "posix":
            os.setpgid(0, 0)
            signal.signal(signal.SIGINT, signal.default_int_handler)
        end_with(lifeline)
        gc.freeze()
        self.connection = connection
        self.lifeline = lifeline
        self.job = job
        self.capture = session.capture = Capture(Path(job.capture))
        self.held: set[int] = set()
        faulthandler.enable(file=2, all_threads=False)
        os.chdir(job.folder)
        own = os.path.realpath(job.script_folder) if job.script_folder else None
        sys.path[:] = [job.folder, *(p for p in sys.path if p and os.path.realpath(p) != own)]
        sys.argv[:] = [job.name]
        self.shell = make_shell()
        self.shell.compile.note = job.name
        sys.modules["__main__"] = self.shell.user_module
        # Blank but for the blocks that have run: what `inspect` reads is Python.
        self.lines = ["\n"] * job.lines
        linecache.cache[job.name] = (job.lines, None, self.lines, job.name)
        _quiet_warnings(self.capture, job.name)
        seed_everything(job.seed)
        ignore = (os.path.dirname(__file__), *job.ignore)
        aside = os.path.join(job.capture, "inputs")
        self.recorder = Recorder(job.name, ignore, (job.root, job.folder), aside, job.environment)
        probes.install(self.recorder, job.environment)
        multiprocessing.set_start_method(None, force=True)  # what Python itself would choose
        self.sources: list[str] = []  # of the blocks that have begun
        spawning.install(self.sources, self.shell.transform_cell, job.capture)
        _limit_memory(job.memory)
        self.recorder.listen()
        self.owner = os.getpid()
        self.known = descriptors() if sys.platform == "linux" else {}

    def serve(self) -> None:
        """Does what comes down the connection until it closes."""
        while True:
            try:
                message: Cell | Hold | None = self.connection.recv()
                if message is None:
                    break
                if isinstance(message, Hold):
                    self._hold(message.address)
                else:
                    self.connection.send(self._run(message))
            except EOFError:
                break
            except KeyboardInterrupt:
                continue  # came when no block was running any more
        with contextlib.suppress(OSError):
            self.connection.close()

    def _run(self, code: Cell) -> dict[str, Any]:
        self.capture.begin()
        self.recorder.code(code.code)
        if (pyplot := sys.modules.get("matplotlib.pyplot")) is not None:
            pyplot.uninstall_repl_displayhook()  # it draws every figure once more, for a window
        start = time.perf_counter()
        if not code.inline:
            self.sources.append(code.code)
        error = run_code(self.shell, code, self.job)
        if os.getpid() != self.owner:
            self._leave(code, error)
        seconds = time.perf_counter() - start
        outputs = self.capture.end()
        if error is None and self.capture.full:
            error = OSError(
                errno.ENOSPC, "no room for what it prints in the temporary folder", self.job.capture
            )
        found = self.recorder.collect()
        described = None
        if error is not None:
            described = self._describe(code, error)
            outputs.append(described)
        return {
            **found,
            "outputs": outputs,
            "error": described,
            "full": self.capture.full,
            "starved": error is not None and _is_out_of_memory(error),
            "seconds": seconds,
            "memory": _peak_memory(),
        }

    def _describe(self, code: Cell, error: BaseException) -> dict[str, Any]:
        length = code.code.count("\n") + 1
        return describe_error(error, self.job.name, self.job.folder, code.line, length)

    def _leave(self, code: Cell, error: BaseException | None) -> None:
        """Ends a child that the block forked and that ran to the block's end."""
        if error is not None and not isinstance(error, SystemExit):
            print(*self._describe(code, error)["traceback"], sep="\n", file=sys.stderr)
        self.capture.flush()
        os._exit(0 if error is None else getattr(error, "code", 1) or 0)

    def _hold(self, address: str) -> None:
        """Leaves a sleeping copy at ``address``, and says its process id or why there is none.

        Returns in the session, and again in every session that is woken from the copy.
        """
        why = obstacle(self.known, self.held)
        if why:
            self.connection.send({"held": 0, "why": why, "files": {}})
            return
        self.capture.flush()
        files = self.recorder.touched()
        state = random.getstate()
        told, ready = os.pipe()
        pid = os.fork()
        if pid:
            os.close(ready)
            listens = os.read(told, 1)
            os.close(told)
            self.held.add(pid)
            why = "" if listens else "it ended"
            self.connection.send({"held": pid if listens else 0, "why": why, "files": files})
            return
        os.close(told)
        random.setstate(state)  # Python seeds it anew in every fork
        if self.recorder.kernel is not None:
            self.recorder.kernel.leave()
        try:
            self.connection = sleep(address, ready, self.connection, self.lifeline)
        except BaseException:  # this is no session: nothing above may go on with it
            os._exit(1)
        wake: Wake = self.connection.recv()
        self.owner = self.recorder.owner = os.getpid()
        self.recorder.aside = os.path.join(wake.capture, "inputs")
        self.capture.move(Path(wake.capture))
        if self.recorder.kernel is not None:
            self.recorder.kernel.go_on()
        self.lines += ["\n"] * (wake.lines - len(self.lines))
        self.held = set()
        self.known = descriptors()
        self.connection.send({"pid": os.getpid()})


def serve(connection: Connection, lifeline: Connection, job: Setup) -> None:
    """A session's process, from its start to its end."""
    Worker(connection, lifeline, job).serve()
