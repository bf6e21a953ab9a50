"""Measures what formulas cost: 200 kB of prose with 2,000 different ones, beside plain pandoc on the same text.

Cold: every formula is set with MathJax. After an edit of the prose the page is written again and the formulas are
known. To HTML and to a PDF by Typst; they take turns; the figures are medians, the ratios those of pairs.

    python benchmarks/formulas.py [--runs 7]
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fitnotes.document.pandoc import program

FITNOTES = str(Path(sys.executable).parent / "fitnotes")
TARGETS = {"cold": 4.0, "after an edit": 2.0}
WORDS = """the a of model loss gradient, step (weights) rate; network's layer that and in at is "well" 0.25 first-order
*mean* value converges to each every where when minimum function data, `code` long-run so; then which follows
another simple derivative estimate (unbiased) bounded above by constant independent and identically""".split()  # noqa: SIM905
INLINE = (
    r"\nabla_\theta L(\theta_{%d})", r"x_{%d}^2 + y^2", r"\frac{\partial f}{\partial x_{%d}}",
    r"\R^{%d}",
    r"\mathbf{W}_{%d}\boldsymbol{\sigma}(z)", r"\norm{a_{%d}}", r"\hat{y}_{%d} = \operatorname{softmax}(z)",
)  # fmt: skip
DISPLAY = (
    "\\begin{align*}\na_{%d} &= b + c \\\\\nd &= \\int_0^1 f(x)\\,dx\n\\end{align*}",
    r"L_{%d} = \frac{1}{n}\sum_{i=1}^n \left(y_i - \hat{y}_i\right)^2",
)


def document(size: int = 200_000, formulas: int = 2000) -> str:
    chance = random.Random(1)
    every = size // formulas  # characters from formula to formula
    out = ["---", "title: Formulas", "header-includes: |", r"  \newcommand{\R}{\mathbb{R}}",
           r"  \newcommand{\norm}[1]{\lVert #1 \rVert}", "---", ""]  # fmt: skip
    paragraph: list[str] = []
    for n in range(formulas):
        display = n % 20 == 19
        formula = chance.choice(DISPLAY if display else INLINE) % n
        words: list[str] = []
        while sum(map(len, words)) + len(words) + len(formula) < every - 4:
            words.append(chance.choice(WORDS))
        paragraph.append(" ".join(words))
        paragraph.append(f"\n\n$${formula}$$\n\n" if display else f"${formula}$")
        if n % 5 == 4 and not display:
            out += [" ".join(paragraph) + ".", ""]
            paragraph = []
        if n % 100 == 99:
            out += [" ".join(paragraph), "", f"# Section {n // 100 + 1}", ""]
            paragraph = []
    return "\n".join([*out, " ".join(paragraph), ""])


def seconds(command: list[str], folder: Path) -> float:
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    text = document()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "fitnotes.toml").touch()
        note = folder / "note.md"
        note.write_text(text, encoding="utf-8")
        times: dict[tuple[str, str], list[float]] = {}
        plain: list[float] = []
        for run in range(runs):
            command = [program(), "note.md", "-s", "--mathjax", "-o", "plain.html"]
            plain.append(seconds(command, folder))
            for target in ("html", "pdf"):
                for place in (folder / ".fitnotes", folder / "_build"):
                    shutil.rmtree(place, ignore_errors=True)
                build = [FITNOTES, "build", "note.md", "--to", target]
                times.setdefault((target, "cold"), []).append(seconds(build, folder))
                note.write_text(f"{text}\nEdited {run} for {target}.\n", encoding="utf-8")
                times.setdefault((target, "after an edit"), []).append(seconds(build, folder))
    print(
        f"{len(text.encode()) // 1000} kB, 2000 formulas; plain pandoc to HTML {statistics.median(plain):.2f} s"
    )
    for (target, what), ours in times.items():
        ratio = statistics.median(a / b for a, b in zip(ours, plain, strict=True))
        goal = f" (target {TARGETS[what]:g})" if target == "html" else ""
        print(f"{target}, {what}: {statistics.median(ours):.2f} s, {ratio:.2f} × plain pandoc{goal}")


if __name__ == "__main__":
    main()
