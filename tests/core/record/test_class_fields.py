"""Fields on the classes of models: the class gives expressions, instances are what they were."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import attrs
import msgspec
import pytest
from test_model import TYPED, Colour, Plain, record

from limen.core.record.expression import Compare, Field
from limen.core.record.model import Model
from limen.core.record.record import Record


@pytest.mark.parametrize("cls", TYPED)
def test_the_class_gives_fields_and_instances_work_as_before(cls: type) -> None:
    Model(cls)
    Model(cls)
    condition: Any = cls.done == True  # type: ignore[attr-defined]  # noqa: E712
    assert isinstance(condition, Compare)
    assert repr(condition) == f"{cls.__name__}.done == True"
    assert all(isinstance(getattr(cls, name), Field) for name in ("text", "done", "colour", "tags", "address"))
    one = cls(text="a", tags=["x"])
    assert (one.text, one.done, one.colour, one.tags, one.address) == ("a", False, Colour.RED, ["x"], None)
    assert one == cls(text="a", tags=["x"])
    assert one != cls(text="b", tags=["x"])
    assert "done=False" in repr(one)
    assert copy.deepcopy(one) == copy.copy(one) == pickle.loads(pickle.dumps(one)) == one
    changes: dict[str, Callable[..., Any]] = {"Struct": msgspec.structs.replace, "Attrs": attrs.evolve}
    replace = next((change for name, change in changes.items() if name in cls.__name__), dataclasses.replace)
    assert replace(one, done=True).done is True
    assert msgspec.convert({"text": "a", "tags": ["x"]}, cls) == one
    assert msgspec.to_builtins(one)["text"] == "a"
    if "Frozen" in cls.__name__:
        with pytest.raises(AttributeError):
            one.done = True
    else:
        one.done = True
        assert one.done is True
        del one.text
        with pytest.raises(AttributeError):
            _ = one.text


def test_a_subclass_has_fields_of_its_own_and_none_before_it_is_a_model() -> None:
    @dataclass
    class Base:
        text: str
        done: bool = False

    @dataclass(slots=True)
    class Slots:
        text: str
        done: bool = False

    for base in (Base, Slots):
        Model(base)

        @dataclass
        class Below(base):  # type: ignore[valid-type, misc]
            done: bool
            more: int = 1

        if base is Base:
            assert Below.done is False
            assert Below("a", more=2).done is False  # as dataclasses do it
            with pytest.raises(AttributeError):
                _ = Below.text
        Model(Below)
        assert repr(Below.text == "a") == "Below.text == 'a'"
        assert repr(base.text == "a") == f"{base.__name__}.text == 'a'"
        below = Below("b", True)
        assert (below.text, below.done, below.more) == ("b", True, 1)


def test_slots_below_slots_are_set_through_both() -> None:
    @dataclass(slots=True)
    class Base:
        text: str

    Model(Base)

    @dataclass(slots=True)
    class Below(Base):
        more: int = 5

    Model(Below)
    below = Below("a")
    below.text, below.more = "b", 6
    assert (below.text, below.more) == ("b", 6)
    assert [repr(f) for f in (Base.text, Below.text, Below.more)] == ["Base.text", "Below.text", "Below.more"]


def test_registering_again_changes_nothing() -> None:
    Model(Plain)
    before = {**vars(Plain)}
    Model(Plain)
    assert {**vars(Plain)} == before


def test_a_property_that_took_the_place_of_a_field_stays() -> None:
    @dataclass
    class Todo:
        text: str = ""

    mine = property(lambda self: "always")
    Todo.text = mine  # type: ignore[assignment]
    Model(Todo)
    assert vars(Todo)["text"] is mine


def test_a_class_that_takes_no_attributes_is_a_model_all_the_same() -> None:
    class Closed(type):
        def __setattr__(cls, name: str, value: Any) -> None:
            raise TypeError("closed")

    @dataclass
    class Base:
        text: str = ""

    model = Model(Closed("Todo", (Base,), {}))
    assert record(model)._fields == {"text": ""}


def test_a_struct_below_a_model_keeps_its_defaults() -> None:
    class Base(msgspec.Struct):
        text: str
        done: bool = False

    Model(Base)

    class Below(Base):
        more: int = 5

    Model(Below)
    assert Below("a") == Below("a", False, 5)
    assert repr(Below.done) == "Below.done"  # type: ignore[comparison-overlap]


def test_methods_properties_and_hooks_are_never_covered() -> None:
    class Todo:
        validate_later = property(lambda self: 1)
        limit = 5

        @classmethod
        def initialize(cls, record: Record) -> None:
            record.update(text="", limit=cls.limit, validate_later=1, helper=2, initialize=3)

        def helper(self) -> int:
            return 7

    model = Model(Todo)
    assert isinstance(Todo.text, Field)  # type: ignore[attr-defined]
    assert Todo.limit == 5
    assert isinstance(Todo.validate_later, property)
    assert Todo().helper() == 7
    assert record(model).limit == 5
    assert not hasattr(Todo(), "text")
    with pytest.raises(AttributeError, match="'Todo' has no attribute 'text'"):
        _ = Todo().text  # type: ignore[attr-defined]


def test_fields_that_are_called_like_hooks_are_fields() -> None:
    @dataclass(slots=True)
    class Book:
        index: int
        validate: bool = True

    for _ in range(2):
        model = Model(Book)
        assert (model.index, model.validate) == (None, None)
        assert model.check(record(model, index=1))[1] == {"index": 1, "validate": True}
    assert repr(Book.index > 5) == "Book.index > 5"  # type: ignore[operator]


def test_a_plain_class_may_have_a_field_called_like_a_hook_that_it_has_not() -> None:
    class Page:
        @classmethod
        def initialize(cls, record: Record) -> None:
            record.update(index=1, validate="no")

    for _ in range(2):
        model = Model(Page)
        assert model.check(record(model)) == (None, None)
    assert repr(Page.index) == "Page.index"  # type: ignore[attr-defined]
