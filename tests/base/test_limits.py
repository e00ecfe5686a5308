"""Bytes of strangers: what is refused, at what cost, and what is not."""

from __future__ import annotations

import json
import struct
import tracemalloc
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import cbor2
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.base.limits import MAX_DEPTH, check_json, check_tree, json_depth, load_cbor, load_json, load_msgpack
from limen.exc import InvalidValue

LOADERS: dict[str, Callable[..., Any]] = {"json": load_json, "msgpack": load_msgpack, "cbor": load_cbor}
DUMPERS: dict[str, Callable[[Any], bytes]] = {
    "json": msgspec.json.encode,
    "msgpack": msgspec.msgpack.encode,
    "cbor": cbor2.dumps,
}
MANY = 100_000

texts = st.text()
leaves = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts
)
trees = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=20)


@given(trees, st.sampled_from(["json", "msgpack", "cbor"]))
def test_what_is_well_formed_is_taken_as_it_is(tree: Any, encoding: str) -> None:
    assert LOADERS[encoding](DUMPERS[encoding](tree)) == tree


@given(st.binary(max_size=300), st.sampled_from(["json", "msgpack", "cbor"]))
def test_garbage_is_refused_with_one_kind_of_error(data: bytes, encoding: str) -> None:
    try:
        LOADERS[encoding](data)
    except InvalidValue:
        pass


# -- depth ------------------------------------------------------------------------------------------------------
def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth - 1):
        value = [value]
    return value


@pytest.mark.parametrize("encoding", ["json", "msgpack", "cbor"])
def test_the_deepest_value_is_taken_and_one_deeper_is_not(encoding: str) -> None:
    assert LOADERS[encoding](DUMPERS[encoding](nested(MAX_DEPTH))) == nested(MAX_DEPTH)
    with pytest.raises(InvalidValue):
        LOADERS[encoding](DUMPERS[encoding](nested(MAX_DEPTH + 1)))


def depth_of(tree: Any) -> int:
    inner = tree.values() if type(tree) is dict else tree if type(tree) is list else None
    return 0 if inner is None else 1 + max(map(depth_of, inner), default=0)


@given(trees, st.integers(0, 6))
def test_depth_is_counted_without_decoding(tree: Any, limit: int) -> None:
    data = json.dumps(tree).encode()
    if depth_of(tree) <= limit:
        json_depth(data, limit)
    else:
        with pytest.raises(InvalidValue):
            json_depth(data, limit)


def test_brackets_in_strings_are_no_depth() -> None:
    load_json(json.dumps(["[[{{" * 1000, '"]', "\\", '\\"[' * 200]).encode())


def test_many_flat_lists_are_not_deep() -> None:
    assert len(load_json(b"[" + b",".join([b'{"a":[1]}'] * 5000) + b"]")) == 5000


# -- repeated keys ----------------------------------------------------------------------------------------------
REPEATED: dict[str, tuple[str, bytes]] = {
    "json": ("json", b'{"a":1,"a":2}'),
    "json, escaped": ("json", b'{"a":1,"\\u0061":2}'),
    "json, deep": ("json", b'[1,{"x":{"a":1,"b":2,"a":3}}]'),
    "json, beside colons in texts": ("json", b'{"a":":::","a":2,"b":"::"}'),
    "msgpack": ("msgpack", b"\x82\xa1a\x01\xa1a\x02"),
    "msgpack, spelled otherwise": ("msgpack", b"\x82\xa1a\x01\xd9\x01a\x02"),
    "msgpack, beside float32": ("msgpack", b"\x93\x82\xa1a\xc0\xa1a\xc0\xca\0\0\0\0\xca\0\0\0\0"),
    "msgpack, deep": ("msgpack", b"\x92\xcf\0\0\0\0\0\0\0\x01\x81\xa1x\x91\x82\xa1a\x01\xa1a\x02"),
    "msgpack, wide": ("msgpack", b"\xde\x00\x02\xa1a\x01\xa1a\x02"),
    "cbor": ("cbor", b"\xa2\x61a\x01\x61a\x02"),
    "cbor, of unknown length": ("cbor", b"\xbf\x61a\x01\x61a\x02\xff"),
}


@pytest.mark.parametrize("case", REPEATED)
def test_a_repeated_key_is_refused(case: str) -> None:
    encoding, data = REPEATED[case]
    with pytest.raises(InvalidValue, match=r"same key|Duplicate"):
        LOADERS[encoding](data)


@given(trees)
def test_msgpack_spelled_as_long_as_can_be_has_no_repeated_key(tree: Any) -> None:
    assert load_msgpack(longest(tree)) == tree


@given(trees, st.dictionaries(texts, leaves, min_size=1), st.data())
def test_a_repeated_key_is_found_wherever_it_is(tree: Any, flawed: dict[str, Any], data: Any) -> None:
    again = data.draw(st.sampled_from(sorted(flawed)))
    pairs = [*flawed.items(), (again, data.draw(leaves))]
    for dump in (longest, shortest):
        packed = b"".join(dump(part) for pair in pairs for part in pair)
        with pytest.raises(InvalidValue, match="same key"):
            load_msgpack(b"\x92" + dump(tree) + b"\xdf" + struct.pack("!I", len(pairs)) + packed)
    text = ",".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in pairs)
    with pytest.raises(InvalidValue, match="same key"):
        load_json(f"[{json.dumps(tree)},{{{text}}}]".encode())


def shortest(tree: Any) -> bytes:
    return msgspec.msgpack.encode(tree)


def longest(tree: Any) -> bytes:
    """MessagePack with every length and integer in its widest form."""
    match tree:
        case str():
            return b"\xdb" + struct.pack("!I", len(tree.encode())) + tree.encode()
        case bool() | None | float():
            return msgspec.msgpack.encode(tree)
        case int():
            return b"\xd3" + struct.pack("!q", tree)
        case list():
            return b"\xdd" + struct.pack("!I", len(tree)) + b"".join(map(longest, tree))
    items = b"".join(longest(key) + longest(value) for key, value in tree.items())
    return b"\xdf" + struct.pack("!I", len(tree)) + items


def test_every_form_of_msgpack_is_walked_through() -> None:
    forms = [
        b"\x01", b"\xff", b"\xc0", b"\xc2", b"\xc3", b"\xca\0\0\0\0", b"\xcb" + b"\0" * 8, b"\xcc\x01", b"\xcd\0\x01",
        b"\xce\0\0\0\x01", b"\xcf" + b"\0" * 8, b"\xd0\x01", b"\xd1\0\x01", b"\xd2\0\0\0\x01", b"\xd3" + b"\0" * 8,
        b"\xc4\x01a", b"\xc5\0\x01a", b"\xc6\0\0\0\x01a", b"\xa1a", b"\xd9\x01a", b"\xda\0\x01a", b"\xdb\0\0\0\x01a",
        b"\xd4\0\0", b"\xd5\0\0\0", b"\xd6\xff\0\0\0\x01", b"\xd7\xff" + b"\0" * 8, b"\xd8\0" + b"\0" * 16,
        b"\xc7\x01\0\0", b"\xc8\0\x01\0\0", b"\xc9\0\0\0\x01\0\0", b"\xc7\x0c\xff" + b"\0" * 12,
        b"\x90", b"\x91\x01", b"\xdc\0\x01\x01", b"\xdd\0\0\0\x01\x01", b"\x80", b"\x81\xa1a\x01",
        b"\xde\0\x01\xa1a\x01", b"\xdf\0\0\0\x01\xa1a\x01",
    ]  # fmt: skip
    data = b"\xdc" + struct.pack("!H", len(forms) + 1) + b"".join(forms)
    assert len(load_msgpack(data + b"\x82\xa1a\x01\xa1b\x01")) == len(forms) + 1
    with pytest.raises(InvalidValue, match="same key"):
        load_msgpack(data + b"\x82\xa1a\x01\xa1a\x01")


# -- JSON -------------------------------------------------------------------------------------------------------
JSON_REFUSED: dict[str, bytes] = {
    "NaN": b"NaN",
    "infinity": b"-Infinity",
    "an integer of 100,000 digits": b"9" * MANY,
    "a number beyond float64": b"1e999999999",
    "no UTF-8": b'"\xff\xfe\xc0\x80"',
    "a lone surrogate": b'"\\ud800"',
    "a lone low surrogate": b'"\\udc00 "',
    "a surrogate in UTF-8": b'"\xed\xa0\x80"',
    "a raw NUL": b'"a\0b"',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "a mark of byte order": b"\xef\xbb\xbf1",
    "more after it": b'"x"]]',
    "nothing": b"",
    "never closed": b"[" * MANY,
    "a string never closed": b'"' + b'\\"' * MANY,
}


@pytest.mark.parametrize("case", JSON_REFUSED)
def test_json_refuses(case: str) -> None:
    with pytest.raises(InvalidValue):
        check_json(b'{"name":' + JSON_REFUSED[case] + b"}")
    with pytest.raises(InvalidValue):
        check_json(JSON_REFUSED[case])


def test_json_takes_what_is_legal() -> None:
    assert load_json(b'["a\\u0000b","\\ud83d\\ude00",1e308,-0.0,123456789012345678901234567890]') == [
        "a\0b",
        "\N{GRINNING FACE}",
        1e308,
        -0.0,
        123456789012345678901234567890,
    ]
    check_json(b'{"a": 1}')


# -- MessagePack ------------------------------------------------------------------------------------------------
MSGPACK_REFUSED: dict[str, bytes] = {
    "2^31 items": b"\xdd\x80\0\0\0\x01\x02",
    "2^31 keys": b"\xdf\x80\0\0\0\x01\x02",
    "2^32 - 1 bytes": b"\xc6\xff\xff\xff\xffabc",
    "100,000 nested lists": b"\x91" * MANY + b"\x01",
    "100,000 nested maps": b"\x81\xa1a" * MANY + b"\x01",
    "cut": b"\xdb\0\0\0\x10abc",
    "a list as a key": b"\x81\x91\x01\x02",
    "a number as a key": b"\x81\x01\x02",
    "bytes as a key": b"\x81\xc4\x01a\x02",
    "an unknown extension": b"\xd4\x63\x00",
    "a time after the year 9999": b"\xc7\x0c\xff\0\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff",
    "more after it": b"\x01\x01",
    "the unused code": b"\xc1",
    "nothing": b"",
}


@pytest.mark.parametrize("case", MSGPACK_REFUSED)
def test_msgpack_refuses(case: str) -> None:
    with pytest.raises(InvalidValue):
        load_msgpack(MSGPACK_REFUSED[case])


@pytest.mark.parametrize("key", ["c0", "07", "c40161", "c70100aa", "90", "ca00000000"])
def test_what_is_lost_behind_a_repeated_key_of_msgpack_is_refused_with_it(key: str) -> None:
    """{"x": {key: 1}, "x": 1.0}, the last as float32: decoding keeps no trace of the first."""
    with pytest.raises(InvalidValue, match="same key twice"):
        load_msgpack(bytes.fromhex(f"82 a178 81 {key} 01 a178 ca3f800000"))


def test_undefined_in_msgpack_is_none() -> None:
    assert load_msgpack(b"\x91\xd4\x00\x00") == [None]


# -- CBOR -------------------------------------------------------------------------------------------------------
CBOR_REFUSED: dict[str, bytes] = {
    "2^31 items": b"\x9a\x80\0\0\0\x01",
    "2^62 items": b"\x9b\x40\0\0\0\0\0\0\0\x01",
    "2^31 keys": b"\xba\x80\0\0\0\x61a\x02",
    "2^31 bytes of text": b"\x7a\x80\0\0\0abc",
    "100,000 nested lists": b"\x81" * MANY + b"\x01",
    "100,000 nested maps": b"\xa1\x61a" * MANY + b"\x01",
    "100,000 nested lists of unknown length": b"\x9f" * MANY,
    "100,000 nested tags": b"\xd8\x40" * MANY + b"\x41a",
    "never ends": b"\x9f\x01\x02",
    "a bignum of 500 KB": b"\xc2\x5a\x00\x07\xa1\x20" + b"\xff" * 500_000,
    "a bignum of 65 bytes": b"\xc3\x58\x41" + b"\xff" * 65,
    "a bignum of text": b"\xc2\x61a",
    "1/0": b"\xd8\x1e\x82\x01\x00",
    "a regular expression": b"\xd8\x23\x66(a+)+$",
    "MIME": b"\xd8\x24\x61x",
    "a list that holds itself": b"\xd8\x1c\x81\xd8\x1d\x00",
    "references to strings": b"\xd9\x01\x00\x82\x63abc\xd8\x19\x00",
    "a network": b"\xd9\x01\x05\xa1\x44\x7f\0\0\x01\x18\x63",
    "a complex number": b"\xd9\xa7\xf8\x82\x01\x01",
    "an unknown tag": b"\xd9\x04\xd2\x01",
    "a time of 1e300": b"\xc1\xfb\x7e\x37\xe4\x3c\x88\x00\x75\x9c",
    "a time that is no number": b"\xc1\xf9\x7e\x00",
    "a time that is a list": b"\xc1\x80",
    "a date and time that is none": b"\xc0\x61x",
    "a date and time that is a number": b"\xc0\x01",
    "a date that is none": b"\xd9\x03\xec\x61x",
    "a date that is a number": b"\xd9\x03\xec\x01",
    "a day beyond the calendar": b"\xd8\x64\x1b\x7f\xff\xff\xff\xff\xff\xff\xff",
    "a day that is text": b"\xd8\x64\x61x",
    "a decimal with a huge exponent": b"\xc4\x82\x1b\x7f\xff\xff\xff\xff\xff\xff\xff\x01",
    "a decimal of one part": b"\xc4\x81\x01",
    "a decimal of text": b"\xc4\x82\x01\x61x",
    "a UUID of 3 bytes": b"\xd8\x25\x43abc",
    "a UUID of text": b"\xd8\x25\x61a",
    "binary that is text": b"\xd8\x40\x61a",
    "a set that is text": b"\xd9\x01\x02\x61a",
    "a number as a key": b"\xa1\x01\x02",
    "bytes as a key": b"\xa1\x41a\x02",
    "a list as a key": b"\xa1\x81\x01\x02",
    "a simple value": b"\xf0",
    "no UTF-8": b"\x61\xff",
    "more after it": b"\x01\x01",
    "nothing": b"",
}


@pytest.mark.parametrize("case", CBOR_REFUSED)
def test_cbor_refuses(case: str) -> None:
    with pytest.raises(InvalidValue):
        load_cbor(CBOR_REFUSED[case])


CBOR_TAKEN: dict[str, tuple[bytes, Any]] = {
    "undefined": (b"\x82\xf7\xa1\x61a\xf7", [None, {"a": None}]),
    "a bignum": (b"\xc2\x49\x01" + b"\0" * 8, 2**64),
    "a negative bignum": (b"\xc3\x49\x01" + b"\0" * 8, -(2**64) - 1),
    "a decimal": (b"\xc4\x82\x21\x19\x6a\xb3", Decimal("273.15")),
    "a negative decimal": (b"\xc4\x82\x21\x39\x6a\xb2", Decimal("-273.15")),
    "a date and time": (b"\xc0\x741970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
    "an epoch": (b"\xc1\x00", datetime(1970, 1, 1, tzinfo=UTC)),
    "a date": (b"\xd9\x03\xec\x6a2026-11-21", date(2026, 11, 21)),
    "days": (b"\xd8\x64\x01", date(1970, 1, 2)),
    "a UUID": (b"\xd8\x25\x50" + b"\0" * 15 + b"\x01", UUID(int=1)),
    "binary of JavaScript": (b"\xd8\x40\x42\x00\xff", b"\x00\xff"),
    "a set": (b"\xd9\x01\x02\x82\x01\xa1\x61a\x01", [1, {"a": 1}]),
}


@pytest.mark.parametrize("case", CBOR_TAKEN)
def test_cbor_takes(case: str) -> None:
    data, value = CBOR_TAKEN[case]
    got = load_cbor(data)
    assert got == value
    assert type(got) is type(value)


# -- what it costs ----------------------------------------------------------------------------------------------
BOMBS: dict[str, tuple[str, bytes]] = {
    "100,000 nested lists": ("json", b"[" * MANY + b"]" * MANY),
    "100,000 nested objects": ("json", b'{"a":' * MANY + b"1" + b"}" * MANY),
    # Quadratic work would not end here.
    "a million escaped quotes, never closed": ("json", b"[" * 200 + b'"' + b'\\"' * 1_000_000),
    "a million strings": ("json", b"[" * 200 + b'"",,' * 1_000_000),
    "an integer of 100,000 digits": ("json", b"9" * MANY),
    "msgpack: 100,000 nested maps": ("msgpack", b"\x81\xa1a" * MANY + b"\x01"),
    "msgpack: 2^31 items": ("msgpack", b"\xdd\x80\0\0\0\x01\x02"),
    "cbor: 2^62 items": ("cbor", b"\x9b\x40\0\0\0\0\0\0\0\x01"),
    "cbor: a bignum of 500 KB": ("cbor", b"\xc2\x5a\x00\x07\xa1\x20" + b"\xff" * 500_000),
    "cbor: an array that holds itself": ("cbor", b"\xd8\x1c\x81\xd8\x1d\x00"),
}


@pytest.mark.parametrize("case", BOMBS)
def test_a_bomb_takes_no_more_memory_than_its_own_size(case: str) -> None:
    encoding, data = BOMBS[case]
    tracemalloc.start()
    try:
        with pytest.raises(InvalidValue):
            LOADERS[encoding](data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * len(data) + 2**20


def test_200_000_keys_are_read() -> None:
    keys = {str(i): 1 for i in range(200_000)}
    for encoding, load in LOADERS.items():
        assert len(load(DUMPERS[encoding](keys))) == len(keys)


def test_check_tree_refuses_what_is_no_value() -> None:
    with pytest.raises(InvalidValue):
        check_tree({"a": [object()]})
    with pytest.raises(InvalidValue):
        check_tree({"a": {1: 2}})
