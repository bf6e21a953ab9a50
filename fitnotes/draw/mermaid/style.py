"""What an SVG's own style sheet and attributes say of an element: as much of CSS as diagrams use."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element

# Those that children take over from their parents; the only ones that are looked at.
DEFAULTS = {
    "fill": "black", "color": "black", "font-size": "16px", "font-weight": "normal", "font-style": "normal",
    "text-anchor": "start", "dominant-baseline": "auto", "white-space": "normal",
}  # fmt: skip
X_HEIGHT = 0.547  # em
Values = dict[str, str]


def _declarations(content: Any) -> tuple[Values, Values]:
    """``fill:red;color:blue !important`` as two tables, the second of what is important."""
    import tinycss2

    plain: Values = {}
    important: Values = {}
    for item in tinycss2.parse_blocks_contents(content, skip_comments=True, skip_whitespace=True):
        if item.type == "declaration" and item.lower_name in DEFAULTS:
            table = important if item.important else plain
            table[item.lower_name] = tinycss2.serialize(item.value).strip()
    return plain, important


@functools.lru_cache(maxsize=4)
def _rules(sheet: str) -> Any:
    """The rules of a style sheet that declare something we look at, as a matcher of elements.

    Remembered, for a drawing is looked at twice: for the room that its formulas need, and to place them.
    """
    import cssselect2
    import tinycss2

    matcher = cssselect2.Matcher()
    for rule in tinycss2.parse_stylesheet(sheet, skip_comments=True, skip_whitespace=True):
        if rule.type != "qualified-rule":  # not @media or @keyframes: a picture has one state
            continue
        found = _declarations(rule.content)
        if not any(found):
            continue
        try:
            selectors = cssselect2.compile_selector_list(rule.prelude)
        except (cssselect2.SelectorError, NotImplementedError):  # no CSS, or more of it than is known there
            continue
        for selector in selectors:
            matcher.add_selector(selector, found)
    return matcher


@dataclass(slots=True)
class Styles:
    """Asked for an element as it stood when this was made: the tree may change meanwhile."""

    root: Element
    parents: dict[Element, Element] = field(init=False)
    _wrapped: dict[Element, Any] = field(init=False)  # as the matcher wants elements
    _sheet: Any = field(init=False)
    _known: dict[Element, Values] = field(default_factory=dict)

    def __post_init__(self) -> None:
        import cssselect2

        self.parents = {child: parent for parent in self.root.iter() for child in parent}
        wrapped = cssselect2.ElementWrapper.from_xml_root(self.root).iter_subtree()
        self._wrapped = {each.etree_element: each for each in wrapped}
        self._sheet = _rules("".join(e.text or "" for e in self.root.iter("style")))

    def of(self, element: Element) -> Values:
        """The values that hold at ``element``; ``font-size`` is a bare number, in pixels."""
        if element in self._known:
            return self._known[element]
        parent = self.parents.get(element)
        values = dict(DEFAULTS | {"font-size": "16"} if parent is None else self.of(parent))
        above = float(values["font-size"])
        own = self._own(element)
        values |= {name: value for name, value in own.items() if value != "inherit"}
        values["font-size"] = f"{length(values['font-size'], above):g}"
        self._known[element] = values
        return values

    def _own(self, element: Element) -> Values:
        """What is said of the element itself; what comes later in here wins."""
        own = {name: value for name, value in element.attrib.items() if name in DEFAULTS}
        matches = self._sheet.match(self._wrapped[element])
        rules = [found for _, _, pseudo_element, found in matches if pseudo_element is None]
        inline, urgent = _declarations(element.get("style", ""))
        for plain, _ in rules:
            own |= plain
        own |= inline
        for _, important in rules:
            own |= important
        return own | urgent


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
