"""The filters, for use with pandoc alone: ``pandoc note.md -F run_blocks.py -F draw_mermaid.py …``.

They share everything with `fitnotes build`, the stored results too. Pandoc tells a filter neither the
name nor the lines of its input; both are looked up where the system shows pandoc's command line.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import panflute as pf

from fitnotes.document.tree import collect, dump, load, walk
from fitnotes.draw import pictures
from fitnotes.draw.drawing import Surroundings
from fitnotes.draw.media import Media
from fitnotes.errors import FitnotesError, Problem
from fitnotes.passes import crossrefs, drawings, floats, maths, results
from fitnotes.settings import find_project
from fitnotes.source.block import Block
from fitnotes.source.languages import PYTHON
from fitnotes.source.note import SUFFIXES, Note
from fitnotes.targets.latex import LATEX
from fitnotes.tex.preamble import read_preamble

RAN = "fitnotes-ran"  # metadata: blocks have run, what is left of Python is for reading


def input_note(folder: Path) -> Note:
    """The file that pandoc reads, as far as the system tells (on Linux); else a nameless note."""
    import os

    try:
        arguments = Path(f"/proc/{os.getppid()}/cmdline").read_bytes().decode().split("\0")[1:]
    except (OSError, UnicodeDecodeError):
        arguments = []
    for argument in arguments:
        path = folder / argument
        if path.suffix in SUFFIXES and path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            return Note(path.resolve(), text, text)
    return Note(folder / "note.md", "", "")


def with_lines(blocks: list[Block], note: Note) -> list[Block]:
    """The blocks with their lines found in the source, in order."""
    found, at = [], 0
    for block in blocks:
        first = next((line for line in block.code.split("\n") if line.strip()), "")
        line = note.line_of(first, after=at) if note.text else None
        if line is not None and not block.inline:
            offset = block.code.split("\n").index(first)
            line -= offset
            at = line + block.code.count("\n")
        found.append(replace(block, line=line))
    return found


def _show_for(target: str) -> pictures.Convert:
    if target in ("latex", "beamer", "context"):
        return pictures.converter(LATEX, None)
    return lambda data, suffix: (data, suffix)


def _media(note: Note, target: str) -> Media:
    name = f"{note.path.stem}_files"
    return Media(Path.cwd() / name, f"{name}/", convert=_show_for(target))


def run_blocks(doc: pf.Doc, target: str) -> list[Problem]:
    """Runs the Python blocks of ``doc`` and splices their results in."""
    from fitnotes.document.read import note_settings, number_blocks
    from fitnotes.execute import plan as planning
    from fitnotes.execute.run import Executor
    from fitnotes.execute.sessions import set_environment, start_server, stop_server
    from fitnotes.execute.slots import cores

    folder = Path.cwd()
    project = find_project(folder)
    note = input_note(folder)
    _refuse_unread_fences(doc, note)
    settings = note_settings(doc, note, project.settings)
    blocks = with_lines(number_blocks(doc, note, settings), note)
    planned = planning.preloads(["\n".join(b.code for b in blocks)])
    executor = Executor(
        project, jobs=cores(), start=lambda: start_server(planned, settings.threads, project.root)
    )
    set_environment(settings.threads)
    try:
        done = executor.execute(note, blocks, settings)
    finally:
        stop_server()
    problems = [p if note.text else replace(p, line=None) for p in done.problems]
    html = target.startswith(("html", "epub", "slidy", "revealjs"))
    problems += results.splice(
        doc, note, blocks, done.results, html=html, fold=settings.fold, media=_media(note, target)
    )
    if target not in ("latex", "beamer"):
        maths.expand_formulas(doc, read_preamble(doc, note, []).macros)
    doc.metadata[RAN] = True
    if not collect(doc, pf.CodeBlock, where=lambda e: e.classes[:1] == ["mermaid"]):
        problems += _references(doc, note, target)
    return problems


def draw_mermaid(doc: pf.Doc, target: str) -> list[Problem]:
    """Draws the Mermaid blocks of ``doc``."""
    note = input_note(Path.cwd())
    around = Surroundings(note, _media(note, target), read_preamble(doc, note, []), Path.cwd())
    problems = drawings.draw(doc, around, html=target.startswith("html"), only="mermaid")
    if RAN in doc.metadata.content or not _has_python(doc):
        problems += _references(doc, note, target)
    return problems


def _has_python(doc: pf.Doc) -> bool:
    return bool(collect(doc, pf.CodeBlock, where=lambda e: bool(PYTHON & set(e.classes[:1]))))


def _references(doc: pf.Doc, note: Note, target: str) -> list[Problem]:
    """Numbers figures and tables and links to them: the part of the filter that runs last."""
    refs = crossrefs.References(note)
    problems = floats.read_floats(doc, note)
    floats.set_rows(doc, floats.below_one_another)
    crossrefs.number(doc, note, refs)
    crossrefs.title_boxes(doc, refs.words)
    crossrefs.resolve(doc, refs, leave_unknown=True)
    if target not in ("latex", "beamer"):
        crossrefs.caption_prefixes(doc, refs.words)
    return [*problems, *refs.problems]


def _refuse_unread_fences(doc: pf.Doc, note: Note) -> None:
    """Pandoc takes ```` ```{python} ```` for inline code and joins its lines: say so, lose nothing."""

    def look(element: pf.Element) -> None:
        if len(element.content) == 1 and isinstance(element.content[0], pf.Code):
            head = element.content[0].text.split("}")[0]
            language = head[1:].replace(",", " ").split()[:1]
            if head.startswith("{") and language and language[0] in PYTHON | {"mermaid"}:
                raise FitnotesError(
                    f"pandoc does not read ```{head}}} as a block",
                    path=note.shown if note.text else None,
                    line=note.line_of("```" + head) if note.text else None,
                    hint=f"write ```{{.{language[0]}}}; `fitnotes build` takes both",
                )

    walk(doc, look, pf.Para)


def main(action: Callable[[pf.Doc, str], list[Problem]]) -> None:
    """Reads pandoc's JSON, applies ``action``, writes JSON. Problems go to stderr, where pandoc shows them.

    A failing block does not fail the filter: the page shows the error, as with `fitnotes build`.
    """
    target = sys.argv[1] if len(sys.argv) > 1 else "html"
    source = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8").read()
    try:
        doc = load(source, target)
        for problem in action(doc, target):
            print(problem, file=sys.stderr)
    except FitnotesError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    sys.stdout.buffer.write(dump(doc).encode("utf-8"))
