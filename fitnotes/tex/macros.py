"""LaTeX macros: reading definitions and expanding uses, as TeX does it inside formulas.

Handles ``\\newcommand``, ``\\renewcommand``, ``\\providecommand`` (starred, with an optional argument),
``\\def`` with parameters, ``\\let``, ``\\DeclareMathOperator``, ``\\DeclarePairedDelimiter`` (and its ``X``),
``\\NewDocumentCommand`` with mandatory and optional arguments, and ``\\newenvironment``.
Targets that know no macros (Typst, and HTML for the sake of one result everywhere) get expanded formulas.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from fitnotes.tex.tokens import Reader, TexError, readings

SIZE = "\0"
LONGEST = 200_000  # characters of a formula that is expanded
MOVED = 40_000_000  # characters behind all expansions together, each of which is looked at again
LIMIT = 5_000  # expansions in one formula: more means that a macro calls itself

_DOCUMENT = ("NewDocumentCommand", "RenewDocumentCommand", "ProvideDocumentCommand", "DeclareDocumentCommand")
_DEFINES = (
    "newcommand", "renewcommand", "providecommand", "DeclareRobustCommand", "def", "gdef", "edef", "xdef",
    "let", "DeclareMathOperator", "DeclarePairedDelimiter", "DeclarePairedDelimiterX", "newenvironment",
    "renewenvironment", *_DOCUMENT,
)  # fmt: skip
DEFINITION = re.compile(r"\\(?:" + "|".join(_DEFINES) + r")(?![A-Za-z@])")
# Commands that stop lualatex or pdflatex unbraced behind ^ or _ (corpus/bold-unbraced), with the number of their
# arguments. \text and \mathrm do not.
_ALPHABETS = ("mathbb", "mathcal", "mathfrak", "mathscr")  # with unicode-math alone, which is LaTeX's affair
_NEEDS_BRACES = {
    **dict.fromkeys(
        ("boldsymbol", "bm", "pmb", "operatorname", "symbf", "symbfit", "mathop", "mbox", "cancel", "phantom",
         "substack",
         "bar", "hat", "tilde", "vec", "dot", "ddot", "mathring", "widehat", "widetilde", "overline", "underline",
         "overrightarrow", "underbrace", "overbrace", *_ALPHABETS), 1),
    **dict.fromkeys(("binom", "dbinom", "tbinom", "dfrac", "tfrac", "overset", "underset", "stackrel"), 2),
    **dict.fromkeys(
        ("max", "min", "sup", "inf", "lim", "limsup", "liminf", "log", "ln", "exp", "sin", "cos", "tan", "det", "dim",
         "arg", "gcd", "Pr"), 0),
}  # fmt: skip


# Commands of LaTeX and amsmath that authors give a meaning of their own: \\newcommand would stop there.
_TAKEN = """
vec bar hat tilde dot ddot check acute grave breve mathring div Re Im P S H L O AA AE OE l o i j u v c d b t r k a
ss deg dim ker det exp log ln sin cos tan sec csc cot lim sup inf max min arg gcd hom Pr span and or not mod bmod
pmod epsilon varepsilon phi varphi to gets iff implies mid Box Diamond ge le dag sp sb tt bf it rm sf sc cal frac
sqrt sum prod int complement subset empty emptyset exists forall in ni top bot land lor neg lnot star ast cdot
times ll gg approx eq th dh dj ng TH DH input index title date author part section cite ref label text mathbb
mathcal mathbf mathrm boldsymbol operatorname dots colon cases matrix pmatrix proof qed abstract
"""
TAKEN = frozenset(f"\\{name}" for name in _TAKEN.split())
# Commands that take so many arguments: a macro without braces is one of them, whatever it expands to
# (corpus/unbraced-argument).
_ACCENTS = """
hat bar vec dot ddot tilde check acute grave breve mathring widehat widetilde overline underline overrightarrow
overleftarrow underbrace overbrace sqrt mathbf mathrm mathit mathsf mathtt mathbb mathcal mathscr mathfrak
boldsymbol bm pmb operatorname text textbf textit textrm mathop mathrel mathbin mathord boxed cancel phantom
"""
_TAKES = {f"\\{name}": 1 for name in _ACCENTS.split()}
_TAKES |= {
    f"\\{name}": 2
    for name in (
        "frac",
        "dfrac",
        "tfrac",
        "cfrac",
        "binom",
        "dbinom",
        "tbinom",
        "overset",
        "underset",
        "stackrel",
    )
}


class MacroError(TexError):
    """A definition or use that cannot be read, or a macro that never ends."""


@dataclass(frozen=True, slots=True)
class Macro:
    """``parameters``: None is an undelimited argument, a string the text that ends a delimited one.
    ``optional`` are the arguments that may stand in brackets, with their defaults, by position.
    ``sized`` is the body for ``\\abs[\\big]{x}``, with SIZE where the size goes."""

    parameters: tuple[str | None, ...]
    body: str
    optional: tuple[tuple[int, str], ...] = ()
    lead: str = ""
    starred: Macro | None = None
    sized: str | None = None
    # The meaning that a command of LaTeX had at a \\let, whatever its name means now (corpus/let-original).
    frozen: bool = False
    # What it expands to, where no body can say it: of its arguments.
    write: Callable[[Sequence[str]], str] | None = None


@dataclass(frozen=True, slots=True)
class Definition:
    """Where a definition stands in its text, and what it defines: ``\\R``, or an environment's name."""

    name: str
    command: str
    start: int
    end: int


@dataclass(slots=True)
class Macros:
    commands: dict[str, Macro] = field(default_factory=dict)
    environments: dict[str, tuple[Macro, str]] = field(default_factory=dict)

    def copy(self) -> Macros:
        return Macros(dict(self.commands), dict(self.environments))


def _name(reader: Reader) -> str:
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


def _optional(default: str | None) -> tuple[tuple[int, str], ...]:
    return () if default is None else ((0, default),)


def _define(reader: Reader, macros: Macros) -> str:
    """Reads one definition at the reader's position into ``macros``; returns the name it defines."""
    command = reader.take()[1:]
    starred = reader.star()
    if command in ("def", "gdef", "edef", "xdef"):
        return _define_as_plain_tex(reader, macros)
    if command == "let":
        return _let(reader, macros)
    if command.endswith("environment"):
        name = reader.argument().strip()
        count, default = _count(reader.optional()), reader.optional()
        begin, end = reader.argument(), reader.argument()
        macros.environments[name] = (Macro((None,) * count, begin, _optional(default)), end)
        return name
    name = _name(reader)
    if command == "DeclareMathOperator":
        macros.commands[name] = Macro((), f"\\operatorname{'*' if starred else ''}{{{reader.argument()}}}")
    elif command.startswith("DeclarePairedDelimiter"):
        macros.commands[name] = _delimiter(reader, own_body=command.endswith("X"))
    elif command in _DOCUMENT:
        spec = reader.argument()
        body = reader.argument()
        macros.commands[name] = _document_command(spec, body)
    else:
        count, default = _count(reader.optional()), reader.optional()
        body = reader.argument()
        if command != "providecommand" or (name not in macros.commands and name not in TAKEN):
            macros.commands[name] = Macro((None,) * count, body, _optional(default))
    return name


def _define_as_plain_tex(reader: Reader, macros: Macros) -> str:
    reader.skip()
    name = reader.take()
    start = reader.at
    while reader.peek() not in ("{", ""):
        reader.take()
    lead, *ends = re.split(r"#[1-9]", reader.text[start : reader.at])
    macros.commands[name] = Macro(tuple(end or None for end in ends), reader.group(), lead=lead.strip())
    return name


def _let(reader: Reader, macros: Macros) -> str:
    reader.skip()
    name = reader.take()
    reader.skip()
    if reader.peek() == "=":
        reader.take()
        reader.skip()
    target = reader.take()
    macros.commands[name] = macros.commands.get(target, Macro((), target, frozen=True))
    return name


def _delimiter(reader: Reader, own_body: bool) -> Macro:
    count = _count(reader.optional()) if own_body else 1
    left, right = reader.argument(), reader.argument()
    inside = reader.argument() if own_body else "#1"
    mandatory: tuple[str | None, ...] = (None,) * count
    plain, stretched, sized = (inside.replace("\\delimsize", size) for size in ("", "\\middle", SIZE))
    return Macro(
        mandatory,
        f"{left} {plain} {right}",
        starred=Macro(mandatory, f"\\left{left} {stretched} \\right{right}"),
        sized=f"{SIZE}l{left} {sized} {SIZE}r{right}",
    )


def _document_command(spec: str, body: str) -> Macro:
    """``m``, ``o`` and ``O{default}`` of xparse; a leading ``s`` takes a star."""
    reader = Reader(spec.strip())
    parameters: list[str | None] = []
    optional: list[tuple[int, str]] = []
    star = False
    while kind := reader.take():
        if kind == "s" and not parameters:
            star = True
        elif kind == "m":
            parameters.append(None)
        elif kind in ("o", "O"):
            optional.append((len(parameters), reader.group() if kind == "O" else ""))
            parameters.append(None)
        elif not kind.isspace():
            raise MacroError(f"{kind!r} in {{{spec}}} is not read here: m, o, O{{…}} and s are")
    if star:
        raise MacroError("a starred document command is not read here")
    return Macro(tuple(parameters), body, tuple(optional))


def definitions(text: str) -> Iterator[Definition]:
    """The definitions in ``text``, but for those inside others. One that cannot be read is passed over."""
    at = 0
    for start, end, name in readings(text, DEFINITION, lambda reader: _define(reader, Macros())):
        if start >= at:
            command = Reader(text, start).take()[1:]
            yield Definition(name, command, start, end)
            at = end


def learn(text: str, macros: Macros) -> list[Definition]:
    """Reads every definition in ``text`` into ``macros``."""
    if not DEFINITION.search(text):
        return []
    found = list(definitions(text))
    for definition in found:
        _define(Reader(text[: definition.end], definition.start), macros)
    return found


def split_definitions(text: str) -> tuple[str, str]:
    """``text`` without its definitions, and the definitions."""
    if not DEFINITION.search(text):
        return text, ""
    rest, found, at = [], [], 0
    for definition in definitions(text):
        rest.append(text[at : definition.start])
        found.append(text[definition.start : definition.end])
        at = definition.end
    rest.append(text[at:])
    return "".join(rest), "\n".join(found)


def _join(left: str, right: str) -> str:
    """Two pieces side by side, with a space where `\\alpha` + `x` would make another command."""
    glue = " " if re.search(r"(?<!\\)(?:\\\\)*\\[A-Za-z@]+$", left) and right[:1].isalpha() else ""
    return left + glue + right


def _arguments(reader: Reader, macro: Macro) -> list[str]:
    if macro.lead:
        reader.skip()
        if not reader.text.startswith(macro.lead, reader.at):
            raise MacroError(f"expected {macro.lead!r}")
        reader.at += len(macro.lead)
    arguments = []
    optional = dict(macro.optional)
    for i, until in enumerate(macro.parameters):
        if i in optional:
            given = reader.optional()
            arguments.append(optional[i] if given is None else given)
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
    for i, part in enumerate(re.split(r"(?<!#)#([1-9])", body)):
        if i % 2 == 0:
            out = _join(out, part)
        elif int(part) <= len(arguments):
            out = _join(out, arguments[int(part) - 1])
    return out.replace("##", "#")


def expand(text: str, macros: Macros) -> str:
    """The formula with every known macro replaced, definitions in it learnt and taken out.

    ``macros`` learns. Raises MacroError when a macro calls itself for ever.
    """
    if "%" not in text and not _uses_any(text, macros):
        return text
    out = ""
    reader = Reader(text)
    used = moved = 0
    while token := reader.peek():
        if token.startswith("%") and len(token) > 0:
            reader.take()
            out += "\n" if "\n" in token else ""
            continue
        if DEFINITION.fullmatch(token):
            start = reader.at
            try:
                _define(reader, macros)
            except TexError:
                reader.at = start + len(token)
                out = _join(out, token)
            continue
        reader.take()
        replaced = _expand_one(token, reader, macros)
        if replaced is None:
            if token in _TAKES:
                reader = _braced_arguments(reader, _TAKES[token], macros)
            out += token
            continue
        if token in macros.commands and macros.commands[token].frozen:
            out = _join(out, replaced)
            if _join(out, reader.text[reader.at :]) != out + reader.text[reader.at :]:
                out += " "
            continue
        used += 1
        size = len(replaced) + len(reader.text) - reader.at
        moved += size
        if used > LIMIT or size > LONGEST or moved > MOVED:
            raise MacroError(f"{token} calls itself without end, or makes too much of itself")
        if re.search(r"[_^]\s*$", out) and replaced.lstrip().startswith("\\"):
            replaced = "{" + replaced + "}"
        if _join(out, replaced) != out + replaced:
            out += " "
        rest = _join(replaced, reader.text[reader.at :])
        reader = Reader(rest)
    return out


def _braced_arguments(reader: Reader, count: int, macros: Macros) -> Reader:
    """The reader with braces around each of the next arguments that is a macro and nothing else."""
    start, out = reader.at, ""
    if reader.peek() == "[":
        with contextlib.suppress(TexError):
            reader.optional()
    out = reader.text[start : reader.at]
    for _ in range(count):
        mark = reader.at
        reader.skip()
        token = reader.peek()
        if token == "{":
            try:
                reader.group()
            except TexError:
                reader.at = mark
                break
            out += reader.text[mark : reader.at]
        elif token in macros.commands and not macros.commands[token].parameters:
            reader.take()
            out += f"{{{token}}}"
        else:
            reader.take()
            out += reader.text[mark : reader.at]
    return Reader(out + reader.text[reader.at :])


CONTROL = re.compile(r"\\(?:[A-Za-z@]+|.)", re.DOTALL)


def used_names(text: str) -> list[str]:
    """The control sequences in ``text``, in order, and the names of its environments."""
    found = CONTROL.findall(text)
    if "\\begin" in found:
        found += re.findall(r"\\begin\s*\{([^}]*)\}", text)
    return found


def _uses_any(text: str, macros: Macros) -> bool:
    return "\\" in text and any(
        name in macros.commands or name in macros.environments or DEFINITION.fullmatch(name)
        for name in used_names(text)
    )


def _expand_one(token: str, reader: Reader, macros: Macros) -> str | None:
    """What ``token``, just taken, stands for; None when it is no macro. Takes the arguments."""
    mark = reader.at
    try:
        if token in macros.commands:
            macro = macros.commands[token]
            if macro.starred is not None:
                if reader.star():
                    macro = macro.starred
                elif macro.sized is not None and (size := reader.optional()) is not None:
                    macro = replace(macro, body=macro.sized.replace(SIZE, size))
            arguments = _arguments(reader, macro)
            return macro.write(arguments) if macro.write else _substitute(macro.body, arguments)
        if token in ("\\begin", "\\end") and macros.environments:
            name = reader.argument()
            if name in macros.environments:
                begin, end = macros.environments[name]
                return end if token == "\\end" else _substitute(begin.body, _arguments(reader, begin))
    except TexError:
        pass
    reader.at = mark
    return None


def unbraced(text: str, macros: Macros) -> list[tuple[int, int]]:
    """Where a command with its arguments stands behind ^ or _ and LaTeX needs braces around it."""
    found = []
    reader = Reader(text)
    before = ""
    while token := reader.take():
        macro = macros.commands.get(token)
        if before in ("_", "^") and (macro is not None or token[1:] in _NEEDS_BRACES):
            start = end = reader.at
            try:
                if macro is not None:
                    _arguments(reader, macro)
                elif count := _NEEDS_BRACES[token[1:]]:
                    reader.star()
                    for _ in range(count):
                        reader.argument()
                end = reader.at
            except TexError:
                reader.at = end
            found.append((start - len(token), end))
        if not token.isspace():
            before = token
    return found


def needs_braces(piece: str, macros: Macros) -> bool:
    """Whether LaTeX misreads ``piece`` behind ^ or _; a macro for a single sign is read right."""
    name = CONTROL.match(piece)
    macro = macros.commands.get(name[0]) if name else None
    if macro is None:
        return name is None or name[0][1:] not in _ALPHABETS
    first = CONTROL.match(macro.body.lstrip())
    return bool(macro.parameters) or (first is not None and first[0][1:] in _NEEDS_BRACES)


def brace_scripts(text: str, macros: Macros) -> str:
    """Braces around what LaTeX needs braced behind ^ and _: `f_\\boldsymbol{x}` → `f_{\\boldsymbol{x}}`."""
    for start, end in reversed(unbraced(text, macros)):
        text = f"{text[:start]}{{{text[start:end]}}}{text[end:]}"
    return text


def replace_argument(text: str, command: str, replacement: Callable[[str], str]) -> str:
    """``\\command{x}`` with ``replacement(x)`` in its place, for balanced braces or a single token.

    >>> replace_argument(r"a \\mbox{b {c}} d", "mbox", lambda x: f"<{x}>")
    'a <b {c}> d'
    """
    out, at = "", 0
    pattern = re.compile(rf"\\{re.escape(command)}(?![A-Za-z*])")

    def read(reader: Reader) -> str:
        reader.at += len(command) + 1
        return reader.argument()

    for start, end, argument in readings(text, pattern, read):
        if start >= at:
            out += text[at:start] + replacement(argument)
            at = end
    return out + text[at:]
