"""The users of one realm as a login looks them up: made of the configuration once, asked for by name, key, certificate.

What nobody has stands in for who is unknown (`core/wamp/auth/fakes.py`); it is made for each login, whoever comes.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from limen.base.principal import ANONYMOUS
from limen.core.wamp.auth import cryptosign, fakes, scram, ticket, tls, wampcra

if TYPE_CHECKING:
    from limen.door.router.config import RealmSettings, Scram, User

SALT: Final = 16
"""Bytes of a salt that is made here."""
ALIKE: Final = 64
"""Kinds of records, and of roles, that the unknown are made like, at most."""


class Known(Struct, frozen=True):
    """Somebody who may come in, and how that is proved. *scram*: records by WAMP's method. *public*: the Ed25519 key.
    *extra*: WELCOME's authextra. Shows no secret."""

    authid: str
    roles: tuple[str, ...]
    provider: str = "static"
    ticket: str | None = None
    cra: wampcra.Credential | None = None
    scram: dict[str, scram.Credential] = {}
    public: bytes | None = None
    extra: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return f"Known({self.authid!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


class Users:
    """Those of one realm's configuration. *secret*: what fakes, and the salts of passwords, hang on. Raises ValueError
    for a record, key or certificate that is none."""

    def __init__(self, settings: RealmSettings, secret: bytes) -> None:
        self.settings, self._secret = settings, secret
        self.roles = frozenset(role.name for role in settings.roles)
        self._names: dict[str, Known] = {}
        self._keys: dict[bytes, list[Known]] = {}
        self._certificates: dict[str, list[Known]] = {}
        self._alike_roles: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._alike_cra: dict[object, wampcra.Credential] = {}
        self._alike_scram: dict[str, dict[object, scram.Credential]] = {method: {} for method in scram.FORMS}
        for user in settings.users:
            known = self._names[user.name] = self._known(user)
            self.seen(known)
            for key in user.cryptosign:
                self._keys.setdefault(_sized(key, 32), []).append(known)
            for name in user.tls:
                self._certificates.setdefault(tls.normal(name), []).append(known)
        self.methods = self._methods()

    def _methods(self) -> tuple[str, ...]:
        authenticator, names = self.settings.authenticator, self._names.values()
        asked = set[str](() if authenticator is None else authenticator.methods)
        taken = {
            ANONYMOUS: bool(self.settings.anonymous),
            ticket.METHOD: any(known.ticket is not None for known in names),
            wampcra.METHOD: any(known.cra is not None for known in names),
            **{method: any(method in known.scram for known in names) for method in scram.FORMS},
            cryptosign.METHOD: bool(self._keys),
            tls.METHOD: bool(self._certificates),
        }
        return tuple(method for method, has in taken.items() if has or method in asked)

    def _known(self, user: User) -> Known:
        given = user.wampcra
        return Known(
            user.name,
            user.roles,
            ticket=None if user.ticket is None else user.ticket.value,
            cra=None
            if given is None
            else wampcra.Credential(given.secret.value, given.salt, given.iterations, given.keylen),
            scram={} if user.scram is None else self._records(user.name, user.scram),
        )

    def _records(self, name: str, given: Scram) -> dict[str, scram.Credential]:
        if given.password is None:
            return records(given.kdf, given.salt, given.iterations, given.memory, given.stored_key, given.server_key)
        salt, made = fakes.draw(self._secret, self.settings.name, name, "password")[:SALT], {}
        for form in scram.FORMS.values():
            kdf = scram.PBKDF2 if given.kdf == scram.PBKDF2 else form.kdfs[-1]
            made[form.method] = scram.derive(given.password.value, salt, kdf, given.iterations, given.memory)
        return made

    # -- who is it? -------------------------------------------------------------------------------------------------
    def named(self, authid: str) -> Known | None:
        return self._names.get(authid)

    def with_key(self, public: bytes, authid: str) -> Known | None:
        """Whose key that is; *authid*, unless it is empty, must be of the same."""
        return _one(self._keys.get(public, []), authid)

    def with_certificate(self, names: Iterable[str], authid: str) -> Known | None:
        """Whose certificate that is, by the first of its *names* that somebody has."""
        return next((found for name in names if (found := _one(self._certificates.get(name, []), authid))), None)

    # -- who is nobody ----------------------------------------------------------------------------------------------
    def nobody(self, authid: str) -> Known:
        """Who stands in for an unknown name: there is a secret for each method, and nobody knows it."""
        draw = (self._secret, self.settings.name, authid)
        return Known(
            authid,
            fakes.choose(*draw, [*self._alike_roles] or [(ANONYMOUS,)]),
            ticket=fakes.draw(*draw, "ticket").hex(),
            cra=fakes.cra(*draw, [*self._alike_cra.values()]),
            scram={
                method: fakes.record(*draw, [*self._alike_scram[method].values()] or [_usual(form)])
                for method, form in scram.FORMS.items()
            },
        )

    def seen(self, known: Known) -> None:
        """Somebody whom others can see from outside; the unknown are to look alike."""
        _add(self._alike_roles, known.roles, known.roles)
        if known.cra is not None:
            cra = known.cra
            _add(self._alike_cra, (len(cra.salt), cra.iterations, cra.keylen), cra)
        for method, made in known.scram.items():
            _add(self._alike_scram[method], (made.kdf, len(made.salt), made.iterations, made.memory), made)


def _one(found: list[Known], authid: str) -> Known | None:
    return next((known for known in found if authid in ("", known.authid)), None)


def _add(kinds: dict[Any, Any], kind: object, one: object) -> None:
    if len(kinds) < ALIKE:
        kinds.setdefault(kind, one)


def _usual(form: scram.Form) -> scram.Credential:
    """What records of that form mostly are, where none is known yet."""
    return scram.Credential(form.kdfs[-1], bytes(SALT), 4096, 512, bytes(32), bytes(32))


def records(
    kdf: str, salt: str, iterations: int, memory: int, stored_key: str, server_key: str
) -> dict[str, scram.Credential]:
    """A record of SCRAM as configurations have it, keys in hexadecimal or base64, by each method of WAMP that can use
    it. Raises ValueError."""
    if kdf not in scram.KDFS:
        raise ValueError(f"a record of SCRAM is by {', '.join(scram.KDFS)}")
    keys = _sized(stored_key, 32), _sized(server_key, 32)
    made = scram.Credential(kdf, _bytes(salt), iterations, 0 if kdf == scram.PBKDF2 else memory, *keys)
    return {form.method: made for form in scram.FORMS.values() if kdf in form.kdfs}


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        pass
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("a salt or key is written in hexadecimal or in base64") from None


def _sized(text: str, size: int) -> bytes:
    raw = _bytes(text)
    if len(raw) != size:
        raise ValueError(f"a key has {size} bytes, in hexadecimal or in base64")
    return raw
