"""A note as a .tex file to go on writing in."""

from __future__ import annotations

from pathlib import Path

from fitnotes.draw import pictures
from fitnotes.draw.media import Media, remove_old
from fitnotes.errors import ConversionError
from fitnotes.passes.page import Page
from fitnotes.passes.pipeline import compose, take
from fitnotes.store.files import write_atomically
from fitnotes.store.scratch import scratch_folder
from fitnotes.targets.latex import LATEX, places
from fitnotes.targets.latex.document import latex
from fitnotes.targets.latex.look import LOOK, steps
from fitnotes.targets.latex.pdf import engine_for, typeset
from fitnotes.targets.registry import Job
from fitnotes.tex.engines import any_latex

STEPS = steps(plain=True)


def write(job: Job) -> Page:
    """Writes a .tex file that compiles as it is, with its pictures in a folder beside it.

    An installed LaTeX has typeset it once by then: what it stops at is mended and said as for PDFs.
    """
    files = job.page.parent / f"{job.page.stem}_files"
    with scratch_folder() as scratch:
        made = scratch / files.name
        media = Media(made, f"{files.name}/", convert=pictures.converter(LATEX, job.place.root))
        page = compose(job.document, job.results, LATEX, media, job.place, look=LOOK, suffix=".tex")
        take(page, STEPS)
        text = places.without_marks(_checked(page, latex(page, [], plain=True), job.engine, scratch))
        for name in media.files:
            write_atomically(files / name, (made / name).read_bytes())
    write_atomically(job.page, text.encode("utf-8", "replace"))
    remove_old(files, set(media.files))
    page.beside = [files / name for name in media.files]
    return page


def _checked(page: Page, text: str, wanted: str, scratch: Path) -> str:
    """The text as an installed LaTeX takes it; if none takes it, as it is, which is said."""
    engine = any_latex(wanted)
    if engine is None:
        return text
    try:
        return typeset(page, text, engine_for(page, text, engine), scratch, runs=1)[0]
    except ConversionError as error:
        page.say("latex-stops", error.message, error.line, error.hint)
        return text
