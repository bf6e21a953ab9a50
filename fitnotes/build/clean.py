"""Removing what builds wrote: only files that the page records name and that are as they were written, never a folder
as a whole."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from fitnotes.build.freshness import Pages
from fitnotes.errors import UsageError
from fitnotes.execute.cache import Cache
from fitnotes.settings import Project, display_path


def refuse_links(project: Project) -> None:
    """Raises UsageError where the store is a link out of the project, or has one in it: it may have come with somebody
    else's project."""
    store = project.store
    inside = list(store.iterdir()) if store.is_dir() else []
    for path in (store, *inside):
        if path.is_symlink() and not path.resolve().is_relative_to(project.root.resolve()):
            message = f"{display_path(path)} is a link that leads out of the project"
            raise UsageError(message, hint="remove it: what lies there may not be the project's")


def clean_project(project: Project, *, everything: bool) -> tuple[int, list[Path]]:
    """Removes recorded pages and their files, and with ``everything`` the stored results; how many pages, and those
    that stay: they lie outside the project and its output, or somebody has changed them."""
    refuse_links(project)
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
        if project.results.is_relative_to(project.root.resolve()):
            Cache(project.root, project.results).trim(1)
        else:  # other projects may share it
            left.append(project.results)
        shutil.rmtree(project.store, ignore_errors=True)
    return count, left
