"""A note as a PDF through Typst, embedded: the same on every machine, no LaTeX."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import typst  # loaded with this module, while pandoc still reads

from fitnotes.document import pandoc
from fitnotes.document.tree import dump
from fitnotes.draw import apart, pictures
from fitnotes.draw.media import Media
from fitnotes.errors import ConversionError
from fitnotes.passes.look import Look
from fitnotes.passes.page import Page
from fitnotes.passes.pipeline import FINISH, compose, take
from fitnotes.store.files import write_atomically
from fitnotes.store.scratch import scratch_folder
from fitnotes.targets.registry import Job
from fitnotes.targets.typst import TYPST, glyphs
from fitnotes.targets.typst.formulas import set_formulas
from fitnotes.targets.typst.look import MEND, PAPER, SIZE

STEPS = (*FINISH, MEND, SIZE)
TIME_LIMIT = 120.0  # seconds for a note with Typst code of its own
Made = TypeVar("Made")


def write(job: Job) -> Page:
    """Raises ConversionError; the PDF that was there stays then."""

    def attempt(refused: frozenset[str]) -> Page:
        with scratch_folder() as folder:
            page, sources = typst_page(job, folder, PAPER, refused)
            args = [f"--template={pandoc.template('fitnotes.typst')}"]
            args += page.contents(7, 2)
            made = typeset(page, args, folder, sources)
            say_foreign(page, made.text)
            write_atomically(job.page, made.pdf)
            return page

    return without_refused(attempt)


class Refused(Exception):
    """Typst does not compile some formulas: ``codes``."""

    def __init__(self, codes: frozenset[str]) -> None:
        super().__init__()
        self.codes = codes


def without_refused(attempt: Callable[[frozenset[str]], Made]) -> Made:
    """What ``attempt(refused)`` makes; where Typst refuses formulas, once more with pictures of these."""
    try:
        return attempt(frozenset())
    except Refused as refused:
        return attempt(refused.codes)


def typst_page(
    job: Job, folder: Path, look: Look, refused: frozenset[str], *, deck: bool = False
) -> tuple[Page, Mapping[str, str]]:
    """The page with its formulas in Typst's words, and the formulas by these: those that may yet be refused. Pictures
    go to ``folder``."""
    media = Media(folder, "", convert=pictures.converter(TYPST, job.place.root))
    page = compose(job.document, job.results, TYPST, media, job.place, look=look, deck=deck)
    take(page, STEPS)
    sources = set_formulas(page, refused, job.formulas.with_name("formulas-typst"))
    return page, {} if refused else sources


@dataclass(frozen=True, slots=True)
class TypesetPdf:
    """A PDF, and the file and the text that it was made of; ``code``: with Typst code of the note in it."""

    pdf: bytes
    source: Path
    text: str
    code: bool


def typeset(page: Page, args: Sequence[str], folder: Path, sources: Mapping[str, str]) -> TypesetPdf:
    """Writes the page as Typst and compiles it. Raises ConversionError; Refused if formulas are to blame.

    ``sources`` are the formulas by their code.
    """
    args = ["--standalone", "--wrap=none", *args, *["--number-sections"] * page.numbered]
    output = pandoc.write(dump(page.doc), "typst-smart", args, cwd=page.note.path.parent)
    page.converter_warnings(output.warnings)
    source = folder / "note.typ"
    source.write_text(output.text, encoding="utf-8")
    code = "typst" in page.note.text
    try:
        pdf = compile_typst(source, code=code)
    except ConversionError as error:
        if bad := frozenset(_refused(sources, folder)):
            raise Refused(bad) from None
        raise _place(error, output.text, page) from None
    return TypesetPdf(pdf, source, output.text, code)


def say_foreign(page: Page, text: str) -> None:
    """Characters that depend on the fonts of the machine, and those that none of these has."""
    foreign = glyphs.missing(glyphs.unusual(text), system=False)
    if not foreign:
        return
    gone = glyphs.missing(foreign, system=True)
    there = "".join(c for c in foreign if c not in gone)
    if gone:
        message = f"no font here has {_named(gone)}: boxes stand in the PDF"
        page.say("glyph", message, page.note.line_of(gone[0]), glyphs.how_to_get(gone[0]))
    if there:
        message = f"the fonts inside Typst have no {_named(there)}; a font of this system is used"
        page.say("glyph", message, page.note.line_of(there[0]))


def _named(characters: str) -> str:
    """The first few of some characters, and how many there are."""
    shown = ", ".join(repr(c) for c in characters[:3])
    more = len(characters) - 3
    return f"{shown} and {more} more" if more > 0 else shown


def query(made: TypesetPdf, selector: str) -> list[Any]:
    """The values that Typst finds by a selector in a file that compiles."""
    if made.code:
        answer = _apart(made.source, selector=selector).decode()
    else:
        answer = typst.query(str(made.source), selector, field="value", root="/")
    found: list[Any] = json.loads(answer)
    return found


def _apart(source: Path, **request: Any) -> bytes:
    """Typst where code of the note sees the folder of ``source`` alone. Raises apart.Failed."""
    process = apart.Apart(source.parent, TIME_LIMIT)
    try:
        return process.compile(b"", name=source.name, **request)
    finally:
        process.close()


def compile_typst(source: Path, *, code: bool = False) -> bytes:
    """A PDF from a Typst file, with the fonts that Typst carries. ``code``: there is some of the note's own in it.
    Raises ConversionError."""
    # Fonts of the system only where those inside have no glyphs: pages stay the same on every machine.
    foreign = bool(glyphs.missing(glyphs.unusual(source.read_text(encoding="utf-8")), system=False))
    try:
        if code:
            return _apart(source, system=foreign)
        return bytes(typst.compile(str(source), root="/", ignore_system_fonts=not foreign))
    except apart.Failed as failed:
        message, hints, trace = failed.message, failed.hints, failed.trace
    except typst.TypstError as error:
        message = str(getattr(error, "message", None) or error)
        hints = "; ".join(map(str, getattr(error, "hints", None) or []))
        trace = "\n".join(map(str, getattr(error, "trace", None) or []))
    raised = ConversionError(f"Typst: {message}", hint=hints or None)
    raised.__notes__ = [trace]
    raise raised


def _refused(sources: Mapping[str, str], folder: Path) -> list[str]:
    """The formulas that Typst does not compile by themselves."""
    bad = []
    probe = folder / "probe.typ"
    words = Path(pandoc.template("fitnotes-maths.typst")).read_text(encoding="utf-8")
    for code in sources:
        probe.write_text(f"{words}\n{code}", encoding="utf-8")
        try:
            compile_typst(probe)
        except ConversionError:
            bad.append(code)
    return bad


def _place(error: ConversionError, source: str, page: Page) -> ConversionError:
    note = page.document.note
    found = re.search(r"note\.typ:(\d+)", "\n".join(getattr(error, "__notes__", [])) + error.message)
    line = None
    if found:
        text = source.split("\n")[int(found[1]) - 1]
        words = re.findall(r"[^\W_]{4,}", text)
        line = next((at for word in words if (at := note.line_of(word)) is not None), None)
    hint = error.hint or "the HTML page builds without Typst; --pdf-engine lualatex uses LaTeX instead"
    return ConversionError(error.message, path=note.shown, line=line, hint=hint)
