"""Mermaid diagrams to SVG at build time, without a browser: one picture for every target.

The options below are what it takes for the same SVG to come out right in browsers, Typst and LaTeX;
each line of `clean` mends something that one of them shows wrong or not at all.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import json
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import panflute as pf

from fitnotes.document import nodes
from fitnotes.document.fragments import read_captions
from fitnotes.document.tree import Change, Elements, walk
from fitnotes.draw.media import Media
from fitnotes.draw.mermaid.labels import Formula, Labels, for_github, place, shortage, split
from fitnotes.draw.mermaid.metrics import FONT, Sizes, measurer
from fitnotes.errors import Problem
from fitnotes.passes import maths
from fitnotes.passes.results import output_block
from fitnotes.settings import nearest
from fitnotes.source.note import LINE, MERMAID, Note
from fitnotes.tex.macros import MacroError, Macros, learn

# Ours, and those of mermaid-filter; the last ones have no meaning without a browser, but do no harm.
ATTRIBUTES = frozenset(
    {"caption", "fig-cap", "fig-alt", "width", "height", "theme", "filename", "label"}
    | {"format", "scale", "loc", "background", "imageClass", "env"}
)
THEMES = ("default", "neutral", "dark", "forest", "base")


class DiagramError(Exception):
    """A diagram that cannot be drawn; ``line`` counts from the diagram's first line."""

    def __init__(self, message: str, line: int = 1) -> None:
        super().__init__(message)
        self.line = line


_RESOURCES = {"profile": "unbounded-for-trusted-input"}
# As Mermaid draws by itself, whatever this renderer likes better. A diagram's own directive and header come
# before these.
_CONFIG = {
    "fontFamily": FONT, "look": "classic", "flowchart": {"minNodeWidth": 0, "wrappingWidth": 200},
}  # fmt: skip
_drawing = threading.Lock()
_sizes: Sizes = {}  # of the formulas in the diagram that is being drawn


@functools.cache
def _engine() -> Any:
    try:
        import merman
    except ImportError:  # no wheel for this platform
        return None
    services = merman.MermanEngineServices().with_text_measurer(measurer(lambda: _sizes))
    atexit.register(_engine.cache_clear)  # while Python can still free it
    return merman.MermanEngine(json.dumps({"resources": _RESOURCES}), services)


def _options(pipeline: str, name: str, theme: str, source: str = "") -> str:
    layout = {} if re.search(r"^\s*mindmap", source, re.MULTILINE) else {"layout": "dagre"}
    return json.dumps(
        {
            "site_config": {"theme": theme, **_CONFIG, **layout},
            "svg": {"pipeline": pipeline, "diagram_id": name},
            "resources": _RESOURCES,
        }
    )


def _located(engine: Any, source: str, error: Exception) -> DiagramError:
    """The error with its line, from the engine's own analysis where that knows one."""
    message = str(getattr(error, "message", None) or error)
    line = 1
    try:
        analysis = json.loads(engine.analyze_json(source, None))
        first = next(d for d in analysis["diagnostics"] if d["severity"] == "error")
        message, line = first["message"], first["span"]["line"]
        for related in first.get("related", []):
            if "original parse location" in related["message"]:
                line = related["span"]["line"]
    except (StopIteration, KeyError, TypeError, ValueError, AttributeError):
        pass
    return DiagramError(message.removeprefix("SVG postprocessor "), line)


_ALPHA = r"rgba\((\d+, ?\d+, ?\d+), ?[\d.]+\)"
_GLASS = re.compile(rf'(<rect [^>]*fill="){_ALPHA}("[^>]*style="fill:){_ALPHA}')


def clean(svg: str) -> str:
    svg = svg.replace("overflow:hidden", "overflow:visible")  # clipped labels
    # A dangling filter makes Typst and librsvg drop the whole box.
    svg = re.sub(r"filter:\s*url\([^)]*drop-shadow[^)]*\);?", "", svg)
    svg = re.sub(r'\sfilter="url\([^)]*drop-shadow[^)]*\)"', "", svg)
    # Where a reader has no DejaVu, its nearest relative.
    svg = re.sub(rf"(font-family[:=]\s*\"?{FONT})(?=[;\"}}])", r"\1,Verdana,sans-serif", svg)
    svg = re.sub(r" +</text>", "</text>", svg)  # it would count where a line is centred
    # Half transparent, it lets the edge strike its label through.
    svg = _GLASS.sub(r"\1rgb(\2)\3rgb(\4)", svg)
    box = re.search(r'viewBox="([-\d.eE]+) ([-\d.eE]+) ([\d.eE+]+) ([\d.eE+]+)"', svg)
    opening = svg[: svg.index(">") + 1]
    if box and 'width="100%"' in opening:
        # A percentage leaves an <img> without a size of its own.
        width, height = float(box[3]), float(box[4])
        sized = re.sub(r'\sheight="[^"]*"', "", opening)
        sized = sized.replace('width="100%"', f'width="{width:.2f}" height="{height:.2f}"', 1)
        svg = sized + svg[len(opening) :]
    return svg


@dataclass(frozen=True, slots=True)
class Drawing:
    """``wrong``: the formulas that MathJax cannot set, with its reasons; they show as they are written."""

    svg: str
    wrong: tuple[tuple[Formula, str], ...] = ()


def draw(source: str, theme: str = "default") -> str:
    """Mermaid source to SVG. Raises DiagramError with the line of the mistake."""
    return _draw(tuple(split(source)), theme, ()).svg


@functools.lru_cache(maxsize=256)
def _draw(parts: tuple[str | Formula, ...], theme: str, extra: tuple[str, ...]) -> Drawing:
    labels = Labels.read(parts, extra)
    try:
        svg = _render(labels, theme)
        if labels.formulas:
            labels.padding = shortage(svg, labels)
            if labels.padding:
                with contextlib.suppress(DiagramError):  # it can be drawn as it is
                    svg = _render(labels, theme)
    except DiagramError as error:
        raise DiagramError(labels.readable(str(error)), labels.line(error.line)) from None
    return Drawing(place(svg, labels), tuple(labels.errors()))


def _render(labels: Labels, theme: str) -> str:
    """The drawing with the characters that stand for formulas."""
    global _sizes
    source = labels.source()
    whole = "".join(part if isinstance(part, str) else part.tex for part in labels.pieces)
    name = "d" + hashlib.sha256(f"{theme}\n{whole}".encode()).hexdigest()[:10]
    engine = _engine()
    if engine is not None:
        with _drawing:
            _sizes = labels.sizes
            try:
                # "readable" checks labels; "resvg-safe" alone answers a malformed one with blank labels.
                engine.render_svg(source, _options("readable", name, theme, source))
                return clean(engine.render_svg(source, _options("resvg-safe", name, theme, source)))
            except Exception as error:
                failure = _located(engine, source, error)
                if getattr(error, "code_name", "") == "MERMAN_PARSE_ERROR" or "ill-formed" in str(failure):
                    raise failure from None
    else:
        failure = DiagramError("no Mermaid renderer is installed")
    try:
        import mermaid_render

        return clean(bytes(mermaid_render.mermaid_to_svg(labels.source(wide=True))).decode())
    except Exception:
        raise failure from None


def _caption_of(element: pf.Element) -> str:
    return str(element.attributes.get("fig-cap") or element.attributes.get("caption") or "")


def _is_diagram(element: pf.Element) -> bool:
    return isinstance(element, pf.CodeBlock) and element.classes[:1] == [MERMAID]


def doc_diagrams(doc: pf.Doc) -> Elements:
    found: Elements = []
    walk(doc, lambda e: found.append(e) if _is_diagram(e) else None, pf.CodeBlock)
    return found


def _expanded(parts: Sequence[str | Formula], macros: Macros) -> tuple[str | Formula, ...]:
    """The diagram with the macros in its formulas replaced, and what only some engines read."""
    formulas = [part for part in parts if isinstance(part, Formula)]
    if not formulas:
        return tuple(parts)
    written = [pf.Math(formula.tex) for formula in formulas]
    maths.expand_formulas(pf.Doc(pf.Para(*written)), macros)
    changed = iter([replace(f, tex=m.text) for f, m in zip(formulas, written, strict=True)])
    return tuple(next(changed) if isinstance(part, Formula) else part for part in parts)


def _learn(element: pf.Element, macros: Macros) -> None:
    """What a formula or raw TeX on the way defines."""
    with contextlib.suppress(MacroError):
        learn(element.text, macros)


def draw_diagrams(
    doc: pf.Doc,
    note: Note,
    media: Media,
    *,
    keep: bool = False,
    macros: Macros | None = None,
    extra: Sequence[str] = (),
) -> list[Problem]:
    """Replaces every Mermaid block by its picture; one that is wrong stays as source under its error.

    ``keep``: the source stays, for a target that draws it by itself; it is checked all the same.
    ``macros`` are those of the preamble, and ``extra`` MathJax's packages, for formulas in labels.
    """
    diagrams = doc_diagrams(doc)
    if not diagrams:
        return []
    captions = read_captions([c for c in map(_caption_of, diagrams) if c])  # one pandoc process for all
    problems: list[Problem] = []
    known = macros.copy() if macros is not None else Macros()

    def visit(element: pf.Element) -> Change:
        if not isinstance(element, pf.CodeBlock):
            if isinstance(element, pf.Math) or element.format in ("tex", "latex"):
                _learn(element, known)
            return None
        if not _is_diagram(element):
            return None
        attributes = dict(element.attributes)
        mark = attributes.pop(LINE, None)
        line = int(mark) if mark else note.line_of(element.text)
        start = line + 1 if mark and line else line
        theme = attributes.get("theme", "default")
        for name in attributes:
            if name not in ATTRIBUTES:
                message = f"unknown option {name!r} of a diagram"
                hint = nearest(name, ATTRIBUTES)
                problems.append(Problem("unknown-option", message, note.shown, line, hint))
        parts = _expanded(split(element.text), known)
        try:
            if theme not in THEMES:
                raise DiagramError(f"unknown theme {theme!r}: one of {', '.join(THEMES)}", 0)
            drawing = _draw(parts, theme, tuple(extra))
        except DiagramError as error:
            at = start + error.line - 1 if start else None
            problems.append(Problem("diagram", f"mermaid: {error}", note.shown, at))
            shown = output_block(f"mermaid: line {at}: {error}", "error", str(doc.format))
            return [shown, pf.CodeBlock(element.text)]
        for formula, reason in drawing.wrong:
            at = start + formula.line - 1 if start else None
            message = f"{' '.join(formula.written.split())[:80]}: MathJax says: {reason}"
            problems.append(Problem("formula", message, note.shown, at))
        caption = _caption_of(element)
        stem = attributes.get("filename") or element.identifier or "diagram"
        if keep:
            content: pf.Element = pf.CodeBlock(for_github(parts), classes=[MERMAID])
        else:
            url = media.add(drawing.svg.encode(), ".svg", stem)
            sizes: dict[str, str] = {key: attributes[key] for key in ("width", "height") if key in attributes}
            alt = attributes.get("fig-alt") or caption or "Diagram"
            picture = pf.Image(pf.Str(alt), url=url or "", attributes=sizes, classes=["diagram"])
            # With nowhere to put it (labels of another note are looked up), its own label counts all the same.
            content = pf.Plain(picture if url else nodes.placeholder("diagram not shown"))
        if not caption and not element.identifier:
            return content if keep else pf.Para(*content.content)
        return pf.Figure(
            content,
            caption=pf.Caption(pf.Plain(*captions.get(caption, []))),
            identifier=element.identifier,
        )

    walk(doc, visit, pf.CodeBlock, pf.Math, pf.RawBlock, pf.RawInline)
    return problems
