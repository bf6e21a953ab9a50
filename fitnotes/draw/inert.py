"""XML that a reader opens, drawings and books, without what would run there: scripts, handlers of events, addresses
that are code.

What is given is well-formed, so that a tag ends at the first ``>`` outside quotes.
"""

from __future__ import annotations

import re
from html import unescape
from xml.etree import ElementTree

_SUSPECT = re.compile(r"(?i)script|\bon\w+\s*=|<!ENTITY|<(?:\w+:)?(?:set|animate|meta|base)\b|data:")
_NAMESPACES = {
    "": "http://www.w3.org/2000/svg", "xlink": "http://www.w3.org/1999/xlink", "xhtml": "http://www.w3.org/1999/xhtml",
}  # fmt: skip
_TAG = re.compile(r"""<(?P<name>[A-Za-z_][\w.:-]*)(?P<rest>(?:[^<>"']|"[^"<]*"|'[^'<]*')*)>""")
_ATTRIBUTE = re.compile(r"""(?P<name>\s[\w.:-]+)\s*=\s*(?P<value>"[^"]*"|'[^']*')""")
_CODE = re.compile(r"(?i)^(?:javascript|vbscript):")
_PAGE = re.compile(r"(?i)^data:(?:text/(?:html|xml)|image/svg\+xml|application/)")
_OPENS = (
    "a",
    "area",
    "use",
    "iframe",
    "frame",
    "object",
    "embed",
    "form",
)  # elements that open what they name
# Attributes without which an element does nothing.
_NEEDED = {
    "script": ("src", "href"), "meta": ("http-equiv",), "base": ("href",), "set": ("attributename",),
    "animate": ("attributename",),
}  # fmt: skip


def inert(text: str) -> str:
    """The text of an XML file; the same where nothing in it would run. Raises ElementTree.ParseError where entities are
    declared and it is not well-formed."""
    if not _SUSPECT.search(text):
        return text
    if "<!ENTITY" in text:  # which can write anything; a parser puts them in, up to a limit of their size
        for prefix, address in _NAMESPACES.items():
            ElementTree.register_namespace(prefix, address)
        text = ElementTree.tostring(ElementTree.fromstring(text), encoding="unicode")
    text = re.sub(r"(?is)<((?:[\w.-]+:)?script)\b[^<>]*(?<!/)>.*?</\1\s*>", "", text)
    return _TAG.sub(_harmless, text)


def _harmless(match: re.Match[str]) -> str:
    element = match["name"].rpartition(":")[2].lower()

    def attribute(found: re.Match[str]) -> str:
        local = found["name"].strip().rpartition(":")[2].lower()
        value = re.sub(r"[\x00-\x20]", "", unescape(found["value"][1:-1]))
        if re.match(r"on\w", local):
            return ""
        if local in _NEEDED.get(element, ()) and (
            local != "attributename" or re.match(r"(?i)on|(?:\w+:)?href", value)
        ):
            return ""
        if local in ("href", "src", "action", "formaction", "data", "from", "to", "values", "srcdoc") and (
            _CODE.match(value) or local == "srcdoc" or (element in _OPENS and _PAGE.match(value))
        ):
            return f'{found["name"]}="#"'
        return found[0]

    return f"<{match['name']}{_ATTRIBUTE.sub(attribute, match['rest'])}>"
