"""The greeting of a sealed session: a login with a password (OPAQUE) or with a machine's key, or a resume with a slot's
key (docs/security.md). Plain WAMP's is `entrance.py`.

    HELLO          begin    an Attempt, and what CHALLENGE says
    AUTHENTICATE            the door opens it with the attempt's keys: one connection has them (`door/ws/login.py`), or
                            a ticket that travels (`door/lane/login.py`)
                   proven   who it is by then

What it guards, in either door:

- every KE2 that goes out counts as an attempt until a valid KE3 takes it back (`Ledger.issue`, `succeed`, `lapse`);
- unknown users, and machines, which have no password, get the same bytes from the same work;
- **a resume, or a login with a key, changes nothing on the server before its AUTHENTICATE opens**: its message 1 may
  be anyone's recording.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from limen import exc
from limen.core.guard.ledger import Kind, account_key
from limen.core.seal.login import LoginRefused, ServerLogin, ServerResume, key_of, slot_of

from .identity import living, machine

if TYPE_CHECKING:
    from limen.core.guard.accounts import Account, Slot
    from limen.core.guard.ledger import Entry
    from limen.core.seal.noise import PrivateKey
    from limen.core.wamp.messages import Hello

    from .hub import Hub


class Knock(NamedTuple):
    """A HELLO, with the exact bytes of its *frame*. *domain*, *origin*: where it came in, and from where."""

    domain: str
    origin: str
    encoding: str
    hello: Hello
    frame: bytes

    @property
    def extra(self) -> object:
        return self.hello.details.get("authextra")

    @property
    def subprotocol(self) -> str:
        return f"limen.1.{self.encoding}"


class Attempt:
    """A login that HELLO has begun. *user*, or *handle* (of a slot or a key): who it claims to be. *record*: SHA-256 of
    the OPAQUE record that it must fit. *extra*: what CHALLENGE says. *account*, *slot*: what was found, as of HELLO."""

    __slots__ = ("account", "changes", "entry", "extra", "handle", "method", "record", "server", "slot", "user")

    def __init__(self, method: str, changes: int) -> None:
        self.method, self.changes = method, changes
        self.user, self.handle, self.record = "", b"", b""
        self.account: Account | None = None
        self.slot: Slot | None = None
        self.entry: Entry
        self.server: ServerLogin | ServerResume
        self.extra: dict[str, Any] = {}


class Claim(Protocol):
    """What of an `Attempt` must be known where its AUTHENTICATE arrives."""

    @property
    def method(self) -> str: ...
    @property
    def user(self) -> str: ...
    @property
    def handle(self) -> bytes: ...
    @property
    def record(self) -> bytes: ...


class Proven(NamedTuple):
    """Who has come in: *account* has the roles and the profile. *slot*: that goes on; None for a new login. *key*: the
    id of the machine's key. *by*: who acts as that account."""

    account: Account
    slot: Slot | None = None
    key: bytes = b""
    by: str | None = None


class Greeter:
    """*lane*: the way in, as both sides have it in what they agree on. *may_resume(slot, origin)*: whether a slot's
    session may come back this way."""

    def __init__(self, hub: Hub, lane: str, may_resume: Callable[[Slot, str], bool]) -> None:
        self._hub, self._gate, self._lane, self._may_resume = hub, hub.gate, lane, may_resume
        self._look: dict[str, Callable[[Knock, Attempt], Awaitable[ServerLogin | ServerResume]]] = {
            "opaque": self._login,
            "resume": self._resume,
            "key": self._key,
        }
        """What looks for who is meant, and has the server's half of the handshake, by HELLO's authmethod."""

    @property
    def methods(self) -> tuple[str, ...]:
        return tuple(self._look)

    # -- HELLO --------------------------------------------------------------------------------------------------
    async def begin(self, knock: Knock) -> Attempt:
        """What answers HELLO, whose method is one of `methods`. It counts as an attempt from now on, until `succeed`.

        Raises `LoginRefused` and what is told: `exc.InvalidCredential`, `exc.UnknownSession`, `exc.Abusive`.
        """
        gate, method = self._gate, method_of(knock.hello)
        attempt = Attempt(method, gate.accounts.changes)
        kind, account = Kind.KK1, None
        if method == "opaque":
            user = knock.hello.details.get("authid")
            if not isinstance(user, str):
                raise exc.InvalidCredential
            attempt.user = user
            kind, account = Kind.KE2, account_key(gate.account_secret(knock.domain), knock.hello.realm, user)
        else:
            attempt.handle = slot_of(knock.extra) if method == "resume" else key_of(knock.extra)
        attempt.entry = gate.ledger.issue(knock.domain, knock.origin, kind, time.time(), account=account)
        try:
            attempt.server = await self._look[method](knock, attempt)
            attempt.extra = attempt.server.challenge(knock.frame, knock.extra)
        except BaseException as problem:
            self.lapse(attempt)
            if method == "resume" and isinstance(problem, LoginRefused):
                raise exc.UnknownSession from None  # not of this slot's key: told like a slot that is not there
            raise
        return attempt

    async def _login(self, knock: Knock, attempt: Attempt) -> ServerLogin:
        gate, realm = self._gate, knock.hello.realm
        account = attempt.account = await gate.on_thread(gate.accounts.get, realm, attempt.user)
        attempt.record = _digest(account)
        there = account if realm == knock.domain else None
        attempt.entry.user = there.user if there is not None else None
        known = there if there is not None and not there.disabled else None
        return ServerLogin(
            gate.keys,
            domain=realm,
            subprotocol=knock.subprotocol,
            user=attempt.user,
            record=(known.record or None) if known is not None else None,
            number=known.key_number if known is not None else None,
            entropy=secrets.token_bytes(96),
            lane=self._lane,
        )

    async def _resume(self, knock: Knock, attempt: Attempt) -> ServerResume:
        gate, found = self._gate, None
        if knock.hello.realm == knock.domain:
            found = await gate.on_thread(self._living, knock.domain, attempt.handle, knock.origin)
        if found is None:
            raise exc.UnknownSession
        slot = attempt.slot = found[0]
        attempt.entry.user = slot.user
        own = gate.keys.domain(slot.domain, slot.key_number).resume
        return self._responder(own, knock, attempt.handle, slot.public, gate.epoch)

    async def _key(self, knock: Knock, attempt: Attempt) -> ServerResume:
        """A machine's login: the handshake of a resume, with the key that an operator gave it."""
        gate, found = self._gate, None
        if knock.hello.realm == knock.domain:
            found = await gate.on_thread(machine, gate, knock.domain, attempt.handle)
        attempt.entry.user = found[0].user if found is not None else None
        own = gate.keys.domain(knock.domain, found[0].key_number if found is not None else None).resume
        public = found[0].public if found is not None else own.public  # nobody's: the same work, and refused alike
        return self._responder(own, knock, attempt.handle, public, 0)

    def _responder(self, own: PrivateKey, knock: Knock, name: bytes, public: bytes, epoch: int) -> ServerResume:
        return ServerResume(
            own,
            domain=knock.domain,
            subprotocol=knock.subprotocol,
            slot=name,
            public=public,
            epoch=epoch,
            entropy=secrets.token_bytes(32),
            lane=self._lane,
        )

    # -- AUTHENTICATE -------------------------------------------------------------------------------------------
    async def proven(self, domain: str, origin: str, claim: Claim) -> Proven:
        """Who it is whose AUTHENTICATE has opened: user, slot and roles as they are now. From here to WELCOME nothing
        shall wait. Raises `LoginRefused`, `exc.UnknownSession`."""
        gate = self._gate
        if claim.method == "resume":
            found = await gate.settled(self._living, domain, claim.handle, origin)
            if found is None or claim.handle in gate.ended:
                raise exc.UnknownSession
            slot, account, by = found
            return Proven(account, slot, slot.key, by)
        if claim.method == "key":
            key = await gate.settled(machine, gate, domain, claim.handle)
            if key is None:
                raise LoginRefused("there is no such key")
            return Proven(key[1], key=claim.handle)
        if isinstance(claim, Attempt) and claim.changes == gate.accounts.changes:
            # A second trip to a thread for each login would cost as much as a key exchange.
            now = claim.account
        else:  # the password may have been changed, or the user removed
            now = await gate.settled(gate.accounts.get, domain, claim.user)
        if now is None or now.disabled or _digest(now) != claim.record:
            raise LoginRefused("the password was changed meanwhile")
        return Proven(now)

    def succeed(self, attempt: Attempt) -> None:
        """It is who it claimed to be."""
        self._gate.ledger.succeed(attempt.entry, time.time())

    def lapse(self, attempt: Attempt) -> None:
        """It came to nothing: now it counts."""
        self._gate.ledger.lapse(attempt.entry, time.time())

    def _living(self, domain: str, handle: bytes, origin: str) -> tuple[Slot, Account, str | None] | None:
        """`living`, for this way in. On a worker thread: the store is asked."""
        found = living(self._hub, domain, handle)
        return found if found is not None and self._may_resume(found[0], origin) else None


def method_of(hello: Hello) -> str:
    """The one authmethod that HELLO names; "" for none, or several."""
    methods = hello.details.get("authmethods")
    method = methods[0] if isinstance(methods, list) and len(methods) == 1 else None
    return method if isinstance(method, str) else ""


def is_forced(hello: Hello) -> bool:
    """The user wants in, even if another session must end for it."""
    extra = hello.details.get("authextra")
    return isinstance(extra, dict) and extra.get("force") is True


def _digest(account: Account | None) -> bytes:
    """As long for a user who is not there."""
    return hashlib.sha256(account.record if account is not None else b"").digest()
