from __future__ import annotations

import json
import logging
import os
import stat
from pathlib import Path

import pytest

from limen import exc
from limen.core.seal.keys import KeyRing
from limen.store.accounts import Accounts
from limen.store.files import make_private, replace_private
from limen.store.keyfile import keys_path, new_keys, open_keys
from limen.store.mark import open_mark
from limen.store.memory import MemDictStore
from limen.store.settings import Settings
from limen.store.sql import SQLStore


class Site:
    """A database with its files."""

    def __init__(self, folder: Path) -> None:
        self.database = folder / "a.db"
        self.store = SQLStore(f"sqlite:///{self.database}")
        self.meta = Settings(self.store.records)
        self.keys_file = folder / "a.db.keys"
        self.mark_file = folder / "a.db.mark"

    def keys(self, keys: str = "") -> KeyRing:
        return open_keys(self.meta, self.database, keys)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


# -- the key file
def test_the_first_start_makes_a_key_file_that_only_its_owner_reads(site: Site) -> None:
    ring = site.keys()
    assert ring.numbers == (1,)
    assert stat.S_IMODE(site.keys_file.stat().st_mode) == 0o600
    assert KeyRing.load(site.keys_file.read_text()).fingerprints == ring.fingerprints
    assert json.loads(site.meta.get("fingerprints") or "") == {"1": ring.fingerprint(1)}


def test_the_next_start_finds_the_same_keys(site: Site) -> None:
    assert site.keys().fingerprints == site.keys().fingerprints


def test_a_missing_key_file_stops_the_server_and_no_new_one_is_made(site: Site) -> None:
    site.keys()
    site.keys_file.unlink()
    with pytest.raises(exc.StoreError, match="passwords must be set anew") as caught:
        site.keys()
    assert "a.db.keys" in str(caught.value)
    assert not site.keys_file.exists()


def test_a_foreign_key_file_stops_the_server(site: Site, tmp_path: Path) -> None:
    site.keys()
    site.keys_file.write_text(KeyRing({1: os.urandom(64)}).dump())
    with pytest.raises(exc.StoreError, match="key 1 is another"):
        site.keys()
    site.keys_file.write_text(KeyRing({2: os.urandom(64)}).dump())
    with pytest.raises(exc.StoreError, match="key 1 is not in it"):
        site.keys()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"limen": 1, "keys": []}', '{"limen": 1, "keys": [{"number": 1}]}'])
def test_a_damaged_key_file_stops_the_server(site: Site, text: str) -> None:
    site.keys_file.write_text(text)
    with pytest.raises(exc.StoreError, match=r"a\.db\.keys"):
        site.keys()
    assert site.keys_file.read_text() == text


def test_a_key_file_that_cannot_be_read_stops_the_server(site: Site) -> None:
    site.keys_file.mkdir()
    with pytest.raises(exc.StoreError, match="can't be read"):
        site.keys()


def test_a_further_key_is_taken_up_and_remembered(site: Site) -> None:
    ring = site.keys()
    site.keys_file.write_text(ring.add(os.urandom(64)).dump())
    assert site.keys().current == 2
    site.keys_file.write_text(ring.dump())
    with pytest.raises(exc.StoreError, match="key 2 is not in it"):
        site.keys()


def test_a_read_only_key_file_will_do(site: Site) -> None:
    ring = site.keys()
    site.keys_file.chmod(0o400)
    assert site.keys().fingerprints == ring.fingerprints
    assert stat.S_IMODE(site.keys_file.stat().st_mode) == 0o400


def test_a_key_file_that_others_may_read_is_warned_of(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.keys()
    with caplog.at_level(logging.WARNING, "limen"):
        site.keys()
        assert caplog.messages == []
        site.keys_file.chmod(0o644)
        site.keys()
    assert "chmod 600" in caplog.text


def test_the_key_file_may_lie_elsewhere(site: Site, tmp_path: Path) -> None:
    named = tmp_path / "secret" / "my.keys"
    with pytest.raises(exc.StoreError, match="can't be made"):
        site.keys(str(named))
    named.parent.mkdir()
    site.keys(str(named))
    assert named.exists()
    assert not site.keys_file.exists()
    with pytest.raises(exc.StoreError, match="missing"):
        site.keys()


def test_a_memory_store_keeps_its_keys_in_the_process() -> None:
    meta = Settings(MemDictStore().records)
    assert keys_path(None, "") is None
    assert open_keys(meta, None).fingerprints != open_keys(meta, None).fingerprints


def test_new_keys_are_made_when_told_so_under_a_number_that_was_never_used(site: Site) -> None:
    site.keys()
    with pytest.raises(exc.StoreError, match="Move it away"):
        new_keys(site.meta, site.database)
    site.keys_file.unlink()
    ring = new_keys(site.meta, site.database)
    assert ring.numbers == (2,)
    assert site.keys().fingerprints == ring.fingerprints


def test_of_two_machines_that_make_keys_at_once_the_second_is_told(site: Site, tmp_path: Path) -> None:
    """They share a PostgreSQL database, and neither has found a key file: one of them must get that of the other."""
    (tmp_path / "other").mkdir()

    def quicker(count: int) -> bytes:
        if not site.keys_file.exists():
            site.keys()
        return os.urandom(count)

    with pytest.raises(exc.StoreError, match="key 1 is another"):
        open_keys(site.meta, tmp_path / "other" / "a.db", "", quicker)
    assert site.keys().numbers == (1,)


def test_servers_of_a_shared_database_have_marks_by_machine(site: Site, tmp_path: Path) -> None:
    """One that was never here has no mark to lose; one that has been here has."""
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "a.db"
    assert open_mark(site.meta, site.database).epoch == 1
    assert open_mark(site.meta, other, shared=True).epoch == 1
    (tmp_path / "other" / "a.db.mark").unlink()
    assert open_mark(site.meta, other, shared=True).epoch == 2


def test_an_epoch_that_another_server_has_begun_is_taken_up(site: Site) -> None:
    mark = open_mark(site.meta, site.database)
    site.meta.set("epoch", "4")
    mark.write()
    assert mark.epoch == 4
    assert json.loads(site.mark_file.read_text())["epoch"] == 4


# -- the mark
def test_a_first_start_is_epoch_one_and_leaves_a_mark(site: Site) -> None:
    assert open_mark(site.meta, site.database).epoch == 1
    assert stat.S_IMODE(site.mark_file.stat().st_mode) == 0o600
    assert json.loads(site.mark_file.read_text())["database"] == site.meta.database_id


def test_an_ordinary_restart_keeps_the_epoch(site: Site) -> None:
    mark = open_mark(site.meta, site.database)
    change(site)
    mark.write()
    change(site)  # and the machine stops before the mark is written again
    assert open_mark(site.meta, site.database).epoch == 1


def change(site: Site) -> None:
    from limen.testing.stores.people import ADA

    Accounts(site.store.records).put(ADA)


def test_a_database_behind_its_mark_begins_a_new_epoch(site: Site) -> None:
    mark = open_mark(site.meta, site.database)
    site.store.close()
    backup = site.database.read_bytes()
    site = Site(site.database.parent)
    mark = open_mark(site.meta, site.database)
    change(site)
    mark.write()
    site.store.close()
    site.database.write_bytes(backup)
    site = Site(site.database.parent)
    mark = open_mark(site.meta, site.database)
    assert mark.epoch == 2
    assert site.meta.get("epoch") == "2"
    mark.write()
    assert open_mark(site.meta, site.database).epoch == 2


def test_another_database_in_its_place_begins_a_new_epoch(site: Site) -> None:
    mark = open_mark(site.meta, site.database)
    mark.epoch = 5
    mark.write()
    site.store.close()
    site.database.unlink()
    assert open_mark(Site(site.database.parent).meta, site.database).epoch == 6


@pytest.mark.parametrize("damage", [None, "", "{}", '{"database": 1, "epoch": 1, "txn": 1}', '{"epoch": "x"}'])
def test_a_mark_that_is_lost_or_damaged_begins_a_new_epoch(site: Site, damage: str | None) -> None:
    open_mark(site.meta, site.database)
    site.mark_file.unlink()
    if damage is not None:
        site.mark_file.write_text(damage)
    assert open_mark(site.meta, site.database).epoch == 2
    assert open_mark(site.meta, site.database).epoch == 2


def test_a_mark_that_is_up_to_date_is_not_written_again(site: Site) -> None:
    mark = open_mark(site.meta, site.database)
    before = site.mark_file.stat().st_ino  # each writing makes a new file
    mark.write()
    assert site.mark_file.stat().st_ino == before
    change(site)
    mark.write()
    assert site.mark_file.stat().st_ino != before


def test_a_mark_that_was_lost_is_written_anew(site: Site) -> None:
    mark = open_mark(site.meta, site.database)
    site.mark_file.unlink()
    mark.write()
    assert site.mark_file.exists()


def test_databases_that_share_a_key_file_have_marks_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    keys = str(tmp_path / "keys" / "my.keys")
    for name in ("a.db", "b.db") * 2:
        store = SQLStore(f"sqlite:///{tmp_path / name}")
        meta = Settings(store.records)
        open_keys(meta, tmp_path / name, keys)
        assert open_mark(meta, tmp_path / name, keys).epoch == 1
        store.close()
    assert sorted(p.name for p in (tmp_path / "keys").iterdir()) == ["a.db.mark", "b.db.mark", "my.keys"]


def test_a_memory_store_has_no_mark() -> None:
    mark = open_mark(Settings(MemDictStore().records), None)
    mark.write()
    assert mark.epoch == 1


# -- files
def test_a_file_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    assert make_private(tmp_path / "a", "one")
    assert not make_private(tmp_path / "a", "two")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    assert not make_private(tmp_path / "link", "three")
    assert (tmp_path / "a").read_text() == "one"
    assert not (tmp_path / "nowhere").exists()


def test_replacing_leaves_one_whole_private_file(tmp_path: Path) -> None:
    for text in ("one", "two"):
        replace_private(tmp_path / "a", text)
        assert (tmp_path / "a").read_text() == text
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


def test_a_place_that_cannot_be_written_is_said_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "inside").touch()
    with pytest.raises(exc.StoreError, match="can't be written"):
        replace_private(tmp_path / "a", "x")
    with pytest.raises(exc.StoreError, match="can't be made"):
        replace_private(tmp_path / "no" / "a", "x")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_beside_keys_in_a_folder_that_cannot_be_written_the_mark_lies_beside_the_database(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "read-only").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "read-only")  # root may write anywhere
    open_mark(site.meta, site.database, str(tmp_path / "read-only" / "my.keys"))
    assert site.mark_file.exists()
