"""A note as a .tex file to go on writing in."""

from __future__ import annotations

from fitnotes.draw import pictures
from fitnotes.draw.media import Media, remove_old
from fitnotes.passes.page import Page
from fitnotes.passes.pipeline import compose, take
from fitnotes.store.files import write_atomically
from fitnotes.targets.latex import LATEX
from fitnotes.targets.latex.document import latex
from fitnotes.targets.latex.look import LOOK, steps
from fitnotes.targets.registry import Job

STEPS = steps(plain=True)


def write(job: Job) -> Page:
    """Writes a .tex file that compiles as it is, with its pictures in a folder beside it."""
    files = job.page.parent / f"{job.page.stem}_files"
    media = Media(files, f"{files.name}/", convert=pictures.converter(LATEX, job.place.root))
    page = compose(job.document, job.results, LATEX, media, job.place, look=LOOK, suffix=".tex")
    take(page, STEPS)
    text = latex(page, [], plain=True)
    write_atomically(job.page, text.encode("utf-8", "replace"))
    remove_old(files, set(media.files))
    page.beside = list(media.files.values())
    return page
