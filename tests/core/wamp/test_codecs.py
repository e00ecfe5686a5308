"""Codecs: exact bytes for every message, other spellings that are taken, and bytes that are refused."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import cbor2
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.base.values import Encoding, untag
from limen.core.wamp.codecs import Malformed, Unacceptable, codec
from limen.core.wamp.messages import CLASSES, MAX_ID, Call, Hello, Publish, Result
from limen.exc import InvalidValue

VECTORS = json.loads((Path(__file__).parents[3] / "vectors" / "messages.json").read_text())
ENCODINGS = ("json", "msgpack", "cbor")
LOADERS: dict[str, Any] = {"json": json.loads, "msgpack": msgspec.msgpack.decode, "cbor": cbor2.loads}


def named(case: Any) -> str:
    name: str = case["name"]
    return name


def message(note: Any) -> Any:
    row = untag(note, "json")
    return CLASSES[row[0]](*row[1:])


def data(encoding: str, text: str) -> bytes:
    return text.encode() if encoding == "json" else bytes.fromhex(text)


# -- the vectors ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("peer", ["plain", "limen"])
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("case", VECTORS["messages"], ids=named)
def test_each_message_has_exactly_these_bytes(case: Any, encoding: Any, peer: str) -> None:
    expected = case[encoding].get(peer, case[encoding]["plain"])
    assert codec(encoding, peer == "limen").encode(message(case["message"])) == data(encoding, expected)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("case", VECTORS["messages"], ids=named)
def test_each_message_comes_back_from_its_bytes(case: Any, encoding: Any) -> None:
    limen = case[encoding].get("limen", case[encoding]["plain"])
    assert codec(encoding, True).decode(data(encoding, limen)) == message(case["message"])
    plain = codec(encoding).decode(data(encoding, case[encoding]["plain"]))
    assert codec(encoding).encode(plain) == data(encoding, case[encoding]["plain"])


@pytest.mark.parametrize("case", VECTORS["unusual"], ids=named)
def test_other_spellings_are_taken(case: Any) -> None:
    assert codec(case["encoding"]).decode(data(case["encoding"], case["data"])) == message(case["message"])


@pytest.mark.parametrize("tagged", [False, True], ids=["plain", "limen"])
@pytest.mark.parametrize("case", VECTORS["refused"], ids=named)
def test_what_is_no_message_is_refused(case: Any, tagged: bool) -> None:
    raw = case["text"].encode() if "text" in case else bytes.fromhex(case["hex"])
    if tagged and "no base64" in case["name"] and case["answer"] == "unacceptable":
        return  # bytes have a tag there, and a text may be anything
    with pytest.raises((Malformed, Unacceptable)) as caught:
        codec(case["encoding"], tagged).decode(raw)
    refusal = caught.value
    assert (refusal.close_code if isinstance(refusal, Malformed) else "unacceptable") == case["answer"]


def test_every_message_of_the_protocol_has_a_vector() -> None:
    assert {case["message"][0] for case in VECTORS["messages"]} == set(CLASSES)


# -- properties -------------------------------------------------------------------------------------------------
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text().filter(lambda text: not text.startswith("\0"))
    | st.binary()
)
trees = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)
calls = st.builds(
    Call,
    st.integers(1, MAX_ID),
    st.just({}),
    st.text(),
    st.none() | st.lists(trees, max_size=4),
    st.none() | st.dictionaries(st.text(), trees, max_size=4),
)


@given(calls, st.sampled_from(ENCODINGS), st.booleans())
def test_a_call_crosses_unharmed(call: Call, encoding: Any, tagged: bool) -> None:
    back = codec(encoding, tagged).decode(codec(encoding, tagged).encode(call))
    if call.args is None and call.kwargs is not None:
        call = msgspec.structs.replace(call, args=[])  # args stand before kwargs
    assert back == call


@given(trees, st.sampled_from(ENCODINGS), st.booleans())
def test_an_answer_has_the_bytes_of_its_result(value: Any, encoding: Any, tagged: bool) -> None:
    assert codec(encoding, tagged).answer(7, value) == codec(encoding, tagged).encode(Result(7, {}, [value]))


@given(calls, st.sampled_from(ENCODINGS))
def test_any_decoder_reads_what_is_written(call: Call, encoding: Any) -> None:
    row = LOADERS[encoding](codec(encoding).encode(call))
    assert row[:4] == [48, call.request, {}, call.procedure]
    assert len(row) == (6 if call.kwargs is not None else 5 if call.args is not None else 4)


@given(st.binary(max_size=200), st.sampled_from(ENCODINGS), st.booleans())
def test_garbage_is_malformed_or_unacceptable_and_nothing_else(raw: bytes, encoding: Any, tagged: bool) -> None:
    try:
        codec(encoding, tagged).decode(raw)
    except (Malformed, Unacceptable):
        pass


@given(calls, st.sampled_from(ENCODINGS), st.data())
def test_a_flipped_byte_is_a_message_or_a_refusal(call: Call, encoding: Any, data: Any) -> None:
    raw = bytearray(codec(encoding).encode(call))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        back = codec(encoding).decode(bytes(raw))
    except (Malformed, Unacceptable):
        return
    codec(encoding).encode(back)


# -- one by one -------------------------------------------------------------------------------------------------
def test_a_value_that_cannot_travel_is_named_by_its_path() -> None:
    with pytest.raises(InvalidValue) as refused:
        codec("json").encode(Result(1, {}, [{"a": float("nan")}]))
    assert refused.value.facts["path"] == "$[0].a"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_lone_surrogate_does_not_leave(encoding: Any) -> None:
    with pytest.raises(InvalidValue):
        codec(encoding).encode(Result(1, {}, ["\ud800"]))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_keyword_arguments_that_are_a_tag_are_unacceptable(encoding: Any) -> None:
    plain = codec(encoding).encode(Call(1, {}, "x", [], {"$decimal": "1"}))
    with pytest.raises(Unacceptable) as refused:
        codec(encoding, True).decode(plain)
    assert refused.value.message == Call(1, {}, "x")


def test_an_unknown_tag_is_unacceptable_and_its_message_is_known() -> None:
    with pytest.raises(Unacceptable) as refused:
        codec("json", True).decode(b'[48,1,{},"x",[{"$nonsense":1}]]')
    assert refused.value.message == Call(1, {}, "x")
    assert refused.value.error.facts["path"] == "$[0]"


def test_malformed_says_what_to_answer() -> None:
    with pytest.raises(Malformed) as malformed:
        codec("json").decode(b"[48]")
    assert malformed.value.abort.reason == "wamp.error.protocol_violation"
    assert malformed.value.close_code == 1002


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_handshake_carries_bytes(encoding: Any) -> None:
    hello = Hello("a.example", {"roles": {"caller": {}}, "authextra": {"ke1": b"\x00\xff"}})
    assert codec(encoding, True).decode(codec(encoding, True).encode(hello)) == hello


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_value_128_deep_is_taken_and_one_129_deep_is_not(encoding: Any) -> None:
    value: Any = []
    for _ in range(126):
        value = [value]
    deepest = codec(encoding).encode(Call(1, {}, "x", [value]))
    assert codec(encoding).decode(deepest) == Call(1, {}, "x", [value])
    with pytest.raises(InvalidValue):
        codec(encoding).encode(Call(1, {}, "x", [[value]]))


@pytest.mark.parametrize("name", ["json", "msgpack", "cbor"])
def test_the_garbage_collector_does_not_look_at_a_large_message_again_and_again(name: Encoding) -> None:
    data = codec(name).encode(Publish(1, {}, "todo", [[[]] * 70_000]))
    collections: list[str] = []
    gc.callbacks.append(lambda phase, info: collections.append(phase))
    try:
        message = codec(name).decode(data)
        during = len(collections)
    finally:
        gc.callbacks.pop()
    assert isinstance(message, Publish)
    assert during == 0
    assert gc.isenabled()
    with pytest.raises(Malformed):
        codec(name).decode(b"x" * 100_000)
    assert gc.isenabled()
