r"""MyST in a line: roles such as ``{eq}`x```, targets such as ``(x)=``, labels behind ``$$``. Each becomes the spelling
that is read here: ``\eqref{x}``, ``{#x}``, ``\label{x}``. A role without another spelling stays as it is written."""

from __future__ import annotations

import re
from collections.abc import Callable

_ROLE = re.compile(r"(?<![`\\\w])\{(?P<name>[a-zA-Z][\w:.+-]*)\}`(?P<text>[^`]+)`(?!`)(?!\{)")
_WITH_TARGET = re.compile(r"\s*(?P<text>.*?)\s*<(?P<target>[^<>]+)>\s*$")
_TARGET = re.compile(r"^\((?P<label>[\w:.-]+)\)=[ \t]*$")
_LABELLED = re.compile(r"^(?P<formula>.*)\$\$[ \t]*\((?P<label>[\w:.-]+)\)[ \t]*$")


def _reference(command: str) -> Callable[[str], str]:
    def write(text: str) -> str:
        match = _WITH_TARGET.match(text)
        if match is None:
            return f"\\{command}{{{text.strip()}}}"
        if "%s" in match["text"] or "{number}" in match["text"]:
            return re.sub(r"%s|\{number\}", lambda _: f"\\ref{{{match['target']}}}", match["text"])
        return f"[{match['text']}](#{match['target']})"

    return write


def _citation(sign: str = "@", *, bracketed: bool = True) -> Callable[[str], str]:
    def write(text: str) -> str:
        keys = "; ".join(f"{sign}{key.strip()}" for key in text.split(",") if key.strip())
        return f"[{keys}]" if bracketed else keys

    return write


def _page(text: str) -> str:
    match = _WITH_TARGET.match(text)
    words, target = (match["text"], match["target"]) if match else (text.strip(), text.strip())
    known = re.search(r"\.(?:md|html|ipynb)$", target)
    return f"[{words.rpartition('/')[2] if match is None else words}]({target}{'' if known else '.md'})"


def _link(text: str) -> str:
    match = _WITH_TARGET.match(text)
    return f"[{match['text']}]({match['target']})" if match else f"[{text}]({text})"


def _words(text: str) -> str:
    match = _WITH_TARGET.match(text)
    return match["text"] if match else text


_ROLES: dict[str, Callable[[str], str]] = {
    "eq": _reference("eqref"), "ref": _reference("ref"), "numref": _reference("cref"), "prf:ref": _reference("cref"),
    "cite": _citation(), "cite:p": _citation(), "cite:ps": _citation(),
    "cite:t": _citation(bracketed=False), "cite:ts": _citation(bracketed=False), "cite:alp": _citation(),
    "cite:year": _citation("-@"), "cite:yearpar": _citation("-@"),
    "doc": _page, "download": _link, "term": _words, "abbr": _words, "math": lambda text: f"${text.strip()}$",
    "eval": lambda text: f"`{text.strip()}`{{.python}}", "sub": lambda text: f"~{text}~",
    "sup": lambda text: f"^{text}^",
    **dict.fromkeys(("code", "kbd", "file", "command", "program", "guilabel"), lambda text: f"`{text}`"),
}  # fmt: skip


def rewrite(lines: list[str], n: int, *, in_display: bool) -> None:
    """Rewrites a line outside fences. One that may be indented code, or has code with backticks in it, stays."""
    line = lines[n]
    if re.match(r" {4}|\t", line):
        return
    if "`" in line and "{" in line and "``" not in line and not in_display:
        line = _ROLE.sub(_written, line)
    if "(" in line:
        if (labelled := _LABELLED.match(line)) and (in_display or "$$" in labelled["formula"]):
            line = f"{labelled['formula']}\\label{{{labelled['label']}}}$$"
        elif not in_display and (target := _TARGET.match(line)):
            line = _anchored(lines, n, target["label"])
    lines[n] = line


def _written(match: re.Match[str]) -> str:
    write = _ROLES.get(match["name"])
    return write(match["text"]) if write else match[0]


def _anchored(lines: list[str], n: int, label: str) -> str:
    """What stands in the place of a target: nothing, where the heading below can take it."""
    below = next((at for at in range(n + 1, min(n + 3, len(lines))) if lines[at].strip()), None)
    if below is not None and re.match(r"#{1,6}[ \t]+\S", lines[below]) and "{#" not in lines[below]:
        lines[below] = f"{lines[below].rstrip()} {{#{label}}}"
        return ""
    return f"[]{{#{label}}}"
