"""`python -m benchmarks [topic …]`; without a topic all of them."""

from __future__ import annotations

import asyncio
import importlib
import resource
import sys
import time

import uvloop

from .measure import Report, machine

TOPICS = (
    "http",
    "workers",
    "mounting",
    "websocket",
    "routed",
    "publish",
    "patterns",
    "rules",
    "router",
    "client",
    "memory",
    "react",
    "mirror",
    "nodes",
    "nodes_javascript",
    "appsession",
    "imports",
    "start",
    "login",
    "lane",
    "upload",
    "storage",
    "postgresql",
)
EXTRA = ("scale",)
"""Those that take long: only where they are named."""


async def main(topics: list[str]) -> int:
    unknown = [topic for topic in topics if topic not in TOPICS + EXTRA]
    if unknown:
        print(f"There is no topic {', '.join(unknown)}; there are: {', '.join(TOPICS + EXTRA)}", file=sys.stderr)
        return 2
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(f"{machine()}\nprocessor time of the server for each operation; median, least and most of the rounds")
    report, begun = Report(), time.monotonic()
    for topic in topics or TOPICS:
        await importlib.import_module(f".{topic}", __package__).run(report)
    missed = report.held.count(False)
    print(f"\n{len(report.held)} targets, {missed or 'none'} missed, in {time.monotonic() - begun:.0f} s")
    return 1 if missed else 0


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(main(sys.argv[1:])))
