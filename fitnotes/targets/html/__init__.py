"""Pages for a browser, from a server or by double click."""

from __future__ import annotations

from fitnotes.document.formats import BROWSERS, Format
from fitnotes.targets.registry import ANY, Target

HTML = Format(
    "html", "HTML", ".html", pictures=BROWSERS | {".avif", ".bmp", ".ico"}, is_html=True, keeps_tags=True,
    inline_svg=True,
)  # fmt: skip
TARGETS = (
    Target(
        "html", ".html",
        "pages that work offline, with MathJax beside them; or with formulas set when built "
        "(`--math static`, `mathml`)",
        {ANY: "fitnotes.targets.html.page:write"}, (HTML,), 10, (".html", ".htm"),
    ),
)  # fmt: skip
