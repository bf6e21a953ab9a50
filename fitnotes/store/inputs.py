"""What a block's result depends on besides its code, and what each of these is now.

Light: the command line imports it. `recorder` finds the inputs inside a session's process.
"""

from __future__ import annotations

import functools
import hashlib
import io
import os
import platform
import re
import site
import stat
import sys
import sysconfig
import zlib
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

FILE = "file"  # its content; of a folder the names in it
STAT = "stat"  # whether it is there, and its size
LINK = "link"  # where it leads
TREE = "tree"  # all files below a folder, by content
THERE = "there"  # whether it is there
VARIABLE = "variable"  # of the environment; the value is kept as a hash
PACKAGE = "package"  # an installed distribution's version
PYTHON = "python"  # the interpreter's version
PROGRAM = "program"  # one that a block ran: its content
RESULTS = "results"  # what another note's blocks gave when they last ran

FILES = (FILE, STAT, LINK, TREE, THERE)
MISSING = "missing"
CHANGED = "changed"  # of a file that the block itself changed after it was read: it is never the same again


class Input(NamedTuple):
    """One thing that a result depends on, with what it was. ``name`` of a file is its path as the cache keeps it."""

    kind: str
    name: str
    value: str


# What builds and tools leave in a folder, or write under this name until it is whole.
_MADE = re.compile(r"\.fitnotes|_build|__pycache__|\.git|\.(?:pytest|mypy|ruff)_cache|\..*\.tmp")


def file_hash(path: str | os.PathLike[str]) -> str:
    """SHA-256 of the content, for a folder of the names in it; "missing" when there is no such file,
    "unreadable" when it cannot be read or, like a pipe, only once."""
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            with os.scandir(path) as entries:
                names = sorted(e.name + "/" * e.is_dir() for e in entries if not _MADE.fullmatch(e.name))
            return hashlib.sha256("\0".join(names).encode("utf-8", "surrogateescape")).hexdigest()
        if not stat.S_ISREG(mode):
            return "unreadable"
        with io.open(path, "rb") as file:  # noqa: UP020 - a block may have replaced the builtin
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # a name with a zero byte
        return MISSING
    except OSError:
        return "unreadable"


def tree_hash(path: Path) -> str:
    """A hash of all names and contents below a folder; of a file its own."""
    if not path.is_dir():
        return file_hash(path)
    files = sorted(p for p in path.rglob("*") if p.is_file())
    parts = [f"{p.relative_to(path).as_posix()}\0{file_hash(p)}" for p in files]
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def file_presence(path: str | os.PathLike[str]) -> str:
    """What ``os.stat`` tells of a file that stays the same when it is copied: there or not, and its size."""
    try:
        if os.path.isdir(path):
            return "folder"
        return f"{os.path.getsize(path)} bytes"
    except OSError:
        return MISSING


def link_target(path: str | os.PathLike[str]) -> str:
    """Where a link leads; "missing" where there is none."""
    try:
        return os.fspath(os.readlink(path))
    except (OSError, ValueError):
        return MISSING


def variable_hash(name: str) -> str:
    """A hash, since variables may hold secrets and results are shared."""
    value = os.environ.get(name)
    return MISSING if value is None else hashlib.sha256(os.fsencode(value)).hexdigest()[:16]


# Variables that differ from one terminal or login to the next.
_PASSING = re.compile(
    r"_|PWD|OLDPWD|SHLVL|LINES|COLUMNS|DISPLAY|WINDOWID|INVOCATION_ID|JOURNAL_STREAM|LS_COLORS|PS\d|"
    r"(?:TERM|COLORTERM|SSH|XDG|DBUS|VSCODE|GNOME|KDE|TMUX|STY|FITNOTES|PYTEST|SYSTEMD)\w*"
)


def environment_hash(name: str = "*") -> str:
    """A hash of all variables but those that come with a terminal or a login."""
    kept = sorted((k, v) for k, v in dict(os.environ).items() if not _PASSING.fullmatch(k))
    return hashlib.sha256(repr(kept).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def package_version(distribution: str) -> str:
    """An installed distribution's version. Its whole metadata would take ten times as long to read."""
    try:
        text = metadata.distribution(distribution).read_text("METADATA") or ""
        match = re.search(r"^Version:\s*(\S+)", text, re.MULTILINE)
        return match[1] if match else metadata.version(distribution)
    except (metadata.PackageNotFoundError, ValueError, OSError):
        return MISSING


@functools.cache
def loaded_version(distribution: str) -> str:
    """The version as it was when this process, or the server that it is a fork of, first asked."""
    return package_version(distribution)


def python_version() -> str:
    return f"{platform.python_implementation()} {platform.python_version()}"


def line_sums(source: bytes) -> str:
    """Four hexadecimal digits a line: tells which line of a module changed, without keeping the module."""
    return "".join(f"{zlib.crc32(line.rstrip()) & 0xFFFF:04x}" for line in source.split(b"\n"))


def first_difference(old: str, new: str) -> int | None:
    """The first line, from 1, in which two results of `line_sums` differ."""
    for at in range(0, max(len(old), len(new)), 4):
        if old[at : at + 4] != new[at : at + 4]:
            return at // 4 + 1
    return None


# --------------------------------------------------------------------------------------------------
# Packages

# What the module's name does not say.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "cv2": "opencv-python",
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
    "yaml": "PyYAML",
    "mpl_toolkits": "matplotlib",
    "pylab": "matplotlib",
}
_IMPORT = re.compile(
    r"(?:^|[;:])[ \t]*(?:from\s+([A-Za-z_]\w*)|import\s+(.+))|(?:import_module|__import__)\(\s*[\"']([A-Za-z_]\w*)",
    re.MULTILINE,
)
# Not the packaging library: loading it takes longer than all else here, and it refuses names with loose versions.
_REQUIREMENT = re.compile(r"^[A-Za-z0-9][\w.-]*")


def imports(source: str) -> set[str]:
    """Top-level modules that some Python text imports."""
    # Not by ast: in a session, parsing warns once more of what the block's own run warns of (Python 3.12).
    names: set[str] = set()
    for first, rest, called in _IMPORT.findall(source):
        names |= {first, called} - {""}
        for part in rest.split(","):
            if match := re.match(r"\s*([A-Za-z_]\w*)", part):
                names.add(match[1])
    return names


@functools.cache
def _providers() -> dict[str, list[str]]:
    return dict(metadata.packages_distributions())


@functools.cache
def distribution(module: str) -> str | None:
    """The installed distribution that has a top-level module; None for the author's own and Python's."""
    if module in sys.stdlib_module_names:
        return None
    for name in (DISTRIBUTIONS.get(module, module), *_maybe(module)):
        if package_version(name) != MISSING:
            return name
    return None


def _maybe(module: str) -> Iterable[str]:
    yield from _providers().get(module, ())[:1]


@functools.cache
def requirements(name: str) -> frozenset[str]:
    """A distribution and all it requires, as far as installed: their versions can change a number too."""
    found: set[str] = set()
    todo = [name]
    while todo:
        name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
        if name in found:
            continue
        try:
            needs = metadata.requires(name) or []
        except (metadata.PackageNotFoundError, ValueError):
            continue
        found.add(name)
        for need in needs:
            head, _, marker = need.partition(";")
            if "extra" not in marker and (match := _REQUIREMENT.match(head)):
                todo.append(match[0])
    return frozenset(found)


def packages(modules: Iterable[str]) -> list[Input]:
    """The versions of the packages that have these modules, and of what they require. Of a module that nothing has,
    the package of its name is not there, and may yet come."""
    names: set[str] = set()
    absent: set[str] = set()
    for module in modules:
        if found := distribution(module):
            names |= requirements(found)
        elif module not in sys.stdlib_module_names and module not in sys.modules:
            absent.add(DISTRIBUTIONS.get(module, module))
    versions = ((name, loaded_version(name)) for name in sorted(names))
    there = [Input(PACKAGE, name, version) for name, version in versions if version != MISSING]
    return [*there, *(Input(PACKAGE, name, MISSING) for name in sorted(absent))]


# --------------------------------------------------------------------------------------------------
# Now


@functools.cache
def system_folders() -> tuple[str, ...]:
    """Folders whose files are never inputs."""
    paths = sysconfig.get_paths()
    folders = {sys.prefix, sys.base_prefix, *(paths[key] for key in ("stdlib", "purelib", "platlib"))}
    folders.update(site.getsitepackages())
    folders.add(site.getusersitepackages())
    folders.update(["/proc", "/sys", "/dev", "/etc", "/usr", "/lib", "/bin", "/sbin", "/System", "/Library"])
    home = os.path.expanduser("~")
    folders.update(os.path.join(home, name) for name in (".cache", ".config", ".ipython", ".matplotlib"))
    for name in ("MPLCONFIGDIR", "XDG_CACHE_HOME", "IPYTHONDIR"):
        if os.environ.get(name):
            folders.add(os.environ[name])
    return tuple(os.path.realpath(f) + os.sep for f in folders if f)


# Below these, files of a user or an administrator: other than those, of /etc, that programs read for themselves.
_PLACED = re.compile(
    r"/dev/shm/|/usr/local/(?:share/(?!fonts/|man/|ca-certificates|texmf|icons/|mime/|locale/)|src/)|"
    r"/etc/(?!(?:ld\.so|passwd|group|nsswitch|hosts|host\.conf|resolv|localtime|timezone|fonts|ssl|ca-cert|mime|locale|"
    r"machine-id|os-release|lsb|alternatives|profile|bash|inputrc|gai|services|protocols|login|shells|environment|"
    r"default/|crypto|pki|terminfo|magic|python|apache2/|pam|security|OpenCL|vulkan|mtab|fstab|debian_version|texmf|"
    r"papersize|wgetrc|gitconfig|sudo|selinux|ssh|dpkg|apt|R/|java|ImageMagick|libnl|sensors|udev|dbus|X11|gss|krb5))"
)


def is_systems(path: str) -> bool:
    """Whether a file, links resolved, belongs to the system or to Python: it counts by version, if at all."""
    return f"{path}{os.sep}".startswith(system_folders()) and not _PLACED.match(path)


def stored_path(path: str, root: Path) -> str:
    """A path as the cache keeps it: relative to the project where it lies inside."""
    try:
        return Path(path).relative_to(root).as_posix()
    except ValueError:
        return path


class Current:
    """What inputs are now, each looked up once until `forget`. ``results`` gives the value of RESULTS inputs."""

    def __init__(self, root: Path, results: Callable[[str], str] = lambda name: "") -> None:
        self.root = root
        self._results = results
        self._known: dict[tuple[str, str], str] = {}

    def value(self, kind: str, name: str) -> str:
        known = self._known.get((kind, name))
        if known is None:
            known = self._known[kind, name] = self._look(kind, name)
        return known

    def _look(self, kind: str, name: str) -> str:
        if kind in (FILE, PROGRAM):
            return file_hash(self.root / name)
        if kind == STAT:
            return file_presence(self.root / name)
        if kind == LINK:
            return link_target(self.root / name)
        if kind == TREE:
            return tree_hash(self.root / name)
        if kind == THERE:
            return "there" if (self.root / name).exists() else MISSING
        if kind == VARIABLE:
            return environment_hash() if name == "*" else variable_hash(name)
        if kind == PACKAGE:
            return package_version(name)
        if kind == RESULTS:
            return self._results(name)
        return python_version()

    def changed(self, inputs: Iterable[Input], *, elsewhere: bool = False) -> Input | None:
        """The first input that is no longer what it was. With ``elsewhere`` only files count: the results
        may come from another machine."""
        for item in inputs:
            if elsewhere and item.kind not in FILES:
                continue
            if self.value(item.kind, item.name) != item.value:
                return item
        return None

    def forget(self) -> None:
        """Blocks have run, files may be others now."""
        for kind, name in list(self._known):
            if kind in (*FILES, PROGRAM, RESULTS):
                self._known.pop((kind, name), None)
