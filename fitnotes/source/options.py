"""Options of blocks, named as in knitr and Quarto: on the fence, or in the ``#|`` lines at the top of the code."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from fitnotes.errors import UsageError
from fitnotes.settings import Settings, nearest, seconds, to_bool
from fitnotes.source.note import Note

OUTPUT_KINDS = ("true", "false", "asis", "loss-table")


@dataclass(frozen=True, slots=True)
class Options:
    """Options of one block, named as in knitr and Quarto. Which of them change what runs, `execute.plan` says."""

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
    tbl_subcap: tuple[str, ...] = ()
    lst_cap: str = ""
    fig_alt: str = ""
    fig_width: str = ""
    fig_height: str = ""
    fig_align: str = ""
    fig_dark: bool = False
    out_width: str = ""
    layout: str = ""
    layout_ncol: str = ""
    layout_nrow: str = ""
    code_fold: str = ""
    code_summary: str = ""
    code_line_numbers: bool = False
    session: str = ""
    timeout: float = 300.0
    depends: tuple[str, ...] = ()

    @property
    def captions(self) -> tuple[str, ...]:
        """All that is written as Markdown, and may have expressions in it."""
        return (self.fig_cap, *self.fig_subcap, self.tbl_cap, *self.tbl_subcap, self.lst_cap, self.fig_alt)

    def with_words(self, change: Callable[[str], str]) -> Options:
        """The same with its captions changed."""
        return replace(
            self,
            fig_cap=change(self.fig_cap),
            fig_subcap=tuple(map(change, self.fig_subcap)),
            tbl_cap=change(self.tbl_cap),
            tbl_subcap=tuple(map(change, self.tbl_subcap)),
            lst_cap=change(self.lst_cap),
            fig_alt=change(self.fig_alt),
        )

    @property
    def size(self) -> tuple[float, float]:
        """How wide and how high the figures of the block are made, in inches; 0 where nothing is said."""
        width, height = (
            float(text) if _INCHES.match(text) else 0.0 for text in (self.fig_width, self.fig_height)
        )
        return width, height

    @property
    def shown_width(self) -> str:
        """How wide its figures are on the page."""
        return self.out_width or ("" if self.size[0] else self.fig_width)


_INCHES = re.compile(r"\d+(?:\.\d+)?$")


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


def _fold(value: object) -> str:
    word = str(value).strip().lower()
    word = {"yes": "true", "no": "false", "hide": "true", "none": "false"}.get(word, word)
    if word not in ("true", "false", "show"):
        raise ValueError("one of true, false, show")
    return word


def _align(value: object) -> str:
    word = str(value).strip().lower()
    if word not in ("left", "right", "center", "default"):
        raise ValueError("one of left, center, right")
    return "" if word == "default" else word


def _layout(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _numbers_lines(value: object) -> bool:
    """``true``, or the lines to point at, which only numbers them."""
    try:
        return to_bool(value)
    except ValueError:
        return True


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
    "tbl_subcap": _captions,
    "layout": _layout,
    "layout_ncol": _columns,
    "layout_nrow": _columns,
    "fig_align": _align,
    "code_fold": _fold,
    "code_line_numbers": _numbers_lines,
}
_ALIASES = {
    "results": "output",
    "fig_caption": "fig_cap",
    "caption": "fig_cap",
    "lst_label": "label",
}
OPTION_NAMES = frozenset(f.name for f in fields(Options))

# Attributes that belong to pandoc's own code blocks, not to us; they stay on the shown code.
PANDOC_ATTRIBUTES = frozenset({"startFrom", "start-from", "filename", "style"})
# Options of Quarto, knitr and notedown that mean nothing here: a note that has them is built, and they are said.
FOREIGN_OPTIONS = frozenset({
    "n", "code-overflow", "code-annotations", "code-tools",
    "fig-pos", "fig-env", "fig-format", "fig-dpi", "fig-asp", "fig-link", "fig-scap",
    "fig-show", "fig-keep", "fig-process", "fig-path", "out-height", "out-extra", "cache", "cache-lazy", "cache-vars",
    "message", "tags", "classes", "class-source", "class-output", "collapse", "comment", "prompt", "tidy", "dev",
    "dpi", "dependson", "layout-align", "layout-valign", "tbl-colwidths",
    "cap-location", "fig-cap-location", "tbl-cap-location", "renderings", "panel", "column", "fig-column", "engine",
    "strip-white", "purl", "render", "split", "autodep", "slideshow", "jupyter", "id",
})  # fmt: skip


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
        if key in PANDOC_ATTRIBUTES or is_foreign(key) or is_condition(key):
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


def is_condition(name: str) -> bool:
    """Whether an attribute says when something is shown, in words that are known here or not."""
    return bool(
        re.match(r"(?:when|unless|if|only)[-_.]?(?:formats?|profiles?|meta)$|(?:when|unless)[-_]\w", name)
    )


def is_foreign(key: str) -> bool:
    return key.replace("_", "-").replace(".", "-") in FOREIGN_OPTIONS


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
