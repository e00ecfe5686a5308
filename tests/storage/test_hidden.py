"""What `acl` hides stays hidden: in errors, in versions before and after the one that may be seen."""

from __future__ import annotations

from typing import Any

import pytest
from storing import Todo

from limen import exc
from limen.app.datastore import Storage


def shown(record: Any) -> bool:
    return bool(record.get("public"))


@pytest.fixture
def once_hidden(storage: Storage) -> Any:
    """Version 1 may not be seen, version 2 may."""
    with storage() as db:
        record = db.insert(Todo, text="secret", public=False)
    with storage() as db:
        db.fetch(Todo, record._uuid).update(text="fine", public=True)
    return record


def test_naming_an_older_version_does_not_show_what_was_hidden_then(storage: Storage, once_hidden: Any) -> None:
    with pytest.raises(exc.RecordVersionMismatch) as caught, storage() as db:
        db.fetch(Todo, once_hidden._uuid, 1, acl=shown)
    assert caught.value.facts["yours"] is None
    assert "secret" not in repr(caught.value.facts)


def test_nor_does_it_after_the_record_was_fetched(storage: Storage, once_hidden: Any) -> None:
    with storage() as db:
        db.fetch(Todo, once_hidden._uuid, acl=shown)
        with pytest.raises(exc.RecordVersionMismatch) as caught:
            db.update(Todo, once_hidden._uuid, 1, text="mine")
    assert "secret" not in repr(caught.value.facts)


def test_nor_does_it_after_the_record_was_deleted(storage: Storage, once_hidden: Any) -> None:
    with storage() as db:
        db.delete(db.fetch(Todo, once_hidden._uuid))
    with pytest.raises(exc.RecordVersionMismatch) as caught, storage() as db:
        db.fetch(Todo, once_hidden._uuid, 1, acl=shown)
    assert "secret" not in repr(caught.value.facts)


def test_who_could_see_a_version_is_told_what_it_held(storage: Storage, once_hidden: Any) -> None:
    with storage() as db:
        db.fetch(Todo, once_hidden._uuid).text = "third"
    with pytest.raises(exc.RecordVersionMismatch) as caught, storage() as db:
        db.fetch(Todo, once_hidden._uuid, 2, acl=shown)
    assert caught.value.facts["yours"]["text"] == "fine"


@pytest.mark.parametrize("how", ["fetch", "select"])
def test_what_was_hidden_while_a_unit_ran_is_not_told_at_its_end(storage: Storage, once_hidden: Any, how: str) -> None:
    unit = storage()
    db = unit.__enter__()
    if how == "fetch":
        record = db.fetch(Todo, once_hidden._uuid, acl=shown)
    else:
        [record] = db.select(Todo, acl=shown)
    record.text = "mine"
    beside(storage, once_hidden)
    with pytest.raises(exc.RecordNotFound) as caught:
        unit.__exit__(None, None, None)
    assert "classified" not in repr(caught.value.facts)


def beside(storage: Storage, record: Any) -> None:
    """Hides *record* again, as another thread."""
    from threading import Thread

    def hide() -> None:
        with storage() as db:
            db.fetch(Todo, record._uuid).update(text="classified", public=False)

    thread = Thread(target=hide)
    thread.start()
    thread.join()
