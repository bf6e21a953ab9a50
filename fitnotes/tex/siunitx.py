"""Numbers with units as siunitx writes them, in plain maths: for targets that do not have the package.

Its manual: https://ctan.org/pkg/siunitx (version 3). What is written here follows its defaults, and the options below.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from fitnotes.tex.macros import Macro, Macros
from fitnotes.tex.tokens import Reader, TexError

_UNITS = {
    "meter": "m", "metre": "m", "second": "s", "gram": "g", "kilogram": "kg", "ampere": "A", "kelvin": "K",
    "mole": "mol", "candela": "cd", "hertz": "Hz", "newton": "N", "pascal": "Pa", "joule": "J", "watt": "W",
    "coulomb": "C", "volt": "V", "farad": "F", "ohm": r"\Omega", "siemens": "S", "weber": "Wb", "tesla": "T",
    "henry": "H", "lumen": "lm", "lux": "lx", "becquerel": "Bq", "gray": "Gy", "sievert": "Sv", "katal": "kat",
    "celsius": r"{}^{\circ}C", "degreeCelsius": r"{}^{\circ}C", "degree": r"{}^{\circ}", "radian": "rad",
    "steradian": "sr", "liter": "L", "litre": "L", "minute": "min", "hour": "h", "day": "d", "hectare": "ha",
    "tonne": "t", "electronvolt": "eV", "dalton": "Da", "astronomicalunit": "au", "percent": r"\%", "bar": "bar",
    "byte": "B", "bit": "bit", "decibel": "dB", "bel": "B", "neper": "Np", "angstrom": r"\mathring{A}",
    "arcminute": "'", "arcsecond": "''",
}  # fmt: skip
_PREFIXES = {
    "quecto": "q", "ronto": "r", "yocto": "y", "zepto": "z", "atto": "a", "femto": "f", "pico": "p", "nano": "n",
    "micro": r"\mu ", "milli": "m", "centi": "c", "deci": "d", "deca": "da", "hecto": "h", "kilo": "k", "mega": "M",
    "giga": "G", "tera": "T", "peta": "P", "exa": "E", "zetta": "Z", "yotta": "Y", "kibi": "Ki", "mebi": "Mi",
    "gibi": "Gi",
}  # fmt: skip
# The short names that siunitx has inside its own commands.
_SHORT = """
fg pg ng mg g kg amu pm nm mm cm dm m km as fs ps ns ms s fmol pmol nmol mmol mol kmol pA nA mA A kA l ml hl L
mL hL mHz Hz kHz MHz GHz THz mN N kN MN Pa kPa MPa GPa mohm kohm Mohm pV nV mV V kV nW mW W kW MW GW J mJ kJ
eV meV keV MeV GeV TeV kWh F fF pF nF K dB H mH kB MB GB T mT C rad
""".split()  # noqa: SIM905
_MICRO = ("ug", "um", "us", "umol", "uA", "ul", "uL", "uV", "uW", "uJ", "uF", "uH", "uT", "uC")
_POWERS = {"square": 2, "cubic": 3}
_AFTER = {"squared": 2, "cubed": 3}
_NUMBER = re.compile(
    r"(?P<sign>[-+]|\\pm|\\mp|<|>|\\le|\\ge)?(?P<whole>\d*)(?:[.,](?P<part>\d*))?"
    r"(?:\((?P<digits>[\d.]+)\)|(?:\+-|\\pm)(?P<spread>\d*(?:[.,]\d+)?))?(?:[eEdD](?P<power>[-+]?\d+))?$"
)
Options = Mapping[str, str]


def options(text: str) -> dict[str, str]:
    """``key = value, …`` as siunitx has them; braces around a value go."""
    found = {}
    for part in re.split(r",(?![^{]*\})", text):
        key, equals, value = part.partition("=")
        if key.strip():
            found[key.strip()] = value.strip().strip("{}") if equals else "true"
    return found


def number(text: str, said: Options) -> str:
    r"""
    >>> number("1.5e-3", {}), number("12345.678", {}), number("-.5(2)", {})
    ('1.5\\times 10^{-3}', '12\\,345.678', '-0.5(2)')
    """
    bare = re.sub(r"\s|~|\\,", "", text)
    if "x" in bare and all(part and _NUMBER.match(part) for part in bare.split("x")):
        return r"\times ".join(number(part, said) for part in bare.split("x"))
    match = _NUMBER.match(bare)
    if match is None or not bare:
        return text  # letters, or a formula: as it is
    whole, part = match["whole"], match["part"] or ""
    if said.get("round-mode", "none") != "none":
        whole, part = _rounded(whole, part, said)
    spread = re.sub(",", ".", match["spread"] or "")
    if spread:  # both with as many digits behind the point
        part = part.ljust(len(spread.partition(".")[2]), "0")
        digits = (spread.partition(".")[0] + spread.partition(".")[2].ljust(len(part), "0")).lstrip(
            "0"
        ) or "0"
    else:
        digits = match["digits"] or ""
    shown = _pointed(whole, part, said)
    if digits:
        shown = _with_uncertainty(shown, digits, len(part), said)
        shown = f"({shown})" if match["power"] and r"\pm" in shown else shown
    if match["power"]:
        power = f"10^{{{int(match['power'])}}}"
        shown = f"{shown}{said.get('exponent-product', chr(92) + 'times')} {power}" if shown else power
    sign = match["sign"] or ""
    return (f"{sign} " if sign.startswith("\\") else sign) + shown


def _pointed(whole: str, part: str, said: Options) -> str:
    """A number from the digits before and behind its point."""
    shown = _grouped(whole, said) or ("0" if part else "")
    if not part:
        return shown
    mark = said.get("output-decimal-marker", ".")
    return shown + (f"{{{mark}}}" if mark == "," else mark) + _grouped(part, said, behind=True)


def _with_uncertainty(shown: str, digits: str, places: int, said: Options) -> str:
    """``1.23(4)``: ``digits`` are the uncertainty in units of the last place; or apart, as ``1.23 ± 0.04``."""
    mode = said.get("uncertainty-mode", "compact")
    apart = mode == "separate" or said.get("separate-uncertainty", "false") == "true"
    if "." in digits or not (apart or mode in ("full", "compact-marker")):
        return f"{shown}({digits})"
    padded = digits.zfill(places + 1)
    whole = _pointed(padded[: len(padded) - places], padded[len(padded) - places :], said)
    if apart:
        return rf"{shown} \pm {whole}"
    return f"{shown}({whole if mode == 'full' or len(digits) > places else digits})"


def _grouped(digits: str, said: Options, *, behind: bool = False) -> str:
    """Digits in threes from the right, where there are five or more; ``behind`` the point from the left."""
    few = len(digits) < int(said.get("group-minimum-digits", "5"))
    if few or said.get("group-digits") in ("none", "false"):
        return digits
    gap = said.get("group-separator", r"\,")
    first = 0 if behind else len(digits) % 3
    parts = [digits[:first], *(digits[at : at + 3] for at in range(first, len(digits), 3))]
    return (gap if gap == r"\," else f"{{{gap}}}").join(part for part in parts if part)


def _rounded(whole: str, part: str, said: Options) -> tuple[str, str]:
    from decimal import ROUND_HALF_UP, Decimal

    value = Decimal(f"{whole or '0'}.{part or '0'}")
    count = int(said.get("round-precision", "2"))
    if said["round-mode"] == "figures" and value:
        count -= value.adjusted() + 1
    rounded = value.quantize(Decimal(1).scaleb(-count), rounding=ROUND_HALF_UP)
    whole, _, part = f"{rounded:f}".partition(".")
    return whole, part


def unit(text: str, said: Options) -> str:
    r"""
    >>> unit(r"\kilo\meter\per\second\squared", {}), unit("m/s^2", {})
    ('\\mathrm{km}\\,\\mathrm{s}^{-2}', '\\mathrm{m/s^2}')
    """
    if "\\" not in text:
        return rf"\mathrm{{{re.sub('[.~]', lambda _: chr(92) + ',', text)}}}" if text.strip() else ""
    parts: list[tuple[str, int]] = []  # (sign, power)
    prefix, power, below = "", 1, False
    reader = Reader(text)
    while token := reader.take():
        name = token[1:]
        if name == "per":
            below = True
        elif name in _PREFIXES:
            prefix += _PREFIXES[name]
        elif name in _POWERS:
            power = _POWERS[name]
        elif name in ("raiseto", "tothe"):
            amount = int(reader.argument())
            if name == "raiseto":
                power = amount
            else:
                parts[-1] = (parts[-1][0], parts[-1][1] * amount)
        elif name in _AFTER and parts:
            parts[-1] = (parts[-1][0], parts[-1][1] * _AFTER[name])
        elif name == "of":
            parts[-1] = (rf"{parts[-1][0]}_{{\mathrm{{{reader.argument()}}}}}", parts[-1][1])
        elif token.strip() and token not in ("~", ".", "{", "}"):
            sign = _sign(name, prefix) if token[0] == "\\" else rf"\mathrm{{{prefix}{token}}}"
            parts.append((sign, -power if below else power))
            prefix, power, below = "", 1, False
    return _joined(parts, said)


def _sign(name: str, prefix: str) -> str:
    if name in _UNITS:
        sign = _UNITS[name]
    elif name in _MICRO:
        prefix, sign = r"\mu ", name[1:]
    elif name in _SHORT:
        sign = name.replace("ohm", r"\Omega")
    else:
        return rf"\{name}"  # the author's own, or a mistake that the reader of the formula says
    return rf"\mathrm{{{prefix}{sign}}}"


def _joined(parts: Sequence[tuple[str, int]], said: Options) -> str:
    """Units side by side, those below with powers below zero, or behind a stroke, or in a fraction."""
    gap = said.get("inter-unit-product", r"\,")
    mode = said.get("per-mode", "power")

    def written(chosen: Sequence[tuple[str, int]]) -> str:
        return gap.join(sign if power == 1 else f"{sign}^{{{power}}}" for sign, power in chosen)

    above = [part for part in parts if part[1] > 0]
    below = [(sign, -power) for sign, power in parts if power < 0]
    if not below or mode not in ("symbol", "fraction", "repeated-symbol"):
        return written(parts)
    if mode == "fraction":
        return rf"\frac{{{written(above) or 1}}}{{{written(below)}}}"
    bottom = f"({written(below)})" if len(below) > 1 else written(below)
    return f"{written(above) or 1}/{bottom}"


def _quantity(value: str, of: str, said: Options) -> str:
    shown = unit(of, said)
    at_once = shown.startswith((r"\mathrm{{}^{\circ}}", r"\mathrm{'"))
    gap = "" if at_once else said.get("quantity-product", r"\,")
    amount = number(value, said)
    if shown and r" \pm " in amount and "(" not in amount:
        amount = f"({amount})"
    return f"{amount}{gap}{shown}" if shown else amount


def _listed(parts: Sequence[str], said: Options) -> str:
    last = rf"\text{{{said.get('list-final-separator', ' and ')}}}"
    return ",\\ ".join(parts[:-1]) + last + parts[-1] if len(parts) > 1 else "".join(parts)


def _angle(text: str, said: Options) -> str:
    signs = (r"^{\circ}", "'", "''")
    given = zip(text.split(";"), signs, strict=False)
    return "".join(number(part, said) + sign for part, sign in given if part.strip())


def _to(said: Options) -> str:
    return rf"\text{{{said.get('range-phrase', ' to ')}}}"


def _all(values: str) -> list[str]:
    return [value for value in values.split(";") if value.strip()]


Command = Callable[[Sequence[str], Options], str]
_COMMANDS: Mapping[str, tuple[int, Command]] = {
    "num": (1, lambda a, o: number(a[0], o)),
    "tablenum": (1, lambda a, o: number(a[0], o)),
    "numproduct": (1, lambda a, o: number(a[0], o)),
    "numlist": (1, lambda a, o: _listed([number(value, o) for value in _all(a[0])], o)),
    "numrange": (2, lambda a, o: number(a[0], o) + _to(o) + number(a[1], o)),
    "ang": (1, lambda a, o: _angle(a[0], o)),
    "unit": (1, lambda a, o: unit(a[0], o)),
    "qty": (2, lambda a, o: _quantity(a[0], a[1], o)),
    "qtyproduct": (2, lambda a, o: _quantity(a[0], a[1], o)),
    "qtylist": (2, lambda a, o: _listed([_quantity(value, a[1], o) for value in _all(a[0])], o)),
    "qtyrange": (3, lambda a, o: _quantity(a[0], a[2], o) + _to(o) + _quantity(a[1], a[2], o)),
}
_OLD = {"SI": "qty", "si": "unit", "SIlist": "qtylist", "SIrange": "qtyrange"}  # as version 2 had them


def add(macros: Macros, preamble: str) -> None:
    """The commands of siunitx that a preamble has not defined itself, with what its ``\\sisetup`` says."""
    set_up: dict[str, str] = {}
    for match in re.finditer(r"\\sisetup\s*(?=\{)", preamble):
        try:
            set_up |= options(Reader(preamble, match.end()).group())
        except TexError:
            continue
    made = {f"\\{name}": _macro(*_COMMANDS[name], set_up) for name in _COMMANDS}
    made |= {f"\\{old}": made[f"\\{name}"] for old, name in _OLD.items()}
    made["\\sisetup"] = Macro((None,), "")
    macros.commands = {**made, **macros.commands}


def _macro(count: int, write: Command, set_up: Options) -> Macro:
    def body(arguments: Sequence[str]) -> str:
        try:
            return rf"\ensuremath{{{write(arguments[1:], {**set_up, **options(arguments[0])})}}}"
        except (TexError, ValueError, IndexError, ArithmeticError):
            return r"\ensuremath{" + r"\,".join(arguments[1:]) + "}"

    return replace(Macro((None,) * (count + 1), "", ((0, ""),)), write=body)
