"""A campaign of faults: builds are killed, stores corrupted, disks filled, at random points.

    python tests/campaign.py --rounds 300 --seed 0

Every round edits a small project at random, builds it with one fault, and then looks: every page on disk is
whole, no process is left, and the next build without a fault gives the pages of a build from nothing. With
the right to mount, all of it happens on a disk of its own that can be filled.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import psutil
from conftest import MARK, environment, outlived
from worlds import World, from_nothing, pages

from fitnotes.execute.sessions import start_server, stop_server

DISK = 24_000_000


class Campaign:
    """``folder`` is where everything happens; ``disk``: it is a disk of its own, which may be filled."""

    def __init__(self, folder: Path, seed: int, *, disk: bool) -> None:
        self.chance = random.Random(seed)
        self.folder = folder
        self.project = folder / "project"
        self.world = World()
        self.mark = uuid.uuid4().hex
        self.done: collections.Counter[str] = collections.Counter()
        self.faults = [self.kill, self.kill, self.interrupt, self.kill_a_session, self.corrupt, self.remove,
                       self.small_files, self.two_at_once, self.kill_a_watch, self.kill_a_child, self.stop_a_server,
                       self.interrupt_twice]  # fmt: skip
        if disk:
            self.faults += [self.full_disk, self.full_disk]

    def start(self, *arguments: str, **options: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "fitnotes", *(arguments or ("build", "notes"))]
        env = {**environment(), MARK: self.mark, "TMPDIR": str(self.folder / "tmp")}
        return subprocess.Popen(
            command, cwd=self.project, env=env, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options,
        )  # fmt: skip

    def end(self, process: subprocess.Popen[str]) -> str:
        out, _ = process.communicate(timeout=60)
        assert "Traceback" not in out, out
        assert "internal error" not in out, out
        return out

    def begun(self, process: subprocess.Popen[str]) -> None:
        """Waits until the command itself answers signals: while it is still being loaded, Python does."""
        status = Path(f"/proc/{process.pid}/status")
        if not status.exists():
            time.sleep(0.3)
        while process.poll() is None and status.exists():
            caught = re.search(r"^SigCgt:\s*(\w+)$", status.read_text(), re.MULTILINE)
            if caught and int(caught[1], 16) >> (signal.SIGTERM - 1) & 1:
                return
            time.sleep(0.01)

    # The faults ------------------------------------------------------------------------------------

    def kill(self) -> None:
        process = self.start()
        time.sleep(self.chance.uniform(0.05, 1.0))
        process.kill()
        self.end(process)

    def interrupt(self) -> None:
        process = self.start()
        self.begun(process)
        time.sleep(self.chance.uniform(0.0, 0.7))
        process.send_signal(self.chance.choice([signal.SIGINT, signal.SIGTERM]))
        self.end(process)
        # Minus the signal's number: it came before anything had begun.
        assert process.returncode in (0, 1, 130, -signal.SIGTERM), process.returncode

    def kill_a_session(self) -> None:
        process = self.start()
        end = time.monotonic() + self.chance.uniform(0.2, 1.0)
        while time.monotonic() < end:
            with contextlib.suppress(psutil.Error):
                family = psutil.Process(process.pid).children(recursive=True)
                python = [p for p in family if p.parent() is not None and p.parent().pid != process.pid]
                if python:
                    self.chance.choice(python).kill()
            time.sleep(0.02)
        self.end(process)

    def kill_a_watch(self) -> None:
        process = self.start("watch", "notes")
        self.begun(process)
        time.sleep(self.chance.uniform(0.0, 0.9))
        self.change()
        time.sleep(self.chance.uniform(0.0, 0.4))
        process.send_signal(self.chance.choice([signal.SIGKILL, signal.SIGINT]))
        self.end(process)

    def kill_a_child(self) -> None:
        """Of the command itself: pandoc, or the process above the fork server that listens to the kernel."""
        process = self.start()
        end = time.monotonic() + self.chance.uniform(0.2, 1.0)
        while time.monotonic() < end:
            with contextlib.suppress(psutil.Error, IndexError):
                self.chance.choice(psutil.Process(process.pid).children()).kill()
            time.sleep(0.15)
        self.end(process)

    def stop_a_server(self) -> None:
        """The process that listens to the kernel, or the fork server below it: stopped, and never told to go on."""
        process = self.start()
        time.sleep(self.chance.uniform(0.1, 0.8))
        with contextlib.suppress(psutil.Error, IndexError):
            servers = [
                p for p in psutil.Process(process.pid).children() if "forkserver" in " ".join(p.cmdline())
            ]
            self.chance.choice([*servers, *servers[0].children()[:1]]).suspend()
        self.end(process)
        assert process.returncode in (0, 1), process.returncode

    def interrupt_twice(self) -> None:
        process = self.start(*self.chance.choice([("build", "notes"), ("watch", "notes")]))
        self.begun(process)
        time.sleep(self.chance.uniform(0.0, 0.9))
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(self.chance.uniform(0.0, 0.2))
        self.end(process)

    def two_at_once(self) -> None:
        both = [self.start(), self.start()]
        for process in both:
            self.end(process)

    def _stored(self) -> list[Path]:
        return sorted(p for p in (self.project / ".fitnotes").rglob("*") if p.is_file())

    def corrupt(self) -> None:
        self.end(self.start())
        for path in self._stored():
            if self.chance.random() < 0.4:
                data = bytearray(path.read_bytes())
                at = self.chance.randrange(len(data) + 1)
                kind = self.chance.randrange(4)
                if kind == 0:
                    data = data[:at]
                elif kind == 1 and data:
                    data[at % len(data)] ^= 1 << self.chance.randrange(8)
                elif kind == 2:
                    data[at:at] = self.chance.randbytes(20)
                else:
                    data = bytearray(b'{"inputs": [[1]], "sum": 0, "blocks": [{}]}')
                path.write_bytes(bytes(data))

    def remove(self) -> None:
        self.end(self.start())
        for path in self._stored():
            if self.chance.random() < 0.4:
                path.unlink()

    def small_files(self) -> None:
        """No file may grow beyond some size, as with a quota."""
        limit = self.chance.choice([100, 2_000, 5_000, 50_000])

        def limited() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        self.end(self.start(preexec_fn=limited))

    def full_disk(self) -> None:
        left = self.chance.choice([0, 4_000, 20_000, 100_000])
        free = shutil.disk_usage(self.folder).free
        filler = self.folder / "filler"
        with open(filler, "wb") as file:
            file.write(b"\0" * max(0, free - left))
        try:
            self.end(self.start())
        finally:
            filler.unlink()

    # One round -------------------------------------------------------------------------------------

    def change(self) -> None:
        for _ in range(self.chance.choice([1, 1, 2, 4])):
            self.world.change(*(self.chance.randrange(2**16) for _ in range(4)))
        self.world.write(self.project)

    def round(self) -> None:
        self.change()
        fault = self.chance.choice(self.faults)
        before = pages(self.project)
        fault()
        self.done[fault.__name__] += 1
        after = pages(self.project)
        assert set(before) <= set(after), f"{fault.__name__}: a page is lost"
        for name, page in after.items():
            assert page.rstrip().endswith("</html>"), f"{fault.__name__}: half of {name}"
        left = outlived(self.mark, 5)
        assert not left, f"{fault.__name__}: left {left}"
        process = self.start()
        out = self.end(process)
        expected, codes = from_nothing(self.world, self.folder / "clean" / "project")
        assert process.returncode == max(codes), f"{fault.__name__}: {out}"
        assert pages(self.project) == expected, f"{fault.__name__}: {out}"
        shutil.rmtree(self.folder / "tmp")
        (self.folder / "tmp").mkdir()

    def run(self, rounds: int) -> None:
        (self.folder / "tmp").mkdir()
        self.project.mkdir()
        for _ in range(rounds):
            self.round()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--disk", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    start = time.monotonic()
    if options.disk is None:
        with tempfile.TemporaryDirectory(prefix="fitnotes-campaign-") as scratch:
            own = ["unshare", "--mount", sys.executable, __file__, f"--disk={scratch}",
                   f"--rounds={options.rounds}", f"--seed={options.seed}"]  # fmt: skip
            apart = os.geteuid() == 0 and shutil.which("unshare")
            if apart and subprocess.run(["unshare", "--mount", "true"], check=False).returncode == 0:
                sys.exit(subprocess.run(own, check=False).returncode)
            campaign = Campaign(Path(scratch), options.seed, disk=False)
            fight(campaign, options.rounds, start)
    else:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(options.disk)]
        disk = subprocess.run(mount, check=False).returncode == 0
        fight(Campaign(options.disk, options.seed, disk=disk), options.rounds, start)


def fight(campaign: Campaign, rounds: int, start: float) -> None:
    stop_server()
    start_server(["numpy"], 1, Path.cwd())
    try:
        campaign.run(rounds)
    finally:
        stop_server()
        done = ", ".join(f"{name} {count}" for name, count in sorted(campaign.done.items()))
        print(f"{campaign.done.total()} of {rounds} rounds in {time.monotonic() - start:.0f} s: {done}")


if __name__ == "__main__":
    main()
