"""Which characters a PDF by Typst would show as boxes. Typst does not say; in an SVG all of them are one drawing."""

from __future__ import annotations

import functools
import re
import unicodedata

# Scripts that the fonts inside Typst (Libertinus Serif, New Computer Modern, DejaVu Sans Mono) have as a whole.
_SAFE = re.compile(
    "[\u0000-\u007e\u00a0-\u0148\u014a-\u017e\u0386-\u03ce\u0401-\u045f\u1e00-\u1eff\u2002-\u200d\u2010-\u2027\u202f"
    "\u2030-\u203a\u2070-\u209c\u2102-\u211e\u2122\u2124\u2126-\u2138\u2190-\u22ff\u2308-\u230b\u27e6-\u27ef\ufe0e\ufe0f\U0001d400-\U0001d7ff]+"
)
_NOWHERE = "\U000ffff0"  # no font has it


def unusual(text: str) -> str:
    """The characters of a text that some fonts may lack, each once, in order."""
    return "".join(dict.fromkeys(_SAFE.sub("", text)))


@functools.cache
def missing(characters: str, *, system: bool) -> str:
    """Those that no font has: of those inside Typst, or, with ``system``, of this machine's too."""
    import typst

    shown = [
        c
        for c in characters
        if unicodedata.category(c) not in ("Cf", "Zs", "Zl", "Zp", "Mn", "Cc", "Cs", "Cn")
    ]
    if not shown:
        return ""
    pages = "#pagebreak()".join(f'#"\\u{{{ord(c):x}}}"' for c in [*shown, _NOWHERE])
    setting = '#set page(width: 60pt, height: 40pt, margin: 5pt)\n#set text(font: "Libertinus Serif")\n'
    compiler = typst.Compiler((setting + pages).encode(), ignore_system_fonts=not system)
    made = compiler.compile(format="svg")
    drawings = [bytes(page).decode() for page in made] if isinstance(made, list) else []
    glyphs = [re.findall(r'<use [^>]*xlink:href="#(\w+)"', drawing) for drawing in drawings]
    return "".join(c for c, found in zip(shown, glyphs, strict=False) if found == glyphs[-1])


_SCRIPTS = {
    "CJK": "fonts-noto-cjk", "HANGUL": "fonts-noto-cjk", "HIRAGANA": "fonts-noto-cjk", "KATAKANA": "fonts-noto-cjk",
    "HEBREW": "fonts-noto-core", "ARABIC": "fonts-noto-core", "THAI": "fonts-noto-core",
    "DEVANAGARI": "fonts-noto-core",
}  # fmt: skip


def how_to_get(character: str) -> str:
    """A hint for a character that no font has."""
    name = unicodedata.name(character, "")
    package = _SCRIPTS.get(name.split(" ")[0], "")
    if not package:
        package = "fonts-noto-color-emoji" if ord(character) >= 0x1F000 else "fonts-noto"
    return f"install a font that has it: on Debian apt install {package}, elsewhere https://fonts.google.com/noto"
