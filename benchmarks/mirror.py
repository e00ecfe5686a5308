"""What it costs a node to have its dictionary mirrored: a changed key, until its message is ready for the socket."""

from __future__ import annotations

import sys

from .contestant import contestant
from .measure import Report, alternate

ROUNDS = 15
KINDS = {
    "nobody mirrors it": "alone",
    "one mirror": "one",
    "one mirror, 100 keys in a batch": "batch",
    "ten mirrors": "ten",
}


async def run(report: Report) -> None:
    report.topic("Mirrors: a changed key of a node, on the sending side")
    async with contestant(sys.executable, "mirror_sender.py") as program:
        turns = {name: program.turn(f"{kind} 2000") for name, kind in KINDS.items()}
        cost = report.figures(await alternate(ROUNDS, turns))
    report.target("one mirror", cost["one mirror"], 30, "µs")
    report.target("ten mirrors, each", cost["ten mirrors"] / 10, 30, "µs")
