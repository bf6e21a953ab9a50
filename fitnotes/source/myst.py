"""MyST's directives as pandoc's fenced divs: ``:::{note}`` and ```` ```{note} ```` become ``::: {.callout-note}``.

Only text is changed, and the number of lines stays.
"""

from __future__ import annotations

import re

from fitnotes.source import foreign
from fitnotes.source.fences import Fence

_ADMONITIONS = {
    "note": "note", "seealso": "note", "admonition": "note", "tip": "tip", "hint": "tip", "important": "important",
    "warning": "warning", "attention": "warning", "caution": "caution", "danger": "caution", "error": "caution",
}  # fmt: skip
# Those whose name is not the word for their kind have it as their title.
_TITLES = {
    "seealso": "See also",
    "hint": "Hint",
    "attention": "Attention",
    "danger": "Danger",
    "error": "Error",
}
_OTHERS = {
    "tab-set": "panel-tabset", "tab-item": "tab-item", "dropdown": "callout-note", "exercise": "exercise",
    "solution": "solution",
}  # fmt: skip
_OPENING = re.compile(
    r"^(?P<indent>[ \t]*)(?P<fence>:{3,}|`{3,}|~{3,})[ \t]*\{(?P<name>[\w:-]+)\}[ \t]*(?P<argument>[^`]*)$"
)


def rewrite(lines: list[str], n: int) -> int:
    """Rewrites the directive that line ``n`` opens, if it is one, and the line that closes it.

    Returns the last line that needs no further look: ``n - 1`` if there is no directive here.
    """
    match = _OPENING.match(lines[n])
    if match and match["name"] in _GATES:
        return _gate(lines, n, match)
    if match and match["fence"][0] == ":" and foreign.is_read(match["name"]):
        return _with_ticks(lines, n, match)
    if match is None or (classes := _classes(match["name"])) is None:
        return n - 1
    close = None
    if match["fence"][0] != ":":
        end = re.compile(rf"^[ \t]*{match['fence'][0]}{{{len(match['fence'])},}}[ \t]*$")
        close = next((at for at in range(n + 1, len(lines)) if end.match(lines[at])), None)
        if close is None:
            return n - 1
    options: dict[str, str] = {}
    last = n
    while last + 1 < len(lines) and (option := foreign.OPTION.match(lines[last + 1])):
        last += 1
        options[option[1]] = option[2]
        lines[last] = ""
    lines[n] = f"{match['indent']}::: {{{_attributes(match['name'], classes, match['argument'], options)}}}"
    if close is not None:
        lines[close] = f"{match['indent']}:::"
    return last


def _with_ticks(lines: list[str], n: int, match: re.Match[str]) -> int:
    """A directive between colons that is read like one between backticks."""
    end = re.compile(rf"^[ \t]*:{{{len(match['fence'])}}}[ \t]*$")
    close = next((at for at in range(n + 1, len(lines)) if end.match(lines[at])), None)
    if close is None:
        return n - 1
    info = f"{{{match['name']}}} {match['argument']}"
    foreign.rewrite(lines, Fence(n, close, match["indent"], "```", info))
    return n  # what is inside may be more


_GATES = ("exercise-start", "exercise-end", "solution-start", "solution-end")


def _gate(lines: list[str], n: int, match: re.Match[str]) -> int:
    """A directive that only says where something starts or ends: what is between is not in it."""
    end = re.compile(rf"^[ \t]*{match['fence'][0]}{{{len(match['fence'])},}}[ \t]*$")
    close = next((at for at in range(n + 1, len(lines)) if end.match(lines[at])), None)
    if close is None:
        return n - 1
    kind, _, side = match["name"].partition("-")
    found = (foreign.OPTION.match(line) for line in lines[n + 1 : close])
    options = {option[1]: option[2] for option in found if option}
    for at in range(n, close + 1):
        lines[at] = ""
    opening = f"{{{_attributes(kind, f'.{kind}', match['argument'], options)}}}"
    lines[n] = f"{match['indent']}::: {opening}" if side == "start" else f"{match['indent']}:::"
    return close


def _classes(name: str) -> str | None:
    if name in _ADMONITIONS:
        return f".callout-{_ADMONITIONS[name]}"
    if name in _OTHERS:
        return f".{_OTHERS[name]}"
    return f".{name[4:]}" if name.startswith("prf:") and len(name) > 4 else None


def _attributes(name: str, classes: str, argument: str, options: dict[str, str]) -> str:
    kind = next((_ADMONITIONS[c] for c in options.get("class", "").split() if c in _ADMONITIONS), "")
    words = [f".callout-{kind}" if kind and name == "admonition" else classes]
    label = options.get("label") or options.get("name")
    if label and re.fullmatch(r"[\w:.-]+", label):
        words.append(f"#{label}")
    title = argument.strip() or _TITLES.get(name, "")
    if name == "solution":  # whose argument is the label of its exercise
        title = ""
    if title:
        quoted = title.replace("\\", "\\\\").replace('"', '\\"')
        words.append(f'{"name" if name.startswith("prf:") or name == "exercise" else "title"}="{quoted}"')
    if name == "dropdown" or "dropdown" in options.get("class", ""):
        words.append(f'collapse="{"false" if "open" in options else "true"}"')
    if options.get("hidden", "x") in ("", "true"):
        words.insert(1, ".hidden")
    if options.get("nonumber", "x") in ("", "true"):
        words.insert(1, ".unnumbered")
    return " ".join(words)
