"""What the blocks of a note are written in: some run, some are drawn, and the rest is shown as it is."""

from __future__ import annotations

PYTHON = frozenset({"python", "py", "python3", "ipython", "ipython3"})
# Language → the class that draws it (see `fitnotes.draw.drawing.Kind`), loaded where a note has such a block.
DRAWN = {
    "mermaid": "fitnotes.draw.mermaid.kind:Mermaid",
    "tikz": "fitnotes.draw.tikz:Tikz",
}
READ = PYTHON | DRAWN.keys()  # those whose fences are read in every spelling
