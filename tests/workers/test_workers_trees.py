"""A tree that the program binds is in one worker, reached through all; when that one is killed another has it."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack

from crews import Crew

from limen import connect, exc
from limen.client import Session


async def where(session: Session) -> int | None:
    """The process in which the node is; None while it is in none."""
    try:
        found: int = await session.call("crew.node.where")
    except (exc.NotFound, exc.Canceled, exc.ConnectionLost, exc.OutcomeUnknown):
        return None
    return found


async def test_a_tree_is_in_one_worker_and_goes_to_another_when_that_one_is_killed(crew: Crew) -> None:
    async with AsyncExitStack() as stack:
        sessions = [
            await stack.enter_async_context(connect(crew.url, user="ada", password="correct horse")) for _ in range(6)
        ]
        for _ in range(2):
            (pid,) = {await where(session) for session in sessions}
            assert pid in crew.children()
            os.kill(pid, signal.SIGKILL)
            async with asyncio.timeout(20):
                for session in sessions:
                    while await where(session) in (None, pid):
                        await asyncio.sleep(0.05)
