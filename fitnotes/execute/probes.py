"""Inside a session's process: wrappers of what raises no audit event, which tell the `Recorder`."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import os
import random
import sys
import time
import types
from collections.abc import Callable
from typing import Any

from fitnotes.execute.recorder import CLOCK, RANDOMNESS, Recorder
from fitnotes.store.inputs import LINK, STAT, VARIABLE, file_presence, line_sums, link_target, variable_hash

_CLOCKS = ("time", "time_ns", "perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns",
           "process_time", "process_time_ns", "localtime", "gmtime", "ctime", "strftime")  # fmt: skip

# Python's own modules that ask on behalf of their caller.
_BETWEEN = (
    *(
        f"{os.sep}{name}.py"
        for name in ("os", "posixpath", "ntpath", "genericpath", "glob", "shutil", "pathlib")
    ),
    *(f"{os.sep}{name}.py" for name in ("_collections_abc", "string")),
    *(f"<frozen {name}>" for name in ("os", "posixpath", "ntpath", "genericpath", "_collections_abc")),
    *(f"pathlib{os.sep}{name}.py" for name in ("__init__", "_local", "_abc")),
)


def install(recorder: Recorder, environment: str) -> None:
    """Wraps functions of ``os``, ``time``, ``random`` and ``importlib`` in this process. ``environment`` is a hash
    of all variables as the command has them; libraries add some of their own here."""
    _stat(recorder)
    _links(recorder)
    _environment(recorder, environment)
    _clock(recorder)
    _randomness(recorder)
    _imports(recorder)


def _asker(frame: types.FrameType | None, *, without: str = "") -> types.FrameType | None:
    """The frame that asked through Python's own modules; None where one of them is in a function whose name
    holds ``without``."""
    while frame is not None and frame.f_code.co_filename.endswith(_BETWEEN):
        if without and without in frame.f_code.co_name:
            return None
        frame = frame.f_back
    return frame


def _stat(recorder: Recorder) -> None:
    """`os.path.exists` and its like."""

    def told(path: Any, frame: types.FrameType) -> None:
        # realpath asks for every folder above
        if recorder.authors(_asker(frame, without="realpath")):
            recorder.sees(STAT, os.path.abspath(os.fsdecode(path)), file_presence)

    def wrapped(original: Callable[..., Any]) -> Callable[..., Any]:
        def look(path: Any, *args: Any, **kwargs: Any) -> Any:
            if isinstance(path, (str, bytes, os.PathLike)) and kwargs.get("dir_fd") is None:
                recorder.quietly(told, path, sys._getframe(1))
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


def _links(recorder: Recorder) -> None:
    original = os.readlink

    def readlink(path: Any, *, dir_fd: Any = None) -> Any:
        def told(frame: types.FrameType) -> None:
            if recorder.authors(_asker(frame, without="realpath")):
                recorder.sees(LINK, os.path.abspath(os.fsdecode(path)), link_target)

        if dir_fd is None:
            recorder.quietly(told, sys._getframe(1))
            return original(path)
        return original(path, dir_fd=dir_fd)

    os.readlink = readlink


def _environment(recorder: Recorder, everything: str) -> None:
    """`os.environ`: one variable that is asked for, or all of them."""
    kind = type(os.environ)
    get, put, start = kind.__getitem__, kind.__setitem__, kind.__iter__
    own: set[str] = set()  # set by the session itself
    copying = (0, 0)  # the instruction that asks for all of them: it then asks for each

    def asked(name: str, frame: types.FrameType) -> None:
        asker = _asker(frame)
        if asker is None or name in own or (id(asker), asker.f_lasti) == copying:
            return
        if recorder.authors(asker):
            recorder.sees(VARIABLE, name, variable_hash)

    def all_asked(frame: types.FrameType) -> None:
        nonlocal copying
        asker = _asker(frame)
        if asker is not None and recorder.authors(asker):
            recorder.sees(VARIABLE, "*", lambda name: everything)
            copying = (id(asker), asker.f_lasti)

    def getitem(env: Any, name: Any) -> Any:
        if isinstance(name, (str, bytes)):
            recorder.quietly(asked, os.fsdecode(name), sys._getframe(1))
        return get(env, name)

    def setitem(env: Any, name: Any, value: Any) -> None:
        if isinstance(name, (str, bytes)):
            own.add(os.fsdecode(name))
        put(env, name, value)

    def iterate(env: Any) -> Any:
        recorder.quietly(all_asked, sys._getframe(1))
        return start(env)

    kind.__getitem__, kind.__setitem__, kind.__iter__ = getitem, setitem, iterate  # type: ignore[method-assign]


def _clock(recorder: Recorder) -> None:
    def wrapped(original: Callable[..., Any]) -> Callable[..., Any]:
        def read(*args: Any) -> Any:
            if CLOCK not in recorder.volatile and recorder.authors(sys._getframe(1)):
                recorder.volatile.add(CLOCK)
            return original(*args)

        read.__name__ = original.__name__
        return read

    for name in _CLOCKS:
        setattr(time, name, wrapped(getattr(time, name)))


def _randomness(recorder: Recorder) -> None:
    original = os.urandom

    def urandom(size: int, /) -> bytes:
        frame: types.FrameType | None = sys._getframe(1)
        for _ in range(30):
            # What a library needs while it is imported is no draw of the author's.
            if frame is None or RANDOMNESS in recorder.volatile or "importlib" in frame.f_code.co_filename:
                break
            if recorder.authors(frame):
                recorder.volatile.add(RANDOMNESS)
            frame = frame.f_back
        return original(size)

    os.urandom = random._urandom = urandom  # type: ignore[attr-defined]


def _imports(recorder: Recorder) -> None:
    """The author's own modules are compiled from their source: Python believes a cached file whose source
    changed within its second, and reading only that file would hide the source. Modules that are asked for
    by a function raise no event."""
    loader = importlib.machinery.SourceFileLoader
    cached = loader.get_code

    def get_code(module: Any, fullname: str) -> Any:
        path = module.get_filename(fullname)
        full = os.path.abspath(path)
        if not recorder.counts(full):
            return cached(module, fullname)
        source = module.get_data(path)
        recorder.lines[full] = line_sums(source)
        recorder.code(source.decode("utf-8", "replace"))
        return module.source_to_code(source, path)

    loader.get_code = get_code  # type: ignore[method-assign, assignment]

    def wrapped(original: Callable[..., Any]) -> Callable[..., Any]:
        def ask(name: str, package: str | None = None) -> Any:
            if isinstance(name, str) and not name.startswith(".") and recorder.authors(sys._getframe(1)):
                recorder.wants(name)
            return original(name, package)

        ask.__name__ = original.__name__
        return ask

    importlib.import_module = wrapped(importlib.import_module)
    importlib.util.find_spec = wrapped(importlib.util.find_spec)
