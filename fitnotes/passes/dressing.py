"""The last steps that every target but LaTeX takes alike, before it writes formulas in its own way."""

from __future__ import annotations

import functools
from collections.abc import Callable

from fitnotes.document.tree import Change, Elements
from fitnotes.passes import callouts, crossrefs, floats, rawtex, theorems
from fitnotes.passes.citations import cite
from fitnotes.passes.page import Page


def dress(
    page: Page,
    *,
    page_break: Callable[[bool], Change],
    theorem: theorems.Dress = theorems.as_div,
    row: Callable[[list[Elements], list[float]], Elements] = floats.below_one_another,
    box: callouts.Dress = callouts.quoted,
    tabs: callouts.Tabs | None = None,
) -> None:
    """References as links, citations by their style, numbers in captions; theorems, things side by side, callouts
    and tabs as the target has them."""
    reference = functools.partial(crossrefs.tex_reference, page.refs)
    rawtex.replace_raw(page.doc, page_break=page_break, reference=reference)
    crossrefs.resolve(page.doc, page.refs)
    cite(page)
    crossrefs.caption_prefixes(page.doc, page.words)
    theorems.dress(page.doc, page.theorems, theorem)
    floats.dress(page.doc, row)
    callouts.dress(page.doc, box, tabs)
