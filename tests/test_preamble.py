"""Where macros come from, with their lines, and what is said about them."""

from __future__ import annotations

from pathlib import Path

from conftest import Run


def body(project: Path, name: str = "note") -> str:
    page = (project / "_build" / "html" / f"{name}.html").read_text(encoding="utf-8")
    return page.split("<main", 1)[1]


def test_a_file_for_the_project_and_one_for_the_note(fitnotes: Run, write, project: Path) -> None:
    write("fitnotes.toml", 'preamble = "macros.tex"\n')
    write("macros.tex", "% shared\n\\newcommand{\\A}{A_0}\n\\newcommand{\\B}{B_0}\n")
    write("notes/a.md", "---\nheader-includes: \\newcommand{\\C}{C_0}\n---\n$\\A\\B\\C$\n")
    write("notes/b.md", "---\nfitnotes:\n  preamble: [own.tex]\n---\n$\\B$\n")
    write("notes/own.tex", "\\newcommand{\\B}{B_1}\n")
    done = fitnotes("build")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\(A_0 B_0 C_0\\)" in body(project, "a").replace("A_0B_0C_0", "A_0 B_0 C_0")
    assert "\\(B_1\\)" in body(project, "b")
    write("macros.tex", "\\newcommand{\\A}{A_2}\n\\newcommand{\\B}{B_0}\n")
    done = fitnotes("build")
    assert "a.md: wrote" in done.stdout
    assert "b.md" not in done.stdout
    assert "A_2" in body(project, "a")


def test_a_missing_macro_file_is_said(fitnotes: Run, write) -> None:
    write("fitnotes.toml", 'preamble = "gone.tex"\n')
    write("note.md", "Words.\n")
    done = fitnotes("build", "note.md")
    assert (done.returncode, "warning: preamble gone.tex: not found" in done.stderr) == (0, True)


def test_redefinition_has_both_lines_and_both_files(fitnotes: Run, write) -> None:
    write("fitnotes.toml", 'preamble = "macros.tex"\n')
    write("macros.tex", "\\newcommand{\\A}{1}\n")
    write(
        "note.md",
        "---\ntitle: T\nheader-includes:\n  - |\n    \\newcommand{\\B}{2}\n    \\newcommand{\\A}{3}\n"
        "  - \\def\\B{4}\n---\n\n"
        "$\\A$ \\newcommand{\\B}{2}\n\n\\renewcommand{\\A}{5} $\\A$\n",
    )
    errors = fitnotes("build", "note.md").stderr
    assert (
        "note.md:6: warning: \\A is defined again (first in macros.tex:1, there as something else)" in errors
    )
    assert "note.md:7: warning: \\B is defined again (first in line 5, there as something else)" in errors
    assert "note.md:10: warning: \\B is defined again (first in line 7, there as something else)" in errors
    assert "note.md:12" not in errors


def test_macros_hold_from_where_they_stand(fitnotes: Run, write, project: Path) -> None:
    write(
        "note.md",
        "---\nheader-includes: \\newcommand{\\w}{A}\n---\n\n$\\w$\n\n\\renewcommand{\\w}{B}\n\n$\\w$\n\n"
        "$$\\renewcommand{\\w}{C} \\w + 1$$\n\nAnd $\\w$.\n",
    )
    for target in ("html", "gfm", "tex"):
        done = fitnotes("build", "note.md", "--to", target)
        assert (done.returncode, done.stderr) == (0, "")
        suffix = {"gfm": "md"}.get(target, target)
        text = (project / "_build" / target / f"note.{suffix}").read_text(encoding="utf-8")
        places = [text.index(sign) for sign in ("(A", "(B", "C + 1", "(C")] if target != "gfm" else [
            text.index(sign) for sign in ("$A$", "$B$", "C + 1", "$C$")]  # fmt: skip
        assert places == sorted(places)


def test_what_latex_alone_honours_is_said_and_layout_is_not(fitnotes: Run, write) -> None:
    write(
        "note.md",
        "---\nheader-includes: |\n  \\usepackage[dvipsnames]{xcolor}\n  \\setlength{\\parindent}{0pt}\n"
        "  \\newtheorem{thm}{Theorem}\n  \\hypersetup{colorlinks=true}\n  \\makeatletter\n  \\makeatother\n"
        "  \\setbeamertemplate{footline}{x}\n---\n\nWords.\n",
    )
    done = fitnotes("build", "note.md", "--to", "html", "--to", "pdf")
    assert done.returncode == 0
    assert "note.md:9: warning: preamble: \\setbeamertemplate is for LaTeX only" in done.stderr
    assert done.stderr.count("warning") == 2


def test_numbers_that_only_latex_counts_so_are_said(fitnotes: Run, write) -> None:
    write(
        "note.md",
        "---\nheader-includes: |\n  \\newtheorem{thm}[equation]{Theorem}\n  \\renewcommand{\\thefigure}{A}\n"
        "  \\numberwithin{table}{section}\n  \\numberwithin{equation}{section}\n---\n\nWords.\n",
    )
    errors = fitnotes("build", "note.md").stderr
    assert [line.split(":")[1] for line in errors.splitlines()] == ["3", "4", "5"]
    assert "note.md:3: warning: preamble: \\newtheorem{thm}[equation] changes numbers in LaTeX only" in errors


def test_what_the_reader_of_raw_tex_drops_is_said(fitnotes: Run, write) -> None:
    write(
        "note.md",
        "\\begin{enumerate}\n\\item[(i)] one\n\\end{enumerate}\n\n"
        "\\begin{itemize}[label=x]\n\\item two\n\\end{itemize}\n\n"
        "\\begin{theorem}\nSuppose\n\n1. **one**\n\\end{theorem}\n\n"
        "\\begin{description}\n\\item[a] b\n\\end{description}\n",
    )
    done = fitnotes("build", "note.md")
    assert done.returncode == 0
    said = [line.split(": warning: ") for line in done.stderr.splitlines()]
    assert [(place, text[:16]) for place, text in said] == [
        ("note.md:2", "the labels of \\i"), ("note.md:5", "the options of t"), ("note.md:12", "Markdown inside "),
    ]  # fmt: skip


def test_html_in_the_header_reaches_the_page(fitnotes: Run, write, project: Path) -> None:
    style = "<style>p { color: red }</style>"
    write(
        "note.md",
        f"---\nheader-includes: |\n  {style}\n  <script src='https://example.org/x.js'></script>\n---\n\nA.\n",
    )
    done = fitnotes("build", "note.md")
    assert (
        done.returncode,
        "note.md:3: warning: a script or link in the header is left out" in done.stderr,
    ) == (0, True)
    page = (project / "_build" / "html" / "note.html").read_text(encoding="utf-8")
    assert style in page
    assert "example.org" not in page


def test_macros_of_another_form_are_said_at_their_lines(fitnotes: Run, write) -> None:
    write(
        "note.md",
        "---\nmacros:\n  A: [1, {x: y}]\n  B: {c: [d]}\n  C: []\n  D: [x, 1, 2, 3]\n  E: [[e]]\n  F: [x, 0]\n"
        "---\n\n$\\F$\n",
    )
    said = fitnotes("lint", "note.md")
    hint = (
        'expected R: \\mathbb{R}, or norm: ["\\lVert #1 \\rVert", 1], a list with the number of its arguments'
    )
    other = "a macro of the header has another form than name: definition (again in lines 4, 5, 6, 7)"
    assert said.stdout == f"note.md:3:3: preamble {other}\n  {hint}\n"
    assert fitnotes("build", "note.md").stderr == f"note.md:3: warning: {other}\n  {hint}\n"


def test_a_macro_without_its_arguments_is_said_where_it_stands(fitnotes: Run, write) -> None:
    write(
        "note.md",
        "---\nheader-includes: |\n  \\newcommand{\\two}[2]{#1+#2}\n---\n\nThe \\two is $\\two{a}{b}$.\n\n"
        "No arguments: $\\two$,\nand one: $\\two{x}$.\n",
    )
    done = fitnotes("build", "note.md")
    assert "note.md:8: formula \\two: MathJax says: \\two wants 2 arguments" in done.stderr
    assert "note.md:9: formula \\two{x}: MathJax says: \\two wants 2 arguments" in done.stderr
