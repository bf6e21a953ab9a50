"""Formulas for Typst, one by one: written from MathJax's tree; one that Typst has no form for becomes the picture that
MathJax makes, on the baseline."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import panflute as pf

from fitnotes.document.tree import walk
from fitnotes.draw import mathjax, mathml, mathtree
from fitnotes.draw.mathtree import Untranslatable
from fitnotes.draw.media import Media
from fitnotes.passes.page import Page
from fitnotes.store.files import digest
from fitnotes.targets.typst import maths, signs, tables
from fitnotes.tex import environments

SIZE = 11  # pt, as in the template


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula of a page. ``numbers`` are those of its rows, ``labels`` what links lead to it by."""

    tex: str
    display: bool
    numbers: tuple[str | None, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Converted:
    """A formula as Typst, or why it is none: ``reason`` is MathJax's, for one that is wrong; without a reason it is
    one that a picture has to show."""

    typst: maths.Typst | None = None
    reason: str = ""


def convert(formulas: Sequence[tuple[str, bool]], extra: Sequence[str] = ()) -> list[Converted]:
    """Each (TeX, display?) in Typst's words. Raises MissingProgram."""
    found = []
    for tree in mathjax.trees(formulas, extra):
        if isinstance(tree, str):
            found.append(Converted(reason=tree))
            continue
        try:
            found.append(Converted(maths.translate(tree)))
        except Untranslatable:
            found.append(Converted())
    return found


class Kept:
    """The formulas that were converted before, in a file to which each adds a line: its key, a checksum, its parts as
    JSON. A line that is damaged is as good as none."""

    def __init__(self, file: Path, extra: Sequence[str]) -> None:
        self.file, self.extra = file, extra
        self.lines: dict[str, str] = {}
        with contextlib.suppress(OSError):
            for line in file.read_text(encoding="utf-8", errors="replace").split("\n"):
                key, _, rest = line.partition(" ")
                self.lines[key] = rest

    def convert(self, formulas: Sequence[tuple[str, bool]]) -> list[Converted]:
        """Each (TeX, display?) in Typst's words, those that are new made and kept. Raises MissingProgram."""
        keys = [digest(_version(), self.extra, formula)[:24] for formula in formulas]
        known = {key: made for key in keys if (made := _read(self.lines.get(key, ""))) is not None}
        fresh = {key: formula for key, formula in zip(keys, formulas, strict=True) if key not in known}
        lines = []
        for key, made in zip(fresh, convert([*fresh.values()], self.extra), strict=True):
            known[key] = made
            if not made.reason:
                lines.append(f"{key} {_written(made)}\n")
        if lines:
            with contextlib.suppress(OSError):  # a full disk, or a project that may only be read
                self.file.parent.mkdir(parents=True, exist_ok=True)
                with open(self.file, "a", encoding="utf-8") as file:
                    file.write("".join(lines))
        return [known[key] for key in keys]


@functools.cache
def _version() -> str:
    """What the conversion of a formula depends on, besides the formula."""
    modules = (maths, tables, signs, mathjax, mathml, mathtree)
    sources = (Path(module.__file__ or "").read_bytes() for module in modules)
    return digest(mathjax.version(), *(hashlib.sha256(source).hexdigest() for source in sources))


def _written(made: Converted) -> str:
    text = json.dumps(asdict(made.typst) if made.typst else None, ensure_ascii=False)
    return f"{digest(text)[:16]} {text}"


def _read(line: str) -> Converted | None:
    """What stands in a line; None if nobody wrote it so."""
    check, _, text = line.partition(" ")
    if not text or check != digest(text)[:16]:
        return None
    parts = json.loads(text)
    return Converted(maths.Typst(**parts) if parts is not None else None)


def _picture(formula: Formula, media: Media, extra: Sequence[str]) -> tuple[str, str]:
    """The formula set by MathJax as a Typst image, and the reason where MathJax cannot either."""
    # The number is set by Typst beside the picture.
    result = mathjax.typeset([(environments.without_numbers(formula.tex), formula.display)], extra)[0]
    if result.error:
        return "", result.error
    svg, width, depth = mathjax.picture(result.svg, SIZE)
    url = media.add(svg.encode(), ".svg", "formula")
    alt = json.dumps(formula.tex, ensure_ascii=False)
    where = json.dumps(url)
    if not formula.display:
        return f"#box(baseline: {depth:.2f}pt, image({where}, width: {width:.2f}pt, alt: {alt}))", ""
    image = f"image({where}, width: calc.min({width:.2f}pt, size.width), alt: {alt})"
    body = f"#layout(size => align(center, {image}))"
    if given := [n for n in formula.numbers if n is not None]:
        numbers = " ".join(environments.in_parentheses(n) for n in given)
        number = f"place(right + horizon, {json.dumps(numbers, ensure_ascii=False)})"
        body = f"#block(width: 100%)[{body}#{number}]"
    return body, ""


def _inline(made: maths.Typst) -> str:
    return f"${made.code}$"


def display(made: maths.Typst) -> str:
    """A display formula with its numbers."""
    if made.wide:
        return f"#columnwide(fits: {made.fits}, it => ${made.wide}$)"
    if made.number:
        return f"#math.equation(block: true, numbering: (..) => ${made.number}$, $ {made.code} $)"
    return f"$ {made.code} $"


def set_formulas(page: Page, refused: frozenset[str], known: Path) -> Mapping[str, str]:
    """Puts Typst code in the place of every formula. ``refused``: Typst code known not to compile; ``known``: the file
    of those converted before. Raises MissingProgram.

    Returns the Typst code of each converted formula with its TeX, to find a culprit by.
    """
    found: list[Formula] = []

    def collect(element: pf.Element) -> None:
        display = element.format == "DisplayMath"
        element.text, labels = environments.take_labels(element.text)
        numbers, _ = environments.row_numbers(element.text, lambda: "") if display else ([], 0)
        found.append(Formula(element.text, display, tuple(numbers), tuple(labels)))

    walk(page.doc, collect, pf.Math, metadata=True)
    unique = list(dict.fromkeys(found))
    converted = Kept(known, page.packages).convert([(formula.tex, formula.display) for formula in unique])
    texts: dict[Formula, str] = {}
    sources: dict[str, str] = {}
    for formula, made in zip(unique, converted, strict=True):
        text, reason = "", made.reason
        if made.typst is not None:
            text = display(made.typst) if formula.display else _inline(made.typst)
        if text and text not in refused:
            sources[text] = formula.tex
        elif not reason:
            text, reason = _picture(formula, page.media, page.packages)
        if reason:
            page.formula_problem(formula.tex, reason)
            text = f"#raw({json.dumps(formula.tex, ensure_ascii=False)})"
        # What links lead to, whatever shows the formula.
        texts[formula] = "".join(f"#[#metadata(none) <{label}>]" for label in formula.labels) + text
    given = iter(found)
    walk(page.doc, lambda e: pf.RawInline(texts[next(given)], format="typst"), pf.Math, metadata=True)
    return sources
