"""What the parent and a session's process say to each other. Light: the parent imports it."""

from __future__ import annotations

from dataclasses import dataclass

FIGURE = "a figure"  # among the modules to preload: draw one, for its fonts
PRELOAD_VARIABLE = "FITNOTES_PRELOAD"  # modules that the fork server imports, with commas
FOLDER_VARIABLE = "FITNOTES_FOLDER"  # in which it does


@dataclass(frozen=True, slots=True)
class Setup:
    """What a session knows of its note. ``name`` is the file name that tracebacks show, ``root`` its
    project's folder, ``ignore`` are folders whose files are no inputs, ``script_folder`` is the
    command's entry of sys.path, ``memory`` a limit in bytes (0: none), ``environment`` a hash of all variables."""

    name: str
    lines: int
    folder: str
    root: str
    seed: int
    capture: str
    ignore: tuple[str, ...]
    script_folder: str
    memory: int
    environment: str


@dataclass(frozen=True, slots=True)
class Cell:
    """One block or inline expression to run; ``line`` is where it stands in the note, ``size`` how wide and high its
    figures are made, in inches (0: as matplotlib has it)."""

    code: str
    line: int
    inline: bool = False
    spec: str = ""
    conversion: str = ""
    size: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Hold:
    """Asks a session for a sleeping copy of itself that listens at ``address``, a path."""

    address: str


@dataclass(frozen=True, slots=True)
class Wake:
    """The first thing said to a woken copy: where its output goes, how many lines the note has now."""

    capture: str
    lines: int


def exit_file(address: str, pid: int) -> str:
    """Where a sleeper leaves the wait status of a copy that it woke and that has ended."""
    return f"{address}.{pid}"
