"""A registry, a pipeline and its records for the tests of this room."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from limen import exc
from limen.base.config import Config
from limen.base.principal import Principal
from limen.service.pipeline import Pipeline
from limen.service.registry import Registry
from limen.service.service import make_service_decorator
from limen.service.workers import Workers

ANYONE = Principal("localhost", "192.0.2.1", tls=True)
USER = Principal("localhost", "192.0.2.2", user="ada", roles=("user",), sealed=True, tls=True)


class House:
    """Everything a call needs; `charged` and `done` hold what the pipeline reported."""

    def __init__(self) -> None:
        self.config = Config()
        self.registry = Registry(self.config)
        self.service: Any = make_service_decorator(self.registry.add)
        self.workers = Workers(4)
        self.pipeline = Pipeline(self.config, executor=self.workers)
        self.charged: list[tuple[str, str]] = []
        self.done: list[tuple[str, str | None]] = []
        self.wait: float | None = None
        self.pipeline.guard(
            charge=lambda domain, origin, misdeed: self.charged.append((origin, misdeed.value)),
            refused=lambda domain, origin: self.wait,
        )
        self.pipeline.on_done = lambda service, principal, seconds, error: self.done.append(
            (service.uri, error and error.exc)
        )

    async def call(self, function: Callable[..., Any], *args: Any, by: Principal = ANYONE, **options: Any) -> Any:
        """Calls a declared function by the pipeline; keyword arguments in `kwargs={…}`."""
        service = function.__limen_service__  # type: ignore[attr-defined]
        kwargs = options.pop("kwargs", {})
        outcome = self.pipeline.call(by, service, list(args), kwargs, **options)
        return await outcome if inspect.isawaitable(outcome) else outcome

    async def refusal(self, function: Callable[..., Any], *args: Any, **options: Any) -> exc.Error:
        """The error that the call ends with."""
        with pytest.raises(exc.Error) as refused:
            await self.call(function, *args, **options)
        return refused.value


@pytest.fixture
def house() -> Iterator[House]:
    house = House()
    yield house
    house.workers.shutdown()
