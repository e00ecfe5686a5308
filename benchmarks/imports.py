"""What a program pays for `import limen`: the processor time of a fresh Python that does it, less that of one that does
nothing. Beside it asyncio alone, which every server loads, and the imports with which programs of the peers begin."""

from __future__ import annotations

import os
import subprocess
import sys

from . import processes
from .measure import MICROSECONDS, Report, Turn, alternate, spent

ROUNDS = 11
PROGRAMS = {
    "import limen": "import limen",
    "the same, and a model declared": "import limen\n@limen.add_model\nclass Todo: done: bool = False",
    "import asyncio": "import asyncio",
    "from fastapi import FastAPI": "from fastapi import FastAPI",
    "from starlette.applications import Starlette": "from starlette.applications import Starlette",
    "from flask import Flask": "from flask import Flask",
    "from django.http import JsonResponse": "from django.http import JsonResponse",
}


def contestant(code: str) -> Turn:
    """A turn of one fresh Python that runs *code*; gives microseconds of processor time."""
    environ = {**os.environ, "PYTHONPATH": str(processes.ROOT / "src")}

    async def turn() -> float:
        before = spent()
        subprocess.run([sys.executable, "-c", code], check=True, env=environ)
        return (spent() - before) * MICROSECONDS

    return turn


async def run(report: Report) -> None:
    report.topic("Import: processor time of a fresh Python, less that of one that imports nothing")
    found = await alternate(ROUNDS, {"nothing": contestant("pass"), **{n: contestant(p) for n, p in PROGRAMS.items()}})
    nothing = found.pop("nothing")
    # Each less the nothing of the same round: what else goes on has met both alike.
    above = {
        name: [(cost - bare) / 1000 for cost, bare in zip(costs, nothing, strict=True)] for name, costs in found.items()
    }
    cost = report.figures(above, "ms")
    report.target("import limen", cost["import limen"], 60, "ms")
    for peer in ("import asyncio", "from fastapi import FastAPI"):
        report.note(f"import limen / {peer}", cost["import limen"] / cost[peer])
