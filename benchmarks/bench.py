"""Measures builds beside their floor, in one run: ``python`` on the same code, ``pandoc`` on the same text.

Each figure is the median of several runs; what counts are the ratios, since machines differ and are
noisy. Peak memory is the sum over the process and its children at the worst moment, sampled.

    python benchmarks/bench.py [--runs 3] [--notes 20] [--many 200] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from fitnotes.document.pandoc import program

PYTHON = sys.executable
FITNOTES = str(Path(sys.executable).parent / "fitnotes")

TORCH_NOTE = r"""---
title: One torch note
header-includes: |
  \newcommand{\R}{\mathbb{R}}
---

Fit $f(x) = a + bx + cx^2 + dx^3$, $x \in \R$.

```python
import math
import torch

x = torch.linspace(-math.pi, math.pi, 2000)
y = torch.sin(x)
torch.manual_seed(0)
a, b, c, d = (torch.randn((), requires_grad=True) for _ in range(4))
```

```{.python output=loss-table tbl-cap="Loss"}
for t in range(2000):
    loss = (a + b * x + c * x**2 + d * x**3 - y).pow(2).sum()
    if t % 100 == 99:
        print(t, loss.item())
    loss.backward()
    with torch.no_grad():
        for p in (a, b, c, d):
            p -= 1e-6 * p.grad
            p.grad = None
```

```{.python fig-cap="The fit"}
import matplotlib.pyplot as plt

plt.plot(x, y)
plt.plot(x, (a + b * x + c * x**2 + d * x**3).detach());
```

The result is $a =$ `a.item():.4f`{.python}.
"""

# The first two notes also read a file and import a module.
EXTRA = ["data = np.loadtxt('data.csv')", "from helper import data"]

NUMPY_NOTE = r"""---
title: Numpy note NUMBER
---

The singular values of a random matrix, number $NUMBER$: $A = U \Sigma V^\top$.

```python
import numpy as np

rng = np.random.default_rng(NUMBER)
A = rng.standard_normal((60, 40))
s = np.linalg.svd(A, compute_uv=False)
EXTRA
print(s[:5])
```

```{.python fig-cap="Singular values"}
import matplotlib.pyplot as plt

plt.plot(s, "o-")
plt.xlabel("index");
```

The largest is `s[0]:.3f`{.python}.

```python
print(np.round(A.mean(), 4))
```
"""


def script(note: str) -> str:
    """The note's Python as a script that also saves its figure, as a reader would run it."""
    blocks = re.findall(r"^```[^\n]*python[^\n]*\n(.*?)^```", note, re.M | re.S)
    return "import matplotlib\nmatplotlib.use('svg')\n" + "\n".join(blocks) + "\nplt.savefig('figure.svg')\n"


def numpy_note(number: int) -> str:
    extra = EXTRA[number] if number < len(EXTRA) else ""
    return NUMPY_NOTE.replace("NUMBER", str(number)).replace("EXTRA", extra)


class Timed:
    """Runs commands one after another; seconds, and peak memory (MiB) of the whole family."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.peak = 0.0
        self.parent_peak = 0.0

    def __call__(self, *command: str, watch: bool = False, cwd: str = ".") -> float:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=self.folder / cwd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        if watch:  # reading the memory of a process slows it down: never while its time counts
            threading.Thread(target=self._watch, args=(process.pid,), daemon=True).start()
        errors = process.communicate()[1]
        seconds = time.perf_counter() - start
        if process.returncode:
            raise SystemExit(f"{' '.join(command)}: {errors}")
        return seconds

    def _watch(self, pid: int) -> None:
        try:
            root = psutil.Process(pid)
            while root.is_running() and root.status() != psutil.STATUS_ZOMBIE:
                own = _memory(root)
                family = own + sum(_memory(child) for child in root.children(recursive=True))
                self.parent_peak = max(self.parent_peak, own)
                self.peak = max(self.peak, family)
                time.sleep(0.05)
        except psutil.Error:
            return


def _memory(process: psutil.Process) -> float:
    """Proportional set size in MiB: memory that forks share counts once."""
    try:
        return float(getattr(process.memory_full_info(), "pss", process.memory_info().rss)) / 2**20
    except psutil.Error:
        return 0.0


@dataclass(frozen=True)
class Edit:
    """One edit of a file below ``notes``: ``old`` becomes ``new``, and back the next time."""

    what: str
    file: str
    old: str
    new: str

    def make(self, folder: Path) -> None:
        path = folder / "notes" / self.file
        text = path.read_text()
        old, new = (self.old, self.new) if self.old in text else (self.new, self.old)
        if old not in text:
            raise SystemExit(f"{self.what}: {self.file} has no {old!r}")
        path.write_text(text.replace(old, new, 1))


COMMAND = (FITNOTES, "build", "--quiet")


class Bench:
    """A project of notes, built again and again."""

    def __init__(
        self, name: str, notes: dict[str, str], edits: Sequence[Edit], *, scripts: bool = True
    ) -> None:
        self.name = name
        self.notes = notes
        self.edits = edits
        self.scripts = scripts
        self.rows: dict[str, list[float]] = {}
        self.memory: dict[str, float] = {}

    def add(self, row: str, seconds: float) -> None:
        self.rows.setdefault(row, []).append(seconds)

    def round(self) -> None:
        with tempfile.TemporaryDirectory(prefix="fitnotes-bench-") as scratch:
            folder = Path(scratch)
            (folder / "notes").mkdir()
            (folder / "fitnotes.toml").touch()
            (folder / "notes" / "data.csv").write_text("1 2 3\n")
            (folder / "notes" / "helper.py").write_text("data = 1\n")
            for stem, text in self.notes.items():
                (folder / "notes" / f"{stem}.md").write_text(text)
                (folder / "notes" / f"{stem}.py").write_text(script(text))
            timed, floor = Timed(folder), Timed(folder)
            if self.scripts:
                self.add("scripts", sum(timed(PYTHON, f"{stem}.py", cwd="notes") for stem in self.notes))
                pandoc = (program(), "-s", "--mathjax")
                self.add("pandoc", sum(
                    timed(*pandoc, f"notes/{stem}.md", "-o", f"{stem}.html") for stem in self.notes
                ))  # fmt: skip
            self.add("cold", timed(*COMMAND))
            self._clean(folder)
            self.add("cold, --jobs 1", timed(*COMMAND, "--jobs", "1"))
            self.add("unchanged", timed(*COMMAND))
            for edit in self.edits:
                edit.make(folder)
                self.add(edit.what, timed(*COMMAND))
            self._watched(folder)
            if not self.memory:
                self._clean(folder)
                timed(*COMMAND, watch=True)
                floor(PYTHON, f"{next(iter(self.notes))}.py", watch=True, cwd="notes")
                self.memory = {"family": timed.peak, "parent": timed.parent_peak, "script": floor.peak}

    def _clean(self, folder: Path) -> None:
        shutil.rmtree(folder / "_build")
        shutil.rmtree(folder / ".fitnotes")

    def _watched(self, folder: Path) -> None:
        """From save to page under `fitnotes watch`, which has built all notes itself."""
        self._clean(folder)
        watch = subprocess.Popen(
            [FITNOTES, "watch"], cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        try:
            assert watch.stdout is not None
            while "watching" not in watch.stdout.readline():
                pass
            threading.Thread(target=watch.stdout.read, daemon=True).start()
            for edit in self.edits:
                if not edit.file.endswith(".md"):
                    continue
                page = folder / "_build" / "html" / edit.file.replace(".md", ".html")
                before = page.read_bytes()
                time.sleep(0.5)
                start = time.perf_counter()
                edit.make(folder)
                while page.read_bytes() == before:
                    time.sleep(0.002)
                self.add(f"watch: {edit.what}", time.perf_counter() - start)
        finally:
            watch.send_signal(signal.SIGINT)
            watch.wait()

    def seconds(self) -> dict[str, float]:
        return {row: statistics.median(values) for row, values in self.rows.items()}

    def show(self) -> None:
        seconds = self.seconds()
        print(f"\n{self.name} (median of {len(self.rows['cold'])})")
        for row, value in seconds.items():
            ratio = f"{value / seconds['scripts']:8.2f} × the scripts" if self.scripts else ""
            print(f"  {row:<24}{value:8.2f} s{ratio}")
        print(f"  peak memory of a cold build: {self.memory['family']:.0f} MiB in all, "
              f"{self.memory['parent']:.0f} MiB in the parent; one script {self.memory['script']:.0f} MiB")  # fmt: skip


TORCH_EDITS = [
    Edit("prose", "fit.md", "The result is", "The outcome is"),
    Edit("first block", "fit.md", "import math\n", "import math\n# again\n"),
    Edit("middle block", "fit.md", "    loss.backward()", "    # again\n    loss.backward()"),
    Edit("last block", "fit.md", "plt.plot(x, y)", "plt.plot(x, y, '.')"),
]
NUMPY_EDITS = [
    Edit("prose", "note000.md", "The largest", "The greatest"),
    Edit("first block", "note000.md", "print(s[:5])", "print(s[:6])"),
    Edit("middle block", "note000.md", '"index"', '"number"'),
    Edit("last block", "note000.md", "mean(), 4", "mean(), 5"),
    Edit("data file", "data.csv", "1 2 3", "4 5 6"),
    Edit("helper module", "helper.py", "data = 1", "data = 2"),
]


def check(label: str, value: float, unit: str, limit: float) -> bool:
    print(f"  {'ok  ' if value <= limit else 'MISS'} {label}: {value:.2f} {unit} (target {limit:g})")
    return value <= limit


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--notes", type=int, default=20)
    parser.add_argument("--many", type=int, default=200, help="0: leave it out")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, {shutil.which('pandoc') or program()}")
    torch = Bench("one torch note", {"fit": TORCH_NOTE}, TORCH_EDITS)
    numpy = Bench(f"{options.notes} numpy notes", _numpy_notes(options.notes), NUMPY_EDITS)
    benches = [torch, numpy]
    for bench in benches:
        for _ in range(options.runs):
            bench.round()
    if options.many:
        many = Bench(f"{options.many} numpy notes", _numpy_notes(options.many), NUMPY_EDITS, scripts=False)
        many.round()
        benches.append(many)
    for bench in benches:
        bench.show()
    t, n = torch.seconds(), numpy.seconds()
    print()
    good = [
        check("one torch note, cold", t["cold"] / (t["scripts"] + t["pandoc"]), "× (script + pandoc)", 1.15),
        check(f"{numpy.name}, cold", n["cold"] / n["scripts"], "× the scripts", 0.25),
        check(f"{numpy.name}, unchanged", n["unchanged"], "s", 0.5),
        check("prose edit", max(t["prose"], n["prose"]), "s", 1.0),
        check("last block under watch, numpy", n["watch: last block"], "s", 0.3),
    ]
    if options.many:
        m = many.seconds()
        good.append(
            check(f"{many.name}, cold", m["cold"] / n["cold"], f"× {numpy.name}", 1.1 * options.many / 20)
        )
    if options.json:
        options.json.write_text(json.dumps({b.name: b.seconds() | b.memory for b in benches}, indent=1))
    sys.exit(0 if all(good) else 1)


def _numpy_notes(count: int) -> dict[str, str]:
    return {f"note{i:03}": numpy_note(i) for i in range(count)}


if __name__ == "__main__":
    main()
