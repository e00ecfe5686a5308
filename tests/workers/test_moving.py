"""A session that comes back at another worker is as good as at the same: answers, running calls, cancelling."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack

from between import Between
from crews import Crew
from waiting import until

from limen import connect, exc
from limen.client.session import Session

ADA = {"user": "ada", "password": "correct horse"}
MANY = 8


async def back(session: Session) -> None:
    async with asyncio.timeout(15):
        while session.state != "online":
            await asyncio.sleep(0.01)


async def marked(crew: Crew, prefix: str, count: int) -> None:
    async with asyncio.timeout(10):
        while len(await asyncio.to_thread(crew.call, "keys", prefix=prefix)) < count:
            await asyncio.sleep(0.02)


async def moved(between: Between, sessions: list[Session]) -> int:
    """Cuts all connections; how many come back at another worker than before."""
    before = [await session.call("who") for session in sessions]
    lost = [asyncio.Event() for _ in sessions]
    for session, event in zip(sessions, lost, strict=True):
        session.on("offline", lambda *_, event=event: event.set())
    between.cut()
    await asyncio.gather(*(event.wait() for event in lost))
    await asyncio.gather(*(back(session) for session in sessions))
    after = [await session.call("who") for session in sessions]
    return sum(here != there for here, there in zip(before, after, strict=True))


async def test_running_calls_are_answered_where_the_session_has_gone_and_run_once(crew: Crew) -> None:
    async with Between(crew.port) as between:
        sessions = [connect(between.url, **ADA) for _ in range(MANY)]
        async with AsyncExitStack() as stack:
            for session in sessions:
                await stack.enter_async_context(session)
            calls = [asyncio.create_task(s.call("slow", f"run {n}", 1.5)) for n, s in enumerate(sessions)]
            await marked(crew, "run ", MANY)
            assert await moved(between, sessions) + await moved(between, sessions) > 0  # some moved twice
            answers = await asyncio.gather(*calls)
    assert [answer[1] for answer in answers] == [f"run {n}" for n in range(MANY)]
    assert sorted(crew.call("keys", prefix="run ")) == sorted(f"run {n}" for n in range(MANY))


async def test_an_answer_that_was_lost_is_kept_for_the_other_worker(crew: Crew) -> None:
    async with Between(crew.port) as between:
        sessions = [connect(between.url, **ADA) for _ in range(MANY)]
        async with AsyncExitStack() as stack:
            for session in sessions:
                await stack.enter_async_context(session)
            between.change = lambda chunk, number: b""  # nothing of what the server says arrives
            calls = [asyncio.create_task(s.call("slow", f"kept {n}", 0.0)) for n, s in enumerate(sessions)]
            await marked(crew, "kept ", MANY)
            await asyncio.sleep(0.2)  # the answers are on their way, into nothing
            between.change = lambda chunk, number: chunk
            between.cut()
            answers = await asyncio.gather(*calls)
    assert [answer[1] for answer in answers] == [f"kept {n}" for n in range(MANY)]
    assert sorted(crew.call("keys", prefix="kept ")) == sorted(f"kept {n}" for n in range(MANY))


async def test_a_call_is_cancelled_from_where_the_session_has_gone(crew: Crew) -> None:
    async with Between(crew.port) as between:
        sessions = [connect(between.url, **ADA) for _ in range(MANY)]
        async with AsyncExitStack() as stack:
            for session in sessions:
                await stack.enter_async_context(session)
            calls = [asyncio.create_task(s.call("slow", f"stop {n}", 30.0)) for n, s in enumerate(sessions)]
            await marked(crew, "stop ", MANY)
            assert await moved(between, sessions) > 0
            for call in calls:
                call.cancel()
            await marked(crew, "cancelled stop ", MANY)


async def test_of_a_worker_that_is_killed_only_what_ran_there_is_unknown(crew: Crew) -> None:
    sessions = [connect(crew.url, **ADA) for _ in range(MANY)]
    async with AsyncExitStack() as stack:
        for session in sessions:
            await stack.enter_async_context(session)
        where = [await session.call("who") for session in sessions]
        victim = where[0]
        calls = [asyncio.create_task(s.call("slow", f"kill {n}", 1.0)) for n, s in enumerate(sessions)]
        await marked(crew, "kill ", MANY)
        os.kill(victim, signal.SIGKILL)
        answers = await asyncio.gather(*calls, return_exceptions=True)
        for pid, answer in zip(where, answers, strict=True):
            assert isinstance(answer, exc.OutcomeUnknown) if pid == victim else answer[0] == pid
        assert victim not in [await session.call("who") for session in sessions]
    assert len(crew.call("keys", prefix="kill ")) == MANY
    await until(lambda: len(crew.children()) == 3)
