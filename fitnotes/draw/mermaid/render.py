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
from dataclasses import dataclass
from typing import Any

from fitnotes.draw.mermaid.labels import DiagramLabels, LabelFormula, place, shortage, split
from fitnotes.draw.mermaid.metrics import FONT, Sizes, measurer

THEMES = ("default", "neutral", "dark", "forest", "base")


class DiagramError(Exception):
    """A diagram that cannot be drawn; ``line`` counts from the diagram's first line. ``final``: another renderer would
    not do better."""

    def __init__(self, message: str, line: int = 1) -> None:
        super().__init__(message)
        self.line = line
        self.final = False


_RESOURCES = {"profile": "unbounded-for-trusted-input"}
# As Mermaid draws by itself, whatever this renderer likes better. A diagram's own directive and header come
# before these.
_CONFIG = {
    "fontFamily": FONT, "look": "classic", "flowchart": {"minNodeWidth": 0, "wrappingWidth": 200},
}  # fmt: skip


class _Merman:
    """The renderer, which draws one diagram at a time: it asks for the sizes of that one's formulas."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sizes: Sizes = {}
        self._engine: Any = None

    def load(self) -> bool:
        """Whether there is one."""
        if self._engine is None:
            try:
                import merman
            except ImportError:  # no wheel for this platform
                return False
            services = merman.MermanEngineServices().with_text_measurer(measurer(lambda: self._sizes))
            self._engine = merman.MermanEngine(json.dumps({"resources": _RESOURCES}), services)
            atexit.register(self.close)  # while Python can still free it
        return True

    def close(self) -> None:
        self._engine = None

    def draw(self, source: str, sizes: Sizes, name: str, theme: str) -> str:
        """Raises DiagramError, and whatever the renderer raises."""
        with self._lock:
            self._sizes = sizes
            try:
                # "readable" checks labels; "resvg-safe" alone answers a malformed one with blank labels.
                self._engine.render_svg(source, _options("readable", name, theme, source))
                return str(self._engine.render_svg(source, _options("resvg-safe", name, theme, source)))
            except Exception as error:
                failure = _located(self._engine, source, error)
                failure.final = getattr(
                    error, "code_name", ""
                ) == "MERMAN_PARSE_ERROR" or "ill-formed" in str(failure)
                raise failure from None


_merman = _Merman()


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
_HALF_TRANSPARENT = re.compile(rf'(<rect [^>]*fill="){_ALPHA}("[^>]*style="fill:){_ALPHA}')


# A label with the tag of a line's end in it, which the renderer shows (test_diagrams.py: test_lines_of_a_block).
_BROKEN = re.compile(r"(<text [^>]*>)([^<]*?&lt;br ?/?&gt;[^<]*)</text>")


def _lines(match: re.Match[str]) -> str:
    """Its lines, in a size in which they have room in the box that was made for one."""
    lines = [line.strip() for line in re.split(r"&lt;br ?/?&gt;", match[2])]
    place = re.search(r' x="([^"]*)"', match[1])
    start = re.sub(r"font-size:16px", f"font-size:{26 / len(lines):.0f}px", match[1])
    first = -0.58 * (len(lines) - 1)
    spans = [
        f'<tspan x="{place[1] if place else 0}" dy="{first if n == 0 else 1.16:.2f}em">{line}</tspan>'
        for n, line in enumerate(lines)
    ]
    return f"{start}{''.join(spans)}</text>"


def clean(svg: str) -> str:
    svg = svg.replace("overflow:hidden", "overflow:visible")  # clipped labels
    # A dangling filter makes Typst and librsvg drop the whole box.
    svg = re.sub(r"filter:\s*url\([^)]*drop-shadow[^)]*\);?", "", svg)
    svg = re.sub(r'\sfilter="url\([^)]*drop-shadow[^)]*\)"', "", svg)
    # Where a reader has no DejaVu, its nearest relative.
    svg = re.sub(rf"(font-family[:=]\s*\"?{FONT})(?=[;\"}}])", r"\1,Verdana,sans-serif", svg)
    svg = _BROKEN.sub(_lines, svg)
    svg = re.sub(r" +</text>", "</text>", svg)  # it would count where a line is centred
    # Half transparent, it lets the edge strike its label through.
    svg = _HALF_TRANSPARENT.sub(r"\1rgb(\2)\3rgb(\4)", svg)
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
class Diagram:
    """``wrong``: the formulas that MathJax cannot set, with its reasons; they show as they are written."""

    svg: str
    wrong: tuple[tuple[LabelFormula, str], ...] = ()


def draw(source: str, theme: str = "default") -> str:
    """Mermaid source to SVG. Raises DiagramError with the line of the mistake."""
    return draw_parts(tuple(split(source)), theme, ()).svg


@functools.lru_cache(maxsize=256)
def draw_parts(parts: tuple[str | LabelFormula, ...], theme: str, extra: tuple[str, ...]) -> Diagram:
    labels = DiagramLabels.read(parts, extra)
    try:
        svg = _render(labels, theme)
        if labels.formulas:
            labels.padding = shortage(svg, labels)
            if labels.padding:
                with contextlib.suppress(DiagramError):  # it can be drawn as it is
                    svg = _render(labels, theme)
    except DiagramError as error:
        raise DiagramError(labels.readable(str(error)), labels.line(error.line)) from None
    return Diagram(place(svg, labels), tuple(labels.errors()))


def _render(labels: DiagramLabels, theme: str) -> str:
    """The drawing with the characters that stand for formulas."""
    source = labels.source()
    whole = "".join(part if isinstance(part, str) else part.tex for part in labels.pieces)
    name = "d" + hashlib.sha256(f"{theme}\n{whole}".encode()).hexdigest()[:10]
    failure = DiagramError("no Mermaid renderer is installed")
    if _merman.load():
        try:
            return clean(_merman.draw(source, labels.sizes, name, theme))
        except DiagramError as error:
            if error.final:
                raise
            failure = error
    try:
        import mermaid_render

        return clean(bytes(mermaid_render.mermaid_to_svg(labels.source(wide=True))).decode())
    except Exception:
        raise failure from None
