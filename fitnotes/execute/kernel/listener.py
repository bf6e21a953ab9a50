"""The process above the fork server, which the kernel asks about the calls of sessions.

`begin` makes it of the fork server itself, before that has loaded anything: the one that was goes on as a child and
becomes the fork server, the one above listens. It may look into all processes below it, and ends with its child, as
its child ends with it. It lets every call go on; what it notes of a session, the session fetches behind each block.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import gc
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field

from fitnotes.execute.kernel import calls

_RECEIVE, _SEND, _FLAGS = 0xC0502100, 0xC0182101, 0x40082104
_GO_ON = 1
_PARENT_DEATH = 1  # of prctl
_SAME_CPU = 1  # the session goes on at once where it waited (Linux 6.6)
_PAGE = 4096
_CHECKED = 1.0  # seconds for which a process id is believed to be the same process

above: socket.socket | None = None  # in the fork server and its sessions: the way to the listener


def begin() -> None:
    """Returns in a child, with `above` to talk to this process, which listens from now on and never returns."""
    global above
    if sys.platform != "linux" or calls.known is None or os.environ.get("FITNOTES_RECORD") == "off":
        return
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        ctypes.CDLL(None).prctl(_PARENT_DEATH, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        ours.close()
        above = theirs
        return
    try:
        theirs.close()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        keep = ours.fileno()
        os.closerange(3, keep)
        os.closerange(keep + 1, 4096)
        gc.disable()
        Listener(ours, pid).listen()
    finally:
        os._exit(1)


@dataclass(slots=True, eq=False)
class Channel:
    """What is noted for one session. ``skip`` are folders whose files are nobody's, but for those in ``own``."""

    line: socket.socket
    skip: tuple[str, ...]
    own: tuple[str, ...]
    found: dict[tuple[str, str, bool], tuple[int, ...] | str | None] = field(default_factory=dict)

    def counts(self, path: str) -> bool:
        return not path.startswith(self.skip) or path.startswith(self.own)

    def note(self, kind: str, path: str, foreign: bool, more: tuple[int, ...] | str | None = None) -> None:
        self.found.setdefault((kind, path, foreign), more)


@dataclass(slots=True)
class _Process:
    """Whose a process is: of which sessions, and whether it is a program that one of them has started."""

    channels: list[Channel]
    foreign: bool
    began: str
    checked: float


class Listener:
    def __init__(self, line: socket.socket, child: int) -> None:
        assert calls.known is not None
        self.line = line
        self.calls = calls.known[2]
        self.child = os.pidfd_open(child)
        self.pid = child
        self.poll = select.epoll()
        self.channels: dict[int, Channel] = {}  # by descriptor
        self.listeners: dict[int, list[Channel]] = {}  # sessions by the kernel's descriptor: copies share one
        self.roots: dict[int, Channel] = {}  # by process id
        self.processes: dict[int, _Process] = {}
        library = ctypes.CDLL(None, use_errno=True)
        self._read = library.process_vm_readv
        part = (ctypes.c_void_p, ctypes.c_ulong)
        self._read.argtypes = [ctypes.c_int, *part, *part, ctypes.c_ulong]
        self._buffer = ctypes.create_string_buffer(2 * _PAGE)
        self._local = ctypes.create_string_buffer(
            struct.pack("@QQ", ctypes.addressof(self._buffer), 2 * _PAGE), 16
        )

    def listen(self) -> None:
        for descriptor in (self.line.fileno(), self.child):
            self.poll.register(descriptor, select.EPOLLIN)
        while True:
            for descriptor, event in self.poll.poll():
                if descriptor in self.listeners:
                    self._asked(descriptor, event)
                elif descriptor in self.channels:
                    self._fetch(descriptor)
                elif descriptor == self.line.fileno():
                    self._join()
                elif descriptor == self.child:
                    self._end()

    def _end(self) -> None:
        """With the fork server's own status."""
        _, status = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        if code < 0:
            if -code != signal.SIGKILL:
                signal.signal(-code, signal.SIG_DFL)
            os.kill(os.getpid(), -code)
        os._exit(max(code, 0))

    def _join(self) -> None:
        """A session begins, or goes on from a copy, which the kernel asks about already."""
        data, descriptors, _, _ = socket.recv_fds(self.line, 1 << 20, 2)
        if not data:
            return
        said = json.loads(data)
        channel = Channel(socket.socket(fileno=descriptors[0]), tuple(said["skip"]), tuple(said["own"]))
        self.channels[descriptors[0]] = channel
        self.poll.register(descriptors[0], select.EPOLLIN)
        if len(descriptors) > 1:
            listener = descriptors[1]
            with suppress(OSError):
                fcntl.ioctl(listener, _FLAGS, _SAME_CPU)
            self.listeners[listener] = []
            self.poll.register(listener, select.EPOLLIN)
        else:
            listener = said["listener"]
        if listener in self.listeners:
            self.listeners[listener].append(channel)
        self.roots[said["pid"]] = channel
        self.processes.pop(said["pid"], None)
        channel.line.sendall(struct.pack("<Q", listener))

    def _fetch(self, descriptor: int) -> None:
        channel = self.channels[descriptor]
        try:
            if channel.line.recv(1):
                data = json.dumps([[*key, more] for key, more in channel.found.items()]).encode()
                channel.found = {}
                channel.line.sendall(struct.pack("<Q", len(data)) + data)
                return
        except OSError:
            pass
        self.poll.unregister(descriptor)
        del self.channels[descriptor]
        channel.line.close()
        self.roots = {pid: one for pid, one in self.roots.items() if one is not channel}
        # Those of other sessions stay: that a process is a program is known from its start alone.
        self.processes = {task: one for task, one in self.processes.items() if channel not in one.channels}
        for known in self.listeners.values():
            if channel in known:
                known.remove(channel)

    # ----------------------------------------------------------------------------------------------

    def _asked(self, listener: int, event: int) -> None:
        if not event & select.EPOLLIN:  # all of its processes have ended
            self.poll.unregister(listener)
            del self.listeners[listener]
            os.close(listener)
            return
        question = bytearray(80)
        try:
            fcntl.ioctl(listener, _RECEIVE, question)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EINTR):
                raise
            return
        number, task = struct.unpack_from("@QI", question)
        try:
            call, _, _, *arguments = struct.unpack_from("@iIQ6Q", question, 16)
            self._note(listener, task, call, arguments)
        except (OSError, ValueError):
            pass  # it has ended meanwhile, or points to nothing
        with suppress(OSError):
            fcntl.ioctl(listener, _SEND, struct.pack("@QqiI", number, 0, 0, _GO_ON))

    def _note(self, listener: int, task: int, number: int, arguments: list[int]) -> None:
        call = self.calls[number]
        name = self._text(task, arguments[call.path])
        if call.kind == calls.LOOK and not name:
            return  # about a descriptor
        process = self._process(task)
        channels = process.channels or self.listeners[listener]
        path = self._full(task, name, arguments[call.folder] if call.folder >= 0 else None)
        foreign = process.foreign
        if call.kind == calls.RUN:
            process.foreign = True
            for channel in channels:
                channel.note(calls.RUN, path, foreign)
            return
        moved = ""
        if number in calls.MOVES:
            at, folder = calls.MOVES[number]
            moved = self._full(
                task, self._text(task, arguments[at]), arguments[folder] if folder >= 0 else None
            )
        channels = [one for one in channels if one.counts(path) or (moved and one.counts(moved))]
        if not channels:
            return
        kind, more = call.kind, None
        if kind == calls.OPEN:
            flags = self._flags(task, arguments, call)
            kind, more = self._opened(path, flags)
        for channel in channels:
            channel.note(kind, path, foreign, moved or more)

    def _opened(self, path: str, flags: int) -> tuple[str, tuple[int, ...] | None]:
        """What an opening does, and what is there: of a file size, time and number."""
        if flags & os.O_PATH:
            return calls.LOOK, None
        if flags & os.O_DIRECTORY:
            return calls.LISTED, None
        reads, writes, new = calls.opened(flags)
        if new:
            return calls.MADE, None
        try:
            there = os.stat(path)
        except OSError:
            return (calls.MADE if flags & os.O_CREAT else calls.READ), None
        mark = (there.st_size, there.st_mtime_ns, there.st_ino)
        return (calls.READ if not writes else calls.BOTH if reads else calls.TOUCHED), mark

    def _flags(self, task: int, arguments: list[int], call: calls.Call) -> int:
        if call.flags >= 0:
            return arguments[call.flags]
        return int(struct.unpack_from("@Q", self._memory(task, arguments[call.path + 1], 8))[0])

    # ----------------------------------------------------------------------------------------------

    def _memory(self, task: int, address: int, size: int) -> bytes:
        """Some bytes of a process, fewer where its memory ends. Raises OSError."""
        first = min(size, _PAGE - address % _PAGE)
        parts = struct.pack("@QQQQ", address, first, address + first, size - first)
        count = self._read(task, self._local, 1, parts, 2 if size > first else 1, 0)
        if count < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return self._buffer.raw[:count]

    def _text(self, task: int, address: int) -> str:
        data = self._memory(task, address, 256)
        if b"\0" not in data:
            data = self._memory(task, address, _PAGE)
        return os.fsdecode(data.split(b"\0", 1)[0])

    def _full(self, task: int, name: str, folder: int | None) -> str:
        if name.startswith("/"):
            return os.path.normpath(name)
        number = -100 if folder is None else folder & 0xFFFFFFFF
        place = "cwd" if number in (-100, 0xFFFFFF9C) else f"fd/{number}"
        return os.path.normpath(os.path.join(os.readlink(f"/proc/{task}/{place}"), name))

    def _process(self, task: int) -> _Process:
        known = self.processes.get(task)
        now = time.monotonic()
        if known is not None and now - known.checked < _CHECKED:
            return known
        with open(f"/proc/{task}/stat", "rb") as file:
            began = file.read().rpartition(b")")[2].split()[19].decode()
        if known is not None and known.began == began:
            known.checked = now
            return known
        with open(f"/proc/{task}/status", encoding="ascii", errors="replace") as status:
            said = dict(line.split(":", 1) for line in status if ":" in line)
        process, parent = int(said["Tgid"]), int(said["PPid"])
        if process in self.roots:
            made = _Process([self.roots[process]], False, began, now)
        elif process != task:
            return self._process(process)  # a thread is as its process
        else:
            try:
                upper = self._process(parent) if parent > 1 and parent != os.getpid() else None
            except OSError:
                upper = None
            made = _Process(
                list(upper.channels) if upper else [], upper.foreign if upper else True, began, now
            )
        self.processes[task] = made
        return made
