"""Inside a session's process: sleeping copies of it, from which a later edit goes on.

A copy is a fork. It holds everything that lies in the process's own memory, and nothing else: so a
session that has threads, children, open files or shared memory is not copied, and says why.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import re
import select
import socket
import sys
import time
from collections.abc import Iterable
from multiprocessing.connection import Connection
from pathlib import Path

from fitnotes.execute.lifeline import end_with
from fitnotes.execute.protocol import exit_file

PAUSE_HARD = 2  # of omp_pause_resource_t, OpenMP 5.0, section 3.1


def descriptors() -> dict[str, str]:
    """What each open file descriptor leads to."""
    found = {}
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found[fd] = os.readlink(f"/proc/self/fd/{fd}")
    return found


def _maps() -> str:
    return Path("/proc/self/maps").read_text()


def rest_openmp() -> None:
    """Ends OpenMP's threads until the next parallel region. A fork made while they exist hangs in its first."""
    for path in set(re.findall(r"/\S*lib(?:gomp|omp|iomp5)[\w.-]*\.so\S*", _maps())):
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(path).omp_pause_resource_all(PAUSE_HARD)


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))


def obstacle(known: dict[str, str], children: Iterable[int]) -> str:
    """Why a fork would not be a full copy of this process; "" if it would.

    ``known`` are the `descriptors` that belong to the session, ``children`` its sleeping copies.
    """
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return "it uses a GPU"
    if _threads() > 1:
        rest_openmp()
        end = time.monotonic() + 0.5
        while _threads() > 1 and time.monotonic() < end:  # those that were ended take a moment
            time.sleep(0.005)
    if _threads() > 1:
        return "it left threads running"
    with contextlib.suppress(OSError):
        running = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        if set(running) - {str(pid) for pid in children}:
            return "it left processes running"
    for fd, target in descriptors().items():
        if known.get(fd) == target or target == os.devnull or re.fullmatch(r"/proc/\d+/fd", target):
            continue
        if not target.startswith("/"):
            return "it left a connection open"
        # matplotlib keeps fonts open, and looks for the place in them each time.
        if not re.search(r"\.(?:ttf|otf|ttc|afm|pfb)$", target):
            return f"it left {os.path.basename(target)} open"
    if re.search(r"^\S+ rw.s ", _maps(), re.MULTILINE):
        return "it shares memory with other processes"
    return ""


def sleep(address: str, ready: int, session: Connection, lifeline: Connection) -> Connection:
    """Called in a fresh fork of a session: makes it a sleeper that listens at ``address``.

    Returns, in a copy of the sleeper, each time that someone connects: with the new connection. ``ready`` is
    a descriptor that is told when the sleeper listens.
    """
    state = random.getstate()
    os.setpgid(0, 0)
    session.close()
    end_with(lifeline)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    os.write(ready, b"1")
    os.close(ready)
    awake: set[int] = set()
    while True:
        if select.select([listener], [], [], 0.02 if awake else None)[0]:
            connection = listener.accept()[0]
            pid = os.fork()
            if pid == 0:
                os.setpgid(0, 0)
                end_with(lifeline)
                listener.close()
                random.setstate(state)  # Python seeds it anew in every fork
                return Connection(connection.detach())
            connection.close()
            awake.add(pid)
        for pid in list(awake):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                awake.discard(pid)
                with contextlib.suppress(OSError):
                    Path(exit_file(address, pid)).write_text(str(os.waitstatus_to_exitcode(status)))
