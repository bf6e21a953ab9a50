"""LaTeX: files to go on writing in, and PDFs by an installed engine."""

from __future__ import annotations

from fitnotes.document.formats import Format
from fitnotes.targets.registry import ANY, Target

LATEX = Format(
    "latex", "LaTeX", ".pdf", frozenset({"pdf", "tex"}), pictures=frozenset({".png", ".jpg", ".jpeg", ".pdf"}),
    drawings=".pdf", turns_photos=False, is_tex=True, room=88, wraps=False,
)  # fmt: skip
TARGETS = (
    Target(
        "tex", ".tex", "a LaTeX file that compiles as it is, with your macros and only the packages it needs",
        {ANY: "fitnotes.targets.latex.file:write"}, (LATEX,), 50, (".tex",),
    ),
)  # fmt: skip
