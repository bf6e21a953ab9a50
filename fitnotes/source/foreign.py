"""Fences of other dialects, such as R Markdown's ```` ```{r} ```` and MyST's ```` ```{code-cell} ````. They are read
where there is a word for them here; any other is the code block that it is, which `fitnotes.document.read` says.

Pandoc takes braces without a dot for running text, and what stands in them for headings and prose. Only text is
changed, and the number of lines stays.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from fitnotes.source.fences import LINE, Fence
from fitnotes.source.languages import PYTHON, READ

UNREAD = "fitnotes-unread"  # the attribute of a block that nobody runs: what its fence says
_BRACED = re.compile(r"^\{[ \t]*(?P<name>[A-Za-z][\w+-]*)(?P<rest>[ \t,][^}]*)?\}[ \t]*(?P<argument>[^`]*)$")
OPTION = re.compile(r"^[ \t]*:([\w-]+):[ \t]*(.*?)[ \t]*$")
_SHOWN = ("code-block", "code", "sourcecode")
# What MyST's tags of a cell mean.
_TAGS = {
    "hide-input": ("echo", False), "remove-input": ("echo", False), "hide-output": ("output", False),
    "remove-output": ("output", False), "hide-cell": ("include", False), "remove-cell": ("include", False),
    "raises-exception": ("error", True), "skip-execution": ("eval", False),
}  # fmt: skip
# Text with a look of its own.
_BOXES = {
    "epigraph": ".epigraph", "pull-quote": ".epigraph", "highlights": ".epigraph",
    "margin": ".aside", "aside": ".aside",
    "sidebar": ".aside", "topic": ".topic", "bibliography": "#refs", "div": ".div",
}  # fmt: skip
_KEYS = {"name": "label", "label": "label", "caption": "fig-cap", "alt": "fig-alt", "width": "fig-width"}


def rewrite(lines: list[str], fence: Fence) -> bool:
    """Rewrites a fence of another dialect and the options below it; whether it was one."""
    match = _BRACED.match(fence.info.strip())
    if match is None or match["name"] in READ or fence.end is None:
        return False
    name, words = match["name"], match["argument"].split()
    if name == "code-cell":
        language = words[0] if words else "python"
        if language in PYTHON:
            _write(lines, fence, f'.python {LINE}="{fence.start + 1}"')
            _cell_options(lines, fence)
        else:
            _write(lines, fence, _unread(language, fence))
    elif name in _SHOWN:
        _code(lines, fence, words[0] if words else "")
    elif name == "math":
        _formula(lines, fence, match["argument"])
    elif name in ("figure", "image") and words:
        _image(lines, fence, match["argument"].strip())
    elif name == "table":
        _table(lines, fence, match["argument"].strip())
    elif name == "list-table":
        _list_table(lines, fence, match["argument"].strip())
    elif name in _BOXES:
        title = match["argument"].strip() if name not in ("div", "bibliography") else ""
        shown = f" title={json.dumps(title, ensure_ascii=False)}" if title else ""
        _box(lines, fence, f"{_BOXES[name]}{shown}")
    elif name == "only":  # "html or latex"; what is said otherwise is no condition here, and hides
        formats = ",".join(word for word in words if word != "or")
        _box(lines, fence, f'.content-visible when-format="{formats}"')
    elif name == "ifconfig":
        _box(lines, fence, ".content-visible when-config=" + json.dumps(match["argument"].strip()))
    elif name == "index":  # for a printed index, which pages do not have
        lines[fence.start : fence.end + 1] = [fence.prefix.rstrip()] * (fence.end + 1 - fence.start)
    else:
        _write(lines, fence, _unread(name, fence))
    return True


def _write(lines: list[str], fence: Fence, attributes: str) -> None:
    lines[fence.start] = f"{fence.prefix}{fence.ticks} {{{attributes}}}"


def _unread(name: str, fence: Fence) -> str:
    return f'.{name} {UNREAD}="{name}" {LINE}="{fence.start + 1}"'


def _options(lines: list[str], fence: Fence) -> tuple[dict[str, Any], range]:
    """MyST's options at the top of a directive, as ``:key: value`` or as YAML, and their lines."""
    assert fence.end is not None
    first = fence.start + 1
    at = first
    while at < fence.end and OPTION.match(lines[at]):
        at += 1
    if at > first:
        found = (OPTION.match(line) for line in lines[first:at])
        return {option[1]: option[2] for option in found if option}, range(first, at)
    if lines[first].strip() == "---":
        end = next((n for n in range(first + 1, fence.end) if lines[n].strip() == "---"), None)
        if end is not None:
            import yaml

            try:
                values = yaml.safe_load("\n".join(lines[first + 1 : end]))
            except yaml.YAMLError:
                return {}, range(first, first)
            return dict(values) if isinstance(values, dict) else {}, range(first, end + 1)
    return {}, range(first, first)


def _cell_options(lines: list[str], fence: Fence) -> None:
    """The options of a cell as our own, in ``#|`` lines."""
    given, places = _options(lines, fence)
    if not places:
        return
    ours: dict[str, object] = {}
    tags = given.get("tags", [])
    for tag in re.findall(r"[\w-]+", str(tags)) if isinstance(tags, str) else map(str, tags):
        key, value = _TAGS.get(tag.replace("_", "-"), ("", None))
        if key:
            ours[key] = value
    ours |= _named(given)
    notebook = given.get("mystnb")
    if isinstance(notebook, Mapping):
        for part in ("figure", "image"):
            inner = notebook.get(part)
            ours |= _named(inner) if isinstance(inner, Mapping) else {}
        ours |= {"echo": False} if notebook.get("remove_code_source") else {}
        ours |= {"output": False} if notebook.get("remove_code_outputs") else {}
    for n, place in enumerate(places):
        lines[place] = f"{fence.prefix}#| " + (
            json.dumps(ours, ensure_ascii=False) if ours and not n else "#"
        )


def _named(given: Mapping[str, Any]) -> dict[str, object]:
    return {_KEYS[key]: " ".join(str(value).split()) for key, value in given.items() if key in _KEYS}


def _code(lines: list[str], fence: Fence, language: str) -> None:
    """Code that is shown only."""
    given, places = _options(lines, fence)
    words = [f".{language}"] * bool(re.fullmatch(r"[\w+-]+", language)) + [".no-run"]
    if "linenos" in given:
        words.append(".numberLines")
    if "caption" in given:
        words.append("lst-cap=" + json.dumps(str(given["caption"]), ensure_ascii=False))
    words.append(f'{LINE}="{fence.start + 1}"')
    end = places.stop
    lines[fence.start : end] = [fence.prefix] * len(places) + [
        f"{fence.prefix}{fence.ticks} {{{' '.join(words)}}}"
    ]


def _formula(lines: list[str], fence: Fence, argument: str) -> None:
    """A display formula, with its label."""
    assert fence.end is not None
    given, places = _options(lines, fence)
    label = given.get("label") or given.get("name")
    for at in range(fence.start + 1, fence.end):
        lines[at] = f"{fence.prefix}%" if at in places or not lines[at].strip() else lines[at]
    if argument.strip():
        lines[fence.start] = f"{fence.prefix}$${argument.strip()}"
    else:
        lines[fence.start] = f"{fence.prefix}$$"
    lines[fence.end] = f"{fence.prefix}" + (f"\\label{{{label}}}" if label else "") + "$$"


def _image(lines: list[str], fence: Fence, path: str) -> None:
    """A picture; what stands below its options is its caption."""
    assert fence.end is not None
    given, places = _options(lines, fence)
    words = []
    label = given.get("name") or given.get("label")
    if label and re.fullmatch(r"[\w:.-]+", str(label)):
        words.append(f"#{label}")
    words += [f"{key}={json.dumps(str(given[key]))}" for key in ("width", "height") if key in given]
    if "alt" in given:
        words.append("fig-alt=" + json.dumps(str(given["alt"]), ensure_ascii=False))
    first = places.stop if places else fence.start + 1
    caption = [at for at in range(first, fence.end) if lines[at].strip()]
    end = f"](<{path}>)" + (f"{{{' '.join(words)}}}" if words else "")
    for at in range(fence.start, fence.end + 1):
        if at not in caption:
            lines[at] = fence.prefix.rstrip()
    if not caption:
        lines[fence.start] = f"{fence.prefix}![{end}"
        return
    for at in range(caption[0] + 1, caption[-1]):  # one paragraph
        lines[at] = lines[at] if at in caption else f"{fence.prefix}\\"
    lines[caption[0]] = f"{fence.prefix}![{lines[caption[0]].strip()}"
    lines[caption[-1]] += end


def _label(given: Mapping[str, Any]) -> str:
    label = str(given.get("name") or given.get("label") or "")
    return f"#{label}" if re.fullmatch(r"[\w:.-]+", label) else ""


def _table(lines: list[str], fence: Fence, caption: str) -> None:
    """A table in Markdown, with its caption."""
    assert fence.end is not None
    given, places = _options(lines, fence)
    label = _label(given)
    for at in (fence.start, *places):
        lines[at] = fence.prefix.rstrip()
    words = f"{caption} {{{label}}}" if label else caption
    lines[fence.end] = f"{fence.prefix}: {words}" if words else fence.prefix.rstrip()


def _list_table(lines: list[str], fence: Fence, caption: str) -> None:
    """A table as a list of lists, which `fitnotes.passes.tables` makes one of."""
    given, places = _options(lines, fence)
    words = [".list-table", *filter(None, [_label(given)])]
    words += [
        f"{key}={json.dumps(str(given[key]))}"
        for key in ("header-rows", "stub-columns", "widths")
        if key in given
    ]
    if caption:
        words.append(f"title={json.dumps(caption, ensure_ascii=False)}")
    assert fence.end is not None
    for at in places:
        lines[at] = fence.prefix.rstrip()
    lines[fence.start], lines[fence.end] = f"{fence.prefix}::: {{{' '.join(words)}}}", f"{fence.prefix}:::"


def is_read(name: str) -> bool:
    """Whether a directive of this name is read here, whatever signs stand around it."""
    return name in ("figure", "image", "math", "table", "list-table", "code-block", "index", "only", *_BOXES)


def _box(lines: list[str], fence: Fence, attributes: str) -> None:
    assert fence.end is not None
    _, places = _options(lines, fence)
    for at in places:
        lines[at] = fence.prefix.rstrip()
    lines[fence.start], lines[fence.end] = f"{fence.prefix}::: {{{attributes}}}", f"{fence.prefix}:::"
