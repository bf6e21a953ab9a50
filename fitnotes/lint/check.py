"""``fitnotes lint``: all checks of a note, what the author has silenced left out, and the safe ones mended."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import panflute as pf

from fitnotes.build.labels import Labels
from fitnotes.build.sources import Source, notes_below
from fitnotes.document import pandoc
from fitnotes.document.tree import dump, load, walk
from fitnotes.errors import CODES, HINT, ConversionError, FitnotesError, Problem, UsageError
from fitnotes.execute.run import Executor
from fitnotes.execute.sessions import set_environment
from fitnotes.lint.document import check_document, check_macros, check_numbers, stored_results
from fitnotes.lint.scan import Scan
from fitnotes.lint.source import Edit, Finding, check_source
from fitnotes.passes.crossrefs import References
from fitnotes.passes.maths import normalise
from fitnotes.passes.page import Page, Place
from fitnotes.settings import Project, nearest
from fitnotes.source.dialect import dialect
from fitnotes.source.fences import LINE
from fitnotes.source.mark import mark
from fitnotes.source.note import Note, read_note, read_text
from fitnotes.store.files import write_atomically
from fitnotes.targets.registry import format_names
from fitnotes.tex.macros import Macros
from fitnotes.tex.preamble import read_preamble

_SILENCE = re.compile(r"<!--\s*lint:\s*ignore(-file)?\s+([\w\s,-]+?)\s*-->")


class Linter:
    """Checks notes of one project. Raises UsageError for an unknown code in its settings."""

    def __init__(self, project: Project, files: Sequence[Source]) -> None:
        self.project = project
        set_environment(project.settings.threads)  # stored results depend on it
        self.executor = Executor(project)
        folder = (project.root / project.settings.notes).resolve()
        others = notes_below(folder) if folder.is_dir() else []
        self.labels = Labels(project, [*others, *files], self.executor)
        for code in project.settings.lint_ignore:
            _known(code, str(project.config))

    def check(self, file: Source) -> list[Finding]:
        """What is wrong with one note, in the order of its lines. Raises UsageError if it cannot be opened."""
        note = read_note(file.path, self.project.root)
        try:
            found, _ = self._check(note, file)
        except RecursionError:
            return [Finding(1, 1, "unreadable", "something in it is nested too deeply", path=note.shown)]
        return [_placed(finding, note) for finding in found] if note.parts else found

    def _check(self, note: Note, file: Source) -> tuple[list[Finding], Macros]:
        source = Scan(note.text)
        place = Place(
            file.base,
            self.project.root,
            lambda label: self.labels.find(label, file, ".html", set()),
            format_names(),
        )
        problems, page = check_document(note, self.project, self.executor, place)
        found = [_located(problem, source, note) for problem in problems]
        macros = page.preamble.macros if page is not None else Macros()
        found += check_source(source, macros)
        ignored = set(self.project.settings.lint_ignore)
        if page is not None:
            found += self._of_document(source, page)
            ignored = set(page.document.settings.lint_ignore)
            for code in ignored:
                _known(code, note.shown)
        found += _dialect(note, found)
        found = [replace(f, path=f.path or note.shown) for f in found]
        return sorted(_heard(found, note, ignored), key=lambda f: (f.path, f.line, f.column, f.code)), macros

    def _of_document(self, source: Scan, page: Page) -> list[Finding]:
        document = page.document
        results = stored_results(document.note, document, self.executor)
        return [*check_macros(source, page), *check_numbers(source, document, results)]

    def fix(self, file: Source) -> int:
        """Mends what is safe in one note and returns how many things. The file is written when all is well.

        An edit that would change what pandoc reads, but for the formulas' spelling, is not made.
        """
        raw = file.path.read_bytes()
        whole = raw.decode("utf-8-sig")
        windows = "\r\n" in whole and not re.search(r"\r(?!\n)|(?<!\r)\n", whole)
        if "\r" in whole and not windows:
            return 0  # lines that end in different ways would all be changed
        text, count = read_text(file.path), 0
        for _ in range(10):
            found, _ = self._check(Note(file.path, text, mark(text)), file)
            wanted = [f for f in found if f.edits and CODES[f.code].fixed]
            mended, done = _apply(text, wanted, file.path)
            if not done:
                break
            text, count = mended, count + done
        if count:
            start = b"\xef\xbb\xbf" if raw.startswith(b"\xef\xbb\xbf") else b""
            write_atomically(file.path, start + (text.replace("\n", "\r\n") if windows else text).encode())
        return count


# What tells that a note was written for a tool that reads more, or otherwise.
_OF_OTHERS = frozenset(
    {"unread-fence", "shortcode", "foreign-option", "header-key", "unknown-condition", "missing-note"}
)


def _dialect(note: Note, found: Sequence[Finding]) -> Iterator[Finding]:
    if any(f.code in _OF_OTHERS for f in found) and (seems := dialect(note.text)):
        name, line = seems
        message = f"this note seems to be written for {name}"
        yield Finding(line, 1, "dialect", message, "docs/dialects.md says what is read of it")


def _placed(finding: Finding, note: Note) -> Finding:
    """At its place in a file that the note includes; what is to be mended there is not its own."""
    if finding.path != note.shown:
        return finding
    path, line = note.place(finding.line)
    return replace(finding, path=path, line=line, edits=finding.edits if path == note.shown else ())


def failing(findings: Sequence[Finding]) -> bool:
    return any(finding.severity != HINT for finding in findings)


def _known(code: str, where: str) -> None:
    known = [name for name in CODES if CODES[name].own]
    if code not in known:
        raise UsageError(f"lint-ignore: unknown code {code!r}", path=where, hint=nearest(code, known))


def _located(problem: Problem, source: Scan, note: Note) -> Finding:
    """A problem of the document with its column: where a word that it quotes stands in its line."""
    line = problem.line or 1
    column = 1
    if problem.path == note.shown:
        text = source.text.split("\n")[line - 1] if line <= source.text.count("\n") + 1 else ""
        words = re.findall(r"\\[A-Za-z]+\{[^}]*\}|\\[A-Za-z]+|@[\w:.-]+|[\w./%-]{2,}", problem.text)
        places = [text.find(word) for word in sorted(words, key=len, reverse=True) if word in text]
        column = (places[0] if places else len(text) - len(text.lstrip())) + 1
    code = CODES[problem.code].lint or problem.code
    return Finding(line, column, code, problem.message, problem.hint, (), problem.path)


def _heard(found: list[Finding], note: Note, ignored: set[str]) -> list[Finding]:
    """Without what a comment in its line, or alone in the line above it, silences."""
    silent: set[tuple[int, str]] = set()
    whole = set(ignored)
    for n, line in enumerate(Scan(note.text).with_comments.split("\n"), 1):
        for match in _SILENCE.finditer(line):
            for code in re.split(r"[\s,]+", match[2]):
                if match[1]:
                    whole.add(code)
                else:
                    silent |= {(n, code), *([(n + 1, code)] if line.strip() == match[0] else [])}
    unique = dict.fromkeys(found)
    return [f for f in unique if f.code not in whole and (f.line, f.code) not in silent]


def _apply(text: str, wanted: Sequence[Finding], path: Path) -> tuple[str, int]:
    """The text with as many of the edits as leave its meaning alone, and how many findings that mends."""
    if not wanted:
        return text, 0
    before = _meaning(text, path)
    changed = _edited(text, [edit for finding in wanted for edit in finding.edits])
    if changed is not None and _meaning(changed, path) == before:
        return changed, len(wanted)
    # One of them is not safe: each by itself, from the end so that places stay.
    count = 0
    for finding in sorted(wanted, key=lambda f: f.edits[0].start, reverse=True):
        changed = _edited(text, finding.edits)
        if changed is not None and _meaning(changed, path) == before:
            text, count = changed, count + 1
    return text, count


def _edited(text: str, edits: Sequence[Edit]) -> str | None:
    """None if edits overlap."""
    last = len(text) + 1
    for edit in sorted(edits, key=lambda e: (e.start, e.end), reverse=True):
        if edit.end > last or (edit.end == last and edit.start == edit.end and last < edit.end):
            return None
        text = text[: edit.start] + edit.text + text[edit.end :]
        last = edit.start
    return text


def _one_line(element: pf.Element) -> None:
    element.text = " ".join(element.text.split())


def _meaning(text: str, path: Path) -> str:
    """What pandoc and MathJax make of a text, so that two texts can be compared: the document with its formulas
    expanded and in one form."""
    note = Note(path, text, mark(text))
    try:
        ast, _ = pandoc.read(note)
        doc = load(ast, "html")
        preamble = read_preamble(doc, note, [])
        normalise(doc, note, preamble, References(note), expanding=True)
        walk(doc, _one_line, pf.Math)
    except (ConversionError, FitnotesError) as error:
        return f"unreadable: {error}"
    return re.sub(rf'\["{LINE}","\d+"\],?', "", dump(doc))
