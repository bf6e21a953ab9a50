"""The judge as a command."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import judge
from judge.compare import page
from judge.drawing import PICTURE


def main() -> None:
    parser = argparse.ArgumentParser(description=judge.__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--page", type=Path, default=Path("judge.html"))
    parser.add_argument("--by", choices=judge.TARGETS, default="typst", help="whose formulas are compared")
    parser.add_argument("--all", action="store_true", help="those without differences too")
    parser.add_argument("--physics", action="store_true", help="with the package physics")
    args = parser.parse_args()
    asked = [(tex, True) for path in args.files if path.suffix != ".md" for tex in judge.read(path)]
    with tempfile.TemporaryDirectory() as folder:
        asked += judge.of_notes([path for path in args.files if path.suffix == ".md"], Path(folder))
    rows = judge.judge(list(dict.fromkeys(asked)), ["physics"] * args.physics, args.by)
    wrong = [row for row in rows if row[3]]
    args.page.write_text(page(rows if args.all else wrong), encoding="utf-8")
    for tex, _, _, found in wrong:
        print(tex, *(f"    {difference}" for difference in found), sep="\n")
    pictures = sum(other.error == PICTURE for _, _, other, _ in rows)
    print(f"{len(rows)} formulas, {len(wrong)} differ, {pictures} are not compared")


if __name__ == "__main__":
    main()
