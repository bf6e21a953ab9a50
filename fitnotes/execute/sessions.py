"""Sessions: one child process for the blocks that share a namespace.

Children come from the standard library's fork server, which has imported numpy, torch and the rest
once; where there is no fork, a fresh process. The parent never imports any of them.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from fitnotes.execute.cache import Result
from fitnotes.execute.capture import NAMES, leftover
from fitnotes.execute.child import serve
from fitnotes.execute.inputs import stored_path
from fitnotes.execute.plan import Step
from fitnotes.execute.protocol import PRELOAD_VARIABLE, Code, Job
from fitnotes.note import Block, Note
from fitnotes.settings import Project, Settings

FLOOD = 200_000_000  # bytes that one block may print
GRACE = 2.0  # seconds between the interrupt and the kill of a block that is out of time
START_LIMIT = 120.0  # seconds until a session has to answer that it is there

_lock = threading.Lock()


def _context() -> Any:
    methods = multiprocessing.get_all_start_methods()
    return multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")


def start_server(modules: Sequence[str], threads: int) -> None:
    """Starts the fork server, which loads ``modules``; returns at once. Later calls do nothing."""
    # A fixed hash seed makes the order of sets repeatable; fixed threads make sums round alike.
    os.environ.setdefault("PYTHONHASHSEED", "0")
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, str(threads))
    os.environ[PRELOAD_VARIABLE] = ",".join(modules)
    context = _context()
    if context.get_start_method() == "forkserver":
        from multiprocessing import forkserver

        with _lock:
            context.set_forkserver_preload(["fitnotes.execute.preload"])
            forkserver.ensure_running()


def stop_server() -> None:
    """Ends the fork server at once. By itself it takes most of a second to unload torch, and whoever reads
    our output through a pipe waits for it. A later `start_server` starts another."""
    from multiprocessing import forkserver

    pid = getattr(getattr(forkserver, "_forkserver", None), "_forkserver_pid", None)
    if isinstance(pid, int):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """multiprocessing runs the program's main module again in each child; ours has nothing to say there,
    and a script that calls fitnotes without a __main__ guard would start over."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def sweep() -> None:
    """Removes what builds that were killed left in the temporary folder."""
    for folder in Path(tempfile.gettempdir()).glob("fitnotes-*-*"):
        pid = folder.name.split("-")[1]
        if pid.isdigit() and os.name == "posix":
            try:
                os.kill(int(pid), 0)
            except ProcessLookupError:
                shutil.rmtree(folder, ignore_errors=True)
            except OSError:
                continue


class TooMuch(Exception):
    """A block prints without end."""


class SessionDied(Exception):
    """The session's process ended while a block was running. ``status`` is a process exit code."""

    def __init__(self, status: int | None) -> None:
        super().__init__(status)
        self.status = status

    def __str__(self) -> str:
        if self.status is None:
            return "its process vanished"
        if self.status < 0:
            name = signal.Signals(-self.status).name if -self.status in set(signal.Signals) else ""
            more = {
                "SIGKILL": " (killed from outside; often the system is out of memory)",
                "SIGSEGV": " (a crash in compiled code)",
            }.get(name, "")
            return f"its process died of signal {-self.status} {name}{more}"
        return f"its process ended with exit status {self.status}"


class Cancelled(Exception):
    """The build is being stopped."""


class Session:
    """A running child. Use as a context manager; leaving it ends the process and all it started."""

    def __init__(self, note: Note, settings: Settings, project: Project, cancel: threading.Event) -> None:
        self.note = note
        self.cancel = cancel
        sweep()
        self.folder = Path(tempfile.mkdtemp(prefix=f"fitnotes-{os.getpid()}-"))
        self.offsets = dict.fromkeys(NAMES, 0)
        for name in NAMES:
            (self.folder / name).touch()
        context = _context()
        ours, theirs = context.Pipe()
        lifeline, self.alive = context.Pipe(duplex=False)  # ends when this process does
        job = Job(
            name=note.path.name,
            text=note.text,
            folder=str(note.path.parent),
            seed=settings.seed,
            capture=str(self.folder),
            root=str(project.root),
            ignore=(str(project.store), *(str(project.output / target) for target in ("html", "pdf"))),
            script_folder=os.path.dirname(os.path.abspath(sys.argv[0])) if sys.argv and sys.argv[0] else "",
        )
        self.connection: Connection = ours
        with _lock, _without_main():
            self.process = context.Process(target=serve, args=(theirs, lifeline, job))
            self.process.start()
        theirs.close()
        lifeline.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(OSError, ValueError):
            self.connection.send(None)
            self.process.join(0.5)
        self._kill()
        self.connection.close()
        self.alive.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _signal(self, number: int) -> None:
        pid = self.process.pid
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, number)
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)

    def _kill(self) -> None:
        if os.name == "posix":
            self._signal(signal.SIGKILL)
        else:
            self.process.kill()
        self.process.join(5)

    def _reply(self, limit: float) -> dict[str, Any] | None:
        """The child's answer; None when ``limit`` seconds pass first. Raises SessionDied, Cancelled."""
        end = time.monotonic() + limit if limit else None
        while True:
            if self.cancel.is_set():
                raise Cancelled
            if (
                sum((self.folder / name).stat().st_size for name in NAMES) - sum(self.offsets.values())
                > FLOOD
            ):
                raise TooMuch
            left = 0.25 if end is None else min(0.25, end - time.monotonic())
            if left <= 0:
                return None
            ready = wait([self.connection, self.process.sentinel], left)
            if self.connection in ready:
                try:
                    reply: dict[str, Any] = self.connection.recv()
                    return reply
                except (EOFError, ConnectionError):
                    ready = [self.process.sentinel]
            if self.process.sentinel in ready:
                self.process.join(5)
                raise SessionDied(self.process.exitcode)

    def run(self, block: Block) -> Result:
        """Runs one block. After a timeout or a crash the session is over: every later call is refused."""
        limit = block.options.timeout
        start = time.monotonic()
        try:
            self.connection.send(
                Code(block.code, block.line or 1, block.inline, block.spec, block.conversion)
            )
            reply = self._reply(limit)
            if reply is None:
                return self._timed_out(block, limit)
        except TooMuch:
            message = f"{block.name} printed more than {FLOOD // 1_000_000} MB and was killed"
            return self._lost("crash", message, block, time.monotonic() - start)
        except (SessionDied, ConnectionError) as died:
            what = str(died) if isinstance(died, SessionDied) else "its process vanished"
            return self._lost("crash", f"{block.name} crashed: {what}", block, time.monotonic() - start)
        for name in NAMES:
            self.offsets[name] = (self.folder / name).stat().st_size
        error = reply["error"]
        status: Any = "ok" if error is None or block.options.error else "error"
        message, line = "", None
        if error is not None:
            first = str(error["evalue"]).strip().split("\n")[0]
            message = f"{block.name} raised {error['ename']}" + (f": {first}" if first else "")
            line = error["line"]
        return Result(
            status,
            tuple(reply["outputs"]),
            message,
            line,
            reply["seconds"],
            tuple(map(tuple, reply["inputs"])),
        )

    def _timed_out(self, block: Block, limit: float) -> Result:
        """Interrupts, then kills. What the block had printed is kept."""
        message = f"{block.name} took longer than its {limit:g} s"
        if os.name == "posix":
            self._signal(signal.SIGINT)
            try:
                reply = self._reply(GRACE)
            except (SessionDied, TooMuch):
                reply = None
            if reply is not None:
                where = reply["error"]["line"] if reply["error"] else block.line
                outputs = tuple(o for o in reply["outputs"])
                return Result("timeout", outputs, f"{message} and was interrupted", where, limit)
        return self._lost("timeout", f"{message}, ignored the interrupt and was killed", block, limit)

    def _lost(self, status: Any, message: str, block: Block, seconds: float) -> Result:
        self._kill()
        outputs = leftover(self.folder, self.offsets)
        for output in outputs:
            if output["name"] == "stderr":
                output["text"] = own_frames(output["text"], self.note.path.name)
        return Result(status, tuple(outputs), message, block.line, seconds)


def own_frames(text: str, note: str) -> str:
    """The report that Python leaves of a fatal error, with the note's own frames only."""
    head, fatal, report = text.partition("Fatal Python error: ")
    lines = [
        line
        for line in report.split("\n")
        if not line.startswith(("  File ", "Extension modules:")) or line.startswith(f'  File "{note}"')
    ]
    return head + fatal + "\n".join(lines)


def run_sessions(
    note: Note,
    groups: Sequence[Sequence[Step]],
    settings: Settings,
    project: Project,
    cancel: threading.Event,
    done: Callable[[Step, Result], None],
) -> None:
    """Runs the steps of a note's sessions in the order of the document; each result is reported as soon as
    it is there. After an error, a timeout or a crash the session's later steps are reported as not run.
    """
    with contextlib.ExitStack() as stack:
        open_sessions: dict[str, Session] = {}
        failed: dict[str, Block] = {}
        for step in sorted((s for group in groups for s in group), key=lambda s: s.block.index):
            name = step.block.options.session
            if name in failed:
                done(step, Result("not run", message=f"not run: {failed[name].name} above failed"))
                continue
            if name not in open_sessions:
                open_sessions[name] = stack.enter_context(Session(note, settings, project, cancel))
            result = open_sessions[name].run(step.block)
            inputs = tuple((stored_path(path, project.root), known) for path, known in result.inputs)
            if result.status != "ok":
                failed[name] = step.block
            done(step, replace(result, inputs=inputs, at=step.block.line))
