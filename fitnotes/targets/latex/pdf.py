"""A note as a PDF through an installed LaTeX, for those who want its typesetting.

The preamble goes in as written; definitions made inside formulas are put behind it. LaTeX runs without
shell escape and reads no file outside its folder.
"""

from __future__ import annotations

import re
from pathlib import Path

from fitnotes.document import pandoc
from fitnotes.draw import pictures
from fitnotes.draw.media import Media
from fitnotes.errors import ConversionError
from fitnotes.passes.page import Page
from fitnotes.passes.pipeline import compose, take
from fitnotes.store.files import write_atomically
from fitnotes.targets.latex import LATEX
from fitnotes.targets.latex.document import latex
from fitnotes.targets.latex.look import LOOK, steps
from fitnotes.targets.latex.repair import reason_and_line, repaired
from fitnotes.targets.registry import Job
from fitnotes.tex.engines import find_engine, run_latex

REPAIRS = 25  # at most so many things that LaTeX stops at are taken out of its way
STEPS = steps(plain=False)


def write(job: Job) -> Page:
    """Raises MissingProgram, and ConversionError with its line and the reason."""
    find_engine(job.engine)  # before anything is made for it
    with pandoc.scratch_folder() as folder:
        page = latex_page(job, folder)
        typeset(page, latex(page, []), job.engine, folder)
        write_atomically(job.page, (folder / "note.pdf").read_bytes())
    return page


def latex_page(job: Job, folder: Path, *, deck: bool = False) -> Page:
    """The page as LaTeX has it. Pictures go to ``folder``."""
    media = Media(folder, "", convert=pictures.converter(LATEX, job.place.root))
    page = compose(job.document, job.results, LATEX, media, job.place, look=LOOK, deck=deck)
    take(page, STEPS)
    return page


def typeset(page: Page, text: str, engine: str, folder: Path) -> tuple[str, str]:
    """Makes ``folder``/note.pdf. Returns the text that LaTeX took, without what it stopped at, and its log."""
    source = folder / "note.tex"
    for _ in range(REPAIRS):
        source.write_text(text, encoding="utf-8")
        try:
            return text, run_until_settled(engine, source, page)
        except LatexFailed as failure:
            mended = repaired(failure.log, text, page, engine)
            if mended is None or mended == text:
                raise reason_and_line(engine, failure.log, source, page) from None
            text = mended
    raise ConversionError(f"{engine}: more than {REPAIRS} errors", path=page.note.shown)


class LatexFailed(Exception):
    def __init__(self, log: str) -> None:
        super().__init__()
        self.log = log


def run_until_settled(engine: str, source: Path, page: Page) -> str:
    """The log of the last run."""
    for turn in range(4):
        try:
            good, log = run_latex(engine, source)
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
    return log
