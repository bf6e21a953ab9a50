"""Imported once by the fork server: what sessions need is loaded here, each session is a fork of it.

Only *importing* is safe before a fork. A parallel torch operation would leave OpenMP's threads in a
state in which every child hangs at its first parallel region, so nothing here computes with torch.
"""

import contextlib
import importlib
import io
import os

from fitnotes.execute.kernel import listener

listener.begin()  # while this process is small

from fitnotes.execute import shell, worker  # noqa: E402, F401 - the worker is loaded for all sessions
from fitnotes.execute.protocol import FIGURE, FOLDER_VARIABLE, PRELOAD_VARIABLE  # noqa: E402
from fitnotes.store.inputs import distribution, loaded_version, requirements  # noqa: E402


def _draw_nothing() -> None:
    """One throw-away figure: finds and caches the fonts, which every first figure pays for."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure()
    axes = figure.add_subplot()
    axes.set_title("a")
    axes.set_yscale("log")
    FigureCanvasSVG(figure).print_svg(io.StringIO())


# Loaded late otherwise, in every session: for its seed, and for its first figure.
_ALSO = {"numpy": ["numpy.random"], "matplotlib.pyplot": ["matplotlib_inline.backend_inline"]}


def load(names: list[str]) -> None:
    for name in names:
        # What cannot be imported here fails again in the block that asks for it, with its traceback.
        with contextlib.suppress(Exception):
            if name == FIGURE:
                _draw_nothing()
            else:
                importlib.import_module(name)
                for more in _ALSO.get(name, ()):
                    importlib.import_module(more)
                if found := distribution(name.partition(".")[0]):
                    for package in requirements(found):  # looked up once for all sessions
                        loaded_version(package)


shell.make_shell()
if folder := os.environ.pop(FOLDER_VARIABLE, ""):
    # matplotlib looks for its settings where it is imported: not wherever the command was called.
    with contextlib.suppress(OSError):
        os.chdir(folder)
load([name for name in os.environ.get(PRELOAD_VARIABLE, "").split(",") if name])
