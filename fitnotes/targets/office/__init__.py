"""Word documents and e-books."""

from __future__ import annotations

from fitnotes.document.formats import Format
from fitnotes.targets.registry import ANY, Target

DOCX = Format(
    "docx", "Word", ".docx", pictures=frozenset({".png", ".jpg", ".jpeg", ".gif"}), drawings=".png",
    turns_photos=False,
)  # fmt: skip
EPUB = Format("epub", "EPUB", ".epub", frozenset({"html"}), keeps_tags=True, inline_svg=True)
TARGETS = (
    Target("docx", ".docx", "Word with its own formulas", {ANY: "fitnotes.targets.office.word:write"}, (DOCX,), 70,
           (".docx",)),
    Target("epub", ".epub", "an e-book with MathML", {ANY: "fitnotes.targets.office.book:write"}, (EPUB,), 80,
           (".epub",)),
)  # fmt: skip
