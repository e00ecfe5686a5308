"""Workers on PostgreSQL: the same as on a file."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path

from between import Between
from crews import CREW, LIMEN, Crew

from limen import connect, exc

ADA = {"user": "ada", "password": "correct horse"}


async def test_workers_share_a_postgresql_database(tmp_path: Path, postgresql_url: str) -> None:
    command = [LIMEN, "serve", str(CREW), "--port", "0", "--db", postgresql_url, "--workers", "2"]
    server = await asyncio.to_thread(Crew, command, tmp_path, {**os.environ})
    try:
        async with Between(server.port) as between, AsyncExitStack() as stack:
            sessions = [await stack.enter_async_context(connect(between.url, **ADA)) for _ in range(6)]
            where = [await session.call("who") for session in sessions]
            assert len(set(where)) == 2
            calls = [asyncio.create_task(s.call("slow", f"pg {n}", 1.0)) for n, s in enumerate(sessions)]
            async with asyncio.timeout(10):
                while len(await asyncio.to_thread(server.call, "keys", prefix="pg ")) < len(sessions):
                    await asyncio.sleep(0.02)
            between.cut()
            assert [answer[1] for answer in await asyncio.gather(*calls)] == [f"pg {n}" for n in range(6)]
            victim = await sessions[0].call("who")
            before = server.children()
            os.kill(victim, signal.SIGKILL)
            for session in sessions:
                try:
                    assert await session.call("who") != victim
                except exc.OutcomeUnknown:  # it was on its way
                    assert await session.call("who") != victim
            await asyncio.to_thread(server.until, lambda: bool(server.children() - before))
        assert sorted(server.call("keys", prefix="pg ")) == [f"pg {n}" for n in range(6)]
    finally:
        assert await asyncio.to_thread(server.stop) == 0
