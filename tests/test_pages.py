"""Built pages as a reader meets them: in Chromium, from a server and by double click, and as PDF."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from conftest import ROOT, needs
from pypdf import PdfReader

from fitnotes.build.request import Request
from fitnotes.build.schedule import Build
from fitnotes.build.sources import find_sources
from fitnotes.settings import Project, Settings


class Silent:
    def running(self, *args: object) -> None: ...

    def finished(self, *args: object) -> None: ...


def build(root: Path, sources: Path, *targets: str, **request: object) -> list:
    project = Project(root, Settings())
    return Build(project, Request(targets=targets, **request), Silent()).run(find_sources([sources], project))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo notes, built to HTML and PDF in a folder of their own."""
    root = tmp_path_factory.mktemp("demo")
    shutil.copytree(ROOT / "notes", root / "notes")
    outcomes = build(root, root / "notes", "html", "pdf")
    assert [str(p) for o in outcomes for p in o.problems] == []
    return root


NOTES = sorted(path.stem for path in (ROOT / "notes").glob("*.md"))
chromium = needs("chromium")


def visit(url: str, folder: Path) -> tuple[str, list[str], list[str]]:
    """(the page's DOM when its scripts are done, its console messages, every address it asked for)."""
    log = folder / "net.json"
    command = [
        "chromium", "--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", "--virtual-time-budget=20000",
        f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}", "--enable-logging=stderr", "--v=0",
        "--dump-dom", url,
    ]  # fmt: skip
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.insert(1, "--no-sandbox")
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    console = [line for line in done.stderr.split("\n") if "CONSOLE" in line]
    # What the browser itself asks its maker for is not the page's doing.
    asked = sorted(set(re.findall(r'"url":"((?:https?|wss?)://[^"]+)"', log.read_text(errors="replace"))))
    asked = [
        url for url in asked if not re.match(r"https?://[\w.-]*\.(google|googleapis|gvt1)\.com[/:]", url)
    ]
    return done.stdout, console, asked


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None: ...

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def check(dom: str, console: list[str], asked: list[str], own: str) -> None:
    assert console == []
    assert [url for url in asked if not url.startswith(own)] == []
    dom = re.sub(r"(?s)<script.*?</script>", "", dom)
    sources = dom.count('class="math ')
    assert sources > 3
    assert dom.count("<mjx-container") >= sources
    assert "mjx-merror" not in dom
    assert "data-mjx-error" not in dom
    assert 'class="copy"' in dom


@chromium
@pytest.mark.parametrize("name", NOTES)
def test_demo_pages_by_double_click(demo: Path, name: str, tmp_path: Path) -> None:
    page = demo / "_build" / "html" / f"{name}.html"
    check(*visit(page.as_uri(), tmp_path), own="file:")
    assert not re.search(r"<p>\s*%", page.read_text())
    for source in re.findall(r'<img src="([^"]+)"', page.read_text()):
        assert (page.parent / source).is_file()


@chromium
def test_demo_page_from_a_server(demo: Path, tmp_path: Path) -> None:
    with served(demo / "_build" / "html") as address:
        dom, console, asked = visit(f"{address}/howto.html", tmp_path)
        check(dom, console, asked, own=address)
    assert f"{address}/_assets/tex-svg-full.js" in asked
    assert "(3)" in re.sub(r"<[^>]+>", "", dom) or "mjx-eqn" in dom


@chromium
def test_embedded_page_is_one_file(demo: Path, tmp_path: Path) -> None:
    root = tmp_path / "p"
    shutil.copytree(demo / "notes", root / "notes")
    shutil.copytree(demo / ".fitnotes", root / ".fitnotes")
    page = tmp_path / "one" / "cubic.html"
    (outcome,) = build(root, root / "notes" / "cubic.md", "html", embed=True, page=page)
    assert outcome.problems == []
    assert [path.name for path in page.parent.iterdir()] == ["cubic.html"]
    check(*visit(page.as_uri(), tmp_path), own="file:")


@chromium
def test_pictures_are_shown(demo: Path, tmp_path: Path) -> None:
    """Images have a size in the page: the policy lets them in and the files are whole."""
    page = demo / "_build" / "html" / "cubic.html"
    probe = page.with_name("probe.html")
    script = "document.body.dataset.sizes = [...document.images].map(i => i.naturalWidth).join()"
    text = page.read_text().replace("</body>", "<script src='probe.js'></script></body>")
    probe.write_text(text)
    probe.with_suffix(".js").write_text(f"window.addEventListener('load', () => {{ {script} }})")
    dom, _, _ = visit(probe.as_uri(), tmp_path)
    found = re.search(r'data-sizes="([^"]*)"', dom)
    assert found
    sizes = [int(size) for size in found[1].split(",")]
    assert len(sizes) == 2
    assert min(sizes) > 100


def words(pdf: Path) -> str:
    return " ".join(" ".join(page.extract_text() for page in PdfReader(pdf).pages).split())


def test_demo_pdfs_have_their_text(demo: Path) -> None:
    cubic = words(demo / "_build" / "pdf" / "cubic.pdf")
    assert "Fitting sin x with a cubic" in cubic
    assert "Table 1: Loss of the descent with derivatives by hand" in cubic
    assert "Figure 2: Loss by step" in cubic
    assert "Its loss is 8.817" in cubic
    assert "?@" not in cubic
    layers = words(demo / "_build" / "pdf" / "two-layer.pdf")
    assert "Two layers of matrices" in layers
    assert "(9)" in layers
    assert "\\" not in layers, "TeX source in the PDF"


def test_the_same_numbers_stand_in_html_and_pdf(demo: Path) -> None:
    html = (demo / "_build" / "html" / "legendre.html").read_text()
    losses = re.findall(r'<td style="text-align: right;">(\d+\.\d{3})</td>', html)
    assert len(losses) >= 20
    pdf = words(demo / "_build" / "pdf" / "legendre.pdf")
    assert all(loss in pdf for loss in losses)


def text_of(demo: Path, name: str) -> str:
    """The words and numbers of an HTML page, cells and all, formulas as TeX."""
    html = (demo / "_build" / "html" / f"{name}.html").read_text(encoding="utf-8")
    body = re.sub(r"(?s)<head>.*?</head>", " ", html)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_the_legendre_losses_on_the_page_are_the_known_ones(demo: Path) -> None:
    from test_fits import LEGENDRE

    text = text_of(demo, "legendre")
    shown = " ".join(f"{step} {loss:.3f}" for step, loss in zip(range(99, 2000, 100), LEGENDRE, strict=True))
    assert shown in text
    assert "\\(b = -2.20853\\)" in text
    assert "\\(d = 0.255486\\)" in text


# Values that study notes on these subjects print (the tests of the package assert them, too), and the pages
# on which a reader finds them.
KNOWN = {
    "gradients": [
        "∂f/∂x 0.78532 0.78532 0.78532", "To four places, the derivative at 0.39266 is 0.7853.",
        "∂f/∂x -36 -36 -36",
        "∂f/∂w 2.5 2.5 2.5", "∂f/∂x 5 5 5", "∂f/∂b 1 1 1",
        "∂f/∂x[0] 2 2 2", "∂f/∂x[1] 10 10 10", "∂f/∂x[2] 12 12 12", "The value of \\(f\\) there is 62.",
        "∂f/∂w 2 2 2", "∂f/∂h0 4 4 4",
        "Disagreement: ∂f/∂x: by hand -18, but autograd says -36 and central differences -36",
    ],
    "optimizers": [
        "∂f/∂a[0] 36 36 36", "∂f/∂a[1] 81 81 81", "∂f/∂b[0] -12 -12 -12", "∂f/∂b[1] -8 -8 -8",
        "1 53.0000 a[0] 36.0000 1.8200 1.8200 1 a[1] 81.0000 2.5950 2.5950",
        "1 b[0] -12.0000 6.0600 6.0600 1 b[1] -8.0000 4.0400 4.0400 2 17.4649 a[0]",
        "from 53 to 17.4649.",
        "2 17.4649 a[0] 65.8116", "2 a[1] 141.6062", "2 b[0] -24.1200", "2 b[1] -16.0800",
        "1 53.0000 a[0] 36.0000 3.6000 1.2960 1.9000 1.9000",
        "4.1000 4.1000 2 39.7240 a[0] 32.4900 6.4890 2.3503 1.8004 1.8004",
        "2 a[1] 75.6900 14.8590 12.2834 2.8002 2.8002",
    ],
    "cubic": ["['0', '0.857', '0', '-0.0933']", "Its loss is 8.817,"],

    "sharing": ["(tensor(2.), tensor(4.))"],
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_known_values_stand_on_the_pages(demo: Path, name: str) -> None:
    text = text_of(demo, name)
    assert [value for value in KNOWN[name] if value not in text] == []


def test_two_layer_losses_stand_on_the_page(demo: Path) -> None:
    text = text_of(demo, "two-layer")
    rows = {
        caption: dict(re.findall(r"(\d+) (\d[\d.e+-]*)", text.partition(caption)[2].partition("499 ")[0]))
        for caption in ("Loss of the descent in numpy", "Loss with Adam on the layers of torch.nn")
    }
    assert 100 < float(rows["Loss of the descent in numpy"]["99"]) < 1000
    last = re.search(r"Loss of the descent in numpy.*? 499 (\S+)", text)
    assert last
    assert float(last[1]) < 1e-4
    assert 20 < float(rows["Loss with Adam on the layers of torch.nn"]["99"]) < 80


@pytest.mark.parametrize("name", ["cubic", "two-layer", "legendre", "sharing"])
def test_comparisons_on_the_pages_say_that_rungs_agree(demo: Path, name: str) -> None:
    html = (demo / "_build" / "html" / f"{name}.html").read_text(encoding="utf-8")
    assert re.search(r"The largest deviation of all \d+ steps is", html)


def test_a_wrong_derivative_fails_the_build(fitnotes, write, project: Path) -> None:
    """The message says where, and by how much."""
    write(
        "note.md",
        "```python\nfrom fitnotes.training import check_gradients\n```\n\n"
        "```{.python #check}\n"
        "check_gradients(lambda x: (x**3).sum(), lambda x: 2 * x**2, at=[1.0, 2.0])\n```\n",
    )
    done = fitnotes("build", "note.md", "--to", "html", "--to", "pdf")
    assert done.returncode == 1
    said = "∂f/∂x[0]: by hand 2, but autograd says 3 and central differences 3 (relative error 3.3e-01; "
    assert f"note.md:6: block 2 (check) raised Disagreement: {said}" in done.stderr
    page = (project / "_build" / "html" / "note.html").read_text(encoding="utf-8")
    assert said in page
    assert "gradients.py" not in page  # the reader's line, not ours
    assert "by hand 2, but autograd says 3" in words(project / "_build" / "pdf" / "note.pdf")


def test_the_same_input_gives_the_same_bytes(demo: Path) -> None:
    before = {p: p.read_bytes() for p in (demo / "_build").rglob("*") if p.is_file()}
    for outcome in build(demo, demo / "notes", "html", "pdf", refresh=True, jobs=1):
        assert outcome.problems == []
    changed = [str(p) for p, data in before.items() if p.read_bytes() != data]
    assert changed == []


def test_a_page_is_written_by_another_folder_too(demo: Path, tmp_path: Path, monkeypatch) -> None:
    """The working folder does not show in the page."""
    monkeypatch.chdir(tmp_path)
    before = (demo / "_build" / "html" / "howto.html").read_bytes()
    (outcome,) = build(demo, demo / "notes" / "howto.md", "html", refresh=True)
    assert outcome.problems == []
    assert (demo / "_build" / "html" / "howto.html").read_bytes() == before


@pytest.mark.parametrize("engine", ["lualatex", "pdflatex"])
def test_demo_notes_in_latex(demo: Path, engine: str, tmp_path: Path) -> None:
    if shutil.which(engine) is None:
        pytest.skip(f"{engine} is not installed")
    overrides = (("pdf_engine", engine),)
    # lualatex takes several seconds for each note: the three with the most mathematics and the most signs.
    wanted = NOTES if engine == "pdflatex" else ["cubic", "two-layer", "howto"]
    outcomes = [
        outcome
        for name in wanted
        for outcome in build(demo, demo / "notes" / f"{name}.md", "pdf", output=tmp_path, overrides=overrides)
    ]
    assert [str(p) for o in outcomes for p in o.problems] == []
    text = words(tmp_path / "pdf" / "cubic.pdf")
    assert len(list((tmp_path / "pdf").glob("*.pdf"))) == len(wanted)
    assert "Fitting sin x with a cubic" in text
    assert "Its loss is 8.817" in text
    assert "??" not in text


def test_an_engine_that_is_not_there(fitnotes, write) -> None:
    write("note.md", "text")
    done = fitnotes("build", "note.md", "--to", "pdf", "--pdf-engine", "tectonic")
    if shutil.which("tectonic"):
        assert done.returncode == 0
        return
    assert done.returncode == 4
    assert "tectonic is not installed" in done.stderr


@needs("pdflatex")
def test_pdflatex_has_the_signs_of_text_and_code(fitnotes, write, project: Path) -> None:
    write(
        "note.md",
        "ω ≤ ∞, x₁², ∂f/∂x → ℝ, $α ≤ x²$, Ϛ.\n\n`∂f/∂W1[0]`\n\n"
        "```python\nα = 2  # ∂ ≤ ₁\nprint('ω →', α)\n```\n",
    )
    done = fitnotes("build", "note.md", "--to", "pdf", "--pdf-engine", "pdflatex")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("note.md:1: warning: pdflatex: its fonts have no Ϛ, which is missing")
    assert "≤" not in done.stderr
    text = words(project / "_build" / "pdf" / "note.pdf")
    assert "[U+03DA]" in text
    assert text.count("≤") == 3
    assert text.count("∂") == 5
    assert "ω → 2" in text


@needs("pdflatex")
def test_pdflatex_stops_at_no_character(fitnotes, write, project: Path) -> None:
    """Letters without a command, marks that combine, and what has no width."""
    write("note.md", "Ϛ ά a\u0302 z\u200bz ϵ ς λ 😀 ™.\n\n`ϟ\u200b`\n")
    done = fitnotes("build", "note.md", "--to", "pdf", "--pdf-engine", "pdflatex")
    assert done.returncode == 0, done.stderr
    text = words(project / "_build" / "pdf" / "note.pdf")
    assert "[U+03DA]" in text
    assert "zz" in text
    assert "λ" in text
    assert "its fonts have no Ϛ" in done.stderr


@needs("pdflatex")
def test_all_missing_characters_are_counted_in_one_message(fitnotes, write) -> None:
    write("note.md", "Fine.\n\nԱԲԳԴԵԶԷԸԹԺԻԼ\n")
    done = fitnotes("build", "note.md", "--to", "pdf", "--pdf-engine", "pdflatex")
    assert done.returncode == 0
    assert done.stderr.count("warning") == 1
    assert done.stderr.startswith("note.md:3: warning: pdflatex: its fonts have no ")
    assert "and 9 other characters, all missing" in done.stderr


@needs("pdflatex")
def test_a_latex_error_names_the_line_of_the_note(fitnotes, write) -> None:
    write("note.md", "Fine.\n\nThen `\\end{itemize}`{=latex} here.\n")
    done = fitnotes("build", "note.md", "--to", "pdf", "--pdf-engine", "pdflatex")
    assert done.returncode == 3
    assert done.stderr.startswith("note.md:3: pdflatex: LaTeX Error: \\begin{document}")


@chromium
def test_chromium_prints_the_page(fitnotes, write, project: Path) -> None:
    write("note.md", "# Heading\n\n$x^2$ and text.\n")
    done = fitnotes("build", "note.md", "--to", "pdf", "--pdf-engine", "chromium")
    assert done.returncode == 0, done.stderr
    assert "and text." in words(project / "_build" / "pdf" / "note.pdf")


def test_record_names_every_input(demo: Path) -> None:
    records = [json.loads(p.read_text()) for p in (demo / ".fitnotes" / "pages").glob("*.json")]
    assert len(records) >= 2 * len(NOTES)
    cubic = next(r for r in records if r["page"] == "_build/html/cubic.html")
    assert len(cubic["files"]) == 2 + 3  # two pictures; style, script and MathJax
