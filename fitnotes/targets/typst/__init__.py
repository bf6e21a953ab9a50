"""Typst, which is inside: PDFs that are the same on every machine, without LaTeX."""

from __future__ import annotations

from fitnotes.document.formats import Format

TYPST = Format(
    "typst", "PDF (Typst)", ".pdf", frozenset({"pdf"}),
    pictures=frozenset({".png", ".jpg", ".jpeg", ".gif", ".webp", ".pdf", ".svg"}), drawings=".pdf",
    svg_words=False, room=100,
    instead="--pdf-engine lualatex",
)  # fmt: skip
