"""Removing what builds wrote: only files that the page records name, never a folder as a whole."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from fitnotes.build.freshness import Pages
from fitnotes.execute.cache import Cache
from fitnotes.settings import Project


def clean_project(project: Project, *, everything: bool) -> int:
    """Removes recorded pages and their files, and with ``everything`` the stored results; how many pages."""
    pages = Pages(project.root, project.store / "pages")
    count = 0
    folders: set[Path] = set()
    for record in pages.all():
        page = project.root / record.page
        count += page.is_file()
        for file in (page, *(page.parent / name for name in record.files)):
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
    return count
