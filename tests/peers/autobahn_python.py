"""Autobahn-Python as a puppet; see puppet.py for what it is asked."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from argon2 import Type
from argon2.low_level import hash_secret
from autobahn.asyncio.rawsocket import WampRawSocketClientFactory
from autobahn.asyncio.wamp import ApplicationSession
from autobahn.asyncio.websocket import WampWebSocketClientFactory
from autobahn.wamp import auth
from autobahn.wamp.exception import ApplicationError
from autobahn.wamp.serializer import CBORSerializer, JsonSerializer, MsgPackSerializer
from autobahn.wamp.types import CallOptions, CallResult, ComponentConfig, PublishOptions, RegisterOptions
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

# Autobahn's SCRAM asks for passlib, asleep since 2020, for one function; the names here are ASCII, and prepared.
auth.HAS_ARGON, auth.Type, auth.hash_secret, auth.saslprep = True, Type, hash_secret, str
SERIALIZERS = {"json": JsonSerializer, "msgpack": MsgPackSerializer, "cbor": CBORSerializer}
sessions: dict[str, Session] = {}
kept: dict[str, Any] = {}


def write(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def both(result: Any) -> list[Any]:
    if isinstance(result, CallResult):
        return [list(result.results or ()), dict(result.kwresults or {})]
    return [[] if result is None else [result], {}]


class Signing:
    """As `autobahn.wamp.cryptosign` signs; that asks for five more packages."""

    def __init__(self, seed: str) -> None:
        self.key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed))
        self.authextra = {"pubkey": self.key.public_key().public_bytes_raw().hex(), "channel_binding": None}

    def on_challenge(self, session: Session, challenge: Any) -> str:
        assert challenge.method == "cryptosign"
        message = bytes.fromhex(challenge.extra["challenge"])
        return self.key.sign(message).hex() + message.hex()

    def on_welcome(self, session: Session, authextra: Any) -> None: ...


class Shown:
    """TLS has shown a certificate, and there is no more to say."""

    authextra: dict[str, Any] | None = None

    def on_welcome(self, session: Session, authextra: Any) -> None: ...


def authenticator(method: str, authid: str, secret: str) -> Any:
    match method:
        case "cryptosign":
            return Signing(secret)
        case "tls":
            return Shown()
    named = {"ticket": "ticket", "wampcra": "secret", "scram": "password"}[method]
    return auth.create_authenticator(method, authid=authid, **{named: secret})


class Session(ApplicationSession):
    def __init__(self, realm: str, name: str, login: dict[str, str]) -> None:
        super().__init__(ComponentConfig(realm=realm))
        self.name, self.login = name, login
        self.authenticator = authenticator(**login) if login else None
        self.joined: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.left: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def onConnect(self) -> None:
        if self.authenticator is None:
            self.join(self.config.realm)
            return
        extra = self.authenticator.authextra
        self.join(self.config.realm, [self.login["method"]], self.login["authid"], authextra=extra)

    def onChallenge(self, challenge: Any) -> Any:
        return self.authenticator.on_challenge(self, challenge)

    def onWelcome(self, welcome: Any) -> str | None:
        said: str | None = self.authenticator and self.authenticator.on_welcome(self, welcome.authextra)
        return said

    async def onJoin(self, details: Any) -> None:
        self.joined.set_result({"roles": ["broker", "dealer"], "authid": details.authid, "authrole": details.authrole})

    def onLeave(self, details: Any) -> None:
        if not self.joined.done():
            self.joined.set_exception(RuntimeError(f"{details.reason}: {details.message}"))
        self.disconnect()

    def onUserError(self, fail: Any, msg: str) -> None:
        pass  # an error that a procedure raised on purpose

    def onDisconnect(self) -> None:
        write(heard={"session": self.name, "closed": None})
        self.left.set_result(None)

    # what others may call
    def echo(self, *args: Any, details: Any, **kwargs: Any) -> CallResult:
        return CallResult(*args, **kwargs)

    def fail(self, *args: Any, details: Any) -> None:
        raise ApplicationError("com.example.broken", *args, n=7)

    def swell(self, size: int, details: Any) -> str:
        return "x" * size

    async def stream(self, to: int, details: Any) -> str:
        for n in range(to):
            details.progress(n)
        return "end"

    async def hang(self, details: Any) -> None:
        if details.progress is not None:
            details.progress("begun")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            write(heard={"session": self.name, "interrupted": True})
            raise ApplicationError("wamp.error.canceled") from None


# -- verbs ------------------------------------------------------------------------------------------------------
async def open_session(
    session: str, url: str, realm: str, login: dict[str, str] | None = None, tls: dict[str, str] | None = None
) -> dict[str, Any]:
    made = sessions[session] = Session(realm, session, login or {})
    encoding, _, batched = session.partition("-")[0].partition(".")
    serializer = SERIALIZERS[encoding](batched=batched == "batched")
    parts, loop, context = urlsplit(url), asyncio.get_running_loop(), None
    if tls is not None:
        context = ssl.create_default_context(cafile=tls["ca"])
        context.load_cert_chain(tls["certificate"])
    raw = WampRawSocketClientFactory(lambda: made, serializer)
    if parts.scheme == "unix":
        await loop.create_unix_connection(raw, parts.path)
    elif parts.scheme == "rs":
        await loop.create_connection(raw, parts.hostname, parts.port, ssl=context)
    else:
        factory = WampWebSocketClientFactory(lambda: made, url=url, serializers=[serializer])
        await loop.create_connection(factory, parts.hostname, parts.port, ssl=context)
    return await made.joined


async def register(session: str, uri: str, kind: str) -> None:
    who = sessions[session]
    kept[session + uri] = await who.register(getattr(who, kind), uri, options=RegisterOptions(details_arg="details"))


async def unregister(session: str, uri: str) -> None:
    await kept[session + uri].unregister()


async def call(
    session: str,
    uri: str,
    args: list[Any],
    kwargs: dict[str, Any],
    progress: bool = False,
    cancel_after: int | None = None,
) -> list[Any]:
    if not progress:
        return both(await sessions[session].call(uri, *args, **kwargs))
    steps: list[list[Any]] = []

    def step(*args: Any, **kwargs: Any) -> None:
        steps.append(list(args))
        if len(steps) == cancel_after:
            future.cancel()

    future = sessions[session].call(uri, *args, **kwargs, options=CallOptions(on_progress=step))
    try:
        return [*both(await future), steps]
    except asyncio.CancelledError:
        raise ApplicationError("wamp.error.canceled") from None


async def subscribe(session: str, topic: str) -> None:
    def hear(*args: Any, **kwargs: Any) -> None:
        write(heard={"session": session, "topic": topic, "args": args, "kwargs": kwargs})

    kept[session + topic] = await sessions[session].subscribe(hear, topic)


async def unsubscribe(session: str, topic: str) -> None:
    await kept[session + topic].unsubscribe()


async def publish(session: str, topic: str, args: list[Any], kwargs: dict[str, Any]) -> None:
    await sessions[session].publish(topic, *args, **kwargs, options=PublishOptions(acknowledge=True))


async def close(session: str) -> None:
    sessions[session].leave()
    await sessions[session].left


VERBS: dict[str, Callable[..., Awaitable[Any]]] = {
    "open": open_session,
    "register": register,
    "unregister": unregister,
    "call": call,
    "subscribe": subscribe,
    "unsubscribe": unsubscribe,
    "publish": publish,
    "close": close,
}


async def obey() -> None:
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=2**24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)

    async def one(id: int, do: str, **what: Any) -> None:
        try:
            write(id=id, ok=await VERBS[do](**what))
        except ApplicationError as error:
            write(id=id, failed={"error": error.error, "args": list(error.args), "kwargs": error.kwargs})
        except Exception as error:
            write(id=id, failed={"error": repr(error)})

    under_way = set()
    while line := await lines.readline():
        task = loop.create_task(one(**json.loads(line)))
        under_way.add(task)
        task.add_done_callback(under_way.discard)


asyncio.run(obey())
