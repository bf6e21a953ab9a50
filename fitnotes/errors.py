"""Everything that can be found wrong, in one table, and the exceptions that end the work on a note.

::

    FitnotesError
    ├── UsageError          2   wrong command line, settings or block option
    ├── ConversionError     3   pandoc, Typst or LaTeX cannot convert the note
    └── MissingProgram      4   a program that this build needs is not installed

What does not end the work is a `Problem`: a block that raises, times out or crashes, for one, since the page is still
written. Its code says how severe it is and which exit code it ends with; nobody reads that from its words.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar

T = TypeVar("T")
_FEW, _SHOWN = 3, 5  # so many more of one cause are said apart; so many lines are named

INTERRUPTED = 130
# Of a file in a note of a stranger (docs/strangers.md).
OUTSIDE = "lies outside the project; a build that runs nothing does not read it"
TRUST = "--allow-outside reads it, if you trust the note"

Severity = Literal["error", "warning", "hint"]
ERROR: Severity = "error"
WARNING: Severity = "warning"
HINT: Severity = "hint"


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of finding. ``exit_code`` is that of a build in which it occurs; a hint is a warning there.

    ``lint``: as what `fitnotes lint` reports it, if not by its own name; ``fixed``: lint can mend it.
    """

    severity: Severity
    meaning: str
    exit_code: int = 0
    lint: str = ""
    fixed: bool = False
    label: str = ""  # stands in front of the message where the code itself is not printed

    @property
    def own(self) -> bool:
        """Whether lint reports it by its own name."""
        return not self.lint


CODES: dict[str, Code] = {
    # In the order in which the README lists those that lint gives.
    "formula": Code(ERROR, "MathJax cannot typeset it, or a macro never ends", 1, label="formula "),
    "undefined-label": Code(ERROR, "a reference to a label that is nowhere, or to a formula without a number", 1),
    "doubled-label": Code(ERROR, "the same label twice", 1),
    "unknown-option": Code(ERROR, "an option of a block or diagram that does not exist, or has a wrong value", 2),
    "setting": Code(ERROR, "a setting in the header that does not exist, or has a wrong value", 2),
    "unclosed-block": Code(ERROR, "a fence that is never closed", 1),
    "syntax": Code(ERROR, "a block that is not Python", 1),
    "diagram": Code(ERROR, "a diagram that cannot be drawn", 1),
    "unreadable": Code(ERROR, "pandoc cannot read the note", 2),
    "redefinition": Code(WARNING, "a macro that is defined twice"),
    "early-use": Code(WARNING, "a macro used before its definition"),
    "unused-macro": Code(WARNING, "a macro of the header that nothing uses"),
    "unbraced-script": Code(WARNING, "`f_\\boldsymbol{x}`: LaTeX wants braces (fixed)", fixed=True),
    "escaped-maths": Code(
        WARNING, "`x\\_i`, `\\\\{`: escaped for another Markdown; TeX reads it otherwise (fixed)", fixed=True
    ),
    "spaced-dollars": Code(
        WARNING, "`$ x $`, `$x = $`, kramdown's `$$x$$` in a line: not a formula to other readers (fixed)", fixed=True
    ),
    "blank-line": Code(WARNING, "an empty line inside a display formula (fixed)", fixed=True),
    "list-blank-line": Code(WARNING, "a list without an empty line before it (fixed)", fixed=True),
    "environment-in-dollars": Code(HINT, "`$$\\begin{align}…$$`: LaTeX alone would stop at it"),
    "rows-outside": Code(HINT, "`\\\\` in a display formula outside an environment"),
    "yaml-value": Code(WARNING, "`lang: no`: a word that is a yes or no to YAML"),
    "control-character": Code(WARNING, "a character that no page shows; it is left out"),
    "header-key": Code(WARNING, "a key of the header that means nothing here, or is misspelt"),
    "unknown-condition": Code(WARNING, "`when-fromat=…`: a condition that means nothing; what it is about is hidden"),
    "foreign-option": Code(WARNING, "an option of Quarto or knitr that means nothing here"),
    "shortcode": Code(WARNING, "`{{< video … >}}`: a shortcode that means nothing here; it is shown as written"),
    "footnote": Code(WARNING, "`[^x]`, `[words][x]`: a note or a link that is defined nowhere, shown as text"),
    "blocked": Code(WARNING, "a frame, script or film that the content policy of HTML pages blocks"),
    "dialect": Code(HINT, "the tool that a note seems to be written for, where something in it is not read"),
    "annotation": Code(HINT, "`# <1>` and a list below the code: both are shown as they are written"),
    "unread-fence": Code(WARNING, "```` ```{r} ````, `{figure}`: a fence that nothing here reads; it is shown as code"),
    "raw-tex": Code(WARNING, "TeX in prose that only LaTeX targets understand"),
    "raw-html": Code(WARNING, "HTML that only HTML targets understand"),
    "preamble": Code(HINT, "a command in the header that does something in LaTeX only"),
    "missing-file": Code(WARNING, "an image, a bibliography or a macro file that is not there"),
    "anchor": Code(WARNING, "a link to a place that is not there, or to nothing"),
    "missing-note": Code(WARNING, "a link to a note that is not there"),
    "network-image": Code(WARNING, "an image on the network, which pages do not load"),
    "picture": Code(WARNING, "an image that cannot be read, or that some targets show without its words or parts"),
    "missing-alt": Code(WARNING, "an image without a description"),
    "citation": Code(WARNING, "a citation that no bibliography has"),
    "typed-number": Code(HINT, "a number in the text that a block also computes"),
    "pandoc": Code(WARNING, "something that pandoc warns about"),
    # Those that lint has no name for.
    "usage": Code(ERROR, "a wrong command line, setting or option", 2, "pandoc"),
    "conversion": Code(ERROR, "a converter stops", 3, "pandoc"),
    "missing-program": Code(ERROR, "a program is not installed", 4, "pandoc"),
    "system": Code(ERROR, "no room, no permission", 3, "pandoc"),
    "internal": Code(ERROR, "a fault of fitnotes itself", 3, "pandoc"),
    "block": Code(ERROR, "a block raises, takes too long or crashes", 1, "pandoc"),
    "macro": Code(ERROR, "a macro in a formula never ends, or a value is computed inside it", 1, "formula"),
    "bibliography": Code(ERROR, "a bibliography or its style cannot be read", 1, "citation"),
    "latex-formula": Code(ERROR, "an installed LaTeX does not know something in a formula", 1, "pandoc"),
    "latex-stops": Code(ERROR, "an installed LaTeX stops at the .tex file", 1, "pandoc"),
    "latex": Code(WARNING, "something that an installed LaTeX does not know", lint="pandoc"),
    "wide-table": Code(WARNING, "a table wider than paper, which is cut into parts", lint="pandoc"),
    "wide-formula": Code(WARNING, "a formula wider than the text, which LaTeX sets smaller", lint="pandoc"),
    "glyph": Code(WARNING, "a character that the fonts of a PDF do not have", lint="pandoc"),
    "outside": Code(WARNING, "a file outside the project, where nothing is run", lint="pandoc"),
    "unshown-picture": Code(WARNING, "a file that this target cannot show", lint="pandoc"),
    "slides": Code(WARNING, "something that decks leave out", lint="pandoc"),
    "overfull": Code(WARNING, "a slide with more on it than fits", lint="pandoc"),
    "github-macro": Code(WARNING, "a macro that GitHub refuses", lint="pandoc"),
    "head": Code(WARNING, "a script in the header", lint="pandoc"),
    "result": Code(WARNING, "a block shows something else than its options say", lint="pandoc"),
    "missing-result": Code(WARNING, "a block without a stored result, where none may run", lint="pandoc"),
    "cache": Code(WARNING, "stored results that cannot be read or written", lint="pandoc"),
    "depends": Code(WARNING, "a file that a block depends on is not there", lint="pandoc"),
    "shared-file": Code(WARNING, "several notes write one file, or each reads what the other writes", lint="pandoc"),
    "orphan": Code(WARNING, "a page whose note is gone", lint="pandoc"),
}  # fmt: skip


def located(message: str, path: str | None, line: int | None) -> str:
    """``file:line: message``, as editors and compilers write it."""
    if path is None:
        return message
    return f"{path}:{line}: {message}" if line else f"{path}: {message}"


def gathered(
    found: Iterable[T], cause: Callable[[T], object], line: Callable[[T], int | None]
) -> list[tuple[T, str]]:
    """Each thing found, where it is first found, with the lines where others of its cause are; a few of one cause stay
    as they are."""
    causes: dict[object, list[T]] = {}
    for one in found:
        causes.setdefault(cause(one), []).append(one)
    told: list[tuple[T, str]] = []
    for same in causes.values():
        lines = list(dict.fromkeys(n for one in same[1:] if (n := line(one))))
        if len(lines) < _FEW:
            told += [(one, "") for one in same]
            continue
        more = f" and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
        told.append((same[0], f" (again in lines {', '.join(map(str, lines[:_SHOWN]))}{more})"))
    return told


class FitnotesError(Exception):
    """An error with a place (``path``, ``line``), and a ``hint`` that says how to mend it."""

    code: ClassVar[str] = "conversion"

    def __init__(
        self, message: str, *, path: str | None = None, line: int | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.line = line
        self.hint = hint

    @property
    def exit_code(self) -> int:
        return CODES[self.code].exit_code

    def __str__(self) -> str:
        text = located(self.message, self.path, self.line)
        return f"{text}\n  {self.hint}" if self.hint else text


class UsageError(FitnotesError):
    code = "usage"


class ConversionError(FitnotesError):
    code = "conversion"


class MissingProgram(FitnotesError):
    code = "missing-program"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something found while building that does not stop the page from being written. ``code`` is one of `CODES`."""

    code: str
    message: str
    path: str
    line: int | None = None
    hint: str | None = None

    @property
    def severity(self) -> Severity:
        return CODES[self.code].severity

    @property
    def exit_code(self) -> int:
        return CODES[self.code].exit_code

    @property
    def text(self) -> str:
        return CODES[self.code].label + self.message

    @property
    def is_error(self) -> bool:
        return self.severity == ERROR

    def __str__(self) -> str:
        text = located(("" if self.is_error else "warning: ") + self.text, self.path, self.line)
        return f"{text}\n  {self.hint}" if self.hint else text


def unexpected(error: Exception, path: str) -> Problem:
    """What is said, in one line, of an error in a note that is none of `FitnotesError`. With FITNOTES_DEBUG set our own
    are raised, with all that Python tells of them."""
    if isinstance(error, OSError):  # disk full, no permission: said as it is, with the file
        message = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
        return Problem("system", message, path)
    if isinstance(error, RecursionError):
        return Problem(
            "conversion", "something in it is nested too deeply: lists, quotations, boxes or braces", path
        )
    if os.environ.get("FITNOTES_DEBUG"):
        raise error
    message = f"internal error: {type(error).__name__}: {error}"
    return Problem("internal", message, path, hint="this is a bug in fitnotes; FITNOTES_DEBUG=1 shows where")
