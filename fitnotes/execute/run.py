"""Running what a note needs: its sessions side by side, each result stored as soon as it is there."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from fitnotes.errors import Problem
from fitnotes.execute.cache import Cache
from fitnotes.execute.copies import Copies, Held
from fitnotes.execute.ledger import Entry, Ledger, Ran
from fitnotes.execute.lock import alone
from fitnotes.execute.plan import (
    Planned,
    code_digests,
    depended,
    lines_of,
    plan,
    setting,
    state,
    syntax_problems,
    tells_lines,
)
from fitnotes.execute.result import Result
from fitnotes.execute.sessions import ServerGone, Session
from fitnotes.execute.slots import Slots, available_memory
from fitnotes.settings import Project, Settings, display_path
from fitnotes.source.block import Block
from fitnotes.source.note import Note
from fitnotes.store.files import digest
from fitnotes.store.inputs import FILE, FILES, PYTHON, VARIABLE, Current, Input, stored_path


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one block, in words: ``verdict`` and ``why``, and what else is worth knowing."""

    block: Block
    verdict: str
    why: str = ""
    also: tuple[str, ...] = ()


@dataclass(slots=True)
class Execution:
    """The results of a note's blocks by index. ``ran`` and ``reused`` count blocks without inline expressions;
    ``inputs`` are those of all results, ``wrote`` the files that this run wrote."""

    results: dict[int, Result] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    ran: int = 0
    reused: int = 0
    inputs: set[Input] = field(default_factory=set)
    wrote: set[str] = field(default_factory=set)
    states: str = ""


# Variables that change what Python and the libraries of numbers do, whatever the code.
_ALWAYS = (
    "PYTHONHASHSEED",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "PYTHONPATH",
    "PYTHONOPTIMIZE",
)
_TURNS = 4  # to run a session, where somebody kills the fork server


class _FromTheStart(Exception):
    """A result shows lines that a copied session has at other places."""


class _Group:
    """The steps of one session, and what became of them in this run."""

    def __init__(self, steps: Sequence[Planned]) -> None:
        self.steps = steps
        self.name = steps[0].block.options.session
        self.ran: dict[int, Result] = {}  # by block
        self.also: dict[int, str] = {}
        self.skipped: dict[int, str] = {}  # why it did not run
        self.memory = 0

    @property
    def stale(self) -> bool:
        return any(step.stored is None for step in self.steps)

    def result(self, step: Planned) -> Result | None:
        return self.ran.get(step.block.index, step.stored)

    def skip(self, step: Planned, failed: Block) -> None:
        """A block that does not run, since one above it in its session failed."""
        why = f"{failed.name} above failed"
        self.skipped[step.block.index] = why
        self.ran[step.block.index] = Result("not run", message=f"not run: {why}")

    def state(self, at: int) -> str:
        """The session's state before the step at ``at``, once all steps before it have a result."""
        result = self.result(self.steps[at - 1]) if at else None
        return result.state if result else ""

    def failed(self, at: int) -> Block | None:
        """The block before the step at ``at`` that failed: those behind it do not run."""
        for step in self.steps[:at]:
            result = self.result(step)
            if result is not None and result.status != "ok":
                return step.block
        return None

    def files(self) -> tuple[set[str], set[str]]:
        """The files that this run read, and those that it wrote."""
        read, wrote = set(), set()
        for result in self.ran.values():
            read |= {item.name for item in result.inputs if item.kind in FILES}
            wrote |= set(result.wrote)
        return read, wrote


class Executor:
    """Runs notes of one build, also several at a time.

    With ``run`` false nothing runs, and results of another machine are taken too. ``refresh``: run everything.
    ``kept``: the copies of sessions of a watch. ``start`` is called before the first session.
    ``pages`` are the folders of pages, whose files are no inputs.
    """

    def __init__(
        self,
        project: Project,
        *,
        run: bool = True,
        refresh: bool = False,
        jobs: int = 1,
        cancel: threading.Event | None = None,
        kept: Copies | None = None,
        start: Callable[[], None] = lambda: None,
        pages: Sequence[Path] = (),
    ) -> None:
        self.project = project
        self._pages = pages
        self.cache = Cache(project.root, project.results)
        self.ledger = Ledger(project.root, project.store / "notes")
        self.current = Current(project.root, self.states)
        self._run = run
        self._refresh = refresh and run
        self._slots = Slots(jobs, available_memory())
        self._cancel = cancel or threading.Event()
        self._kept = kept
        self._start = start

    def states(self, name: str) -> str:
        """A hash of what a note's blocks gave when they last ran; ``name`` is its path in the project."""
        entry = self.ledger.load(self.project.root / name)
        return entry.states if entry else ""

    # ----------------------------------------------------------------------------------------------

    def execute(
        self,
        note: Note,
        blocks: Sequence[Block],
        settings: Settings,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Execution:
        """A result for every block: stored, run now, or the reason why there is none."""
        before = self.ledger.load(note.path)
        groups = self._plan(note, blocks, settings, before)
        wrong = syntax_problems(note, blocks)
        if wrong:
            return self._refused(note, groups, wrong)
        if not any(group.stale for group in groups):
            return self._reused(note, groups)
        if not self._run:
            return self._missing(note, groups)
        lock = self.project.store / "locks" / f"{digest(stored_path(str(note.path), self.project.root))[:32]}"
        with alone(lock, self._cancel) as waited:
            if waited:  # another build has run it meanwhile
                self.current.forget()
                self.cache.forget()
                before = self.ledger.load(note.path)
                groups = self._plan(note, blocks, settings, before)
                if not any(group.stale for group in groups):
                    return self._reused(note, groups)
            self._start()
            return self._run_note(note, groups, settings, before, progress)

    def look(self, note: Note, blocks: Sequence[Block], settings: Settings) -> Execution:
        """The same without running anything."""
        groups = self._plan(note, blocks, settings, self.ledger.load(note.path))
        stale = any(group.stale for group in groups)
        return self._missing(note, groups) if stale else self._reused(note, groups)

    def _plan(
        self, note: Note, blocks: Sequence[Block], settings: Settings, before: Entry | None
    ) -> list[_Group]:
        elsewhere, refresh = not self._run, self._refresh
        steps = plan(
            note, blocks, settings, self.cache, self.current, before, elsewhere=elsewhere, refresh=refresh
        )
        return [_Group(group) for group in steps]

    def _refused(
        self, note: Note, groups: Sequence[_Group], wrong: Sequence[tuple[Block, Problem]]
    ) -> Execution:
        """Nothing of a note runs in which blocks are not Python; of those that hold, the stored results stay where
        nothing is to run anyway."""
        if self._run:  # the page is the one that a build from nothing gives
            done = Execution()
            reason = f"not run: {wrong[0][0].name} is not valid Python"
            for step in (s for group in groups for s in group.steps):
                done.results[step.block.index] = Result("not run", message=reason)
                done.told.append(Told(step.block, "not run", reason.partition(": ")[2]))
        else:
            done = self._missing(note, groups)
            names = {block.name for block, _ in wrong}
            done.problems = [p for p in done.problems if p.message.split(" has no stored")[0] not in names]
        for block, problem in wrong:
            text = [f'File "{note.path.name}", line {problem.line}', problem.message, problem.hint or ""]
            output = {"output_type": "error", "ename": "SyntaxError", "traceback": [t for t in text if t]}
            done.results[block.index] = Result("error", (output,), problem.message, problem.line)
            done.problems.append(problem)
        return self._settle(note, done)

    def _reused(self, note: Note, groups: Sequence[_Group]) -> Execution:
        done = Execution()
        for step in (s for group in groups for s in group.steps):
            assert step.stored is not None
            done.results[step.block.index] = step.stored
            done.reused += not step.block.inline
            done.told.append(Told(step.block, "reused", also=_also(step.stored)))
        return self._settle(note, done)

    def _missing(self, note: Note, groups: Sequence[_Group]) -> Execution:
        done = Execution()
        missing = Result("missing", message="no stored result; not run (--no-execute)")
        for step in (s for group in groups for s in group.steps):
            done.results[step.block.index] = step.stored or missing
            if step.stored is not None:
                done.reused += not step.block.inline
                done.told.append(Told(step.block, "reused", also=_also(step.stored)))
                continue
            message = f"{step.block.name} has no stored result that still holds"
            done.problems.append(Problem("missing-result", message, note.shown, step.block.line, step.why))
            done.told.append(Told(step.block, "missing", step.why))
        return self._settle(note, done)

    def _settle(self, note: Note, done: Execution) -> Execution:
        for path in dict.fromkeys(self.cache.unreadable):
            message = f"stored result {path.name} cannot be read and is made again"
            done.problems.append(Problem("cache", message, note.shown))
        self.cache.unreadable.clear()
        done.told.sort(key=lambda told: told.block.index)
        for result in done.results.values():
            done.inputs |= set(result.inputs)
        done.states = digest([result.state for _, result in sorted(done.results.items())])
        return done

    # ----------------------------------------------------------------------------------------------

    def _run_note(
        self,
        note: Note,
        groups: Sequence[_Group],
        settings: Settings,
        before: Entry | None,
        progress: Callable[[int, int], None],
    ) -> Execution:
        done = Execution()
        memory = settings.memory or (before.memory if before else 0)
        exchanges = before is not None and before.exchanges
        if exchanges:  # these sessions pass files to each other: all run, in the order of the document
            self._in_order(note, groups, settings, memory, progress, done)
            exchanges = self._exchange(groups)
        else:
            self._side_by_side(note, groups, settings, memory, progress, done)
            self.current.forget()
            if len(groups) > 1 and self._exchange(groups):
                exchanges = True
                self._in_order(note, groups, settings, memory, progress, done)
        self.current.forget()
        waiting = {}
        for group in groups:
            first = next((step for step in group.steps if step.stored is None), None)
            for step in group.steps:
                result = group.result(step)
                assert result is not None
                index = step.block.index
                done.results[index] = result
                ran = index in group.ran
                done.wrote |= set(result.wrote) if ran else set()
                if ran and result.status == "ok":
                    done.ran += not step.block.inline
                elif not ran:
                    done.reused += not step.block.inline
                if result.status not in ("ok", "not run"):
                    line = result.line or step.block.line
                    problem = Problem("block", result.message, note.shown, line, result.hint)
                    waiting[index] = problem
                done.told.append(self._told(group, step, result, ran, first, exchanges))
        done.problems += [problem for _, problem in sorted(waiting.items())]
        done = self._settle(note, done)
        self._remember(note, groups, settings, before, done, exchanges)
        return done

    def _told(
        self, group: _Group, step: Planned, result: Result, ran: bool, first: Planned | None, exchanges: bool
    ) -> Told:
        also = _also(result)
        if step.block.index in group.also:
            also = (*also, f"no copy is kept: {group.also[step.block.index]}")
        if not ran:
            return Told(step.block, "reused", "", also)
        if result.status == "not run":
            return Told(step.block, "not run", group.skipped.get(step.block.index, ""), also)
        if step.stored is None:
            return Told(step.block, "run", step.why, also)
        if first is None:
            return Told(step.block, "run again", "sessions of this note pass files to each other", also)
        return Told(step.block, "run again", f"for the state that {first.block.name} needs", also)

    def _side_by_side(
        self,
        note: Note,
        groups: Sequence[_Group],
        settings: Settings,
        memory: int,
        progress: Callable[[int, int], None],
        done: Execution,
    ) -> None:
        stale = [group for group in groups if group.stale]
        count = _Count(stale, progress)

        def one(group: _Group) -> None:
            with self._slots.take(memory, self._cancel):
                for turn in range(_TURNS):
                    try:
                        self._session(note, group, settings, done, count, copies=not turn)
                        return
                    except _FromTheStart:
                        group.ran.clear()
                    except ServerGone:
                        group.ran.clear()
                        if turn == _TURNS - 1:
                            raise

        if len(stale) == 1:
            one(stale[0])
            return
        with ThreadPoolExecutor(len(stale)) as pool:
            for future in [pool.submit(one, group) for group in stale]:
                future.result()

    def _session(
        self,
        note: Note,
        group: _Group,
        settings: Settings,
        done: Execution,
        count: _Count,
        *,
        copies: bool = True,
    ) -> None:
        """Runs one session to its end, from the best copy of it or from its start."""
        kept = self._kept
        held = kept.best(note.path, group.name, group.steps) if kept is not None and copies else None
        session, held = self._open(note, settings, group, held)
        lines = list(held.lines) if held else []  # where the blocks that have run stand for the session
        moved = any((step.block.line or 1) != line for step, line in zip(group.steps, lines, strict=False))
        start, since = len(lines), 0.0
        with session:
            for step in group.steps[:start]:
                count.add(step)
            for at, step in enumerate(group.steps[start:], start):
                failed = group.failed(at)
                if failed is not None:
                    group.skip(step, failed)
                    count.add(step)
                    continue
                since += self._run_block(note, group, at, session, done, moved=moved)
                lines.append((step.block.line or 1) - session.shift)
                count.add(step)
                wanted = group.failed(at + 1) is None and not step.block.inline
                if kept is not None and wanted and self._hold(kept, session, note, group, lines, since):
                    since = 0.0

    def _run_block(
        self, note: Note, group: _Group, at: int, session: Session, done: Execution, *, moved: bool = False
    ) -> float:
        """Runs the block at ``at`` and stores its result; how many seconds it took. ``moved``: for the session,
        blocks stand in other lines than in the note."""
        step = group.steps[at]
        inputs = self._before(step, note, first=at == 0)
        raw = session.run(step.block)
        if moved and tells_lines(raw, step.block, note.path.name):
            raise _FromTheStart
        result = self._finish(group.steps[: at + 1], raw, group.state(at), inputs)
        group.ran[step.block.index] = result
        group.memory = max(group.memory, session.memory)
        if result.status == "ok" and result is not step.stored:
            self._store(step, result, note, done)
        return raw.seconds

    def _before(self, step: Planned, note: Note, *, first: bool) -> list[Input]:
        """The inputs that do not show in the session, as they are before the block runs."""
        inputs = depended(step.block, note, self.current)
        if not first:
            return inputs
        always = [(PYTHON, ""), *((VARIABLE, name) for name in _ALWAYS)]
        return [*inputs, *(Input(kind, name, self.current.value(kind, name)) for kind, name in always)]

    def _open(
        self, note: Note, settings: Settings, group: _Group, held: Held | None
    ) -> tuple[Session, Held | None]:
        if held is not None:
            shift = (group.steps[held.at].block.line or 1) - held.lines[held.at]
            try:
                return Session(
                    note, settings, self.project, self._cancel, held.copy, shift, self._pages
                ), held
            except (OSError, EOFError):
                pass  # the copy was killed: from the start, then
        return Session(note, settings, self.project, self._cancel, pages=self._pages), None

    def _hold(
        self, kept: Copies, session: Session, note: Note, group: _Group, lines: Sequence[int], seconds: float
    ) -> bool:
        at = len(lines) - 1
        held = session.hold()
        if isinstance(held, str):
            group.also[group.steps[at].block.index] = held
            return False
        results = [group.result(step) for step in group.steps[: at + 1]]
        states = tuple(result.state for result in results if result)
        copy, files = held
        kept.add(note.path, group.name, Held(copy, at, states, tuple(lines), files, seconds))
        return True

    def _finish(self, steps: Sequence[Planned], raw: Result, after: str, more: Sequence[Input]) -> Result:
        """The result of the last of a session's steps as it is stored; the one stored before, if it is the same."""
        step = steps[-1]
        root = self.project.root
        found = {
            Input(
                item.kind,
                stored_path(item.name, root) if item.kind in FILES else item.name,
                item.value,
            )
            for item in raw.inputs
        }
        declared = {item.name for item in more}
        found = {item for item in found if item.kind not in FILES or item.name not in declared}
        result = replace(
            raw,
            inputs=tuple(sorted(found | set(more))),
            wrote=tuple(stored_path(path, root) for path in raw.wrote),
            lines=tuple((stored_path(path, root), sums) for path, sums in raw.lines),
            at=lines_of([s.block for s in steps]),
            after=after,
        )
        result = replace(result, state=state(step.key, result, uuid.uuid4().hex if raw.volatile else ""))
        old = step.stored
        same = old is not None and old.status == result.status and old.state == result.state
        if same and old is not None and old.wrote == result.wrote:
            return old
        return result

    def _store(self, step: Planned, result: Result, note: Note, done: Execution) -> None:
        """Stores a result; where that is not possible the page is written all the same."""
        try:
            self.cache.store(step.key, result)
        except OSError as error:
            message = f"results cannot be stored in {display_path(self.cache.folder)}: {error.strerror}"
            problem = Problem("cache", message, note.shown)
            if problem not in done.problems:
                done.problems.append(problem)

    # ----------------------------------------------------------------------------------------------

    def _exchange(self, groups: Sequence[_Group]) -> bool:
        """Whether sessions that ran side by side read or wrote what another one wrote: then the order in which
        they did it was chance, and a session that did not run may show what is no longer there."""
        files = [group.files() for group in groups]
        for i, (_, wrote) in enumerate(files):
            folders = {path.rpartition("/")[0] for path in wrote}
            for j, (read, other) in enumerate(files):
                if i != j and (wrote & (read | other) or folders & read):
                    return True
        return any(
            step.stored is not None and self.current.changed(step.stored.inputs) is not None
            for group in groups
            for step in group.steps
            if step.block.index not in group.ran
        )

    def _in_order(
        self,
        note: Note,
        groups: Sequence[_Group],
        settings: Settings,
        memory: int,
        progress: Callable[[int, int], None],
        done: Execution,
    ) -> None:
        """Runs all sessions of the note, block by block in the order of the document."""
        for turn in range(_TURNS):
            for group in groups if turn else ():
                group.ran.clear()
            try:
                self._all_in_order(note, groups, settings, memory, _Count(groups, progress), done)
                return
            except ServerGone:
                if turn == _TURNS - 1:
                    raise

    def _all_in_order(
        self,
        note: Note,
        groups: Sequence[_Group],
        settings: Settings,
        memory: int,
        count: _Count,
        done: Execution,
    ) -> None:
        opened: dict[str, Session] = {}
        steps = sorted(
            ((step, at, group) for group in groups for at, step in enumerate(group.steps)),
            key=lambda found: found[0].block.index,
        )
        with self._slots.take(memory, self._cancel):
            try:
                for step, at, group in steps:
                    failed = group.failed(at)
                    if failed is not None:
                        group.skip(step, failed)
                        count.add(step)
                        continue
                    if group.name not in opened:
                        opened[group.name] = Session(
                            note, settings, self.project, self._cancel, pages=self._pages
                        )
                    self._run_block(note, group, at, opened[group.name], done)
                    count.add(step)
            finally:
                for session in opened.values():
                    session.__exit__()

    def _remember(
        self,
        note: Note,
        groups: Sequence[_Group],
        settings: Settings,
        before: Entry | None,
        done: Execution,
        exchanges: bool,
    ) -> None:
        old = {(ran.session, ran.whole): ran for ran in before.blocks} if before else {}
        blocks = []
        products: dict[str, list[str]] = {}
        for group in groups:
            for step in group.steps:
                code, whole = code_digests(step.block)
                result = done.results[step.block.index]
                known = old.get((group.name, whole))
                seconds = result.seconds if step.block.index in group.ran or known is None else known.seconds
                status = result.status
                shown = next((o["ename"] for o in result.outputs if o["output_type"] == "error"), status)
                blocks.append(
                    Ran(group.name, code, whole, round(seconds, 4), status if status == "ok" else shown)
                )
        for _, result in sorted(done.results.items()):
            for path in result.wrote:
                products[path] = [result.state, self.current.value(FILE, path)]
        memory = max([group.memory for group in groups] + [before.memory if before else 0])
        entry = Entry(setting(settings), tuple(blocks), products, memory, exchanges, done.states)
        self.ledger.store(note.path, entry)


class _Count:
    """How many blocks of the groups are done, told as it grows."""

    def __init__(self, groups: Sequence[_Group], progress: Callable[[int, int], None]) -> None:
        self._total = sum(not step.block.inline for group in groups for step in group.steps)
        self._done = 0
        self._lock = threading.Lock()
        self._progress = progress
        progress(0, self._total)

    def add(self, step: Planned) -> None:
        if not step.block.inline:
            with self._lock:
                self._done += 1
                self._progress(self._done, self._total)


def _also(result: Result) -> tuple[str, ...]:
    found = [f"reads {what}: another run may give something else" for what in result.volatile]
    if result.wrote:
        found.append("writes " + ", ".join(result.wrote))
    return tuple(found)
