"""What nodes cost: calls, near and beside what is beneath them and Autobahn, trees, memory. Signals: to 100 handlers in
one process, beside blinker (Flask's signals), in JavaScript beside what
Node.js has for events.

metapensiero.signal, whose model ours is, is not beside us: its last release (0.9) cannot be imported by any Python
since 3.7, as its dependency says `asyncio.async`.
"""

from __future__ import annotations

import shutil
import sys
from contextlib import AsyncExitStack
from functools import partial

from . import processes
from .contestant import contestant
from .environment import peers
from .measure import Report, alternate, cpu

ROUNDS = 15
SHAPES = {
    "methods": ("a signal to methods of 100 objects, held weakly", 1_000, 1),
    "connect": ("a method connected and disconnected", 20_000, 1),
    "async": ("a signal to 100 async handlers, together (blinker: one after the other)", 200, None),
    "nobody": ("a signal to nobody (blinker's needs no await)", 20_000, None),
}
"""Name to words, how many in a turn, and what it may cost beside blinker."""
IN_TREE, JAVASCRIPT = 1_000, 20_000
CALLS, NEAR, TREE, TREES = 2_000, 10_000, 1_000, 7


async def run(report: Report) -> None:
    await calls(report)
    await signals(report)


async def calls(report: Report) -> None:
    async with AsyncExitStack() as stack:
        pid, port = stack.enter_context(processes.router())
        ours = await stack.enter_async_context(contestant(sys.executable, "node_shapes.py", port))
        peer = await stack.enter_async_context(contestant(peers("autobahn"), "routed_autobahn.py", port))
        report.topic("Nodes in Python: a call over `limen router`, processor time of caller and callee together")
        turns = {"limen, nodes": f"nodes {CALLS}", "limen, sessions": f"bare {CALLS}"}
        cost = report.figures(
            await alternate(
                ROUNDS,
                {name: ours.turn(line) for name, line in turns.items()} | {"autobahn": peer.turn(f"bare {CALLS}")},
            )
        )
        report.target("nodes - sessions", cost["limen, nodes"] - cost["limen, sessions"], 10, "µs")
        report.target("nodes / autobahn", cost["limen, nodes"] / cost["autobahn"], 0.5)
        report.topic("Nodes in Python: a call in the same process")
        near = {"a method": f"near {NEAR}", "an async method": f"near_async {NEAR}"}
        for name, value in report.figures(
            await alternate(ROUNDS, {name: ours.turn(line) for name, line in near.items()})
        ).items():
            report.target(name, value, 5, "µs")
        report.topic(f"Nodes in Python: a tree of {TREE:,} nodes with 3 calls each")

        async def told(line: str) -> float:
            before = cpu(pid)
            spent = await ours.ask(line)
            server.append((cpu(pid) - before) * 1e3)
            return spent

        server: list[float] = []
        lines = {"bind": f"bind {TREE}", "unbind": f"unbind {TREE}"}
        cost = report.figures(await alternate(TREES, {name: partial(told, line) for name, line in lines.items()}), "ms")
        report.target("bind and unbind, here", sum(cost.values()), 50, "ms")
        report.target("bind and unbind, at the router", 2 * sum(server) / len(server), 50, "ms")
        held = report.figures(await alternate(3, {"a bound node without calls": ours.turn(f"memory {TREE}")}), "bytes")
        report.target("a bound node", *held.values(), 3 * 1024, "bytes")


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
