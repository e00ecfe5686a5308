"""Those who ask: WebSockets on picows, as cheap as they can be made, so that none of them is the bottleneck.

What a client sends in a round is encoded (and sealed) before the clock starts; what it gets is looked at afterwards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import cache
from os import urandom
from typing import Any

import cbor2
import msgspec
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from limen.core.seal.channel import Channel
from limen.core.seal.login import ClientLogin
from limen.core.seal.opaque import argon2id

CALLER, CALLEE, PUBLISHER, SUBSCRIBER = "caller", "callee", "publisher", "subscriber"
USER, PASSWORD = "ada", "lovelace"  # of served/limen_app.py
_BINARY = (WSMsgType.BINARY, WSMsgType.TEXT)
stretched_once = cache(argon2id)
"""The same password stretches to the same bytes: 2,000 logins shall not take 2,000 times 0.2 s of the client."""


class Talker(WSListener):
    """One WebSocket. What comes goes to *hear*; before a round it is what `receive` waits for.

    *gathers*: what *hear* says to a burst of messages goes out in one piece after them. So the one who asks costs less
    than the one who is measured: else it is their waiting for each other that is measured.
    """

    def __init__(self) -> None:
        self.wire: WSTransport
        self.kind = WSMsgType.BINARY
        self.hear: Callable[[bytes], None] = self._keep
        self._inbox: asyncio.Queue[bytes] = asyncio.Queue()
        self.gathers = True
        self._hearing = False
        self._said: list[bytes] = []

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.wire = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type in _BINARY:
            self._hearing = True
            self.hear(frame.get_payload_as_bytes())
            self._hearing = False
        elif frame.msg_type == WSMsgType.CLOSE:
            self._inbox.put_nowait(b"")  # who waits finds that this is no message
            transport.disconnect()

    def rest(self) -> None:
        """Between rounds: what comes is kept."""
        self.hear = self._keep

    def say(self, data: bytes) -> None:
        if not (self._hearing and self.gathers):
            self.wire.send(self.kind, data)
            return
        if not self._said:
            asyncio.get_running_loop().call_soon(self._send)
        self._said.append(framed(data, self.kind is WSMsgType.TEXT))

    def _send(self) -> None:
        said, self._said = self._said, []
        self.wire.underlying_transport.write(b"".join(said))

    def _keep(self, data: bytes) -> None:
        self._inbox.put_nowait(data)

    async def receive(self) -> bytes:
        return await asyncio.wait_for(self._inbox.get(), 30)


def framed(data: bytes, text: bool) -> bytes:
    """A whole message of a client, masked with ones. It has less than 64 KiB."""
    size = len(data)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2)
    return (b"\x81" if text else b"\x82") + length + b"\1\1\1\1" + data.translate(_MASKED)


_MASKED = bytes(byte ^ 1 for byte in range(256))


async def connect(port: int, path: str = "/", subprotocol: str | None = None, local: str = "127.0.0.1") -> Talker:
    """A WebSocket to the server at *port*, from the loopback address *local*."""
    headers = {"Sec-WebSocket-Protocol": subprotocol} if subprotocol else {}
    _, talker = await ws_connect(
        Talker, f"ws://127.0.0.1:{port}{path}", extra_headers=headers, local_addr=(local, 0), enable_auto_pong=True
    )
    assert isinstance(talker, Talker)
    talker.kind = WSMsgType.TEXT if subprotocol and subprotocol.endswith("json") else WSMsgType.BINARY
    return talker


# -- WAMP -------------------------------------------------------------------------------------------------------
_CODECS: dict[str, tuple[Callable[[Any], bytes], Callable[[bytes], Any]]] = {
    "json": (msgspec.json.encode, msgspec.json.decode),
    "msgpack": (msgspec.msgpack.encode, msgspec.msgpack.decode),
    "cbor": (cbor2.dumps, cbor2.loads),
}


class Session:
    """A WAMP session: plain, or sealed if it has a *channel*."""

    def __init__(self, talker: Talker, encoding: str, channel: Channel | None = None) -> None:
        self.talker, self.channel = talker, channel
        self.encode, self.decode = _CODECS[encoding]
        self.requests = 0

    def say(self, *message: Any) -> None:
        self.talker.say(self.pack(*message))

    def pack(self, *message: Any) -> bytes:
        data = self.encode(message)
        return self.channel.seal(data) if self.channel is not None else data

    def unpack(self, data: bytes) -> Any:
        return self.decode(self.channel.open(data) if self.channel is not None else data)

    async def hears(self, code: int) -> Any:
        """The next message, which must be of this *code*."""
        message = self.unpack(await self.talker.receive())
        if message[0] != code:
            raise RuntimeError(f"{code} was due, and came: {message}")
        return message

    async def ask(self, code: int, answer: int, *rest: Any) -> Any:
        """A request that is answered with the code *answer*: CALL, SUBSCRIBE, REGISTER."""
        self.requests += 1
        self.say(code, self.requests, {}, *rest)
        return await self.hears(answer)

    def calls(self, count: int, uri: str, args: list[Any]) -> list[bytes]:
        """So many CALLs, ready to be sent."""
        first, self.requests = self.requests + 1, self.requests + count
        if self.channel is None:
            return [self.pack(48, number, {}, uri, args) for number in range(first, first + count)]
        return [self.pack(48, number, {"x_id": self._id()}, uri, args) for number in range(first, first + count)]

    def _id(self) -> Any:
        id = urandom(16)
        return id if self.decode is msgspec.msgpack.decode else "\0" + msgspec.to_builtins(id)


async def plain(port: int, encoding: str, **more: Any) -> Session:
    """An anonymous session with any WAMP router."""
    return await hello(await connect(port, "/ws", f"wamp.2.{encoding}", **more), encoding)


async def hello(talker: Talker, encoding: str) -> Session:
    """HELLO, WELCOME."""
    session = Session(talker, encoding)
    session.say(1, "localhost", {"roles": {role: {} for role in (CALLER, CALLEE, PUBLISHER, SUBSCRIBER)}})
    await session.hears(2)
    return session


async def sealed(port: int, encoding: str, **more: Any) -> Session:
    """A session with a login, but without a key to resume it."""
    return await login(await connect(port, "/ws", f"limen.1.{encoding}", **more), encoding)


async def login(talker: Talker, encoding: str) -> Session:
    """HELLO, CHALLENGE, AUTHENTICATE, WELCOME."""
    encode, decode = _CODECS[encoding]
    machine = ClientLogin(
        USER, PASSWORD, domain="localhost", subprotocol=f"limen.1.{encoding}", entropy=urandom(128), ksf=stretched_once
    )
    details = {"roles": {CALLER: {}}, "authmethods": ["opaque"], "authid": USER, "authextra": machine.extra}
    greeting = encode(_wired([1, "localhost", details], encoding))
    talker.say(greeting)
    challenge = await talker.receive()
    code, _, extra = decode(challenge)
    if code != 4:
        raise RuntimeError(f"CHALLENGE was due, and came: {decode(challenge)}")
    authenticate = encode(_wired([5, "", machine.answer(greeting, challenge, _unwired(extra, encoding))], encoding))
    talker.say(authenticate)
    session = Session(talker, encoding, machine.channel(authenticate))
    await session.hears(2)
    talker.kind = WSMsgType.BINARY
    return session


def _wired(tree: Any, encoding: str) -> Any:
    """Bytes as JSON has them in WAMP: U+0000 and base64."""
    if encoding != "json":
        return tree
    if isinstance(tree, bytes):
        return "\0" + msgspec.to_builtins(tree)
    if isinstance(tree, dict):
        return {key: _wired(value, encoding) for key, value in tree.items()}
    return [_wired(value, encoding) for value in tree] if isinstance(tree, list) else tree


def _unwired(extra: dict[str, Any], encoding: str) -> dict[str, bytes]:
    if encoding != "json":
        return extra
    return {key: msgspec.convert(value[1:], bytes) for key, value in extra.items()}


# -- rounds -----------------------------------------------------------------------------------------------------
async def awake(done: asyncio.Future[Any]) -> None:
    """Waits for *done* without ever going to sleep. Over a network a server does not pay for waking its clients; on the
    loopback each of its sends would, and the quicker the client, the more."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 120

    def turn() -> None:
        if not done.done():
            if loop.time() > deadline:
                done.cancel("a round took too long")
            loop.call_soon(turn)

    turn()
    await done


async def exchange(talkers: list[Talker], scripts: list[list[bytes]]) -> list[list[bytes]]:
    """Each talker says its script, the next line when the last was answered; gives the answers."""
    done = asyncio.get_running_loop().create_future()
    heard: list[list[bytes]] = [[] for _ in talkers]
    left = len(talkers)

    def begin(talker: Talker, lines: Iterator[bytes], answers: list[bytes]) -> None:
        send, kind = talker.wire.send, talker.kind

        def hear(data: bytes) -> None:
            nonlocal left
            answers.append(data)
            line = next(lines, None)
            if line is not None:
                send(kind, line)
                return
            talker.rest()
            left -= 1
            if not left:
                done.set_result(None)

        talker.hear = hear
        send(kind, next(lines))

    for talker, script, answers in zip(talkers, scripts, heard, strict=True):
        begin(talker, iter(script), answers)
    await awake(done)
    return heard


async def call_round(sessions: list[Session], uri: str, args: list[Any], each: int) -> Callable[[], Any]:
    """Prepares a round of *each* calls for every session; gives what runs it."""
    scripts = [session.calls(each, uri, args) for session in sessions]

    async def run() -> list[list[bytes]]:
        return await exchange([session.talker for session in sessions], scripts)

    return run


def check(sessions: list[Session], answers: list[list[bytes]], result: Any) -> None:
    """Every answer is a RESULT, and the last of each session is what it must be."""
    for session, heard in zip(sessions, answers, strict=True):
        opened = [session.unpack(data) for data in heard] if session.channel else [session.unpack(heard[-1])]
        for message in opened:
            if message[0] != 50 or message[3] != [result]:
                raise RuntimeError(f"a RESULT with {result!r} was due, and came: {message}")
