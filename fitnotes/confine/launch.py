"""Becomes a program that the kernel keeps to some folders and off the network:
``launch.py '{"reads": […], "writes": […]}' PROGRAM ARGUMENT…``. Imports nothing but the standard library: it starts
for every run of the program.

See the kernel's documentation, userspace-api/landlock.rst and userspace-api/seccomp_filter.rst.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import struct
import sys
from collections.abc import Sequence

# System calls of Landlock, the same on all architectures.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1  # flag of the first, which then tells what the kernel knows
_PATH_BENEATH = 1
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE, _IOCTL = 1, 1 << 1, 1 << 2, 1 << 3, 1 << 14, 1 << 15
_READS = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
_SPECIAL = 1 << 6 | 1 << 9 | 1 << 11  # devices and sockets, which nobody makes
# All rights that a version of Landlock knows.
_ALL = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}

# (audit's number of the architecture, system calls that are refused): socket; ptrace, process_vm_readv and writev;
# io_uring_setup, which reaches the network past a filter; what Landlock leaves open, times, modes, owners and extended
# attributes of files: utime, utimes, futimesat, utimensat, chmod, fchmod, fchmodat, fchmodat2, chown, fchown, lchown,
# fchownat, setxattr and removexattr with their kin.
_REFUSED = {
    "x86_64": (
        0xC000003E,
        (41, 101, 310, 311, 425, 132, 235, 261, 280, 90, 91, 268, 452, 92, 93, 94, 260, 188, 189, 190, 197, 198, 199),
    ),
    "aarch64": (0xC00000B7, (198, 117, 270, 271, 425, 88, 52, 53, 452, 54, 55, 5, 6, 7, 14, 15, 16)),
}  # fmt: skip


def _call(number: int, *arguments: object) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    result: int = library.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def landlock_version() -> int:
    """What the kernel knows of Landlock. Raises OSError where it has none."""
    return _call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))


def keep_to_folders(reads: Sequence[str], writes: Sequence[str]) -> None:
    """From here on this process and its children open nothing else. Raises OSError."""
    version = landlock_version()
    files = _ALL.get(version, (1 << 16) - 1)
    # Files; connections by TCP; abstract sockets and signals to others.
    rules = struct.pack("<QQQ", files, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    length = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = _call(_CREATE_RULESET, ctypes.c_char_p(rules), ctypes.c_size_t(length), ctypes.c_uint32(0))
    for paths, rights in ((reads, _READS), (writes, files & ~_SPECIAL & ~_EXECUTE)):
        for path in paths:
            try:
                place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except OSError:
                continue  # not on this machine
            allowed = rights if os.path.isdir(path) else rights & _OF_FILES
            rule = struct.pack("<Qi", allowed & files, place)
            _call(
                _ADD_RULE,
                ctypes.c_int(ruleset),
                ctypes.c_int(_PATH_BENEATH),
                ctypes.c_char_p(rule),
                ctypes.c_uint32(0),
            )
            os.close(place)
    _no_new_privileges()
    _call(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    os.close(ruleset)


def _no_new_privileges() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def refuse_network() -> None:
    """From here on this process and its children open no socket and look into no other process. Raises OSError."""
    known = _REFUSED.get(platform.machine())
    if known is None:
        return
    architecture, numbers = known
    load, equal, above, answer = 0x20, 0x15, 0x35, 0x06
    allow, refuse = 0x7FFF0000, 0x00050000 | 13  # EACCES
    program = [
        (load, 0, 0, 4), (equal, 1, 0, architecture), (answer, 0, 0, refuse),
        (load, 0, 0, 0), (above, 0, 1, 0x40000000), (answer, 0, 0, refuse),  # the other numbers of x86-64
        *((equal, len(numbers) - n, 0, number) for n, number in enumerate(numbers)),
        (answer, 0, 0, allow), (answer, 0, 0, refuse),
    ]  # fmt: skip
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *step) for step in program))
    head = struct.pack("@HP", len(program), ctypes.addressof(code))
    _no_new_privileges()
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_SET_SECCOMP, _FILTER, ctypes.c_char_p(head), 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def main() -> None:
    folders = json.loads(sys.argv[1])
    keep_to_folders(folders["reads"], folders["writes"])
    refuse_network()
    os.execv(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
