"""Sessions kept alive between the builds of `fitnotes watch`: a sleeping copy behind each block.

An edit of block k goes on from the copy behind block k-1, if that copy is what a run from the start would
have come to: the blocks before were not touched, their stored results are those of the copied run, and the
files that they wrote are as they left them.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fitnotes.execute.plan import Planned
from fitnotes.execute.sessions import Copy
from fitnotes.store.inputs import file_hash

PER_SESSION = 12  # copies; a fork holds the pages that its session changed, a few MB for most notes


@dataclass(frozen=True, slots=True)
class Held:
    """A copy behind the step at ``at``. ``states`` are those of the results up to there, ``lines`` are
    where the blocks stood for the session, ``files`` what it had changed, with hashes, ``seconds`` what it would
    take to come here from the copy before."""

    copy: Copy
    at: int
    states: tuple[str, ...]
    lines: tuple[int, ...]
    files: dict[str, str]
    seconds: float

    def holds(self, steps: Sequence[Planned]) -> bool:
        known = [step.stored.state if step.stored else None for step in steps[: self.at + 1]]
        return known == list(self.states) and all(file_hash(path) == v for path, v in self.files.items())


class Copies:
    """The copies of all sessions. ``memory``: the bytes that all together may hold by themselves."""

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._held: dict[tuple[Path, str], list[Held]] = {}
        self._lock = threading.Lock()

    def best(self, note: Path, session: str, steps: Sequence[Planned]) -> Held | None:
        """The copy from which the least is left to run; those behind it are of no use any more and end."""
        with self._lock:
            held = self._held.get((note, session), [])
            fit = [h for h in held if h.holds(steps)]
            best = max(fit, key=lambda h: h.at, default=None)
            self._keep(note, session, [h for h in held if best is not None and h.at <= best.at])
            return best

    def add(self, note: Path, session: str, held: Held) -> None:
        with self._lock:
            copies = [*self._held.get((note, session), []), held]
            if len(copies) > PER_SESSION:  # the one that saves the least goes; the newest stays
                copies.remove(min(copies[:-1], key=lambda h: h.seconds))
            self._keep(note, session, copies)

    def trim(self) -> None:
        """Ends the copies of the notes edited longest ago until the others are within the bound."""
        with self._lock:
            sizes = {key: sum(h.copy.memory() for h in held) for key, held in self._held.items()}
            for key in list(self._held):
                if sum(sizes.values()) <= self._memory:
                    break
                sizes.pop(key)
                self._keep(*key, [])

    def _keep(self, note: Path, session: str, copies: list[Held]) -> None:
        old = self._held.pop((note, session), [])
        for held in old:
            if held not in copies:
                held.copy.drop()
        if copies:
            self._held[note, session] = copies  # at the end: used last

    def close(self) -> None:
        with self._lock:
            for key in list(self._held):
                self._keep(*key, [])

    def count(self) -> int:
        return sum(len(held) for held in self._held.values())
