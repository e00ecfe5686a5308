"""Waiting until something is so, never for a length of time.

until      where other processes, threads or sockets bring it about; at_last: for code that is not async
in_turns   where the loop alone does
followed   of what can be followed
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from limen import effect


async def until(what: Callable[[], object], patience: float = 10.0) -> None:
    """Comes back when *what()* is true."""
    async with asyncio.timeout(patience):
        while not what():
            await asyncio.sleep(0.005)


def at_last(what: Callable[[], object], patience: float = 10.0, why: Callable[[], str] = str) -> None:
    """Comes back when *what()* is true; *why* has more to say where it never is."""
    end = time.monotonic() + patience
    while not what():
        assert time.monotonic() < end, why()
        time.sleep(0.01)


async def in_turns(what: Callable[[], bool | Awaitable[bool]]) -> None:
    """Comes back when *what()* is true; what it waits for is turns of the loop, not time."""
    for _ in range(2000):
        answer = what()
        if answer if isinstance(answer, bool) else await answer:
            return
        await asyncio.sleep(0)
    raise AssertionError("it never became true")


async def followed(what: Callable[[], object]) -> None:
    """Comes back when *what()* is true; what it reads is followed."""
    done = asyncio.get_running_loop().create_future()
    stop = effect(lambda: what() and not done.done() and done.set_result(None))
    try:
        async with asyncio.timeout(10):
            await done
    finally:
        stop()
