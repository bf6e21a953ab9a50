"""The IPython shell that runs blocks, and where its display hooks put what blocks show."""

from __future__ import annotations

import ast
import base64
import json
import sys
from typing import Any, ClassVar

from IPython.core.compilerop import CachingCompiler
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.history import HistoryManager
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from fitnotes.execute.capture import Capture

HistoryManager.enabled = False


class _Compiler(CachingCompiler):  # type: ignore[misc]
    """Compiles blocks under the note's name and line numbers, so that tracebacks point into the note."""

    note = "<note>"
    offset = 0

    def cache(self, transformed_code: str, number: int = 0, raw_code: str | None = None) -> str:
        return self.note

    def ast_parse(self, source: str, filename: str = "", symbol: str = "exec") -> Any:
        try:
            tree = super().ast_parse(source, self.note, symbol)
        except SyntaxError as error:
            if error.lineno is not None:
                rows = source.split("\n")
                error.text = rows[error.lineno - 1] if error.lineno <= len(rows) else None
                error.lineno += self.offset
                if error.end_lineno is not None:
                    error.end_lineno += self.offset
            raise
        return ast.increment_lineno(tree, self.offset) if isinstance(tree, ast.AST) else tree


class _Display(DisplayHook):  # type: ignore[misc]
    """The value of a block's last expression."""

    def __call__(self, result: Any = None) -> None:
        if not _is_shown_anyway(result):
            super().__call__(result)

    def write_output_prompt(self) -> None:
        pass

    def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
        add_output("execute_result", format_dict, md_dict)

    def finish_displayhook(self) -> None:
        pass

    def quiet(self) -> bool:
        """A semicolon behind the last expression hides its value."""
        return bool(self.semicolon_at_end_of_expression(session.code))


def _is_shown_anyway(value: Any) -> bool:
    """Whether it is a figure of pyplot's that is open, which all are shown at the end of the block."""
    helpers = sys.modules.get("matplotlib._pylab_helpers")
    if helpers is None or value is None:
        return False
    return any(manager.canvas.figure is value for manager in helpers.Gcf.get_all_fig_managers())


class _Publisher(DisplayPublisher):  # type: ignore[misc]
    """`display(...)` and figures."""

    def publish(
        self,
        data: Any,
        metadata: Any = None,
        source: Any = None,
        *,
        transient: Any = None,
        update: bool = False,
        **kwargs: Any,
    ) -> None:
        name = (transient or {}).get("display_id")
        capture = session.capture
        if update and name is not None:
            for output in capture.outputs:
                if output.get("display_id") == name:
                    output["data"] = jsonable(data)
            return
        if session.ended and any(output.get("data") == jsonable(data) for output in capture.outputs):
            return  # a figure that the block has shown itself, and has not changed since
        add_output("display_data", data, metadata, name)

    def clear_output(self, wait: bool = False) -> None:
        session.capture.cut()
        session.capture.outputs.clear()


class _Shell(InteractiveShell):  # type: ignore[misc]
    compiler_class = _Compiler
    system = InteractiveShell.system_raw  # `!command` without a terminal of its own

    def init_virtualenv(self) -> None:
        """Nothing: IPython would put another environment's packages behind ours."""

    def init_history(self) -> None:
        super().init_history()
        self.history_manager.enabled = False

    def showtraceback(self, *args: Any, **kwargs: Any) -> None:
        """Keeps the error: one that run_cell does not return (a repr that raises, a magic) counts too."""
        error = sys.exc_info()[1]
        if error is not None:
            session.errors.append(error)

    def enable_gui(self, gui: Any = None) -> None:
        """Nothing: there is no window; `%matplotlib inline` asks for it."""

    def ask_exit(self) -> None:
        raise SystemExit("quit() in a block")

    def showsyntaxerror(self, *args: Any, **kwargs: Any) -> None:
        self.showtraceback()


class _Session:
    """What the display hooks of this process write to."""

    capture: Capture
    code = ""
    ended = False  # the block has run, and figures that are open are shown
    errors: ClassVar[list[BaseException]] = []


session = _Session()


def jsonable(data: Any) -> dict[str, str]:
    """A MIME bundle with text values; bytes become base64, as in a notebook file."""
    bundle: dict[str, str] = {}
    for mime, value in dict(data).items():
        if isinstance(value, bytes):
            bundle[mime] = base64.b64encode(value).decode("ascii")
        elif isinstance(value, str):
            bundle[mime] = value
        else:
            bundle[mime] = json.dumps(value, default=str)
    return bundle


def add_output(kind: str, data: Any, metadata: Any, display_id: str | None = None) -> None:
    output: dict[str, Any] = {"output_type": kind, "data": jsonable(data), "metadata": dict(metadata or {})}
    if display_id is not None:
        output["display_id"] = display_id
    session.capture.add(output)


def make_shell() -> Any:
    """The process's one shell. Also called in the fork server, so that sessions find it made."""
    if InteractiveShell.initialized():
        return InteractiveShell.instance()
    config = Config()
    config.InteractiveShell.colors = "nocolor"
    config.InteractiveShell.xmode = "Plain"
    config.InteractiveShell.automagic = False
    config.InteractiveShell.ast_node_interactivity = "last_expr"
    config.InlineBackend.figure_formats = {"svg"}
    config.InlineBackend.print_figure_kwargs = {"bbox_inches": "tight", "metadata": {"Date": None}}
    config.InlineBackend.rc = {}
    _Shell.displayhook_class = _Display
    _Shell.display_pub_class = _Publisher
    shell = _Shell.instance(config=config)
    compiler = _Compiler()
    compiler.flags = shell.compile.flags
    shell.compile = compiler
    shell.events.register("post_execute", _end)  # before matplotlib, which shows what is open
    return shell


def _end() -> None:
    session.ended = True
