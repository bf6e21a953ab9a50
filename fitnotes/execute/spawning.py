"""Processes that a block starts afresh (``spawn``, ``forkserver``), for which there is no file to import.

Python gives such a child the script of its parent to run as ``__mp_main__``, and finds the functions and classes there
that it is sent. A note is no script: what it imports and defines, without what it does, is written into one.
See https://docs.python.org/3/library/multiprocessing.html, "The spawn and forkserver start methods".
"""

from __future__ import annotations

import ast
import multiprocessing.spawn
import os
from collections.abc import Callable
from typing import Any

_KEPT = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def definitions(code: str) -> str:
    """The imports, functions, classes and constants of a piece of Python; "" where it is none."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError):
        return ""
    return "\n".join(ast.unparse(node) for node in tree.body if isinstance(node, _KEPT) or _is_constant(node))


def _is_constant(node: ast.stmt) -> bool:
    if not isinstance(node, ast.Assign) or not all(isinstance(target, ast.Name) for target in node.targets):
        return False
    allowed = (ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.Set, ast.UnaryOp, ast.operator, ast.unaryop,
               ast.BinOp, ast.Load)  # fmt: skip
    return all(isinstance(part, allowed) for part in ast.walk(node.value))


def install(sources: list[str], transform: Callable[[str], str], folder: str) -> None:
    """Children get the definitions of ``sources``, the blocks that have begun to run; ``transform`` makes Python of
    one, ``folder`` is where the file for them is written."""
    original = multiprocessing.spawn.get_preparation_data
    path = os.path.join(folder, "definitions.py")

    def get_preparation_data(name: str) -> dict[str, Any]:
        data = original(name)
        data.pop("init_main_from_name", None)
        text = "\n".join(definitions(transform(source)) for source in sources)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        data["init_main_from_path"] = path
        return data

    multiprocessing.spawn.get_preparation_data = get_preparation_data
