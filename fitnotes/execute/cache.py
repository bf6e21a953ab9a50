"""Stored results: one small JSON file for each run of a block, named by the block's key and what it depended on.

One key may have several results: for the data of two branches, or made by two versions of a package. A
file is written under a temporary name and renamed, so a killed build leaves whole entries only. One that
cannot be read is a miss. Paths inside are relative to the project's root, so that a cache can be copied
to another machine or used by several checkouts.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from fitnotes.execute.result import Result
from fitnotes.store.files import USED_AGAIN, digest, write_atomically
from fitnotes.store.inputs import Current, Input

FORMAT = 3


class Cache:
    """The results of one project. ``root`` is the project's root, ``folder`` where entries lie."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root = root
        self.folder = folder
        self.unreadable: list[Path] = []
        self.stored = 0
        self._names: dict[str, list[str]] = {}

    def forget(self) -> None:
        """Another build may have stored results."""
        self._names.clear()

    def _variants(self, key: str) -> list[Path]:
        shard = self.folder / key[:2]
        if key[:2] not in self._names:
            try:
                self._names[key[:2]] = os.listdir(shard)
            except OSError:
                self._names[key[:2]] = []
        return [shard / name for name in sorted(self._names[key[:2]]) if name.startswith(key[2:34])]

    def find(
        self, key: str, after: str, current: Current, *, elsewhere: bool = False
    ) -> tuple[Result | None, tuple[Result, Input] | None]:
        """The stored result whose inputs are all as they were; where there is none, the newest one that was
        made in the same state, and its first input that changed. With ``elsewhere`` results of another
        Python or of other packages are taken too."""
        stale: tuple[float, Result, Input] | None = None
        for path in self._variants(key):
            result = self._read(path, key)
            if result is None or result.after != after:
                continue
            changed = current.changed(result.inputs, elsewhere=elsewhere)
            if changed is None:
                self._used(path)
                return result, None
            with contextlib.suppress(OSError):
                when = path.stat().st_mtime
                if stale is None or when > stale[0]:
                    stale = when, result, changed
        return None, stale[1:] if stale else None

    def _read(self, path: Path, key: str) -> Result | None:
        try:
            record = json.loads(path.read_bytes())
            total = record.pop("sum")
            if total != digest(record):
                raise ValueError("checksum")
            if record.pop("format") != FORMAT or record.pop("key") != key:
                return None
            record["outputs"], record["at"] = tuple(record["outputs"]), tuple(record["at"])
            record["inputs"] = tuple(Input(*item) for item in record["inputs"])
            record["lines"] = tuple((path, sums) for path, sums in record["lines"])
            record["wrote"], record["volatile"] = tuple(record["wrote"]), tuple(record["volatile"])
            return Result(**record)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            self.unreadable.append(path)
            return None

    def _used(self, path: Path) -> None:
        with contextlib.suppress(OSError):  # a cache that is only read
            if abs(time.time() - path.stat().st_mtime) > USED_AGAIN:
                os.utime(path)

    def store(self, key: str, result: Result) -> None:
        record = asdict(result) | {"format": FORMAT, "key": key}
        record = json.loads(json.dumps(record, ensure_ascii=False))
        record["sum"] = digest(record)
        name = f"{key[2:34]}-{digest(result.after, result.inputs)[:12]}.json"
        text = json.dumps(record, ensure_ascii=False, sort_keys=True, indent=1)
        write_atomically(self.folder / key[:2] / name, text.encode("utf-8", "surrogatepass"))
        self.stored += 1
        names = self._names.setdefault(key[:2], [])
        if name not in names:
            names.append(name)

    # ----------------------------------------------------------------------------------------------
    # Size

    def entries(self) -> list[tuple[float, int, Path]]:
        """(last used, bytes, file) of every stored result, the oldest first."""
        found = []
        for path in self._files():
            with contextlib.suppress(OSError):
                info = path.stat()
                found.append((info.st_mtime, info.st_size, path))
        return sorted(found)

    def _files(self) -> Iterator[Path]:
        for path in self.folder.glob("??/*.json"):
            if not path.name.startswith("."):
                yield path

    def leftovers(self) -> list[Path]:
        """Files that a killed build was writing; younger ones may belong to a build that goes on."""
        old = time.time() - USED_AGAIN
        found = []
        for path in self.folder.glob("??/.*.tmp"):
            with contextlib.suppress(OSError):
                if not old < path.stat().st_mtime <= time.time():
                    found.append(path)
        return found

    def trim(self, limit: int, days: float | None = None) -> tuple[int, int]:
        """Removes the results used longest ago until at most ``limit`` bytes are left (0: no limit), and with
        ``days`` those not used for so long; what killed builds left, too. Returns (files, bytes) removed."""
        entries = self.entries()
        total = sum(size for _, size, _ in entries)
        oldest = time.time() - days * 86400 if days is not None else None
        count = freed = 0
        for used, size, path in entries:
            if not (limit and total > limit) and not (oldest is not None and used < oldest):
                continue
            with contextlib.suppress(OSError):
                path.unlink()
                total, count, freed = total - size, count + 1, freed + size
        for path in self.leftovers():
            with contextlib.suppress(OSError):
                freed += path.stat().st_size
                path.unlink()
                count += 1
        return count, freed
