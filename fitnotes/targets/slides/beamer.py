"""A note as a PDF deck through an installed LaTeX: its slides as frames of beamer."""

from __future__ import annotations

import re

import panflute as pf

from fitnotes.document import nodes
from fitnotes.document.tree import Change, Elements, walk
from fitnotes.passes.page import Page
from fitnotes.store.files import write_atomically
from fitnotes.store.scratch import scratch_folder
from fitnotes.targets.latex import pdf
from fitnotes.targets.latex.document import latex
from fitnotes.targets.registry import Job
from fitnotes.targets.slides.deck import (
    SIZES,
    Slide,
    colours,
    lone_image,
    overfull,
    say_full,
    scale_pixels,
    size,
    split,
)
from fitnotes.tex.engines import find_engine

PIXEL = 0.356  # pt: a frame is 455 pt wide, a slide 1280 pixels


STEPS = pdf.STEPS


def write(job: Job) -> Page:
    """Raises MissingProgram, ConversionError."""
    find_engine(job.engine)  # before anything is made for it
    with scratch_folder() as folder:
        page = pdf.latex_page(job, folder, deck=True)
        slides = split(page)
        page.doc.content = [block for slide in slides for block in _frame(slide)]
        text = latex(page, _variables(page), beamer=True)
        engine = pdf.engine_for(page, text, job.engine)
        text, log = pdf.typeset(page, text, engine, folder)
        shrunk = _shrunk(page, slides, text, log)
        if shrunk != text:
            pdf.typeset(page, shrunk, engine, folder)
        write_atomically(job.page, (folder / "note.pdf").read_bytes())
    return page


def _tex(text: str) -> pf.Element:
    return pf.RawBlock(text, format="latex")


def _inline(text: str) -> pf.Element:
    return pf.RawInline(text, format="latex")


def _anchor(heading: pf.Element) -> str:
    """What links to a heading lead to."""
    return f"\\phantomsection\\label{{{heading.identifier}}}" if heading.identifier else ""


def _variables(page: Page) -> list[str]:
    """What the template has to know."""
    ratio = "43" if size(page) == SIZES["4:3"] else "169"
    args = ["--variable", "beamer", "--variable", f"aspectratio={ratio}"]
    return args if page.marp else [*args, "--variable", "titleslide"]


def _shrunk(page: Page, slides: list[Slide], tex: str, log: str) -> str:
    """The frames that TeX has found too high, with beamer's option to shrink; and the warnings about them."""
    lines = tex.split("\n")
    by_line = {slide.line: slide for slide in slides}
    for height, at in re.findall(r"Overfull \\vbox \(([\d.]+)pt too high\) detected at line (\d+)", log):
        if float(height) < 3:
            continue
        start = next((n for n in range(int(at) - 1, -1, -1) if lines[n].startswith("\\begin{frame}")), None)
        if start is None or ",shrink" in lines[start]:
            continue
        lines[start] = lines[start].replace("[fragile", "[fragile,shrink", 1)
        found = re.search(r"%fitnotes-line:(\d+)", lines[start])
        slide = by_line.get(int(found[1])) if found else None
        say_full(page, overfull(slide or Slide()), "")
    wide = [float(w) for w in re.findall(r"Overfull \\hbox \(([\d.]+)pt too wide\)", log)]
    if any(width > 10 for width in wide):
        message = f"something on a slide is {max(wide):.0f} pt wider than it, and cut off"
        page.say("overfull", message)
    return "\n".join(lines)


def _frame(slide: Slide) -> Elements:
    """A slide as a frame, in a group of its own: what is set for it is not for the next one."""
    centred = slide.section or "lead" in slide.classes
    place = "c" if centred else "t"
    made = [_tex("\\begingroup"), *_edges(slide), *_pictures_behind(slide), *_colouring(slide)]
    made.append(_tex(f"\\begin{{frame}}[fragile,{place}] %fitnotes-line:{slide.line}"))
    if slide.title is not None:
        made += _title(slide.title, centred)
    made += _content(slide, centred)
    if slide.notes:
        note = " ".join(pf.stringify(block) for block in slide.notes)
        made.append(pf.Plain(_inline("\\note{"), pf.Str(note), _inline("}")))
    if not slide.blocks and slide.title is None:
        made.append(_tex("\\null"))
    return [*made, _tex("\\end{frame}"), _tex("\\endgroup")]


def _edges(slide: Slide) -> Elements:
    return [
        _tex(_line("headline", slide.words("header"), "")),
        _tex(_line("footline", slide.words("footer"), slide.number)),
    ]


def _pictures_behind(slide: Slide) -> Elements:
    if not slide.backgrounds or slide.side:
        return []
    width = f"{1 / len(slide.backgrounds):.3f}\\paperwidth"
    shown = "".join(_graphic(image, width, "\\paperheight") for image in slide.backgrounds)
    return [_tex(f"\\usebackgroundtemplate{{\\hbox{{{shown}}}}}")]


def _colouring(slide: Slide) -> Elements:
    back, text = colours(slide.style, slide.classes)
    made: Elements = []
    for name, part, colour in (("background canvas", "bg", back), ("normal text", "fg", text)):
        if colour:
            made.append(_tex(f"\\definecolor{{fitnotes{part}}}{{HTML}}{{{colour[1:].upper()}}}"))
            made.append(
                _tex(f"\\setbeamercolor{{{name}}}{{{part}=fitnotes{part}}}\\usebeamercolor*{{{name}}}")
            )
    if text:
        made.append(_tex("\\setbeamercolor{frametitle}{fg=fitnotesfg}\\setbeamercolor{title}{fg=fitnotesfg}"))
    return made


def _title(heading: pf.Element, centred: bool) -> Elements:
    if not len(heading.content):
        return []
    anchor = _anchor(heading)
    if not centred:
        return [pf.Plain(_inline(f"{anchor}\\frametitle{{"), *heading.content, _inline("}"))]
    start = f"{anchor}{{\\centering\\usebeamerfont{{title}}\\usebeamercolor[fg]{{title}} "
    return [pf.Plain(_inline(start), *heading.content, _inline("\\par}"))]


def _content(slide: Slide, centred: bool) -> Elements:
    content = [block for block in slide.blocks if not nodes.is_pause(block)]
    if centred and content:
        content = [_tex("\\begin{center}"), *content, _tex("\\end{center}")]
    if slide.side:
        content = _beside(slide, content)
    content = _on_a_frame(content)
    for block in content:
        walk(pf.Div(block), lambda e: scale_pixels(e, PIXEL), pf.Image)
    return content


def _line(place: str, words: str, number: str) -> str:
    """The line at the head or the foot of a frame."""
    if not words and not number:
        return f"\\setbeamertemplate{{{place}}}{{}}"
    said = "".join(f"\\{c}" if c in "#$%&_{}" else c for c in re.sub(r"[\\\\~^]", " ", words))
    gap = "\\vspace{4pt}" if place == "footline" else ""
    up = "" if place == "footline" else "\\vspace{4pt}"
    return f"\\setbeamertemplate{{{place}}}{{{up}\\tiny\\hspace{{2em}}{said}\\hfill {number}\\hspace{{2em}}{gap}}}"


def _on_a_frame(blocks: Elements) -> Elements:
    """Pictures in the middle; headings as bold words: beamer shows nothing of a section inside a frame."""

    def visit(element: pf.Element) -> Change:
        if isinstance(element, pf.Para):
            image = lone_image(element)
            return pf.Para(_inline("{\\centering "), image, _inline("\\par}")) if image is not None else None
        return pf.Para(_inline(_anchor(element)), pf.Strong(*element.content))

    holder = pf.Div(*blocks)
    walk(holder, visit, pf.Header, pf.Para)
    return list(holder.content)


def _beside(slide: Slide, content: Elements) -> Elements:
    """The pictures of a slide in a column beside the words."""
    share = float(slide.share) / 100
    words = [_tex(f"\\begin{{column}}{{{0.98 - share:.2f}\\textwidth}}"), *content, _tex("\\end{column}")]
    shown = [_tex(_graphic(image, "\\linewidth", "0.75\\textheight")) for image in slide.backgrounds]
    beside = [_tex(f"\\begin{{column}}{{{share:.2f}\\textwidth}}"), *shown, _tex("\\end{column}")]
    both = [*beside, *words] if slide.side == "left" else [*words, *beside]
    return [_tex("\\begin{columns}[T]"), *both, _tex("\\end{columns}")]


def _graphic(image: pf.Element, width: str, height: str) -> str:
    return f"\\includegraphics[width={width},height={height},keepaspectratio]{{{image.url}}}"
