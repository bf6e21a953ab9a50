"""HTML in notes: as written on pages of HTML, what it means everywhere else, said where a page would not show it."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from conftest import Run, environment
from hypothesis import given, settings
from hypothesis import strategies as st

from fitnotes.document import pandoc
from fitnotes.source.mark import mark
from fitnotes.source.note import Note

CONTAINERS = ["div", "section", "center", "blockquote", "details", "figure", "ul", "table", "article"]
INNER = ["p", "div", "li", "figcaption", "summary", "h3", "td", "b"]


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(CONTAINERS),
    st.lists(st.tuples(st.sampled_from(INNER), st.integers(0, 9), st.booleans()), min_size=1, max_size=5),
)
def test_nothing_indented_in_html_is_code(outer: str, inside: list[tuple[str, int, bool]]) -> None:
    lines = [f"<{outer}>"]
    for n, (name, indent, empty) in enumerate(inside):
        lines += [""] * empty + [f"{' ' * indent}<{name}>ZQ{n} *words*</{name}>"]
    text = "Before.\n\n" + "\n".join([*lines, f"</{outer}>"]) + "\n\nAfter.\n\n    code\n"
    assert mark(text).count("\n") == text.count("\n")
    ast, _ = pandoc.read(Note(Path("note.md"), text, mark(text)))
    assert ast.count('"CodeBlock"') == 1  # the one behind it
    for n in range(len(inside)):
        assert f"ZQ{n}" in ast


class _Nesting(HTMLParser):
    """What a browser would mend: a paragraph inside what holds none."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in ("br", "img", "meta", "link", "hr", "source", "input", "wbr", "rect", "circle"):
            return
        around = {"p", "summary", "h2", "h3", "h4", "dt", "legend", "button", "svg"} & set(self.open)
        if tag in ("p", "div", "table", "ul") and around:
            self.wrong.append(f"{tag} in {around}")
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            while self.open.pop() != tag:
                pass


DOCUMENT = """\
<p align="center">
  Middle *words* of $x^2$
</p>

<div align="right">

Right words

</div>

<figure id="fig-own">
    <img src="dot.png" style="width: 40%; border: 1px solid" alt="A dot">
    <figcaption>A caption with <b>bold</b></figcaption>
</figure>

<details>
<summary>What it is</summary>

Folded **words**

</details>

<ul>
  <li>item one</li>
  <li>item two with *stress*</li>
</ul>

<dl><dt>Term</dt><dd>Meaning</dd></dl>

<h3>A heading of its own</h3>

<blockquote>Said by someone</blockquote>

<svg width="60" height="20">
  <rect width="60" height="20" fill="teal"/>

  <text x="5" y="15">*drawn* _words_</text>
</svg>

<span style="color: red">red words</span>, <font color="#00f">blue words</font>, <mark>marked words</mark>,
<span style="background: yellow; font-weight: bold">loud words</span>, <q>quoted words</q>, <code>a&lt;b</code>,
<a href="https://example.org/there">linked words</a>, <small>small words</small>, <ruby>KAN<rt>reading</rt></ruby>,
and <svg width="9" height="9"><circle cx="4" cy="4" r="4"/></svg> drawn.

<center>Centred words</center>

The end.
"""
WORDS = [
    "Middle", "Right words", "A caption with", "What it is", "Folded", "item one", "item two with", "Term", "Meaning",
    "A heading of its own", "Said by someone", "red words", "blue words", "marked words", "loud words", "quoted words",
    "a<b", "linked words", "small words", "KAN", "reading", "Centred words", "The end.",
]  # fmt: skip


def _note(write, project: Path, text: str = DOCUMENT) -> None:
    write("a.md", text)
    (project / "dot.png").write_bytes(Path(__file__).with_name("corpus").joinpath("dot.png").read_bytes())


def test_html_stays_as_it_is_on_pages_of_html(fitnotes: Run, write, project: Path) -> None:
    _note(write, project)
    done = fitnotes("build", "a.md")
    assert (done.returncode, "warning" in done.stderr) == (0, False), done.stderr
    page = (project / "_build/html/a.html").read_text()
    nesting = _Nesting()
    nesting.feed(page)
    assert nesting.wrong == []
    text = re.sub(r"<[^>]*>", "", page).replace("&lt;", "<")
    places = [text.find(words) for words in WORDS]
    assert -1 not in places
    assert places == sorted(places)
    assert '<text x="5" y="15">*drawn* _words_</text>' in page  # no Markdown, no paragraph
    assert "width:40" in page.replace(" ", "")
    assert "border: 1px solid" in page
    assert '<p align="center">' in page
    assert '<div class="aligned-right">' in page
    assert "<em>stress</em>" in page
    assert "<pre" not in page.split("<main")[1]


def test_html_is_what_it_means_elsewhere(fitnotes: Run, write, project: Path) -> None:
    _note(write, project)
    done = fitnotes(
        "build", "a.md", "--to", "pdf", "--to", "tex", "--to", "docx", "--to", "gfm", "--to", "epub"
    )
    assert (done.returncode, "warning" in done.stderr) == (0, False), done.stderr
    out = project / "_build"
    pdf = subprocess.run(["pdftotext", "-raw", out / "pdf/a.pdf", "-"], capture_output=True, text=True).stdout
    pdf = " ".join(pdf.split())
    docx = re.sub(r"<[^>]*>", "", pandoc.run(["-t", "html", "--wrap=none", str(out / "docx/a.docx")]).text)
    docx = " ".join(docx.replace("&lt;", "<").split())
    for shown in (pdf, docx):
        places = [shown.find(words) for words in WORDS if words != "A caption with"]
        assert -1 not in places, [w for w in WORDS if w not in shown]
        assert places == sorted(places)
        assert "A caption with bold" in shown
    tex = (out / "tex/a.tex").read_text()
    for wanted in (
        "\\begin{center}", "\\begin{flushright}", "\\textcolor[HTML]{FF0000}{red words}", "\\colorbox[HTML]{FFFF00}",
        "\\textcolor[HTML]{0000FF}{blue words}", "\\hl{marked words}", "{https://example.org/there}{linked words}",
        "\\begin{itemize}", "\\item[Term]", "\\subsubsection{A heading of its own}", "\\begin{quote}", "\\caption{",
        "\\textbf{What it is}", "width=0.4\\linewidth", "includegraphics",
    ):  # fmt: skip
        assert wanted in tex, wanted
    assert tex.count("drawing-") == 2  # the two SVGs
    gfm = (out / "gfm/a.md").read_text()
    assert gfm.count("](a_files/drawing-") == 2
    assert '<div align="right">' in gfm


BLOCKED = [
    ('<iframe src="https://v.example.org/x"></iframe>', "<iframe> of v.example.org", "frames: v.example.org"),
    ('<iframe src="local.html"></iframe>', "<iframe>", "frames"),
    ("<script>alert(1)</script>", "<script>", "scripts"),
    ('<script src="https://cdn.example.org/a.js"></script>', "<script> of cdn.example.org", "scripts: cdn.example.org"),
    ('<video src="https://v.example.org/a.mp4" controls></video>', "<video> of v.example.org", "media: v.example.org"),
    ('<audio controls><source src="//a.example.org/a.ogg"></audio>', "<source> of a.example.org", "media"),
    ('<button onclick="go()">Go</button>', "onclick of <button>", "scripts"),
    ('<object data="https://o.example.org/x"></object>', "<object> of o.example.org", "frames: o.example.org"),
]  # fmt: skip


@pytest.fixture(scope="module")
def blocked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """Each of them in a note, and in another one that lets it through: their folder, what the build and lint say."""
    folder = tmp_path_factory.mktemp("blocked")
    (folder / "fitnotes.toml").write_text("")
    for number, (written, _, allow) in enumerate(BLOCKED):
        text = f"Words.\n\n{written}\n\nThe end.\n"
        (folder / f"no{number}.md").write_text(text)
        (folder / f"yes{number}.md").write_text(f"---\nfitnotes:\n  allow: [{allow}]\n---\n\n{text}")
    program = Path(sys.executable).parent / "fitnotes"
    built, lint = (
        subprocess.run(
            [program, *words], cwd=folder, env=environment(), capture_output=True, text=True, timeout=120
        )
        for words in (["build", "."], ["lint", "."])
    )
    assert built.returncode == 0, built.stderr
    return folder / "_build/html", built.stderr, lint.stdout


@pytest.mark.parametrize("number", range(len(BLOCKED)), ids=[row[1] for row in BLOCKED])
def test_what_the_policy_blocks_is_said_with_what_allows_it(
    number: int, blocked: tuple[Path, str, str]
) -> None:
    (written, what, allow), (pages, said, found) = BLOCKED[number], blocked
    said = said[said.index(f"no{number}.md:") :]
    assert said.startswith(f"no{number}.md:3: warning: {what} is blocked by the page's content policy\n")
    assert said.split("\n")[1].startswith(f"  allow: [{allow.split(':')[0]}")
    assert re.search(rf"no{number}.md:3:\d+: blocked {re.escape(what)}", found)
    assert f"yes{number}.md" not in blocked[1]
    page = (pages / f"yes{number}.html").read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    kind, _, host = allow.partition(": ")
    directive = {"frames": "frame-src", "media": "media-src", "scripts": "script-src"}[kind]
    assert re.search(rf"{directive} [^;]*https:{f'//{host}' if host else ''}", policy[1])
    assert written.split()[0].rstrip(">") in page


def test_a_wrong_allow_is_refused(fitnotes: Run, write) -> None:
    for wrong in ("everything", "frames: 'a b; script-src *'", "images: https://x.org"):
        write("a.md", f"---\nfitnotes:\n  allow: [{wrong}]\n---\n\nWords.\n")
        done = fitnotes("build", "a.md")
        assert done.returncode == 2
        assert "allow: expected one of frames, media, images" in done.stderr


def test_films_lie_beside_the_page(fitnotes: Run, write, project: Path) -> None:
    (project / "film.mp4").write_bytes(b"no film")
    write("a.md", 'x\n\n<video src="film.mp4" controls></video>\n\n<video><source src="gone.mp4"></video>\n')
    done = fitnotes("build", "a.md", "--to", "html", "--to", "gfm", "--to", "pdf")
    assert "a.md:5: warning: <source> gone.mp4: not found" in done.stderr
    assert done.stderr.count("blocked") == 0
    page = (project / "_build/html/a.html").read_text()
    name = re.search(r'<video src="(a_files/film-\w+\.mp4)"', page)[1]
    assert (project / "_build/html" / name).read_bytes() == b"no film"
    assert "[film.mp4](film.mp4)" in (project / "_build/gfm/a.md").read_text()
    assert "a.md:3: warning: HTML <video" in done.stderr  # on paper


def test_images_of_the_network_where_they_are_allowed(fitnotes: Run, write, project: Path) -> None:
    text = "![x](https://img.example.org/a.png) ![y](https://other.org/b.png)\n"
    write("a.md", f"---\nfitnotes:\n  allow: [images: img.example.org]\n---\n\n{text}")
    done = fitnotes("build", "a.md", "--to", "html", "--to", "gfm")
    page = (project / "_build/html/a.html").read_text()
    assert '<img src="https://img.example.org/a.png"' in page
    assert '<img src="https://other.org' not in page
    assert "image https://other.org/b.png lies on the network" in done.stderr


def test_html_that_means_nothing_on_paper_is_said_once(fitnotes: Run, write) -> None:
    write("a.md", "<my-card kind='x'>\n\n<my-head>Words</my-head>\n\n<my-body>More</my-body>\n\n</my-card>\n\n"
                  "Then <canvas></canvas> here.\n")  # fmt: skip
    said = [
        line
        for line in fitnotes("build", "a.md", "--to", "pdf").stderr.splitlines()
        if "means nothing" in line
    ]
    assert [line.split(" means")[0] for line in said] == [
        "a.md:1: warning: HTML <my-card kind='x'>", "a.md:9: warning: HTML <canvas>",
    ]  # fmt: skip


ODD_NAMES = (
    "![x](%00.png) ![y](a%00%2Fb.svg) [l](a%00.txt) [m](b%00.md#x) [[n\\u0000]] <img src='%00.png'>",
    '---\nbibliography: "a\\0b"\ncsl: "x\\0"\ntitle: "T\\0"\n---\n\n[@k]',
    '---\nfitnotes:\n  preamble: "a\\0b"\nheader-includes: "\\\\newcommand{\\\\x}{\\0}"\n---\n\n$\\x$',
    "{{< include a%00.md >}}\n\n![[a%00.png]]\n\n<video src='a%00.mp4'></video>",
    "<iframe src='http://[x'></iframe>\n\n![x](http://[x) <script src='//[y'></script>\n\n[z](http://[z)",
)


def test_names_and_addresses_that_are_none_end_nothing(fitnotes: Run, write, project: Path) -> None:
    for number, text in enumerate(ODD_NAMES):
        write(f"notes/n{number}.md", f"Before it.\n\n{text}\n\nBehind it.\n" if text[0] != "-" else text)
    targets = ("html", "pdf", "gfm", "tex", "slides", "docx", "epub")
    done = fitnotes("build", *(word for target in targets for word in ("--to", target)))
    assert "internal" not in done.stderr, done.stderr
    assert done.returncode in (0, 1), done.stderr
    for number in range(len(ODD_NAMES)):
        assert f"n{number}.md:" in done.stderr
    assert "internal" not in fitnotes("lint").stderr
    write("fitnotes.toml", 'preamble = "a\\u0000b"\n')
    assert "fitnotes.toml: a zero byte" in fitnotes("lint", "notes").stderr
