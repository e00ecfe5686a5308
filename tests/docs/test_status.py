"""README's status table is whole: every row of the product's plan once, and nothing called done without its test."""

from __future__ import annotations

import re
from pathlib import Path

README = (Path(__file__).resolve().parent.parent.parent / "README.md").read_text()
PLAN = {"F": 23, "R": 19, "P": 13, "B": 15}
"""Part of the plan to its number of rows."""


def rows() -> list[list[str]]:
    """The cells of each row: numbers, row, state, test, page."""
    table = README.partition("## Status")[2].partition("\n## ")[0]
    lines = [line for line in table.splitlines() if re.match(r"\| [FRPB]\d", line)]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def named(cell: str) -> list[str]:
    """`F21, F22` and `R1–R8` as single rows."""
    found = []
    for part in cell.split(", "):
        first, _, last = part.partition("–")
        letter, low = first[0], int(first[1:])
        found += [f"{letter}{number}" for number in range(low, int((last or first)[1:]) + 1)]
    return found


def test_every_row_of_the_plan_stands_in_the_table_once() -> None:
    found = [name for cells in rows() for name in named(cells[0])]
    assert sorted(found) == sorted(f"{part}{number}" for part, count in PLAN.items() for number in range(1, count + 1))


def test_what_is_not_open_names_its_test() -> None:
    assert [cells[0] for cells in rows() if cells[2] != "open" and "](" not in cells[3]] == []
