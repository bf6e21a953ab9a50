"""Notes and projects of strangers, built without running them: what they try, and that nothing comes of it."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
from pathlib import Path

import pytest
from conftest import Run, needs


def _sum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def precious(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file outside the project that a hostile project would like to remove, read or overwrite."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "thesis.txt").write_text("PRECIOUS WORDS\n")
    return folder / "thesis.txt"


# --------------------------------------------------------------------------------------------------
# The store of somebody else


@pytest.mark.parametrize("command", [("build", "--no-execute"), ("clean",), ("clean", "--all")])
@pytest.mark.parametrize("where", ["page", "file", "relative", "through a link"])
def test_records_of_strangers_remove_nothing(
    where: str, command: tuple[str, ...], fitnotes: Run, write, project: Path, precious: Path
) -> None:
    write("notes/a.md", "Words.\n")
    assert fitnotes("build").returncode == 0
    page = "_build/html/gone.html"
    write(page, "gone")
    away = str(precious)
    if where == "relative":
        away = f"../../../{precious.parent.name}/{precious.name}"
    elif where == "through a link":
        (project / "_build/html/gone_files").symlink_to(precious.parent)
        away = "gone_files/thesis.txt"
    content = _sum(precious.read_bytes())
    record = {
        "stamp": "x", "page": away if where == "page" else page, "inputs": [], "warnings": [],
        "source": "notes/gone.md",
        "content": content if where == "page" else _sum(b"gone"), "files": [[away, content]],
    }  # fmt: skip
    for name, made in {
        "1" * 32: record,
        "2" * 32: [1],
        "3" * 32: {**record, "files": [7]},
        "4" * 32: None,
    }.items():
        write(f".fitnotes/pages/{name}.json", json.dumps(made))
    write(f".fitnotes/pages/{'5' * 32}.json", "[" * 100_000)
    done = fitnotes(*command)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert precious.read_text() == "PRECIOUS WORDS\n"
    if where != "page":
        assert not (project / page).exists()


def test_pages_that_somebody_changed_stay(fitnotes: Run, write, project: Path) -> None:
    write("notes/a.md", "Words.\n")
    write("notes/b.md", "Words.\n")
    assert fitnotes("build").returncode == 0
    (project / "_build/html/a.html").write_text("mine")
    done = fitnotes("clean")
    assert done.stdout == "removed 1 page\n"
    assert done.stderr == "left _build/html/a.html: it was changed, or lies outside the project\n"
    assert (project / "_build/html/a.html").read_text() == "mine"


@pytest.mark.parametrize("link", ["_build/html/_assets", "_build/html/a_files", "_build/html"])
def test_nothing_is_written_through_links_out_of_the_output(
    link: str, fitnotes: Run, write, project: Path, precious: Path
) -> None:
    write("notes/a.md", "Words.\n")
    (project / link).parent.mkdir(parents=True)
    (project / link).symlink_to(precious.parent)
    done = fitnotes("build", "--no-execute")
    assert done.returncode == 3
    assert f"{link} is a link that leads out of _build" in done.stderr
    assert [path.name for path in precious.parent.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("change", ["gone", "empty", "edited"])
def test_files_beside_pages_come_back(change: str, fitnotes: Run, write, project: Path) -> None:
    write("notes/a.md", "![dot](dot.svg) and $x$\n")
    write(
        "notes/dot.svg",
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><path d="M0 0h9v9z"/></svg>',
    )
    assert fitnotes("build", "--to", "html", "--to", "gfm", "--to", "tex").returncode == 0
    beside = [path for path in (project / "_build").rglob("*") if path.is_file()]
    assert len(beside) >= 8, beside
    before = {path: path.read_bytes() for path in beside}
    for path in beside:
        if change == "gone":
            path.unlink()
        else:
            path.write_bytes(b"" if change == "empty" else before[path].replace(b"a", b"b", 1) + b" ")
        done = fitnotes("build", "--to", "html", "--to", "gfm", "--to", "tex")
        assert done.returncode == 0, done.stderr
        assert {p.name: p.read_bytes() == data for p, data in before.items() if p.suffix != ".pdf"} == {
            p.name: True for p in before if p.suffix != ".pdf"
        }
        assert path.is_file()


# --------------------------------------------------------------------------------------------------
# TeX

# Each is tried, whatever becomes of those before it.
LUA = [
    "local f = io.open('FILE') tex.print(f and f:read('*a') or 'NOTHING')",
    "local f = io.open('FILE', 'w') f:write('OVERWRITTEN') f:close()",
    "local f = io.open('FILE.new', 'w') f:write('NEW') f:close()",
    "lfs.mkdir('FILE.d')",
    "os.execute('echo OVERWRITTEN > FILE')",
    "io.popen('touch FILE.new'):close()",
    "lfs.link('FILE', 'own.txt') local f = io.open('own.txt', 'w') f:write('x') f:close()",
    "lfs.link('FILE', 'soft.txt', true) local f = io.open('soft.txt', 'w') f:write('x') f:close()",
    "lfs.touch('FILE', 1, 1)",
    "lfs.chdir('FILE/..') io.open('thesis.txt', 'w'):write('x')",
    "os.rename('FILE', 'FILE.moved')",
    "os.remove('FILE')",
    "local s = require('socket').tcp() tex.print(tostring(s:connect('127.0.0.1', PORT)))",
    "local s = require('socket').udp() s:sendto('x', '127.0.0.1', PORT)",
]


def _lua(file: Path, port: int = 9) -> str:
    tried = " ".join(f"pcall(function() {act} end)" for act in LUA)
    return "\\directlua{" + tried.replace("FILE", str(file)).replace("PORT", str(port)) + "}x"


@needs("lualatex")
@pytest.mark.parametrize("target", ["html", "pdf", "tex"])
def test_lua_of_a_note_reaches_nothing(
    target: str, fitnotes: Run, write, project: Path, precious: Path
) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(0.1)
        code = _lua(precious, listening.getsockname()[1])
        block = (
            f"```{{.tikz}}\n\\node {{{code}}};\n```"
            if target == "html"
            else f"Words.\n\n\\centerline{{{code}}}"
        )
        write("a.md", f"{block}\n\nThe end.\n")
        done = fitnotes("build", "a.md", "--no-execute", "--to", target, "--pdf-engine", "lualatex")
        assert done.returncode == 0, done.stderr
        with pytest.raises(TimeoutError):
            listening.accept()
    assert precious.read_text() == "PRECIOUS WORDS\n"
    assert precious.stat().st_mtime > 1000
    assert [path.name for path in precious.parent.iterdir()] == ["thesis.txt"]
    for page in (project / "_build").rglob("*"):
        assert not page.is_file() or b"PRECIOUS" not in page.read_bytes()
    if target == "pdf":
        command = ["pdftotext", project / "_build/pdf/a.pdf", "-"]
        text = subprocess.run(command, capture_output=True, text=True).stdout
        assert "PRECIOUS" not in text
        assert "NOTHING" in text  # Lua ran


@needs("lualatex")
def test_where_nothing_confines_lua_drawings_do_without_it(
    fitnotes: Run, write, project: Path, precious: Path
) -> None:
    write("a.md", f"```{{.tikz}}\n\\node {{{_lua(precious)}}};\n```\n")
    done = fitnotes("build", "a.md", "--no-execute", FITNOTES_CONFINE="off")
    assert (
        "tikz: line 2: LaTeX does not know \\directlua"
        in done.stderr + (project / "_build/html/a.html").read_text()
    )
    assert precious.exists()
