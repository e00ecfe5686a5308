"""A WebSocket from HELLO to GOODBYE: turns, kinds of frames, who may do what, ids of calls, the end."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import pytest
import websockets
from asking import Rules, subscribes
from knock import ROLES, Door, Knock, Refused, account, knock
from waiting import until

from limen import App, exc, get_state
from limen.core.wamp.messages import (
    Authenticate,
    Call,
    Cancel,
    Error,
    Event,
    Goodbye,
    Hello,
    Subscribe,
    Welcome,
)

ENCODINGS = pytest.mark.parametrize("encoding", ["json", "msgpack", "cbor"])
VIOLATION = "wamp.error.protocol_violation"


async def ended(client: Knock) -> tuple[str, int]:
    """The reason of the ABORT that comes next ("" where none does), and the close code."""
    reason = ""
    try:
        while True:
            await client.receive()
    except Refused as refused:
        reason = refused.reason if refused.abort is not None else ""
    return reason, await client.closed()


# -- the handshake ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:1"}, 403),
        ({"Host": "evil.example"}, 421),
        ({"Host": "localhost.evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example", "Origin": "http://127.0.0.1.evil.example"}, 421),
        ({"Sec-WebSocket-Protocol": "wamp.2.flatbuffers"}, 400),
        ({"Sec-WebSocket-Protocol": "limen.2.json, LIMEN.1.json"}, 400),
        ({}, 400),  # no subprotocol at all
    ],
)
async def test_a_strangers_handshake_is_refused_before_there_is_a_websocket(
    door: Door, headers: dict[str, str], status: int
) -> None:
    offered = {} if "Sec-WebSocket-Protocol" in headers or not headers else {"Sec-WebSocket-Protocol": "wamp.2.json"}
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    lines = {
        "Host": f"localhost:{door.port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        **offered,
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    writer.write(f"GET /ws HTTP/1.1\r\n{head}\r\n".encode())
    answer = await reader.readline()
    writer.close()
    assert int(answer.split()[1]) == status, answer
    assert not door.connections


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"])
async def test_the_sites_own_page_is_let_in(door: Door, host: str) -> None:
    """A loopback address by any of its names."""
    async with websockets.connect(
        f"ws://{host}:{door.port}/ws",
        subprotocols=["nonsense", "wamp.2.json", "limen.1.json"],  # type: ignore[list-item]
        origin=f"http://{host}:{door.port}",  # type: ignore[arg-type]
        host="127.0.0.1",
        proxy=None,
    ) as ws:
        assert ws.subprotocol == "wamp.2.json"  # the client's first choice of what we speak


# -- turns ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "plain"])
@pytest.mark.parametrize(
    "message",
    [
        Call(1, {}, "add", [1]),
        Authenticate("", {}),
        Welcome(1, {}),
        Goodbye({}, "wamp.close.normal"),
        Subscribe(1, {}, "news"),
    ],
    ids=lambda message: type(message).__name__,
)
async def test_a_session_begins_with_hello(door: Door, sealed: bool, message: Any) -> None:
    async with knock(door, sealed=sealed) as client:
        await client.send(message)
        assert await ended(client) == (VIOLATION, 1008)
    assert door.level() == 5.0


async def test_a_second_hello_ends_the_session(door: Door) -> None:
    async with knock(door, sealed=False) as client:
        await client.anonymous()
        await client.send(Hello("localhost", {"roles": ROLES}))
        assert await ended(client) == (VIOLATION, 1002)
    async with knock(door) as client:
        await client.login()
        await client.send(Hello("localhost", {"roles": ROLES}))
        assert await ended(client) == (VIOLATION, 1002)
    await until(lambda: not door.connections)


async def test_nothing_may_follow_hello_before_its_answer(door: Door) -> None:
    async with knock(door) as client:
        await client.challenge()
        await client.send(Authenticate("", {"ke3": bytes(64)}))
        for n in range(3):
            await client.send(Call(n + 1, {}, "add", [1]))
        reason, code = await ended(client)
        assert reason in (VIOLATION, "wamp.error.authentication_failed")
        assert code in (1002, 1008)
    await until(lambda: not door.connections)
    assert not door.hub.tabs


async def test_a_hello_that_never_comes_is_not_waited_for(open_door: Any) -> None:
    door = await open_door(HELLO_TIMEOUT=1.0)
    async with knock(door) as sealed, knock(door, sealed=False) as plain, knock(door) as slow:
        await slow.challenge()  # a login has a time of its own
        assert await ended(sealed) == (VIOLATION, 1008)
        assert await ended(plain) == (VIOLATION, 1008)
        await slow.answer()
        assert await slow.call("secret") == "sealed"


@pytest.mark.parametrize("realm", ["elsewhere.example", "LOCALHOST", "", "localhost."])
async def test_a_realm_that_is_not_this_domain_is_refused(door: Door, realm: str) -> None:
    async with knock(door, sealed=False) as client:
        await client.send(Hello(realm, {"roles": ROLES}))
        assert await ended(client) == ("wamp.error.no_such_realm", 1008)
    assert door.level() == 0.0  # a mistake, no misbehaviour


@pytest.mark.parametrize("roles", [None, {}, [], "caller", {"dealer": {}}])
@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "plain"])
async def test_a_hello_names_a_role(door: Door, sealed: bool, roles: Any) -> None:
    async with knock(door, sealed=sealed) as client:
        await client.send(Hello("localhost", {"roles": roles, "authmethods": ["opaque"], "authid": "ada"}))
        assert await ended(client) == (VIOLATION, 1008)
    assert door.level() == 5.0


# -- kinds of frames --------------------------------------------------------------------------------------------
@ENCODINGS
@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "plain"])
async def test_each_encoding_has_its_kind_of_frame(door: Door, encoding: str, sealed: bool) -> None:
    async with knock(door, encoding, sealed=sealed) as client:
        hello = client.codec.encode(Hello("localhost", {"roles": ROLES}))
        await client.ws.send(hello if encoding == "json" else hello.decode("ascii", "replace").replace("\ufffd", "?"))
        assert await ended(client) == (VIOLATION, 1003)
    assert door.level() == 5.0


@ENCODINGS
@pytest.mark.parametrize("what", ["text", "noise", "replayed", "cut", "empty", "in clear"])
async def test_a_frame_that_does_not_open_ends_the_connection_and_is_its_senders_fault(
    door: Door, encoding: str, what: str
) -> None:
    """Not the account's: and the session can be resumed."""
    async with knock(door, encoding) as client:
        await client.login()
        slot = await client.open_slot()
        assert client.channel is not None
        call = client.codec.encode(Call(2, {"x_id": secrets.token_bytes(16)}, "secret"))
        frame = client.channel.seal(call)
        if what == "text":
            await client.ws.send("hello")
        elif what == "replayed":
            await client.ws.send(frame)
            assert client.value(await client.receive(), 2) == "sealed"
            await client.ws.send(frame)
        else:
            await client.ws.send({"noise": bytes(64), "cut": frame[:-1], "empty": b"", "in clear": call}[what])
        assert await ended(client) == ("", 1002)
    assert door.level() == 3.0
    async with knock(door, encoding) as client:
        received = (await client.resume(slot)).details["x_received"]
        assert received == 1 + (what == "replayed")
        assert await client.call("secret") == "sealed"


@ENCODINGS
async def test_a_sealed_frame_that_holds_no_message_is_malformed(door: Door, encoding: str) -> None:
    async with knock(door, encoding) as client:
        await client.login()
        assert client.channel is not None
        await client.ws.send(client.channel.seal(b"\xc1 no message"))
        reason, code = await ended(client)
        assert reason == VIOLATION
        assert code in (1002, 1003, 1007)
    assert door.level() == 5.0


# -- ids of calls -----------------------------------------------------------------------------------------------
def named(key: int, **more: Any) -> dict[str, Any]:
    return {"x_id": key.to_bytes(16, "big"), **more}


async def test_a_call_id_is_run_once(door: Door) -> None:
    door.gate.set()
    async with knock(door) as client:
        await client.login()
        assert await client.call("count_run", options=named(1)) == 1
        assert await client.call("count_run", options=named(1)) == 1
        assert await client.call("count_run", options=named(1, x_repeat=True)) == 1
        assert await client.call("count_run", options=named(2)) == 2
    assert door.runs == 2


@pytest.mark.parametrize(
    ("uri", "args"), [("echo", [2]), ("echo", ["1"]), ("echo", [1, 1]), ("add", [1]), ("echo", []), ("echo", [[1]])]
)
async def test_a_call_id_stands_for_one_call(door: Door, uri: str, args: list[Any]) -> None:
    async with knock(door) as client:
        await client.login()
        assert await client.call("echo", 1, options=named(1)) == 1
        assert await client.call(uri, *args, options=named(1)) == exc.InvalidCall.uri
        assert await client.call("echo", 1, options=named(1)) == 1


async def test_a_call_id_is_its_tabs_own(door: Door) -> None:
    door.gate.set()
    async with knock(door) as one, knock(door) as two, knock(door) as other:
        await one.login()
        await two.login()
        await other.login("bob")
        assert [await client.call("count_run", options=named(1)) for client in (one, two, other)] == [1, 2, 3]


async def test_a_repeat_of_what_nobody_knows_is_not_run(door: Door) -> None:
    async with knock(door) as client:
        await client.login()
        assert await client.call("count_run", options=named(1, x_repeat=True)) == exc.OutcomeUnknown.uri
        for key in (b"short", "text" * 4, 7, None):
            options = {"x_id": key, "x_repeat": True}
            assert await client.call("count_run", options=options) == exc.OutcomeUnknown.uri
        assert door.runs == 0


async def test_an_error_is_kept_as_well(door: Door) -> None:
    async with knock(door) as client:
        await client.login()
        for _ in range(2):
            assert await client.call("fail", options=named(1)) == exc.RecordNotFound.uri


async def test_a_plain_session_names_no_calls(door: Door) -> None:
    door.gate.set()
    async with knock(door, sealed=False) as client:
        await client.anonymous()
        assert [await client.call("count_run", options=named(1)) for _ in range(2)] == [1, 2]


async def test_a_running_call_can_be_cancelled_from_the_next_connection(door: Door) -> None:
    async with knock(door) as client:
        await client.login()
        slot = await client.open_slot()
        await client.begin("count_run", options=named(1))
        await until(lambda: door.runs == 1)
    async with knock(door) as client:
        await client.resume(slot)
        request = await client.begin("count_run", options=named(1, x_repeat=True))
        await client.send(Cancel(request, {"mode": "kill"}))
        error = await client.receive()
        assert type(error) is Error
        assert (error.request, error.error) == (request, exc.Canceled.uri)
        (connection,) = door.connections
        await until(lambda: not connection.running)
        assert await client.call("count_run", options=named(1, x_repeat=True)) == exc.Canceled.uri
    assert door.runs == 1


# -- the end ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("reason", ["wamp.close.normal", "wamp.close.close_realm", "wamp.close.system_shutdown", "x.y"])
@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "plain"])
async def test_a_goodbye_is_answered_and_ends_everything(door: Door, sealed: bool, reason: str) -> None:
    async with knock(door, sealed=sealed) as client:
        await (client.login() if sealed else client.anonymous())
        await client.begin("count_run", options=named(1) if sealed else None)
        await until(lambda: door.runs == 1)
        await client.send(Goodbye({}, reason))
        assert (await client.farewell()).reason == "wamp.close.goodbye_and_out"
        assert await client.closed() == 1000
    await until(lambda: not door.connections)
    assert not door.hub.tabs
    assert not door.hub.realm("localhost").sessions


async def test_a_logout_is_answered_before_goodbye(door: Door) -> None:
    async with knock(door) as client:
        await client.login()
        assert await client.call("limen.session.logout") is None
        assert (await client.farewell()).reason == "wamp.close.logout"
        assert await client.closed() == 1000
    assert not door.hub.tabs


async def test_a_server_that_stops_says_goodbye_when_the_calls_are_done(door: Door) -> None:
    async with knock(door) as client, knock(door, sealed=False) as visitor, knock(door) as greeting:
        await client.login()
        await visitor.anonymous()
        await greeting.challenge("bob")
        request = await client.begin("slow.answer")
        await until(lambda: any(connection.running for connection in door.connections))
        draining = asyncio.create_task(door.hub.drain())
        await asyncio.sleep(0)
        door.gate.set()
        assert client.value(await client.receive(), request) == "done"
        for who in (client, visitor):
            assert (await who.farewell()).reason == "wamp.close.system_shutdown"
            assert await who.closed() == 1001
        assert await greeting.closed() == 1001
        await draining


async def test_a_connection_that_is_lost_leaves_nothing(door: Door) -> None:
    async with knock(door, sealed=False) as client:
        await client.anonymous()
        await subscribes(client, "news")
        await client.begin("count_run")
        await client.begin("forever", options={"receive_progress": True})
        (connection,) = door.connections
        await until(lambda: len(connection.running) == 2)
        tasks = [task for task, _, _ in connection.running.values()]
        await client.cut()
    await until(lambda: not door.connections and all(task.done() for task in tasks))
    assert not door.hub.realm("localhost").sessions
    assert not connection.running


# -- a new password ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("request_", [None, "x" * 32, bytes(31), bytes(32), b"\xff" * 32], ids=repr)
async def test_a_registration_request_that_is_none_is_refused(door: Door, request_: Any) -> None:
    async with knock(door) as client:
        await client.login()
        error = await client.call("limen.password.begin", request_)
        assert error in (exc.InvalidCall.uri, exc.InvalidValue.uri)
        assert await client.call("secret") == "sealed"


async def test_a_record_that_nobody_could_log_in_with_is_refused(door: Door) -> None:
    good = account(door.app, "ada", []).record
    async with knock(door) as client:
        await client.login()
        for record in (None, bytes(192), b"\xff" * 192, good[:-1], good + b"x", list(good)):
            assert await client.call("limen.password.finish", record) == exc.InvalidCall.uri
    async with knock(door) as client:
        await client.login()


# -- get_state --------------------------------------------------------------------------------------------------
class Telling(Door):
    def extend(self, app: App) -> None:
        def look() -> list[Any]:
            state = get_state()
            return [state.user, state.role, state.domain, state.origin, state.sealed, state.service, state.session]

        def deep(depth: int) -> list[Any]:
            return deep(depth - 1) if depth else look()

        @app.service(safe=False)
        def on_a_thread() -> list[Any]:
            return deep(50)

        @app.service(safe=False, inline=True)
        def on_the_loop() -> list[Any]:
            return deep(50)

        @app.service(safe=False)
        async def in_tasks_and_threads() -> list[Any]:
            await asyncio.sleep(0)
            inner = asyncio.create_task(asyncio.to_thread(deep, 5))
            found = await asyncio.gather(inner, asyncio.get_running_loop().create_task(self._later(look)))
            assert found[0] == found[1] == look()
            return found[0]

        @app.service(safe=False)
        def streamed() -> Any:
            yield deep(3)
            yield deep(3)

        @app.service(safe=False)
        async def streamed_later() -> Any:
            yield await self._later(look)

    @staticmethod
    async def _later(look: Any) -> Any:
        await asyncio.sleep(0)
        return look()


async def test_a_function_knows_who_calls_it_at_any_depth_in_threads_and_tasks(open_door: Any) -> None:
    door = await open_door(Telling)
    async with knock(door) as ada, knock(door, sealed=False, origin="127.0.0.4") as visitor:
        await ada.login()
        await visitor.anonymous()
        for name in ("on_a_thread", "on_the_loop", "in_tasks_and_threads", "streamed", "streamed_later"):
            known = ["ada", "nurse", "localhost", "127.0.0.1", True, name, ada.welcome.session]
            nobody = [None, "anonymous", "localhost", "127.0.0.4", False, name, visitor.welcome.session]
            begun = [await ada.begin(name), await visitor.begin(name)]  # at once: neither sees the other's
            answers = [ada.value(await ada.receive(), begun[0]), visitor.value(await visitor.receive(), begun[1])]
            times = {"streamed": 2, "streamed_later": 1}.get(name)
            assert answers == ([[known] * times, [nobody] * times] if times else [known, nobody])
    assert get_state().user is None


# -- two programs, two domains ----------------------------------------------------------------------------------
async def test_two_programs_in_one_process_know_nothing_of_each_other(open_door: Any) -> None:
    one, two = await open_door(), await open_door(Rules, MAX_ORIGIN_ABUSE_LEVEL=1.0)
    async with knock(one) as client:
        await client.login()
        slot = await client.open_slot()
        assert await client.call("for_nurses") == exc.NotFound.uri
        await asyncio.to_thread(two.app.auth.remove_user, "ada")
        assert await client.call("secret") == "sealed"
    async with knock(two) as client:
        with pytest.raises(Refused):
            await client.resume(slot)
    async with knock(two) as client:
        with pytest.raises(Refused):
            await client.guess()
    assert two.level() >= 1.0
    assert one.level() == 0.0


async def test_tenants_of_one_program_are_apart(open_door: Any) -> None:
    class Clinics(Door):
        def extend(self, app: App) -> None:
            for domain, role in (("north.example", "boss"), ("south.example", "guest")):
                app.add_domain(domain)
                self.add_user(app, "ada", [role], domain)
            app.config.domain("south.example").MAX_USER_SESSIONS = 1
            app.config.domain("south.example").SESSION_TIMEOUT = 60.0

            @app.service()
            def tell() -> None:
                self.news.publish(get_state().domain)

    door = await open_door(Clinics)
    async with knock(door, domain="north.example") as north, knock(door, domain="south.example") as south:
        north_says, south_says = await north.login(), await south.login()
        assert [w.details["authrole"] for w in (north_says, south_says)] == ["boss", "guest"]
        assert [w.details["x_timeout"] for w in (north_says, south_says)] == [3600.0, 60.0]
        assert [w.details["realm"] for w in (north_says, south_says)] == ["north.example", "south.example"]
        assert await subscribes(north, "news") == await subscribes(south, "news") == ""
        await south.begin("tell")
        heard = [await south.receive(), await south.receive()]
        assert [message.args for message in heard if type(message) is Event] == [["south.example"]]
        assert await north.call("add", 1) == 1  # nothing came before it
        await south.open_slot()
        async with knock(door, domain="south.example") as third:
            await third.login()
            assert await third.call("limen.slot.open", bytes(32)) == exc.MaxActiveSessions.uri
        await asyncio.to_thread(door.app.auth.remove_user, "ada", "south.example")
        assert (await south.farewell()).reason == "wamp.close.logout"
        assert await north.call("secret") == "sealed"
