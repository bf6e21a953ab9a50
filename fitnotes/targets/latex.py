"""A note as a PDF through an installed LaTeX, for those who want its typesetting.

The preamble goes in as written; definitions made inside formulas are put behind it. LaTeX runs without
shell escape and reads no file outside its folder.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import panflute as pf

from fitnotes.document import nodes, pandoc
from fitnotes.document.read import Document
from fitnotes.document.read import plain as plain_value
from fitnotes.document.tree import Change, Elements, dump, walk
from fitnotes.draw import pictures
from fitnotes.draw.media import Media, remove_old
from fitnotes.errors import ConversionError, Problem
from fitnotes.execute.result import Result
from fitnotes.passes import callouts, crossrefs, floats, rawtex, theorems
from fitnotes.passes.citations import cite
from fitnotes.passes.page import Page, Place, compose, converter_warnings
from fitnotes.store.files import write_atomically
from fitnotes.store.inputs import file_hash
from fitnotes.tex import environments, packages, unicode
from fitnotes.tex.engines import TIME_LIMIT, find_engine, run_latex
from fitnotes.tex.macros import brace_scripts
from fitnotes.tex.numbering import within

REPAIRS = 25  # at most so many things that LaTeX stops at are taken out of its way


def prepare(page: Page, plain: bool) -> set[str]:
    """References, braces and page breaks as LaTeX wants them; its own raw TeX stays as it is.

    Returns the kinds of theorems that are in it.
    """
    refs = page.refs
    cleveref = "{cleveref}" in page.preamble.tex

    raw_kinds: set[str] = set()

    def collect(element: pf.Element) -> None:
        raw_kinds.update(n for n in re.findall(r"\\begin\{(\w+\*?)\}", element.text) if n in page.theorems)
        for label in re.findall(r"\\label\s*\{([^}]*)\}", element.text):
            if label.strip() not in refs.targets:  # of a figure in raw TeX, say
                refs.targets[label.strip()] = crossrefs.Target("", "?")

    walk(page.doc, collect, pf.RawInline, pf.RawBlock)

    def link(address: str, target: crossrefs.Target, prefix: str) -> pf.Element:
        ours = target.kind == "Equation" or target.kind in theorem_titles
        if not address.startswith("#") or not ours:
            return crossrefs.plain_link(address, target, prefix)
        command = "eqref" if target.kind == "Equation" else "ref"
        name = f"{prefix}~" if prefix else ""
        return pf.RawInline(f"{name}\\{command}{{{address[1:]}}}", format="latex")

    theorem_titles = {kind.title for kind in page.theorems.values()}

    def visit(element: pf.Element) -> Change:
        if isinstance(element, pf.Math):
            text = brace_scripts(element.text, page.preamble.macros)
            text = unicode.mathematical(environments.INNER_REFERENCE.sub(inner, text))
            if environments.ENVIRONMENT.match(text):
                return pf.RawInline(f"\n{text}\n", format="latex")
            element.text = text
        elif isinstance(element, (pf.RawInline, pf.RawBlock)) and element.format in ("tex", "latex"):
            match = rawtex.REFERENCE.match(element.text.strip())
            if match and not isinstance(element, pf.RawBlock):
                return reference(element, match)
            text = theorems.protect_titles(
                environments.INNER_REFERENCE.sub(inner, element.text), page.theorems
            )
            element.text = _place_graphics(text, page)
        elif nodes.is_problem(element):
            opening = pf.RawInline("\\fitnotesproblem{", format="latex")
            return [opening, *element.content, pf.RawInline("}", format="latex")]
        elif isinstance(element, pf.CodeBlock) and "output" in element.classes and not plain:
            return _verbatim(element)
        return None

    def inner(match: re.Match[str]) -> str:
        """A reference inside a formula: one that leads nowhere is an error here too."""
        label = match[2].strip()
        if label in refs.targets:
            return match[0]
        found = refs.find(label)
        if found is None:
            refs.missing(match[0], label)
            return f"\\text{{??{label}}}"
        number = found[1].number
        return f"\\text{{({number})}}" if match[1] else f"\\text{{{number}}}"

    def reference(element: pf.Element, match: re.Match[str]) -> Change:
        command, labels = match[1], [label.strip() for label in match[2].split(",")]
        counted = all(
            label in refs.targets and refs.targets[label].number and refs.targets[label].kind != "Listing"
            for label in labels
        )
        if counted and (cleveref or command.lower() != "cref"):
            element.text = f"\\{command}{{{','.join(labels)}}}"
            return None
        out: Elements = []
        for label in labels:
            out += [pf.Str(","), pf.Space()] if out else []
            out.append(crossrefs.tex_reference(refs, command, label, link))
        return out

    crossrefs.resolve(page.doc, refs, link)
    cite(page)
    met = theorems.dress(page.doc, page.theorems, theorems.as_latex)
    _parts(page)
    floats.dress(page.doc, _row)
    callouts.dress(page.doc, _callout)
    walk(page.doc, visit, pf.Math, pf.RawInline, pf.RawBlock, pf.Span, pf.CodeBlock, metadata=True)
    return met | raw_kinds


def _parts(page: Page) -> None:
    """Figures inside a figure, and tables inside a panel, whose captions do not count; a panel counts as a table."""

    def visit(element: pf.Element) -> Change:
        if isinstance(element, pf.Div):
            if nodes.is_listing(element):
                return _titled(element, "")
            if not nodes.is_panel(element):
                return None
            return [pf.RawBlock("\\refstepcounter{table}", format="latex"), _titled(element, "\\centering")]
        number = nodes.take_number(element)
        if isinstance(element, pf.Table) and element.cols > 7 and not nodes.is_part(element):
            size = "\\footnotesize" if element.cols <= 11 else "\\tiny"  # as of a data frame
            start = f"\\begingroup{size}\\setlength{{\\tabcolsep}}{{3pt}}"
            return [pf.RawBlock(start, format="latex"), element, pf.RawBlock("\\endgroup", format="latex")]
        if not nodes.is_part(element):
            several = isinstance(element, pf.Figure) and (
                len(element.content) > 1 or isinstance(element.content[0], pf.Div)
            )
            return _whole(element) if several else None
        anchor = f"\\phantomsection\\label{{{element.identifier}}}" if element.identifier else ""
        words = nodes.caption_words(element)
        opening = pf.RawInline(f"{anchor}{{\\small {number} ", format="latex")
        caption = pf.Para(opening, *words, pf.RawInline("\\par}", format="latex"))
        element.identifier, element.caption = "", pf.Caption()
        if isinstance(element, pf.Table):
            element.classes = []
            return [caption, element]
        centred = pf.RawBlock("\\centering", format="latex")
        return [
            centred,
            *nodes.paragraphs(element.content),
            caption,
        ]

    walk(page.doc, visit, pf.Figure, pf.Table, pf.Div)


def _held(blocks: Elements) -> Elements:
    """The blocks, with figures that stay where they are: a box holds no floats."""

    def visit(element: pf.Element) -> Change:
        if isinstance(element, pf.Figure):
            made = _whole(element)
            made[0].text = made[0].text.replace("\\begin{figure}", "\\begin{figure}[H]", 1)
            return made
        if element.text.startswith("\\begin{figure}\n"):
            element.text = element.text.replace("\\begin{figure}", "\\begin{figure}[H]", 1)
        return None

    holder = pf.Div(*blocks)
    walk(holder, visit, pf.Figure, pf.RawBlock)
    return list(holder.content)


def _titled(box: pf.Element, align: str) -> pf.Element:
    """Code or tables with a number: the words above them in the size of a caption, on the same page."""
    first, *rest = box.content
    start = pf.RawInline(f"\\par{{{align}\\small ", format="latex")
    words = pf.Plain(start, *first.content, pf.RawInline("\\par}\\nobreak", format="latex"))
    box.content = [words, *rest]
    return box


def _whole(figure: pf.Element) -> Elements:
    """A figure of several blocks, each of which pandoc would make a column."""
    words = nodes.caption_words(figure)
    label = f"\\label{{{figure.identifier}}}" if figure.identifier else ""
    words, below = _notes_below(words)
    short = "[]" if below else ""  # a note has no place in a list of figures
    start, end = (
        pf.RawInline(f"\\caption{short}{{", format="latex"),
        pf.RawInline(f"}}{label}", format="latex"),
    )
    return [
        pf.RawBlock("\\begin{figure}\n\\centering", format="latex"),
        *nodes.paragraphs(figure.content),
        *([pf.Plain(start, *words, end)] if words or label else []),
        pf.RawBlock("\\end{figure}", format="latex"),
        *([pf.Plain(*below)] if below else []),
    ]


def _notes_below(words: Elements) -> tuple[Elements, Elements]:
    """The words of a caption with marks for its footnotes, and those, for behind the figure: a float has none."""
    notes: Elements = []

    def mark(element: pf.Element) -> Change:
        notes.append(element)
        return pf.RawInline("\\protect\\footnotemark{}", format="latex")

    holder = pf.Span(*words)
    walk(holder, mark, pf.Note)
    below: Elements = []
    for n, note in enumerate(notes):
        count = f"\\addtocounter{{footnote}}{{{1 - len(notes)}}}" if n == 0 else "\\stepcounter{footnote}"
        inner = [e for block in note.content for e in getattr(block, "content", [])]
        below += [
            pf.RawInline(f"{count}\\footnotetext{{", format="latex"),
            *inner,
            pf.RawInline("}", format="latex"),
        ]
    return list(holder.content), below


def _row(columns: list[Elements], widths: list[float]) -> Elements:
    """Things side by side; tables, which LaTeX breaks over pages, below one another."""
    if any(isinstance(block, pf.Table) for column in columns for block in column):
        return floats.below_one_another(columns, widths)
    made: Elements = []
    between = ""
    for column, width in zip(columns, widths, strict=True):
        start = f"\\begin{{minipage}}[t]{{{0.96 * width / 100:.3f}\\linewidth}}\\vspace{{0pt}}"
        made += [pf.RawBlock(f"{between}{start}", format="latex"), *_held(column)]
        between = "\\end{minipage}\\hfill\n"  # an empty line would end the row
    return [*made, pf.RawBlock("\\end{minipage}\\par\\medskip", format="latex")]


def _callout(kind: str, title: Elements, content: Elements, element: pf.Element) -> Elements:
    anchor = f"\\phantomsection\\label{{{element.identifier}}}" if element.identifier else ""
    start = pf.RawInline(f"\\begin{{fitnotescallout}}{{fitnotes{kind}}}{anchor}{{\\bfseries ", format="latex")
    return [
        pf.Plain(start, *title, pf.RawInline("\\par}", format="latex")),
        *_held(content),
        pf.RawBlock("\\end{fitnotescallout}", format="latex"),
    ]


def _place_graphics(tex: str, page: Page) -> str:
    """``\\includegraphics`` in raw TeX with its file beside the .tex, as LaTeX may read from there only."""
    note = page.document.note

    def place(match: re.Match[str]) -> str:
        for suffix in ("", ".pdf", ".png", ".jpg", ".svg"):
            path = note.path.parent / (match[2].strip() + suffix)
            page.media.inputs[str(path)] = file_hash(path)
            if path.is_file():
                url = page.media.add(path.read_bytes(), path.suffix.lower(), path.stem)
                return f"{match[1]}{{{url}}}" if url else match[0]
        line = note.line_of(match[0])
        page.problems.append(Problem("missing-file", f"image {match[2]}: not found", note.shown, line))
        return f"\\fitnotesproblem{{[image missing: {match[2]}]}}"

    return re.sub(r"(\\includegraphics\s*(?:\[[^\]]*\])?)\s*\{([^}]*)\}", place, tex)


def _verbatim(element: pf.Element) -> pf.RawBlock:
    """Output with a rule beside it, in an environment of its own."""
    name = "fitnoteserror" if "error" in element.classes else "fitnotesoutput"
    text = element.text.replace(f"\\end{{{name}}}", f"\\end {{{name}}}")
    return pf.RawBlock(f"\\begin{{{name}}}\n{text}\n\\end{{{name}}}", format="latex")


MARK = "%%PREAMBLE%%"  # in the template: where `packages.write` goes, once the text is known


def write_latex(
    document: Document,
    results: Mapping[int, Result],
    media: Media,
    place: Place,
    *,
    plain: bool = False,
    arrange: Callable[[Page], list[str]] | None = None,
) -> tuple[Page, str]:
    """The document as LaTeX. ``plain``: code without colours, for someone to go on writing in. ``arrange`` makes
    slides of the page, and gives pandoc's arguments for them."""
    suffix = ".tex" if plain else ""
    page = compose(document, results, "latex", media, place, suffix=suffix, deck=arrange is not None)
    met = prepare(page, plain)
    metadata = page.doc.metadata.content
    mainfont, geometry = "mainfont" in metadata, metadata.get("geometry")
    args = [
        "--standalone",
        "--wrap=none",
        f"--template={pandoc.template('fitnotes.latex')}",
    ]
    args += arrange(page) if arrange else []
    args += ["--syntax-highlighting=none"] * plain
    numbered = page.numbered
    args += ["--number-sections"] * numbered
    inside = (
        within(page.preamble.tex)
        or page.words.chapters
        or any(kind.within for kind in page.theorems.values())
    )
    args += ["--variable", "hiddensections"] * bool(inside and not numbered)
    if not arrange and document.settings.toc and page.asks("toc", True) and page.headings > 7:
        args += ["--toc", "--toc-depth=2"]
    output = pandoc.write(dump(page.doc), "latex", args, cwd=document.note.path.parent)
    converter_warnings(page, output.warnings)
    text = _uncounted(output.text)
    own = page.preamble.tex
    if geometry is not None:
        own = f"\\usepackage[{_options(geometry)}]{{geometry}}\n{own}"
    body = text.split(MARK, 1)[1]
    theorems_needed = "\n".join([theorems.declarations(met, page.theorems), *_captions(page)])
    definitions = [packages.renewed("\n".join(page.maths.definitions))]
    preamble = packages.write(
        body,
        packages.renewed(own),
        definitions,
        theorems_needed,
        geometry=geometry is not None,
        mainfont=mainfont,
        beamer=arrange is not None,
    )
    text = text.replace(MARK, preamble, 1)
    return page, re.sub(r"\n{3,}", "\n\n", text)


def _captions(page: Page) -> list[str]:
    """How captions begin and count, where that is not as LaTeX has it."""
    words = page.words
    lines = []
    if words.language != "en" or words.titles:
        for name in ("Figure", "Table"):  # behind babel, which has names of its own
            lines.append(f"\\AtBeginDocument{{\\def\\{name.lower()}name{{{words.title(name)}}}}}")
    inside = within(page.preamble.tex)
    if words.chapters:
        lines += [f"\\counterwithin{{{c}}}{{section}}" for c in ("figure", "table") if c not in inside]
    return lines


def _uncounted(text: str) -> str:
    """Tables without a caption take no number; in older versions of longtable they do, whatever pandoc asks."""
    start = r"\{\\def\\LTcaptype\{none\} % do not increment counter\n(\\begin\{longtable\}.*?\\end\{longtable\})\n\}"
    return re.sub(start, r"\1\n\\addtocounter{table}{-1}", text, flags=re.DOTALL)


def _options(value: pf.Element) -> str:
    found = plain_value(value)
    return ",".join(str(item) for item in found) if isinstance(found, list) else str(found)


def write_latex_pdf(
    document: Document,
    results: Mapping[int, Result],
    target: Path,
    engine: str,
    place: Place,
    *,
    arrange: Callable[[Page], list[str]] | None = None,
    again: Callable[[Page, str, str], str] | None = None,
) -> Page:
    """Writes ``target``, as `write_latex` has it. Raises MissingProgram, and ConversionError with its line and the
    reason. ``again(page, tex, log)`` looks at what came of it, and may give another text to be set instead."""
    find_engine(engine)  # before anything is made for it
    with tempfile.TemporaryDirectory(prefix="fitnotes-") as scratch:
        folder = Path(scratch)
        media = Media(folder, "", convert=pictures.converter("latex", place.root))
        page, text = write_latex(document, results, media, place, arrange=arrange)
        source = folder / "note.tex"
        for _ in range(REPAIRS):
            source.write_text(text, encoding="utf-8")
            try:
                log = _run(engine, source, page)
                other = again(page, text, log) if again else text
                if other == text:
                    break
                text, again = other, None
            except _Failed as failure:
                repaired = _repaired(failure.log, text, page, engine)
                if repaired is None or repaired == text:
                    raise _error(engine, failure.log, source, page) from None
                text = repaired
        else:
            raise ConversionError(f"{engine}: more than {REPAIRS} errors", path=document.note.shown)
        write_atomically(target, (folder / "note.pdf").read_bytes())
    return page


class _Failed(Exception):
    def __init__(self, log: str) -> None:
        self.log = log


def _repaired(log: str, text: str, page: Page, engine: str) -> str | None:
    """The document without what LaTeX has just stopped at, which is said; None where this knows no help.

    An unknown command shows as its name: a warning in prose, as in the other targets, an error in a formula.
    """
    note = page.document.note
    reason = next((line[2:].strip() for line in log.split("\n") if line.startswith("! ")), "")

    def say(message: str, name: str, hint: str | None = None, *, wrong: bool = False) -> None:
        page.problems.append(
            Problem(
                "latex-formula" if wrong else "latex",
                f"{engine}: {message}",
                note.shown,
                note.line_of(name),
                hint,
            )
        )

    def insert(lines: str) -> str:
        return text.replace("\\begin{document}", f"{lines}\n\\begin{{document}}", 1)

    if reason.startswith("Undefined control sequence"):
        # TeX breaks the line of its context behind the command.
        context = re.search(r"^! Undefined control sequence\..*\n(.*)$", log, re.MULTILINE)
        names = re.findall(r"\\[A-Za-z@]+", context[1]) if context else []
        name = names[-1] if names else ""
        if not name or name in ("\\begin", "\\end"):
            return None
        in_formula = name in page.formula_names
        say(f"it does not know {name}, whose name is shown", name, wrong=in_formula)
        return insert(f"\\providecommand{{{name}}}{{\\texttt{{\\string{name}}}}}")
    if match := re.match(r"Package babel Error: Unknown option '(\w+)'", reason):
        say(f"babel has no {match[1]} here: hyphenation and names are English", "lang")
        return re.sub(r"\\usepackage\[[^\]]*\]\{babel\}\n?", "", text)
    if match := re.match(r"LaTeX Error: Environment (\S+) undefined", reason):
        say(f"it does not know the environment {match[1]}; what is in it is shown", f"\\begin{{{match[1]}}}")
        return insert(f"\\newenvironment{{{match[1]}}}{{\\par\\texttt{{[{match[1]}]}} }}{{\\par}}")
    if match := re.match(r"LaTeX Error: File `([^']+)\.sty' not found", reason):
        say(
            f"the package {match[1]} is not installed, and is left out",
            match[1],
            "install the LaTeX package that has it",
        )
        return _without_package(text, match[1])
    if match := re.match(r"LaTeX Error: Command (\\\S+) already defined", reason):
        name = re.escape(match[1])
        return re.sub(
            rf"\\(?:new|provide)command(\*?\s*\{{?\s*{name}(?![A-Za-z]))", r"\\renewcommand\1", text
        )
    if match := re.match(r"LaTeX Error: Command (\\\S+) undefined", reason):
        name = re.escape(match[1])
        return re.sub(rf"\\renewcommand(\*?\s*\{{?\s*{name}(?![A-Za-z]))", r"\\newcommand\1", text, count=1)
    return None


def _without_package(text: str, package: str) -> str:
    def drop(match: re.Match[str]) -> str:
        names = [name.strip() for name in match[2].split(",")]
        kept = [name for name in names if name != package]
        if len(kept) == len(names):
            return match[0]
        return f"{match[1]}{{{','.join(kept)}}}" if kept else ""

    return re.sub(r"(\\(?:usepackage|RequirePackage)\s*(?:\[[^\]]*\])?\s*)\{([^}]*)\}", drop, text)


def write_tex(document: Document, results: Mapping[int, Result], target: Path, place: Place) -> Page:
    """Writes ``target``, a .tex file that compiles as it is, with its pictures in a folder beside it."""
    files = target.parent / f"{target.stem}_files"
    media = Media(files, f"{files.name}/", convert=pictures.converter("latex", place.root))
    page, text = write_latex(document, results, media, place, plain=True)
    write_atomically(target, text.encode("utf-8", "replace"))
    remove_old(files, set(media.files))
    return page


def _run(engine: str, source: Path, page: Page) -> str:
    """The log of the last run."""
    note = page.document.note
    for turn in range(4):
        try:
            good, log = run_latex(engine, source)
        except ConversionError as error:
            raise ConversionError(error.message, path=note.shown) from None
        if not good:
            raise _Failed(log)
        if (
            turn
            and "Rerun to get" not in log
            and "Rerun LaTeX" not in log
            and "rerunfilecheck Warning" not in log
        ):
            break
        if engine == "tectonic":
            break
    missing = sorted(set(re.findall(r"Missing character: There is no (\S+)", log)))
    for sign in missing[:10]:
        message = f"{engine}: its fonts have no {sign}, which is missing in the PDF"
        hint = "set mainfont in the header to a font that has it, or use typst"
        page.problems.append(Problem("glyph", message, note.shown, note.line_of(sign), hint))
    return log


def _error(engine: str, log: str, source: Path, page: Page) -> ConversionError:
    """LaTeX's reason and the note's line, instead of the log."""
    note = page.document.note
    reason = next((line[2:].strip() for line in log.split("\n") if line.startswith("! ")), "it failed")
    line = None
    if place := re.search(r"^l\.(\d+) ?(.*)$", log, re.MULTILINE):
        tex = source.read_text(encoding="utf-8").split("\n")
        number = int(place[1])
        for text in (place[2], *reversed(tex[max(number - 6, 0) : number])):
            for part in sorted(re.split(r"[{}$]|\\\\", text), key=len, reverse=True):
                if len(part.strip()) > 3 and part.strip() in note.text:
                    line = note.line_of(part)
                    break
            if line:
                break
        reason += f" (near: {place[2].strip()[-60:]})" if place[2].strip() else ""
    package = re.search(r"File `([^']+)' not found", reason)
    hint = f"install the LaTeX package that has {package[1]}" if package else None
    return ConversionError(f"{engine}: {reason}", path=note.shown, line=line, hint=hint)


def write_chromium_pdf(page_file: Path, target: Path) -> None:
    """Prints a built HTML page. Raises MissingProgram, ConversionError."""
    program = next(
        (p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None
    )
    program = program or find_engine("chromium")
    with tempfile.TemporaryDirectory(prefix="fitnotes-") as scratch:
        out = Path(scratch) / "note.pdf"
        command = [
            program, "--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--disable-quic",
            f"--user-data-dir={scratch}/profile",
            "--no-pdf-header-footer", "--virtual-time-budget=20000", f"--print-to-pdf={out}",
            page_file.resolve().as_uri(),
        ]  # fmt: skip
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            command.insert(1, "--no-sandbox")
        done = subprocess.run(command, capture_output=True, timeout=TIME_LIMIT, check=False)
        if not out.is_file():
            reason = done.stderr.decode("utf-8", "replace").strip().split("\n")[-1]
            raise ConversionError(f"chromium wrote no PDF: {reason}")
        write_atomically(target, out.read_bytes())
