"""XML that a reader opens, drawings and books, without what would run there: scripts, handlers of events, addresses
that are code.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

# What is worth a look by a parser; the words of a note may speak of scripts.
_SUSPECT = re.compile(
    r"(?i)<[^<>\s]{0,60}script|[\s\"'/:]on\w+\s*=|<!ENTITY|javascript|vbscript|<\?xml-stylesheet"
    r"|<[^<>\s]{0,60}(?:set|animate|meta|base)\b|srcdoc|=\s*[\"']\s*data:(?!image/(?:png|jpeg|gif|webp))|&\#"
)
_NAMESPACES = {"xlink": "http://www.w3.org/1999/xlink", "epub": "http://www.idpf.org/2007/ops"}
_MEASURES = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml"}
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
_ADDRESSES = ("href", "src", "action", "formaction", "data", "from", "to", "values")
# Attributes without which an element does nothing.
_NEEDED = {
    "meta": ("http-equiv",),
    "base": ("href",),
    "set": ("attributename",),
    "animate": ("attributename",),
}


def inert(text: str) -> str:
    """The text of an XML file; the same where nothing in it would run. Raises ElementTree.ParseError where it has to be
    looked at and is not well-formed."""
    if not _SUSPECT.search(text):
        return text
    root = ElementTree.fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", text))
    if not _tame(root) and "<!ENTITY" not in text and "<?xml-stylesheet" not in text:
        return text
    for prefix, address in _NAMESPACES.items():
        ElementTree.register_namespace(prefix, address)
    space = root.tag.partition("}")[0].lstrip("{")
    if space in _MEASURES:
        ElementTree.register_namespace("", space)
    head = "<!DOCTYPE html>\n" if space.endswith("xhtml") else ""
    return head + ElementTree.tostring(root, encoding="unicode")


def _local(name: str) -> str:
    return name.rpartition("}")[2].rpartition(":")[2].lower()


def _tame(element: ElementTree.Element) -> bool:
    """Takes out what would run; whether there was anything."""
    found = False
    todo = [element]
    while todo:
        one = todo.pop()
        for n in range(len(one) - 1, -1, -1):
            child = one[n]
            if _local(str(child.tag)) == "script":
                if child.tail:
                    before = one[n - 1] if n else None
                    if before is not None:
                        before.tail = (before.tail or "") + child.tail
                    else:
                        one.text = (one.text or "") + child.tail
                del one[n]
                found = True
            else:
                todo.append(child)
        kind = _local(str(one.tag))
        for name, value in list(one.attrib.items()):
            if not _is_harmless(kind, _local(name), re.sub(r"[\x00-\x20]", "", value)):
                del one.attrib[name]
                found = True
    return found


def _is_harmless(kind: str, name: str, value: str) -> bool:
    if re.match(r"on\w", name) or name == "srcdoc":
        return False
    if name in _NEEDED.get(kind, ()):
        return name == "attributename" and not re.match(r"(?i)on|(?:\w+:)?href", value)
    code = _CODE.match(value) or (kind in _OPENS and _PAGE.match(value))
    return not (name in _ADDRESSES and code)
