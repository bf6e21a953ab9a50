"""Notes written for Marp: its comments, image directives and columns, in the words of the rest of fitnotes.

As in Marpit's documentation ("Directives", "Image syntax"): ``<!-- _class: lead -->`` is for its slide,
``<!-- class: lead -->`` from there on, any other comment is a speaker's note; ``![bg right:40%](a.png)`` is a
background. `read_marp` leaves Divs and attributes for `deck`; a page that is no deck shows the rest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import panflute as pf

from fitnotes.document import nodes
from fitnotes.document.read import plain
from fitnotes.document.tree import Change, Elements, collect, walk
from fitnotes.errors import Problem
from fitnotes.settings import unquoted
from fitnotes.source.note import Note

LOCAL = ("paginate", "class", "header", "footer", "backgroundColor", "backgroundImage", "color",
         "backgroundSize", "backgroundPosition", "backgroundRepeat")  # fmt: skip
GLOBAL = ("marp", "theme", "style", "size", "headingDivider", "math", "lang", "title", "author", "description",
          "transition", "keywords", "url", "image")  # fmt: skip
_DIRECTIVES = (*LOCAL, *GLOBAL, *(f"_{name}" for name in LOCAL))
STYLE = re.compile(r"\s*<style(\s+scoped)?[^>]*>(.*?)</style>\s*$", re.DOTALL | re.IGNORECASE)
_COMMENT = re.compile(r"^\s*<!--(.*?)-->\s*$", re.DOTALL)
_LENGTH = r"(\d+(?:\.\d+)?)(px|cm|mm|in|pt|pc|em|%)?"
_KEYWORDS = re.compile(
    rf"^(?:bg|(?:left|right)(?::\d+%)?|vertical|cover|contain|fit|auto|[wh](?:idth|eight)?:{_LENGTH}|\d+%"
    r"|(?:blur|brightness|contrast|drop-shadow|grayscale|hue-rotate|invert|opacity|saturate|sepia)(?::\S+)?)$"
)


def colour(text: str) -> str:
    """A colour as CSS writes it, as ``#rrggbb``; "" for anything else.

    >>> colour("rebeccapurple"), colour("rgb(255, 0, 0)"), colour("plot")
    ('#663399', '#ff0000', '')
    """
    from PIL import ImageColor

    try:
        red, green, blue, *_ = ImageColor.getrgb(text.strip())
    except ValueError:
        return ""
    return f"#{red:02x}{green:02x}{blue:02x}"


def settings(doc: pf.Doc, text: str) -> dict[str, str]:
    """Marp's settings in the header of a note written for it, which are taken out; else nothing.

    ``text`` is the note's: Marp takes ``color: #fff`` for a colour, YAML for nothing and a comment.
    """
    metadata = doc.metadata.content
    if "marp" not in metadata or str(plain(metadata["marp"])).lower() != "true":
        return {}
    found = {}
    for key in _DIRECTIVES:
        if key in metadata:
            value = plain(metadata[key])
            found[key] = " ".join(map(str, value)) if isinstance(value, list) else str(value)
            if key not in ("lang", "title", "author", "description", "keywords"):
                metadata.pop(key)
            if not found[key] and (written := re.search(rf"(?m)^{key}:\s*(#\w+)\s*$", text)):
                found[key] = written[1]
    return found


def read_marp(doc: pf.Doc, given: Mapping[str, str], note: Note, *, styled: bool) -> list[Problem]:
    """Reads what is written for Marp alone, in a note whose header has these settings.

    ``styled``: the ``<style>`` of its slides means something. Returns what decks leave out.
    """

    def visit(element: pf.Element) -> Change:
        if isinstance(element, (pf.RawBlock, pf.RawInline)):
            if not styled and nodes.is_raw(element, "html") and STYLE.match(element.text):
                return []
            return _comment(element)
        if isinstance(element, pf.SoftBreak):
            return pf.LineBreak()  # as in Marp
        if isinstance(element, pf.Image):
            return _image(element)
        if isinstance(element, pf.Figure):
            return _without_caption(element)
        return None

    walk(doc, visit, pf.Image, pf.RawBlock, pf.RawInline, pf.Figure, pf.SoftBreak)
    doc.content = [*_behind(given.get("backgroundImage", ""), True), *doc.content]
    if "gradient" in note.text and re.search(r"(?i)backgroundImage:.*gradient", note.text):
        line = note.line_of("gradient(")
        return [Problem("slides", "gradients behind slides are left out", note.shown, line)]
    return []


def _without_caption(figure: pf.Element) -> pf.Para | None:
    """The images of a figure, and what has become of them, as a paragraph: Marp knows no captions."""
    directives = collect(figure, pf.Span, where=lambda e: nodes.has_class(e, nodes.DIRECTIVE))
    shown = [*collect(figure, pf.Image), *directives]
    return pf.Para(*shown) if shown and not figure.identifier else None


def _comment(element: pf.Element) -> Change:
    match = _COMMENT.match(element.text) if nodes.is_raw(element, "html") else None
    if match is None:
        return None
    inside = match[1].strip()
    block = isinstance(element, pf.RawBlock)
    if inside == "fit":
        return []
    if found := _directives(inside):
        return _directive(found, block)
    if not inside or re.match(r"(?:prettier|markdownlint|cspell|eslint|lint|textlint)\b", inside):
        return []
    if not block:
        return pf.Span(_one_line(inside), classes=[nodes.NOTES])
    parts = re.split(r"\n\s*\n", inside)
    return pf.Div(*[pf.Para(_one_line(part)) for part in parts], classes=[nodes.NOTES])


def _one_line(text: str) -> pf.Str:
    return pf.Str(" ".join(text.split()))


def _directive(found: dict[str, str], block: bool) -> Change:
    if not block:
        return pf.Span(classes=[nodes.DIRECTIVE], attributes=found)
    image = next((found[k] for k in ("_backgroundImage", "backgroundImage") if k in found), "")
    made = pf.Div(classes=[nodes.DIRECTIVE], attributes=found)
    return [made, *_behind(image, "backgroundImage" in found)]


def _directives(text: str) -> dict[str, str]:
    """The directives of a comment, or nothing where it is a note."""
    import yaml

    try:
        values = yaml.safe_load(re.sub(r"(?m)^(\s*\w+:[ \t]*)(#\w+)[ \t]*$", r'\1"\2"', text))
    except yaml.YAMLError:
        return {}
    if not isinstance(values, Mapping) or not all(str(key) in _DIRECTIVES for key in values):
        return {}
    found = {str(key): _as_text(value) for key, value in values.items() if value is not None}
    return found or {"_": ""}  # without a value it says nothing, and is no note either


def _as_text(value: object) -> str:
    """A value of YAML, as Marp writes it."""
    if isinstance(value, list):
        return " ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _behind(value: str, lasting: bool) -> Elements:
    """``url(a.png)`` as a background; ``lasting``: of the slides behind it too."""
    match = re.match(r"url\(\s*['\"]?([^'\")]+)", value)
    if match is None:
        return []
    attributes = {"lasting": "1"} if lasting else {}
    return [pf.Para(pf.Image(url=match[1].strip(), classes=[nodes.BACKGROUND], attributes=attributes))]


def _image(element: pf.Element) -> Change:
    """``![bg right:40% w:200px words](…)``: what the words say about the picture goes into its attributes. A colour
    in the place of a picture is that of the slide."""
    words = pf.stringify(pf.Para(*element.content)).split()
    if colour(unquoted(element.url)):
        key = "_backgroundColor" if "bg" in words else "_color"
        return pf.Span(classes=[nodes.DIRECTIVE], attributes={key: unquoted(element.url)})
    said = [word for word in words if _KEYWORDS.match(word)]
    if not said:
        return None
    rest = " ".join(word for word in words if word not in said)
    element.content = [pf.Str(rest)] if rest else []
    for word in said:
        element.attributes.update(_meaning(word))
    if "bg" in said:
        element.classes = [*element.classes, nodes.BACKGROUND]
    return None


def _meaning(word: str) -> dict[str, str]:
    """The attributes that a keyword stands for.

    >>> _meaning("w:200"), _meaning("right:40%"), _meaning("fit"), _meaning("bg")
    ({'width': '200px'}, {'side': 'right', 'share': '40'}, {'fit': 'contain'}, {})
    """
    name, _, value = word.partition(":")
    if name in ("w", "width", "h", "height"):
        length = value if re.search(r"\D$", value) else f"{value}px"
        return {"width" if name.startswith("w") else "height": length}
    if name in ("left", "right"):
        return {"side": name, "share": (value or "50%").rstrip("%")}
    if name in ("cover", "contain", "fit", "auto"):
        return {"fit": {"fit": "contain", "auto": "none"}.get(name, name)}
    if re.fullmatch(r"\d+%", word):
        return {"zoom": word.rstrip("%")}
    if name == "opacity":
        return {"opacity": value or ".5"}
    return {"vertical": "1"} if word == "vertical" else {}
