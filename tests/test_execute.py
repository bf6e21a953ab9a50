"""Running blocks: what the child does, what the cache keeps, what faults leave behind."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from conftest import environment

from fitnotes.build.request import Request
from fitnotes.build.schedule import Build
from fitnotes.build.sources import find_sources
from fitnotes.execute import sessions
from fitnotes.execute.cache import Cache
from fitnotes.execute.plan import preloads
from fitnotes.execute.result import Result
from fitnotes.passes.results import loss_table, maths, terminal_text
from fitnotes.settings import Project, Settings
from fitnotes.store.files import write_atomically
from fitnotes.store.inputs import Current, imports


class Silent:
    def running(self, *args: object) -> None: ...

    def finished(self, *args: object) -> None: ...

    def problem(self, *args: object) -> None: ...


def build(project: Path, **request: object):
    there = Project(project, Settings())
    (outcome,) = Build(there, Request(**request), Silent()).run(find_sources([project / "note.md"], there))
    return outcome


def outputs(project: Path) -> list[dict]:
    """All outputs of the stored results, by nothing but their content."""
    records = [json.loads(p.read_text()) for p in (project / ".fitnotes" / "results").rglob("*.json")]
    return [output for record in records for output in record["outputs"]]


def page(project: Path) -> str:
    return (project / "_build" / "html" / "note.html").read_text(encoding="utf-8")


def note(write, *blocks: str, header: str = "") -> Path:
    return write("note.md", header + "\n\n".join(f"```python\n{block}\n```" for block in blocks) + "\n")


def test_output_comes_in_the_order_in_which_it_was_made(project, write) -> None:
    note(write, "import sys, os, ctypes\nprint('1')\nprint('2', file=sys.stderr)\nprint('3')\n"
         "os.system('echo 4')\nctypes.CDLL(None).puts(b'5')\ndisplay('six')\nprint('7')")  # fmt: skip
    assert build(project).exit_code == 0
    found = [o["text"] if o["output_type"] == "stream" else o["data"]["text/plain"] for o in outputs(project)]
    assert found == ["1\n", "2\n", "3\n4\n5\n", "'six'", "7\n"]


def test_a_session_starts_from_a_fixed_seed(project, write) -> None:
    code = "import random, numpy as np, torch\nprint(random.random(), np.random.rand(), torch.rand(1).item())"
    note(write, code, "print(list({'a', 'b', 'c', 'd'}))")
    build(project)
    first = outputs(project)
    build(project, refresh=True)
    assert outputs(project) == first


def test_a_library_imported_late_is_seeded_too(project, write) -> None:
    write("helper.py", "import numpy as np\ndef draw():\n    return np.random.rand()\n")
    note(write, "import helper\nprint(helper.draw())")
    build(project)
    first = page(project)
    build(project, refresh=True)
    assert page(project) == first


def test_sessions_are_separate_and_inherit_nothing(project, write) -> None:
    write("note.md", "```python\na = 1\n```\n\n```{.python session=two}\nprint('a' in globals())\n```\n\n"
          "```python\nprint(a)\n```\n")  # fmt: skip
    assert build(project).exit_code == 0
    assert "<code>False</code>" in page(project)
    assert "<code>1</code>" in page(project)


def test_nothing_changed_starts_no_process(project, write, monkeypatch) -> None:
    note(write, "print(1)")
    build(project)
    before = page(project)

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(sessions.multiprocessing, "get_context", refuse)
    monkeypatch.setattr(subprocess, "run", refuse)
    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert build(project).status == "cached"
    assert page(project) == before


@pytest.mark.parametrize(
    "edit", ["echo=false", "include=false", "warning=false", "fig-cap=x", "output=false", "timeout=9"]
)
def test_display_options_do_not_run_the_block_again(project, write, edit: str) -> None:
    note(write, "print(1)")
    build(project)
    write("note.md", f"```{{.python {edit}}}\nprint(1)\n```\n")
    outcome = build(project)
    assert (outcome.ran, outcome.reused) == (0, 1)


def test_what_a_block_reads_belongs_to_its_key(project, write) -> None:
    write("data.csv", "1\n")
    write("deeper.py", "VALUE = 1\n")
    write("helper.py", "import deeper\ndef value(): return deeper.VALUE\n")
    note(write, "import helper\nprint('sum', int(open('data.csv').read()) + helper.value())")
    assert build(project).ran == 1
    assert build(project).status == "cached"
    write("data.csv", "5\n")
    assert build(project).ran == 1
    assert "sum 6" in page(project)
    write("deeper.py", "VALUE = 10\n")
    assert build(project).ran == 1
    assert "sum 15" in page(project)
    (project / "data.csv").unlink()
    assert build(project).exit_code == 1


def test_depends_names_files_that_cannot_be_seen(project, write) -> None:
    write("note.md", "```{.python depends=raw.bin}\nprint(1)\n```\n")
    write("raw.bin", "a")
    assert build(project).ran == 1
    write("raw.bin", "b")
    assert build(project).ran == 1


def test_no_execute_uses_what_still_holds_and_says_what_does_not(project, write) -> None:
    note(write, "print('first')", "print('second')")
    build(project)
    note(write, "print('first')", "print('changed')")
    outcome = build(project, execute=False)
    assert [p.message for p in outcome.problems] == ["block 2 has no stored result that still holds"]
    assert "first</code>" in page(project)
    assert "no stored result; not run" in page(project)


def test_errors_are_not_cached(project, write) -> None:
    note(
        write, "x = 1", "import pathlib\nif not pathlib.Path('ready').exists(): raise RuntimeError('not yet')"
    )
    assert build(project).exit_code == 1
    write("ready", "")
    outcome = build(project)
    assert (outcome.exit_code, outcome.ran) == (0, 2)


def test_what_a_session_shows_comes_from_one_run(project, write) -> None:
    """A changed last block replays the session, and then every block shows what that run gave."""
    note(write, "import uuid\nname = uuid.uuid4().hex\nprint('first', name)", "print('last', name)")
    build(project)
    note(write, "import uuid\nname = uuid.uuid4().hex\nprint('first', name)", "print('LAST', name)")
    build(project)
    text = page(project)
    first, last = text.split("first ")[1].split("<")[0], text.split("LAST ")[1].split("<")[0]
    assert first == last


@pytest.mark.parametrize("damage", [b"", b"{", b"\0\xff", b'{"format": 1}', b"[]"])
def test_a_damaged_result_is_made_again_and_said(project, write, damage: bytes) -> None:
    note(write, "print('value')")
    build(project)
    (record,) = (project / ".fitnotes" / "results").rglob("*.json")
    record.write_bytes(damage)
    (project / "_build" / "html" / "note.html").unlink()
    outcome = build(project)
    assert (outcome.exit_code, outcome.ran) == (0, 1)
    assert any("cannot be read" in p.message for p in outcome.problems)


def test_a_tampered_result_is_not_believed(project, write) -> None:
    note(write, "print('value')")
    build(project)
    (record,) = (project / ".fitnotes" / "results").rglob("*.json")
    record.write_text(record.read_text().replace("value", "VALUE"))
    (project / "_build" / "html" / "note.html").unlink()
    assert build(project).ran == 1
    assert "VALUE" not in page(project)


@pytest.mark.parametrize(
    "code",
    [
        "import sys\nsys.stdout.close()",
        "import os\nos.close(1)\nos.close(2)",
        "import sys\nsys.stdout = None",
        "import os\nos.chdir('/')",
        "import threading\nthreading.Thread(target=print, args=('from a thread',)).start()",
        "import os\nif os.fork() == 0:\n    os._exit(0)\nos.wait()",
        "import sys\nsys.stdout.buffer.write(bytes(range(256)))",
        "print('x' * 3_000_000)",
        "import builtins\nbuiltins.open = None",
        "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)",
    ],
)
def test_blocks_that_misbehave_do_no_harm_to_the_next(project, write, code: str) -> None:
    note(write, code, "print('still', 'here')")
    outcome = build(project)
    assert outcome.exit_code == 0, [str(p) for p in outcome.problems]
    assert "still here" in page(project)


def test_long_output_is_shortened_and_says_so(project, write) -> None:
    note(write, "print('y' * 3_000_000)")
    build(project)
    assert "characters left out" in page(project)
    assert len(page(project)) < 1_500_000


def test_classes_of_a_note_can_be_pickled_and_inspected(project, write) -> None:
    note(write, "import inspect, pickle\nclass Point:\n    x = 1\ndef f():\n    return 'source'",
         "print(pickle.loads(pickle.dumps(Point())).x, inspect.getsource(f))")  # fmt: skip
    assert build(project).exit_code == 0
    assert "1 def f():" in page(project)


def test_magics_and_await_work(project, write) -> None:
    note(write, "!echo shell", "%%time\nx = 3", "import asyncio\nawait asyncio.sleep(0)\nx")
    assert build(project).exit_code == 0
    assert "shell" in page(project)


FORKS = """import os
print("parent before")
pid = os.fork()
if pid == 0:
    print("from the child")
else:
    os.waitpid(pid, 0)
    print("parent after")"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_neither_answers_nor_steals(project, write) -> None:
    note(write, FORKS, "print('second', pid > 0)")
    assert build(project).exit_code == 0
    text = page(project)
    for words in ("parent before", "from the child", "parent after", "second True"):
        assert text.count(f"{words}\n") + text.count(f"{words}</code>") == 1, words


def test_worker_processes_run(project, write) -> None:
    note(write, "import math, multiprocessing\nwith multiprocessing.Pool(2) as pool:\n"
         "    print(pool.map(math.sqrt, [4, 9]))",
         "import torch\nfrom torch.utils.data import DataLoader\n"
         "print(sum(len(b) for b in DataLoader(list(range(6)), batch_size=2, num_workers=2)))")  # fmt: skip
    outcome = build(project)
    assert outcome.exit_code == 0, [str(p) for p in outcome.problems]
    assert "[2.0, 3.0]" in page(project)
    assert "<code>6</code>" in page(project)


def test_lines_in_stored_tracebacks_move_with_the_block(project, write) -> None:
    block = "```{.python error=true}\n1 / 0\n```\n"
    write("note.md", block)
    build(project)
    assert "line 2, in" in page(project)
    write("note.md", "Text.\n\n" + block)
    assert build(project).ran == 1
    assert "line 4, in" in page(project)


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("a = open('data').read()\nopen('data', 'w').write('changed meanwhile')\nprint(a)", None),
        ("print(open('data', 'r+').read())", "new"),
        ("import numpy as np\nprint(bytes(np.memmap('data', dtype='uint8')))", "new"),
        ("import os\nprint(sorted(n for n in os.listdir('.') if n.startswith('d')))", ""),
        ("try:\n    import datamodule\nexcept ImportError:\n    print('none')", ""),
        ("import importlib.util as u\ns = u.spec_from_file_location('m', 'helper.py')\n"
         "m = u.module_from_spec(s)\ns.loader.exec_module(m)\nprint(m.A)", ""),
    ],
)  # fmt: skip
def test_every_way_of_reading_counts(project, write, code: str, change: str | None) -> None:
    write("data", "old")
    write("helper.py", "A = 1\n")
    note(write, code)
    assert build(project).ran == 1
    if change is not None:
        assert build(project).status == "cached"
        write("data", change or "old")
        write("datamodule.py", "")
        write("helper.py", "A = 2\n")
    assert build(project).ran == 1


@pytest.mark.parametrize(
    "code",
    [
        "import tempfile\nwith tempfile.TemporaryDirectory() as d: open(d + '/x', 'w').write('1')",
        "import colorsys, wave, pandas, torch\nprint(1)",
        "open('own.txt', 'w').write('a'); print(open('own.txt').read())",
        "open('own.log', 'a').write('line')",
        "import matplotlib.pyplot as plt\nplt.plot([1]); plt.savefig('own.png')",
        "import os\nos.makedirs('made', exist_ok=True)\nopen('made/x', 'w').close(); os.listdir('made')",
    ],
)
def test_what_a_block_makes_itself_does_not_make_it_stale(project, write, code: str) -> None:
    note(write, code)
    assert build(project).exit_code == 0
    write("unrelated.txt", "x")
    assert build(project).status == "cached"


def test_what_worker_processes_read_counts(project, write) -> None:
    write("data", "old")
    note(write, "from concurrent.futures import ProcessPoolExecutor as Pool\n"
         "def read(name): return open(name).read()\n"
         "with Pool(1) as pool: print(list(pool.map(read, ['data'])))")  # fmt: skip
    assert build(project).exit_code == 0
    assert build(project).status == "cached"
    write("data", "new")
    assert build(project).ran == 1
    assert "new" in page(project)


def test_a_helper_changed_within_its_second_is_read_again(project, write) -> None:
    helper = write("helper.py", "A = 1\n")
    os.utime(helper, (1_600_000_000, 1_600_000_000))
    note(write, "import helper\nprint('A is', helper.A)")
    build(project)
    write("helper.py", "A = 3\n")
    os.utime(helper, (1_600_000_000, 1_600_000_000))
    build(project)
    assert "A is 3" in page(project)


@pytest.mark.parametrize(
    "code",
    [
        "class A:\n    def __repr__(self): raise ValueError('no repr')\nA()",
        "%run bad.py",
        "get_ipython().run_cell('1/0')\nprint('after')",
        "import matplotlib.pyplot as plt\nplt.plot([1]); plt.title(r'$\\foo$');",
        "class E(Exception):\n    def __str__(self): raise ValueError('bad')\nraise E()",
        "quit()",
    ],
)
def test_no_error_is_swallowed(project, write, code: str) -> None:
    write("bad.py", "1 / 0\n")
    note(write, code)
    outcome = build(project)
    assert outcome.exit_code == 1
    assert "block 1 raised" in str(outcome.problems[0])
    assert "IPython" not in page(project).replace("get_ipython", "")


def test_matplotlib_inline_is_accepted(project, write) -> None:
    note(write, "%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()")
    assert build(project).exit_code == 0
    assert page(project).count("<img ") == 1
    assert "Line2D" not in page(project)


def test_sessions_run_in_the_order_of_the_document(project, write) -> None:
    first = "```python\nopen('o.txt', 'w').write('A'); None\n```\n\n"
    second = "```{.python session=b}\nprint('read', open('o.txt').read())\n```\n"
    write("note.md", first + second)
    build(project)
    write("note.md", first.replace("'A'", "'B'") + second)
    build(project)
    assert "read B" in page(project)


def test_endless_output_is_stopped(project, write, monkeypatch) -> None:
    monkeypatch.setattr(sessions, "FLOOD", 20_000_000)
    write("note.md", "```{.python timeout=30}\nprint('begin')\nwhile True: print('x' * 1000)\n```\n")
    outcome = build(project)
    assert "printed more than 20 MB" in str(outcome.problems[0])
    assert "begin" in page(project)


def test_results_that_cannot_be_stored_do_not_stop_the_page(project, write) -> None:
    (project / ".fitnotes").write_text("in the way")
    note(write, "print('shown')")
    outcome = build(project)
    assert outcome.exit_code == 0
    assert any("cannot be stored" in p.message for p in outcome.problems)
    assert "shown" in page(project)


def test_clean_removes_what_was_built_and_nothing_else(project, write, fitnotes) -> None:
    mine = write("_build/html/_assets/mine.css", "x")
    note(write, "import matplotlib.pyplot as plt\nplt.plot([1]);", "1 / 0")
    assert fitnotes("build", "note.md").returncode == 1
    (project / ".fitnotes" / "pages" / "broken.json").write_text("[1]")
    done = fitnotes("clean")
    assert (done.returncode, done.stdout) == (0, "removed 1 page\n")
    assert [p for p in (project / "_build").rglob("*") if p.is_file()] == [mine]


def test_a_project_is_found_from_its_notes(project, write, fitnotes, tmp_path_factory) -> None:
    write("fitnotes.toml", 'output = "site"\n')
    write("notes/a.md", "a")
    write("notes/sub/b.md", "b")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    done = fitnotes("build", f"{project}/notes/a.md", f"{project}/notes/sub/b.md", cwd=elsewhere)
    assert done.returncode == 0
    assert (project / "site" / "html" / "sub" / "b.html").is_file()
    assert list(elsewhere.iterdir()) == []


def children_of(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children(recursive=True)
    return []


def gone(processes: list[psutil.Process], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes):
            return True
        time.sleep(0.05)
    return False


def start(project: Path, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "fitnotes", "build", "note.md", *args],
        cwd=project, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_for(path: Path, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} never came"
        time.sleep(0.02)


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda n: n.name)
def test_a_stopped_build_leaves_no_process_and_the_last_page(project, write, number) -> None:
    note(write, "print('good')")
    build(project)
    good = page(project)
    note(write, "open('begun', 'w').close()\nimport time\ntime.sleep(60)")
    process = start(project)
    wait_for(project / "begun")
    family = children_of(process.pid)
    assert family
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    if number != signal.SIGKILL:
        assert process.returncode == 130
        assert "interrupted" in errors
    assert "Traceback" not in errors
    assert gone(family, 10), [p.cmdline() for p in family if p.is_running()]
    assert page(project) == good


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_killed_at_any_moment_the_next_build_is_right(project, write) -> None:
    """Kills at random times; the page is always a whole one, and the next build gives the cold build's."""
    note(write, "print('a')", "import math\nprint(math.pi)", "print('end')")
    build(project)
    cold = page(project)
    chance = random.Random(0)
    for round_ in range(8):
        for path in (project / ".fitnotes").rglob("*.json"):
            if chance.random() < 0.5:
                path.unlink()
        process = start(project)
        time.sleep(chance.uniform(0.05, 1.6))
        process.kill()
        process.communicate()
        assert page(project) == cold, f"round {round_}"
        outcome = build(project)
        assert outcome.exit_code == 0, [str(p) for p in outcome.problems]
        assert page(project) == cold, f"round {round_}"
    assert not list(project.rglob("*.tmp")) or len(list(project.rglob("*.tmp"))) <= 8


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "page.html"
    write_atomically(path, b"old")

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_said_and_other_notes_build(project, write, fitnotes) -> None:
    """A page that cannot be written (its name is taken by a folder) fails by itself."""
    write("notes/a.md", "a")
    write("notes/b.md", "b")
    (project / "_build" / "html" / "a.html").mkdir(parents=True)
    done = fitnotes("build")
    assert done.returncode == 3
    assert "notes/a.md: " in done.stderr
    assert "Traceback" not in done.stderr
    assert (project / "_build" / "html" / "b.html").is_file()


def test_cache_keys_depend_on_the_seed(project, write) -> None:
    note(write, "import random\nprint(random.random())")
    build(project)
    first = page(project)
    note(write, "import random\nprint(random.random())", header="---\nfitnotes:\n  seed: 7\n---\n\n")
    assert build(project).ran == 1
    assert page(project) != first


def test_inputs_outside_the_project_are_absolute(tmp_path: Path) -> None:
    cache = Cache(tmp_path, tmp_path / "c")
    cache.store("0" * 64, Result("ok", ({"output_type": "stream", "name": "stdout", "text": "é"},)))
    loaded, _ = cache.find("0" * 64, "", Current(tmp_path))
    assert loaded is not None
    assert loaded.outputs[0]["text"] == "é"
    assert cache.find("1" * 64, "", Current(tmp_path)) == (None, None)


def test_imports_are_found_for_preloading() -> None:
    text = (
        "import numpy as np, os\nfrom torch.optim import Adam\n  import matplotlib.pyplot as plt\n# import q"
    )
    assert imports(text) == {"numpy", "os", "torch", "matplotlib"}
    assert preloads([text]) == ["numpy", "torch", "torch._dynamo", "matplotlib.pyplot"]
    assert preloads(["print(1)"]) == []


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("a\rbc", "bc"),
        ("long\rsh", "shng"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("10%\r50%\r100%\n", "100%\n"),
        ("a\r\nb", "a\nb"),
        ("bell\a\x00", "bell"),
    ],
)
def test_terminal_text(raw: str, shown: str) -> None:
    assert terminal_text(raw) == shown


def test_loss_table_keeps_numbers_as_printed() -> None:
    assert loss_table("99 2141.4946036875945\nResult: y\n199 1e-05") == (
        "| step |               loss |\n|-----:|-------------------:|\n"
        "| 99 | 2141.4946036875945 |\n| 199 | 1e-05 |",
        "Result: y",
    )  # fmt: skip
    assert loss_table("no numbers") is None


@pytest.mark.parametrize(
    ("latex", "markdown"),
    [
        ("x^2", "$$x^2$$"),
        ("$x$", "$x$"),
        (r"$\displaystyle x$", "$$x$$"),
        (r"\[x\]", "$$x$$"),
        (r"\begin{align}a\end{align}", r"\begin{align}a\end{align}"),
    ],
)
def test_latex_results(latex: str, markdown: str) -> None:
    assert maths(latex) == markdown


@pytest.mark.parametrize("seed", range(5))
def test_a_killed_fork_server_loses_no_note(seed: int, write, project: Path) -> None:
    for n in range(3):
        write(
            f"n{n}.md",
            f"```{{python}}\nimport time\nfor _ in range(15): time.sleep(0.02)\nprint('value', {n})\n```\n\n"
            f"`{{python}} {n} + 7`\n",
        )
    command = [str(Path(sys.executable).parent / "fitnotes"), "build", "."]
    build = subprocess.Popen(command, cwd=project, env=environment(), stderr=subprocess.PIPE, text=True)
    chance = random.Random(seed)
    for _ in range(2):
        time.sleep(chance.uniform(0.2, 1.2))
        for child in children_of(build.pid):
            with contextlib.suppress(psutil.Error):
                if "forkserver" in " ".join(child.cmdline()) and child.ppid() == build.pid:
                    child.kill()
    _, said = build.communicate(timeout=100)
    assert build.returncode == 0, said
    for n in range(3):
        page = (project / f"_build/html/n{n}.html").read_text()
        assert f"value {n}" in page
        assert f"<p>{n + 7}</p>" in page


def test_a_silent_block_that_now_crashes_has_failed(write, project: Path, fitnotes) -> None:
    write("flag.txt", "well")
    code = "import os\nif open('flag.txt').read() == 'ill': os._exit(3)"
    write("a.md", f"```{{python}}\n{code}\n```\n")
    assert fitnotes("build", "a.md").returncode == 0
    write("flag.txt", "ill")
    done = fitnotes("build", "a.md")
    assert done.returncode == 1
    assert "block 1 crashed: its process ended with exit status 3" in done.stderr


def test_what_killed_commands_left_is_removed(tmp_path: Path) -> None:
    code = "from fitnotes.store.scratch import scratch; print(scratch(), flush=True); input()"
    run = functools.partial(
        subprocess.Popen, [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**environment(), "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    (tmp_path / "fitnotes-of-somebody").mkdir()
    first, second = run(), run()
    folders = [Path(process.stdout.readline().strip()) for process in (first, second)]
    first.kill()
    first.wait()
    third = run()
    left = Path(third.stdout.readline().strip())
    assert sorted(tmp_path.iterdir()) == sorted([folders[1], left, tmp_path / "fitnotes-of-somebody"])
    for process in (second, third):
        process.communicate("\n")
    assert [path.name for path in tmp_path.iterdir()] == ["fitnotes-of-somebody"]
