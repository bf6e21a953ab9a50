"""What an SVG's own style sheet and attributes say of an element: as much of CSS as diagrams use."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

# Those that children take over from their parents; the only ones that are looked at.
DEFAULTS = {
    "fill": "black", "color": "black", "font-size": "16px", "font-weight": "normal", "font-style": "normal",
    "text-anchor": "start", "dominant-baseline": "auto", "white-space": "normal",
}  # fmt: skip
X_HEIGHT = 0.547  # em
_RULE = re.compile(r"([^{}@]+)\{([^{}]*)\}")
_AT = re.compile(r"@[^{};]*(?:\{(?:[^{}]|\{[^{}]*\})*\}|;)")
_SIMPLE = re.compile(r"([#.])([\w-]+)|\[([\w-]+)(?:=[\"']?([^\"'\]]*)[\"']?)?\]|(:[\w-]+(?:\([^)]*\))?)")
_COMPOUND = re.compile(r"([\w-]+|\*)?((?:[#.][\w-]+|\[[^\]]*\]|:[\w-]+(?:\([^)]*\))?)*)$")


@dataclass(frozen=True, slots=True)
class _Compound:
    """One element of a selector: ``g.node[data-x]``; ``child`` if it must stand right inside the one before."""

    tag: str
    ids: tuple[str, ...]
    classes: tuple[str, ...]
    attributes: tuple[tuple[str, str | None], ...]
    child: bool

    def fits(self, element: Element) -> bool:
        return (
            self.tag in ("", "*", element.tag)
            and all(element.get("id") == name for name in self.ids)
            and set(self.classes) <= set(element.get("class", "").split())
            and all(
                element.get(name) == value if value is not None else name in element.attrib
                for name, value in self.attributes
            )
        )


@dataclass(frozen=True, slots=True)
class _Rule:
    chain: tuple[_Compound, ...]
    weight: tuple[int, int, int, int]  # ids, classes, tags, place in the sheet
    declarations: dict[str, str]
    important: dict[str, str]


def declarations(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """``a:b;c:d !important`` as two tables, the second of what is important."""
    plain: dict[str, str] = {}
    important: dict[str, str] = {}
    for item in text.split(";"):
        name, colon, value = item.partition(":")
        if colon:
            value, marked, _ = value.partition("!important")
            (important if marked else plain)[name.strip().lower()] = value.strip()
    return plain, important


def _selector(text: str) -> tuple[_Compound, ...] | None:
    """None for one that is not read here, such as ``:hover``."""
    chain: list[_Compound] = []
    child = False
    for word in re.sub(r"\s*>\s*", " > ", text.strip()).split():
        if word == ">":
            child = True
            continue
        match = _COMPOUND.match(word)
        if match is None:
            return None
        ids: list[str] = []
        classes: list[str] = []
        attributes: list[tuple[str, str | None]] = []
        for mark, name, attribute, value, pseudo in _SIMPLE.findall(match[2]):
            if pseudo:
                return None
            if attribute:
                attributes.append((attribute, value if "=" in match[2] else None))
            else:
                (ids if mark == "#" else classes).append(name)
        tag = match[1] or ""
        chain.append(_Compound(tag, tuple(ids), tuple(classes), tuple(attributes), child))
        child = False
    return tuple(chain) or None


def _rules(sheet: str) -> list[_Rule]:
    rules: list[_Rule] = []
    for selectors, body in _RULE.findall(_AT.sub("", re.sub(r"/\*.*?\*/", "", sheet, flags=re.DOTALL))):
        plain, important = declarations(body)
        if not (plain.keys() | important.keys()) & DEFAULTS.keys():
            continue
        for selector in selectors.split(","):
            chain = _selector(selector)
            if chain is not None:
                ids = sum(len(part.ids) for part in chain)
                classes = sum(len(part.classes) + len(part.attributes) for part in chain)
                tags = sum(part.tag not in ("", "*") for part in chain)
                rules.append(_Rule(chain, (ids, classes, tags, len(rules)), plain, important))
    return sorted(rules, key=lambda rule: rule.weight)


@dataclass(slots=True)
class Styles:
    root: Element
    parents: dict[Element, Element] = field(default_factory=dict)
    _sheet: list[_Rule] = field(default_factory=list)
    _known: dict[Element, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.parents = {child: parent for parent in self.root.iter() for child in parent}
        self._sheet = _rules("".join(e.text or "" for e in self.root.iter("style")))

    def of(self, element: Element) -> dict[str, str]:
        """The values that hold at ``element``; ``font-size`` is a bare number, in pixels."""
        if element in self._known:
            return self._known[element]
        parent = self.parents.get(element)
        values = dict(DEFAULTS | {"font-size": "16"} if parent is None else self.of(parent))
        above = float(values["font-size"])
        own = {name: value for name, value in element.attrib.items() if name in DEFAULTS}
        rules = [rule for rule in self._sheet if self._fits(rule.chain, element)]
        inline, urgent = declarations(element.get("style", ""))
        for rule in rules:
            own |= rule.declarations
        own |= inline
        for rule in rules:
            own |= rule.important
        own |= urgent
        values |= {name: own[name] for name in DEFAULTS if own.get(name, "inherit") != "inherit"}
        values["font-size"] = f"{length(values['font-size'], above):g}"
        self._known[element] = values
        return values

    def _fits(self, chain: tuple[_Compound, ...], element: Element) -> bool:
        """Whether the selector's last part is this element, and the others stand around it."""
        if not chain[-1].fits(element):
            return False
        if len(chain) == 1:
            return True
        around = self.parents.get(element)
        while around is not None:
            if self._fits(chain[:-1], around):
                return True
            around = None if chain[-1].child else self.parents.get(around)
        return False


def length(text: str, em: float) -> float:
    """A length in pixels; ``em`` is the size of the font.

    >>> length("2em", 16), length("12", 16), length("50%", 10)
    (32.0, 12.0, 5.0)
    """
    match = re.match(r"\s*(-?[\d.]+(?:[eE][-+]?\d+)?)\s*([a-z%]*)", text)
    if match is None:
        return em if text.strip() else 0.0
    factor = {"em": em, "rem": 16.0, "ex": X_HEIGHT * em, "%": em / 100, "pt": 4 / 3}.get(match[2], 1.0)
    return float(match[1]) * factor
