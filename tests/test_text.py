"""Text is text: what stands in a note stands in the PDF, whatever signs it is made of."""

from __future__ import annotations

import re

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from test_pages import build, words

NASTY = [
    *"+-=/*_#@$<>~`\\\"'[](){}|^&%:;.,!?", "1.", "2)", "//", "/*", "*/", "--", "---", "...", "http://x.y", "<a>",
    "@fig", "#let", "$x$", "`c`", "~~", "==", "[^1]", "\\(", "\\[", "é", "ω", "≤", "→", "\u2014", "\u2026", "\u00a0",
    "a", "b1", "X",
]  # fmt: skip
HOLDERS = {
    "paragraph": "{}",
    "bold": "**{}**",
    "quote": "> {}",
    "item": "- {}",
    "heading": "### {}",
    "cell": "| {} | b |\n|---|---|\n| c | d |",
    "below": "| a | b |\n|---|---|\n| {} | d |",
    "note": "Word.^[{}]",
    "link": "[{}](https://example.org/)",
    "caption": "| a |\n|---|\n| b |\n\n: {}",
    "definition": "Term\n\n:   {}",
    "callout": "::: callout-note\n{}\n:::",
}


def typed(text: str) -> str:
    """Markdown for exactly this text."""
    return re.sub(r"[!-/:-@\[-`{-~]", lambda sign: f"&#{ord(sign[0])};", text)


@pytest.mark.slow
@settings(max_examples=6, deadline=None, derandomize=True, phases=[Phase.generate])
@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(HOLDERS)), st.lists(st.sampled_from(NASTY), min_size=1, max_size=6)),
        min_size=40,
        max_size=40,
    )
)
def test_text_is_text_in_typst(
    tmp_path_factory: pytest.TempPathFactory, texts: list[tuple[str, list[str]]]
) -> None:
    """Whatever a text begins with or holds, and wherever it stands, the PDF has it as pandoc reads it."""
    folder = tmp_path_factory.mktemp("texts")
    wanted = [("".join(parts), holder) for holder, parts in texts]
    blocks = [HOLDERS[holder].format(f"{typed(text)} qq{n:02d}") for n, (text, holder) in enumerate(wanted)]
    (folder / "note.md").write_text(
        "\n\n".join(f"{block}\n\nnn{n:02d}" for n, block in enumerate(blocks)), encoding="utf-8"
    )
    (outcome,) = build(folder, folder / "note.md", "pdf")
    assert not outcome.exit_code, outcome.problems
    # Typst sets a minus before a number.
    squeezed = re.sub(r"\s+", "", words(folder / "_build" / "pdf" / "note.pdf")).replace("\u2212", "-")
    for n, (text, _) in enumerate(wanted):
        assert f"{re.sub(chr(92) + 's+', '', text)}qq{n:02d}" in squeezed, (n, text, wanted[n])
