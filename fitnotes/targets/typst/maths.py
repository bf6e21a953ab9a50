"""Formulas in Typst's words, written from the tree that MathJax makes: what the browser shows is what the PDF says.

MathJax has decided what belongs to what, in which size, and how much space stands between any two things; here that
is said to Typst. Its classes of signs, which would space them by themselves, are used where they do something else:
a relation or a binary sign at the top of a line of text lets the line break behind it, a large operator grows in
display style, and a delimiter stretches.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from fitnotes.draw.mathjax import Node
from fitnotes.draw.mathtree import ACCENTS, INVISIBLE, Untranslatable, check, core, length
from fitnotes.targets.typst import tables
from fitnotes.targets.typst.signs import (
    EMPTY,
    LEVELS,
    SCALES,
    colour,
    delimiter,
    em,
    escaped,
    letter,
    operator,
    padding,
    quoted,
    words,
)

_OVER = {"\u23de": "overbrace", "\u23dc": "overparen", "\u23b4": "overbracket", "\u2015": "overline"}
_UNDER = {"\u23df": "underbrace", "\u23dd": "underparen", "\u23b5": "underbracket", "\u2015": "underline"}
_ARROWS = frozenset("\u2190\u2194\u21d0\u21d2\u21d4")  # no accents of the font


_EDGES = ('class("large', '"', "#")  # how the code of an edge begins, and of what has scripts at one


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
    write = writer.unit
    table = _only(root, "mtable")
    if table is None or not (tables.is_wide(table) or tables.is_numbered(table)):
        return Typst(writer.joined(writer.inside(root)))
    if len(table.children) == 1 and not tables.is_wide(table):
        return Typst(writer.line(table), number=write(table.children[0].children[0]))
    wide = tables.Table(table, write, writer.sized, wide=True).code()
    return Typst(tables.Table(table, write, writer.sized).code(), wide=wide, fits=tables.count_fits(table))


def _only(node: Node, kind: str) -> Node | None:
    """The one thing in a formula, if it is of that kind."""
    while node.kind != kind:
        if node.kind not in ("math", "inferredMrow", "mrow", "TeXAtom", "mstyle") or len(node.children) != 1:
            return None
        if node.attributes.keys() - {"display", "displaystyle", "scriptlevel"}:
            return None
        node = node.children[0]
    return node


class _Writer:
    """Writes one formula. ``breaks`` tells whether a line of text may break at what is being written."""

    def __init__(self) -> None:
        self.breaks = True
        self.level = 0  # of scripts, where the text around is as small as in one

    @contextlib.contextmanager
    def unbroken(self) -> Iterator[None]:
        """Where no line of text breaks."""
        breaks, self.breaks = self.breaks, False
        try:
            yield
        finally:
            self.breaks = breaks

    def sized(self, size: int, write: Callable[[], str]) -> str:
        """What ``write`` writes in one of the sizes of nodes, whatever the size around it. Typst's display style is as
        large as text; MathJax's may be as small as a script."""
        level, display = LEVELS[size] - self.level, size >= 3
        if level < 0 or (display and level > 0):
            factor = SCALES[LEVELS[size]] / SCALES[self.level]
            before, self.level = self.level, LEVELS[size]
            code = f"{'display' if display else 'inline'}({write() or EMPTY})"
            self.level = before
            return f"#text(size: {em(factor)}, ${code}$)"
        return f"{'display' if display else ('inline', 'script', 'sscript')[level]}({write() or EMPTY})"

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
                yield Piece(f"#struck(${self.unit(children[at + 1])}$)", child.space, edge=True)
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
        check(node)
        if node.kind not in _WRITERS:
            raise Untranslatable(f"<{node.kind}>")
        return _WRITERS[node.kind](self, node)

    def unit(self, node: Node) -> str:
        """A node as one argument or cell: what is attached to it is attached to all of it."""
        with self.unbroken():
            return self.joined(self.inside(node))

    def whole(self, node: Node) -> str:
        """A node as one thing, whatever is in it."""
        with self.unbroken():
            pieces = self.inside(node)
        if len(pieces) == 1 and not pieces[0].space and pieces[0].code:
            return pieces[0].code
        return f'class("normal", {self.joined(pieces) or EMPTY})'

    # ----------------------------------------------------------------------------------------------
    # Groups

    def _mrow(self, node: Node) -> list[Piece]:
        stretched = [i for i, child in enumerate(node.children) if _stretches(child)]
        if stretched:
            return [Piece(self._fenced(node, stretched))]
        pieces: list[Piece] = []
        for child in self._overlaid(node.children):
            pieces += [child] if isinstance(child, Piece) else self.pieces(child)
        return pieces

    def _atom(self, node: Node) -> list[Piece]:
        with self.unbroken() if node.kind_of_atom in (0, 7) else contextlib.nullcontext():
            return self._mrow(node)

    def _fenced(self, node: Node, stretched: Sequence[int]) -> str:
        """A row in which delimiters are as tall as what stands there."""
        pieces: list[Piece] = []
        last = len(node.children) - 1
        for i, child in enumerate(node.children):
            if i not in stretched:
                with self.unbroken():
                    pieces += self.pieces(child)
                continue
            sign = delimiter(core(child).text)
            if not sign:
                code = "#h(0em)"
            elif i == 0:
                code = f'class("opening", {sign})'
            elif i == last:
                code = f'class("closing", {sign})'
            else:
                code = f"mid({sign})"
            pieces.append(Piece(code, child.space, edge=bool(sign)))
        return f'class("normal", lr({self.joined(pieces)}))'

    def _mstyle(self, node: Node) -> list[Piece]:
        said = node.attributes
        made: list[Piece] = []

        def write() -> str:
            made[:] = self._mrow(node)
            return self.joined(made)

        if "displaystyle" in said or "scriptlevel" in said:
            code = self.sized(node.children[0].size if node.children else node.size, write)
        else:
            code = write()
        if not made or not code:
            return [Piece("")]
        if not said.keys() & {"displaystyle", "scriptlevel", "mathsize", "mathcolor", "mathbackground"}:
            return made
        if "mathsize" in said:
            code = f"#text(size: {em(length(said['mathsize']))}, ${code}$)"
        if "mathcolor" in said:
            code = f"#text(fill: {colour(said['mathcolor'])}, ${code}$)"
        if "mathbackground" in said:
            fill = colour(said["mathbackground"])
            return [Piece(f"#onpaper({fill}, ${self.sized(node.size, lambda: code)}$)", edge=True)]
        return [Piece(code, edge=made[0].edge or made[-1].edge)]

    def line(self, table: Node) -> str:
        """A table of one row as a row of a formula."""
        found = tables.cells(table.children[0])
        between = [0.0, *tables.gaps(table, "columnspacing", 1.0, len(found))]
        pieces: list[Piece] = []
        for gap, cell in zip(between, found, strict=True):
            pieces += [Piece("", gap)] if gap else []
            pieces += self.inside(cell)
        return self.joined(pieces)

    def _mtable(self, node: Node) -> list[Piece]:
        return [Piece(tables.Table(node, self.unit, self.sized).code(), edge=True)]

    def _first(self, node: Node) -> list[Piece]:
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
            # Typst takes the first sign that is as tall, and the font's are a hair shorter than TeX says
            # (test_formulas.py: test_formulas_of_all_notes_are_the_same_in_typst).
            size = em(length(node.attributes["minsize"]) - 0.06)
            return [coloured(node, Piece(f'class("normal", stretch({delimiter(text)}, size: #{size}))'))]
        signs = re.findall(r".[\u0300-\u036f\u20d2-\u20e5\ufe00\ufe01]*", text)  # with what is put over them
        if (
            text == "\u221a"
        ):  # which TeX puts on the axis (test_formulas.py: test_formulas_of_others_are_the_same_in_typst)
            return [coloured(node, Piece(f"stretch({escaped(text)}, size: #100%)"))]
        sign = " ".join(operator(part, variant) for part in signs)
        if node.attributes.get("largeop"):
            return [coloured(node, Piece(f'class("large", {sign})', edge=True))]
        if self.breaks and node.kind_of_atom in (2, 3) and node.size in (2, 3):
            kind = "binary" if node.kind_of_atom == 2 else "relation"
            return [coloured(node, Piece(f'class("{kind}", {sign})', edge=True))]
        return [coloured(node, Piece(f'class("normal", {sign})'))]

    def _mtext(self, node: Node) -> list[Piece]:
        if not node.text:
            return [Piece("")]
        return [coloured(node, Piece(words(node.text, str(node.attributes["mathvariant"])), edge=True))]

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
        parts = [f"{name}: {self.unit(script) or EMPTY}" for name, script in scripts.items()]
        code = self._base(base)
        if code.startswith("attach("):  # Typst would put the scripts of both in one place
            code = f'class("normal", {code})'
        return [Piece(f"attach({code}, {', '.join(parts)})", edge=code.startswith(_EDGES))]

    def _base(self, base: Node) -> str:
        """What scripts are attached to. A sign with a script does not let a line break behind the sign."""
        return self.whole(base) if base.children or base.text else EMPTY

    def _munder(self, node: Node) -> list[Piece]:
        base, under = node.children
        sign = core(under)
        if _is_bracket(under, "top"):
            return [Piece(f'class("normal", underbracket({self.unit(base) or EMPTY}))')]
        if node.attributes.get("accentunder") and _is_sign(under):
            body = self.unit(base) or EMPTY
            if sign.text in _UNDER:
                return [Piece(f'class("normal", {_UNDER[sign.text]}({body}))')]
            if sign.text in {*_ARROWS, "\u2192"}:
                return [
                    Piece(f"#arrowed(${self.whole(base)}$, ${escaped(sign.text)}$, below: true)", edge=True)
                ]
        return self._limits(node, b=under)

    def _mover(self, node: Node) -> list[Piece]:
        base, over = node.children
        sign = core(over)
        if _is_bracket(over, "bottom"):
            return [Piece(f'class("normal", overbracket({self.unit(base) or EMPTY}))')]
        if _is_sign(over) and node.attributes.get("accent"):
            if sign.text in _OVER:
                return [Piece(f'class("normal", {_OVER[sign.text]}({self.unit(base) or EMPTY}))')]
            if sign.text in _ARROWS or (sign.text == "\u2192" and sign.attributes.get("stretchy")):
                return [Piece(f"#arrowed(${self.whole(base)}$, ${escaped(sign.text)}$)", edge=True)]
            if sign.text in ACCENTS:
                wide = "" if sign.attributes.get("stretchy") else ", size: #0%"
                return [Piece(f"accent({self.unit(base) or EMPTY}, {escaped(ACCENTS[sign.text])}{wide})")]
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
            code = self.unit(limit) or EMPTY
            if limit.size == node.size and node.size:  # an accent is as large as what it stands over
                code = self.sized(limit.size, functools.partial(self.unit, limit))
            parts.append(f"{name}: {code}")
        sign = core(base)
        if _is_sign(base) and sign.attributes.get("stretchy") and "minsize" not in sign.attributes:
            return [
                Piece(f"attach(stretch({escaped(sign.text)}, size: #100%), {', '.join(parts)})", edge=True)
            ]
        code = self._base(base)
        kind = {2: "binary", 3: "relation"}.get(base.kind_of_atom)
        made = f"attach(limits({code}), {', '.join(parts)})"
        if kind and self.breaks and node.size in (2, 3):
            return [Piece(f'class("{kind}", {made})', edge=True)]
        return [Piece(made, edge=code.startswith(_EDGES))]

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

    # ----------------------------------------------------------------------------------------------
    # Fractions, roots, boxes

    def _mfrac(self, node: Node) -> list[Piece]:
        above, below = (self.unit(child) or EMPTY for child in node.children)
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
        return [Piece(f"sqrt({self.unit(node.children[0]) or EMPTY})")]

    def _mroot(self, node: Node) -> list[Piece]:
        body, index = (self.unit(child) for child in node.children)
        return [Piece(f"root({index or EMPTY}, {body or EMPTY})")]

    def _mphantom(self, node: Node) -> list[Piece]:
        code = self.joined(self._mrow(node))
        return [Piece(f"#hide(${code}$)", edge=True)] if code else [Piece("")]

    def _menclose(self, node: Node) -> list[Piece]:
        said = node.attributes
        if str(said.get("data-padding", "0")) != "0":
            raise Untranslatable("a frame with a distance of its own")
        notations = {*str(said.get("notation", "longdiv")).split()}
        body = self.joined(self._mrow(node)) or EMPTY
        cancels = {"updiagonalstrike": "", "downdiagonalstrike": ", inverted: #true"}
        if notations == {"updiagonalstrike", "downdiagonalstrike"}:
            return [Piece(f"cancel({body}, cross: #true)")]
        if len(notations) == 1 and notations <= cancels.keys():
            return [Piece(f"cancel({body}{cancels[min(notations)]})")]
        inner = f"${self.sized(node.size, lambda: body)}$"
        gap = "0pt" if "data-padding" in said else "0.27em"
        if notations == {"box"}:
            return [Piece(f"#boxed({inner})", edge=True)]
        table = _only(node.children[0], "mtable")
        if table is not None and tables.is_ruled(table):
            raise Untranslatable("rules inside a frame")
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
        body = self.joined(self._mrow(node))
        parts = []
        for name in ("width", "height", "depth", "lspace", "voffset"):
            if name in said and str(said[name]) != "":
                parts.append(f"{name}: {padding(str(said[name]), name)}")
        frame = ""
        if "mathbackground" in said:
            frame += f", fill: {colour(said['mathbackground'])}"
        if border := re.fullmatch(r"border: ([\d.]+\w+) solid (.+)", str(said.get("style", ""))):
            frame += f", stroke: {em(length(border[1]))} + {colour(border[2])}"
        elif "style" in said:
            raise Untranslatable(f"the style {said['style']}")
        if not parts and not frame:
            return self._mrow(node)
        sizes = f"({', '.join(parts)},)" if parts else "(:)"
        return [
            Piece(f"#padded(it => {sizes}, ${self.sized(node.size, lambda: body)}$, {frame[2:]})", edge=True)
        ]


_WRITERS: Mapping[str, Callable[[_Writer, Node], list[Piece]]] = {
    "math": _Writer._mrow, "inferredMrow": _Writer._mrow, "mrow": _Writer._mrow, "mtd": _Writer._mrow,
    "TeXAtom": _Writer._atom, "mstyle": _Writer._mstyle, "semantics": _Writer._first, "maction": _Writer._first,
    "mi": _Writer._mi, "mn": _Writer._mn, "mo": _Writer._mo, "mtext": _Writer._mtext, "ms": _Writer._mtext,
    "mspace": _Writer._mspace, "none": lambda _, __: [Piece("")],
    "msub": _Writer._msub, "msup": _Writer._msup, "msubsup": _Writer._msubsup,
    "munder": _Writer._munder, "mover": _Writer._mover, "munderover": _Writer._munderover,
    "mmultiscripts": _Writer._mmultiscripts,
    "mfrac": _Writer._mfrac, "msqrt": _Writer._msqrt, "mroot": _Writer._mroot, "mphantom": _Writer._mphantom,
    "menclose": _Writer._menclose, "mpadded": _Writer._mpadded, "mtable": _Writer._mtable,
}  # fmt: skip


# --------------------------------------------------------------------------------------------------
# What nodes are


def _is_sign(node: Node) -> bool:
    return core(node).kind == "mo"


def _is_not(node: Node) -> bool:
    """MathJax's ``\\not``: a stroke without width."""
    inner = core(node)
    if inner.kind != "mpadded" or str(inner.attributes.get("width")) != "0":
        return False
    sign = core(replace(inner, kind="mrow"))
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
    sign = core(node)
    if sign.kind != "mo" or "minsize" in sign.attributes or not sign.attributes.get("stretchy"):
        return False
    return sign.text not in _HORIZONTAL


def coloured(node: Node, piece: Piece) -> Piece:
    """In the colour and the size that the sign has of its own."""
    said = node.attributes
    if "mathsize" in said:
        piece = replace(piece, code=f"#text(size: {em(length(said['mathsize']))}, ${piece.code}$)")
    if "mathcolor" in said:
        return replace(piece, code=f"#text(fill: {colour(said['mathcolor'])}, ${piece.code}$)")
    return piece
