"""What becomes of exceptions: who is told what, what is logged, what is reported."""

from __future__ import annotations

import asyncio
import io
import logging
import sys
from typing import Any

import pytest

from limen import exc

from .conftest import House

SECRET = "hunter2"


def fail() -> None:
    password = SECRET
    raise RuntimeError(f"cannot log in with {password}")


@pytest.mark.parametrize("options", [{}, {"inline": True}], ids=["thread", "inline"])
async def test_unexpected_exceptions_leave_only_an_incident_s_number(
    house: House, caplog: pytest.LogCaptureFixture, options: Any
) -> None:
    function = house.service("fails", safe=False, **options)(lambda: fail())
    error = await house.refusal(function)
    assert type(error) is exc.InternalError
    assert list(error.facts) == ["incident"]
    assert SECRET not in repr(error.to_wire())
    assert error.__cause__ is None
    (record,) = caplog.records
    assert record.name == "limen"
    assert error.facts["incident"] in record.getMessage()
    assert SECRET in caplog.text


async def test_async_and_streaming_failures_are_logged_once_as_well(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    @house.service(safe=False)
    async def later() -> None:
        fail()

    @house.service(safe=False)
    def stream() -> Any:
        yield 1
        fail()

    @house.service(safe=False)
    async def slow_stream() -> Any:
        yield 1
        fail()

    for function in (later, stream, slow_stream):
        caplog.clear()
        assert type(await house.refusal(function)) is exc.InternalError
        assert len(caplog.records) == 1


async def test_log_exc_off_logs_nothing(house: House, caplog: pytest.LogCaptureFixture) -> None:
    function = house.service("fails", safe=False, log_exc=False)(lambda: fail())
    assert "incident" in (await house.refusal(function)).facts
    assert caplog.records == []


async def test_in_development_the_traceback_is_a_fact(house: House) -> None:
    house.config.IS_DEVELOPMENT = True
    function = house.service("fails", safe=False)(lambda: fail())
    assert 'raise RuntimeError(f"cannot log in' in (await house.refusal(function)).facts["traceback"]


@pytest.mark.parametrize("development", [True, False])
async def test_the_debugger_opens_in_development_only(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], development: bool
) -> None:
    house.config.IS_DEVELOPMENT = development
    function = house.service("fails", safe=False, postmortem_debug=True)(lambda: fail())
    monkeypatch.setattr(sys, "stdin", io.StringIO("p password\nq\n"))
    await house.refusal(function)
    assert (f"'{SECRET}'" in capsys.readouterr().out) is development


async def test_errors_of_the_tree_pass_and_are_not_logged(house: House, caplog: pytest.LogCaptureFixture) -> None:
    class OutOfBolts(exc.Error):
        """No bolts."""

    @house.service(safe=False)
    def order() -> None:
        raise OutOfBolts("None left.", article="bolt")

    error = await house.refusal(order)
    assert type(error) is OutOfBolts
    assert error.to_wire() == {"exc": "OutOfBolts", "err": ["None left."], "article": "bolt"}
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []
    assert house.done == [("order", "OutOfBolts")]


async def test_a_store_that_fails_is_logged_and_its_paths_stay_here(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    @house.service(safe=False)
    def add() -> None:
        raise exc.StoreError("/srv/secret/todo.db: the disk is full; nothing was written.")

    error = await house.refusal(add)
    assert type(error) is exc.InternalError
    assert "secret" not in repr(error.to_wire())
    assert "the disk is full" in caplog.text


@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize("raised", [SystemExit(3), StopIteration(1), GeneratorExit, asyncio.CancelledError()], ids=repr)
async def test_nothing_that_a_function_raises_stops_the_server(house: House, inline: bool, raised: Any) -> None:
    @house.service(safe=False, inline=inline)
    def odd() -> None:
        raise raised

    assert isinstance(await house.refusal(odd), exc.InternalError | exc.Canceled)


async def test_every_call_is_reported_once(house: House) -> None:
    @house.service(safe=False)
    def hello() -> None: ...

    @house.service()
    def secret() -> None: ...

    await house.call(hello)
    await house.refusal(secret)
    assert house.done == [("hello", None), ("secret", "Unauthorized")]
