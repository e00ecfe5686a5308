"""What nodes cost. Signals: to 100 handlers in one process, beside blinker (Flask's signals), in JavaScript beside what
Node.js has for events.

metapensiero.signal, whose model ours is, is not beside us: its last release (0.9) cannot be imported by any Python
since 3.7, as its dependency says `asyncio.async`.
"""

from __future__ import annotations

import shutil
import sys
from contextlib import AsyncExitStack

from .contestant import contestant
from .environment import peers
from .measure import Report, alternate

ROUNDS = 15
SHAPES = {
    "methods": ("a signal to methods of 100 objects, held weakly", 1_000, 1),
    "connect": ("a method connected and disconnected", 20_000, 1),
    "async": ("a signal to 100 async handlers, together (blinker: one after the other)", 200, None),
    "nobody": ("a signal to nobody (blinker's needs no await)", 20_000, None),
}
"""Name to words, how many in a turn, and what it may cost beside blinker."""
IN_TREE, JAVASCRIPT = 1_000, 20_000


async def run(report: Report) -> None:
    await signals(report)


async def signals(report: Report) -> None:
    async with AsyncExitStack() as stack:
        ours = await stack.enter_async_context(contestant(sys.executable, "signal_shapes.py", "limen"))
        peer = await stack.enter_async_context(contestant(peers("signals"), "signal_shapes.py", "blinker"))
        for shape, (words, count, beside) in SHAPES.items():
            report.topic(f"Signals in Python: {words}")
            line = f"{shape} {count}"
            cost = report.figures(await alternate(ROUNDS, {"limen": ours.turn(line), "blinker": peer.turn(line)}))
            if shape == "methods":
                report.target("limen", cost["limen"], 60, "µs")
            if beside is None:
                report.note("limen / blinker", cost["limen"] / cost["blinker"])
            else:
                report.target("limen / blinker", cost["limen"] / cost["blinker"], beside)
        report.topic("Signals in Python: of a node, to 100 nodes of its tree that listen to its address")
        cost = report.figures(await alternate(ROUNDS, {"limen": ours.turn(f"nodes {IN_TREE}")}))
        report.target("limen", cost["limen"], 60, "µs")
        report.topic("Signals in JavaScript: to 100 functions")
        node = shutil.which("node") or "node"
        kits = {"limen": "limen", "emitter": "EventEmitter", "target": "EventTarget"}
        turns = {}
        for kit, name in kits.items():
            kit_turn = await stack.enter_async_context(contestant(node, "signal_shapes.mjs", kit))
            turns[name] = kit_turn.turn(str(JAVASCRIPT))
        cost = report.figures(await alternate(ROUNDS, turns))
        report.target("limen / EventTarget", cost["limen"] / cost["EventTarget"], 1.25)
