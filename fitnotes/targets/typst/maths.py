"""Formulas in Typst's words, written from the tree that MathJax makes: what the browser shows is what the PDF says.

MathJax has decided what belongs to what, in which size, and how much space stands between any two things; here that
is said to Typst. Its classes of signs, which would space them by themselves, are used where they do something else:
a relation or a binary sign at the top of a line of text lets the line break behind it, a large operator grows in
display style, and a delimiter stretches.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import tinycss2.color3

from fitnotes.draw.mathjax import Node
from fitnotes.draw.mathml import alphabets, variant_name

SIZES = ("sscript", "script", "inline", "display")
_SCALE = (0.5, 0.7, 1.0, 1.0)
_EM = {
    "em": 1,
    "ex": 0.431,
    "pt": 0.1,
    "px": 1 / 16,
    "pc": 1.2,
    "mu": 1 / 18,
    "in": 6.545,
    "cm": 2.577,
    "mm": 0.2577,
}
_NAMED = {
    "veryverythinmathspace": 1, "verythinmathspace": 2, "thinmathspace": 3, "mediummathspace": 4,
    "thickmathspace": 5, "verythickmathspace": 6, "veryverythickmathspace": 7,
}  # fmt: skip
INVISIBLE = frozenset("\u2061\u2062\u2063\u2064")
# What MathJax writes above a letter, and the accent of Unicode that Typst sets there.
ACCENTS = {
    "^": "\u0302", "\u02c6": "\u0302", "~": "\u0303", "\u02dc": "\u0303", "\u00af": "\u0304", "\u02c9": "\u0304",
    "\u02d8": "\u0306", "\u02d9": "\u0307", "\u00a8": "\u0308", "\u02da": "\u030a", "\u02c7": "\u030c",
    "`": "\u0300", "\u02cb": "\u0300", "\u00b4": "\u0301", "\u02ca": "\u0301", "\u20db": "\u20db",
    "\u20dc": "\u20dc", "\u2192": "\u20d7", "\u2190": "\u20d6", "\u2194": "\u20e1", "\u21c0": "\u20d1",
    "\u21bc": "\u20d0",
}  # fmt: skip
_OVER = {"\u23de": "overbrace", "\u23dc": "overparen", "\u23b4": "overbracket", "\u2015": "overline"}
_UNDER = {"\u23df": "underbrace", "\u23dd": "underparen", "\u23b5": "underbracket", "\u2015": "underline"}
_ARROWS = frozenset("\u2190\u2194\u21d0\u21d2\u21d4")  # no accents of the font


# The attributes that are looked at, or mean nothing here; with any other one a formula becomes a picture.
_ALWAYS = frozenset({"mathvariant", "data-mjx-texclass", "class", "id", "href", "data-cramped", "limits"})
_KNOWN = {
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


class Untranslatable(Exception):
    """Something of a formula has no form in Typst."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What stands in a row: ``space`` before it, in em. An ``edge`` is one beside which Typst would put space of its
    own, or take it away, unless told how much there is."""

    code: str
    space: float = 0.0
    edge: bool = False


@dataclass(frozen=True, slots=True)
class Typst:
    """A formula in Typst's words, without dollars.

    ``number`` is that of a formula with one row. One that is as wide as the column, with a number for some of its
    rows or with rows at its sides, has ``wide``: the same as the body of a function of ``it``, which gives what
    depends on the width of the column. ``fits`` counts the gaps that take what is left.
    """

    code: str
    number: str = ""
    wide: str = ""
    fits: int = 0


def translate(root: Node) -> Typst:
    """The formula that MathJax has made a tree of. Raises Untranslatable."""
    writer = _Writer()
    table = _only(root, "mtable")
    if table is not None and (_is_wide(table) or any(row.kind == "mlabeledtr" for row in table.children)):
        if len(table.children) == 1 and not _is_wide(table):
            row = table.children[0]
            number = writer.joined(writer.inside(row.children[0]))
            return Typst(writer.line(table), number=number)
        fits = _words(table.attributes, "columnwidth", "auto", _count(table)).count("fit")
        return Typst(writer.table(table), wide=writer.table(table, wide=True), fits=fits)
    return Typst(writer.joined(writer.inside(root)))


def _is_wide(table: Node) -> bool:
    return str(table.attributes.get("width", "")) == "100%"


def _cells(row: Node) -> tuple[Node, ...]:
    """Those of a row, without its number."""
    return row.children[1:] if row.kind == "mlabeledtr" else row.children


def _count(table: Node) -> int:
    """The columns of a table."""
    return max((len(_cells(row)) for row in table.children), default=0)


def _only(node: Node, kind: str) -> Node | None:
    """The one thing in a formula, if it is of that kind."""
    while node.kind != kind:
        if node.kind not in ("math", "inferredMrow", "mrow", "TeXAtom", "mstyle") or len(node.children) != 1:
            return None
        if node.attributes.keys() - {"display", "displaystyle", "scriptlevel"}:
            return None
        node = node.children[0]
    return node


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


def em(value: float) -> str:
    return f"{round(value, 3):g}em"


def escaped(text: str) -> str:
    """Signs that mean nothing but themselves in Typst's maths."""
    return "".join(f"\\u{{{ord(char):x}}}" for char in text)


def quoted(text: str) -> str:
    """A string of Typst."""
    plain = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'"{plain}"'


class _Writer:
    """Writes one formula. ``broken`` tells whether a line of text may break at what is being written."""

    def __init__(self) -> None:
        self.breaks = True

    # ----------------------------------------------------------------------------------------------
    # Rows

    def joined(self, pieces: Iterable[Piece]) -> str:
        """Pieces one behind the other, each at its distance."""
        out: list[str] = []
        before: Piece | None = None
        for piece in pieces:
            if not piece.code and not piece.edge:
                if piece.space:
                    out.append(f"#h({em(piece.space)})")
                    before = None
                continue
            if piece.space or (before is not None and (before.edge or piece.edge)):
                out.append(f"#h({em(piece.space)})")
            if piece.code:
                out.append(piece.code)
            before = piece
        return " ".join(out)

    def inside(self, node: Node) -> list[Piece]:
        """The pieces of a node, without the space in front of it."""
        return self.pieces(replace(node, space=0))

    def _overlaid(self, children: Sequence[Node]) -> Iterable[Node | Piece]:
        """With ``\\not`` put into the sign behind it."""
        at = 0
        while at < len(children):
            child = children[at]
            if _is_not(child) and at + 1 < len(children):
                self.breaks, breaks = False, self.breaks
                body = self.unit(children[at + 1])
                self.breaks = breaks
                yield Piece(f"#struck($ {body} $)".replace("$ ", "$").replace(" $", "$"), child.space, True)
                at += 2
            else:
                yield child
                at += 1

    def pieces(self, node: Node) -> list[Piece]:
        """The pieces of a node, the first with the space that stands in front of the node."""
        made = self._pieces(node)
        space = node.space
        if "lspace" in node.attributes and node.kind == "mo":
            space = length(node.attributes["lspace"])
        if space:
            if not made:
                made = [Piece("")]
            made[0] = replace(made[0], space=made[0].space + space)
        if "rspace" in node.attributes and node.kind == "mo":
            made.append(Piece("", length(node.attributes["rspace"])))
        return made

    def _pieces(self, node: Node) -> list[Piece]:
        if unknown := node.attributes.keys() - _KNOWN.get(node.kind, frozenset()) - _ALWAYS:
            raise Untranslatable(f"{', '.join(sorted(unknown))} of <{node.kind}>")
        write: Callable[[Node], list[Piece]] | None = getattr(self, f"_{node.kind}", None)
        if write is None:
            raise Untranslatable(f"<{node.kind}>")
        return write(node)

    def unit(self, node: Node) -> str:
        """A node as one argument: what is attached to it is attached to all of it."""
        breaks, self.breaks = self.breaks, False
        pieces = self.inside(node)
        self.breaks = breaks
        return self.joined(pieces)

    def whole(self, node: Node) -> str:
        """A node as one thing, whatever is in it."""
        breaks, self.breaks = self.breaks, False
        pieces = self.inside(node)
        self.breaks = breaks
        if len(pieces) == 1 and not pieces[0].space and pieces[0].code:
            return pieces[0].code
        return f'class("normal", {self.joined(pieces) or empty()})'

    def equation(self, node: Node) -> str:
        """A node as a formula of its own inside something that is none, in its size."""
        return f"${SIZES[node.size]}({self.unit(node) or empty()})$"

    # ----------------------------------------------------------------------------------------------
    # Groups

    def _inferredMrow(self, node: Node) -> list[Piece]:
        return self._mrow(node)

    def _mrow(self, node: Node) -> list[Piece]:
        stretched = [i for i, child in enumerate(node.children) if _stretches(child)]
        if stretched:
            return [Piece(self._fenced(node, stretched))]
        pieces: list[Piece] = []
        for child in self._overlaid(node.children):
            pieces += [child] if isinstance(child, Piece) else self.pieces(child)
        return pieces

    _math = _mtd = _mrow

    def _TeXAtom(self, node: Node) -> list[Piece]:
        breaks, self.breaks = self.breaks, False if node.kind_of_atom in (0, 7) else self.breaks
        made = self._mrow(node)
        self.breaks = breaks
        return made

    def _fenced(self, node: Node, stretched: Sequence[int]) -> str:
        """A row in which delimiters are as tall as what stands there."""
        breaks, self.breaks = self.breaks, False
        pieces: list[Piece] = []
        last = len(node.children) - 1
        for i, child in enumerate(node.children):
            if i not in stretched:
                pieces += self.pieces(child)
                continue
            sign = _delimiter(_core(child).text)
            if not sign:
                code = "#h(0em)"
            elif i == 0:
                code = f'class("opening", {sign})'
            elif i == last:
                code = f'class("closing", {sign})'
            else:
                code = f"mid({sign})"
            pieces.append(Piece(code, child.space, edge=bool(sign)))
        self.breaks = breaks
        body = self.joined(pieces)
        return f'class("normal", lr({body}))'

    def _mstyle(self, node: Node) -> list[Piece]:
        said = node.attributes
        made = self.inside_row(node)
        code = self.joined(made)
        if not code:
            return [Piece("", edge=False)]
        if "mathsize" in said:
            code = f"#text(size: {em(length(said['mathsize']))}, ${code}$)"
        if "mathcolor" in said:
            code = f"#text(fill: {colour(said['mathcolor'])}, ${code}$)"
        if "mathbackground" in said:
            fill = colour(said["mathbackground"])
            return [Piece(f"#onpaper({fill}, ${SIZES[node.size]}({code})$)", edge=True)]
        if "displaystyle" in said or "scriptlevel" in said:
            inner = node.children[0] if node.children else node
            code = f"{SIZES[inner.size]}({code})"
        elif not said.keys() & {"mathsize", "mathcolor"}:
            return made
        return [Piece(code, edge=made[0].edge or made[-1].edge)]

    def inside_row(self, node: Node) -> list[Piece]:
        row = node.children
        if len(row) == 1 and row[0].kind == "inferredMrow":
            return self._mrow(row[0])
        return self._mrow(node)

    def _semantics(self, node: Node) -> list[Piece]:
        return self.inside(node.children[0])

    def _maction(self, node: Node) -> list[Piece]:
        return self.inside(node.children[0])

    # ----------------------------------------------------------------------------------------------
    # Signs

    def _mi(self, node: Node) -> list[Piece]:
        if not node.text or node.text in INVISIBLE:
            return [Piece("")]
        variant = str(node.attributes["mathvariant"])
        if len(node.text) == 1:
            return [coloured(node, Piece(letter(node.text, variant)))]
        return [coloured(node, Piece(words(node.text, variant), edge=True))]

    def _mn(self, node: Node) -> list[Piece]:
        variant = str(node.attributes["mathvariant"])
        if variant == "normal":
            plain = re.fullmatch(r"\d+", node.text)
            return [coloured(node, Piece(node.text if plain else quoted(node.text), edge=not plain))]
        return [coloured(node, Piece(" ".join(letter(char, variant) for char in node.text)))]

    def _mo(self, node: Node) -> list[Piece]:
        text = "".join(char for char in node.text if char not in INVISIBLE)
        if not text:
            return [Piece("")]
        variant = str(node.attributes["mathvariant"])
        if any(char.isalpha() for char in text) and len(text) > 1:
            return [coloured(node, Piece(words(text, variant), edge=True))]
        if "minsize" in node.attributes and node.attributes.get("stretchy"):
            # Typst takes the first sign that is as tall, and the font's are a hair shorter than TeX says.
            size = em(length(node.attributes["minsize"]) - 0.06)
            return [coloured(node, Piece(f'class("normal", stretch({_delimiter(text)}, size: #{size}))'))]
        signs = re.findall(r".[\u0300-\u036f\u20d2-\u20e5\ufe00\ufe01]*", text)  # with what is put over them
        sign = " ".join(operator(part, variant) for part in signs)
        if node.attributes.get("largeop"):
            return [coloured(node, Piece(f'class("large", {sign})', edge=True))]
        if self.breaks and node.kind_of_atom in (2, 3) and node.size >= 2:
            kind = "binary" if node.kind_of_atom == 2 else "relation"
            return [coloured(node, Piece(f'class("{kind}", {sign})', edge=True))]
        return [coloured(node, Piece(f'class("normal", {sign})'))]

    def _mtext(self, node: Node) -> list[Piece]:
        if not node.text:
            return [Piece("")]
        return [coloured(node, Piece(words(node.text, str(node.attributes["mathvariant"])), edge=True))]

    _ms = _mtext

    def _mspace(self, node: Node) -> list[Piece]:
        said = node.attributes
        width = length(said.get("width", 0))
        tall = [length(said.get(name, 0)) for name in ("height", "depth")]
        if "mathbackground" in said or any(tall):
            fill = f"fill: {colour(said['mathbackground'])}, " if "mathbackground" in said else ""
            size = f"width: {em(width)}, height: {em(sum(tall))}, baseline: {em(tall[1])}"
            return [Piece(f"#box({fill}{size})", edge=True)]
        return [Piece("", width)] if width else [Piece("")]

    # ----------------------------------------------------------------------------------------------
    # Scripts, limits and accents

    def _msub(self, node: Node) -> list[Piece]:
        return self._scripts(node, br=node.children[1])

    def _msup(self, node: Node) -> list[Piece]:
        return self._scripts(node, tr=node.children[1])

    def _msubsup(self, node: Node) -> list[Piece]:
        return self._scripts(node, br=node.children[1], tr=node.children[2])

    def _scripts(self, node: Node, **scripts: Node) -> list[Piece]:
        base = node.children[0]
        parts = [f"{name}: {self.unit(script) or empty()}" for name, script in scripts.items()]
        code = self._base(base)
        if code.startswith("attach("):  # Typst would put the scripts of both in one place
            code = f'class("normal", {code})'
        edge = code.startswith(('class("large', 'class("binary', 'class("relation', '"', "#"))
        return [Piece(f"attach({code}, {', '.join(parts)})", edge=edge)]

    def _base(self, base: Node) -> str:
        """What scripts are attached to. A sign with a script does not let a line break behind the sign."""
        return self.whole(base) if base.children or base.text else empty()

    def _munder(self, node: Node) -> list[Piece]:
        base, under = node.children
        sign = _core(under)
        if _is_bracket(under, "top"):
            return [Piece(f'class("normal", underbracket({self.unit(base) or empty()}))')]
        if node.attributes.get("accentunder") and sign is not None:
            body = self.unit(base) or empty()
            if sign.text in _UNDER and _is_sign(under):
                return [Piece(f'class("normal", {_UNDER[sign.text]}({body}))')]
            if sign.text in {*_ARROWS, "\u2192"} and _is_sign(under):
                return [
                    Piece(f"#arrowed(${self.whole(base)}$, ${escaped(sign.text)}$, below: true)", edge=True)
                ]
        return self._limits(node, b=under)

    def _mover(self, node: Node) -> list[Piece]:
        base, over = node.children
        sign = _core(over)
        if _is_bracket(over, "bottom"):
            return [Piece(f'class("normal", overbracket({self.unit(base) or empty()}))')]
        if _is_sign(over) and node.attributes.get("accent"):
            if sign.text in _OVER:
                return [Piece(f'class("normal", {_OVER[sign.text]}({self.unit(base) or empty()}))')]
            if sign.text in _ARROWS or (sign.text == "\u2192" and sign.attributes.get("stretchy")):
                return [Piece(f"#arrowed(${self.whole(base)}$, ${escaped(sign.text)}$)", edge=True)]
            if sign.text in ACCENTS:
                wide = "" if sign.attributes.get("stretchy") else ", size: #0%"
                return [Piece(f"accent({self.unit(base) or empty()}, {escaped(ACCENTS[sign.text])}{wide})")]
        return self._limits(node, t=over)

    def _munderover(self, node: Node) -> list[Piece]:
        return self._limits(node, b=node.children[1], t=node.children[2])

    def _limits(self, node: Node, **limits: Node) -> list[Piece]:
        base = node.children[0]
        if not node.attributes.get("limits"):
            names = {"b": "br", "t": "tr"}
            return self._scripts(node, **{names[name]: limit for name, limit in limits.items()})
        parts = []
        for name, limit in limits.items():
            code = self.unit(limit) or empty()
            if limit.size == node.size and node.size:  # an accent is as large as what it stands over
                code = f"{SIZES[limit.size]}({code})"
            parts.append(f"{name}: {code}")
        core = _core(base)
        if _is_sign(base) and core.attributes.get("stretchy") and "minsize" not in core.attributes:
            return [
                Piece(f"attach(stretch({escaped(core.text)}, size: #100%), {', '.join(parts)})", edge=True)
            ]
        code = self._base(base)
        kind = {2: "binary", 3: "relation"}.get(base.kind_of_atom)
        edge = code.startswith(('class("large', '"', "#"))
        made = f"attach(limits({code}), {', '.join(parts)})"
        if kind and self.breaks and node.size >= 2:
            return [Piece(f'class("{kind}", {made})', edge=True)]
        return [Piece(made, edge=edge)]

    def _mmultiscripts(self, node: Node) -> list[Piece]:
        base, *rest = node.children
        at = next((i for i, child in enumerate(rest) if child.kind == "mprescripts"), len(rest))
        after, before = rest[:at], rest[at + 1 :]
        if len(after) > 2 or len(before) > 2:
            raise Untranslatable("more than two scripts in one place")
        scripts: dict[str, Node] = {}
        for names, found in ((("br", "tr"), after), (("bl", "tl"), before)):
            for name, script in zip(names, found, strict=False):
                if script.kind != "none" and (script.children or script.text):
                    scripts[name] = script
        if not scripts:
            return self.inside(base)
        return self._scripts(node, **scripts)

    def _none(self, node: Node) -> list[Piece]:
        return [Piece("")]

    # ----------------------------------------------------------------------------------------------
    # Fractions, roots, boxes

    def _mfrac(self, node: Node) -> list[Piece]:
        above, below = (self.unit(child) or empty() for child in node.children)
        said = node.attributes
        if said.get("bevelled"):
            raise Untranslatable("a slanted fraction")
        line = str(said.get("linethickness", "medium"))
        if line in ("0", "0em", "0pt"):
            return [Piece(f"#stacked(${above}$, ${below}$)", edge=True)]
        if line not in ("medium", "1") or {"numalign", "denomalign"} & said.keys():
            raise Untranslatable("a fraction with a line or columns of its own")
        return [Piece(f"frac({above}, {below})")]

    def _msqrt(self, node: Node) -> list[Piece]:
        return [Piece(f"sqrt({self.unit(node.children[0]) or empty()})")]

    def _mroot(self, node: Node) -> list[Piece]:
        body, index = (self.unit(child) for child in node.children)
        return [Piece(f"root({index or empty()}, {body or empty()})")]

    def _mphantom(self, node: Node) -> list[Piece]:
        code = self.joined(self.inside_row(node))
        return [Piece(f"#hide(${code}$)", edge=True)] if code else [Piece("")]

    def _menclose(self, node: Node) -> list[Piece]:
        said = node.attributes
        if str(said.get("data-padding", "0")) != "0":
            raise Untranslatable("a frame with a distance of its own")
        notations = {*str(said.get("notation", "longdiv")).split()}
        body = self.joined(self.inside_row(node)) or empty()
        cancels = {
            "updiagonalstrike": "", "downdiagonalstrike": ", inverted: #true",
        }  # fmt: skip
        if notations == {"updiagonalstrike", "downdiagonalstrike"}:
            return [Piece(f"cancel({body}, cross: #true)")]
        if len(notations) == 1 and notations <= cancels.keys():
            return [Piece(f"cancel({body}{cancels[min(notations)]})")]
        inner = f"${SIZES[node.size]}({body})$"
        gap = "0pt" if "data-padding" in said else "0.27em"
        if notations == {"box"}:
            return [Piece(f"#boxed({inner})", edge=True)]
        if notations and notations <= {"top", "bottom", "left", "right"}:
            return [
                Piece(
                    f"#boxed({inner}, sides: ({', '.join(map(quoted, sorted(notations)))},), gap: {gap})",
                    edge=True,
                )
            ]
        raise Untranslatable(f"a frame of {' '.join(sorted(notations))}")

    def _mpadded(self, node: Node) -> list[Piece]:
        said = node.attributes
        body = self.joined(self.inside_row(node))
        parts = []
        for name in ("width", "height", "depth", "lspace", "voffset"):
            if name in said and str(said[name]) != "":
                parts.append(f"{name}: {_padding(str(said[name]), name)}")
        frame = ""
        if "mathbackground" in said:
            frame += f", fill: {colour(said['mathbackground'])}"
        if border := re.fullmatch(r"border: ([\d.]+\w+) solid (.+)", str(said.get("style", ""))):
            frame += f", stroke: {em(length(border[1]))} + {colour(border[2])}"
        elif "style" in said:
            raise Untranslatable(f"the style {said['style']}")
        if not parts and not frame:
            return self.inside_row(node)
        sizes = f"({', '.join(parts)},)" if parts else "(:)"
        return [
            Piece(f"#padded(it => {sizes}, ${SIZES[node.size]}({body or empty()})$, {frame[2:]})", edge=True)
        ]

    # ----------------------------------------------------------------------------------------------
    # Tables

    def line(self, table: Node) -> str:
        """A table of one row as a row of a formula."""
        row = table.children[0]
        cells = row.children[1:] if row.kind == "mlabeledtr" else row.children
        gaps = _lengths(table, "columnspacing", 1.0, len(cells))
        pieces: list[Piece] = []
        for i, cell in enumerate(cells):
            inner = self.inside(cell)
            if i and gaps[i - 1]:
                pieces.append(Piece("", gaps[i - 1]))
            pieces += inner
        return self.joined(pieces)

    def _mtable(self, node: Node) -> list[Piece]:
        return [Piece(self.table(node), edge=True)]

    def table(self, node: Node, *, wide: bool = False) -> str:
        """A table; a ``wide`` one between a column for the space to the left and one for the numbers."""
        breaks, self.breaks = self.breaks, False
        said = node.attributes
        rows = [_cells(row) for row in node.children]
        columns = _count(node)
        if not columns:
            raise Untranslatable("an empty table")
        scale = _SCALE[node.size]
        cell_size = next((cell.size for row in rows for cell in row), node.size)
        # Typst makes every row as tall as a parenthesis, one style smaller than the table's.
        outer = {3: 3, 2: 3, 1: 2, 0: 1}[cell_size] if said["useHeight"] else 1
        unit = scale / _SCALE[outer]
        gaps = [gap * unit for gap in _lengths(node, "columnspacing", 0.8, columns)]
        vertical, horizontal = self._rules(node, columns, len(rows))
        column_gap = gaps[0] if gaps and (vertical or len(set(gaps)) == 1) else 1.0 if vertical else 0.0
        if vertical and len(set(gaps)) > 1:
            raise Untranslatable("rules between columns at different distances")
        heights = [gap * unit for gap in _lengths(node, "rowspacing", 1.0, len(rows))]
        row_gap = min(heights, default=0.4 if horizontal else 0.0)
        if horizontal and len(set(heights)) > 1:
            raise Untranslatable("rules between rows at different distances")
        sides = _words(said, "columnalign", "center", columns)
        widths = _words(said, "columnwidth", "auto", columns)
        lines = []
        for n, row in enumerate(rows):
            own = node.children[n].attributes
            aligned = _words(own, "columnalign", "", columns) if "columnalign" in own else sides
            extra = heights[n] - row_gap if n < len(heights) else 0.0
            cells = []
            for i in range(columns):
                cell = row[i] if i < len(row) else None
                side = str(cell.attributes.get("columnalign", aligned[i])) if cell is not None else sides[i]
                after = gaps[i] if i < len(gaps) and not column_gap else 0.0
                made = self._cell(cell, sides[i], cell_size, after, max(extra, 0.0))
                if wide and columns == 1 and _is_wide(node):
                    made = f"#(it.line)({side}, ${made}$)"
                elif side != sides[i] and not _is_wide(node):
                    raise Untranslatable("cells of one column on different sides")
                elif widths[i] == "fit":
                    made = "#it.fit" if wide else "#h(2em)"
                cells.append(made)
            if wide:
                label = node.children[n]
                number = self.joined(self.inside(label.children[0])) if label.kind == "mlabeledtr" else ""
                cells = ["#it.left", *cells, f"#(it.number)(${number}$)" if number else empty()]
            lines.append(", ".join(cells))
        augment = ""
        if vertical or horizontal:
            places = "".join(
                f"{name}: ({', '.join(map(str, found))},), "
                for name, found in (("vline", vertical), ("hline", horizontal))
                if found
            )
            augment = f"augment: #({places}stroke: {self._stroke(node)}), "
        self.breaks = breaks
        table = f"mat(delim: #none, {augment}column-gap: #{em(column_gap)}, row-gap: #{em(row_gap)}, {' ; '.join(lines)})"  # without the blank before it, a semicolon would end the code of a cell, not the row
        table = f"{SIZES[outer]}({table})"
        hangs = str(said.get("align", "axis"))
        if hangs in ("axis", "center", ""):
            return table
        edge = {"top": 0, "t": 0, "baseline 1": 0, "bottom": -1, "b": -1, "baseline -1": -1}.get(hangs)
        if edge is None:
            raise Untranslatable("a table that hangs on one of its rows")
        row = " ".join(self._cell(cell, "center", cell_size, 0, 0) for cell in rows[edge])
        return f"#hung(${table}$, ${row}$, {'true' if edge == 0 else 'false'})"

    def _cell(self, cell: Node | None, side: str, size: int, after: float, extra: float) -> str:
        code = self.joined(self.inside(cell)) if cell is not None else ""
        if code and extra:
            code = f"#padded(it => (depth: it.depth + {em(extra)},), ${SIZES[size]}({code})$)"
        elif code:
            code = f"{SIZES[size]}({code})"
        code = f"{code} &" if side == "right" else f"& {code}" if side == "left" else code
        if after:
            code = f"{code} #h({em(after)})"
        return code or empty()

    def _rules(self, node: Node, columns: int, rows: int) -> tuple[list[int], list[int]]:
        """The places of the rules of a table: (between columns, between rows)."""
        said = node.attributes
        found: list[list[int]] = []
        frame = str(said.get("frame", "none"))
        for name, count in (("columnlines", columns), ("rowlines", rows)):
            kinds = _words(said, name, "none", count - 1) if count > 1 else []
            places = [i + 1 for i, kind in enumerate(kinds) if kind in ("solid", "dashed")]
            found.append([0, *places, count] if frame in ("solid", "dashed") else places)
        return found[0], found[1]

    def _stroke(self, node: Node) -> str:
        """How the rules of a table look."""
        said = node.attributes
        names = ("columnlines", "rowlines", "frame")
        kinds = {kind for name in names for kind in str(said.get(name, "")).split()} - {"none"}
        if len(kinds) > 1 or kinds - {"solid", "dashed"}:
            raise Untranslatable("rules of several kinds")
        return '(thickness: 0.04em, dash: "dashed")' if "dashed" in kinds else "0.04em"


# --------------------------------------------------------------------------------------------------
# What nodes are


def empty() -> str:
    """Nothing, where Typst wants something."""
    return '#""'


def _core(node: Node) -> Node:
    """The sign that a node with nothing else in it is."""
    while len(node.children) == 1 and node.kind in ("inferredMrow", "mrow", "TeXAtom", "mstyle"):
        node = node.children[0]
    return node


def _is_sign(node: Node) -> bool:
    return _core(node).kind == "mo"


def _is_not(node: Node) -> bool:
    """MathJax's ``\\not``: a stroke without width."""
    inner = _core(node)
    if inner.kind != "mpadded" or str(inner.attributes.get("width")) != "0":
        return False
    sign = _core(replace(inner, kind="mrow"))
    return sign.kind == "mtext" and sign.text == "\u29f8"


def _is_bracket(node: Node, open_at: str) -> bool:
    """mathtools' ``\\overbracket``: MathJax makes a box without one side of it, around nothing."""
    style = str(node.attributes.get("style", ""))
    return node.kind == "mpadded" and style.endswith(f"solid; border-{open_at}: none")


_HORIZONTAL = frozenset(
    "\u2190\u2192\u2194\u21d0\u21d2\u21d4\u21a6\u21a9\u21aa\u21bc\u21bd\u21c0\u21c1\u21cc\u21cb\u27f5\u27f6\u27f7"
    "\u27f8\u27f9\u27fa\u2015\u23de\u23df\u23b4\u23b5\u23dc\u23dd^~=\u00af"
)


def _stretches(node: Node) -> bool:
    """Whether it is a delimiter as tall as its row, or the place of one."""
    sign = _core(node)
    if sign.kind != "mo" or "minsize" in sign.attributes or not sign.attributes.get("stretchy"):
        return False
    return sign.text not in _HORIZONTAL


def _delimiter(text: str) -> str:
    """The sign of Unicode that stretches in Typst's font."""
    return escaped({"\u2225": "\u2016", "\u2223": "|"}.get(text, text))


def operator(char: str, variant: str) -> str:
    """A sign in one of MathML's alphabets; there are no bold ones, so their outline is drawn."""
    found = alphabets().get((variant_name(variant), char))
    if found is None and "BOLD" in variant_name(variant):
        return f"#heavy(${escaped(char)}$)"
    return escaped(found or char)


def letter(char: str, variant: str) -> str:
    """A letter, digit or sign in one of MathML's alphabets."""
    style = variant_name(variant)
    if variant == "-tex-calligraphic" and char.isascii() and char.isupper():
        return f"cal({char})"
    if variant == "script" and char.isascii() and char.isalpha():
        return f"scr({char})"
    if style in ("NORMAL", ""):
        plain = char if char.isascii() and char.isalnum() else escaped(char)
        if char.isdigit():
            return plain
        return f"upright({plain})" if char.isalpha() else f'class("normal", {plain})'
    if style == "ITALIC" and char.isascii() and char.isalpha():
        return char
    found = alphabets().get((style, char))
    if found is not None:
        return escaped(found)
    if style == "ITALIC":
        return escaped(char) if char.isalpha() else f'class("normal", {escaped(char)})'
    if "BOLD" in style:
        return f'#heavy($class("normal", upright({escaped(char)}))$)'
    return letter(char, "normal")


def words(text: str, variant: str) -> str:
    """A word, or the words of a text."""
    text = text.replace("\u00a0", " ") if text.strip("\u00a0 ") else text
    style = variant_name(variant)
    if style in ("NORMAL", "", "OLDSTYLE"):
        return f"#words({quoted(text)})"
    faces = {
        "BOLD": 'weight: "bold"',
        "ITALIC": 'style: "italic"',
        "BOLD ITALIC": 'weight: "bold", style: "italic"',
    }
    if style in faces:
        return f"#words({quoted(text)}, {faces[style]})"
    if style == "MONOSPACE":
        return f"#words({quoted(text)}, mono: true)"
    return " ".join(letter(char, variant) if char != " " else "#h(0.25em)" for char in text)


def coloured(node: Node, piece: Piece) -> Piece:
    """In the colour and the size that the sign has of its own."""
    said = node.attributes
    if "mathsize" in said:
        piece = replace(piece, code=f"#text(size: {em(length(said['mathsize']))}, ${piece.code}$)")
    if "mathcolor" in said:
        return replace(piece, code=f"#text(fill: {colour(said['mathcolor'])}, ${piece.code}$)")
    return piece


def colour(value: object) -> str:
    """A colour of CSS in Typst's words."""
    found = tinycss2.color3.parse_color(str(value))
    if found is None or isinstance(found, str):
        raise Untranslatable(f"the colour {value}")
    parts = [round(part * 255) for part in found[:3]]
    return f'rgb("#{parts[0]:02x}{parts[1]:02x}{parts[2]:02x}")'


def _padding(value: str, name: str) -> str:
    """A size of ``mpadded`` as an expression over the sizes of what is in it."""
    match = re.fullmatch(r"([-+]?)\s*(\d*\.?\d*)\s*([a-z]*|%)", value.strip())
    if match is None:
        raise Untranslatable(f"a size of {value}")
    sign, number, unit = match[1], match[2] or "1", match[3]
    own = {"lspace": "0pt", "voffset": "0pt"}.get(name, f"it.{name}")
    if unit in ("width", "height", "depth"):
        size = f"{number} * it.{unit}"
    elif unit == "%":
        size = f"{float(number) / 100:g} * {own}"
    else:
        size = em(length(f"{number}{unit}")) if float(number) else "0pt"
    if sign and own != "0pt":
        return f"{own} {sign} {size}"
    return f"-{size}" if sign == "-" else size


def _words(said: Mapping[str, object], name: str, otherwise: str, count: int) -> list[str]:
    """One word for each of ``count`` places; the last one counts for all behind it."""
    given = str(said.get(name, otherwise)).split() or [otherwise]
    return [given[min(i, len(given) - 1)] for i in range(count)]


def _lengths(node: Node, name: str, otherwise: float, count: int) -> list[float]:
    """The lengths between ``count`` places."""
    return [length(word) for word in _words(node.attributes, name, f"{otherwise}em", max(count - 1, 0))]
