"""What is remembered of a note's last run besides its results: in what order, how long, how large.

Nothing here decides what a page shows except ``products``, the files that blocks wrote: they must be as
they were left, else their blocks run again. The rest says why a block runs, lets long notes start first, and
keeps sessions apart that pass files to each other.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from fitnotes.store.files import digest, write_atomically
from fitnotes.store.inputs import stored_path


@dataclass(frozen=True, slots=True)
class Ran:
    """A block as it was: ``code`` is a hash of its source, ``whole`` also of the options that change its run;
    ``status`` is the result's, with the error's name."""

    session: str
    code: str
    whole: str
    seconds: float
    status: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A note's last run. ``setting``: seed and the like, as words; ``products``: for each file that was written
    the state of the result that wrote it and its hash at the end; ``memory``: the most bytes a session took;
    ``exchanges``: sessions read what others wrote; ``states``: a hash of all results."""

    setting: dict[str, str]
    blocks: tuple[Ran, ...]
    products: dict[str, list[str]]
    memory: int = 0
    exchanges: bool = False
    states: str = ""

    @property
    def seconds(self) -> float:
        return sum(block.seconds for block in self.blocks)


class Ledger:
    """One file for each note, below ``folder``."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root = root
        self.folder = folder

    def _path(self, note: Path) -> Path:
        return self.folder / f"{digest(stored_path(str(note), self.root))[:32]}.json"

    def load(self, note: Path) -> Entry | None:
        try:
            data = json.loads(self._path(note).read_bytes())
            data.pop("note")
            data["blocks"] = tuple(Ran(**block) for block in data["blocks"])
            return Entry(**data)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def store(self, note: Path, entry: Entry) -> None:
        record = asdict(entry) | {"note": stored_path(str(note), self.root)}
        with contextlib.suppress(OSError):  # said when the results could not be stored
            write_atomically(self._path(note), json.dumps(record, sort_keys=True).encode())
