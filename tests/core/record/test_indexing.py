"""What a model is searched by: fields that index() names, and what it computes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest

from limen.core.record.model import Model
from limen.core.record.record import Record


def record(model: Model, **fields: Any) -> Record:
    new = Record(model, bytes(16))
    model.begin(new)
    new.update(fields)
    return new


def test_fields_that_index_asks_for_are_there_as_none_where_nobody_gives_them() -> None:
    class Bare:
        @classmethod
        def index(cls, record: Record) -> dict[str, Any]:
            return {
                "name": record.name,
                "size": record["size"],
                "owner": record.get("owner"),
                "year": record.due.year if record.due else None,
                "month": record.get("due") and record.due.month,
                "_uuid": record._uuid,
            }

    model = Model(Bare)
    index = model.index_definition
    assert index is not None
    assert index.columns == tuple((name, None) for name in ("month", "name", "owner", "size", "year"))
    assert index.computed == {"year", "month"}, "what it gives back as it is put there is a field"
    _, values = model.check(record(model, name="x", size=5, due=date(2026, 3, 1)))
    assert values == {"name": "x", "size": 5, "owner": None, "year": 2026, "month": 3}


def test_an_index_that_needs_a_real_record_waits_for_the_first() -> None:
    class Late:
        @classmethod
        def index(cls, record: Record) -> dict[str, Any]:
            return {"name": record.name, "year": record.due.year, "_uuid": record._uuid}

    model = Model(Late)
    assert model.index_definition is None
    index, values = model.check(record(model, name="x", due=date(2026, 1, 1)))
    assert index is not None
    assert index.columns == (("name", "text"), ("year", "int"))
    assert values == {"name": "x", "year": 2026}
    assert repr(Late.year == 5) == "Late.year == 5"  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="no field 'name'"):
        Model(Late).check(record(model))
    # reading is enough
    model = Model(Late)
    see = model.see({"year"})
    assert see is not None
    assert see(bytes(16), {"name": "x", "due": date(2026, 1, 1)})["year"] == 2026
    assert model.index_definition == index


def test_a_typed_class_has_samples_for_an_index_that_can_not_take_none() -> None:
    @dataclass
    class Invoice:
        text: str
        due: date

        @classmethod
        def index(cls, record: Record) -> dict[str, Any]:
            return {"due": record.due, "year": record.due.year, "small": record.text.lower()}

    index = Model(Invoice).index_definition
    assert index is not None
    assert index.columns == (("due", "date"), ("small", "text"), ("year", "int"))
    assert index.computed == {"small", "year"}


def test_what_is_computed_under_the_name_of_a_field_is_refused() -> None:
    class Lower:
        @classmethod
        def initialize(cls, record: Record) -> None:
            record.text = ""

        @classmethod
        def index(cls, record: Record) -> dict[str, Any]:
            return {"text": record.text.lower()}

    class Shout(Lower):
        @classmethod
        def index(cls, record: Record) -> dict[str, Any]:
            return {"text": record.text + "!"}

    model = Model(Lower)
    assert model.check(record(model, text="milk"))[1] == {"text": "milk"}
    with pytest.raises(TypeError, match=r"Lower\.index gives 'milk' under 'text', and the field .* is 'Milk'.*own: "):
        model.check(record(model, text="Milk"))
    with pytest.raises(TypeError, match="under 'text'"):
        Model(Shout)


def test_a_computed_column_is_no_field_of_another_value() -> None:
    class Default:
        @classmethod
        def index(cls, record: Record) -> dict[str, Any]:
            return {"done": record.get("done", False)}

    model = Model(Default)
    assert model.check(record(model))[1] == {"done": False}, "a value for what is missing"
    assert model.check(record(model, done=True))[1] == {"done": True}
    index = classmethod(lambda cls, record: {"done": record.get("done") is True})
    always = Model(type("Always", (), {"index": index}))
    with pytest.raises(TypeError, match="gives False under 'done', and the field of that name is 'no'"):
        always.check(record(always, done="no"))


def test_index_gives_the_same_names_for_every_record() -> None:
    class Now:
        @classmethod
        def index(cls, record: Record) -> dict[str, Any]:
            return {"a": record.a, **({"b": 1} if record.a else {})}

    model = Model(Now)
    assert model.check(record(model, a=0))[1] == {"a": 0}
    with pytest.raises(TypeError, match="gives 'b' for this record, and did not for the first one: let it give the"):
        model.check(record(model, a=1))


def test_the_version_of_what_index_computes_is_a_part_of_the_index() -> None:
    def made(version: Any, **more: Any) -> Model:
        index = classmethod(lambda cls, record: {"n": record.get("n"), **more})
        return Model(type("Versioned", (), {"index": index, "__index_version__": version}))

    one, two, same = (made(version, double=0).index_definition for version in (1, 2, 1))
    assert one == same
    assert one != two
    assert made(1).index_definition == made(2).index_definition, "nothing is computed"
    for wrong in (0, "2", True):
        with pytest.raises(TypeError, match="__index_version__ is a whole number of 1 or more"):
            made(wrong)
