"""What runs outside of calls may say for which tenant; a call may not say another than its own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from storing import As, Todo

from limen import exc
from limen.app.datastore import Storage

NORTH, SOUTH = "north.example", "south.example"


def add(storage: Storage, text: str) -> None:
    with storage("add") as db:
        db.insert(Todo, text=text)


def texts(storage: Storage, domain: str | None = None) -> list[str]:
    with storage(domain=domain) as db:
        return [todo.text for todo in db.select(Todo)]


def test_a_worker_says_whose_records_it_means(storage: Storage) -> None:
    with storage("for the north", domain=NORTH) as db:
        todo = db.insert(Todo, text="snow")
    with As("ada", NORTH), storage() as db:
        assert [each.text for each in db.select(Todo)] == ["snow"]
        by = db.transaction(todo._txn)
        assert (by.user, by.reason) == (None, "for the north")  # type: ignore[union-attr]
    assert texts(storage, SOUTH) == texts(storage) == []


async def test_so_does_one_that_is_asynchronous(storage: Storage) -> None:
    async def fill(domain: str) -> None:
        async with storage("fill", domain=domain) as db:
            await db.insert(Todo, text=domain)

    await asyncio.gather(fill(NORTH), fill(SOUTH))
    assert (texts(storage, NORTH), texts(storage, SOUTH), texts(storage)) == ([NORTH], [SOUTH], [])


def test_what_a_worker_calls_for_a_tenant_joins_its_unit(storage: Storage) -> None:
    def fail() -> None:
        with storage(domain=NORTH):
            add(storage, "never")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with storage(domain=NORTH):
        add(storage, "snow")
        storage.run(lambda db: db.insert(Todo, text="ice"))
        with storage(domain=SOUTH):
            add(storage, "sun")
    assert (texts(storage, NORTH), texts(storage, SOUTH), texts(storage)) == (["snow", "ice"], ["sun"], [])


def test_what_a_worker_calls_as_a_user_is_done_in_that_user_s_domain(storage: Storage) -> None:
    with storage(domain=NORTH), As("bob", SOUTH):
        add(storage, "sun")
    assert (texts(storage, NORTH), texts(storage, SOUTH)) == ([], ["sun"])


def test_each_tenants_log_can_be_followed(storage: Storage) -> None:
    for domain, count in ((NORTH, 2), (SOUTH, 1)):
        for _ in range(count):
            with storage(domain=domain):
                add(storage, "something")
    for domain, numbers in ((NORTH, [1, 2]), (SOUTH, [1]), (None, [])):
        with storage.changes(domain=domain) as feed:
            assert [commit.number for commit in feed.read()] == numbers


@pytest.mark.parametrize("domain", [SOUTH, "nowhere.example", "localhost"])
def test_a_call_can_t_name_another_domain_than_its_own(storage: Storage, domain: str) -> None:
    refused: list[exc.Forbidden] = []

    def ask(what: Any) -> None:
        with pytest.raises(exc.Forbidden) as caught:
            what()
        refused.append(caught.value)

    outside = storage(domain=domain)
    with As("ada", NORTH):
        for what in (storage(domain=domain).__enter__, outside.__enter__, lambda: storage.changes(domain=domain)):
            ask(what)
        ask(lambda: asyncio.run(storage(domain=domain).__aenter__()))
        with storage() as db:
            ask(storage(domain=domain).__enter__)
            db.insert(Todo, text="goes on")
    assert domain not in str([error.err for error in refused]), "nobody learns whether there is such a domain"
    assert (texts(storage, NORTH), texts(storage, domain)) == (["goes on"], [])


def test_a_call_may_name_its_own(storage: Storage) -> None:
    with As("ada", NORTH):
        with storage("outer"), storage(domain="North.Example."):  # as a host name is written
            add(storage, "snow")
        with storage.changes(domain=NORTH) as feed:
            assert [commit.number for commit in feed.read()] == [1]


@pytest.mark.parametrize("domain", ["", "*", "a b", "-"])
def test_what_is_no_domain_is_refused(storage: Storage, domain: str) -> None:
    with pytest.raises(exc.InvalidAddress):
        storage(domain=domain).__enter__()
    with pytest.raises(exc.InvalidAddress):
        storage.changes(domain=domain)
