"""The folder for what is in the making: one for each command, which goes with it. What killed commands have left goes
with a later one."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_LOCK = "lock"  # held as long as the command lives: process ids mean nothing in another container


@functools.cache
def scratch() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="fitnotes-"))
    made = folder / f"{_LOCK}.new"  # it has its name when it is held
    made.touch(0o600)
    _hold(made)
    made.rename(folder / _LOCK)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _sweep(folder)
    return folder


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for the length of one conversion."""
    with tempfile.TemporaryDirectory(dir=scratch()) as name:
        yield Path(name)


def _hold(lock: Path) -> int | None:
    """The lock, held until it is closed; None if another process holds it, there is none, or this system has no such
    locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    try:
        handle = os.open(lock, os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def _sweep(own: Path) -> None:
    """Removes the folders of commands that are gone."""
    for folder in own.parent.glob("fitnotes-*"):
        if folder != own and (handle := _hold(folder / _LOCK)) is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(handle)
