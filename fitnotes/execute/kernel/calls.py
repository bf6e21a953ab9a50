"""The system calls that the kernel asks about, and the filter that says so."""

from __future__ import annotations

import os
import platform
import struct
from typing import NamedTuple

OPEN, LOOK, RUN, MADE, MOVED, GONE, TOUCHED = "open", "look", "run", "made", "moved", "gone", "touched"
READ, BOTH, LISTED = "read", "both", "listed"  # what an opening does: to read, to read and to write, a folder


class Call(NamedTuple):
    """What a call does, and which of its arguments is a path, the folder that it is relative to (-1: the working
    folder), and the flags of opening (-1: none; -2: in a structure that the argument behind the path points to)."""

    kind: str
    path: int
    folder: int = -1
    flags: int = -1


# (audit's number of the architecture, the number of seccomp, the calls by number), from the kernel's tables
_KNOWN: dict[str, tuple[int, int, dict[int, Call]]] = {
    "x86_64": (0xC000003E, 317, {
        2: Call(OPEN, 0, -1, 1), 85: Call(MADE, 0), 257: Call(OPEN, 1, 0, 2), 437: Call(OPEN, 1, 0, -2),
        59: Call(RUN, 0), 322: Call(RUN, 1, 0),
        4: Call(LOOK, 0), 6: Call(LOOK, 0), 262: Call(LOOK, 1, 0), 332: Call(LOOK, 1, 0), 21: Call(LOOK, 0),
        269: Call(LOOK, 1, 0), 439: Call(LOOK, 1, 0), 89: Call(LOOK, 0), 267: Call(LOOK, 1, 0),
        82: Call(MOVED, 1), 264: Call(MOVED, 3, 2), 316: Call(MOVED, 3, 2),
        87: Call(GONE, 0), 263: Call(GONE, 1, 0), 84: Call(GONE, 0), 76: Call(TOUCHED, 0),
        83: Call(MADE, 0), 258: Call(MADE, 1, 0), 86: Call(MADE, 1), 265: Call(MADE, 3, 2),
        88: Call(MADE, 1), 266: Call(MADE, 2, 1),
    }),
    "aarch64": (0xC00000B7, 277, {
        56: Call(OPEN, 1, 0, 2), 437: Call(OPEN, 1, 0, -2), 221: Call(RUN, 0), 281: Call(RUN, 1, 0),
        79: Call(LOOK, 1, 0), 291: Call(LOOK, 1, 0), 48: Call(LOOK, 1, 0), 439: Call(LOOK, 1, 0), 78: Call(LOOK, 1, 0),
        38: Call(MOVED, 3, 2), 276: Call(MOVED, 3, 2), 35: Call(GONE, 1, 0), 45: Call(TOUCHED, 0),
        34: Call(MADE, 1, 0), 37: Call(MADE, 3, 2), 36: Call(MADE, 2, 1),
    }),
}  # fmt: skip

# Of a move, what moves: (path, folder).
MOVES = {82: (0, -1), 264: (1, 0), 316: (1, 0), 38: (1, 0), 276: (1, 0)}

known = _KNOWN.get(platform.machine())

_LOAD, _EQUAL, _FROM, _ANSWER = 0x20, 0x15, 0x35, 0x06
_ALLOW, _ASK = 0x7FFF0000, 0x7FC00000


def program(architecture: int, calls: dict[int, Call], own: tuple[int, int] | None) -> bytes:
    """A filter in the kernel's own code. ``own``: where the code of the C library lies in the session; from there
    nothing is asked about a `LOOK`, which Python itself sees, and which imports make by the thousand. A program
    that the session starts has it elsewhere."""
    looks = [number for number, call in calls.items() if call.kind == LOOK]
    others = [number for number, call in calls.items() if call.kind != LOOK]
    steps: list[tuple[int, int, int, int]] = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 1, 0, architecture),
        (_ANSWER, 0, 0, _ALLOW),
    ]
    steps += [(_LOAD, 0, 0, 0)]
    after = len(looks) + 1  # steps behind the others
    steps += [(_EQUAL, len(others) - n - 1 + after, 0, number) for n, number in enumerate(others)]
    steps += [(_EQUAL, len(looks) - n + 1, 0, number) for n, number in enumerate(looks)]
    steps += [(_ANSWER, 0, 0, _ALLOW), (_ANSWER, 0, 0, _ASK)]
    if own is not None and own[0] >> 32 == (own[1] - 1) >> 32:
        low, high = own[0] & 0xFFFFFFFF, (own[1] - 1) & 0xFFFFFFFF
        steps += [
            (_LOAD, 0, 0, 12), (_EQUAL, 0, 4, own[0] >> 32),  # the upper half of the instruction's address
            (_LOAD, 0, 0, 8), (_FROM, 0, 2, low), (_FROM, 1, 0, high + 1), (_ANSWER, 0, 0, _ALLOW),
        ]  # fmt: skip
    steps += [(_ANSWER, 0, 0, _ASK)]
    return b"".join(struct.pack("<HBBI", *step) for step in steps)


def opened(flags: int) -> tuple[bool, bool, bool]:
    """Whether flags of opening (read, write, make anew) what is there."""
    access = flags & os.O_ACCMODE
    new = bool(flags & os.O_TRUNC) or bool(flags & os.O_EXCL and flags & os.O_CREAT)
    return access != os.O_WRONLY, access != os.O_RDONLY, new and access != os.O_RDONLY
