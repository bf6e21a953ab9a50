"""A note as an HTML page that works from a server and by double click, and asks no network for anything."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fitnotes import pandoc
from fitnotes.errors import Problem
from fitnotes.execute.cache import Result, write_atomically
from fitnotes.read import Document
from fitnotes.render import crossrefs, mathjax, maths, rawtex
from fitnotes.render.media import Media
from fitnotes.render.page import (
    Page,
    bibliography,
    compose,
    converter_warnings,
    formula_line,
    relative_prefix,
)

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


def asset_names() -> tuple[str, ...]:
    return (*STYLE_AND_SCRIPT, SCRIPT)


def install_assets(folder: Path) -> None:
    """Copies style, script and MathJax beside the pages, where they are not there already."""
    wanted = {name: pandoc.template(name) for name in STYLE_AND_SCRIPT}
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


def check_formulas(page: Page, known: Path) -> None:
    """Reports every formula that MathJax cannot typeset. Those known to be good are kept in ``known``."""
    import panflute as pf

    formulas: dict[tuple[str, bool], None] = {}

    def collect(element: Any, doc: Any) -> None:
        if isinstance(element, pf.Math):
            formulas.setdefault((element.text, element.format == "DisplayMath"), None)

    pandoc.walk(page.doc, collect)
    names = {f: hashlib.sha256(json.dumps(f).encode()).hexdigest()[:20] for f in formulas}
    good = set(known.read_text(encoding="ascii", errors="replace").split()) if known.is_file() else set()
    fresh = [f for f in formulas if names[f] not in good]
    if not fresh:
        return
    note = page.document.note
    passed = []
    for formula, result in zip(fresh, mathjax.typeset(fresh), strict=True):
        if not result.error:
            passed.append(names[formula])
            continue
        shown = " ".join(formula[0].split())
        message = f"formula {shown[:80]}: MathJax says: {result.error}"
        page.problems.append(
            Problem("error", message, note.shown, formula_line(page, formula[0]), exit_code=1)
        )
    if passed:
        known.parent.mkdir(parents=True, exist_ok=True)
        with open(known, "a", encoding="ascii") as file:
            file.write("".join(name + "\n" for name in passed))


def _page_break(block: bool) -> Any:
    import panflute as pf

    text = '<div class="page-break"></div>' if block else '<span class="page-break"></span>'
    return pf.RawBlock(text, format="html") if block else pf.RawInline(text, format="html")


def _full_bars(page: Page) -> None:
    r"""MathJax sets ``\left\|x\right\|`` with bars that are shorter than a line; a strut makes them whole."""
    import panflute as pf

    def visit(element: Any, doc: Any) -> None:
        if isinstance(element, pf.Math):
            element.text = re.sub(
                r"(\\left\s*\\(?:\||[lr]?Vert(?![A-Za-z])))", r"\1\\mathstrut ", element.text
            )

    page.doc.walk(visit)


def references(page: Page) -> None:
    """Every kind of reference as a link; MathJax makes those to equations itself."""
    import panflute as pf

    known = page.maths.equations

    def equation(label: str, bare: bool) -> Any:
        link = pf.Math(f"\\eqref{{{label}}}", format="InlineMath")
        return link if bare else pf.Span(pf.Str(f"Equation{crossrefs.NO_BREAK}"), link)

    def tex_reference(command: str, label: str) -> Any:
        if label in known:
            return pf.Math(f"\\{'ref' if command == 'ref' else 'eqref'}{{{label}}}", format="InlineMath")
        return crossrefs.plain_reference(page.document.note, page.refs, command, label)

    rawtex.replace_raw(page.doc, page_break=_page_break, reference=tex_reference)
    crossrefs.resolve(page.doc, page.document.note, page.refs, known, equation)


def write_html(
    document: Document,
    results: Mapping[int, Result],
    target: Path,
    assets: Path,
    *,
    embed: bool,
    base: Path,
    known_formulas: Path,
) -> Page:
    """Writes ``target`` and its files. Raises ConversionError; the page that was there stays then."""
    with tempfile.TemporaryDirectory(prefix="fitnotes-") as scratch:
        files = Path(scratch) / "files" if embed else target.parent / f"{target.stem}_files"
        prefix = f"{files}/" if embed else f"{quote(target.stem)}_files/"
        media = Media(files, prefix, convert=_browsers_show)
        page = compose(document, results, "html", media, base)
        maths.expand_all(page.doc, document.note, page.maths)
        _full_bars(page)
        references(page)
        crossrefs.caption_prefixes(page.doc, page.refs)
        has_maths = page.has_maths
        if has_maths:
            check_formulas(page, known_formulas)
        folder = assets if not embed else Path(scratch) / ASSETS
        install_assets(folder)
        prefix_of_assets = f"{folder}/" if embed else quote(relative_prefix(folder, target.parent))
        args = [
            "--standalone",
            "--mathjax",
            f"--template={pandoc.template('fitnotes.html')}",
            "--wrap=none",
            "--variable", f"policy={EMBEDDED_POLICY if embed else POLICY}",
            "--variable", f"assets={prefix_of_assets}",
            "--metadata", f"pagetitle={_title(page)}",
            *bibliography(page),
        ]  # fmt: skip
        if has_maths:
            args += ["--variable", f"formulas={SCRIPT}"]
        args += ["--number-sections"] * page.asks("number-sections", False)
        if document.settings.toc and page.asks("toc", True) and page.headings > 2:
            args += ["--toc", "--toc-depth=3"]
        if embed:
            args += ["--embed-resources"]
        output = pandoc.write(pandoc.dump(page.doc), "html5", args, cwd=document.note.path.parent)
        converter_warnings(page, output.warnings)
        write_atomically(target, output.text.encode("utf-8", "replace"))
        remove_old(target.parent / f"{target.stem}_files", set() if embed else set(media.files))
    return page


def _title(page: Page) -> str:
    import panflute as pf

    metadata = page.doc.metadata.content
    for key in ("pagetitle", "title"):
        if key in metadata and (text := pf.stringify(metadata[key]).strip()):
            return str(text)
    for block in page.doc.content:
        if isinstance(block, pf.Header):
            return str(pf.stringify(block))
    return page.document.note.path.stem


def _browsers_show(data: bytes, suffix: str) -> tuple[bytes, str] | None:
    if suffix in (".pdf", ".eps", ".ps", ".tif", ".tiff"):
        return None
    if suffix == ".svg" and data.lstrip()[:5] != b"<svg ":
        start = data.find(b"<svg")
        return (
            (data[start:], suffix) if 0 < start < 5000 and b"<!ENTITY" not in data[:start] else (data, suffix)
        )
    return data, suffix


def remove_old(files: Path, keep: set[str]) -> None:
    """Takes away the files of an earlier page: those with a hash in their name that this one does not use."""
    if not files.is_dir():
        return
    for path in files.iterdir():
        if path.name not in keep and re.search(r"-[0-9a-f]{10}\.\w+$", path.name):
            path.unlink(missing_ok=True)
    if not any(files.iterdir()):
        shutil.rmtree(files, ignore_errors=True)
