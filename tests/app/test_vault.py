"""What an App keeps about people."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from limen import App, DataStore, dbm, exc
from limen.app.vault import own_path, socket_path
from limen.core.guard.accounts import Slot
from limen.store.accounts import ACCOUNT
from limen.store.rows import key


def slot(app: App, domain: str, handle: bytes, age: float) -> None:
    then = time.time() - age
    app.vault.slots.put(
        Slot(
            handle=handle,
            domain=domain,
            user="ada",
            public=bytes(32),
            opened=then,
            used=then,
            login=then,
            epoch=app.vault.mark.epoch,
            origin="192.0.2.7",
            key_number=1,
        ),
        at_most=9,
    )


def test_a_start_keeps_the_sessions_of_a_domain_that_lets_them_live_longer() -> None:
    app = App()
    app.config.domain("long.example").SESSION_TIMEOUT = 3 * app.config.SESSION_TIMEOUT
    slot(app, "long.example", b"long".ljust(16), age=2 * app.config.SESSION_TIMEOUT)
    slot(app, "long.example", b"gone".ljust(16), age=4 * app.config.SESSION_TIMEOUT)
    app.vault.purge()
    assert app.vault.slots.get("long.example", b"long".ljust(16)) is not None
    assert app.vault.slots.get("long.example", b"gone".ljust(16)) is None


def test_a_store_of_accounts_of_its_own_is_claimed_as_well(tmp_path: Path) -> None:
    """Whoever serves relies on hearing of each change of an account."""

    def app() -> App:
        app = App()
        accounts = dbm.SQLStore(f"sqlite:///{tmp_path}/accounts.db")
        app.set_auth_storage(DataStore(dbm.MemDictStore(), permission=accounts))
        return app

    one, two = app(), app()
    with one.vault.claimed(), pytest.raises(exc.StoreError, match="in use by another Limen"), two.vault.claimed():
        pass
    with two.vault.claimed():
        pass


@pytest.mark.parametrize("shared", [False, True])
def test_a_store_says_itself_whether_other_servers_change_accounts(shared: bool) -> None:
    """Whatever its URL looks like."""
    app, store = App(), dbm.MemDictStore()
    store.shared = shared
    app.set_auth_storage(DataStore(dbm.MemDictStore(), permission=store, abuse=store))
    assert (app.vault.shared, app.vault.overheard) == (shared, shared)
    app.auth.add_user("ada", "correct horse")
    app.auth.remove_user("ada")
    assert app.vault.accounts.ended("localhost", 0) == ((1, ["ada"]) if shared else (0, []))


@pytest.mark.parametrize("role", ["permission", "state"])
def test_a_store_of_accounts_or_sessions_that_was_put_back_begins_a_new_epoch(tmp_path: Path, role: str) -> None:
    file = tmp_path / "other.db"

    def app() -> App:
        app = App()
        other = dbm.SQLStore(f"sqlite:///{file}")
        app.set_auth_storage(DataStore(dbm.SQLStore(f"sqlite:///{tmp_path}/main.db"), **{role: other}))
        return app

    def epoch(something: bool = False) -> int:
        running = app()
        with running.vault.claimed():
            begun = running.vault.mark.epoch
            if something:
                slot(running, "localhost", b"x".ljust(16), age=1.0)
                running.auth.add_user("ada", "correct horse")
            running.vault.mark.write()
        for store in (running.vault.storage.storage, getattr(running.vault.storage, role)):
            store.close()
        return begun

    assert epoch() == 1
    copy = file.read_bytes()
    assert epoch(something=True) == 1
    assert epoch() == 1
    file.write_bytes(copy)
    for rest in ("-wal", "-shm"):
        Path(f"{file}{rest}").unlink(missing_ok=True)
    assert epoch() == 2
    assert epoch() == 2


def test_slots_in_a_store_of_their_own_end_before_the_account_does() -> None:
    """Should the machine stop in between, none is left for whoever gets the name next."""
    app = App()
    app.set_auth_storage(DataStore(dbm.MemDictStore(), state=dbm.MemDictStore()))
    app.auth.add_user("ada", "correct horse", domain="long.example")
    slot(app, "long.example", b"tab".ljust(16), age=1.0)
    seen: list[int] = []
    remove = app.vault.accounts.remove

    def counted(*who: str, **options: str) -> bool:
        seen.append(len(app.vault.slots.list()))
        return remove(*who, **options)

    app.vault.accounts.remove = counted  # type: ignore[method-assign]
    assert app.auth.remove_user("ada", "long.example")
    assert seen == [0]


def test_the_history_of_an_account_says_what_was_done() -> None:
    app = App()
    app.auth.add_user("ada", "correct horse")
    app.auth.set_roles("ada", ["nurse"])
    app.auth.disable("ada")
    app.auth.disable("ada", disabled=False)
    app.auth.set_password("ada", "battery staple")
    app.auth.remove_user("ada")
    records = app.vault.storage.permission.records
    reasons = [by.reason for _, by in records.history("localhost", ACCOUNT, key("ada")) if by is not None]
    assert reasons == ["added", "roles", "disabled", "enabled", "password", "removed"]


def test_files_of_a_postgresql_database_are_named_after_it() -> None:
    assert own_path("postgresql://ada:secret@db.example/todo?sslmode=require") == Path("todo")
    assert own_path("postgresql+psycopg://db.example/to%2Fdo") == Path("to%2Fdo")
    assert own_path("postgresql:///?host=/run&dbname=todo") == Path("todo")
    assert own_path("postgresql://ada@db.example") == Path("ada")
    assert socket_path("postgresql://db.example/todo") == Path("todo.sock")
