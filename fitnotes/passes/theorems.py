"""Theorems, definitions, proofs and their like: one structure from LaTeX and from Markdown, numbered alike.

``\\begin{theorem}[Gauss]\\label{thm:g} … \\end{theorem}`` and ``::: {.theorem #thm-g name="Gauss"}`` both
become a Div with the class ``theorem``. ``\\newtheorem`` in the preamble says what else there is, what
shares a counter and what counts within sections; without it every kind counts for itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import panflute as pf

from fitnotes.document import nodes
from fitnotes.document.fragments import Fragments
from fitnotes.document.tree import Change, Elements, collect, walk
from fitnotes.passes.crossrefs import NO_BREAK, Labelled, References
from fitnotes.passes.language import Words
from fitnotes.source.note import Cursor, Note
from fitnotes.tex.environments import BALANCED, replace_environments
from fitnotes.tex.numbering import Sections, depth, within
from fitnotes.tex.tokens import calls

# Names that authors use, with or without a \newtheorem for them.
_TITLES = {
    "theorem": "Theorem", "thm": "Theorem", "lemma": "Lemma", "lem": "Lemma", "corollary": "Corollary",
    "cor": "Corollary", "proposition": "Proposition", "prop": "Proposition", "conjecture": "Conjecture",
    "conj": "Conjecture", "definition": "Definition", "defn": "Definition", "example": "Example",
    "exercise": "Exercise", "problem": "Problem", "solution": "Solution", "remark": "Remark", "rem": "Remark",
    "claim": "Claim", "assumption": "Assumption", "axiom": "Axiom", "fact": "Fact", "observation": "Observation",
    "notation": "Notation", "property": "Property", "hypothesis": "Hypothesis",
}  # fmt: skip
# The identifiers by which Quarto knows a div for one of them.
_PREFIXES = {
    "thm": "theorem", "lem": "lemma", "cor": "corollary", "prp": "proposition", "cnj": "conjecture",
    "def": "definition", "exm": "example", "exr": "exercise", "sol": "solution", "rem": "remark",
    "clm": "claim", "asm": "assumption",
}  # fmt: skip
_UPRIGHT = frozenset({"Definition", "Example", "Exercise", "Problem", "Assumption", "Axiom"})
_LIGHT = frozenset({"Remark", "Solution", "Notation", "Claim", "Observation"})
_OPTION = re.compile(r"(\w+)\s*=\s*(?:\{" + BALANCED + r"\}|([^,\]]*))")
_BEGIN = re.compile(r"\\begin\s*\{(?P<name>[A-Za-z]+\*?)\}[ \t]*(?:\[(?P<title>(?:[^\[\]]|\[[^\]]*\])*)\])?")
_LABEL = re.compile(r"\s*\\label\s*\{([^}]*)\}")


@dataclass(frozen=True, slots=True)
class TheoremKind:
    """A kind of theorem. ``counter`` is what it counts with, "" for none; ``style`` as in amsthm."""

    name: str
    title: str
    counter: str
    within: int = 0  # the depth of the headings in its number
    style: str = "plain"
    declared: bool = False


def kinds(preamble: str, words: Words | None = None) -> dict[str, TheoremKind]:
    """Every kind there is: those of the preamble, and the usual ones, in the note's language."""
    found: dict[str, TheoremKind] = {}
    _read_newtheorem(preamble, found)
    _read_declaretheorem(preamble, found)
    _add_usual(found, words or Words())
    return found


def _read_newtheorem(preamble: str, found: dict[str, TheoremKind]) -> None:
    style = "plain"
    inside = within(preamble)
    for call in calls(preamble, newtheorem="sgogo", theoremstyle="g"):
        if call.name == "theoremstyle":
            style = call.arguments[0].strip()
            continue
        name, shared, title, section = call.arguments
        name = name.strip()
        counter = "" if call.starred else (shared or name)
        like = found.get(counter)
        levels = depth(section) or inside.get(name, 0) or (like.within if like else 0)
        found[name] = TheoremKind(name, title, counter, levels, style, True)


def _read_declaretheorem(preamble: str, found: dict[str, TheoremKind]) -> None:
    """thmtools' form: ``\\declaretheorem[name=Theorem, numberwithin=section]{thm}``."""
    for call in calls(preamble, declaretheorem="og"):
        given, name = call.arguments[0], call.arguments[1].strip()
        options = {key: (braced or bare).strip() for key, braced, bare in _OPTION.findall(given)}
        like = found.get(_first(options, "sibling", "numberlike"))
        counter = "" if options.get("numbered") == "no" else (like.counter if like else name)
        levels = depth(_first(options, "numberwithin", "within")) or (like.within if like else 0)
        title = _first(options, "name", "title") or name.capitalize()
        found[name] = TheoremKind(name, title, counter, levels, options.get("style", "plain"), True)


def _first(options: Mapping[str, str], *names: str) -> str:
    return next((options[name] for name in names if options.get(name)), "")


def _add_usual(found: dict[str, TheoremKind], words: Words) -> None:
    """The kinds that authors use without declaring them."""
    declared = {kind.title: kind for kind in reversed(found.values()) if kind.counter}
    usual: dict[str, TheoremKind] = {}  # thm and theorem are one kind
    for name, title in _TITLES.items():
        style = "definition" if title in _UPRIGHT else "remark" if title in _LIGHT else "plain"
        shown = words.title(title)
        # A div for a theorem counts with what the preamble calls a Theorem, whatever its name there.
        found.setdefault(
            name,
            declared.get(title)
            or declared.get(shown)
            or usual.setdefault(title, TheoremKind(name, shown, name, 0, style)),
        )
        found.setdefault(f"{name}*", TheoremKind(f"{name}*", shown, "", 0, style))
    found.setdefault("proof", TheoremKind("proof", words("Proof"), "", 0, "proof"))


Setter = Callable[[pf.Element, TheoremKind, Elements], Change]  # (div, kind, name) → what the target has


def _unknown(name: str) -> TheoremKind:
    return TheoremKind(name, name.capitalize(), "")


# --------------------------------------------------------------------------------------------------
# Reading


def split_raw(text: str, known: Mapping[str, TheoremKind]) -> list[tuple[str, str, str, str]] | None:
    """Raw TeX as (kind, title, label, body) of its theorems, with kind "" for what stands between them.

    None if there is no theorem in it.
    """
    found: list[tuple[str, str, str, str]] = []
    at = 0
    for match in _BEGIN.finditer(text):
        if match.start() < at or match["name"] not in known:
            continue
        end = _end(text, match)
        if end < 0:
            continue
        if text[at : match.start()].strip():
            found.append(("", "", "", text[at : match.start()]))
        close = text.rindex("\\end", 0, end)
        body = text[match.end() : close]
        label = _LABEL.match(body)
        if label is None:  # behind the words, but no formula's
            outside = replace_environments(body, lambda formula: " " * len(formula))
            for inner in _BEGIN.finditer(outside):
                close_at = _end(outside, inner) if inner["name"] in known else -1
                if close_at > 0:
                    outside = outside[: inner.start()] + " " * (close_at - inner.start()) + outside[close_at:]
            label = _LABEL.search(outside)
        name = label[1].strip() if label else ""
        rest = body[: label.start()] + body[label.end() :] if label else body
        found.append((match["name"], match["title"] or "", name, rest))
        at = end
    if not found:
        return None
    if text[at:].strip():
        found.append(("", "", "", text[at:]))
    return found


def protect_titles(text: str, known: Mapping[str, TheoremKind]) -> str:
    """Braces around a title with a bracket in it, which would end LaTeX's optional argument."""

    def protect(match: re.Match[str]) -> str:
        title = match["title"]
        if match["name"] not in known or not title or "]" not in title or title.startswith("{"):
            return match[0]
        return match[0].replace(f"[{title}]", f"[{{{title}}}]")

    return _BEGIN.sub(protect, text)


def _end(text: str, begin: re.Match[str]) -> int:
    depth = 0
    for match in re.compile(rf"\\(begin|end)\s*\{{{re.escape(begin['name'])}\}}").finditer(
        text, begin.start()
    ):
        depth += 1 if match[1] == "begin" else -1
        if depth == 0:
            return match.end()
    return -1


def find_divs(doc: pf.Doc, known: Mapping[str, TheoremKind]) -> None:
    """Marks the fenced divs that are theorems, in pandoc's own words or Quarto's."""

    def visit(element: pf.Element) -> None:
        if nodes.is_theorem(element):
            return
        kind = next((c.lower() for c in element.classes if c.lower() in known), "")
        prefix = re.split("[-:]", element.identifier)[0] if re.search("[-:]", element.identifier) else ""
        kind = kind or _PREFIXES.get(prefix, "")
        if not kind:
            return
        title = element.attributes.pop("name", "") or element.attributes.pop("title", "")
        content = list(element.content)
        if not title and content and isinstance(content[0], pf.Header):
            # Quarto's way to name a theorem: a heading inside.
            element.attributes["heading"] = "1"
        if title:
            element.attributes["name"] = title
        if "unnumbered" in element.classes:
            kind = f"{kind.removesuffix('*')}*"
        element.classes = [nodes.THEOREM, kind, *(c for c in element.classes if c.lower() != kind)]

    walk(doc, visit, pf.Div)


def read_titles(doc: pf.Doc) -> None:
    """Puts the names of theorems into them, as a first paragraph that is marked: like any words of the note they
    may hold formulas and references."""
    fragments = Fragments()
    found = collect(doc, pf.Div, where=nodes.is_theorem)
    for element in found:
        if element.attributes.get("name"):
            fragments.add(element.attributes["name"])
    fragments.read()
    for element in found:
        name: Elements = []
        content = list(element.content)
        if element.attributes.pop("heading", ""):
            name = list(content.pop(0).content)
        if text := element.attributes.pop("name", ""):
            name = fragments.inlines(text)
        if name:
            nodes.name_theorem(element, name, content)


# --------------------------------------------------------------------------------------------------
# Numbering


def number(doc: pf.Doc, note: Note, refs: References, known: Mapping[str, TheoremKind]) -> None:
    """Gives every theorem its number, in the attribute ``number``, and registers its label.

    In LaTeX targets raw theorems stay as they are, and are counted with the others.
    """
    counts: dict[str, int] = {}
    sections = Sections()
    cursor = Cursor(note)

    def step(kind: TheoremKind) -> str:
        if not kind.counter:
            return ""
        counts[kind.counter] = counts.get(kind.counter, 0) + 1
        return f"{sections.prefix(kind.within)}{counts[kind.counter]}"

    def visit(element: pf.Element) -> None:
        if isinstance(element, pf.Header):
            level = sections.step(element)
            for kind in known.values():
                if 0 < level <= kind.within:
                    counts.pop(kind.counter, None)
            return
        if isinstance(element, pf.RawBlock):
            for name, _, label, _ in (
                (split_raw(element.text, known) or []) if "begin" in element.text else []
            ):
                if name:
                    kind = known[name]
                    given = step(kind)
                    if label:
                        refs.add(label, Labelled(kind.title, given, cursor.line_of(f"{{{label}}}")))
            return
        if nodes.is_theorem(element):
            kind = known.get(nodes.theorem_kind(element), _unknown(nodes.theorem_kind(element)))
            given = step(kind)
            if given:
                nodes.give_number(element, given)
            if element.identifier:
                refs.add(element.identifier, Labelled(kind.title, given, cursor.line_of(element.identifier)))

    walk(doc, visit, pf.Header, pf.RawBlock, pf.Div)


# --------------------------------------------------------------------------------------------------
# Writing


def set_theorems(doc: pf.Doc, known: Mapping[str, TheoremKind], build: Setter) -> set[str]:
    """Replaces every theorem by what ``build(div, kind, name)`` makes of it. Returns the kinds that were met."""
    met: set[str] = set()

    def visit(element: pf.Element) -> Change:
        if not nodes.is_theorem(element):
            return None
        kind = known.get(nodes.theorem_kind(element), _unknown(nodes.theorem_kind(element)))
        met.add(kind.name)
        return build(element, kind, nodes.take_theorem_name(element))

    walk(doc, visit, pf.Div)
    return met


def as_div(element: pf.Element, kind: TheoremKind, name: Elements) -> pf.Div:
    """A Div whose first words are "Theorem 1 (Gauss).": for every target but LaTeX."""
    given = nodes.take_number(element)
    head: Elements = [pf.Str(f"{kind.title}{NO_BREAK}{given}" if given else kind.title)]
    if kind.style == "proof" and name:
        head = name
    elif name:
        head += [pf.Space(), pf.Str("("), *name, pf.Str(")")]
    light = kind.style in ("remark", "proof")
    title = pf.Span((pf.Emph if light else pf.Strong)(*head, pf.Str(".")), classes=["theorem-title"])
    content = list(element.content)
    if content and isinstance(content[0], (pf.Para, pf.Plain)):
        first = list(content[0].content)
        content[0] = pf.Para(title, pf.Space(), *first)
    else:
        content.insert(0, pf.Para(title))
    if kind.style == "proof":
        end = [pf.Str(NO_BREAK), pf.Span(pf.Str("□"), classes=["qed"])]
        if isinstance(content[-1], (pf.Para, pf.Plain)):
            content[-1] = pf.Para(*content[-1].content, *end)
        else:
            content.append(pf.Para(*end))
    style = "theorem-upright" if kind.style != "plain" else "theorem-plain"
    return pf.Div(*content, identifier=element.identifier, classes=["theorem", kind.name.rstrip("*"), style])


def as_latex(element: pf.Element, kind: TheoremKind, name: Elements) -> Elements:
    """The environment, with its content between raw lines."""
    nodes.take_number(element)
    label = f"\\label{{{element.identifier}}}" if element.identifier else ""
    opening: Elements = [pf.RawInline(f"\\begin{{{kind.name}}}", format="latex")]
    if name:
        opening += [pf.RawInline("[{", format="latex"), *name, pf.RawInline("}]", format="latex")]
    if label:
        opening.append(pf.RawInline(label, format="latex"))
    content = list(element.content)
    last = content[-1] if content else None
    end = f"\\end{{{kind.name}}}"
    if kind.style == "proof" and isinstance(last, (pf.Para, pf.Plain)):  # the square on its last line
        content[-1] = pf.Para(*last.content, pf.RawInline(f"\n{end}", format="latex"))
        return [pf.Plain(*opening), *content]
    return [pf.Plain(*opening), *content, pf.RawBlock(end, format="latex")]


def declarations(met: set[str], known: Mapping[str, TheoremKind]) -> str:
    """``\\newtheorem`` for the kinds that a document uses and its preamble does not declare."""
    lines = []
    style = "plain"
    own = {known[name].name for name in met if name in known and not known[name].declared}
    names = met | own

    def order(name: str) -> tuple[str, bool, str]:
        return known[name].style if name in known else "plain", name not in own, name

    for name in sorted(names, key=order):
        kind = known.get(name, _unknown(name))
        if name != kind.name:  # counts with what has the same title
            lines.append(f"\\newtheorem{{{name}}}[{kind.counter}]{{{kind.title}}}")
            continue
        if kind.declared or kind.style == "proof":
            continue
        if kind.style != style:
            style = kind.style
            lines.append(f"\\theoremstyle{{{style}}}")
        star = "" if kind.counter else "*"
        lines.append(f"\\newtheorem{star}{{{kind.name}}}{{{kind.title}}}")
    return "\n".join(lines)
