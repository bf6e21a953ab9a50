"""What there is in the trees that MathJax makes of formulas, for those who write them in other words."""

from __future__ import annotations

import re

from fitnotes.draw.mathjax import Node

INVISIBLE = frozenset("\u2061\u2062\u2063\u2064")
# What MathJax writes above a letter, and the accent of Unicode that Typst sets there.
ACCENTS = {
    "^": "\u0302", "\u02c6": "\u0302", "~": "\u0303", "\u02dc": "\u0303", "\u00af": "\u0304", "\u02c9": "\u0304",
    "\u02d8": "\u0306", "\u02d9": "\u0307", "\u00a8": "\u0308", "\u02da": "\u030a", "\u02c7": "\u030c",
    "`": "\u0300", "\u02cb": "\u0300", "\u00b4": "\u0301", "\u02ca": "\u0301", "\u20db": "\u20db",
    "\u20dc": "\u20dc", "\u2192": "\u20d7", "\u2190": "\u20d6", "\u2194": "\u20e1", "\u21c0": "\u20d1",
    "\u21bc": "\u20d0",
}  # fmt: skip
# The attributes that are looked at, or mean nothing here; with any other one a formula becomes a picture.
ALWAYS = frozenset({"mathvariant", "data-mjx-texclass", "class", "id", "href", "data-cramped", "limits"})
KNOWN = {
    "math": {"display"},
    "mi": {"mathcolor", "mathsize", "autoOP"}, "mn": {"mathcolor", "mathsize"}, "mtext": {"mathcolor", "mathsize"},
    "ms": {"mathcolor", "mathsize"},
    "mo": {
        "mathcolor", "mathsize", "stretchy", "largeop", "movablelimits", "fence", "symmetric", "form", "accent",
        "minsize", "maxsize", "lspace", "rspace", "separator", "braketbar",
    },
    "mspace": {"width", "height", "depth", "mathbackground", "linebreak"},
    "mstyle": {"displaystyle", "scriptlevel", "mathcolor", "mathbackground", "mathsize"},
    "mfrac": {"linethickness", "numalign", "denomalign", "bevelled"},
    "munder": {"accentunder"}, "mover": {"accent"}, "munderover": {"accent", "accentunder"},
    "mpadded": {"width", "height", "depth", "lspace", "voffset", "mathbackground", "style"},
    "menclose": {"notation", "data-padding"},
    "mtable": {
        "columnalign", "columnspacing", "rowspacing", "columnlines", "rowlines", "frame", "framespacing", "align",
        "displaystyle", "side", "minlabelspacing", "useHeight", "width", "columnwidth", "data-width-includes-label",
    },
    "mtd": {"columnalign"},
    "maction": {"actiontype", "selection"},
}  # fmt: skip


_EM = {
    "em": 1, "ex": 0.431, "pt": 0.1, "px": 1 / 16, "pc": 1.2, "mu": 1 / 18, "in": 6.545, "cm": 2.577, "mm": 0.2577,
}  # fmt: skip
_NAMED = {
    "veryverythinmathspace": 1, "verythinmathspace": 2, "thinmathspace": 3, "mediummathspace": 4,
    "thickmathspace": 5, "verythickmathspace": 6, "veryverythickmathspace": 7,
}  # fmt: skip


class Untranslatable(Exception):
    """Something of a formula has no form in the words of a target."""


def length(value: object) -> float:
    """A length of MathML in em.

    >>> length("1.5em"), length("4pt"), length("thinmathspace") * 18
    (1.5, 0.4, 3.0)
    """
    text = str(value).strip()
    if text in _NAMED:
        return _NAMED[text] / 18
    if text.removeprefix("negative") in _NAMED:
        return -_NAMED[text.removeprefix("negative")] / 18
    match = re.fullmatch(r"([-+]?\d*\.?\d+)\s*([a-z]*)", text)
    if match is None or match[2] not in {*_EM, ""}:
        raise Untranslatable(f"a length of {text}")
    return float(match[1]) * _EM.get(match[2], 0 if float(match[1]) == 0 else 1)


def core(node: Node) -> Node:
    """The sign that a node with nothing else in it is."""
    while len(node.children) == 1 and node.kind in ("inferredMrow", "mrow", "TeXAtom", "mstyle"):
        node = node.children[0]
    return node


def check(node: Node) -> None:
    """Raises Untranslatable for an attribute that nobody looks at: the formula would be shown otherwise."""
    if unknown := node.attributes.keys() - KNOWN.get(node.kind, frozenset()) - ALWAYS:
        raise Untranslatable(f"{', '.join(sorted(unknown))} of <{node.kind}>")
