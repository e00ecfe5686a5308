"""Writes vectors/login.json, channel.json, lane.json and keys.json: `python tests/core/seal/make_vectors.py`.

Everything after OPAQUE and Noise (prefixes, schedule, ratchet, frames, derivations) is computed here once more, from
docs/security.md and the standard library, so that the vectors do not merely repeat what `limen.core.seal` does. Of
OPAQUE and of Noise the RFC's and cacophony's own vectors are the judges; `dissononce` gives the Noise messages here.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import cbor2
import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from dissononce.cipher.aesgcm import AESGCMCipher
from dissononce.dh.x25519.keypair import KeyPair
from dissononce.dh.x25519.private import PrivateKey as DissononcePrivate
from dissononce.dh.x25519.public import PublicKey as DissononcePublic
from dissononce.dh.x25519.x25519 import X25519DH
from dissononce.hash.sha256 import SHA256Hash
from dissononce.processing.handshakepatterns.interactive.KK import KKHandshakePattern
from dissononce.processing.impl.cipherstate import CipherState
from dissononce.processing.impl.handshakestate import HandshakeState
from dissononce.processing.impl.symmetricstate import SymmetricState

from limen.core.seal import opaque, oprf

VECTORS = Path(__file__).resolve().parents[3] / "vectors"
L = oprf.ORDER


# -- docs/security.md once more, plainly ------------------------------------------------------------------------
def lp(*parts: bytes) -> bytes:
    return b"".join(len(p).to_bytes(4, "big") + p for p in parts)


def expand(prk: bytes, info: bytes, length: int) -> bytes:
    out, block, i = b"", b"", 1
    while len(out) < length:
        block = hmac.new(prk, block + info + bytes([i]), hashlib.sha512).digest()
        out, i = out + block, i + 1
    return out[:length]


def extract(salt: bytes, ikm: bytes) -> bytes:
    return hmac.new(salt, ikm, hashlib.sha512).digest()


def frames(chain: bytes, direction: bytes, th: bytes, plaintexts: list[bytes], lane: bytes = b"ws") -> list[Any]:
    out = []
    for n, plain in enumerate(plaintexts):
        key = hmac.new(chain, b"\x01", hashlib.sha256).digest()
        chain = hmac.new(chain, b"\x02", hashlib.sha256).digest()
        ad = lp(b"limen-1", lane, direction, n.to_bytes(8, "big"), th)
        frame = AESGCM(key).encrypt(bytes(12), plain, ad)
        out.append({"n": n, "plaintext": plain.hex(), "message_key": key.hex(), "ad": ad.hex(), "frame": frame.hex()})
    return out


def keys_of(secret: bytes, domain: bytes) -> dict[str, bytes]:
    root = extract(b"limen-1 keys", secret)
    private, public = opaque.derive_diffie_hellman_key_pair(expand(root, lp(b"opaque", domain), 32))
    resume = expand(root, lp(b"resume", domain), 32)
    return {
        "root": root,
        "oprf_seed": expand(root, lp(b"oprf seed", domain), 64),
        "server_private_key": private,
        "server_public_key": public,
        "resume_private_key": resume,
        "resume_public_key": X25519PrivateKey.from_private_bytes(resume).public_key().public_bytes_raw(),
        "fake_key": expand(root, lp(b"fake", domain), 64),
        "lane_key": expand(root, lp(b"lane", domain), 32),
        "ticket_key": expand(root, lp(b"ticket", domain), 32),
        "fingerprint": expand(root, lp(b"fingerprint"), 64)[:16],
    }


def fake_record(fake_key: bytes, user: bytes) -> bytes:
    _, public = opaque.derive_diffie_hellman_key_pair(expand(fake_key, lp(b"client", user), 32))
    return public + expand(fake_key, lp(b"masking", user), 64) + bytes(96)


# -- encodings --------------------------------------------------------------------------------------------------
def for_json(value: Any) -> Any:
    match value:
        case bytes():
            return "\x00" + b64encode(value).decode()
        case dict():
            return {k: for_json(v) for k, v in value.items()}
        case list():
            return [for_json(v) for v in value]
    return value


ENCODE = {
    "json": lambda m: json.dumps(for_json(m), separators=(",", ":"), ensure_ascii=False).encode(),
    "msgpack": msgspec.msgpack.encode,
    "cbor": cbor2.dumps,
}
ROLES = {"caller": {}, "subscriber": {}}


def some(label: str, length: int) -> bytes:
    """Fixed "entropy", different for each label."""
    return hashlib.shake_256(label.encode()).digest(length)


def sealed_messages(method: str, user: str, encode: Any) -> tuple[list[bytes], list[bytes]]:
    welcome = [
        2, 1234567890, {
            "roles": {"dealer": {}, "broker": {}}, "authid": user, "authrole": "nurse", "authmethod": method,
            "authprovider": "limen", "x_roles": ["nurse"], "x_profile": {"name": "Ada"}, "x_timeout": 3600,
            "x_max_age": 43200, "x_received": 7 if method == "resume" else None,
        },
    ]  # fmt: skip
    x_id = some("x_id " + method, 16)
    c2s = [[48, 1, {"x_id": x_id}, "todo.add", ["Grüße"]], [49, 1, {}], [6, {}, "wamp.close.close_realm"]]
    s2c = [welcome, [50, 1, {}, ["€"]], [6, {}, "wamp.close.goodbye_and_out"]]
    if method == "resume":
        c2s = [[5, "", {}], *c2s[:2]]
    return [encode(m) for m in c2s], [encode(m) for m in s2c]


# -- transcripts ------------------------------------------------------------------------------------------------
def login(encoding: str, ksf: str, user: str, typed: str, domain: str, password: str, typed_password: str) -> Any:
    subprotocol, encode = f"limen.1.{encoding}", ENCODE[encoding]
    secret = some("secret", 64)
    k = keys_of(secret, domain.encode())
    identifier = lp(domain.encode(), user.encode())
    stretch = {"identity": opaque.identity, "argon2id": opaque.argon2id}[ksf]
    names = {"client_identity": user.encode(), "server_identity": domain.encode()}
    e = {name: some(f"{encoding} {name}", size) for name, size in [
        ("registration_blind_entropy", 64), ("envelope_nonce", 32), ("login_blind_entropy", 64), ("client_nonce", 32),
        ("client_keyshare_seed", 32), ("masking_nonce", 32), ("server_nonce", 32), ("server_keyshare_seed", 32),
    ]}  # fmt: skip
    blind_r, blind_l = (
        (int.from_bytes(e[name], "little") % L).to_bytes(32, "little")
        for name in ("registration_blind_entropy", "login_blind_entropy")
    )
    request = opaque.registration_request(password.encode(), blind_r)
    response = opaque.registration_response(request, k["server_public_key"], identifier, k["oprf_seed"])
    record, _ = opaque.registration_record(
        password.encode(), blind_r, response, e["envelope_nonce"], ksf=stretch, **names
    )
    context = lp(b"limen-1", b"ws", domain.encode(), subprotocol.encode())
    client = opaque.Client(
        password.encode(), blind=blind_l, nonce=e["client_nonce"], keyshare_seed=e["client_keyshare_seed"],
        context=context, ksf=stretch, **names,
    )  # fmt: skip
    server = opaque.Server(
        oprf_seed=k["oprf_seed"], private_key=k["server_private_key"], public_key=k["server_public_key"],
        credential_identifier=identifier, record=record, masking_nonce=e["masking_nonce"], nonce=e["server_nonce"],
        keyshare_seed=e["server_keyshare_seed"], context=context, **names,
    )  # fmt: skip
    ke2 = server.ke2(client.ke1)
    ke3 = client.ke3(ke2)
    session_key = server.finish(ke3)
    extra = {"ke1": client.ke1}
    hello = encode([1, domain, {"roles": ROLES, "authmethods": ["opaque"], "authid": user, "authextra": extra}])
    challenge = encode([4, "opaque", {"ke2": ke2}])
    authenticate = encode([5, "", {"ke3": ke3}])
    th = hashlib.sha512(lp(hello, challenge, authenticate)).digest()
    prk = extract(th, session_key)
    c2s, s2c = expand(prk, b"limen-1 ws c2s", 32), expand(prk, b"limen-1 ws s2c", 32)
    plain_c2s, plain_s2c = sealed_messages("opaque", user, encode)
    return {
        "subprotocol": subprotocol, "ksf": ksf, "domain": domain, "user": user, "typed_user": typed,
        "typed_password": typed_password, "password": password.encode().hex(),
        "secret": secret.hex(), "number": 1, "keys": hexed(k), "entropy": hexed(e),
        "registration": hexed({"blind": blind_r, "request": request, "response": response, "record": record}),
        "blind": blind_l.hex(), "credential_identifier": identifier.hex(), "context": context.hex(),
        "ke1": client.ke1.hex(), "ke2": ke2.hex(), "ke3": ke3.hex(), "session_key": session_key.hex(),
        "hello": hello.hex(), "challenge": challenge.hex(), "authenticate": authenticate.hex(),
        "th": th.hex(), "prk": prk.hex(), "chain_key_c2s": c2s.hex(), "chain_key_s2c": s2c.hex(),
        "c2s": frames(c2s, b"c2s", th, plain_c2s), "s2c": frames(s2c, b"s2c", th, plain_s2c),
        "unknown_user": hexed({"record": fake_record(k["fake_key"], b"nobody")}) | {"user": "nobody"},
    }  # fmt: skip


class FixedDH(X25519DH):
    """dissononce, with the ephemeral key given."""

    def __init__(self, private: bytes) -> None:
        super().__init__()
        self.private = private

    def generate_keypair(self, privatekey: Any = None) -> KeyPair:
        return pair(self.private)


def pair(private: bytes) -> KeyPair:
    public = X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    return KeyPair(DissononcePublic(public), DissononcePrivate(private))


def dissononce_kk(
    initiator: bytes, responder: bytes, e_i: bytes, e_r: bytes, prologue: bytes
) -> tuple[bytes, bytes, bytes, bytes, bytes]:
    """(message 1, message 2, h, key i->r, key r->i), both payloads empty."""

    def state(dh: bytes) -> HandshakeState:
        return HandshakeState(SymmetricState(CipherState(AESGCMCipher()), SHA256Hash()), FixedDH(dh))

    one, two = state(e_i), state(e_r)
    one.initialize(KKHandshakePattern(), True, prologue, s=pair(initiator), rs=pair(responder).public)
    two.initialize(KKHandshakePattern(), False, prologue, s=pair(responder), rs=pair(initiator).public)
    m1, m2, ignored = bytearray(), bytearray(), bytearray()
    one.write_message(b"", m1)
    two.read_message(bytes(m1), ignored)
    ends = two.write_message(b"", m2)
    again = one.read_message(bytes(m2), ignored)
    h = two.symmetricstate.get_handshake_hash()
    keys = [bytes(c._key) for c in ends]
    assert keys == [bytes(c._key) for c in again]
    assert h == one.symmetricstate.get_handshake_hash()
    return bytes(m1), bytes(m2), bytes(h), keys[0], keys[1]


def resume(encoding: str, domain: str, user: str, epoch: int) -> Any:
    subprotocol, encode = f"limen.1.{encoding}", ENCODE[encoding]
    secret, slot = some("secret", 64), some("slot " + encoding, 16)
    k = keys_of(secret, domain.encode())
    tab, e_i, e_r = (some(f"{encoding} {name}", 32) for name in ("tab", "initiator", "responder"))
    prologue = lp(b"limen-1", b"ws", domain.encode(), subprotocol.encode(), slot, epoch.to_bytes(8, "big"))
    kk1, kk2, h, c2s, s2c = dissononce_kk(tab, k["resume_private_key"], e_i, e_r, prologue)
    extra = {"slot": slot, "kk1": kk1}
    hello = encode([1, domain, {"roles": ROLES, "authmethods": ["resume"], "authextra": extra}])
    challenge = encode([4, "resume", {"kk2": kk2}])
    th = hashlib.sha512(lp(h, hello, challenge)).digest()
    plain_c2s, plain_s2c = sealed_messages("resume", user, encode)
    return {
        "subprotocol": subprotocol, "domain": domain, "epoch": epoch, "slot": slot.hex(), "secret": secret.hex(),
        "number": 1, "server_private_key": k["resume_private_key"].hex(),
        "server_public_key": k["resume_public_key"].hex(),
        "client_private_key": tab.hex(), "client_public_key": pair(tab).public.data.hex(),
        "client_ephemeral": e_i.hex(), "server_ephemeral": e_r.hex(), "prologue": prologue.hex(),
        "kk1": kk1.hex(), "kk2": kk2.hex(), "handshake_hash": h.hex(),
        "hello": hello.hex(), "challenge": challenge.hex(), "authenticate": plain_c2s[0].hex(),
        "th": th.hex(), "chain_key_c2s": c2s.hex(), "chain_key_s2c": s2c.hex(),
        "c2s": frames(c2s, b"c2s", th, plain_c2s), "s2c": frames(s2c, b"s2c", th, plain_s2c),
    }  # fmt: skip


def hexed(values: dict[str, bytes]) -> dict[str, str]:
    return {key: value.hex() for key, value in values.items()}


def login_file() -> Any:
    return {
        "source": "made by tests/core/seal/make_vectors.py from docs/security.md",
        "note": "hex unless it is a name. hello, challenge, authenticate: the exact payload bytes of the open frames. "
        "blind: login_blind_entropy, little endian, modulo the group's order. registration.blind likewise.",
        "ksf": [
            {"name": name, "input": b"limen".hex(), "output": function(b"limen").hex()}
            for name, function in (("identity", opaque.identity), ("argon2id", opaque.argon2id))
        ],
        "login": [
            login("json", "identity", "ada", "Ada", "clinic.example", "correct horse", "correct horse"),
            login("msgpack", "argon2id", "åsa", "ÅSA", "xn--bcher-kva.example", "Über alles", "U\u0308ber\u00a0alles"),
            login("cbor", "identity", "grace", "grace", "localhost", "p", "p"),
        ],
        "resume": [
            resume("json", "clinic.example", "ada", 1),
            resume("msgpack", "xn--bcher-kva.example", "åsa", 2**32 + 5),
            resume("cbor", "localhost", "grace", 7),
        ],
    }


def channel_file() -> Any:
    cases = []
    for name, plaintexts, th in [
        ("empty, short, long", [b"", b"x", bytes(range(256)) * 4], some("th 1", 64)),
        ("twelve frames", [f"frame {n}".encode() for n in range(12)], some("th 2", 64)),
        ("a transcript hash of 32 bytes", [b"a", b"b"], some("th 3", 32)),
    ]:
        c2s, s2c = some(name + " c2s", 32), some(name + " s2c", 32)
        cases.append({
            "name": name, "lane": "ws", "th": th.hex(), "chain_key_c2s": c2s.hex(), "chain_key_s2c": s2c.hex(),
            "c2s": frames(c2s, b"c2s", th, plaintexts), "s2c": frames(s2c, b"s2c", th, plaintexts),
        })  # fmt: skip
    return {"source": "made by tests/core/seal/make_vectors.py from docs/security.md, Frames", "cases": cases}


def lane_answer(seed: bytes, number: int, th: bytes, plaintexts: list[bytes]) -> list[Any]:
    out = []
    for i, plain in enumerate(plaintexts):
        last = i == len(plaintexts) - 1
        key = hmac.new(seed, b"\x01", hashlib.sha256).digest()
        seed = hmac.new(seed, b"\x02", hashlib.sha256).digest()
        mark = b"last" if last else b"more"
        ad = lp(b"limen-1", b"http", b"s2c", number.to_bytes(8, "big"), i.to_bytes(8, "big"), mark, th)
        frame = AESGCM(key).encrypt(bytes(12), plain, ad)
        head = (len(frame) | (last << 31)).to_bytes(4, "big")
        out.append({"plaintext": plain.hex(), "frame": (head + frame).hex()})
    return out


def lane_file() -> Any:
    """The HTTP lane: requests in their order, the orders in which they may be opened, a state at rest."""
    c2s, s2c, th = some("lane c2s", 32), some("lane s2c", 32), some("lane th", 64)
    up, down, requests, states = c2s, s2c, [], []
    for n in range(8):
        states.append((up, down))
        request = hmac.new(up, b"\x01", hashlib.sha256).digest()
        seed = hmac.new(down, b"\x01", hashlib.sha256).digest()
        up, down = (hmac.new(chain, b"\x02", hashlib.sha256).digest() for chain in (up, down))
        plain = f"request {n}".encode() * n
        ad = lp(b"limen-1", b"http", b"c2s", n.to_bytes(8, "big"), th)
        requests.append({
            "n": n, "plaintext": plain.hex(), "ad": ad.hex(), "request_key": request.hex(), "answer_seed": seed.hex(),
            "frame": AESGCM(request).encrypt(bytes(12), plain, ad).hex(),
            "answer": lane_answer(seed, n, th, [f"part {i}".encode() * i for i in range(1 + n % 3)]),
        })  # fmt: skip
    lane_key, slot, nonce, domain = some("lane key", 32), some("lane slot", 16), some("lane nonce", 12), b"localhost"
    name = lp(b"limen-1", b"lane", domain, slot)
    key = hmac.new(lane_key, lp(b"lane", slot), hashlib.sha256).digest()
    skipped = b"".join(
        n.to_bytes(8, "big") + bytes.fromhex(requests[n]["request_key"] + requests[n]["answer_seed"]) for n in (0, 2)
    )
    marks = b"".join(
        hashlib.sha256(bytes.fromhex(requests[n]["frame"])).digest()[:8] if n in (1, 3) else bytes(8) for n in range(4)
    )
    state = b"\x01" + (4).to_bytes(8, "big") + states[4][0] + states[4][1] + th + marks + skipped
    rest = {"lane_key": lane_key, "slot": slot, "nonce": nonce, "name": name, "key": key, "state": state}
    kept = nonce + AESGCM(key).encrypt(nonce, state, name)
    return {
        "source": "made by tests/core/seal/make_vectors.py from docs/security.md, The HTTP lane",
        "chain_key_c2s": c2s.hex(), "chain_key_s2c": s2c.hex(), "th": th.hex(), "requests": requests,
        "at_rest": {"after": [1, 3], "skipped": [0, 2], "next": 4, **hexed(rest), "kept": kept.hex()},
    }  # fmt: skip


def keys_file() -> Any:
    cases = []
    names = [(1, "localhost"), (1, "clinic.example"), (2, "clinic.example"), (3, "xn--bcher-kva.example")]
    for number, domain in names:
        secret = some(f"secret {number}", 64)
        k = keys_of(secret, domain.encode())
        fakes = {user: fake_record(k["fake_key"], user.encode()).hex() for user in ("nobody", "åsa")}
        cases.append({"number": number, "domain": domain, "secret": secret.hex(), **hexed(k), "fake_records": fakes})
    return {"source": "made by tests/core/seal/make_vectors.py from docs/security.md, Keys at rest", "cases": cases}


if __name__ == "__main__":
    for name, content in (
        ("login", login_file()),
        ("channel", channel_file()),
        ("lane", lane_file()),
        ("keys", keys_file()),
    ):
        (VECTORS / f"{name}.json").write_text(json.dumps(content, indent=1, ensure_ascii=True) + "\n")
