"""What a kind of text can hold: steps and writers ask for these, never for the name of a target."""

from __future__ import annotations

from dataclasses import dataclass

# What decks are called in ``when-format``, whatever they are written in.
DECKS = frozenset({"slides", "revealjs", "beamer"})
BROWSERS = frozenset({".svg", ".png", ".jpg", ".jpeg", ".gif", ".webp"})  # pictures that every browser shows


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of text that the tree is written as. A target is written in one of them.

    ``title``: as tables call it; ``suffix``: of the pages that links between notes lead to; ``names``: what
    ``when-format`` may call it, beside its name; ``pictures``: the files that it shows as they are; ``drawings``: what
    a drawing becomes, where it cannot be shown as it is.
    """

    name: str
    title: str
    suffix: str
    names: frozenset[str] = frozenset()
    pictures: frozenset[str] = BROWSERS
    drawings: str = ".svg"
    svg_words: bool = (
        True  # an SVG with words shows as it is; else they would be set in the fonts of the document
    )
    turns_photos: bool = True  # as the camera says that it was held
    is_tex: bool = False  # it is LaTeX: macros, raw TeX and the numbers of formulas stay as they are written
    is_html: bool = False  # results may be HTML, and long ones fold
    room: int = 0  # characters in a line of a table on paper; 0: there are no lines, or the page scrolls
    wraps: bool = True  # columns of tables wrap by themselves
    inline_svg: bool = False  # so does an SVG in it, and CSS
    keeps_tags: bool = False  # HTML in the note stays, and so does HTML inside a drawing
    has_own_tables: bool = False  # a table written in HTML becomes one of its own
    draws_mermaid: bool = False  # whoever shows it draws Mermaid
    numbers_headings: bool = True  # its writer does; else numbers are written into the text
    instead: str = ""  # the option that would honour what is LaTeX's alone

    @property
    def all_names(self) -> frozenset[str]:
        return self.names | {self.name}
