"""Files that take long to make, such as pictures made from others: each is made once and kept on disk."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fitnotes.settings import Project, Settings
from fitnotes.store.files import USED_AGAIN, write_atomically


@dataclass(frozen=True, slots=True)
class Blobs:
    """The files in one folder, by key; without a folder nothing is kept."""

    folder: Path | None

    @classmethod
    def of(cls, root: Path | None) -> Blobs:
        """Those of the project at ``root``; None where there is no project."""
        return cls(None if root is None else Project(root, Settings()).store / "pictures")

    def made_once(self, key: str, make: Callable[[], bytes]) -> bytes:
        """What ``make`` gives, from disk if it was made before. A damaged file there is made again."""
        if self.folder is None:
            return make()
        path = self.folder / key[:2] / key[2:34]
        with contextlib.suppress(OSError):
            total, _, data = path.read_bytes().partition(b"\n")
            if total == hashlib.sha256(data).hexdigest().encode():
                if time.time() - path.stat().st_mtime > USED_AGAIN:
                    os.utime(path)  # for `remove`
                return data
        data = make()
        with contextlib.suppress(OSError):  # a full disk, or a project that may only be read
            write_atomically(path, hashlib.sha256(data).hexdigest().encode() + b"\n" + data)
        return data

    def remove(self, days: float | None = None) -> tuple[int, int]:
        """Removes what was not used for ``days`` (None: everything). Returns (files, bytes)."""
        oldest = time.time() - days * 86400 if days is not None else float("inf")
        count = freed = 0
        for path in self.folder.glob("??/*") if self.folder is not None else ():
            with contextlib.suppress(OSError):
                info = path.stat()
                if info.st_mtime < oldest:
                    path.unlink()
                    count, freed = count + 1, freed + info.st_size
        return count, freed
