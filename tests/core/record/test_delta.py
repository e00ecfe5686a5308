from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen import exc
from limen.core.record import delta
from limen.core.record.record import decode_fields, encode_fields

_values = st.none() | st.integers(-3, 3) | st.text(max_size=40) | st.lists(st.integers(0, 2), max_size=3)
_fields = st.dictionaries(st.sampled_from(["a", "b", "c", "d", "ü", "$x"]), _values)


@given(st.lists(_fields, min_size=1, max_size=80))
def test_every_version_is_rebuilt_exactly_from_its_keyframe_on(versions: list[dict[str, object]]) -> None:
    texts = [encode_fields(fields) for fields in versions]
    rows = [delta.row(n + 1, texts[n - 1] if n else None, text) for n, text in enumerate(texts)]
    for vsn, text in enumerate(texts, 1):
        first = delta.keyframe(vsn)
        assert rows[first - 1][0] == delta.WHOLE
        assert vsn - first < delta.GROUP
        assert delta.rebuild(row[:2] for row in rows[first - 1 : vsn]) == text


@given(_fields, _fields)
def test_what_is_said_to_be_changed_is_what_differs(old: dict[str, object], new: dict[str, object]) -> None:
    before, after = encode_fields(old), encode_fields(new)
    missing = object()
    differs = sorted(name for name in {*old, *new} if old.get(name, missing) != new.get(name, missing))
    assert delta.names(before, after) == tuple(differs)
    assert delta.row(2, before, after)[2] == tuple(differs)


@given(_fields, _fields)
def test_a_row_is_never_larger_than_the_whole(old: dict[str, object], new: dict[str, object]) -> None:
    kind, body, _ = delta.row(2, encode_fields(old), encode_fields(new))
    assert len(body) <= len(encode_fields(new))
    assert kind in (delta.WHOLE, delta.DELTA)


def test_one_field_of_many_costs_one_field() -> None:
    fields = {f"field{n}": "x" * 100 for n in range(20)}
    kind, body, changed = delta.row(2, encode_fields(fields), encode_fields({**fields, "field7": "y"}))
    assert (kind, body, changed) == (delta.DELTA, '{"set":{"field7":"y"}}', ("field7",))


def test_fields_in_another_order_are_kept_whole() -> None:
    before, after = (
        '{"a":1,"b":"a long text that would be worth it"}',
        '{"b":"a long text that would be worth it","a":1}',
    )
    assert delta.row(2, before, after) == (delta.WHOLE, after, ())


def test_a_deletion_has_the_fields_of_the_version_before() -> None:
    assert delta.rebuild([(delta.WHOLE, '{"a":1}'), (delta.DELETED, None)]) == '{"a":1}'
    assert (
        delta.rebuild([(delta.WHOLE, '{"a":1}'), (delta.DELETED, None), (delta.DELTA, '{"set":{"a":2}}')]) == '{"a":2}'
    )


def test_of_what_was_erased_nothing_is_left() -> None:
    assert delta.rebuild([(delta.ERASED, None), (delta.ERASED, "")]) == "{}"
    assert delta.rebuild([(delta.ERASED, None), (delta.DELTA, '{"set":{"a":2}}')]) == '{"a":2}'


def test_some_fields_are_picked_as_they_are_written() -> None:
    assert delta.pick('{"a":[1, 2],"b":null}', ("a", "no")) == {"a": b"[1, 2]"}


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"set":5}', '{"unset":{}}', '{"unset":[1]}'])
def test_damage_is_said(damaged: str) -> None:
    with pytest.raises(exc.StoreError, match="damaged"):
        delta.apply('{"a":1}', damaged)
    if not damaged.startswith('{"'):
        with pytest.raises(exc.StoreError, match="damaged"):
            delta.names("{}", damaged)


def test_values_are_not_decoded() -> None:
    number = '{"a":1.10,"b":123456789012345678901234567890}'
    text = delta.apply(number, '{"set":{"c":1e5}}')
    assert text == '{"a":1.10,"b":123456789012345678901234567890,"c":1e5}'
    assert decode_fields(text)["c"] == 1e5
