"""A note as a PDF deck through an installed LaTeX: its slides as frames of beamer."""

from __future__ import annotations

import re

import panflute as pf

from fitnotes.document import nodes, pandoc
from fitnotes.document.tree import Change, Elements, walk
from fitnotes.passes.page import Page
from fitnotes.store.files import write_atomically
from fitnotes.targets.latex import pdf
from fitnotes.targets.latex.document import latex
from fitnotes.targets.registry import Job
from fitnotes.targets.slides.deck import SIZES, Slide, colours, overfull, say_full, scale_pixels, size, split
from fitnotes.tex.engines import find_engine

PIXEL = 0.356  # pt: a frame is 455 pt wide, a slide 1280 pixels


STEPS = pdf.STEPS


def write(job: Job) -> Page:
    """Raises MissingProgram, ConversionError."""
    find_engine(job.engine)  # before anything is made for it
    with pandoc.scratch_folder() as folder:
        page = pdf.latex_page(job, folder, deck=True)
        slides = split(page)
        page.doc.content = [block for slide in slides for block in _frame(page, slide)]
        text, log = pdf.typeset(page, latex(page, _variables(page), beamer=True), job.engine, folder)
        shrunk = _shrunk(page, slides, text, log)
        if shrunk != text:
            pdf.typeset(page, shrunk, job.engine, folder)
        write_atomically(job.page, (folder / "note.pdf").read_bytes())
    return page


def _tex(text: str) -> pf.Element:
    return pf.RawBlock(text, format="latex")


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


def _frame(page: Page, slide: Slide) -> Elements:
    lines = f"%fitnotes-line:{slide.line}"
    words = list(slide.title.content) if slide.title is not None else []
    label = slide.title.identifier if slide.title is not None else ""
    centred = slide.section or "lead" in slide.classes
    made: Elements = []
    back, text = colours(slide.style, slide.classes)
    side = slide.side
    made.append(_tex("\\begingroup"))
    for key, place in (("header", "headline"), ("footer", "footline")):
        made.append(_tex(_line(place, slide.words(key), slide.number if key == "footer" else "")))
    if slide.backgrounds and not side:
        width = f"{1 / len(slide.backgrounds):.3f}\\paperwidth"
        shown = "".join(_graphic(image, width, "\\paperheight") for image in slide.backgrounds)
        made.append(_tex(f"\\usebackgroundtemplate{{\\hbox{{{shown}}}}}"))
    for name, part, colour in (("background canvas", "bg", back), ("normal text", "fg", text)):
        if colour:
            made.append(_tex(f"\\definecolor{{fitnotes{part}}}{{HTML}}{{{colour[1:].upper()}}}"))
            made.append(
                _tex(f"\\setbeamercolor{{{name}}}{{{part}=fitnotes{part}}}\\usebeamercolor*{{{name}}}")
            )
    if text:
        made.append(_tex("\\setbeamercolor{frametitle}{fg=fitnotesfg}\\setbeamercolor{title}{fg=fitnotesfg}"))
    made.append(_tex(f"\\begin{{frame}}[fragile{',c' if centred else ',t'}] {lines}"))
    anchor = f"\\phantomsection\\label{{{label}}}" if label else ""
    if words and not centred:
        made.append(pf.Plain(pf.RawInline(f"{anchor}\\frametitle{{", format="latex"), *words,
                             pf.RawInline("}", format="latex")))  # fmt: skip
    elif words:
        start = f"{anchor}{{\\centering\\usebeamerfont{{title}}\\usebeamercolor[fg]{{title}} "
        end = pf.RawInline("\\par}", format="latex")
        made.append(pf.Plain(pf.RawInline(start, format="latex"), *words, end))
    content = [b for b in slide.blocks if not nodes.is_pause(b)]
    if centred and content:
        content = [_tex("\\begin{center}"), *content, _tex("\\end{center}")]
    if side:
        content = _beside(slide.backgrounds, side, content)
    content = list(_on_a_frame(content))
    for block in content:
        walk(pf.Div(block), lambda e: scale_pixels(e, PIXEL), pf.Image)
    made += content
    if slide.notes:
        note = " ".join(pf.stringify(block) for block in slide.notes)
        made.append(
            pf.Plain(pf.RawInline("\\note{", format="latex"), pf.Str(note), pf.RawInline("}", format="latex"))
        )
    made += [] if slide.blocks or slide.title is not None else [_tex("\\null")]
    made.append(_tex("\\end{frame}"))
    return [*made, _tex("\\endgroup")]


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
            alone = len(element.content) == 1 and isinstance(element.content[0], pf.Image)
            return _centred(element.content[0]) if alone else None
        anchor = f"\\phantomsection\\label{{{element.identifier}}}" if element.identifier else ""
        return pf.Para(pf.RawInline(anchor, format="latex"), pf.Strong(*element.content))

    holder = pf.Div(*blocks)
    walk(holder, visit, pf.Header, pf.Para)
    return list(holder.content)


def _centred(image: pf.Element) -> pf.Para:
    start, end = pf.RawInline("{\\centering ", format="latex"), pf.RawInline("\\par}", format="latex")
    return pf.Para(start, image, end)


def _beside(images: Elements, side: str, content: Elements) -> Elements:
    """The pictures of a slide in a column beside the words."""
    share = float(next((i.attributes["share"] for i in images if i.attributes.get("share")), "50")) / 100
    words = [_tex(f"\\begin{{column}}{{{0.98 - share:.2f}\\textwidth}}"), *content, _tex("\\end{column}")]
    shown = [_tex(_graphic(image, "\\linewidth", "0.75\\textheight")) for image in images]
    beside = [_tex(f"\\begin{{column}}{{{share:.2f}\\textwidth}}"), *shown, _tex("\\end{column}")]
    both = [*beside, *words] if side == "left" else [*words, *beside]
    return [_tex("\\begin{columns}[T]"), *both, _tex("\\end{columns}")]


def _graphic(image: pf.Element, width: str, height: str) -> str:
    return f"\\includegraphics[width={width},height={height},keepaspectratio]{{{image.url}}}"
