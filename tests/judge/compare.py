"""Two drawings of one formula, compared sign by sign."""

from __future__ import annotations

import html
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from judge.drawing import PICTURE, Drawing, Glyph

STRETCHED = frozenset(
    "()[]{}|\u2016\u2329\u232a\u230a\u230b\u2308\u2309/\\\u23de\u23df\u2190\u2192\u2194^~\u2191\u2193\u221a\u22ee\u22f1\u22f0"
    "\u2191\u2193\u2195\u21d1\u21d3\u2218"
)
# Signs that New Computer Modern Math draws much larger or smaller than MathJax's font.
SHAPES = frozenset(
    "`\u201c\u201d\u21cc\u21cb\u21a0\u219e\u2acc\u2acb\u2ac5\u2ac6\u2a87\u2a88\u231c\u231d\u231e\u231f\u21e0\u21e2\u21dd\u219b\u219a"
    "\u25be\u25b4\u2322\u22e7\u22cb\u22cc\u22a8\u2271\u2270\u2235\u2234\u2226\u2224\u2205\u21c9\u21c7\u21b7\u21b6\u21ae\u21ad\u21a3\u21a2"
    "\u2044\u2022\u00f7\u00ae"
)


def differences(shown: Drawing, other: Drawing) -> list[str]:
    """What another drawing has otherwise than what the browser shows."""
    if shown.error or other.error:
        return [] if shown.error or other.error == PICTURE else [other.error]
    if shown.afloat or other.afloat:
        other = _put_beside(shown, other)
    found: list[str] = []
    scale = shown.width / other.width if other.width and shown.width else 1.0
    if not other.fills and abs(shown.width - other.width) > 0.35 + 0.12 * shown.width + 0.2 * len(
        shown.rules
    ):
        found.append(f"the width is {other.width:.2f} em, not {shown.width:.2f}")
    rulers = (_rulers(shown.rules, ()), _rulers(other.rules, shown.frames))
    pools: dict[str, tuple[list[Glyph], list[Glyph]]] = defaultdict(lambda: ([], []))
    for side, drawing in enumerate((shown, other)):
        for glyph in _dotted(drawing.glyphs):
            pools[glyph.char][side].append(glyph)
        pools["rule"][side].extend(rulers[side])
    # The bar over something and the root's are rules for one and signs for the other.
    for char in ("\u2015", "\u00af", "_", "\u2013"):
        if char in pools and len(pools[char][0]) != len(pools[char][1]):
            for side in (0, 1):
                pools["rule"][side].extend(g for g in pools[char][side] if g.right - g.left > 0.2)
            pools[char] = ([], [])
    for char, (here, there) in sorted(pools.items()):
        if len(here) != len(there):
            found.append(f"{char!r} {len(there)} times, not {len(here)}")
            continue
        found += [
            told
            for told in _apart(char, here, there, scale, shown, other.fills)
            if not (other.fills and "far" in told)
        ]
    return found


def _rulers(rules: Sequence[Glyph], frames: Sequence[Glyph]) -> list[Glyph]:
    """The level rules, without the edges of frames."""
    level = [rule for rule in rules if rule.right - rule.left > 0.2]
    edges = [(frame, edge) for frame in frames for edge in (frame.bottom, frame.top, frame.middle[1])]
    return [
        rule
        for rule in level
        if not any(abs(rule.middle[1] - at) < 0.25 and rule.left < frame.right for frame, at in edges)
    ]


def _dotted(glyphs: Sequence[Glyph]) -> list[Glyph]:
    """With three dots in a row as one sign, as some fonts have it."""
    out: list[Glyph] = []
    for glyph in glyphs:
        out.append(glyph)
        three = out[-3:]
        if len(three) == 3 and {g.char for g in three} in ({"."}, {"\u22c5"}):
            one, two, last = three
            wide, tall = abs(last.middle[0] - one.middle[0]), abs(last.middle[1] - one.middle[1])
            if abs(one.middle[0] + last.middle[0] - 2 * two.middle[0]) < 0.1 and wide + tall < 2.5:
                char = "\u2026" if tall < 0.1 else "\u22ee" if wide < 0.1 else "\u22f1"
                out[-3:] = [replace(one.joined(two).joined(last), char=char)]
    return out


def _put_beside(shown: Drawing, other: Drawing) -> Drawing:
    """A drawing on the line of the one that is shown: as high as most of its signs are there."""
    heights: dict[str, tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for side, drawing in enumerate((shown, other)):
        for glyph in _dotted(drawing.glyphs):
            heights[glyph.char][side].append(glyph.middle[1])
    apart = [
        statistics.mean(there) - statistics.mean(here)
        for here, there in heights.values()
        if here and len(here) == len(there)
    ]
    return other.from_line(statistics.median(apart)) if apart else other


def _apart(
    char: str, here: list[Glyph], there: list[Glyph], scale: float, shown: Drawing, fills: bool
) -> Iterator[str]:
    # Delimiters and rows come in other sizes in another font, and move what stands beside them.
    drawn = [*shown.glyphs, *shown.rules]
    bars = len(shown.rules)  # MathJax leaves more room beside fractions
    dots = (
        0.4 if any(g.char in "\u22ee\u22f1" for g in drawn) else 0.0
    )  # and above dots, which make their row taller
    height = max((g.top for g in drawn), default=0.0) - min((g.bottom for g in drawn), default=0.0)
    for glyph, near in _pairs(here, there, scale, 0.05 if fills else 1.0):
        x, y = glyph.middle
        dx, dy = near.middle[0] * scale - x, near.middle[1] - y
        tall, own = near.top - near.bottom, glyph.top - glyph.bottom
        free = char in STRETCHED or char == "rule"
        if char == "rule":
            tall, own = near.right - near.left, glyph.right - glyph.left
            if abs(tall - own) > 0.25 + 0.18 * own:
                yield f"a rule is {tall:.2f} em long, not {own:.2f}"
        elif (
            own > 0.2
            and char not in SHAPES
            and not (0.45 if free else 0.78) < tall / own < (2.2 if free else 1.28)
        ):
            yield f"{char!r} is {tall:.2f} em tall, not {own:.2f}"
        if abs(dy) > (0.6 if char == "rule" else 0.3) + 0.06 * height + dots:
            yield f"{char!r} is {abs(dy):.2f} em too {'high' if dy > 0 else 'low'}"
        if abs(dx) > 0.35 + 0.04 * shown.width + 0.2 * bars:
            yield f"{char!r} is {abs(dx):.2f} em too far {'right' if dx > 0 else 'left'}"


def _pairs(
    here: Sequence[Glyph], there: Sequence[Glyph], scale: float, weight: float
) -> Iterator[tuple[Glyph, Glyph]]:
    """Each of the same signs with that nearest to it, the nearest first."""

    def far(pair: tuple[int, int]) -> float:
        one, other = here[pair[0]], there[pair[1]]
        apart = weight * abs(other.middle[0] * scale - one.middle[0]) + abs(other.middle[1] - one.middle[1])
        wide = abs((other.right - other.left) * scale - (one.right - one.left)) if one.char == "rule" else 0.0
        tall = abs((other.top - other.bottom) - (one.top - one.bottom)) if one.char not in STRETCHED else 0.0
        return apart + wide + 5 * tall

    seen: tuple[set[int], set[int]] = set(), set()
    for i, j in sorted(((i, j) for i in range(len(here)) for j in range(len(there))), key=far):
        if i not in seen[0] and j not in seen[1]:
            seen[0].add(i)
            seen[1].add(j)
            yield here[i], there[j]


def page(rows: Iterable[tuple[str, Drawing, Drawing, Sequence[str]]]) -> str:
    """Both pictures of formulas side by side, with what differs."""
    out = ["<!doctype html><meta charset=utf-8><title>Formulas</title>"
           "<style>td{padding:.4em;border:1px solid #ccc}"
           "svg{max-width:30em;max-height:14em}</style>"
           "<table><tr><th>TeX<th>browser<th>other<th>differences"]  # fmt: skip
    for tex, shown, other, found in rows:
        told = "<br>".join(map(html.escape, found))
        out.append(
            f"<tr><td><code>{html.escape(tex)}</code><td>{shown.picture}<td>{other.picture or html.escape(other.error)}"
            f"<td>{told}"
        )
    return "\n".join(out)
