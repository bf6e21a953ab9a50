"""Measures builds beside their floor, in one run: ``python`` on the same code, ``pandoc`` on the same text.

Each figure is the median of several runs; what counts are the ratios, since machines differ and are
noisy. Peak memory is the sum over the process and its children at the worst moment, sampled.

    python benchmarks/bench.py [--runs 3] [--notes 20] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from fitnotes.pandoc import program

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

NUMPY_NOTE = r"""---
title: Numpy note NUMBER
---

The singular values of a random matrix, number $NUMBER$: $A = U \Sigma V^\top$.

```python
import numpy as np

rng = np.random.default_rng(NUMBER)
A = rng.standard_normal((60, 40))
s = np.linalg.svd(A, compute_uv=False)
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


class Timed:
    """Runs commands one after another; seconds and peak memory (MiB) of the whole family."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.peak = 0.0
        self.parent_peak = 0.0

    def __call__(self, *command: str, watch: bool = False) -> float:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
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


def replaced(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def measure(
    name: str, notes: dict[str, str], runs: int, last_block: tuple[str, str], prose: tuple[str, str]
) -> dict[str, object]:
    """Cold, unchanged, after a prose edit and after an edit of a last block, beside scripts and pandoc."""
    rows: dict[str, list[float]] = {
        k: [] for k in ("scripts", "pandoc", "cold", "unchanged", "prose", "last block")
    }
    peak = parent = floor = 0.0
    for _ in range(runs):
        with tempfile.TemporaryDirectory(prefix="fitnotes-bench-") as scratch:
            folder = Path(scratch)
            (folder / "notes").mkdir()
            (folder / "fitnotes.toml").touch()
            for stem, text in notes.items():
                (folder / "notes" / f"{stem}.md").write_text(text)
                (folder / f"{stem}.py").write_text(script(text))
            plain, built = Timed(folder), Timed(folder)
            rows["scripts"].append(sum(plain(PYTHON, f"{stem}.py") for stem in notes))
            rows["pandoc"].append(
                sum(
                    plain(program(), f"notes/{stem}.md", "-s", "--mathjax", "-o", f"{stem}.html")
                    for stem in notes
                )
            )
            command = (FITNOTES, "build", "--quiet")
            rows["cold"].append(built(*command))
            rows["unchanged"].append(built(*command))
            first = folder / "notes" / f"{next(iter(notes))}.md"
            replaced(first, *prose)
            rows["prose"].append(built(*command))
            replaced(first, *last_block)
            rows["last block"].append(built(*command))
            if not floor:
                plain(PYTHON, f"{next(iter(notes))}.py", watch=True)
                built(*command, "--refresh", watch=True)
            peak, parent, floor = (
                max(peak, built.peak),
                max(parent, built.parent_peak),
                max(floor, plain.peak),
            )
    median = {key: statistics.median(values) for key, values in rows.items()}
    return {
        "name": name, "runs": runs, "seconds": median,
        "memory": {"family": peak, "parent": parent, "script": floor},
    }  # fmt: skip


def show(
    result: dict[str, object], targets: list[tuple[str, str, Callable[[dict[str, float]], float], float]]
) -> bool:
    seconds: dict[str, float] = result["seconds"]  # type: ignore[assignment]
    memory: dict[str, float] = result["memory"]  # type: ignore[assignment]
    print(f"\n{result['name']} (median of {result['runs']})")
    for key, value in seconds.items():
        print(f"  {key:<12}{value:8.2f} s{value / seconds['scripts']:8.2f} × the scripts")
    print(f"  peak memory  {memory['family']:.0f} MiB in all, {memory['parent']:.0f} MiB in the parent; "
          f"one script {memory['script']:.0f} MiB")  # fmt: skip
    good = True
    for label, unit, figure, limit in targets:
        value = figure(seconds)
        good = good and value <= limit
        print(f"  {'ok  ' if value <= limit else 'MISS'} {label}: {value:.2f} {unit} (target {limit})")
    return good


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--notes", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, {shutil.which('pandoc') or program()}")
    torch_note = measure(
        "one torch note", {"fit": TORCH_NOTE}, options.runs,
        ('"The fit"}\nimport', '"The fit"}\n# again\nimport'), ("The result is", "The outcome is"),
    )  # fmt: skip
    numpy_notes = measure(
        f"{options.notes} numpy notes",
        {f"note{i:02}": NUMPY_NOTE.replace("NUMBER", str(i)) for i in range(options.notes)},
        options.runs,
        ("mean(), 4", "mean(), 5"), ("The largest", "The greatest"),
    )  # fmt: skip
    good = show(
        torch_note,
        [
            ("cold", "× (script + pandoc)", lambda s: s["cold"] / (s["scripts"] + s["pandoc"]), 1.15),
            ("prose edit", "s", lambda s: s["prose"], 1.0),
        ],
    )
    good &= show(
        numpy_notes,
        [
            ("cold", "× the scripts", lambda s: s["cold"] / s["scripts"], 0.4),
            ("unchanged", "s", lambda s: s["unchanged"], 0.5),
            ("prose edit", "s", lambda s: s["prose"], 1.0),
        ],
    )
    if options.json:
        options.json.write_text(json.dumps([torch_note, numpy_notes], indent=1))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
