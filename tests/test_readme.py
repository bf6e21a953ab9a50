"""Every command of the README runs, and its transcript is what really comes out."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from conftest import ROOT, environment
from test_command import normal, run

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_transcript_ran(project: Path) -> None:
    transcript, _ = re.findall(r"^```console\n(.*?)^```", README, re.M | re.S)
    commands = re.findall(r"^\$ (.*)$", transcript, re.M)
    assert len(commands) == 5
    seen = "".join(f"$ {command}\n{run(command, project)}" for command in commands)
    assert seen == normal(transcript, project)


def test_the_explanation_is_what_comes_out(project: Path, fitnotes) -> None:
    _, transcript = re.findall(r"^```console\n(.*?)^```", README, re.M | re.S)
    command, expected = transcript.split("\n", 1)
    (project / "data.csv").write_text("1")
    (project / "fit.md").write_text(
        "```python\nimport math\n```\n\n```{.python #tbl-loss tbl-cap='Loss'}\nloss = float(open('data.csv').read())\n"
        "```\n\nIt is `loss:.3f`{.python}.\n\n```{.python session=b}\nprint(1)\n```\n"
    )
    fitnotes(*command.split()[2:])
    (project / "data.csv").write_text("2")
    assert fitnotes(*command.split()[2:]).stdout.startswith(expected)


def test_the_example_note_builds(project: Path, fitnotes) -> None:
    (note,) = re.findall(r"^````markdown\n(.*?)^````", README, re.M | re.S)
    (project / "note.md").write_text(note)
    done = fitnotes("build", "note.md", "--to", "html", "--to", "pdf")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_pandoc_commands_run(tmp_path: Path) -> None:
    commands = re.findall(r"^pandoc .*$", README, re.M)
    assert len(commands) == 2
    for name in ("notes", "filters", "fitnotes", "templates"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for command in commands:
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "Loss of the descent" in " ".join((tmp_path / "cubic.html").read_text().split())


def test_the_set_up_commands_are_those_of_ci() -> None:
    ci = (ROOT / ".ci" / "run").read_text()
    for command in re.findall(r"^sh run \w+$", README, re.M):
        assert f"\n{command}\n" in ci


def test_options_and_settings_are_all_documented() -> None:
    from dataclasses import fields

    from fitnotes.settings import Settings
    from fitnotes.source.options import Options

    for name in [*(f.name for f in fields(Options)), *(f.name for f in fields(Settings))]:
        assert f"`{name.replace('_', '-')}`" in README, name


def test_the_python_example_runs() -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)
    names: dict[str, object] = {}
    for line in code.strip().split("\n"):
        source = line.partition("  #")[0]
        if re.match(r"(from|$|model =)", source):
            exec(source, names)
        else:
            assert eval(source, names)._repr_markdown_(), line
