"""A page as a deck of slides, in a browser or on paper."""

from __future__ import annotations

from fitnotes.targets.html import HTML
from fitnotes.targets.latex import LATEX
from fitnotes.targets.registry import ANY, Target
from fitnotes.targets.typst import TYPST

TARGETS = (
    Target(
        "slides", ".html", "a deck in one HTML file (reveal.js) that needs nothing beside it",
        {ANY: "fitnotes.targets.slides.reveal:write"}, (HTML,), 30, deck=True,
    ),
    Target(
        "slides-pdf", ".pdf", "a deck as PDF, through Typst or an installed LaTeX (beamer)",
        {
            "typst": "fitnotes.targets.slides.paged:write",
            "chromium": "fitnotes.targets.slides.paged:write",
            ANY: "fitnotes.targets.slides.beamer:write",
        },
        (TYPST, LATEX), 40, deck=True,
    ),
)  # fmt: skip
