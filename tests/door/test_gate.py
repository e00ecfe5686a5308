"""What the door asks the store: beside busy services, and when the store fails."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest
from knock import Door, Refused, knock

from limen import App, exc


class Busy(Door):
    """All of its worker threads can be taken by one service."""

    def extend(self, app: App) -> None:
        self.until = threading.Event()

        @app.service(ssl=False)
        def block() -> None:
            self.until.wait(10)


async def test_services_that_block_keep_nobody_from_logging_in(open_door: Any) -> None:
    door = await open_door(Busy, THREADS=2)
    async with knock(door) as busy, knock(door) as client:
        await busy.login()
        for _ in range(3):
            await busy.begin("block")
        try:
            async with asyncio.timeout(5):
                await client.login("bob")
                await client.open_slot()
        finally:
            door.until.set()


class Broken:
    def __getattr__(self, name: str) -> Any:
        def fail(*args: Any, **options: Any) -> Any:
            raise exc.StoreError("/srv/secret/todo.db: the disk is full; nothing was written.")

        return fail


@pytest.mark.parametrize("part", ["accounts", "slots"])
async def test_a_store_that_fails_is_for_the_log_and_not_for_strangers(
    door: Door, part: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.ERROR)
    monkeypatch.setattr(door.hub.gate, part, Broken())
    async with knock(door) as client:
        if part == "accounts":
            with pytest.raises(Refused) as refused:
                await client.login()
            assert refused.value.reason == exc.InternalError.uri
            assert refused.value.abort is not None
            assert "secret" not in repr(refused.value.abort.details)
        else:
            await client.login()
            assert await client.call("limen.slot.open", bytes(32)) == exc.InternalError.uri
    assert "the disk is full" in caplog.text
    caplog.clear()
    monkeypatch.undo()


def test_a_server_on_a_second_loop_clears_the_ledger_as_the_first_did() -> None:
    hub = App().open()

    async def serves() -> None:
        hub.begin()
        async with hub.gate.passing:  # somebody has to wait: that is when a lock is bound to its loop
            waiting = asyncio.create_task(hub.gate.forget(None, None))
            await asyncio.sleep(0)
        assert await waiting == 0

    asyncio.run(serves())
    asyncio.run(serves())
