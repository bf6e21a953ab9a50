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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fitnotes import pandoc
from fitnotes.errors import ConversionError, MissingProgram, Problem
from fitnotes.execute.cache import Result, write_atomically
from fitnotes.execute.inputs import file_hash
from fitnotes.read import Document
from fitnotes.render import crossrefs, maths, rawtex, signs
from fitnotes.render.macros import brace_scripts
from fitnotes.render.media import Media
from fitnotes.render.page import Page, bibliography, compose, converter_warnings
from fitnotes.render.typst import svg_to_pdf

SIGNS = "%% what the fonts lack"  # where `signs.declarations` go, once the text is known
TIME_LIMIT = 180  # seconds for one LaTeX run
HOW_TO_INSTALL = {
    "tectonic": "see https://tectonic-typesetting.github.io",
    "chromium": "on Debian: apt install chromium",
}


def find_engine(name: str) -> str:
    """The engine's path. Raises MissingProgram with how to get it."""
    if found := shutil.which(name):
        return found
    package = {"xelatex": "texlive-xetex", "lualatex": "texlive-luatex"}.get(
        name, "texlive-latex-recommended"
    )
    hint = HOW_TO_INSTALL.get(
        name, f"on Debian: apt install {package} texlive-latex-recommended texlive-latex-extra lmodern"
    )
    raise MissingProgram(
        f"--pdf-engine {name}: {name} is not installed", hint=f"{hint}; or use typst, which needs nothing"
    )


def pictures_for_latex(data: bytes, suffix: str) -> tuple[bytes, str] | None:
    """A picture in a format that LaTeX takes; None where it cannot be one."""
    if suffix == ".svg":
        return svg_to_pdf(data), ".pdf"
    if suffix in (".gif", ".webp"):
        import io

        from PIL import Image

        out = io.BytesIO()
        Image.open(io.BytesIO(data)).convert("RGBA").save(out, "PNG")
        return out.getvalue(), ".png"
    return (data, suffix) if suffix in (".pdf", ".png", ".jpg", ".jpeg") else None


def prepare(page: Page) -> None:
    """References, braces and page breaks as LaTeX wants them; its own raw TeX stays as it is."""
    import panflute as pf

    note = page.document.note
    known = page.maths.equations
    labels = set(known) | set(page.refs.targets)

    def collect(element: Any, doc: Any) -> None:
        if isinstance(element, (pf.RawInline, pf.RawBlock)):
            labels.update(re.findall(r"\\label\s*\{([^}]*)\}", element.text))

    pandoc.walk(page.doc, collect)

    def equation(label: str, bare: bool) -> Any:
        text = f"\\eqref{{{label}}}" if bare else f"Equation~\\eqref{{{label}}}"
        return pf.RawInline(text, format="latex")

    def visit(element: Any, doc: Any) -> Any:
        if isinstance(element, pf.Math):
            text = brace_scripts(element.text, page.maths.macros)
            if maths.ENVIRONMENT.match(text):
                return pf.RawInline(text, format="latex")
            element.text = text
        elif isinstance(element, (pf.RawInline, pf.RawBlock)) and element.format in ("tex", "latex"):
            match = rawtex.REFERENCE.match(element.text.strip())
            if match and match[2].strip() not in labels:
                return crossrefs.plain_reference(note, page.refs, match[1], match[2].strip())
            element.text = _place_graphics(element.text, page)
        elif isinstance(element, pf.Span) and {"error", "missing"} & set(element.classes):
            opening = pf.RawInline("\\fitnotesproblem{", format="latex")
            return [opening, *element.content, pf.RawInline("}", format="latex")]
        elif isinstance(element, pf.CodeBlock) and "output" in element.classes:
            return _verbatim(element)
        return None

    crossrefs.resolve(page.doc, note, page.refs, known, equation)
    pandoc.walk(page.doc, visit)


def _place_graphics(tex: str, page: Page) -> str:
    """``\\includegraphics`` in raw TeX with its file beside the .tex, as LaTeX may read from there only."""
    note = page.document.note

    def place(match: re.Match[str]) -> str:
        for suffix in ("", ".pdf", ".png", ".jpg", ".svg"):
            path = note.path.parent / (match[2].strip() + suffix)
            if path.is_file():
                page.media.inputs[str(path)] = file_hash(path)
                url = page.media.add(path.read_bytes(), path.suffix.lower(), path.stem)
                return f"{match[1]}{{{url}}}" if url else match[0]
        line = note.line_of(match[0])
        page.problems.append(Problem("warning", f"image {match[2]}: not found", note.shown, line))
        return f"\\fitnotesproblem{{[image missing: {match[2]}]}}"

    return re.sub(r"(\\includegraphics\s*(?:\[[^\]]*\])?)\s*\{([^}]*)\}", place, tex)


def _verbatim(element: Any) -> Any:
    """Output with a rule beside it, in an environment of its own."""
    import panflute as pf

    name = "fitnoteserror" if "error" in element.classes else "fitnotesoutput"
    text = element.text.replace(f"\\end{{{name}}}", f"\\end {{{name}}}")
    return pf.RawBlock(f"\\begin{{{name}}}\n{text}\n\\end{{{name}}}", format="latex")


def _preamble(page: Page) -> str:
    known = page.maths
    ours = pandoc.template("fitnotes-preamble.tex").read_text(encoding="utf-8")
    definitions = []
    for text in known.definitions:
        # Defined in a formula, perhaps twice: valid wherever it is used, whatever came before.
        text = re.sub(
            r"\\(?:new|renew|provide)command\*?\s*(\{\s*\\[A-Za-z@]+\s*\}|\\[A-Za-z@]+)",
            lambda m: f"\\providecommand{m[1]}{{}}\\renewcommand{m[1]}",
            text,
        )
        definitions.append(text)
    if "mainfont" in page.doc.metadata.content:
        ours = f"\\def\\fitnotesmainfont{{}}\n{ours}"
    return "\n".join([ours, SIGNS, *known.preamble, *definitions])


def write_latex_pdf(
    document: Document, results: Mapping[int, Result], target: Path, engine: str, base: Path
) -> Page:
    """Writes ``target``. Raises MissingProgram, and ConversionError with its line and the reason."""
    program = find_engine(engine)
    with tempfile.TemporaryDirectory(prefix="fitnotes-") as scratch:
        folder = Path(scratch)
        media = Media(folder, "", convert=pictures_for_latex)
        page = compose(document, results, "latex", media, base)
        prepare(page)
        (folder / "preamble.tex").write_text(_preamble(page), encoding="utf-8")
        args = [
            "--standalone", "--wrap=none", f"--include-in-header={folder / 'preamble.tex'}",
            "--variable", "geometry:margin=2.6cm", "--variable", "colorlinks", "--variable", "fontsize=11pt",
            "--variable", "linkcolor=black", "--variable", "urlcolor=blue!50!black",
            *bibliography(page),
        ]  # fmt: skip
        args += ["--number-sections"] * page.asks("number-sections", False)
        if "papersize" not in page.doc.metadata.content:
            args += ["--variable", "papersize=a4"]
        if document.settings.toc and page.asks("toc", True) and page.headings > 7:
            args += ["--toc", "--toc-depth=2"]
        output = pandoc.write(pandoc.dump(page.doc), "latex", args, cwd=document.note.path.parent)
        converter_warnings(page, output.warnings)
        source = folder / "note.tex"
        declared = signs.declarations(output.text) if engine == "pdflatex" else ""
        text = output.text.replace(SIGNS, declared, 1)
        source.write_text(text, encoding="utf-8")
        _run(program, engine, source, page)
        write_atomically(target, (folder / "note.pdf").read_bytes())
    return page


def _run(program: str, engine: str, source: Path, page: Page) -> None:
    command = [program, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", source.name]
    if engine == "tectonic":
        command = [program, "--untrusted", "--keep-logs", source.name]
    environment = {
        **os.environ,
        "openin_any": "p",
        "openout_any": "p",
        "SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH", "0"),
        "FORCE_SOURCE_DATE": "1",
        "max_print_line": "1000",
    }
    for turn in range(4):
        try:
            done = subprocess.run(
                command,
                cwd=source.parent,
                env=environment,
                capture_output=True,
                timeout=TIME_LIMIT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            note = page.document.note
            raise ConversionError(f"{engine} took longer than {TIME_LIMIT} s", path=note.shown) from None
        log_file = source.with_suffix(".log")
        log = log_file.read_text(encoding="utf-8", errors="replace") if log_file.is_file() else ""
        if done.returncode:
            text = log or (done.stdout + done.stderr).decode("utf-8", "replace")
            raise _error(engine, text, source, page)
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
        note = page.document.note
        message = f"{engine}: its fonts have no {sign}, which is missing in the PDF"
        hint = "set mainfont in the header to a font that has it, or use typst"
        page.problems.append(Problem("warning", message, note.shown, note.line_of(sign), hint))


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
