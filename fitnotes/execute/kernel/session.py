"""The side of a session: the filter that makes the kernel ask, and what the listener has noted."""

from __future__ import annotations

import ctypes
import json
import os
import re
import socket
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fitnotes.execute.kernel import calls, listener

_NO_NEW_PRIVILEGES = 38  # of prctl
_FILTER, _LISTENER, _PATIENT = 1, 1 << 3, 1 << 5  # of seccomp
_FIXED_ADDRESSES = 0x0040000  # of personality


class Seen(NamedTuple):
    """``kind`` as in `calls`; ``foreign``: by a program, not by the
    session or a fork of it; ``more``: of a file that was opened its size, time and number (None: it was not there), of
    a move the old name."""

    kind: str
    path: str
    foreign: bool
    more: list[int] | str | None


class Lost(Exception):
    """Nobody listens any more."""


class Kernel:
    """What the kernel tells of this session. ``skip`` are folders (with a separator behind) whose files are nobody's,
    but for those in ``own``. Raises OSError where the kernel does not tell."""

    def __init__(self, skip: Sequence[str], own: Sequence[str]) -> None:
        if listener.above is None:
            raise OSError("no listener")
        self._said: dict[str, object] = {"skip": list(skip), "own": list(own)}
        self._line = self._join(install())

    def _join(self, *descriptors: int) -> socket.socket:
        assert listener.above is not None
        ours, theirs = socket.socketpair()
        said = json.dumps({**self._said, "pid": os.getpid()}).encode()
        socket.send_fds(listener.above, [said], [theirs.fileno(), *descriptors])
        theirs.close()
        for descriptor in descriptors:
            os.close(descriptor)
        self._line = ours
        self._said["listener"] = struct.unpack("<Q", self._receive(8))[0]
        return ours

    def leave(self) -> None:
        """In a copy of the session that sleeps."""
        self._line.close()

    def go_on(self) -> None:
        """In a copy that was woken: what it does from here on is noted for it alone. Raises OSError."""
        self._line = self._join()

    def seen(self) -> list[Seen]:
        """Everything since the last call, in the order in which it first happened. Raises Lost."""
        try:
            self._line.sendall(b"?")
            size = struct.unpack("<Q", self._receive(8))[0]
            return [Seen(*one) for one in json.loads(self._receive(size))]
        except OSError:
            raise Lost from None

    def _receive(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            more = self._line.recv(min(size - len(data), 1 << 20))
            if not more:
                raise OSError("no listener")
            data += more
        return bytes(data)


def install() -> int:
    """Makes the kernel ask about this process and its children; the descriptor on which it does. Raises OSError."""
    assert calls.known is not None
    architecture, seccomp, known = calls.known
    code = calls.program(architecture, known, _own_library())
    buffer = ctypes.create_string_buffer(code, len(code))
    head = struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs")
    for flags in (_LISTENER | _PATIENT, _LISTENER):  # Linux 5.19: signals do not make it ask again
        found: int = library.syscall(
            ctypes.c_long(seccomp), ctypes.c_uint(_FILTER), ctypes.c_uint(flags), ctypes.c_char_p(head)
        )
        if found >= 0:
            return found
    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _own_library() -> tuple[int, int] | None:
    """Where the code of the C library lies; None where programs may have theirs at the same place."""
    try:
        fixed = ctypes.CDLL(None).personality(0xFFFFFFFF) & _FIXED_ADDRESSES
        if fixed or Path("/proc/sys/kernel/randomize_va_space").read_text().strip() == "0":
            return None
        maps = Path("/proc/self/maps").read_text()
    except OSError:
        return None
    found = re.search(r"^([0-9a-f]+)-([0-9a-f]+) r-xp .*/(?:libc\.so|libc-|ld-musl)", maps, re.MULTILINE)
    return (int(found[1], 16), int(found[2], 16)) if found else None
