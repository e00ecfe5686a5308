"""Ten thousand calls while one worker after the other is killed: each ends once, and none has run twice."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from contextlib import AsyncExitStack, suppress

from crews import Crew

from limen import connect, exc
from limen.client.session import Session

ADA = {"user": "ada", "password": "correct horse"}
SESSIONS, LANES, CALLS = 20, 5, 100
ENOUGH = 15.0
"""Seconds after which no further call is begun: the machine is slow, and fewer calls tell the same."""


async def ticks(session: Session, lane: str, until: float, into: dict[str, str]) -> None:
    """CALLS calls, one after the other; how each of them ended."""
    loop = asyncio.get_running_loop()
    for n in range(CALLS):
        if loop.time() > until:
            return
        key = f"tick {lane}.{n}"
        assert key not in into
        try:
            assert await asyncio.wait_for(session.call("tick", key), 20) == key
            into[key] = "ok"
        except exc.OutcomeUnknown:
            into[key] = "unknown"
        except (exc.ConnectionLost, exc.InternalError) as error:
            into[key] = error.exc


async def killing(crew: Crew) -> int:
    """Kills a worker each second, for as long as it is let; how many."""
    killed = 0
    with suppress(asyncio.CancelledError):
        while True:
            await asyncio.sleep(1.0)
            victims = sorted(crew.children())
            if len(victims) == 3:
                os.kill(victims[killed % 3], signal.SIGKILL)
                killed += 1
    return killed


async def test_each_of_ten_thousand_calls_ends_once_while_workers_are_killed(crew: Crew) -> None:
    ended: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        sessions = [await stack.enter_async_context(connect(crew.url, **ADA)) for _ in range(SESSIONS)]
        killer = asyncio.create_task(killing(crew))
        until = asyncio.get_running_loop().time() + ENOUGH
        lanes = [(session, f"{s}.{lane}") for s, session in enumerate(sessions) for lane in range(LANES)]
        await asyncio.gather(*(ticks(session, lane, until, ended) for session, lane in lanes))
        killer.cancel()
        killed = await killer
        assert killed > 0
        assert all(await asyncio.gather(*(session.call("who") for session in sessions)))  # they are back
    there = Counter(crew.call("keys", prefix="tick "))
    assert [key for key, times in there.items() if times > 1] == []
    assert [key for key, how in ended.items() if how == "ok" and key not in there] == []
    assert [key for key, how in ended.items() if how not in ("ok", "unknown")] == []
    unknown = sum(how == "unknown" for how in ended.values())
    assert unknown <= killed * SESSIONS * LANES  # what was in flight
    assert len(ended) - unknown > len(ended) * 0.8
    crew.until(lambda: len(crew.children()) == 3)
    print(f"{len(ended)} calls, {killed} workers killed, {unknown} outcomes unknown")
