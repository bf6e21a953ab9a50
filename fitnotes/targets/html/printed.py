"""An HTML page as PDF, printed by an installed Chromium."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

from fitnotes.errors import ConversionError
from fitnotes.passes.page import Page
from fitnotes.store.files import write_atomically
from fitnotes.store.scratch import scratch_folder
from fitnotes.targets.html import look, page
from fitnotes.targets.registry import ASSETS, Job
from fitnotes.tex.engines import TIME_LIMIT, find_engine

STEPS = look.STEPS


def write(job: Job) -> Page:
    """Raises MissingProgram, ConversionError."""
    with scratch_folder() as scratch:
        made = scratch / f"{job.page.stem}.html"
        composed = page.write(replace(job, page=made, assets=made.parent / ASSETS, embed=False))
        print_page(made, job.page)
    composed.beside = []
    return composed


def print_page(page_file: Path, target: Path) -> None:
    """Prints a built HTML page. Raises MissingProgram, ConversionError."""
    program = next(
        (p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None
    )
    program = program or find_engine("chromium")
    with scratch_folder() as scratch:
        out = scratch / "note.pdf"
        command = [
            program, "--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--disable-quic",
            f"--user-data-dir={scratch}/profile",
            "--no-pdf-header-footer", "--virtual-time-budget=20000", f"--print-to-pdf={out}",
            page_file.resolve().as_uri(),
        ]  # fmt: skip
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            command.insert(1, "--no-sandbox")
        done = subprocess.run(command, capture_output=True, timeout=TIME_LIMIT, check=False)
        if not out.is_file():
            reason = done.stderr.decode("utf-8", "replace").strip().split("\n")[-1]
            raise ConversionError(f"chromium wrote no PDF: {reason}")
        write_atomically(target, out.read_bytes())
