"""Numbers with units as siunitx writes them, in plain maths: for targets that do not have the package."""

from __future__ import annotations

from fitnotes.tex.macros import Macros, learn

_UNITS = {
    "meter": "m", "metre": "m", "second": "s", "gram": "g", "kilogram": "kg", "ampere": "A", "kelvin": "K",
    "mole": "mol",
    "candela": "cd", "hertz": "Hz", "newton": "N", "pascal": "Pa", "joule": "J", "watt": "W", "coulomb": "C",
    "volt": "V",
    "farad": "F", "ohm": r"\Omega", "siemens": "S", "weber": "Wb", "tesla": "T", "henry": "H", "lumen": "lm",
    "lux": "lx",
    "becquerel": "Bq", "gray": "Gy", "sievert": "Sv", "celsius": r"{}^{\circ}C", "degreeCelsius": r"{}^{\circ}C",
    "radian": "rad", "steradian": "sr", "liter": "L", "litre": "L", "minute": "min", "hour": "h", "day": "d",
    "electronvolt": "eV", "percent": r"\%", "degree": r"{}^{\circ}", "bar": "bar", "byte": "B", "bit": "bit",
    "angstrom": r"\mathring{A}", "per": "/", "squared": "^2", "cubed": "^3", "square": "", "cubic": "",
    "pico": "p", "nano": "n", "micro": r"\mu ", "milli": "m", "centi": "c", "deci": "d", "kilo": "k", "mega": "M",
    "giga": "G", "tera": "T", "peta": "P", "femto": "f",
}  # fmt: skip
_COMMANDS = r"""
\newcommand{\SI}[3][]{#2\,\mathrm{#3}}\newcommand{\si}[2][]{\mathrm{#2}}\newcommand{\num}[2][]{#2}
\newcommand{\unit}[2][]{\mathrm{#2}}\newcommand{\qty}[3][]{#2\,\mathrm{#3}}\newcommand{\ang}[2][]{#2^{\circ}}
\newcommand{\SIrange}[4][]{#2\text{ to }#3\,\mathrm{#4}}\newcommand{\numrange}[3][]{#2\text{ to }#3}
"""


def add(macros: Macros) -> None:
    """The commands and units of siunitx that a preamble has not defined itself."""
    known = Macros()
    learn(_COMMANDS, known)
    units = "".join(f"\\newcommand{{\\{name}}}{{{sign}}}" for name, sign in _UNITS.items())
    learn(units, known)
    macros.commands = {**known.commands, **macros.commands}
