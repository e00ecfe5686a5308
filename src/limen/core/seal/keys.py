"""The server's keys: one secret per number, everything else derived from it, domain by domain.

    >>> ring = KeyRing({1: b"x" * 64})
    >>> ring
    KeyRing(numbers=(1,))
    >>> ring.domain("a.example").public_key == ring.domain("b.example").public_key
    False

docs/security.md, Keys at rest, has the bytes. The secrets live in the key file (`store/keyfile.py` reads and writes
it), or in the process with a memory store.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from limen.core.seal.kdf import hkdf_expand, hkdf_extract, lp
from limen.core.seal.noise import PrivateKey
from limen.core.seal.opaque import derive_diffie_hellman_key_pair, fake_record

SECRET: Final = 64
"""Bytes of one secret."""
_CACHE: Final = 1024
"""Domains whose keys are kept; deriving them takes about 0.2 ms."""


class BadKeys(ValueError):
    """This is no key file of Limen's."""


@dataclass(frozen=True, slots=True)
class DomainKeys:
    """What one secret gives one domain. Shows numbers, never keys."""

    number: int
    domain: str
    oprf_seed: bytes = field(repr=False)
    private_key: bytes = field(repr=False)
    """OPAQUE's server key."""
    public_key: bytes = field(repr=False)
    resume: PrivateKey = field(repr=False)
    """The domain key (X25519) of Noise KK."""
    fake_key: bytes = field(repr=False)
    lane_key: bytes = field(repr=False)
    """Under it the states of the HTTP lane are kept."""
    ticket_key: bytes = field(repr=False)
    """Under it, and a passing secret, travels a login of the HTTP lane between its two requests."""

    def fake_record(self, user: str) -> bytes:
        """The record of a *user* who is not there; the same name always gets the same."""
        _, client_public = derive_diffie_hellman_key_pair(hkdf_expand(self.fake_key, lp("client", user), 32))
        return fake_record(client_public, hkdf_expand(self.fake_key, lp("masking", user), 64))


class KeyRing:
    """The numbered secrets of a server."""

    __slots__ = ("_domains", "_roots", "_secrets")

    def __init__(self, secrets: Mapping[int, bytes]) -> None:
        """*secrets*: number (from 1) to 64 random bytes; BadKeys when there is none or one of another length."""
        if not secrets or any(len(secret) != SECRET for secret in secrets.values()):
            raise BadKeys(f"a key ring takes at least one secret, of {SECRET} bytes each")
        if any(type(number) is not int or number < 1 for number in secrets):
            raise BadKeys("keys are numbered from 1")
        self._secrets = dict(sorted(secrets.items()))
        self._roots = {n: hkdf_extract(b"limen-1 keys", secret) for n, secret in self._secrets.items()}
        self._domains: dict[tuple[int, str], DomainKeys] = {}

    @classmethod
    def load(cls, text: str | bytes) -> KeyRing:
        """The ring of a key file's content; BadKeys says what is wrong with it, without showing any of it."""
        try:
            data = json.loads(text)
            if not isinstance(data, dict) or data.get("limen") != 1:
                raise BadKeys("this is not a key file of Limen's")
            rows = [(row["number"], b64decode(row["secret"], validate=True)) for row in data["keys"]]
        except (ValueError, KeyError, TypeError, Base64Error) as error:
            if isinstance(error, BadKeys):
                raise
            raise BadKeys("this key file is damaged") from None
        secrets = dict(rows)
        if len(secrets) != len(rows):
            raise BadKeys("this key file has a number twice")
        return cls(secrets)

    def dump(self) -> str:
        """The content of the key file. Secret."""
        keys = [{"number": n, "secret": b64encode(secret).decode()} for n, secret in self._secrets.items()]
        return json.dumps({"limen": 1, "keys": keys}, indent=1) + "\n"

    def add(self, secret: bytes) -> KeyRing:
        """A new ring with one more secret, which new records will use."""
        return KeyRing({**self._secrets, self.current + 1: secret})

    @property
    def numbers(self) -> tuple[int, ...]:
        """All numbers, rising."""
        return tuple(self._secrets)

    @property
    def first(self) -> int:
        """The number under which nobody's record is made: it stays when keys are added, and tells no names apart."""
        return next(iter(self._secrets))

    @property
    def current(self) -> int:
        """The number that new records and new slots use."""
        return next(reversed(self._secrets))

    def fingerprint(self, number: int) -> str:
        """32 hex digits that name the secret and tell nothing of it; the database keeps them."""
        return hkdf_expand(self._roots[number], lp("fingerprint"), 64)[:16].hex()

    @property
    def fingerprints(self) -> dict[int, str]:
        """Number to fingerprint, of all."""
        return {number: self.fingerprint(number) for number in self._secrets}

    def domain(self, name: str, number: int | None = None) -> DomainKeys:
        """The keys of one domain; without *number*: the current ones. KeyError when there is no such number."""
        number = self.current if number is None else number
        keys = self._domains.get((number, name))
        if keys is None:
            if len(self._domains) >= _CACHE:
                self._domains.clear()
            keys = self._domains[number, name] = self._derive(name, number)
        return keys

    def _derive(self, name: str, number: int) -> DomainKeys:
        root = self._roots[number]
        private, public = derive_diffie_hellman_key_pair(hkdf_expand(root, lp("opaque", name), 32))
        return DomainKeys(
            number=number,
            domain=name,
            oprf_seed=hkdf_expand(root, lp("oprf seed", name), 64),
            private_key=private,
            public_key=public,
            resume=PrivateKey(hkdf_expand(root, lp("resume", name), 32)),
            fake_key=hkdf_expand(root, lp("fake", name), 64),
            lane_key=hkdf_expand(root, lp("lane", name), 32),
            ticket_key=hkdf_expand(root, lp("ticket", name), 32),
        )

    def __contains__(self, number: int) -> bool:
        return number in self._secrets

    def __repr__(self) -> str:
        return f"KeyRing(numbers={self.numbers})"
