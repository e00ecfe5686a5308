"""What a machine's credentials are: the file that `limen key new` writes, and the two ways to sign with them.

    kind       the file holds                           comes in by
    x25519     a private X25519 key, the domain's key   Noise KK, as a resume: a sealed session (docs/security.md)
    ed25519    a private Ed25519 key                    WAMP's cryptosign, on plain WAMP
    http       a shared secret (HMAC-SHA-256)           signed requests over plain HTTP

Pure: random bytes are arguments.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from limen import exc
from limen.base import base64url
from limen.core.seal.kdf import hkdf_expand, lp
from limen.core.seal.keys import DomainKeys
from limen.core.seal.noise import PrivateKey

ID: Final = 16
"""Bytes that name a key."""
PUBLIC: Final = 32
KINDS: Final = ("x25519", "ed25519", "http")
_NONCE: Final = 12
_NO_FILE = "This is no credentials file of Limen's (`limen key new` writes one)."


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a program needs to come in without a person. Shows neither its private half nor its secret.

    *id*: names the key, in hexadecimal digits. *private*: 32 bytes in hexadecimal digits, of an "http" key the secret,
    a text. *server*: the domain's public X25519 key, hexadecimal ("x25519" only); *number*: which one that is.

    >>> robot = Credentials("x25519", "localhost", "robot", "00" * 16, "11" * 32, "22" * 32, 1)
    >>> robot
    Credentials(kind='x25519', domain='localhost', user='robot', id='00000000000000000000000000000000')
    >>> load(robot.dump()) == robot
    True
    """

    kind: str
    domain: str
    user: str
    id: str
    private: str = field(repr=False)
    server: str = field(default="", repr=False)
    number: int = field(default=1, repr=False)

    def dump(self) -> str:
        """The content of the file. Secret."""
        return json.dumps({"limen": 1, **asdict(self)}, indent=1) + "\n"

    @property
    def handle(self) -> bytes:
        """The id as the bytes that travel."""
        return bytes.fromhex(self.id)

    @property
    def key(self) -> PrivateKey:
        """The X25519 key of a sealed session."""
        return PrivateKey(bytes.fromhex(self.private))

    @property
    def server_key(self) -> bytes:
        """The domain's public X25519 key."""
        return bytes.fromhex(self.server)


def load(text: str | bytes) -> Credentials:
    """The credentials that a file holds. Raises `exc.InvalidCredential` for any other text, and shows none of it."""
    try:
        data: dict[str, Any] = json.loads(text)
        if data.pop("limen") != 1:
            raise ValueError
        found = Credentials(**data)
        texts = (found.kind, found.domain, found.user, found.id, found.private, found.server)
        if found.kind not in KINDS or not all(type(value) is str for value in texts) or type(found.number) is not int:
            raise ValueError
        sizes = [(found.id, ID)]
        if found.kind != "http":
            sizes.append((found.private, PUBLIC))
        if found.kind == "x25519":
            sizes.append((found.server, PUBLIC))
        if any(len(bytes.fromhex(value)) != size for value, size in sizes):
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError):
        raise exc.InvalidCredential(_NO_FILE) from None
    return found


# -- cryptosign -------------------------------------------------------------------------------------------------
def ed25519_id(public: bytes) -> bytes:
    """The id of an Ed25519 key: whoever shows the key is found by it."""
    return hashlib.sha256(lp("limen-1 ed25519", public)).digest()[:ID]


def ed25519_public(private: bytes) -> bytes:
    """The public half of 32 random bytes."""
    return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


# -- secrets of signed requests -----------------------------------------------------------------------------------
def new_secret(entropy: bytes) -> str:
    """A secret of signed requests: *entropy* (32 random bytes) as text, to be put into other programs' settings."""
    return base64url.encode(entropy)


def seal_secret(keys: DomainKeys, id: bytes, secret: str, nonce: bytes) -> bytes:
    """The secret as it is kept: the server needs it to check a signature, the database alone must not give it away."""
    return nonce + AESGCM(_wrapping(keys)).encrypt(nonce, secret.encode(), lp("limen-1", keys.domain, id))


def open_secret(keys: DomainKeys, id: bytes, sealed: bytes) -> str | None:
    """The secret that was sealed; None where it was sealed for another key, domain or key file."""
    try:
        return (
            AESGCM(_wrapping(keys)).decrypt(sealed[:_NONCE], sealed[_NONCE:], lp("limen-1", keys.domain, id)).decode()
        )
    except (InvalidTag, ValueError):
        return None


def _wrapping(keys: DomainKeys) -> bytes:
    return hkdf_expand(keys.fake_key, lp("machine secret"), 32)


def signature(secret: str, *parts: bytes) -> bytes:
    """HMAC-SHA-256 over the *parts*, one behind the other, 32 bytes."""
    return hmac.digest(secret.encode(), b"".join(parts), "sha256")
