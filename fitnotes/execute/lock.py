"""One run of a note at a time: a second build waits, and then finds the results of the first."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path


def _try(fd: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def alone(path: Path, cancel: threading.Event) -> Iterator[bool]:
    """Holds the lock at ``path``, or goes on without where no file can be made there. Gives whether it had to
    wait. The system releases the lock when the process ends, however that happens."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:
        yield False
        return
    try:
        waited = False
        while not _try(fd):
            waited = True
            if cancel.is_set():
                break
            time.sleep(0.05)
        yield waited
    finally:
        os.close(fd)
