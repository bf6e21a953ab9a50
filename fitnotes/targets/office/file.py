"""What a Word document and an e-book have in common: pandoc writes the file, with its pictures inside."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from fitnotes.document import pandoc
from fitnotes.document.tree import dump
from fitnotes.passes.page import Page


def write_file(
    page: Page,
    to: str,
    target: Path,
    pictures: Path,
    args: Sequence[str],
    mend: Callable[[bytes], bytes] = lambda data: data,
) -> None:
    """``pictures``: the folder where they lie; ``mend``: what becomes of the file that pandoc writes."""
    args = [*args, f"--resource-path={pictures}{os.pathsep}."]
    args += ["--number-sections"] * page.numbered
    folder, reads = page.note.path.parent, [*page.folders, pictures]
    output = pandoc.write_file(dump(page.doc), to, target, args, cwd=folder, reads=reads, mend=mend)
    page.converter_warnings(output.warnings)
