"""For which tool a note seems to be written, by what only that tool has."""

from __future__ import annotations

import re

from fitnotes.source.dollars import without_code

_SIGNS: dict[str, tuple[str, ...]] = {
    "MyST": (
        r"(?m)^[ \t]*(?:`{3,}|:{3,})\{(?:code-cell|figure|math|admonition|exercise|solution|list-table|toctree|prf:)",
        r"(?<!`)\{(?:eq|ref|numref|doc|cite(?::\w+)?|term|math)\}`", r"(?m)^\([\w-]+\)=\s*$", r"(?m)^\s*jupytext:",
    ),
    "Quarto": (
        r"\{\{< \w+", r"(?m)^format:\s*$", r"(?m)^\s*%%\| ", r"(?m)^#\| (?:code-fold|fig-height|layout)\b",
        r"(?m)^:{3,}\s*\{\.(?:panel-\w+|column-\w+)", r"(?m)^(?:number-depth|code-fold|execute):",
    ),
    "Obsidian": (r"(?<!\w)!?\[\[[^\]\n]+\]\](?!\()", r"(?m)^> \[!\w+\][-+]", r"(?<![\w=])==[^\s=][^=\n]*==(?!\w)"),
    "R Markdown": (
        r"(?m)^```\{r[ ,}]", r"(?m)^output:\s*(?:html|pdf|word)_document",
        r"(?m)^```\{\w+[^}\n]*\becho\s*=\s*(?:TRUE|FALSE)",
    ),
    "Jekyll": (r"\{%-?\s*\w+", r"(?m)^\{:[^}\n]*\}\s*$", r"(?m)^layout:\s*\w+"),
    "Marp": (r"(?m)^marp:\s*true",),
}  # fmt: skip


def dialect(text: str) -> tuple[str, int] | None:
    """(name, line of the first sign), or None for a note of ours, or of none that is known."""
    seen = without_code(text) if "`{" not in text else text
    found: dict[str, list[int]] = {}
    for name, signs in _SIGNS.items():
        places = [match.start() for sign in signs if (match := re.search(sign, seen))]
        if places:
            found[name] = places
    if not found:
        return None
    name = max(found, key=lambda key: len(found[key]))
    return name, text.count("\n", 0, min(found[name])) + 1
