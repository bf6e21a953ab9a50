"""kramdown and Jekyll in lines of their own: ``{: .class #id}`` below a block, ``{% highlight python %}``, ``{:toc}``;
and Obsidian's comments of several lines. What has no meaning here goes; an id stays as a place to link to."""

from __future__ import annotations

import re

_ATTRIBUTES = re.compile(r"^[ \t>]*\{:(?P<words>[^{}]*)\}[ \t]*$")
_AT_HEADING = re.compile(r"^(?P<heading>#{1,6}[ \t].*?)[ \t]*\{:[ \t]*(?P<words>[^{}]*)\}[ \t]*$")
_HIGHLIGHT = re.compile(r"^\s*\{%-?\s*highlight\s+(?P<language>[\w+-]+)[^%]*%\}\s*$")
_END = re.compile(r"^\s*\{%-?\s*endhighlight\s*-?%\}\s*$")
_NOTHING = re.compile(
    r"^\s*\{%-?\s*(?:end)?(?:raw|katexmm|capture\s.*)\s*-?%\}\s*$|^\s*\{::/?(?:nomarkdown|options.*)/?\}\s*$"
)


def rewrite(lines: list[str], n: int) -> int:
    """Rewrites what line ``n`` begins. Returns the last line that needs no further look: ``n - 1`` if there is
    nothing of the kind."""
    line = lines[n]
    if "{" not in line and line.strip() != "%%":
        return n - 1
    if (match := _HIGHLIGHT.match(line)) and (end := _behind(lines, n, _END)):
        lines[n], lines[end] = f"``` {{.{match['language']} .no-run}}", "```"
        return end
    if line.strip() == "%%":
        if end := _behind(lines, n, re.compile(r"^\s*%%\s*$")):
            lines[n : end + 1] = [""] * (end + 1 - n)
            return end
        return n - 1
    if match := _AT_HEADING.match(line):
        words = " ".join(word for word in match["words"].split() if word[0] in "#." and word != ".no_toc")
        lines[n] = f"{match['heading']} {{{words}}}" if words else match["heading"]
    elif (match := _ATTRIBUTES.match(line)) and not line.strip().startswith("{::"):
        lines[n] = _named(lines, n, match["words"])
    elif _NOTHING.match(line):
        lines[n] = ""
    else:
        return n - 1
    return n


def _behind(lines: list[str], n: int, end: re.Pattern[str]) -> int:
    return next((at for at in range(n + 1, len(lines)) if end.match(lines[at])), 0)


def _named(lines: list[str], n: int, words: str) -> str:
    """What stands in the place of attributes: an id goes to the heading above, or stays as a place."""
    if words.strip() == "toc" and n and re.match(r"\s*(?:[-*+]|1\.)[ \t]+\S+[^.]*$", lines[n - 1]):
        lines[n - 1] = ""  # a list that kramdown replaces by the table of contents
    name = re.search(r"#([\w:.-]+)", words)
    if name is None:
        return ""
    if n and re.match(r"#{1,6}[ \t]", lines[n - 1]) and "{#" not in lines[n - 1]:
        lines[n - 1] = f"{lines[n - 1].rstrip()} {{#{name[1]}}}"
        return ""
    return f"[]{{#{name[1]}}}"
