"""Stored results: one small JSON file a block, named by its key, in ``.fitnotes/results``.

A file is written under a temporary name and renamed, so a killed build leaves whole entries only. One
that cannot be read is a miss. Paths inside are relative to the project's root.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from fitnotes.execute.inputs import file_hash

FORMAT = 1

Status = Literal["ok", "error", "timeout", "crash", "not run", "missing"]


@dataclass(frozen=True, slots=True)
class Result:
    """What running one block gave. ``outputs`` are nbformat output dicts; ``message`` and ``line`` say what
    went wrong where; ``at`` is the line where the block stood; ``inputs`` are the files it
    read, as (path, hash)."""

    status: Status
    outputs: tuple[dict[str, Any], ...] = ()
    message: str = ""
    line: int | None = None
    seconds: float = 0.0
    inputs: tuple[tuple[str, str], ...] = ()
    at: int | None = None


def digest(*parts: object) -> str:
    """A hash over the parts that keeps them apart (JSON with sorted keys)."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def write_atomically(path: Path, data: bytes) -> None:
    """Writes the whole file or nothing: a temporary name in the same folder, then a rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:40]}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


class Cache:
    """The results of one project. ``root`` is the project's root, ``folder`` where entries lie."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root = root
        self.folder = folder
        self.unreadable: list[Path] = []
        self._hashes: dict[str, str] = {}

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key[2:34]}.json"

    def hash_of(self, stored: str) -> str:
        """The current hash of an input file, read once a build."""
        if stored not in self._hashes:
            self._hashes[stored] = file_hash(self.root / stored)
        return self._hashes[stored]

    def unchanged(self, inputs: Iterable[tuple[str, str]]) -> bool:
        return all(self.hash_of(path) == known for path, known in inputs)

    def load(self, key: str) -> Result | None:
        """The stored result, if there is one and every file it read is as it was."""
        path = self._path(key)
        try:
            record = json.loads(path.read_bytes())
            if record["format"] != FORMAT or record["key"] != key:
                return None
            inputs = tuple((str(p), str(h)) for p, h in record["inputs"])
            outputs = tuple(record["outputs"])
            if record["sum"] != digest(record["outputs"], record["inputs"]):
                raise ValueError("checksum")
            result = Result(
                record["status"], outputs, record["message"], record["line"], 0.0, inputs, record["at"]
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            self.unreadable.append(path)
            return None
        return result if self.unchanged(inputs) else None

    def store(self, key: str, result: Result) -> None:
        record = asdict(result) | {"format": FORMAT, "key": key}
        record["sum"] = digest(record["outputs"], record["inputs"])
        text = json.dumps(record, ensure_ascii=False, sort_keys=True, indent=1)
        write_atomically(self._path(key), text.encode("utf-8", "surrogatepass"))
