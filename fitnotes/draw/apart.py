"""Typst in a process of its own, for what a stranger may have made: a picture that takes all memory or stops the
program, a note with Typst code in it. It sees its folder alone, and has limits of memory and time.

The process reads requests from its input, one JSON object a line with the length of the data that follow, and
answers in the same way.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from fitnotes import confine
from fitnotes.store.scratch import scratch

MEMORY = 3 << 30  # bytes, beyond what the libraries take
SECONDS = 60.0  # for one picture


class Failed(Exception):
    """Typst refuses it (``hints``, ``trace``), or it took more than there is."""

    def __init__(self, message: str, hints: str = "", trace: str = "") -> None:
        super().__init__(message)
        self.message, self.hints, self.trace = message, hints, trace


class Apart:
    """One such process, started when it is first asked. ``folder`` is all that it reads and writes."""

    def __init__(self, folder: Path, seconds: float = SECONDS) -> None:
        self.folder, self.seconds = folder, seconds
        self._process: subprocess.Popen[bytes] | None = None

    def compile(self, data: bytes, **request: Any) -> bytes:
        """What Typst makes: see `_answer`. Raises Failed."""
        process = self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        clock = threading.Timer(self.seconds, process.kill)
        clock.start()
        try:
            _send(process.stdin, request, data)
            answer, made = _receive(process.stdout)
        except (OSError, ValueError):  # it has died
            self.close()
            raise Failed("it takes more memory, depth or time than a picture should") from None
        finally:
            clock.cancel()
        if "message" in answer:
            raise Failed(answer["message"], answer["hints"], answer["trace"])
        return made

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            import typst

            code = [str(Path(__file__).parents[2]), str(Path(typst.__file__).parents[1])]
            fonts = [os.path.expanduser(path) for path in ("~/.fonts", "~/.local/share/fonts")]
            command = confine.confined(
                [sys.executable, "-m", "fitnotes.draw.apart"],
                reads=[sys.prefix, sys.base_prefix, *code, *fonts],
                writes=[self.folder],
            )
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(code)}
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
                cwd=self.folder,
            )  # fmt: skip
        return self._process

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    pipe and pipe.close()


class _Idle:
    """The processes that convert pictures, as many as are asked at once; each has a folder of its own."""

    def __init__(self) -> None:
        self._idle: list[tuple[Apart, tempfile.TemporaryDirectory[str]]] = []

    def compile(self, data: bytes, **request: Any) -> bytes:
        try:
            one, folder = self._idle.pop()
        except IndexError:
            folder = tempfile.TemporaryDirectory(dir=scratch())
            one = Apart(Path(folder.name))
        try:
            return one.compile(data, **request)
        finally:
            self._idle.append((one, folder))

    def close(self) -> None:
        while self._idle:
            one, folder = self._idle.pop()
            one.close()
            folder.cleanup()


_idle = _Idle()
atexit.register(_idle.close)


def compile_picture(data: bytes, **request: Any) -> bytes:
    """As `Apart.compile`, by one of the processes for pictures."""
    return _idle.compile(data, **request)


# --------------------------------------------------------------------------------------------------
# Both ends


def _send(pipe: IO[bytes], about: Mapping[str, Any], data: bytes) -> None:
    pipe.write(json.dumps({**about, "length": len(data)}).encode() + b"\n" + data)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> tuple[dict[str, Any], bytes]:
    about = json.loads(pipe.readline())
    data = pipe.read(about["length"])
    if len(data) < about["length"]:
        raise ValueError("cut off")
    return about, data


# --------------------------------------------------------------------------------------------------
# The process


def _limit() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    used = 0
    with contextlib.suppress(OSError, ValueError, IndexError):
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY + used, MEMORY + used))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _answer(typst: Any, request: dict[str, Any], data: bytes) -> bytes:
    """Typst's result of ``name``, a file in this folder: a PDF or what ``form`` says, in ``ppi``, or what it finds by a
    ``selector``, as JSON. ``files``: those to write before, None being the data; ``system``: with the fonts of the
    system; ``fonts``: a folder of more of them."""
    names = request.get("files", {})
    for name, text in names.items():
        Path(name).write_bytes(data if text is None else text.encode())
    here = str(Path.cwd())
    source = str(Path(here, request["name"]))
    if selector := request.get("selector"):
        return str(typst.query(source, selector, field="value", root=here)).encode()
    given: dict[str, Any] = {"format": request.get("form", "pdf"), "ppi": request.get("ppi")}
    if folder := request.get("fonts"):
        given["font_paths"] = typst.Fonts(include_system_fonts=request["system"], font_paths=[folder])
    else:
        given["ignore_system_fonts"] = not request["system"]
    return bytes(typst.compile(source, root=here, **given))


def main() -> None:
    import typst

    _limit()
    source, out = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        try:
            request, data = _receive(source)
        except ValueError:
            return
        try:
            about, made = {}, _answer(typst, request, data)
        except typst.TypstError as error:
            parts = {"hints": "; ", "trace": "\n"}
            about = {name: by.join(map(str, getattr(error, name, None) or [])) for name, by in parts.items()}
            about["message"], made = str(getattr(error, "message", None) or error), b""
        except BaseException as error:  # a fault in a library below it is no Exception
            if type(error).__name__ != "PanicException":
                raise
            about, made = {"message": "Typst cannot read it", "hints": "", "trace": ""}, b""
        _send(out, about, made)


if __name__ == "__main__":
    main()
