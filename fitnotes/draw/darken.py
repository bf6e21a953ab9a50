"""A drawing made for white paper, as SVG for a dark page: black on white becomes light on dark, colours stay.

Pictures of dots inside it are left alone, and so is what a mask is made of, whose colours mean other things.
"""

from __future__ import annotations

import colorsys
import functools
import re
from collections.abc import Iterator, Sequence

from fitnotes.draw.svg import Extent, parts

TEXT, PAGE = (0xE3, 0xE5, 0xE9), (0x16, 0x18, 0x1C)  # as in the pages' style
MAPPED = 4  # an artist with more colours than this has them from a colour map
READABLE = 4.0  # contrast that a colour has to have with the page
Rgb = tuple[int, int, int]
Place = tuple[int, int, str]  # where something other than new colours comes, and what

_PROPERTIES = r"(?:fill|stroke|stop-color|flood-color|color|background|background-color)"
_COLOUR = r"(?:#[0-9a-fA-F]{3,8}\b|(?:rgb|hsl)a?\([^)]*\)|[a-zA-Z]+)"
# Colours stand in style sheets, in style="…" and in attributes, and are written alike in all of them.
_USES = re.compile(rf"""(?P<head>(?<![\w-]){_PROPERTIES}\s*(?:=\s*["']|:)\s*)(?P<colour>{_COLOUR})""")
_SHAPES = frozenset(
    ("path", "rect", "polygon", "circle", "ellipse", "text", "line", "polyline", "use", "image")
)
_ARTIST = re.compile(r'<g id="[A-Z]\w*_\d+"')  # as matplotlib writes it
_UNSEEN = frozenset(("defs", "clipPath", "mask", "symbol", "metadata", "style"))
_WHITE = re.compile(
    r"""((?<![\w-])fill\s*(?:=\s*["']|:)\s*)(?:#fff(?:fff)?\b|white\b|rgb\(\s*255\s*,\s*255\s*,\s*255\s*\)|rgb\(\s*100%\s*,\s*100%\s*,\s*100%\s*\))""",
    re.IGNORECASE,
)


def darkened(svg: bytes) -> bytes:
    """The same drawing for a dark page."""
    text = svg.decode("utf-8", "replace")
    found = parts(text)
    out, at = [], 0
    for start, end, made in sorted([*_paper(text, found), *_untouched(text, found), *_mapped(text, found)]):
        if start >= at:
            out += [_recoloured(text[at:start]), made]
            at = end
    text = "".join([*out, _recoloured(text[at:])])
    # What has no colour of its own is black; what is inherited from here is not.
    return re.sub(r"<svg\b(?![^>]*\sfill=)", f'<svg fill="{_hex(TEXT)}"', text, count=1).encode()


def _paper(text: str, found: Sequence[Extent]) -> Iterator[Place]:
    """The white sheet that a drawing begins with, without its white: the page shows through
    (test_pictures.py: test_colours_for_a_dark_page)."""
    unseen = 0
    for part in found:
        if part.name in _UNSEEN:
            unseen = max(unseen, part.end)
        elif part.name in _SHAPES and part.start >= unseen:
            first = text[part.start : part.inside]
            if _WHITE.search(first):
                yield part.start, part.inside, _recoloured(_WHITE.sub(r"\g<1>none", first, count=1))
            return


def _untouched(text: str, found: Sequence[Extent]) -> Iterator[Place]:
    """Masks, pictures of dots, comments and descriptions."""
    for part in found:
        if part.name in ("mask", "metadata", "image", ""):
            end = part.inside if part.name == "image" else part.end
            yield part.start, end, _masked(text[part.start : end])


def _masked(part: str) -> str:
    return re.sub(r"^<mask\b(?![^>]*\sfill=)", '<mask fill="#000000"', part)


def _mapped(text: str, found: Sequence[Extent]) -> Iterator[Place]:
    """Where matplotlib draws with a colour map, as in a mesh: these colours are to be looked up in its scale."""
    for part in found:
        if part.name == "g" and _ARTIST.match(text, part.start):
            colours = {use["colour"] for use in _USES.finditer(text, part.start, part.end)}
            if len(colours) > MAPPED:
                yield part.start, part.end, text[part.start : part.end]


def _recoloured(text: str) -> str:
    return _USES.sub(lambda use: use["head"] + _dark(use["colour"]), text)


@functools.cache
def _dark(colour: str) -> str:
    """A colour as it is written → the one in its place; what is no colour stays."""
    if colour.lower() == "currentcolor":
        return _hex(TEXT)
    read = _read(colour)
    if read is None:
        return colour
    made = _on_dark(read[0])
    if colour.lower().startswith(("rgba", "hsla")):
        return f"rgba({made[0]},{made[1]},{made[2]},{read[1]})"
    return _hex(made) + read[1]


def _on_dark(colour: Rgb) -> Rgb:
    lightest, darkest = max(colour), min(colour)
    if lightest - darkest <= 16:
        share = sum(colour) / 3 / 255
        return _mixed(TEXT, PAGE, share)
    hue, light, strong = colorsys.rgb_to_hls(*(c / 255 for c in colour))
    if darkest >= 190:  # a tint for white paper becomes one for dark paper
        return _from_hls(hue, 0.16 + 0.8 * (1 - light), min(strong, 0.5))
    while contrast(_from_hls(hue, light, strong), PAGE) < READABLE and light < 1:
        light += 0.02
    return _from_hls(hue, light, strong)


def _mixed(first: Rgb, second: Rgb, share: float) -> Rgb:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def _from_hls(hue: float, light: float, strong: float) -> Rgb:
    red, green, blue = (round(c * 255) for c in colorsys.hls_to_rgb(hue, min(light, 1.0), strong))
    return red, green, blue


def contrast(first: Rgb, second: Rgb) -> float:
    """How well one colour is seen on another: from 1 (not at all) to 21, as WCAG counts it."""

    def luminance(colour: Rgb) -> float:
        parts = [c / 255 for c in colour]
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _hex(colour: Rgb) -> str:
    return "#" + "".join(f"{part:02x}" for part in colour)


def _read(colour: str) -> tuple[Rgb, str] | None:
    """(red, green, blue) and what is written of its opacity."""
    if colour.startswith("#"):
        digits = colour[1:]
        if len(digits) in (3, 4):
            digits = "".join(d * 2 for d in digits)
        if len(digits) not in (6, 8):
            return None
        return (int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)), digits[6:]
    if "(" in colour:
        return _read_function(colour)
    from matplotlib.colors import CSS4_COLORS

    known = CSS4_COLORS.get(colour.lower())
    return _read(known) if known else None


def _read_function(colour: str) -> tuple[Rgb, str] | None:
    words = re.split(r"[\s,/]+", colour[colour.index("(") + 1 : -1].strip())
    try:
        if colour.lower().startswith("hsl"):
            hue, strong, light = (float(word.rstrip("%deg")) for word in words[:3])
            found = _from_hls(hue % 360 / 360, light / 100, strong / 100)
        else:
            red, green, blue = (float(w[:-1]) * 2.55 if w.endswith("%") else float(w) for w in words[:3])
            found = (round(red), round(green), round(blue))
    except ValueError:
        return None
    return found, words[3] if len(words) > 3 else ("1" if colour[3:4] == "a" else "")
