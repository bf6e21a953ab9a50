"""What a page may load and run: its content policy, which every browser keeps, and what of the note that would block.

Pages ask no network for anything and run no script of the note's, unless the setting ``allow`` says so: ``frames:
youtube-nocookie.com``, ``media``, ``images``, ``scripts: cdn.example.org``, each with the hosts that it is for, or none
for all. See https://www.w3.org/TR/CSP3/.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import panflute as pf

from fitnotes.document import nodes
from fitnotes.document.tree import Change, collect, walk
from fitnotes.passes.page import Page
from fitnotes.passes.rawhtml import Tag, tags_in
from fitnotes.settings import allowed_hosts, host_of
from fitnotes.source.note import Cursor

OWN = "OWN-SCRIPTS"  # stands for the hashes of the scripts inside a page, until these are known
# 'self' does not cover file: in every browser; file: in a page on a server gives access to nothing.
_SELF = {
    "script-src": "'self' file:", "style-src": "'self' file: 'unsafe-inline'", "img-src": "'self' file: data:",
    "font-src": "'self' file: data:", "media-src": "'self' file: data:",
}  # fmt: skip
_EMBEDDED = {
    "script-src": OWN, "style-src": "'unsafe-inline' data:", "img-src": "data:",
    "font-src": "data:", "media-src": "data:",
}  # fmt: skip
_DIRECTIVES = {
    "frames": "frame-src", "media": "media-src", "images": "img-src", "scripts": "script-src", "styles": "style-src",
    "fonts": "font-src",
}  # fmt: skip


def policy(allow: Sequence[str], *, embed: bool, deck: bool = False) -> str:
    """The policy of a page. ``embed``: everything is inside it; ``deck``: it is slides, which the window with the
    speaker's notes shows in frames."""
    sources = dict(_EMBEDDED if embed else _SELF)
    if deck:
        sources["frame-src"] = "'self' file:"
    for kind, hosts in allowed_hosts(allow).items():
        directive = _DIRECTIVES[kind]
        more = " ".join([f"https://{host}" for host in hosts] or ["https:"])
        if kind == "scripts":
            more = f"'unsafe-inline' data: {more}"
        sources[directive] = f"{sources.get(directive, '').replace(OWN, '')} {more}".strip()
        if kind == "scripts":  # which most want to fetch something
            sources["connect-src"] = " ".join([f"https://{host}" for host in hosts] or ["https:"])
    parts = [f"{name} {value}" for name, value in sources.items()]
    return "; ".join(["default-src 'none'", *parts, "base-uri 'none'", "form-action 'none'"])


_ACTIVE = re.compile(r"(?ai)<(script|meta|base)(?=[\s/>])")
_FRAMED = re.compile(r"(?ai)<(script|meta|base|iframe|frame|object|embed)(?=[\s/>])")
_TELLS = re.compile(
    r"""(?i)<meta(?:\s+(?:name|property|itemprop|content|charset)=(?:"[^"<>]*"|'[^'<>]*'))+\s*/?>"""
)
_OPENING, _CLOSING = re.compile(r"(?ai)<script(?=[\s/>])"), re.compile(r"(?ai)</script(?=[\s/>])")
# Variables of the templates; in the header of a note they would be values of these.
_VARIABLES = (
    "assets", "formulas", "glyphs", "head", "height", "mathjax-package", "own", "policy", "reveal", "script", "width",
    "pagetitle", "author-meta", "description-meta", "date-meta", "table-of-contents",
)  # fmt: skip


def new_mark() -> str:
    """An attribute for the tags of a template that nobody can guess."""
    return f'data-own="{secrets.token_hex(8)}"'


def plain_attributes(page: Page) -> None:
    """What of the header stands in the tags of a template is words without markup; what means something to a template
    alone goes."""
    metadata = page.doc.metadata.content
    for key in _VARIABLES:
        if key not in ("width", "height"):
            metadata.pop(key, None)
    for key in ("lang", "dir"):
        if key in metadata:
            metadata[key] = pf.MetaString(re.sub(r"[^\w-]", "", pf.stringify(metadata[key])))


def _scripts(text: str) -> Iterator[tuple[int, int, int, int]]:
    """Where scripts begin, their content begins and ends, and they end."""
    at = 0
    while (opening := _OPENING.search(text, at)) and (begin := text.find(">", opening.end()) + 1):
        closing = _CLOSING.search(text, begin)
        if closing is None or not (end := text.find(">", closing.end()) + 1):
            return
        yield opening.start(), begin, closing.start(), end
        at = end


def secured(page: Page, text: str, mark: str, scripts: Iterable[Path] = ()) -> str:
    """The text of a page in which no tag runs or leads away but those of its template, which have the attribute
    ``mark``, and ``scripts``, those that are inside it. Raw HTML may come in pieces: only the whole text tells what its
    tags are."""
    allowed = allowed_hosts(page.allow)
    if "scripts" in allowed:
        return text.replace(f" {mark}", "")
    active = _FRAMED if page.deck and "frames" not in allowed else _ACTIVE
    own = {script.read_text(encoding="utf-8").strip() for script in scripts}
    hashes: dict[str, None] = {}
    out, at = [], 0
    for start, begin, close, end in _scripts(text) if own else ():
        inside = text[begin:close]
        if inside.strip() in own:
            out += [_tame(text[at:start], mark, active), f"<script>{inside}</script>"]
            hashes |= dict.fromkeys([_hash(inside), *_inner_hashes(inside)])
            at = end
    return "".join([*out, _tame(text[at:], mark, active)]).replace(OWN, " ".join(hashes), 1)


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _tame(text: str, mark: str, active: re.Pattern[str]) -> str:
    kept, at = [], 0
    for start, begin, _, end in _scripts(text):
        if mark not in text[start:begin]:
            kept.append(text[at:start])
            at = end
    text = "".join([*kept, text[at:]])

    def tag(match: re.Match[str]) -> str:
        known = text.startswith(f" {mark}", match.end()) or _TELLS.match(text, match.start())
        return match[0] if known else f"<blocked-{match[1]}"

    if active is _FRAMED:
        text = text.replace("data-background-iframe", "data-blocked")
    return active.sub(tag, text).replace(f" {mark}", "")


def _inner_hashes(script: str) -> Iterable[str]:
    """Of the window with the speaker's notes, which reveal.js writes with a script inside: it keeps to the policy of
    its deck."""
    for inner in re.findall(r"(?s)<script>(.*?)<\\/script>", script):
        yield _hash(re.sub(r"\\(.)", r"\1", inner))


_KINDS = {
    "iframe": "frames", "object": "frames", "embed": "frames", "video": "media", "audio": "media", "source": "media",
    "track": "media", "script": "scripts", "link": "styles", "img": "images",
}  # fmt: skip
_REMOTE = re.compile(r"(?i)^(?:https?:)?//")


def say_blocked(page: Page) -> None:
    """What the policy of its page would block, with its line and the setting that lets it through."""
    allowed = allowed_hosts(page.allow)
    cursor = Cursor(page.note)
    said: set[str] = set()
    for element in collect(page.doc, pf.RawBlock, pf.RawInline, where=nodes.is_raw_html):
        for tag in tags_in(element.text):
            if tag.ends or (found := _blocked(tag, allowed)) is None:
                continue
            what, setting = found
            line = page.made[element.text] if element.text in page.made else cursor.line_of(tag.text)
            if f"{line}{setting}" not in said:
                said.add(f"{line}{setting}")
                page.say("blocked", f"{what} is blocked by the page's content policy", line, setting)


def _blocked(tag: Tag, allowed: Mapping[str, Iterable[str]]) -> tuple[str, str] | None:
    """What of a tag is blocked, and what would let it through."""
    shown = f"<{tag.name}>"
    address = tag.attributes.get("src") or tag.attributes.get("data") or tag.attributes.get("href", "")
    kind = _KINDS.get(tag.name, "")
    remote = bool(_REMOTE.match(address))
    if tag.name == "script" or (kind == "frames" and address) or (kind and remote):
        host = host_of(address if ":" in address.split("/")[0] else f"https:{address}") if remote else ""
        if kind in allowed and (not (hosts := list(allowed[kind])) or not remote or _covers(hosts, host)):
            return None
        where = f" of {host}" if host else ""
        return (
            f"{shown}{where}",
            f"allow: [{kind}{f': {host}' if host else ''}] below fitnotes: lets it through",
        )
    handler = next((key for key in tag.attributes if re.match(r"on[a-z]+$", key)), "")
    if handler and "scripts" not in allowed:
        return f"{handler} of {shown}", "allow: [scripts] below fitnotes: lets it through"
    if tag.name == "form" and not tag.attributes.get("action", "#").startswith("#"):
        return f"the action of {shown}", "a page sends nothing"
    return None


def _covers(hosts: Iterable[str], host: str) -> bool:
    return any(host == known or (known.startswith("*.") and host.endswith(known[1:])) for known in hosts)


def keep_outside(page: Page) -> None:
    """What a page with everything inside it still asks the network for: pandoc would fetch it while the page is
    written."""

    def visit(element: pf.Element) -> Change:
        if not nodes.is_raw_html(element):
            return None
        for tag in tags_in(element.text):
            if tag.name in _KINDS and _REMOTE.match(
                tag.attributes.get("src") or tag.attributes.get("data", "")
            ):
                marked = re.sub(r"^<(\w+)", r'<\1 data-external="1"', tag.text)
                element.text = element.text.replace(tag.text, marked, 1)
        return element

    walk(page.doc, visit, pf.RawBlock, pf.RawInline)


def place_media(page: Page) -> None:
    """Films and sounds of the note lie beside its page, as pictures do."""
    folder = page.note.path.parent

    def visit(element: pf.Element) -> Change:
        if not nodes.is_raw_html(element) or not re.search(r"(?i)<(?:video|audio|source)\b", element.text):
            return None
        for tag in tags_in(element.text):
            address = tag.attributes.get("src", "")
            if (
                tag.name not in ("video", "audio", "source")
                or not address
                or re.match(r"[a-z]+:|//", address)
            ):
                continue
            file = folder / address
            page.media.linked[str(file)] = "there" if file.is_file() else "missing"
            if not file.is_file():
                page.say("missing-file", f"<{tag.name}> {address}: not found", page.note.line_of(tag.text))
                continue
            if not page.reads(file, address):
                continue
            url = page.media.copy(file)
            element.text = element.text.replace(f'"{address}"', f'"{url}"').replace(
                f"'{address}'", f"'{url}'"
            )
        return element

    walk(page.doc, visit, pf.RawBlock, pf.RawInline)
