"""The entrance of `limen router`: who may come into which realm by which method, as its configuration says.

    HELLO  ->  Users: is it a user of the realm's configuration?          (users.py)
           ->  else the realm's authenticator, a procedure, is asked      (authenticator.py)
           ->  CHALLENGE, AUTHENTICATE: the machines of core/wamp/auth
           ->  WELCOME, or ABORT: wamp.error.authentication_denied, alike for wrong secrets and unknown names

Each login is in the ledger from before anything is looked up, by origin, and by name where a secret could be guessed.
An unknown name is asked what a known one is asked, and is refused after the same work.
"""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Callable, Collection, Coroutine
from typing import TYPE_CHECKING, Any, Final

from limen import exc
from limen.base.principal import ANONYMOUS
from limen.core.guard.ledger import Kind, account_key
from limen.core.wamp.auth import cryptosign, scram, ticket, tls, wampcra
from limen.door.hub.entrance import Admitted, Knocking
from limen.transport.tls import TLS_UNIQUE, certificate, channel_binding

from . import authenticator
from .users import Known, Users

if TYPE_CHECKING:
    from limen.core.wamp.auth import Exam
    from limen.core.wamp.session import Greeting
    from limen.door.router.config import Settings

    from .inside import CallInside

GUESSED: Final = frozenset({ticket.METHOD, wampcra.METHOD, *scram.FORMS})
"""Methods whose secrets a person may have chosen: who guesses is slowed by name, too."""
NO_BINDING: Final = "That channel binding can't be had here: tls-unique can, on TLS 1.2 that ends here."


class RouterEntrance:
    """*call*: how procedures are asked from within. *secret*: 32 bytes that the questions to unknown names hang on.
    They should outlive a restart, else a salt that has changed tells that the name is unknown; random if None."""

    def __init__(self, settings: Settings, call: CallInside, secret: bytes | None = None) -> None:
        self._call, self._secret = call, secrets.token_bytes(32) if secret is None else secret
        self._realms: dict[str, Users] = {}
        self.take(settings)

    def take(self, settings: Settings) -> None:
        """Another configuration from now on; logins under way end by it. Raises ValueError, and keeps what it has."""
        self.prepare(settings)()

    def prepare(self, settings: Settings) -> Callable[[], None]:
        """What `take` has to think about, on any thread; gives the rest, for the loop. Raises ValueError."""
        realms = {realm.name: Users(realm, self._secret) for realm in settings.realms}

        def change() -> None:
            self._realms = realms

        return change

    # -- Entrance ---------------------------------------------------------------------------------------------------
    def methods(self, connection: Knocking, realm: str) -> Collection[str] | None:
        users = self._realms.get(realm)
        if users is None:
            return None
        if tls.METHOD in users.methods and not certificate(connection.wire):
            return [method for method in users.methods if method != tls.METHOD]
        return users.methods

    def admit(self, connection: Knocking, greeting: Greeting) -> Admitted | Coroutine[Any, Any, Admitted]:
        if greeting.method != ANONYMOUS:
            return self._log_in(connection, greeting)
        retry_after = connection.hub.gate.refused(connection.domain, connection.origin)
        if retry_after is not None:
            raise exc.Abusive(retry_after=round(retry_after))
        role = self._realms[greeting.realm].settings.anonymous
        return Admitted(f"anonymous-{connection.session_id}", (role,), ANONYMOUS, "static")

    # -- logins -----------------------------------------------------------------------------------------------------
    async def _log_in(self, connection: Knocking, greeting: Greeting) -> Admitted:
        gate, domain, origin = connection.hub.gate, connection.domain, connection.origin
        guessed = greeting.method in GUESSED
        await gate.slow_down(domain, origin)
        self._may_guess(connection, greeting)
        entry = gate.ledger.issue(domain, origin, Kind.KE2 if guessed else Kind.KK1, time.time())
        account = account_key(self._secret, domain, greeting.authid)
        meant = self._realms[greeting.realm].named(greeting.authid)
        entry.user = meant.authid if meant is not None else None
        try:
            who, extra = await self._prove(connection, greeting)
        except BaseException as error:
            gate.ledger.lapse(entry, time.time())
            if guessed and isinstance(error, exc.InvalidCredential):
                gate.ledger.account_failed(domain, account, origin, time.time())
            raise
        entry.user = who.authid
        gate.ledger.succeed(entry, time.time())
        if guessed:
            gate.ledger.account_succeeded(domain, account, origin, time.time())
        said = {**(who.extra or {}), **(extra or {})}
        return Admitted(who.authid, who.roles, greeting.method, who.provider, user=who.authid, extra=said or None)

    def _may_guess(self, connection: Knocking, greeting: Greeting) -> None:
        """Asked when a login begins, and again before its answer is looked at: however many begin at once (a fleet
        that has one name, or somebody who guesses), those that fail are counted one by one. Raises `exc.Abusive`."""
        if greeting.method not in GUESSED:
            return
        domain, account = connection.domain, account_key(self._secret, connection.domain, greeting.authid)
        wait = connection.hub.gate.ledger.account_wait(domain, account, connection.origin, time.time())
        if wait > 0:
            raise exc.Abusive("That login was tried too often; wait a little.", retry_after=wait)

    async def _prove(self, connection: Knocking, greeting: Greeting) -> tuple[Known, dict[str, Any] | None]:
        """Who it is, and what WELCOME shows of the proof. Raises `exc.Error`."""
        users, method = self._realms[greeting.realm], greeting.method
        found = self._static(users, connection, greeting)
        dynamic = found is None and authenticator.takes(users.settings.authenticator, method)
        if dynamic and method != ticket.METHOD:
            found = await self._ask(users, connection, greeting)
        extra = None
        if method != tls.METHOD:
            exam = _exam(connection, greeting, users, found)
            answer = await connection.challenge(method, exam.challenge())
            self._may_guess(connection, greeting)
            if dynamic and method == ticket.METHOD:
                found = await self._ask(users, connection, greeting, ticket=answer.signature)
                passed = found is not None and (found.ticket is None or ticket.equal(found.ticket, answer.signature))
            else:
                passed = exam.passed(answer.signature, answer.extra)
            if not passed:
                raise exc.InvalidCredential
            extra = exam.welcome
        if found is None:
            raise exc.InvalidCredential
        now = self._realms.get(greeting.realm)
        if now is None or (found.provider == "static" and self._static(now, connection, greeting) != found):
            raise exc.InvalidCredential  # the configuration was changed meanwhile
        return found, extra

    def _static(self, users: Users, connection: Knocking, greeting: Greeting) -> Known | None:
        """Who of the configuration that is, and can come in by that method."""
        authid, method = greeting.authid, greeting.method
        if method == cryptosign.METHOD:
            return users.with_key(_public_key(greeting), authid)
        if method == tls.METHOD:
            return users.with_certificate(tls.names(certificate(connection.wire)), authid)
        known = users.named(authid)
        return known if known is not None and _can(known, method) else None

    async def _ask(self, users: Users, connection: Knocking, greeting: Greeting, **more: Any) -> Known | None:
        wire, method = connection.wire, greeting.method
        if method == tls.METHOD:
            more["certificate"] = list(tls.names(certificate(wire)))
        about = {
            "authmethod": method,
            "authextra": greeting.extra,
            "session": connection.session_id,
            "transport": {"protocol": wire.subprotocol, "client": wire.client, "tls": wire.tls},
            **more,
        }
        found = await authenticator.ask(self._call, users, greeting.authid, about)
        if found is not None and method == cryptosign.METHOD and found.public != _public_key(greeting):
            return None
        return found


def _can(known: Known, method: str) -> bool:
    match method:
        case ticket.METHOD:
            return known.ticket is not None
        case wampcra.METHOD:
            return known.cra is not None
    return method in known.scram


def _exam(connection: Knocking, greeting: Greeting, users: Users, found: Known | None) -> Exam:
    """The question for *found*, or, with the same work, one that nobody can answer."""
    nobody, method = users.nobody(greeting.authid), greeting.method
    known = nobody if found is None else found
    match method:
        case ticket.METHOD:
            return ticket.Server(known.ticket or nobody.ticket or "")
        case wampcra.METHOD:
            assert known.cra is not None
            return wampcra.Server(known.cra, _challenge(connection, users, known))
        case cryptosign.METHOD:
            return _cryptosign(connection, greeting)
    bindings = {} if (data := channel_binding(connection.wire, TLS_UNIQUE)) is None else {TLS_UNIQUE: data}
    nonce = base64.b64encode(secrets.token_bytes(18)).decode()
    try:
        form = scram.FORMS[method]
        return scram.Server(form, greeting.authid, greeting.extra, known.scram[method], nonce, bindings)
    except scram.Refused as refused:
        raise exc.InvalidCredential(f"{str(refused)[:1].upper()}{str(refused)[1:]}.") from None


def _challenge(connection: Knocking, users: Users, known: Known) -> str:
    now = time.time()
    return wampcra.challenge(
        session=connection.session_id,
        authid=known.authid,
        authrole=known.roles[0],
        authprovider="static" if users.settings.authenticator is None else "dynamic",
        nonce=secrets.token_bytes(18),
        timestamp=time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03}Z",
    )


def _cryptosign(connection: Knocking, greeting: Greeting) -> Exam:
    kind, channel = greeting.extra.get("channel_binding") or None, None
    if kind is not None:
        binding = channel_binding(connection.wire, kind) if isinstance(kind, str) else None
        if binding is None:
            raise exc.InvalidCredential(NO_BINDING)
        channel = cryptosign.channel_id(binding)
    return cryptosign.Server(_public_key(greeting), secrets.token_bytes(cryptosign.SIZE), kind, channel)


def _public_key(greeting: Greeting) -> bytes:
    try:
        return cryptosign.public_key(greeting.extra)
    except cryptosign.Refused as refused:
        raise exc.InvalidCredential(f"{str(refused)[:1].upper()}{str(refused)[1:]}.") from None
