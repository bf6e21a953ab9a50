"""What LaTeX stops at: taken out of its way where that shows nothing wrong, and said in the words of the note."""

from __future__ import annotations

import re
from pathlib import Path

from fitnotes.errors import ConversionError
from fitnotes.passes.page import Page
from fitnotes.tex.tokens import calls


def repaired(log: str, text: str, page: Page, engine: str) -> str | None:
    """The document without what LaTeX has just stopped at, which is said; None where this knows no help.

    An unknown command shows as its name: a warning in prose, as in the other targets, an error in a formula.
    """
    reason = next((line[2:].strip() for line in log.split("\n") if line.startswith("! ")), "")

    def say(message: str, name: str, hint: str | None = None, *, wrong: bool = False) -> None:
        page.say("latex-formula" if wrong else "latex", f"{engine}: {message}", page.note.line_of(name), hint)

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
    for call in reversed(list(calls(text, usepackage="og", RequirePackage="og"))):
        options, group = call.arguments
        names = [name.strip() for name in group.split(",")]
        if package in names:
            kept = ",".join(name for name in names if name != package)
            less = f"\\{call.name}{f'[{options}]' if options else ''}{{{kept}}}" if kept else ""
            text = text[: call.start] + less + text[call.end :]
    return text


def reason_and_line(engine: str, log: str, source: Path, page: Page) -> ConversionError:
    """LaTeX's reason and the note's line, instead of the log."""
    note = page.note
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
