"""Someone at the WebSocket door who does each step by hand: a client without manners, if need be."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import websockets
from house import House
from websockets.asyncio.client import ClientConnection

from limen import App
from limen.core.guard.accounts import Account
from limen.core.seal import opaque
from limen.core.seal.channel import BadFrame, Channel
from limen.core.seal.login import ClientLogin, ClientResume, LoginRefused, make_record
from limen.core.seal.noise import PrivateKey
from limen.core.wamp.codecs import codec
from limen.core.wamp.messages import (
    Abort,
    Authenticate,
    Call,
    Challenge,
    Error,
    Goodbye,
    Hello,
    Message,
    Result,
    Welcome,
)

ROLES = {"caller": {"features": {"progressive_call_results": True, "call_canceling": True}}, "subscriber": {}}
PASSWORD = "correct horse"
PATIENCE = 10.0


class Door(House):
    """A house whose users' passwords are stretched by nothing, so that many logins cost little.

    *settings*: of its config. *users*: name to roles, all with the same password.
    """

    def __init__(self, keys: Path, settings: dict[str, Any] | None = None, users: dict[str, list[str]] | None = None):
        super().__init__(keys)
        self.settings = settings or {}
        self.users = {"ada": ["nurse", "user"], "bob": ["user"]} if users is None else users
        self.domains: list[str] = []

    def _app(self) -> App:
        app = super()._app()
        for name, value in self.settings.items():
            setattr(app.config, name, value)
        for domain in self.domains:
            app.add_domain(domain)
        self.extend(app)
        return app

    def extend(self, app: App) -> None:
        """For a test's own services."""

    def _add_ada(self, app: App) -> None:
        for user, roles in self.users.items():
            if app.vault.accounts.get("localhost", user) is None:
                self.add_user(app, user, roles)

    def add_user(self, app: App, user: str, roles: list[str], domain: str = "localhost") -> None:
        app.vault.accounts.put(account(app, user, roles, domain))

    @property
    def hub(self) -> Any:
        assert self.app.hub is not None
        return self.app.hub

    def level(self, origin: str = "127.0.0.1", domain: str = "localhost") -> float:
        """The origin's level in the abuse ledger, with a hundredth of tolerance."""
        import time

        return round(self.hub.gate.ledger.level(domain, origin, time.time()), 1)

    def slots(self) -> list[Any]:
        found: list[Any] = self.app.vault.slots.list()
        return found


def account(app: App, user: str, roles: list[str], domain: str = "localhost", password: str = PASSWORD) -> Account:
    keys = app.vault.keys.domain(domain)
    record = make_record(keys, user, password, entropy=secrets.token_bytes(96), ksf=opaque.identity)
    return Account(domain, user, record, keys.number, tuple(roles), {"username": user})


class Refused(Exception):
    """The server said ABORT, or nothing."""

    def __init__(self, abort: Abort | None, frame: bytes = b"") -> None:
        super().__init__(abort)
        self.abort, self.frame = abort, frame
        self.reason = abort.reason if abort is not None else "closed"


class Slot:
    """What a client keeps of a slot."""

    def __init__(self, key: PrivateKey, answer: dict[str, Any]) -> None:
        self.key, self.handle, self.server_key, self.epoch = key, answer["slot"], answer["key"], answer["epoch"]


class Knock:
    """One WebSocket at the door of *house*. *origin*: the loopback address that it comes from."""

    def __init__(self, ws: ClientConnection, encoding: str, sealed: bool, domain: str) -> None:
        self.ws, self.encoding, self.domain = ws, encoding, domain
        self.codec = codec(encoding, tagged=sealed)  # type: ignore[arg-type]
        self.channel: Channel | None = None
        self.request = 0
        self.welcome: Welcome

    @property
    def subprotocol(self) -> str:
        return f"limen.1.{self.encoding}"

    # -- frames -------------------------------------------------------------------------------------------------
    async def write(self, data: bytes, text: bool | None = None) -> None:
        text = self.codec.text if text is None else text
        await self.ws.send(data.decode("latin-1") if text and not _is_utf8(data) else data.decode() if text else data)

    async def send(self, message: Message) -> bytes:
        """Sends one message, sealed if there is a channel; gives its bytes as they were in clear."""
        data = self.codec.encode(message)
        if self.channel is not None:
            await self.ws.send(self.channel.seal(data))
        else:
            await self.write(data)
        return data

    async def frame(self) -> bytes:
        """The next frame, as it came."""
        async with asyncio.timeout(PATIENCE):
            data = await self.ws.recv()
        return data.encode() if isinstance(data, str) else data

    async def receive(self) -> Message:
        """The next message; raises `Refused` on ABORT."""
        try:
            data = await self.frame()
        except websockets.ConnectionClosed:
            raise Refused(None) from None
        if self.channel is not None:
            with contextlib.suppress(BadFrame):  # an unsealed ABORT
                data = self.channel.open(data)
        message = self.codec.decode(data)
        if type(message) is Abort:
            raise Refused(message, data)
        return message

    async def closed(self) -> int:
        """Waits for the end; its close code."""
        async with asyncio.timeout(PATIENCE):
            await self.ws.wait_closed()
        code = self.ws.close_code
        assert code is not None
        return code

    # -- greetings ----------------------------------------------------------------------------------------------
    async def anonymous(self, realm: str | None = None) -> Welcome:
        await self.send(Hello(realm or self.domain, {"roles": ROLES}))
        return self._enter(await self.receive())

    async def challenge(
        self, user: str = "ada", password: str = PASSWORD, domain: str | None = None, *, force: bool = False
    ) -> bytes:
        """HELLO of a login, and the CHALLENGE that answers it, as it came."""
        self.login_machine = ClientLogin(
            user,
            password,
            domain=domain or self.domain,
            subprotocol=self.subprotocol,
            entropy=secrets.token_bytes(128),
            ksf=opaque.identity,
        )
        extra = {"ke1": self.login_machine.extra["ke1"], **({"force": True} if force else {})}
        details = {"roles": ROLES, "authmethods": ["opaque"], "authid": user, "authextra": extra}
        self._hello = await self.send(Hello(domain or self.domain, details))
        self._challenge = await self._challenged()
        return self._challenge

    async def answer(self) -> Welcome:
        """AUTHENTICATE after `challenge`, and WELCOME."""
        authenticate = await self.send(Authenticate("", self.ke3()))
        self.channel = self.login_machine.channel(authenticate)
        return self._enter(await self.receive())

    def ke3(self) -> dict[str, Any]:
        """What AUTHENTICATE must hold after `challenge`."""
        message = self.codec.decode(self._challenge)
        assert type(message) is Challenge
        return self.login_machine.answer(self._hello, self._challenge, message.extra)

    async def login(self, user: str = "ada", password: str = PASSWORD, *, force: bool = False) -> Welcome:
        await self.challenge(user, password, force=force)
        return await self.answer()

    async def guess(self, user: str = "ada") -> None:
        """A wrong password, sent on to the server: KE3 of nobody."""
        await self.challenge(user)
        await self.send(Authenticate("", {"ke3": secrets.token_bytes(64)}))
        await self.receive()

    async def kk1(self, slot: Slot) -> bytes:
        """HELLO of a resume, not sent."""
        self._resume = ClientResume(
            slot.key,
            slot.server_key,
            domain=self.domain,
            subprotocol=self.subprotocol,
            slot=slot.handle,
            epoch=slot.epoch,
            entropy=secrets.token_bytes(32),
        )
        details = {"roles": ROLES, "authmethods": ["resume"], "authextra": self._resume.extra}
        self._hello = self.codec.encode(Hello(self.domain, details))
        return self._hello

    async def resume(self, slot: Slot) -> Welcome:
        return await self.resume_with(await self.kk1(slot))

    async def resume_with(self, hello: bytes) -> Welcome:
        """A whole resume with the HELLO that `kk1` made."""
        await self.write(hello)
        return await self.answer_resume(await self._challenged())

    async def challenge_resume(self, slot: Slot) -> bytes:
        """HELLO of a resume, and the CHALLENGE that answers it, as it came."""
        await self.write(await self.kk1(slot))
        return await self._challenged()

    def open_channel(self, challenge: bytes) -> None:
        message = self.codec.decode(challenge)
        assert type(message) is Challenge
        self.channel = self._resume.answer(self._hello, challenge, message.extra)

    async def answer_resume(self, challenge: bytes) -> Welcome:
        """AUTHENTICATE after `challenge_resume`, and WELCOME."""
        self.open_channel(challenge)
        await self.send(Authenticate("", {}))
        return self._enter(await self.receive())

    async def _challenged(self) -> bytes:
        data = await self.frame()
        message = self.codec.decode(data)
        if type(message) is Abort:
            raise Refused(message, data)
        assert type(message) is Challenge
        return data

    def _enter(self, message: Message) -> Welcome:
        assert type(message) is Welcome, message
        self.welcome = message
        return message

    # -- in session ---------------------------------------------------------------------------------------------
    async def begin(self, uri: str, *args: Any, options: dict[str, Any] | None = None, **kwargs: Any) -> int:
        """Sends a CALL; gives its request id."""
        self.request += 1
        await self.send(Call(self.request, options or {}, uri, list(args), kwargs))
        return self.request

    async def call(self, uri: str, *args: Any, options: dict[str, Any] | None = None, **kwargs: Any) -> Any:
        """The result, or the error's URI."""
        request = await self.begin(uri, *args, options=options, **kwargs)
        return self.value(await self.receive(), request)

    @staticmethod
    def value(message: Message, request: int | None = None) -> Any:
        if type(message) is Error:
            assert request in (None, message.request)
            return message.error
        assert type(message) is Result, message
        assert request in (None, message.request)
        return message.args[0] if message.args else None

    async def open_slot(self) -> Slot:
        key = PrivateKey(secrets.token_bytes(32))
        return Slot(key, await self.call("limen.slot.open", key.public))

    async def farewell(self) -> Goodbye:
        """The GOODBYE that comes next."""
        message = await self.receive()
        assert type(message) is Goodbye, message
        return message

    async def cut(self) -> None:
        """The connection is lost, without a word."""
        self.ws.transport.abort()
        await self.ws.wait_closed()


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@contextlib.asynccontextmanager
async def knock(
    house: House,
    encoding: str = "msgpack",
    *,
    sealed: bool = True,
    origin: str = "127.0.0.1",
    domain: str = "localhost",
    **options: Any,
) -> AsyncIterator[Knock]:
    """A WebSocket that has said nothing yet."""
    async with websockets.connect(
        f"ws://{domain}:{house.port}/ws",
        subprotocols=[f"{'limen.1' if sealed else 'wamp.2'}.{encoding}"],  # type: ignore[list-item]
        host="127.0.0.1",
        local_addr=(origin, 0),
        compression=None,
        proxy=None,
        max_size=2**24,
        **options,
    ) as ws:
        yield Knock(ws, encoding, sealed, domain)


__all__ = ["PASSWORD", "ROLES", "Door", "Knock", "LoginRefused", "Refused", "Slot", "account", "knock"]
