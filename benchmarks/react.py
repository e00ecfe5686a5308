"""What a change of a reactive value costs: through 100 computed values, in Python beside reaktiv (the nearest of its
kind on PyPI), in JavaScript beside @preact/signals-core as it is."""

from __future__ import annotations

import shutil
import sys
from contextlib import AsyncExitStack

from .contestant import contestant
from .environment import peers
from .measure import Report, alternate

ROUNDS = 15
SHAPES = {
    "chain": "one after the other",
    "wide": "beside each other, and their sum",
    "effects": "beside each other, an effect each",
}
PYTHON, JAVASCRIPT = 1_000, 20_000
"""Changes in a turn; reaktiv gets a tenth."""


async def run(report: Report) -> None:
    async with AsyncExitStack() as stack:
        ours = await stack.enter_async_context(contestant(sys.executable, "react_shapes.py", "limen"))
        peer = await stack.enter_async_context(contestant(peers("react"), "react_shapes.py", "reaktiv"))
        for shape, words in SHAPES.items():
            report.topic(f"Reactive values in Python: a change through 100 computed values {words}")
            cost = report.figures(
                await alternate(
                    ROUNDS,
                    {"limen": ours.turn(f"{shape} {PYTHON}"), "reaktiv": peer.turn(f"{shape} {PYTHON // 10}")},
                )
            )
            if shape == "chain":
                report.target("limen", cost["limen"], 60, "µs")
            report.target("limen / reaktiv", cost["limen"] / cost["reaktiv"], 0.25)
        node = shutil.which("node") or "node"
        ours = await stack.enter_async_context(contestant(node, "react_shapes.mjs", "limen"))
        bare = await stack.enter_async_context(contestant(node, "react_shapes.mjs", "bare"))
        for shape, words in SHAPES.items():
            report.topic(f"Reactive values in JavaScript: a change through 100 computed values {words}")
            turns = {"limen": ours.turn(f"{shape} {JAVASCRIPT}"), "signals-core": bare.turn(f"{shape} {JAVASCRIPT}")}
            cost = report.figures(await alternate(ROUNDS, turns))
            report.target("limen / signals-core", cost["limen"] / cost["signals-core"], 1.1)
