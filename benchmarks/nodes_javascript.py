"""What nodes cost in JavaScript (Node.js): calls, near and beside what is beneath them; a tree; memory."""

from __future__ import annotations

import shutil
from contextlib import AsyncExitStack

from . import processes
from .contestant import contestant
from .measure import Report, alternate

ROUNDS = 15
CALLS, NEAR, TREES, MEMORY = 2_000, 20_000, 3, 5_000


async def run(report: Report) -> None:
    async with AsyncExitStack() as stack:
        _, port = stack.enter_context(processes.router())
        ours = await stack.enter_async_context(contestant(shutil.which("node") or "node", "node_shapes.mjs", port))
        report.topic("Nodes in JavaScript: a call over `limen router`, processor time of caller and callee together")
        turns = {"nodes": f"nodes {CALLS}", "sessions": f"bare {CALLS}"}
        cost = report.figures(await alternate(ROUNDS, {name: ours.turn(line) for name, line in turns.items()}))
        report.target("nodes - sessions", cost["nodes"] - cost["sessions"], 10, "µs")
        report.topic("Nodes in JavaScript: a call in the same process")
        near = {"by a proxy that is kept": f"near {NEAR}", "by remote(…) each time": f"remote {NEAR}"}
        cost = report.figures(await alternate(ROUNDS, {name: ours.turn(line) for name, line in near.items()}))
        for name, value in cost.items():
            report.target(name, value, 5, "µs")
        report.topic("Nodes in JavaScript: a tree of 1,000 nodes with 3 calls each, bound and unbound")
        tree = report.figures(await alternate(ROUNDS, {"bind and unbind": ours.turn(f"tree {TREES}")}), "ms")
        report.target("bind and unbind", *tree.values(), 50, "ms")
        held = report.figures(
            await alternate(3, {"a bound node without calls": ours.turn(f"memory {MEMORY}")}), "bytes"
        )
        report.target("a bound node", *held.values(), 3 * 1024, "bytes")
