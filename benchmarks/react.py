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
LAUNCHES = 5
"""Of the JavaScript: an engine compiles the same program now one way, now another, up to a tenth apart."""
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
    in_javascript = {shape: {"limen": list[float](), "signals-core": list[float]()} for shape in SHAPES}
    for _ in range(LAUNCHES):
        await _a_launch(in_javascript)
    for shape, words in SHAPES.items():
        report.topic(f"Reactive values in JavaScript: a change through 100 computed values {words}")
        cost = report.figures(in_javascript[shape])
        report.target("limen / signals-core", cost["limen"] / cost["signals-core"], 1.1)


async def _a_launch(into: dict[str, dict[str, list[float]]]) -> None:
    node = shutil.which("node") or "node"
    async with (
        contestant(node, "react_shapes.mjs", "limen") as ours,
        contestant(node, "react_shapes.mjs", "bare") as bare,
    ):
        for shape, found in into.items():
            line = f"{shape} {JAVASCRIPT}"
            rounds = await alternate(ROUNDS // LAUNCHES, {"limen": ours.turn(line), "signals-core": bare.turn(line)})
            for name, costs in rounds.items():
                found[name] += costs
