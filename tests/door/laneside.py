"""What tests of the HTTP lane speak to: an App without a socket, a second process of it over the same store, and a way
between client and server that can be recorded, cut and forged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from limen import exc, get_state
from limen.app import App
from limen.app.origins import origin_of
from limen.app.running import own_addresses
from limen.base.values import Encoding
from limen.client.exchange import Answer, Request
from limen.client.lane import LaneSession, login_with_key
from limen.core.guard.ledger import Ledger
from limen.door.http.door import HttpDoor
from limen.door.http.places import Callers, Places
from limen.door.http.request import Request as Asked
from limen.door.hub.files import Files
from limen.door.hub.gate import Gate
from limen.door.hub.hub import Hub
from limen.door.own.own import OWN
from limen.service.pipeline import Pipeline


class Wires:
    """The bus of processes that live in this one."""

    def __init__(self, others: list[Wires]) -> None:
        self._others = others
        self._hear: dict[str, Callable[[Any], None]] = {}
        self._answer: dict[str, Callable[[Any], Awaitable[Any]]] = {}
        others.append(self)

    def tell(self, kind: str, body: Any) -> None:
        for other in self._others:
            if other is not self and kind in other._hear:
                other._hear[kind](body)

    def hear(self, kind: str, heard: Callable[[Any], None]) -> None:
        self._hear[kind] = heard

    async def ask(self, kind: str, body: Any, patience: float = 2.0) -> Any:
        for other in self._others:
            if other is not self and kind in other._answer:
                found = await asyncio.wait_for(other._answer[kind](body), patience)
                if found is not None:
                    return found
        return None

    def answer(self, kind: str, answer: Callable[[Any], Awaitable[Any]]) -> None:
        self._answer[kind] = answer


class Process:
    """One process of a server: hub, ledger and door of its own, over the App's store."""

    def __init__(self, app: App, wires: list[Wires]) -> None:
        vault = app.vault
        self.ledger = Ledger(app.config)
        pipeline = Pipeline(app.config)
        gate = Gate(
            app.config,
            accounts=vault.accounts,
            machines=vault.machines,
            slots=vault.slots,
            ledger=self.ledger,
            ledger_store=vault.ledger_store,
            once=vault.once,
            keys=vault.keys,
        )
        gate.epoch = 1
        pipeline.guard(charge=gate.charge, refused=gate.refused)
        self.hub = Hub(app.config, app.registry, pipeline, gate, app.authorize, Files(app.config, app.spool), OWN)
        self.hub.begin()
        self.hub.bus = Wires(wires)
        own = own_addresses(app, self.hub)
        self.door = HttpDoor(
            app.config,
            app.registry,
            pipeline,
            Places(own={"lane": own["lane"]}),
            Callers(domain_of=app.domain_of, origin_of=origin_of, refused=gate.refused, charge=gate.charge),
        )

    def level(self, origin: str = "192.0.2.1") -> float:
        return self.ledger.level("localhost", origin, time.time())


class Way:
    """The `Exchange` of a client: each request goes to the next of *processes*, and is recorded. *lose*: so many
    answers are lost from now on; *drop*: so many requests never arrive.
    *down*: nothing can be sent. *forge*: what changes a request."""

    domain, origin, prefix = "localhost", "http://localhost", ""

    def __init__(self, *processes: Process, client: str = "192.0.2.1") -> None:
        self.processes, self.client = processes, client
        self.sent: list[Request] = []
        self.answers: list[bytes] = []
        self.lose = self.drop = 0
        self.down = False
        self.forge: Callable[[Request], Request] | None = None
        self.host = b"localhost"

    async def send(self, request: Request) -> Answer:
        if self.down:
            raise exc.ConnectionLost
        if self.forge is not None:
            request = self.forge(request)
        process = self.processes[len(self.sent) % len(self.processes)]
        self.sent.append(request)
        if self.drop:
            self.drop -= 1
            raise exc.OutcomeUnknown
        status, headers, stream = await ask(process, request, self.client, self.host)
        if self.lose:
            self.lose -= 1
            self.answers.append(b"".join([piece async for piece in stream]))
            raise exc.OutcomeUnknown
        return Answer(status, headers, self._kept(stream))

    async def _kept(self, stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        try:
            async for piece in stream:
                self.answers.append(piece)
                yield piece
        finally:
            await stream.aclose()

    async def again(self, number: int = -1, client: str | None = None, **changes: Any) -> tuple[int, bytes]:
        """What the server says to a request that was sent before, sent once more by whoever recorded it."""
        process = self.processes[0]
        request = self.sent[number]._replace(**changes)
        status, _, stream = await ask(process, request, client or self.client, self.host)
        return status, b"".join([piece async for piece in stream])

    async def close(self) -> None: ...


async def ask(
    process: Process, request: Request, client: str, host: bytes = b"localhost"
) -> tuple[int, dict[str, str], AsyncGenerator[bytes, None]]:
    body = request.body
    assert isinstance(body, bytes)
    pairs = [(b"host", host), (b"content-length", b"%d" % len(body))]
    pairs += [(name.encode(), value.encode()) for name, value in request.headers]
    pieces = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return pieces.pop() if pieces else {"type": "http.disconnect"}

    response = await process.door.respond(
        Asked(request.method, request.target.encode(), b"", pairs, client, True, receive)
    )
    headers = {name.decode(): value.decode() for name, value in response.headers}

    async def whole() -> AsyncGenerator[bytes, None]:
        yield response.body

    return response.status, headers, whole() if response.stream is None else response.stream


class House(App):
    """An App in memory, with a machine whose login costs no key stretching. *ran*: what its services were called
    with; *released*: what `hold` waits for."""

    def __init__(self) -> None:
        super().__init__()
        self.ran: list[Any] = []
        self.released = asyncio.Event()


def a_house(**settings: Any) -> House:
    app = House()
    for name, value in settings.items():
        setattr(app.config, name, value)
    app.auth.add_machine("robot", roles=["machine"])

    @app.service()
    def echo(value: Any) -> Any:
        return value

    ran = app.ran

    @app.service()
    def note(value: Any) -> int:
        ran.append(value)
        return len(ran)

    @app.service()
    def fail() -> None:
        raise exc.RecordNotFound("There is no such milk.", milk=3)

    @app.service(roles=["admin"])
    def rule() -> str:
        return "ruled"

    @app.service()
    def who() -> tuple[str | None, str | None]:
        state = get_state()
        return state.user, state.impersonated_by

    @app.service(inline=True)
    async def count(to: int) -> Any:
        for number in range(to):
            yield number
            await asyncio.sleep(0)

    @app.service(inline=True)
    async def hold() -> str:
        ran.append("held")
        try:
            await app.released.wait()
        except asyncio.CancelledError:
            ran.append("cancelled")
            raise
        return "released"

    app.topic("news")
    app.realm_rule("publish", "chat")
    app.realm_rule("subscribe", "chat")
    return app


async def enter(app: App, way: Way, encoding: Encoding = "msgpack") -> LaneSession:
    """A session of the machine's."""
    return await login_with_key(way, app.auth.add_key("robot"), encoding=encoding)
