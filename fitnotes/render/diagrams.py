"""Mermaid diagrams to SVG at build time, without a browser: one picture for every target.

The options below are what it takes for the same SVG to come out right in browsers, Typst and LaTeX;
each line of `clean` mends something that one of them shows wrong or not at all.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from typing import Any

from fitnotes import pandoc
from fitnotes.errors import Problem
from fitnotes.note import LINE, MERMAID, Note
from fitnotes.render.fragments import read_captions
from fitnotes.render.media import Media, placeholder
from fitnotes.render.results import output_block
from fitnotes.settings import nearest

FONT = "DejaVu Sans"  # one unquoted name: resvg and Typst match it against the fonts they carry
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


@functools.cache
def _engine() -> Any:
    try:
        import merman
    except ImportError:  # no wheel for this platform
        return None
    return merman.Merman()


def _options(pipeline: str, name: str, theme: str) -> str:
    return json.dumps(
        {
            "site_config": {"theme": theme, "fontFamily": FONT},
            "svg": {"pipeline": pipeline, "diagram_id": name},
            "resources": {"profile": "unbounded-for-trusted-input"},
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


def clean(svg: str) -> str:
    svg = svg.replace("overflow:hidden", "overflow:visible")  # clipped labels
    # A dangling filter makes Typst and librsvg drop the whole box.
    svg = re.sub(r"filter:\s*url\([^)]*drop-shadow[^)]*\);?", "", svg)
    svg = re.sub(r'\sfilter="url\([^)]*drop-shadow[^)]*\)"', "", svg)
    box = re.search(r'viewBox="([-\d.eE]+) ([-\d.eE]+) ([\d.eE+]+) ([\d.eE+]+)"', svg)
    opening = svg[: svg.index(">") + 1]
    if box and 'width="100%"' in opening:
        # A percentage leaves an <img> without a size of its own.
        width, height = float(box[3]), float(box[4])
        sized = re.sub(r'\sheight="[^"]*"', "", opening)
        sized = sized.replace('width="100%"', f'width="{width:.2f}" height="{height:.2f}"', 1)
        svg = sized + svg[len(opening) :]
    return svg


@functools.lru_cache(maxsize=256)
def draw(source: str, theme: str = "default") -> str:
    """Mermaid source to SVG. Raises DiagramError with the line of the mistake."""
    if re.search(r"\$\$.+?\$\$", source):
        line = source[: source.index("$$")].count("\n") + 1
        raise DiagramError("formulas ($$…$$) in diagram labels are not supported; use unicode symbols", line)
    name = "d" + hashlib.sha256(f"{theme}\n{source}".encode()).hexdigest()[:10]
    engine = _engine()
    if engine is not None:
        try:
            # "readable" checks labels; "resvg-safe" alone answers a malformed one with blank labels.
            engine.render_svg(source, _options("readable", name, theme))
            return clean(engine.render_svg(source, _options("resvg-safe", name, theme)))
        except Exception as error:
            failure = _located(engine, source, error)
            if getattr(error, "code_name", "") == "MERMAN_PARSE_ERROR" or "ill-formed" in str(failure):
                raise failure from None
    else:
        failure = DiagramError("no Mermaid renderer is installed")
    try:
        import mermaid_render

        return clean(str(mermaid_render.mermaid_to_svg(source)))
    except Exception:
        raise failure from None


def _caption_of(element: Any) -> str:
    return str(element.attributes.get("fig-cap") or element.attributes.get("caption") or "")


def _is_diagram(element: Any) -> bool:
    import panflute as pf

    return isinstance(element, pf.CodeBlock) and element.classes[:1] == [MERMAID]


def doc_diagrams(doc: Any) -> list[Any]:
    found: list[Any] = []
    import panflute as pf

    pandoc.walk(doc, lambda e, d: found.append(e) if _is_diagram(e) else None, pf.CodeBlock)
    return found


def draw_diagrams(doc: Any, note: Note, media: Media, *, keep: bool = False) -> list[Problem]:
    """Replaces every Mermaid block by its picture; one that is wrong stays as source under its error.

    ``keep``: the source stays, for a target that draws it by itself; it is checked all the same.
    """
    import panflute as pf

    diagrams = doc_diagrams(doc)
    if not diagrams:
        return []
    captions = read_captions([c for c in map(_caption_of, diagrams) if c])  # one pandoc process for all
    problems: list[Problem] = []

    def visit(element: Any, doc: Any) -> Any:
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
                problems.append(
                    Problem("error", message, note.shown, line, hint, exit_code=2, code="unknown-option")
                )
        try:
            if theme not in THEMES:
                raise DiagramError(f"unknown theme {theme!r}: one of {', '.join(THEMES)}", 0)
            svg = draw(element.text, theme)
        except DiagramError as error:
            at = start + error.line - 1 if start else None
            problems.append(
                Problem("error", f"mermaid: {error}", note.shown, at, exit_code=1, code="diagram")
            )
            message = output_block(f"mermaid: line {at}: {error}", "error", str(doc.format))
            return [message, pf.CodeBlock(element.text)]
        caption = _caption_of(element)
        stem = attributes.get("filename") or element.identifier or "diagram"
        if keep:
            content: Any = pf.CodeBlock(element.text, classes=[MERMAID])
        else:
            url = media.add(svg.encode(), ".svg", stem)
            if url is None:
                return pf.Para(placeholder("diagram not shown"))
            shown = {key: attributes[key] for key in ("width", "height") if key in attributes}
            alt = attributes.get("fig-alt") or caption or "Diagram"
            content = pf.Plain(pf.Image(pf.Str(alt), url=url, attributes=shown, classes=["diagram"]))
        if not caption and not element.identifier:
            return content if keep else pf.Para(*content.content)
        return pf.Figure(
            content,
            caption=pf.Caption(pf.Plain(*captions.get(caption, []))),
            identifier=element.identifier,
        )

    pandoc.walk(doc, visit, pf.CodeBlock)
    return problems
