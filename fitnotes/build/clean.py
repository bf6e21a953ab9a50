"""Removing what builds wrote: only files that the page records name and that are as they were written, never a folder
as a whole."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from fitnotes.build.freshness import Pages
from fitnotes.execute.cache import Cache
from fitnotes.settings import Project


def clean_project(project: Project, *, everything: bool) -> tuple[int, list[Path]]:
    """Removes recorded pages and their files, and with ``everything`` the stored results; how many pages, and those
    that stay: they lie outside the project and its output, or somebody has changed them."""
    pages = Pages(project.root, project.store / "pages")
    count = 0
    left: list[Path] = []
    folders: set[Path] = set()
    known: dict[Path, bool] = {}
    for _, record in pages.all():
        page = project.root / record.page
        folder = project.output if page.is_relative_to(project.output) else project.root
        known |= record.written(project.root, folder)
        count += known.get(page, False)
        left += [page] * (known.get(page) is False)
    for file, removable in known.items():
        if removable:
            file.unlink(missing_ok=True)
            folders.add(file.parent)
    for folder in sorted(folders, key=lambda f: len(f.parts), reverse=True):
        # Upwards as long as they are empty and ours.
        while folder != project.root and folder.is_relative_to(project.root):
            try:
                folder.rmdir()
            except OSError:
                break
            folder = folder.parent
    with contextlib.suppress(OSError):
        shutil.rmtree(project.store / "pages")
    if everything:
        Cache(project.root, project.results).trim(1)
        shutil.rmtree(project.store, ignore_errors=True)
    return count, left
