"""A drawing made for white paper, as SVG for a dark page: black on white becomes light on dark, colours stay.

Pictures of dots inside it are left alone, and so is what a mask is made of, whose colours mean other things.
"""

from __future__ import annotations

import colorsys
import functools
import re
from collections.abc import Iterator

TEXT, PAGE = (0xE3, 0xE5, 0xE9), (0x16, 0x18, 0x1C)  # as in the pages' style
MAPPED = 4  # an artist with more colours than this has them from a colour map
READABLE = 4.0  # contrast that a colour has to have with the page
Rgb = tuple[int, int, int]

_PROPERTIES = r"(?:fill|stroke|stop-color|flood-color|color|background|background-color)"
_COLOUR = r"(?:#[0-9a-fA-F]{3,8}\b|(?:rgb|hsl)a?\([^)]*\)|[a-zA-Z]+)"
_USES = re.compile(rf"""(?P<head>(?<![\w-]){_PROPERTIES}\s*(?:=\s*["']|:)\s*)(?P<colour>{_COLOUR})""")
_PARTS = re.compile(
    r"(?s)<mask\b.*?</mask>|<image\b(?:[^>\"']|\"[^\"]*\"|'[^']*')*>|<!--.*?-->|<metadata\b.*?</metadata>"
)
_SHAPE = re.compile(
    r"""<(?:path|rect|polygon|circle|ellipse|text|line|polyline|use|image)\b(?:[^>"']|"[^"]*"|'[^']*')*>"""
)
_WHITE = re.compile(
    r"""((?<![\w-])fill\s*(?:=\s*["']|:)\s*)(?:#fff(?:fff)?\b|white\b|rgb\(\s*255\s*,\s*255\s*,\s*255\s*\)|rgb\(\s*100%\s*,\s*100%\s*,\s*100%\s*\))""",
    re.IGNORECASE,
)


def darkened(svg: bytes) -> bytes:
    """The same drawing for a dark page."""
    text = _without_paper(svg.decode("utf-8", "replace"))
    out, at = [], 0
    for start, end in sorted([*(part.span() for part in _PARTS.finditer(text)), *_mapped(text)]):
        if start >= at:
            out += [_recoloured(text[at:start]), _masked(text[start:end])]
            at = end
    text = "".join([*out, _recoloured(text[at:])])
    # What has no colour of its own is black; what is inherited from here is not.
    return re.sub(r"<svg\b(?![^>]*\sfill=)", f'<svg fill="{_hex(TEXT)}"', text, count=1).encode()


def _masked(part: str) -> str:
    return re.sub(r"^<mask\b(?![^>]*\sfill=)", '<mask fill="#000000"', part)


def _mapped(text: str) -> Iterator[tuple[int, int]]:
    """Where matplotlib draws with a colour map, as in a mesh: these colours are to be looked up in its scale."""
    opened: list[tuple[int, bool]] = []
    for tag in re.finditer(r"<g\b[^>]*>|</g>", text):
        if tag[0] != "</g>":
            opened.append((tag.start(), re.match(r"<g id=\"[A-Z]\w*_\d+\"", tag[0]) is not None))
        elif opened:
            start, artist = opened.pop()
            if artist and len({use["colour"] for use in _USES.finditer(text, start, tag.end())}) > MAPPED:
                yield start, tag.end()


def _recoloured(text: str) -> str:
    return _USES.sub(lambda use: use["head"] + _dark(use["colour"]), text)


def _without_paper(text: str) -> str:
    """Without the white sheet that a drawing begins with: the page shows through."""
    visible = re.sub(
        r"(?s)<(defs|clipPath|mask|symbol|metadata|style)\b.*?</\1>|<!--.*?-->",
        lambda m: " " * len(m[0]),
        text,
    )
    first = _SHAPE.search(visible)
    if first is None or not _WHITE.search(first[0]):
        return text
    return text[: first.start()] + _WHITE.sub(r"\g<1>none", first[0], count=1) + text[first.end() :]


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
