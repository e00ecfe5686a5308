"""The HTTP lane (docs/security.md): sealed sessions without a WebSocket. One POST is one call.

    POST /limen/lane/hello           HELLO -> CHALLENGE, and a ticket
    POST /limen/lane/authenticate    AUTHENTICATE, and the ticket -> WELCOME, sealed
    POST /limen/lane/call            a sealed CALL under a slot and a number -> its sealed answer

Reading order: this file · `login.py` · `seat.py` · `call.py`. What comes back sealed has status 200, whatever it
says; what is refused before a frame has opened is an error as everywhere, and nobody can trust it.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from limen import exc
from limen.base import base64url
from limen.base.principal import Principal
from limen.core.guard.ledger import Kind
from limen.core.seal.channel import OVERHEAD, BadFrame
from limen.core.seal.lane import MARK, Burnt, TooFar
from limen.core.wamp.codecs import Codec, Malformed, Unacceptable, codec
from limen.core.wamp.messages import Call, Cancel, Publish, Result, Subscribe
from limen.door.hub.gate import MAX_GREETING
from limen.web.headers import NO_STORE, data_headers
from limen.web.response import Response

from .call import LaneCall, Pieces
from .login import Login, Step
from .seat import Kept, LaneSeat, digest

if TYPE_CHECKING:
    from limen.core.guard.accounts import LaneStore
    from limen.door.http.request import Request
    from limen.door.hub.hub import Hub

TYPES: Final[dict[bytes, Codec]] = {
    b"application/x-limen-" + name.encode(): codec(name, tagged=True) for name in ("msgpack", "json", "cbor")
}
"""Content-Type to encoding."""
_HEADERS: Final = {name: (*data_headers(name), NO_STORE) for name in TYPES}
MAX_HELLO: Final = 2048
"""Bytes of a HELLO: it travels in the ticket."""
MAX_TICKET: Final = 8192
MOST_NUMBER: Final = 10**16 - 1
PATIENCE: Final = 10.0
"""Seconds for which an answer that another process has is waited for."""


class Lane:
    """What stands at `/limen/lane`. *lanes*: where states are kept."""

    def __init__(self, hub: Hub, lanes: LaneStore) -> None:
        self._hub, self._gate, self._lanes = hub, hub.gate, lanes
        self._login = Login(hub, lanes)
        self._loading: dict[tuple[str, bytes], asyncio.Future[LaneSeat | None]] = {}
        self._bus: Any = None

    async def __call__(self, request: Request, asker: Principal, rest: tuple[str, ...]) -> Response:
        steps = {"hello": self._hello, "authenticate": self._authenticate, "call": self._call}
        step = steps.get(rest[0]) if len(rest) == 1 else None
        if step is None:
            raise exc.NotFound
        if request.method != "POST":
            raise exc.MethodNotAllowed(allow="POST")
        kind = request.headers.get(b"content-type", b"")
        if kind not in TYPES:
            names = ", ".join(name.decode() for name in TYPES)
            raise exc.UnsupportedMediaType(f"The lane's Content-Type is one of {names}, without parameters.")
        if self._bus is not self._hub.bus:
            self._listen()
        return await step(request, asker, kind)

    # -- the greeting -------------------------------------------------------------------------------------------
    async def _hello(self, request: Request, asker: Principal, kind: bytes) -> Response:
        body = await request.body(MAX_HELLO, self._hub.config.domain(asker.domain).BODY_TIMEOUT)
        challenge, ticket = await self._login.hello(_step(asker, kind, body))
        header = (b"x-limen-ticket", base64url.encode(ticket).encode())
        return Response(200, (*_HEADERS[kind], header), challenge)

    async def _authenticate(self, request: Request, asker: Principal, kind: bytes) -> Response:
        body = await request.body(MAX_GREETING, self._hub.config.domain(asker.domain).BODY_TIMEOUT)
        ticket = _bytes(request, b"x-limen-ticket", MAX_TICKET)
        answer = await self._login.authenticate(_step(asker, kind, body), ticket)
        return Response(200, _HEADERS[kind], answer)

    # -- calls --------------------------------------------------------------------------------------------------
    async def _call(self, request: Request, asker: Principal, kind: bytes) -> Response:
        domain, origin = asker.domain, asker.origin
        config = self._hub.config.domain(domain)
        slot = _bytes(request, b"x-limen-slot", 32)
        if len(slot) != 16:
            raise exc.InvalidCall("A slot has 16 bytes.")
        number = _number(request)
        frame = await request.body(config.MAX_MESSAGE_SIZE + OVERHEAD, config.BODY_TIMEOUT)
        told = digest(frame)
        seat = await self._seat(domain, slot, origin)
        if seat is None or TYPES[kind] is not seat.codec:
            self._gate.charge(domain, origin, Kind.KK1)
            raise exc.UnknownSession
        known = seat.find(number)
        if known is not None and known.digest == told:
            return await self._again(known, kind)
        try:
            if len(seat.running) >= config.MAX_PENDING_CALLS:
                raise exc.Busy
            opened = await seat.open(number, frame)
        except BadFrame:  # told like a slot that is not there
            self._gate.charge(domain, origin, Kind.BAD_FRAME)
            raise exc.UnknownSession from None
        except TooFar:  # more than a window of requests was lost on the way: the client begins anew
            self._gate.charge(domain, origin, Kind.REPLAY)
            raise exc.UnknownSession from None
        except Burnt:
            return await self._burnt(seat, origin, number, told, kind)
        call = LaneCall(seat, number, told, opened.answer)
        seat.add(call)
        try:
            await asyncio.shield(seat.burn(number, told[:MARK]))
            principal = await seat.principal(origin, asker.tls)
        except Burnt:  # another process was quicker
            call.cut()
            return await self._burnt(seat, origin, number, told, kind)
        except BaseException:
            call.cut()
            raise
        seat.tab.used = time.time()
        return await self._run(call, principal, opened.plaintext, kind)

    async def _run(self, call: LaneCall, principal: Principal, plaintext: bytes, kind: bytes) -> Response:
        flaw = None
        try:
            message = call.codec.decode(plaintext)
        except Unacceptable as unacceptable:
            message, flaw = unacceptable.message, unacceptable.error
        except Malformed:
            message = Result(0, {})
        if not isinstance(message, Call | Publish | Subscribe | Cancel) or message.request != call.number:
            self._gate.charge(principal.domain, principal.origin, Kind.MALFORMED)
            call.cut()
            raise exc.InvalidCall("A lane's request holds CALL, PUBLISH, SUBSCRIBE or CANCEL, of its own number.")
        if type(message) is Cancel:
            self._cancel(call, message)
        else:
            call.streams = type(message) is Subscribe or (
                type(message) is Call and message.options.get("receive_progress") is True
            )
            call.begin(principal, message, flaw)  # type: ignore[arg-type]
        if call.streams:
            return Response(200, _HEADERS[kind], stream=Pieces(call))
        return await self._again(call, kind)

    async def _again(self, call: LaneCall, kind: bytes) -> Response:
        """The answer of a call, for whoever asks: the same bytes each time."""
        answer = await asyncio.shield(call.done)
        if answer is None:
            raise exc.OutcomeUnknown
        return Response(200, _HEADERS[kind], answer)

    async def _burnt(self, seat: LaneSeat, origin: str, number: int, told: bytes, kind: bytes) -> Response:
        """A number that was used: a resend, whose answer another process may have, or a replay."""
        domain = seat.tab.domain
        if not seat.state.was(number, told[:MARK]):
            self._gate.charge(domain, origin, Kind.REPLAY)
        else:
            asked = [domain, seat.slot.handle, number, told]
            answer = await self._hub.bus.ask("lane", asked, PATIENCE)
            if isinstance(answer, bytes):
                return Response(200, _HEADERS[kind], answer)
        raise exc.OutcomeUnknown

    def _cancel(self, call: LaneCall, message: Cancel) -> None:
        """CANCEL of a number: it ends here, or where it runs."""
        slot, options = call.seat.tab.slot, message.options
        target = options.get("call")
        if type(target) is int and 0 <= target <= MOST_NUMBER:  # no other can travel to the other processes
            running = call.seat.running.get(target)
            if running is not None:
                self._stop(running)
            else:
                self._hub.bus.tell("lane.cancel", [call.domain, slot, target])
        call.send(Result(call.number, {}))

    def _stop(self, call: LaneCall) -> None:
        if call.session is not None:
            self._hub.act(call.realm, call.realm.receive(call.session, Cancel(call.number, {"mode": "killnowait"})))

    # -- sessions -----------------------------------------------------------------------------------------------
    async def _seat(self, domain: str, slot: bytes, origin: str) -> LaneSeat | None:
        tab = self._hub.tabs.get(slot)
        if tab is not None:
            seat = tab.connection
            if type(seat) is not LaneSeat or tab.domain != domain:
                return None
            if await seat.expired():
                raise exc.ExpiredSession
            return seat
        loading = self._loading.get((domain, slot))
        if loading is None:
            loading = self._loading[domain, slot] = asyncio.ensure_future(self._load(domain, slot, origin))
            loading.add_done_callback(lambda _: self._loading.pop((domain, slot), None))
        return await asyncio.shield(loading)

    async def _load(self, domain: str, handle: bytes, origin: str) -> LaneSeat | None:
        """The session of a slot that this process does not know yet. Raises `exc.Abusive` as a resume does: an origin
        has only so many questions to the store under way."""
        gate, config, now = self._gate, self._hub.config.domain(domain), time.time()
        coming = gate.ledger.issue(domain, origin, Kind.KK1, now)
        try:
            found = await gate.settled(self._read, domain, handle)
        finally:
            gate.ledger.take_back(coming)  # `_call` charges for a slot that is not there
        if found is None or handle in gate.ended or self._hub.tabs.get(handle) is not None:
            return None
        slot = found.slot
        if slot.kind != "lane" or slot.epoch != gate.epoch or slot.key_number not in gate.keys:
            return None
        if now - slot.used > config.SESSION_TIMEOUT or now - slot.login > config.SESSION_MAX_AGE:
            gate.ended[handle] = domain
            gate.reasons.setdefault(handle, "expired")
            return None
        try:
            return LaneSeat(self._hub, self._lanes, found)
        except BadFrame:  # of another key file
            return None

    def _read(self, domain: str, handle: bytes) -> Kept | None:
        slot = self._gate.slots.get(domain, handle)
        row = self._lanes.get(domain, handle) if slot is not None else None
        return None if slot is None or row is None else Kept(slot, row)

    # -- other processes ----------------------------------------------------------------------------------------
    def _listen(self) -> None:
        bus = self._bus = self._hub.bus
        bus.answer("lane", self._kept)
        bus.hear("lane.login", self._login.elsewhere)
        bus.hear("lane.over", self._login.over)
        bus.hear("lane.cancel", self._cancelled)

    def _find(self, domain: Any, slot: Any, number: Any) -> LaneCall | None:
        tab = self._hub.tabs.get(slot)
        if tab is None or tab.domain != domain or type(tab.connection) is not LaneSeat:
            return None
        return tab.connection.find(number)

    async def _kept(self, body: Any) -> bytes | None:
        """What this process has answered."""
        domain, slot, number, told = body
        call = self._find(domain, slot, number)
        if call is None or call.digest != told:
            return None
        return await asyncio.shield(call.done)

    def _cancelled(self, body: Any) -> None:
        call = self._find(*body)
        if call is not None:
            self._stop(call)


def _step(asker: Principal, kind: bytes, body: bytes) -> Step:
    return Step(asker.domain, asker.origin, asker.tls, TYPES[kind], body)


def _bytes(request: Request, name: bytes, most: int) -> bytes:
    """The bytes of a header in base64url without padding."""
    text = request.headers.get(name, b"")
    try:
        if not text or len(text) > most:
            raise ValueError
        return base64url.decode(text.decode())
    except ValueError:
        raise exc.InvalidCall(f"The header {name.decode()} is missing, or no base64url.") from None


def _number(request: Request) -> int:
    text = request.headers.get(b"x-limen-number", b"")
    if not text.isdigit() or len(text) > len(str(MOST_NUMBER)) or (text[:1] == b"0" and text != b"0"):
        raise exc.InvalidCall("The header x-limen-number is missing, or no number.")
    return int(text)
