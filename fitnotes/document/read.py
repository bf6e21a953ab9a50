"""From a note's text to its document: pandoc's AST with every block to run numbered in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import panflute as pf

from fitnotes.document import pandoc
from fitnotes.document.tree import SHOWN, Change, load, walk
from fitnotes.errors import Problem, UsageError
from fitnotes.settings import CONVERTERS, FOLDER_KEYS, Settings, merge
from fitnotes.source.block import EXPRESSION, Block, split_spec
from fitnotes.source.fences import LINE, header_end, header_start
from fitnotes.source.foreign import UNREAD
from fitnotes.source.header import odd_values
from fitnotes.source.languages import DRAWN, PYTHON, READ
from fitnotes.source.mark import CONTROL, unclosed_fence, unmark
from fitnotes.source.note import Cursor, Note
from fitnotes.source.options import (
    OptionProblem,
    Options,
    default_options,
    header_options,
    is_condition,
    is_foreign,
    option_error,
    parse_options,
)

INDEX = "fitnotes-index"  # attribute of an element in the AST that stands for a Block


@dataclass(frozen=True, slots=True)
class Document:
    """A note that has been read. ``ast`` is pandoc's JSON."""

    note: Note
    ast: str
    blocks: tuple[Block, ...]
    settings: Settings
    problems: tuple[Problem, ...]
    failures: dict[str, Exception] = field(default_factory=dict)  # of drawings: every page has the same
    _read: list[pf.Doc] = field(default_factory=list)  # what `load` gives first, instead of reading it again

    def load(self, target: str) -> pf.Doc:
        """panflute's Doc for one target to change; elements that run carry INDEX."""
        if self._read:
            doc = self._read.pop()
        else:
            doc = load(self.ast, "json")
            number_blocks(doc, self.note, self.settings)
        doc.format = target
        if _RESERVED.search(self.ast):
            walk(doc, _free, pf.Div, pf.Span, pf.Figure, pf.Table)
        if self.blocks:  # what they write may have footnotes
            doc.has_notes = True
        return doc


# Classes by which the steps over the tree know what they have made (`fitnotes.document.nodes`).
_OURS = (
    "callout", "tabset", "tab", "layout", "layout-cell", "listing", "panel", "subfigure", "aligned", "coloured",
    "fitnotes-theorem", "fitnotes-held", "slide-directive", "slide-background", "missing-part",
)  # fmt: skip
_RESERVED = re.compile(rf'"(?:{"|".join(_OURS)})"')


def _free(element: pf.Element) -> None:
    """An author's own class of such a name: it means nothing here. A box that is only called ``callout`` is a note."""
    if "callout" in element.classes and not any(name.startswith("callout-") for name in element.classes):
        element.classes = [*element.classes, "callout-note"]
    element.classes = [f"own-{name}" if name in _OURS else name for name in element.classes]


def read_document(
    note: Note,
    base: Settings,
    overrides: dict[str, object] | None = None,
    read: tuple[str, list[Problem]] | None = None,
    *,
    lenient: bool = False,
) -> Document:
    """Reads the note with pandoc. ``base`` are the project's settings, ``overrides`` the command line's; ``read``:
    what `pandoc.read` has given already; ``lenient``: wrong settings and options are problems, as lint wants them.

    Raises ConversionError (pandoc cannot read it) and UsageError (a wrong setting or option).
    """
    ast, problems = read or pandoc.read(note)
    if (line := unclosed_fence(note.text)) is not None:
        message = "this block is never closed; it is shown as text and does not run"
        problems.append(Problem("unclosed-block", message, note.shown, line, "end it with ```"))
    doc = load(ast, "json")
    if LINE in ast:
        _refuse_leaked_marks(doc, note)
    settings = note_settings(doc, note, base, overrides, problems if lenient else None)
    blocks = number_blocks(doc, note, settings, problems, lenient=lenient)
    problems += _odd_values(note)
    problems += _control_characters(note)
    if _UNDEFINED.search(ast):
        _say_undefined(doc, note, problems)
    return Document(note, ast, tuple(blocks), settings, tuple(problems), _read=[doc])


def _odd_values(note: Note) -> Iterator[Problem]:
    """Words of the header that are a yes or no to YAML: they are read as words, here."""
    lines = note.text.split("\n")
    end = header_end(lines)
    for odd in odd_values(lines, (header_start(lines) or 0) + 1, end - 1) if end else ():
        if odd.word:
            message = f"{odd.key}: {odd.value} is no word in YAML, but a yes or no; it is read as the word"
            hint = f'write {odd.key}: "{odd.value}"'
            yield Problem("yaml-value", message, note.shown, odd.n + 1, hint)


def _control_characters(note: Note) -> Iterator[Problem]:
    """Those of prose; code keeps them."""
    if not CONTROL.search(note.text):
        return
    both = zip(note.text.split("\n"), note.marked.split("\n"), strict=True)
    for line, (written, read) in enumerate(both, 1):
        for sign in CONTROL.findall(written):
            if sign not in read:
                message = f"U+{ord(sign):04X} is a control character; it is left out"
                yield Problem("control-character", message, note.shown, line)


def _marked_line(text: str) -> int | None:
    """The line that the mark in a text names."""
    found = re.search(rf"{LINE}\D*(\d+)", text)
    return int(found[1]) if found else None


def _refuse_leaked_marks(doc: pf.Doc, note: Note) -> None:
    """A marked fence that pandoc read as running text: an error, never a block that silently does not run."""

    def look(element: pf.Element) -> None:
        if LINE in element.text:
            text = pf.stringify(element.parent) if element.parent else ""
            raise UsageError(
                "pandoc does not read this fence as a block", path=note.shown,
                line=_marked_line(text), hint="leave an empty line above it",
            )  # fmt: skip

    walk(doc, look, pf.Str)


# What is left of a reference to a footnote or to a link that is defined nowhere; a[i][j] is none.
_UNDEFINED = re.compile(r"\[\^[^\]\s\"]+\]|\]\[[^\]\s\"]+")
_LINK = re.compile(r"(?<![\w\])\\])\[[^\[\]\n]+\](\[[^\[\]\n]+\])")


def _say_undefined(doc: pf.Doc, note: Note, problems: list[Problem]) -> None:
    cursor = Cursor(note)

    def look(element: pf.Element) -> None:
        for match in _UNDEFINED.finditer(element.text):
            what, name = "footnote", match[0]
            if not name.startswith("[^"):
                names = (link[1] for link in _LINK.finditer(note.text))
                what, name = "link", next((name for name in names if name.startswith(match[0][1:])), "")
            if not name or name not in note.text or f"\\{name}" in note.text:  # or written so that it is text
                continue
            message = f"the {what} {name} is defined nowhere; it is shown as text"
            problems.append(
                Problem("footnote", message, note.shown, cursor.line_of(name), f"add a line {name}: …")
            )

    walk(doc, look, pf.Str)


def plain(value: pf.Element | None) -> object:
    """Metadata as Python values: maps, lists, booleans, and text for everything else."""
    if isinstance(value, pf.MetaMap):
        return {key: plain(item) for key, item in value.content.items()}
    if isinstance(value, pf.MetaList):
        return [plain(item) for item in value.content]
    if isinstance(value, pf.MetaBool):
        return bool(value.boolean)
    if isinstance(value, pf.MetaString):
        return value.text
    return pf.stringify(value).strip() if value is not None else ""


def note_settings(
    doc: pf.Doc,
    note: Note,
    base: Settings,
    overrides: dict[str, object] | None = None,
    problems: list[Problem] | None = None,
) -> Settings:
    """The settings of one note: ``fitnotes:`` in its metadata over the project's, under the command line. What is wrong
    goes to ``problems``; without them it raises UsageError."""
    metadata = doc.metadata.content
    values: dict[str, object] = {}
    if "fitnotes" in metadata:
        found = plain(metadata["fitnotes"])
        if isinstance(found, dict):
            values.update(found)
        else:
            line = note.line_of("fitnotes:")
            wrong = UsageError("fitnotes: expected keys below it", path=note.shown, line=line)
            if problems is None:
                raise wrong
            problems.append(_as_problem(wrong))
    if "execute" in metadata and "execute" not in values:
        found = plain(metadata["execute"])
        if isinstance(found, dict):  # Quarto's way to give defaults for all blocks
            found = {"execute" if k == "eval" else k: v for k, v in found.items()}
            values.update({k: v for k, v in found.items() if k in CONVERTERS})
        else:
            values["execute"] = found
    allowed = frozenset(CONVERTERS) - FOLDER_KEYS
    settings = base
    for key, value in values.items():
        try:
            settings = merge(
                settings,
                {key: value},
                path=note.shown,
                line_of=lambda k: note.line_of(f"{k}:"),
                allowed=allowed,
            )
        except UsageError as wrong:
            if problems is None:
                raise
            problems.append(_as_problem(wrong))
    return merge(settings, overrides or {}, path="command line")


def _as_problem(error: UsageError) -> Problem:
    return Problem("setting", error.message, error.path or "", error.line, error.hint)


# What is left of a fence that pandoc took for inline code: braces never closed, or options and then code.
_UNREAD = re.compile(rf"\{{\s*\.?({'|'.join(sorted(READ))})\b(?:[^}}]*$|[ ,][^}}]*\}}\s*\S)", re.DOTALL)


def _runs(execute: str, classes: list[str]) -> bool:
    return execute == "all" or (execute == "marked" and "run" in classes)


def number_blocks(
    doc: pf.Doc,
    note: Note,
    settings: Settings,
    problems: list[Problem] | None = None,
    *,
    lenient: bool = False,
) -> list[Block]:
    """Numbers what runs, in document order, and cleans the marks out of everything else. What is not read goes to
    ``problems``.

    Changes ``doc``. Raises UsageError for a wrong option, if not ``lenient``: then it is a problem too.
    """
    numbering = _Numbering(note, settings, [] if problems is None else problems, lenient=lenient)
    kinds = (pf.CodeBlock, pf.Code, pf.RawBlock, pf.RawInline)
    walk(doc, numbering.visit, *kinds)
    for key, value in doc.metadata.content.items():  # behind the blocks, which they may show the results of
        if key in SHOWN:
            walk(value, numbering.visit, *kinds)
    return numbering.blocks


class _Numbering:
    """The blocks and expressions of a note, as they come by in its order."""

    def __init__(self, note: Note, settings: Settings, problems: list[Problem], *, lenient: bool) -> None:
        self.note = note
        self.lenient = lenient
        self.problems = problems
        self.execute = settings.execute
        self.defaults = default_options(settings)
        self.blocks: list[Block] = []
        self._source = note.text.split("\n")
        self._count = 0  # of blocks, as a reader counts them
        self._line = 0  # of the last block or expression
        self._searched: dict[str, int] = {}  # expression → where it was found last

    def visit(self, element: pf.Element) -> Change:
        if isinstance(element, pf.CodeBlock):
            return self._code_block(element)
        if isinstance(element, pf.Code) and LINE in element.text:  # it would be gone with its mark
            raise UsageError(
                "pandoc does not read this fence as a block", path=self.note.shown,
                line=_marked_line(element.text), hint="indent it as the text above it, or leave an empty line",
            )  # fmt: skip
        element.text = unmark(element.text, self._source)
        if isinstance(element, pf.Code):
            self._expression(element)
        return None

    def _code_block(self, element: pf.Element) -> Change:
        mark = element.attributes.pop(LINE, None)
        if mark is not None and mark.isdigit():
            self._line = int(mark)
        if LINE in element.text:
            message = "this fence stands in indented code: it is shown, and nothing runs"
            line = _marked_line(element.text)
            self.problems.append(Problem("unread-fence", message, self.note.shown, line))
        element.text = unmark(element.text, self._source)
        if unread := element.attributes.pop(UNREAD, None):
            self._say_unread(unread)
        language = next((c for c in element.classes if c in READ), "")
        if language and element.classes[0] != language:
            others = (c for c in element.classes if c not in (language, "sourceCode"))
            element.classes = [language, *others]
        if language in DRAWN and mark is not None:
            element.attributes[LINE] = mark
        if language not in PYTHON:
            return None
        self._count += 1
        line = int(mark) + 1 if mark is not None else None
        options, code = self._options(element, line)
        if not _runs(self.execute, element.classes):
            return _shown_only(element, options, code)
        taken = element.text.count("\n") + 1 - len(code)
        block = Block(len(self.blocks), self._count, "\n" * taken + "\n".join(code), line, options)
        self._add(element, block)
        self._captions(block)
        return None

    def _captions(self, host: Block) -> None:
        """The expressions in the captions of a block, which run behind it."""
        if self.execute == "none":
            return
        for source in dict.fromkeys(
            found[0] for text in host.options.captions for found in EXPRESSION.finditer(text)
        ):
            found = EXPRESSION.fullmatch(source)
            assert found
            code, conversion, spec = split_spec(found["expression"] or found["other"])
            options = Options(session=host.options.session, timeout=self.defaults.timeout)
            self.blocks.append(Block(
                len(self.blocks), self._count, code, host.line, options, inline=True, spec=spec,
                conversion=conversion, host=host.index, source=source,
            ))  # fmt: skip

    def _say_unread(self, name: str) -> None:
        message = f"nothing here reads ```{{{name}}}: it is shown as code"
        self.problems.append(Problem("unread-fence", message, self.note.shown, self._line or None))

    def _say_foreign(self, keys: list[str], line: int | None) -> None:
        if keys:
            several = "s" * (len(keys) > 1)
            message = f"option{several} {', '.join(keys)} mean{'' if several else 's'} nothing here"
            self.problems.append(Problem("foreign-option", message, self.note.shown, line))

    def _options(self, element: pf.Element, line: int | None) -> tuple[Options, list[str]]:
        """The options of a block, and the lines of its code without those that hold options."""
        lines = element.text.split("\n")
        given: dict[str, object] = dict(element.attributes)
        taken = 0
        try:
            header, taken = header_options(element.text)
            given |= header
            element.attributes.update({key: str(given[key]) for key in header if is_condition(key)})
        except OptionProblem as problem:
            self._wrong(problem, lines, line)
            taken = next(
                (i for i, text in enumerate(lines) if not text.lstrip().startswith("#|")), len(lines)
            )
        self._say_foreign([key for key in given if is_foreign(key) and key != "n"], line)
        while True:
            try:
                return parse_options(given, element.identifier, element.classes, self.defaults), lines[taken:]
            except OptionProblem as problem:
                self._wrong(problem, lines, line)
                given.pop(problem.key or "", None)

    def _wrong(self, problem: OptionProblem, lines: list[str], line: int | None) -> None:
        """A wrong option, in the ``#|`` lines at the top of the code or in the fence above it."""
        own = next((i for i, text in enumerate(lines) if re.match(rf"\s*#\|\s*{problem.key}\s*:", text)), -1)
        shift = own if problem.offset is None else 0
        error = option_error(self.note, problem, line + shift if line else None)
        if not self.lenient:
            raise error from None
        self.problems.append(
            Problem("unknown-option", error.message, self.note.shown, error.line, error.hint)
        )

    def _expression(self, element: pf.Element) -> None:
        expression = _inline_expression(element)
        if expression is None:
            self._refuse_unread(element)
            return
        if self.execute == "none":
            return
        # Several expressions may read alike: each is looked for behind the one before it.
        start = max(self._line, self._searched.get(expression, 0))
        line = self.note.line_of(f"`{element.text}`", max(start - 1, 0))
        if line is not None:
            self._line = max(self._line, line)
            self._searched[expression] = line
        code, conversion, spec = split_spec(expression)
        options = Options(session=element.attributes.get("session", ""), timeout=self.defaults.timeout)
        index = len(self.blocks)
        block = Block(index, self._count, code, line, options, inline=True, spec=spec, conversion=conversion)
        self._add(element, block)

    def _refuse_unread(self, element: pf.Element) -> None:
        unread = _UNREAD.match(element.text)
        if not unread:
            return
        first = element.text.split()[0]
        raise UsageError(
            "pandoc does not read this fence as a block",
            path=self.note.shown,
            line=self.note.line_of("```" + first) or self.note.line_of("``` " + first),
            hint=f"write ```{{.{unread[1]} …}} with the brace closed on the same line",
        )

    def _add(self, element: pf.Element, block: Block) -> None:
        self.blocks.append(block)
        element.attributes[INDEX] = str(block.index)


def _shown_only(element: pf.Element, options: Options, code: list[str]) -> Change:
    """A block that does not run: the code alone, without our options."""
    if not (options.echo and options.include):
        return []
    element.text = "\n".join(code)
    kept = {key: value for key, value in element.attributes.items() if is_condition(key)}
    element.attributes.clear()
    element.attributes.update(kept)
    if options.lst_cap:
        element.attributes["lst-cap"] = options.lst_cap
    return element


def _inline_expression(element: pf.Element) -> str | None:
    """The expression of `` `expr`{.python} `` or `` `{python} expr` ``; None for other inline code."""
    if element.classes and element.classes[0] in PYTHON:
        return str(element.text)
    head, brace, rest = element.text.partition("}")
    if brace and head.startswith("{") and head[1:].strip() in PYTHON and rest[:1].isspace():
        return str(rest).strip()
    return None
