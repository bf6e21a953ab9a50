"""A short campaign of faults; `python tests/campaign.py --rounds 300` is the long one."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import ROOT


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_faults_at_random_points() -> None:
    command = [sys.executable, str(ROOT / "tests" / "campaign.py"), "--rounds", "10", "--seed", "4"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 of 10 rounds" in done.stdout
