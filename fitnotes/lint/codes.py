"""Every code that ``fitnotes lint`` gives: (severity, what it means). A test reads the README against it."""

from __future__ import annotations

ERROR, WARNING, HINT = "error", "warning", "hint"

CODES: dict[str, tuple[str, str]] = {
    "formula": (ERROR, "MathJax cannot typeset it, or a macro never ends"),
    "undefined-label": (ERROR, "a reference to a label that is nowhere, or to a formula without a number"),
    "doubled-label": (ERROR, "the same label twice"),
    "unknown-option": (ERROR, "an option of a block or diagram that does not exist, or has a wrong value"),
    "setting": (ERROR, "a setting in the header that does not exist, or has a wrong value"),
    "unclosed-block": (ERROR, "a fence that is never closed"),
    "syntax": (ERROR, "a block that is not Python"),
    "diagram": (ERROR, "a Mermaid diagram that cannot be drawn"),
    "unreadable": (ERROR, "pandoc cannot read the note"),
    "redefinition": (WARNING, "a macro that is defined twice"),
    "early-use": (WARNING, "a macro used before its definition"),
    "unused-macro": (WARNING, "a macro of the header that nothing uses"),
    "unbraced-script": (WARNING, "`f_\\boldsymbol{x}`: LaTeX wants braces (fixed)"),
    "spaced-dollars": (WARNING, "`$ x $`: other readers see no formula (fixed)"),
    "blank-line": (WARNING, "an empty line inside a display formula (fixed)"),
    "list-blank-line": (WARNING, "a list without an empty line before it (fixed)"),
    "environment-in-dollars": (HINT, "`$$\\begin{align}…$$`: LaTeX alone would stop at it"),
    "rows-outside": (HINT, "`\\\\` in a display formula outside an environment"),
    "raw-tex": (WARNING, "TeX in prose that only LaTeX targets understand"),
    "raw-html": (WARNING, "HTML that only HTML targets understand"),
    "preamble": (HINT, "a command in the header that does something in LaTeX only"),
    "missing-file": (WARNING, "an image, a bibliography or a macro file that is not there"),
    "missing-note": (WARNING, "a link to a note that is not there"),
    "network-image": (WARNING, "an image on the network, which pages do not load"),
    "picture": (
        WARNING,
        "an image that cannot be read, or that some targets show without its words or parts",
    ),
    "missing-alt": (WARNING, "an image without a description"),
    "citation": (WARNING, "a citation that no bibliography has"),
    "typed-number": (HINT, "a number in the text that a block also computes"),
    "pandoc": (WARNING, "something that pandoc warns about"),
}

FIXABLE = frozenset({"unbraced-script", "spaced-dollars", "blank-line", "list-blank-line"})
