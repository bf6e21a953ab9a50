"""One small note for each construct, built to every target; what was seen is the table in docs/constructs.md.

Each note says in its header what it is about (``construct``), which words every target has to show
(``text``), and what has to be warned about (``warns``).
"""

from __future__ import annotations

import functools
import html
import os
import re
import shutil
import subprocess
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, needs
from pypdf import PdfReader
from test_pages import build

from fitnotes.build.request import Outcome
from fitnotes.draw import mathjax
from fitnotes.targets import registry
from fitnotes.targets.gfm.formulas import REFUSED
from fitnotes.tex.engines import any_latex

CORPUS = ROOT / "tests" / "corpus"
TABLE = ROOT / "docs" / "constructs.md"


def columns() -> dict[str, str]:
    """The columns of the table: every format that a target is written in, LaTeX by two engines."""
    found: dict[str, str] = {}
    for name, form in registry.formats().items():
        found |= {"lualatex": "lualatex", "pdflatex": "pdflatex"} if form.is_tex else {name: form.title}
    return found


TARGETS = columns()


def header(path: Path) -> dict[str, str]:
    return yaml.safe_load(path.read_text(encoding="utf-8").split("\n---", 1)[0])


NOTES = {path.stem: header(path) for path in sorted(CORPUS.glob("*.md"))}
# pdflatex has no fonts for these; it says so and shows their numbers.
PACKAGES = {"physics", "siunitx"}  # LaTeX needs them installed; elsewhere they are understood


def plain(text: str) -> str:
    """Letters as they are typed: no mathematical alphabets, ligatures or spaces."""
    text = unicodedata.normalize("NFKC", html.unescape(text))
    return (
        re.sub(r"[\s\u200b\u2061-\u2064]", "", text).replace("−", "-").translate({0x2019: "'", 0x2032: "'"})
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    shutil.copytree(CORPUS, folder / "notes")
    return folder


@pytest.fixture(scope="module")
def built(root: Path) -> Callable[[str], dict[str, Outcome]]:
    """The outcomes by note, for one target; each target is built once."""

    @functools.cache
    def outcomes(target: str) -> dict[str, Outcome]:
        latex = target.endswith("latex")
        kind = "pdf" if latex or target == "typst" else target
        more = {"overrides": (("pdf_engine", target),), "output": root / target} if latex else {}
        return {o.source.path.stem: o for o in build(root, root / "notes", kind, **more)}

    return outcomes


@pytest.fixture(scope="module")
def browser(root: Path, built, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What Chromium shows of every page, by note: its text, with "MERROR" where MathJax failed."""
    built("html")
    folder = root / "_build" / "html"
    frames = "".join(f'<iframe id="{name}" src="{name}.html"></iframe>' for name in NOTES)
    script = """
    window.onload = async function () {
      for (const frame of document.querySelectorAll("iframe")) {
        const page = frame.contentDocument, maths = frame.contentWindow.MathJax;
        if (maths && maths.startup && maths.startup.promise) await maths.startup.promise;
        const words = document.createElement("pre");
        words.id = "text-" + frame.id;
        const wrong = page.querySelectorAll("mjx-merror, [data-mjx-error]").length ? " MERROR" : "";
        words.textContent = page.querySelector("main").textContent + wrong;
        document.body.append(words);
      }
      document.title = "done";
    };"""
    (folder / "all.html").write_text(f"<body>{frames}<script>{script}</script></body>", encoding="utf-8")
    profile = tmp_path_factory.mktemp("profile")
    command = [
        "chromium", "--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking",
        "--allow-file-access-from-files", "--virtual-time-budget=120000", f"--user-data-dir={profile}",
        "--dump-dom", (folder / "all.html").as_uri(),
    ]  # fmt: skip
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.insert(1, "--no-sandbox")
    dom = subprocess.run(command, capture_output=True, text=True, timeout=300).stdout
    found = dict(re.findall(r'<pre id="text-([\w-]+)">(.*?)</pre>', dom, re.DOTALL))
    assert set(found) == set(NOTES), "Chromium did not get through all pages"
    return found


def pdf(path: Path) -> tuple[str, list[str]]:
    """(its text, what it says its pictures show: of a formula, its TeX)"""
    reader = PdfReader(path)
    said: list[str] = []

    def look(node: object) -> None:
        node = node.get_object() if hasattr(node, "get_object") else node
        if isinstance(node, list):
            for item in node:
                look(item)
        elif isinstance(node, dict):
            said.extend([str(node["/Alt"])] if "/Alt" in node else [])
            if "/K" in node:
                look(node["/K"])

    look(reader.trailer["/Root"].get("/StructTreeRoot"))
    return "".join(page.extract_text() for page in reader.pages), said


def archive(path: Path, pattern: str) -> str:
    with zipfile.ZipFile(path) as packed:
        names = [name for name in packed.namelist() if re.search(pattern, name)]
        text = "".join(packed.read(name).decode() for name in names)
    # Word has brackets as attributes of what is between them.
    inner = r'<m:d><m:dPr><m:begChr m:val="([^"]*)" ?/>(?:(?!</m:dPr>).)*?<m:endChr m:val="([^"]*)" ?/>'
    brackets = re.compile(inner + r"(?:(?!</m:dPr>).)*</m:dPr>((?:(?!<m:d>).)*?)</m:d>", re.DOTALL)
    while brackets.search(text):
        text = brackets.sub(r"\1\3\2", text)
    return re.sub(r"<[^>]+>", "", text)


def chinese_fonts() -> bool:
    return bool(subprocess.run(["fc-list", ":lang=zh"], capture_output=True, text=True).stdout.strip())


def only_said(name: str, target: str, outcome: Outcome) -> None:
    """No error, and the warnings that the note expects."""
    errors = [str(p) for p in outcome.problems if p.severity == "error"]
    warnings = [p.message for p in outcome.problems if p.severity == "warning"]
    latex = target.endswith("latex")
    style = subprocess.run(["kpsewhich", f"{name}.sty"], capture_output=True).stdout if latex else b""
    if latex and name in PACKAGES and not style:
        assert f"the package {name} is not installed" in warnings[0]
        return
    assert errors == []
    expected = NOTES[name].get("warns")
    if name == "tikz" and any_latex("") is None:
        expected = "no LaTeX is installed"
    if latex and expected == "raw TeX":
        expected = "it does not know"
    if name == "cjk" and target in ("pdflatex", "xelatex") and chinese_fonts():
        expected = "lualatex is used"
    elif name == "cjk" and target == "lualatex" and not chinese_fonts():
        expected = "its fonts have no"
    if name == "cjk" and target == "typst":
        expected = "the fonts inside Typst have no"
    assert bool(warnings) == bool(expected), warnings
    assert all(str(expected) in warning for warning in warnings), warnings


def shows(name: str, text: str) -> None:
    squeezed = plain(text)
    missing = [word for word in NOTES[name]["text"].split("|") if plain(word) not in squeezed]
    assert not missing, f"{missing} not in {squeezed[:400]}"


SEEN: dict[tuple[str, str], str] = {}


def seen(name: str, target: str, mark: str) -> None:
    # A note with figures has pictures that are no formulas.
    SEEN[name, target] = "yes" if NOTES[name].get("figures") else mark


@needs("chromium")
@pytest.mark.parametrize("name", NOTES)
def test_html(name: str, built, browser: dict[str, str]) -> None:
    only_said(name, "html", built("html")[name])
    assert "MERROR" not in browser[name]
    shows(name, browser[name])
    seen(name, "html", "yes")


@pytest.mark.parametrize("name", NOTES)
def test_typst(name: str, built, root: Path) -> None:
    only_said(name, "typst", built("typst")[name])
    text, pictures = pdf(root / "_build" / "pdf" / f"{name}.pdf")
    shows(name, text + " ".join(pictures))
    seen(name, "typst", "picture" if pictures else "yes")


@pytest.mark.parametrize("engine", ["lualatex", "pdflatex"])
@pytest.mark.parametrize("name", NOTES)
def test_latex(name: str, engine: str, built, root: Path) -> None:
    if shutil.which(engine) is None:
        pytest.skip(f"{engine} is not installed")
    only_said(name, engine, built(engine)[name])
    text, _ = pdf(root / engine / "pdf" / f"{name}.pdf")
    if name in PACKAGES:
        seen(name, engine, "with the package")
        return
    shows(name, text)
    seen(name, engine, "yes")


def github(text: str) -> tuple[str, list[str]]:
    """What GitHub would show of a Markdown file, roughly, and what it would not take.

    The rules are those of its documentation: ```` ```math ````, ``$`…`$`` and ``$…$``, the last without
    anything that Markdown reads first; no macros, none of the refused commands.
    """
    wrong: list[str] = []
    formulas: list[tuple[str, bool]] = []

    def take(match: re.Match[str], display: bool) -> str:
        formulas.append((match[1], display))
        return f" {match[1]} "

    rest = re.sub(r"(?ms)^[ \t]*``` ?math\n(.*?)\n[ \t]*```$", lambda m: take(m, True), text)
    if "$$" in rest:
        wrong.append("$$ outside a fence")
    rest = re.sub(r"\$`([^`\n]+)`\$", lambda m: take(m, False), rest)
    rest = re.sub(r"(?ms)^```.*?^```|`[^`\n]*`", lambda m: m[0].replace("$", ""), rest)

    def dollars(match: re.Match[str]) -> str:
        if re.search(r"\\[^A-Za-z]|[*<>|&]|_.*_|^\s|\s$", match[1]):
            wrong.append(f"Markdown reads {match[0]} first")
        return take(match, False)

    rest = re.sub(r"(?<![\\$\w])\$(?!\s)([^$\n]+?)(?<!\s)\$(?!\w)", dollars, rest)
    tables = re.findall(r"(?m)(?:^\|.*\n)+", text)
    for table_rows in tables:
        bars = {len(re.findall(r"(?<!\\)\|", row)) for row in table_rows.splitlines()}
        wrong += [f"cells broken by a |: {table_rows}"] if len(bars) > 1 else []
    for (tex, _), reason in zip(formulas, mathjax.check(formulas), strict=True):
        if reason:
            wrong.append(f"{tex}: {reason}")
        wrong += [f"\\{name} in {tex}" for name in REFUSED if re.search(rf"\\{name}(?![A-Za-z])", tex)]
    if re.search(r"^---\n", text):
        wrong.append("a YAML header")
    return rest, wrong


@pytest.mark.parametrize("name", NOTES)
def test_github(name: str, built, root: Path) -> None:
    only_said(name, "gfm", built("gfm")[name])
    text = (root / "_build" / "gfm" / f"{name}.md").read_text(encoding="utf-8")
    shown, wrong = github(text)
    assert wrong == []
    for picture in re.findall(r"\]\(([^)#]+\.svg)\)", text):
        assert (root / "_build" / "gfm" / picture).is_file()
    # On GitHub a tag is typeset by MathJax as a number in parentheses.
    shown = re.sub(r"\\tag\{([^{}]*)\}", r"(\1)", shown)
    shown = re.sub(r"(?m)^> \[!(\w+)\]$", lambda m: m[1].capitalize(), shown)
    shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", shown)
    assert not re.search(r"(?m)^#+ .*\{#|\{\.ref", shown)
    pictures = text.count(".svg)")
    shows(name, re.sub(r"\\text\{|\\mathrm\{|[*{}]|\\,", "", shown))
    seen(name, "gfm", "picture" if pictures else "yes")


@pytest.mark.parametrize("name", NOTES)
def test_word(name: str, built, root: Path) -> None:
    only_said(name, "docx", built("docx")[name])
    file = root / "_build" / "docx" / f"{name}.docx"
    text = archive(file, r"word/(document|footnotes)\.xml")
    with zipfile.ZipFile(file) as packed:
        pictures = sum(n.startswith("word/media/") for n in packed.namelist())
        said = re.findall(r'descr="([^"]*)"', packed.read("word/document.xml").decode())
    assert len(said) >= pictures
    shows(name, text + " ".join(said))
    seen(name, "docx", "picture" if pictures else "yes")


@pytest.mark.parametrize("name", NOTES)
def test_epub(name: str, built, root: Path) -> None:
    only_said(name, "epub", built("epub")[name])
    shows(name, archive(root / "_build" / "epub" / f"{name}.epub", r"text/.*\.xhtml"))
    seen(name, "epub", "yes")


def table() -> str:
    words = {"yes": "✓", "picture": "✓ picture", "with the package": "✓ if installed"}
    lines = [
        "# What is written, and what each target shows",
        "",
        "Made by `pytest tests/test_corpus.py --accept` from what was seen of the notes in `tests/corpus`: every",
        "one built to every target, its words and numbers found there, and nothing said that is not expected.",
        "✓: typeset by the target itself. ✓ picture: set by MathJax (TikZ: by LaTeX), a picture on the baseline (in",
        "Word, in the line). source: shown as it is written, with a warning. said: shown with a mark in its place,",
        "and a warning.",
        "",
        f"| construct | {' | '.join(TARGETS.values())} |",
        f"|---|{'---|' * len(TARGETS)}",
    ]
    for name, about in NOTES.items():
        cells = []
        for target in TARGETS:
            word = words[SEEN[name, target]]
            if about.get("warns") == "raw TeX":
                word = "said" if target.endswith("latex") else "source"
            cells.append(word)
        title = about["construct"].replace("|", "\\|")
        title = title if re.fullmatch(r"[\w ,:-]+", title) else f"`{title}`"
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def test_the_table_in_the_docs_is_what_was_seen(request: pytest.FixtureRequest) -> None:
    if len(SEEN) < len(NOTES) * len(TARGETS):
        pytest.skip("some of the notes were not built")
    if request.config.getoption("--accept"):
        TABLE.write_text(table(), encoding="utf-8")
    assert TABLE.read_text(encoding="utf-8") == table()
