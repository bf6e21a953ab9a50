"""Whether a change of the code changes what users get: every note to every target, by two versions, byte by byte.

::

    python tests/same_bytes.py HEAD~5             the commit against the working tree
    python tests/same_bytes.py HEAD~5 --quick     without LaTeX and Chromium
    python tests/same_bytes.py HEAD~5 --keep DIR  leaves both outputs there, to look at what differs

Pages, files beside them, and what the command says are compared; only times are left out. Exit codes: 0 all the
same, 1 something differs. What a commit gave is kept in ``--keep`` and used again by the next call.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pypdf import PdfReader
from pypdf.generic import IndirectObject, StreamObject

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("notes", "tests/notes", "tests/corpus")
QUICK = (
    ("html",),
    ("html", "--math", "static", "-o", "static"),
    ("html", "--math", "mathml", "-o", "mathml"),
    ("html", "--embed", "-o", "embedded"),
    ("pdf",),
    ("slides",),
    ("slides-pdf",),
    ("tex",),
    ("gfm",),
    ("docx",),
    ("epub",),
)
SLOW = (
    ("pdf", "--pdf-engine", "pdflatex", "-o", "pdflatex"),
    ("slides-pdf", "--pdf-engine", "pdflatex", "-o", "beamer"),
)
# Slower still: of the demo notes only.
SLOWEST = (
    ("pdf", "--pdf-engine", "lualatex", "-o", "lualatex"),
    ("pdf", "--pdf-engine", "chromium", "-o", "printed"),
)


def commands(folder: str, quick: bool) -> Iterator[tuple[str, ...]]:
    """The commands that are run in a copy of one folder of notes."""
    for target, *options in (*QUICK, *(() if quick else SLOW)):
        yield ("build", "notes", "--to", target, *options)
    if not quick and folder == "notes":
        for target, *options in SLOWEST:
            yield ("build", "notes", "--to", target, *options)
    yield ("build", "notes", "--explain")
    yield ("lint", "notes")


def without_times(text: str) -> str:
    return re.sub(r"\b\d+\.\d s\b", "… s", text)


def produce(code: Path, out: Path, work: Path, quick: bool) -> None:
    """Builds everything with the package that lies in ``code``; pages and messages go to ``out``."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FITNOTES_")}
    environment |= {"PYTHONPATH": str(code), "COLUMNS": "120"}
    for folder in FOLDERS:
        shutil.rmtree(work, ignore_errors=True)  # the same path for both: it may show in what they say
        shutil.copytree(ROOT / folder, work / "notes")
        (work / "fitnotes.toml").touch()
        place = out / folder.replace("/", "-")
        place.mkdir(parents=True)
        for n, command in enumerate(commands(folder, quick)):
            done = subprocess.run(
                [sys.executable, "-m", "fitnotes", *command],
                cwd=work, env=environment, capture_output=True, text=True, check=False,
            )  # fmt: skip
            said = f"$ {' '.join(command)}\n{done.stdout}--\n{done.stderr}=> {done.returncode}\n"
            (place / f"said-{n:02}.txt").write_text(without_times(said), encoding="utf-8")
            print(".", end="", flush=True)
        for built in work.iterdir():
            if built.is_dir() and not built.name.startswith(".") and built.name != "notes":
                shutil.copytree(built, place / built.name)
    shutil.rmtree(work, ignore_errors=True)
    print()


# A PDF that Typst makes of a drawing has the time in it, and so have its name, which is a hash of its bytes, and the
# PDFs of LaTeX in which it stands.
_DATED = re.compile(
    rb"D:\d{14}[Z+\-'\d]*|\d{4}-\d\d-\d\dT[\d:]{8}(?:\+00:00|Z)|\(?[\w+/]{22}==\)?|fitnotes-\w{8}"
)
_NAMED = re.compile(r"-[0-9a-f]{10}(?=\.pdf\b)")


def without_dates(pdf: bytes) -> bytes:
    """The objects of a PDF in their order, unpacked, without what changes from run to run."""
    reader = PdfReader(io.BytesIO(pdf))
    parts = []
    for number in sorted({n for table in (*reader.xref.values(), reader.xref_objStm) for n in table}):
        found = reader.get_object(IndirectObject(number, 0, reader))
        if isinstance(found, dict):
            if found.get("/Type") in ("/XRef", "/ObjStm"):  # where the others lie
                continue
            parts.append(repr({k: v for k, v in found.items() if k not in ("/Length", "/ID")}).encode())
        else:
            parts.append(repr(found).encode())
        parts.append(found.get_data() if isinstance(found, StreamObject) else b"")
    whole = re.sub(
        rb"IndirectObject\((\d+), (\d+), \d+\)", rb"\1 \2 R", b"\n".join(parts)
    )  # the last is its reader
    return _NAMED.sub("", _DATED.sub(b"", whole).decode("latin-1")).encode()


def contents(root: Path) -> dict[str, list[bytes]]:
    """The files below a folder by their names, both without what changes from run to run."""
    found: dict[str, list[bytes]] = {}
    for file in sorted(root.rglob("*")):
        if file.is_file():
            data = file.read_bytes()
            if file.suffix == ".pdf":
                data = without_dates(data)
            elif file.suffix == ".tex":
                data = _NAMED.sub("", data.decode()).encode()
            name = _NAMED.sub("", file.relative_to(root).as_posix())
            found[name] = sorted([*found.get(name, []), data])
    return found


def differences(first: Path, second: Path) -> list[str]:
    """The files that only one of two folders has, or that hold other bytes."""
    one, other = contents(first), contents(second)
    found = []
    for name in sorted({*one, *other}):
        if name not in one or name not in other:
            found.append(f"only {'before' if name in one else 'after'}: {name}")
        elif one[name] != other[name]:
            found.append(f"differs: {name}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("commit", help="what the working tree is compared with")
    parser.add_argument("--quick", action="store_true", help="without LaTeX and Chromium")
    parser.add_argument("--keep", type=Path, help="a folder for both outputs")
    given = parser.parse_args()
    commit = subprocess.run(
        ["git", "rev-parse", "--short", f"{given.commit}^{{commit}}"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="fitnotes-same-") as scratch:
        keep = (given.keep or Path(scratch)).resolve()
        work = Path(tempfile.gettempdir()) / "fitnotes-same-work"
        before, after = keep / f"{commit}{'-quick' * given.quick}", keep / "now"
        code = Path(scratch) / "now"  # a copy: whoever waits for this may go on writing
        for name in ("fitnotes", "filters", "templates"):
            shutil.copytree(ROOT / name, code / name)
        if not before.is_dir():
            tree = Path(scratch) / "tree"
            subprocess.run(
                ["git", "worktree", "add", "-q", "--detach", str(tree), commit], cwd=ROOT, check=True
            )
            try:
                produce(tree, before.with_suffix(".part"), work, given.quick)
            finally:
                subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, check=True)
            before.with_suffix(".part").rename(before)
        shutil.rmtree(after, ignore_errors=True)
        produce(code, after, work, given.quick)
        found = differences(before, after)
        files = sum(file.is_file() for file in after.rglob("*"))
        print("\n".join(found) or f"{files} files: all the same as {commit} gave")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
