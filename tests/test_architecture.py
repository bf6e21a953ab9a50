"""Imports point one way, and the command line starts light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from conftest import ROOT

# From the top to the bottom: a module may import from its own layer and those below.
LAYERS = [
    ["cli.main", "__main__"],
    ["build.watch"],
    ["cli.filters", "build.report", "build.clean", "cli.doctor", "cli.starter", "lint.report"],
    ["build.schedule", "lint.check"],
    ["lint.document"],
    ["lint.source"],
    ["lint.scan", "lint.codes"],
    ["build.labels"],
    ["targets.office", "targets.slides.reveal"],
    ["targets.slides.paged", "targets.slides.beamer"],
    ["targets.html", "targets.typst", "targets.latex", "targets.gfm"],
    ["passes.dressing"],
    ["passes.citations", "targets.slides.deck"],
    ["passes.page"],
    ["draw.mermaid.diagrams", "draw.tikz"],
    ["draw.mermaid.labels"],
    ["draw.mermaid.metrics", "draw.mermaid.style"],
    ["passes.rawtex"],
    [
        "passes.results",
        "passes.maths",
        "passes.theorems",
        "passes.rawhtml",
        "tex.packages",
        "passes.floats",
    ],
    ["passes.crossrefs", "tex.preamble", "passes.callouts"],
    ["tex.siunitx"],
    ["document.fragments", "draw.media", "tex.macros", "draw.mathjax", "passes.links", "tex.unicode"],
    [
        "tex.environments",
        "tex.numbering",
        "passes.language",
        "passes.marp",
        "draw.darken",
        "tex.engines",
        "draw.pictures",
    ],
    ["build.freshness", "build.sources", "document.read", "execute.run"],
    ["execute.kept"],
    ["execute.sessions"],
    ["execute.plan", "execute.preload"],
    ["execute.child", "execute.ledger"],
    ["execute.worker"],
    ["execute.probes"],
    ["execute.shell", "execute.recorder", "execute.sleeper", "execute.tracebacks"],
    [
        "execute.cache",
        "execute.capture",
        "execute.lifeline",
        "execute.lock",
        "execute.seeding",
        "document.pandoc",
    ],
    ["store.inputs", "execute.protocol", "execute.slots"],
    ["source.note"],
    ["source.myst"],
    ["settings"],
    ["errors"],
]
LEVEL = {name: level for level, layer in enumerate(LAYERS) for name in layer}
HEAVY = {"torch", "numpy", "panflute", "matplotlib", "IPython", "pandas", "rich", "yaml", "typst"}


def modules() -> dict[str, Path]:
    package = ROOT / "fitnotes"
    names = {}
    for path in sorted(package.rglob("*.py")):
        name = ".".join(path.relative_to(package).with_suffix("").parts)
        if not name.endswith("__init__"):
            names[name] = path
    return names


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "fitnotes":
            base = node.module.removeprefix("fitnotes").lstrip(".")
            for alias in node.names:
                name = f"{base}.{alias.name}".lstrip(".")
                found.add(name if name in modules() else base)
    return found - {""}


def test_every_module_has_a_layer() -> None:
    assert {name for name in modules() if not name.startswith("training.")} == set(LEVEL)


def test_imports_point_downwards() -> None:
    wrong = [
        f"{name} imports {other}"
        for name, path in modules().items()
        if name in LEVEL
        for other in imported(path)
        if LEVEL.get(other, -1) < LEVEL[name]
    ]
    assert not wrong


def test_training_is_a_leaf() -> None:
    for name, path in modules().items():
        for other in imported(path):
            assert name.startswith("training.") == other.startswith("training"), f"{name} imports {other}"


def loaded_by(*arguments: str) -> set[str]:
    code = (
        "import sys\nfrom fitnotes.cli.main import main\n"
        f"try: main({list(arguments)!r})\nexcept SystemExit: pass\n"
        "print('MODULES', *sorted({m.split('.')[0] for m in sys.modules}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return set(out.rsplit("MODULES", 1)[1].split())


def test_help_and_version_load_nothing_heavy() -> None:
    for arguments in (["--help"], ["--version"], ["build", "--help"], ["data-dir"]):
        assert not loaded_by(*arguments) & HEAVY


def test_a_build_with_nothing_to_do_loads_nothing_heavy(fitnotes, write) -> None:
    note = write("note.md", "```python\nprint(1)\n```\n")
    assert fitnotes("build", "note.md").returncode == 0
    import os

    before = os.getcwd()
    os.chdir(note.parent)
    try:
        assert not loaded_by("build", "note.md") & HEAVY
    finally:
        os.chdir(before)
