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
from pathlib import Path

import pytest
from conftest import ROOT, needs
from pypdf import PdfReader

from fitnotes.build import Build, Request
from fitnotes.settings import Project, Settings
from fitnotes.sources import find_sources


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
        dom, console, asked = visit(f"{address}/maths.html", tmp_path)
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
    maths = words(demo / "_build" / "pdf" / "maths.pdf")
    assert "Two layers, in matrices" in maths
    assert "(1)" in maths
    assert "\\" not in maths.replace("\\displaystyle", ""), "TeX source in the PDF"


def test_the_same_numbers_stand_in_html_and_pdf(demo: Path) -> None:
    html = (demo / "_build" / "html" / "legendre.html").read_text()
    losses = re.findall(r'<td style="text-align: right;">(\d+\.\d+)</td>', html)
    assert len(losses) == 20
    pdf = words(demo / "_build" / "pdf" / "legendre.pdf")
    assert all(loss in pdf for loss in losses)


def test_the_legendre_losses_on_the_page_are_the_known_ones(demo: Path) -> None:
    from test_fits import LEGENDRE

    html = (demo / "_build" / "html" / "legendre.html").read_text()
    losses = [float(loss) for loss in re.findall(r'<td style="text-align: right;">(\d+\.\d+)</td>', html)]
    assert losses == pytest.approx(LEGENDRE, abs=6e-4)
    text = re.sub(r"<[^>]+>", "", html)
    assert "-2.20853" in text
    assert "0.255486" in text


def test_the_same_input_gives_the_same_bytes(demo: Path) -> None:
    before = {p: p.read_bytes() for p in (demo / "_build").rglob("*") if p.is_file()}
    for outcome in build(demo, demo / "notes", "html", "pdf", refresh=True, jobs=1):
        assert outcome.problems == []
    changed = [str(p) for p, data in before.items() if p.read_bytes() != data]
    assert changed == []


def test_a_page_is_written_by_another_folder_too(demo: Path, tmp_path: Path, monkeypatch) -> None:
    """The working folder does not show in the page."""
    monkeypatch.chdir(tmp_path)
    before = (demo / "_build" / "html" / "maths.html").read_bytes()
    (outcome,) = build(demo, demo / "notes" / "maths.md", "html", refresh=True)
    assert outcome.problems == []
    assert (demo / "_build" / "html" / "maths.html").read_bytes() == before


@pytest.mark.parametrize("engine", ["lualatex", "pdflatex"])
def test_demo_notes_in_latex(demo: Path, engine: str, tmp_path: Path) -> None:
    if shutil.which(engine) is None:
        pytest.skip(f"{engine} is not installed")
    overrides = (("pdf_engine", engine),)
    outcomes = build(demo, demo / "notes", "pdf", output=tmp_path, overrides=overrides)
    assert [str(p) for o in outcomes for p in o.problems] == []
    text = words(tmp_path / "pdf" / "cubic.pdf")
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
def test_a_latex_error_names_the_line_of_the_note(fitnotes, write) -> None:
    write("note.md", "Fine.\n\nThen `\\undefinedcommand{x}`{=latex} here.\n")
    done = fitnotes("build", "note.md", "--to", "pdf", "--pdf-engine", "pdflatex")
    assert done.returncode == 3
    assert done.stderr.startswith("note.md:3: pdflatex: Undefined control sequence")


@chromium
def test_chromium_prints_the_page(fitnotes, write, project: Path) -> None:
    write("note.md", "# Heading\n\n$x^2$ and text.\n")
    done = fitnotes("build", "note.md", "--to", "pdf", "--pdf-engine", "chromium")
    assert done.returncode == 0, done.stderr
    assert "and text." in words(project / "_build" / "pdf" / "note.pdf")


SYMBOLS = r"""
\alpha \beta \gamma \delta \epsilon \varepsilon \zeta \eta \theta \vartheta \iota \kappa \lambda \mu \nu
\xi \pi \varpi \rho \varrho \sigma \varsigma \tau \upsilon \phi \varphi \chi \psi \omega \Gamma \Delta
\Theta \Lambda \Xi \Pi \Sigma \Upsilon \Phi \Psi \Omega \cap \cup \subset \supset \subseteq \supseteq \in
\ni \notin \emptyset \varnothing \setminus \forall \exists \nexists \neg \land \lor \wedge \vee \to
\rightarrow \leftarrow \mapsto \Rightarrow \Leftarrow \Leftrightarrow \iff \implies \longrightarrow
\hookrightarrow \uparrow \downarrow \leq \geq \ll \gg \neq \equiv \approx \sim \simeq \cong \propto \prec
\succ \perp \parallel \mid \nmid \times \div \pm \mp \cdot \circ \bullet \star \ast \oplus \ominus
\otimes \odot \dagger \ddagger \nabla \partial \infty \aleph \hbar \ell \Re \Im \wp \angle \triangle
\square \sum \prod \coprod \int \iint \oint \bigcup \bigcap \bigoplus \bigotimes \ldots \cdots \vdots
\ddots \langle \rangle \lfloor \rfloor \lceil \rceil \lVert \rVert \sqrt{x} \frac{1}{2} \binom{n}{k}
\hat{x} \bar{x} \vec{x} \tilde{x} \dot{x} \ddot{x} \overline{x} \underline{x} \widehat{xy} \mathbb{R}
\mathcal{L} \mathfrak{g} \mathbf{x} \mathrm{d} \mathsf{x} \mathtt{x} \boldsymbol{x} \lim \sup \inf \max
\min \log \exp \sin \cos \tan \det \dim \ker \gcd \Pr \arg \deg \models \vdash \top \bot \bowtie \asymp
\doteq \trianglelefteq \lesssim \gtrsim \subsetneq \supsetneq \sqcup \sqcap \rightleftharpoons \coloneqq
""".split()  # noqa: SIM905


@pytest.mark.parametrize("start", range(0, len(SYMBOLS), 70))
def test_typst_compiles_the_symbols_that_pandoc_emits(start: int, tmp_path: Path) -> None:
    """The pinned pair of pandoc and Typst: no symbol needs the fallback picture, except those listed."""
    from fitnotes.render.typst import Formula, compile_typst, convert

    needs_picture = {r"\nexists"} & set(SYMBOLS)
    for symbol, code in zip(SYMBOLS, convert([Formula(s, False) for s in SYMBOLS]), strict=True):
        if SYMBOLS.index(symbol) // 70 != start // 70 or symbol in needs_picture:
            continue
        assert code is not None, symbol
        probe = tmp_path / "probe.typ"
        probe.write_text(code, encoding="utf-8")
        compile_typst(probe)


def test_record_names_every_input(demo: Path) -> None:
    records = [json.loads(p.read_text()) for p in (demo / ".fitnotes" / "pages").glob("*.json")]
    assert len(records) >= 2 * len(NOTES)
    cubic = next(r for r in records if r["page"] == "_build/html/cubic.html")
    assert len(cubic["files"]) == 2 + 3  # two pictures; style, script and MathJax
