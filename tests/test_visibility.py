"""What a note has for some readers only: nobody else sees it, whatever is said of it and in whatever way."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from conftest import Run

HEADER = "---\ntitle: Sheet\ndraft:\n  solutions: true\nshort: false\n---\n\n"

# (attributes, whether what they are about is shown in HTML with the profile "tutor")
CONDITIONS = [
    ('.content-visible when-format="html"', True),
    ('.content-visible when-format="pdf, html"', True),
    ('.content-visible when-format="pdf"', False),
    ('.content-visible unless-format="pdf"', True),
    ('.content-hidden when-format="html"', False),
    ('.content-hidden unless-format="html"', True),
    ('.content-visible when-profile="tutor"', True),
    ('.content-visible when-profile="student"', False),
    ('.content-visible unless-profile="student"', True),
    ('.content-hidden when-profile="tutor"', False),
    ('.content-hidden unless-profile="student"', False),
    ('.content-visible when-meta="draft.solutions"', True),
    ('.content-visible when-meta="short"', False),
    ('.content-visible when-meta="nowhere.at.all"', False),
    ('.content-visible unless-meta="short"', True),
    ('.content-hidden when-meta="draft.solutions"', False),
    ('.content-visible when-format="html" when-profile="student"', False),
    ('.content-visible when-format="html" when-profile="tutor"', True),
    ('.content-hidden when-format="pdf" when-profile="tutor"', True),
    (".content-hidden", False),
    ('.solution when-profile="student"', False),
    ('when-profile="student"', False),
]
# What nobody understands: it hides, and is said.
UNKNOWN = [
    '.content-visible when-format="htlm"', '.content-visible unless-format="htlm"',
    '.content-hidden when-format="htlm"', '.content-hidden unless-format="htlm"',
    '.content-visible when-profil="tutor"', '.content-visible if-profile="tutor"',
    '.content-visible when-date="2030"', '.content-hidden unless-date="2030"',
    '.content-visible profile="tutor"', '.content-visible format="html"', '.content-visible when-meta=""',
    '.content-visble when-format="html"', ".content-hiden",
]  # fmt: skip

PLACES = {
    "div": "::: {%s}\n%s\n:::\n",
    "callout": "::: {.callout-note %s}\n%s\n:::\n",
    "in a list": "- item\n\n  ::: {%s}\n  %s\n  :::\n",
    "span": "Words and [%s]{%s} and more.\n",
    "section": "# A heading {%s}\n\n%s\n\n## Below it\n\nZQX\n\n# The next\n",
    "code": "```{.r %s}\n%s\n```\n",
    "block": "```{.python %s}\nprint('%s')\n```\n",
    "block that is shown": "```{.python .no-run %s}\n# %s\n```\n",
    "figure": "![%s](x.png){%s}\n",
    "table": "| %s |\n|---|\n| x |\n\n: Numbers {%s}\n",
    "link": "[%s](https://example.org){%s}\n",
}


def _note(place: str, attributes: str, secret: str) -> str:
    text = PLACES[place]
    first = text.index("%s")
    attributes_first = text[first - 1] == "{" or text[:first].rstrip().endswith(
        (".python", ".r", ".no-run", "note")
    )
    return text % ((attributes, secret) if attributes_first else (secret, attributes))


@pytest.mark.parametrize("place", PLACES)
def test_only_those_see_it_who_should(fitnotes: Run, tmp_path: Path, place: str) -> None:
    conditions = CONDITIONS
    (tmp_path / "x.png").write_bytes(Path(__file__).with_name("corpus").joinpath("dot.png").read_bytes())
    body = [_note(place, attributes, f"ZQ{n}X") for n, (attributes, _) in enumerate(conditions)]
    (tmp_path / "a.md").write_text(HEADER + "\n".join(body) + "\nThe end.\n")
    done = fitnotes("build", "a.md", "--profile", "tutor", "--to", "html")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "_build/html/a.html").read_text()
    seen = [f"ZQ{n}X" in page for n in range(len(conditions))]
    wanted = [shown for _, shown in conditions]
    assert seen == wanted, [c for c, s, w in zip(conditions, seen, wanted, strict=True) if s != w]
    assert "The end." in page
    assert "content-" not in page.split("<body")[1]
    assert "warning" not in done.stderr


@pytest.mark.parametrize("place", PLACES)
def test_what_nobody_understands_hides_and_is_said(fitnotes: Run, tmp_path: Path, place: str) -> None:
    asked = [
        u for u in UNKNOWN if not place.startswith("block") or "when-" in u or "unless-" in u or "if-" in u
    ]
    body = [_note(place, attributes, f"ZQ{n}X") for n, attributes in enumerate(asked)]
    (tmp_path / "x.png").write_bytes(Path(__file__).with_name("corpus").joinpath("dot.png").read_bytes())
    (tmp_path / "a.md").write_text(HEADER + "\n".join(body) + "\nThe end.\n")
    targets = ("--to", "html", "--to", "gfm", "--to", "tex", "--pdf-engine", "pdflatex")
    done = fitnotes("build", "a.md", "--profile", "tutor", *targets)
    for page in ("html/a.html", "gfm/a.md", "tex/a.tex"):
        text = (tmp_path / "_build" / page).read_text()
        assert [n for n in range(len(asked)) if f"ZQ{n}X" in text] == []
        for attributes in asked:
            # Things of one cause are said once, with their lines.
            names = attributes.replace("=", " ").replace(".", " ").split()
            assert any(name in done.stderr for name in names[-2:]), attributes
        assert "The end." in text
        assert "hidden" in done.stderr


def test_hidden_as_in_a_browser_is_hidden_everywhere(fitnotes: Run, tmp_path: Path) -> None:
    ways = ["::: {.hidden}", '::: {style="display: none"}', '::: {hidden="hidden"}', "::: hidden"]
    body = [f"{way}\n$$\\newcommand{{\\set{'abcd'[n]}}}{{S}}$$\nZQ{n}X\n:::\n" for n, way in enumerate(ways)]
    used = " ".join(f"$\\set{'abcd'[n]}$" for n in range(len(ways)))
    exercise = "```{exercise}\n:label: one\nShown.\n```\n\n```{solution} one\n:hidden:\nZQ9X\n```\n"
    (tmp_path / "a.md").write_text("\n".join(body) + f"\n{used}\n\n{exercise}")
    for target, page in (("html", "html/a.html"), ("gfm", "gfm/a.md"), ("tex", "tex/a.tex")):
        done = fitnotes("build", "a.md", "--to", target)
        assert done.returncode == 0, done.stderr  # the macros that stand there are known
        text = (tmp_path / "_build" / page).read_text()
        assert "ZQ" not in text
        assert "Shown." in text


def test_profiles_of_the_project_and_of_the_command_line(fitnotes: Run, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text('::: {.content-visible when-profile="tutor"}\nThe answer.\n:::\n')
    page = tmp_path / "_build/html/a.html"
    for settings, options, shown in itertools.product(
        ("", 'profile = "tutor"'), ([], ["--profile", "tutor"]), [0]
    ):
        (tmp_path / "fitnotes.toml").write_text(settings)
        assert fitnotes("build", "a.md", *options).returncode == shown
        assert ("The answer." in page.read_text()) == bool(settings or options)
