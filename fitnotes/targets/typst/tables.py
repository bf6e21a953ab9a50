"""Tables of formulas: matrices, aligned rows, cases, and those as wide as the column."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fitnotes.draw.mathjax import Node
from fitnotes.draw.mathtree import Untranslatable, length
from fitnotes.targets.typst.signs import EMPTY, LEVELS, SCALES, em

# MathJax's words for a table that hangs on its first or on its last row.
_HANGING = {"top": 0, "t": 0, "baseline 1": 0, "bottom": -1, "b": -1, "baseline -1": -1}


def is_wide(table: Node) -> bool:
    """Whether it fills the column."""
    return table.kind == "mtable" and str(table.attributes.get("width", "")) == "100%"


def is_numbered(table: Node) -> bool:
    return any(row.kind == "mlabeledtr" for row in table.children)


def is_ruled(table: Node) -> bool:
    said = table.attributes
    return any(
        "solid" in str(said.get(name)) or "dashed" in str(said.get(name))
        for name in ("columnlines", "rowlines")
    )


def cells(row: Node) -> Sequence[Node]:
    """Those of a row, without its number."""
    return row.children[1:] if row.kind == "mlabeledtr" else row.children


def count_fits(table: Node) -> int:
    """How many gaps share what is left of the column."""
    return _words(table.attributes, "columnwidth", "auto", _count(table)).count("fit")


def gaps(table: Node, name: str, otherwise: float, count: int) -> list[float]:
    """The lengths between ``count`` columns or rows, in em of the table's size."""
    return [length(word) for word in _words(table.attributes, name, f"{otherwise}em", max(count - 1, 0))]


def _count(table: Node) -> int:
    """The columns of a table."""
    return max((len(cells(row)) for row in table.children), default=0)


def _words(said: Mapping[str, object], name: str, otherwise: str, count: int) -> list[str]:
    """One word for each of ``count`` places; the last one counts for all behind it."""
    given = str(said.get(name, otherwise)).split() or [otherwise]
    return [given[min(i, len(given) - 1)] for i in range(count)]


@dataclass(slots=True)
class Table:
    """A table on its way to Typst's ``mat``, whose cells `write` writes, in a size by `sized`.

    ``wide``: between a column for the space to the left and one for the numbers, as the body of a function of ``it``
    that knows the width of the column.
    """

    node: Node
    write: Callable[[Node], str]
    sized: Callable[[int, Callable[[], str]], str]
    wide: bool = False

    def code(self) -> str:
        """Raises Untranslatable."""
        said = self.node.attributes
        rows = [cells(row) for row in self.node.children]
        columns = _count(self.node)
        if not columns:
            raise Untranslatable("an empty table")
        size = next((cell.size for row in rows for cell in row), self.node.size)
        # Typst makes every row as tall as a parenthesis, one style smaller than the table's.
        outer = {3: 3, 2: 3, 1: 2, 0: 1, 4: 4, 5: 5}[size] if said["useHeight"] else min(size, 1)
        unit = SCALES[LEVELS[self.node.size]] / SCALES[LEVELS[outer]]
        between = [gap * unit for gap in gaps(self.node, "columnspacing", 0.8, columns)]
        below = [gap * unit for gap in gaps(self.node, "rowspacing", 1.0, len(rows))]
        rules = self._rules(columns, len(rows))
        if (rules[0] and len(set(between)) > 1) or (rules[1] and len(set(below)) > 1):
            raise Untranslatable("rules between columns or rows at different distances")
        even = bool(between) and len(set(between)) == 1
        column_gap = between[0] if even else 0.0
        row_gap = min(below, default=0.0)
        after = [0.0] * columns if even else [*between, 0.0]
        parts = ["delim: #none", *self._augment(rules), f"column-gap: #{em(column_gap)}"]
        parts += [f"row-gap: #{em(row_gap)}"]
        extra = [gap - row_gap for gap in below] + [0.0]

        def body() -> str:
            lines = [self._row(n, size, after, extra[n]) for n in range(len(rows))]
            # Without the blank before it, a semicolon would end the code in the last cell, not the row.
            return f"mat({', '.join(parts)}, {' ; '.join(lines)})"

        code = self.sized(outer, body)
        if str(said.get("frame") or "none") != "none":
            if any(rules) or said["frame"] != "solid":
                raise Untranslatable("rules inside a frame")
            code = f"#boxed(${code}$, gap: 0.5em)"
        hangs = str(said.get("align", "axis"))
        if hangs in ("axis", "center", ""):
            return code
        if hangs not in _HANGING:
            raise Untranslatable("a table that hangs on a row in its middle")
        edge = _HANGING[hangs]
        row = " ".join(self._cell(cell, "", size, 0, 0) for cell in rows[edge])
        return f"#hung(${code}$, ${row}$, {'false' if edge else 'true'})"

    def _row(self, n: int, size: int, after: Sequence[float], extra: float) -> str:
        """Row ``n`` with ``extra`` space below it; ``after`` is the space behind each of its cells."""
        row = self.node.children[n]
        found = cells(row)
        columns = _words(self.node.attributes, "columnalign", "center", len(after))
        sides = (
            _words(row.attributes, "columnalign", "", len(after))
            if "columnalign" in row.attributes
            else columns
        )
        widths = _words(self.node.attributes, "columnwidth", "auto", len(after))
        made = []
        for i, width in enumerate(widths):
            cell = found[i] if i < len(found) else None
            side = str(cell.attributes.get("columnalign", sides[i])) if cell is not None else columns[i]
            if width == "fit":
                made.append("#it.fit" if self.wide else "#h(2em)")
            elif len(after) == 1 and is_wide(self.node):  # each row at its own side
                code = self._cell(cell, "center", size, after[i], extra)
                made.append(f"#(it.line)({side}, ${code}$)" if self.wide else code)
            elif side != columns[i]:
                raise Untranslatable("cells of one column on different sides")
            else:
                made.append(self._cell(cell, side, size, after[i], extra))
        if self.wide:
            number = self.write(row.children[0]) if row.kind == "mlabeledtr" else ""
            made = ["#it.left", *made, f"#(it.number)(${number}$)" if number else EMPTY]
        return ", ".join(made)

    def _cell(self, cell: Node | None, side: str, size: int, after: float, extra: float) -> str:
        code = self.sized(size, lambda: self.write(cell)) if cell is not None else ""
        if code and extra > 0:
            code = f"#padded(it => (depth: it.depth + {em(extra)},), ${code}$)"
        code = f"{code} &" if side == "right" else f"& {code}" if side == "left" else code
        if after:
            code = f"{code} #h({em(after)})"
        return code or EMPTY

    def _rules(self, columns: int, rows: int) -> tuple[list[int], list[int]]:
        """The places of the rules: (between columns, between rows)."""
        said = self.node.attributes
        found: list[list[int]] = []
        for name, count in (("columnlines", columns), ("rowlines", rows)):
            kinds = _words(said, name, "none", count - 1) if count > 1 else []
            found.append([i + 1 for i, kind in enumerate(kinds) if kind in ("solid", "dashed")])
        return found[0], found[1]

    def _augment(self, rules: tuple[list[int], list[int]]) -> list[str]:
        """The rules, as a parameter of ``mat``."""
        names = ("columnlines", "rowlines")
        kinds = {kind for name in names for kind in str(self.node.attributes.get(name, "")).split()} - {
            "none"
        }
        if len(kinds) > 1 or kinds - {"solid", "dashed"}:
            raise Untranslatable("rules of several kinds")
        if not any(rules):
            return []
        stroke = '(thickness: 0.04em, dash: "dashed")' if "dashed" in kinds else "0.04em"
        places = [
            f"{name}: ({', '.join(map(str, found))},)"
            for name, found in zip(("vline", "hline"), rules, strict=True)
            if found
        ]
        return [f"augment: #({', '.join(places)}, stroke: {stroke})"]
