"""Which unit a block joins, and what becomes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from storing import As, Todo

from limen import exc
from limen.app.datastore import Storage


def texts(storage: Storage) -> list[str]:
    with storage() as db:
        return [todo.text for todo in db.select(Todo)]


def test_a_caller_of_another_domain_has_units_of_their_own(storage: Storage) -> None:
    with storage() as db:
        db.insert(Todo, text="here")
        with As("bob", domain="other.example"):
            with storage() as theirs:
                theirs.insert(Todo, text="there")
                assert [todo.text for todo in theirs.select(Todo)] == ["there"]
            assert texts(storage) == ["there"]
    assert texts(storage) == ["here"]


def reading(storage: Storage) -> Iterator[Any]:
    with storage() as db:
        yield from db.select(Todo)
        yield None


def test_who_joined_a_generators_unit_hears_that_it_was_closed(storage: Storage, todo: Any) -> None:
    generator = reading(storage)
    next(generator)
    with storage() as db:
        db.insert(Todo, text="taken for done")
    with pytest.raises(exc.StoreError, match="generator was closed"):
        generator.close()  # type: ignore[attr-defined]
    assert texts(storage) == ["first"]


def test_what_joined_a_generators_unit_is_written_at_its_end(storage: Storage, todo: Any) -> None:
    generator = reading(storage)
    next(generator)
    with storage() as db:
        db.insert(Todo, text="second")
    for _ in generator:
        pass
    assert texts(storage) == ["first", "second"]


def test_a_generator_whose_unit_nobody_joined_is_closed_without_a_word(storage: Storage, todo: Any) -> None:
    def writing() -> Iterator[None]:
        with storage() as db:
            db.insert(Todo, text="half")
            yield

    generator = writing()
    next(generator)
    generator.close()  # type: ignore[attr-defined]
    assert texts(storage) == ["first"]


def test_a_unit_in_a_context_manager_is_joined_and_fails_as_ever(storage: Storage) -> None:
    @contextmanager
    def unit() -> Iterator[Any]:
        with storage() as db:
            yield db

    with unit() as db, storage() as same:
        assert same is db
        db.insert(Todo, text="kept")
    with pytest.raises(KeyError), unit() as db, storage():
        raise KeyError(db.insert(Todo, text="lost"))
    assert texts(storage) == ["kept"]


async def test_who_joined_an_async_generators_unit_hears_that_it_was_closed(storage: Storage) -> None:
    async def reading() -> AsyncIterator[None]:
        async with storage() as db:
            await db.select(Todo)
            yield

    generator = reading()
    await anext(generator)
    async with storage() as db:
        await db.insert(Todo, text="taken for done")
    with pytest.raises(exc.StoreError, match="generator was closed"):
        await generator.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize("reason", ["with \0 in it", "\0", "with \0 and \ud800 and é"])
def test_no_reason_fails_a_commit(storage: Storage, reason: str) -> None:
    with storage(reason) as db:
        record = db.insert(Todo, text="kept")
    with storage() as db:
        [version] = db.history(Todo, record._uuid)
        assert version.transaction is not None
        assert "?" in version.transaction.reason
