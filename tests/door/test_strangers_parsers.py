"""Whatever strangers write, where something new is read: an answer, and never the door's own failure."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import Callable, Coroutine, Iterator
from typing import Any
from urllib.parse import quote

import cbor2
import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from laneside import House, Process, Way, a_house, ask, enter
from signed import crossbar, program

from limen import Upload
from limen.app.running import lifespan, make_door
from limen.core.seal.machine import Credentials
from limen.door.http.door import HttpDoor
from limen.door.http.request import Request

EXAMPLES = settings(max_examples=60)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
)
texts = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"))


class Street:
    """A program that is served on a loop of its own, without sockets."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.app = program()
        self.app.config.PROXIES = ("127.0.0.1",)
        self.app.config.MAX_ORIGIN_ABUSE_LEVEL = self.app.config.SOFT_ORIGIN_ABUSE_LEVEL = 1e9
        self.app.realm_rule(["call", "publish", "subscribe"], "", match="prefix", safe=False)

        @self.app.service(safe=False)
        def weigh(file: Upload, note: str = "") -> int:
            return file.size

        self.app.auth.add_machine("robot", roles=["machine"])
        self.key: Credentials = self.app.auth.add_key("robot", kind="http")
        self.door: HttpDoor = make_door(self.app)
        self.life = lifespan(self.app)
        self.run(self.life.__aenter__())

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, 10))

    def ask(self, method: str, target: str, body: bytes = b"", *pairs: tuple[str, str]) -> int:
        """The status of the answer, which is read to its end, or for a moment where it has none."""
        return int(self.run(self._ask(method, target, body, pairs)))

    async def _ask(self, method: str, target: str, body: bytes, pairs: Any) -> int:
        path, _, query = target.partition("?")
        pieces = [{"type": "http.request", "body": body, "more_body": False}]
        gone = asyncio.Event()

        async def receive() -> dict[str, Any]:
            if pieces:
                return pieces.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        headers = [(b"host", b"localhost"), (b"content-length", b"%d" % len(body))]
        headers += [(name.encode(), value.encode("latin-1")) for name, value in pairs]
        request = Request(method, path.encode(), query.encode("latin-1"), headers, "127.0.0.1", True, receive)
        response = await self.door.respond(request)
        if response.stream is not None:
            async for _ in response.stream:
                break
            await response.stream.aclose()
        gone.set()
        return response.status

    def close(self) -> None:
        self.run(self.life.__aexit__(None, None, None))
        self.loop.close()


@pytest.fixture(scope="module")
def street() -> Iterator[Street]:
    street = Street()
    yield street
    street.close()


pairs = st.lists(
    st.tuples(st.sampled_from(["key", "timestamp", "nonce", "signature", "x"]), texts | st.just("00" * 16)), max_size=6
)


@EXAMPLES
@given(texts | pairs.map(lambda named: ",".join(f"{name}={value}" for name, value in named)))
@example("key=" + "00" * 16 + ",timestamp=9999-12-31T23:59:59Z,nonce=1,signature=AAAA")
@example("key=" + "00" * 16 + ",timestamp=0001-01-01T00:00:00Z,nonce=1,signature=AAAA")
def test_any_authorization(street: Street, text: str) -> None:
    assert street.ask("POST", "/add", b'{"a": 1}', ("authorization", f"Limen {text}")) < 500


@EXAMPLES
@given(texts, texts, st.sampled_from(["forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"]))
def test_any_forwarded_header(street: Street, first: str, second: str, name: str) -> None:
    answered = street.ask("POST", "/add", b'{"a": 1}', (name, first), (name, second))
    assert answered < 500


@EXAMPLES
@given(st.lists(st.text(), max_size=4), texts, texts)
def test_any_topics(street: Street, topics: list[str], query: str, last: str) -> None:
    path = "/".join(quote(topic, safe="", errors="surrogatepass") for topic in topics)
    answered = street.ask("GET", f"/limen/events/{path}?{query}", b"", ("last-event-id", last))
    assert answered < 500


@EXAMPLES
@given(
    st.sampled_from(["call", "publish"]),
    st.fixed_dictionaries(
        {},
        optional={
            "procedure": st.sampled_from(["add", "whoami", "weigh", "limen.services"]) | values,
            "topic": st.sampled_from(["device.1", "news"]) | values,
            "args": st.lists(values, max_size=3) | values,
            "kwargs": st.dictionaries(st.text(), values, max_size=3) | values,
            "options": st.dictionaries(
                st.sampled_from(["exclude", "eligible", "eligible_authid", "exclude_authrole", "x"]), values
            ),
        },
    ),
)
def test_any_signed_body_of_the_bridge(street: Street, what: str, event: dict[str, Any]) -> None:
    body = json.dumps(event).encode("utf-8", "surrogatepass")
    answered = street.ask("POST", f"/limen/bridge/{what}?{crossbar(street.key, body)}", body)
    assert answered < 500


@EXAMPLES
@given(texts, st.binary(max_size=200))
def test_any_query_and_body_of_the_bridge(street: Street, query: str, body: bytes) -> None:
    assert street.ask("POST", f"/limen/bridge/call?signature=x&{query}", body) < 500


@EXAMPLES
@given(
    st.lists(
        st.sampled_from(
            [
                b"\r\n",
                b"--x",
                b"--",
                b"; ",
                b'name="file"',
                b'filename="a"',
                b"Content-Disposition: form-data",
                b"Content-Type: ",
                b"a",
                b'"',
                b"\\",
                b"=?",
                b"\xff",
                b"filename*=utf-8''%ff",
                b"\r\n\r\n",
            ]
        ),
        max_size=24,
    )
)
def test_any_form(street: Street, pieces: list[bytes]) -> None:
    body = b"--x\r\n" + b"".join(pieces)
    answered = street.ask("POST", "/weigh", body, ("content-type", "multipart/form-data; boundary=x"))
    assert answered < 500


hello = st.fixed_dictionaries(
    {"roles": st.just({"caller": {}}) | values},
    optional={
        "authmethods": st.sampled_from([["opaque"], ["resume"], ["key"]]) | values,
        "authid": st.text(),
        "authextra": st.fixed_dictionaries(
            {},
            optional={name: st.binary(max_size=100) | values for name in ("ke1", "slot", "kk1", "key", "force")},
        ),
    },
)


@EXAMPLES
@given(
    st.sampled_from(["json", "msgpack", "cbor"]),
    st.sampled_from(["hello", "authenticate", "call"]),
    st.tuples(st.sampled_from([1, 5]), st.just("localhost") | values, hello | values),
    st.none() | st.binary(max_size=100),
    texts,
    texts,
)
def test_any_message_of_the_lane(
    street: Street, encoding: Any, step: str, message: Any, raw: bytes | None, first: str, number: str
) -> None:
    body = raw if raw is not None else _written(encoding, list(message))
    ticket = base64.urlsafe_b64encode(b"\0\0\0\1" + first.encode()).decode().rstrip("=")
    slot = base64.urlsafe_b64encode(first.encode().ljust(16)[:16]).decode().rstrip("=")
    named = (("x-limen-slot", slot), ("x-limen-number", number), ("x-limen-ticket", ticket))
    answered = street.ask(
        "POST", f"/limen/lane/{step}", body, ("content-type", f"application/x-limen-{encoding}"), *named
    )
    assert answered < 500


class Inside:
    """A session of the HTTP lane, on a loop of its own; a new one where what was sent has ended it."""

    def __init__(self, encoding: Any) -> None:
        self.loop, self.encoding = asyncio.new_event_loop(), encoding
        self.app: House = a_house()
        self.app.open_realms = True
        self.run(self.begin())

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, 10))

    async def begin(self) -> None:
        self.process = Process(self.app, [])
        self.way = Way(self.process)
        self.session = await enter(self.app, self.way, self.encoding)
        await self.session.call("echo", [1])

    async def say(self, plaintext: Callable[[int], bytes]) -> int:
        sealed = self.session._posts.caller.seal(b"")
        number = sealed.number
        self.session._posts.caller.unsent(sealed)
        sealed = self.session._posts.caller.seal(plaintext(number))
        last = self.way.sent[-1]
        named = tuple((name, str(number) if name == "x-limen-number" else value) for name, value in last.headers)
        status, _, stream = await ask(self.process, last._replace(body=sealed.frame, headers=named), self.way.client)
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(0.05), contextlib.aclosing(stream):
                async for _ in stream:
                    pass
        return status


@pytest.fixture(scope="module", params=["json", "msgpack", "cbor"])
def inside(request: pytest.FixtureRequest) -> Iterator[Inside]:
    inside = Inside(request.param)
    yield inside
    inside.loop.close()


addresses = st.sampled_from(
    ["echo", "count", "news", "chat", "who", "limen.session.list", "limen.session.end", "limen.session.child",
     "limen.slot.open", "limen.upload.begin", "limen.upload.write", "limen.file.read", "limen.file.link"]
)  # fmt: skip
options = st.dictionaries(
    st.sampled_from(["call", "x_id", "x_repeat", "timeout", "receive_progress", "acknowledge", "exclude", "match"]),
    values | st.binary(min_size=16, max_size=16) | st.booleans(),
)
sealed = st.tuples(
    st.sampled_from([48, 16, 32, 49]),
    options,
    addresses,
    st.lists(values | st.binary(max_size=40), max_size=4),
    st.dictionaries(st.text(), values, max_size=2),
)


@EXAMPLES
@given(sealed | st.tuples(st.integers(0, 80), values, values), st.integers(2, 6))
def test_anything_that_is_sealed(inside: Inside, said: Any, length: int) -> None:
    kind, *rest = said
    status = inside.run(inside.say(lambda number: _written(inside.encoding, [kind, number, *rest][:length])))
    assert status < 500
    if not len(inside.process.hub.tabs):
        inside.run(inside.begin())


def _written(encoding: str, message: Any) -> bytes:
    try:
        match encoding:
            case "json":
                return msgspec.json.encode(message)
            case "cbor":
                return bytes(cbor2.dumps(message))
            case _:
                return msgspec.msgpack.encode(message)
    except (OverflowError, ValueError):
        return b""
