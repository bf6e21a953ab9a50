"""The only place that starts pandoc: text → AST, AST → output, fragments of text → AST.

Pandoc is the one inside the ``pypandoc_binary`` wheel, so that every machine has the same; a `pandoc`
on the PATH serves only where that wheel has none for the platform.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fitnotes.errors import ConversionError, MissingProgram, Problem
from fitnotes.execute.cache import write_atomically
from fitnotes.source.note import Note

# Macros stay as written (each target needs something else of them); a list needs no blank line
# before it, nor does a heading or a quote, which is what authors mean; bare addresses become links, as on
# GitHub; \(x\) and \[x\] are formulas, as in LaTeX.
READER = (
    "markdown-latex_macros-blank_before_header-blank_before_blockquote"
    "+lists_without_preceding_blankline+autolink_bare_uris+tex_math_single_backslash"
)


@functools.cache
def program() -> str:
    """The path of pandoc. Raises MissingProgram."""
    if spec := importlib.util.find_spec("pypandoc"):
        for place in spec.submodule_search_locations or ():
            for name in ("pandoc", "pandoc.exe"):
                bundled = Path(place, "files", name)
                if bundled.is_file():
                    return str(bundled)
    if found := shutil.which("pandoc"):
        return found
    raise MissingProgram("pandoc is not installed", hint="pip install pypandoc_binary")


def data_dir() -> Path:
    """The folder with ``filters/`` and ``templates/``: what pandoc calls a data directory."""
    package = Path(__file__).resolve().parents[1]
    # Inside the package in an install, beside it in a checkout.
    return package if (package / "templates").is_dir() else package.parent


def template(name: str) -> Path:
    return data_dir() / "templates" / name


@dataclass(frozen=True, slots=True)
class Output:
    text: str
    warnings: tuple[str, ...]


def run(
    args: Sequence[str], text: str = "", *, cwd: Path | None = None, env: dict[str, str] | None = None
) -> Output:
    """Runs pandoc on ``text``. Raises ConversionError with pandoc's own message."""
    # Filters run under the Python that PATH gives: it has to be the one that has fitnotes.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        [program(), *args],
        input=text.encode("utf-8", "replace"),
        capture_output=True,
        cwd=cwd,
        env={**(env or {}), **os.environ, "PATH": path},
        check=False,
    )
    stderr = done.stderr.decode("utf-8", "replace")
    if done.returncode:
        raise ConversionError(f"pandoc: {stderr.strip() or f'exit status {done.returncode}'}")
    warnings = re.split(r"^\[WARNING\] ", stderr, flags=re.MULTILINE)[1:]
    return Output(done.stdout.decode("utf-8", "replace"), tuple(w.strip() for w in warnings))


def read(note: Note) -> tuple[str, list[Problem]]:
    """The note's AST as pandoc's JSON. Raises ConversionError, with the line for wrong YAML."""
    # What pandoc makes of its own HTML has escaped formulas in spans; `\\\[` in it is no formula's start.
    spans = re.search(r"\]\{\.math\s", note.text)
    reader = READER.replace("+tex_math_single_backslash", "") if spans else READER
    if not spans and re.search(r"\\\\\(.+?\\\\\)", note.text):  # \\(x\\), as some site generators want it
        reader += "+tex_math_double_backslash"
    if "://" not in note.text and "mailto:" not in note.text:  # looking for them takes a third of the time
        reader = reader.replace("+autolink_bare_uris", "")
    try:
        output = run(["-f", reader, "-t", "json"], note.marked)
    except ConversionError as error:
        place = re.search(r"YAML parse exception at line (\d+)", error.message)
        if place is None and "YAML metadata" in error.message:
            raise ConversionError(
                f"the YAML header cannot be read: {error.message.splitlines()[-1].strip()}",
                path=note.shown, line=2, hint="put quotes around a value that holds a colon, a bracket or a brace",
            ) from None  # fmt: skip
        if place is None:
            raise ConversionError(error.message, path=note.shown) from None
        reason = " ".join(error.message.split("\n")[2:]).strip()
        raise ConversionError(
            f"the YAML header cannot be read: {reason}",
            path=note.shown,
            line=int(place[1]) + 1,
            hint="put quotes around a value that holds a colon, a bracket or a quote",
        ) from None
    problems = []
    for warning in output.warnings:
        if re.match(r"Duplicate identifier '\w{2,4}[-:]", warning):
            continue  # of something with a number: an error of ours, with both lines
        line = re.search(r"at (?:\S+ )?line (\d+)", warning)
        problems.append(
            Problem("warning", warning, note.shown, int(line[1]) if line else None, code="pandoc")
        )
    return output.text, problems


class _AnyFormat(frozenset[str]):
    """panflute keeps a list of raw formats that lacks typst and stops at `{=anything-else}`."""

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str)


# Words with spaces between them and nothing that means anything to a filter, or to a writer but at the start.
_SIGN = r"[^\W_]|[’'.,;:!?()/%=–+-]"
_FIRST = rf'{{"t":"Str","c":"[^\W\d_](?:{_SIGN})*"}}'
_NEXT = rf'{{"t":"Str","c":"(?:{_SIGN})+"}}'
_PLAIN_WORDS = re.compile(rf'{_FIRST}(?:,{{"t":"Space"}},{_NEXT})+')


def _one_string(match: re.Match[str]) -> str:
    """A run of plain words as one string: a tenth of the elements, for us and for pandoc's writers."""
    return match[0].replace('"},{"t":"Space"},{"t":"Str","c":"', " ")


def load(ast: str, target: str) -> Any:
    """A panflute Doc. ``target`` is what filters find as ``doc.format``."""
    import panflute

    panflute.elements.RAW_FORMATS = _AnyFormat()
    ast = _PLAIN_WORDS.sub(_one_string, ast)
    # panflute.load takes the format from sys.argv, so give it the stream and set the format after.
    doc = panflute.load(io.StringIO(ast))
    doc.pandoc_version = None if '"t":"Note"' in ast else WITHOUT_NOTES
    doc.format = target
    return doc


# The metadata whose words a page shows.
SHOWN = frozenset({"title", "subtitle", "author", "date", "abstract", "thanks", "institute", "keywords"})


WITHOUT_NOTES = (0,)  # marks a document that has no footnotes, in the place that panflute has for a version


def walk(root: Any, action: Callable[[Any, Any], Any], *kinds: type, metadata: bool = False) -> None:
    """Calls ``action(element, root)`` on every element below ``root``, children first, in document order.

    What it returns: an element takes the place of its own, a list is spliced in, None leaves it. ``kinds``:
    only these types, which is faster; ``metadata``: in what a page shows of it too. It does what panflute's own
    walk does, without building every list anew: most walks over a note change little in it.
    """
    import panflute as pf

    wanted = frozenset(kinds)
    lists, maps = pf.containers.ListContainer, pf.containers.DictContainer
    childless = (pf.Str, pf.Space, pf.SoftBreak, pf.LineBreak, pf.Math, pf.Code, pf.CodeBlock, pf.RawBlock,
                 pf.RawInline, pf.HorizontalRule)  # fmt: skip
    passed = frozenset(childless) - wanted if wanted else frozenset()
    # Blocks stand inside paragraphs in footnotes only.
    shallow = bool(wanted) and not any(issubclass(kind, pf.Inline) for kind in wanted)
    shallow = shallow and isinstance(root, pf.Doc) and root.pandoc_version == WITHOUT_NOTES
    words = frozenset((pf.Para, pf.Plain, pf.Header)) if shallow else frozenset()

    def one(element: Any, parent: Any, location: str, index: int | None) -> Any:
        if element._children and type(element) not in words:
            below(element)
        if wanted and type(element) not in wanted:
            return element
        element.parent, element.location, element.index = parent, location, index
        found = action(element, root)
        return element if found is None else found

    def below(element: Any) -> None:
        for name in element._children:
            if name == "metadata" and not metadata:
                continue
            child = getattr(element, name)
            if type(child) is lists:
                changed: list[Any] | None = None
                for index, item in enumerate(child.list):
                    found = item if type(item) in passed else one(item, element, name, index)
                    if found is not item and changed is None:
                        changed = child.list[:index]
                    if changed is not None:
                        changed.extend(found if isinstance(found, list) else (found,))
                if changed is not None:
                    child[:] = changed
            elif isinstance(child, maps):
                shown = SHOWN if element is getattr(root, "metadata", None) else child.dict.keys()
                for key in [key for key in child.dict if key in shown]:
                    item = child.dict[key]
                    found = one(item, element, name, None)
                    if found == []:
                        del child.dict[key]
                    else:
                        child.dict[key] = found
            elif child is not None:
                found = one(child, element, name, None)
                if found is not child:
                    setattr(element, name, found)

    below(root)


def dump(doc: Any) -> str:
    import panflute

    stream = io.StringIO()
    panflute.dump(doc, stream)
    return stream.getvalue()


def write(ast: str, to: str, args: Iterable[str] = (), *, cwd: Path | None = None) -> Output:
    """The AST in the format ``to``; ``cwd`` is where relative resources are looked up."""
    return run(["-f", "json", "-t", to, *args], ast, cwd=cwd)


def write_file(
    ast: str, to: str, target: Path, args: Iterable[str] = (), *, cwd: Path | None = None
) -> Output:
    """The AST as a file of a binary format. It takes its place when it is whole."""
    with scratch_folder() as scratch:
        made = scratch / f"out{target.suffix}"
        # No date of today in it: same note, same bytes. (The format of zip begins in 1980.)
        epoch = {"SOURCE_DATE_EPOCH": "315532800"}
        output = run(["-f", "json", "-t", to, *args, "-o", str(made)], ast, cwd=cwd, env=epoch)
        write_atomically(target, made.read_bytes())
    return output


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for the length of one conversion."""
    with tempfile.TemporaryDirectory(prefix="fitnotes-") as name:
        yield Path(name)


_SEPARATOR = "fitnotesfragmentseparator"


def read_fragments(fragments: Sequence[str], source: str = READER) -> list[list[Any]]:
    """Each fragment as a list of panflute blocks, with one pandoc process for all of them.

    A fragment that swallows the separator behind it (an unclosed div, say) is read by itself.
    """
    if not fragments:
        return []
    between = f"\n\n{_SEPARATOR}\n\n"
    # Pipe tables with longer lines than this get the full width of the text, and their cells wrap.
    command = ["-f", source, "-t", "json", "--columns=100"]
    groups: list[list[Any]] = [[]]
    for block in load(run(command, between.join(fragments)).text, "json").content:
        if _is_separator(block):
            groups.append([])
        else:
            groups[-1].append(block)
    if len(groups) != len(fragments):
        groups = [list(load(run(command, f).text, "json").content) for f in fragments]
    return groups


def _is_separator(block: Any) -> bool:
    content = getattr(block, "content", None)
    return (
        type(block).__name__ in ("Para", "Plain")
        and content is not None
        and len(content) == 1
        and getattr(content[0], "text", None) == _SEPARATOR
    )
