"""A note as frozen records: its text, its blocks with their line numbers and options.

Pandoc's Markdown reader keeps no source positions. So the text is *marked* before it is read: every
fence that opens a Python, Mermaid or TikZ block gets an attribute with its line, and the spellings that
pandoc does not know (```` ```{python} ````) become the one it does. Pandoc alone then decides what is a
code block; `unmark` takes the marks back out of anything it read as literal text.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from fitnotes.errors import UsageError
from fitnotes.settings import Settings, display_path, nearest, seconds, to_bool
from fitnotes.source import myst

PYTHON = frozenset({"python", "py", "python3", "ipython", "ipython3"})
MERMAID, TIKZ = "mermaid", "tikz"
DRAWN = frozenset({MERMAID, TIKZ})
LINE = "fitnotes-line"
SUFFIXES = (".md", ".markdown", ".qmd")

OUTPUT_KINDS = ("true", "false", "asis", "loss-table")


@dataclass(frozen=True, slots=True)
class Options:
    """Options of one block, named as in knitr and Quarto. Only `EXECUTION_OPTIONS` change what runs."""

    echo: bool = True
    eval: bool = True
    output: str = "true"
    include: bool = True
    warning: bool = True
    error: bool = False
    label: str = ""
    fig_cap: str = ""
    fig_subcap: tuple[str, ...] = ()
    tbl_cap: str = ""
    lst_cap: str = ""
    fig_alt: str = ""
    fig_width: str = ""
    fig_dark: bool = False
    layout_ncol: str = ""
    session: str = ""
    timeout: float = 300.0
    depends: tuple[str, ...] = ()


def _output(value: object) -> str:
    word = str(value).strip().lower()
    word = {"yes": "true", "no": "false", "hide": "false", "markup": "true"}.get(word, word)
    if word not in OUTPUT_KINDS:
        raise ValueError("one of " + ", ".join(OUTPUT_KINDS))
    return word


def _files(value: object) -> tuple[str, ...]:
    if isinstance(value, (list, tuple)):
        return tuple(str(item) for item in value)
    return tuple(name for name in re.split(r"\s*,\s*", str(value).strip()) if name)


def _captions(value: object) -> tuple[str, ...]:
    """Of a list in YAML, or of words with a | between them."""
    items = value if isinstance(value, (list, tuple)) else str(value).split("|")
    return tuple(str(item).strip() for item in items)


def _columns(value: object) -> str:
    if not re.fullmatch(r"[1-9]\d?", str(value).strip()):
        raise ValueError("a whole number from 1")
    return str(value).strip()


def _words(value: object) -> str:
    if isinstance(value, (list, tuple, dict)):
        raise ValueError("words; the captions of parts are fig-subcap")
    return str(value)


_CONVERT: dict[str, Any] = {
    "fig_cap": _words,
    "tbl_cap": _words,
    "lst_cap": _words,
    "echo": to_bool,
    "eval": to_bool,
    "output": _output,
    "include": to_bool,
    "warning": to_bool,
    "error": to_bool,
    "timeout": seconds,
    "depends": _files,
    "fig_dark": to_bool,
    "fig_subcap": _captions,
    "layout_ncol": _columns,
}
_ALIASES = {
    "results": "output",
    "fig_caption": "fig_cap",
    "caption": "fig_cap",
    "out_width": "fig_width",
    "lst_label": "label",
}
OPTION_NAMES = frozenset(f.name for f in fields(Options))

# Attributes that belong to pandoc's own code blocks, not to us; they stay on the shown code.
PANDOC_ATTRIBUTES = frozenset({"startFrom", "start-from", "filename", "style"})


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block to run (``inline`` false) or an inline expression.

    ``line`` is the note's line of the code's first line (for an inline expression, its own line);
    ``number`` counts blocks from 1 as a reader would, inline expressions carry their block before.
    """

    index: int
    number: int
    code: str
    line: int | None
    options: Options
    inline: bool = False
    spec: str = ""
    conversion: str = ""

    @property
    def name(self) -> str:
        if self.inline:
            return f"`{self.code}`"
        return f"block {self.number}" + (f" ({self.options.label})" if self.options.label else "")


@dataclass(frozen=True, slots=True)
class Note:
    """One source file. ``text`` is what the author wrote, ``marked`` what pandoc reads."""

    path: Path
    text: str
    marked: str

    @property
    def shown(self) -> str:
        return display_path(self.path)

    def line_of(self, snippet: str, after: int = 0) -> int | None:
        """The line where ``snippet`` first stands behind line ``after``, or None."""
        first = snippet.strip().split("\n", 1)[0].strip()
        if not first:
            return None
        start = 0
        for _ in range(after):
            newline = self.text.find("\n", start)
            if newline < 0:
                break
            start = newline + 1
        at = self.text.find(first, start)
        if at < 0:
            at = self.text.find(first)
        return self.text.count("\n", 0, at) + 1 if at >= 0 else None


class Cursor:
    """Finds pieces of a note's text in the order in which they stand there, and says their lines."""

    def __init__(self, note: Note) -> None:
        self._text = note.text
        self._at = 0
        self._ends = [match.start() for match in re.finditer("\n", note.text)]

    def line_of(self, snippet: str) -> int | None:
        """The line of ``snippet`` behind the one found before it; else of its first occurrence, or None."""
        first = snippet.strip().split("\n", 1)[0].strip()
        if not first:
            return None
        at = self._text.find(first, self._at)
        if at >= 0:
            self._at = at + len(first)
        else:
            at = self._text.find(first)
        return bisect.bisect_left(self._ends, at) + 1 if at >= 0 else None


def read_note(path: Path) -> Note:
    """Reads a source file. Raises UsageError when it is not there, not readable or not UTF-8."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", path=display_path(path)) from None
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise UsageError(
            f"not UTF-8 (byte {error.start})", path=display_path(path), line=line, hint="save it as UTF-8"
        ) from None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise UsageError("holds a NUL byte: not a text file", path=display_path(path), line=line)
    return Note(path, text, mark(text))


# --------------------------------------------------------------------------------------------------
# Fences

FENCE = re.compile(
    r"^(?P<prefix>(?:[ \t]|>|(?:[-*+]|\(?\w{1,3}[.)])[ \t])*)(?P<ticks>`{3,}|~{3,})[ \t]*(?P<info>.*)$"
)
_BARE = re.compile(r"^(?P<language>[\w-]+)[ \t]*(?P<attributes>\{.*\})?[ \t]*$")
_BRACED = re.compile(r"^\{[ \t]*(?P<dot>\.?)(?P<language>[\w-]+)(?P<rest>[ \t,}].*)$")
_INDENT = re.compile(r"[ \t>]*")


def header_end(lines: list[str]) -> int:
    """How many lines the YAML header at the top takes (0: there is none)."""
    if not lines or lines[0].rstrip() != "---":
        return 0
    for n, line in enumerate(lines[1:], 2):
        if line.rstrip() in ("---", "..."):
            return n
    return 0


def _knitr(rest: str) -> str:
    """``, label, echo=FALSE}`` as attributes: commas between options go, a bare word is the label."""
    inside = rest.rsplit("}", 1)[0]
    parts = re.findall(r"""[^\s,="']+\s*=\s*(?:"[^"]*"|'[^']*'|[^\s,]+)|[#.][^\s,]+|[^\s,]+""", inside)
    words = []
    for part in parts:
        if "=" in part:
            key, value = re.split(r"\s*=\s*", part, maxsplit=1)
            words.append(f"{key}={value.lower() if value in ('TRUE', 'FALSE') else value}")
        else:
            words.append(part if part[0] in "#." else f"#{part}")
    return "".join(" " + word for word in words)


def fence_info(info: str, line: int) -> str | None:
    """The info string of a Python, Mermaid or TikZ fence with its line marked; None for any other fence."""
    if braced := _BRACED.match(info):
        language, rest = braced["language"], braced["rest"]
        if language not in PYTHON | DRAWN:
            # The language need not come first: pandoc itself writes {.sourceCode .python}.
            later = re.search(r"(?<!\S)\.([\w-]+)(?=[\s}])", rest)
            if not (braced["dot"] and later and later[1] in PYTHON | DRAWN and rest.rstrip().endswith("}")):
                return None
            inside = f".{language}{rest.rstrip()[:-1]}".replace(later[0], "", 1)
            return f'{{.{later[1]} {inside.strip()} {LINE}="{line}"}}'
        if not rest.rstrip().endswith("}"):
            return None
        attributes = " " + rest.rstrip()[:-1].strip() if braced["dot"] else _knitr(rest)
        return f'{{.{language}{attributes.rstrip()} {LINE}="{line}"}}'
    if bare := _BARE.match(info):
        language = bare["language"]
        if language not in PYTHON | DRAWN:
            return None
        attributes = " " + (bare["attributes"] or "{}")[1:-1].strip()
        return f'{{.{language}{attributes.rstrip()} {LINE}="{line}"}}'
    words = re.match(r"([\w-]+)[ \t]+([^{}`]+)$", info)
    if words and words[1] in PYTHON | DRAWN:
        # ```python numberLines title="x": pandoc would read no block at all.
        parts = re.findall(r"""[^\s=]+=(?:"[^"]*"|'[^']*'|\S+)|\S+""", words[2])
        attributes = " ".join(part if "=" in part or part[0] in "#." else f".{part}" for part in parts)
        return f'{{.{words[1]} {attributes} {LINE}="{line}"}}'
    return None


def mark(text: str) -> str:
    """The text with the line of every Python, Mermaid and TikZ fence written into its attributes.

    Keeps the number of lines. A fence inside a longer fence is text and stays as it is.
    """
    return _mark(text)[0]


_SHORTHAND = re.compile(
    r"\\(?:(?:re|provide)?(?:new)?command\*?|def)\s*\{?\s*(\\[A-Za-z]+)\s*\}?\s*\{\s*"
    r"(\\(?:begin|end)\s*\{(?:equation|align|gather|multline|eqnarray|flalign|displaymath)\*?\})\s*\}"
)


def _shorthands(text: str) -> dict[str, str]:
    r"""``\newcommand{\be}{\begin{equation}}``: macros that stand for an end of a formula. Pandoc has to see it."""
    return dict(_SHORTHAND.findall(text)) if "\\begin" in text else {}


def unclosed_fence(text: str) -> int | None:
    """The line of a Python, Mermaid or TikZ fence that is never closed: pandoc takes it for text."""
    return _mark(text)[1]


def _mark(text: str) -> tuple[str, int | None]:
    lines = text.split("\n")
    closing: tuple[str, int] | None = None
    opened: tuple[int, str] | None = None
    state = _CLOSED
    in_comment = False
    skip_to = -1
    shorthands = _shorthands(text)
    short = (
        re.compile("|".join(rf"{re.escape(name)}(?![A-Za-z])" for name in shorthands)) if shorthands else None
    )
    for n in range(header_end(lines), len(lines)):
        if n <= skip_to:
            continue
        if in_comment or (closing is None and lines[n].lstrip().startswith("<!--")):
            in_comment = "-->" not in lines[n]
            continue
        if closing is None and (last := myst.rewrite(lines, n)) >= n:
            skip_to, state = last, _CLOSED
            continue
        match = FENCE.match(lines[n])
        if match is None or (closing is None and not opens_block(lines, n, match)):
            if closing is None:
                if short is not None and not _SHORTHAND.search(lines[n]) and "`" not in lines[n]:
                    lines[n] = short.sub(lambda m: shorthands[m[0]], lines[n])
                state = _mark_prose(lines, n, state)
            continue
        ticks, info = match["ticks"], match["info"]
        if closing is not None:
            if ticks[0] == closing[0] and len(ticks) >= closing[1] and not info.strip():
                closing = None
            continue
        state = _CLOSED
        if info.strip() == "math" and (end := _math_fence(lines, n, match)) is not None:
            # GitHub's own way to write a display formula.
            for at in range(n + 1, end):
                lines[at] = lines[at] if lines[at].strip() else "%"
            lines[n], lines[end] = match["prefix"] + "$$", match["prefix"] + "$$"
            skip_to = end
            continue
        closing = (ticks[0], len(ticks))
        opened = None
        if (marked := fence_info(info.strip(), n + 1)) is not None:
            opened = (n, lines[n])
            lines[n] = f"{match['prefix']}{ticks} {marked}"
    if closing is None or opened is None:
        return "\n".join(lines), None
    lines[opened[0]] = opened[1]
    return "\n".join(lines), opened[0] + 1


def _math_fence(lines: list[str], n: int, match: re.Match[str]) -> int | None:
    """Where the ```` ```math ```` of line n ends; None if it does not, or holds dollars of its own."""
    for at in range(n + 1, len(lines)):
        if lines[at].strip() == match["ticks"]:
            return at if at > n + 1 else None
        if "$" in lines[at]:
            return None
    return None


def opens_block(lines: list[str], n: int, match: re.Match[str]) -> bool:
    """Whether what looks like a fence opens a block for pandoc too."""
    ticks, info = match["ticks"], match["info"]
    if ticks[0] == "`" and "`" in info and not info.startswith("{"):
        return False  # inline code that happens to start a line
    if re.match(r" {4}|\t", lines[n]):
        # In a list item, or a line of indented code: the first has its end indented alike.
        end = re.compile(rf"[ \t]{{2,}}[>\s]*{re.escape(ticks)}+\s*$")
        return any(end.match(line) for line in lines[n + 1 :])
    return True


_DEFINITION_LINE = re.compile(
    r"(\s*\\(?:newcommand|renewcommand|providecommand|def|let|DeclareMathOperator)\b.*?)(?<!\\)%[^\n]*$"
)

# Whether a display formula is open at a line, and if so, whether empty lines in it are to be mended.
_CLOSED, _OPEN, _MEND = range(3)


def _mark_prose(lines: list[str], n: int, state: int) -> int:
    """Rewrites a line outside code where authors and pandoc disagree; the state of ``$$`` behind it."""
    line = lines[n]
    dollars = _displays(line)
    if state != _CLOSED:
        if state == _MEND and not line.strip():
            lines[n] = "%"  # pandoc ends a formula at an empty line; TeX reads a comment
        return _CLOSED if dollars % 2 else state
    if re.match(r" {4}|\t", line):
        return _CLOSED
    if dollars % 2:
        return _formula_below(lines, n)
    if "\\" in line and (comment := _DEFINITION_LINE.match(line)):
        line = lines[n] = comment[1]  # pandoc would print the comment behind a definition
    if (
        line.rstrip() == "---"
        and n
        and not lines[n - 1].strip()
        and lines[n + 1 : n + 2]
        and lines[n + 1].strip()
    ):
        lines[n] = "***"  # a rule; pandoc would take "Note: words" below it for metadata, and swallow it
        return _CLOSED
    if "$`" in line:
        line = lines[n] = _github_maths(line)
    if _wrapped_year(lines, n):
        lines[n] = re.sub(r"^(\s*\d+)([.)])", r"\1\\\2", line)
    elif "$" in line and "<" not in line:
        lines[n] = tighten_maths(line)
    return _CLOSED


def _displays(line: str) -> int:
    """How many ``$$`` stand in a line outside inline code."""
    return len(re.findall(r"(?<!\\)\$\$", CODE_SPAN.sub("", line))) if "$$" in line else 0


def _formula_below(lines: list[str], n: int) -> int:
    """What the ``$$`` of line n opens: a formula, one that empty lines hide from pandoc, or nothing."""
    empty = False
    for line in lines[n + 1 : n + 60]:
        if _displays(line):
            if not empty:
                return _OPEN
            whole = re.match(r"\s*\$\$", lines[n]) and re.search(r"\$\$[.,;]?(\s*\{#[^}]*\})?\s*$", line)
            return _MEND if whole else _CLOSED
        if line.startswith(("```", "~~~", "---")) or (empty and line.startswith("#")):
            return _CLOSED
        empty = empty or not line.strip()
    return _CLOSED


def _wrapped_year(lines: list[str], n: int) -> bool:
    """A sentence that goes on with "1985. It was" at the start of a line: no list begins at 1985."""
    above = lines[n - 1] if n else ""
    return bool(re.match(r"\s{0,3}\d{3,}[.)]\s", lines[n])) and bool(re.search(r"[a-zA-Z,]\s*$", above))


CODE_SPAN = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)")
_FORMULA = re.compile(
    r"\$\$.*?\$\$|\\.|\$(?=\S)(?:[^$\\]|\\.)*?(?<=\S)\$(?!\d)"
    r"|(?P<loose>(?<!\w)\$ +(?P<body>(?:[^$\\`]|\\.)*?) +\$(?![\w$]))"
)


def _github_maths(line: str) -> str:
    """GitHub's ``$`x`$`` as ``$x$``: a code span between dollars."""
    out, at = [], 0
    for span in CODE_SPAN.finditer(line):
        start, end = span.span()
        if span[1] == "`" and line[start - 1 : start] == "$" and line[end : end + 1] == "$":
            out += [line[at:start], span[0][1:-1].strip()]
            at = end
    return "".join([*out, line[at:]])


def tighten_maths(line: str) -> str:
    """``$ x^2 $`` as ``$x^2$``: pandoc takes dollars with a space inside for money, an author means maths.

    Only where a space stands on both sides, the inside looks like TeX and holds no words; never in code,
    and never across formulas that are well formed.

    >>> tighten_maths("the value $ x^2 $, not $ 5 and $ 6 nor $ A=1 and then $ B")
    'the value $x^2$, not $ 5 and $ 6 nor $ A=1 and then $ B'
    """

    def tight(match: re.Match[str]) -> str:
        body = match["body"]
        if match["loose"] is None or not body.strip() or body.count("{") != body.count("}"):
            return match[0]
        words = re.search(r"(?<![\\a-zA-Z{])[a-zA-Z]{3,}", body)
        worded = re.search(r"[a-zA-Z]{2,}|[^\w\s+*/<>=().,|-]|\d\s+[a-zA-Z]\b", body)
        plain = re.search(r"[a-zA-Z]", body) and not worded
        looks = re.search(r"[\\^_={]", body) and not words
        return f"${body.strip()}$" if looks or plain else match[0]

    out, at = [], 0
    for span in [*CODE_SPAN.finditer(line), None]:
        text = line[at : span.start()] if span else line[at:]
        out.append(_FORMULA.sub(tight, text))
        if span:
            out.append(span[0])
            at = span.end()
    return "".join(out)


def unmark(text: str, original: list[str]) -> str:
    """Literal text as the author wrote it: lines that carry a mark are put back."""
    if LINE not in text:
        return text
    out = []
    for line in text.split("\n"):
        found = re.search(rf'{LINE}="(\d+)"', line)
        source = FENCE.match(original[int(found[1]) - 1]) if found else None
        if source is not None:
            line = _INDENT.match(line)[0] + source["ticks"] + source["info"]  # type: ignore[index]
        out.append(line)
    return "\n".join(out)


# --------------------------------------------------------------------------------------------------
# Options


def header_options(code: str) -> tuple[dict[str, object], int]:
    """The ``#| key: value`` lines at the top of a block, as YAML, and how many lines they take."""
    lines = code.split("\n")
    count = 0
    while count < len(lines) and lines[count].lstrip().startswith("#|"):
        count += 1
    if not count:
        return {}, 0
    import yaml

    source = "\n".join(line.lstrip()[2:].removeprefix(" ") for line in lines[:count])
    try:
        values = yaml.safe_load(source)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise OptionProblem(
            f"the #| lines are not YAML: {getattr(error, 'problem', error)}", mark.line if mark else 0
        ) from None
    if values is None:
        return {}, count
    if not isinstance(values, dict):
        raise OptionProblem("expected #| key: value", 0)
    return {str(key): value for key, value in values.items()}, count


class OptionProblem(Exception):
    """A wrong option, before its file is known. ``offset`` counts lines from the code's first."""

    def __init__(
        self, message: str, offset: int | None = None, hint: str | None = None, key: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.hint = hint
        self.key = key


def parse_options(
    attributes: Mapping[str, object], identifier: str, classes: Iterable[str], defaults: Options
) -> Options:
    """Options out of a block's attributes. Raises OptionProblem for unknown names and wrong values."""
    values: dict[str, Any] = {}
    for key, value in attributes.items():
        name = key.replace("-", "_").replace(".", "_")
        name = _ALIASES.get(name, name)
        if key in PANDOC_ATTRIBUTES:
            continue
        if name not in OPTION_NAMES:
            known = (n.replace("_", "-") for n in OPTION_NAMES)
            raise OptionProblem(f"unknown option {key!r}", hint=nearest(key, known), key=key)
        try:
            values[name] = _CONVERT[name](value) if name in _CONVERT else str(value)
        except ValueError as expected:
            message = f"option {key}: expected {expected}, found {str(value)!r}"
            raise OptionProblem(message, key=key) from None
    if identifier:
        values["label"] = identifier
    kind = re.split("[-:]", values.get("label", ""))[0]
    if (
        kind in ("lst", "tbl", "tab") and "fig_cap" in values
    ):  # a plain `caption` is that of what has the label
        values.setdefault("lst_cap" if kind == "lst" else "tbl_cap", values.pop("fig_cap"))
    if "no-run" in classes:
        values["eval"] = False
    return replace(defaults, **values)


def split_spec(source: str) -> tuple[str, str, str]:
    """An inline expression as (expression, conversion, format spec), split as in an f-string.

    >>> split_spec("loss:.3f")
    ('loss', '', '.3f')
    >>> split_spec("x[1:2]")
    ('x[1:2]', '', '')
    """

    def parses(text: str) -> bool:
        try:
            compile(text.strip(), "<inline>", "eval")
        except (SyntaxError, ValueError):
            return False
        return bool(text.strip())

    if parses(source):
        return source.strip(), "", ""
    ends: Iterator[int] = (i for i, char in enumerate(source) if char == ":")
    candidates = [(source[:end], source[end + 1 :]) for end in ends]
    candidates.append((source, ""))
    for expression, spec in candidates:
        body, bang, conversion = expression.rstrip().rpartition("!")
        if bang and conversion in ("r", "s", "a") and parses(body):
            return body.strip(), conversion, spec
        if parses(expression):
            return expression.strip(), "", spec
    return source.strip(), "", ""  # not Python: the check before the run says why


def default_options(settings: Settings) -> Options:
    return Options(
        echo=settings.echo,
        warning=settings.warning,
        error=settings.error,
        timeout=settings.timeout,
        fig_dark=settings.fig_dark,
    )


def option_error(note: Note, problem: OptionProblem, line: int | None) -> UsageError:
    at = line + problem.offset if line and problem.offset is not None else line
    return UsageError(problem.message, path=note.shown, line=at, hint=problem.hint)
