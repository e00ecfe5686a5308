"""The ratchet: the vectors, and that a frame opens once, in its place, and nowhere else."""

from __future__ import annotations

from hmac import digest
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from make_vectors import channel_file

from limen.core.seal.channel import OVERHEAD, BadFrame, Channel, ratchet
from vectors import vectors

FILE = vectors("channel")


def test_the_vectors_are_what_the_independent_script_makes() -> None:
    assert channel_file() == FILE


@pytest.mark.parametrize("case", FILE["cases"], ids=lambda c: c["name"])
def test_both_ends_give_the_vectors(case: dict[str, Any]) -> None:
    c2s, s2c, th = (bytes.fromhex(case[k]) for k in ("chain_key_c2s", "chain_key_s2c", "th"))
    client = Channel(c2s, s2c, th, "c2s", lane=case["lane"])
    server = Channel(s2c, c2s, th, "s2c", lane=case["lane"])
    for row in case["c2s"]:
        assert client.seal(bytes.fromhex(row["plaintext"])).hex() == row["frame"]
        assert server.open(bytes.fromhex(row["frame"])).hex() == row["plaintext"]
    for row in case["s2c"]:
        assert server.seal(bytes.fromhex(row["plaintext"])).hex() == row["frame"]
        assert client.open(bytes.fromhex(row["frame"])).hex() == row["plaintext"]
    assert (client.sent, server.received) == (len(case["c2s"]),) * 2


def _pair() -> tuple[Channel, Channel]:
    return Channel(b"c" * 32, b"s" * 32, b"t" * 64, "c2s"), Channel(b"s" * 32, b"c" * 32, b"t" * 64, "s2c")


@given(st.binary(min_size=32, max_size=32))
def test_a_step_is_two_hmacs(chain: bytes) -> None:
    assert ratchet(chain) == (digest(chain, b"\x01", "sha256"), digest(chain, b"\x02", "sha256"))


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=300)), max_size=30))
def test_frames_of_both_directions_open_in_any_interleaving(traffic: list[tuple[bool, bytes]]) -> None:
    client, server = _pair()
    for upwards, data in traffic:
        one, other = (client, server) if upwards else (server, client)
        frame = one.seal(data)
        assert len(frame) == len(data) + OVERHEAD
        assert other.open(frame) == data


def test_equal_messages_give_different_frames() -> None:
    client, _ = _pair()
    assert len({client.seal(b"same") for _ in range(100)}) == 100


def test_after_a_bad_frame_nothing_opens_any_more() -> None:
    client, server = _pair()
    good = client.seal(b"good")
    with pytest.raises(BadFrame):
        server.open(bytes(len(good)))
    with pytest.raises(BadFrame):
        server.open(good)
    assert server.received == 0


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17])
def test_short_frames_are_refused(length: int) -> None:
    with pytest.raises(BadFrame):
        _pair()[1].open(bytes(length))


def test_used_keys_are_not_kept() -> None:
    client, server = _pair()
    seen = set()
    for n in range(5):
        server.open(client.seal(b"%d" % n))
        for channel in (client, server):
            seen.add((channel is client, channel._send, channel._receive))
        assert client._send == server._receive
    assert len({send for is_client, send, _ in seen if is_client}) == 5


def test_impossible_keys_are_refused() -> None:
    for send, receive, th in [(b"", b"s" * 32, b"t"), (b"c" * 32, b"s" * 31, b"t"), (b"c" * 32, b"s" * 32, b"")]:
        with pytest.raises(ValueError, match="32 bytes"):
            Channel(send, receive, th, "c2s")


def test_nothing_secret_shows() -> None:
    assert repr(_pair()[0]) == "Channel(c2s, sent=0, received=0)"
