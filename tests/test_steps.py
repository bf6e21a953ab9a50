"""The order of the steps from results to page, and targets and kinds of drawings as a newcomer adds them."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import panflute as pf
import pytest
from conftest import ROOT, environment

import fitnotes.targets
from fitnotes.document import nodes
from fitnotes.document.read import INDEX, read_document
from fitnotes.document.tree import collect
from fitnotes.draw.drawing import COMMON, kind
from fitnotes.draw.media import Media
from fitnotes.execute.result import Result
from fitnotes.passes.drawings import surroundings
from fitnotes.passes.page import Page, Place
from fitnotes.passes.pipeline import COMPOSE, FINISH, Step, compose, take
from fitnotes.settings import PDF_ENGINES, Settings
from fitnotes.source.languages import DRAWN
from fitnotes.source.note import read_note
from fitnotes.targets import registry
from fitnotes.targets.html import HTML
from fitnotes.targets.html.look import BROWSER

NOTE = r"""---
title: Steps
author: [{name: Ada}]
number-sections: true
---

# First {#sec-a}

::: {.callout-note title="Mind"}
A box.
:::

::: {.theorem #thm-g name="Gauss"}
Every $x$.
:::

\begin{center}\textbf{raw}\end{center}

$$ a = b $$ {#eq-a}

```{.python #fig-a fig-cap="A"}
1
```

```{.mermaid caption="Steps"}
graph LR
  a --> b
```

See @eq-a, @thm-g and \eqref{eq:a}.
"""


def step_lists() -> Iterator[tuple[str, tuple[Step, ...]]]:
    """All steps of every writer, from results to page."""
    for target in registry.targets().values():
        for writer in target.writers.values():
            module = importlib.import_module(writer.partition(":")[0])
            yield f"{target.name}: {module.__name__}", (*COMPOSE, *module.STEPS)


@pytest.mark.parametrize(("name", "steps"), list(step_lists()))
def test_every_step_comes_behind_what_it_needs(name: str, steps: tuple[Step, ...]) -> None:
    names = [step.name for step in steps]
    assert len(set(names)) == len(names)
    known = {step.name for step in (*COMPOSE, *FINISH, *steps)}
    for at, step in enumerate(steps):
        assert set(step.needs) <= known, f"{step.name} needs what there is not"
        late = [need for need in step.needs if need in names[at:]]
        assert not late, f"{step.name} comes before {late}"
        assert step.after


def page_of(path: Path, steps: tuple[Step, ...] = COMPOSE) -> Page:
    path.write_text(NOTE, encoding="utf-8")
    document = read_document(read_note(path), Settings())
    output = {"output_type": "execute_result", "data": {"text/plain": "1"}}
    results = {block.index: Result("ok", (output,)) for block in document.blocks}
    media = Media(path.parent / "files", "files/")
    place = Place(path.parent, path.parent, formats=registry.format_names())
    page = Page(document, results, HTML, media, place, BROWSER, HTML.suffix)
    take(page, steps)
    return page


def up_to(name: str) -> tuple[Step, ...]:
    names = [step.name for step in (*COMPOSE, *FINISH)]
    return (*COMPOSE, *FINISH)[: names.index(name) + 1]


# Step → what must be nowhere in the tree behind it.
GONE = {
    "results": (pf.CodeBlock, lambda e: INDEX in e.attributes),
    "drawings": (pf.CodeBlock, lambda e: e.classes[:1] == ["mermaid"]),
    "boxes": (pf.Div, lambda e: "callout-note" in e.classes and not nodes.is_callout(e)),
    "theorems": (pf.Div, lambda e: "theorem" in e.classes and not nodes.is_theorem(e)),
    "raw TeX": (pf.RawBlock, lambda e: "center" in e.text),
    "references": (pf.Cite, lambda e: True),
    "set theorems": (pf.Div, nodes.is_theorem),
}


@pytest.mark.parametrize("name", GONE)
def test_behind_a_step_its_work_is_done(name: str, tmp_path: Path) -> None:
    kinds, wrong = GONE[name]
    before = up_to(name)[:-1]
    assert collect(page_of(tmp_path / "note.md", before).doc, kinds, where=wrong), (
        "the note has nothing for it"
    )
    assert not collect(page_of(tmp_path / "note.md", up_to(name)).doc, kinds, where=wrong)


def test_labels_are_learnt_without_drawing(tmp_path: Path) -> None:
    path = tmp_path / "note.md"
    whole = page_of(path)
    media = Media(tmp_path / "nowhere", "", asked=False)
    labels = compose(whole.document, whole.results, HTML, media, whole.place, labels_only=True)
    assert labels.refs.targets == whole.refs.targets
    assert not media.files
    assert not (tmp_path / "nowhere").exists()


# --------------------------------------------------------------------------------------------------
# Targets

TOY = '''"""Headings only, as plain text."""

from fitnotes.document.formats import Format
from fitnotes.targets.registry import ANY, Target

OUTLINE = Format("outline", "Outline", ".txt")
TARGETS = (Target("outline", ".txt", "the headings", {ANY: "fitnotes.targets.toy:write"}, (OUTLINE,), 99, (".txt",)),)


def write(job):
    import panflute as pf
    from fitnotes.draw.media import Media
    from fitnotes.document.pandoc import scratch_folder
    from fitnotes.passes.pipeline import FINISH, compose, take
    from fitnotes.store.files import write_atomically

    with scratch_folder() as scratch:  # pictures are made for what may be wrong in them
        page = compose(job.document, job.results, OUTLINE, Media(scratch, ""), job.place)
        take(page, FINISH)
    lines = [pf.stringify(block) for block in page.doc.content if isinstance(block, pf.Header)]
    write_atomically(job.page, "\\n".join(lines).encode())
    return page
'''


def command(folder: Path, extra: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """The command with one more folder of targets."""
    code = (
        f"import fitnotes.targets\nfitnotes.targets.__path__.append({str(extra)!r})\n"
        "from fitnotes.cli.main import main\nmain()"
    )
    run = [sys.executable, "-c", code, *args]
    return subprocess.run(run, cwd=folder, env=environment(), capture_output=True, text=True)


def test_a_target_is_one_file(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    extra = tmp_path_factory.mktemp("targets")
    (extra / "toy.py").write_text(TOY, encoding="utf-8")
    (project / "note.md").write_text(
        "# One\n\n```python\nprint(1)\n```\n\n```mermaid\ngraph LR\n  a --> b\n```\n\n"
        "## Two\n\n::: {.content-visible when-format=outline}\n# Three\n:::\n"
    )
    names = "|".join(registry.targets())
    assert f"{names}|outline]" in command(project, extra, "build", "--help").stdout
    done = command(project, extra, "build", "note.md", "--to", "outline")
    assert (done.returncode, done.stderr) == (0, "")
    assert (project / "_build" / "outline" / "note.txt").read_text() == "One\nTwo\nThree"
    assert [path.name for path in (project / "_build" / "outline").iterdir()] == ["note.txt"]
    assert command(project, extra, "build", "note.md", "-o", "toc.txt").returncode == 0
    assert (project / "toc.txt").is_file()


def test_declarations_of_targets_are_light() -> None:
    code = "import sys, fitnotes.targets.registry as r; r.targets(); print(*{m.split('.')[0] for m in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"panflute", "typst", "yaml", "PIL", "numpy"} & set(loaded.split())


def test_every_engine_has_a_writer() -> None:
    for name in ("pdf", "slides-pdf"):
        target = registry.targets()[name]
        assert target.engines <= set(PDF_ENGINES)
        for engine in PDF_ENGINES:
            assert callable(target.writer(engine))
    assert all(callable(target.writer("typst")) for target in registry.targets().values())
    assert fitnotes.targets.__path__[0] == str(ROOT / "fitnotes" / "targets")


def test_the_readme_lists_the_targets() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for target in registry.targets().values():
        if target.name not in ("docx", "epub"):
            assert f"| `{target.name}` | {target.does} |" in readme
    word, book = registry.targets()["docx"], registry.targets()["epub"]
    assert f"| `docx`, `epub` | {word.does}; {book.does} |" in readme


# --------------------------------------------------------------------------------------------------
# Drawings

TOY_KIND = """from fitnotes.draw.drawing import COMMON, Drawn, Failed
from fitnotes.errors import Problem


class Bar:
    noun = "bar"
    options = COMMON | {"colour"}

    def __init__(self, around):
        self.around = around

    def learn(self, tex):
        pass

    def read(self, block):
        return block

    def draw(self, blocks):
        return [self.one(block) for block in blocks]

    def source(self, block):
        return None

    def one(self, block):
        try:
            width = float(block.code)
        except ValueError:
            problem = Problem("diagram", "bar: expected a number", self.around.note.shown, block.line)
            return Failed(problem, "bar: expected a number", block.code)
        colour = block.options.get("colour", "black")
        size = f'width="{width:g}" height="9"'
        svg = f'<svg xmlns="http://www.w3.org/2000/svg" {size}><rect fill="{colour}" {size}/></svg>'
        return Drawn(svg.encode(), ".svg")
"""


def test_a_kind_of_drawing_is_one_class_and_a_row(project: Path, tmp_path: Path) -> None:
    (tmp_path / "toy_bar.py").write_text(TOY_KIND, encoding="utf-8")
    (project / "note.md").write_text(
        "```{.bar #fig-b caption='A *bar*' colour=red}\n40\n```\n\n```{.bar color=red}\nwide\n```\n\nSee @fig-b.\n"
    )
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from fitnotes.source.languages import DRAWN, READ\nDRAWN['bar'] = 'toy_bar:Bar'\n"
        "import fitnotes.source.fences as fences, fitnotes.document.read as read\n"
        "fences.READ = read.READ = READ | {'bar'}\n"
        "from fitnotes.cli.main import main\nmain()"
    )
    run = [sys.executable, "-c", code, "build", "note.md", "--to", "html", "--to", "gfm"]
    done = subprocess.run(run, cwd=project, env=environment(), capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == (
        "note.md:5: unknown option 'color' of a bar\n  did you mean colour?\nnote.md:6: bar: expected a number\n"
    )
    page = (project / "_build" / "html" / "note.html").read_text(encoding="utf-8")
    assert "Figure\u00a01" in page
    assert 'alt="A bar"' in page
    assert "bar: expected a number" in page
    (picture,) = (project / "_build" / "html" / "note_files").glob("fig-b-*.svg")
    assert 'fill="red"' in picture.read_text()


def test_every_kind_of_drawing_keeps_the_protocol(tmp_path: Path) -> None:
    page = page_of(tmp_path / "note.md")
    for language in DRAWN:
        made = kind(language, surroundings(page))
        assert made.options >= COMMON
        assert made.noun
