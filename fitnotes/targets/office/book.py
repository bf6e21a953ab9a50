"""A note as an EPUB, with MathML."""

from __future__ import annotations

import uuid

from fitnotes.document import pandoc
from fitnotes.draw import pictures
from fitnotes.draw.media import Media
from fitnotes.passes.page import Page
from fitnotes.passes.pipeline import compose, take
from fitnotes.targets.html.formulas import set_formulas
from fitnotes.targets.html.look import BOOK, STEPS
from fitnotes.targets.html.title import page_title
from fitnotes.targets.office import EPUB
from fitnotes.targets.office.file import write_file
from fitnotes.targets.registry import Job


def write(job: Job) -> Page:
    """Raises ConversionError; the book that was there stays then."""
    with pandoc.scratch_folder() as scratch:
        media = Media(scratch, "", convert=pictures.converter(EPUB, job.place.root))
        page = compose(job.document, job.results, EPUB, media, job.place, look=BOOK)
        take(page, STEPS)
        title = page_title(page)
        set_formulas(page, "mathml", page.packages)
        # The same book for the same note: its name is made of what it says.
        name = uuid.uuid5(uuid.NAMESPACE_URL, page.note.text)
        args = [
            f"--css={pandoc.template('fitnotes-epub.css')}",
            *([] if "lang" in page.doc.metadata.content else ["--metadata", "lang=en"]),
            "--metadata", f"identifier=urn:uuid:{name}",
            "--metadata", f"title={title}",
        ]  # fmt: skip
        write_file(page, "epub3", job.page, scratch, args)
    return page
