"""The tree of a note, as panflute has it: JSON → tree, a walk over it, tree → JSON."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import panflute as pf


class _AnyFormat(frozenset[str]):
    """panflute keeps a list of raw formats that lacks typst and stops at `{=anything-else}`."""

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str)


# Words with spaces between them and nothing that means anything to a filter, or to a writer but at the start.
_SIGN = r"[^\W_]|[’'.,;:!?()/%=–+-]"
_FIRST = rf'{{"t":"Str","c":"[^\W\d_](?:{_SIGN})*"}}'
_NEXT = rf'{{"t":"Str","c":"(?:{_SIGN})+"}}'
_PLAIN_WORDS = re.compile(rf'{_FIRST}(?:,{{"t":"Space"}},{_NEXT})+')


def _one_string(match: re.Match[str]) -> str:
    """A run of plain words as one string: a tenth of the elements, for us and for pandoc's writers."""
    return match[0].replace('"},{"t":"Space"},{"t":"Str","c":"', " ")


def load(ast: str, target: str) -> pf.Doc:
    """A panflute Doc. ``target`` is what filters find as ``doc.format``."""
    pf.elements.RAW_FORMATS = _AnyFormat()
    ast = _PLAIN_WORDS.sub(_one_string, ast)
    # panflute.load takes the format from sys.argv, so give it the stream and set the format after.
    doc = pf.load(io.StringIO(ast))
    doc.has_notes = '"t":"Note"' in ast
    doc.format = target
    return doc


def dump(doc: pf.Doc) -> str:
    stream = io.StringIO()
    pf.dump(doc, stream)
    return stream.getvalue()


# The metadata whose words a page shows.
SHOWN = frozenset({"title", "subtitle", "author", "date", "abstract", "thanks", "institute", "keywords"})

Elements = list[pf.Element]
Change = pf.Element | Elements | None  # what a visitor gives: a replacement, several, or nothing new


def walk(
    root: pf.Element,
    action: Callable[[pf.Element], Change],
    *kinds: type[pf.Element],
    metadata: bool = False,
) -> None:
    """Calls ``action(element)`` on every element below ``root``, children first, in document order.

    What it returns: an element takes the place of its own, a list is spliced in, None leaves it. ``kinds``:
    only these types, which is faster; ``metadata``: in what a page shows of it too. It does what panflute's own
    walk does, without building every list anew: most walks over a note change little in it.
    """
    wanted = frozenset(kinds)
    lists, maps = pf.containers.ListContainer, pf.containers.DictContainer
    childless = (pf.Str, pf.Space, pf.SoftBreak, pf.LineBreak, pf.Math, pf.Code, pf.CodeBlock, pf.RawBlock,
                 pf.RawInline, pf.HorizontalRule)  # fmt: skip
    passed = frozenset(childless) - wanted if wanted else frozenset()
    # Blocks stand inside paragraphs in footnotes only.
    shallow = bool(wanted) and not any(issubclass(kind, pf.Inline) for kind in wanted)
    shallow = shallow and isinstance(root, pf.Doc) and not getattr(root, "has_notes", True)
    words = frozenset((pf.Para, pf.Plain, pf.Header)) if shallow else frozenset()

    def one(element: pf.Element, parent: pf.Element, location: str, index: int | None) -> Any:
        if element._children and type(element) not in words:
            below(element)
        if wanted and type(element) not in wanted:
            return element
        element.parent, element.location, element.index = parent, location, index
        found = action(element)
        return element if found is None else found

    def below(element: pf.Element) -> None:
        for name in element._children:
            if name == "metadata" and not metadata:
                continue
            child = getattr(element, name)
            if type(child) is lists:
                changed: Elements | None = None
                for index, item in enumerate(child.list):
                    found = item if type(item) in passed else one(item, element, name, index)
                    if found is not item and changed is None:
                        changed = child.list[:index]
                    if changed is not None:
                        changed.extend(found if isinstance(found, list) else (found,))
                if changed is not None:
                    child[:] = changed
            elif isinstance(child, maps):
                shown = SHOWN if element is getattr(root, "metadata", None) else child.dict.keys()
                for key in [key for key in child.dict if key in shown]:
                    item = child.dict[key]
                    found = one(item, element, name, None)
                    if found == []:
                        del child.dict[key]
                    else:
                        child.dict[key] = found
            elif child is not None:
                found = one(child, element, name, None)
                if found is not child:
                    setattr(element, name, found)

    below(root)


def collect(
    root: pf.Element,
    *kinds: type[pf.Element],
    where: Callable[[pf.Element], bool] = lambda element: True,
    metadata: bool = False,
) -> Elements:
    """The elements of these kinds below ``root``, in the order in which `walk` meets them."""
    found: Elements = []

    def take(element: pf.Element) -> None:
        if where(element):
            found.append(element)

    walk(root, take, *kinds, metadata=metadata)
    return found
