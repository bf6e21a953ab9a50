"""Checks of a note as a document: read by pandoc, with the stored results of its blocks, but nothing run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fitnotes.document.read import Document, read_document
from fitnotes.draw import mathjax
from fitnotes.draw.media import Media
from fitnotes.errors import ConversionError, FitnotesError, Problem
from fitnotes.execute import plan as planning
from fitnotes.execute.result import Result
from fitnotes.execute.run import Executor
from fitnotes.lint.scan import Scan
from fitnotes.lint.source import Finding
from fitnotes.passes import crossrefs
from fitnotes.passes.page import Page, Place
from fitnotes.passes.pipeline import CITATIONS, RAW, REFERENCES, THEOREMS, compose, take
from fitnotes.settings import Project
from fitnotes.source.note import Note
from fitnotes.targets.html import HTML
from fitnotes.targets.html.formulas import formulas_of
from fitnotes.targets.html.look import ANCHORS
from fitnotes.targets.html.policy import say_blocked
from fitnotes.tex.macros import used_names
from fitnotes.tex.preamble import Origin


def check_document(
    note: Note, project: Project, executor: Executor, place: Place
) -> tuple[list[Problem], Page | None]:
    """What a build would find wrong, and the composed page; None if the note cannot be read at all."""
    try:
        document = read_document(note, project.settings, lenient=True)
    except FitnotesError as error:
        code = "unreadable" if isinstance(error, ConversionError) else "setting"
        return [Problem(code, error.message, error.path or note.shown, error.line, error.hint)], None
    results = stored_results(note, document, executor)
    media = Media(Path(), "", convert=lambda data, suffix: None, asked=False, dark=True)
    page = compose(document, results, HTML, media, place)
    for block in document.blocks:  # one that has not run yet will have its label
        if (label := block.options.label) and label not in page.refs.targets:
            page.refs.targets[label] = crossrefs.Labelled("Block", "?", block.line)
    take(page, (RAW, REFERENCES, CITATIONS, THEOREMS, ANCHORS))
    say_blocked(page)
    formulas = formulas_of(page)
    for formula, reason in zip(formulas, mathjax.check(formulas, page.packages), strict=True):
        if reason:
            page.formula_problem(formula[0], reason)
    syntax = [problem for _, problem in planning.syntax_problems(note, document.blocks)]
    problems = [*document.problems, *page.found, *syntax]
    return [p for p in problems if p.code != "unshown-picture"], page


def stored_results(note: Note, document: Document, executor: Executor) -> dict[int, Result]:
    done = executor.look(note, document.blocks, document.settings)
    return {index: result for index, result in done.results.items() if result.status == "ok"}


def check_macros(source: Scan, page: Page) -> Iterator[Finding]:
    """Macros of the note's own header that nothing uses."""
    note = page.document.note
    # In the body, in the title, in captions on a fence; and in the header by another one, as in \\let.
    everywhere = used_names(note.text)
    lines = source.text.split("\n")

    def defined(where: Origin) -> str:
        return lines[where.line - 1] if where.shown == note.shown and where.line else ""

    # A map of macros has their names without the backslash.
    places = page.preamble.places.items()
    used = {name for name, where in places if everywhere.count(name) > (name in defined(where))}
    bodies = {name: macro.body for name, macro in page.preamble.macros.commands.items()}
    grown = True
    while grown:  # what a used macro uses is used
        more = {n for name in used & set(bodies) for n in used_names(bodies[name])} - used
        used |= more
        grown = bool(more)
    for name, where in places:
        if where.shown != note.shown or where.line is None or name in used:
            continue
        if any(
            name in used_names(begin.body + end) for begin, end in page.preamble.macros.environments.values()
        ):
            continue
        shown = name if name.startswith("\\") else f"the environment {name}"
        column = max(defined(where).find(name), defined(where).find(name.removeprefix("\\")), 0) + 1
        yield Finding(where.line, column, "unused-macro", f"{shown} is never used", "take it out")


_NUMBER = re.compile(r"(?<![\w.,])[-−]?\d+\.\d{2,}(?:e[-+]?\d+)?(?![\w.]*\d)")


def check_numbers(source: Scan, document: Document, results: Mapping[int, Result]) -> Iterator[Finding]:
    """Numbers in the text that a block has computed: a hint to let the block write them."""
    computed: dict[float, str] = {}
    for block in document.blocks:
        result = results.get(block.index)
        if result is None or block.inline:
            continue
        for text in _texts(result.outputs):
            for match in _NUMBER.finditer(text):
                computed.setdefault(abs(float(match[0].replace("−", "-"))), block.name)
    for match in _NUMBER.finditer(source.words()):
        written = match[0].lstrip("-−")
        digits = len(written.split(".")[1])
        if len(written.replace(".", "").lstrip("0")) < 3 or "e" in written:
            continue
        value = float(written)
        name = next((n for number, n in computed.items() if round(number, digits) == value), None)
        if name:
            line, column = source.place(match.start())
            yield Finding(line, column, "typed-number", f"{match[0]} repeats what {name} computes",
                          "an inline expression, such as `loss:.3f`{.python}, follows the block")  # fmt: skip


def _texts(outputs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for output in outputs:
        if isinstance(output.get("text"), str):
            yield output["text"]
        data = output.get("data")
        if isinstance(data, dict):
            yield from (
                value for key, value in data.items() if key.startswith("text/") and isinstance(value, str)
            )
