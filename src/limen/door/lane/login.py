"""The greeting of the HTTP lane: a login or a resume in two requests, with nothing kept between them but the ledger's
entry; what else must be known travels in a ticket (`core/seal/ticket.py`).

What it guards is what `ws/login.py` guards: every KE2 counts until a valid KE3 takes it back, unknown users get the
same bytes from the same work, nothing changes before AUTHENTICATE has proved who it is. And: a ticket is spent once, in
the store, so that a recorded login opens nothing a second time.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from limen import exc
from limen.base.names import domain_name
from limen.core.guard.accounts import LaneRow, Slot
from limen.core.guard.ledger import Kind, account_key
from limen.core.seal import ticket as tickets
from limen.core.seal.channel import BadFrame
from limen.core.seal.kdf import VERSION, lp
from limen.core.seal.lane import LANE, LaneState, rest_key
from limen.core.seal.login import (
    Keys,
    LoginRefused,
    PendingLogin,
    ServerLogin,
    ServerResume,
    key_of,
    resume_hash,
    slot_of,
)
from limen.core.wamp.codecs import Codec, Malformed, Unacceptable
from limen.core.wamp.messages import Abort, Authenticate, Challenge, Hello, Welcome
from limen.core.wamp.session import CLIENT_ROLES
from limen.door.hub.answering import welcome
from limen.door.hub.identity import living, machine

from .seat import Kept, LaneSeat

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from limen.base.principal import Principal
    from limen.core.guard.accounts import Account, LaneStore
    from limen.core.guard.ledger import Entry
    from limen.core.seal.noise import PrivateKey
    from limen.core.seal.ticket import Ticket
    from limen.door.hub.hub import Hub

SCOPE = "lane login"
MOST_ENTRIES = 4096


class Knock(NamedTuple):
    """One request of a greeting. *body*: the exact payload bytes."""

    domain: str
    origin: str
    tls: bool
    codec: Codec
    body: bytes


class Proven(NamedTuple):
    """Who has proved who they are: *account* as it is now; *slot* that comes back, None for a new one."""

    account: Account
    keys: Keys
    slot: Slot | None


class Greeter:
    """Both requests. *lanes*: where states are kept."""

    def __init__(self, hub: Hub, lanes: LaneStore) -> None:
        self._hub, self._gate, self._lanes = hub, hub.gate, lanes
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        """Of tickets that this process has given out: what a valid KE3 takes back. Bounded; what falls out counts."""
        self._secrets: dict[tuple[str, int], bytes] = {}
        self._hello: dict[str, Callable[[Knock, Hello], Awaitable[tuple[Ticket, dict[str, Any], Entry]]]] = {
            "opaque": self._login,
            "resume": self._resume,
            "key": self._key,
        }
        """What answers HELLO, by its authmethod: gives the ticket, and the extra of CHALLENGE."""
        self._accept: dict[str, Callable[[Knock, Ticket], Awaitable[Proven]]] = {
            "opaque": self._logged_in,
            "resume": self._resumed,
            "key": self._keyed,
        }
        """What judges AUTHENTICATE."""

    # -- HELLO --------------------------------------------------------------------------------------------------
    async def hello(self, knock: Knock) -> tuple[bytes, bytes]:
        """CHALLENGE and the ticket. Raises the error that is told, unsealed."""
        message = self._decode(knock, Hello)
        roles, methods = message.details.get("roles"), message.details.get("authmethods")
        method = methods[0] if isinstance(methods, list) and len(methods) == 1 else None
        answer = self._hello.get(method) if isinstance(method, str) else None
        if not isinstance(roles, dict) or CLIENT_ROLES.isdisjoint(roles) or answer is None:
            raise exc.InvalidCall(f"HELLO names a role, and one of the authmethods {', '.join(self._hello)}.")
        if domain_name(message.realm) != message.realm:
            raise exc.InvalidCredential
        gate, now = self._gate, time.time()
        await gate.slow_down(knock.domain, knock.origin)
        try:
            ticket, extra, entry = await answer(knock, message)
        except LoginRefused:
            raise exc.InvalidCredential from None
        challenge = knock.codec.encode(Challenge(ticket.method, extra))
        # What was said belongs into the transcript: it is added here, where CHALLENGE's bytes are known.
        ticket = _with_challenge(ticket, knock.body, challenge)
        head = tickets.head(gate.keys.current, int(now) // tickets.PERIOD)
        secret = await self._secret(knock.domain, int(now) // tickets.PERIOD)
        key = gate.keys.domain(knock.domain).ticket_key
        self._entries[ticket.id] = entry
        if len(self._entries) > MOST_ENTRIES:
            self._entries.popitem(last=False)
        return challenge, tickets.seal(ticket, key, secret, head, os.urandom(12), knock.domain)

    async def _login(self, knock: Knock, hello: Hello) -> tuple[Ticket, dict[str, Any], Entry]:
        gate, user = self._gate, hello.details.get("authid")
        if not isinstance(user, str):
            raise exc.InvalidCredential
        account_name = account_key(gate.account_secret(knock.domain), hello.realm, user)
        entry = gate.ledger.issue(knock.domain, knock.origin, Kind.KE2, time.time(), account=account_name)
        try:
            account = await gate.on_thread(gate.accounts.get, hello.realm, user)
            known = account is not None and not account.disabled and hello.realm == knock.domain
            entry.user = account.user if account is not None and hello.realm == knock.domain else None
            server = ServerLogin(
                gate.keys,
                domain=hello.realm,
                subprotocol=f"limen.1.{knock.codec.name}",
                user=user,
                record=(account.record or None) if known and account is not None else None,
                number=account.key_number if known and account is not None else None,
                entropy=secrets.token_bytes(96),
                lane=LANE,
            )
            extra = server.challenge(knock.body, hello.details.get("authextra"))
        except BaseException:
            gate.ledger.lapse(entry, time.time())
            raise
        pending = server.pending(b"")
        # A ticket is as long for a user who is not there.
        record = hashlib.sha256(account.record if account is not None else b"").digest()
        held = (pending.expected, pending.session_key)
        force = _forced(hello)
        ticket = self._ticket("opaque", knock, held, user=user, record=record, known=pending.known, force=force)
        return ticket, extra, entry

    async def _key(self, knock: Knock, hello: Hello) -> tuple[Ticket, dict[str, Any], Entry]:
        """A machine's login: the handshake of a resume, with the key that an operator gave it."""
        gate, extra = self._gate, hello.details.get("authextra")
        id = key_of(extra)
        entry = gate.ledger.issue(knock.domain, knock.origin, Kind.KK1, time.time())
        try:
            found = await gate.on_thread(machine, gate, knock.domain, id) if hello.realm == knock.domain else None
            entry.user = found[0].user if found is not None else None
            own = gate.keys.domain(knock.domain, found[0].key_number if found is not None else None).resume
            public = found[0].public if found is not None else own.public  # nobody's: refused alike
            server = _responder(own, knock, id, public, 0)
            answer = server.challenge(knock.body, extra)
        except BaseException:
            gate.ledger.lapse(entry, time.time())
            raise
        return self._ticket("key", knock, server.secrets(), handle=id, force=_forced(hello)), answer, entry

    async def _resume(self, knock: Knock, hello: Hello) -> tuple[Ticket, dict[str, Any], Entry]:
        gate, extra = self._gate, hello.details.get("authextra")
        handle = slot_of(extra)
        entry = gate.ledger.issue(knock.domain, knock.origin, Kind.KK1, time.time())
        try:
            found = await gate.on_thread(self._living, knock.domain, handle) if hello.realm == knock.domain else None
            if found is None:
                raise exc.UnknownSession
            slot = found[0]
            entry.user = slot.user
            keys = gate.keys.domain(slot.domain, slot.key_number).resume
            server = _responder(keys, knock, handle, slot.public, gate.epoch)
            try:
                answer = server.challenge(knock.body, extra)
            except LoginRefused:  # not of this slot's key: told like a slot that is not there
                raise exc.UnknownSession from None
        except BaseException:
            gate.ledger.lapse(entry, time.time())
            raise
        return self._ticket("resume", knock, server.secrets(), handle=handle), answer, entry

    def _ticket(
        self,
        method: str,
        knock: Knock,
        held: tuple[bytes, ...],
        *,
        user: str = "",
        handle: bytes = b"",
        record: bytes = b"",
        known: bool = True,
        force: bool = False,
    ) -> Ticket:
        until, epoch, id = time.time() + tickets.LIFE, self._gate.epoch, secrets.token_bytes(16)
        return tickets.Ticket(id, method, user, handle, knock.codec.name, until, epoch, record, held, known, force)

    async def _secret(self, domain: str, period: int) -> bytes:
        """The passing secret of *period*: the store's, so that any process opens the ticket of any other."""
        found = self._secrets.get((domain, period))
        if found is None:
            found = await self._gate.on_thread(self._lanes.secret, domain, period, os.urandom(32))
            self._secrets = {k: v for k, v in self._secrets.items() if k[1] >= period - 1} | {(domain, period): found}
        return found

    # -- AUTHENTICATE -------------------------------------------------------------------------------------------
    async def authenticate(self, knock: Knock, data: bytes) -> bytes:
        """The sealed answer: WELCOME, or the ABORT that says why not. Raises the error that is told unsealed."""
        gate = self._gate
        try:
            ticket = await self._opened(knock, data)
        except tickets.BadTicket:
            gate.charge(knock.domain, knock.origin, Kind.BAD_FRAME)
            raise exc.InvalidCredential("The login was not finished in time; try again.") from None
        accept = self._accept.get(ticket.method)
        try:
            if accept is None or ticket.encoding != knock.codec.name or ticket.epoch != gate.epoch:
                raise LoginRefused("this ticket is for another login")
            proven = await accept(knock, ticket)
        except (LoginRefused, BadFrame):
            self._failed(knock, ticket)
            raise exc.InvalidCredential from None
        # Spent before anything begins: a recording of these bytes opens nothing, in any process, also after a logout.
        until = ticket.until + tickets.LIFE
        if not await gate.on_thread(gate.once.spend, knock.domain, SCOPE, ticket.id, until):
            gate.charge(knock.domain, knock.origin, Kind.REPLAY)
            raise exc.InvalidCredential
        self._succeeded(knock, ticket)
        return await self._enter(knock, ticket, proven)

    async def _opened(self, knock: Knock, data: bytes) -> Ticket:
        number, period = tickets.parts(data)
        now = time.time()
        if number not in self._gate.keys or not int(now) // tickets.PERIOD - 1 <= period <= int(now) // tickets.PERIOD:
            raise tickets.BadTicket("it is over")
        secret = await self._secret(knock.domain, period)
        key = self._gate.keys.domain(knock.domain, number).ticket_key
        return tickets.unseal(data, key, secret, knock.domain, now)

    def _failed(self, knock: Knock, ticket: Ticket) -> None:
        entry = self._entries.pop(ticket.id, None)
        if entry is not None:
            self._gate.ledger.lapse(entry, time.time())
        else:
            self._gate.charge(knock.domain, knock.origin, Kind.BAD_FRAME)

    def _succeeded(self, knock: Knock, ticket: Ticket) -> None:
        entry = self._entries.pop(ticket.id, None)
        if entry is not None:
            self._gate.ledger.succeed(entry, time.time())
            return
        self._hub.bus.tell("lane.login", ticket.id)  # whoever has counted it takes it back
        if ticket.method == "opaque":
            name = account_key(self._gate.account_secret(knock.domain), knock.domain, ticket.user)
            self._gate.ledger.account_succeeded(knock.domain, name, knock.origin, time.time())

    def elsewhere(self, id: Any) -> None:
        """Another process has seen the valid end of a login that began here."""
        entry = self._entries.pop(id, None) if isinstance(id, bytes) else None
        if entry is not None:
            self._gate.ledger.succeed(entry, time.time())

    async def _logged_in(self, knock: Knock, ticket: Ticket) -> Proven:
        expected, session_key, seen = ticket.secrets
        message = self._decode(knock, Authenticate)
        keys = PendingLogin(seen, expected, session_key, ticket.known, LANE).accept(knock.body, message.extra)
        account = await self._gate.settled(self._gate.accounts.get, knock.domain, ticket.user)
        if account is None or account.disabled or hashlib.sha256(account.record).digest() != ticket.record:
            raise LoginRefused("the password was changed meanwhile")
        return Proven(account, keys, None)

    async def _keyed(self, knock: Knock, ticket: Ticket) -> Proven:
        keys = self._proven(knock, ticket)
        found = await self._gate.settled(machine, self._gate, knock.domain, ticket.handle)
        if found is None:
            raise LoginRefused("there is no such key")
        return Proven(found[1], keys, None)

    def _proven(self, knock: Knock, ticket: Ticket) -> Keys:
        """The keys of a KK, if AUTHENTICATE opens with them."""
        keys = Keys(*ticket.secrets)
        self._decode(knock, Authenticate, LaneState(*keys).open(0, knock.body).plaintext)
        return keys

    async def _resumed(self, knock: Knock, ticket: Ticket) -> Proven:
        keys = self._proven(knock, ticket)
        found = await self._gate.settled(self._living, knock.domain, ticket.handle)
        if found is None:
            raise exc.UnknownSession
        return Proven(found[1], keys, found[0])

    # -- WELCOME ------------------------------------------------------------------------------------------------
    async def _enter(self, knock: Knock, ticket: Ticket, proven: Proven) -> bytes:
        answer, state = LaneState(*proven.keys).begin()
        slot = proven.slot or self._new_slot(knock, ticket, proven.account)
        key = rest_key(self._gate.keys.domain(slot.domain, slot.key_number).lane_key, slot.handle)
        kept = state.rest(key, os.urandom(12), lp(VERSION, "lane", slot.domain, slot.handle))
        row = LaneRow(slot.domain, slot.handle, knock.codec.name, ticket.method == "opaque", kept)
        try:
            if proven.slot is None:
                seat = await self._begin(knock, ticket, proven.account, Kept(slot, row))
            else:
                seat = await self._go_on(knock, Kept(slot, row))
            principal = await seat.principal(knock.origin, knock.tls)
        except exc.Error as error:
            return answer.seal(knock.codec.encode(Abort({"message": str(error), **error.to_wire()}, error.uri)))
        if proven.slot is None:
            self._hub.logins.begun(principal, seat.tab.id, "lane")
        return answer.seal(knock.codec.encode(self._welcome(seat, principal, ticket.method)))

    async def _begin(self, knock: Knock, ticket: Ticket, account: Account, kept: Kept) -> LaneSeat:
        """A new slot and its state. Its tab is there before, so that it ends with the user's others, whatever they do
        meanwhile."""
        hub, gate, (slot, row) = self._hub, self._gate, kept
        seat = LaneSeat(hub, self._lanes, kept)
        try:
            await gate.open_slot(slot, hub.config.domain(slot.domain).MAX_USER_SESSIONS, force=ticket.force)
            seat.row = await gate.on_thread(self._lanes.begin, row)
            await seat.principal(knock.origin, knock.tls)
            if seat.tab.record != account.record:
                raise exc.UnknownSession  # a new password was given meanwhile
        except BaseException:
            hub.tabs.remove(seat.tab)
            gate.ended[slot.handle], gate.reasons[slot.handle] = slot.domain, ""
            raise
        return seat

    async def _go_on(self, knock: Knock, kept: Kept) -> LaneSeat:
        """The slot goes on under other keys, once the store has them; the lane before it is over, everywhere."""
        hub, slot = self._hub, kept.slot
        row = await self._gate.on_thread(self._lanes.begin, kept.row)
        hub.bus.tell("lane.over", [slot.domain, slot.handle, knock.origin])
        self.over([slot.domain, slot.handle, knock.origin])
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

    def _new_slot(self, knock: Knock, ticket: Ticket, account: Account) -> Slot:
        key = ticket.handle if ticket.method == "key" else b""
        return self._gate.new_slot(account.domain, account.user, origin=knock.origin, kind="lane", key=key)

    def _welcome(self, seat: LaneSeat, principal: Principal, method: str) -> Welcome:
        slot, config = seat.slot, self._hub.config.domain(seat.slot.domain)
        return Welcome(seat.session, {**welcome(principal, method, slot.login, config), "x_slot": slot.handle})

    def _living(self, domain: str, handle: bytes) -> tuple[Slot, Account] | None:
        """`living`, for the lane. On a worker thread: the store is asked."""
        found = living(self._hub, domain, handle)
        return None if found is None or found[0].kind != "lane" or not found[0].public else found[:2]

    def _decode(self, knock: Knock, kind: type[Any], data: bytes | None = None) -> Any:
        try:
            message = knock.codec.decode(knock.body if data is None else data)
            if type(message) is kind:
                return message
        except (Malformed, Unacceptable):
            pass
        self._gate.charge(knock.domain, knock.origin, Kind.MALFORMED)
        raise exc.InvalidCall(f"This takes {kind.__name__.upper()} in the encoding that Content-Type names.")


def _with_challenge(ticket: Ticket, hello: bytes, challenge: bytes) -> Ticket:
    """The ticket with what binds it to the two open messages."""
    *held, last = ticket.secrets
    if ticket.method == "opaque":
        bound = (*held, last, lp(hello, challenge))
    else:  # KK: *last* is the handshake hash
        bound = (*held, resume_hash(last, hello, challenge))
    return msgspec.structs.replace(ticket, secrets=bound)


def _responder(own: PrivateKey, knock: Knock, name: bytes, public: bytes, epoch: int) -> ServerResume:
    return ServerResume(
        own,
        domain=knock.domain,
        subprotocol=f"limen.1.{knock.codec.name}",
        slot=name,
        public=public,
        epoch=epoch,
        entropy=secrets.token_bytes(32),
        lane=LANE,
    )


def _forced(hello: Hello) -> bool:
    """The user wants in, even if another session must end for it."""
    extra = hello.details.get("authextra")
    return isinstance(extra, dict) and extra.get("force") is True
