"""MathJax at build time: its own components inside V8, without Node.

Tells which formulas a reader's browser would show as an error, and gives a picture of a formula for
targets that cannot typeset it. The files are those of the ``django-static-mathjax`` package, which
HTML pages load too, so what passes here is what a page shows.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fitnotes.errors import MissingProgram

COMPONENTS = (
    "loader.js",
    "core.js",
    "adaptors/liteDOM.js",
    "input/tex-full.js",
    "output/svg.js",
    "output/svg/fonts/tex.js",
)
# noundefined and noerrors would hide what we want to know; the others load files or set proof trees.
WITHOUT = ["noundefined", "noerrors", "bussproofs", "require", "autoload"]

_SETUP = """
MathJax._.handlers.html_ts.RegisterHTMLHandler(MathJax._.adaptors.liteAdaptor.liteAdaptor());
var fitnotes = (function () {
  var tex = MathJax._.input.tex, adaptor = MathJax._.adaptors.liteAdaptor.liteAdaptor();
  var packages = tex.AllPackages.AllPackages.filter(function (p) { return WITHOUT.indexOf(p) < 0; });
  return function (formulas) {
    return JSON.stringify(formulas.map(function (formula) {
      try {
        // A fresh document for each: no macro, label or number leaks from one formula to the next.
        var page = MathJax._.mathjax.mathjax.document('', {
          InputJax: new MathJax._.input.tex_ts.TeX({
            packages: packages, tags: 'ams', formatError: function (jax, error) { throw error; }
          }),
          OutputJax: new MathJax._.output.svg_ts.SVG({
            fontCache: 'none', font: new MathJax._.output.svg.fonts.tex_ts.TeXFont({})
          })
        });
        var node = page.convert(formula[0], {display: formula[1], em: 16, ex: 8, containerWidth: 640});
        return {svg: adaptor.innerHTML(node)};
      } catch (error) {
        return {error: String(error.message || error)};
      }
    }));
  };
})();
"""


@dataclass(frozen=True, slots=True)
class Typeset:
    """``svg`` with lengths in ex, or ``error``: MathJax's reason why it cannot."""

    svg: str = ""
    error: str = ""


def folder() -> Path:
    """Where MathJax's own files lie. Raises MissingProgram."""
    try:
        import mathjax
    except ImportError:
        raise MissingProgram("MathJax is not installed", hint="pip install django-static-mathjax") from None
    return Path(str(mathjax.__file__)).parent / "static" / "mathjax" / "es5"


_lock = threading.Lock()
_context: Any = None


def _engine() -> Any:
    global _context
    if _context is None:
        from py_mini_racer import MiniRacer

        context = MiniRacer()
        context.eval(
            "var MathJax = {startup: {typeset: false}, loader: {load: []}}, window = this, self = this;"
        )
        for name in COMPONENTS:
            context.eval((folder() / name).read_text(encoding="utf-8"))
        context.eval(f"var WITHOUT = {json.dumps(WITHOUT)};{_SETUP}")
        _context = context
        atexit.register(close)
    return _context


def warm() -> None:
    """Loads MathJax ahead of its use; for a thread beside something slower."""
    with _lock, contextlib.suppress(MissingProgram):  # said when it is needed
        _engine()


def close() -> None:
    """Ends V8. Without it the process would hang at exit."""
    global _context
    if _context is not None:
        _context.close()
        _context = None


def typeset(formulas: Sequence[tuple[str, bool]]) -> list[Typeset]:
    """Each (TeX, display?) as SVG or with the reason why not. Raises MissingProgram."""
    if not formulas:
        return []
    with _lock:
        answer = _engine().eval(f"fitnotes({json.dumps(list(formulas))})")
    return [Typeset(**item) for item in json.loads(str(answer))]


def picture(svg: str, font_size: float) -> tuple[str, float, float]:
    """MathJax's SVG with its size in points for text of ``font_size`` pt: (svg, width, depth).

    MathJax measures in ex of its TeX font, 0.442 em; depth is how far it hangs below the baseline.
    """
    ex = 0.442 * font_size
    start = svg.index("<svg")
    svg = svg[start : svg.rindex("</svg>") + 6]  # it may hold others, for stretched signs
    size = re.search(r'width="([\d.]+)ex" height="([\d.]+)ex"', svg)
    align = re.search(r"vertical-align:\s*(-?[\d.]+)ex", svg)
    width = float(size[1]) * ex if size else 0.0
    height = float(size[2]) * ex if size else 0.0
    depth = -float(align[1]) * ex if align else 0.0
    svg = re.sub(
        r'width="[\d.]+ex" height="[\d.]+ex"', f'width="{width:.3f}pt" height="{height:.3f}pt"', svg, count=1
    )
    # What MathJax leaves to its style sheet: the rules and frames of arrays.
    svg = re.sub(r"<line (?=[^>]*data-line)", '<line stroke-width="70" ', svg)
    svg = re.sub(r"<rect (?=[^>]*data-frame)", '<rect fill="none" stroke-width="70" ', svg)
    svg = svg.replace('stroke-width="0"', 'stroke="none"', 1).replace(' stroke="currentColor"', "", 1)
    svg = re.sub(r'<(line|rect) (?=[^>]*stroke-width="70")', r'<\1 stroke="black" ', svg)
    return svg.replace("currentColor", "black"), width, depth
