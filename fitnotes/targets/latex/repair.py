"""What LaTeX stops at: taken out of its way where that shows nothing wrong, and said in the words of the note."""

from __future__ import annotations

import re

from fitnotes.errors import ConversionError
from fitnotes.passes.page import Page
from fitnotes.targets.latex import pictures, places
from fitnotes.tex.tokens import calls


def repaired(log: str, text: str, page: Page, engine: str) -> str | None:
    """The document without what LaTeX has just stopped at, which is said; None where this knows no help.

    A formula becomes the picture that MathJax makes of it. An unknown command in prose shows as its name, as in the
    other targets; one in a formula that MathJax does not know either is an error.
    """
    reason = _reason(log)
    at = places.spot(page, log, text)

    def say(message: str, name: str, hint: str | None = None, *, wrong: bool = False) -> None:
        code = "latex-formula" if wrong else "latex"
        line = at.line(page, name) if at.placed else page.note.line_of(name)
        page.say(code, f"{engine}: {message}", line, hint)

    def insert(lines: str) -> str:
        return text.replace("\\begin{document}", f"{lines}\n\\begin{{document}}", 1)

    unknown = _unknown(log) if reason.startswith("Undefined control sequence") else ""
    if (shown := _without_formula(page, text, at, reason, unknown, engine)) is not None:
        return shown
    if reason.startswith("Undefined control sequence"):
        if not unknown or unknown in ("\\begin", "\\end"):
            return None
        in_formula = unknown in page.formula_names
        say(f"it does not know {unknown}, whose name is shown", unknown, wrong=in_formula)
        return insert(f"\\providecommand{{{unknown}}}{{\\texttt{{\\string{unknown}}}}}")
    if match := re.match(r"Package babel Error: Unknown option '(\w+)'", reason):
        if match[1] not in ("chinese", "japanese", "korean"):  # which have no hyphens
            say(f"babel has no {match[1]} here: hyphenation and names are English", "lang")
        return re.sub(r"\\usepackage\[[^\]]*\]\{babel\}\n?", "", text, count=1)
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


def _without_formula(
    page: Page, text: str, at: places.Spot, reason: str, unknown: str, engine: str
) -> str | None:
    """The document with a picture, or the source, of the formulas that LaTeX does not take; None if it has stopped at
    something else."""
    if numbers := _culprits(page, text, at, unknown):
        what = f"does not know {unknown}" if unknown else f"stops ({reason.rstrip('.')})"
        shown = pictures.shown(page, text, numbers, unknown, f"{engine}: it {what}")
        if shown != text:
            return shown
        if not unknown:  # MathJax does not take it either
            message = f"{engine}: {reason.rstrip('.')}: the formula is shown as it is written"
            page.say("latex-formula", message, at.line(page))
            return pictures.as_written(text, numbers[0], page.placed[numbers[0]])
    # A brace without an end, which has no place in the log.
    if reason.startswith("File ended") and (refused := pictures.refused(page, text)):
        for number, why in refused.items():
            page.say("latex-formula", f"formula: MathJax says: {why}", page.placed[number].line)
            text = pictures.as_written(text, number, page.placed[number])
        return text
    return None


def _culprits(page: Page, text: str, at: places.Spot, unknown: str) -> list[int]:
    """The formula at which LaTeX has stopped. One in an argument, of a heading or a footnote, has ended by then: it is
    the last that has the unknown command."""
    if at.placed and at.placed.kind and at.inside:
        return [at.number]
    if not unknown:
        return []
    has = re.compile(re.escape(unknown) + "(?![A-Za-z@])")
    last = next((n for n in range(at.number, -1, -1) if has.search(page.placed[n].text)), -1)
    placed = page.placed[last] if last >= 0 else None
    return [last] if placed and placed.kind and places.stands(text, last, placed) else []


def without_invalid(log: str, text: str, page: Page, engine: str) -> str:
    """The document with pictures for formulas in which LaTeX leaves out a command, such as a size, and goes on."""
    found = re.findall(
        r"^LaTeX (?:Font )?Warning: Command (\\[A-Za-z]+)\s+invalid in math mode", log, re.MULTILINE
    )
    for name in dict.fromkeys(found):
        numbers = [
            n
            for n, placed in enumerate(page.placed)
            if placed.kind and re.search(re.escape(name) + "(?![A-Za-z])", placed.text)
        ]
        if numbers:
            text = pictures.shown(page, text, numbers, name, f"{engine}: it leaves out {name} in formulas")
    return text


def _without_package(text: str, package: str) -> str:
    for call in reversed(list(calls(text, usepackage="og", RequirePackage="og"))):
        options, group = call.arguments
        names = [name.strip() for name in group.split(",")]
        if package in names:
            kept = ",".join(name for name in names if name != package)
            less = f"\\{call.name}{f'[{options}]' if options else ''}{{{kept}}}" if kept else ""
            text = text[: call.start] + less + text[call.end :]
    return text


def _reason(log: str) -> str:
    return next((line[2:].strip() for line in log.split("\n") if line.startswith("! ")), "")


def _unknown(log: str) -> str:
    """The command that LaTeX does not know: it breaks the line of its context behind it."""
    context = re.search(r"^! Undefined control sequence\..*\n(.*)$", log, re.MULTILINE)
    names = re.findall(r"\\[A-Za-z@]+", context[1]) if context else []
    return names[-1] if names else ""


def stopped(engine: str, log: str, text: str, page: Page) -> ConversionError:
    """LaTeX's reason and the note's line, instead of the log."""
    at = places.spot(page, log, text)
    reason = _reason(log) or "it failed"
    line = at.line(page)
    if not at.inside:  # in prose: its own words, behind the last formula
        for part in sorted(re.split(r"[{}$]|\\\\", at.words), key=len, reverse=True):
            if len(part.strip()) > 3 and part.strip() in page.note.text:
                line = page.note.line_of(part, after=(line or 1) - 1)
                break
    reason += f" (near: {places.without_marks(at.words).strip()[-60:]})" if at.words.strip() else ""
    package = re.search(r"File `([^']+)' not found", reason)
    hint = f"install the LaTeX package that has {package[1]}" if package else None
    return ConversionError(f"{engine}: {reason}", path=page.note.shown, line=line, hint=hint)
