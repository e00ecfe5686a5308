"""WAMP-CRA (advanced profile, "Challenge Response Authentication"): HMAC-SHA-256 over a challenge, with a shared secret
or with a key that PBKDF2 made of one.

    >>> challenge = '{"nonce": "LHRTC9zeOIrt_9U3"}'
    >>> signature = answer("secret", {"challenge": challenge})
    >>> Server(Credential("secret"), challenge).passed(signature, {})
    True
"""

from __future__ import annotations

import base64
import json
from hashlib import pbkdf2_hmac
from hmac import compare_digest, digest
from typing import Any, Final

from msgspec import Struct

METHOD: Final = "wampcra"
MAX_ITERATIONS: Final = 10_000_000
"""More than this a client does not work out: a server could keep it busy for hours."""


class Credential(Struct, frozen=True):
    """What the server knows. *secret*: the secret that both share; with a *salt*, the key that was derived of it, in
    base64 (`salted`). *iterations*, *keylen*: of that PBKDF2.

    >>> Credential("secret")
    Credential()
    """

    secret: str
    salt: str = ""
    iterations: int = 1000
    keylen: int = 32

    def __repr__(self) -> str:
        return f"Credential(salt={self.salt!r})" if self.salt else "Credential()"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """What rich would show, which asks this first: nothing, too."""
        return []


def salted(secret: str, salt: str, iterations: int = 1000, keylen: int = 32) -> Credential:
    """The credential of a secret that the server need not know."""
    return Credential(derive(secret, salt, iterations, keylen), salt, iterations, keylen)


def derive(secret: str, salt: str, iterations: int, keylen: int) -> str:
    """PBKDF2-HMAC-SHA-256, in base64: that text is the key of the HMAC."""
    return base64.b64encode(pbkdf2_hmac("sha256", secret.encode(), salt.encode(), iterations, keylen)).decode()


def sign(key: str, challenge: str) -> str:
    """The signature of *challenge* by *key*: HMAC-SHA-256, in base64."""
    return base64.b64encode(digest(key.encode(), challenge.encode("utf-8", "surrogatepass"), "sha256")).decode()


def challenge(
    *, session: int, authid: str, authrole: str, authprovider: str, nonce: bytes, timestamp: str, **facts: str
) -> str:
    """What the client is to sign. *nonce*: random bytes. *timestamp*: ISO 8601, UTC."""
    about = {
        "authid": authid,
        "authrole": authrole,
        "authmethod": METHOD,
        "authprovider": authprovider,
        "nonce": base64.urlsafe_b64encode(nonce).decode().rstrip("="),
        "timestamp": timestamp,
        "session": session,
        **facts,
    }
    return json.dumps(about)


class Server:
    """*challenge*: a text that was never used before, of `challenge(…)`."""

    welcome: dict[str, Any] | None = None

    def __init__(self, credential: Credential, challenge: str) -> None:
        self._credential, self._challenge = credential, challenge

    def challenge(self) -> dict[str, Any]:
        credential = self._credential
        if not credential.salt:
            return {"challenge": self._challenge}
        return {
            "challenge": self._challenge,
            "salt": credential.salt,
            "iterations": credential.iterations,
            "keylen": credential.keylen,
        }

    def passed(self, signature: str, extra: dict[str, Any]) -> bool:
        expected = sign(self._credential.secret, self._challenge)
        return compare_digest(expected.encode(), signature.encode("utf-8", "surrogatepass"))


def answer(secret: str, extra: dict[str, Any]) -> str:
    """The client's half: AUTHENTICATE's signature for CHALLENGE.Extra. Raises ValueError for one that is not sound."""
    text, salt = extra.get("challenge"), extra.get("salt")
    if not isinstance(text, str):
        raise ValueError("a challenge of wampcra has a text to sign")
    if not salt:
        return sign(secret, text)
    iterations, keylen = extra.get("iterations", 1000), extra.get("keylen", 32)
    if not isinstance(salt, str) or type(iterations) is not int or type(keylen) is not int:
        raise ValueError("a salted challenge of wampcra has a salt, iterations and keylen")
    if not (0 < iterations <= MAX_ITERATIONS and 0 < keylen <= 1024):
        raise ValueError(f"a challenge of wampcra asks for {iterations} iterations of {keylen} bytes")
    return sign(derive(secret, salt, iterations, keylen), text)
