"""Which files a build is about, and where their pages go."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fitnotes.errors import UsageError
from fitnotes.settings import Project, display_path
from fitnotes.source.note import SUFFIXES
from fitnotes.targets.registry import targets


def page_suffix(target: str) -> str:
    return targets()[target].suffix


_HINTS = {
    ".ipynb": "jupytext --to md makes a note of a notebook",
    ".Rmd": "notes of R Markdown whose blocks are Python can be renamed to .md",
}


@dataclass(frozen=True, slots=True)
class Source:
    """A note's file. ``base`` is the folder that the pages' folders mirror."""

    path: Path
    base: Path

    @property
    def relative(self) -> Path:
        return self.path.relative_to(self.base)

    def page(self, output: Path, target: str) -> Path:
        return output / target / self.relative.with_suffix(page_suffix(target))


def _notes_in(folder: Path) -> Iterator[Path]:
    """Also those in folders that are links, each folder once: a link may lead back to where it stands."""
    seen: set[str] = {os.path.realpath(folder)}
    for place, folders, names in os.walk(folder, followlinks=True):
        kept = []
        for name in sorted(f for f in folders if not f.startswith((".", "_"))):
            real = os.path.realpath(os.path.join(place, name))
            if real not in seen:
                seen.add(real)
                kept.append(name)
        folders[:] = kept
        for name in sorted(names):
            if name.endswith(SUFFIXES) and not name.startswith((".", "_")):
                yield Path(place, name)


def notes_below(folder: Path) -> list[Source]:
    return [Source(file, folder) for file in _notes_in(folder)]


def find_sources(paths: Sequence[Path], project: Project) -> list[Source]:
    """The notes that the command line names; without any, those in the project's notes folder.

    Raises UsageError: nothing there, no notes in a folder, or two notes that would share a page.
    """
    notes_folder = (project.root / project.settings.notes).resolve()
    if not paths:
        if not notes_folder.is_dir():
            raise UsageError(
                f"there is no folder {display_path(notes_folder)}",
                hint="name notes or folders, set `notes` in fitnotes.toml, or start with: fitnotes new NAME",
            )
        paths = [notes_folder]
    found: dict[Path, Source] = {}
    for path in paths:
        full = Path(os.path.abspath(path))  # a link keeps its place among the notes
        full = full if full.is_relative_to(notes_folder) else path.resolve()
        if full.is_dir():
            # A folder inside the notes keeps its place among the pages.
            base = notes_folder if full.is_relative_to(notes_folder) else full
            sources = [Source(file, base) for file in _notes_in(full)]
            if not sources:
                raise UsageError("no notes (*.md) in this folder", path=display_path(path))
        elif full.is_file():
            if full.suffix.lower() not in SUFFIXES:
                message = f"not a note: notes end in {', '.join(SUFFIXES)}"
                raise UsageError(message, path=display_path(path), hint=_HINTS.get(full.suffix))
            inside = full.is_relative_to(notes_folder)
            sources = [Source(full, notes_folder if inside else full.parent)]
        else:
            raise UsageError("no such file or folder", path=display_path(path))
        for source in sources:
            found.setdefault(source.path, source)
    pages: dict[Path, Source] = {}
    for source in found.values():
        page = source.relative.with_suffix("")
        if page in pages:
            raise UsageError(
                f"{display_path(source.path)} and {display_path(pages[page].path)} would write the same page",
                hint="build the folder above them, or one at a time with --output",
            )
        pages[page] = source
    return list(found.values())
