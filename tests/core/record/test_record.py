from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen import exc
from limen.core.record.model import Model
from limen.core.record.record import Record, decode_fields, encode_fields
from limen.core.record.uuid7 import BLOCK, Source, uuid7


class Thing:
    """A model without hooks."""


class Other:
    pass


THING = Model(Thing)
KEY = bytes(range(16))


def record(**fields: Any) -> Record:
    return Record(THING, KEY, 1, 7, encode_fields(fields))


# -- fields
def test_fields_are_attributes_and_items() -> None:
    r = record(text="a", done=False)
    r.text = "b"
    r["done"] = True
    assert (r["text"], r.done, r.get("text"), r.get("no"), r.get("no", 1)) == ("b", True, "b", None, 1)
    assert list(r) == ["text", "done"]
    assert len(r) == 2
    assert "text" in r
    assert "no" not in r
    del r.text
    del r["done"]
    assert not r._fields
    assert bool(r)


def test_a_record_knows_model_uuid_version_and_transaction() -> None:
    r = record()
    assert (r._model, r._uuid, r._vsn, r._txn) == (Thing, UUID(bytes=KEY), 1, 7)


@pytest.mark.parametrize("name", ["_uuid", "_vsn", "_txn", "_model", "_own", "update", "merge", "get", "to_dict"])
def test_what_the_record_knows_and_its_methods_are_not_written(name: str) -> None:
    r = record()
    with pytest.raises(AttributeError):
        setattr(r, name, 1)
    assert r._vsn == 1


def test_a_field_may_have_a_methods_name_as_an_item() -> None:
    r = record(update="today", items=[1])
    assert r["update"] == "today"
    assert r.items == [1]


@pytest.mark.parametrize("name", ["_x", "__class__", 5, None])
def test_a_fields_name_is_a_text_without_underscore_in_front(name: Any) -> None:
    with pytest.raises(exc.InvalidValue):
        record()[name] = 1
    with pytest.raises(exc.InvalidValue):
        record().update({name: 1})


def test_a_missing_field_is_named() -> None:
    with pytest.raises(AttributeError, match="this Thing has no field 'nope'"):
        record().nope  # noqa: B018
    with pytest.raises(AttributeError, match="this Thing has no field 'nope'"):
        del record().nope
    with pytest.raises(KeyError):
        record()["nope"]


def test_update_replaces_and_merge_joins() -> None:
    r = record(a={"x": 1, "y": {"z": 2}}, b=1)
    assert r.merge({"a": {"y": {"w": 3}}}, b=2) is r
    assert r._fields == {"a": {"x": 1, "y": {"z": 2, "w": 3}}, "b": 2}
    r.update({"a": {"q": 1}}, c=3)
    assert r._fields == {"a": {"q": 1}, "b": 2, "c": 3}


def test_merge_does_not_change_what_was_given() -> None:
    given_one: dict[str, Any] = {"x": {"y": 1}}
    r = record()
    r.a = given_one
    r.merge(a={"x": {"z": 2}})
    assert given_one == {"x": {"y": 1}}


@pytest.mark.parametrize(
    "change",
    [
        lambda r: setattr(r, "text", "b"),
        lambda r: r.list.append(1),
        lambda r: r["dict"]["deep"].clear(),
        lambda r: r.tags.add("x"),
        lambda r: r.__delattr__("text"),
        lambda r: r.merge(new=None),
    ],
)
def test_a_change_anywhere_makes_it_dirty(change: Any) -> None:
    r = record(text="a", list=[], dict={"deep": [1]}, tags={"a"})
    assert r._changed == ()
    change(r)
    assert len(r._changed) == 1


def test_a_change_that_changes_nothing_is_none() -> None:
    r = record(text="a", n=1)
    r.text = "b"
    r.text = "a"
    assert r._changed == ()


def test_to_dict_is_the_models_or_the_fields_with_id_and_version() -> None:
    assert record(a=1).to_dict() == {"a": 1, "_uuid": UUID(bytes=KEY), "_vsn": 1}

    class Shown:
        @classmethod
        def to_dict(cls, record: Record) -> dict[str, Any]:
            return {"shown": record.a}

    assert Record(Model(Shown), KEY, 1, 7, '{"a":1}').to_dict() == {"shown": 1}


def test_records_are_equal_by_model_id_version_and_fields() -> None:
    assert record(a=1) == record(a=1)
    assert record(a=1) != record(a=2)
    assert record() != Record(Model(Other), KEY, 1, 7, "{}")
    assert record() != Record(THING, KEY, 2, 7, "{}")
    assert record() != {}
    with pytest.raises(TypeError):
        hash(record())


@pytest.mark.parametrize("through", [copy.copy, copy.deepcopy, lambda r: pickle.loads(pickle.dumps(r))])
def test_copies_and_pickles_keep_all_that_it_knows(through: Any) -> None:
    r = record(a=[1])
    other = through(r)
    assert other == r
    assert (other._txn, other._model, other._changed) == (7, Thing, ())
    assert "version 1" in repr(other)


# -- values
VALUES = {
    "none": None,
    "big": 2**70,
    "float": [1.5, float("inf")],
    "decimal": Decimal("1.50"),
    "bytes": b"\x00\xff",
    "uuid": UUID(int=1),
    "when": [date(2026, 11, 21), time(1, 2, 3), datetime(2026, 11, 21, 1, 2, 3, 4, UTC), timedelta(days=1)],
    "tuple": (1, ("a",)),
    "set": {1, 2},
    "dict": {1: "one"},
    "$x": {"$decimal": "not one"},
}


def test_every_value_that_travels_is_stored_with_its_type() -> None:
    assert decode_fields(encode_fields(VALUES)) == VALUES
    assert type(decode_fields(encode_fields(VALUES))["tuple"]) is tuple


@pytest.mark.parametrize(
    ("value", "path"), [({"a": object()}, "$.x.a"), ([1, "\ud800"], "$.x[1]"), ([[lambda: 1]], "$.x[0][0]")]
)
def test_what_cannot_be_stored_is_named_with_its_path(value: Any, path: str) -> None:
    with pytest.raises(exc.InvalidValue) as caught:
        encode_fields({"x": value})
    assert path in str(caught.value.to_wire())


@pytest.mark.parametrize("stored", ["", "{", "[]", '{"a":{"$uuid":"x"}}', "null"])
def test_damaged_fields_are_said(stored: str) -> None:
    with pytest.raises(exc.StoreError, match="damaged"):
        decode_fields(stored)


_text = st.text(st.characters(codec="utf-8"))
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(_text, _json, max_size=5))
def test_fields_come_back_as_they_went_in(fields: dict[str, Any]) -> None:
    assert decode_fields(encode_fields(fields)) == fields


# -- models
def test_hooks_may_be_classmethods_or_staticmethods() -> None:
    class Both:
        @classmethod
        def initialize(cls, record: Record) -> None:
            record.merge(a=1)

        @staticmethod
        def validate(record: Record) -> None:
            record.merge(b=2)

    model, r = Model(Both), record()
    assert model.initialize is not None
    model.initialize(r)
    model.check(r)
    assert (r.a, r.b) == (1, 2)


def test_a_hook_that_is_neither_is_refused_with_the_remedy() -> None:
    class Lost:
        def validate(cls, record):  # type: ignore[no-untyped-def]  # noqa: N805
            return {}

    class NoFunction:
        index = 5

    with pytest.raises(TypeError, match="make it a @classmethod"):
        Model(Lost)
    with pytest.raises(TypeError, match="no function"):
        Model(NoFunction)
    with pytest.raises(TypeError, match="a model is a class"):
        Model(Thing())  # type: ignore[arg-type]


def test_validation_errors_are_one_tree_and_a_sentence_each() -> None:
    class Strict:
        @classmethod
        def validate(cls, record: Record) -> Any:
            return {"text": {"bad_type": "int"}, "address": {"zip": {"invalid": [1]}}}

    with pytest.raises(exc.RecordValidationError) as caught:
        Model(Strict).check(record())
    assert caught.value.facts["fields"] == {"text": {"bad_type": "int"}, "address": {"zip": {"invalid": [1]}}}
    assert caught.value.err[1:] == ["text, bad_type: int", "address, zip, invalid"]


def test_hooks_that_give_something_else_are_programming_errors() -> None:
    class Wrong:
        @staticmethod
        def validate(record: Record) -> Any:
            return ["text"]

    class Index:
        @staticmethod
        def index(record: Record) -> Any:
            return 5

    for cls in (Wrong, Index):
        with pytest.raises(TypeError, match="dict"):
            Model(cls).check(record())


def test_a_model_may_have_a_name_of_its_own() -> None:
    class Todo:
        __model__ = "shop.Todo"

    assert Model(Todo).name == "shop.Todo"


def test_what_is_changed_is_known_by_field() -> None:
    r = record(text="a", list=[1], gone=1, same=1)
    r.text = "b"
    r.list.append(2)
    r.new = None
    del r.gone
    assert r._changed == ("gone", "list", "new", "text")
    assert Record(THING, KEY)._changed == ()
    fresh = Record(THING, KEY)
    fresh.update(b=1, a=2)
    assert fresh._changed == ("a", "b")


# -- uuids
def test_a_uuid_is_of_version_7_and_says_when() -> None:
    made = UUID(bytes=Source(bytes).next(0x017F22E279B0))
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made.int >> 80 == 0x017F22E279B0


@given(st.lists(st.integers(0, 50), min_size=2, max_size=50), st.randoms(use_true_random=False))
def test_uuids_of_one_source_rise_whatever_clock_and_chance_do(draws: list[int], chance: Random) -> None:
    source = Source(chance.randbytes)
    made = [source.next(milliseconds) for milliseconds in draws]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_when_a_millisecond_is_used_up_the_next_begins() -> None:
    source = Source(lambda number: b"\xff" * number)
    source.next(5)
    source._tail = (1 << 74) - 1
    following = UUID(bytes=source.next(5))
    assert following > uuid7(5, (1 << 74) - 1)
    assert following.int >> 80 == 6


def test_chance_is_asked_once_for_many_uuids_and_used_once() -> None:
    asked: list[bytes] = []

    def chance(number: int) -> bytes:
        asked.append(os.urandom(number))
        return asked[-1]

    source = Source(chance)
    tails = [int.from_bytes(source.next(n)) for n in range(2 * BLOCK)]
    assert len(asked) == 2
    assert len({tail & (1 << 62) - 1 for tail in tails}) == 2 * BLOCK


def test_a_process_that_was_forked_gives_out_others() -> None:
    program = """if True:
        import os
        from limen.app.unitofwork import _new_uuid
        _new_uuid()
        child = os.fork()
        os.write(1, _new_uuid()[8:].hex().encode() + b"\\n")
        if child:
            os.waitpid(child, 0)
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    mine, theirs = done.stdout.split()
    assert mine != theirs
