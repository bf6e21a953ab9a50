"""Whatever was edited, every page equals that of a build from nothing."""

from __future__ import annotations

import random
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from worlds import World, build, from_nothing, pages

from fitnotes.execute.copies import Copies
from fitnotes.execute.sessions import CAN_HOLD, start_server, stop_server


@pytest.fixture(scope="module", autouse=True)
def _numpy_is_loaded():
    """A fork server of its own, that has what these notes import."""
    stop_server()
    start_server(["numpy"], 1, Path.cwd())
    yield
    stop_server()


NUMBERS = st.integers(0, 2**16)


class Edits(RuleBasedStateMachine):
    """Edits notes, data and modules, builds with what earlier builds left, and compares."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="fitnotes-test-"))
        self.world = World()
        self.kept: Copies | None = None
        self.history: list[str] = []

    @rule(changes=st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=4))
    def change(self, changes: list[tuple[int, int, int, int]]) -> None:
        self.history += [self.world.change(*numbers) for numbers in changes]

    @rule()
    def back(self) -> None:
        """The last state of a branch: what was built once is built again."""
        self.world.prose["a"] += 1

    @invariant()
    def same(self) -> None:
        self.world.write(self.folder / "project")
        outcomes = build(self.folder / "project", self.kept)
        expected, codes = from_nothing(self.world, self.folder / "clean" / "project")
        assert pages(self.folder / "project") == expected, self.history
        assert [outcome.exit_code for outcome in outcomes] == codes

    def teardown(self) -> None:
        if self.kept is not None:
            self.kept.close()
        shutil.rmtree(self.folder)


class KeptEdits(Edits):
    """The same under a watch, with sessions that stay alive."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = Copies(10**9)


FEW = settings(max_examples=4, stateful_step_count=8, deadline=None, suppress_health_check=list(HealthCheck))
TestEdits = Edits.TestCase
TestEdits.settings = FEW
TestKeptEdits = KeptEdits.TestCase
TestKeptEdits.settings = FEW


def test_a_hundred_edits_under_watch(tmp_path: Path) -> None:
    chance = random.Random(5)
    world, kept, history = World(), Copies(10**9), []
    ran = held = 0
    for _ in range(100):
        history.append(world.change(*(chance.randrange(2**16) for _ in range(4))))
        world.write(tmp_path / "project")
        outcomes = build(tmp_path / "project", kept)
        expected, codes = from_nothing(world, tmp_path / "clean" / "project")
        assert pages(tmp_path / "project") == expected, history
        assert [outcome.exit_code for outcome in outcomes] == codes, history
        ran += sum(outcome.ran for outcome in outcomes)
        held = max(held, kept.count())
    kept.close()
    assert ran > 50
    assert (held > 3) == CAN_HOLD
