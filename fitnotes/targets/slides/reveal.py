"""A note as a deck in one HTML file: reveal.js, the formulas set when built, nothing asked of any network."""

from __future__ import annotations

import contextlib
import html
import importlib.util
import re
from pathlib import Path

import panflute as pf

from fitnotes.document import nodes, pandoc
from fitnotes.document.tree import Elements, dump, walk
from fitnotes.draw import pictures
from fitnotes.draw.media import Media
from fitnotes.errors import ConversionError, MissingProgram
from fitnotes.passes.page import Page
from fitnotes.passes.pipeline import compose, take
from fitnotes.store.files import write_atomically
from fitnotes.store.inputs import file_hash
from fitnotes.store.scratch import scratch_folder
from fitnotes.targets.html import HTML
from fitnotes.targets.html.formulas import set_formulas
from fitnotes.targets.html.look import BROWSER, STEPS
from fitnotes.targets.html.policy import (
    keep_outside,
    new_mark,
    plain_attributes,
    policy,
    say_blocked,
    secured,
)
from fitnotes.targets.html.title import page_title
from fitnotes.targets.registry import Job
from fitnotes.targets.slides.deck import Slide, colours, is_dark, lone_image, say_full, size, split
from fitnotes.targets.slides.paged import measure


def reveal() -> Path:
    """The folder of reveal.js's own files. Raises MissingProgram."""
    spec = importlib.util.find_spec("pyreveal")
    if spec is None or spec.origin is None:
        raise MissingProgram("reveal.js is not installed", hint="pip install pyreveal")
    return Path(spec.origin).parent / "revealjs" / "dist"


def write(job: Job) -> Page:
    """Writes a deck with everything inside. Raises ConversionError, MissingProgram."""
    with scratch_folder() as scratch:
        files = scratch / "files"
        media = Media(files, f"{files}/", convert=pictures.converter(HTML, job.place.root))
        page = compose(job.document, job.results, HTML, media, job.place, look=BROWSER, deck=True)
        take(page, STEPS)
        say_blocked(page)
        keep_outside(page)
        script = reveal() / "reveal.js"  # another version of it makes other decks
        media.inputs[str(script)] = file_hash(script)
        title = page_title(page)
        set_formulas(page, "static", page.packages)
        glyphs = _take_glyphs(page)
        page.doc.content = _sections(page, split(page))
        width, height = size(page)
        assets = f"{pandoc.data_dir() / 'templates'}/"
        mark = new_mark()
        plain_attributes(page)
        scripts = [script, script.parent / "plugin" / "notes.js", Path(assets) / "fitnotes-slides.js"]
        args = [
            "--standalone", "--wrap=none", "--embed-resources",
            f"--template={pandoc.template('fitnotes-slides.html')}",
            "--variable", f"policy={policy(page.allow, embed=True, deck=True)}",
            "--variable", f"own= {mark}",
            "--variable", f"assets={assets}",
            "--variable", f"reveal={reveal()}/",
            "--variable", f"width={width}", "--variable", f"height={height}",
            "--metadata", f"pagetitle={title}",
        ]  # fmt: skip
        args += [a for text in _styles(page) for a in ("--variable", f"head={text}")]
        args += ["--variable", f"glyphs={glyphs}"] * bool(glyphs)
        output = pandoc.write(
            dump(page.doc), "html5", args, cwd=page.note.path.parent, reads=[*page.folders, reveal()]
        )
        page.converter_warnings(output.warnings)
        text = secured(page, output.text, mark, scripts)
        write_atomically(job.page, text.encode("utf-8", "replace"))
    # No browser is at hand when a deck is built: what is over-full, Typst says.
    with contextlib.suppress(ConversionError):  # the deck is there; what Typst stops at is said of a PDF
        for one in measure(job):
            say_full(page, one, "it has to be scrolled")
    return page


def _take_glyphs(page: Page) -> str:
    """The shapes that the formulas share, out of the first slide, which is not always shown."""
    first = page.doc.content[0] if len(page.doc.content) else None
    if isinstance(first, pf.RawBlock) and 'class="glyphs"' in first.text[:40]:
        page.doc.content.pop(0)
        return str(first.text)
    return ""


def _styles(page: Page) -> list[str]:
    """Marp's ``style:``, for this deck alone."""
    style = page.marp.get("style", "")
    return [f"<style>\n{_local(style)}\n</style>"] if style.strip() else []


def _local(style: str) -> str:
    """A style without what would be asked of the network."""
    style = re.sub(r"@import[^;]*;?", "", style.replace("</", "<\\/"))
    return re.sub(r"url\(\s*['\"]?(?:https?:)?//[^)]*\)", "none", style)


def _raw(text: str) -> pf.Element:
    return pf.RawBlock(text, format="html")


def _sections(page: Page, slides: list[Slide]) -> Elements:
    made = _title_section(page)
    for n, slide in enumerate(slides, 1):
        made += _section(slide, n)
    return made


def _title_section(page: Page) -> Elements:
    """The slide with the title, which Marp does not have."""
    metadata = page.doc.metadata.content
    if page.marp or "title" not in metadata:
        return []
    made = [_raw('<section class="slide title-slide" id="title-slide">')]
    made.append(pf.Header(*_inlines(metadata["title"]), level=1, classes=["title"]))
    for key in ("subtitle", "author", "institute", "date"):
        if key in metadata:
            made.append(pf.Para(*_inlines(metadata[key])))
    if "abstract" in metadata:
        value = metadata["abstract"]
        blocks = list(value.content) if isinstance(value, pf.MetaBlocks) else [pf.Para(*_inlines(value))]
        made += [_raw('<div class="slide-body abstract"><div>'), *blocks, _raw("</div></div>")]
    return [*made, _raw("</section>")]


def _inlines(value: pf.Element) -> Elements:
    if isinstance(value, pf.MetaInlines):
        return list(value.content)
    if isinstance(value, pf.MetaList):
        names = [_inlines(item) for item in value.content]
        return [e for i, name in enumerate(names) for e in ([pf.Str(","), pf.Space()] if i else []) + name]
    return [pf.Str(pf.stringify(value).strip())]


def _section(slide: Slide, number: int) -> Elements:
    made = [_raw(_opening(slide, number))]
    for scoped, text in slide.css:
        rules = f"@scope (#slide-{number}) {{ {_local(text)} }}" if scoped else _local(text)
        made.append(_raw(f"<style>{rules}</style>"))
    if slide.backgrounds:
        made += _pictures_behind(slide)
    if slide.title is not None:
        made.append(slide.title)
    if slide.blocks:
        made += _body(slide)
    made += _edges(slide)
    if slide.notes:
        made += [_raw('<aside class="notes">'), *slide.notes, _raw("</aside>")]
    return [*made, _raw("</section>")]


def _opening(slide: Slide, number: int) -> str:
    """The tag that a slide begins with: its classes, colours and the room of its pictures."""
    classes = ["slide", *slide.classes]
    css = []
    back, words = colours(slide.style, slide.classes)
    css += [f"background-color: {back}"] if back else []
    css += [f"color: {words}; --text: {words}"] if words else []
    if (back and is_dark(back)) or (words and not back and not is_dark(words)):
        classes.append("dark-slide")
    if slide.side:
        classes.append(f"has-{slide.side}")
        css.append(f"--share: {slide.share}%")
    style = f' style="{html.escape("; ".join(css))}"' if css else ""
    behind = f' data-background-color="{back}"' if back else ""
    return f'<section id="slide-{number}" class="{html.escape(" ".join(classes))}"{style}{behind}>'


def _pictures_behind(slide: Slide) -> Elements:
    way = " vertical" if any(image.attributes.get("vertical") for image in slide.backgrounds) else ""
    opening = _raw(f'<div class="slide-bg {slide.side}{way}">')
    images = pf.Plain(*map(_background, slide.backgrounds))  # which takes the attributes that were asked for
    return [opening, images, _raw("</div>")]


def _body(slide: Slide) -> Elements:
    for block in slide.blocks:
        walk(pf.Div(block), _mark_pictures, pf.Para)
        walk(pf.Div(block), _size, pf.Image)
    alone = " alone" if slide.crowd == 0 else ""
    return [_raw(f'<div class="slide-body{alone}"><div>'), *_paused(slide.blocks), _raw("</div></div>")]


def _edges(slide: Slide) -> Elements:
    """The lines at the head and the foot."""
    made: Elements = []
    if head := slide.words("header"):
        made.append(_raw(f'<div class="slide-head">{html.escape(head)}</div>'))
    foot = slide.words("footer")
    if foot or slide.number:
        foot = html.escape(foot)
        made.append(_raw(f'<div class="slide-foot"><span>{foot}</span><span>{slide.number}</span></div>'))
    return made


def _mark_pictures(element: pf.Element) -> None:
    """An image that is a paragraph of its own stands in the middle."""
    image = lone_image(element)
    if image is not None:
        image.classes = [*image.classes, "picture"]


def _size(image: pf.Element) -> None:
    """A size in pixels as style: as an attribute a height alone would mean nothing here."""
    css = []
    for key in ("width", "height"):
        value = image.attributes.get(key, "")
        if re.fullmatch(r"[\d.]+(?:px)?", value):
            css.append(f"{key}: {value.removesuffix('px')}px")
            del image.attributes[key]
    if css:
        image.attributes["style"] = "; ".join([image.attributes.get("style", ""), *css]).strip("; ")


def _background(image: pf.Element) -> pf.Element:
    css = [f"object-fit: {image.attributes.get('fit', 'cover')}"]
    if opacity := image.attributes.get("opacity"):
        css.append(f"opacity: {opacity}")
    if zoom := image.attributes.get("zoom"):
        css.append(f"object-fit: contain; transform: scale({float(zoom) / 100:g})")
    image.attributes.clear()
    image.attributes["style"] = "; ".join(css)
    image.classes = [c for c in image.classes if c != nodes.BACKGROUND]
    return image


def _paused(blocks: Elements) -> Elements:
    """What follows a ``. . .`` comes with the next step."""
    groups: list[Elements] = [[]]
    for block in blocks:
        if nodes.is_pause(block):
            groups.append([])
        else:
            groups[-1].append(block)
    return [*groups[0], *[pf.Div(*group, classes=["fragment"]) for group in groups[1:] if group]]
