"""A note as an HTML page that works from a server and by double click, and asks no network for anything."""

from __future__ import annotations

import base64
import copy
import html
import re
from pathlib import Path
from urllib.parse import quote

import panflute as pf

from fitnotes.document import nodes, pandoc
from fitnotes.document.tree import Change, collect, dump, walk
from fitnotes.draw import pictures
from fitnotes.draw.media import Media, remove_old
from fitnotes.passes.page import Page, relative_prefix
from fitnotes.passes.pipeline import compose, take
from fitnotes.store.files import write_atomically
from fitnotes.store.scratch import scratch_folder
from fitnotes.targets.html import HTML
from fitnotes.targets.html.assets import SCRIPT, asset_names, install_assets
from fitnotes.targets.html.formulas import FormulaCheck, formulas_of, set_formulas
from fitnotes.targets.html.look import BROWSER, STEPS
from fitnotes.targets.html.policy import (
    keep_outside,
    new_mark,
    place_media,
    plain_attributes,
    policy,
    say_blocked,
    secured,
)
from fitnotes.targets.html.title import page_title
from fitnotes.targets.registry import ASSETS, Job


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


def _order_notes(page: Page) -> None:
    """Pandoc numbers footnotes of the header by the names of its keys. Those of the title stand first on the page: what
    has notes goes under names whose order is that of the page."""
    metadata = page.doc.metadata.content
    shown = [key for key in ("title", "subtitle", "author", "date", "abstract") if key in metadata]
    if not any(collect(metadata[key], pf.Note) for key in shown):
        return
    for n, key in enumerate(("title", "subtitle", "author", "date", "abstract"), 1):
        if key in metadata:
            metadata[f"heading-{n}-{key}"] = copy.deepcopy(metadata[key])
            walk(metadata[key], lambda note: [], pf.Note)


def write(job: Job) -> Page:
    """Writes a page and its files. Raises ConversionError; the page that was there stays then."""
    target, document, embed = job.page, job.document, job.embed
    with scratch_folder() as scratch:
        files = scratch / "files" if embed else target.parent / f"{target.stem}_files"
        prefix = f"{files}/" if embed else f"{quote(target.stem)}_files/"
        media = Media(files, prefix, convert=pictures.converter(HTML, job.place.root), dark=True)
        page = compose(document, job.results, HTML, media, job.place, look=BROWSER)
        take(page, STEPS)
        place_media(page)
        say_blocked(page)
        _order_notes(page)
        if embed:
            keep_outside(page)
        pair_images(page, embed=embed)
        folder = job.assets if not embed else scratch / ASSETS
        text = _text(page, job, folder)
        write_atomically(target, text.encode("utf-8", "replace"))
        remove_old(target.parent / f"{target.stem}_files", set() if embed else set(media.files))
    if not embed:
        page.beside = [*media.files.values(), *(folder / name for name in asset_names(page.has_maths))]
    return page


def _text(page: Page, job: Job, assets: Path) -> str:
    """The page as pandoc writes it. Formulas are checked meanwhile."""
    title = page_title(page)
    formulas = formulas_of(page)
    mode = job.document.settings.math
    scripts = mode == "mathjax"
    check = FormulaCheck(page, formulas if scripts else [], job.formulas, page.packages)
    if check.fresh:
        check.start()
    if formulas and not scripts:
        set_formulas(page, mode, page.packages)
    install_assets(assets, script=bool(formulas) and scripts)
    prefix = f"{assets}/" if job.embed else quote(relative_prefix(assets, job.page.parent))
    mark = new_mark()
    plain_attributes(page)
    args = [
        "--standalone",
        "--mathjax",
        f"--template={pandoc.template('fitnotes.html')}",
        "--wrap=none",
        "--variable", f"policy={policy(page.allow, embed=job.embed)}",
        "--variable", f"own= {mark}",
        "--variable", f"assets={prefix}",
        "--metadata", f"pagetitle={title}",
    ]  # fmt: skip
    args += ["--variable", "script"] * scripts
    if formulas and scripts:
        args += ["--variable", f"formulas={SCRIPT}"]
        args += [a for name in page.packages for a in ("--variable", f"mathjax-package={name}")]
    args += [a for text in _head(page) for a in ("--variable", f"head={text}")]
    args += ["--number-sections"] * page.numbered
    args += page.contents(2, 3)
    args += ["--embed-resources"] * job.embed
    reads = [*page.folders, assets] if job.embed else None
    output = pandoc.write(dump(page.doc), "html5", args, cwd=page.note.path.parent, reads=reads)
    page.converter_warnings(output.warnings)
    check.report()
    inside = (
        [file for name in ("fitnotes.js", SCRIPT) if (file := assets / name).is_file()] if job.embed else []
    )
    return secured(page, output.text, mark, inside)


def _head(page: Page) -> list[str]:
    """What the note's header wants in the head of its page; scripts and what lies on the network stay out."""
    kept = []
    for text in page.preamble.html:
        rest = re.sub(r"(?is)<script\b.*?</script>|<link\b[^>]*>", "", text)
        if rest != text:
            message = "a script or link in the header is left out: pages load nothing from elsewhere"
            page.say("head", message, page.note.line_of(text))
        kept += [rest.strip()] if rest.strip() else []
    return kept
