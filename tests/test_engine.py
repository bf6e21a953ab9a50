"""The engine: what runs and why, side by side, within limits, and what is left when something goes wrong."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest
from conftest import MARK, environment, marked, outlived
from worlds import Silent

from fitnotes.build.request import Outcome, Request
from fitnotes.build.schedule import Build
from fitnotes.build.sources import find_sources
from fitnotes.execute.copies import Copies
from fitnotes.execute.sessions import CAN_HOLD, start_server, stop_server
from fitnotes.execute.slots import Slots
from fitnotes.settings import Project, Settings, show_size, size
from fitnotes.store.inputs import file_hash, first_difference, line_sums


@pytest.fixture(scope="module", autouse=True)
def _torch_is_loaded():
    """A fork server of its own, that has loaded what many of these notes import."""
    stop_server()
    start_server(["numpy", "torch"], 1, Path.cwd())
    yield
    stop_server()


def build(project: Path, kept: Copies | None = None, settings: Settings | None = None, **request: object):
    there = Project(project, settings or Settings())
    sources = find_sources([project / "note.md"], there)
    (outcome,) = Build(there, Request(**request), Silent(), kept).run(sources)
    return outcome


def blocks(*codes: str) -> str:
    return "\n\n".join(f"```python\n{code}\n```" for code in codes) + "\n"


def page(project: Path, name: str = "note") -> str:
    return (project / "_build" / "html" / f"{name}.html").read_text(encoding="utf-8")


def told(outcome: Outcome) -> list[str]:
    return [f"{t.verdict}: {t.why}" if t.why else t.verdict for t in outcome.told]


def also(outcome: Outcome) -> list[str]:
    return [word for t in outcome.told for word in t.also]


# --------------------------------------------------------------------------------------------------
# What runs, and why

THREE = ["import helper\nprint(helper.A)", "print(open('data.csv').read())", "print('end')"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, None),
        ({"data.csv": "2\n"}, ["AGAIN 2", "run: data.csv changed since", "run: block 2 above runs again"]),
        ({"helper.py": "# a\n\nA = 2\n"},
         ["run: helper.py:3 changed", "run: block 1 above runs again", "run: block 1 above runs again"]),
        ({"note.md": blocks(*THREE[:2], "print('END')")}, ["AGAIN 3", "AGAIN 3", "run: its code changed"]),
        ({"note.md": blocks(*THREE[:1], "print(open('data.csv').read(), 1)", THREE[2])},
         ["AGAIN 2", "run: its code changed", "run: block 2 above changed"]),
        ({"note.md": blocks(THREE[0], "print('new')", *THREE[1:])},
         ["AGAIN 2", "run: it is new", "run: block 2 above runs again", "run: block 2 above runs again"]),
        ({"note.md": blocks(THREE[0], THREE[2])}, ["AGAIN 2", "run: the blocks above it changed"]),
        ({"note.md": blocks(*THREE).replace("python\nprint('end", "{.python error=true}\nprint('end")},
         ["AGAIN 3", "AGAIN 3", "run: its options changed"]),
        ({"note.md": "---\nfitnotes: {seed: 7}\n---\n\n" + blocks(*THREE)},
         ["run: seed 0 → 7", "run: block 1 above runs again", "run: block 1 above runs again"]),
    ],
)  # fmt: skip
def test_a_change_runs_its_block_and_says_so(project, write, change, expected) -> None:
    write("data.csv", "1\n")
    write("helper.py", "# a\n\nA = 1\n")
    write("note.md", blocks(*THREE))
    assert told(build(project)) == ["run: it has not run yet", *["run: block 1 above runs again"] * 2]
    for name, text in change.items():
        write(name, text)
    outcome = build(project, explain=True)
    if expected is None:
        assert (outcome.status, told(outcome)) == ("cached", ["reused"] * 3)
        return
    again = "run again: for the state that block {} needs"
    assert told(outcome) == [again.format(w[-1]) if w.startswith("AGAIN") else w for w in expected]
    assert build(project).status == "cached"


def test_files_that_appear_and_vanish(project, write) -> None:
    write("note.md", blocks("from pathlib import Path\nprint(Path('a').exists())", "print(1)"))
    build(project)
    write("a", "")
    assert told(build(project))[0] == "run: a is there now"
    assert "<code>True</code>" in page(project)
    (project / "a").unlink()
    assert build(project).reused == 2, "the result of the first build still holds"
    assert "<code>False</code>" in page(project)


def test_results_of_both_branches_are_kept(project, write) -> None:
    write("note.md", blocks("print(open('data').read())"))
    for text, ran in (("one", 1), ("two", 1), ("one", 0), ("two", 0)):
        write("data", text)
        assert build(project).ran == ran
        assert f"<code>{text}</code>" in page(project)


def test_variables_and_packages(project, write, fitnotes, tmp_path_factory) -> None:
    site = tmp_path_factory.mktemp("site")
    info = site / "tiny-1.0.dist-info"
    info.mkdir()
    (site / "tiny.py").write_text("")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
    write(
        "note.md",
        blocks("import os, tiny\nprint(os.environ.get('COLOUR'))"),
    )

    def explained(**env: str) -> str:
        done = fitnotes("build", "note.md", "--explain", PYTHONPATH=str(site), **env)
        assert done.returncode == 0, done.stderr
        return done.stdout.split("\n")[1].partition("block 1  ")[2]

    assert explained() == "run: it has not run yet"
    assert explained(OTHER="x") == "reused"
    assert explained(COLOUR="red") == "run: the variable COLOUR is set now"
    assert "<code>red</code>" in page(project)
    assert explained(COLOUR="blue") == "run: the variable COLOUR changed"
    stored = "".join(p.read_text() for p in (project / ".fitnotes" / "results").rglob("*.json"))
    assert "package" in stored
    assert explained(COLOUR="blue") == "reused"
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny\nVersion: 1.1\n")
    assert explained(COLOUR="blue") == "run: tiny 1.0 → 1.1"


def test_values_of_variables_are_not_stored(project, write, fitnotes) -> None:
    write("note.md", blocks("import os\nkey = os.environ['API_KEY']"))
    assert fitnotes("build", "note.md", API_KEY="very-secret").returncode == 0
    for path in (project / ".fitnotes").rglob("*"):
        assert path.is_dir() or b"very-secret" not in path.read_bytes()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import time\nstart = time.perf_counter()", "reads the clock: another run may give something else"),
        ("from datetime import datetime\nprint(datetime.now().year)", "reads the clock"),
        ("%time x = 1", "reads the clock"),
        ("import numpy as np\nprint(np.random.default_rng().random() < 2)", "reads true randomness"),
        ("import uuid\nname = uuid.uuid4()", "reads true randomness"),
        ("import random\nrandom.seed()", "reads true randomness"),
        ("open('out.csv', 'w').write('1')", "writes out.csv"),
        ("import torch\ntorch.save({'a': 1}, 'model.pt')", "writes model.pt"),
        ("import numpy as np\nnp.savez('a.npz', x=np.ones(2))", "writes a.npz"),
        ("import os\nopen('t', 'w').close()\nos.replace('t', 'final')", "writes final"),
        ("import random, numpy as np, torch, pandas, matplotlib.pyplot as plt\nplt.plot([1])", ""),
        ("import numpy as np\nprint(np.random.default_rng(3).random())", ""),
        ("import torch\nm = torch.nn.Linear(2, 2)\nprint(m(torch.ones(2)).sum().item())", ""),
    ],
)
def test_what_cannot_be_repeated_is_said(project, write, code: str, words: str) -> None:
    write("note.md", blocks(code))
    outcome = build(project)
    assert outcome.exit_code == 0, outcome.problems
    assert ", ".join(also(outcome)).startswith(words)
    assert bool(also(outcome)) == bool(words)
    assert build(project).status == "cached"


def test_a_clock_that_is_read_again_changes_the_whole_page(project, write) -> None:
    """The page shows one run: what was drawn anew above is what is shown above."""
    first = "import uuid\nname = uuid.uuid4().hex\nprint('first', name)"
    write("note.md", blocks(first, "print('second', name)", "print('third', name)"))
    build(project)
    write("note.md", blocks(first, "print('second', name)", "print('THIRD', name)"))
    assert build(project).ran == 3
    text = page(project)
    names = {text.split(f"{word} ")[1].split("<")[0] for word in ("first", "second", "THIRD")}
    assert len(names) == 1


def test_a_file_that_a_block_wrote_has_to_be_there(project, write) -> None:
    write("note.md", blocks("open('out.txt', 'w').write('mine')", "print(open('out.txt').read())"))
    build(project)
    assert build(project).status == "cached"
    (project / "out.txt").unlink()
    assert told(build(project))[0] == "run: out.txt, which it writes, is gone"
    write("out.txt", "by hand")
    assert told(build(project))[0] == "run: out.txt, which it writes, is another one now"
    assert (project / "out.txt").read_text() == "mine"


def test_an_edit_leaves_other_sessions_alone(project, write) -> None:
    text = "```python\na = 1\n```\n\n```{.python session=b}\nprint('b')\n```\n\n```python\nprint(a)\n```\n"
    write("note.md", text)
    build(project)
    write("note.md", text.replace("print(a)", "print(a + 1)"))
    outcome = build(project)
    assert told(outcome) == ["run again: for the state that block 3 needs", "reused", "run: its code changed"]
    assert (outcome.ran, outcome.reused) == (2, 1)


def test_commands_read_files_too(project, write) -> None:
    write("data.csv", "1\n")
    write("note.md", blocks("!cat data.csv", "import subprocess\nsubprocess.run(['cp', 'data.csv', 'copy'])"))
    assert build(project).exit_code == 0
    write("data.csv", "2\n")
    assert told(build(project))[0] == "run: data.csv changed since"
    assert build(project).status == "cached"


TRY = "try:\n    {}\n    print('there')\nexcept ImportError:\n    print('absent')"


@pytest.mark.parametrize(
    ("code", "before", "after"),
    [
        ("from pathlib import Path\nprint(*(p.read_text() for p in Path('d').glob('*')))",
         {"d/_a": "1"}, {"d/_a": "2"}),
        ("import glob\nprint(glob.glob('d/_*'))", {"d/_a": ""}, {"d/_b": ""}),
        ("import os\nprint(len(os.listdir('d')))", {"d/a": ""}, {"d/.env": ""}),
        ("import os\nprint(list(os.walk('d')))", {"d/a": "", "d/z": ""}, {"d/z": None, "d/z/y": ""}),
        ("import os\nprint(os.path.getsize('a'))", {"a": "1"}, {"a": "22"}),
        (TRY.format("from pkg import extra"), {"pkg/__init__.py": ""}, {"pkg/extra.py": ""}),
        (TRY.format("import importlib; importlib.import_module('late')"), {}, {"late.py": ""}),
        ("import importlib.util\nprint(importlib.util.find_spec('late') is None)", {}, {"late.py": ""}),
        ("import sys\nsys.path.append('lib')\nimport helper\nprint(helper.A)",
         {"lib/helper.py": "A = 1"}, {"helper.py": "A = 2"}),
        ("import colorsys\nprint(hasattr(colorsys, 'A'))", {}, {"colorsys.py": "A = 1"}),
        ("import helper\nprint(helper.A)", {"helper.py": "A = 1"}, {"helper/__init__.py": "A = 2"}),
        ("import pkg.a\nprint(pkg.__file__ is None)", {"pkg/a.py": ""}, {"pkg/__init__.py": ""}),
        ("%%bash\ncat data", {"data": "1"}, {"data": "2"}),
        ("!cat d/*", {"d/a": "1"}, {"d/b": "2"}),
        ("import os\nfrom concurrent.futures import ProcessPoolExecutor as Pool\ndef there(name):\n"
         "    return os.path.exists(name)\nwith Pool(1) as pool:\n    print(list(pool.map(there, ['data'])))",
         {}, {"data": ""}),
        ("import torch\nprint(torch.from_file('m', size=1, dtype=torch.uint8))", {"m": "1"}, {"m": "2"}),
        ("import traceback\ndef f():\n    return 1 / 0\ntry:\n    f()\nexcept Exception:\n"
         "    text = traceback.format_exc()\ntext", {}, {"note.md": "Moved.\n\n"}),
        ("import sys\nprint(sys._getframe().f_lineno)", {}, {"note.md": "Moved.\n\n"}),
    ],
)  # fmt: skip
def test_what_it_depends_on_is_seen(project, write, tmp_path_factory, code, before, after) -> None:
    """In the second state the page is that of a build from nothing, and then up to date."""
    clean = tmp_path_factory.mktemp("clean") / project.name
    clean.mkdir()
    files = {"note.md": blocks(code), **before}
    for name, text in files.items():
        write(name, text)
    assert build(project).exit_code == 0
    assert build(project).status == "cached"
    first = page(project)
    files |= {name: text + files[name] if name == "note.md" else text for name, text in after.items()}
    for name in after:
        (project / name).unlink(missing_ok=True)
    for name, text in files.items():
        if text is not None:
            write(name, text)
            write(str(clean / name), text)
    build(project)
    build(clean)
    assert page(project) == page(clean)
    assert page(project) != first
    assert build(project).status == "cached"


@pytest.mark.parametrize(
    "code",
    [
        "import tempfile\nhandle, name = tempfile.mkstemp(dir='.')",
        "import sqlite3\nc = sqlite3.connect('s.db')\nc.execute('create table if not exists t(x)')\nc.commit()",
        "import os\ne = {**os.environ}\nprint(len(os.environ.copy()) > 0)",
        "!echo 1 > made.txt",
        "import shutil, os\nshutil.rmtree('out', ignore_errors=True)\nos.makedirs('out')\nopen('out/a', 'w').close()",
    ],
)
def test_what_it_makes_itself_comes_to_rest(project, write, code: str) -> None:
    write("note.md", blocks(code))
    assert build(project).exit_code == 0
    assert build(project).status == "cached"


def test_a_link_to_a_note_that_goes(project, write) -> None:
    write("note.md", "See [the other](other.md).\n")
    write("other.md", "Other.\n")
    assert build(project).problems == []
    (project / "other.md").unlink()
    assert "there is no such note" in str(build(project).problems[0])


def test_notes_that_write_one_file_are_named(project, write, fitnotes) -> None:
    for name in "ab":
        write(f"notes/{name}.md", blocks(f"open('c.txt', 'w').write('{name}'); print(open('c.txt').read())"))
    done = fitnotes("build")
    assert "notes/c.txt is written by notes/a.md and notes/b.md: what is in it is chance" in done.stderr
    for _ in range(2):
        assert "Traceback" not in fitnotes("build").stderr


def test_lines_of_modules() -> None:
    old = line_sums(b"a = 1\n\nb = 2\n")
    assert first_difference(old, line_sums(b"a = 1\n\nb = 3\n")) == 3
    assert first_difference(old, line_sums(b"a = 1\n")) == 3
    assert first_difference(old, old) is None


def test_a_pipe_is_no_input(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert file_hash(tmp_path / "pipe") == "unreadable"


# --------------------------------------------------------------------------------------------------
# Side by side

MEET = """import socket
if {first}:
    door = socket.socket(socket.AF_UNIX)
    door.bind("\\0{name}")
    door.listen()
    door.settimeout(30)
    print("met", door.accept()[0].recv(5))
else:
    import time
    for _ in range(300):
        try:
            guest = socket.socket(socket.AF_UNIX)
            guest.connect("\\0{name}")
            break
        except OSError:
            time.sleep(0.1)
    guest.send(b"hello")"""


def test_sessions_run_side_by_side(project, write) -> None:
    name = f"fitnotes-{os.getpid()}"
    first, second = (MEET.format(first=which, name=name) for which in (True, False))
    write("note.md", f"```python\n{first}\n```\n\n```{{.python session=b}}\n{second}\n```\n")
    outcome = build(project, jobs=2)
    assert outcome.exit_code == 0, outcome.problems
    assert "hello" in page(project)


def test_sessions_that_pass_files_run_in_order(project, write) -> None:
    """Side by side the reader would come first; the run shows it, and they run again in order."""
    text = """```python
import time
time.sleep(0.5)
open('o.txt', 'w').write('A'); None
```

```{.python session=b}
import os
print('there' if os.path.exists('o.txt') else 'absent')
```
"""
    write("note.md", text)
    assert build(project, jobs=2).exit_code == 0
    assert "<code>there</code>" in page(project)
    (entry,) = (project / ".fitnotes" / "notes").glob("*.json")
    assert json.loads(entry.read_text())["exchanges"] is True
    assert build(project).status == "cached"
    write("note.md", text.replace("'A'", "'B'"))
    assert build(project, jobs=2).ran == 2
    assert (project / "o.txt").read_text() == "B"


def test_a_note_that_reads_what_another_writes(project, write, fitnotes) -> None:
    write("notes/a.md", blocks("print('got', open('made.txt').read())"))
    write("notes/b.md", blocks("import time\ntime.sleep(0.3)\nopen('made.txt', 'w').write('one'); None"))
    done = fitnotes("build")
    assert (done.returncode, done.stderr) == (0, "")
    assert "got one" in page(project, "a")
    write("notes/b.md", blocks("open('made.txt', 'w').write('two'); None"))
    assert fitnotes("build").returncode == 0
    assert "got two" in page(project, "a")
    assert "from cache 2" in fitnotes("build").stdout


def test_output_does_not_depend_on_jobs(project, write, fitnotes) -> None:
    for i, name in enumerate("abcdef"):
        code = f"import time\ntime.sleep({(6 - i) / 20})\nprint({i})" + ("\n1 / 0" if i == 2 else "")
        write(f"notes/{name}.md", blocks(code) + "\n```{.python session=two}\nprint('two')\n```\n")
    seen = []
    for jobs in ("1", "2", "5"):
        shutil.rmtree(project / "_build", ignore_errors=True)
        shutil.rmtree(project / ".fitnotes", ignore_errors=True)
        done = fitnotes("build", "--jobs", jobs)
        out = "\n".join(
            line.rpartition(" (" if "wrote" in line else "; ")[0] for line in done.stdout.split("\n")
        )
        seen.append(
            (out, done.stderr, {p.name: p.read_bytes() for p in (project / "_build/html").glob("*.html")})
        )
    assert seen[0] == seen[1] == seen[2]


def test_long_notes_start_first(project, write, fitnotes) -> None:
    code = "open('order.log', 'a').write('{0} ')\nimport time\ntime.sleep({1})"
    lengths = {"a": 0, "b": 1.4, "c": 0.6}
    for name, seconds in lengths.items():
        write(f"notes/{name}.md", blocks(code.format(name, seconds)))
    fitnotes("build")
    (project / "notes" / "order.log").unlink()
    for name, seconds in lengths.items():
        write(f"notes/{name}.md", blocks(code.format(name, seconds), "1"))
    done = fitnotes("build", "--jobs", "1")
    assert (project / "notes" / "order.log").read_text() == "b c a "
    assert [line[:10] for line in done.stdout.split("\n")[:3]] == ["notes/a.md", "notes/b.md", "notes/c.md"]


def test_only_what_notes_import_is_loaded(project, write, fitnotes) -> None:
    ask = "import sys\nprint('numpy' in sys.modules, 'torch' in sys.modules)"
    write("plain.md", blocks(ask))
    write("deep.md", blocks(ask, "import helper"))
    write("helper.py", "import deeper\n")
    write("deeper.py", "import numpy\n")
    fitnotes("build", "plain.md")
    fitnotes("build", "deep.md")
    assert "<code>False False</code>" in page(project, "plain")
    assert "<code>True False</code>" in page(project, "deep")


def test_sessions_wait_for_memory() -> None:
    slots, never = Slots(4, memory=100), threading.Event()
    log = []

    def second() -> None:
        with slots.take(60, never):
            log.append("second")

    with slots.take(60, never):
        thread = threading.Thread(target=second)
        thread.start()
        with slots.take(30, never):
            log.append("small")
        time.sleep(0.3)
        log.append("first ends")
    thread.join()
    assert log == ["small", "first ends", "second"]
    with slots.take(1000, never):
        log.append("alone")  # what fits nowhere runs all the same


def test_a_limit_of_memory(project, write) -> None:
    write("note.md", blocks("import numpy as np", "x = np.ones(10**8)", "print('not reached')"))
    outcome = build(project, settings=Settings(memory=size("500MB")))
    (problem,) = outcome.problems
    assert str(problem).endswith("note.md:6: block 2 needs more memory than the 500 MB of a session (memory)")
    assert build(project, settings=Settings(memory=size("30GB"))).exit_code == 0


def test_a_limit_of_memory_holds_for_torch(project, write) -> None:
    write("note.md", blocks("import torch\nx = torch.ones(10**9)"))
    outcome = build(project, settings=Settings(memory=size("2GB")))
    assert "needs more memory than the 2 GB of a session" in str(outcome.problems[0])


@pytest.mark.parametrize(
    ("text", "count"), [("4GB", 4 * 10**9), ("512 MiB", 2**29), ("1.5G", 1_500_000_000), ("0", 0), (7, 7)]
)
def test_sizes(text: object, count: int) -> None:
    assert size(text) == count


@pytest.mark.parametrize("text", ["4XB", "", "-1", True, "GB"])
def test_no_sizes(text: object) -> None:
    with pytest.raises(ValueError, match="a size such as 4GB"):
        size(text)


def test_sizes_are_shown_in_one_unit() -> None:
    assert [show_size(n) for n in (0, 999, 1500, 4e9)] == ["0 bytes", "999 bytes", "1.5 kB", "4 GB"]


# --------------------------------------------------------------------------------------------------
# Stored results


def test_the_cache_is_bounded(project, write, fitnotes) -> None:
    write("fitnotes.toml", 'cache-size = "30kB"\n')
    for i in range(6):
        write("note.md", blocks(f"print('{i}' * 10000)"))
        assert fitnotes("build", "note.md").returncode == 0
    files = list((project / ".fitnotes" / "results").rglob("*.json"))
    assert 1 <= len(files) <= 3
    assert sum(f.stat().st_size for f in files) <= 30_000
    assert fitnotes("build", "note.md").stdout.startswith("built 0, from cache 1")


def test_cache_commands(project, write, fitnotes) -> None:
    write("note.md", blocks("print(1)", "print(2)"))
    fitnotes("build", "note.md")
    info = fitnotes("cache", "info").stdout
    assert "results 2, " in info
    assert "bound   1 GB (cache-size)" in info
    files = sorted((project / ".fitnotes" / "results").rglob("*.json"))
    os.utime(files[0], (1, 1))
    left = files[0].with_name(".killed.tmp")
    left.write_text("half")
    os.utime(left, (1, 1))
    assert fitnotes("cache", "gc").stdout.startswith("removed 2 files")
    assert fitnotes("cache", "clear").stdout == "removed 1 result\n"
    assert "results 0, 0 bytes" in fitnotes("cache", "info").stdout
    write("note.md", "More.\n\n" + blocks("print(1)", "print(2)"))
    assert "ran 2 blocks" in fitnotes("build", "note.md").stdout


def test_checkouts_share_a_cache(tmp_path: Path, write, fitnotes) -> None:
    shared = tmp_path / "shared"
    for name in ("one", "two"):
        write(f"{name}/fitnotes.toml", f'cache = "{shared}"\n')
        write(f"{name}/data", "same")
        write(f"{name}/note.md", blocks("print(open('data').read())"))
    assert "ran 1 block" in fitnotes("build", "note.md", cwd=tmp_path / "one").stdout
    assert "1 block from cache" in fitnotes("build", "note.md", cwd=tmp_path / "two").stdout
    write("two/data", "other")
    assert "ran 1 block" in fitnotes("build", "note.md", cwd=tmp_path / "two").stdout
    write("one/note.md", "Prose.\n\n" + blocks("print(open('data').read())"))
    assert "1 block from cache" in fitnotes("build", "note.md", cwd=tmp_path / "one").stdout


def test_a_copied_project_is_built_without_running(tmp_path: Path, write, fitnotes) -> None:
    write("one/fitnotes.toml", "")
    write("one/note.md", blocks("import numpy as np\nprint('computed', np.arange(3))"))
    fitnotes("build", "note.md", cwd=tmp_path / "one")
    (tmp_path / "elsewhere").mkdir()
    copy = tmp_path / "elsewhere" / "copy"
    shutil.copytree(tmp_path / "one", copy, ignore=shutil.ignore_patterns("_build", "pages"))
    for path in (copy / ".fitnotes" / "results").rglob("*.json"):
        assert str(tmp_path) not in path.read_text()
    done = fitnotes("build", "note.md", "--no-execute", cwd=copy)
    assert (done.returncode, done.stderr) == (0, "")
    assert "computed [0 1 2]" in (copy / "_build/html/note.html").read_text()


def test_two_builds_at_once_run_a_note_once(project, write) -> None:
    write(
        "note.md", blocks("open('runs.log', 'a').write('run ')\nimport time\ntime.sleep(1)", "print('done')")
    )
    running = [start(project, "build", "note.md") for _ in range(3)]
    for process in running:
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")
    assert (project / "runs.log").read_text() == "run "
    assert "done" in page(project)


# --------------------------------------------------------------------------------------------------
# Copies sessions

needs_copies = pytest.mark.skipif(not CAN_HOLD, reason="sessions are copied on Linux only")


@pytest.fixture
def kept():
    kept = Copies(10**9)
    yield kept
    kept.close()


@needs_copies
def test_an_edit_of_the_last_block_costs_that_block(project, write, kept) -> None:
    first = "open('runs.log', 'a').write('run ')\nimport random\nx = [random.random()]"
    write("note.md", blocks(first, "x.append(1)", "print(len(x), random.random())"))
    build(project, kept)
    for i in range(3):
        write(
            "note.md",
            f"{'More.' * i}\n\n" + blocks(first, "x.append(1)", f"print({i}, len(x), random.random())"),
        )
        outcome = build(project, kept)
        assert told(outcome) == ["reused", "reused", "run: its code changed"]
        assert build(project, kept).status == "cached"
    assert (project / "runs.log").read_text() == "run "
    warm = page(project)
    build(project, refresh=True)
    assert page(project) == warm


@needs_copies
def test_parallel_torch_work_survives_the_copy(project, write, kept, monkeypatch) -> None:
    """OpenMP's threads do not exist in a fork: a parallel region there hangs unless they were ended before. Two
    threads may add in another order each time: three digits are compared."""
    stop_server()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, "2")
    two = Settings(threads=2)
    work = "torch.manual_seed(0)\na = torch.randn(1500, 1500, requires_grad=True)\n(a @ a).sum().backward()\n"
    first = f"import torch\n{work}print('threads', torch.get_num_threads(), f'{{a.grad.sum().item():.2e}}')"
    try:
        write("note.md", blocks(first, f"{work}print(f'{{a.sum().item():.2e}}')") + "\n")
        build(project, kept, two)
        assert "<code>threads 2 " in page(project)
        for i in range(3):
            write("note.md", blocks(first, f"{work}print({i}, f'{{torch.exp(a).sum().item():.2e}}')"))
            outcome = build(project, kept, two)
            assert outcome.exit_code == 0, outcome.problems
            assert told(outcome) == ["reused", "run: its code changed"]
        warm = page(project)
        build(project, None, two, refresh=True)
        assert page(project) == warm
    finally:
        stop_server()


@needs_copies
@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
         "it left threads running"),
        ("import subprocess\np = subprocess.Popen(['sleep', '60'])", "it left processes running"),
        ("f = open('data')\nf.readline()", "it left data open"),
        ("import socket\ns = socket.socket()", "it left a connection open"),
        ("import mmap\nm = mmap.mmap(-1, 4096)", "it shares memory with other processes"),
        ("import torch\nt = torch.ones(9).share_memory_()", "it "),
    ],
)  # fmt: skip
def test_what_a_fork_would_not_copy_is_run_again(project, write, kept, code: str, why: str) -> None:
    write("data", "a\nb\nc\n")
    write("note.md", blocks(code, "print('two')"))
    outcome = build(project, kept)
    assert outcome.exit_code == 0, outcome.problems
    assert also(outcome)[0].startswith(f"no copy is kept: {why}")
    write("note.md", blocks(code, "print('three')"))
    assert told(build(project, kept))[0].startswith("run again")


@needs_copies
@pytest.mark.parametrize(
    ("first", "second", "third"),
    [
        ("from pathlib import Path\nPath('log').unlink(missing_ok=True)\nopen('log', 'a').write('start ')",
         "open('log', 'a').write('<V> ')", "print(open('log').read())"),
        ("import os, glob\nos.makedirs('ck', exist_ok=True)\n_ = [os.remove(f) for f in glob.glob('ck/*')]",
         "for i in range(<V>):\n    open(f'ck/{i}', 'w').close()", "print(sorted(os.listdir('ck')))"),
        ("import tempfile, shutil\nd = tempfile.mkdtemp()\nopen(d + '/a', 'w').write('1')",
         "print(open(d + '/a').read(), <V>)\nshutil.rmtree(d)", "1"),
        ("f = open('fdata', 'rb', buffering=0)\nf.read(2)", "print(f.read(2), <V>)", "1"),
        ("def f():\n    return 1 / 0", "y = <V>", "import traceback\ntry:\n    f()\nexcept Exception:\n"
         "    print(traceback.format_exc())"),
    ],
)  # fmt: skip
def test_a_copy_is_used_only_where_it_is_the_same(project, write, kept, first, second, third) -> None:
    write("fdata", "0123456789")
    for i, prose in enumerate(("One.\n\n", "One.\n\n", "", "Two.\n\nThree.\n\n")):
        write("note.md", prose + blocks(first, second.replace("<V>", str(5 - i)), third))
        assert build(project, kept).exit_code == 0
        warm = page(project)
        assert build(project, refresh=True).exit_code == 0
        assert page(project) == warm


@needs_copies
def test_copies_are_bounded(project, write, kept) -> None:
    codes = [f"x{i} = {i}" for i in range(20)]
    write("note.md", blocks(*codes))
    build(project, kept)
    assert 4 <= kept.count() <= 12
    write("note.md", blocks(*codes, "print(x3)"))
    assert told(build(project, kept))[:-1] == ["reused"] * 20
    nothing = Copies(0)
    write("note.md", blocks(*codes, "print(x4)"))
    build(project, nothing)
    nothing.trim()
    assert nothing.count() == 0


@needs_copies
def test_a_copy_that_was_killed_is_done_without(project, write, kept) -> None:
    write("note.md", blocks("x = 1", "print(x)"))
    build(project, kept)
    for held in (h for copies in kept._held.values() for h in copies):
        os.kill(held.copy.pid, signal.SIGKILL)
    write("note.md", blocks("x = 1", "print(x + 1)"))
    assert build(project, kept).exit_code == 0
    assert "<code>2</code>" in page(project)


# --------------------------------------------------------------------------------------------------
# Watching


def start(project: Path, *args: str, stderr: object = subprocess.PIPE, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "fitnotes", *args], cwd=project, env={**environment(), **env},
        text=True, stdout=subprocess.PIPE, stderr=stderr,
    )  # fmt: skip


def wait_until(condition, what: str, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(FileNotFoundError):
            if condition():
                return
        assert time.monotonic() < end, what
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda n: n.name)
def test_watch_builds_what_is_saved_and_leaves_nothing(project, write, number, tmp_path_factory) -> None:
    mark = uuid.uuid4().hex
    log = tmp_path_factory.mktemp("log") / "errors"
    write("notes/helper.py", "A = 1\n")
    write("notes/note.md", blocks("import helper\nprint('helper', helper.A)", "print('one')"))
    with open(log, "w") as errors:
        watch = start(project, "watch", "--explain", stderr=errors, **{MARK: mark})
    try:
        wait_until(lambda: "<code>one</code>" in page(project), "the first build")
        write("notes/note.md", blocks("import helper\nprint('helper', helper.A)", "print('two')"))
        wait_until(lambda: "<code>two</code>" in page(project), "an edit")
        write("notes/helper.py", "A = 2\n")
        wait_until(lambda: "<code>helper 2</code>" in page(project), "an edit of a module")
        write("notes/note.md", blocks("import helper\nprint('helper', helper.A)", "print('two'"))
        wait_until(lambda: "is not valid Python" in page(project), "an error")
        write("notes/note.md", blocks("import helper\nprint('helper', helper.A)", "print('three')"))
        wait_until(lambda: "<code>three</code>" in page(project), "its correction")
        write("notes/new.md", "A new note.\n")
        wait_until(lambda: "A new note." in page(project, "new"), "a new note")
        write("fitnotes.toml", "seed = 'x'\n")
        wait_until(lambda: "seed: expected a whole number" in log.read_text(), "a wrong setting")
        write("fitnotes.toml", "toc = false\n")
        write("notes/new.md", "Changed.\n")
        wait_until(lambda: "Changed." in page(project, "new"), "after a wrong setting")
        assert len(marked(mark)) >= 3, "the command and two that it started"
    finally:
        watch.send_signal(number)
        out, _ = watch.communicate(timeout=20)
    if number != signal.SIGKILL:
        assert watch.returncode == 0, log.read_text()
        assert "run: notes/helper.py:1 changed" in out
    assert "Traceback" not in log.read_text()
    assert outlived(mark, 10) == []


def test_watch_follows_the_last_save(project, write) -> None:
    """A save in the middle of a run stops it; a note that failed is not tried again for another's sake."""
    long = "```python\nopen('runs.log', 'a').write('run ')\n```\n\n```python\n{}\n```\n"
    write("notes/a.md", long.format("print('short')"))
    write("notes/b.md", blocks("open('fails.log', 'a').write('fail ')\n1 / 0"))
    watch = start(project, "watch")
    try:
        wait_until(lambda: "short" in page(project, "a"), "the first build")
        wait_until(lambda: "ZeroDivisionError" in page(project, "b"), "the first build")
        write("notes/a.md", long.format("open('begun', 'w').close()\nimport time\ntime.sleep(300)"))
        wait_until((project / "notes" / "begun").exists, "the long run")
        write("notes/a.md", long.format("print('quick')"))
        wait_until(lambda: "quick" in page(project, "a"), "the save in its middle")
        assert (project / "notes" / "fails.log").read_text() == "fail "
        if CAN_HOLD:
            assert (project / "notes" / "runs.log").read_text() == "run "
        write("notes/b.md", blocks("open('fails.log', 'a').write('fail ')\n1 / 0"))
        wait_until(
            lambda: (project / "notes" / "fails.log").read_text() == "fail fail ", "the failed note, saved"
        )
    finally:
        watch.send_signal(signal.SIGINT)
        _, errors = watch.communicate(timeout=20)
    assert watch.returncode == 0
    assert "Traceback" not in errors


def test_watch_rests_when_its_own_output_is_in_the_project(project, write) -> None:
    (project / "notes").mkdir()
    (project / "notes" / "bad.md").write_bytes(b"\xff\xfe\x00")
    write("notes/note.md", blocks("print('one')"))
    with open(project / "log", "w") as log:
        watch = subprocess.Popen(
            [sys.executable, "-m", "fitnotes", "watch"],
            cwd=project,
            env=environment(),
            stdout=log,
            stderr=log,
        )
    try:
        wait_until(lambda: "watching" in (project / "log").read_text(), "the first build")
        write("other.log", "noise")
        write("notes/note.md", blocks("print('two')"))
        wait_until(lambda: "<code>two</code>" in page(project), "an edit")
        time.sleep(1)
        text = (project / "log").read_text()
        assert text.count("not UTF-8") == 1, text
    finally:
        watch.send_signal(signal.SIGINT)
        watch.wait(20)


def test_the_page_of_a_note_that_is_gone_goes_too(project, write, fitnotes) -> None:
    picture = "import matplotlib.pyplot as plt\nplt.plot([{}]);"
    write("notes/a.md", blocks(picture.format(1)))
    write("notes/b.md", blocks(picture.format(2)))
    write("notes/c.md", "Mine.\n")
    fitnotes("build", "--to", "html", "--to", "gfm")
    write("_build/html/c.html", "changed by hand")
    before = {p for p in (project / "_build").rglob("*") if p.is_file()}
    (project / "notes" / "a.md").unlink()
    (project / "notes" / "c.md").unlink()
    done = fitnotes("build", "--to", "html", "--to", "gfm")
    assert "_build/html/a.html: warning: removed, since its note notes/a.md is gone" in done.stderr
    gone = {p.relative_to(project).as_posix() for p in before if not p.exists()}
    assert {"_build/html/a.html", "_build/gfm/a.md", "_build/gfm/c.md"} < gone
    assert not any("b" in name.rpartition("/")[2].partition(".")[0].split("-") for name in gone)
    assert (project / "_build/html/c.html").read_text() == "changed by hand"
    assert (project / "_build/html/b.html").is_file()


# --------------------------------------------------------------------------------------------------
# Faults


def can_mount() -> bool:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    tried = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


def build_with(preparation: str, folder: Path, **options: object) -> subprocess.CompletedProcess[str]:
    """Builds in ``folder`` behind shell commands that may mount what only this build sees."""
    script = f"{preparation}cd {folder}\n{sys.executable} -m fitnotes build"
    command = ["unshare", "--mount", "sh", "-ec", script] if preparation else ["sh", "-ec", script]
    return subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=120, check=False, **options
    )


def test_a_full_disk(project, write, tmp_path_factory) -> None:
    """A disk that is too small for the second page: the first one is written, and what failed is said. Where no
    disk can be mounted, a limit of file sizes does the same."""
    write("notes/a.md", blocks("print('small')"))
    write("notes/b.md", blocks("print('x' * 900_000)"))
    if can_mount():
        disk = tmp_path_factory.mktemp("disk")
        words = "No space left on device"
        done = build_with(f"mount -t tmpfs -o size=1500k tmpfs {disk}\ncp -r {project}/. {disk}/\n", disk)
    else:
        limit = (800_000, 800_000)
        words = "File too large"
        done = build_with("", project, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
        assert (project / "_build" / "html" / "a.html").is_file()
    assert done.returncode in (1, 3), done.stderr
    assert words in done.stderr
    assert "notes/b.md" in done.stderr
    assert "Traceback (most" not in done.stderr
    assert "notes/a.md: ran 1 block, wrote _build/html/a.html" in done.stdout


def test_a_folder_that_is_only_read(project, write, fitnotes) -> None:
    write("notes/a.md", blocks("print('small')"))
    if can_mount():
        (project / "_build" / "html").mkdir(parents=True)
        done = build_with(f"mount -t tmpfs -o ro tmpfs {project}/_build/html\n", project)
        assert "notes/a.md: Read-only file system" in done.stderr
    else:
        done = fitnotes("build", "-o", "/sys/fitnotes")
        assert "/sys/fitnotes" in done.stderr
    assert done.returncode == 3
    assert "Traceback" not in done.stderr


def test_a_cache_that_cannot_be_written(project, write, fitnotes) -> None:
    """A link into a folder of the system's, where nobody can write, not even root."""
    write("fitnotes.toml", 'cache = "/proc/fitnotes"\n')
    write("note.md", blocks("print('shown')"))
    done = fitnotes("build", "note.md")
    assert done.returncode == 0
    assert "results cannot be stored" in done.stderr
    assert "shown" in page(project)


def test_the_clock_may_go_backwards(project, write) -> None:
    write("data", "new")
    write("note.md", blocks("print(open('data').read())"))
    build(project)
    for path in (project / ".fitnotes").rglob("*.json"):
        os.utime(path, (2**32, 2**32))
    write("data", "old")
    write("note.md", "Prose.\n\n" + blocks("print(open('data').read())"))
    for name in ("data", "note.md"):
        os.utime(project / name, (1, 1))
    assert build(project).ran == 1
    assert "<code>old</code>" in page(project)
    assert build(project).status == "cached"


def test_a_hundred_megabytes_of_output(project, write) -> None:
    write("note.md", blocks("for _ in range(100):\n    print('z' * 1_000_000)", "print('next')"))
    outcome = build(project)
    assert outcome.exit_code == 0, outcome.problems
    assert "left out" in page(project)
    assert "next" in page(project)


def test_a_block_that_never_ends_harms_no_other_note(project, write, fitnotes) -> None:
    write("notes/a.md", "```{.python timeout=1}\nimport time\nwhile True:\n    try:\n        time.sleep(9)\n"
          "    except BaseException:\n        pass\n```\n")  # fmt: skip
    write("notes/b.md", blocks("print('fine')"))
    done = fitnotes("build")
    assert done.returncode == 1
    assert (
        "notes/a.md:2: block 1 took longer than its 1 s, ignored the interrupt and was killed" in done.stderr
    )
    assert "fine" in page(project, "b")
