from __future__ import annotations

import copy
import json
import pickle
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.base.hict import Aict, Hict


def test_writing_an_attribute_makes_the_branches_above_it() -> None:
    errors = Hict()
    errors.text.bad_type = "int"
    errors.a.b.c.d = 1
    assert errors == {"text": {"bad_type": "int"}, "a": {"b": {"c": {"d": 1}}}}


def test_an_untouched_hict_is_falsy_and_reading_makes_nothing() -> None:
    errors = Hict()
    for look in (lambda: errors.text, lambda: errors.text.bad_type, lambda: errors.get("a.b"), lambda: "a.b" in errors):
        look()
    list(errors.text)
    assert not errors.text.bad_type
    assert not errors
    assert list(errors) == []
    assert errors == {}
    assert len(errors) == 0


def test_a_branch_that_is_held_is_the_branch_that_grows() -> None:
    errors = Hict()
    text, again, deep = errors.text, errors.text, errors.a.b
    assert text is again
    text.x = 1
    again.y = 2
    deep.z = 3
    deep.w = 4
    assert errors == {"text": {"x": 1, "y": 2}, "a": {"b": {"z": 3, "w": 4}}}
    assert errors.text is text
    assert errors.a.b is deep


def test_a_branch_whose_place_was_taken_stays_alone() -> None:
    errors = Hict()
    text = errors.text
    errors.text = "no"
    text.x = 1
    assert errors == {"text": "no"}
    assert text == {"x": 1}


def test_dotted_keys_read_write_ask_and_delete() -> None:
    h = Hict()
    h["a.b.c"] = 1
    h["a.b.d"] = 2
    assert h["a.b.c"] == h.a.b.c == h["a"]["b"]["c"] == 1
    assert "a.b" in h
    assert "a.b.x" not in h
    assert "a.b.c.d" not in h
    del h["a.b.c"]
    assert h == {"a": {"b": {"d": 2}}}
    assert h.pop("a.b.d") == 2
    assert h.pop("a.b.d", None) is None
    assert h.get("a.b.d", 7) == 7
    assert h.setdefault("x.y", 3) == 3
    assert h.setdefault("x.y", 4) == 3


@pytest.mark.parametrize("key", ["a.b", "a", "b.c.d", 1])
def test_a_missing_item_is_a_key_error(key: object) -> None:
    h = Hict(b=1)
    with pytest.raises(KeyError):
        h[key]
    with pytest.raises(KeyError):
        del h[key]
    with pytest.raises(KeyError):
        h.pop(key)
    assert h == {"b": 1}


@pytest.mark.parametrize("key", [".", "a.", ".a", "a..b", "x.y..z", ".".join("a" * 200)])
def test_a_key_with_an_empty_part_or_too_many_is_refused_and_leaves_nothing(key: str) -> None:
    h = Hict()
    with pytest.raises(ValueError, match="no dotted key"):
        h[key] = 1
    assert h == {}


def test_nothing_is_put_below_a_value() -> None:
    h = Hict(a=5)
    with pytest.raises(TypeError, match="'a' holds int"):
        h["a.b"] = 1
    with pytest.raises(AttributeError):
        h.a.b = 1
    assert h == {"a": 5}


@pytest.mark.parametrize("name", ["_x", "__x__", "_parent", "items", "update", "merge", "to_dict"])
def test_names_of_methods_and_names_with_an_underscore_are_items_only(name: str) -> None:
    h = Hict()
    with pytest.raises(AttributeError, match="item"):
        setattr(h, name, 1)
    h[name] = 1
    assert h == {name: 1}
    assert h[name] == 1


def test_an_underscore_is_never_a_branch() -> None:
    h = Hict()
    for name in ("_ipython_display_", "__array__", "_repr_html_", "_x"):
        assert not hasattr(h, name)
    assert h == {}


def test_dicts_become_branches_and_are_copied() -> None:
    plain: dict[str, Any] = {"b": {"c": 1}}
    h = Hict(a=plain)
    h.a.b.c = 2
    h["list"] = [plain]
    assert plain == {"b": {"c": 1}}
    assert h.a.b.c == 2
    assert h["list"][0] is plain
    h.me = h
    assert h.me.a.b.c == 2
    assert "me" not in h.me


def test_merge_joins_branches_and_update_replaces_them() -> None:
    h = Hict({"a": {"x": 1, "y": 2}})
    assert h.merge({"a": {"y": 3}}, b=1) is h
    assert h == {"a": {"x": 1, "y": 3}, "b": 1}
    h.update({"a": {"z": 1}})
    assert h == {"a": {"z": 1}, "b": 1}
    assert (h | {"a.w": 2}) == {"a": {"z": 1, "w": 2}, "b": 1}
    assert ({"a": {"q": 0, "z": 0}} | h) == {"a": {"q": 0, "z": 1}, "b": 1}
    h |= {"b": {"c": 1}}
    assert h == {"a": {"z": 1}, "b": {"c": 1}}
    del h.b
    assert h == {"a": {"z": 1}}
    with pytest.raises(AttributeError):
        del h.b


def test_it_is_a_dict_to_everyone_else() -> None:
    h = Hict({"a.b": [1, Hict(c=2)]})
    assert isinstance(h, dict)
    assert json.loads(json.dumps(h)) == {"a": {"b": [1, {"c": 2}]}}
    plain = h.to_dict()
    assert type(plain) is type(plain["a"]) is type(plain["a"]["b"][1]) is dict
    assert Hict.fromkeys("ab", 0) == {"a": 0, "b": 0}
    with pytest.raises(TypeError):
        hash(h)


@pytest.mark.parametrize("kind", [Hict, Aict])
@pytest.mark.parametrize("through", [copy.copy, copy.deepcopy, Hict.copy, lambda h: pickle.loads(pickle.dumps(h))])
def test_copies_and_pickles_stand_by_themselves(kind: type[Hict], through: Any) -> None:
    h = kind({"a.b": 1, "l": [1]})
    assert not h.bud
    other = through(h)
    assert type(other) is type(other.a) is kind
    assert other == h
    other.a.b = 2
    other.bud.grows = True
    assert h == {"a": {"b": 1}, "l": [1]}


def test_an_aict_parses_what_is_put_in() -> None:
    a = Aict({"n": "42", "deep.er": "1.50", "list": ["7", "x"]}, day="2026-11-21")
    a.id = "0192f0c1-7d5e-7c3a-8000-000000000001"
    a.name = "007"
    assert a == {
        "n": 42,
        "deep": {"er": a.deep.er},
        "list": [7, "x"],
        "day": date(2026, 11, 21),
        "id": UUID("0192f0c1-7d5e-7c3a-8000-000000000001"),
        "name": "007",
    }
    assert a.deep.er in (1.5, Decimal("1.50"))
    assert type(a.deep) is Aict


_trees = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: st.dictionaries(st.text(st.characters(exclude_characters="."), min_size=1), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(st.characters(exclude_characters="."), min_size=1), _trees, max_size=5))
def test_a_hict_equals_the_tree_it_was_made_of(tree: dict[str, Any]) -> None:
    h = Hict(tree)
    assert h == tree
    assert h.to_dict() == tree
    assert Hict(h) == h
    assert pickle.loads(pickle.dumps(h)) == tree
    assert Hict().merge(tree) == tree


@given(st.dictionaries(st.lists(st.sampled_from("abc"), min_size=3, max_size=3).map(".".join), st.integers()))
def test_every_dotted_key_that_was_written_is_read_back(items: dict[str, int]) -> None:
    h = Hict()
    for key, value in items.items():
        h[key] = value
    assert all(h[key] == value and key in h for key, value in items.items())
