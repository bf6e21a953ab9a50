"""Letters, signs, words, lengths and colours of a formula, in Typst's words."""

from __future__ import annotations

import re

import tinycss2.color3

from fitnotes.draw.mathml import alphabets, variant_name
from fitnotes.draw.mathtree import Untranslatable, length

# How deep in scripts the sizes of nodes are: the first three are not in display style.
LEVELS = (2, 1, 0, 0, 1, 2)
SCALES = (1.0, 0.7, 0.5)  # how large text is at these levels
EMPTY = '#""'  # nothing, where Typst wants something


def em(value: float) -> str:
    return f"{round(value, 3):g}em"


def escaped(text: str) -> str:
    """Signs that mean nothing but themselves in Typst's maths."""
    return "".join(f"\\u{{{ord(char):x}}}" for char in text)


def quoted(text: str) -> str:
    """A string of Typst."""
    plain = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'"{plain}"'


def delimiter(text: str) -> str:
    """The sign of Unicode that stretches in Typst's font."""
    return escaped({"\u2225": "\u2016", "\u2223": "|"}.get(text, text))


def operator(char: str, variant: str) -> str:
    """A sign in one of MathML's alphabets; there are no bold ones, so their outline is drawn."""
    found = alphabets().get((variant_name(variant), char))
    if found is None and "BOLD" in variant_name(variant):
        return f"#heavy(${escaped(char)}$)"
    return escaped(found or char)


def letter(char: str, variant: str) -> str:
    """A letter, digit or sign in one of MathML's alphabets."""
    style = variant_name(variant)
    if variant == "-tex-calligraphic" and char.isascii() and char.isupper():
        return f"cal({char})"
    if variant == "script" and char.isascii() and char.isalpha():
        return f"scr({char})"
    if style in ("NORMAL", ""):
        plain = char if char.isascii() and char.isalnum() else escaped(char)
        if char.isdigit():
            return plain
        return f"upright({plain})" if char.isalpha() else f'class("normal", {plain})'
    if style == "ITALIC" and char.isascii() and char.isalpha():
        return char
    found = alphabets().get((style, char))
    if found is not None:
        return escaped(found)
    if style == "ITALIC":
        return escaped(char) if char.isalpha() else f'class("normal", {escaped(char)})'
    if "BOLD" in style:
        return f'#heavy($class("normal", upright({escaped(char)}))$)'
    return letter(char, "normal")


def words(text: str, variant: str) -> str:
    """A word, or the words of a text."""
    text = text.replace("\u00a0", " ") if text.strip("\u00a0 ") else text
    style = variant_name(variant)
    if style in ("NORMAL", "", "OLDSTYLE"):
        return f"#words({quoted(text)})"
    faces = {"BOLD": 'weight: "bold"', "ITALIC": 'style: "italic"'}
    faces["BOLD ITALIC"] = f"{faces['BOLD']}, {faces['ITALIC']}"
    if style in faces:
        return f"#words({quoted(text)}, {faces[style]})"
    if style == "MONOSPACE":
        return f"#words({quoted(text)}, mono: true)"
    return " ".join(letter(char, variant) if char != " " else "#h(0.25em)" for char in text)


def colour(value: object) -> str:
    """A colour of CSS in Typst's words."""
    found = tinycss2.color3.parse_color(str(value))
    if found is None or isinstance(found, str):
        raise Untranslatable(f"the colour {value}")
    parts = [round(part * 255) for part in found[:3]]
    return f'rgb("#{parts[0]:02x}{parts[1]:02x}{parts[2]:02x}")'


def padding(value: str, name: str) -> str:
    """A size of ``mpadded`` as an expression over the sizes of what is in it."""
    match = re.fullmatch(r"([-+]?)\s*(\d*\.?\d*)\s*([a-z]*|%)", value.strip())
    if match is None:
        raise Untranslatable(f"a size of {value}")
    sign, number, unit = match[1], match[2] or "1", match[3]
    own = {"lspace": "0pt", "voffset": "0pt"}.get(name, f"it.{name}")
    if unit in ("width", "height", "depth"):
        size = f"{number} * it.{unit}"
    elif unit == "%":
        size = f"{float(number) / 100:g} * {own}"
    else:
        size = em(length(f"{number}{unit}")) if float(number) else "0pt"
    if sign and own != "0pt":
        return f"{own} {sign} {size}"
    return f"-{size}" if sign == "-" else size
