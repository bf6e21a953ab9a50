#!/usr/bin/env python3
"""Draws the Mermaid blocks of a note, without Node or a browser: pandoc note.md -F draw_mermaid.py …"""

import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path[:] = [p for p in sys.path if Path(p or ".").resolve() != FOLDER]
try:
    import fitnotes  # noqa: F401
except ModuleNotFoundError:  # a checkout that is not installed
    sys.path.append(str(FOLDER.parent))

from fitnotes.cli.filters import draw_mermaid, main  # noqa: E402

if __name__ == "__main__":
    main(draw_mermaid)
