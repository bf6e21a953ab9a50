"""A note as a PDF through an installed LaTeX, for those who want its typesetting.

The preamble goes in as written; definitions made inside formulas are put behind it. LaTeX runs without
shell escape and reads no file outside its folder.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from fitnotes.draw import pictures
from fitnotes.draw.media import Media
from fitnotes.errors import ConversionError
from fitnotes.passes.page import Page
from fitnotes.passes.pipeline import compose, take
from fitnotes.store.files import write_atomically
from fitnotes.store.scratch import scratch_folder
from fitnotes.targets.latex import LATEX, places
from fitnotes.targets.latex.document import latex
from fitnotes.targets.latex.look import LOOK, steps
from fitnotes.targets.latex.pictures import beforehand
from fitnotes.targets.latex.repair import repaired, stopped, without_invalid
from fitnotes.targets.latex.wide import narrowed
from fitnotes.targets.registry import Job
from fitnotes.tex.engines import find_engine, how_to_install, run_latex
from fitnotes.tex.packages import CJK, CJK_PACKAGES
from fitnotes.tex.tokens import packages

REPAIRS = 25  # at most so many things that LaTeX stops at are taken out of its way
STEPS = steps(plain=False)


def write(job: Job) -> Page:
    """Raises MissingProgram, and ConversionError with its line and the reason."""
    find_engine(job.engine)  # before anything is made for it
    with scratch_folder() as folder:
        page = latex_page(job, folder)
        text = latex(page, [])
        typeset(page, text, engine_for(page, text, job.engine), folder)
        write_atomically(job.page, (folder / "note.pdf").read_bytes())
    return page


def latex_page(job: Job, folder: Path, *, deck: bool = False) -> Page:
    """The page as LaTeX has it. Pictures go to ``folder``."""
    media = Media(folder, "", convert=pictures.converter(LATEX, job.place.root))
    page = compose(job.document, job.results, LATEX, media, job.place, look=LOOK, deck=deck)
    take(page, STEPS)
    return page


def engine_for(page: Page, text: str, engine: str) -> str:
    """The engine that sets a text: Chinese, Japanese and Korean need lualatex. Raises ConversionError if it is not
    there."""
    own = packages(page.preamble.tex) & CJK_PACKAGES or "mainfont" in page.doc.metadata.content
    signs = (
        []
        if own or engine in ("lualatex", "tectonic")
        else CJK.findall(text.split("\\begin{document}", 1)[1])
    )
    if not signs:
        return engine
    first = [*dict.fromkeys(sign for sign in signs if sign.isalnum())][:3]
    shown = f"{len(signs)} Chinese, Japanese or Korean characters ({', '.join(first)} …)"
    line = page.note.line_of(signs[0])
    if shutil.which("lualatex"):
        page.say("glyph", f"{engine} has no fonts for {shown}: lualatex is used", line)
        return "lualatex"
    hint = f"use typst; or lualatex ({how_to_install('lualatex')})"
    raise ConversionError(f"{engine} has no fonts for {shown}", path=page.note.shown, line=line, hint=hint)


def typeset(page: Page, text: str, engine: str, folder: Path, runs: int = 4) -> tuple[str, str]:
    """Makes ``folder``/note.pdf. Returns the text that LaTeX took, without what it stopped at, and its log.

    ``runs``: at most so many, until references have settled.
    """
    source = folder / "note.tex"
    text = beforehand(page, text)
    for _ in range(REPAIRS):
        source.write_text(places.DEFINITION + text, encoding="utf-8")
        try:
            log = run_until_settled(engine, source, page, runs)
        except LatexFailed as failure:
            mended = repaired(failure.log, text, page, engine)
            if mended is None or mended == text:
                raise stopped(engine, failure.log, text, page) from None
        else:
            mended = narrowed(log, without_invalid(log, text, page, engine), page, engine)
            if mended == text:
                return text, log
        text = mended
    raise ConversionError(f"{engine}: more than {REPAIRS} errors", path=page.note.shown)


_TOO_HIGH = 60.0  # points below the end of the text, which the margin of the paper does not have


class LatexFailed(Exception):
    def __init__(self, log: str) -> None:
        super().__init__()
        self.log = log


def run_until_settled(engine: str, source: Path, page: Page, runs: int) -> str:
    """The log of the last run."""
    for turn in range(runs):
        try:
            good, log = run_latex(engine, source, root=page.place.root)
        except ConversionError as error:
            raise ConversionError(error.message, path=page.note.shown) from None
        if not good:
            raise LatexFailed(log)
        if (
            turn
            and "Rerun to get" not in log
            and "Rerun LaTeX" not in log
            and "rerunfilecheck Warning" not in log
        ):
            break
        if engine == "tectonic":
            break
    places = {
        sign: page.note.text.find(sign) for sign in re.findall(r"Missing character: There is no (\S+)", log)
    }
    missing = sorted(places, key=lambda sign: (places[sign] < 0, places[sign], sign))
    hint = "set mainfont in the header to a font that has it, or use typst"
    for sign in missing if len(missing) < 4 else ():
        message = f"{engine}: its fonts have no {sign}, which is missing in the PDF"
        page.say("glyph", message, page.note.line_of(sign), hint)
    if len(missing) >= 4:
        signs = ", ".join(missing[:3])
        message = f"{engine}: its fonts have no {signs} and {len(missing) - 3} other characters, all missing in the PDF"
        page.say("glyph", message, page.note.line_of(missing[0]), hint)
    tall = [
        float(points) for points in re.findall(r"^Overfull \\vbox \(([\d.]+)pt too high\)", log, re.MULTILINE)
    ]
    if any(points > _TOO_HIGH for points in tall):
        message = (
            f"{engine}: something is higher than a page, and cut off at its end: a row of a table, a box"
        )
        page.say("latex", message, None, "the PDF by Typst breaks it")
    return log
