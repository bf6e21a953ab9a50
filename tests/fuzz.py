"""Mutated notes: ``PYTHONPATH=tests python -m fuzz --notes 10000 --seed 0``.

Notes of this repository are cut, mixed and strewn with pieces of markup, built to HTML without running anything, and
mended by ``lint --fix``. No traceback, no fault of fitnotes itself, no note that takes longer than 20 s, no words that
vanish from a page of which nothing is said, and nothing more to mend behind ``--fix``.
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from conftest import ROOT, environment
from loss import lost

BATCH = 40
LIMIT = 20.0  # seconds for one note
PIECES = (
    "$", "$$", "\\(", "\\]", "`", "```", "~~~", "```{python}", "```{mermaid}", "```{r}", "```{figure} a.png",
    ":::", "::::", "::: {.callout-note}", "> [!TIP]-", "{{< include x.md >}}", "{{< meta title >}}", "[^1]",
    "[^1]: ", "^[", "](", "![](a.png)", "[[", "]]", "==", "%%", "<!--", "-->", "<div>", "</div>", "<details>",
    "<script>", "<svg>", "&nbsp;", "---", "***", "|---|", "| a | b |", ": Caption {#tbl-x}", "{#fig-x}",
    "@fig-x", "[@key]", "\\begin{align}", "\\end{align}", "\\begin{cases}", "\\frac{", "\\left(",
    "\\newcommand{\\x}[1]{#1\\x{#1}}", "\\ref{x}", "\\label{eq:x}", "{", "}", "\\", "#", "- ", "1. ", "    ",
    "\t", "\u200b", "\ufeff", "\x0c", "é", "漢", "🙂", "\u202e", "title: [", "fitnotes:\n  lang: no",
    "bibliography: x.bib", "`{python} 1 + 1`", "`x`{.python}", "{.python .numberLines}", "(label)=", "{eq}`x`",
    "{: .lead}", "*", "_", "**", "~", "^",
)  # fmt: skip


def sources() -> list[str]:
    folders = ("notes", "docs", "tests/corpus", "tests/notes")
    return [
        file.read_text(encoding="utf-8") for name in folders for file in sorted((ROOT / name).glob("*.md"))
    ]


def mutated(texts: Sequence[str], chance: random.Random) -> str:
    lines = chance.choice(texts).split("\n")
    at = chance.randrange(len(lines))
    lines = lines[max(0, at - chance.randrange(200)) :][
        : chance.randint(1, 80)
    ]  # short, so that many are tried
    for _ in range(chance.choice([1, 1, 2, 3, 5, 9])):
        at = chance.randrange(len(lines) + 1)
        match chance.randrange(8):
            case 0:
                del lines[at : at + chance.randint(1, 4)]
            case 1:
                lines[at:at] = lines[at : at + chance.randint(1, 4)]
            case 2:
                lines[at:at] = [chance.choice(PIECES)]
            case 3 if lines:
                line = lines[at % len(lines)]
                place = chance.randrange(len(line) + 1)
                lines[at % len(lines)] = line[:place] + chance.choice(PIECES) + line[place:]
            case 4 if lines:
                line = lines[at % len(lines)]
                place = chance.randrange(len(line) + 1)
                lines[at % len(lines)] = line[:place] + line[place + chance.randint(1, 6) :]
            case 5:
                other = chance.choice(texts).split("\n")
                start = chance.randrange(len(other))
                lines[at:at] = other[start : start + chance.randint(1, 12)]
            case 6 if lines:
                lines[at % len(lines)] = (
                    chance.choice(["  ", "    ", "> ", "- ", "\t"]) + lines[at % len(lines)]
                )
            case 7 if lines:
                lines[at : at + 2] = lines[at : at + 2][::-1]
    return "\n".join(lines) + "\n"


def run(folder: Path, *arguments: str, seconds: float) -> tuple[int, str]:
    """The exit code and all output; -1 where it takes longer."""
    command = [str(Path(sys.executable).parent / "fitnotes"), *arguments]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        return -1, ""
    return done.returncode, done.stdout + done.stderr


def wrong(folder: Path, notes: Sequence[Path]) -> list[str]:
    """What is wrong with the notes of a folder, in words."""
    found: list[str] = []
    kinds = (("build", "--no-execute", "--to", "html"), ("lint", "--fix"), ("lint", "--fix"))
    for turn, words in enumerate(kinds):
        names = [note.name for note in notes]
        code, said = run(folder, *words, *names, seconds=60 + len(names))
        if code == -1:
            slow = [name for name in names if run(folder, *words, name, seconds=LIMIT)[0] == -1]
            found += [f"{name}: {words[0]} takes too long" for name in slow] or [
                f"{words[0]} of {len(names)} is slow"
            ]
            continue
        for line in re.findall(r"(?m)^.*(?:Traceback|internal error).*$", said):
            found.append(f"{words[0]}: {line}")
        if turn == 0:
            for note in notes:
                page = folder / "_build/html" / f"{note.stem}.html"
                if note.name + ":" not in re.sub(r"(?m)^\S+: (?:wrote|\d+ block).*$", "", said):
                    found += [f"{note.name}: lost {gone}" for gone in lost(note, [page], said).values()]
        if turn == 2 and not said.rstrip().endswith("mended 0"):
            found.append(f"--fix goes on: {said.rstrip()[-200:]}")
    return found


def fight(folder: Path, count: int, seed: int) -> list[str]:
    """What is wrong with so many mutated notes; those that are stay in ``folder``."""
    texts, found = sources(), []
    for start in range(0, count, BATCH):
        batch = folder / f"{start}"
        batch.mkdir()
        (batch / "fitnotes.toml").write_text("")
        notes = []
        for number in range(start, min(start + BATCH, count)):
            notes.append(batch / f"n{number}.md")
            notes[-1].write_text(mutated(texts, random.Random(seed * 1_000_003 + number)), encoding="utf-8")
        found += [f"{batch.name}/{words}" for words in wrong(batch, notes)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--notes", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="fitnotes-fuzz-"))
    folder.mkdir(exist_ok=True)
    began = time.monotonic()
    found = fight(folder, options.notes, options.seed)
    print(*found, sep="\n")
    print(f"{options.notes} notes in {time.monotonic() - began:.0f} s: {len(found)} wrong ({folder})")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
