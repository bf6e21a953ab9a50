"""MyST's directives, Marp's comments and runs of numbers, as text: every line stays, nothing unknown is touched."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitnotes.passes import marp
from fitnotes.passes.crossrefs import _runs
from fitnotes.source import myst
from fitnotes.source.mark import mark

PIECES = st.sampled_from(
    [":::", "::::", "```", "{note}", "{tab-set}", "{prf:lemma}", "{python}", "{nosuch}", ":class: dropdown",
     ":label: thm-x", "words", "", "    ", "$x$", '"quoted"', "\\", "> ", "- "]
)  # fmt: skip
LINES = st.lists(st.lists(PIECES, max_size=4).map("".join), max_size=14)


@given(LINES)
def test_directives_keep_the_lines(lines: list[str]) -> None:
    text = "\n".join(lines)
    marked = mark(text)
    assert marked.count("\n") == text.count("\n")
    if not any(f"{{{name}}}" in text for name in ("note", "tab-set", "prf:lemma")):
        assert "callout" not in marked


SPELLINGS = {
    ":::{note}\nw\n:::": "::: {.callout-note}\nw\n:::",
    ":::{note} On $x$\nw\n:::": '::: {.callout-note title="On $x$"}\nw\n:::',
    ":::{hint}\nw\n:::": '::: {.callout-tip title="Hint"}\nw\n:::',
    ':::{tip} Say "no"\nw\n:::': '::: {.callout-tip title="Say \\"no\\""}\nw\n:::',
    "```{warning}\nw\n```": "::: {.callout-warning}\nw\n:::",
    ":::{note}\n:class: dropdown\nw\n:::": '::: {.callout-note collapse="true"}\n\nw\n:::',
    ":::{dropdown} More\nw\n:::": '::: {.callout-note title="More" collapse="true"}\nw\n:::',
    ":::{prf:lemma} Zorn\n:label: lem-zorn\nw\n:::": '::: {.lemma #lem-zorn name="Zorn"}\n\nw\n:::',
    ":::{nosuch}\nw\n:::": ":::{nosuch}\nw\n:::",
    "```{note}\nnever closed": "```{note}\nnever closed",
}


@pytest.mark.parametrize("source", SPELLINGS)
def test_directives(source: str) -> None:
    lines = source.split("\n")
    myst.rewrite(lines, 0)
    assert "\n".join(lines) == SPELLINGS[source]


COMMENTS = {
    "_class: lead": {"_class": "lead"},
    "class:\n  - lead\n  - invert": {"class": "lead invert"},
    "paginate: true": {"paginate": "true"},
    "color: #fff": {"color": "#fff"},
    'footer: ""': {"footer": ""},
    "Say: this": {},
    "a note": {},
    "class: x\nother: y": {},
    "- a list": {},
}


@pytest.mark.parametrize("comment", COMMENTS)
def test_comments_of_marp(comment: str) -> None:
    assert marp._directives(comment) == COMMENTS[comment]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=12))
def test_runs_hold_every_number_once(numbers: list[int]) -> None:
    runs = _runs([f"2.{n}" for n in numbers])
    assert [i for run in runs for i in run] == list(range(len(numbers)))
    for run in runs:
        values = [numbers[i] for i in run]
        assert values == list(range(values[0], values[0] + len(values)))
    for before, after in pairwise(runs):
        assert numbers[before[-1]] + 1 != numbers[after[0]]
