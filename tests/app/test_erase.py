"""Erasing a person: what is left of the name, in every byte of the database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from limen import App, DataStore, dbm
from limen.base.principal import Principal, State, current
from limen.core.guard.accounts import LedgerRow, Slot
from limen.core.guard.ledger import Kind
from limen.core.record.record import Record

NAME = "adalovelace"


class Note:
    @classmethod
    def initialize(cls, record: Record) -> None:
        record.text = ""


def as_user(user: str, work: Any, impersonator: str | None = None) -> Any:
    token = current.set(State(Principal("localhost", "192.0.2.1", user=user, impersonated_by=impersonator)))
    try:
        return work()
    finally:
        current.reset(token)


def opened(folder: Path) -> App:
    app = App()
    app.config.DB = f"sqlite:///{folder / 'a.db'}"
    app.add_model(Note)
    return app


def lived(app: App, writes: int = 400) -> Any:
    """Somebody was here, and did all that leaves traces. Gives a record of theirs."""
    app.auth.add_user(NAME, "correct horse", roles=[NAME + "role"], profile={"name": NAME + "profile"})
    app.auth.set_roles(NAME, ["user", NAME + "role"])
    app.auth.disable(NAME)
    app.auth.disable(NAME, disabled=False)
    app.vault.slots.put(Slot(b"s" * 16, "localhost", NAME, bytes(32), 1.0, 1.0, 1.0, 1))
    pair = LedgerRow("localhost", "pair", f"{NAME}@::1", 9e9, "[1, 1.0, 1.0]")
    app.vault.ledger_store.flush([LedgerRow("localhost", "account", NAME, 9e9, "[1, 1.0]"), pair], 0.0)
    app.vault.load_ledger()
    app.vault.ledger.charge("localhost", "192.0.2.1", Kind.DENIED, now=1.0)

    def write() -> Any:
        with app.storage("written") as db:
            note = db.insert(Note, text="milk")
        for number in range(writes):
            with app.storage(f"change {number}") as db:
                db.fetch(Note, note._uuid).text = f"milk {number}"
        return note

    note = as_user(NAME, write)
    as_user("grace", lambda: app.storage.run(lambda db: db.insert(Note, text="eggs")), impersonator=NAME)
    return note


def traces(folder: Path, name: str = NAME) -> list[str]:
    return [path.name for path in sorted(folder.rglob("*.db*")) if name.encode() in path.read_bytes()]


def test_no_byte_of_the_name_is_left(tmp_path: Path) -> None:
    app = opened(tmp_path)
    with app.vault.claimed():
        note = lived(app)
        assert traces(tmp_path) != []
        assert app.auth.remove_user(NAME, erase=True) is True
        assert traces(tmp_path) == [], "the WAL is folded at once"
        # What this user has done can still be told apart from what others did.
        with app.storage() as db:
            names = {version.transaction.user for version in db.history(Note, note._uuid)}
            [pseudonym] = names
            assert pseudonym.startswith("erased-")
            assert len(pseudonym) == len("erased-") + 16
            last = db.transaction(db.txn)
            assert (last.reason, last.user) == ("erase a person", None)
            other = db.select_one(Note, lambda r: r.text == "eggs")
            by = db.history(Note, other._uuid)[0].transaction
            assert (by.user, by.impersonator) == ("grace", pseudonym)
        assert app.auth.users() == []
        assert app.vault.slots.count("localhost", NAME) == 0
        assert app.vault.ledger.dirty() != [], "the origin is judged as it was"
        assert not any(NAME in row.key for row in app.vault.ledger.dirty())
        # Again: nothing is left to do. What was still under way is found by it, and gets the same pseudonym.
        assert app.auth.remove_user(NAME, erase=True) is False
        as_user(NAME, lambda: app.storage.run(lambda db: db.insert(Note, text="late")))
        assert app.auth.remove_user(NAME, erase=True) is True
        with app.storage() as db:
            late = db.select_one(Note, lambda r: r.text == "late")
            assert db.history(Note, late._uuid)[0].transaction.user == pseudonym
    assert traces(tmp_path) == []
    assert traces(tmp_path, pseudonym) == ["a.db"]


def test_who_was_removed_before_is_erased_too(tmp_path: Path) -> None:
    app = opened(tmp_path)
    with app.vault.claimed():
        lived(app, writes=3)
        app.auth.remove_user(NAME)
        assert traces(tmp_path) != []
        assert app.auth.remove_user(NAME, erase=True) is True
        assert traces(tmp_path) == []


def test_others_stay_as_they_are(tmp_path: Path) -> None:
    app = opened(tmp_path)
    app.auth.add_user(NAME + "2", "x", roles=["user"])
    app.auth.add_user(NAME, "x", domain="other.example")
    lived(app, writes=3)
    app.auth.remove_user(NAME, erase=True)
    assert [(account.domain, account.user) for account in app.auth.users()] == [
        ("localhost", NAME + "2"),
        ("other.example", NAME),
    ]


def test_the_name_is_erased_in_every_store_of_the_program(tmp_path: Path) -> None:
    app, folder = opened(tmp_path), tmp_path / "more"
    folder.mkdir()
    parts = {
        role: dbm.SQLStore(f"sqlite:///{folder}/{role}.db") for role in ("permission", "profile", "state", "abuse")
    }
    app.set_auth_storage(DataStore(dbm.SQLStore(f"sqlite:///{folder}/rest.db"), **parts))

    class Elsewhere:
        pass

    own = DataStore(
        dbm.SQLStore(f"sqlite:///{folder}/own.db"), relational=dbm.SQLStore(f"sqlite:///{folder}/copied.db")
    )
    app.add_storage(own, Elsewhere)
    lived(app, writes=3)
    as_user(NAME, lambda: app.storage.run(lambda db: db.insert(Elsewhere, n=1)))
    assert len(traces(folder)) >= 4
    assert app.auth.remove_user(NAME, erase=True)
    assert traces(tmp_path) == []


@pytest.mark.parametrize("name", ["ada@example.org", "ada@x"])
def test_tries_of_a_user_whose_name_has_an_at_are_kept_and_forgotten(name: str) -> None:
    app = App()
    app.vault.ledger.load([LedgerRow("localhost", "pair", f"{name}@::1", 9e9, "[1, 1.0, 1.0]")])
    app.vault.ledger._dirty.add(("localhost", "pair", f"{name}@::1"))
    [row] = app.vault.ledger.dirty()
    assert row.data == "[1, 1.0, 1.0]"
    app.vault.ledger._dirty.add(("localhost", "pair", f"{name}@::1"))
    app.auth.remove_user(name, erase=True)
    assert app.vault.ledger.dirty() == []
