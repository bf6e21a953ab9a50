"""Golden tests in the manner of pandoc's: each file in tests/command holds files, commands, and what a
user then sees. ``pytest --accept`` writes what came out into the file instead of comparing.

Format: a fence with ``file NAME`` makes a file; a fence with ``console`` holds ``$ command`` lines, each with
its output behind it (stdout and stderr together) and, if it is not 0, ``=> exit code``.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, environment

FENCE = re.compile(r"^(?P<ticks>`{3,}) (?P<info>file \S+|console)\n(?P<text>.*?)^(?P=ticks)$", re.M | re.S)


def normal(text: str, folder: Path) -> str:
    text = text.replace(str(folder), "PROJECT")
    text = re.sub(r"\(\d+\.\d s\)", "(… s)", text)
    text = re.sub(r"; \d+\.\d s$", "; … s", text, flags=re.M)
    text = re.sub(r"^ *[~^]+\n", "", text, flags=re.M)  # the marks below a line of code differ by Python
    return re.sub(r"[ \t]+$", "", text, flags=re.M)


def run(command: str, folder: Path) -> str:
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
    )
    text = normal(done.stdout.decode("utf-8", "replace"), folder)
    text += "" if text.endswith("\n") or not text else "\n"
    return text + (f"=> {done.returncode}\n" if done.returncode else "")


@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "command").glob("*.md")), ids=lambda p: p.stem)
def test_command(path: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    source = path.read_text(encoding="utf-8")
    (tmp_path / "fitnotes.toml").write_text("", encoding="utf-8")

    def play(match: re.Match[str]) -> str:
        kind, _, name = match["info"].partition(" ")
        if kind == "file":
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(match["text"], encoding="utf-8")
            return match[0]
        out = [f"{match['ticks']} console\n"]
        for command in re.findall(r"^\$ (.*)$", match["text"], re.M):
            out.append(f"$ {command}\n{run(command, tmp_path)}")
        return "".join([*out, match["ticks"]])

    seen = FENCE.sub(play, source)
    assert "$ " in seen, "a command test without a command"
    if request.config.getoption("--accept"):
        path.write_text(seen, encoding="utf-8")
        return
    assert seen == source
