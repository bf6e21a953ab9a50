"""PDFs: through Typst, an installed LaTeX, or Chromium."""

from __future__ import annotations

from fitnotes.targets.latex import LATEX
from fitnotes.targets.registry import ANY, Target
from fitnotes.targets.typst import TYPST

TARGETS = (
    Target(
        "pdf", ".pdf", "through Typst, or an installed LaTeX or Chromium",
        {
            "typst": "fitnotes.targets.typst.pdf:write",
            "chromium": "fitnotes.targets.html.printed:write",
            ANY: "fitnotes.targets.latex.pdf:write",
        },
        (TYPST, LATEX), 20, (".pdf",),
    ),
)  # fmt: skip
