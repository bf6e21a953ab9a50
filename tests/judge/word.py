"""A formula as it stands in a Word document that LibreOffice has read: its signs.

LibreOffice reads Word's formulas as its own, which have other alphabets, sizes and distances, and no place for a sign
of operation at an end; so only the signs are compared, and only where it shows no sign of its own for an error.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fitnotes.document.read import read_document
from fitnotes.draw.media import Media
from fitnotes.passes.page import Page, Place
from fitnotes.passes.pipeline import compose, take
from fitnotes.settings import Settings
from fitnotes.targets import registry
from fitnotes.targets.office import DOCX, word
from fitnotes.targets.office.file import write_file
from judge.drawing import Drawing, letters, plain
from judge.latex import note_of
from judge.pdf import MARK, characters

_ERRORS = frozenset("¿∨❑")
_RULES = frozenset("—―¯_–⏞√'-|‖…⋅.")  # signs for one and rules, or pieces, for the other


def by_word(formulas: Sequence[tuple[str, bool]], extra: Sequence[str] = ()) -> list[list[str] | None]:
    """The signs of each (TeX, display?) in its order; None for a picture, and where LibreOffice has an error."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        page = _page(formulas, extra, folder)
        write_file(page, "docx", folder / "judge.docx", folder, [])
        _plainer(folder / "judge.docx")
        profile = f"-env:UserInstallation=file://{folder}/profile"
        command = ["soffice", profile, "--headless", "--convert-to", "pdf", "judge.docx"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)
        found: list[list[str]] = []
        for chars in characters((folder / "judge.pdf").read_bytes()):
            for char in chars:
                if char == MARK[0]:
                    found.append([])
                elif found and char != MARK[1]:
                    found[-1].append(char)
    return [None if not chars or _ERRORS & {*chars} else chars for chars in found]


def signs_apart(shown: Drawing, found: Sequence[str]) -> dict[str, int]:
    """How often each sign is there more often, or less, than the browser shows it."""
    there = Counter(letter for char in found for letter in letters(plain(char)))
    here = Counter(glyph.char for glyph in shown.glyphs)
    return {
        char: there[char] - here[char]
        for char in {*here, *there}
        if char not in _RULES and there[char] != here[char]
    }


def _page(formulas: Sequence[tuple[str, bool]], extra: Sequence[str], folder: Path) -> Page:
    document = read_document(note_of(formulas, extra, folder), Settings())
    place = Place(folder, folder, formats=registry.format_names())
    page = compose(document, {}, DOCX, Media(folder, ""), place, look=word.LOOK)
    take(page, word.STEPS)
    return page


def _plainer(path: Path) -> None:
    """Without what LibreOffice shows and Word does not: marks where rows are aligned, and what stands for nothing."""
    other = path.with_suffix(".other")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "word/document.xml":
                data = re.sub(rb"(<m:t[^>]*>)&amp;(</m:t>)", rb"\1\2", data).replace("\u200b".encode(), b"")
            new.writestr(name, data)
    shutil.move(other, path)
