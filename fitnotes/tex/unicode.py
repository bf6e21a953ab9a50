"""Characters beyond Latin in the text and code of a note, for pdflatex, which knows few of them."""

from __future__ import annotations

import re
import unicodedata

# What has no name to go by: characters, and the commands of LaTeX's mathematics for them, in the same order.
_SIGNS = (
    "∂∇≤≥≠≈≡≅∼∝∞∑∏∫√∈∉∋⊂⊃⊆⊇∪∩∅∀∃∧∨→←↔⇒⇐⇔↦↑↓↗↘‖∥⟨⟩⌊⌋⌈⌉∘⊙⊗⊕⊤⊥−∗⋅⋯⋮⋱′″ℓℏ✓✔✗✘★☆□■△▽◯●≪≫"
    "∖∣⊢⊨≲≳⊔⊓∮∬∭⟶⟵⟹⟸⟺⟷≺≻⪯⪰⊲⊳ℑℜ∠♯♭♮⊎⋂⋃⋁⋀⨁⨂∐⊣⊊⊋∄⋄≐≍↪↩⇀↼⇌⟼↙↖"
)
_LATIN_1 = {
    "±": r"\pm",
    "×": r"\times",
    "÷": r"\div",
    "¬": r"\neg",
    "·": r"\cdot",
    "°": r"{^{\circ}}",
    "µ": r"\mu",
}
_COMMANDS = r"""
\partial \nabla \leq \geq \neq \approx \equiv \cong \sim \propto \infty \sum \prod \int \surd \in \notin
\ni \subset \supset \subseteq \supseteq \cup \cap \emptyset \forall \exists \wedge \vee \to \leftarrow
\leftrightarrow \Rightarrow \Leftarrow \Leftrightarrow \mapsto \uparrow \downarrow \nearrow \searrow \|
\parallel \langle \rangle \lfloor \rfloor \lceil \rceil \circ \odot \otimes \oplus \top \perp - \ast
\cdot \cdots \vdots \ddots ' '' \ell \hbar \checkmark \checkmark \times \times \star \star \square
\blacksquare \triangle \triangledown \bigcirc \bullet \ll \gg \setminus \mid \vdash \models
\lesssim \gtrsim \sqcup \sqcap \oint \iint \iiint \longrightarrow \longleftarrow \Longrightarrow \Longleftarrow
\Longleftrightarrow \longleftrightarrow \prec \succ \preceq \succeq \lhd \rhd \Im \Re \angle \sharp \flat \natural
\uplus \bigcap \bigcup \bigvee \bigwedge \bigoplus \bigotimes \coprod \dashv \subsetneq \supsetneq \nexists \diamond
\doteq \asymp \hookrightarrow \hookleftarrow \rightharpoonup \leftharpoonup \rightleftharpoons \longmapsto \swarrow
\nwarrow
""".split()  # noqa: SIM905
_TABLE = dict(zip(_SIGNS, _COMMANDS, strict=True)) | _LATIN_1
_GREEK = """
alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi
psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega
""".split()  # noqa: SIM905
_VARIANTS = {
    "ε": "varepsilon",
    "φ": "varphi",
    "ϰ": "varkappa",
    "ς": "varsigma",
    "ϑ": "vartheta",
    "ϕ": "phi",
    "ϖ": "varpi",
    "ϱ": "varrho",
    "ϵ": "epsilon",
}
_DOUBLE_STRUCK = dict(zip("ℂℕℚℝℤℙ", "CNQRZP", strict=True))
# Greek capitals that look like Latin ones have no command of their own.
_LATIN = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABEZHIKMNOPTYXo", strict=True))


_SUPER = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿⁱ", "0123456789+-ni", strict=True))
_SUB = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋ₙᵢⱼₖ", "0123456789+-nijk", strict=True))
_RAISED = re.compile(f"[{''.join(_SUPER)}]+|[{''.join(_SUB)}]+")


def raised(tex: str) -> str:
    """A formula with its small characters as one script each: ``x⁻¹`` is ``x^{-1}``."""

    def script(match: re.Match[str]) -> str:
        table, sign = (_SUPER, "^") if match[0][0] in _SUPER else (_SUB, "_")
        return f"{sign}{{{''.join(table[char] for char in match[0])}}}"

    return _RAISED.sub(script, tex)


def latex(char: str) -> str | None:
    r"""A character in LaTeX, in text and in formulas alike; None where this knows of nothing.

    >>> latex("∂"), latex("ω"), latex("²"), latex("中")
    ('\\ensuremath{\\partial}', '\\ensuremath{\\omega}', '\\ensuremath{^{2}}', None)
    """
    if char in _TABLE:
        return f"\\ensuremath{{{_TABLE[char]}}}"
    if char in _DOUBLE_STRUCK:
        return f"\\ensuremath{{\\mathbb{{{_DOUBLE_STRUCK[char]}}}}}"
    if char in _LATIN:
        return f"\\ensuremath{{\\mathrm{{{_LATIN[char]}}}}}"
    kind, _, base = unicodedata.decomposition(char).partition(" ")
    if kind in ("<super>", "<sub>") and " " not in base:
        inner = chr(int(base, 16))
        if not inner.isascii():
            inner = _TABLE.get(inner) or _greek(inner) or ""
        return f"\\ensuremath{{{'^' if kind == '<super>' else '_'}{{{inner}}}}}" if inner else None
    greek = _greek(char)
    return f"\\ensuremath{{{greek}}}" if greek else None


def _greek(char: str) -> str | None:
    if char in _VARIANTS:
        return f"\\{_VARIANTS[char]}"
    words = unicodedata.name(char, "").split(" ")  # such as GREEK SMALL LETTER LAMDA
    if len(words) != 4 or words[0] != "GREEK":
        return None
    letter = words[3].replace("LAMDA", "LAMBDA")
    name = letter.lower() if words[1] == "SMALL" else letter.capitalize()
    return f"\\{name}" if name in _GREEK else None


def declarations(tex: str) -> str:
    """Preamble lines for the characters in a document that pdflatex does not know, or knows in text only: a ²
    in a formula would come out as another letter.

    What has no substitute shows as its number, and the log says so in the words that LaTeX has for it.
    """
    lines = []
    for c in sorted({c for c in tex if ord(c) > 0x7F}):
        # What only steers the line, such as a space without width, shows nothing.
        shown = "" if unicodedata.category(c) == "Cf" and ord(c) > 0xFF else latex(c)
        if shown is None and (ord(c) < 0x180 or c in _IN_TEXT):
            continue
        number = f"{ord(c):04X}"
        if shown is not None:
            lines.append(f"\\DeclareUnicodeCharacter{{{number}}}{{{shown}}}")
        else:
            missing = f"\\textbf{{[U+{number}]}}\\typeout{{Missing character: There is no \\detokenize{{{c}}} here}}"
            lines.append(f"\\ifcsname u8:\\detokenize{{{c}}}\\endcsname\\else")
            lines.append(f"  \\DeclareUnicodeCharacter{{{number}}}{{{missing}}}\\fi")
    return "\n".join(lines)


# Beyond Latin letters, what pdflatex knows in text: quotation marks, dashes, the ellipsis, the euro and their like.
_IN_TEXT = frozenset("‐‑‒–—―‘’‚“”„†‡•…‰‹›€™ ")


_AS_MATHS = {
    "’": "'",
    "\u2034": "'" * 3,
    "\u2057": "'" * 4,
    "…": r"\ldots ",
    "•": r"\bullet ",
    "†": r"\dagger ",
    "‡": r"\ddagger ",
}
# The arguments in which characters are text.
WORDS = re.compile(r"(\\(?:label|ref|eqref|cref|tag|text\w*|mbox|operatorname\*?)\s*\{[^{}]*\})")


def unshown(tex: str) -> str:
    """The characters of a formula that `mathematical` has written for which LaTeX's fonts have nothing."""
    return "".join(re.sub(r"[\x00-\x7f]", "", part) for part in WORDS.split(tex)[::2])


def mathematical(tex: str) -> str:
    r"""A formula with LaTeX's commands in the place of characters that its fonts do not have.

    >>> mathematical("∇f ≤ ω²")
    '\\nabla f \\leq  \\omega ^{2}'
    >>> mathematical("𝐀𝒜𝛼 \mathrm{für}")
    '\\mathbf{A}\\mathcal{A}{\\alpha} \\mathrm{f\\text{ü}r}'
    """
    if tex.isascii():
        return tex

    def command(match: re.Match[str]) -> str:
        if match[0] in _AS_MATHS:
            return _AS_MATHS[match[0]]
        if match[0] in _IN_TEXT:
            return f"\\text{{{match[0]}}}"
        shown = latex(match[0])
        if shown is None:
            return _styled(match[0])
        inner = shown.removeprefix("\\ensuremath{").removesuffix("}")
        return inner + (" " if inner[-1:].isalpha() and inner.startswith("\\") else "")

    parts = WORDS.split(raised(tex))
    return "".join(part if n % 2 else re.sub(r"[^\x00-\x7f]", command, part) for n, part in enumerate(parts))


# How Unicode names the alphabets of mathematics, and LaTeX.
_ALPHABETS = (
    ("BOLD ITALIC ", "boldsymbol"), ("BOLD SCRIPT ", ""), ("BOLD FRAKTUR ", ""), ("SANS-SERIF BOLD", ""),
    ("SANS-SERIF ITALIC ", ""), ("SANS-SERIF ", "mathsf"), ("MONOSPACE ", "mathtt"), ("DOUBLE-STRUCK ", "mathbb"),
    ("SCRIPT ", "mathcal"), ("FRAKTUR ", "mathfrak"), ("BLACK-LETTER ", "mathfrak"), ("ITALIC ", "{}"),
    ("BOLD ", "mathbf"),
)  # fmt: skip


def _styled(char: str) -> str:
    """A letter of one of Unicode's alphabets for mathematics in LaTeX's; another letter as text; any other sign as it
    is."""
    name = unicodedata.name(char, "").removeprefix("MATHEMATICAL ")
    plain = unicodedata.normalize("NFKC", char)
    if plain != char and len(plain) == 1:
        base = plain if plain.isascii() else _greek(plain)
        command = next((command for start, command in _ALPHABETS if name.startswith(start)), "")
        if base and command:
            return f"{{{base}}}" if command == "{}" else f"\\{command}{{{base}}}"
    return f"\\text{{{char}}}" if unicodedata.category(char)[0] == "L" and ord(char) < 0x1D400 else char
