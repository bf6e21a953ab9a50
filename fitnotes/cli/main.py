"""The command line. Nothing heavy is imported here: every command imports what it needs."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fitnotes import __version__
from fitnotes.errors import INTERRUPTED, FitnotesError
from fitnotes.settings import MATH, PDF_ENGINES

if TYPE_CHECKING:
    from fitnotes.settings import Project

TARGETS = ("html", "pdf", "slides", "slides-pdf", "tex", "gfm", "docx", "epub")
SUFFIXES = {
    ".html": "html",
    ".htm": "html",
    ".pdf": "pdf",
    ".tex": "tex",
    ".md": "gfm",
    ".docx": "docx",
    ".epub": "epub",
}
SLIDES = {"html": "slides", "pdf": "slides-pdf"}  # the other format of a file with this suffix


class _Group(click.Group):
    """Ends every command with a message and the error's own exit code, never with a traceback of ours."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        kwargs["standalone_mode"] = False
        try:
            code = super().main(*args, **kwargs)
        except click.exceptions.Exit as stop:
            code = stop.exit_code
        except (click.Abort, KeyboardInterrupt):
            click.echo("interrupted; the pages and results that were finished are kept", err=True)
            code = INTERRUPTED
        except click.ClickException as error:
            error.show()
            code = error.exit_code
        except FitnotesError as error:
            click.echo(f"fitnotes: {error}" if error.path is None else str(error), err=True)
            code = error.exit_code
        except BrokenPipeError:
            code = 0
        except OSError as error:
            click.echo(f"fitnotes: {error.strerror or error}: {error.filename or ''}".rstrip(": "), err=True)
            code = 3
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done; Python's own end is no place for Ctrl-C
        sys.stdout.flush()
        sys.exit(code if isinstance(code, int) else 0)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fitnotes", message="%(prog)s %(version)s")
def main() -> None:
    """Build Markdown notes with LaTeX and Python into pages where every number was computed."""


@main.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--to", "targets", multiple=True, type=click.Choice(TARGETS), help="Format; may be repeated. [html]"
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Folder for the pages [_build]; or a file name, for one note and one format.",
)
@click.option("--execute/--no-execute", default=True,
              help="Run blocks whose stored results do not hold / use stored results only.")  # fmt: skip
@click.option("--refresh", is_flag=True, help="Run every block and write every page again.")
@click.option("--explain", is_flag=True, help="Say of each block whether it ran, and why.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), help="Sessions run at the same time. [cores]")
@click.option("--fail-fast", is_flag=True, help="Start no other note after the first error.")
@click.option("--pdf-engine", type=click.Choice(PDF_ENGINES), help="What makes the PDF. [typst]")
@click.option(
    "--math", type=click.Choice(MATH), help="Formulas in HTML: by a script, or set when built. [mathjax]"
)
@click.option("--embed", is_flag=True, help="HTML as one file with everything inside.")
@click.option("-q", "--quiet", is_flag=True, help="Print problems only.")
@click.option("-v", "--verbose", is_flag=True, help="Also print each block and what was up to date.")
def build(
    paths: tuple[Path, ...],
    targets: tuple[str, ...],
    output: Path | None,
    execute: bool,
    refresh: bool,
    explain: bool,
    jobs: int | None,
    fail_fast: bool,
    pdf_engine: str | None,
    math: str | None,
    embed: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Run the blocks of notes and write their pages.

    PATHS are notes or folders of notes; without any, the project's notes folder is built.

    Exit codes: 0 all built; 1 a block or check failed (the page is written and shows it); 2 wrong usage;
    3 a note cannot be converted; 4 a program is missing; 130 interrupted.
    """
    from fitnotes.build.report import Live, Plain
    from fitnotes.build.schedule import Build, Request
    from fitnotes.build.sources import find_sources
    from fitnotes.execute.sessions import stop_server

    project = _project_of(paths)
    sources = find_sources(paths, project)
    chosen = tuple(dict.fromkeys(targets)) or ("html",)
    page = None
    if output is not None and output.suffix.lower() in SUFFIXES and not output.is_dir():
        page = output.resolve()
        wanted = SUFFIXES[page.suffix.lower()]
        if not targets:
            chosen = (wanted,)
        if len(sources) != 1 or len(chosen) != 1:
            raise click.UsageError(f"--output {output} is one file: give one note and one --to")
        if chosen[0] not in (wanted, SLIDES.get(wanted)):
            raise click.UsageError(f"--output {output} does not fit --to {chosen[0]}")
        if page == sources[0].path:
            raise click.UsageError(f"--output {output} is the note itself")
    documents = (".odt", ".txt", ".doc", ".rtf", ".pptx", ".ipynb")
    if output is not None and page is None and output.suffix.lower() in documents and not output.is_dir():
        raise click.UsageError(f"--output {output}: a file has to end in one of {', '.join(SUFFIXES)}")
    if output is not None and page is None and output.exists() and not output.is_dir():
        raise click.UsageError(
            f"--output {output} is a file; name a folder, or a file that ends in .html, .pdf, …"
        )
    given = {"pdf_engine": pdf_engine, "math": math}
    overrides = tuple((key, value) for key, value in given.items() if value)
    request = Request(
        targets=chosen,
        output=output.resolve() if output is not None and page is None else None,
        page=page,
        execute=execute,
        refresh=refresh,
        jobs=jobs or 0,
        fail_fast=fail_fast,
        embed=embed,
        explain=explain,
        overrides=overrides,
    )
    _end_on_signals()
    verbosity = -1 if quiet else int(verbose)
    live = sys.stderr.isatty() and not quiet
    report = Live(verbosity, explain=explain) if live else Plain(verbosity, explain=explain)
    try:
        with report:
            outcomes = Build(project, request, report).run(sources)
    finally:
        stop_server()
    report.summary(outcomes)
    raise click.exceptions.Exit(max((o.exit_code for o in outcomes), default=0))


def _project_of(paths: tuple[Path, ...]) -> Project:
    """The notes' own project, if they have one; else the working folder's."""
    import os

    from fitnotes.settings import find_project

    folders = [str((p if p.is_dir() else p.parent).resolve()) for p in paths] or [str(Path.cwd())]
    project = find_project(Path(os.path.commonpath(folders)))
    return find_project(Path.cwd()) if project.config is None else project


def _end_on_signals() -> None:
    """Being told to end is like Ctrl-C: children end first."""

    def terminate(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), terminate)


@main.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--to", "targets", multiple=True, type=click.Choice(TARGETS), help="Format; may be repeated. [html]"
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Folder for the pages. [_build]")
@click.option("--explain", is_flag=True, help="Say of each block whether it ran, and why.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), help="Sessions run at the same time. [cores]")
@click.option("--pdf-engine", type=click.Choice(PDF_ENGINES), help="What makes the PDF. [typst]")
@click.option(
    "--math", type=click.Choice(MATH), help="Formulas in HTML: by a script, or set when built. [mathjax]"
)
@click.option("--embed", is_flag=True, help="HTML as one file with everything inside.")
@click.option("-q", "--quiet", is_flag=True, help="Print problems only.")
def watch(
    paths: tuple[Path, ...],
    targets: tuple[str, ...],
    output: Path | None,
    explain: bool,
    jobs: int | None,
    pdf_engine: str | None,
    math: str | None,
    embed: bool,
    quiet: bool,
) -> None:
    """Build notes, and build them again whenever something they are made from is saved.

    Sessions are kept behind each block: an edit of the last block costs that block alone. PATHS as for
    `fitnotes build`. Ends with Ctrl-C, and then with exit code 0.
    """
    from fitnotes.build.report import Plain
    from fitnotes.build.schedule import Request
    from fitnotes.build.watch import watch_notes

    given = {"pdf_engine": pdf_engine, "math": math}
    request = Request(
        targets=tuple(dict.fromkeys(targets)) or ("html",),
        output=output.resolve() if output is not None else None,
        jobs=jobs or 0,
        embed=embed,
        explain=explain,
        overrides=tuple((key, value) for key, value in given.items() if value),
    )
    _end_on_signals()
    watch_notes(paths, _project_of(paths), request, lambda: Plain(-1 if quiet else 0, explain=explain))


@main.group()
def cache() -> None:
    """Look at and tidy up the stored results of blocks."""


@cache.command()
def info() -> None:
    """Say where results are stored, how many, and how large."""
    from fitnotes.execute.cache import Cache
    from fitnotes.settings import find_project, show_size

    project = find_project(Path.cwd())
    entries = Cache(project.root, project.results).entries()
    limit = project.settings.cache_size
    click.echo(f"folder  {project.results}")
    click.echo(f"results {len(entries)}, {show_size(sum(size for _, size, _ in entries))}")
    click.echo(f"bound   {show_size(limit) if limit else 'none'} (cache-size)")


@cache.command()
@click.option(
    "--days", type=click.FloatRange(min=0), default=30, help="Remove what was not used for so long. [30]"
)
def gc(days: float) -> None:
    """Remove results that were not used for some time, and what killed builds left."""
    from fitnotes.draw import pictures
    from fitnotes.execute.cache import Cache
    from fitnotes.settings import find_project, show_size

    project = find_project(Path.cwd())
    count, freed = Cache(project.root, project.results).trim(project.settings.cache_size, days)
    others, bytes_ = pictures.trim(pictures.folder_of(project.root), days)
    count, freed = count + others, freed + bytes_
    click.echo(f"removed {count} file{'' if count == 1 else 's'}, {show_size(freed)}")


@cache.command()
def clear() -> None:
    """Remove all stored results and converted pictures: the next build runs everything."""
    from fitnotes.draw import pictures
    from fitnotes.execute.cache import Cache
    from fitnotes.settings import find_project

    project = find_project(Path.cwd())
    count, _ = Cache(project.root, project.results).trim(1)
    pictures.trim(pictures.folder_of(project.root))
    click.echo(f"removed {count} result{'' if count == 1 else 's'}")


@main.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--fix", is_flag=True, help="Mend what is safe; everything else in the file stays as it is.")
@click.option(
    "--format", "form", type=click.Choice(("text", "json")), default="text", help="How to print. [text]"
)
def lint(paths: tuple[Path, ...], fix: bool, form: str) -> None:
    """Check notes without running their code.

    Prints file:line:column: code message. Exit codes: 0 nothing, or hints only; 1 something was found;
    2 wrong usage.
    """
    from fitnotes.lint.report import lint_files

    raise click.exceptions.Exit(lint_files(paths, fix=fix, form=form))


@main.command()
@click.argument("name")
def new(name: str) -> None:
    """Write a starter note NAME.md that builds."""
    from fitnotes.cli.starter import write_starter
    from fitnotes.settings import display_path, find_project

    path = write_starter(name, find_project(Path.cwd()))
    click.echo(f"wrote {display_path(path)}; build it with: fitnotes build {display_path(path)}")


@main.command()
@click.option(
    "--all", "everything", is_flag=True, help="Also the stored results: the next build runs everything."
)
def clean(everything: bool) -> None:
    """Remove the pages that fitnotes wrote."""
    from fitnotes.build.clean import clean_project
    from fitnotes.settings import find_project

    count = clean_project(find_project(Path.cwd()), everything=everything)
    click.echo(
        f"removed {count} page{'' if count == 1 else 's'}" + (" and all stored results" if everything else "")
    )


@main.command()
def doctor() -> None:
    """Say what is installed, and what each missing thing would enable."""
    from fitnotes.cli.doctor import checks

    missing_needed = False
    for check in checks():
        sign = "ok     " if check.found else ("MISSING" if check.needed else "absent ")
        click.echo(f"{sign} {check.name:<12} {check.found or check.enables}")
        if not check.found:
            click.echo(f"{'':<20} get it: {check.how}")
            missing_needed = missing_needed or check.needed
    raise click.exceptions.Exit(4 if missing_needed else 0)


@main.command("data-dir")
def data_dir() -> None:
    """Print the folder to give to pandoc as --data-dir: its filters run blocks and draw diagrams."""
    from fitnotes.document.pandoc import data_dir as folder

    click.echo(folder())
