"""TeX as text: macros, environments, preambles, packages; and an installed LaTeX."""
