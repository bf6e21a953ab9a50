"""How many words of a note are missing in its outputs: ``PYTHONPATH=tests python -m loss OUTPUT_FOLDER NOTES``.

The words are those that pandoc reads in the text as it is written, without formulas, without code that runs and without
what only some formats show; the outputs are read back as a reader would, a PDF by pdftotext.
"""

from __future__ import annotations

import html
import re
import subprocess
import sys
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import panflute as pf

from fitnotes.document import pandoc
from fitnotes.document.tree import load, walk
from fitnotes.source.fences import fences, header_end
from fitnotes.source.languages import DRAWN, PYTHON

_WORD = re.compile(r"[^\W\d_]{4,}")
_UNSEEN = ("content-visible", "content-hidden", "hidden", "notes")


def words(text: str) -> Counter[str]:
    return Counter(_WORD.findall(unicodedata.normalize("NFKC", text)))


def of_source(note: Path) -> Counter[str]:
    """The words that its author wrote to be read."""
    text = _without_cells(note.read_text(encoding="utf-8"))
    doc = load(pandoc.run(["-f", "markdown", "-t", "json"], text).text, "plain")
    found: list[str] = []

    def drop(element: pf.Element) -> pf.Element | list[pf.Element] | None:
        classes = getattr(element, "classes", [])
        hidden = any(name in classes for name in _UNSEEN)
        runs = isinstance(element, (pf.CodeBlock, pf.Code)) and classes and classes[0] in {*PYTHON, *DRAWN}
        fence = isinstance(element, pf.Code) and element.text.startswith("{")
        return (
            []
            if hidden or runs or fence or isinstance(element, (pf.Math, pf.RawBlock, pf.RawInline))
            else None
        )

    def drop_twice(element: pf.Element) -> list[pf.Element] | None:
        """The words of a figure's picture, which are those of its caption."""
        return (
            []
            if isinstance(element.parent, pf.Plain) and isinstance(element.parent.parent, pf.Figure)
            else None
        )

    def take(element: pf.Element) -> None:
        if isinstance(element, (pf.Str, pf.Code, pf.CodeBlock)) and not _is_markup(element.text):
            found.append(element.text)

    walk(doc, drop, metadata=True)
    walk(doc, drop_twice, pf.Image)
    walk(doc, take, pf.Str, pf.Code, pf.CodeBlock, metadata=True)
    return words(" ".join(found))


def _without_cells(text: str) -> str:
    """MyST's cells, formulas and options, and addresses, which pandoc would take for prose."""
    lines = text.split("\n")
    for fence in fences(lines):
        if fence.end is None or not fence.info.startswith("{"):
            continue
        runs = r"\{\s*\.?(?:code-cell|math|r|julia|mermaid|tikz|raw|bibliography|index|python|py)\b"
        if re.match(r"\{\s*[.#]", fence.info) and not re.match(runs, fence.info):
            continue
        if re.match(runs, fence.info):
            lines[fence.start : fence.end + 1] = [""] * (fence.end + 1 - fence.start)
            continue
        for n in (fence.start, fence.end):
            lines[n] = re.sub(r"(?:```+|~~~+)\s*(?:\{[^}]*\})?", "", lines[n])
        for n in fence.lines:
            lines[n] = "" if re.match(r"\s*:[\w-]+:|---$", lines[n]) else lines[n]
    head = header_end(lines)
    body = "\n".join(lines[head:])
    body = re.sub(r"\$\$(?s:.*?)\$\$(?:\s*\([\w-]+\))?", "", body)  # with MyST's label behind it
    text = "\n".join([*lines[:head], body])
    for pattern in (
        r"<(?:https?:)?//[^>\s]*>|\b\w+://[^\s)>\]]*",  # addresses
        r"(?m)^\([\w:.-]+\)=\s*$|^:{3,}\{[^.#}\n][^}\n]*\}.*$|^(?:jupytext|kernelspec):(?:\n\s+.*)*",
        r"\{(?:eq|ref|numref|prf:ref|doc|cite[:\w]*|index|eval)\}`[^`]*`|\{[\w:-]+\}(?=`)|%%.*?%%|(?m:^:[\w-]+:.*$)",
    ):
        text = re.sub(pattern, "", text)
    return text


def _is_markup(text: str) -> bool:
    """Of other readers than pandoc: fences of divs, labels, roles, shortcodes, macros, references."""
    return bool(re.match(r":::|\{|\[!|\\|@|\[@|\(\w+\)=$|:\w+:|#\||\[\[|!\[\[|%%|https?:", text))


def _words_of(page: str) -> str:
    page = re.sub(r"(?is)<(script|style)\b.*?</\1>", "", page)
    attributes = " ".join(re.findall(r'(?:alt|title|aria-label)="([^"]*)"', page))
    return html.unescape(f"{re.sub(r'<[^>]*>', '', page)} {attributes}")


def _text(file: Path) -> str:
    if file.suffix == ".html":
        return _words_of(file.read_text(encoding="utf-8"))
    if file.suffix == ".pdf":
        text = subprocess.run(
            ["pdftotext", "-raw", file, "-"], capture_output=True, text=True, check=True
        ).stdout
        text = text.replace("\u200b", "")
        return text + re.sub(r"[-‐\u00ad]\n", "", text)
    if file.suffix == ".epub":
        with zipfile.ZipFile(file) as book:
            pages = [book.read(name).decode() for name in book.namelist() if name.endswith(".xhtml")]
        return " ".join(_words_of(page) for page in pages)
    if file.suffix == ".docx":
        return _words_of(pandoc.run(["-s", "-t", "html", "--wrap=none", str(file)]).text)
    text = file.read_text(encoding="utf-8")
    return re.sub(r"\\(?:allowbreak|_)(?:\{\})?", lambda m: "_" if m[0] == "\\_" else "", text)


def lost(note: Path, outputs: Iterable[Path], messages: str = "") -> Mapping[str, list[str]]:
    """Output → the words of the note that are there less often, and stand in no message."""
    wanted = of_source(note)
    found: dict[str, list[str]] = {}
    for output in outputs:
        text = _text(output)
        shown, said = words(text), words(messages)
        gone = sorted(word for word, count in wanted.items() if shown[word] < count and word not in said)
        gone = [word for word in gone if not _is_there(word, wanted[word], text)]
        if gone:
            found[output.suffix] = gone
    return found


def _is_there(word: str, count: int, text: str) -> bool:
    """As a part of other words: where lines break, where words stand close."""
    joined = re.sub(r"\s|[-‐\u00ad]\s", "", unicodedata.normalize("NFKC", text))
    return joined.count(word) >= count


def main() -> None:
    folder, notes = Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]
    for note in notes:
        outputs = [file for kind in ("html", "pdf", "gfm", "docx") for file in (folder / kind).rglob(f"{note.stem}.*")
                   if file.is_file()]  # fmt: skip
        for suffix, gone in lost(note, outputs).items():
            print(f"{note} {suffix}: {len(gone)} of {sum(of_source(note).values())}: {' '.join(gone[:12])}")


if __name__ == "__main__":
    main()
