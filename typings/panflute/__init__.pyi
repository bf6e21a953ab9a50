"""Types for panflute, which has none: as much of it as fitnotes uses.

Every element has the attributes of all kinds here, with the type that they have wherever they are: what a step may
ask of an element is settled by the kinds that it walks over, not by the type of what it finds below them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from . import containers as containers
from . import elements as elements
from .containers import DictContainer as DictContainer
from .containers import ListContainer as ListContainer

class Element:
    _children: ClassVar[list[str]]
    parent: Element | None
    location: str | None
    index: int | None
    text: str
    format: str
    identifier: str
    classes: list[str]
    attributes: dict[str, str]
    url: str
    title: str
    level: int
    cols: int
    boolean: bool
    @property
    def content(self) -> ListContainer: ...
    @content.setter
    def content(self, value: Iterable[Element]) -> None: ...
    @property
    def caption(self) -> Caption | None: ...
    @caption.setter
    def caption(self, value: Caption | None) -> None: ...
    @property
    def citations(self) -> list[Citation]: ...
    @property
    def next(self) -> Element | None: ...
    @property
    def prev(self) -> Element | None: ...
    def walk(self, action: Callable[[Element, Any], Any]) -> Element: ...

class Inline(Element): ...
class Block(Element): ...
class MetaValue(Element): ...

class Doc(Element):
    has_notes: bool  # of fitnotes: whether there may be footnotes (see its `document.tree`)
    api_version: tuple[int, ...]
    def __init__(
        self,
        *args: Element,
        metadata: Mapping[str, Any] = ...,
        format: str = ...,
        api_version: tuple[int, ...] = ...,
    ) -> None: ...
    @property
    def metadata(self) -> MetaMap: ...
    @metadata.setter
    def metadata(self, value: Mapping[str, Any]) -> None: ...

class _Empty(Element):
    def __init__(self) -> None: ...

class Null(_Empty, Block): ...
class Space(_Empty, Inline): ...
class HorizontalRule(_Empty, Block): ...
class SoftBreak(_Empty, Inline): ...
class LineBreak(_Empty, Inline): ...

class _Holder(Element):
    def __init__(self, *args: Element) -> None: ...

class Plain(_Holder, Block): ...
class Para(_Holder, Block): ...
class BlockQuote(_Holder, Block): ...
class Emph(_Holder, Inline): ...
class Strong(_Holder, Inline): ...
class Underline(_Holder, Inline): ...
class Strikeout(_Holder, Inline): ...
class Superscript(_Holder, Inline): ...
class Subscript(_Holder, Inline): ...
class SmallCaps(_Holder, Inline): ...
class Note(_Holder, Inline): ...
class ListItem(_Holder): ...

class OrderedList(_Holder):
    start: int
    style: str
    delimiter: str

class BulletList(_Holder): ...
class Definition(_Holder): ...
class DefinitionList(_Holder): ...

class DefinitionItem(Element):
    def __init__(self, term: Sequence[Element], definitions: Sequence[Definition]) -> None: ...

class LineItem(_Holder): ...

class Header(Block):
    def __init__(
        self,
        *args: Element,
        level: int = ...,
        identifier: str = ...,
        classes: Iterable[str] = ...,
        attributes: Mapping[str, str] = ...,
    ) -> None: ...

class Div(Block):
    def __init__(
        self,
        *args: Element,
        identifier: str = ...,
        classes: Iterable[str] = ...,
        attributes: Mapping[str, str] = ...,
    ) -> None: ...

class Span(Inline):
    def __init__(
        self,
        *args: Element,
        identifier: str = ...,
        classes: Iterable[str] = ...,
        attributes: Mapping[str, str] = ...,
    ) -> None: ...

class Quoted(Inline):
    def __init__(self, *args: Element, quote_type: str = ...) -> None: ...

class Cite(Inline):
    def __init__(self, *args: Element, citations: Iterable[Citation] = ...) -> None: ...

class Citation(Element):
    id: str
    mode: str
    @property
    def prefix(self) -> ListContainer: ...
    @prefix.setter
    def prefix(self, value: Iterable[Element]) -> None: ...
    @property
    def suffix(self) -> ListContainer: ...
    @suffix.setter
    def suffix(self, value: Iterable[Element]) -> None: ...
    def __init__(
        self, id: str, mode: str = ..., prefix: Iterable[Element] = ..., suffix: Iterable[Element] = ...
    ) -> None: ...

class _Target(Inline):
    def __init__(
        self,
        *args: Element,
        url: str = ...,
        title: str = ...,
        identifier: str = ...,
        classes: Iterable[str] = ...,
        attributes: Mapping[str, str] = ...,
    ) -> None: ...

class Link(_Target): ...
class Image(_Target): ...

class Str(Inline):
    def __init__(self, text: str) -> None: ...

class CodeBlock(Block):
    def __init__(
        self,
        text: str,
        identifier: str = ...,
        classes: Iterable[str] = ...,
        attributes: Mapping[str, str] = ...,
    ) -> None: ...

class Code(Inline):
    def __init__(
        self,
        text: str,
        identifier: str = ...,
        classes: Iterable[str] = ...,
        attributes: Mapping[str, str] = ...,
    ) -> None: ...

class RawBlock(Block):
    def __init__(self, text: str, format: str = ...) -> None: ...

class RawInline(Inline):
    def __init__(self, text: str, format: str = ...) -> None: ...

class Math(Inline):
    def __init__(self, text: str, format: str = ...) -> None: ...

class Caption(Element):
    def __init__(self, *args: Element, short_caption: Iterable[Element] | None = ...) -> None: ...

class Figure(Block):
    def __init__(
        self,
        *args: Element,
        caption: Caption | None = ...,
        identifier: str = ...,
        classes: Iterable[str] = ...,
        attributes: Mapping[str, str] = ...,
    ) -> None: ...

class Table(Block):
    def __init__(
        self,
        *args: Element,
        head: Element | None = ...,
        foot: Element | None = ...,
        caption: Element | None = ...,
        colspec: Sequence[tuple[str, str | float]] | None = ...,
        identifier: str = ...,
        classes: Sequence[str] = ...,
        attributes: Mapping[str, str] = ...,
    ) -> None: ...
    colspec: Sequence[tuple[str, str | float]]
    cols: int
    head: Element | None
    foot: Element | None

class TableBody(Element):
    def __init__(
        self,
        *args: Element,
        head: Sequence[Element] | None = ...,
        row_head_columns: int = ...,
        identifier: str = ...,
        classes: Sequence[str] = ...,
        attributes: Mapping[str, str] = ...,
    ) -> None: ...
    head: Sequence[Element]
    row_head_columns: int

class TableHead(Element):
    def __init__(self, *args: Element) -> None: ...

class TableFoot(Element): ...

class TableRow(Element):
    def __init__(
        self, *args: Element, classes: Sequence[str] = ..., attributes: Mapping[str, str] = ...
    ) -> None: ...

class TableCell(Element):
    rowspan: int
    colspan: int

class MetaMap(MetaValue):
    content: DictContainer  # type: ignore[assignment]
    def __setitem__(self, key: str, value: object) -> None: ...

class MetaList(MetaValue):
    def __init__(self, *args: Element) -> None: ...

class MetaInlines(MetaValue):
    def __init__(self, *args: Element) -> None: ...

class MetaBlocks(MetaValue):
    def __init__(self, *args: Element) -> None: ...

class MetaString(MetaValue):
    def __init__(self, text: str) -> None: ...

class MetaBool(MetaValue):
    def __init__(self, boolean: bool) -> None: ...

def stringify(element: Element, newlines: bool = ...) -> str: ...
def load(input_stream: object = ...) -> Doc: ...
def dump(doc: Doc, output_stream: object = ...) -> None: ...
