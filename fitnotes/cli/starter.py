"""The note that ``fitnotes new`` writes."""

from __future__ import annotations

from pathlib import Path

from fitnotes.errors import UsageError
from fitnotes.settings import Project, display_path

STARTER = r"""---
title: TITLE
header-includes: |
  \newcommand{\R}{\mathbb{R}}
---

Gradient descent on $f(x) = \tfrac12 x^2$, $x \in \R$, takes the steps
$$ x_{n+1} = x_n - \eta f'(x_n) = (1 - \eta)\, x_n. $$

```{.python #tbl-steps output=loss-table tbl-cap="Value of $f$ by step"}
x, eta = 4.0, 0.25
for step in range(8):
    print(step, x**2 / 2)
    x -= eta * x
```

After `step + 1`{.python} steps $x$ is `x:.4f`{.python}; @tbl-steps has the values.

```{.python #fig-steps fig-cap="The same on a logarithmic axis"}
import matplotlib.pyplot as plt

plt.semilogy([(4 * (1 - eta) ** n) ** 2 / 2 for n in range(8)], "o-")
plt.xlabel("step");
```

```{.mermaid caption="One step"}
graph LR
  x --> g["gradient"] --> s["x - eta g"] --> x
```
"""


def write_starter(name: str, project: Project) -> Path:
    """Writes NAME.md: where the name says, or into the notes folder if the project has one.

    Raises UsageError when the file is there already.
    """
    path = Path(name)
    if not path.name.strip(". "):
        raise UsageError("a note needs a name", hint="for example: fitnotes new gradient-descent")
    if path.suffix not in (".md", ".markdown"):
        path = path.with_name(path.name + ".md")
    folder = project.root / project.settings.notes
    if path.parent == Path() and folder.is_dir():
        path = folder / path
    path.parent.mkdir(parents=True, exist_ok=True)
    title = path.stem.replace("-", " ").replace("_", " ").capitalize().replace("\\", " ").replace('"', "'")
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(STARTER.replace("TITLE", f'"{title}"'))
    except FileExistsError:
        raise UsageError("is there already", path=display_path(path)) from None
    return path
