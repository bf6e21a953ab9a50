"""Sessions: one child process for the blocks that share a namespace.

Children come from the standard library's fork server, which has imported numpy, torch and the rest
once; where there is no fork, a fresh process. The parent never imports any of them.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import types
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from fitnotes.execute.capture import NAMES, leftover
from fitnotes.execute.child import serve
from fitnotes.execute.protocol import FOLDER_VARIABLE, PRELOAD_VARIABLE, Cell, Hold, Setup, Wake, exit_file
from fitnotes.execute.result import Result
from fitnotes.settings import Project, Settings, show_size
from fitnotes.source.block import Block
from fitnotes.source.note import Note
from fitnotes.store.inputs import Input, environment_hash
from fitnotes.store.scratch import scratch

FLOOD = 200_000_000  # bytes that one block may print
LOOK = 0.1  # seconds between looks at how much a block has printed, and whether the build is stopped
GRACE = 2.0  # seconds between the interrupt and the kill of a block that is out of time
_TURNS = 5  # to start a session, where somebody kills the fork server
_UNKNOWN = 255  # multiprocessing's exit status of a process whose fork server is gone
CAN_HOLD = sys.platform == "linux" and hasattr(os, "pidfd_open")  # sleeping copies of sessions

_lock = threading.Lock()
_ends: list[Connection] = []
_keeper: threading.Thread | None = None


def _context() -> Any:
    methods = multiprocessing.get_all_start_methods()
    return multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")


def set_environment(threads: int) -> None:
    """The variables that sessions start with, set before any of them is looked up."""
    # A fixed hash seed makes the order of sets repeatable; fixed threads make sums round alike.
    os.environ.setdefault("PYTHONHASHSEED", "0")
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, str(threads))


def start_server(modules: Sequence[str], threads: int, folder: Path) -> None:
    """Starts the fork server, which loads ``modules`` in ``folder``; returns at once. Later calls do nothing."""
    set_environment(threads)
    os.environ[FOLDER_VARIABLE] = str(folder)
    os.environ[PRELOAD_VARIABLE] = ",".join(modules)
    context = _context()
    if context.get_start_method() == "forkserver":
        from multiprocessing import forkserver

        global _keeper
        with _lock:
            context.set_forkserver_preload(["fitnotes.execute.preload"])
            forkserver.ensure_running()
            if _keeper is None and sys.platform == "linux":
                _keeper = threading.Thread(target=_keep_going, daemon=True)
                _keeper.start()


def _keep_going() -> None:
    """Wakes the fork server, and what listens above it, where somebody has stopped them: all sessions wait for them."""
    while True:
        time.sleep(1)
        pid = _server()
        below: list[int] = []
        with contextlib.suppress(OSError, ValueError):
            below = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        for one in (pid, *below[:1]):
            with contextlib.suppress(OSError):
                if one and Path(f"/proc/{one}/stat").read_bytes().rpartition(b") ")[2][:1] == b"T":
                    os.kill(one, signal.SIGCONT)


def stop_server() -> None:
    """Ends the fork server at once. By itself it takes most of a second to unload torch, and whoever reads
    our output through a pipe waits for it. A later `start_server` starts another."""
    if pid := _server():
        with contextlib.suppress(ProcessLookupError, PermissionError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            # Until it is gone a new one would not be started; multiprocessing itself reaps it.
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def _lifeline() -> Connection:
    """The end that sessions hold of a pipe whose other end closes with this process."""
    if not _ends:
        _ends.extend(_context().Pipe(duplex=False))
    return _ends[0]


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


class ServerGone(Exception):
    """The fork server has been killed. What its sessions were doing is unknown; others can be started."""


def _server() -> int:
    """The process id of the last fork server; 0 where there was none."""
    from multiprocessing import forkserver

    pid = getattr(getattr(forkserver, "_forkserver", None), "_forkserver_pid", None)
    return pid if isinstance(pid, int) else 0


def _is_gone(pid: int) -> bool:
    """Whether this fork server, our child, has ended."""
    if pid != _server():
        return True
    try:
        gone = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
    except (OSError, AttributeError):
        return True
    return gone is not None


class _Started:
    """A session's process that the fork server (or a spawn) made."""

    def __init__(self, process: Any, server: int) -> None:
        self._process = process
        self._server = server
        self.pid: int = process.pid
        self.sentinel: Any = process.sentinel

    def status(self) -> int | None:
        """Raises ServerGone: it alone would know."""
        self._process.join(5)
        code: int | None = self._process.exitcode
        for _ in range(
            50 if code == _UNKNOWN and self._server else 0
        ):  # it closes its pipes before it is gone
            if _is_gone(self._server):
                raise ServerGone
            time.sleep(0.02)
        return code

    def is_orphan(self) -> bool:
        """Whether its fork server is gone."""
        return bool(self._server) and _is_gone(self._server)

    def join(self, seconds: float) -> None:
        self._process.join(seconds)

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        pass


class _Woken:
    """A session's process that a sleeper made: not our child, so its sleeper leaves its exit status."""

    def __init__(self, pid: int, address: str) -> None:
        self.pid = pid
        self._server = _server()
        self.sentinel: Any = os.pidfd_open(pid)
        self._left = Path(exit_file(address, pid))

    def status(self) -> int | None:
        for _ in range(100):
            with contextlib.suppress(OSError, ValueError):
                return int(self._left.read_text())
            time.sleep(0.02)
        return None

    def is_orphan(self) -> bool:
        return _is_gone(self._server)

    def join(self, seconds: float) -> None:
        wait([self.sentinel], seconds)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        os.close(self.sentinel)
        self._left.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Copy:
    """A sleeping copy of a session; ``handle`` is a pidfd. Its process ends with `drop`, or with this one."""

    address: str
    pid: int
    handle: int

    def drop(self) -> None:
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(self.handle, signal.SIGKILL)
        os.close(self.handle)
        with contextlib.suppress(OSError):
            os.unlink(self.address)

    def memory(self) -> int:
        """Bytes that only this process holds."""
        try:
            text = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        except OSError:
            return 0
        return 1024 * sum(int(n) for n in re.findall(r"^Private_\w+:\s+(\d+)", text, re.MULTILINE))


def _descendants(pid: int, but: set[int]) -> list[int]:
    """All processes below ``pid``, without those in ``but`` and below them; none where the system does not tell."""
    found: list[int] = []
    todo = [pid]
    while todo:
        parent = todo.pop()
        with contextlib.suppress(OSError, ValueError):
            text = Path(f"/proc/{parent}/task/{parent}/children").read_text()
            children = [int(word) for word in text.split() if int(word) not in but]
            todo += children
            found += children
    return found


class Session:
    """A running child. Use as a context manager; leaving it ends the process and all it started.

    With ``origin`` it goes on from a sleeping copy; ``shift`` is by how many lines the note's blocks stood
    further down when the copied session began.
    """

    def __init__(
        self,
        note: Note,
        settings: Settings,
        project: Project,
        cancel: threading.Event,
        origin: Copy | None = None,
        shift: int = 0,
        pages: Sequence[Path] = (),
    ) -> None:
        self.note = note
        self.pages = pages
        self.settings = settings
        self.cancel = cancel
        self.shift = shift
        self.memory = 0
        self._copies: set[int] = set()
        self.folder = Path(tempfile.mkdtemp(dir=scratch()))
        self.offsets = dict.fromkeys(NAMES, 0)
        for name in NAMES:
            (self.folder / name).touch()
        try:
            if origin is None:
                self._start(settings, project)
            else:
                self._wake(origin)
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def _start(self, settings: Settings, project: Project) -> None:
        context = _context()
        ours, theirs = context.Pipe()
        job = Setup(
            name=self.note.path.name,
            lines=self.note.text.count("\n") + 1,
            folder=str(self.note.path.parent),
            seed=settings.seed,
            capture=str(self.folder),
            root=str(project.root),
            ignore=(
                *(str(project.store), str(project.results), str(scratch())),
                *map(str, self.pages),
            ),
            script_folder=os.path.dirname(os.path.abspath(sys.argv[0])) if sys.argv and sys.argv[0] else "",
            memory=settings.memory,
            environment=environment_hash(),
        )
        self.connection: Connection = ours
        for turn in range(_TURNS):
            process = context.Process(target=serve, args=(theirs, _lifeline(), job))
            try:
                with _lock, _without_main():
                    process.start()
                    server = _server() if context.get_start_method() == "forkserver" else 0
                break
            except (OSError, EOFError):  # the server was killed; the next start makes another
                if turn == _TURNS - 1 or context.get_start_method() != "forkserver":
                    raise ServerGone from None
                time.sleep(0.1)
        self.process: _Started | _Woken = _Started(process, server)
        theirs.close()

    def _wake(self, origin: Copy) -> None:
        """Raises OSError or EOFError: the copy is gone."""
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(5)
        try:
            line.connect(origin.address)
        except OSError:
            line.close()
            raise
        line.settimeout(None)
        self.connection = Connection(line.detach())
        try:
            self.connection.send(Wake(str(self.folder), self.note.text.count("\n") + 1))
            if not self.connection.poll(10):
                raise EOFError
            self.process = _Woken(self.connection.recv()["pid"], origin.address)
        except BaseException:
            self.connection.close()
            raise

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: object = None, *exc: object) -> None:
        if kind is None:
            with contextlib.suppress(OSError, ValueError):
                self.connection.send(None)
                self.process.join(0.5)
        self._kill()
        self.connection.close()
        self.process.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(self.process.pid, number)

    def _kill(self) -> None:
        if os.name == "posix":
            others = _descendants(self.process.pid, self._copies)
            self._signal(signal.SIGKILL)
            for pid in others:  # those that left its group
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
        else:
            self.process.kill()
        self.process.join(5)

    def _reply(self, limit: float) -> dict[str, Any] | None:
        """The child's answer; None when ``limit`` seconds pass first. Raises SessionDied, Cancelled."""
        end = time.monotonic() + limit if limit else None
        while True:
            if self.cancel.is_set():
                raise Cancelled
            printed = sum((self.folder / name).stat().st_size for name in NAMES)
            if printed - sum(self.offsets.values()) > FLOOD:
                raise TooMuch
            left = LOOK if end is None else min(LOOK, end - time.monotonic())
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
                raise SessionDied(self.process.status())

    def hold(self) -> tuple[Copy, dict[str, str]] | str:
        """A sleeping copy of the session as it is now, with what the session has changed so far (files and
        folders, with hashes); or the reason why there is none."""
        if not CAN_HOLD:
            return "this system cannot"
        address = str(self.folder.with_name(f"{self.folder.name}.{uuid.uuid4().hex[:8]}"))
        try:
            self.connection.send(Hold(address))
            reply = self._reply(30)
        except (SessionDied, OSError):
            reply = None
        if not reply or not reply["held"]:
            return str(reply["why"]) if reply else "it did not answer"
        self._copies.add(reply["held"])
        try:
            return Copy(address, reply["held"], os.pidfd_open(reply["held"])), reply["files"]
        except OSError:
            return "it ended"

    def run(self, block: Block) -> Result:
        """Runs one block. After a timeout or a crash the session is over: every later call is refused."""
        limit = block.options.timeout
        start = time.monotonic()
        line = (block.line or 1) - self.shift
        try:
            size = block.options.size
            self.connection.send(Cell(block.code, line, block.inline, block.spec, block.conversion, size))
            reply = self._reply(limit)
            if reply is None:
                return self._timed_out(block, limit)
        except TooMuch:
            message = f"{block.name} printed more than {FLOOD // 1_000_000} MB and was killed"
            return self._lost("crash", message, block, time.monotonic() - start)
        except (SessionDied, ConnectionError) as died:
            what = str(died) if isinstance(died, SessionDied) else "its process vanished"
            if self.settings.memory:
                what += f"; it may use {show_size(self.settings.memory)} of memory"
            return self._lost("crash", f"{block.name} crashed: {what}", block, time.monotonic() - start)
        if (reply["error"] or reply["lost"]) and self.process.is_orphan():
            raise ServerGone  # and with it the process that its calls wait for: the error is not the block's
        for name in NAMES:
            self.offsets[name] = (self.folder / name).stat().st_size
        self.memory = max(self.memory, reply["memory"])
        error = reply["error"]
        starved = reply["starved"] and self.settings.memory
        meant = block.options.error and not starved and not reply["full"]
        status: Any = "ok" if error is None or meant else "error"
        message, line_of_error = "", None
        if error is not None:
            first = str(error["evalue"]).strip().split("\n")[0]
            message = f"{block.name} raised {error['ename']}" + (f": {first}" if first else "")
            if starved:
                limit_shown = show_size(self.settings.memory)
                message = f"{block.name} needs more memory than the {limit_shown} of a session (memory)"
            line_of_error = error["line"] + self.shift
        return self._result(reply, status, message, line_of_error)

    def _result(self, reply: dict[str, Any], status: Any, message: str, line: int | None) -> Result:
        return Result(
            status,
            tuple(reply["outputs"]),
            message,
            line,
            reply["seconds"],
            tuple(Input(*item) for item in reply["inputs"]),
            wrote=tuple(reply["wrote"]),
            volatile=tuple(reply["volatile"]),
            lines=tuple(sorted(reply["lines"].items())),
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
                where = reply["error"]["line"] + self.shift if reply["error"] else block.line
                found = self._result(reply, "timeout", f"{message} and was interrupted", where)
                return replace(found, seconds=limit)
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
