#!/usr/bin/env python3
"""Runs the Python blocks of a note and splices their results in: pandoc note.md -F run_blocks.py …"""

import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path[:] = [p for p in sys.path if Path(p or ".").resolve() != FOLDER]
try:
    import fitnotes  # noqa: F401
except ModuleNotFoundError:  # a checkout that is not installed
    sys.path.append(str(FOLDER.parent))

from fitnotes.cli.filters import main, run_blocks  # noqa: E402

if __name__ == "__main__":
    main(run_blocks)
