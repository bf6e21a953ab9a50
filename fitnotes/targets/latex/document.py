"""A page as a LaTeX document: its text, and a preamble with what the text needs."""

from __future__ import annotations

import re
from collections.abc import Sequence

import panflute as pf

from fitnotes.document import pandoc
from fitnotes.document.read import plain as plain_value
from fitnotes.document.tree import dump
from fitnotes.passes import theorems
from fitnotes.passes.page import Page
from fitnotes.targets.latex.places import only_in_formulas
from fitnotes.tex import packages
from fitnotes.tex.numbering import within

MARK = "%%PREAMBLE%%"  # in the template: where `packages.write` goes, once the text is known


def latex(page: Page, args: Sequence[str], *, plain: bool = False, beamer: bool = False) -> str:
    """The page as LaTeX. ``args``: more for pandoc; ``plain``: code without colours, for someone to go on writing in;
    ``beamer``: it is slides."""
    metadata = page.doc.metadata.content
    mainfont, geometry = "mainfont" in metadata, metadata.get("geometry")
    args = [
        "--standalone",
        "--wrap=none",
        f"--template={pandoc.template('fitnotes.latex')}",
        *args,
        *["--syntax-highlighting=none"] * plain,
        *["--number-sections"] * page.numbered,
        *["--variable", "hiddensections"] * (_counts_in_sections(page) and not page.numbered),
        *([] if beamer else page.contents(7, 2)),
    ]
    output = pandoc.write(dump(page.doc), "latex", args, cwd=page.note.path.parent)
    page.converter_warnings(output.warnings)
    text = _uncounted(only_in_formulas(output.text))
    own = page.preamble.tex
    if geometry is not None:
        own = f"\\usepackage[{_options(geometry)}]{{geometry}}\n{own}"
    preamble = packages.write(
        text.split(MARK, 1)[1],
        packages.renewed(own),
        [packages.renewed("\n".join(page.maths.definitions))],
        "\n".join([theorems.declarations(page.met, page.theorems), *_captions(page)]),
        geometry=geometry is not None,
        mainfont=mainfont,
        beamer=beamer,
    )
    return re.sub(r"\n{3,}", "\n\n", text.replace(MARK, preamble, 1))


def _counts_in_sections(page: Page) -> bool:
    """Whether something is numbered within sections."""
    theorems_do = any(kind.within for kind in page.theorems.values())
    return bool(within(page.preamble.tex)) or page.words.chapters or theorems_do


def _captions(page: Page) -> list[str]:
    """How captions begin and count, where that is not as LaTeX has it."""
    words = page.words
    lines = []
    if words.language != "en" or words.titles:
        for name in ("Figure", "Table"):  # behind babel, which has names of its own
            lines.append(f"\\AtBeginDocument{{\\def\\{name.lower()}name{{{words.title(name)}}}}}")
    inside = within(page.preamble.tex)
    if words.chapters:
        lines += [f"\\counterwithin{{{c}}}{{section}}" for c in ("figure", "table") if c not in inside]
    return lines


def _uncounted(text: str) -> str:
    """Tables without a caption take no number; in older versions of longtable they do, whatever pandoc asks."""
    start = r"\{\\def\\LTcaptype\{none\} % do not increment counter\n(\\begin\{longtable\}.*?\\end\{longtable\})\n\}"
    return re.sub(start, r"\1\n\\addtocounter{table}{-1}", text, flags=re.DOTALL)


def _options(value: pf.Element) -> str:
    found = plain_value(value)
    return ",".join(str(item) for item in found) if isinstance(found, list) else str(found)
