"""Models, and the eyes of the tests of units of work."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from limen.base.hict import Hict
from limen.base.principal import Principal, State, current
from limen.core.record.record import Record


class Todo:
    @classmethod
    def initialize(cls, record: Record) -> None:
        record.merge(done=False, text="")

    @classmethod
    def validate(cls, record: Record) -> Hict:
        errors = Hict()
        if not isinstance(record.text, str):
            errors.text.bad_type = type(record.text).__name__
        elif not record.text.strip():
            errors.text.invalid = record.text
        if not isinstance(record.done, bool):
            errors.done.bad_type = type(record.done).__name__
        return errors

    @classmethod
    def index(cls, record: Record) -> dict[str, Any]:
        return {"done": record.done, "text": record.text}

    @classmethod
    def to_dict(cls, record: Record) -> dict[str, Any]:
        return {"done": record.done, "text": record.text, "id": record._uuid, "vsn": record._vsn}


class Note:
    pass


def stored(store: Any, record: Record, domain: str = "localhost") -> list[tuple[int, str]]:
    """(version, fields) of all that the store has of a record."""
    return [(v.vsn, v.fields) for v, _ in store.records.history(domain, record._model.__name__, record._uuid.bytes)]


def beside(function: Callable[[], Any]) -> Any:
    """*function* in a thread of its own, with units of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


class As:
    """`with As("ada", domain="…"):` the block runs as that user's call."""

    def __init__(self, user: str | None, domain: str = "localhost") -> None:
        principal = Principal(domain, origin="192.0.2.1", user=user, impersonated_by="root")
        self._state = State(principal, service="todo.add")

    def __enter__(self) -> None:
        self._token = current.set(self._state)

    def __exit__(self, *_: object) -> None:
        current.reset(self._token)
