"""Noise KK: cacophony's vector, an independent implementation, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st
from make_vectors import dissononce_kk

from limen.core.seal.noise import Initiator, NoiseError, PrivateKey, Responder
from vectors import vectors

CASES = vectors("noise")["vectors"]
KEY = st.binary(min_size=32, max_size=32)


@pytest.mark.parametrize("case", CASES)
def test_it_gives_the_vector_of_cacophony(case: dict[str, Any]) -> None:
    v = {k: bytes.fromhex(x) for k, x in case.items() if isinstance(x, str) and k != "protocol_name"}
    messages = [(bytes.fromhex(m["payload"]), bytes.fromhex(m["ciphertext"])) for m in case["messages"]]
    initiator = Initiator(PrivateKey(v["init_static"]), v["init_remote_static"], prologue=v["init_prologue"])
    responder = Responder(PrivateKey(v["resp_static"]), v["resp_remote_static"], prologue=v["resp_prologue"])
    assert initiator.write(v["init_ephemeral"], messages[0][0]) == messages[0][1]
    assert responder.read(messages[0][1]) == messages[0][0]
    assert responder.write(v["resp_ephemeral"], messages[1][0]) == messages[1][1]
    assert initiator.read(messages[1][1]) == messages[1][0]
    keys = initiator.split()
    assert keys == responder.split()
    assert initiator.handshake_hash == responder.handshake_hash == v["handshake_hash"]
    for n, (payload, sealed) in enumerate(messages[2:]):
        nonce = bytes(4) + (n // 2).to_bytes(8, "big")
        assert AESGCM(keys[n % 2]).encrypt(nonce, payload, b"") == sealed


@settings(max_examples=20, deadline=None)
@given(KEY, KEY, KEY, KEY, st.binary(max_size=64))
def test_an_independent_implementation_says_the_same(
    one: bytes, two: bytes, e_i: bytes, e_r: bytes, prologue: bytes
) -> None:
    ada, server = PrivateKey(one), PrivateKey(two)
    initiator = Initiator(ada, server.public, prologue=prologue)
    responder = Responder(server, ada.public, prologue=prologue)
    first = initiator.write(e_i)
    responder.read(first)
    second = responder.write(e_r)
    initiator.read(second)
    keys = initiator.split()
    assert keys == responder.split()
    assert dissononce_kk(one, two, e_i, e_r, prologue) == (first, second, initiator.handshake_hash, *keys)


ADA, SERVER, EVE = PrivateKey(b"a" * 32), PrivateKey(b"s" * 32), PrivateKey(b"e" * 32)


def _pair(prologue: bytes = b"p", other: bytes = b"p") -> tuple[Initiator, Responder]:
    return Initiator(ADA, SERVER.public, prologue=prologue), Responder(SERVER, ADA.public, prologue=other)


def test_another_prologue_is_refused() -> None:
    initiator, responder = _pair(other=b"q")
    with pytest.raises(NoiseError):
        responder.read(initiator.write(b"1" * 32))


def test_another_key_is_refused_on_either_side() -> None:
    _, responder = _pair()
    with pytest.raises(NoiseError):
        responder.read(Initiator(EVE, SERVER.public, prologue=b"p").write(b"1" * 32))
    initiator, _ = _pair()
    initiator.write(b"1" * 32)
    eve = Responder(EVE, ADA.public, prologue=b"p")
    with pytest.raises(NoiseError):
        eve.read(Initiator(ADA, SERVER.public, prologue=b"p").write(b"1" * 32))


@pytest.mark.parametrize("point", [bytes(32), b"\x01" + bytes(31)])
def test_points_of_small_order_are_refused(point: bytes) -> None:
    initiator, responder = _pair()
    with pytest.raises(NoiseError):
        responder.read(point + initiator.write(b"1" * 32)[32:])
    with pytest.raises(NoiseError):
        initiator.read(point + bytes(16))
    with pytest.raises(NoiseError):
        Initiator(ADA, point).write(b"1" * 32)


@pytest.mark.parametrize("length", [0, 16, 31, 47])
def test_short_messages_are_refused(length: int) -> None:
    initiator, responder = _pair()
    with pytest.raises(NoiseError):
        responder.read(initiator.write(b"1" * 32)[:length])
    with pytest.raises(NoiseError):
        initiator.read(bytes(length))


def test_a_handshake_goes_one_way_once() -> None:
    initiator, responder = _pair()
    with pytest.raises(NoiseError):
        initiator.read(bytes(48))
    with pytest.raises(NoiseError):
        responder.write(b"2" * 32)
    with pytest.raises(NoiseError):
        initiator.split()
    first = initiator.write(b"1" * 32)
    with pytest.raises(NoiseError):
        initiator.write(b"1" * 32)
    with pytest.raises(NoiseError):
        responder.read(first[:-1] + b"\x00")
    with pytest.raises(NoiseError):
        responder.read(first)  # one try


def test_nothing_secret_shows() -> None:
    assert repr(ADA) == f"PrivateKey(public={ADA.public.hex()})"
    assert repr(_pair()[0]) == "Initiator(step=0)"
