"""LaTeX macros: reading definitions and expanding uses, as TeX does it inside formulas.

Handles ``\\newcommand``, ``\\renewcommand``, ``\\providecommand`` (starred, with an optional argument),
``\\def`` with parameters, ``\\let``, ``\\DeclareMathOperator``, ``\\DeclarePairedDelimiter``
and ``\\newenvironment``.
Targets that know no macros (Typst, and HTML for the sake of one result everywhere) get expanded formulas.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

LIMIT = 5_000  # expansions in one formula: more means that a macro calls itself

_TOKEN = re.compile(r"\\(?:[A-Za-z@]+|.|\n)|%[^\n]*\n?[ \t]*|[{}]|[^\\%{}]|\\", re.DOTALL)
_DEFINES = (
    "newcommand", "renewcommand", "providecommand", "DeclareRobustCommand", "def", "gdef", "let",
    "DeclareMathOperator", "DeclarePairedDelimiter", "newenvironment", "renewenvironment",
)  # fmt: skip
DEFINITION = re.compile(r"\\(?:" + "|".join(_DEFINES) + r")(?![A-Za-z@])")
# Commands that LaTeX does not accept unbraced behind ^ or _.
_NEEDS_BRACES = re.compile(r"\\(?:boldsymbol|bm|pmb|operatorname|text\w*|symbf|symbfit|mathop)(?![A-Za-z])")


class MacroError(Exception):
    """A definition or use that cannot be read, or a macro that never ends."""


@dataclass(frozen=True, slots=True)
class Macro:
    """``parameters``: None is an undelimited argument, a string the text that ends a delimited one.
    ``default`` is the value of an optional first argument, or None when there is none."""

    parameters: tuple[str | None, ...]
    body: str
    default: str | None = None
    lead: str = ""
    starred: Macro | None = None


@dataclass(slots=True)
class Macros:
    commands: dict[str, Macro] = field(default_factory=dict)
    environments: dict[str, tuple[Macro, str]] = field(default_factory=dict)

    def copy(self) -> Macros:
        return Macros(dict(self.commands), dict(self.environments))


class _Reader:
    """A position in TeX source."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def peek(self) -> str:
        match = _TOKEN.match(self.text, self.at)
        return match[0] if match else ""

    def take(self) -> str:
        token = self.peek()
        self.at += len(token)
        return token

    def skip(self) -> None:
        while self.at < len(self.text):
            token = self.peek()
            if not (token.isspace() or token.startswith("%")):
                return
            self.at += len(token)

    def group(self) -> str:
        """The inside of the {…} that starts here."""
        if self.take() != "{":
            raise MacroError("expected {")
        start, depth = self.at, 1
        while depth:
            token = self.take()
            if not token:
                raise MacroError("a { is never closed")
            depth += (token == "{") - (token == "}")
        return self.text[start : self.at - 1]

    def argument(self) -> str:
        """A braced group without its braces, or one token."""
        self.skip()
        if self.peek() == "{":
            return self.group()
        token = self.take()
        if not token or token == "}":
            raise MacroError("an argument is missing")
        return token

    def optional(self) -> str | None:
        """The inside of [...] if it stands here."""
        mark = self.at
        self.skip()
        if self.peek() != "[":
            self.at = mark
            return None
        self.take()
        start, depth = self.at, 0
        while True:
            token = self.take()
            if not token:
                raise MacroError("a [ is never closed")
            if token == "]" and depth == 0:
                return self.text[start : self.at - 1]
            depth += (token == "{") - (token == "}")

    def star(self) -> bool:
        mark = self.at
        self.skip()
        if self.peek() == "*":
            self.take()
            return True
        self.at = mark
        return False


def _name(reader: _Reader) -> str:
    name = reader.argument().strip()
    if not re.fullmatch(r"\\(?:[A-Za-z@]+|.)", name):
        raise MacroError(f"{name!r} is not a command name")
    return name


def _count(text: str | None) -> int:
    if text is None:
        return 0
    if not text.strip().isdigit() or not 0 <= int(text) <= 9:
        raise MacroError(f"[{text}] is not a number of arguments")
    return int(text)


def _define(reader: _Reader, macros: Macros) -> str:
    """Reads one definition at the reader's position into ``macros``; returns the name it defines."""
    command = reader.take()[1:]
    starred = reader.star()
    if command in ("def", "gdef"):
        reader.skip()
        name = reader.take()
        start = reader.at
        while reader.peek() not in ("{", ""):
            reader.take()
        pattern = reader.text[start : reader.at]
        parts = re.split(r"#[1-9]", pattern)
        macros.commands[name] = Macro(
            tuple(part or None for part in parts[1:]), reader.group(), lead=parts[0].strip()
        )
        return name
    if command == "let":
        reader.skip()
        name = reader.take()
        reader.skip()
        if reader.peek() == "=":
            reader.take()
            reader.skip()
        target = reader.take()
        macros.commands[name] = macros.commands.get(target, Macro((), target))
        return name
    if command.endswith("environment"):
        name = reader.argument().strip()
        count, default = _count(reader.optional()), reader.optional()
        begin, end = reader.argument(), reader.argument()
        macros.environments[name] = (Macro((None,) * count, begin, default), end)
        return name
    name = _name(reader)
    if command == "DeclareMathOperator":
        macros.commands[name] = Macro((), f"\\operatorname{'*' if starred else ''}{{{reader.argument()}}}")
    elif command == "DeclarePairedDelimiter":
        left, right = reader.argument(), reader.argument()
        plain = Macro((None,), f"{left} #1 {right}")
        macros.commands[name] = Macro(
            (None,), plain.body, lead="", starred=Macro((None,), f"\\left{left} #1 \\right{right}")
        )
    else:
        count, default = _count(reader.optional()), reader.optional()
        body = reader.argument()
        if command != "providecommand" or name not in macros.commands:
            macros.commands[name] = Macro((None,) * count, body, default)
    return name


def definitions(text: str) -> Iterator[tuple[int, int]]:
    """Where definitions stand in ``text``, as (start, end). Stops at one that cannot be read."""
    at = 0
    while match := DEFINITION.search(text, at):
        if text[: match.start()].endswith("\\"):  # `\\newcommand`: a line break and a word
            at = match.end()
            continue
        reader = _Reader(text)
        reader.at = match.start()
        try:
            _define(reader, Macros())
        except MacroError:
            at = match.end()
            continue
        yield match.start(), reader.at
        at = reader.at


def learn(text: str, macros: Macros) -> None:
    """Reads every definition in ``text`` into ``macros``."""
    for start, end in definitions(text):
        reader = _Reader(text[:end])
        reader.at = start
        _define(reader, macros)


def split_definitions(text: str) -> tuple[str, str]:
    """``text`` without its definitions, and the definitions."""
    rest, found, at = [], [], 0
    for start, end in definitions(text):
        rest.append(text[at:start])
        found.append(text[start:end])
        at = end
    rest.append(text[at:])
    return "".join(rest), "\n".join(found)


def _join(left: str, right: str) -> str:
    """Two pieces side by side, with a space where `\\alpha` + `x` would make another command."""
    glue = " " if re.search(r"(?<!\\)(?:\\\\)*\\[A-Za-z@]+$", left) and right[:1].isalpha() else ""
    return left + glue + right


def _arguments(reader: _Reader, macro: Macro) -> list[str]:
    if macro.lead:
        reader.skip()
        if not reader.text.startswith(macro.lead, reader.at):
            raise MacroError(f"expected {macro.lead!r}")
        reader.at += len(macro.lead)
    arguments = []
    for i, until in enumerate(macro.parameters):
        if i == 0 and macro.default is not None:
            given = reader.optional()
            arguments.append(macro.default if given is None else given)
        elif until is None:
            arguments.append(reader.argument())
        else:
            end = reader.text.find(until.strip(), reader.at)
            if end < 0:
                raise MacroError(f"expected {until!r}")
            arguments.append(reader.text[reader.at : end].strip())
            reader.at = end + len(until.strip())
    return arguments


def _substitute(body: str, arguments: list[str]) -> str:
    out = ""
    for i, part in enumerate(re.split(r"#([1-9])", body)):
        if i % 2 == 0:
            out = _join(out, part)
        elif int(part) <= len(arguments):
            out = _join(out, arguments[int(part) - 1])
    return out.replace("##", "#")


def expand(text: str, macros: Macros) -> str:
    """The formula with every known macro replaced, definitions in it learnt and taken out.

    ``macros`` learns. Raises MacroError when a macro calls itself for ever.
    """
    out = ""
    reader = _Reader(text)
    used = 0
    while token := reader.peek():
        if token.startswith("%") and len(token) > 0:
            reader.take()
            out += "\n" if "\n" in token else ""
            continue
        if DEFINITION.fullmatch(token):
            start = reader.at
            try:
                _define(reader, macros)
            except MacroError:
                reader.at = start + len(token)
                out = _join(out, token)
            continue
        reader.take()
        replaced = _expand_one(token, reader, macros)
        if replaced is None:
            out += token
            continue
        used += 1
        if used > LIMIT:
            raise MacroError(f"{token} calls itself without end")
        if re.search(r"[_^]\s*$", out) and replaced.lstrip().startswith("\\"):
            replaced = "{" + replaced + "}"
        if _join(out, replaced) != out + replaced:
            out += " "
        rest = _join(replaced, reader.text[reader.at :])
        reader = _Reader(rest)
    return out


def _expand_one(token: str, reader: _Reader, macros: Macros) -> str | None:
    """What ``token``, just taken, stands for; None when it is no macro. Takes the arguments."""
    mark = reader.at
    try:
        if token in macros.commands:
            macro = macros.commands[token]
            if macro.starred is not None:
                if reader.star():
                    macro = macro.starred
                elif (size := reader.optional()) is not None:
                    left, right = macro.body.split(" #1 ")
                    macro = Macro((None,), f"{size}l{left} #1 {size}r{right}")
            return _substitute(macro.body, _arguments(reader, macro))
        if token in ("\\begin", "\\end") and macros.environments:
            name = reader.argument()
            if name in macros.environments:
                begin, end = macros.environments[name]
                return end if token == "\\end" else _substitute(begin.body, _arguments(reader, begin))
    except MacroError:
        pass
    reader.at = mark
    return None


def brace_scripts(text: str, macros: Macros) -> str:
    """Braces around what LaTeX needs braced behind ^ and _: `f_\\boldsymbol{x}` → `f_{\\boldsymbol{x}}`."""
    out = ""
    reader = _Reader(text)
    while token := reader.take():
        script = re.search(r"[_^]\s*$", out) and not re.search(r"\\[_^]\s*$", out)
        macro = macros.commands.get(token)
        if script and (macro is not None or _NEEDS_BRACES.fullmatch(token)):
            start = reader.at
            try:
                if macro is not None:
                    _arguments(reader, macro)
                else:
                    reader.star()
                    reader.argument()
            except MacroError:
                reader.at = start
            out += "{" + token + reader.text[start : reader.at] + "}"
        else:
            out += token
    return out
