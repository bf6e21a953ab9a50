"""Reproducible starts: every session begins from the same seed, whenever a library is first imported."""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import os
import random
import sys
import types
from collections.abc import Sequence
from typing import Any


def _seed_numpy(module: types.ModuleType, seed: int) -> None:
    module.random.seed(seed % 2**32)


def _seed_torch(module: types.ModuleType, seed: int) -> None:
    module.manual_seed(seed)
    threads = os.environ.get("OMP_NUM_THREADS", "")
    if threads.isdigit() and module.get_num_threads() != int(threads):
        module.set_num_threads(int(threads))
    save: Any = vars(module)["save"]

    @functools.wraps(save)
    def audited(obj: Any, f: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(f, (str, os.PathLike)):
            sys.audit("fitnotes.write", os.fspath(f))  # it writes in C++, where no hook sees it
        return save(obj, f, *args, **kwargs)

    module.__dict__["save"] = audited
    for place, name in ((module, "from_file"), (module.jit, "load")):
        place.__dict__[name] = _audited_reader(place.__dict__[name])


def _audited_reader(read: Any) -> Any:
    """The same for what reads in C++."""

    @functools.wraps(read)
    def audited(f: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(f, (str, os.PathLike)):
            sys.audit("fitnotes.read", os.fspath(f))
        return read(f, *args, **kwargs)

    return audited


def _set_matplotlib(module: types.ModuleType, seed: int) -> None:
    """The same ids in every SVG of the same figure, and a size that suits a column of text."""
    module.rcParams["svg.hashsalt"] = "fitnotes"
    module.rcParams["figure.figsize"] = (5.6, 3.6)


_PREPARE = {"numpy": _seed_numpy, "torch": _seed_torch, "matplotlib": _set_matplotlib}


class _PrepareOnImport(importlib.abc.MetaPathFinder):
    """Seeds a library that a block imports later than the session's start."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        prepare = _PREPARE.get(name)
        if prepare is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        loader = spec.loader if spec else None
        if spec is None or loader is None:
            return None
        run = loader.exec_module
        seed = self.seed

        def exec_module(module: types.ModuleType) -> None:
            run(module)
            prepare(module, seed)

        loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def seed_everything(seed: int) -> None:
    random.seed(seed)
    for name, prepare in _PREPARE.items():
        if name in sys.modules:
            prepare(sys.modules[name], seed)
    sys.meta_path.insert(0, _PrepareOnImport(seed))
