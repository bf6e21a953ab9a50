"""What pages share: their style, their script, and MathJax."""

from __future__ import annotations

from pathlib import Path

from fitnotes.document import pandoc
from fitnotes.draw import mathjax
from fitnotes.store.files import write_atomically

SCRIPT = "tex-svg-full.js"  # with every extension inside: nothing is loaded later

STYLE_AND_SCRIPT = ("fitnotes.css", "fitnotes.js")


def asset_names(script: bool) -> tuple[str, ...]:
    return (*STYLE_AND_SCRIPT, *([SCRIPT] if script else []))


def install_assets(folder: Path, *, script: bool) -> None:
    """Copies the style, and MathJax where it is wanted, beside the pages, unless they are there already."""
    wanted = {name: pandoc.template(name) for name in STYLE_AND_SCRIPT}
    if script:
        wanted[SCRIPT] = mathjax.folder() / SCRIPT
    for name, source in wanted.items():
        target = folder / name
        if (
            target.is_file()
            and target.stat().st_size == source.stat().st_size
            and target.read_bytes() == source.read_bytes()
        ):
            continue
        write_atomically(target, source.read_bytes())
