"""Notes written for Marp: its comments, image directives and columns, in the words of the rest of fitnotes.

As in Marpit's documentation ("Directives", "Image syntax"): ``<!-- _class: lead -->`` is for its slide,
``<!-- class: lead -->`` from there on, any other comment is a speaker's note; ``![bg right:40%](a.png)`` is a
background. `read_marp` leaves Divs and attributes for `deck`; a page that is no deck shows the rest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote

import panflute as pf

from fitnotes.document.nodes import BACKGROUND, DIRECTIVE, NOTES
from fitnotes.document.read import plain
from fitnotes.document.tree import Change, Elements, walk
from fitnotes.errors import Problem
from fitnotes.source.note import Note

LOCAL = ("paginate", "class", "header", "footer", "backgroundColor", "backgroundImage", "color",
         "backgroundSize", "backgroundPosition", "backgroundRepeat")  # fmt: skip
GLOBAL = ("marp", "theme", "style", "size", "headingDivider", "math", "lang", "title", "author", "description",
          "transition", "keywords", "url", "image")  # fmt: skip
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
    if str(plain(metadata["marp"])).lower() != "true" if "marp" in metadata else True:
        return {}
    found = {}
    for key in (*LOCAL, *GLOBAL, *(f"_{name}" for name in LOCAL)):
        if key in metadata:
            value = plain(metadata[key])
            found[key] = " ".join(map(str, value)) if isinstance(value, list) else str(value)
            if key not in ("lang", "title", "author", "description", "keywords"):
                metadata.pop(key)
            if not found[key] and (colour := re.search(rf"(?m)^{key}:\s*(#\w+)\s*$", text)):
                found[key] = colour[1]
    return found


def read_marp(doc: pf.Doc, given: Mapping[str, str], note: Note, *, styled: bool) -> list[Problem]:
    """Reads what is written for Marp alone, in a note whose header has these settings.

    ``styled``: the ``<style>`` of its slides means something. Returns what decks leave out.
    """

    def visit(element: pf.Element) -> Change:
        if isinstance(element, (pf.RawBlock, pf.RawInline)):
            if not styled and element.format == "html" and STYLE.match(element.text):
                return []
            return _comment(element)
        if isinstance(element, pf.SoftBreak):
            return pf.LineBreak()  # as in Marp
        if isinstance(element, pf.Image):
            return _image(element)
        if isinstance(element, pf.Figure):  # Marp knows no captions
            images: Elements = []
            walk(element, lambda e: images.append(e), pf.Image)
            walk(element, lambda e: images.append(e) if DIRECTIVE in e.classes else None, pf.Span)
            return pf.Para(*images) if images and not element.identifier else None
        return None

    walk(doc, visit, pf.Image, pf.RawBlock, pf.RawInline, pf.Figure, pf.SoftBreak)
    doc.content = [*_behind(given.get("backgroundImage", ""), True), *doc.content]
    if "gradient" in note.text and re.search(r"(?i)backgroundImage:.*gradient", note.text):
        line = note.line_of("gradient(")
        return [Problem("slides", "gradients behind slides are left out", note.shown, line)]
    return []


def _comment(element: pf.Element) -> Change:
    match = _COMMENT.match(element.text) if element.format == "html" else None
    if match is None:
        return None
    inside = match[1].strip()
    block = isinstance(element, pf.RawBlock)
    if inside == "fit":
        return []
    found = _directives(inside)
    if found:
        made = (pf.Div if block else pf.Span)(classes=[DIRECTIVE], attributes=found)
        image = next((found[k] for k in ("_backgroundImage", "backgroundImage") if k in found), "")
        return [made, *_behind(image, "backgroundImage" in found)] if block else made
    if not inside or re.match(r"(?:prettier|markdownlint|cspell|eslint|lint|textlint)\b", inside):
        return []
    if not block:
        return pf.Span(pf.Str(" ".join(inside.split())), classes=[NOTES])
    return pf.Div(
        *[pf.Para(pf.Str(" ".join(part.split()))) for part in re.split(r"\n\s*\n", inside)], classes=[NOTES]
    )


def _directives(text: str) -> dict[str, str]:
    """The directives of a comment, or nothing where it is a note."""
    import yaml

    try:
        values = yaml.safe_load(re.sub(r"(?m)^(\s*\w+:[ \t]*)(#\w+)[ \t]*$", r'\1"\2"', text))
    except yaml.YAMLError:
        return {}
    if not isinstance(values, Mapping):
        return {}
    known = {*LOCAL, *GLOBAL, *(f"_{name}" for name in LOCAL)}
    if not all(str(key) in known for key in values):
        return {}
    return {
        str(k): (
            " ".join(map(str, v))
            if isinstance(v, list)
            else str(v).lower()
            if isinstance(v, bool)
            else str(v)
        )
        for k, v in values.items()
        if v is not None
    } or {"_": ""}


def _behind(value: str, lasting: bool) -> Elements:
    """``url(a.png)`` as a background; ``lasting``: of the slides behind it too."""
    match = re.match(r"url\(\s*['\"]?([^'\")]+)", value)
    if match is None:
        return []
    attributes = {"lasting": "1"} if lasting else {}
    return [pf.Para(pf.Image(url=match[1].strip(), classes=[BACKGROUND], attributes=attributes))]


def _image(element: pf.Element) -> Change:
    """``![bg right:40% w:200px words](…)``: what the words say about the picture goes into its attributes. A colour
    in the place of a picture is that of the slide."""
    words = pf.stringify(pf.Para(*element.content)).split()
    if colour(unquote(element.url)):
        key = "_backgroundColor" if "bg" in words else "_color"
        return pf.Span(classes=[DIRECTIVE], attributes={key: unquote(element.url)})
    said = [word for word in words if _KEYWORDS.match(word)]
    if not said:
        return None
    rest = " ".join(word for word in words if word not in said)
    element.content = [pf.Str(rest)] if rest else []
    attributes = element.attributes
    for word in said:
        name, _, value = word.partition(":")
        if name in ("w", "width", "h", "height"):
            attributes["width" if name.startswith("w") else "height"] = (
                value if re.search(r"\D$", value) else f"{value}px"
            )
        elif name in ("left", "right"):
            attributes["side"] = name
            attributes["share"] = (value or "50%").rstrip("%")
        elif name in ("cover", "contain", "fit", "auto"):
            attributes["fit"] = {"fit": "contain", "auto": "none"}.get(name, name)
        elif re.fullmatch(r"\d+%", word):
            attributes["zoom"] = word.rstrip("%")
        elif name == "opacity":
            attributes["opacity"] = value or ".5"
        elif word == "vertical":
            attributes["vertical"] = "1"
    if "bg" in said:
        element.classes = [*element.classes, BACKGROUND]
    return None
