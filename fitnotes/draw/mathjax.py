"""MathJax at build time: its own components inside V8, without Node.

Tells which formulas a reader's browser would show as an error, and gives a picture of a formula for
targets that cannot typeset it. The files are those of the ``django-static-mathjax`` package, which
HTML pages load too, so what passes here is what a page shows.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib.metadata
import json
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fitnotes.draw.mathml import core_mathml
from fitnotes.errors import MissingProgram
from fitnotes.tex import tokens

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
  var usual = tex.AllPackages.AllPackages.filter(function (p) { return WITHOUT.indexOf(p) < 0; });
  var visitor = new MathJax._.core.MmlTree.SerializedMmlVisitor.SerializedMmlVisitor();
  var COMPILED = MathJax._.core.MathItem.STATE.COMPILED;
  function make(extra, cache) {
    var jax = new MathJax._.input.tex_ts.TeX({
      packages: usual.concat(extra), tags: 'ams', formatError: function (jax, error) { throw error; }
    });
    var options = {InputJax: jax};
    if (cache) options.OutputJax = new MathJax._.output.svg_ts.SVG({
      fontCache: cache, font: new MathJax._.output.svg.fonts.tex_ts.TeXFont({})
    });
    return {jax: jax, page: MathJax._.mathjax.mathjax.document('', options), out: options.OutputJax};
  }
  // One document serves many formulas; one that defines something gets a document of its own, so that
  // nothing leaks from it.
  var defines = /\\\\(?:def|gdef|let|newcommand|renewcommand|newenvironment|Declare|require)/;
  function each(formulas, extra, cache, action) {
    var shared = make(extra, cache);
    var found = formulas.map(function (formula) {
      try {
        var used = !cache && defines.test(formula[0]) ? make(extra, cache) : shared;
        used.jax.reset(0);
        return action(used, formula);
      } catch (error) {
        return {error: String(error.message || error)};
      }
    });
    return {found: found, shared: shared};
  }
  function mathml(used, formula) {
    return visitor.visitTree(used.page.convert(formula[0], {display: formula[1], end: COMPILED}));
  }
  function svg(used, formula) {
    return used.page.convert(formula[0], {display: formula[1], em: 16, ex: 8, containerWidth: 640});
  }
  // The tree of a formula as [kind, text or children, size, space before, TeX class, own attributes]. Sizes: 3 display,
  // 2 text, 1 script, 0 a script's script, 4 and 5 display as small as these; spaces in em.
  var SPACES = {'': 0, thinmathspace: 3 / 18, mediummathspace: 4 / 18, thickmathspace: 5 / 18};
  var SCRIPTED = {munder: true, mover: true, munderover: true};
  function tree(node) {
    if (!node) return null;
    var kind = node.kind, children = node.childNodes;
    if (kind === 'text') return node.getText();
    if (node.isInferred && children.length === 1) return tree(children[0]);
    var attributes = node.attributes, own = attributes.getAllAttributes(), said = {}, i;
    var names = Object.keys(own);
    for (i = 0; i < names.length; i++) said[names[i]] = own[names[i]];
    if (node.isToken) {
      said.mathvariant = attributes.get('mathvariant');
      if (kind === 'mo') {
        ['largeop', 'stretchy', 'movablelimits'].forEach(function (name) {
          if (attributes.get(name)) said[name] = true; else delete said[name];
        });
      }
    } else if (kind === 'mtable') {
      said.useHeight = !!node.getProperty('useHeight');
    } else if (SCRIPTED[kind]) {
      ['accent', 'accentunder'].forEach(function (name) {
        if (attributes.get(name)) said[name] = true; else delete said[name];
      });
      said.limits = !(children[0].coreMO().attributes.get('movablelimits') && !attributes.get('displaystyle'));
    }
    var level = attributes.get('scriptlevel');
    var size = level <= 0 ? 2 : level === 1 ? 1 : 0;
    if (attributes.get('displaystyle')) size = 5 - size;
    var inside = [];
    for (i = 0; i < children.length; i++) inside.push(tree(children[i]));
    if (node.isToken && inside.every(function (c) { return typeof c === 'string'; })) inside = inside.join('');
    return [kind, inside, size, SPACES[node.texSpacing()] || 0, node.texClass, said];
  }
  return {
    trees: function (formulas, extra) {
      return JSON.stringify(each(formulas, extra, '', function (used, formula) {
        var root = used.page.convert(formula[0], {display: formula[1], end: COMPILED});
        root.setTeXclass(null);
        return {tree: tree(root)};
      }).found);
    },
    check: function (formulas, extra) {
      return JSON.stringify(each(formulas, extra, '', function (used, formula) {
        used.page.convert(formula[0], {display: formula[1], end: COMPILED});
        return {};
      }).found);
    },
    mathml: function (formulas, extra) {
      return JSON.stringify(each(formulas, extra, '', function (used, formula) {
        return {mathml: mathml(used, formula)};
      }).found);
    },
    picture: function (formulas, extra) {
      return JSON.stringify(formulas.map(function (formula) {
        return each([formula], extra, 'none', function (used, formula) {
          return {svg: adaptor.innerHTML(svg(used, formula))};
        }).found[0];
      }));
    },
    page: function (formulas, extra) {
      var set = each(formulas, extra, 'global', function (used, formula) {
        return {svg: adaptor.innerHTML(svg(used, formula)), mathml: mathml(used, formula)};
      });
      return JSON.stringify({
        found: set.found, glyphs: adaptor.outerHTML(set.shared.out.fontCache.getCache())
      });
    }
  };
})();
"""


@dataclass(frozen=True, slots=True)
class Typeset:
    """``svg`` with lengths in ex, ``mathml``, or ``error``: MathJax's reason why it cannot."""

    svg: str = ""
    mathml: str = ""
    error: str = ""


def folder() -> Path:
    """Where MathJax's own files lie. Raises MissingProgram."""
    try:
        import mathjax
    except ImportError:
        raise MissingProgram("MathJax is not installed", hint="pip install django-static-mathjax") from None
    return Path(str(mathjax.__file__)).parent / "static" / "mathjax" / "es5"


@functools.cache
def version() -> str:
    """The version of what is installed, or "" if nothing is."""
    try:
        return importlib.metadata.version("django-static-mathjax")
    except importlib.metadata.PackageNotFoundError:
        return ""


class _Engine:
    """One V8 with MathJax in it, loaded when it is first used."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._context: Any = None

    def load(self) -> None:
        with self._lock:
            self._ready()

    def _ready(self) -> Any:
        if self._context is None:
            from py_mini_racer import MiniRacer

            context = MiniRacer()
            context.eval(
                "var MathJax = {startup: {typeset: false}, loader: {load: []}}, window = this, self = this;"
            )
            for name in COMPONENTS:
                context.eval((folder() / name).read_text(encoding="utf-8"))
            context.eval(f"var WITHOUT = {json.dumps(WITHOUT)};{_SETUP}")
            self._context = context
        return self._context

    def call(self, name: str, formulas: Sequence[tuple[str, bool]], extra: Sequence[str]) -> Any:
        with self._lock:
            call = f"fitnotes.{name}({json.dumps(list(formulas))}, {json.dumps(list(extra))})"
            return json.loads(str(self._ready().eval(call)))

    def close(self) -> None:
        if self._context is not None:
            self._context.close()
            self._context = None


_engine = _Engine()  # one: two V8s in one process were faster, but a build with two died once of SIGTRAP


def warm() -> None:
    """Loads MathJax ahead of its use; for a thread beside something slower."""
    with contextlib.suppress(MissingProgram):  # said when it is needed
        _engine.load()


@atexit.register
def close() -> None:
    """Ends V8. Without it the process would hang at exit."""
    _engine.close()


def packages(preamble: str) -> list[str]:
    """MathJax's extensions, beyond its usual ones, for the packages that a LaTeX preamble loads."""
    return ["physics"] if "physics" in tokens.packages(preamble) else []


def _call(name: str, formulas: Sequence[tuple[str, bool]], extra: Sequence[str]) -> Any:
    return _engine.call(name, formulas, extra)


def check(formulas: Sequence[tuple[str, bool]], extra: Sequence[str] = ()) -> list[str]:
    """For each (TeX, display?) MathJax's reason why it cannot typeset it, or "". Raises MissingProgram."""
    return [item.get("error", "") for item in _call("check", formulas, extra)] if formulas else []


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the tree that MathJax makes of a formula.

    ``kind`` is MathML's name, ``size`` 3 in display style, 2 in text, 1 and 0 in scripts, 4 and 5 in display style
    as small as these; ``space`` stands before it, in em; ``kind_of_atom`` is TeX's (0 ordinary, 1 operator, 2 binary,
    3 relation, 4 opening, 5 closing, 6 punctuation, 7 inner). ``attributes`` are those that the node has of its own.
    """

    kind: str
    text: str
    children: tuple[Node, ...]
    size: int
    space: float
    kind_of_atom: int
    attributes: Mapping[str, Any]

    @classmethod
    def read(cls, made: Sequence[Any]) -> Node:
        kind, inside, size, space, atom, attributes = made
        text = inside if isinstance(inside, str) else ""
        children = () if text or not inside else tuple(cls.read(c) for c in inside if isinstance(c, list))
        return cls(kind, text, children, size, space, -1 if atom is None else atom, attributes)


def trees(formulas: Sequence[tuple[str, bool]], extra: Sequence[str] = ()) -> list[Node | str]:
    """The tree of each (TeX, display?), or MathJax's reason why it has none. Raises MissingProgram."""
    found = _call("trees", formulas, extra) if formulas else []
    return [Node.read(item["tree"]) if "tree" in item else str(item["error"]) for item in found]


def typeset(formulas: Sequence[tuple[str, bool]], extra: Sequence[str] = ()) -> list[Typeset]:
    """Each (TeX, display?) as SVG, one by one, or with the reason why not. Raises MissingProgram."""
    return [Typeset(**item) for item in _call("picture", formulas, extra)] if formulas else []


def mathml(formulas: Sequence[tuple[str, bool]], extra: Sequence[str] = ()) -> list[Typeset]:
    """Each (TeX, display?) as MathML as browsers know it, or with the reason why not."""
    if not formulas:
        return []
    found = [Typeset(**item) for item in _call("mathml", formulas, extra)]
    return [replace(item, mathml=core_mathml(item.mathml)) for item in found]


def static(formulas: Sequence[tuple[str, bool]], extra: Sequence[str] = ()) -> tuple[list[Typeset], str]:
    """Each (TeX, display?) as SVG and MathML for one page, and the glyphs that the pictures share."""
    if not formulas:
        return [], ""
    answer = _call("page", formulas, extra)
    found = [Typeset(**item) for item in answer["found"]]
    return [replace(item, mathml=core_mathml(item.mathml)) for item in found], str(answer["glyphs"])


def picture(svg: str, font_size: float) -> tuple[str, float, float]:
    """MathJax's SVG with its size in points for text of ``font_size`` pt: (svg, width, depth).

    MathJax measures in ex of its TeX font, 0.442 em; depth is how far it hangs below the baseline.
    """
    ex = 0.442 * font_size
    start = svg.index("<svg")
    svg = svg[start : svg.rindex("</svg>") + 6]  # it may hold others, for stretched signs
    svg = re.sub(r"&(?!#?\w+;)", "&amp;", svg)  # of addresses, which MathJax writes as they are
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
    # Those, and what \\boxed and \\cancel draw, have a width and no colour
    # (test_constructs.py: test_what_mathjax_draws_has_a_colour_in_pictures).
    drawn = r'<(line|rect|ellipse|polygon|path) (?=[^>]*stroke-width="[1-9])(?![^>]*\bstroke=)'
    svg = re.sub(drawn, r'<\1 stroke="black" ', svg)
    return svg.replace("currentColor", "black"), width, depth
