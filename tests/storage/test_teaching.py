"""What one types wrong at first is answered in words that say what to type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from limen import PyClient, exc
from limen.app.app import App
from limen.app.datastore import Storage


@dataclass
class Booking:
    pieces: int = 1


def test_an_instance_is_no_model(storage: Storage) -> None:
    storage.add_models(None, Booking)
    with storage() as db, pytest.raises(TypeError, match=r"insert\(Booking, field=…\)"):
        db.insert(Booking(pieces=3))  # type: ignore[arg-type]


@pytest.mark.parametrize("verb", ["insert", "update", "delete", "undo", "forget", "savepoint"])
def test_the_past_is_not_changed(storage: Storage, todo: Any, verb: str) -> None:
    with storage() as db, pytest.raises(exc.StoreError, match=f"can be read, not changed: {verb}"):
        getattr(db.as_of(0), verb)


def test_a_unit_without_with_says_so(storage: Storage) -> None:
    with pytest.raises(exc.StoreError, match=r"with storage\(\) as db: db\.fetch"):
        storage().fetch  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(AttributeError):
        storage().nonsense  # type: ignore[attr-defined]  # noqa: B018


def test_an_argument_may_be_called_name() -> None:
    app = App()

    @app.service(safe=False)
    def hello(name: str) -> str:
        return f"Hello, {name}!"

    with PyClient(app) as client:
        assert client.call("hello", name="Ada") == "Hello, Ada!"


def test_a_plain_program_takes_its_database_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("LIMEN_DB", f"sqlite:///{tmp_path / 'env.db'}")
    app = App()
    app.add_model(Booking)
    with app.storage() as db:
        db.insert(Booking)
    app.vault.storage.storage.close()
    assert (tmp_path / "env.db").exists()
