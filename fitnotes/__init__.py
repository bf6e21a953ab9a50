"""fitnotes: Markdown notes with LaTeX and PyTorch, built into pages where every number was computed.

Importing the package loads nothing heavy; see ``fitnotes.cli.main`` for the command and
``fitnotes.build`` for the same from Python.
"""

__version__ = "0.1.0"
