"""What ``fitnotes lint`` prints."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from fitnotes.build.sources import Source, find_sources
from fitnotes.errors import CODES, FitnotesError, gathered, located, unexpected
from fitnotes.execute.slots import cores
from fitnotes.lint.check import Linter, failing
from fitnotes.lint.source import Finding
from fitnotes.settings import display_path, find_project
from fitnotes.source.note import deep_stacks


def lint_files(paths: Sequence[Path], *, fix: bool, form: str) -> int:
    """Checks the notes and prints what was found; the exit code."""
    deep_stacks()
    folders = [str((p if p.is_dir() else p.parent).resolve()) for p in paths] or [str(Path.cwd())]
    project = find_project(Path(os.path.commonpath(folders)))
    if project.config is None:
        project = find_project(Path.cwd())
    files = find_sources(paths, project)
    linter = Linter(project, files)
    found: list[Finding] = []
    mended = code = unread = 0

    def look(file: Source) -> tuple[int, list[Finding]]:
        return linter.fix(file) if fix else 0, linter.check(file)

    with ThreadPoolExecutor(cores()) as pool:  # while pandoc reads one note, another is looked at
        for file, looked in [(file, pool.submit(look, file)) for file in files]:
            try:
                count, more = looked.result()
            except FitnotesError as error:
                click.echo(str(error), err=True)
                code, unread = max(code, error.exit_code), unread + 1
            except Exception as error:
                problem = unexpected(error, display_path(file.path))
                click.echo(
                    f"{located(problem.text, problem.path, None)}\n  {problem.hint or ''}".rstrip(), err=True
                )
                code, unread = max(code, problem.exit_code), unread + 1
            else:
                mended, found = mended + count, found + more
    if form == "json":
        click.echo(json.dumps([_record(finding) for finding in found], ensure_ascii=False, indent=1))
    else:
        for finding, again in gathered(found, _cause, lambda one: one.line):
            click.echo(f"{located_column(finding)}: {finding.code} {finding.message}{again}")
            if finding.hint:
                click.echo(f"  {finding.hint}")
        click.echo(_summary(found, mended if fix else None, len(files), unread), err=True)
    return max(code, int(failing(found)))


def located_column(finding: Finding) -> str:
    return f"{located('', finding.path, finding.line).rstrip(': ')}:{finding.column}"


def _cause(finding: Finding) -> object:
    """Many formulas may have the one command that MathJax does not know."""
    return finding.path, finding.code, finding.message.rpartition("MathJax says: ")[2]


def _record(finding: Finding) -> dict[str, object]:
    return {
        "file": finding.path,
        "line": finding.line,
        "column": finding.column,
        "code": finding.code,
        "severity": finding.severity,
        "message": finding.message,
        "hint": finding.hint,
        "fixable": bool(finding.edits) and CODES[finding.code].fixed,
    }


def _summary(found: Sequence[Finding], mended: int | None, notes: int, unread: int) -> str:
    counts = {kind: sum(f.severity == kind for f in found) for kind in ("error", "warning", "hint")}
    words = [f"{n} {kind}{'' if n == 1 else 's'}" for kind, n in counts.items() if n]
    text = f"{notes} note{'' if notes == 1 else 's'}: {', '.join(words) or 'nothing found'}"
    fixable = sum(bool(f.edits) and CODES[f.code].fixed for f in found)
    if unread:
        text += f"; {unread} not looked at"
    if mended is not None:
        text += f"; mended {mended}"
    elif fixable:
        text += f"; --fix tries {fixable}"
    return text
