"""Which files a session reads: seen by an audit hook, kept with the hash of their content.

Files of Python's own installation, of installed packages and of the system are not inputs, nor is what
the session itself wrote before reading it.
"""

from __future__ import annotations

import hashlib
import io
import os
import site
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def file_hash(path: str | os.PathLike[str]) -> str:
    """SHA-256 of the content; "missing" when there is no such file, "unreadable" when it cannot be read."""
    try:
        with io.open(path, "rb") as file:  # noqa: UP020 - a block may have replaced the builtin
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    except OSError:
        return "unreadable"


def system_folders() -> tuple[str, ...]:
    """Folders whose files are never inputs."""
    paths = sysconfig.get_paths()
    folders = {sys.prefix, sys.base_prefix, *(paths[key] for key in ("stdlib", "purelib", "platlib"))}
    folders.update(site.getsitepackages())
    folders.add(site.getusersitepackages())
    folders.update(["/proc", "/sys", "/dev", "/etc", "/usr", "/lib", "/bin", "/System", "/Library"])
    home = os.path.expanduser("~")
    folders.update(os.path.join(home, name) for name in (".cache", ".config", ".ipython", ".matplotlib"))
    for name in ("MPLCONFIGDIR", "XDG_CACHE_HOME", "IPYTHONDIR"):
        if os.environ.get(name):
            folders.add(os.environ[name])
    return tuple(os.path.realpath(f) + os.sep for f in folders if f)


class InputRecorder:
    """Records the files opened for reading in this process, from its start on."""

    def __init__(self, ignore: Iterable[str], note: str) -> None:
        self._ignored = (*system_folders(), *(os.path.realpath(f) + os.sep for f in ignore))
        self._read: set[str] = set()
        self._written: set[str] = {os.path.abspath(note)}
        self._modules: set[str] = set(sys.modules)
        self._paused = False
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = args
        elif event == "sqlite3.connect":
            path, mode, flags = args[0], "r", 0
        else:
            return
        if self._paused or not isinstance(path, (str, bytes, os.PathLike)):
            return
        writes = any(c in mode for c in "wax+") if isinstance(mode, str) else bool(flags & 3)
        try:
            full = os.path.abspath(os.fsdecode(path))
        except (ValueError, OSError):
            return
        (self._written if writes else self._read).add(full)

    def collect(self) -> list[tuple[str, str]]:
        """(absolute path, hash) of the files read since the last call, sorted."""
        self._paused = True
        try:
            names, self._read = self._read, set()
            modules = set(sys.modules)
            for name in modules - self._modules:
                file = getattr(sys.modules.get(name), "__file__", None)
                if isinstance(file, str) and file.endswith(".py"):
                    names.add(os.path.abspath(file))
            self._modules = modules
            return [(path, file_hash(path)) for path in sorted(names) if self._counts(path)]
        finally:
            self._paused = False

    def _counts(self, path: str) -> bool:
        if (
            path in self._written
            or f"{os.sep}__pycache__{os.sep}" in path
            or os.path.basename(path)[:1] == "<"
        ):
            return False
        real = os.path.realpath(path)
        return not real.startswith(self._ignored) and (os.path.isfile(real) or not os.path.exists(real))


def stored_path(path: str, root: Path) -> str:
    """A path as the cache keeps it: relative to the project where it lies inside."""
    try:
        return Path(path).relative_to(root).as_posix()
    except ValueError:
        return path
