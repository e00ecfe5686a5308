"""Whoever records, replays, forges, reorders or cuts what travels by the HTTP lane gets nothing, and is counted."""

from __future__ import annotations

import asyncio
import base64
import time
from typing import Any

import pytest
from laneside import House, Process, Way, Wires, a_house, ask, enter

from limen import exc
from limen.client.exchange import Request
from limen.client.lane import LaneSession, login

EVE = "198.51.100.7"


@pytest.fixture
def app() -> House:
    return a_house()


def _body(request: Request) -> bytes:
    assert isinstance(request.body, bytes)
    return request.body


def _with(request: Request, **headers: str) -> Request:
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    return request._replace(headers=tuple((n, changed.get(n, v)) for n, v in request.headers))


async def test_a_replayed_call_runs_nothing_at_any_process(app: House) -> None:
    wires: list[Wires] = []
    one, other = Process(app, wires), Process(app, wires)
    way = Way(one)
    session = await enter(app, way)
    await session.call("note", ["milk"])
    first = await way.again(client=EVE)
    assert first == (200, b"".join(way.answers[-1:]))  # the same bytes, to whoever has them already
    assert (await ask(other, way.sent[-1], EVE))[0] == 200
    app.config.PARK_TIMEOUT = 0.0
    await asyncio.sleep(0.01)
    await session.call("note", ["eggs"])
    for process in (one, other):
        status, _, body = await ask(process, way.sent[-2], EVE)
        assert status == exc.OutcomeUnknown.status
        assert b"OutcomeUnknown" in b"".join([piece async for piece in body])
        assert process.level(EVE) == 0.0  # it may be a client's resend
    for number in range(64):
        await session.call("echo", [number])
    status, _, body = await ask(one, way.sent[2], EVE)
    assert status == exc.OutcomeUnknown.status
    assert one.level(EVE) == pytest.approx(3.0, abs=0.1)  # of numbers below the window nothing is known any more
    assert app.ran == ["milk", "eggs"]
    assert one.level() == 0.0


async def test_a_number_with_other_bytes_is_a_replay(app: House) -> None:
    way = Way(Process(app, []))
    session = await enter(app, way)
    await session.call("note", ["milk"])
    status, body = await way.again(client=EVE, body=_body(way.sent[-1])[:-1] + b"x")
    assert (status, b"OutcomeUnknown" in body) == (exc.OutcomeUnknown.status, True)
    assert way.processes[0].level(EVE) == pytest.approx(3.0, abs=0.1)
    assert app.ran == ["milk"]


@pytest.mark.parametrize("what", ["bit", "short", "empty", "number", "far", "slot", "other session", "encoding"])
async def test_a_forged_call_changes_nothing_and_charges_who_sent_it(app: House, what: str) -> None:
    process = Process(app, [])
    way = Way(process)
    session, stranger = await enter(app, way), await enter(app, way)
    await stranger.call("echo", [1])
    theirs = dict(way.sent[-1].headers)["x-limen-slot"]
    kept = app.vault.lanes.get("localhost", base64.urlsafe_b64decode(theirs + "=="))

    def forge(request: Request) -> Request:
        body = _body(request)
        match what:
            case "bit":
                return request._replace(body=bytes([body[0] ^ 1]) + body[1:])
            case "short":
                return request._replace(body=body[:-1])
            case "empty":
                return request._replace(body=b"")
            case "number":
                return _with(request, x_limen_number="5")
            case "far":
                return _with(request, x_limen_number=str(10**15))
            case "slot":
                return _with(request, x_limen_slot=base64.urlsafe_b64encode(bytes(16)).decode().rstrip("="))
            case "other session":
                return _with(request, x_limen_slot=theirs)
            case _:
                return _with(request, content_type="application/x-limen-json")

    way.forge, way.client = forge, EVE
    with pytest.raises(exc.Error):
        await session.call("note", ["milk"])
    assert app.ran == []
    assert process.level(EVE) >= 0.9
    assert process.level() == 0.0
    assert app.vault.lanes.get("localhost", base64.urlsafe_b64decode(theirs + "==")) == kept
    way.forge, way.client, session._posts.over = None, "192.0.2.1", None
    assert await session.call("note", ["eggs"]) == 1  # whom it was done to goes on
    assert await stranger.call("note", ["eggs"]) == 2


async def test_calls_may_arrive_in_any_order_within_the_window(app: House) -> None:
    process = Process(app, [])
    way = Way(process)
    session = await enter(app, way)
    way.drop = 30
    held = [asyncio.create_task(session.call("note", [n])) for n in range(10)]
    await asyncio.sleep(0)
    while len(way.sent) < 12:
        await asyncio.sleep(0)
    for task in held:
        task.cancel()
    await asyncio.wait(held)
    way.drop = 0
    for request in reversed(way.sent[2:12]):
        status, _, _ = await ask(process, request, "192.0.2.1")
        assert status == 200
    assert app.ran == list(reversed(range(10)))


async def test_a_recorded_login_opens_nothing_a_second_time(app: House) -> None:
    wires: list[Wires] = []
    one, other = Process(app, wires), Process(app, wires)
    way = Way(one)
    session = await enter(app, way)
    authenticate = way.sent[1]
    await session.logout()
    assert app.vault.slots.list() == []
    for process in (one, other, Process(app, [])):
        status, _, _ = await ask(process, authenticate, EVE)
        assert status == exc.InvalidCredential.status
        assert process.level(EVE) == pytest.approx(3.0, abs=0.1)
    assert app.vault.slots.list() == []


async def test_a_ticket_is_good_for_its_own_login_only(app: House) -> None:
    app.auth.add_user("ada", "correct horse")
    app.auth.add_user("bob", "battery staple")
    process = Process(app, [])
    tickets: list[str] = []

    def swap(request: Request) -> Request:
        ticket = dict(request.headers).get("x-limen-ticket")
        if ticket is None:
            return request
        tickets.append(ticket)
        return _with(request, x_limen_ticket=tickets[0])

    ada, bob = Way(process), Way(process, client=EVE)
    await login(ada, "localhost", "ada", "correct horse")
    unspent = await _unfinished(process, "ada", "correct horse")
    tickets.append(dict(unspent.headers)["x-limen-ticket"])
    bob.forge = swap
    with pytest.raises(exc.ConnectionLost):
        await login(bob, "localhost", "bob", "battery staple")
    assert len(app.vault.slots.list()) == 1
    status, _, _ = await ask(process, unspent, "192.0.2.1")
    assert status == 200  # and it was not spent by that


async def _unfinished(process: Process, user: str, password: str) -> Request:
    """The second request of a login, which nobody sends."""
    way = Way(process)
    caught: list[Request] = []

    def catch(request: Request) -> Request:
        if request.target.endswith("authenticate"):
            caught.append(request)
            raise exc.Canceled
        return request

    way.forge = catch
    with pytest.raises(exc.Canceled):
        await login(way, "localhost", user, password)
    return caught[0]


@pytest.mark.parametrize("what", ["late", "bit", "another domain", "another process's keys", "changed password"])
async def test_a_ticket_that_is_over_or_forged_opens_nothing(
    app: House, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.auth.add_user("ada", "correct horse")
    process = Process(app, [])
    request = await _unfinished(process, "ada", "correct horse")
    ticket = dict(request.headers)["x-limen-ticket"]
    host = b"localhost"
    match what:
        case "late":
            now = time.time()
            monkeypatch.setattr(time, "time", lambda: now + 31)
        case "bit":
            middle = len(ticket) // 2
            other = "A" if ticket[middle] != "A" else "B"
            request = _with(request, x_limen_ticket=ticket[:middle] + other + ticket[middle + 1 :])
        case "another domain":
            app.add_domain("other.example")
            host = b"other.example"
        case "another process's keys":
            stranger = a_house()
            stranger.auth.add_user("ada", "correct horse")
            process = Process(stranger, [])
        case _:
            app.auth.set_password("ada", "battery staple")
    status, _, _ = await ask(process, request, EVE, host)
    assert status == exc.InvalidCredential.status
    assert app.vault.slots.list() == []


async def test_no_ticket_opens_when_its_minute_is_forgotten(app: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has recorded everything and gets the key file later finds no secret to open it with."""
    app.auth.add_user("ada", "correct horse")
    request = await _unfinished(Process(app, []), "ada", "correct horse")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 180)
    app.vault.forget()
    monkeypatch.setattr(time, "time", lambda: now)
    status, _, _ = await ask(Process(app, []), request, EVE)
    assert status == exc.InvalidCredential.status


async def test_a_flood_of_hello_is_counted_refused_and_fills_nothing(app: House) -> None:
    app.auth.add_user("ada", "correct horse")
    process = Process(app, [])
    way = Way(process)
    await login(way, "localhost", "ada", "correct horse")
    hello, before = way.sent[0], app.vault.storage.storage.records.last("localhost")
    said = [(await ask(process, hello, EVE))[0] for _ in range(40)]
    assert said.count(200) <= app.config.MAX_PENDING_LOGINS
    assert set(said[20:]) == {exc.Abusive.status}
    assert app.vault.storage.storage.records.last("localhost") - before <= 1  # at most the minute's secret
    process.ledger.tick(time.time() + 31)
    assert process.level(EVE) >= 4.0
    assert len(process.hub.tabs) == 1


async def test_an_unknown_user_gets_an_answer_like_any(app: House) -> None:
    app.auth.add_user("ada", "correct horse")
    process = Process(app, [])
    lengths = set()
    for user in ("ada", "bob"):
        way = Way(process)
        with pytest.raises(exc.InvalidCredential):
            await login(way, "localhost", user, "wrong")
        status, headers, body = await ask(process, way.sent[0], "192.0.2.1")
        lengths.add((status, len(headers["x-limen-ticket"]), len(b"".join([piece async for piece in body]))))
    assert len(lengths) == 1


@pytest.mark.parametrize("what", ["cut", "bit", "swapped", "more"])
async def test_a_stream_that_is_cut_or_changed_is_noticed(app: House, what: str) -> None:
    process = Process(app, [])
    way = Way(process)
    session = await enter(app, way)
    whole = way._kept

    async def changed(stream: Any) -> Any:
        pieces = b"".join([piece async for piece in whole(stream)])
        frames = []
        while pieces:
            size = 4 + int.from_bytes(pieces[:4]) % (1 << 31)
            frames.append(pieces[:size])
            pieces = pieces[size:]
        match what:
            case "cut":
                frames.pop()
            case "bit":
                frames[1] = frames[1][:-1] + bytes([frames[1][-1] ^ 1])
            case "swapped":
                frames[0], frames[1] = frames[1], frames[0]
            case _:
                frames.append(frames[-1])
        yield b"".join(frames)

    way._kept = changed  # type: ignore[method-assign]
    got: list[int] = []
    with pytest.raises(exc.OutcomeUnknown):
        await session.call("count", [5], push=got.append)
    assert got == list(range(len(got)))


async def test_what_is_no_request_of_the_lane_is_refused(app: House) -> None:
    process = Process(app, [])
    way = Way(process)
    session = await enter(app, way)
    await session.call("echo", [1])
    call, hello = way.sent[-1], way.sent[0]
    wrong = {
        415: [_with(call, content_type="application/json"), _with(hello, content_type="application/x-limen-xml")],
        405: [call._replace(method="PUT")],
        404: [call._replace(target="/limen/lane"), call._replace(target="/limen/lane/call/x")],
        400: [
            _with(call, x_limen_number="-1"),
            _with(call, x_limen_number="01"),
            _with(call, x_limen_number="9" * 17),
            _with(call, x_limen_slot="*"),
            _with(call, x_limen_slot="AAAA"),
            call._replace(headers=call.headers[:1]),
            hello._replace(body=b"\xc1"),
            hello._replace(body=_body(call)),
        ],
        403: [call._replace(headers=(*call.headers, ("origin", "https://evil.example")))],
        413: [hello._replace(body=bytes(5000))],
    }
    for status, requests in wrong.items():
        for request in requests:
            assert (await ask(process, request, EVE))[0] == status, request
    assert await session.call("echo", [2]) == 2


async def test_nothing_of_a_session_shows_in_what_travels(app: House) -> None:
    way = Way(Process(app, []))
    session: LaneSession = await enter(app, way, "json")
    await session.call("echo", ["the secret milk"])
    travelled = b"".join(_body(request) for request in way.sent[2:]) + b"".join(way.answers[1:])
    for word in (b"secret milk", b"echo", b"robot", b"machine", b"RESULT"):
        assert word not in travelled


async def test_slots_that_nobody_has_are_looked_up_a_few_at_a_time(app: House) -> None:
    app.config.MAX_PENDING_LOGINS = 1
    process = Process(app, [])
    way = Way(process)
    session = await enter(app, way)
    await session.call("echo", [1])

    async def call(number: int) -> int:
        slot = base64.urlsafe_b64encode(bytes([number]) * 16).decode().rstrip("=")
        status, _, _ = await ask(process, _with(way.sent[-1], x_limen_slot=slot), EVE)
        return status

    statuses = await asyncio.gather(*(call(number) for number in range(20)))
    assert statuses.count(exc.Abusive.status) == 16
    assert statuses.count(exc.UnknownSession.status) == 4
    assert await session.call("echo", [2]) == 2
