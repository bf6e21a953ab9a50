"""Which files a session reads: seen by an audit hook, kept with the hash of their content.

Files of Python's own installation, of installed packages and of the system are not inputs, nor is what
the session itself wrote before reading it.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import site
import sys
import sysconfig
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def file_hash(path: str | os.PathLike[str]) -> str:
    """SHA-256 of the content, for a folder of the names in it; "missing" when there is no such file,
    "unreadable" when it cannot be read."""
    try:
        if os.path.isdir(path):
            # Hidden names and those of built output come and go.
            names = sorted(name for name in os.listdir(path) if name[:1] not in "._")
            return hashlib.sha256("\0".join(names).encode("utf-8", "surrogateescape")).hexdigest()
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
    """Records the files opened for reading in this process, from its start on, as they were at that moment.

    ``own`` are folders whose files count even where they lie inside a system folder (a project in /usr/src,
    or one that is its own virtual environment); ``ignore`` are folders whose files never count; ``aside`` is
    a file in which worker processes leave what they read.
    """

    def __init__(self, ignore: Iterable[str], own: Iterable[str], aside: str) -> None:
        self._owner = os.getpid()
        self._aside = aside
        self._own = tuple(os.path.realpath(f) + os.sep for f in own)
        paths = sysconfig.get_paths()
        libraries = {paths[key] for key in ("stdlib", "purelib", "platlib")} | set(ignore)
        self._never = tuple(os.path.realpath(f) + os.sep for f in libraries)
        self._system = system_folders()
        self._read: dict[str, str] = {}
        self._written: set[str] = set()
        self._imported: set[str] = set()
        self._busy = threading.local()
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if event not in _EVENTS or getattr(self._busy, "now", False):
            return
        if event in ("os.listdir", "os.scandir") and "importlib" in sys._getframe(1).f_code.co_filename:
            return  # Python itself looks for a module
        self._busy.now = True
        try:
            self._note(event, args)
        except Exception:  # whatever this cannot make sense of, the block's own call must go on
            pass
        finally:
            self._busy.now = False

    def _note(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "import":
            self._imported.add(str(args[0]).split(".")[0])
            return
        path = args[0]
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        full = os.path.abspath(os.fsdecode(path))
        if event == "open":
            mode, flags = args[1], args[2]
            if isinstance(mode, str):
                new, append = any(c in mode for c in "wx"), "a" in mode and "+" not in mode
            else:
                new, append = flags & 3 == 1, bool(flags & os.O_APPEND and flags & 3 == 1)
            if append:
                return  # neither reads what is there nor makes it the session's own
            if new:
                self._written.add(full)
                return
        if event == "os.mkdir":
            self._written.add(full)
            return
        # What a block reads counts as it was before the block could change it.
        if full not in self._written and full not in self._read and self.counts(full):
            known = file_hash(full)
            if os.getpid() == self._owner:
                self._read[full] = known
            else:  # a worker process that the block started
                with io.open(self._aside, "a", encoding="utf-8") as file:  # noqa: UP020
                    file.write(json.dumps([full, known]) + "\n")

    def collect(self) -> list[tuple[str, str]]:
        """(absolute path, hash) of the files read since the last call, sorted."""
        self._busy.now = True
        try:
            found, self._read = self._read, {}
            if os.path.exists(self._aside):
                with io.open(self._aside, encoding="utf-8") as file:  # noqa: UP020
                    for line in file:
                        path, known = json.loads(line)
                        found.setdefault(path, known)
                os.unlink(self._aside)
            names, self._imported = self._imported, set()
            for name in names - set(sys.modules):
                # An import that failed would succeed if this file appeared.
                for folder in (p for p in sys.path if os.path.isdir(p)):
                    for module in (f"{name}.py", os.path.join(name, "__init__.py")):
                        place = os.path.join(os.path.abspath(folder), module)
                        if self.counts(place):
                            found[place] = file_hash(place)
            return sorted(found.items())
        finally:
            self._busy.now = False

    def counts(self, path: str) -> bool:
        """Whether a file is the author's."""
        if f"{os.sep}__pycache__{os.sep}" in path or os.path.basename(path)[:1] == "<":
            return False
        real = os.path.realpath(path)
        if real.startswith(self._never):
            return False
        return real.startswith(self._own) or not real.startswith(self._system)


_EVENTS = frozenset({"open", "import", "os.listdir", "os.scandir", "os.mkdir", "sqlite3.connect"})


def stored_path(path: str, root: Path) -> str:
    """A path as the cache keeps it: relative to the project where it lies inside."""
    try:
        return Path(path).relative_to(root).as_posix()
    except ValueError:
        return path
