"""Pictures of every format in every target, TikZ drawings, and pictures for dark pages."""

from __future__ import annotations

import base64
import io
import os
import re
import time
import unicodedata
import zipfile
from pathlib import Path

import pytest
import typst
from conftest import Run, needs
from PIL import Image
from pypdf import PdfReader
from test_pages import Silent

from fitnotes.build.request import Outcome, Request
from fitnotes.build.schedule import Build
from fitnotes.build.sources import find_sources
from fitnotes.draw import darken, pictures
from fitnotes.draw.pictures import BadPicture
from fitnotes.draw.svg import lost_in, parts, sized, with_linked
from fitnotes.settings import find_project
from fitnotes.store.blobs import Blobs
from fitnotes.targets import registry

FORMATS = registry.formats()

TARGETS = ["html", "gfm", "epub", "typst", "latex", "docx"]
STARTS = {
    ".png": b"\x89PNG",
    ".jpg": b"\xff\xd8",
    ".gif": b"GIF8",
    ".pdf": b"%PDF",
    ".webp": b"RIFF",
    ".svg": b"<svg",
}
SVG = """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<!-- Created with Inkscape (http://www.inkscape.org/) -->
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="60mm" height="30mm"
 xmlns:sodipodi="http://sodipodi.sourceforge.net/DTD/sodipodi-0.dtd" viewBox="0 0 60 30" sodipodi:docname="a.svg">
<text x="2" y="8" style="font-size:4px;font-family:'Comic Sans MS'">unknown</text>
<text x="2" y="14" style="font:4px Consolas, monospace">constant</text>
<text x="2" y="20" font-size="4" font-family="Garamond, serif">serifed</text>
<text x="2" y="26" font-size="4">nameless</text>
</svg>"""
BOX = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 100"><rect width="200" height="100" fill="red"/></svg>'


def picture(form: str, **options: object) -> bytes:
    out = io.BytesIO()
    image = Image.new("RGB", (40, 20), "red")
    image.paste("blue", (0, 0, 20, 20))
    image.save(out, form, **options)
    return out.getvalue()


def pdf(body: str, folder: Path) -> bytes:
    source = folder / "made.typ"
    source.write_text(f"#set page(width: 100pt, height: 50pt, margin: 5pt)\n{body}", encoding="utf-8")
    return bytes(typst.compile(str(source), ignore_system_fonts=True))


def build(folder: Path, *targets: str, **request: object) -> Outcome:
    project = find_project(folder)
    (outcome,) = Build(project, Request(targets=targets, **request), Silent()).run(
        find_sources([folder / "note.md"], project)
    )
    return outcome


def said(outcome: Outcome) -> list[str]:
    return [re.sub(r"^\S*?(?=note\.md)", "", str(problem)).split("\n")[0] for problem in outcome.problems]


# --------------------------------------------------------------------------------------------------
# Formats


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A small picture of every format, by suffix."""
    folder = tmp_path_factory.mktemp("files")
    second = Image.new("RGB", (40, 20), "green")
    return {
        ".png": picture("PNG"),
        ".jpg": picture("JPEG"),
        ".gif": picture("GIF", save_all=True, append_images=[second], duration=100),
        ".webp": picture("WEBP", save_all=True, append_images=[second], lossless=True),
        ".tif": picture("TIFF"),
        ".bmp": picture("BMP"),
        ".svg": SVG.encode(),
        ".pdf": pdf("Words $x^2$ #rect(fill: blue)", folder),
    }


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_shows_every_format(target: str, files: dict[str, bytes]) -> None:
    convert = pictures.converter(FORMATS[target], None)
    for suffix, data in files.items():
        converted = convert(data, suffix)
        assert converted is not None
        made, kind = converted
        if kind in STARTS:
            assert made.startswith(STARTS[kind]), (suffix, kind)
        if kind == ".png" and suffix in (".gif", ".webp", ".tif", ".bmp"):
            image = Image.open(io.BytesIO(made)).convert("RGB")
            assert (image.size, image.getpixel((2, 2))) == ((40, 20), (0, 0, 255))
        vector = {
            "html": ".svg",
            "gfm": ".svg",
            "epub": ".svg",
            "typst": ".pdf",
            "latex": ".pdf",
            "docx": ".png",
        }
        if suffix in (".svg", ".pdf"):
            assert kind == vector[target]
    assert convert(b"%!PS-Adobe-3.0 EPSF-3.0", ".eps") is None


def test_a_pdf_becomes_a_drawing_of_its_size(files: dict[str, bytes]) -> None:
    svg = pictures.converter(FORMATS["html"], None)(files[".pdf"], ".pdf")[0].decode()
    assert 'width="100pt" height="50pt"' in svg
    assert "<image" not in svg
    assert svg.count("<path") >= 6


def test_a_file_is_what_it_holds(files: dict[str, bytes]) -> None:
    import gzip

    assert pictures.converter(FORMATS["latex"], None)(files[".jpg"], ".png") == (files[".jpg"], ".jpg")
    assert pictures.converter(FORMATS["html"], None)(gzip.compress(BOX.encode()), ".svgz") == (
        BOX.encode(),
        ".svg",
    )
    for suffix in (".png", ".pdf", ".svg"):
        with pytest.raises(BadPicture):
            pictures.converter(FORMATS["typst"], None)(files[suffix][: len(files[suffix]) // 3], suffix)


def test_a_turned_photo_is_upright_where_nobody_turns_it() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = picture("JPEG", exif=exif)
    for target in ("latex", "docx"):
        made, suffix = pictures.converter(FORMATS[target], None)(photo, ".jpg")
        assert (suffix, Image.open(io.BytesIO(made)).size) == (".png", (20, 40))
    assert pictures.converter(FORMATS["html"], None)(photo, ".jpg") == (photo, ".jpg")


def test_a_drawing_keeps_its_size_in_dots() -> None:
    made = Image.open(io.BytesIO(pictures.svg_to_png(sized(BOX).encode())))
    assert made.size[0] / made.info["dpi"][0] == pytest.approx(150 / 72, abs=0.01)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ('viewBox="0 0 200 100"', "150 75"),
        ('width="200" height="100"', "150 75"),
        ('width="200px" height="100px" viewBox="0 0 20 10"', "150 75"),
        ('width="100%" height="100%" viewBox="0 0 200 100"', "150 75"),
        ('width="2in" viewBox="0,0,200,100"', "144 72"),
        ('height="72pt" viewBox="-5 -5 2e2 100"', "144 72"),
        ('width="25.4mm" height="2.54cm" viewBox="0 0 1 1"', "72 72"),
        ('width="100%"', None),
    ],
)
def test_sizes_of_drawings(given: str, expected: str | None) -> None:
    made = sized(f'<?xml version="1.0"?><svg\n {given} data-a="1>0"><path/></svg>')
    found = re.search(r'<svg width="([\d.]+)pt" height="([\d.]+)pt"', made)
    assert (f"{found[1]} {found[2]}" if found else None) == expected
    assert "viewBox" in made or expected is None
    assert made.endswith("<path/></svg>")


def test_no_word_is_lost_for_want_of_a_font(tmp_path: Path) -> None:
    reader = PdfReader(io.BytesIO(pictures.svg_to_pdf(SVG.encode())))
    text = reader.pages[0].extract_text()
    assert {"unknown", "constant", "serifed", "nameless"} <= set(text.split())
    fonts = {
        str(font.get_object()["/BaseFont"]).split("+")[1]
        for font in reader.pages[0]["/Resources"]["/Font"].values()
    }
    assert {re.match(r"[A-Za-z]+", name)[0] for name in fonts} == {
        "DejaVuSans",
        "DejaVuSansMono",
        "LibertinusSerif",
    }


def test_elements_are_found_in_the_text_of_an_svg() -> None:
    text = """<?xml version="1.0" encoding="utf-8"?>
<!-- é <image/> --><svg><g a="1>0" b='"'/><s:g >€ &amp; <![CDATA[<g>]]><g>ü</g ></s:g></svg>"""
    assert [
        (part.name, text[part.start : part.inside], text[part.start : part.end]) for part in parts(text)
    ] == [
        ("", "<!-- é <image/> -->", "<!-- é <image/> -->"),
        ("svg", "<svg>", text[text.index("<svg") :]),
        ("g", '<g a="1>0" b=\'"\'/>', '<g a="1>0" b=\'"\'/>'),
        ("g", "<s:g >", text[text.index("<s:g") : -6]),
        ("g", "<g>", "<g>ü</g >"),
    ]
    assert parts("<svg><g></svg>") == []
    assert parts('<!DOCTYPE svg [<!ENTITY e "<g/>">]><svg>&e;</svg>') == []


def test_only_what_a_reader_would_show_is_missed() -> None:
    text = '<svg>é<!-- <image href="old.png"/> --><image alt="a>b" href="a.png"/><image href="#b"/></svg>'
    made, missing = with_linked(text, Path("x"), lambda path: b"data" if path == Path("x/a.png") else None)
    assert (made, missing) == (text.replace("a.png", "data:image/png;base64,ZGF0YQ=="), [])
    for words, lost in (("", False), ("<flowSpan> a</flowSpan>", True), ("a", True)):
        flowed = f"<svg><flowRoot><flowRegion/><flowPara>{words}</flowPara><flowPara/></flowRoot></svg>"
        assert (lost_in(flowed, FORMATS["html"]) is not None) is lost
    html = "<foreignObject>a</foreignObject>"
    assert lost_in(f"<svg><switch>{html}<text/></switch></svg>", FORMATS["typst"]) is None
    assert lost_in(f"<svg>{html}</svg>", FORMATS["html"]) is None
    assert "foreignObject" in str(lost_in(f"<svg><switch/>{html}</svg>", FORMATS["typst"]))


# --------------------------------------------------------------------------------------------------
# What is kept


def test_conversions_are_kept_and_damage_is_mended(tmp_path: Path) -> None:
    convert = pictures.converter(FORMATS["docx"], tmp_path)
    first = convert(SVG.encode(), ".svg")
    (kept,) = [path for path in Blobs.of(tmp_path).folder.rglob("*") if path.is_file()]
    when = kept.stat().st_mtime_ns
    assert convert(SVG.encode(), ".svg") == first
    assert kept.stat().st_mtime_ns == when
    for damage in (b"", kept.read_bytes()[:-10], b"x" + kept.read_bytes()):
        kept.write_bytes(damage)
        assert convert(SVG.encode(), ".svg") == first
    assert kept.read_bytes().endswith(first[0])
    os.utime(kept, (0, 0))
    assert Blobs.of(tmp_path).remove(30)[0] == 1
    assert (
        pictures.converter(FORMATS["docx"], tmp_path / "note.md" / "nowhere")(SVG.encode(), ".svg") == first
    )


# --------------------------------------------------------------------------------------------------
# In notes


def test_images_of_a_note(project: Path, files: dict[str, bytes]) -> None:
    for suffix, data in files.items():
        (project / f"a{suffix}").write_bytes(data)
    (project / "linked.svg").write_text(
        BOX.replace("</svg>", '<image xlink:href="a.png" xmlns:xlink="http://www.w3.org/1999/xlink"/>'
                    '<image href="none.png"/></svg>')
    )  # fmt: skip
    (project / "flow.svg").write_text(
        BOX.replace("</svg>", "<flowRoot><flowPara>lost</flowPara></flowRoot></svg>")
    )
    (project / "cut.png").write_bytes(files[".png"][:40])
    (project / "old.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0")
    images = " ".join(f"![{suffix}](a{suffix})" for suffix in files)
    (project / "note.md").write_text(
        f"{images}\n\n![](linked.svg){{fig-alt='linked'}}\n\n![f](flow.svg)\n\n![c](cut.png)\n\n![o](old.eps)\n\n"
        "![Half](a.png){width=50%}\n\n![Two](a.pdf){width=2in}\n"
    )
    outcome = build(project, "html", "pdf", "gfm", "docx", "epub")
    assert said(outcome) == [
        "note.md:3: warning: image linked.svg links to none.png, which is not shown",
        "note.md:5: warning: image flow.svg: its flowed text shows nowhere but in Inkscape; "
        "there, Text > Convert to Text makes it plain",
        "note.md:7: warning: image cut.png cannot be read: failed to decode image (unexpected end of file)",
        "note.md:9: warning: image old.eps: this target cannot show .eps files",
    ]
    output = project / "_build"
    page = (output / "html" / "note.html").read_text()
    assert page.count("<img") == len(files) + 4
    assert 'alt="linked"' in page
    assert page.count("[image missing: ") == 2
    linked = next((output / "html" / "note_files").glob("linked-*.svg")).read_text()
    assert f"data:image/png;base64,{base64.b64encode(files['.png']).decode()}" in linked
    assert 'width="150pt" height="75pt"' in linked
    assert len(PdfReader(output / "pdf" / "note.pdf").pages) >= 1
    github = (output / "gfm" / "note.md").read_text()
    assert re.search(r'<img src="note_files/a-\w+.png" alt="Half" width="50%">', github)
    assert re.search(r'<img src="note_files/a-\w+.svg" alt="Two" width="192">', github)
    for name in ("docx", "epub"):
        with zipfile.ZipFile(output / name / f"note.{name}") as packed:
            assert sum("media/" in entry for entry in packed.namelist()) >= len(files)
    inputs = {Path(item.name).name for item in outcome.inputs}
    assert {"linked.svg", "a.png", "none.png", "cut.png"} <= inputs


# --------------------------------------------------------------------------------------------------
# TikZ

DRAWN = r"""---
header-includes: |
  \usepackage[margin=1in]{geometry}
  \newcommand{\R}{\mathbb{R}}
---

```{.tikz #fig-one caption="A *drawing*" width=60%}
\usetikzlibrary{arrows.meta}
\tikzset{
  box/.style={draw},
}
\node[box] (a) {$x \in \R$ äß};
\draw[-{Stealth}] (a) -- (3,0);
```

```{tikz, fig-plot, fig.cap="Data"}
\draw plot file {data.txt};
```

\begin{figure}
\begin{tikzpicture}\fill[red] (0,0) circle (1);\end{tikzpicture}
\caption{Raw}\label{fig:raw}
\end{figure}

@fig-one, @fig-plot, Figure \ref{fig:raw}, and a diagram:

$$\begin{tikzcd} A \arrow[r] & B \end{tikzcd}$$
"""


@needs("lualatex")
def test_drawings_in_tikz(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "note.md").write_text(DRAWN)
    (project / "data.txt").write_text("0 0\n1 1\n")
    outcome = build(project, "html", "pdf", "docx", "tex")
    assert said(outcome) == []
    page = (project / "_build" / "html" / "note.html").read_text()
    assert re.findall(r'<a href="#fig[-:]\w+"[^>]*>([^<]*)</a>', page) == ["Figure\xa01", "Figure\xa02", "3"]
    assert re.findall(r'src="note_files/((?:fig-\w+|drawing)-\w+\.svg)" (style="width:60.0%")?', page)
    files = list((project / "_build" / "html" / "note_files").glob("*.svg"))
    assert len(files) == 4
    assert all("<path" in file.read_text() for file in files)
    text = PdfReader(project / "_build" / "pdf" / "note.pdf").pages[0].extract_text()
    assert "äß" in text
    tex = (project / "_build" / "tex" / "note.tex").read_text()
    assert "\\begin{tikzcd}" in tex
    assert "\\usepackage{tikz-cd}" in tex
    assert {item.name for item in outcome.inputs} >= {"data.txt"}
    # Drawn once: no LaTeX is needed any more, until something changes.
    monkeypatch.setenv("PATH", str(project))
    assert said(build(project, "html", "pdf", refresh=True)) == []
    (project / "data.txt").write_text("0 0\n2 1\n")
    outcome = build(project, "html")
    assert said(outcome)[0] == "note.md:17: tikz: no LaTeX is installed, which drawings in TikZ need"
    assert outcome.exit_code == 4
    assert "on Debian: apt install" in str(outcome.problems[0])
    assert "\\draw plot file" in re.sub(
        r"<[^>]+>", "", (project / "_build" / "html" / "note.html").read_text()
    )


DIAGRAMS = r"""
$$\begin{tikzcd}[column sep=large, row sep=huge]
A \arrow[r, "f"] \arrow[d, hook, "g"'] \arrow[dr, dashed, "h" description] & B \arrow[d, two heads, "k"] \\
C \arrow[r, equal] \arrow[r, bend right, Rightarrow, "m"] & D \arrow[loop right, "n"]
\end{tikzcd}$$

$$\begin{tikzcd}
P \ar[r, shift left, harpoon, "p"] \ar[r, shift right, harpoon', "q"'] & Q \rar[tail]{u} \dar[tail] & R \\
S \ar[ur, phantom, "\lrcorner", very near start] \ar[r, mapsto, crossing over] & T \ar[r, no head, dotted, blue] & U
\end{tikzcd}$$
"""


@needs("lualatex")
def test_arrows_of_tikz_cd(project: Path) -> None:
    """Those of its manual, in the browser, in Typst's PDF and in LaTeX's."""
    (project / "note.md").write_text(DIAGRAMS)
    for overrides in ((), (("pdf_engine", "lualatex"),)):
        assert said(build(project, "html", "pdf", overrides=overrides)) == []
        text = PdfReader(project / "_build" / "pdf" / "note.pdf").pages[0].extract_text()
        assert set("ABCDPQRSTU") <= {*text}
        assert set("fghkmnpqu") <= {*unicodedata.normalize("NFKC", text)}
    (page,) = (project / "_build" / "html").glob("note.html")
    assert page.read_text().count("<img") == 2


@needs("pdflatex")
def test_mistakes_in_tikz_have_their_lines(project: Path) -> None:
    (project / "note.md").write_text(
        "```{.tikz caption='x'}\n\\draw (0,0) -- (1,1);\n\\draw[nosuch] (0,0) -- (1,1);\n```\n\n"
        "> ```tikz\n> \\draw (0,0) node {\\foo};\n> ```\n\n"
        "```{.tikz captoin='x'}\n\\usepackage{nosuchpackage}\n\\draw (0,0) -- (1,1);\n```\n\n"
        "```{.tikz}\n\\input{/etc/hostname}\n\\draw (0,0) -- (1,1);\n```\n\n"
        "````\n```tikz\n\\draw (0,0) node {\\foo};\n```\n````\n"
    )
    outcome = build(project, "html", overrides=(("pdf_engine", "pdflatex"),))
    *first, last = [re.sub(r"(?<='/tikz/nosuch').*", "", text) for text in said(outcome)]
    assert first == [
        "note.md:10: unknown option 'captoin' of a drawing",
        "note.md:3: tikz: I do not know the key '/tikz/nosuch'",
        "note.md:7: tikz: LaTeX does not know \\foo",
        "note.md:11: tikz: File `nosuchpackage.sty' not found",
    ]
    assert re.match(r"note\.md:16: tikz: File `/etc/hostname\S*' not found", last)
    assert outcome.exit_code == 2
    page = re.sub(r"<[^>]+>", "", (project / "_build" / "html" / "note.html").read_text())
    assert "tikz: line 3: I do not know the key" in page
    assert "\\draw[nosuch]" in page


# --------------------------------------------------------------------------------------------------
# Dark pages

PLOT = """<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20"><defs><style>.a{stroke:#000}</style></defs>
<path d="M0 0h20v20h-20z" style="fill: #ffffff"/><path d="M1 1h9" style="fill: none; stroke: #000000"/>
<rect id="pale" fill="#fff" width="5" height="5"/><path id="navy" fill="navy" d="M1 1h3v3z"/><text>black</text>
<path id="blue" stroke="rgb(31, 119, 180)" d="M1 1h3"/><mask id="m"><rect fill="white" width="5" height="5"/></mask>
<g id="QuadMesh_1"><path style="fill: #440154"/><path style="fill: #3b528b"/><path style="fill: #21918c"/>
<path style="fill: #5ec962"/><path style="fill: #000000"/></g><image width="9" href="data:image/png;base64,AA=="/>
</svg>"""


def test_colours_for_a_dark_page() -> None:
    made = darken.darkened(PLOT.encode()).decode()
    assert made.startswith('<svg fill="#e3e5e9" ')  # what says no colour is black
    assert '<path d="M0 0h20v20h-20z" style="fill: none"/>' in made
    assert "fill: none; stroke: #e3e5e9" in made
    assert ".a{stroke:#e3e5e9}" in made
    assert 'id="pale" fill="#16181c"' in made
    navy, blue = (
        tuple(bytes.fromhex(re.search(rf'id="{name}" \w+="#(\w+)"', made)[1])) for name in ("navy", "blue")
    )
    for colour in (navy, blue):
        assert darken.contrast(colour, darken.PAGE) >= darken.READABLE
        assert max(colour) == colour[2]
    assert '<mask fill="#000000" id="m"><rect fill="white"' in made
    assert PLOT[PLOT.index('<g id="QuadMesh') :] in made


def test_dark_pairs_in_pages(project: Path) -> None:
    (project / "a.svg").write_text(BOX)
    (project / "b.svg").write_text(BOX.replace("red", "black"))
    block = f"```{{.python #fig-a fig-cap='One'}}\nfrom IPython.display import SVG\nSVG('''{PLOT}''')\n```\n"
    own = '![a](a.svg){fig-dark="b.svg"}\n\n![b](b.svg){fig-dark=true}\n\n![c](a.svg){fig-dark="none.svg"}\n'
    (project / "note.md").write_text(f"---\nfitnotes:\n  fig-dark: true\n---\n\n{block}\n{own}")
    outcome = build(project, "html", "gfm")
    assert said(outcome) == ["note.md:21: warning: image none.svg: not found"]
    assert {"b.svg", "none.svg"} <= {item.name for item in outcome.inputs}
    folder = project / "_build" / "html"
    page = (folder / "note.html").read_text()
    pairs = re.findall(
        r'<picture><source media="\(prefers-color-scheme: dark\)" srcset="([^"]+)"><img src="([^"]+)"', page
    )
    assert len(pairs) == 3
    for dark, light in pairs:
        assert (folder / dark).read_text() != (folder / light).read_text()
    assert "#e3e5e9" in (folder / pairs[2][0]).read_text()
    assert "fig-dark" not in page
    assert "fig-dark" not in (project / "_build" / "gfm" / "note.md").read_text()
    assert said(build(project, "html", embed=True)) == said(outcome)
    sources = re.findall(r'srcset="data:image/svg\+xml;base64,([^"]+)"', (folder / "note.html").read_text())
    assert [base64.b64decode(source)[:4] for source in sources] == [b"<svg"] * 3
    # Only what is shown changes: the block does not run again.
    (project / "note.md").write_text(f"{block}\n![a](a.svg)\n")
    outcome = build(project, "html")
    assert (outcome.ran, outcome.reused) == (0, 1)
    assert "<picture>" not in (folder / "note.html").read_text()


def test_the_same_drawing_gives_the_same_bytes() -> None:
    drawing = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><path d="M0 0h9v9z"/></svg>'
    made = pictures.svg_to_pdf(drawing)
    assert b"CreationDate" not in made
    time.sleep(1.1)
    assert pictures.svg_to_pdf(drawing) == made


def test_a_store_that_cannot_be_written_costs_no_page(fitnotes: Run, write, project: Path) -> None:
    write(".fitnotes", "a file, no folder")
    write("a.md", "$x^2$ and `{python} 20 + 1`\n")
    done = fitnotes("build", "a.md", "--to", "html", "--to", "pdf")
    assert done.returncode == 0, done.stderr
    assert "results cannot be stored in .fitnotes/results" in done.stderr
    assert "and 21" in (project / "_build/html/a.html").read_text()
