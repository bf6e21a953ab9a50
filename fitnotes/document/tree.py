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
    _Walk(root, action, frozenset(kinds), metadata).below(root)


_CHILDLESS = frozenset({
    pf.Str, pf.Space, pf.SoftBreak, pf.LineBreak, pf.Math, pf.Code, pf.CodeBlock, pf.RawBlock, pf.RawInline,
    pf.HorizontalRule,
})  # fmt: skip
_WORDS = frozenset({pf.Para, pf.Plain, pf.Header})


class _Walk:
    def __init__(
        self,
        root: pf.Element,
        action: Callable[[pf.Element], Change],
        wanted: frozenset[type[pf.Element]],
        metadata: bool,
    ) -> None:
        self.action = action
        self.wanted = wanted
        self.metadata = metadata
        self.header = getattr(root, "metadata", None)
        self.passed = _CHILDLESS - wanted if wanted else frozenset[type[pf.Element]]()
        # Blocks stand inside paragraphs in footnotes only.
        blocks = bool(wanted) and not any(issubclass(kind, pf.Inline) for kind in wanted)
        shallow = blocks and isinstance(root, pf.Doc) and not getattr(root, "has_notes", True)
        self.words = _WORDS if shallow else frozenset[type[pf.Element]]()

    def one(self, element: pf.Element, parent: pf.Element, location: str, index: int | None) -> Any:
        """What takes the place of an element, which may be itself."""
        if element._children and type(element) not in self.words:
            self.below(element)
        if self.wanted and type(element) not in self.wanted:
            return element
        element.parent, element.location, element.index = parent, location, index
        found = self.action(element)
        return element if found is None else found

    def below(self, element: pf.Element) -> None:
        for name in element._children:
            if name == "metadata" and not self.metadata:
                continue
            child = getattr(element, name)
            if type(child) is pf.ListContainer:
                self._list(element, name, child)
            elif isinstance(child, pf.DictContainer):
                self._map(element, name, child)
            elif child is not None:
                found = self.one(child, element, name, None)
                if found is not child:
                    setattr(element, name, found)

    def _list(self, element: pf.Element, name: str, child: pf.ListContainer) -> None:
        changed: Elements | None = None
        passed, one = self.passed, self.one
        for index, item in enumerate(child.list):
            found = item if type(item) in passed else one(item, element, name, index)
            if found is not item and changed is None:
                changed = child.list[:index]
            if changed is not None:
                changed.extend(found if isinstance(found, list) else (found,))
        if changed is not None:
            child[:] = changed

    def _map(self, element: pf.Element, name: str, child: pf.DictContainer) -> None:
        shown = SHOWN if element is self.header else child.dict.keys()
        for key in [key for key in child.dict if key in shown]:
            found = self.one(child.dict[key], element, name, None)
            if found == []:
                del child.dict[key]
            else:
                child.dict[key] = found


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
