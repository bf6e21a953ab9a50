"""Settings, from four places in rising order: defaults, project file, note metadata, command line.

The project file is ``fitnotes.toml``, or the table ``[tool.fitnotes]`` of ``pyproject.toml``; the
nearest one at or above the working folder also marks the project's root. Keys use ``-`` or ``_``.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from fitnotes.errors import UsageError

PDF_ENGINES = ("typst", "lualatex", "xelatex", "pdflatex", "tectonic", "chromium")
MATH = ("mathjax", "static", "mathml")
EXECUTE = ("all", "marked", "none")
FOLDER_KEYS = frozenset({"notes", "output", "threads", "cache", "cache_size"})


@dataclass(frozen=True, slots=True)
class Settings:
    """What a build needs to know. ``timeout`` is in seconds (0: none), ``fold`` in lines of output, ``memory``
    of a session and ``cache_size`` in bytes (0: no limit)."""

    notes: str = "notes"
    output: str = "_build"
    execute: str = "all"
    seed: int = 0
    timeout: float = 300.0
    threads: int = 1  # of torch and BLAS in each session: fixed, so that sums round alike on every machine
    echo: bool = True
    warning: bool = True
    error: bool = False
    fold: int = 30
    fig_dark: bool = False
    toc: bool = True
    pdf_engine: str = "typst"
    math: str = "mathjax"
    preamble: tuple[str, ...] = ()
    bibliography: tuple[str, ...] = ()
    csl: str = ""
    profile: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    lint_ignore: tuple[str, ...] = ()
    memory: int = 0
    cache: str = ".fitnotes/results"
    cache_size: int = 1_000_000_000

    def preamble_files(self, folder: Path, root: Path) -> list[Path]:
        """The files under ``preamble``: beside the note in ``folder``, else below the project's ``root``."""
        return [folder / name if (folder / name).is_file() else root / name for name in self.preamble]


def to_bool(value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in ("true", "yes", "on", "1"):
        return True
    if word in ("false", "no", "off", "0"):
        return False
    raise ValueError("true or false")


def _number(kind: Callable[[Any], Any], least: int, what: str) -> Callable[[object], Any]:
    def convert(value: object) -> Any:
        try:
            number = kind(str(value).strip())
        except ValueError:
            raise ValueError(what) from None
        if isinstance(value, bool) or not least <= number < 2**63:
            raise ValueError(what)
        return number

    return convert


def _choice(words: tuple[str, ...], alias: Mapping[str, str] | None = None) -> Callable[[object], str]:
    def convert(value: object) -> str:
        word = str(value).strip().lower()
        word = (alias or {}).get(word, word)
        if word not in words:
            raise ValueError("one of " + ", ".join(words))
        return word

    return convert


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a folder name")
    return value.strip()


def _texts(what: str) -> Callable[[object], tuple[str, ...]]:
    def convert(value: object) -> tuple[str, ...]:
        names = value if isinstance(value, (list, tuple)) else [value]
        if not all(isinstance(name, str) and name.strip() for name in names):
            raise ValueError(what)
        return tuple(str(name).strip() for name in names)

    return convert


ALLOWED = ("frames", "media", "images", "scripts", "styles", "fonts")


def _allow(value: object) -> tuple[str, ...]:
    """``frames: youtube-nocookie.com`` is a map in YAML, and words in a list."""
    given = value if isinstance(value, (list, tuple)) else [value]
    words: list[str] = []
    for item in given:
        pairs = item.items() if isinstance(item, Mapping) else [tuple(f"{item}:".split(":")[:2])]
        for kind, hosts in pairs:
            listed = hosts if isinstance(hosts, (list, tuple)) else re.split(r"[\s,]+", str(hosts).strip())
            known = [str(host) for host in listed if str(host)]
            odd = [host for host in known if not re.fullmatch(r"(?:\*\.)?[\w-]+(?:\.[\w-]+)*(?::\d+)?", host)]
            if str(kind).strip() not in ALLOWED or odd:
                raise ValueError(f"one of {', '.join(ALLOWED)}, each with hosts behind a colon or without")
            words.append(f"{str(kind).strip()}: {' '.join(known)}".removesuffix(": "))
    return tuple(words)


def allowed_hosts(allow: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Kind → the hosts that it may come from (none: from anywhere), of the setting ``allow``."""
    pairs = [entry.partition(":")[::2] for entry in allow]
    return {kind: tuple(hosts.split()) for kind, hosts in pairs}


def host_of(address: str) -> str:
    """The host of an address on the network; "" where it has none, or is none."""
    try:
        return urlsplit(address, "https").hostname or ""
    except ValueError:
        return ""


def unquoted(address: str) -> str:
    """The name that an address stands for: ``a%20b`` is "a b". No file has a zero byte in its name."""
    return unquote(address).replace("\0", "\N{REPLACEMENT CHARACTER}")


_UNITS = {
    "": 1,
    "K": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "KI": 2**10,
    "MI": 2**20,
    "GI": 2**30,
    "TI": 2**40,
}


def size(value: object) -> int:
    """Bytes: ``4GB``, ``512 MiB``, ``1.5G``, or a number; 0 for no limit."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?I?)B?", str(value).strip().upper())
    if match is None or match[2] not in _UNITS or isinstance(value, bool):
        raise ValueError("a size such as 4GB (0: no limit)")
    if len(match[1]) > 18:
        raise ValueError("a size such as 4GB (0: no limit)")
    return int(float(match[1]) * _UNITS[match[2]])


def show_size(count: float) -> str:
    """Bytes in the largest decimal unit that leaves at least one: ``4 GB``, ``1.5 MB``."""
    words = ["bytes", "kB", "MB", "GB", "TB"]
    while count >= 1000 and len(words) > 1:
        count /= 1000
        words.pop(0)
    return f"{count:.3g} {words[0]}"


seconds = _number(float, 0, "a number of seconds (0: no limit)")

CONVERTERS: dict[str, Callable[[object], Any]] = {
    "notes": _text,
    "output": _text,
    "execute": _choice(EXECUTE, {"true": "all", "yes": "all", "false": "none", "no": "none"}),
    "seed": _number(int, 0, "a whole number from 0"),
    "timeout": seconds,
    "threads": _number(int, 1, "a whole number from 1"),
    "echo": to_bool,
    "warning": to_bool,
    "error": to_bool,
    "fold": _number(int, 1, "a number of lines from 1"),
    "fig_dark": to_bool,
    "toc": to_bool,
    "pdf_engine": _choice(PDF_ENGINES),
    "math": _choice(MATH),
    "preamble": _texts("a file, or a list of files"),
    "bibliography": _texts("a file, or a list of files"),
    "csl": _text,
    "profile": _texts("a word, or a list of words"),
    "allow": _allow,
    "lint_ignore": _texts("a code, or a list of codes"),
    "memory": size,
    "cache": _text,
    "cache_size": size,
}
assert set(CONVERTERS) == {f.name for f in fields(Settings)}


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that looks most like ``word``, if one does."""
    return next(iter(difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)), None)


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint that names the known word closest to ``word``, or all of them."""
    names = sorted(known)
    close = closest(word, names)
    return f"did you mean {close}?" if close else "known: " + ", ".join(names)


def merge(
    base: Settings,
    values: Mapping[str, object],
    *,
    path: str,
    line_of: Callable[[str], int | None] = lambda key: None,
    allowed: frozenset[str] = frozenset(CONVERTERS),
) -> Settings:
    """``base`` with ``values`` laid over it. Raises UsageError for an unknown key or a wrong value."""
    changes: dict[str, Any] = {}
    for key, value in values.items():
        name = key.replace("-", "_")
        if name not in allowed:
            known = (k.replace("_", "-") for k in allowed)
            hint = nearest(key, known) if name not in CONVERTERS else "this one belongs in fitnotes.toml"
            raise UsageError(f"unknown setting {key!r}", path=path, line=line_of(key), hint=hint)
        try:
            changes[name] = CONVERTERS[name](value)
        except ValueError as expected:
            raise UsageError(
                f"{key}: expected {expected}, found {value!r}", path=path, line=line_of(key)
            ) from None
    return replace(base, **changes)


@dataclass(frozen=True, slots=True)
class Project:
    """A root folder with its settings. Results are kept in ``root/.fitnotes``."""

    root: Path
    settings: Settings
    config: Path | None = None

    @property
    def store(self) -> Path:
        return self.root / ".fitnotes"

    @property
    def results(self) -> Path:
        """The folder of stored results, which several checkouts may share."""
        return (self.root / Path(self.settings.cache).expanduser()).resolve()

    @property
    def output(self) -> Path:
        return (self.root / self.settings.output).resolve()


def display_path(path: Path) -> str:
    """The path as messages print it: relative to the working folder where that is shorter."""
    absolute = path if path.is_absolute() else Path.cwd() / path
    relative = os.path.relpath(absolute)
    return str(absolute) if relative.startswith(os.path.join("..", "..")) else relative


def _table(file: Path) -> dict[str, object] | None:
    try:
        text = file.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot be read: {error}", path=display_path(file)) from None
    except RecursionError:
        raise UsageError("nested too deeply", path=display_path(file)) from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"not valid TOML: {error}", path=display_path(file)) from None
    if re.search(r"(?<!\\)(?:\\\\)*\\(?:u0000|U00000000)", text):
        raise UsageError("a zero byte, which no name and no text can have", path=display_path(file))
    if file.name == "fitnotes.toml":
        return data
    tool = data.get("tool", {})
    table = tool.get("fitnotes") if isinstance(tool, dict) else None
    return table if isinstance(table, dict) else None


def find_project(start: Path) -> Project:
    """The project that ``start`` lies in; without a project file, ``start`` itself is the root."""
    start = start.resolve()
    for folder in (start, *start.parents):
        for name in ("fitnotes.toml", "pyproject.toml"):
            file = folder / name
            if file.is_file() and (values := _table(file)) is not None:
                lines = file.read_text(encoding="utf-8").splitlines()

                def line_of(key: str, lines: list[str] = lines) -> int | None:
                    return next((n for n, text in enumerate(lines, 1) if text.strip().startswith(key)), None)

                settings = merge(Settings(), values, path=display_path(file), line_of=line_of)
                return Project(folder, settings, file)
    return Project(start, Settings())
