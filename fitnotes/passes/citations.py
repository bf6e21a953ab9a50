"""Citations and the list of references, by pandoc's citeproc, with links both ways.

A key that no bibliography has stays visible with a mark, and is a warning with its line.
"""

from __future__ import annotations

import re
from pathlib import Path

import panflute as pf

from fitnotes.document import nodes, pandoc
from fitnotes.document.read import plain
from fitnotes.document.tree import SHOWN, Change, Elements, dump, load, walk
from fitnotes.errors import ConversionError, Problem
from fitnotes.passes.page import Page
from fitnotes.store.inputs import file_hash

# What citeproc looks at in a note's header.
_KEYS = frozenset({"references", "nocite", "lang", "link-citations", "link-bibliography", "notes-after-punctuation",
                   "suppress-bibliography", "reference-section-title", "citation-abbreviations"})  # fmt: skip
_ENTRY = "ref-"  # in front of a key: citeproc's name for its entry


def cite(page: Page) -> None:
    """Replaces every citation of ``page`` by what the style says, and adds the list of references.

    Without a bibliography that can be read, a citation stays visible as its key, with a warning.
    """
    metadata = page.doc.metadata.content
    wanted = "bibliography" in metadata
    settings = page.document.settings
    files = [*_files(page, "bibliography"), *_project_files(page, settings.bibliography, "bibliography")]
    styles = [*_files(page, "csl"), *_project_files(page, (settings.csl,) if settings.csl else (), "csl")]
    cites: Elements = []
    walk(page.doc, lambda e: cites.append(e), pf.Cite, metadata=True)
    if not cites and "nocite" not in metadata:
        return
    if files or "references" in metadata:
        _process(page, files, styles)
    else:
        _without(page, wanted)


def _files(page: Page, key: str) -> list[str]:
    """The files under ``key`` in the note's header that exist; those that do not are warned about."""
    metadata = page.doc.metadata.content
    note = page.note
    value = plain(metadata.pop(key)) if key in metadata else []
    found = []
    for name in [str(name) for name in (value if isinstance(value, list) else [value])]:
        file = note.path.parent / name
        if not file.is_file() and (page.place.root / name).is_file():
            file = page.place.root / name
        if not page.reads(file, name):
            continue
        page.media.inputs[str(file)] = file_hash(file)
        if file.is_file():
            found.append(str(file.resolve()))
            continue
        reason = "lies on the network; save it beside the note" if "://" in name else "not found"
        line = note.line_of(name)
        page.problems.append(Problem("missing-file", f"{key} {name} {reason}", note.shown, line))
    return found


def _project_files(page: Page, names: tuple[str, ...], key: str) -> list[str]:
    """Those of the project's settings."""
    note = page.note
    found = []
    for name in names:
        file = page.place.root / name
        if not page.reads(file, name):
            continue
        page.media.inputs[str(file)] = file_hash(file)
        if file.is_file():
            found.append(str(file))
        else:
            message = f"{key} {name}, which the settings name, not found"
            page.problems.append(Problem("missing-file", message, note.shown))
    return found


def _process(page: Page, files: list[str], styles: list[str]) -> None:
    note = page.note
    metadata = page.doc.metadata.content
    asked = pf.Doc(*page.doc.content, api_version=page.doc.api_version)
    asked.metadata = {key: metadata[key] for key in metadata if key in SHOWN | _KEYS}
    if "link-citations" not in metadata:
        asked.metadata["link-citations"] = True
    args = ["-f", "json", "-t", "json", "--citeproc", *(f"--bibliography={file}" for file in files)]
    args += [f"--csl={style}" for style in styles[:1]]
    try:
        reads = page.folders if page.place.inside else None
        output = pandoc.run(args, dump(asked), cwd=note.path.parent, reads=reads)
    except ConversionError as error:  # said once; the citations stay visible
        name = next((file for file in [*files, *styles] if file in error.message), "")
        line = note.line_of(Path(name).name) if name else None
        reason = " ".join(error.message.replace(name, Path(name).name).split())
        if "Citeproc" in reason and styles:
            line = note.line_of(Path(styles[0]).name)
            reason = f"the style {Path(styles[0]).name} cannot be read: {reason}"
        page.problems.append(Problem("bibliography", reason[:300], note.shown, line))
        _without(page, wanted=True, said=True)
        return
    made = load(output.text, page.doc.format)
    made.has_notes = True  # some styles write footnotes
    page.doc.has_notes = True
    page.doc.content = list(made.content)
    for key in _KEYS - {"lang"}:
        metadata.pop(key, None)
    for key in SHOWN & set(made.metadata.content):
        metadata[key] = made.metadata.content[key]
    missing = _say_missing(page, output.warnings)
    places = _mark(page, missing)
    _dress_list(page, places)


def _say_missing(page: Page, warnings: tuple[str, ...]) -> set[str]:
    note = page.note
    missing: set[str] = set()
    for warning in warnings:
        first = " ".join(warning.split())
        found = re.search(r"[Cc]itation (\S+) not found", first)
        if found is None:
            page.problems.append(Problem("pandoc", f"pandoc: {first}", note.shown))
            continue
        key = found[1]
        missing.add(key)
        line = note.line_of(f"@{key}") or note.line_of(f"{{{key}}}") or note.line_of(key)
        message = f"citation of {key}, which the bibliography does not have"
        page.problems.append(Problem("citation", message, note.shown, line))
    return missing


def _mark(page: Page, missing: set[str]) -> dict[str, list[str]]:
    """Anchors where something is cited, by key, and a mark on what could not be."""
    places: dict[str, list[str]] = {}

    def mark(element: pf.Element) -> Change:
        text = pf.stringify(element)
        if isinstance(element, pf.Link):
            return list(element.content) if element.url.removeprefix(f"#{_ENTRY}") in missing else None
        if text.endswith("?") and text[:-1] in missing:
            return nodes.error(pf.Str(text))
        return None

    def visit(element: pf.Element) -> Change:
        if missing & {citation.id for citation in element.citations}:
            walk(element, mark, pf.Strong, pf.Link)
        anchors = []
        for key in dict.fromkeys(citation.id for citation in element.citations):
            if key not in missing:
                names = places.setdefault(key, [])
                names.append(f"cite-{re.sub(r'[^A-Za-z0-9_-]+', '-', key)}-{len(names) + 1}")
                anchors.append(page.look.anchor(names[-1]))
        return [*anchors, *element.content]

    walk(page.doc, visit, pf.Cite, metadata=True)
    return places


def _dress_list(page: Page, places: dict[str, list[str]]) -> None:
    """A heading over the list, if it has none, and from each entry the way back."""

    def visit(element: pf.Element) -> None:
        if not element.identifier.startswith(_ENTRY):
            return
        names = places.get(element.identifier.removeprefix(_ENTRY), [])
        last = element.content[-1] if len(element.content) else None
        if names and isinstance(last, (pf.Para, pf.Plain)):
            last.content = [*last.content, pf.Space(), *page.look.cited(names)]

    walk(page.doc, visit, pf.Div)
    blocks = list(page.doc.content)
    at = next((i for i, b in enumerate(blocks) if isinstance(b, pf.Div) and b.identifier == "refs"), None)
    if at is not None and at and not isinstance(blocks[at - 1], pf.Header):
        level = min((b.level for b in blocks if isinstance(b, pf.Header)), default=1)
        title = pf.Header(pf.Str(page.words("References")), level=level, identifier="bibliography",
                          classes=["unnumbered"])  # fmt: skip
        page.doc.content = [*blocks[:at], title, *blocks[at:]]


def _without(page: Page, wanted: bool, *, said: bool = False) -> None:
    """Citations as their keys; ``said``: why is known already."""
    note = page.note

    def visit(element: pf.Element) -> Change:
        keys = [citation.id for citation in element.citations]
        if not wanted and all(citation.mode == "AuthorInText" for citation in element.citations):
            return pf.Str("@" + keys[0]) if len(keys) == 1 else None  # a name, as on GitHub
        line = next((at for key in keys if (at := note.line_of(key)) is not None), None)
        message = f"citation of {', '.join(keys)}, but there is no bibliography"
        if not said:
            page.problems.append(Problem("citation", message, note.shown, line))
        shown = pf.stringify(pf.Para(*element.content)).strip()
        return nodes.error(pf.Str(shown or f"[{', '.join(keys)}]"))

    walk(page.doc, visit, pf.Cite, metadata=True)
