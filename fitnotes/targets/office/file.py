"""What a Word document and an e-book have in common: pandoc writes the file, with its pictures inside."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from fitnotes.document import pandoc
from fitnotes.document.tree import dump
from fitnotes.passes.page import Page


def write_file(page: Page, to: str, target: Path, pictures: Path, args: Sequence[str]) -> None:
    """``pictures``: the folder where they lie."""
    args = [*args, f"--resource-path={pictures}{os.pathsep}."]
    args += ["--number-sections"] * page.numbered
    output = pandoc.write_file(dump(page.doc), to, target, args, cwd=page.note.path.parent)
    page.converter_warnings(output.warnings)
