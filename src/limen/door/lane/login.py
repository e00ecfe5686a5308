"""The greeting of the HTTP lane (`door/hub/greeter.py`): two requests, with nothing kept between them but the ledger's
entry. What else must be known travels in a ticket (`core/seal/ticket.py`).

A ticket is spent once, in the store, so that a recorded login opens nothing a second time.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

from limen import exc
from limen.base.names import domain_name
from limen.core.guard.accounts import LaneRow
from limen.core.guard.ledger import Kind, account_key
from limen.core.seal import ticket as tickets
from limen.core.seal.channel import BadFrame
from limen.core.seal.kdf import VERSION, lp
from limen.core.seal.lane import LANE, LaneState, rest_key
from limen.core.seal.login import Keys, LoginRefused, PendingLogin, ServerLogin
from limen.core.wamp.codecs import Codec, Malformed, Unacceptable
from limen.core.wamp.messages import Abort, Authenticate, Challenge, Hello, Welcome
from limen.core.wamp.session import CLIENT_ROLES
from limen.door.hub.answering import welcome
from limen.door.hub.greeter import Greeter, Knock, is_forced, method_of

from .seat import Kept, LaneSeat

if TYPE_CHECKING:
    from limen.base.principal import Principal
    from limen.core.guard.accounts import Account, LaneStore
    from limen.core.guard.ledger import Entry
    from limen.core.seal.ticket import Ticket
    from limen.door.hub.greeter import Attempt, Proven
    from limen.door.hub.hub import Hub

SCOPE = "lane login"
MOST_ENTRIES = 4096


class Step(NamedTuple):
    """One request of a greeting. *body*: the exact payload bytes."""

    domain: str
    origin: str
    tls: bool
    codec: Codec
    body: bytes


class Login:
    """Both requests. *lanes*: where states are kept."""

    def __init__(self, hub: Hub, lanes: LaneStore) -> None:
        self._hub, self._gate, self._lanes = hub, hub.gate, lanes
        self._greeter = Greeter(hub, LANE, lambda slot, origin: slot.kind == "lane" and bool(slot.public))
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        """Of tickets that this process has given out: what a valid KE3 takes back. Bounded; what falls out counts."""
        self._secrets: dict[tuple[str, int], bytes] = {}

    # -- HELLO --------------------------------------------------------------------------------------------------
    async def hello(self, step: Step) -> tuple[bytes, bytes]:
        """CHALLENGE and the ticket. Raises the error that is told, unsealed."""
        message = self._decode(step, Hello)
        roles, methods = message.details.get("roles"), self._greeter.methods
        if not isinstance(roles, dict) or CLIENT_ROLES.isdisjoint(roles) or method_of(message) not in methods:
            raise exc.InvalidCall(f"HELLO names a role, and one of the authmethods {', '.join(methods)}.")
        if domain_name(message.realm) != message.realm:
            raise exc.InvalidCredential
        gate, now = self._gate, time.time()
        await gate.slow_down(step.domain, step.origin)
        try:
            attempt = await self._greeter.begin(Knock(step.domain, step.origin, step.codec.name, message, step.body))
        except LoginRefused:
            raise exc.InvalidCredential from None
        challenge = step.codec.encode(Challenge(attempt.method, attempt.extra))
        ticket = self._ticket(step, attempt, message, challenge)
        head = tickets.head(gate.keys.current, int(now) // tickets.PERIOD)
        secret = await self._secret(step.domain, int(now) // tickets.PERIOD)
        key = gate.keys.domain(step.domain).ticket_key
        self._entries[ticket.id] = attempt.entry
        if len(self._entries) > MOST_ENTRIES:
            self._entries.popitem(last=False)
        return challenge, tickets.seal(ticket, key, secret, head, os.urandom(12), step.domain)

    def _ticket(self, step: Step, attempt: Attempt, hello: Hello, challenge: bytes) -> Ticket:
        """What the server must know again, with what binds it to the two open messages."""
        server, known = attempt.server, True
        held: tuple[bytes, ...]
        if isinstance(server, ServerLogin):
            pending = server.pending(challenge)
            held, known = (pending.expected, pending.session_key, pending.seen), pending.known
        else:
            held = server.keys(challenge)
        return tickets.Ticket(
            id=os.urandom(16),
            method=attempt.method,
            user=attempt.user,
            handle=attempt.handle,
            encoding=step.codec.name,
            until=time.time() + tickets.LIFE,
            epoch=self._gate.epoch,
            record=attempt.record,
            secrets=held,
            known=known,
            force=is_forced(hello),
        )

    async def _secret(self, domain: str, period: int) -> bytes:
        """The passing secret of *period*: the store's, so that any process opens the ticket of any other."""
        found = self._secrets.get((domain, period))
        if found is None:
            found = await self._gate.on_thread(self._lanes.secret, domain, period, os.urandom(32))
            self._secrets = {k: v for k, v in self._secrets.items() if k[1] >= period - 1} | {(domain, period): found}
        return found

    # -- AUTHENTICATE -------------------------------------------------------------------------------------------
    async def authenticate(self, step: Step, data: bytes) -> bytes:
        """The sealed answer: WELCOME, or the ABORT that says why not. Raises the error that is told unsealed."""
        gate = self._gate
        try:
            ticket = await self._opened(step, data)
        except tickets.BadTicket:
            gate.charge(step.domain, step.origin, Kind.BAD_FRAME)
            raise exc.InvalidCredential("The login was not finished in time; try again.") from None
        try:
            if ticket.encoding != step.codec.name or ticket.epoch != gate.epoch:
                raise LoginRefused("this ticket is for another login")
            keys = self._keys(step, ticket)
            proven = await self._greeter.proven(step.domain, step.origin, ticket)
        except (LoginRefused, BadFrame):
            self._failed(step, ticket)
            raise exc.InvalidCredential from None
        # Spent before anything begins: a recording of these bytes opens nothing, in any process, also after a logout.
        until = ticket.until + tickets.LIFE
        if not await gate.on_thread(gate.once.spend, step.domain, SCOPE, ticket.id, until):
            gate.charge(step.domain, step.origin, Kind.REPLAY)
            raise exc.InvalidCredential
        self._succeeded(step, ticket)
        return await self._enter(step, ticket, keys, proven)

    async def _opened(self, step: Step, data: bytes) -> Ticket:
        number, period = tickets.parts(data)
        now = time.time()
        if number not in self._gate.keys or not int(now) // tickets.PERIOD - 1 <= period <= int(now) // tickets.PERIOD:
            raise tickets.BadTicket("it is over")
        secret = await self._secret(step.domain, period)
        key = self._gate.keys.domain(step.domain, number).ticket_key
        return tickets.unseal(data, key, secret, step.domain, now)

    def _failed(self, step: Step, ticket: Ticket) -> None:
        entry = self._entries.pop(ticket.id, None)
        if entry is not None:
            self._gate.ledger.lapse(entry, time.time())
        else:
            self._gate.charge(step.domain, step.origin, Kind.BAD_FRAME)

    def _succeeded(self, step: Step, ticket: Ticket) -> None:
        entry = self._entries.pop(ticket.id, None)
        if entry is not None:
            self._gate.ledger.succeed(entry, time.time())
            return
        self._hub.bus.tell("lane.login", ticket.id)  # whoever has counted it takes it back
        if ticket.method == "opaque":
            name = account_key(self._gate.account_secret(step.domain), step.domain, ticket.user)
            self._gate.ledger.account_succeeded(step.domain, name, step.origin, time.time())

    def elsewhere(self, id: Any) -> None:
        """Another process has seen the valid end of a login that began here."""
        entry = self._entries.pop(id, None) if isinstance(id, bytes) else None
        if entry is not None:
            self._gate.ledger.succeed(entry, time.time())

    def _keys(self, step: Step, ticket: Ticket) -> Keys:
        """The keys of who has answered CHALLENGE rightly. Raises `LoginRefused`, `BadFrame`, `exc.InvalidCall`."""
        if ticket.method == "opaque":
            expected, session_key, seen = ticket.secrets
            message = self._decode(step, Authenticate)
            return PendingLogin(seen, expected, session_key, ticket.known, LANE).accept(step.body, message.extra)
        keys = Keys(*ticket.secrets)
        self._decode(step, Authenticate, LaneState(*keys).open(0, step.body).plaintext)
        return keys

    # -- WELCOME ------------------------------------------------------------------------------------------------
    async def _enter(self, step: Step, ticket: Ticket, keys: Keys, proven: Proven) -> bytes:
        account, slot = proven.account, proven.slot
        answer, state = LaneState(*keys).begin()
        if slot is None:
            slot = self._gate.new_slot(account.domain, account.user, origin=step.origin, kind="lane", key=proven.key)
        key = rest_key(self._gate.keys.domain(slot.domain, slot.key_number).lane_key, slot.handle)
        kept = state.rest(key, os.urandom(12), lp(VERSION, "lane", slot.domain, slot.handle))
        row = LaneRow(slot.domain, slot.handle, step.codec.name, ticket.method == "opaque", kept)
        try:
            if proven.slot is None:
                seat = await self._begin(step, ticket, account, Kept(slot, row))
            else:
                seat = await self._go_on(step, Kept(slot, row))
            principal = await seat.principal(step.origin, step.tls)
        except exc.Error as error:
            return answer.seal(step.codec.encode(Abort({"message": str(error), **error.to_wire()}, error.uri)))
        if proven.slot is None:
            self._hub.logins.begun(principal, seat.tab.id, "lane")
        return answer.seal(step.codec.encode(self._welcome(seat, principal, ticket.method)))

    async def _begin(self, step: Step, ticket: Ticket, account: Account, kept: Kept) -> LaneSeat:
        """A new slot and its state. Its tab is there before, so that it ends with the user's others, whatever they do
        meanwhile."""
        hub, gate, (slot, row) = self._hub, self._gate, kept
        seat = LaneSeat(hub, self._lanes, kept)
        try:
            await gate.open_slot(slot, hub.config.domain(slot.domain).MAX_USER_SESSIONS, force=ticket.force)
            seat.row = await gate.on_thread(self._lanes.begin, row)
            await seat.principal(step.origin, step.tls)
            if seat.tab.record != account.record:
                raise exc.UnknownSession  # a new password was given meanwhile
        except BaseException:
            hub.tabs.remove(seat.tab)
            gate.ended[slot.handle], gate.reasons[slot.handle] = slot.domain, ""
            raise
        return seat

    async def _go_on(self, step: Step, kept: Kept) -> LaneSeat:
        """The slot goes on under other keys, once the store has them; the lane before it is over, everywhere."""
        hub, slot = self._hub, kept.slot
        row = await self._gate.on_thread(self._lanes.begin, kept.row)
        hub.bus.tell("lane.over", [slot.domain, slot.handle, step.origin])
        self.over([slot.domain, slot.handle, step.origin])
        seat = LaneSeat(hub, self._lanes, Kept(slot, row))
        seat.tab.used = time.time()
        hub.gate.touch(slot.domain, slot.handle, seat.tab.used)
        return seat

    def over(self, body: Any) -> None:
        """A slot goes on under other keys, here or in another process."""
        domain, handle, origin = body
        tab = self._hub.tabs.get(handle)
        if tab is not None and tab.domain == domain and type(tab.connection) is LaneSeat:
            tab.connection.taken_over(origin)
            self._hub.tabs.remove(tab)

    def _welcome(self, seat: LaneSeat, principal: Principal, method: str) -> Welcome:
        slot, config = seat.slot, self._hub.config.domain(seat.slot.domain)
        said = welcome(principal, method, slot.login, config, self._hub.realm(slot.domain).roles)
        return Welcome(seat.session, {**said, "x_slot": slot.handle})

    def _decode(self, step: Step, kind: type[Any], data: bytes | None = None) -> Any:
        try:
            message = step.codec.decode(step.body if data is None else data)
            if type(message) is kind:
                return message
        except (Malformed, Unacceptable):
            pass
        self._gate.charge(step.domain, step.origin, Kind.MALFORMED)
        raise exc.InvalidCall(f"This takes {kind.__name__.upper()} in the encoding that Content-Type names.")
