"""Errors of blocks as nbformat dicts, with the frames that a reader can act on."""

from __future__ import annotations

import os
import traceback
from typing import Any

import IPython

from fitnotes.store.inputs import system_folders


def _user_frames(stack: traceback.StackSummary, note: str, folder: str) -> traceback.StackSummary:
    """The frames a reader can act on: the note's, those of the author's own files, and the last one, unless
    it is in fitnotes: where we raise an error is no news to anyone."""
    ours = os.path.dirname(os.path.dirname(os.path.realpath(__file__))) + os.sep
    system = system_folders()
    frames = list(stack)
    first = next((i for i, frame in enumerate(frames) if frame.filename == note), len(frames))
    tool = os.path.dirname(os.path.realpath(IPython.__file__)) + os.sep
    kept = []
    for i, frame in enumerate(frames[first:], first):
        theirs = os.path.realpath(frame.filename).startswith(system) or frame.filename.startswith("<")
        if os.path.realpath(frame.filename).startswith((tool, ours)):
            continue
        if frame.filename == note or not theirs or i == len(frames) - 1:
            if frame.filename != note and os.path.isabs(frame.filename) and not theirs:
                frame.filename = os.path.relpath(frame.filename, folder)
            elif theirs:
                frame.filename = short_path(frame.filename)
                frame.colno = frame.end_colno = None  # no marks below lines that nobody here can change
            kept.append(frame)
    return traceback.StackSummary.from_list(kept)


def short_path(path: str) -> str:
    """A library's file from its package on: no path of this machine gets into a page."""
    for folder in sorted(system_folders(), key=len, reverse=True):
        if os.path.realpath(path).startswith(folder):
            return os.path.realpath(path)[len(folder) :]
    return path


def describe_error(error: BaseException, note: str, folder: str, line: int, lines: int) -> dict[str, Any]:
    """An nbformat error dict, with ``line``: the note's line that the error belongs to."""
    summary = traceback.TracebackException.from_exception(error, compact=True)
    at = None
    if isinstance(error, SyntaxError) and error.filename == note:
        at = error.lineno
    else:
        own = [f.lineno for f in summary.stack if f.filename == note and f.lineno]
        inside = [n for n in own if line <= n < line + max(lines, 1)]
        at = inside[-1] if inside else (own[-1] if own else None)
    seen: set[int] = set()
    todo: list[traceback.TracebackException | None] = [summary]
    while todo:
        part = todo.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        if part.stack is not None:
            part.stack = _user_frames(part.stack, note, folder)
        todo += [part.__cause__, part.__context__, *(getattr(part, "exceptions", None) or [])]
    text = "".join(summary.format())
    try:
        message = str(error) if not isinstance(error, SyntaxError) else (error.msg or "invalid syntax")
    except Exception:
        message = "(its message cannot be shown)"
    return {
        "output_type": "error",
        "ename": type(error).__name__,
        "evalue": message,
        "traceback": text.rstrip("\n").split("\n"),
        "line": at or line,
    }
