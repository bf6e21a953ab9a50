"""MathJax at build time: its own components inside V8, without Node.

Tells which formulas a reader's browser would show as an error, and gives a picture of a formula for
targets that cannot typeset it. The files are those of the ``django-static-mathjax`` package, which
HTML pages load too, so what passes here is what a page shows.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import re
import threading
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

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
  return {
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


_VARIANTS = {
    "BLACK-LETTER": "FRAKTUR", "-TEX-CALLIGRAPHIC": "SCRIPT", "-TEX-BOLD-CALLIGRAPHIC": "BOLD SCRIPT",
    "-TEX-MATHIT": "ITALIC", "-TEX-OLDSTYLE": "", "SANS-SERIF-ITALIC": "SANS-SERIF ITALIC",
    "BOLD-ITALIC": "BOLD ITALIC",
    "BOLD-SCRIPT": "BOLD SCRIPT", "BOLD-FRAKTUR": "BOLD FRAKTUR", "BOLD-SANS-SERIF": "SANS-SERIF BOLD",
}  # fmt: skip


@functools.cache
def _alphabets() -> dict[tuple[str, str], str]:
    """(style, plain character) → the mathematical character of that style, from their Unicode names."""
    table: dict[tuple[str, str], str] = {}
    for code in (*range(0x1D400, 0x1D800), *range(0x2100, 0x2150)):
        char = chr(code)
        kind, _, plain = unicodedata.decomposition(char).partition(" ")
        name = unicodedata.name(char, "").removeprefix("MATHEMATICAL ")
        style = re.match(
            r"((?:BOLD |ITALIC |SCRIPT |FRAKTUR |BLACK-LETTER |DOUBLE-STRUCK |SANS-SERIF |MONOSPACE )+)", name
        )
        if kind == "<font>" and style and " " not in plain:
            words = style[1].strip()
            table.setdefault((_VARIANTS.get(words, words), chr(int(plain, 16))), char)
    table["ITALIC", "h"] = "\u210e"
    return table


_MML = "http://www.w3.org/1998/Math/MathML"
ElementTree.register_namespace("", _MML)


def core_mathml(text: str) -> str:
    """MathJax's MathML in what browsers read (MathML Core): alphabets as characters, tables by their style.

    Browsers know neither ``mathvariant`` (but for "normal"), nor ``mlabeledtr``, nor how a table aligns and
    rules its columns.
    """
    if not text:  # a formula with an error has none
        return ""
    root = ElementTree.fromstring(text)
    for element in root.iter():
        _clean(element)
        _keep_spaces(element)
        _set_alphabet(element)
        _space_operators(element)
    for table in list(root.iter(f"{{{_MML}}}mtable")):
        _style_table(table)
    return ElementTree.tostring(root, encoding="unicode")


def _is(element: ElementTree.Element, name: str) -> bool:
    return element.tag == f"{{{_MML}}}{name}"


def _clean(element: ElementTree.Element) -> None:
    """Without MathJax's own notes, and without the blanks between elements."""
    for name in [name for name in element.attrib if name.startswith("data-")]:
        del element.attrib[name]
    if len(element) and element.text and not element.text.strip():
        element.text = None
    element.tail = None


def _keep_spaces(element: ElementTree.Element) -> None:
    """Words would break at a space where a cell is narrow."""
    if _is(element, "mtext") and element.text:
        element.text = element.text.replace(" ", "\u00a0")


def _set_alphabet(element: ElementTree.Element) -> None:
    """The characters of the alphabet that ``mathvariant`` names."""
    variant = element.get("mathvariant", "normal").upper()
    if variant == "NORMAL":
        return
    del element.attrib["mathvariant"]
    style = _VARIANTS.get(variant, variant)
    element.text = "".join(_alphabets().get((style, char), char) for char in element.text or "")
    if _is(element, "mi") and len(element.text) == 1:  # browsers slant a letter that stands alone
        element.set("mathvariant", "normal")


def _space_operators(element: ElementTree.Element) -> None:
    """sin x: browsers know no space for the invisible sign between them."""
    for before, after in pairwise(element):
        if before.text == "\u2061" and not (after.text or "").startswith("("):
            before.set("rspace", "0.167em")


def _words(element: ElementTree.Element, name: str, otherwise: str) -> list[str]:
    return element.attrib.pop(name, otherwise).split() or [otherwise]


def _at(words: list[str], place: int) -> str:
    """The last word counts for all places behind it."""
    return words[min(place, len(words) - 1)]


def _style_table(table: ElementTree.Element) -> None:
    """What the attributes of a table say, as the style of its cells; numbers in a column at the margin."""
    columns, gaps = _words(table, "columnalign", "center"), _words(table, "columnspacing", "1em")
    rules, lines = _words(table, "columnlines", "none"), _words(table, "rowlines", "none")
    table.attrib.pop("rowspacing", None)
    frame = table.attrib.pop("frame", "none")
    rows = list(table)
    numbers = [_without_number(row) for row in rows]
    for n, row in enumerate(rows):
        own = _words(row, "columnalign", "") if "columnalign" in row.attrib else columns
        for i, cell in enumerate(row):
            align = cell.attrib.pop("columnalign", _at(own, i))
            style = [f"text-align:{align}", f"text-align:-webkit-{align}"]
            style += [f"padding-left:{_short(_at(gaps, i - 1) if i else '0em')}", "padding-right:0"]
            if i < len(row) - 1 and _at(rules, i) != "none":
                style += ["border-right:.06em solid", "padding-right:.5em"]
            if n < len(rows) - 1 and _at(lines, n) != "none":
                style.append("border-bottom:.06em solid")
            cell.set("style", ";".join(style))
    if frame != "none":
        table.set("style", "border:.06em solid")
    if any(number is not None for number in numbers):
        table.set("class", "numbered")
        width = max(map(len, rows))
        for row, number in zip(rows, numbers, strict=True):
            _number(row, number, width)


def _short(length: str) -> str:
    """A length without needless digits.

    >>> _short("1.000em")
    '1em'
    """
    size = re.match(r"([\d.]+)(.*)", length)
    return f"{float(size[1]):g}{size[2]}" if size else length


def _without_number(row: ElementTree.Element) -> ElementTree.Element | None:
    """Makes a numbered row a plain one; the cell of its number."""
    if not _is(row, "mlabeledtr"):
        return None
    number = row[0]
    row.remove(number)
    row.tag = f"{{{_MML}}}mtr"
    return number


def _number(row: ElementTree.Element, number: ElementTree.Element | None, width: int) -> None:
    """Centres a row of ``width`` cells between two of one size, of which the right one has its number."""
    for _ in range(width - len(row)):
        ElementTree.SubElement(row, f"{{{_MML}}}mtd")
    row.insert(0, ElementTree.Element(f"{{{_MML}}}mtd", {"style": "width:50%"}))
    style = "width:50%;text-align:right;text-align:-webkit-right"
    last = ElementTree.SubElement(row, f"{{{_MML}}}mtd", {"style": style})
    last.extend(list(number) if number is not None else [])


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
    # Those, and what \\boxed and \\cancel draw, have a width and no colour
    # (test_constructs.py: test_what_mathjax_draws_has_a_colour_in_pictures).
    drawn = r'<(line|rect|ellipse|polygon|path) (?=[^>]*stroke-width="[1-9])(?![^>]*\bstroke=)'
    svg = re.sub(drawn, r'<\1 stroke="black" ', svg)
    return svg.replace("currentColor", "black"), width, depth
