"""Values cross as `vectors/values.json` says; data can't forge a tag; what can't travel is refused with its path."""

from __future__ import annotations

import io
import json
import math
import sys
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import IntEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

import cbor2
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from limen import exc
from limen.base.values import MAX_DEPTH, binary, blame_text, natural, tag, untag

sys.path.insert(0, str(Path(__file__).parent))
import neutral

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "values.json").read_text())
ENCODE: dict[str, Any] = {
    "json": lambda tree: msgspec.json.encode(tree).decode(),
    "msgpack": lambda tree: msgspec.msgpack.encode(tree).hex(),
    "cbor": lambda tree: cbor2.dumps(tree).hex(),
}
DECODE: dict[str, Any] = {
    "json": msgspec.json.decode,
    "msgpack": lambda wire: msgspec.msgpack.decode(bytes.fromhex(wire)),
    "cbor": lambda wire: cbor2.loads(bytes.fromhex(wire)),
}


# -- the vectors ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("encoding", ENCODE)
@pytest.mark.parametrize("peer", ["plain", "limen"])
@pytest.mark.parametrize("row", VECTORS["rows"], ids=lambda row: row["name"])
def test_each_value_has_exactly_these_bytes_and_comes_back(row: Any, peer: str, encoding: Any) -> None:
    value, expected = neutral.value(row["value"]), row[encoding][peer]
    out = tag if peer == "limen" else natural
    if isinstance(expected, dict):
        with pytest.raises(exc.InvalidValue) as refused:
            out(value, encoding)
        assert refused.value.facts["path"] == expected["refused"]
        return
    assert ENCODE[encoding](out(value, encoding)) == expected
    if peer == "limen":
        back = untag(DECODE[encoding](expected), encoding)
        assert neutral.same(back, neutral.value(row.get("back", row["value"])))


@pytest.mark.parametrize("tree", VECTORS["malformed"], ids=lambda tree: str(tree)[:40])
@pytest.mark.parametrize("encoding", ENCODE)
def test_a_malformed_tag_is_refused(tree: Any, encoding: Any) -> None:
    with pytest.raises(exc.InvalidValue):
        untag(tree, encoding)


# -- properties -------------------------------------------------------------------------------------------------
ENCODINGS = st.sampled_from(["json", "msgpack", "cbor"])
KNOWN = ("$decimal", "$set", "$tuple", "$dict", "$error", "$int")
NAMES = ["$", "$$", "$x", *KNOWN, *("$" + name for name in KNOWN)]
KEYS = st.text(max_size=5) | st.sampled_from(NAMES)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.sampled_from(NAMES)
TREES: st.SearchStrategy[Any] = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=20
)
ZONES = st.none() | st.integers(-80_000, 80_000).map(lambda seconds: timezone(timedelta(seconds=seconds)))
HASHABLE = (
    PLAIN
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.dates()
    | st.times().map(lambda at: at.replace(fold=0))  # which of two equal clock times it was does not travel
    | st.datetimes(timezones=ZONES).map(lambda at: at.replace(fold=0))
    | st.timedeltas()
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    HASHABLE | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(KEYS | HASHABLE, inner, max_size=3)
        | st.sets(HASHABLE, max_size=3)
        | st.frozensets(HASHABLE, max_size=3)
    ),
    max_leaves=20,
)


@given(TREES, ENCODINGS)
@example({"$decimal": "9.99"}, "json")
@example({"$dict": [["$set", [1]]]}, "cbor")
def test_data_that_looks_like_a_tag_comes_back_as_data(tree: Any, encoding: Any) -> None:
    assert neutral.same(untag(tag(tree, encoding), encoding), tree)


LEAVES = (type(None), bool, int, float, str, bytes)


def plain_types(tree: Any) -> bool:
    if type(tree) is dict:
        return all(type(key) is str and plain_types(item) for key, item in tree.items())
    return all(map(plain_types, tree)) if type(tree) is list else type(tree) in LEAVES


@given(VALUES, ENCODINGS)
def test_every_value_crosses_with_its_types(value: Any, encoding: Any) -> None:
    tree = tag(value, encoding)
    assert plain_types(tree)
    assert neutral.same(untag(DECODE[encoding](ENCODE[encoding](tree)), encoding), value)


@given(VALUES, ENCODINGS)
def test_what_is_natural_is_plain_or_refused(value: Any, encoding: Any) -> None:
    try:
        tree = natural(value, encoding)
    except exc.InvalidValue:
        return
    assert plain_types(tree)
    ENCODE[encoding](tree)


@given(TREES, ENCODINGS)
def test_untag_gives_a_value_or_refuses(tree: Any, encoding: Any) -> None:
    try:
        untag(tree, encoding)
    except exc.InvalidValue:
        pass


@given(TREES)
def test_a_tree_without_single_dollar_keys_is_never_changed_by_untag(tree: Any) -> None:
    def innocent(tree: Any) -> bool:
        if type(tree) is dict:
            single = len(tree) == 1 and next(iter(tree)).startswith("$")
            return not single and all(map(innocent, tree.values()))
        return all(map(innocent, tree)) if type(tree) is list else True

    if innocent(tree):
        assert untag(tree, "json") is tree


# -- rules ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("encoding", ENCODE)
@pytest.mark.parametrize("convert", [natural, tag, untag])
def test_what_is_plain_already_is_not_copied(convert: Any, encoding: Any) -> None:
    tree = {"id": 1, "text": "milk", "tags": ["a", "b"], "more": {"x": None, "y": True}}
    assert convert(tree, encoding) is tree


def test_what_goes_in_is_never_changed() -> None:
    inner = {"price": Decimal(1)}
    value = {"a": [inner], "b": 1}
    natural(value, "json")
    tag(value, "json")
    assert value == {"a": [{"price": Decimal(1)}], "b": 1}
    tree = {"a": [{"$decimal": "1"}]}
    untag(tree, "json")
    assert tree == {"a": [{"$decimal": "1"}]}


def test_subclasses_of_plain_types_become_plain() -> None:
    class Text(str):
        __slots__ = ()

    class Level(IntEnum):
        LOW = 1

    Pair = namedtuple("Pair", "x y")
    value = [Text("a"), Level.LOW, OrderedDict(a=1), Pair(1, 2), MappingProxyType({"b": 2}), {Text("k"): 1}]
    for encoding in ("json", "msgpack", "cbor"):
        assert plain_types(natural(value, encoding))  # type: ignore[arg-type]
    assert natural(value, "json") == ["a", 1, {"a": 1}, [1, 2], {"b": 2}, {"k": 1}]
    assert untag(tag(value, "json"), "json") == ["a", 1, {"a": 1}, (1, 2), {"b": 2}, {"k": 1}]


def test_structs_go_by_the_names_they_have_on_the_wire() -> None:
    class Todo(msgspec.Struct, rename="camel", tag="todo"):
        due_date: date
        note: str | msgspec.UnsetType = msgspec.UNSET

    assert natural(Todo(date(2026, 1, 2)), "json") == {"type": "todo", "dueDate": "2026-01-02"}


def test_errors_that_are_not_ours_keep_their_name_and_text() -> None:
    assert natural(ValueError("no"), "json") == {"exc": "ValueError", "err": ["no"]}
    back = untag(tag([exc.NotFound("Gone.", at=Decimal(1))], "json"), "json")[0]
    assert type(back) is exc.NotFound
    assert back.to_wire() == {"exc": "NotFound", "err": ["Gone."], "at": Decimal(1)}


@pytest.mark.parametrize(
    ("value", "path", "word"),
    [
        ({"a": [1, {"b c": object()}]}, "$.a[1]['b c']", "object"),
        ([iter([])], "$[0]", "Make it a list"),
        ([io.BytesIO()], "$[0]", "limen.Upload.of"),
        ({"f": print}, "$.f", "builtin_function"),
        ({"c": Decimal}, "$.c", "class"),
        ([[1, math.nan]], "$[0][1]", "NaN"),
        ({"a": {b"k": 1}}, "$.a", "bytes"),
        ([datetime(2026, 1, 1, tzinfo=timezone(timedelta(microseconds=1)))], "$[0]", "whole seconds"),
    ],
)
def test_what_cannot_travel_is_named_by_path_and_type(value: Any, path: str, word: str) -> None:
    with pytest.raises(exc.InvalidValue, match=word) as refused:
        natural(value, "json")
    assert refused.value.facts["path"] == path


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)

    class Myself:
        def to_dict(self) -> Any:
            return self

    for value in (loop, Myself()):
        for out in (natural, tag):
            with pytest.raises(exc.InvalidValue, match=f"{MAX_DEPTH} deep"):
                out(value, "json")


def test_a_set_of_what_becomes_a_dict_is_refused_where_it_is_made() -> None:
    @dataclass(frozen=True)
    class Key:
        x: int

    for value in ({Key(1)}, {(1, Key(1))}, {Key(1): 1}):
        with pytest.raises(exc.InvalidValue):
            tag(value, "json")
    assert natural({Key(1)}, "json") == [{"x": 1}]


@pytest.mark.parametrize("name", ["$set", "$frozenset", "$dict"])
def test_items_chosen_to_collide_are_refused(name: str) -> None:
    colliding = [{"$int": str(k * (2**61 - 1))} for k in range(1, 5000)]
    with pytest.raises(exc.InvalidValue):
        untag({name: [[k, 1] for k in colliding] if name == "$dict" else colliding}, "json")
    assert len(untag({"$set": list(range(5000))}, "json")) == 5000


def test_bytes_of_plain_json_are_as_wamp_writes_them() -> None:
    assert binary({"a": ["\0AP8=", "x"]}) == {"a": [b"\x00\xff", "x"]}
    with pytest.raises(exc.InvalidValue, match="base64") as refused:
        binary({"a": ["\0no base64"]})
    assert refused.value.facts["path"] == "$.a[0]"
    assert binary(natural({"b": b"\x00\xff"}, "json")) == {"b": b"\x00\xff"}


def test_a_lone_surrogate_is_found() -> None:
    with pytest.raises(exc.InvalidValue) as refused:
        blame_text({"a": [1, {"b": "\ud800"}]})
    assert refused.value.facts["path"] == "$.a[1].b"
    refused.value.facts["path"].encode()
    with pytest.raises(exc.InvalidValue):
        blame_text({"\ud800": 1})


def test_annotations_read_what_is_natural() -> None:
    """A plain peer's text becomes the type that a service declares."""
    for value in (
        Decimal("1.50"),
        UUID(int=7),
        date(2026, 11, 21),
        time(11, 48),
        datetime(2026, 11, 21, 11, 48, tzinfo=UTC),
        timedelta(days=1, microseconds=1),
        timedelta(seconds=-1),
    ):
        assert msgspec.convert(natural(value, "json"), type(value)) == value
