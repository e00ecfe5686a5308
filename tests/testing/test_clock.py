"""A clock that moves when it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from limen.testing import Clock


def test_timers_run_in_their_order_and_at_their_time() -> None:
    clock, seen = Clock(), []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for delay in (3, 1, 2, 1):
            loop.call_later(delay, lambda delay=delay: seen.append((delay, loop.time())))
        cancelled = loop.call_later(1.5, seen.append, "never")
        cancelled.cancel()
        assert seen == []
        await clock.advance(2)
        assert seen == [(1, 1.0), (1, 1.0), (2, 2.0)]
        await clock.advance(0)
        assert len(seen) == 3
        await clock.advance(10)
        assert seen[3:] == [(3, 3.0)]
        assert (clock.time(), loop.time()) == (12.0, 12.0)

    clock.run(main())


def test_what_a_timer_sets_off_is_over_before_the_next_one_is_due() -> None:
    clock, seen = Clock(100), []

    async def ticking() -> None:
        while True:
            await asyncio.sleep(1)
            await asyncio.gather(*(asyncio.sleep(0) for _ in range(10)))
            seen.append(clock.time())

    async def main() -> None:
        task = asyncio.create_task(ticking())
        await clock.advance(3.5)
        assert seen == [101, 102, 103]
        task.cancel()

    clock.run(main())


def test_a_year_takes_no_time() -> None:
    clock = Clock()

    async def main() -> None:
        late = asyncio.create_task(asyncio.wait_for(asyncio.Event().wait(), 365 * 86400))
        await clock.advance(366 * 86400)
        with pytest.raises(TimeoutError):
            await late

    clock.run(main())
    assert clock.time() == 366 * 86400


def test_sockets_and_threads_go_on_while_the_clock_stands() -> None:
    clock = Clock()

    async def main() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write((await reader.readline()).upper())
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"milk\n")
            assert await reader.read() == b"MILK\n"
            writer.close()
        assert await asyncio.to_thread(lambda: "done") == "done"
        assert clock.time() == 0

    clock.run(main())


@pytest.mark.parametrize("wrong", ["backwards", "twice", "elsewhere"])
def test_what_no_clock_does_is_refused(wrong: str) -> None:
    clock = Clock()

    async def backwards() -> None:
        with pytest.raises(ValueError, match="back"):
            await clock.advance(-1)

    async def twice() -> None:
        moving = asyncio.create_task(clock.advance(1))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="await that first"):
            await clock.advance(1)
        await moving

    async def elsewhere() -> None:
        with pytest.raises(RuntimeError, match=r"Clock\.run"):
            await clock.advance(1)

    main: Coroutine[Any, Any, None] = {"backwards": backwards, "twice": twice, "elsewhere": elsewhere}[wrong]()
    if wrong == "elsewhere":
        asyncio.run(main)
    else:
        clock.run(main)
