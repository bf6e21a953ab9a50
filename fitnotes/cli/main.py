"""The command line. Nothing heavy is imported here: every command imports what it needs."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fitnotes import __version__
from fitnotes.cli import options
from fitnotes.errors import INTERRUPTED, FitnotesError

if TYPE_CHECKING:
    from fitnotes.settings import Project


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
@options.PATHS
@options.TO
@options.output("Folder for the pages [_build]; or a file name, for one note and one format.")
@click.option("--execute/--no-execute", default=True,
              help="Run blocks whose stored results do not hold / use stored results only.")  # fmt: skip
@click.option("--allow-outside", is_flag=True, help="With --no-execute: also show files outside the project.")
@click.option("--refresh", is_flag=True, help="Run every block and write every page again.")
@options.EXPLAIN
@options.JOBS
@click.option("--fail-fast", is_flag=True, help="Start no other note after the first error.")
@options.PDF_ENGINE
@options.MATH_MODE
@options.PROFILE
@options.EMBED
@options.QUIET
@click.option("-v", "--verbose", is_flag=True, help="Also print each block and what was up to date.")
def build(paths: tuple[Path, ...], **given: Any) -> None:
    """Run the blocks of notes and write their pages.

    PATHS are notes or folders of notes; without any, the project's notes folder is built.

    Exit codes: 0 all built; 1 a block or check failed (the page is written and shows it); 2 wrong usage;
    3 a note cannot be converted; 4 a program is missing; 130 interrupted.
    """
    from fitnotes.build.report import Live, Plain
    from fitnotes.build.schedule import Build
    from fitnotes.build.sources import find_sources
    from fitnotes.execute.sessions import stop_server

    chosen = options.Chosen(**given)
    project = _project_of(paths)
    sources = find_sources(paths, project)
    request = options.request_for(chosen, sources)
    _end_on_signals()
    live = sys.stderr.isatty() and not chosen.quiet
    report = (Live if live else Plain)(chosen.verbosity, explain=chosen.explain)
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


_PATIENCE = 5.0  # seconds for what runs to end by itself


def _end_on_signals() -> None:
    """Being told to end is like Ctrl-C: children end first. What does not end in time, such as a thread that computes,
    ends with the process; sessions end when it is gone."""
    import os
    import threading

    from fitnotes.errors import INTERRUPTED

    def terminate(number: int, frame: object) -> None:
        last = threading.Timer(_PATIENCE, os._exit, (INTERRUPTED,))
        last.daemon = True
        last.start()
        raise KeyboardInterrupt

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), terminate)


@main.command()
@options.PATHS
@options.TO
@options.output("Folder for the pages. [_build]")
@options.EXPLAIN
@options.JOBS
@options.PDF_ENGINE
@options.MATH_MODE
@options.PROFILE
@options.EMBED
@options.QUIET
def watch(paths: tuple[Path, ...], **given: Any) -> None:
    """Build notes, and build them again whenever something they are made from is saved.

    Sessions are kept behind each block: an edit of the last block costs that block alone. PATHS as for
    `fitnotes build`. Ends with Ctrl-C, and then with exit code 0.
    """
    from fitnotes.build.report import Plain
    from fitnotes.build.watch import watch_notes

    chosen = options.Chosen(**given)
    _end_on_signals()
    request = chosen.request()
    watch_notes(paths, _project_of(paths), request, lambda: Plain(chosen.verbosity, explain=chosen.explain))


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
    from fitnotes.execute.cache import Cache
    from fitnotes.settings import find_project, show_size
    from fitnotes.store.blobs import Blobs

    project = find_project(Path.cwd())
    count, freed = Cache(project.root, project.results).trim(project.settings.cache_size, days)
    others, bytes_ = Blobs.of(project.root).remove(days)
    count, freed = count + others, freed + bytes_
    click.echo(f"removed {count} file{'' if count == 1 else 's'}, {show_size(freed)}")


@cache.command()
def clear() -> None:
    """Remove all stored results and converted pictures: the next build runs everything."""
    from fitnotes.execute.cache import Cache
    from fitnotes.settings import find_project
    from fitnotes.store.blobs import Blobs

    project = find_project(Path.cwd())
    count, _ = Cache(project.root, project.results).trim(1)
    Blobs.of(project.root).remove()
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
    from fitnotes.settings import display_path, find_project

    count, left = clean_project(find_project(Path.cwd()), everything=everything)
    click.echo(
        f"removed {count} page{'' if count == 1 else 's'}" + (" and all stored results" if everything else "")
    )
    for page in left:
        click.echo(f"left {display_path(page)}: it was changed, or lies outside the project", err=True)


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
