"""A note as an HTML page that works from a server and by double click, and asks no network for anything."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import panflute as pf

from fitnotes.document import nodes, pandoc
from fitnotes.document.read import Document
from fitnotes.document.tree import Change, Elements, dump, walk
from fitnotes.draw import mathjax, pictures
from fitnotes.draw.media import Media, remove_old
from fitnotes.errors import Problem
from fitnotes.execute.result import Result
from fitnotes.passes import callouts
from fitnotes.passes.dressing import dress
from fitnotes.passes.page import Page, Place, compose, converter_warnings, formula_problem, relative_prefix
from fitnotes.store.files import write_atomically
from fitnotes.tex.environments import take_labels

ASSETS = "_assets"
SCRIPT = "tex-svg-full.js"  # with every extension inside: nothing is loaded later

# 'self' does not cover file: in every browser; file: in a page on a server gives access to nothing.
POLICY = (
    "default-src 'none'; script-src 'self' file:; style-src 'self' file: 'unsafe-inline'; "
    "img-src 'self' file: data:; font-src 'self' file: data:; base-uri 'none'; form-action 'none'"
)
EMBEDDED_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' data:; style-src 'unsafe-inline' data:; "
    "img-src data:; font-src data:; base-uri 'none'; form-action 'none'"
)


STYLE_AND_SCRIPT = ("fitnotes.css", "fitnotes.js")


def asset_names(script: bool) -> tuple[str, ...]:
    return (*STYLE_AND_SCRIPT, *([SCRIPT] if script else []))


def install_assets(folder: Path, *, script: bool) -> None:
    """Copies the style, and MathJax where it is wanted, beside the pages, unless they are there already."""
    wanted = {name: pandoc.template(name) for name in STYLE_AND_SCRIPT}
    if script:
        wanted[SCRIPT] = mathjax.folder() / SCRIPT
    for name, source in wanted.items():
        target = folder / name
        if (
            target.is_file()
            and target.stat().st_size == source.stat().st_size
            and (name == SCRIPT or target.read_bytes() == source.read_bytes())
        ):
            continue
        write_atomically(target, source.read_bytes())


def formulas_of(page: Page) -> list[tuple[str, bool]]:
    """Every (TeX, display?) of a page, each once."""
    found: dict[tuple[str, bool], None] = {}
    walk(
        page.doc,
        lambda e: found.setdefault((e.text, e.format == "DisplayMath")) and None,
        pf.Math,
        metadata=True,
    )
    return list(found)


class Check(threading.Thread):
    """Finds the formulas that MathJax cannot typeset, while pandoc writes the page.

    Those known to be good are kept in the file ``known``.
    """

    def __init__(self, page: Page, formulas: list[tuple[str, bool]], known: Path, extra: list[str]) -> None:
        super().__init__()
        self.page, self.known, self.extra = page, known, extra
        good = set(known.read_text(encoding="ascii", errors="replace").split()) if known.is_file() else set()
        start = repr(extra)
        names = {f: hashlib.sha256(f"{start}{f[1]}{f[0]}".encode()).hexdigest()[:20] for f in formulas}
        self.fresh = {f: name for f, name in names.items() if name not in good}
        self.errors: list[str] = []
        self.raised: Exception | None = None

    def run(self) -> None:
        try:
            self.errors = mathjax.check(list(self.fresh), self.extra)
        except Exception as error:
            self.raised = error

    def report(self) -> None:
        """Waits, and puts what was found among the page's problems. Raises MissingProgram."""
        if self.is_alive():
            self.join()
        if self.raised is not None:
            raise self.raised
        passed = []
        for (formula, name), error in zip(self.fresh.items(), self.errors, strict=True):
            if error:
                formula_problem(self.page, formula[0], error)
            else:
                passed.append(name)
        if passed:
            self.known.parent.mkdir(parents=True, exist_ok=True)
            with open(self.known, "a", encoding="ascii") as file:
                file.write("".join(name + "\n" for name in passed))


def set_formulas(page: Page, mode: str, extra: list[str]) -> None:
    """Formulas as typeset pictures with MathML beside them (``static``), or as MathML alone."""
    formulas = formulas_of(page)
    glyphs = ""
    if mode == "static":
        found, glyphs = mathjax.static(formulas, extra)
    else:
        found = mathjax.mathml(formulas, extra)
    known = dict(zip(formulas, found, strict=True))
    for formula, made in known.items():
        if made.error:
            formula_problem(page, formula[0], made.error)

    def put(element: pf.Element) -> Change:
        display = element.format == "DisplayMath"
        made = known[element.text, display]
        source = html.escape(element.text)
        if made.error:
            return nodes.error(pf.Code(element.text))
        mathml = made.mathml.replace("<math ", f'<math alttext="{source}" ', 1)
        kind = "display" if display else "inline"
        if mode == "static":
            svg = made.svg.replace("<svg ", '<svg aria-hidden="true" ', 1)
            wide = ' class="full"' if 'width="100%"' in svg[:300] else ""
            text = f'<span{wide}>{svg}</span><span class="assistive">{mathml}</span>'
        else:
            text = mathml
        return pf.RawInline(f'<span class="math {kind} {mode}">{text}</span>', format="html")

    walk(page.doc, put, pf.Math, metadata=True)
    if glyphs:  # what the pictures share
        block = pf.RawBlock(f'<svg class="glyphs" aria-hidden="true">{glyphs}</svg>', format="html")
        page.doc.content.insert(0, block)


def _page_break(block: bool) -> pf.Element:
    text = '<div class="page-break"></div>' if block else '<span class="page-break"></span>'
    return pf.RawBlock(text, format="html") if block else pf.RawInline(text, format="html")


def _full_bars(text: str) -> str:
    r"""MathJax sets ``\left\|x\right\|`` with bars that are shorter than a line; a strut makes them whole."""
    return re.sub(r"(\\left\s*\\(?:\||[lr]?Vert(?![A-Za-z])))", r"\1\\mathstrut ", text)


def anchor_formulas(page: Page) -> None:
    """Labels out of the formulas and into the page, where any link finds them."""

    def visit(element: pf.Element) -> Change:
        text, labels = take_labels(element.text)
        element.text = _full_bars(text)
        whole = element
        for label in reversed(labels):
            whole = pf.Span(whole, identifier=label, classes=["equation"])
        return whole if labels else None

    walk(page.doc, visit, pf.Math, metadata=True)


def _row(columns: list[Elements], widths: list[float]) -> Elements:
    # Raw tags: of a Div that begins with a heading pandoc would make a section.
    start, end = pf.RawBlock("<div>", format="html"), pf.RawBlock("</div>", format="html")
    cells = [block for column in columns for block in (start, *column, end)]
    # The widths stand in a variable, so that a narrow screen can do without them.
    style = f"--columns: {' '.join(f'minmax(0, {width:g}fr)' for width in widths)}"
    return [pf.Div(*cells, classes=["layout"], attributes={"style": style})]


def _callout(kind: str, title: Elements, content: Elements, element: pf.Element) -> Elements:
    classes = " ".join(element.classes)
    name = f' id="{html.escape(element.identifier)}"' if element.identifier else ""
    if "collapse" not in element.attributes:
        head = pf.Div(pf.Plain(*title), classes=[nodes.TITLE])
        return [pf.Div(head, *content, identifier=element.identifier, classes=list(element.classes))]
    opened = " open" if element.attributes["collapse"].lower() == "false" else ""
    start = f'<details class="{classes}"{name}{opened}><summary class="{nodes.TITLE}">'
    return [
        pf.RawBlock(start, format="html"),
        pf.Plain(*title),
        pf.RawBlock("</summary>", format="html"),
        *content,
        pf.RawBlock("</details>", format="html"),
    ]


def _tabs(tabs: list[callouts.Tab]) -> Elements:
    """Tabs that need no script: a radio button for each, and a style that shows the panel behind the chosen."""
    group = "tabs-" + hashlib.sha256(repr([pf.stringify(e) for _, _, e in tabs]).encode()).hexdigest()[:8]
    made: Elements = []
    for n, (title, content, element) in enumerate(tabs, 1):
        name = f"{group}-{n}"
        chosen = " checked" if n == 1 else ""
        made += [
            pf.RawBlock(
                f'<input type="radio" name="{group}" id="{name}"{chosen}><label for="{name}">', format="html"
            ),
            pf.Plain(*title),
            pf.RawBlock("</label>", format="html"),
            pf.Div(*content, identifier=element.identifier, classes=[nodes.TAB]),
        ]
    return [pf.Div(*made, classes=[nodes.TABSET])]


def dress_html(page: Page) -> None:
    """`dress`, for all pages of HTML."""
    tabs = _tabs if page.target == "html" else None
    dress(page, page_break=_page_break, row=_row, box=_callout, tabs=tabs)
    anchor_formulas(page)


def pair_images(page: Page, *, embed: bool) -> None:
    """An image that has another for dark pages as a pair, of which the browser shows one."""

    def visit(element: pf.Element) -> Change:
        dark = element.attributes.pop(nodes.DARK, "")
        if not dark:
            return None
        if embed:  # pandoc does not look into a srcset
            data = page.media.files[dark.removeprefix(page.media.prefix)].read_bytes()
            kind = "svg+xml" if dark.endswith(".svg") else dark.rpartition(".")[2].replace("jpg", "jpeg")
            dark = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
        source = f'<source media="(prefers-color-scheme: dark)" srcset="{html.escape(dark)}">'
        start, end = f"<picture>{source}", "</picture>"
        return [pf.RawInline(start, format="html"), element, pf.RawInline(end, format="html")]

    walk(page.doc, visit, pf.Image)


def write_html(
    document: Document,
    results: Mapping[int, Result],
    target: Path,
    assets: Path,
    *,
    embed: bool,
    place: Place,
    known_formulas: Path,
) -> Page:
    """Writes ``target`` and its files. Raises ConversionError; the page that was there stays then."""
    with tempfile.TemporaryDirectory(prefix="fitnotes-") as scratch:
        files = Path(scratch) / "files" if embed else target.parent / f"{target.stem}_files"
        prefix = f"{files}/" if embed else f"{quote(target.stem)}_files/"
        media = Media(files, prefix, convert=pictures.converter("html", place.root), dark=True)
        page = compose(document, results, "html", media, place)
        dress_html(page)
        pair_images(page, embed=embed)
        title = page_title(page)
        extra = mathjax.packages(page.preamble.tex)
        formulas = formulas_of(page)
        mode = document.settings.math
        check = Check(page, formulas if mode == "mathjax" else [], known_formulas, extra)
        if check.fresh:
            check.start()
        if formulas and mode != "mathjax":
            set_formulas(page, mode, extra)
        folder = assets if not embed else Path(scratch) / ASSETS
        script = bool(formulas) and mode == "mathjax"
        scripts = mode == "mathjax"
        install_assets(folder, script=script)
        prefix_of_assets = f"{folder}/" if embed else quote(relative_prefix(folder, target.parent))
        args = [
            "--standalone",
            "--mathjax",
            f"--template={pandoc.template('fitnotes.html')}",
            "--wrap=none",
            "--variable", f"policy={EMBEDDED_POLICY if embed else POLICY}",
            "--variable", f"assets={prefix_of_assets}",
            "--metadata", f"pagetitle={title}",
        ]  # fmt: skip
        args += ["--variable", "script"] * scripts
        if script:
            args += ["--variable", f"formulas={SCRIPT}"]
            args += [a for name in extra for a in ("--variable", f"mathjax-package={name}")]
        args += [a for text in _head(page) for a in ("--variable", f"head={text}")]
        args += ["--number-sections"] * page.numbered
        if document.settings.toc and page.asks("toc", True) and page.headings > 2:
            args += ["--toc", "--toc-depth=3"]
        if embed:
            args += ["--embed-resources"]
        output = pandoc.write(dump(page.doc), "html5", args, cwd=document.note.path.parent)
        converter_warnings(page, output.warnings)
        check.report()
        write_atomically(target, output.text.encode("utf-8", "replace"))
        remove_old(target.parent / f"{target.stem}_files", set() if embed else set(media.files))
    return page


def _head(page: Page) -> list[str]:
    """What the note's header wants in the head of its page; scripts and what lies on the network stay out."""
    kept = []
    for text in page.preamble.html:
        rest = re.sub(r"(?is)<script\b.*?</script>|<link\b[^>]*>", "", text)
        if rest != text:
            note = page.document.note
            message = "a script or link in the header is left out: pages load nothing from elsewhere"
            line = note.line_of(text)
            page.problems.append(Problem("head", message, note.shown, line))
        kept += [rest.strip()] if rest.strip() else []
    return kept


def page_title(page: Page) -> str:
    """The words for the browser's tab; a formula in them as its signs."""
    metadata = page.doc.metadata.content
    for key in ("pagetitle", "title"):
        if key in metadata and (text := _signs(metadata[key]).strip()):
            return text
    for block in page.doc.content:
        if isinstance(block, pf.Header):
            return _signs(block)
    return page.document.note.path.stem


def _signs(element: pf.Element) -> str:
    tex: list[str] = []
    walk(element, lambda e: tex.append(e.text), pf.Math)
    text = str(pf.stringify(element))
    for formula, made in zip(tex, mathjax.mathml([(t, False) for t in tex]), strict=True):
        signs = re.sub(r"<[^>]+>", "", made.mathml)
        text = text.replace(formula, html.unescape(signs) or formula, 1)
    return text
