"""pydantic's models where they are annotated: what comes is one, what does not fit is named, what goes is its dump."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from decimal import Decimal
from typing import Any

import pydantic
import pytest

from limen import App, PyClient, exc


class Line(pydantic.BaseModel):
    article: str = pydantic.Field(alias="art")
    price: Decimal = Decimal("1.50")
    pieces: int = pydantic.Field(1, ge=1)


class Order(pydantic.BaseModel):
    lines: list[Line]
    due: date | None = None

    @pydantic.model_validator(mode="after")
    def _some(self) -> Order:
        if not self.lines:
            raise ValueError("An order has lines.")
        return self


app = App()


@app.service(safe=False, ssl=False)
def order(order: Order, more: list[Line] | None = None) -> Order:
    assert isinstance(order, Order)
    assert all(isinstance(line, Line) for line in more or [])
    return order


@app.service(safe=False, ssl=False)
def totals(orders: dict[str, Order]) -> dict[str, Any]:
    return {name: sum(line.price * line.pieces for line in each.lines) for name, each in orders.items()}


def wrong(*args: Any, **kwargs: Any) -> dict[str, str]:
    with PyClient(app) as client, pytest.raises(exc.InvalidArguments) as caught:
        client.call("order", *args, **kwargs)
    fields: dict[str, str] = caught.value.facts["fields"]
    return fields


def test_a_dict_becomes_a_model_and_a_model_that_is_returned_its_dump() -> None:
    with PyClient(app) as client:
        given = client.call("order", {"lines": [{"art": "bolt", "pieces": 2}], "due": "2026-11-21"})
    assert given == {"lines": [{"art": "bolt", "price": Decimal("1.50"), "pieces": 2}], "due": date(2026, 11, 21)}


def test_values_of_python_arrive_unharmed_within_a_model() -> None:
    with PyClient(app) as client:
        assert client.call("totals", {"a": {"lines": [{"art": "bolt", "price": Decimal("0.10")}]}}) == {
            "a": Decimal("0.10")
        }


def test_each_wrong_field_is_named_with_its_path() -> None:
    assert wrong({"lines": [{"art": "bolt", "pieces": 0}, {}], "due": "soon"}, [{"art": "nut", "price": "dear"}]) == {
        "order.lines[0].pieces": "Input should be greater than or equal to 1",
        "order.lines[1].art": "Field required",
        "order.due": "Input should be a valid date or datetime, input is too short",
        "more[0].price": "Input should be a valid decimal",
    }


def test_what_the_models_own_check_says_is_told() -> None:
    assert wrong({"lines": []}) == {"order": "Value error, An order has lines."}


def test_what_is_no_object_at_all_is_refused() -> None:
    assert [*wrong("text")] == ["order"]


def test_nothing_of_what_was_sent_stands_in_the_error() -> None:
    assert "hunter2" not in str(wrong({"lines": "hunter2", "due": "hunter2"}))


def test_pydantic_is_not_imported_before_a_program_does() -> None:
    program = "import limen, sys"
    describing = "from limen.service.describe import describe; describe(limen.default.registry)"
    done = subprocess.run([sys.executable, "-c", f"{program}\n{describing}\nassert 'pydantic' not in sys.modules"])
    assert done.returncode == 0
