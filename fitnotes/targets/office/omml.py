r"""Formulas as Word has them (OMML, ECMA-376 part 1, chapter 22), written from the tree that MathJax makes: what the
browser shows is what Word shows.

Word spaces relations, signs of operation and large operators by itself; spaces that a note asks for, and those beside
functions' names, are written as characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from xml.sax.saxutils import escape, quoteattr

import tinycss2.color3

from fitnotes.draw.mathjax import Node
from fitnotes.draw.mathtree import ACCENTS, INVISIBLE, Untranslatable, check, core, length

_NOTHING = "<m:r><m:t>\u200b</m:t></m:r>"  # Word shows a dotted box in the place of nothing
_MARK = "<m:r><m:t>&amp;</m:t></m:r>"  # where the rows of an eqArr are aligned
_SPACES = (
    (1.0, "\u2003"), (0.5, "\u2002"), (1 / 3, "\u2004"), (0.25, "\u2005"), (2 / 9, "\u205f"), (1 / 6, "\u2009"),
    (1 / 18, "\u200a"),
)  # fmt: skip
# MathJax's alphabets: the script and the style that Word has for them.
_ALPHABETS = {
    "normal": ("", "p"), "italic": ("", ""), "bold": ("", "b"), "bold-italic": ("", "bi"),
    "double-struck": ("double-struck", "p"), "script": ("script", "p"), "bold-script": ("script", "b"),
    "-tex-calligraphic": ("script", "p"), "-tex-bold-calligraphic": ("script", "b"), "fraktur": ("fraktur", "p"),
    "bold-fraktur": ("fraktur", "b"), "sans-serif": ("sans-serif", "p"), "bold-sans-serif": ("sans-serif", "b"),
    "sans-serif-italic": ("sans-serif", "i"), "sans-serif-bold-italic": ("sans-serif", "bi"),
    "monospace": ("monospace", "p"), "-tex-mathit": ("", "i"), "-tex-oldstyle": ("", "p"),
    "-tex-variant": ("", ""),
}  # fmt: skip
_BRACKETS = {"\u2223": "|", "\u2225": "\u2016", "\u2329": "\u27e8", "\u232a": "\u27e9"}
_GROUPS = frozenset("\u23de\u23df\u23dc\u23dd\u23b4\u23b5\u2190\u2192\u2194\u21d0\u21d2\u21d4")
_OPENING, _CLOSING, _BINARY, _RELATION, _PUNCTUATION = 4, 5, 2, 3, 6
_APART = (_BINARY, _RELATION, _PUNCTUATION)


def translate(root: Node) -> str:
    """The formula that MathJax has made a tree of, as ``m:oMath``; with nothing in it, it would be a dotted box. Raises
    Untranslatable."""
    return f"<m:oMath>{_Writer('').row([root]) or _NOTHING}</m:oMath>"


PARAGRAPH = "<m:oMathPara>"


def paragraph(formula: str) -> str:
    """A formula by itself."""
    return f"{PARAGRAPH}{formula}</m:oMathPara>"


@dataclass(frozen=True, slots=True)
class _Bracket:
    """A delimiter, with the scripts that hang on it."""

    sign: str
    node: Node
    grows: bool


class _Writer:
    """Writes one formula, in one colour."""

    def __init__(self, colour: str) -> None:
        self.colour = colour

    # -- rows

    def row(self, nodes: Sequence[Node]) -> str:
        """Nodes one behind the other: brackets that belong together hold what is between them, and a large operator
        what it works on."""
        return self._joined(_flat(nodes))

    def _joined(self, nodes: Sequence[Node]) -> str:
        nodes = _with_bars(nodes)
        out = ""
        at = 0
        before: Node | None = None
        while at < len(nodes):
            node = nodes[at]
            out += self._gap(before, node)
            end = _partner(nodes, at)
            if end is not None:
                out += self._bracketed(nodes[at : end + 1])
                at, before = end + 1, nodes[end]
                continue
            if _is_large(node):
                end = _operand(nodes, at + 1)
                inner = self._joined(nodes[at + 1 : end]) or _NOTHING
                out += self._nary(node, inner)
                at, before = end, nodes[end - 1]
                continue
            out += self.node(node)
            at, before = at + 1, node
        return out

    def _gap(self, before: Node | None, node: Node) -> str:
        """The space between a function's name, or something in brackets, and what stands beside it."""
        if before is None or not 0.1 < node.space < 0.2 or node.kind == "mspace":
            return ""
        if {before.kind_of_atom, node.kind_of_atom} & {*_APART} or _is_large(before):
            return ""
        return self._run("\u2009", "normal")

    def _bracketed(self, nodes: Sequence[Node]) -> str:
        first, last = core(nodes[0]), _bracket(nodes[-1])
        assert last is not None
        inside = nodes[1:-1]
        bars = [n for n, node in enumerate(inside) if _is_middle(node)]
        signs = {core(inside[n]).text for n in bars}
        if len(signs) > 1:
            raise Untranslatable("different signs between the brackets")
        parts = [
            inside[start + 1 : end] for start, end in zip([-1, *bars], [*bars, len(inside)], strict=True)
        ]
        body = "".join(f"<m:e>{self._joined(part) or _NOTHING}</m:e>" for part in parts)
        grows = "" if last.grows else '<m:grow m:val="0"/>'
        between = f"<m:sepChr m:val={quoteattr(_plain(signs.pop()))}/>" if signs else ""
        made = (
            f"<m:d><m:dPr><m:begChr m:val={quoteattr(_plain(first.text))}/>{between}"
            f"<m:endChr m:val={quoteattr(_plain(last.sign))}/>{grows}{self._control}</m:dPr>{body}</m:d>"
        )
        return self._scripted(nodes[-1], made) if last.node is not nodes[-1] else made

    def _scripted(self, node: Node, base: str) -> str:
        """The scripts of a closing bracket, on all that it closes."""
        names = {"msub": "b", "msup": "t", "msubsup": "bt"}[node.kind]
        return self._scripts(base, dict(zip(names, node.children[1:], strict=True)))

    def node(self, node: Node) -> str:
        check(node)
        if node.kind not in _WRITERS:
            raise Untranslatable(f"<{node.kind}>")
        return _WRITERS[node.kind](self, node)

    def unit(self, node: Node) -> str:
        """A node as an argument."""
        return self.row([node]) or _NOTHING

    def _mrow(self, node: Node) -> str:
        return self.row(node.children)

    def _mstyle(self, node: Node) -> str:
        said = node.attributes
        if "mathbackground" in said or "mathsize" in said:
            raise Untranslatable("a background or a size of its own")
        if "mathcolor" in said:
            return _Writer(_colour(said["mathcolor"])).row(node.children)
        return self.row(node.children)

    # -- signs

    def _run(self, text: str, variant: str, *, words: bool = False) -> str:
        if variant not in _ALPHABETS:
            raise Untranslatable(f"letters in {variant}")
        script, style = _ALPHABETS[variant]
        face = ""
        if words:
            look = "<m:nor/>"
            face += "<w:b/>" * ("bold" in variant) + "<w:i/>" * ("italic" in variant)
            if script == "monospace":
                face = f'<w:rFonts w:ascii="Courier New" w:hAnsi="Courier New"/>{face}'
        else:
            look = f'<m:scr m:val="{script}"/>' * bool(script) + f'<m:sty m:val="{style}"/>' * bool(style)
        if self.colour:
            face += f'<w:color w:val="{self.colour}"/>'
        parts = f"<m:rPr>{look}</m:rPr>" * bool(look) + f"<w:rPr>{face}</w:rPr>" * bool(face)
        return f'<m:r>{parts}<m:t xml:space="preserve">{escape(text)}</m:t></m:r>'

    @property
    def _control(self) -> str:
        """The colour of signs that are properties: brackets, large operators, lines of fractions."""
        return f'<m:ctrlPr><w:rPr><w:color w:val="{self.colour}"/></w:rPr></m:ctrlPr>' if self.colour else ""

    def _coloured(self, node: Node) -> _Writer:
        if "mathsize" in node.attributes:
            raise Untranslatable("a size of its own")
        return _Writer(_colour(node.attributes["mathcolor"])) if "mathcolor" in node.attributes else self

    def _letters(self, node: Node) -> str:
        text = "".join(char for char in node.text if char not in INVISIBLE)
        variant = str(node.attributes.get("mathvariant", "normal"))
        return self._coloured(node)._run(text, variant) if text else ""

    def _mtext(self, node: Node) -> str:
        variant = str(node.attributes.get("mathvariant", "normal"))
        return self._coloured(node)._run(node.text, variant, words=True) if node.text else ""

    def _mspace(self, node: Node) -> str:
        said = node.attributes
        if "mathbackground" in said or said.get("linebreak"):
            raise Untranslatable("a rule, or a break")
        if any(length(said.get(name, 0)) for name in ("height", "depth")):
            raise Untranslatable("a strut")
        return self._blank(length(said.get("width", 0)))

    def _blank(self, width: float) -> str:
        """A space; one to the left is left out."""
        text = ""
        for size, char in _SPACES:
            while width > size - 0.02:
                text, width = text + char, width - size
        return self._run(text, "normal", words=True) if text else ""

    # -- scripts, limits and accents

    def _scripts(self, base: str, given: Mapping[str, Node]) -> str:
        """``base`` with scripts below and above, by "b" and "t"."""
        name = {"b": "sSub", "t": "sSup", "bt": "sSubSup"}["".join(sorted(given))]
        parts = "".join(
            f"<m:{tag}>{self.unit(given[place])}</m:{tag}>"
            for place, tag in (("b", "sub"), ("t", "sup"))
            if place in given
        )
        return f"<m:{name}><m:e>{base or _NOTHING}</m:e>{parts}</m:{name}>"

    def _msub(self, node: Node) -> str:
        return self._scripts(self.row(node.children[:1]), {"b": node.children[1]})

    def _msup(self, node: Node) -> str:
        return self._scripts(self.row(node.children[:1]), {"t": node.children[1]})

    def _msubsup(self, node: Node) -> str:
        return self._scripts(self.row(node.children[:1]), {"b": node.children[1], "t": node.children[2]})

    def _munder(self, node: Node) -> str:
        base, under = node.children
        sign = core(under)
        if node.attributes.get("accentunder") and sign.kind == "mo":
            if sign.text == "\u2015":
                return _bar("bot", self.unit(base))
            if sign.text in _GROUPS:
                return _group(sign.text, "bot", self.unit(base))
        return self._limits(node, {"b": under})

    def _mover(self, node: Node) -> str:
        base, over = node.children
        sign = core(over)
        if node.attributes.get("accent") and sign.kind == "mo":
            if sign.text == "\u2015" or (sign.text == "\u00af" and sign.attributes.get("stretchy")):
                return _bar("top", self.unit(base))
            if sign.text in _GROUPS and (
                sign.text not in "\u2190\u2192\u2194" or sign.attributes.get("stretchy")
            ):
                return _group(sign.text, "top", self.unit(base))
            if sign.text in ACCENTS:
                accent = quoteattr(ACCENTS[sign.text])
                return (
                    f"<m:acc><m:accPr><m:chr m:val={accent}/></m:accPr><m:e>{self.unit(base)}</m:e></m:acc>"
                )
        return self._limits(node, {"t": over})

    def _munderover(self, node: Node) -> str:
        return self._limits(node, {"b": node.children[1], "t": node.children[2]})

    def _limits(self, node: Node, given: Mapping[str, Node]) -> str:
        made = self.row(node.children[:1]) or _NOTHING
        if not node.attributes.get("limits"):
            return self._scripts(made, given)
        for place, name in (("b", "limLow"), ("t", "limUpp")):
            if place in given:
                made = f"<m:{name}><m:e>{made}</m:e><m:lim>{self.unit(given[place])}</m:lim></m:{name}>"
        return made

    def _mmultiscripts(self, node: Node) -> str:
        base, *rest = node.children
        at = next((i for i, child in enumerate(rest) if child.kind == "mprescripts"), len(rest))
        made = self.row([base]) or _NOTHING
        for name, found in (("", rest[:at]), ("sPre", rest[at + 1 :])):
            if len(found) > 2:
                raise Untranslatable("more than two scripts in one place")
            given = {
                place: script
                for place, script in zip("bt", found, strict=False)
                if script.kind != "none" and (script.children or script.text)
            }
            if given and not name:
                made = self._scripts(made, given)
            elif given:
                low, high = (self.unit(given[place]) if place in given else _NOTHING for place in "bt")
                made = f"<m:sPre><m:sub>{low}</m:sub><m:sup>{high}</m:sup><m:e>{made}</m:e></m:sPre>"
        return made

    def _nary(self, node: Node, body: str) -> str:
        """A large operator with its limits, at ``body``."""
        sign = core(node.children[0] if node.children and node.kind.startswith(("mu", "mo", "ms")) else node)
        check(node)
        given: dict[str, Node] = {}
        if node.kind in ("munder", "msub"):
            given = {"b": node.children[1]}
        elif node.kind in ("mover", "msup"):
            given = {"t": node.children[1]}
        elif node.kind in ("munderover", "msubsup"):
            given = {"b": node.children[1], "t": node.children[2]}
        place = "undOvr" if node.kind.startswith("mu") or node.kind == "mover" else "subSup"
        if not node.attributes.get("limits") and place == "undOvr":
            place = "subSup"
        hidden = "".join(
            f'<m:{tag}Hide m:val="1"/>' for key, tag in (("b", "sub"), ("t", "sup")) if key not in given
        )
        parts = "".join(
            f"<m:{tag}>{self.unit(given[key]) if key in given else ''}</m:{tag}>"
            for key, tag in (("b", "sub"), ("t", "sup"))
        )
        kind = f'<m:chr m:val={quoteattr(sign.text)}/><m:limLoc m:val="{place}"/>{hidden}'
        return f"<m:nary><m:naryPr>{kind}{self._control}</m:naryPr>{parts}<m:e>{body}</m:e></m:nary>"

    # -- fractions, roots, boxes

    def _mfrac(self, node: Node) -> str:
        said = node.attributes
        line = str(said.get("linethickness", "medium"))
        if said.get("bevelled") or {"numalign", "denomalign"} & said.keys():
            raise Untranslatable("a fraction with columns of its own")
        bare = line in ("0", "0em", "0pt")
        if not bare and line not in ("medium", "1"):
            raise Untranslatable("a fraction with a line of its own")
        look = '<m:type m:val="noBar"/>' * bare + self._control
        kind = f"<m:fPr>{look}</m:fPr>" if look else ""
        above, below = (self.unit(child) for child in node.children)
        return f"<m:f>{kind}<m:num>{above}</m:num><m:den>{below}</m:den></m:f>"

    def _msqrt(self, node: Node) -> str:
        body = self.row(node.children) or _NOTHING
        return f'<m:rad><m:radPr><m:degHide m:val="1"/>{self._control}</m:radPr><m:deg/><m:e>{body}</m:e></m:rad>'

    def _mroot(self, node: Node) -> str:
        body, index = (self.unit(child) for child in node.children)
        return f"<m:rad><m:deg>{index}</m:deg><m:e>{body}</m:e></m:rad>"

    def _mphantom(self, node: Node) -> str:
        body = self.row(node.children)
        return (
            f'<m:phant><m:phantPr><m:show m:val="0"/></m:phantPr><m:e>{body}</m:e></m:phant>' if body else ""
        )

    def _mpadded(self, node: Node) -> str:
        said = {name: str(value) for name, value in node.attributes.items() if str(value) != ""}
        if said.keys() & {"lspace", "voffset", "mathbackground", "style"}:
            raise Untranslatable("something moved, or with a background")
        zero = {"width": "zeroWid", "height": "zeroAsc", "depth": "zeroDesc"}
        names = [zero[name] for name in zero if name in said]
        if any(length(said[name]) for name in zero if name in said):
            raise Untranslatable("a size of its own")
        body = self.row(node.children)
        if not names or not body:
            return body
        flags = "".join(f'<m:{name} m:val="1"/>' for name in names)
        return f'<m:phant><m:phantPr><m:show m:val="1"/>{flags}</m:phantPr><m:e>{body}</m:e></m:phant>'

    def _menclose(self, node: Node) -> str:
        notations = {*str(node.attributes.get("notation", "longdiv")).split()}
        strikes = {"horizontalstrike": "strikeH", "verticalstrike": "strikeV", "updiagonalstrike": "strikeBLTR",
                   "downdiagonalstrike": "strikeTLBR"}  # fmt: skip
        sides = {"top": "hideTop", "bottom": "hideBot", "left": "hideLeft", "right": "hideRight"}
        if not notations or notations - {*strikes, *sides, "box"}:
            raise Untranslatable(f"a frame of {' '.join(sorted(notations))}")
        hidden = [] if "box" in notations else [sides[name] for name in sides if name not in notations]
        flags = [*hidden, *(strikes[name] for name in strikes if name in notations)]
        look = "".join(f'<m:{flag} m:val="1"/>' for flag in flags)
        body = self.row(node.children) or _NOTHING
        return f"<m:borderBox><m:borderBoxPr>{look}</m:borderBoxPr><m:e>{body}</m:e></m:borderBox>"

    def _mtable(self, node: Node) -> str:
        said = node.attributes
        if any(
            re.search("solid|dashed", str(said.get(name, "")))
            for name in ("columnlines", "rowlines", "frame")
        ):
            raise Untranslatable("rules in a table")
        rows = [row.children for row in node.children]
        if any(row.kind != "mtr" for row in node.children):
            raise Untranslatable("a number beside a row")
        aligns = str(said.get("columnalign", "")).split() or ["center"]
        columns = max((len(row) for row in rows), default=0)
        aligns = [aligns[min(n, len(aligns) - 1)] for n in range(columns)]
        if _is_aligned(aligns, str(said.get("columnspacing", ""))):
            written = [[self.row([cell]) for cell in row] for row in rows]
            if any("&amp;" in cell for row in written for cell in row):
                raise Untranslatable("an ampersand in rows that are aligned by such")
            lines = (_MARK.join(row) or _NOTHING for row in written)
            return "<m:eqArr>" + "".join(f"<m:e>{line}</m:e>" for line in lines) + "</m:eqArr>"
        kinds = "".join(
            f'<m:mc><m:mcPr><m:count m:val="1"/><m:mcJc m:val="{align}"/></m:mcPr></m:mc>' for align in aligns
        )
        body = ""
        for row in rows:
            cells = [self.row([cell]) or _NOTHING for cell in row] + [_NOTHING] * (columns - len(row))
            body += "<m:mr>" + "".join(f"<m:e>{cell}</m:e>" for cell in cells) + "</m:mr>"
        return f'<m:m><m:mPr><m:plcHide m:val="1"/><m:mcs>{kinds}</m:mcs></m:mPr>{body}</m:m>'

    def _first(self, node: Node) -> str:
        return self.row(node.children[:1])


_WRITERS: Mapping[str, Callable[[_Writer, Node], str]] = {
    "math": _Writer._mrow, "inferredMrow": _Writer._mrow, "mrow": _Writer._mrow, "mtd": _Writer._mrow,
    "TeXAtom": _Writer._mrow, "mstyle": _Writer._mstyle, "semantics": _Writer._first, "maction": _Writer._first,
    "mi": _Writer._letters, "mn": _Writer._letters, "mo": _Writer._letters, "mtext": _Writer._mtext,
    "ms": _Writer._mtext, "mspace": _Writer._mspace, "none": lambda _, __: "",
    "msub": _Writer._msub, "msup": _Writer._msup, "msubsup": _Writer._msubsup,
    "munder": _Writer._munder, "mover": _Writer._mover, "munderover": _Writer._munderover,
    "mmultiscripts": _Writer._mmultiscripts, "mfrac": _Writer._mfrac, "msqrt": _Writer._msqrt,
    "mroot": _Writer._mroot, "mphantom": _Writer._mphantom, "menclose": _Writer._menclose,
    "mpadded": _Writer._mpadded, "mtable": _Writer._mtable,
}  # fmt: skip


# --------------------------------------------------------------------------------------------------
# What nodes are


def _flat(nodes: Sequence[Node]) -> list[Node]:
    """The nodes of a row, with those of rows in it that do nothing but hold others."""
    out: list[Node] = []
    for node in nodes:
        plain = node.kind in ("math", "inferredMrow", "mtd") or (
            node.kind in ("mrow", "TeXAtom") and node.kind_of_atom in (0, -1) and len(node.children) != 1
        )
        if plain:
            check(node)
            inside = _flat(node.children)
            out += [replace(inside[0], space=inside[0].space or node.space), *inside[1:]] if inside else []
        else:
            out.append(node)
    return out


def _sign(node: Node) -> Node | None:
    inner = core(node)
    return inner if inner.kind == "mo" else None


def _bracket(node: Node) -> _Bracket | None:
    """A closing bracket, or one with scripts."""
    base = node.children[0] if node.kind in ("msub", "msup", "msubsup") else node
    sign = _sign(base)
    closes = sign is not None and _CLOSING in (sign.kind_of_atom, base.kind_of_atom)
    if sign is None or not closes or len(sign.text) > 1:
        return None
    return _Bracket(sign.text, base, bool(sign.attributes.get("stretchy")))


def _opens(node: Node) -> bool:
    sign = _sign(node)
    return sign is not None and _OPENING in (sign.kind_of_atom, node.kind_of_atom) and len(sign.text) <= 1


def _is_middle(node: Node) -> bool:
    sign = _sign(node)
    return (
        sign is not None and bool(sign.attributes.get("stretchy")) and "minsize" not in sign.attributes
        and sign.kind_of_atom not in (_OPENING, _CLOSING) and sign.text in "|\u2223\u2225\u2016/\\"
    )  # fmt: skip


def _partner(nodes: Sequence[Node], start: int) -> int | None:
    """Where the bracket that opens at ``start`` is closed."""
    if not _opens(nodes[start]):
        return None
    depth = 0
    for n in range(start, len(nodes)):
        if _opens(nodes[n]):
            depth += 1
        elif _bracket(nodes[n]) is not None:
            depth -= 1
            if not depth:
                return n
    return None


def _with_bars(nodes: Sequence[Node]) -> Sequence[Node]:
    """With bars as brackets where they stand as such: ``|x|``, but not ``p(x|y)``."""
    bars = [n for n, node in enumerate(nodes) if _is_bar(node)]
    if len(bars) < 2:
        return nodes
    out = [*nodes]
    start: int | None = None
    for n in bars:
        if start is None:
            if n == 0 or nodes[n - 1].kind_of_atom in _APART or _opens(nodes[n - 1]):
                start = n
        elif n > start + 1 and (n + 1 == len(nodes) or nodes[n + 1].kind_of_atom in (*_APART, _CLOSING)):
            out[start], out[n] = _of_class(nodes[start], _OPENING), _of_class(nodes[n], _CLOSING)
            start = None
    return out


def _is_bar(node: Node) -> bool:
    sign = _sign(node.children[0] if node.kind in ("msub", "msup", "msubsup") else node)
    return sign is not None and sign.text in ("|", "\u2016", "\u2225") and sign.kind_of_atom == 0


def _of_class(node: Node, kind: int) -> Node:
    """A sign as one of another of TeX's classes."""
    if node.kind in ("msub", "msup", "msubsup"):
        return replace(node, children=(_of_class(node.children[0], kind), *node.children[1:]))
    return replace(core(node), kind_of_atom=kind, space=node.space)


def _is_large(node: Node) -> bool:
    """Whether it is a large operator, with or without limits."""
    scripted = node.kind in ("munder", "mover", "munderover", "msub", "msup", "msubsup")
    sign = _sign(node.children[0] if scripted else node)
    return sign is not None and bool(sign.attributes.get("largeop")) and len(sign.text) == 1


def _operand(nodes: Sequence[Node], start: int) -> int:
    """Where what a large operator works on ends: at the next relation, sign of operation or bracket."""
    end = start
    while end < len(nodes):
        node = nodes[end]
        if (
            node.kind_of_atom in (_BINARY, _RELATION, _PUNCTUATION)
            or _bracket(node) is not None
            or _is_middle(node)
        ):
            break
        end = (_partner(nodes, end) or end) + 1
    return end


def _is_aligned(aligns: Sequence[str], spacing: str) -> bool:
    """Whether rows are aligned at their signs, as in align."""
    pairs = all(align == ("right", "left")[n % 2] for n, align in enumerate(aligns))
    return pairs and (len(aligns) == 1 or spacing.split()[:1] in (["0"], ["0em"]))


def _bar(place: str, body: str) -> str:
    return f'<m:bar><m:barPr><m:pos m:val="{place}"/></m:barPr><m:e>{body}</m:e></m:bar>'


def _group(sign: str, place: str, body: str) -> str:
    other = "bot" if place == "top" else "top"
    look = f'<m:chr m:val={quoteattr(sign)}/><m:pos m:val="{place}"/><m:vertJc m:val="{other}"/>'
    return f"<m:groupChr><m:groupChrPr>{look}</m:groupChrPr><m:e>{body}</m:e></m:groupChr>"


def _plain(sign: str) -> str:
    return _BRACKETS.get(sign, sign)


def _colour(value: object) -> str:
    found = tinycss2.color3.parse_color(str(value))
    if found is None or isinstance(found, str):
        raise Untranslatable(f"the colour {value}")
    return "".join(f"{round(part * 255):02X}" for part in found[:3])
