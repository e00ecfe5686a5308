"""SCRAM for WAMP (advanced profile, "Salted Challenge Response Authentication"; RFC 5802, RFC 7677), in both forms that
are about: the specification's `wamp-scram`, and Autobahn|Python's and Crossbar.io's `scram`.

                        wamp-scram                       scram
    Argon2id is called  argon2id13                       argon2id-13
    of which the key is the 32 bytes                     their base64 as a text, without padding
    c= of the message   base64 of "n,," or "p=…,,data"   empty
    AUTHENTICATE.Extra  nonce, channel binding           nothing
    a password is       prepared (RFC 4013)              taken as it is
    WELCOME says        verifier                         scram_server_signature

With PBKDF2 one record serves both. The server never learns the password; the record alone lets nobody in as the user,
but lets the server be impersonated, and guesses be tried: it is to be kept as a secret.
"""

from __future__ import annotations

import base64
import binascii
from hashlib import pbkdf2_hmac, sha256
from hmac import compare_digest, digest
from typing import Any, Final

from msgspec import Struct

from limen.core.wamp.auth.saslprep import saslprep

PBKDF2: Final = "pbkdf2"
ARGON2: Final = "argon2id13"
ARGON2_TEXT: Final = "argon2id-13"
KDFS: Final = (PBKDF2, ARGON2, ARGON2_TEXT)
MAX_NONCE: Final = 256
"""Characters of a client's nonce."""
MIN_ITERATIONS: Final = 4096
"""Of PBKDF2, below which a client answers nobody: who asks for less may be after an easy hash (RFC 7677, 4)."""
MAX_ITERATIONS: Final = 10_000_000
MAX_MEMORY: Final = 1 << 20
"""KiB that a client spends on Argon2id, at most."""


class Form(Struct, frozen=True):
    """One of the two ways to speak SCRAM. *kdfs*: which records it can use."""

    method: str
    kdfs: tuple[str, ...]
    verifier: str
    binds: bool


SPECIFIED: Final = Form("wamp-scram", (PBKDF2, ARGON2), "verifier", binds=True)
AUTOBAHN: Final = Form("scram", (PBKDF2, ARGON2_TEXT), "scram_server_signature", binds=False)
FORMS: Final = {form.method: form for form in (SPECIFIED, AUTOBAHN)}


class Credential(Struct, frozen=True):
    """The record that the server keeps (section "Data Stored on the Server"). *memory*: KiB, of Argon2id.

    >>> Credential("pbkdf2", b"salt", 4096, 0, bytes(32), bytes(32))
    Credential('pbkdf2')
    """

    kdf: str
    salt: bytes
    iterations: int
    memory: int
    stored_key: bytes
    server_key: bytes

    def __repr__(self) -> str:
        return f"Credential({self.kdf!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """What rich would show, which asks this first: nothing, too."""
        return []


class Binding(Struct, frozen=True):
    """What binds a login to its TLS connection. *kind*: "tls-unique" or another name of RFC 5929; *data*: its bytes,
    as this end sees them."""

    kind: str
    data: bytes


def derive(password: str, salt: bytes, kdf: str, iterations: int, memory: int = 0) -> Credential:
    """The record of a password. Raises ValueError for a password that can't be prepared, or wrong parameters."""
    key = salted_password(
        password if kdf == ARGON2_TEXT else saslprep(password, stored=True), salt, kdf, iterations, memory
    )
    return Credential(
        kdf, salt, iterations, memory, sha256(_client_key(key)).digest(), digest(key, b"Server Key", "sha256")
    )


def salted_password(password: str, salt: bytes, kdf: str, iterations: int, memory: int) -> bytes:
    """SaltedPassword: what all keys are made of. *password*: prepared already where it is to be."""
    raw = password.encode()
    if kdf == PBKDF2:
        return pbkdf2_hmac("sha256", raw, salt, iterations)
    if kdf not in KDFS:
        raise ValueError(f"SCRAM knows {', '.join(KDFS)}")
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    key = Argon2id(salt=salt, length=32, iterations=iterations, lanes=1, memory_cost=memory).derive(raw)
    return base64.b64encode(key).rstrip(b"=") if kdf == ARGON2_TEXT else key


def _client_key(salted: bytes) -> bytes:
    return digest(salted, b"Client Key", "sha256")


def auth_message(
    form: Form, authid: str, client_nonce: str, nonce: str, salt: str, iterations: int, binding: Binding | None
) -> bytes:
    """What both sides sign (section "AuthMessage"; RFC 5802, 3)."""
    name = authid.replace("=", "=3D").replace(",", "=2C") if form.binds else saslprep(authid)
    bound = ""
    if form.binds:
        flag = b"n,," if binding is None else b"p=" + binding.kind.encode() + b",," + binding.data
        bound = base64.b64encode(flag).decode()
    text = f"n={name},r={client_nonce},r={nonce},s={salt},i={iterations},c={bound},r={nonce}"
    return text.encode("utf-8", "surrogatepass")


class Refused(ValueError):
    """The other side's message is not one of SCRAM."""


class Server:
    """*authid*: as HELLO has it. *hello*: HELLO.authextra. *nonce*: the server's part, printable, never used before.
    *bindings*: what this end can bind to, by kind. Raises `Refused` where the login can't begin."""

    welcome: dict[str, Any] | None = None

    def __init__(
        self,
        form: Form,
        authid: str,
        hello: dict[str, Any],
        credential: Credential,
        nonce: str,
        bindings: dict[str, bytes] | None = None,
    ) -> None:
        mine = hello.get("nonce")
        if not isinstance(mine, str) or not _is_nonce(mine):
            raise Refused("SCRAM needs authextra.nonce, a random text of the client's")
        kind = hello.get("channel_binding") or None
        self._binding = None
        if kind is not None:
            data = (bindings or {}).get(kind) if form.binds and isinstance(kind, str) else None
            if data is None:
                raise Refused("that channel binding can't be had here")
            self._binding = Binding(kind, data)
        self._form, self._credential, self._nonce = form, credential, mine + nonce
        salt = base64.b64encode(credential.salt).decode()
        try:
            self._message = auth_message(form, authid, mine, self._nonce, salt, credential.iterations, self._binding)
        except ValueError:
            raise Refused("that name can't be prepared (RFC 4013)") from None

    def challenge(self) -> dict[str, Any]:
        credential = self._credential
        asked = {
            "nonce": self._nonce,
            "salt": base64.b64encode(credential.salt).decode(),
            "kdf": credential.kdf,
            "iterations": credential.iterations,
        }
        if credential.kdf != PBKDF2:
            return {**asked, "memory": credential.memory}
        return {**asked, "memory": None} if self._form.binds else asked  # Autobahn|Python takes no null

    def passed(self, signature: str, extra: dict[str, Any]) -> bool:
        proof = _bytes(signature)
        if proof is None or len(proof) != 32 or not self._repeats(extra):
            return False
        stored = self._credential.stored_key
        client_key = _xor(digest(stored, self._message, "sha256"), proof)
        if not compare_digest(sha256(client_key).digest(), stored):
            return False
        verifier = base64.b64encode(digest(self._credential.server_key, self._message, "sha256")).decode()
        self.welcome = {self._form.verifier: verifier}
        return True

    def _repeats(self, extra: dict[str, Any]) -> bool:
        """AUTHENTICATE.Extra says once more what HELLO and CHALLENGE said."""
        if not self._form.binds:
            return extra.get("nonce") in (None, self._nonce)
        kind, data = extra.get("channel_binding") or None, extra.get("cbind_data")
        if self._binding is None:
            bound = kind is None and not data
        else:
            said = _bytes(data) if isinstance(data, str) else None
            bound = kind == self._binding.kind and said is not None and compare_digest(said, self._binding.data)
        return extra.get("nonce") == self._nonce and bound


class Client:
    """The client's half of one login. *nonce*: 16 random bytes or more, in base64. *binding*: to what connection.

    HELLO.authextra = client.hello();  AUTHENTICATE = client.answer(CHALLENGE.extra);  client.verify(WELCOME.authextra)
    """

    def __init__(self, form: Form, authid: str, password: str, nonce: str, binding: Binding | None = None) -> None:
        self._form, self._authid, self._password, self._nonce, self._binding = form, authid, password, nonce, binding
        self._expected = ""

    def hello(self) -> dict[str, Any]:
        """HELLO.Details.authextra."""
        asked: dict[str, Any] = {"nonce": self._nonce}
        if self._form.binds:
            asked["channel_binding"] = None if self._binding is None else self._binding.kind
        return asked

    def answer(self, extra: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """AUTHENTICATE's signature and extra. Raises `Refused` for a challenge that should not be answered."""
        nonce, salt, kdf = extra.get("nonce"), extra.get("salt"), extra.get("kdf")
        iterations, memory = extra.get("iterations"), extra.get("memory") or 0
        if not isinstance(nonce, str) or not nonce.startswith(self._nonce) or nonce == self._nonce:
            raise Refused("the server's nonce does not continue the client's")
        raw = _bytes(salt) if isinstance(salt, str) else None
        if raw is None or kdf not in self._form.kdfs or type(iterations) is not int or type(memory) is not int:
            raise Refused("the challenge lacks salt, kdf, iterations or memory")
        least = MIN_ITERATIONS if kdf == PBKDF2 else 1
        if not least <= iterations <= MAX_ITERATIONS or memory > MAX_MEMORY:
            raise Refused(f"the challenge asks for {iterations} iterations with {memory} KiB")
        password = self._password if kdf == ARGON2_TEXT or not self._form.binds else saslprep(self._password)
        try:
            salted = salted_password(password, raw, kdf, iterations, memory)
        except ValueError as error:
            raise Refused(f"the challenge can't be worked out: {error}") from None
        assert isinstance(salt, str)
        message = auth_message(self._form, self._authid, self._nonce, nonce, salt, iterations, self._binding)
        self._expected = base64.b64encode(digest(digest(salted, b"Server Key", "sha256"), message, "sha256")).decode()
        client_key = _client_key(salted)
        proof = _xor(client_key, digest(sha256(client_key).digest(), message, "sha256"))
        return base64.b64encode(proof).decode(), self._said(nonce)

    def _said(self, nonce: str) -> dict[str, Any]:
        if not self._form.binds:
            return {}
        if self._binding is None:
            return {"nonce": nonce, "channel_binding": None, "cbind_data": None}
        data = base64.b64encode(self._binding.data).decode()
        return {"nonce": nonce, "channel_binding": self._binding.kind, "cbind_data": data}

    def verify(self, authextra: dict[str, Any] | None) -> bool:
        """Whether WELCOME shows that the server knows the record, and not only the way to WELCOME."""
        said = (authextra or {}).get(self._form.verifier)
        if not isinstance(said, str) or not self._expected:
            return False
        said = said.removeprefix("v=")  # the example of the specification has it, its text has not
        return compare_digest(said.encode("utf-8", "surrogatepass"), self._expected.encode())


def _is_nonce(text: str) -> bool:
    """RFC 5802's `printable`, which no comma is."""
    return 8 <= len(text) <= MAX_NONCE and all("!" <= char <= "~" and char != "," for char in text)


def _bytes(text: str) -> bytes | None:
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
