"""Login and resume of a sealed session, client and server: details and exact frame bytes in, details out, at the end
a `Channel`.

Login (OPAQUE, three messages), *hello*, *challenge* and *authenticate* being the payload bytes of the frames as they
travelled, *extra* the `authextra` of HELLO or the extra of CHALLENGE and AUTHENTICATE::

    client                                                    server
    login = ClientLogin(user, password, …)
    HELLO with login.extra                                ->  login = ServerLogin(ring, …)
    extra = login.answer(hello, challenge, extra)         <-  CHALLENGE with login.challenge(hello, extra)
    AUTHENTICATE with extra                               ->  channel = login.accept(challenge, authenticate, extra)
    channel = login.channel(authenticate)                 <-  channel.seal(WELCOME)

Resume (Noise KK; AUTHENTICATE is the client's first sealed frame)::

    resume = ClientResume(key, server_key, …)
    HELLO with resume.extra                               ->  resume = ServerResume(key, …)
    channel = resume.answer(hello, challenge, extra)      <-  CHALLENGE with resume.challenge(hello, extra)
    channel.seal(AUTHENTICATE)                            ->  channel, message = resume.accept(challenge, frame)

docs/security.md has the bytes. Bytes in details are `bytes`: the codec writes them as its encoding has them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from hmac import compare_digest
from typing import Any, Final, NamedTuple

from limen import exc
from limen.base.names import domain_name, password_bytes, user_name
from limen.core.seal import opaque
from limen.core.seal.channel import BadFrame, Channel
from limen.core.seal.kdf import VERSION, hkdf_expand, hkdf_extract, lp
from limen.core.seal.keys import DomainKeys, KeyRing
from limen.core.seal.noise import Initiator, NoiseError, PrivateKey, Responder
from limen.core.seal.oprf import DeserializeError, OpaqueError, random_scalar

CLIENT_ENTROPY: Final = 128
SERVER_ENTROPY: Final = 96
RESUME_ENTROPY: Final = 32
REGISTRATION_ENTROPY: Final = 96
SLOT: Final = 16
KK: Final = 48


class LoginRefused(Exception):
    """The other side is not who it must be, or what it sent has not the form it must have. Says nothing of why."""


class Keys(NamedTuple):
    """What a login or resume gives: the two chain keys, and the transcript hash."""

    c2s: bytes
    s2c: bytes
    th: bytes


def opaque_context(domain: str, subprotocol: str, lane: str = "ws") -> bytes:
    """OPAQUE's context: a login for one lane, domain and encoding is good for no other."""
    return lp(VERSION, lane, domain, subprotocol)


def kk_prologue(domain: str, subprotocol: str, slot: bytes, epoch: int, lane: str = "ws") -> bytes:
    """Noise's prologue: what both sides must agree on besides the keys."""
    return lp(VERSION, lane, domain, subprotocol, slot, epoch.to_bytes(8, "big"))


def slot_of(extra: object) -> bytes:
    """The slot's handle in a resuming HELLO's `authextra`; LoginRefused when there is none."""
    return _take(extra, "slot", SLOT)


def key_of(extra: object) -> bytes:
    """The id of the key in the `authextra` of a HELLO that logs in with one; LoginRefused when there is none."""
    return _take(extra, "key", SLOT)


# -- login ------------------------------------------------------------------------------------------------------
class ClientLogin:
    """The client of one login. `extra` goes into HELLO as authextra, `user` as authid, `domain` as the realm."""

    __slots__ = ("_client", "_lane", "_seen", "domain", "extra", "user")

    def __init__(
        self,
        user: str,
        password: str,
        *,
        domain: str,
        subprotocol: str,
        entropy: bytes,
        ksf: opaque.Ksf = opaque.argon2id,
        lane: str = "ws",
    ) -> None:
        """*entropy*: 128 random bytes. Raises exc.InvalidCredential and exc.InvalidAddress for impossible names."""
        _need(entropy, CLIENT_ENTROPY)
        self.user, self.domain = user_name(user), domain_name(domain)
        self._lane, self._seen = lane, b""
        self._client = opaque.Client(
            password_bytes(password),
            blind=random_scalar(entropy[:64]),
            nonce=entropy[64:96],
            keyshare_seed=entropy[96:],
            context=opaque_context(self.domain, subprotocol, lane),
            client_identity=self.user.encode(),
            server_identity=self.domain.encode(),
            ksf=ksf,
        )
        self.extra: dict[str, Any] = {"ke1": self._client.ke1}

    def answer(self, hello: bytes, challenge: bytes, extra: object) -> dict[str, Any]:
        """The extra of AUTHENTICATE. Runs the key stretching: 0.1 to 0.2 s of a thread, not of the event loop.

        Raises exc.InvalidCredential (user or password wrong, or the server is not the one they belong to), or
        LoginRefused when *extra* is no KE2.
        """
        ke2 = _take(extra, "ke2", opaque.KE2)
        try:
            ke3 = self._client.ke3(ke2)
        except DeserializeError as error:
            raise LoginRefused("this CHALLENGE is malformed") from error
        except OpaqueError:
            raise exc.InvalidCredential from None
        self._seen = lp(hello, challenge)
        return {"ke3": ke3}

    def channel(self, authenticate: bytes) -> Channel:
        """The channel, once AUTHENTICATE has been encoded; WELCOME is its first frame in."""
        keys = self.keys(authenticate)
        return Channel(keys.c2s, keys.s2c, keys.th, "c2s", lane=self._lane)

    def keys(self, authenticate: bytes) -> Keys:
        """The same for a lane that has no channel."""
        if not self._seen:
            raise LoginRefused("there was no CHALLENGE yet")
        keys = _schedule(self._seen + lp(authenticate), self._client.session_key, self._lane)
        self._seen = self._client.session_key = b""
        return keys

    def __repr__(self) -> str:
        return f"ClientLogin({self.user!r}, {self.domain!r})"


class ServerLogin:
    """The server of one login: `challenge` once, `accept` once. The same work and the same bytes for unknown users."""

    __slots__ = ("_hello", "_lane", "_server", "domain", "known", "user")

    def __init__(
        self,
        ring: KeyRing,
        *,
        domain: str,
        subprotocol: str,
        user: str,
        record: bytes | None,
        number: int | None = None,
        entropy: bytes,
        lane: str = "ws",
    ) -> None:
        """*user*: HELLO's authid. *record*, *number*: what registration stored; a *record* of None, or one that cannot
        be used, stands for an unknown user. *entropy*: 96 random bytes.

        LoginRefused when *user* is no name in its normal form.
        """
        _need(entropy, SERVER_ENTROPY)
        try:
            normal = isinstance(user, str) and user_name(user) == user
        except exc.InvalidCredential:
            normal = False
        if not normal:
            raise LoginRefused("this is no user name in its normal form")
        self.user, self.domain = user, domain
        self._lane, self._hello = lane, b""
        keys = ring.domain(domain, ring.first)
        chosen = keys.fake_record(user)  # for everyone: the same work
        number = ring.current if number is None else number
        usable = is_record(chosen if record is None else record)
        self.known = record is not None and usable and number in ring
        if record is not None and self.known:
            keys, chosen = ring.domain(domain, number), record
        self._server = opaque.Server(
            oprf_seed=keys.oprf_seed,
            private_key=keys.private_key,
            public_key=keys.public_key,
            credential_identifier=lp(domain, user),
            record=chosen,
            masking_nonce=entropy[:32],
            nonce=entropy[32:64],
            keyshare_seed=entropy[64:],
            context=opaque_context(domain, subprotocol, lane),
            client_identity=user.encode(),
            server_identity=domain.encode(),
        )

    def challenge(self, hello: bytes, extra: object) -> dict[str, Any]:
        """The extra of CHALLENGE. From here on this counts as an attempt. LoginRefused when *extra* is no KE1."""
        ke1 = _take(extra, "ke1", opaque.KE1)
        try:
            ke2 = self._server.ke2(ke1)
        except OpaqueError as error:
            raise LoginRefused("this HELLO is malformed") from error
        self._hello = bytes(hello)
        return {"ke2": ke2}

    def accept(self, challenge: bytes, authenticate: bytes, extra: object) -> Channel:
        """The channel, if the client knows the password; else LoginRefused. There is one guess."""
        keys = self.pending(challenge).accept(authenticate, extra)
        return Channel(keys.s2c, keys.c2s, keys.th, "s2c", lane=self._lane)

    def pending(self, challenge: bytes) -> PendingLogin:
        """What must be known from CHALLENGE to AUTHENTICATE. Secret. Once."""
        expected, session_key = self._server.pending()
        return PendingLogin(lp(self._hello, challenge), expected, session_key, self.known, self._lane)

    def __repr__(self) -> str:
        return f"ServerLogin({self.user!r}, {self.domain!r})"


class PendingLogin(NamedTuple):
    """A login of which the server has said CHALLENGE: all that is needed for AUTHENTICATE, wherever that arrives."""

    seen: bytes
    expected: bytes
    session_key: bytes
    known: bool
    lane: str

    def accept(self, authenticate: bytes, extra: object) -> Keys:
        """The keys, if the client knows the password; else LoginRefused."""
        ke3 = _take(extra, "ke3", opaque.KE3)
        right = bool(self.expected) and compare_digest(ke3, self.expected)
        if not (right and self.session_key and self.known):
            raise LoginRefused("user or password is not right")
        return _schedule(self.seen + lp(authenticate), self.session_key, self.lane)

    def __repr__(self) -> str:
        return "PendingLogin()"


# -- resume -----------------------------------------------------------------------------------------------------
class ClientResume:
    """The client of one resume. `extra` goes into HELLO as authextra."""

    __slots__ = ("_lane", "_noise", "extra")

    def __init__(
        self,
        key: PrivateKey,
        server_key: bytes,
        *,
        domain: str,
        subprotocol: str,
        slot: bytes,
        epoch: int,
        entropy: bytes,
        lane: str = "ws",
    ) -> None:
        """*key*: the tab's. *server_key*, *slot*, *epoch*: from `limen.slot.open`. *entropy*: 32 random bytes."""
        _need(entropy, RESUME_ENTROPY)
        self._lane = lane
        self._noise = Initiator(key, server_key, prologue=kk_prologue(domain, subprotocol, slot, epoch, lane))
        kk1 = self._noise.write(entropy)
        self.extra: dict[str, Any] = {"slot": slot, "kk1": kk1}

    def answer(self, hello: bytes, challenge: bytes, extra: object) -> Channel:
        """The channel; AUTHENTICATE is its first frame out. LoginRefused when the server is not the one that it was."""
        keys = self.keys(hello, challenge, extra)
        return Channel(keys.c2s, keys.s2c, keys.th, "c2s", lane=self._lane)

    def keys(self, hello: bytes, challenge: bytes, extra: object) -> Keys:
        """The same for a lane that has no channel."""
        kk2 = _take(extra, "kk2", KK)
        try:
            self._noise.read(kk2)
            c2s, s2c = self._noise.split()
        except NoiseError as error:
            raise LoginRefused("this CHALLENGE is not of the server that knows this slot") from error
        return Keys(c2s, s2c, resume_hash(self._noise.handshake_hash, hello, challenge))


class ClientKey(ClientResume):
    """The client of a login with a machine's key: a resume whose slot is the key, in no epoch, for accounts outlive
    them. On the server: `ServerResume` with *slot* = the key's id, *epoch* = 0."""

    __slots__ = ()

    def __init__(
        self,
        key: PrivateKey,
        server_key: bytes,
        *,
        domain: str,
        subprotocol: str,
        id: bytes,
        entropy: bytes,
        lane: str = "ws",
    ) -> None:
        """*key*, *server_key*, *id*: from the credentials file. *entropy*: 32 random bytes."""
        super().__init__(
            key, server_key, domain=domain, subprotocol=subprotocol, slot=id, epoch=0, entropy=entropy, lane=lane
        )
        self.extra = {"key": id, "kk1": self.extra["kk1"]}


class ServerResume:
    """The server of one resume. Nothing may change on the server before `accept` has come back."""

    __slots__ = ("_entropy", "_hello", "_lane", "_noise")

    def __init__(
        self,
        key: PrivateKey,
        *,
        domain: str,
        subprotocol: str,
        slot: bytes,
        public: bytes,
        epoch: int,
        entropy: bytes,
        lane: str = "ws",
    ) -> None:
        """*key*: the domain's, of the slot's key number (`DomainKeys.resume`). *public*: the slot's key. *entropy*: 32
        random bytes."""
        _need(entropy, RESUME_ENTROPY)
        self._noise = Responder(key, public, prologue=kk_prologue(domain, subprotocol, slot, epoch, lane))
        self._lane, self._entropy, self._hello = lane, entropy, b""

    def challenge(self, hello: bytes, extra: object) -> dict[str, Any]:
        """The extra of CHALLENGE. LoginRefused when *extra* holds no message 1 of the slot's key."""
        kk1 = _take(extra, "kk1", KK)
        try:
            self._noise.read(kk1)
            kk2 = self._noise.write(self._entropy)
        except NoiseError as error:
            raise LoginRefused("this HELLO is not of the slot's key") from error
        self._hello, self._entropy = bytes(hello), b""
        return {"kk2": kk2}

    def accept(self, challenge: bytes, frame: bytes) -> tuple[Channel, bytes]:
        """The channel and the message (AUTHENTICATE) in its first *frame*; LoginRefused when that does not open."""
        try:
            keys = self.keys(challenge)
            channel = Channel(keys.s2c, keys.c2s, keys.th, "s2c", lane=self._lane)
            return channel, channel.open(frame)
        except (NoiseError, BadFrame) as error:
            raise LoginRefused("this AUTHENTICATE does not open") from error

    def keys(self, challenge: bytes) -> Keys:
        """What opens AUTHENTICATE and all that follows. Secret. Once."""
        c2s, s2c = self._noise.split()
        return Keys(c2s, s2c, resume_hash(self._noise.handshake_hash, self._hello, challenge))


# -- registration -----------------------------------------------------------------------------------------------
class ClientRegistration:
    """A new password, by the client: `request` goes to `limen.password.begin`, `record(response)` to `…finish`."""

    __slots__ = ("_blind", "_domain", "_ksf", "_nonce", "_password", "_user", "request")

    def __init__(
        self, user: str, password: str, *, domain: str, entropy: bytes, ksf: opaque.Ksf = opaque.argon2id
    ) -> None:
        """*entropy*: 96 random bytes. Raises exc.InvalidCredential and exc.InvalidAddress for impossible names."""
        _need(entropy, REGISTRATION_ENTROPY)
        self._user, self._domain, self._password = user_name(user), domain_name(domain), password_bytes(password)
        self._blind, self._nonce, self._ksf = random_scalar(entropy[:64]), entropy[64:], ksf
        self.request = opaque.registration_request(self._password, self._blind)

    def record(self, response: bytes) -> bytes:
        """The record of 192 bytes that the server keeps. Runs the key stretching, as `ClientLogin.answer`.

        LoginRefused when *response* is none.
        """
        try:
            return opaque.registration_record(
                self._password,
                self._blind,
                response,
                self._nonce,
                server_identity=self._domain.encode(),
                client_identity=self._user.encode(),
                ksf=self._ksf,
            )[0]
        except OpaqueError as error:
            raise LoginRefused("this response is malformed") from error

    def __repr__(self) -> str:
        return f"ClientRegistration({self._user!r}, {self._domain!r})"


def registration_response(keys: DomainKeys, user: str, request: bytes) -> bytes:
    """The server's answer to `ClientRegistration.request`, 64 bytes; the record that follows belongs to *keys*' number.

    *user*: in its normal form. exc.InvalidValue when *request* is none.
    """
    try:
        return opaque.registration_response(request, keys.public_key, lp(keys.domain, user), keys.oprf_seed)
    except OpaqueError:
        raise exc.InvalidValue("This is not an OPAQUE registration request.") from None


def make_record(
    keys: DomainKeys, user: str, password: str, *, entropy: bytes, ksf: opaque.Ksf = opaque.argon2id
) -> bytes:
    """Both halves of a registration in one process, for `limen user` and `auth.add_user`; belongs to *keys*' number.

    *entropy*: 96 random bytes. Runs the key stretching.
    """
    client = ClientRegistration(user, password, domain=keys.domain, entropy=entropy, ksf=ksf)
    return client.record(registration_response(keys, user_name(user), client.request))


def is_record(record: bytes) -> bool:
    """Whether *record* is one that a login can be checked against."""
    try:
        return bool(opaque.check_record(record))
    except DeserializeError:
        return False


# -- inside -----------------------------------------------------------------------------------------------------
def _schedule(transcript: bytes, session_key: bytes, lane: str) -> Keys:
    th = hashlib.sha512(transcript).digest()
    prk = hkdf_extract(th, session_key)
    c2s, s2c = (hkdf_expand(prk, f"{VERSION} {lane} {way}".encode(), 32) for way in ("c2s", "s2c"))
    return Keys(c2s, s2c, th)


def resume_hash(handshake_hash: bytes, hello: bytes, challenge: bytes) -> bytes:
    """The transcript hash of a resume."""
    return hashlib.sha512(lp(handshake_hash, hello, challenge)).digest()


def _take(extra: object, key: str, length: int) -> bytes:
    """The *length* bytes under *key*; LoginRefused when there is anything else."""
    value = extra.get(key) if isinstance(extra, Mapping) else None
    if not isinstance(value, (bytes, bytearray, memoryview)) or len(value) != length:
        raise LoginRefused(f"{key} must be {length} bytes")
    return bytes(value)


def _need(entropy: bytes, length: int) -> None:
    if len(entropy) != length:
        raise ValueError(f"this takes {length} random bytes, not {len(entropy)}")
