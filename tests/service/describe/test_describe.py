"""What is told of services: in words, in JSON Schema, and about what can't be told."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, make_dataclass
from datetime import date
from typing import Annotated, Any, TypedDict

import msgspec
import pytest
import rich_program

from limen import App, PyClient, exc
from limen.service.describe import describe
from limen.service.describe.listing import listing
from limen.service.describe.openapi import openapi, openapi_text
from limen.service.describe.python import python
from limen.service.describe.schema import Schemas
from limen.service.describe.types import Types
from limen.service.describe.typescript import typescript


@dataclass
class Tree:
    name: str
    branches: list[Tree] = field(default_factory=list)


class Mixed(enum.Enum):
    ONE = 1
    WORD = "word"


def schema_of(kind: Any) -> dict[str, Any]:
    types = Types()
    return Schemas(types).json(types.of(kind, "here"))


def test_a_service_is_told_with_all_that_its_callers_need() -> None:
    told = next(each for each in describe(rich_program.app.registry).services if each.uri == "todo.add")
    assert told.summary.startswith("Adds a line")
    assert told.body.startswith("Second paragraph")
    assert told.raises == ("NotFound", "Forbidden")
    assert [(p.name, p.how, p.required) for p in told.parameters] == [
        ("text", "either", True),
        ("due", "either", False),
        ("tags", "named", False),
    ]
    assert told.parameters[1].default is None


def test_the_same_program_gives_the_same_bytes_whatever_the_order_of_its_services() -> None:
    forth, back = App(), App()
    declared = list(rich_program.app.registry.paths())
    for app, services in ((forth, declared), (back, declared[::-1])):
        for service in services:
            app.registry.add(service)
    for write in (typescript, python, openapi_text):
        assert write(describe(forth.registry)) == write(describe(back.registry))


def test_a_type_that_holds_itself_is_told_once_and_referred_to() -> None:
    types = Types()
    schemas = Schemas(types)
    assert schemas.json(types.of(Tree, "here")) == {"$ref": "#/components/schemas/Tree"}
    assert schemas.components["Tree"]["properties"]["branches"]["items"] == {"$ref": "#/components/schemas/Tree"}


def test_two_types_of_one_name_get_their_modules_names() -> None:
    def item(module: str) -> type:
        made = make_dataclass("Item", [("name", str)])
        made.__module__ = module
        return made

    app, one, two = App(), item("shop.goods"), item("bank.rows")

    def first(item: one) -> two: ...  # type: ignore[valid-type]

    first.__annotations__ = {"item": one, "return": two}
    app.service(safe=False)(first)
    components = openapi(describe(app.registry))["components"]["schemas"]
    assert {"shop_goods_Item", "bank_rows_Item"} <= components.keys()
    assert "Item" not in components


def test_a_type_whose_name_is_no_identifier_gets_one() -> None:
    app = App()
    odd = TypedDict("größe 1", {"class": int, "a-b": str})  # type: ignore[misc]

    @app.service()
    def measure(what: Any) -> None: ...

    measure.__annotations__ = {"what": odd}
    told = python(describe(app.registry))
    compile(told, "odd", "exec")
    assert 'gr_e_1 = _TypedDict("gr_e_1", {"a-b": "str", "class": "int"})' in told


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (Annotated[int, msgspec.Meta(ge=1, description="n")], {"type": "integer", "minimum": 1, "description": "n"}),
        (date | str, {"anyOf": [{"type": "string", "format": "date"}, {"type": "string"}]}),
        (tuple[int, ...], {"type": "array", "items": {"type": "integer"}}),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (Any, {}),
        (None, {"type": "null"}),
    ],
)
def test_a_type_as_json_schema(kind: Any, told: dict[str, Any]) -> None:
    assert schema_of(kind) == told


def test_an_enum_of_texts_and_numbers_is_told_by_its_values() -> None:
    types = Types()
    schemas = Schemas(types)
    schemas.json(types.of(Mixed, "here"))
    assert schemas.components == {"Mixed": {"enum": [1, "word"]}}


def test_what_cannot_be_told_is_anything_and_a_note_says_what_to_do() -> None:
    class Odd: ...

    types = Types()
    assert Schemas(types).json(types.of(Odd, "todo.add, what")) == {}
    assert types.notes == [
        "todo.add, what: Odd can't be described, and is told as anything: annotate a type of docs/values.md, "
        "a dataclass or a TypedDict."
    ]


def test_constraints_that_are_told_are_held() -> None:
    app = App()

    @app.service(safe=False)
    def buy(
        pieces: Annotated[int, msgspec.Meta(ge=1)], words: list[Annotated[str, msgspec.Meta(max_length=3)]]
    ) -> None: ...

    with PyClient(app) as client:
        client.call("buy", 1, ["abc"])
        with pytest.raises(exc.InvalidArguments) as caught:
            client.call("buy", 0, ["abc", "abcd"])
    assert caught.value.facts["fields"].keys() == {"pieces", "words[1]"}


def test_a_whole_float_is_an_int_wherever_it_stands_as_json_schema_has_it() -> None:
    app = App()

    @app.service(safe=False)
    def add(numbers: list[int], at: dict[str, Annotated[int, msgspec.Meta(ge=0)]]) -> list[Any]:
        return [numbers, at]

    with PyClient(app) as client:
        assert str(client.call("add", [1.0, 2], {"a": 3.0})) == "[[1, 2], {'a': 3}]"
        with pytest.raises(exc.InvalidArguments):
            client.call("add", [1.5], {})


def test_the_listing_is_plain_data_with_nothing_hidden_in_it() -> None:
    told = listing(describe(rich_program.app.registry))
    assert msgspec.json.decode(msgspec.json.encode(told)) == told
    assert {each["name"]: each["roles"] for each in told["services"]}["stop"] == ["admin"]
