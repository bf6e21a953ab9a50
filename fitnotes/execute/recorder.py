"""Inside a session's process: what its blocks depend on, seen while they run.

Files by an audit hook and `os.stat`, environment variables by `os.environ`, packages by the import
statements of blocks and of the author's modules, the clock and true randomness by their functions. Files
of Python's own installation, of installed packages and of the system are no inputs, nor is what the
session itself wrote before it read it.
"""

from __future__ import annotations

import importlib.machinery
import io
import json
import os
import random
import re
import shlex
import sys
import sysconfig
import threading
import time
import types
from collections.abc import Callable, Iterable
from typing import Any

from fitnotes.execute.inputs import (
    FILE,
    MISSING,
    STAT,
    VARIABLE,
    Input,
    file_hash,
    file_presence,
    imports,
    line_sums,
    packages,
    system_folders,
    variable_hash,
)

CLOCK = "the clock"
RANDOMNESS = "true randomness"

# What functions of C and types that cannot be wrapped give away in the code only.
_CLOCK_CODE = re.compile(
    r"\b(?:datetime|date)\.(?:now|utcnow|today)\(|%%?time|np\.datetime64\(\s*['\"](?:now|today)"
)
_RANDOM_CODE = re.compile(r"\b(?:random\.seed|Random|torch\.seed)\(\s*\)")
_CLOCKS = ("time", "time_ns", "perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns",
           "process_time", "process_time_ns", "localtime", "gmtime", "ctime", "strftime")  # fmt: skip


class Recorder:
    """Records from its start on; `collect` gives what was seen since the last call.

    ``note`` is the file name under which blocks are compiled. ``own`` are folders whose files count even where
    they lie inside a system folder (a project in /usr/src, or one that is its own virtual environment);
    ``ignore`` are folders whose files never count; ``aside`` is a file in which worker processes leave what
    they read.
    """

    def __init__(self, note: str, ignore: Iterable[str], own: Iterable[str], aside: str) -> None:
        self.owner = os.getpid()
        self.aside = aside
        self._note_name = note
        self._own = tuple(os.path.realpath(f) + os.sep for f in own)
        paths = sysconfig.get_paths()
        libraries = {paths[key] for key in ("stdlib", "purelib", "platlib")} | set(ignore)
        self._never = tuple(os.path.realpath(f) + os.sep for f in libraries)
        self._system = system_folders()
        self._counted: dict[str, bool] = {}
        self._seen: dict[tuple[str, str], str] = {}
        self._mentioned: dict[str, str] = {}
        self._written: set[str] = set()  # by the session, in all its blocks
        self._wrote: set[str] = set()  # since the last collect
        self._failed: set[str] = set()
        self._modules: set[str] = set()
        self._lines: dict[str, str] = {}
        self._volatile: set[str] = set()
        self._set: set[str] = set()
        self._copied: tuple[int, int] = (0, 0)
        self._busy = threading.local()
        sys.addaudithook(self._hook)
        self._wrap_stat()
        self._wrap_environment()
        self._wrap_clock()
        self._wrap_randomness()
        self._import_from_source()

    # ----------------------------------------------------------------------------------------------
    # Files

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if event not in _EVENTS or getattr(self._busy, "now", False):
            return
        if event in ("os.listdir", "os.scandir") and "importlib" in sys._getframe(1).f_code.co_filename:
            return  # Python itself looks for a module
        if event == "import" and not self._authors(sys._getframe(1)):
            return  # what a library tries to import is its own affair
        self._quietly(self._event, event, args)

    def _quietly(self, action: Callable[..., None], *args: Any) -> None:
        """Records without being recorded. Whatever it cannot make sense of, the block's own call must go on."""
        self._busy.now = True
        try:
            action(*args)
        except Exception:
            pass
        finally:
            self._busy.now = False

    def _event(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "import":
            self._failed.add(str(args[0]).split(".")[0])
        elif event == "subprocess.Popen":
            self._command(args[1], args[2])
        elif event == "os.system":
            self._command(os.fsdecode(args[0]), None)
        elif event == "os.rename":
            if isinstance(args[1], (str, bytes, os.PathLike)):
                self._writes(os.path.abspath(os.fsdecode(args[1])))
        elif isinstance(args[0], (str, bytes, os.PathLike)):
            self._path(event, os.path.abspath(os.fsdecode(args[0])), args)

    def _path(self, event: str, full: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            mode, flags = args[1], args[2]
            if isinstance(mode, str):
                new, append = any(c in mode for c in "wx"), "a" in mode and "+" not in mode
            else:
                new, append = flags & 3 == 1, bool(flags & os.O_APPEND and flags & 3 == 1)
            if append:
                return  # neither reads what is there nor makes it the session's own
            if new:
                return self._writes(full)
        if event in ("os.mkdir", "fitnotes.write"):
            return self._writes(full)
        if event == "sqlite3.connect" and not os.path.exists(full):
            return self._writes(full)
        # What a block reads counts as it was before the block could change it.
        if full not in self._written and (FILE, full) not in self._seen and self.counts(full):
            known = file_hash(full)
            if os.getpid() == self.owner:
                self._seen[FILE, full] = known
            else:  # a worker process that the block started
                with io.open(self.aside, "a", encoding="utf-8") as file:  # noqa: UP020
                    file.write(json.dumps([full, known]) + "\n")

    def _writes(self, full: str) -> None:
        self._written.add(full)
        self._wrote.add(full)

    def _command(self, arguments: Any, folder: Any) -> None:
        """Files that a command names: its inputs, unless it changes them."""
        if isinstance(arguments, (str, bytes)):
            words = shlex.split(os.fsdecode(arguments))
        else:
            words = [w for a in arguments for w in (os.fsdecode(a), *os.fsdecode(a).split())]
        base = os.fsdecode(folder) if folder is not None else os.getcwd()
        for word in words:
            for name in {word, word.lstrip("<"), word.partition("=")[2]} - {""}:
                full = os.path.abspath(os.path.join(base, name))
                if full in self._written or full in self._mentioned or not os.path.isfile(full):
                    continue
                if self.counts(full):
                    self._mentioned[full] = file_hash(full)

    def _wrap_stat(self) -> None:
        """`os.path.exists` and its like raise no audit event."""

        def wrapped(original: Callable[..., Any]) -> Callable[..., Any]:
            def look(path: Any, *args: Any, **kwargs: Any) -> Any:
                named = isinstance(path, (str, bytes, os.PathLike)) and kwargs.get("dir_fd") is None
                if named and not getattr(self._busy, "now", False):
                    self._quietly(self._stat, path, sys._getframe(1))
                return original(path, *args, **kwargs)

            look.__name__ = original.__name__
            return look

        for name in ("stat", "lstat", "access"):
            original = getattr(os, name)
            wrapper = wrapped(original)
            setattr(os, name, wrapper)
            for known in (os.supports_fd, os.supports_dir_fd, os.supports_follow_symlinks):
                if original in known:
                    known.add(wrapper)

    def _stat(self, path: Any, frame: types.FrameType | None) -> None:
        while frame is not None and frame.f_code.co_filename.endswith(_PATH_MODULES):
            if "realpath" in frame.f_code.co_name:
                return  # it asks for every folder above
            frame = frame.f_back
        if not self._authors(frame):
            return
        full = os.path.abspath(os.fsdecode(path))
        if full in self._written or (STAT, full) in self._seen or os.getpid() != self.owner:
            return
        if self.counts(full):
            self._seen[STAT, full] = file_presence(full)

    def counts(self, path: str) -> bool:
        """Whether a file is the author's."""
        known = self._counted.get(path)
        if known is None:
            known = self._counted[path] = self._counts(path)
        return known

    def _counts(self, path: str) -> bool:
        if re.search(
            r"[/\\](?:__pycache__|[^/\\]+\.(?:egg|dist)-info)[/\\]|[/\\](?:<|__editable__)[^/\\]*$", path
        ):
            return False
        real = os.path.realpath(path)
        if (real + os.sep).startswith(self._never):
            return False
        return real.startswith(self._own) or not (real + os.sep).startswith(self._system)

    def _import_from_source(self) -> None:
        """The author's own modules are compiled from their source: Python believes a cached file whose source
        changed within its second, and reading only that file would hide the source."""
        loader = importlib.machinery.SourceFileLoader
        cached = loader.get_code

        def get_code(module: Any, fullname: str) -> Any:
            path = module.get_filename(fullname)
            full = os.path.abspath(path)
            if not self.counts(full):
                return cached(module, fullname)
            source = module.get_data(path)
            self._lines[full] = line_sums(source)
            self.code(source.decode("utf-8", "replace"))
            return module.source_to_code(source, path)

        loader.get_code = get_code  # type: ignore[method-assign, assignment]

    # ----------------------------------------------------------------------------------------------
    # Variables, the clock, randomness

    def code(self, text: str) -> None:
        """Reads some of the author's code for what only the code tells."""
        self._modules |= imports(text)
        if _CLOCK_CODE.search(text):
            self._volatile.add(CLOCK)
        if _RANDOM_CODE.search(text):
            self._volatile.add(RANDOMNESS)

    def _authors(self, frame: types.FrameType | None) -> bool:
        """Whether a frame runs the author's code."""
        if frame is None:
            return False
        name = frame.f_code.co_filename
        return name == self._note_name or (os.path.isabs(name) and self.counts(name))

    def _wrap_environment(self) -> None:
        kind = type(os.environ)
        get, put, start = kind.__getitem__, kind.__setitem__, kind.__iter__

        def asked(name: str) -> None:
            frame: types.FrameType | None = sys._getframe(3)
            while frame is not None and frame.f_code.co_filename.endswith(
                (_OS, "<frozen os>", _ABC, _FROZEN_ABC)
            ):
                if frame.f_code.co_name == "copy":
                    return  # for a process that is to be started
                frame = frame.f_back
            if frame is None or not self._authors(frame) or name in self._set:
                return
            if self._copied == (id(frame), frame.f_lasti):
                return
            self._seen.setdefault((VARIABLE, name), variable_hash(name))

        def getitem(env: Any, name: Any) -> Any:
            if isinstance(name, str) and not getattr(self._busy, "now", False):
                self._quietly(asked, name)
            return get(env, name)

        def setitem(env: Any, name: Any, value: Any) -> None:
            self._set.add(name)
            put(env, name, value)

        def iterate(env: Any) -> Any:
            # dict(os.environ) and {**os.environ} copy it: the values are then asked for by the same instruction.
            frame = sys._getframe(1)
            while frame.f_back is not None and not self._authors(frame):
                frame = frame.f_back
            self._copied = (id(frame), frame.f_lasti)
            return start(env)

        kind.__getitem__, kind.__setitem__, kind.__iter__ = getitem, setitem, iterate  # type: ignore[method-assign]

    def _wrap_clock(self) -> None:
        def wrapped(original: Callable[..., Any]) -> Callable[..., Any]:
            def read(*args: Any) -> Any:
                if CLOCK not in self._volatile and self._authors(sys._getframe(1)):
                    self._volatile.add(CLOCK)
                return original(*args)

            read.__name__ = original.__name__
            return read

        for name in _CLOCKS:
            setattr(time, name, wrapped(getattr(time, name)))

    def _wrap_randomness(self) -> None:
        original = os.urandom

        def urandom(size: int, /) -> bytes:
            frame: types.FrameType | None = sys._getframe(1)
            for _ in range(30):
                if frame is None or RANDOMNESS in self._volatile or "importlib" in frame.f_code.co_filename:
                    break
                if self._authors(frame):
                    self._volatile.add(RANDOMNESS)
                frame = frame.f_back
            return original(size)

        os.urandom = random._urandom = urandom  # type: ignore[attr-defined]

    # ----------------------------------------------------------------------------------------------

    def collect(self) -> dict[str, Any]:
        """``inputs``: Inputs with absolute paths, sorted; ``wrote``: absolute paths of files of the project;
        ``volatile``: what cannot be had again; ``lines``: `line_sums` of imported modules, by path."""
        found: dict[str, Any] = {}
        self._quietly(self._collect, found)
        return found

    def _collect(self, found: dict[str, Any]) -> None:
        seen, self._seen = self._seen, {}
        if os.path.exists(self.aside):
            with io.open(self.aside, encoding="utf-8") as file:  # noqa: UP020
                for line in file:
                    path, known = json.loads(line)
                    seen.setdefault((FILE, path), known)
            os.unlink(self.aside)
        for path, known in self._mentioned.items():
            if file_hash(path) == known:
                seen.setdefault((FILE, path), known)
            else:
                self._writes(path)
        self._mentioned.clear()
        for name in self._failed - set(sys.modules):
            # An import that failed would succeed if this file appeared.
            for folder in (p for p in sys.path if os.path.isdir(p)):
                for module in (f"{name}.py", os.path.join(name, "__init__.py")):
                    place = os.path.join(os.path.abspath(folder), module)
                    if self.counts(place):
                        seen[FILE, place] = file_hash(place)
        self._failed.clear()
        inputs = [
            Input(kind, name, value)
            for (kind, name), value in seen.items()
            # Looked for, then made: what became of it is kept as written.
            if not (name in self._written and (kind == STAT or value == MISSING))
            and not (kind == STAT and (FILE, name) in seen)
        ]
        inputs += packages(self._modules)
        self._modules.clear()
        found["inputs"] = sorted(inputs)
        wrote, self._wrote = self._wrote, set()
        found["wrote"] = sorted(
            p
            for p in wrote
            if os.path.isfile(p) and os.path.realpath(p).startswith(self._own) and self.counts(p)
        )
        found["volatile"] = sorted(self._volatile)
        self._volatile.clear()
        found["lines"], self._lines = self._lines, {}


_PATH_MODULES = (
    *(
        f"{os.sep}{name}.py"
        for name in ("os", "posixpath", "ntpath", "genericpath", "glob", "shutil", "pathlib")
    ),
    *(f"<frozen {name}>" for name in ("os", "posixpath", "ntpath", "genericpath")),
    *(f"pathlib{os.sep}{name}.py" for name in ("__init__", "_local", "_abc")),
)
_OS = f"{os.sep}os.py"
_ABC = f"{os.sep}_collections_abc.py"
_FROZEN_ABC = "<frozen _collections_abc>"
_EVENTS = frozenset(
    (
        *("open", "import", "os.listdir", "os.scandir", "os.mkdir", "os.rename", "os.system"),
        *("sqlite3.connect", "subprocess.Popen", "fitnotes.write"),
    )
)
