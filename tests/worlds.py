"""Small projects that change at random, for tests that compare a build with one from nothing.

A `World` is two notes, two data files and two modules, where one imports the other. `change` takes plain
numbers, so that hypothesis can shrink what it finds and a seeded generator can drive it as well.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from fitnotes.build.request import Outcome, Request
from fitnotes.build.schedule import Build
from fitnotes.build.sources import find_sources
from fitnotes.execute.copies import Copies
from fitnotes.settings import Project, Settings

# <N> is the note's name, <V> and <W> small numbers. Each can stand anywhere behind the note's first block.
BLOCKS = [
    "x = <V>\nprint('x is', x)",
    "x = globals().get('x', 0) + <V>\nx",
    "import random\nprint(random.random(), random.choice('abcdefgh'))",
    "import numpy as np\nprint(np.random.rand(), np.arange(<V>).sum())",
    "many = globals().get('many', [])\nmany.append(<V>)\nprint(many)",
    "print('data', open('data<W>.txt').read().split())",
    "import os\nprint(os.path.exists('data<W>.txt'), sorted(n for n in os.listdir('.') if n.startswith('data')))",
    "import helper0\nprint(helper0.value(<V>))",
    "import helper1\nprint(helper1.VALUE + <V>)",
    "open('own_<N>.txt', 'w').write(str(globals().get('x')))\nprint(open('own_<N>.txt').read())",
    "open('log_<N>.txt', 'a').write('<V> ')\nprint(open('log_<N>.txt').read())",
    "reader = globals().get('reader') or open('data0.txt')\nprint('line', reader.readline())",
    "def divide(by):\n    return <V> / by\nprint(divide(2))",
    "print('shared', open('shared_a.txt').read())",
    "import warnings\nwarnings.warn('take care <V>')",
    "raise ValueError('wrong <V>')",
    "import os\nprint(os.getcwd().rpartition('/')[2], os.environ.get('NO_SUCH_VARIABLE'))",
]
OPTIONS = ["", "", "", "", " echo=false", " session=other", " session=other", " error=true"]


@dataclass
class World:
    """The files of a project as they should be; `write` puts them into a folder."""

    notes: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: {"a": [], "b": []})
    prose: dict[str, int] = field(default_factory=lambda: {"a": 0, "b": 0})
    shared: int = 1
    data: dict[str, int | None] = field(default_factory=lambda: {"data0.txt": 3, "data1.txt": 4})
    helpers: dict[str, int] = field(default_factory=lambda: {"helper0": 1, "helper1": 1})

    def change(self, what: int, where: int, value: int, option: int) -> str:
        """Changes one thing and says what."""
        name = "ab"[where % 2]
        blocks = self.notes[name]
        at = (where // 2) % (len(blocks) + 1)
        kind = what % 10
        if kind <= 4:
            code = BLOCKS[value % len(BLOCKS)].replace("<N>", name)
            code = code.replace("<V>", str(value % 7 + 1)).replace("<W>", str(value % 2))
            new = (code, OPTIONS[option % len(OPTIONS)])
            if kind <= 1 or at == len(blocks):
                if len(blocks) < 8:
                    blocks.insert(at, new)
                return f"{name}: block {at} inserted: {new}"
            blocks[at] = new
            return f"{name}: block {at} is now {new}"
        if kind == 5 and blocks:
            del blocks[at % len(blocks)]
            return f"{name}: block {at % len(blocks) if blocks else 0} removed"
        if kind == 6:
            file = f"data{value % 2}.txt"
            self.data[file] = None if value % 5 == 0 else value % 9
            return f"{file} is now {self.data[file]}"
        if kind == 7:
            self.helpers[f"helper{value % 2}"] = value % 9
            return f"helper{value % 2} is now {value % 9}"
        if kind == 8:
            self.shared = value % 5
            return f"shared is now {self.shared}"
        self.prose[name] = value % 4
        return f"{name}: {value % 4} lines of prose"

    def note(self, name: str) -> str:
        parts = ["---\ntitle: A note\n---\n", *["Words.\n"] * self.prose[name]]
        first = f"import os\nopen('log_{name}.txt', 'w').write('begun ')\n"
        if name == "a":
            first += f"open('shared_a.txt', 'w').write('{self.shared}')\n"
        parts.append(f"```python\n{first}x = 1\n```\n")
        for at, (code, options) in enumerate(self.notes[name]):
            parts.append(f"```{{.python{options}}}\n{code}\n```\n")
            if at % 3 == 0:
                parts.append("The value is `globals().get('x')`{.python}.\n")
        return "\n".join(parts)

    def write(self, folder: Path) -> None:
        (folder / "notes").mkdir(parents=True, exist_ok=True)
        texts = {f"{name}.md": self.note(name) for name in self.notes}
        texts |= {
            file: None if value is None else f"{value} 1\n{value} 2\n{value} 3\n"
            for file, value in self.data.items()
        }
        texts["helper0.py"] = (
            f"import helper1\n\n\ndef value(n):\n    return n + {self.helpers['helper0']} + helper1.VALUE\n"
        )
        texts["helper1.py"] = f"VALUE = {self.helpers['helper1']}\n"
        (folder / "fitnotes.toml").write_text("")
        for name, text in texts.items():
            path = folder / "notes" / name
            if text is None:
                path.unlink(missing_ok=True)
            elif not path.exists() or path.read_text() != text:
                path.write_text(text)


class Silent:
    def running(self, *args: object) -> None: ...

    def finished(self, *args: object) -> None: ...

    def problem(self, *args: object) -> None: ...


def build(folder: Path, kept: Copies | None = None, jobs: int = 2) -> list[Outcome]:
    project = Project(folder, Settings())
    request = Request(jobs=jobs)
    return Build(project, request, Silent(), kept).run(find_sources([folder / "notes"], project))


def pages(folder: Path) -> dict[str, str]:
    return {page.name: page.read_text() for page in sorted((folder / "_build" / "html").glob("*.html"))}


def from_nothing(world: World, folder: Path) -> tuple[dict[str, str], list[int]]:
    """Pages and exit codes of a build in an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    world.write(folder)
    outcomes = build(folder, jobs=1)
    return pages(folder), [outcome.exit_code for outcome in outcomes]
