"""Spellings inside a paragraph that only one other tool has: Obsidian's ``[[links]]``, ``![[embeds]]``, ``==marks==``
and ``%%comments%%``, shortcodes of Quarto and Hugo, kramdown's ``{: .class}`` behind something.

Each becomes pandoc's own spelling, with a class by which the steps over the tree know it. Code and formulas stay as
they are; so does the number of lines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from fitnotes.source.dollars import CODE, formulas_in, without_code
from fitnotes.source.fences import CODE_SPAN

WIKILINK, SHORTCODE = (
    "wikilink",
    "shortcode",
)  # classes of a link, and of an empty Span with its words as `args`

_WIKI = re.compile(
    r"(?<![\w\]\\])(?P<embed>!?)\[\[(?P<target>[^\[\]|#\n\\]*)(?P<part>#[^\[\]|\n\\]*)?(?:\\?\|(?P<words>[^\[\]\n]*))?\]\](?![\[(])"
)
_MARK = re.compile(r"(?<![\w=\\])==(?=[^\s=])(?P<words>(?:(?!\n\n)[^=]|=(?!=))+?)(?<=[^\s=])==(?![\w=])")
_COMMENT = re.compile(r"(?s)(?<![\w%\\])%%(?!%)(?P<words>.*?)(?<!%)%%(?!%)")
_SHORTCODE = re.compile(r"(?P<open>\{\{\{?)(?P<sign>[<%])(?P<words>[^\n{}]*?)[>%](?P<close>\}\}\}?)")
_SUBSTITUTION = re.compile(r"(?<!\{)\{\{[ \t]*(?P<name>[A-Za-z][\w-]*)[ \t]*\}\}(?!\})")
_ATTRIBUTES = re.compile(r"(?<=\S)\{:[ \t]+(?P<words>[^{}\n]*)\}")
_TABLE = re.compile(r"(?m)^[ \t]*\|?(?:[ \t]*:?-+:?[ \t]*\|)+[ \t:|-]*$")  # the rule below its head
_BLOCK_NAME = re.compile(r"[ \t]\^[A-Za-z][\w-]*[ \t]*$", re.MULTILINE)
_DISPLAY = re.compile(r"(?s)\$\$.*?\$\$|\\\[.*?\\\]|\\\(.*?\\\)")
_PICTURES = re.compile(r"(?i)\.(?:png|jpe?g|gif|webp|svg|bmp|pdf|tiff?)$")
_SIGNS = ("[[", "==", "%%", "{{<", "{{%", "{{{", "{:")


def rewritten(text: str, *, vault: bool, substitutes: bool) -> str:
    """A paragraph with pandoc's spellings. ``vault``: its note is one of Obsidian's, in which ``^name`` at the end of a
    line names what it stands behind; ``substitutes``: its header says what stands for ``{{ name }}``, as in MyST. In
    code in a table an escaped bar is a bar, as on GitHub."""
    if "\\|" in text and "`" in text and _TABLE.search(text):
        text = CODE_SPAN.sub(lambda match: match[0].replace("\\|", "|"), text)
    if substitutes:
        text = _each(
            _SUBSTITUTION, text, lambda match: f'[]{{.{SHORTCODE} args="meta substitutions.{match["name"]}"}}'
        )
    if not vault and not any(sign in text for sign in _SIGNS):
        return text
    text = _each(_SHORTCODE, text, _shortcode)
    text = _each(_WIKI, text, _wiki)
    text = _each(_COMMENT, text, lambda match: "\n" * match[0].count("\n"))
    text = _each(_MARK, text, lambda match: f"[{match['words']}]{{.mark}}", formulas=False)
    text = _each(_ATTRIBUTES, text, _attributes)
    return _each(_BLOCK_NAME, text, lambda match: "") if vault else text


def is_vault(text: str) -> bool:
    """Whether a note is one of Obsidian's: it links as only Obsidian does."""
    return bool(re.search(r"!?\[\[[^\[\]\n]+(?:\\?\|[^\[\]\n]*)?\]\](?![\[(])", text))


def _each(
    pattern: re.Pattern[str], text: str, write: Callable[[re.Match[str]], str], *, formulas: bool = True
) -> str:
    """The text with what ``write`` makes of every match outside code and, if they are to stay, ``formulas``."""
    if not pattern.search(text):
        return text
    seen = without_code(text)
    hidden = {at for at, char in enumerate(seen) if char == CODE}
    if formulas:
        places = [(found.start, found.end) for found in formulas_in(seen) if found.body]
        for start, end in [*places, *(display.span() for display in _DISPLAY.finditer(seen))]:
            hidden.update(range(start, end))
    out, at = [], 0
    for match in pattern.finditer(text):
        if match.start() in hidden or match.end() - 1 in hidden:
            continue
        out += [text[at : match.start()], write(match)]
        at = match.end()
    return "".join([*out, text[at:]])


def _wiki(match: re.Match[str]) -> str:
    target, part, words = (
        match["target"].strip(),
        (match["part"] or "")[1:].strip(),
        (match["words"] or "").strip(),
    )
    if not (target or part) or (re.fullmatch(r"[\d\s.,:+-]*", target) and not part and not words):
        return match[0]  # a number in two brackets
    if match["embed"] and _PICTURES.search(target):
        size = re.fullmatch(r"(\d+)(?:x(\d+))?", words)
        attributes = ""
        if size:
            attributes = f"{{width={size[1]}{f' height={size[2]}' if size[2] else ''}}}"
        return f"![{'' if size else words}](<{target}>){attributes}"
    named = not target or re.search(r"\.[A-Za-z]\w{0,4}$", target)
    address = target + ("" if named else ".md") + (f"#{identifier(part)}" if part else "")
    shown = words or " > ".join(word for word in (target, part.lstrip("^")) if word)
    return f"[{shown}](<{address}>){{.{WIKILINK}{' .embed' if match['embed'] else ''}}}"


def identifier(heading: str) -> str:
    """As pandoc names a heading."""
    words = re.sub(r"[^\w\s.-]", "", heading.rpartition("#")[2]).strip().lower()
    return re.sub(r"^[^a-z]+", "", re.sub(r"\s+", "-", words)) or "section"


def _shortcode(match: re.Match[str]) -> str:
    if match["open"] == "{{{":
        return f"`{{{{{match['sign']}{match['words']}{'>' if match['sign'] == '<' else '%'}}}}}`"
    words = match["words"].strip().strip("/").strip()
    return f"[]{{.{SHORTCODE} args={json.dumps(words, ensure_ascii=False)}}}" if words else match[0]


def _attributes(match: re.Match[str]) -> str:
    """Behind a link, a picture or code they are pandoc's; behind other words they only say how these look."""
    before = match.string[: match.start()]
    return f"{{{match['words'].strip()}}}" if before.endswith((")", "`", "]")) else ""
