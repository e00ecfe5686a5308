"""Clocks, rounds and verdicts.

What is measured is the processor time of the *server*, its children included, for each operation: how long a machine
with other things to do takes on the wall says little. Contestants take turns, A B A B, many and short ones, so that
what else goes on meets all alike; the median of their rounds counts. The first turn of each warms up and counts for
nothing.
"""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

_libc = ctypes.CDLL(None, use_errno=True)
MICROSECONDS = 1e6


# -- processes --------------------------------------------------------------------------------------------------
def family(pid: int) -> list[int]:
    """*pid* and all its descendants that live."""
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += map(int, children.read_text().split())
            except OSError:
                continue  # that thread has just ended
    return found


def cpu(pid: int) -> float:
    """Seconds of processor time, user and system, that *pid* and its descendants have had (clock_getcpuclockid(3))."""
    total = 0.0
    for member in family(pid):
        clock = ctypes.c_int()
        if _libc.clock_getcpuclockid(member, ctypes.byref(clock)) == 0:
            total += time.clock_gettime(clock.value)
    return total


def spent() -> float:
    """Seconds of processor time that all children of this process that have ended have had."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def resident(pid: int) -> int:
    """Bytes of memory that *pid* and its descendants hold (VmRSS)."""
    total = 0
    for member in family(pid):
        for line in Path(f"/proc/{member}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1]) * 1024
    return total


# -- rounds -----------------------------------------------------------------------------------------------------
Turn = Callable[[], Awaitable[float]]
"""One turn of one contestant: what an operation cost."""


async def alternate(rounds: int, contestants: dict[str, Turn]) -> dict[str, list[float]]:
    """What each contestant's turns gave, taken one after the other, *rounds* times after one that does not count."""
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for lap in range(rounds + 1):
        for name, turn in contestants.items():
            gc.collect()
            cost = await turn()
            if lap:
                found[name].append(cost)
    return found


def server_turn(pid: int, operations: int, work: Callable[[], Awaitable[object]]) -> Turn:
    """A turn in which the server *pid* is given *work* of so many *operations*; gives microseconds for each."""

    async def turn() -> float:
        before = cpu(pid)
        await work()
        return (cpu(pid) - before) / operations * MICROSECONDS

    return turn


# -- the report -------------------------------------------------------------------------------------------------
class Report:
    """Prints as it goes, and remembers whether every target held."""

    def __init__(self) -> None:
        self.held: list[bool] = []

    def topic(self, title: str) -> None:
        print(f"\n{title}", flush=True)

    def figures(self, found: dict[str, list[float]], unit: str = "µs") -> dict[str, float]:
        """A line for each contestant: the median, the least and the most; gives the medians."""
        for name, rounds in found.items():
            low, middle, high = (f"{value:.{_digits(value)}f}" for value in (min(rounds), median(rounds), max(rounds)))
            span = f"({low} … {high}, {len(rounds)} rounds)" if len(rounds) > 1 else ""
            print(f"  {name:44}{middle:>9} {unit:5} {span}".rstrip(), flush=True)
        return {name: median(rounds) for name, rounds in found.items()}

    def target(self, what: str, value: float, at_most: float, unit: str = "") -> None:
        """A line that says whether *value* keeps within *at_most*."""
        holds = value <= at_most
        self.held.append(holds)
        said = "holds" if holds else "DOES NOT HOLD"
        bound = f"{at_most:g} {unit}".rstrip()
        print(f"  → {what:42}{value:9.2f} {unit:5} target ≤ {bound}: {said}", flush=True)

    def note(self, what: str, value: float, unit: str = "") -> None:
        """A line about which there is no target."""
        print(f"  → {what:42}{value:9.2f} {unit}".rstrip(), flush=True)


def _digits(value: float) -> int:
    return 2 if value < 2 else 1 if value < 1000 else 0


def machine() -> str:
    """The machine, in words."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    load = os.getloadavg()[0]
    kernel = os.uname().release
    python = sys.version.split()[0]
    return f"{os.cpu_count()} cores, {model}, Linux {kernel}, Python {python}; load before the run {load:.1f}"
