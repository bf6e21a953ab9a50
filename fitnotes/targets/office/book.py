"""A note as an EPUB, with MathML."""

from __future__ import annotations

import io
import re
import uuid
import zipfile
from xml.etree import ElementTree

from fitnotes.document import pandoc
from fitnotes.draw import pictures
from fitnotes.draw.inert import inert
from fitnotes.draw.media import Media
from fitnotes.passes.page import Page
from fitnotes.passes.pipeline import compose, take
from fitnotes.settings import allowed_hosts
from fitnotes.store.scratch import scratch_folder
from fitnotes.targets.html.formulas import set_formulas
from fitnotes.targets.html.look import BOOK, STEPS
from fitnotes.targets.html.policy import plain_attributes
from fitnotes.targets.html.title import page_title
from fitnotes.targets.office import EPUB
from fitnotes.targets.office.file import write_file
from fitnotes.targets.registry import Job


def _without_code(book: bytes) -> bytes:
    """The book without what would run in a reader's program."""
    found: list[tuple[zipfile.ZipInfo, bytes]] = []
    with zipfile.ZipFile(io.BytesIO(book)) as packed:
        for info in packed.infolist():
            data = packed.read(info)
            if info.filename.endswith((".xhtml", ".html", ".svg")):
                text = data.decode("utf-8", "replace")
                try:
                    made = inert(text)
                except ElementTree.ParseError:  # which no reader of books reads; one of HTML might
                    made = re.sub(r"(?i)<(?=[^<>\s]*script)", "&lt;", text)
                    made = re.sub(r"(?i)\b(on\w+\s*=|equiv|javascript\s*:|srcdoc)", r"x-\1", made)
                data = made.encode() if made != text else data
            found.append((info, data))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for info, data in found:
            packed.writestr(info, data, info.compress_type)
    return out.getvalue()


def write(job: Job) -> Page:
    """Raises ConversionError; the book that was there stays then."""
    with scratch_folder() as scratch:
        media = Media(scratch, "", convert=pictures.converter(EPUB, job.place.root))
        page = compose(job.document, job.results, EPUB, media, job.place, look=BOOK)
        take(page, STEPS)
        title = page_title(page)
        set_formulas(page, "mathml", page.packages)
        plain_attributes(page)
        # The same book for the same note: its name is made of what it says.
        name = uuid.uuid5(uuid.NAMESPACE_URL, page.note.text)
        args = [
            f"--css={pandoc.template('fitnotes-epub.css')}",
            *([] if "lang" in page.doc.metadata.content else ["--metadata", "lang=en"]),
            "--metadata", f"identifier=urn:uuid:{name}",
            "--metadata", f"title={title}",
        ]  # fmt: skip
        scripts = "scripts" in allowed_hosts(page.allow)
        write_file(page, "epub3", job.page, scratch, args, (lambda book: book) if scripts else _without_code)
    return page
