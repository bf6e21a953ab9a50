"""How many sessions run at a time: as many as there are jobs, and as memory holds."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path


def cores() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def available_memory() -> int:
    """Bytes that can be taken without swapping, the container's limit included; 0 where the system does not tell."""
    with contextlib.suppress(OSError, AttributeError):
        match = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
        free = int(match[1]) * 1024 if match else 0
        with contextlib.suppress(OSError, ValueError):
            group = Path("/sys/fs/cgroup")
            left = int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
            free = min(free, max(left, 1))
        return free
    return 0


class Slots:
    def __init__(self, jobs: int, memory: int) -> None:
        self._free = jobs
        self._memory = memory
        self._taken = 0
        self._running = 0
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def take(self, memory: int, cancel: threading.Event) -> Iterator[None]:
        """Waits for a slot, and until ``memory`` bytes (what the session took last time) fit beside the others;
        a session that fits nowhere runs alone."""
        with self._changed:
            while not cancel.is_set() and not (
                self._free > 0
                and (self._running == 0 or not self._memory or self._taken + memory <= self._memory)
            ):
                self._changed.wait(0.2)
            self._free -= 1
            self._running += 1
            self._taken += memory
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._running -= 1
                self._taken -= memory
                self._changed.notify_all()
