"""Notes and projects of strangers, built without running them: what they try, and that nothing comes of it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import re
import resource
import socket
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from conftest import Run, environment, needs
from test_pages import visit


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


# --------------------------------------------------------------------------------------------------
# Files outside the project, and the network

OUTSIDE = """---
title: T
bibliography: FOLDER/refs.bib
header-includes: |
  \\input{FOLDER/macros}
  \\newcommand{\\own}{x}
---

![](FOLDER/thesis.txt) ![](FOLDER/dot.png) ![](link.png) ![](FOLDER/thesis) ![](own.svg) ![](script)

<embed src="FOLDER/thesis.txt"> <object data="FOLDER/thesis.txt"></object> <iframe src="FOLDER/thesis.txt"></iframe>

<img src="FOLDER/thesis.txt"> <video src="FOLDER/film.mp4"></video> <audio src="FOLDER/film.mp4"></audio>

<link rel="stylesheet" href="FOLDER/thesis.txt"><style>@import "FOLDER/thesis.txt";
b { background: url(FOLDER/thesis.txt) }</style>

[get](FOLDER/thesis.txt) [@secret] $\\stolen$

\\input{FOLDER/thesis.txt}

\\includegraphics{FOLDER/dot.png}

{{< include FOLDER/thesis.txt >}}

```{.tikz}
\\node {\\input{FOLDER/thesis.txt}};
```

## Slide {data-background-image="FOLDER/thesis.txt" data-background-iframe="FOLDER/thesis.txt"}

<img src="http://127.0.0.1:PORT/1.png"> ![](http://127.0.0.1:PORT/2.png)

<video poster="http://127.0.0.1:PORT/3.png"></video> <object data="http://127.0.0.1:PORT/4"></object>

<embed src="http://127.0.0.1:PORT/5"> <iframe src="http://127.0.0.1:PORT/6"></iframe>

<link rel="stylesheet" href="http://127.0.0.1:PORT/7.css"><style>@import "http://127.0.0.1:PORT/8.css";</style>

<script src="http://127.0.0.1:PORT/9.js"></script> <div style="background: url(http://127.0.0.1:PORT/10.png)">x</div>

<svg width="9" height="9"><image href="http://127.0.0.1:PORT/11.png"/></svg>

<input type="image" src="http://127.0.0.1:PORT/12.png">
"""


@pytest.mark.parametrize("link", [False, True])
def test_nothing_outside_gets_into_pages(
    link: bool, fitnotes: Run, write, project: Path, precious: Path
) -> None:
    png = Path(__file__).with_name("corpus").joinpath("dot.png").read_bytes()
    where = precious.parent
    for name, data in {
        "dot.png": png + b"PRECIOUS", "film.mp4": b"PRECIOUS", "refs.bib": b"@book{secret, title={PRECIOUS}, year=1}",
        "macros.tex": rb"\newcommand{\stolen}{\text{PRECIOUS}}", "thesis": b"PRECIOUS",
    }.items():  # fmt: skip
        (where / name).write_bytes(data)
    (project / "notes").mkdir()
    (project / "notes/link.png").symlink_to(where / "dot.png")
    (project / "notes/there").symlink_to(where)
    write("notes/own.svg", f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{where}/dot.png"/></svg>')
    write("notes/script", "alert(1)")
    folder = "there" if link else str(where)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(0.1)
        write(
            "notes/a.md", OUTSIDE.replace("FOLDER", folder).replace("PORT", str(listening.getsockname()[1]))
        )
        targets = [
            word
            for name in ("html", "slides", "epub", "docx", "gfm", "tex", "pdf")
            for word in ("--to", name)
        ]
        done = fitnotes("build", "--no-execute", *targets)
        assert "Traceback" not in done.stderr
        assert "internal error" not in done.stderr
        said = done.stderr
        done = fitnotes("build", "notes/a.md", "--no-execute", "--embed", "--to", "html", "--output", "one")
        with pytest.raises(TimeoutError):
            listening.accept()
    assert "thesis.txt lies outside the project; a build that runs nothing does not read it" in said
    made = [path for name in ("_build", "one") for path in (project / name).rglob("*") if path.is_file()]
    assert len({path.suffix for path in made}) >= 6
    for path in made:
        for text in _contents(path):
            assert b"PRECIOUS" not in text, path
            for n in range(3):
                assert base64.b64encode(b"." * n + b"PRECIOUS")[4:-4] not in text, path
    assert not any(path.name.startswith("script-") for path in made)
    # Who trusts a note may say so.
    fitnotes("build", "--no-execute", "--allow-outside", "--to", "gfm")
    assert any(b"PRECIOUS" in path.read_bytes() for path in (project / "_build/gfm").rglob("*.*"))


def _contents(path: Path) -> Iterator[bytes]:
    """What is in a file, packed or not."""
    yield path.read_bytes()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as packed:
            yield from map(packed.read, packed.namelist())
    if path.suffix == ".pdf":
        yield subprocess.run(["pdftotext", path, "-"], capture_output=True).stdout


@pytest.mark.parametrize(
    "code",
    [
        '```{=typst}\n#read("FILE")\n```',
        '`#read("FILE")`{=typst}',
        '`#raw(read("../../../../../..FILE"))`{=typst}',
        '[x]{typst:text:font="read(\\"FILE\\")"}',
        '```{=typst}\n#import "@preview/cetz:0.3.0"\n```',
        '```{=typst}\n#import ("@pre" + "view/cetz:0.3.0")\n```',
    ],
)
@pytest.mark.parametrize("target", ["pdf", "slides-pdf"])
def test_code_for_typst_reads_nothing(
    code: str, target: str, fitnotes: Run, write, project: Path, precious: Path
) -> None:
    write("a.md", f"## Head\n\nWords.\n\n{code.replace('FILE', str(precious))}\n")
    done = fitnotes("build", "a.md", "--no-execute", "--to", target)
    assert done.returncode == 3, done.stderr
    assert re.search(r"Typst: .*(?:not found|denied|outside|failed|download|access)", done.stderr), (
        done.stderr
    )
    assert not list((project / "_build").rglob("*.pdf"))


def test_code_for_typst_still_makes_pages(fitnotes: Run, write, project: Path) -> None:
    write("a.md", "## Head\n\n`#text(fill: red)[coloured]`{=typst} $x^2$ ![dot](dot.svg)\n")
    write(
        "dot.svg", '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><path d="M0 0h9v9z"/></svg>'
    )
    done = fitnotes("build", "a.md", "--to", "pdf", "--to", "slides-pdf")
    assert done.returncode == 0, done.stderr
    for page in (project / "_build").rglob("*.pdf"):
        assert "coloured" in subprocess.run(["pdftotext", page, "-"], capture_output=True, text=True).stdout


# --------------------------------------------------------------------------------------------------
# Scripts

RAN = "document.documentElement.dataset.ran=1"
SCRIPTS = f"""---
title: T
author: '`"><script>{RAN}</script>`{{=html}}'
lang: '[x]{{.a}}" onload="{RAN}'
dir: '[x]{{.a}}'
formulas: ../../../evil.js
script: true
description-meta: '0;url=away.html# [a]{{title="q http-equiv=refresh r"}}'
fitnotes:
  allow: [scripts]
header-includes: |
  <scr<script></script>ipt>{RAN}</script>
  <me<script></script>ta http-equiv="refresh" content="0; url=away.html">
---

<script>{RAN}</script>

<ScRiPt
src="a_files/evil-0123456789.js"></sCrIpT >

`<scr`{{=html}}`ipt>{RAN}</scr`{{=html}}`ipt>`{{=html}}

<img src="nothing.png" onerror="{RAN}"> <svg onload="{RAN}"><script>{RAN}</script></svg>

<meta http-equiv="refresh" content="0; url=away.html">

<meta name="<" http-equiv="refresh" content="0; url=away.html">

<iframe srcdoc="&lt;script&gt;parent.{RAN}&lt;/script&gt;"></iframe> <iframe src="javascript:parent.{RAN}"></iframe>

<object data="data:text/html,<script>parent.{RAN}</script>"></object> <embed src="evil.svg">

<iframe data-external="1" src="away.html"></iframe> 
<base href="https://example.org/"> <math><mtext><img src=x onerror="{RAN}"></mtext></math>

<details open ontoggle="{RAN}">x</details> <input autofocus onfocus="{RAN}"> <a id="go" href="javascript:{RAN}">go</a>

[beside](evil.js) ![drawing](evil.svg)

## Slide {{data-background-iframe="javascript:parent.{RAN}" onload="{RAN}"}}

Words.
"""


@needs("chromium")
@pytest.mark.parametrize("form", ["html", "slides", "one file"])
def test_no_script_of_a_stranger_runs(form: str, fitnotes: Run, write, project: Path, tmp_path: Path) -> None:
    write("a.md", SCRIPTS)
    write("evil.js", RAN)
    write("_build/html/a_files/evil-0123456789.js", RAN)
    write("_build/html/away.html", f"<script>{RAN}</script>")
    evil = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9" onload="{RAN}"><script>{RAN}</script>'
    )
    write(
        "evil.svg",
        f'{evil}<script a="/>">{RAN}</script><p·q:script xmlns:p·q="http://www.w3.org/2000/svg">{RAN}</p·q:script></svg>',
    )
    options = {
        "html": ["--to", "html"],
        "slides": ["--to", "slides"],
        "one file": ["--embed", "--to", "html"],
    }[form]
    page = project / "_build" / ("slides" if form == "slides" else "html") / "a.html"
    done = fitnotes("build", "a.md", *options, "--no-execute")
    assert "Traceback" not in done.stderr
    assert page.is_file(), done.stderr
    for drawing in (project / "_build").rglob("*.svg"):
        assert "dataset" not in drawing.read_text()
    (tmp_path / "browser").mkdir()
    dom, _, asked = visit(page.as_uri(), tmp_path / "browser")
    assert "Words." in dom
    assert 'data-ran="1"' not in dom.split("<head", 1)[0]
    assert asked == []
    # One who trusts the note lets them run, and so the test tells one from the other.
    write(
        "a.md", f"---\nfitnotes:\n  allow: [scripts]\n---\n\n## Slide\n\n<script>{RAN}</script>\n\nWords.\n"
    )
    fitnotes("build", "a.md", *options)
    dom, _, _ = visit(page.as_uri(), tmp_path / "browser")
    assert 'data-ran="1"' in dom.split("<head", 1)[0]


def test_no_script_of_a_stranger_is_in_a_book(fitnotes: Run, write, project: Path) -> None:
    write("a.md", SCRIPTS + f'\n<x:script xmlns:x="http://www.w3.org/1999/xhtml">{RAN}</x:script>\n')
    write("evil.svg", f'<svg xmlns="http://www.w3.org/2000/svg" onload="{RAN}"><script>{RAN}</script></svg>')
    fitnotes("build", "a.md", "--no-execute", "--to", "epub")
    with zipfile.ZipFile(project / "_build/epub/a.epub") as book:
        assert any("ch001" in name for name in book.namelist())
        for name in book.namelist():
            if name.endswith((".xhtml", ".svg")):
                text = book.read(name).decode()
                assert not re.search(
                    r"(?i)<(?:\w+:)?script\b|\son\w+\s*=\s*[\x22']|http-equiv=\"refresh|(?:href|src)=.javascript:",
                    text,
                ), name


# --------------------------------------------------------------------------------------------------
# What grows without end

_LETTERS = "abcdefghijklmn"
ALIASES = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in pairwise(_LETTERS)
)
DOUBLED = "".join(
    f"  \\newcommand{{\\z{name}}}{{\\z{before}\\z{before}\\z{before}\\z{before}}}\n"
    for before, name in pairwise(_LETTERS)
)
BOMBS = {
    "aliases": (f"---\n{ALIASES}---\n\nWords.\n", 3, "a.md:1: the aliases in the header stand for more than"),
    "growing macro": (
        "---\nheader-includes: |\n  \\newcommand{\\g}[1]{\\g{#1#1}}\n---\n\n$\\g{x}$ Words.\n",
        1, "\\g calls itself without end",
    ),
    "doubling macros": (
        f"---\nheader-includes: |\n  \\newcommand{{\\za}}{{xx}}\n{DOUBLED}---\n\n$\\zn$ Words.\n",
        1, "makes too much of itself",
    ),
    "lists": ("\n".join("  " * n + "- x" for n in range(120)) + "\n\nWords.\n", 0, ""),
    "boxes": ("".join(f"::: {{.a{n}}}\n" for n in range(300)) + "x\n" + ":::\n" * 300 + "\nWords.\n", 0, ""),
    "quotations": (">" * 500 + " x\n\nWords.\n", 0, ""),
    "tags": ("<div>" * 500 + "x" + "</div>" * 500 + "\n\nWords.\n", 0, ""),
    "braces": ("$" + "{" * 5000 + "x" + "}" * 5000 + "$ Words.\n", 1, "Maximum call stack size exceeded"),
    "fractions": ("$" + "\\frac{1}{" * 400 + "x" + "}" * 400 + "$ Words.\n", 0, ""),
    "brackets": ("[" * 3000 + "\n\nWords.\n", 0, ""),
    "emphasis": ("*_" * 300 + "x" + "_*" * 300 + "\n\nWords.\n", 0, ""),
    "spans": ("[" * 200 + "x" + "]{.a}" * 200 + "\n\nWords.\n", 0, ""),
    "links": ("[" * 40 + "x" + "](y)" * 40 + "\n\nWords.\n", 0, ""),
    "packed drawing": ("![z](z.svgz) Words.\n", 0, "image z.svgz cannot be read: more than 64 MB"),
    "wide drawing": ("![z](wide.svg) Words.\n", 0, ""),
    "deep drawing": ("![z](deep.svg) Words.\n", 0, ""),
    "large picture": ("![z](large.png) Words.\n", 0, ""),
    "long table": ("| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 5000 + "\nWords.\n", 0, ""),
    "wide table": (f"{'| 0 ' * 60}|\n{'|---' * 60}|\n" + f"{'| 12 ' * 60}|\n" * 200 + "\nWords.\n", 0, ""),
    "chain of files": ("{{< include p0.md >}}\n\nWords.\n", 0, ""),
}  # fmt: skip


ON_PAPER = ("lists", "braces", "wide drawing", "deep drawing", "large picture", "long table", "wide table")


def _limits() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))


@pytest.mark.parametrize("name", BOMBS)
def test_reading_ends_in_bounded_time_and_memory(name: str, write, project: Path) -> None:
    text, code, said = BOMBS[name]
    write("a.md", text)
    start = '<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{0}">'
    if "drawing" in name or "picture" in name:
        with gzip.open(project / "z.svgz", "wb") as packed:
            packed.write(start.format(9).encode() + b"<!--")
            for _ in range(20):
                packed.write(b" " * 10_000_000)
            packed.write(b"--></svg>")
        write("wide.svg", start.format(1000000) + "<text>A</text></svg>")
        write("deep.svg", start.format(9) + "<g>" * 30_000 + "</g>" * 30_000 + "</svg>")
        head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
        rows = zlib.compress(b"\0" * 1_000_000)
        chunks = ((b"IHDR", head), (b"IDAT", rows), (b"IEND", b""))
        made = b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in chunks
        )
        (project / "large.png").write_bytes(b"\x89PNG\r\n\x1a\n" + made)
    if name == "chain of files":
        for n in range(1500):
            write(f"p{n}.md", f"{{{{< include p{n + 1}.md >}}}}\n")
        write("p1500.md", "The last one.\n")
    command = [str(Path(sys.executable).parent / "fitnotes"), "build", "a.md", "--no-execute"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    paged = [("pdf", None)] if name in ON_PAPER else []
    for target, wanted in (("html", code), *paged):
        done = subprocess.run(
            [*command, "--to", target], cwd=project, env=environment(), capture_output=True, text=True, timeout=90,
            preexec_fn=_limits,
        )  # fmt: skip
        assert done.returncode == wanted if wanted is not None else done.returncode in (0, 1, 3), done.stderr
        assert said in done.stderr
        assert "internal error" not in done.stderr
        assert "Traceback" not in done.stderr
    # Of all programs together that were run: in KB.
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < max(before, 4_600_000)
    if code != 3:
        assert "Words." in (project / "_build/html/a.html").read_text()
    lint = subprocess.run(
        [command[0], "lint", "a.md"],
        cwd=project,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert lint.returncode in (0, 1, 2, 3), lint.stderr
    assert "Traceback" not in lint.stderr


# --------------------------------------------------------------------------------------------------
# The folder of a project


@pytest.mark.parametrize("link", [".fitnotes", ".fitnotes/pages", ".fitnotes/formulas"])
@pytest.mark.parametrize("command", [("build", "--no-execute"), ("clean", "--all")])
def test_a_store_that_leads_away_is_refused(
    link: str, command: tuple[str, ...], fitnotes: Run, write, project: Path, precious: Path
) -> None:
    write("notes/a.md", "$x^2$\n")
    (precious.parent / "pages").mkdir()
    (precious.parent / "pages/kept.txt").write_text("kept")
    (project / link).parent.mkdir(exist_ok=True)
    (project / link).symlink_to(precious if link.endswith("formulas") else precious.parent)
    done = fitnotes(*command)
    assert done.returncode == 2
    assert f"{link} is a link that leads out of the project" in done.stderr
    assert precious.read_text() == "PRECIOUS WORDS\n"
    assert (precious.parent / "pages/kept.txt").exists()


def test_a_shared_store_is_not_cleaned(fitnotes: Run, write, project: Path, precious: Path) -> None:
    write("fitnotes.toml", f'cache = "{precious.parent}"\n')
    (precious.parent / "ab").mkdir()
    (precious.parent / "ab/thesis.json").write_text("{}")
    assert fitnotes("clean", "--all").returncode == 0
    assert (precious.parent / "ab/thesis.json").exists()


@pytest.mark.parametrize("how", ["note", "folder", "setting", "bibliography"])
def test_a_project_brings_in_nothing_from_outside(
    how: str, fitnotes: Run, write, project: Path, precious: Path
) -> None:
    (precious.parent / "note.md").write_text("PRECIOUS\n")
    (precious.parent / "r.bib").write_text("@book{k, title={PRECIOUS}, year=1}\n")
    write("notes/b.md", "Words [@k].\n")
    if how == "note":
        (project / "notes/a.md").symlink_to(precious.parent / "note.md")
    elif how == "folder":
        (project / "notes/sub").symlink_to(precious.parent)
    elif how == "setting":
        write("fitnotes.toml", f'notes = "{precious.parent}"\n')
    else:
        write("fitnotes.toml", f'bibliography = ["{precious.parent}/r.bib"]\n')
    done = fitnotes("build", "--no-execute")
    assert "lies outside the project" in done.stderr
    for page in (project / "_build").rglob("*.html"):
        assert "PRECIOUS" not in page.read_text()


@pytest.mark.parametrize("text", ["![x](f.png)", "{{< include f.png >}}", "---\npreamble: f.png\n---\n\nx"])
def test_a_pipe_is_no_file(text: str, fitnotes: Run, write, project: Path) -> None:
    os.mkfifo(project / "f.png")
    write("a.md", f"{text}\n")
    assert fitnotes("build", "a.md", "--no-execute", timeout=30).returncode in (0, 1, 2)
    fitnotes("lint", "a.md", timeout=30)


def test_many_tags_and_many_files_end(fitnotes: Run, write, project: Path) -> None:
    write("a.md", "```{=html}\n" + "<script " * 120_000 + "\n```\n")
    assert fitnotes("build", "a.md", "--no-execute", timeout=60).returncode == 0
    for n in range(9):
        write(f"p{n}.md", f"{{{{< include p{n + 1}.md >}}}}\n\n" * 30)
    write("p9.md", "words\n")
    assert fitnotes("build", "p0.md", "--no-execute", timeout=60).returncode in (0, 3)
