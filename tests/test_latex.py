"""LaTeX: what it does not take, on the note's own lines; what runs off its page; what it has no fonts for."""

from __future__ import annotations

import io
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Run, needs
from test_pages import words

pytestmark = [pytest.mark.slow, needs("pdflatex"), needs("lualatex")]
BAD = r"\enclose{circle}{z}"  # MathJax takes it, LaTeX does not


def places() -> dict[str, str]:
    """Where a formula may stand: text with FORMULA in its first line."""
    return {
        "paragraph": "Words FORMULA and $x$ more words $y$.",
        "display": "FORMULA_DISPLAY",
        "list": "- a FORMULA\n  - b $x$",
        "quote": "> quoted FORMULA, $x$",
        "cell": "| FORMULA | b |\n|---|---|\n| $x$ | 2 |",
        "note": "Words.[^n]\n\n[^n]: FORMULA in a note.",
        "inline note": "Words^[FORMULA in a note] and more.",
        "heading": "## About FORMULA",
        "callout": "::: {.callout-note}\nFORMULA $x$\n:::",
        "align": "\\begin{align*}\nx &= y \\\\\n&= BODY\n\\end{align*}",
        "theorem": "::: {.theorem}\nFORMULA holds.\n:::",
    }


@pytest.mark.parametrize("seed", range(6))
def test_messages_have_the_line_of_the_note(seed: int, fitnotes: Run, write, project: Path) -> None:
    chance = random.Random(seed)
    blocks = ["---\ntitle: T\nheader-includes: |\n  \\newcommand{\\half}[1]{\\frac{#1}{2}}\n---", "Text $z$."]
    wanted: list[int] = []
    kinds = places()
    for n, kind in enumerate(chance.sample(sorted(kinds), 6)):
        for _ in range(chance.randrange(4)):
            blocks.append(
                chance.choice(["Text $z$ and $\\half{x}$.", "$$z = \\half{y}$$", "A line\nand $z$ one."])
            )
        line = "\n\n".join(blocks).count("\n") + 3
        block = kinds[kind].replace("[^n]", f"[^n{n}]")
        for mark, tex in (
            ("FORMULA_DISPLAY", f"$${BAD} + {n}$$"),
            ("FORMULA", f"${BAD}_{{{n}}}$"),
            ("BODY", f"{BAD} + {n}"),
        ):
            if mark in block:
                wanted.append(line + block[: block.index(mark)].count("\n"))
                block = block.replace(mark, tex)
        blocks.append(block)
    write("note.md", "\n\n".join(blocks) + "\n")
    done = fitnotes("build", "note.md", "--to", "pdf", "--pdf-engine", "pdflatex")
    ((first, again),) = re.findall(
        r"note\.md:(\d+): warning: pdflatex: it does not know \\enclose: the formula is a picture(?: \((.*)\))?",
        done.stderr,
    )
    said = [int(n) for n in (first, *re.findall(r"\d+", again))]
    assert sorted(said) == wanted, done.stderr
    assert done.returncode == 0


def test_what_latex_does_not_take_is_shown_as_in_the_browser(fitnotes: Run, write, project: Path) -> None:
    write(
        "note.md",
        "---\nheader-includes: |\n  \\newcommand{\\R}{\\mathbb{R}}\n---\n\n"
        "A $\\R \\bbox[red]{x}$ and\n\n$$\\left( \\frac{a}{b} \\\\ c \\right)$$\n\n"
        "\\begin{equation} \\enclose{circle}{x} \\label{eq:x} \\end{equation}\n\n"
        "By \\eqref{eq:x} and $$\\unicode{x41} \\tag{T}$$ it is so. Also $\\lt$.\n",
    )
    done = fitnotes("build", "note.md", "--to", "pdf", "--pdf-engine", "lualatex")
    assert done.returncode == 0, done.stderr
    said = re.findall(r"note\.md:(\d+): warning: lualatex: (.*): the formula is a picture", done.stderr)
    assert said == [
        ("6", "it does not know \\bbox"), ("8", "it stops (Missing \\right. inserted)"),
        ("10", "it does not know \\enclose"), ("12", "it does not know \\unicode"),
    ]  # fmt: skip
    text = words(project / "_build" / "pdf" / "note.pdf")
    assert "By (1)" in text
    assert "(T)" in text
    assert "Also <" in text


def test_tex_files_are_checked_as_pdfs_are(fitnotes: Run, write, project: Path) -> None:
    write("note.md", f"Text.\n\nA ${BAD}$ and \\foo{{x}}.\n\nAnd $\\nocommand$.\n")
    pdf = fitnotes("build", "note.md", "--to", "pdf", "--pdf-engine", "lualatex")
    tex = fitnotes("build", "note.md", "--to", "tex")
    heard = [
        sorted(line for line in run.stderr.split("\n") if line.startswith("note.md:")) for run in (pdf, tex)
    ]
    assert heard[0] == heard[1]
    assert [line.split(":")[1] for line in heard[1]] == ["3", "3", "5"]
    assert (pdf.returncode, tex.returncode) == (1, 1)
    shutil.copytree(project / "_build" / "tex", project / "alone")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "note.tex"]
    assert subprocess.run(command, cwd=project / "alone", capture_output=True, check=False).returncode == 0
    assert "fitnotesat" not in (project / "alone" / "note.tex").read_text(encoding="utf-8")


def test_lists_are_as_deep_as_written(fitnotes: Run, write, project: Path) -> None:
    bullets = [f"{'  ' * n}- bullet{n}" for n in range(8)]
    numbers = [f"{'    ' * n}{n + 2}. number{n}" for n in range(6)]
    write("note.md", "\n".join(bullets) + "\n\nText.\n\n" + "\n".join(numbers) + "\n")
    done = fitnotes("build", "note.md", "--to", "pdf", "--pdf-engine", "pdflatex")
    assert (done.returncode, done.stderr) == (0, "")
    text = words(project / "_build" / "pdf" / "note.pdf")
    assert all(f"bullet{n}" in text for n in range(8))
    assert [int(n) for n in re.findall(r"(\d+)\. number", text)] == [2, 3, 4, 5, 6, 7]


# --------------------------------------------------------------------------------------------------
# What is wider than its line

WIDE = " + ".join(f"a_{{{n}}}" for n in range(40))


def ink(pdf: Path) -> Iterator[tuple[float, str]]:
    """The right edge of each character, in pt, and the character."""
    from pdfminer.high_level import extract_pages
    from pdfminer.layout import LTChar

    def inside(item: object) -> Iterator[tuple[float, str]]:
        if isinstance(item, LTChar):
            yield item.x1, item.get_text()
        elif hasattr(item, "__iter__"):
            for child in item:
                yield from inside(child)

    for page in extract_pages(io.BytesIO(pdf.read_bytes())):
        yield from inside(page)


EDGE = 595.3 - 2.6 / 2.54 * 72 + 2  # of the text on A4


@pytest.mark.parametrize(
    "formula",
    [
        f"$${WIDE}$$",
        f"\\begin{{equation}} {WIDE} \\end{{equation}}",
        f"\\begin{{align}} x &= {WIDE} \\\\ y &= z \\end{{align}}",
        f"$$ {WIDE} \\tag{{T}}$$",
        f"$$ {WIDE} $$ {{#eq-m}}",
        f"- In a list\n\n  $${WIDE}$$",
        f"\\begin{{gather*}} {WIDE} \\\\ {WIDE[:40]} \\end{{gather*}}",
    ],
)
def test_wide_displays_are_set_smaller(formula: str, fitnotes: Run, write, project: Path) -> None:
    write("note.md", f"Text.\n\n{formula}\n\nMore.\n")
    done = fitnotes("build", "note.md", "--to", "pdf", "--pdf-engine", "pdflatex")
    assert done.returncode == 0, done.stderr
    line = 5 if formula.startswith("-") else 3
    assert re.search(
        rf"note\.md:{line}: warning: pdflatex: the formula is \d+ pt wider than the text", done.stderr
    )
    assert max(right for right, _ in ink(project / "_build" / "pdf" / "note.pdf")) < EDGE
    assert words(project / "_build" / "pdf" / "note.pdf").replace(" ", "").count("39") >= 1


CHINESE = (
    "这是一个很长的中文段落，用来测试换行是否正确。我们希望文字不会超出页面的右边界，而是在合适的地方换行。"
    * 3
)
JAPANESE = (
    "日本語の段落も同じように改行されるべきです。カタカナとひらがなと漢字、長い文章を書いて、ページの右端を超えない。"
    * 3
)


@pytest.mark.parametrize("language", ["", "zh", "ja", "en"])
def test_chinese_and_japanese_lines_break(language: str, fitnotes: Run, write, project: Path) -> None:
    header = f"---\nlang: {language}\n---\n\n" if language else ""
    write("note.md", f"{header}{CHINESE}\n\n{JAPANESE}\n")
    done = fitnotes("build", "note.md", "--to", "pdf", "--pdf-engine", "lualatex")
    assert (done.returncode, done.stderr) == (0, "")
    found = [*ink(project / "_build" / "pdf" / "note.pdf")]
    assert max(right for right, _ in found) < EDGE + 4
    assert "".join(char for _, char in found).count("换") == 6


def test_engines_without_chinese_give_way_to_one_with_it(fitnotes: Run, write, project: Path) -> None:
    write("note.md", "Text.\n\n中文 words 中文.\n")
    done = fitnotes("build", "note.md", "--to", "pdf", "--pdf-engine", "pdflatex")
    assert done.returncode == 0
    expected = (
        "note.md:3: warning: pdflatex has no fonts for 4 Chinese, Japanese or Korean characters (中, 文 …)"
    )
    assert f"{expected}: lualatex is used" in done.stderr
    assert "中文" in words(project / "_build" / "pdf" / "note.pdf").replace(" ", "")


def test_bold_greek_is_there(fitnotes: Run, write, project: Path) -> None:
    write("note.md", "A $\\mathbf{\\Sigma}$ and $\\mathrm{\\Gamma}$.\n")
    for engine in ("lualatex", "pdflatex"):
        assert fitnotes("build", "note.md", "--to", "pdf", "--pdf-engine", engine).returncode == 0
        text = words(project / "_build" / "pdf" / "note.pdf")
        assert "Σ" in text
        assert "Γ" in text


def test_alphabets_show_what_the_browser_shows(fitnotes: Run, write, project: Path) -> None:
    """LaTeX has other signs in the places of letters that its fonts lack, and says nothing."""
    macros = "  \\newcommand{\\one}{\\mathbb{1}}\n  \\newcommand{\\s}[1]{\\mathcal{#1}}\n"
    header = f"---\nheader-includes: |\n{macros}---\n\n"
    write(
        "note.md",
        f"{header}A $\\one_A \\mathbb{{1}} \\mathbb{{R}} \\mathcal{{L}} \\mathscr{{A}}$.\n\n"
        "B $\\s{f}$ and $\\s{F}$.\n\nC $\\mathbb{ab}$, $\\mathcal 2$, ${\\cal x}$.\n\n"
        "D $\\mathbf{\\vec{v}} \\textdagger \\mathrm{für} 𝐀𝜶$.\n\nE $\\Huge x$.\n",
    )
    for engine in ("lualatex", "pdflatex"):
        done = fitnotes("build", "note.md", "--to", "pdf", "--pdf-engine", engine)
        assert done.returncode == 0, done.stderr
        lines = [
            int(n) for n in re.findall(r"note\.md:(\d+): warning: .*: the formula is a picture", done.stderr)
        ]
        assert lines == [9, 11, 11, 11, 15], done.stderr
        text = words(project / "_build" / "pdf" / "note.pdf").replace(" ", "")
        assert re.search("D⃗v†fürAα|Dv⃗†fürAα|D⃗?v.?†fürAα", text), text
        assert "~" not in text
        assert "˜" not in text
        for wrong in "⊮⊣∞⊪":
            assert wrong not in text


def test_wrong_formulas_are_shown_as_written_and_the_page_goes_on(
    fitnotes: Run, write, project: Path
) -> None:
    write(
        "note.md",
        "A $\\def\\x{\\x} \\x$.\n\nB $a^b^c$.\n\nC $\\left( a$ and $a}$.\n\nD $x⁻¹$, $x¹²₁$, $9°′$.\n\nEnd.\n",
    )
    done = fitnotes("build", "note.md", "--to", "pdf", "--pdf-engine", "pdflatex")
    assert done.returncode == 1
    said = re.findall(r"note\.md:(\d+): (.*)", done.stderr)
    assert [line for line, _ in said] == ["1", "3", "5", "5"], said
    assert "calls itself" in said[0][1]
    text = words(project / "_build" / "pdf" / "note.pdf")
    assert "End." in text
    assert "a^b^c" in text


def test_a_formula_that_never_ends_has_its_line(fitnotes: Run, write, project: Path) -> None:
    write("note.md", "Fine $x$.\n\nBad $\\frac{1}{$ here.\n\nEnd $y$.\n")
    done = fitnotes("build", "note.md", "--to", "pdf", "--pdf-engine", "pdflatex")
    assert re.findall(r"note\.md:(\d+): formula: MathJax says", done.stderr) == ["3"], done.stderr
    assert done.returncode == 1
    assert "End" in words(project / "_build" / "pdf" / "note.pdf")


def test_marks_are_nowhere_in_what_is_written(fitnotes: Run, write, project: Path) -> None:
    """Where pandoc makes text of a formula, for a bookmark or a description, there is no mark."""
    header = "---\nheader-includes: \\newcommand{\\R}{\\mathbb{R}}\ntitle: On $\\R$\n---\n\n"
    write("note.md", f"{header}# Head $\\R$\n\n## Two $\\mathbb{{R}}$\n\n![Cap $\\alpha\\beta^2$](a.svg)\n")
    write(
        "a.svg",
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>',
    )
    done = fitnotes("build", "note.md", "--to", "tex", "--to", "pdf", "--pdf-engine", "lualatex")
    assert (done.returncode, done.stderr) == (0, "")
    assert "fitnotesat" not in (project / "_build" / "tex" / "note.tex").read_text(encoding="utf-8")
    assert b"fitnotesat" not in (project / "_build" / "pdf" / "note.pdf").read_bytes()


def test_pictures_in_arguments_and_wide_ones(fitnotes: Run, write, project: Path) -> None:
    write(
        "note.md",
        f"## Head ${BAD}$\n\nA note.^[with ${BAD}$] **bold ${BAD}$** and [link ${BAD}$](https://a.b).\n\n"
        f"$$ {WIDE} $$\n\nText.\n\n$$\\enclose{{circle}}{{ {WIDE} }}$$\n\n"
        "$\\href{http://a.b?c=1&d=2}{\\enclose{circle}{x}}$\n",
    )
    done = fitnotes("build", "note.md", "--to", "pdf", "--pdf-engine", "pdflatex")
    assert done.returncode == 0, done.stderr
    assert "the formula is a picture (again in lines 3, 9, 11)" in done.stderr
    assert max(right for right, _ in ink(project / "_build" / "pdf" / "note.pdf")) < EDGE
