"""Markdown files that GitHub renders."""

from __future__ import annotations

from fitnotes.document.formats import Format
from fitnotes.targets.registry import ANY, Target

GFM = Format(
    "gfm", "GitHub", ".md", keeps_tags=True, has_own_tables=True, draws_mermaid=True, numbers_headings=False
)  # fmt: skip
TARGETS = (
    Target(
        "gfm", ".md",
        "a Markdown file that GitHub renders: its maths dialect, Mermaid kept, results and figures as files beside it",
        {ANY: "fitnotes.targets.gfm.page:write"}, (GFM,), 60, (".md",),
    ),
)  # fmt: skip
