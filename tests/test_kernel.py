"""What Python alone does not see of a block's inputs: compiled readers, programs and what they start.

Each is a note in a folder of its own: it is built, built again (nothing runs), something is changed, and it runs.
"""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import environment

from fitnotes.execute.kernel import calls

FITNOTES = str(Path(sys.executable).parent / "fitnotes")
linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux tells")


def text(name: str, words: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(words)

    return change


def executable(name: str, words: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text(name, f"#!/bin/sh\n{words}\n")(folder)
        (folder / name).chmod(0o755)

    return change


def removed(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def relinked(name: str, to: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to(to)

    return change


@dataclass(frozen=True)
class Case:
    """A block, the files beside it, and what changes."""

    code: str
    change: Callable[[Path], None]
    files: tuple[Callable[[Path], None], ...] = (text("d.txt", "one\n"),)


SHARED = Path(f"/dev/shm/fitnotes-test-{os.getpid()}")
SUB = (text("sub/d.txt", "one\n"),)
LINKED = (text("d.txt", ""), text("e.txt", ""), lambda folder: (folder / "l.txt").symlink_to("d.txt"))
C = "import ctypes\nlibc = ctypes.CDLL(None)\nlibc.fopen.restype = ctypes.c_void_p\n"
CASES = {
    "fopen in C": Case(C + 'print(libc.fopen(b"d.txt", b"r") is not None)', text("d.txt", "two\n")),
    "open in C": Case(C + 'print(libc.open(b"d.txt", 0) > 0)', text("d.txt", "two\n")),
    "a file that C does not find": Case(C + 'print(libc.fopen(b"e.txt", b"r"))', text("e.txt", "two\n")),
    "read and written in C": Case(C + 'print(libc.fopen(b"d.txt", b"r+") is not None)', text("d.txt", "two\n")),
    "memmap": Case('import numpy as np\nprint(np.memmap("d.txt", mode="r")[0])', text("d.txt", "two\n")),
    "sqlite by address": Case(
        'import sqlite3\nprint(list(sqlite3.connect("file:d.db?mode=ro", uri=True).execute("select x from t")))',
        lambda folder: _database(folder, 2), (lambda folder: _database(folder, 1),),
    ),
    "sqlite, attached": Case(
        'import sqlite3\nc = sqlite3.connect(":memory:")\nc.execute("attach \'d.db\' as d")\n'
        'print(list(c.execute("select x from d.t")))',
        lambda folder: _database(folder, 2), (lambda folder: _database(folder, 1),),
    ),
    "a storage of torch": Case(
        'import torch\nprint(torch.UntypedStorage.from_file("d.bin", False, 4).tolist())',
        text("d.bin", "bbbb"), (text("d.bin", "aaaa"),),
    ),
    "cat": Case("!cat d.txt", text("d.txt", "two\n")),
    "cd in bash": Case("%%bash\ncd sub\ncat d.txt", text("sub/d.txt", "two\n"), SUB),
    "a variable in bash": Case("%%bash\nname=d\ncat $name.txt", text("d.txt", "two\n")),
    "a loop in bash": Case("%%bash\nfor f in *.txt; do cat $f; done", text("e.txt", "two\n")),
    "a subshell that goes on": Case("%%bash\n(cd sub && (cat d.txt))", text("sub/d.txt", "two\n"), SUB),
    "a process that is left alone": Case("!(setsid sh -c 'sleep .2; cat d.txt > /dev/null' &) ; sleep .6",
                                         text("d.txt", "two\n")),
    "grep -r": Case("!grep -r one . --include=*.txt", text("sub/f.txt", "one\n")),
    "ls": Case("!ls sub", text("sub/e.txt", ""), (text("sub/d.txt", ""),)),
    "tar": Case("!tar cf - sub | tar tf -", text("sub/e.txt", ""), SUB),
    "test -f": Case("!test -f e.txt && echo there || echo gone", text("e.txt", "")),
    "stat of a size": Case("!stat -c %s d.txt", text("d.txt", "longer\n")),
    "a file that goes": Case("!cat d.txt || true", removed("d.txt")),
    "redirected": Case("!wc -l < d.txt", text("d.txt", "two\nthree\n")),
    "posix_spawn": Case(
        'import os\npid = os.posix_spawn("/bin/cat", ["cat", "d.txt"], os.environ)\nprint(os.waitpid(pid, 0)[1])',
        text("d.txt", "two\n"),
    ),
    "a script of Python": Case(
        "import subprocess, sys\nprint(subprocess.check_output([sys.executable, 's.py'], text=True))",
        text("d.txt", "two\n"), (text("d.txt", "one\n"), text("s.py", "print(open('d.txt').read())\n")),
    ),
    "the script itself": Case("!{__import__('sys').executable} s.py", text("s.py", "print(2)\n"),
                              (text("s.py", "print(1)\n"),)),
    "a module of a script": Case("!{__import__('sys').executable} s.py", text("m.py", "x = 2\n"),
                                 (text("s.py", "import m\nprint(m.x)\n"), text("m.py", "x = 1\n"))),
    "python -m": Case("!{__import__('sys').executable} -m m", text("m.py", "print(2)\n"),
                      (text("m.py", "print(1)\n"),)),
    "a worker by spawn": Case(
        "import multiprocessing as mp\ndef f(name):\n    return open(name).read()\n"
        "with mp.get_context('spawn').Pool(1) as pool:\n    print(pool.map(f, ['d.txt']))",
        text("d.txt", "two\n"),
    ),
    "a worker by fork, in C": Case(
        "import os, ctypes\npid = os.fork()\nif not pid:\n    ctypes.CDLL(None).open(b'd.txt', 0)\n    os._exit(0)\n"
        "print(os.waitpid(pid, 0)[1])",
        text("d.txt", "two\n"),
    ),
    "a thread in C": Case(
        C + "import threading\nt = threading.Thread(target=libc.fopen, args=(b'd.txt', b'r'))\nt.start(); t.join()",
        text("d.txt", "two\n"),
    ),
    "one's own program": Case("!./tool.sh", executable("tool.sh", "echo 2"), (executable("tool.sh", "echo 1"),)),
    "what one's own program reads": Case("!./tool.sh", text("d.txt", "two\n"),
                                         (executable("tool.sh", "cat d.txt"), text("d.txt", "one\n"))),
    "a link that leads elsewhere": Case(
        "!cat l.txt", relinked("l.txt", "e.txt"),
        (text("d.txt", "one\n"), text("e.txt", "two\n"), lambda folder: (folder / "l.txt").symlink_to("d.txt")),
    ),
    "ls -l": Case("!ls -l sub | awk '{print $5}'", text("sub/d.txt", "longer\n"), SUB),
    "where a link leads": Case("import os\nprint(os.readlink('l.txt'))", relinked("l.txt", "e.txt"), LINKED),
    "where a link leads, by a program": Case("!readlink l.txt", relinked("l.txt", "e.txt"), LINKED),
    "a folder that is listed in C": Case(C + "libc.opendir(b'sub')\nprint(1)", text("sub/e.txt", ""), SUB),
    "a package that may come": Case("try:\n    import yes_it_may\nexcept ImportError:\n    print('gone')",
                                    text("yes_it_may.py", "")),
    "a module by a computed name": Case("import importlib\nprint(importlib.import_module('m' + 'm').x)",
                                        text("mm.py", "x = 2\n"), (text("mm.py", "x = 1\n"),)),
    "settings of matplotlib": Case("import matplotlib\nprint(matplotlib.rcParams['lines.linewidth'])",
                                   lambda folder: text("matplotlibrc", "lines.linewidth: 3\n")(folder.parents[1])),
    "shared memory": Case(f"print(open('{SHARED}').read())", lambda folder: SHARED.write_text("2") and None,
                          (lambda folder: SHARED.write_text("1") and None,)),
}  # fmt: skip


def _database(folder: Path, value: int) -> None:
    import sqlite3

    (folder / "d.db").unlink(missing_ok=True)
    with sqlite3.connect(folder / "d.db") as base:
        base.execute("create table t(x)")
        base.execute(f"insert into t values ({value})")
    base.close()


def _build(root: Path, **more: str) -> tuple[set[str], str]:
    """The notes that ran, and all that was said."""
    done = subprocess.run(
        [FITNOTES, "build"],
        cwd=root,
        env={**environment(), **more},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return set(re.findall(r"notes/([\w-]+)/a\.md: ran", done.stdout)), done.stdout + done.stderr


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> list[set[str]]:
    """The notes that ran: at first, with nothing changed, and with everything changed."""
    root = tmp_path_factory.mktemp("kernel")
    (root / "fitnotes.toml").write_text("")
    folders = {name: root / "notes" / re.sub(r"\W+", "-", name) for name in CASES}
    for name, folder in folders.items():
        folder.mkdir(parents=True)
        for write in CASES[name].files:
            write(folder)
        (folder / "a.md").write_text(f"```{{python}}\n{CASES[name].code}\n```\n")
    try:
        found = [_build(root)[0], _build(root)[0]]
        for name, folder in folders.items():
            CASES[name].change(folder)
        return [*found, _build(root)[0]]
    finally:
        SHARED.unlink(missing_ok=True)


@linux
@pytest.mark.parametrize("name", CASES)
def test_a_change_is_seen(name: str, builds: list[set[str]]) -> None:
    folder = re.sub(r"\W+", "-", name)
    assert [folder in ran for ran in builds] == [True, False, True]


VARIABLES = {
    "by os": "import os\nprint(os.environ.get('FIT_A'))",
    "as bytes": "import os\nprint(os.environb.get(b'FIT_A'))",
    "getenvb": "import os\nprint(os.getenvb(b'FIT_A'))",
    "posix": "import posix\nprint(posix.environ.get(b'FIT_A'))",
    "C": "import ctypes\nprint(ctypes.CDLL(None).getenv(b'FIT_A') != 0)",
    "handed on": "import os\nprint(list(map(os.getenv, ['FIT_A'])))",
    "workers": "import os\nfrom multiprocessing import Pool\nwith Pool(1) as p: print(p.map(os.getenv, ['FIT_A']))",
    "a program": "!printenv FIT_A || true",
    "a script of Python": "!{__import__('sys').executable} -c 'import os; print(os.environ.get(\"FIT_A\"))'",
    "magic": "%env FIT_A",
}  # fmt: skip


@linux
def test_variables_are_seen_on_every_way_to_them(tmp_path: Path) -> None:
    (tmp_path / "fitnotes.toml").write_text("")
    names = {name: re.sub(r"\W+", "-", name) for name in VARIABLES}
    for name, code in VARIABLES.items():
        (tmp_path / "notes" / names[name]).mkdir(parents=True)
        (tmp_path / "notes" / names[name] / "a.md").write_text(f"```{{python}}\n{code}\n```\n")
    assert _build(tmp_path, FIT_A="1")[0] == set(names.values())
    assert _build(tmp_path, FIT_A="1")[0] == set()
    assert _build(tmp_path, FIT_A="2")[0] == set(names.values())


def test_programs_that_are_found_elsewhere(tmp_path: Path) -> None:
    """A program of the same name that comes first, or another one in the same place."""
    (tmp_path / "fitnotes.toml").write_text("")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "n").mkdir()
    (tmp_path / "notes" / "n" / "a.md").write_text("```{python}\n!tool\n```\n")
    executable("one/tool", "echo 1")(tmp_path)
    path = {"PATH": os.pathsep.join([str(tmp_path / "one"), environment()["PATH"]])}
    assert [_build(tmp_path, **path)[0] for _ in range(2)] == [{"n"}, set()]
    executable("one/tool", "echo 2")(tmp_path)
    assert [_build(tmp_path, **path)[0] for _ in range(2)] == [{"n"}, set()]


@linux
def test_without_the_kernel_all_goes_on(tmp_path: Path) -> None:
    """As in a container that refuses: what Python sees still counts."""
    (tmp_path / "fitnotes.toml").write_text("")
    (tmp_path / "notes" / "n").mkdir(parents=True)
    (tmp_path / "notes" / "n" / "d.txt").write_text("1")
    (tmp_path / "notes" / "n" / "a.md").write_text(
        "```{python}\nprint(open('d.txt').read())\n!cat d.txt\n```\n"
    )
    off = {"FITNOTES_RECORD": "off"}
    assert [_build(tmp_path, **off)[0] for _ in range(2)] == [{"n"}, set()]
    (tmp_path / "notes" / "n" / "d.txt").write_text("2")
    assert [_build(tmp_path, **off)[0] for _ in range(2)] == [{"n"}, set()]


@linux
def test_the_filter_asks_about_what_it_knows_and_nothing_else() -> None:
    """The filter run by hand, as the kernel runs it, over all numbers of calls."""
    assert calls.known is not None
    architecture, _, known = calls.known
    own = (0x7F0000100000, 0x7F0000200000)
    code = calls.program(architecture, known, own)
    inside, outside = own[0] + 5, own[1] + 5
    for number in range(600):
        call = known.get(number)
        look = call is not None and call.kind == calls.LOOK
        assert _answer(code, architecture, number, outside) == (call is not None)
        assert _answer(code, architecture, number, inside) == (call is not None and not look)
        assert not _answer(code, architecture ^ 1, number, outside)
    for address, asked in (
        (own[0] - 1, True),
        (own[0], False),
        (own[1] - 1, False),
        (own[1], True),
        (5, True),
    ):
        look = next(number for number, call in known.items() if call.kind == calls.LOOK)
        assert _answer(code, architecture, look, address) == asked


def _answer(code: bytes, architecture: int, number: int, address: int) -> bool:
    """Whether the kernel would ask."""
    data = struct.pack("<iIQ", number, architecture, address)
    steps = list(struct.iter_unpack("<HBBI", code))
    at = held = 0
    while True:
        what, yes, no, value = steps[at]
        at += 1
        if what == 0x20:
            held = struct.unpack_from("<I", data, value)[0]
        elif what == 0x06:
            return bool(value == 0x7FC00000)
        else:
            at += yes if (held == value if what == 0x15 else held >= value) else no


@linux
def test_programs_that_may_appear_before_the_one_that_ran(tmp_path: Path) -> None:
    (tmp_path / "fitnotes.toml").write_text("")
    code = {
        "one": "import subprocess\nprint(subprocess.check_output('tool', text=True))",
        "two": "!env tool",
        "three": "import subprocess\ntry:\n    subprocess.run('./gone')\nexcept OSError:\n    print('gone')",
    }
    for name, text_ in code.items():
        (tmp_path / "notes" / name).mkdir(parents=True)
        (tmp_path / "notes" / name / "a.md").write_text(f"```{{python}}\n{text_}\n```\n")
    (tmp_path / "first").mkdir()
    executable("second/tool", "echo 2")(tmp_path)
    folders = [str(tmp_path / "first"), str(tmp_path / "second"), environment()["PATH"]]
    path = {"PATH": os.pathsep.join(folders)}
    assert [_build(tmp_path, **path)[0] for _ in range(2)] == [{"one", "two", "three"}, set()]
    executable("first/tool", "echo 1")(tmp_path)
    executable("notes/three/gone", "echo here")(tmp_path)
    assert [_build(tmp_path, **path)[0] for _ in range(2)] == [{"one", "two", "three"}, set()]
