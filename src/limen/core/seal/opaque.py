"""OPAQUE-3DH (RFC 9807) over ristretto255 and SHA-512: a login in which the password never travels, and from which a
server learns nothing it could try passwords on without its own key file.

Registration, once:

    >>> blind, nonce = (7).to_bytes(32, "little"), bytes(32)
    >>> private, public = derive_diffie_hellman_key_pair(bytes(32))
    >>> request = registration_request(b"secret", blind)
    >>> response = registration_response(request, public, b"ada", bytes(64))
    >>> record, _ = registration_record(b"secret", blind, response, nonce, ksf=identity)

Login, three messages:

    >>> client = Client(b"secret", blind=blind, nonce=nonce, keyshare_seed=bytes(32), ksf=identity)
    >>> server = Server(oprf_seed=bytes(64), private_key=private, public_key=public, credential_identifier=b"ada",
    ...                 record=record, masking_nonce=nonce, nonce=nonce, keyshare_seed=bytes(32))
    >>> ke3 = client.ke3(server.ke2(client.ke1))
    >>> server.finish(ke3) == client.session_key
    True

Entropy comes as arguments, so every run can be repeated; who calls must give fresh bytes each time. Objects hold
secrets in private slots and show none of them.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from hmac import compare_digest, digest
from typing import Final

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from limen.core.seal import oprf
from limen.core.seal.kdf import hkdf_expand, hkdf_extract, xor
from limen.core.seal.oprf import DeserializeError, OpaqueError

Ksf = Callable[[bytes], bytes]
"""A key stretching function: the OPRF's 64 bytes to 64 bytes, slowly."""

NN: Final = 32  # nonces
NPK: Final = 32  # public keys
NH: Final = 64  # hashes, MACs
ENVELOPE: Final = NN + NH
RECORD: Final = NPK + NH + ENVELOPE
KE1: Final = 96
KE2: Final = 320
KE3: Final = 64


class EnvelopeRecoveryError(OpaqueError):
    """The envelope does not open: another password, another user, another server."""


class ServerAuthenticationError(OpaqueError):
    """The server did not prove that it holds the record."""


class ClientAuthenticationError(OpaqueError):
    """The client did not prove that it knows the password."""


_ONE_AT_A_TIME: Final = threading.Lock()
"""For several lanes cryptography sets OpenSSL's number of threads, which the whole process shares, and sets it back: of
two that derive at once one finds none, and raises MemoryError or waits for ever (seen with cryptography 50)."""


def argon2id(data: bytes) -> bytes:
    """Limen's key stretching: Argon2id, t = 3, m = 64 MiB, p = 4, 16 zero bytes of salt, 64 bytes out (RFC 9106).

    About 0.1 to 0.2 s: never on the event loop. The parameters are fixed; they never come off the wire.
    """
    kdf = Argon2id(salt=bytes(16), length=NH, iterations=3, lanes=4, memory_cost=65536)
    with _ONE_AT_A_TIME:
        return bytes(kdf.derive(data))


def identity(data: bytes) -> bytes:
    """No stretching: for test vectors only."""
    return data


def derive_diffie_hellman_key_pair(seed: bytes) -> tuple[bytes, bytes]:
    """(private, public) of the key exchange out of 32 bytes (RFC 9807, 6.4.1.1)."""
    return oprf.derive_key_pair(seed, b"OPAQUE-DeriveDiffieHellmanKeyPair")


# -- registration (RFC 9807, 5) ---------------------------------------------------------------------------------
def registration_request(password: bytes, blind: bytes) -> bytes:
    """Client, first message: 32 bytes. *blind*: a random scalar (`oprf.random_scalar`)."""
    return oprf.blind_element(password, blind)


def registration_response(
    request: bytes, server_public_key: bytes, credential_identifier: bytes, oprf_seed: bytes
) -> bytes:
    """Server, second message: 64 bytes. DeserializeError when *request* is no element."""
    evaluated = oprf.blind_evaluate(_oprf_key(oprf_seed, credential_identifier), request)
    return evaluated + server_public_key


def registration_record(
    password: bytes,
    blind: bytes,
    response: bytes,
    envelope_nonce: bytes,
    *,
    server_identity: bytes | None = None,
    client_identity: bytes | None = None,
    ksf: Ksf = argon2id,
) -> tuple[bytes, bytes]:
    """Client, third message: the record of 192 bytes that the server keeps, and the export key."""
    _length(response, 32 + NPK, "a registration response")
    _length(envelope_nonce, NN, "a nonce")
    server_public = oprf.check_element(response[32:])
    randomized = _randomized_password(password, blind, response[:32], ksf)
    keys = _EnvelopeKeys(randomized, envelope_nonce)
    tag = keys.tag(server_public, server_identity, client_identity)
    record = keys.public_key + _masking_key(randomized) + envelope_nonce + tag
    return record, keys.export_key


def check_record(record: bytes) -> bytes:
    """*record* itself, when it has a record's form; else DeserializeError. For what comes from outside."""
    _length(record, RECORD, "a record")
    oprf.check_element(record[:NPK])
    return bytes(record)


def fake_record(client_public_key: bytes, masking_key: bytes) -> bytes:
    """The record of nobody (RFC 9807, 6.3.2.2): opens under no password."""
    return client_public_key + masking_key + bytes(ENVELOPE)


# -- login (RFC 9807, 6) ----------------------------------------------------------------------------------------
class Client:
    """The client of one login. `ke1` goes out, `ke3(ke2)` answers and sets `session_key` and `export_key`."""

    __slots__ = (
        "_blind", "_client", "_context", "_ksf", "_password", "_secret", "_server", "export_key", "ke1", "session_key",
    )  # fmt: skip

    def __init__(
        self,
        password: bytes,
        *,
        blind: bytes,
        nonce: bytes,
        keyshare_seed: bytes,
        context: bytes = b"",
        client_identity: bytes | None = None,
        server_identity: bytes | None = None,
        ksf: Ksf = argon2id,
    ) -> None:
        """*blind*: random scalar; *nonce*, *keyshare_seed*: 32 random bytes each."""
        _length(nonce, NN, "a nonce")
        self._password, self._blind, self._ksf, self._context = password, blind, ksf, context
        self._client, self._server = client_identity, server_identity
        self._secret, keyshare = derive_diffie_hellman_key_pair(keyshare_seed)
        self.ke1 = oprf.blind_element(password, blind) + nonce + keyshare
        self.session_key = b""
        self.export_key = b""

    def ke3(self, ke2: bytes) -> bytes:
        """The answer to *ke2*; runs the key stretching.

        Raises EnvelopeRecoveryError (wrong password, or no such user), ServerAuthenticationError, DeserializeError.
        """
        _length(ke2, KE2, "KE2")
        response, nonce, keyshare, server_mac = ke2[:192], ke2[192:224], oprf.check_element(ke2[224:256]), ke2[256:]
        randomized = _randomized_password(self._password, self._blind, response[:32], self._ksf)
        opened = xor(_response_pad(_masking_key(randomized), response[32:64]), response[64:])
        server_public, envelope_nonce, tag = opened[:NPK], opened[NPK : NPK + NN], opened[NPK + NN :]
        keys = _EnvelopeKeys(randomized, envelope_nonce)
        if not compare_digest(tag, keys.tag(server_public, self._server, self._client)):
            raise EnvelopeRecoveryError("the envelope does not open")

        ikm = (
            oprf.multiply(self._secret, keyshare)
            + oprf.multiply(self._secret, server_public)
            + oprf.multiply(keys.private_key, keyshare)
        )
        preamble = _preamble(
            self._context,
            keys.public_key if self._client is None else self._client,
            self.ke1,
            server_public if self._server is None else self._server,
            response + nonce + keyshare,
        )
        expected, client_mac, session_key = _three_dh(ikm, preamble)
        if not compare_digest(server_mac, expected):
            raise ServerAuthenticationError("the server did not prove that it knows this user")
        self.session_key, self.export_key = session_key, keys.export_key
        self._password = self._blind = self._secret = b""
        return client_mac


class Server:
    """The server of one login: `ke2(ke1)` answers once, `finish(ke3)` gives the session key or refuses, once."""

    __slots__ = (
        "_client", "_context", "_expected", "_masking_nonce", "_nonce", "_oprf_key", "_private", "_public", "_record",
        "_seed", "_server", "_session_key",
    )  # fmt: skip

    def __init__(
        self,
        *,
        oprf_seed: bytes,
        private_key: bytes,
        public_key: bytes,
        credential_identifier: bytes,
        record: bytes,
        masking_nonce: bytes,
        nonce: bytes,
        keyshare_seed: bytes,
        context: bytes = b"",
        client_identity: bytes | None = None,
        server_identity: bytes | None = None,
    ) -> None:
        """*record*: the user's, or a `fake_record`; *masking_nonce*, *nonce*, *keyshare_seed*: 32 random bytes each."""
        for value in (masking_nonce, nonce):
            _length(value, NN, "a nonce")
        self._record, self._private, self._public = check_record(record), private_key, public_key
        self._oprf_key = _oprf_key(oprf_seed, credential_identifier)
        self._masking_nonce, self._nonce, self._seed = masking_nonce, nonce, keyshare_seed
        self._context, self._client, self._server = context, client_identity, server_identity
        self._expected = self._session_key = b""

    def ke2(self, ke1: bytes) -> bytes:
        """The answer to *ke1*; DeserializeError when it is no KE1."""
        _length(ke1, KE1, "KE1")
        if not self._seed:
            raise OpaqueError("this login has answered already")
        client_public, masking_key, envelope = self._record[:NPK], self._record[NPK:96], self._record[96:]
        their_keyshare = oprf.check_element(ke1[64:])
        response = (
            oprf.blind_evaluate(self._oprf_key, ke1[:32])
            + self._masking_nonce
            + xor(_response_pad(masking_key, self._masking_nonce), self._public + envelope)
        )
        secret, keyshare = derive_diffie_hellman_key_pair(self._seed)
        ikm = (
            oprf.multiply(secret, their_keyshare)
            + oprf.multiply(self._private, their_keyshare)
            + oprf.multiply(secret, client_public)
        )
        preamble = _preamble(
            self._context,
            client_public if self._client is None else self._client,
            ke1,
            self._public if self._server is None else self._server,
            response + self._nonce + keyshare,
        )
        server_mac, self._expected, self._session_key = _three_dh(ikm, preamble)
        self._seed = self._private = self._oprf_key = self._record = b""
        return response + self._nonce + keyshare + server_mac

    def pending(self) -> tuple[bytes, bytes]:
        """What KE3 must be, and the session key if it is. Both secret; this object forgets them."""
        expected, session_key = self._expected, self._session_key
        self._expected = self._session_key = b""
        return expected, session_key

    def finish(self, ke3: bytes) -> bytes:
        """The session key, when *ke3* is right; else ClientAuthenticationError. There is one guess."""
        expected, session_key = self.pending()
        if not expected or not compare_digest(ke3, expected):
            raise ClientAuthenticationError("the client did not prove that it knows the password")
        return session_key


# -- inside -----------------------------------------------------------------------------------------------------
class _EnvelopeKeys:
    """What a randomized password and an envelope's nonce give (RFC 9807, 4.1.2)."""

    __slots__ = ("_auth_key", "_nonce", "export_key", "private_key", "public_key")

    def __init__(self, randomized: bytes, nonce: bytes) -> None:
        self._nonce = nonce
        self._auth_key = hkdf_expand(randomized, nonce + b"AuthKey", NH)
        self.export_key = hkdf_expand(randomized, nonce + b"ExportKey", NH)
        seed = hkdf_expand(randomized, nonce + b"PrivateKey", 32)
        self.private_key, self.public_key = derive_diffie_hellman_key_pair(seed)

    def tag(self, server_public: bytes, server: bytes | None, client: bytes | None) -> bytes:
        server = server_public if server is None else server
        client = self.public_key if client is None else client
        return digest(self._auth_key, self._nonce + server_public + _vector(server) + _vector(client), "sha512")


def _oprf_key(oprf_seed: bytes, credential_identifier: bytes) -> bytes:
    _length(oprf_seed, NH, "an OPRF seed")
    seed = hkdf_expand(oprf_seed, credential_identifier + b"OprfKey", 32)
    return oprf.derive_private_key(seed, b"OPAQUE-DeriveKeyPair")


def _randomized_password(password: bytes, blind: bytes, evaluated: bytes, ksf: Ksf) -> bytes:
    output = oprf.finalize(password, blind, evaluated)
    return hkdf_extract(b"", output + ksf(output))


def _masking_key(randomized: bytes) -> bytes:
    return hkdf_expand(randomized, b"MaskingKey", NH)


def _response_pad(masking_key: bytes, masking_nonce: bytes) -> bytes:
    return hkdf_expand(masking_key, masking_nonce + b"CredentialResponsePad", NPK + ENVELOPE)


def _preamble(context: bytes, client: bytes, ke1: bytes, server: bytes, rest: bytes) -> bytes:
    return b"OPAQUEv1-" + _vector(context) + _vector(client) + ke1 + _vector(server) + rest


def _three_dh(ikm: bytes, preamble: bytes) -> tuple[bytes, bytes, bytes]:
    """(server MAC, client MAC, session key), RFC 9807, 6.4.2.2 and 6.4.3."""
    prk = hkdf_extract(b"", ikm)
    seen = hashlib.sha512(preamble).digest()
    handshake_secret = _derive_secret(prk, b"HandshakeSecret", seen)
    session_key = _derive_secret(prk, b"SessionKey", seen)
    server_mac = digest(_derive_secret(handshake_secret, b"ServerMAC", b""), seen, "sha512")
    client_key = _derive_secret(handshake_secret, b"ClientMAC", b"")
    client_mac = digest(client_key, hashlib.sha512(preamble + server_mac).digest(), "sha512")
    return server_mac, client_mac, session_key


def _derive_secret(secret: bytes, label: bytes, seen: bytes) -> bytes:
    label = b"OPAQUE-" + label
    return hkdf_expand(secret, NH.to_bytes(2, "big") + bytes([len(label)]) + label + bytes([len(seen)]) + seen, NH)


def _vector(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def _length(data: bytes, length: int, what: str) -> None:
    if len(data) != length:
        raise DeserializeError(f"{what} has {length} bytes, not {len(data)}")
