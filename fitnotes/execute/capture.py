"""Catching everything a block prints, in order, from Python, C code and subprocesses alike.

File descriptors 1 and 2 point at two files (not pipes: nothing can block on a reader, and what a
crashed process wrote is still there). Python's own streams say when the writer changes between
stdout, stderr and displayed results, which is where the files are cut.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import io
import os
import sys
from pathlib import Path
from typing import Any, TextIO

NAMES = ("stdout", "stderr")
LIMIT = 1_000_000  # characters of one stream kept for one block


class _Stream(io.TextIOWrapper):
    """sys.stdout or sys.stderr of the session."""

    def __init__(self, capture: Capture, name: str, fd: int) -> None:
        raw = io.BufferedWriter(io.FileIO(fd, "wb", closefd=False), buffer_size=1 << 16)
        super().__init__(raw, encoding="utf-8", errors="backslashreplace", line_buffering=True)
        self._capture = capture
        self._name = name

    def write(self, text: str) -> int:
        # A process that a block forked only writes: the files and their order belong to the session.
        if self._capture.writer != self._name and os.getpid() == self._capture.owner:
            self._capture.cut()
            self._capture.writer = self._name
        return super().write(text)

    def isatty(self) -> bool:
        return False


class Capture:
    """Collects the outputs of the current block as nbformat output dicts."""

    def __init__(self, folder: Path) -> None:
        self.outputs: list[dict[str, Any]] = []
        self.writer = ""
        self.full = False  # there was no room for something that the block printed
        self.folder = folder
        self.owner = os.getpid()
        self._files: list[Any] = []
        self._targets: list[int] = []
        self._libc = ctypes.CDLL(None) if os.name == "posix" else None
        self._streams = [_Stream(self, name, fd) for fd, name in enumerate(NAMES, 1)]
        self._open(folder)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        self.install()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self.flush)  # else a forked child would write it again

    def _open(self, folder: Path) -> None:
        for name in NAMES:
            self._files.append(open(folder / name, "rb"))  # noqa: SIM115
            flags = os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0)
            self._targets.append(os.open(folder / name, flags))

    def move(self, folder: Path) -> None:
        """Goes on with the files of another folder, in a copy of the process."""
        self.owner = os.getpid()
        self.folder = folder
        for file, target in zip(self._files, self._targets, strict=True):
            file.close()
            os.close(target)
        self._files.clear()
        self._targets.clear()
        self._open(folder)
        self.install()

    def install(self) -> None:
        """Makes the streams Python's own; again before each block, since a block may have replaced or
        closed them, or the descriptors below."""
        for fd, name in enumerate(NAMES, 1):
            os.dup2(self._targets[fd - 1], fd)
            if self._streams[fd - 1].closed:
                self._streams[fd - 1] = _Stream(self, name, fd)
        out, err = self._streams
        sys.stdout = sys.__stdout__ = out  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = err  # type: ignore[misc]
        sys.stdin = sys.__stdin__ = _no_input()  # type: ignore[misc,assignment]

    def begin(self) -> None:
        self.install()
        self.cut()
        self.outputs.clear()
        self.writer = ""
        self.full = False

    def cut(self) -> None:
        """Moves what was written since the last cut into ``outputs``."""
        self.flush()
        if os.getpid() != self.owner:
            return
        order = (0, 1) if self.writer != "stderr" else (1, 0)
        for i in order:
            text = read_bounded(self._files[i])
            if text:
                self.stream(NAMES[i], text)

    def flush(self) -> None:
        """Writes out what Python and C hold back."""
        for stream in self._streams:
            if not stream.closed:
                try:
                    stream.flush()
                except (OSError, ValueError) as error:  # else the block closed the descriptor
                    self.full |= getattr(error, "errno", 0) in (errno.ENOSPC, errno.EDQUOT)
        if self._libc is not None:
            self._libc.fflush(None)

    def stream(self, name: str, text: str, *, warning: bool = False) -> None:
        last = self.outputs[-1] if self.outputs else {}
        same = last.get("output_type") == "stream" and last.get("name") == name
        if same and not warning and not last.get("warning"):
            last["text"] = shorten(last["text"] + text)
            return
        record: dict[str, Any] = {"output_type": "stream", "name": name, "text": shorten(text)}
        if warning:
            record["warning"] = True
        self.outputs.append(record)

    def warn(self, text: str) -> None:
        """A Python warning: kept apart from other stderr so that a page can leave it out."""
        if os.getpid() != self.owner:
            sys.stderr.write(text)
            return
        self.cut()
        self.stream("stderr", text, warning=True)

    def add(self, output: dict[str, Any]) -> None:
        if os.getpid() != self.owner:
            print(output.get("data", {}).get("text/plain", ""))
            return
        self.cut()
        self.outputs.append(output)

    def end(self) -> list[dict[str, Any]]:
        self.cut()
        if hasattr(os, "statvfs"):  # what a program printed in vain only it knows
            with contextlib.suppress(OSError):
                self.full |= not os.statvfs(self.folder).f_bavail
        outputs, self.outputs = self.outputs, []
        return outputs


def shorten(text: str) -> str:
    """At most LIMIT characters: the head and the tail, and a line that says what is missing."""
    if len(text) <= LIMIT:
        return text
    half = LIMIT // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half:,} characters left out …]\n{text[-half:]}"


def read_bounded(file: Any) -> str:
    """What stands in the file from its position to its end; of very much, the beginning and the end."""
    start = file.tell()
    size = file.seek(0, os.SEEK_END) - start
    file.seek(start)
    if size <= 4 * LIMIT:
        return str(file.read(size).decode("utf-8", "replace"))
    head = file.read(LIMIT // 2).decode("utf-8", "replace")
    file.seek(start + size - LIMIT // 2)
    tail = file.read(LIMIT // 2).decode("utf-8", "replace")
    return f"{head}\n[… {size - LIMIT:,} bytes left out …]\n{tail}"


def _no_input() -> TextIO:
    return io.open(os.devnull, encoding="utf-8")  # noqa: UP020 - a block may have replaced the builtin


def leftover(folder: Path, offsets: dict[str, int]) -> list[dict[str, Any]]:
    """What a process that died had written behind ``offsets``, as stream outputs."""
    outputs = []
    for name in NAMES:
        with open(folder / name, "rb") as file:
            file.seek(offsets.get(name, 0))
            text = read_bounded(file)
        if text:
            outputs.append({"output_type": "stream", "name": name, "text": shorten(text)})
    return outputs
