"""Formulas in the dialect of maths that GitHub renders.

GitHub's rules are in its documentation under "Writing mathematical expressions": ``$…$`` or ``$`…`$`` in a
line, ```` ```math ```` for a display. Markdown is read before the maths, so ``$…$`` may hold nothing that
means something to it. Some macros are refused (https://github.com/github/markup/issues/1688).
"""

from __future__ import annotations

import re

import panflute as pf

from fitnotes.document.tree import Change, Elements, collect, walk
from fitnotes.draw import mathjax
from fitnotes.passes.page import Page
from fitnotes.tex.environments import take_labels
from fitnotes.tex.macros import replace_argument

# What GitHub answers with "The following macros are not allowed".
REFUSED = (
    "operatorname", "mbox", "phantom", "hphantom", "vphantom", "def", "let", "newcommand", "renewcommand",
    "require", "href", "class", "cssId", "style", "unicode", "DeclareMathOperator", "bbox", "mmlToken",
    "newenvironment",
)  # fmt: skip
# What Markdown would take for its own inside $…$.
_MARKDOWN = re.compile(r"\\[^A-Za-z]|[*<>`|&~!\[\]]|_.*_|^[\d\s]|\s$|\\$")


def dialect(tex: str) -> str:
    """A formula in the words that GitHub allows.

    >>> dialect(r"\\operatorname*{arg\\,min}_x \\mbox{if}")
    '\\\\mathop{\\\\mathrm{arg\\\\,min}}\\\\limits_x \\\\text{if}'
    """
    tex = replace_argument(tex, "operatorname*", lambda a: f"\\mathop{{\\mathrm{{{a}}}}}\\limits")
    tex = replace_argument(tex, "operatorname", lambda a: f"\\mathop{{\\mathrm{{{a}}}}}\\nolimits")
    tex = replace_argument(tex, "mbox", lambda a: f"\\text{{{a}}}")
    # Dollars inside a formula might end it (corpus/dollars).
    tex = replace_argument(tex, "tag", lambda a: "\\tag{" + re.sub(r"(?<!\\)\$([^$]+)\$", r"\(\1\)", a) + "}")
    for name in ("phantom", "hphantom", "vphantom"):  # shows nothing anyway
        tex = replace_argument(tex, name, lambda a: "\\quad" if name == "phantom" else "")  # noqa: B023
    whole = re.fullmatch(r"(?s)\s*\\begin\{equation\*\}(.*)\\end\{equation\*\}\s*", tex)
    return re.sub(r"\n\s*\n", "\n", whole[1] if whole else tex).strip()


def inline(tex: str) -> str:
    """A formula in a line. A line break in it would end it on GitHub."""
    tex = " ".join(dialect(tex).split())
    if "{array}" not in tex:  # a | would end the cell of a table, even inside $`…`$
        tex = re.sub(r"\\\|", r"\\Vert ", tex)
        tex = tex.replace("|", "\\vert ").rstrip()
    return f"$`{tex}`$" if _MARKDOWN.search(tex) else f"${tex}$"


def set_formulas(page: Page) -> None:
    """Formulas as GitHub reads them; a display one stands by itself, between the halves of its paragraph."""

    def check(element: pf.Element, text: str) -> None:
        for name in REFUSED:
            if re.search(rf"\\{name}(?![A-Za-z])", text):
                message = f"formula {' '.join(text.split())[:60]}: GitHub does not allow \\{name}"
                page.say("github-macro", message, page.formula_line(element.text))

    def display(element: pf.Element) -> Elements:
        text, labels = take_labels(element.text)
        anchors = "".join(f'<a id="{label}"></a>' for label in labels)
        text = dialect(text.strip())
        check(element, text)
        block = pf.CodeBlock(text, classes=["math"])
        return [pf.RawBlock(anchors, format="html"), block] if anchors else [block]

    def visit(element: pf.Element) -> Change:
        if isinstance(element, (pf.Para, pf.Plain)):
            if isinstance(element.parent, pf.TableCell):
                return None  # what stands in a cell stays in its line
            content = list(element.content)
            places = [
                i for i, e in enumerate(content) if isinstance(e, pf.Math) and e.format == "DisplayMath"
            ]
            if not places:
                return None
            out: Elements = []
            at = 0
            for i in [*places, len(content)]:
                words = _trim(content[at:i])
                if words and not all(
                    isinstance(w, pf.Str) and re.fullmatch(r"[.,;:]", w.text) for w in words
                ):
                    out.append(pf.Para(*words))
                elif words and out and isinstance(out[-1], pf.CodeBlock):
                    out[-1].text += words[0].text  # the sentence's own full stop
                if i < len(content):
                    out += display(content[i])
                at = i + 1
            return out
        if isinstance(element, pf.Math) and element.format == "InlineMath":
            text = inline(element.text)
            check(element, text)
            return pf.RawInline(text, format="html")
        return None

    walk(page.doc, visit, pf.Math, pf.Para, pf.Plain)
    # Inside what allows no blocks, such as a heading or a table's cell, a display formula stays in its line.
    left = lambda e: pf.RawInline(inline(take_labels(e.text)[0]), format="html")  # noqa: E731
    walk(page.doc, left, pf.Math, metadata=True)


def _trim(inlines: Elements) -> Elements:
    blank = (pf.Space, pf.SoftBreak, pf.LineBreak)
    while inlines and isinstance(inlines[0], blank):
        inlines.pop(0)
    while inlines and isinstance(inlines[-1], blank):
        inlines.pop()
    return inlines


def picture_refused(page: Page) -> None:
    """A formula that GitHub cannot show becomes a picture, where MathJax has a package for it; else it is an
    error with its line."""

    def key(element: pf.Element) -> tuple[str, bool]:
        return take_labels(element.text)[0], element.format == "DisplayMath"

    formulas = list(dict.fromkeys(map(key, collect(page.doc, pf.Math, metadata=True))))
    wrong = [f for f, reason in zip(formulas, mathjax.check(formulas), strict=True) if reason]
    if not wrong:
        return
    pictures = {}
    for formula, set_ in zip(wrong, mathjax.typeset(wrong, page.packages), strict=True):
        if set_.error:
            page.formula_problem(formula[0], set_.error)
        else:
            svg, _, _ = mathjax.picture(set_.svg, 12)
            pictures[formula] = page.media.add(svg.encode(), ".svg", "formula")

    def put(element: pf.Element) -> Change:
        url = pictures.get(key(element))
        return pf.Image(pf.Str(element.text), url=url) if url else None

    walk(page.doc, put, pf.Math, metadata=True)
