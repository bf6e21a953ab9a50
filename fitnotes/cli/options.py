"""Options that several commands have, declared once, and what they come to: a request for a build."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fitnotes.settings import MATH, PDF_ENGINES
from fitnotes.targets.registry import decks, suffixes, targets

if TYPE_CHECKING:
    from fitnotes.build.request import Request
    from fitnotes.build.sources import Source

Command = TypeVar("Command", bound=Callable[..., Any])

PATHS = click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
TO = click.option(
    "--to",
    "targets",
    multiple=True,
    type=click.Choice(tuple(targets())),
    help="Format; may be repeated. [html]",
)
EXPLAIN = click.option("--explain", is_flag=True, help="Say of each block whether it ran, and why.")
JOBS = click.option("-j", "--jobs", type=click.IntRange(min=1), help="Sessions run at the same time. [cores]")
PDF_ENGINE = click.option("--pdf-engine", type=click.Choice(PDF_ENGINES), help="What makes the PDF. [typst]")
MATH_MODE = click.option(
    "--math", type=click.Choice(MATH), help="Formulas in HTML: by a script, or set when built. [mathjax]"
)
PROFILE = click.option(
    "--profile", multiple=True, help='Show what stands under when-profile="…" of this name; may be repeated.'
)
EMBED = click.option("--embed", is_flag=True, help="HTML as one file with everything inside.")
QUIET = click.option("-q", "--quiet", is_flag=True, help="Print problems only.")


def output(help_: str) -> Callable[[Command], Command]:
    return click.option("-o", "--output", type=click.Path(path_type=Path), help=help_)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the options of a command say."""

    targets: tuple[str, ...]
    output: Path | None
    explain: bool
    jobs: int | None
    pdf_engine: str | None
    math: str | None
    profile: tuple[str, ...]
    embed: bool
    quiet: bool
    execute: bool = True
    allow_outside: bool = False
    refresh: bool = False
    fail_fast: bool = False
    verbose: bool = False

    @property
    def verbosity(self) -> int:
        return -1 if self.quiet else int(self.verbose)

    def request(self, page: Path | None = None, wanted: str = "html") -> Request:
        """The request for a build. ``page``: the one file to write; ``wanted``: the target if none is named."""
        from fitnotes.build.request import Request

        given = {"pdf_engine": self.pdf_engine, "math": self.math, "profile": self.profile}
        return Request(
            targets=tuple(dict.fromkeys(self.targets)) or (wanted,),
            output=self.output.resolve() if self.output is not None and page is None else None,
            page=page,
            execute=self.execute,
            outside=self.allow_outside,
            refresh=self.refresh,
            jobs=self.jobs or 0,
            fail_fast=self.fail_fast,
            embed=self.embed,
            explain=self.explain,
            overrides=tuple((key, value) for key, value in given.items() if value),
        )


# Suffixes of documents that fitnotes does not write: who names one wants a file, not a folder of that name.
_DOCUMENTS = (".odt", ".txt", ".doc", ".rtf", ".pptx", ".ipynb")


def request_for(chosen: Chosen, sources: Sequence[Source]) -> Request:
    """The request, where ``--output`` may name a file. Raises click.UsageError."""
    out = chosen.output
    if out is None or out.is_dir():
        return chosen.request()
    suffix = out.suffix.lower()
    if suffix in suffixes():
        return _one_file(chosen, out, sources)
    if suffix in _DOCUMENTS:
        raise click.UsageError(f"--output {out}: a file has to end in one of {', '.join(suffixes())}")
    if out.exists():
        raise click.UsageError(
            f"--output {out} is a file; name a folder, or a file that ends in .html, .pdf, …"
        )
    return chosen.request()


def _one_file(chosen: Chosen, out: Path, sources: Sequence[Source]) -> Request:
    page = out.resolve()
    wanted = suffixes()[page.suffix.lower()]
    request = chosen.request(page, wanted)
    if len(sources) != 1 or len(request.targets) != 1:
        raise click.UsageError(f"--output {out} is one file: give one note and one --to")
    if request.targets[0] not in (wanted, decks().get(targets()[wanted].suffix)):
        raise click.UsageError(f"--output {out} does not fit --to {request.targets[0]}")
    if page == sources[0].path:
        raise click.UsageError(f"--output {out} is the note itself")
    return request
