"""What holds for any bytes, asked with the vectors, changed here and there; `make soak` asks where coverage leads."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from targets import LIMIT, TARGETS, seeds

from limen.transport.rawframe import prefix


@pytest.mark.parametrize("target", TARGETS)
def test_it_holds_for_what_is_known(target: str) -> None:
    for data in seeds(target):
        TARGETS[target](data)


@pytest.mark.parametrize("target", TARGETS)
def test_it_holds_for_what_was_changed_on_the_way(target: str) -> None:
    chance = random.Random(5)
    known = seeds(target)
    for _ in range(5000):
        data = bytearray(chance.choice(known))
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(len(data) + 1)
            match chance.randrange(4):
                case 0:
                    data[at : at + chance.randrange(4)] = b""
                case 1:
                    data[at:at] = chance.randbytes(chance.randrange(1, 5))
                case 2:
                    data[at : at + 1] = chance.randbytes(1)
                case _:
                    other = chance.choice(known)
                    data[at:] = other[chance.randrange(len(other) + 1) :]
        TARGETS[target](bytes(data))


frames = st.lists(
    st.one_of(
        st.builds(lambda kind, data: prefix(kind, len(data)) + data, st.integers(0, 2), st.binary(max_size=80)),
        st.just(prefix(0, LIMIT) + bytes(LIMIT)),
        st.binary(max_size=6),
    ),
    max_size=80,
).map(b"".join)
handshakes = st.sampled_from([b"\x7f\xf1\0\0", b"\x7f\x02\0\0", b"\x7f\xf3\0\0"])


@given(st.binary(min_size=2, max_size=2), handshakes, frames)
def test_a_stream_says_the_same_however_it_is_cut(how: bytes, handshake: bytes, stream: bytes) -> None:
    TARGETS["rawsocket"](how + handshake + stream)
