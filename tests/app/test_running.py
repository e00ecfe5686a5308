"""An App that is served more than once in one process, as tests of programs do."""

from __future__ import annotations

import asyncio
from typing import Any

from limen import App, DataStore, dbm
from limen.app.running import follow
from limen.core.record.query import Query
from limen.transport.memory import connect
from limen.transport.wire import Handshake


async def served(asgi: Any, app: App) -> list[bytes]:
    """What a subscriber hears who calls `tell` while the server runs."""
    told: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    answers: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    life = asyncio.ensure_future(asgi({"type": "lifespan"}, told.get, answers.put))
    await told.put({"type": "lifespan.startup"})
    assert (await answers.get())["type"] == "lifespan.startup.complete"
    client = connect(app.accept, Handshake("/ws", "localhost", subprotocols=("wamp.2.json",)), app.config)
    for message in (b'[1,"localhost",{"roles":{"subscriber":{}}}]', b'[32,1,{},"news"]', b'[48,2,{},"tell"]'):
        await client.send(message, True)
    async with asyncio.timeout(5):
        heard = [(await client.receive())[0] for _ in range(4)]
    await told.put({"type": "lifespan.shutdown"})
    assert (await answers.get())["type"] == "lifespan.shutdown.complete"
    await life
    return [message.partition(b",")[0] for message in heard]


def test_an_app_is_served_again_on_another_loop() -> None:
    app = App()
    app.config.IS_DEVELOPMENT = True
    news = app.topic("news", safe=False)

    @app.service(safe=False)
    def tell() -> None:
        news.publish("hello")

    asgi = app.asgi()
    for served_by in (asgi, asgi, app.asgi()):
        assert asyncio.run(served(served_by, app)) == [b"[2", b"[33", b"[36", b"[50"]


def test_a_server_brings_relational_copies_to_where_the_records_are() -> None:
    class Todo:
        pass

    app, records, copy = App(), dbm.MemDictStore(), dbm.MemDictStore()
    app.add_storage(DataStore(records, relational=copy), Todo)
    with app.storage() as db:
        db.insert(Todo, text="milk")
    follow(app)
    query = Query("Todo")
    assert [v.fields for v in copy.records.select("localhost", query).versions] == ['{"text":"milk"}']
    with app.storage() as db:
        assert [record.text for record in db.find(Todo, text="milk")] == ["milk"]
