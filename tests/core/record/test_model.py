from __future__ import annotations

import copy
import dataclasses
import pickle
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, ClassVar

import attrs
import msgspec
import pytest
from msgspec import Meta

from limen import exc
from limen.base.hict import Hict
from limen.core.record.model import Model
from limen.core.record.record import Record


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Address:
    street: str
    zip: str = ""


@dataclass
class Plain:
    text: str
    done: bool = False
    colour: Colour = Colour.RED
    tags: list[str] = field(default_factory=list)
    address: Address | None = None


@dataclass(slots=True)
class Slotted:
    text: str
    done: bool = False
    colour: Colour = Colour.RED
    tags: list[str] = field(default_factory=list)
    address: Address | None = None


@dataclass(frozen=True)
class Frozen:
    text: str
    done: bool = False
    colour: Colour = Colour.RED
    tags: list[str] = field(default_factory=list)
    address: Address | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenSlots:
    text: str
    done: bool = False
    colour: Colour = Colour.RED
    tags: list[str] = field(default_factory=list)
    address: Address | None = None


class Struct(msgspec.Struct):
    text: str
    done: bool = False
    colour: Colour = Colour.RED
    tags: list[str] = []
    address: Address | None = None


class FrozenStruct(msgspec.Struct, frozen=True, kw_only=True):
    text: str
    done: bool = False
    colour: Colour = Colour.RED
    tags: list[str] = msgspec.field(default_factory=list)
    address: Address | None = None


@attrs.define
class Attrs:
    text: str
    done: bool = False
    colour: Colour = Colour.RED
    tags: list[str] = attrs.field(factory=list)
    address: Address | None = None


@attrs.frozen(slots=False, kw_only=True)
class FrozenAttrs:
    text: str
    done: bool = False
    colour: Colour = Colour.RED
    tags: list[str] = attrs.Factory(list)
    address: Address | None = None


TYPED = [Plain, Slotted, Frozen, FrozenSlots, Struct, FrozenStruct, Attrs, FrozenAttrs]


def record(model: Model, **fields: Any) -> Record:
    new = Record(model, bytes(16))
    model.begin(new)
    new.update(fields)
    return new


def errors_of(model: Model, **fields: Any) -> Any:
    with pytest.raises(exc.RecordValidationError) as caught:
        model.check(record(model, **fields))
    assert caught.value.facts["model"] == model.name
    return caught.value.facts["fields"]


# -- typed classes
@pytest.mark.parametrize("cls", TYPED)
def test_a_new_record_has_the_defaults_as_they_are_stored(cls: type) -> None:
    model = Model(cls)
    one, two = record(model), record(model)
    assert one._fields == {"done": False, "colour": "red", "tags": [], "address": None}
    assert one.tags is not two.tags


@pytest.mark.parametrize("cls", TYPED)
def test_all_errors_come_as_one_tree(cls: type) -> None:
    assert errors_of(Model(cls), done=1, tags=["a", 5], address={"street": 5, "zip": None}, colour="green") == {
        "text": "This field is missing.",
        "done": "Expected `bool`, got `int`",
        "colour": "Expected one of 'red', 'blue'",
        "tags": {"1": "Expected `str`, got `int`"},
        "address": {"street": "Expected `str`, got `int`", "zip": "Expected `str`, got `NoneType`"},
    }


@pytest.mark.parametrize("cls", TYPED)
def test_each_scalar_field_is_a_column(cls: type) -> None:
    model = Model(cls)
    index, values = model.check(record(model, text="a", colour=Colour.BLUE, unknown=5, address=Address("x")))
    assert index is not None
    assert index is model.index_definition
    assert index.columns == (("colour", "text"), ("done", "bool"), ("text", "text"))
    assert values == {"colour": "blue", "done": False, "text": "a"}
    assert model.fields == ("text", "done", "colour", "tags", "address")


def test_kinds_of_columns_that_index_names_are_those_of_the_annotations() -> None:
    @dataclass
    class Todo:
        text: str
        due: date | None = None
        free: Any = 5

        @classmethod
        def index(cls, record: Record) -> dict[str, Any]:
            return {"text": record.text, "due": record.due, "free": record.free, "_hidden": None}

    index = Model(Todo).index_definition
    assert index is not None
    assert index.columns == (("due", "date"), ("free", "int"), ("text", "text"))


def test_class_variables_are_no_fields() -> None:
    @dataclass
    class Todo:
        limit: ClassVar[int] = 5
        text: str = ""

    assert Model(Todo).fields == ("text",)
    assert Todo.limit == 5


def test_hooks_and_types_work_together() -> None:
    @dataclass
    class Todo:
        text: str = ""
        due: date | None = None
        price: Annotated[int, Meta(ge=0)] = 0
        home: Address = field(default_factory=lambda: Address("x"))

        @classmethod
        def initialize(cls, record: Record) -> None:
            record.due = date(2026, 11, 21)
            assert record.text == ""

        @classmethod
        def validate(cls, record: Record) -> Hict:
            errors = Hict()
            if not record.text.strip():
                errors.text.invalid = record.text
            if record.get("unlucky"):
                errors.unlucky = "no"
                errors.home.zip = "none there"
            return errors

        @classmethod
        def index(cls, record: Record) -> dict[str, Any]:
            return {"due": record.due, "home": record.home}

    model = Model(Todo)
    assert model.index_definition is not None
    assert model.index_definition.columns == (("due", "date"),)
    assert model.check(record(model, text="a")) == (model.index_definition, {"due": date(2026, 11, 21)})
    assert errors_of(model) == {"text": {"invalid": ""}}
    # what stumbles on a type that is wrong adds nothing
    assert errors_of(model, text=5) == {"text": "Expected `str`, got `int`"}
    assert errors_of(model, text=" ", price=-1, home={"street": 5}, unlucky=True) == {
        "text": {"invalid": " "},
        "price": "Expected `int` >= 0",
        "home": {"street": "Expected `str`, got `int`", "zip": "none there"},
        "unlucky": "no",
    }


def test_a_validate_that_raises_is_heard_where_the_types_are_right() -> None:
    @dataclass
    class Todo:
        text: str = ""

        @classmethod
        def validate(cls, record: Record) -> None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Model(Todo).check(record(Model(Todo)))


@dataclass
class Spare:
    text: str
    added_later: int = 0


def test_a_field_of_a_newer_class_may_be_missing_if_it_has_a_default() -> None:
    model = Model(Spare)
    old = Record(model, bytes(16))
    old.text = "from an older program"
    assert model.check(old)[1] == {"text": "from an older program", "added_later": None}


def test_a_field_does_not_begin_with_an_underscore() -> None:
    with pytest.raises(TypeError, match=r"Hidden\._x"):
        Model(dataclasses.make_dataclass("Hidden", [("_x", int)]))


def test_defaults_and_enums_that_cannot_be_stored_are_refused_at_registration() -> None:
    odd = Enum("odd", {"A": object()})
    for kind, default in ((Any, object()), (odd, odd["A"]), (odd | None, None)):
        with pytest.raises(TypeError, match="can't be stored"):
            Model(dataclasses.make_dataclass("Bad", [("x", kind, dataclasses.field(default=default))]))


def test_a_bound_that_a_type_cannot_have_is_said_at_registration() -> None:
    for kind in (str, Decimal):
        with pytest.raises(TypeError, match="Can only set `ge`"):
            Model(dataclasses.make_dataclass("Odd", [("x", Annotated[kind, Meta(ge=0)])]))


def test_a_dataclass_that_was_made_after_registration_is_noticed() -> None:
    class Todo:
        text: str = ""

    model = Model(Todo)
    dataclass(Todo)
    with pytest.raises(TypeError, match="above @dataclass"):
        record(model)


# -- plain classes
class Todo:
    @classmethod
    def initialize(cls, record: Record) -> None:
        record.merge(done=False, text="", due=None, tags=[])

    @classmethod
    def index(cls, record: Record) -> dict[str, Any]:
        return {
            "text": record.text,
            "done": record.done,
            "due": record.due,
            "tags": record.tags,
            "first": record.text[:1],
        }


def test_a_plain_class_says_its_columns_with_a_blank_record() -> None:
    model = Model(Todo)
    assert model.index_definition is not None
    assert model.index_definition.columns == (("done", "bool"), ("due", None), ("first", "text"), ("text", "text"))
    assert model.index_definition.computed == {"first"}
    assert repr(Todo.first == "a") == "Todo.first == 'a'"  # type: ignore[attr-defined]
    assert model.fields == ("done", "text", "due", "tags")
    assert repr((Todo.done == False) & Todo.due.between(1, 2)) == (  # type: ignore[attr-defined]  # noqa: E712
        "(Todo.done == False) & (Todo.due >= 1) & (Todo.due <= 2)"
    )


def test_a_kind_that_is_not_known_is_the_stores_to_learn() -> None:
    model = Model(Todo)
    index, values = model.check(record(model, text="ab", due=date(2026, 1, 1)))
    assert index is model.index_definition
    assert values == {"done": False, "due": date(2026, 1, 1), "text": "ab", "first": "a"}


def test_hooks_that_fail_on_a_blank_record_do_not_keep_a_class_from_being_a_model() -> None:
    class Picky:
        @classmethod
        def initialize(cls, record: Record) -> None:
            raise RuntimeError("nobody calls")

    model = Model(Picky)
    assert (model.fields, model.index_definition) == ((), None)
    assert model.check(Record(model, bytes(16))) == (None, None)


def test_values_of_columns_are_as_they_are_stored() -> None:
    model = Model(Todo)
    values = model.check(record(model, text=Colour.RED, done=[1], more=1))[1]
    assert values == {"text": "red", "done": [1], "due": None, "first": "r"}, "index sees what will be stored"
    bare = Model(type("Bare", (), {}))
    assert bare.check(record(bare, a=1)) == (None, None)


def test_an_index_that_is_no_dict_and_errors_that_are_none_are_refused() -> None:
    class Bad:
        @classmethod
        def index(cls, record: Record) -> list[str]:
            return ["done"]

    class Worse:
        @classmethod
        def validate(cls, record: Record) -> str:
            return "no"

    with pytest.raises(TypeError, match=r"Bad\.index gives a dict, not list"):
        Model(Bad)
    with pytest.raises(TypeError, match=r"Worse\.validate gives a dict of errors"):
        Model(Worse).check(record(Model(Worse)))


# -- names and history
def test_keep_is_said_with_the_model_or_by_the_class() -> None:
    class Session:
        __keep__ = 0

    assert Model(Todo).keep is None
    assert Model(Session).keep == 0
    assert Model(Session, keep=timedelta(days=1)).keep == timedelta(days=1)
    assert Model(Todo, keep=7).keep == 7


@pytest.mark.parametrize("keep", [-1, True, 1.5, "all", timedelta(0), timedelta(days=-1)])
def test_another_keep_is_refused(keep: Any) -> None:
    with pytest.raises(TypeError, match="Todo: keep says how much history"):
        Model(Todo, keep=keep)


def test_names_of_limens_own_models_are_refused() -> None:
    with pytest.raises(ValueError, match="Limen's own"):
        Model(type("Mine", (), {"__model__": "limen.account"}))
    assert Model(type("Mine", (), {"__model__": "limening"})).name == "limening"


def test_only_a_class_is_a_model() -> None:
    with pytest.raises(TypeError, match="a model is a class, not str"):
        Model("Todo")  # type: ignore[arg-type]
    assert Model(int).fields == ()


def test_a_model_is_pickled_by_its_class_and_copied_as_itself() -> None:
    model = Model(Todo, keep=3)
    again = pickle.loads(pickle.dumps(model))
    assert (again.cls, again.keep, again.name) == (Todo, 3, "Todo")
    assert copy.deepcopy(model) is copy.copy(model) is model
