"""Inside a session's process: what its blocks depend on and what they write, seen while they run.

Files by an audit hook, packages by the import statements of blocks and of the author's modules; `probes`
adds what raises no audit event. Files of Python's own installation, of installed packages and of the
system are no inputs, nor is what the session itself wrote before it read it.
"""

from __future__ import annotations

import contextlib
import glob
import io
import json
import os
import re
import shlex
import sys
import sysconfig
import threading
import types
from collections.abc import Callable, Iterable
from typing import Any

from fitnotes.execute.kernel.calls import BOTH, GONE, LISTED, LOOK, MADE, MOVED, READ, RUN, TOUCHED
from fitnotes.execute.kernel.session import Kernel, Lost
from fitnotes.store.inputs import (
    CHANGED,
    FILE,
    LINK,
    MISSING,
    PROGRAM,
    STAT,
    VARIABLE,
    Input,
    file_hash,
    file_presence,
    imports,
    is_systems,
    link_target,
    packages,
    system_folders,
    variable_hash,
)

CLOCK = "the clock"
RANDOMNESS = "true randomness"

# What functions of C and types that cannot be wrapped give away in the code only.
_CLOCK_CODE = re.compile(
    r"\b(?:datetime|date)\.(?:now|utcnow|today)\(|%%?time|np\.datetime64\(\s*['\"](?:now|today)"
)
_RANDOM_CODE = re.compile(r"\b(?:random\.seed|Random|torch\.seed)\(\s*\)")
# Ways to the environment that lead around `os.environ`: C's, and functions that are handed on.
_ENVIRONMENT_CODE = re.compile(
    r"\bposix\b(?s:.)*\benviron\b|\bgetenvb?\b(?!\s*\()|\.(?:secure_)?getenv\(\s*b|^\s*%(?:set_)?env\b",
    re.MULTILINE,
)
# What modules of Python ask the environment for.
_VARIABLES = {
    "locale": ("LC_ALL", "LC_CTYPE", "LC_NUMERIC", "LC_TIME", "LANG"),
    "gettext": ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"),
    "getpass": ("LOGNAME", "USER", "LNAME", "USERNAME"),
    "tempfile": ("TMPDIR", "TEMP", "TMP"),
    "time": ("TZ",), "datetime": ("TZ",),
    "matplotlib": ("MATPLOTLIBRC", "MPLCONFIGDIR", "MPLBACKEND"), "pylab": ("MATPLOTLIBRC", "MPLCONFIGDIR"),
}  # fmt: skip
# Of folders in which people too have files, those that the kernel need not tell of.
_SYSTEMS = (
    *(f"/usr/{name}/" for name in ("bin", "lib", "lib64", "sbin", "include", "share")),
    *("/dev/null", "/dev/pts/"),
)
_FROM = re.compile(r"^\s*from\s+([A-Za-z_][\w.]*)\s+import\s+\(?([\w,\s]*)", re.MULTILINE)
_SHELL_CELL = re.compile(r"^\s*%%(?:bash|sh|script)\b[^\n]*\n(.*)", re.DOTALL)
_NOT_FILES = re.compile(
    r"[/\\](?:__pycache__|[^/\\]+\.(?:egg|dist)-info)[/\\]|[/\\](?:<|__editable__)[^/\\]*$"
)
_GONE = ("os.remove", "os.rmdir", "shutil.rmtree")
_READS = ("open", "os.listdir", "os.scandir", "fitnotes.read", "ctypes.dlopen")
_EVENTS = frozenset(
    (
        *_READS,
        *_GONE,
        *("import", "os.mkdir", "os.rename", "os.system", "os.link", "os.symlink", "os.truncate"),
        *("sqlite3.connect", "subprocess.Popen", "fitnotes.write"),
    )
)


class Recorder:
    """Records from its start on; `collect` gives what was seen since the last call.

    ``note`` is the file name under which blocks are compiled. ``own`` are folders whose files count even where
    they lie inside a system folder (a project in /usr/src, or one that is its own virtual environment);
    ``ignore`` are folders whose files never count; ``aside`` is a file in which worker processes leave what
    they see; ``environment`` is a hash of all variables as the command has them.
    """

    def __init__(
        self, note: str, ignore: Iterable[str], own: Iterable[str], aside: str, environment: str
    ) -> None:
        self.owner = os.getpid()
        self.aside = aside
        self.volatile: set[str] = set()
        self.lines: dict[str, str] = {}  # `line_sums` of the author's modules
        self._note_name = note
        self._own = tuple(os.path.realpath(f) + os.sep for f in own)
        paths = sysconfig.get_paths()
        libraries = {paths[key] for key in ("stdlib", "purelib", "platlib")} | set(ignore)
        self._never = tuple(os.path.realpath(f) + os.sep for f in libraries)
        self._counted: dict[str, bool] = {}
        self._seen: dict[tuple[str, str], str] = {}
        self._perhaps: dict[str, str] = {}  # files that something may read or write, as they were
        self._written: set[str] = set()  # by the session, in all its blocks
        self._wrote: set[str] = set()  # since the last collect
        self._touched: set[str] = set()  # files and folders that the session has changed in any way
        self._wanted: set[str] = set()  # modules that were asked for, with dots
        self._modules: set[str] = set()
        self._asked: set[str] = set()  # by functions, under a name that the code may have computed
        self._busy = threading.local()
        self._environment = environment
        self.kernel: Kernel | None = None
        sys.addaudithook(self._hook)

    def listen(self) -> None:
        """From here on the kernel tells too, if it can."""
        with contextlib.suppress(OSError):
            never = tuple(folder for folder in system_folders() if folder not in ("/dev/", "/etc/", "/usr/"))
            self.kernel = Kernel((*self._never, *never, *_SYSTEMS), self._own)

    # What probes and hooks tell --------------------------------------------------------------------

    def quietly(self, action: Callable[..., None], *args: Any) -> None:
        """Records without being recorded. Whatever it cannot make sense of, the block's own call must go on."""
        if getattr(self._busy, "now", False):
            return
        self._busy.now = True
        try:
            action(*args)
        except Exception:
            pass
        finally:
            self._busy.now = False

    def sees(self, kind: str, name: str, look: Callable[[str], str]) -> None:
        """Something that the block depends on, as it is before the block can change it."""
        if (kind, name) in self._seen or (kind in (FILE, STAT, LINK) and name in self._written):
            return
        if kind in (FILE, STAT, LINK) and not self.counts(name):
            return
        self._seen[kind, name] = value = look(name)
        self._leave(kind, name, value)

    def writes(self, full: str) -> None:
        """A file or folder that is the session's own from here on."""
        self._written.add(full)
        self._wrote.add(full)
        self._touched.add(full)
        self._leave("wrote", full, "")

    def touches(self, full: str) -> None:
        """A file that the session changes but does not own, or a folder whose names matter to it."""
        if self.counts(full):
            self._touched.add(full)
            self._leave("touched", full, "")

    def _leave(self, kind: str, name: str, value: str) -> None:
        """In a worker process that the block started: left where the session finds it."""
        if os.getpid() != self.owner:
            with io.open(self.aside, "a", encoding="utf-8") as file:  # noqa: UP020
                file.write(json.dumps([kind, name, value]) + "\n")

    def perhaps(self, full: str) -> None:
        """A file that is an input if it is the same when the block is over, and written if not."""
        if full not in self._written and full not in self._perhaps and self.counts(full):
            self._perhaps[full] = file_hash(full)

    def wants(self, module: str) -> None:
        """A module that was asked for and may not be there."""
        self._wanted.add(module)
        self._asked.add(module)

    def code(self, text: str) -> None:
        """Reads some of the author's code for what only the code tells."""
        self._modules |= imports(text)
        for package, names in _FROM.findall(text):  # each may be a module that is not there
            self._wanted |= {f"{package}.{name}" for name in re.findall(r"\w+", names)}
        for module in self._modules & set(_VARIABLES):
            for name in _VARIABLES[module]:
                self.sees(VARIABLE, name, variable_hash)
        if _ENVIRONMENT_CODE.search(text):
            self.sees(VARIABLE, "*", lambda name: self._environment)
        if _CLOCK_CODE.search(text):
            self.volatile.add(CLOCK)
        if _RANDOM_CODE.search(text):
            self.volatile.add(RANDOMNESS)
        if match := _SHELL_CELL.match(text):
            for line in match[1].split("\n"):
                self.quietly(self._command, line, None)

    # Whose -----------------------------------------------------------------------------------------

    def counts(self, path: str) -> bool:
        """Whether a file is the author's."""
        known = self._counted.get(path)
        if known is None:
            known = self._counted[path] = self._counts(path)
        return known

    def _counts(self, path: str) -> bool:
        if _NOT_FILES.search(path):
            return False
        real = os.path.realpath(path)
        if (real + os.sep).startswith(self._never):
            return False
        return real.startswith(self._own) or not is_systems(real)

    def authors(self, frame: types.FrameType | None) -> bool:
        """Whether a frame runs the author's code."""
        if frame is None:
            return False
        name = frame.f_code.co_filename
        return name == self._note_name or (os.path.isabs(name) and self.counts(name))

    # Audit events ----------------------------------------------------------------------------------

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if event not in _EVENTS or getattr(self._busy, "now", False):
            return
        if event in ("os.listdir", "os.scandir") and "importlib" in sys._getframe(1).f_code.co_filename:
            return  # Python itself looks for a module
        if event == "import" and args[1] is None and not self.authors(sys._getframe(1)):
            return  # what a library tries to import is its own affair
        self.quietly(self._event, event, args)

    def _event(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "import":
            if args[1] is None:
                self.wants(str(args[0]))
            else:  # a compiled module
                self.sees(FILE, os.path.abspath(args[1]), file_hash)
        elif event == "subprocess.Popen":
            self._command(args[1], args[2])
        elif event == "os.system":
            self._command(os.fsdecode(args[0]), None)
        else:
            for path in args[: 2 if event in ("os.rename", "os.link", "os.symlink") else 1]:
                if isinstance(path, (str, bytes, os.PathLike)):
                    self._path(event, os.path.abspath(os.fsdecode(path)), args)

    def _path(self, event: str, full: str, args: tuple[Any, ...]) -> None:
        if event in _READS[1:]:
            self.sees(FILE, full, file_hash)
            if os.path.isdir(full):
                self.touches(full)  # a later block may add to what is listed here
        elif event == "open":
            self._open(full, args[1], args[2])
        elif event == "sqlite3.connect":
            name = os.fsdecode(args[0])
            if name.startswith("file:"):
                full = os.path.abspath(name[5:].partition("?")[0])
            self.perhaps(full)
            self.touches(full)
        elif event == "os.truncate" or event in _GONE:
            self.touches(full)
            folder = os.path.dirname(full)
            if os.path.realpath(folder).startswith(self._own) or (folder + os.sep).startswith(self._own):
                self.touches(folder)
        elif event in ("os.rename", "os.link", "os.symlink") and full == os.path.abspath(
            os.fsdecode(args[0])
        ):
            self.touches(full)
        else:
            self.writes(full)

    def _open(self, full: str, mode: Any, flags: int) -> None:
        if isinstance(mode, str):
            new, append = any(c in mode for c in "wx"), "a" in mode
            reads = "+" in mode or not append
        else:
            new = flags & 3 == 1 or bool(flags & os.O_EXCL and flags & os.O_CREAT)
            append = bool(flags & os.O_APPEND)
            reads = flags & 3 != 1
            new = new and not append
        if new:
            self.writes(full)
            return
        if reads:
            self.sees(FILE, full, file_hash)
        if append or (isinstance(mode, str) and "+" in mode) or flags & 3:
            self.touches(full)  # not its own: another may add to it as well

    def _command(self, arguments: Any, folder: Any) -> None:
        """Files and variables that a command names: its inputs, unless it changes them. The kernel tells better."""
        if self.kernel is not None:
            return
        if isinstance(arguments, (str, bytes)):
            texts = [os.fsdecode(arguments)]
        else:
            texts = [os.fsdecode(argument) for argument in arguments]
        base = os.fsdecode(folder) if folder is not None else os.getcwd()
        for text in texts:
            for name in re.findall(r"\$\{?(\w+)", text):
                self.sees(VARIABLE, name, variable_hash)
            try:
                words = [text, *shlex.split(text)]
            except ValueError:
                words = [text, *text.split()]
            for word in words:
                for name in {word, word.strip("<>&;"), word.partition("=")[2]} - {""}:
                    self._named(os.path.abspath(os.path.join(base, name)))

    def _named(self, full: str) -> None:
        if any(sign in full for sign in "*?["):
            self.sees(FILE, os.path.dirname(full), file_hash)
            for match in glob.glob(full):
                self.perhaps(match)
        elif len(full) < 1000 and not os.path.isdir(full) and os.path.isdir(os.path.dirname(full)):
            self.perhaps(full)

    # ----------------------------------------------------------------------------------------------

    def collect(self) -> dict[str, Any]:
        """``inputs``: Inputs with absolute paths, sorted; ``wrote``: absolute paths of files of the project;
        ``volatile``: what cannot be had again; ``lines``: `line_sums` of imported modules, by path; ``lost``: nobody
        heard what the kernel told."""
        found: dict[str, Any] = {"inputs": [], "wrote": [], "volatile": [], "lines": {}, "lost": False}
        self.quietly(self._collect, found)
        return found

    def _collect(self, found: dict[str, Any]) -> None:
        self._from_workers()
        if self.kernel is not None:
            try:
                for seen in self.kernel.seen():
                    self._from_kernel(*seen)
            except Lost:
                self.kernel, found["lost"] = None, True
        for path, known in self._perhaps.items():
            now = file_hash(path)
            if now != known:
                self.writes(path)
            elif now != MISSING:
                self._seen.setdefault((FILE, path), known)
        self._perhaps.clear()
        self._absent()
        if self._modules & {"matplotlib", "pylab", "seaborn"}:
            self._settings_of_matplotlib()
        self._modules |= {
            name.partition(".")[0] for name in self._asked if name.partition(".")[0] in sys.modules
        }
        self._asked.clear()
        all_seen, self._seen = self._seen, {}
        inputs = [
            Input(kind, name, value)
            for (kind, name), value in all_seen.items()
            # Looked for, then made: what became of it is kept as written.
            if not (name in self._written and (kind in (STAT, LINK) or value == MISSING))
            and not (kind == STAT and (FILE, name) in all_seen)
        ]
        found["inputs"] = sorted([*inputs, *packages(self._modules)])
        self._modules.clear()
        wrote, self._wrote = self._wrote, set()
        found["wrote"] = sorted(
            path
            for path in wrote
            if os.path.isfile(path) and os.path.realpath(path).startswith(self._own) and self.counts(path)
        )
        found["volatile"], self.volatile = sorted(self.volatile), set()
        found["lines"], self.lines = self.lines, {}

    def _from_workers(self) -> None:
        if not os.path.exists(self.aside):
            return
        with io.open(self.aside, encoding="utf-8") as file:  # noqa: UP020
            records = [json.loads(line) for line in file]
        os.unlink(self.aside)
        for kind, name, value in records:
            if kind == "wrote":
                self.writes(name)
            elif kind == "touched":
                self.touches(name)
            elif name not in self._written:
                self._seen.setdefault((kind, name), value)

    def _from_kernel(self, kind: str, path: str, foreign: bool, more: list[int] | str | None) -> None:
        """``foreign``: by a program that the block started. What Python itself does it tells by audit events too, and
        more finely: it looks for modules in many places."""
        if kind == RUN:
            self._ran(path)
        if not self.counts(path):
            return
        if kind == READ and foreign and os.path.isdir(path):
            kind = LISTED  # as tar opens them
        if kind in (READ, BOTH):
            self._was_read(path, more, kind == BOTH)
        elif kind == MADE:
            self.writes(path)
        elif kind == TOUCHED:
            self.touches(path)
        elif kind == MOVED:
            self.touches(str(more))
            self.writes(path)
        elif kind == GONE:
            self.touches(path)
        elif kind == LISTED and (foreign or path not in sys.path_importer_cache):
            self.sees(FILE, path, file_hash)
            self.touches(path)  # a later block may add to it
        elif kind == LOOK and foreign and not any(own.startswith(path + os.sep) for own in self._own):
            # A module that is compiled already is only looked at.
            self.sees(*((FILE, path, file_hash) if path.endswith(".py") else (STAT, path, file_presence)))
            if os.path.islink(path):
                self.sees(LINK, path, link_target)

    def _was_read(self, path: str, mark: list[int] | str | None, writes: bool) -> None:
        """By content, if that is what it was when it was opened; ``writes``: it may have been changed there."""
        if path in self._written or (FILE, path) in self._seen or os.path.isdir(path):
            return  # a folder that is opened so is not listed: databases do it to have it written to the disk
        if mark is None:
            self.sees(FILE, path, lambda name: MISSING)
            return
        with contextlib.suppress(OSError):
            now = os.stat(path)
            if [now.st_size, now.st_mtime_ns, now.st_ino] == mark:
                self.sees(FILE, path, file_hash)
                return
        if writes:
            self.writes(path)
        else:
            self.sees(FILE, path, lambda name: CHANGED)

    def _ran(self, path: str) -> None:
        """A program that a block ran, or would have run if it had been there, with the variables that it was given."""
        if os.path.realpath(path) != os.path.realpath(sys.executable):
            self.sees(PROGRAM, path, file_hash)
        self.sees(VARIABLE, "*", lambda name: self._environment)

    def _absent(self) -> None:
        """Files that would be another answer to an import if they appeared: of modules that are not there, and
        in front of those that are."""
        for name in {*self._wanted, *self._modules}:
            top, _, rest = name.partition(".")
            for folder in (p for p in sys.path if os.path.isdir(p)):
                place = os.path.join(os.path.abspath(folder), top)
                if not self.counts(f"{place}.py"):
                    if os.path.exists(f"{place}.py") or os.path.isdir(place):
                        break
                    continue
                for file in (f"{place}.py", os.path.join(place, "__init__.py")):
                    if not os.path.exists(file):
                        self.sees(STAT, file, file_presence)
                if rest and name not in sys.modules and os.path.isdir(place):
                    inner = os.path.join(place, *rest.split("."))
                    for file in (f"{inner}.py", os.path.join(inner, "__init__.py")):
                        self.sees(STAT, file, file_presence)
                if os.path.exists(f"{place}.py") or os.path.exists(os.path.join(place, "__init__.py")):
                    break
        self._wanted.clear()

    def _settings_of_matplotlib(self) -> None:
        """The file with its settings, in each place where it may lie, there or not."""
        home = os.path.expanduser("~")
        named = os.environ.get("MATPLOTLIBRC", "")
        folders = [self._own[0], os.environ.get("MPLCONFIGDIR", ""), os.path.join(home, ".matplotlib"), named]
        folders.append(
            os.path.join(os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config"), "matplotlib")
        )
        for folder in folders:
            path = folder if os.path.isfile(folder) else os.path.join(folder, "matplotlibrc")
            if folder and path not in self._written:
                self._seen.setdefault((FILE, path), file_hash(path))

    def touched(self) -> dict[str, str]:
        """Everything that the session has changed so far, also outside of the project, as it is now."""
        found: dict[str, str] = {}
        self.quietly(lambda: found.update((path, file_hash(path)) for path in self._touched))
        return found
