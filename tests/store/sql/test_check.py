"""`limen db check` finds each kind of damage, and none where there is none."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from old_database import ask, dump, old_database

from limen import exc
from limen.core.record.port import DELETE, ERASE, PUT, REVIVE, Change, Index, Keep, Transaction
from limen.core.record.record import encode_fields
from limen.store.sql import SQLStore
from limen.store.sql.maintenance.check import check
from limen.store.sql.maintenance.database import open_file, open_postgres
from limen.store.sql.maintenance.migrate import migrate

LONG = "(SELECT uuid FROM version WHERE vsn = 40)"
"""A record with 40 versions, of which 1 and 33 are whole."""
GONE = "(SELECT uuid FROM version WHERE kind = 2)"
"""A record that was deleted; its deletion is version 2."""
NOTE = "(SELECT uuid FROM version WHERE txn = 42)"
"""A record with two versions."""


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """A database with two domains, in which nothing is wrong."""
    migrate(old_database(tmp_path / "a.db"))
    return tmp_path / "a.db"


def found(db: Path) -> list[str]:
    return list(check(f"sqlite:///{db}"))


def test_nothing_is_wrong_with_a_sound_database_and_nothing_is_changed(db: Path) -> None:
    before = dump(db)
    told: list[tuple[str, int, int]] = []
    assert list(check(f"sqlite:///{db}", lambda *how_far: told.append(how_far))) == []
    assert dump(db) == before
    assert {what for what, done, total in told if done == total} == {"transactions", "versions"}


DAMAGE = {
    "a version is missing": (
        f"DELETE FROM version WHERE vsn = 7 AND uuid = {LONG}",
        ["version 7 is missing"],
    ),
    "several versions are missing": (
        f"DELETE FROM version WHERE vsn BETWEEN 7 AND 9 AND uuid = {LONG}",
        ["version 7 to 9 is missing"],
    ),
    "the first version is missing": (
        f"DELETE FROM version WHERE vsn = 1 AND uuid = {LONG}",
        ["version 2: it is a delta, and there is nothing before it"],
    ),
    "what was deleted is missing": (
        f"DELETE FROM version WHERE vsn = 1 AND uuid = {GONE}",
        ["version 2: it is a deletion, and there is nothing before it"],
    ),
    "the newest version is missing": (
        f"DELETE FROM version WHERE vsn = 40 AND uuid = {LONG}",
        ["the record is version 40, and its last version is 39"],
    ),
    "all versions are missing": (f"DELETE FROM version WHERE uuid = {LONG}", ["all its versions are missing"]),
    "a keyframe is missing": (
        f"DELETE FROM version WHERE vsn = 33 AND uuid = {LONG}",
        ["version 33 is missing"],
    ),
    "a keyframe has become a delta": (
        f"""UPDATE version SET kind = 1, body = '{{"set":{{"count":31}}}}' WHERE vsn = 33 AND uuid = {LONG}""",
        ["version 33: a whole version must stand here (each 32nd), and there is a delta"],
    ),
    "a keyframe can't be read": (
        f"UPDATE version SET body = substr(body, 1, 20) WHERE vsn = 33 AND uuid = {LONG}",
        ["version 33: The fields of a stored record are damaged."],
    ),
    "a delta can't be read": (
        f"UPDATE version SET body = 'x' || body WHERE vsn = 5 AND uuid = {LONG}",
        ["version 5: A version of a stored record is damaged."],
    ),
    "the body of a delta is missing": (
        f"UPDATE version SET body = NULL WHERE vsn = 5 AND uuid = {LONG}",
        ["version 5: its body is missing"],
    ),
    "a deletion has a body": (
        f"UPDATE version SET body = '{{}}' WHERE kind = 2 AND uuid = {GONE}",
        ["version 2: it has a body, and should have none"],
    ),
    "a delta says something else": (
        f"""UPDATE version SET body = '{{"set":{{"count":99}}}}' WHERE vsn = 40 AND uuid = {LONG}""",
        ["its fields are not those of its last version"],
    ),
    "a delta changes what it does not say": (
        f"""UPDATE version SET body = '{{"set":{{"text":"x"}}}}' WHERE vsn = 36 AND uuid = {LONG}""",
        ["version 36: it is said to have changed [\"count\"], and changed ['text']"],
    ),
    "a kind that there is none of": (
        f"UPDATE version SET kind = 9, body = NULL WHERE vsn = 40 AND uuid = {LONG}",
        ["version 40: there is no kind 9"],
    ),
    "a version is of an earlier transaction than the one before": (
        f"UPDATE version SET txn = 3 WHERE vsn = 5 AND uuid = {LONG}",
        ["version 5: transaction 3 is not later than 4, which wrote version 4"],
    ),
    "a fork: two versions of one transaction": (
        f"UPDATE version SET txn = 39 WHERE vsn = 40 AND uuid = {LONG}",
        ["version 40: transaction 39 is not later than 39", "the record is of transaction 40, and its last"],
    ),
    "a record has other fields than its newest version": (
        f"UPDATE record SET fields = replace(fields, 'oat', 'soy') WHERE uuid = {LONG}",
        ["its fields are not those of its last version"],
    ),
    "a record is behind its versions": (
        f"UPDATE record SET vsn = 39 WHERE uuid = {LONG}",
        ["the record is version 39, and its last version is 40"],
    ),
    "a record has another transaction than its newest version": (
        f"UPDATE record SET txn = 39 WHERE uuid = {LONG}",
        ["the record is of transaction 39, and its last version of 40"],
    ),
    "a deleted record is back": (
        f"UPDATE record SET deleted = 0 WHERE uuid = {GONE}",
        ["the record is there, and its last version is deleted"],
    ),
    "a record is gone without a deletion": (
        f"UPDATE record SET deleted = 1 WHERE uuid = {NOTE}",
        ["the record is deleted, and its last version is there"],
    ),
    "a record is missing": (f"DELETE FROM record WHERE uuid = {NOTE}", ["there are versions, but no record"]),
    "a transaction is missing": (
        'DELETE FROM "transaction" WHERE domain = 1 AND number = 12',
        ["transaction 12, which wrote version 12, is missing"],
    ),
    "time goes back": (
        'UPDATE "transaction" SET time = time - 60 WHERE domain = 1 AND number = 12',
        ["domain 'localhost': transaction 12 is 60.000 s earlier than 11"],
    ),
    "a number of a transaction that is none": (
        'UPDATE "transaction" SET number = 0 WHERE domain = 1 AND number = 12',
        ["transaction 0 is there twice, or is no number of one", "transaction 12, which wrote version 12, is missing"],
    ),
    "a domain is behind its transactions": (
        "UPDATE domain SET txn = 43 WHERE name = 'localhost'",
        ["domain 'localhost' has come to transaction 43, but in the table transaction there is 44"],
    ),
    "a domain's time is behind its transactions": (
        "UPDATE domain SET time = time - 60 WHERE name = 'localhost'",
        ["domain 'localhost': its time is earlier than that of transaction 44"],
    ),
    "a domain is missing": (
        "DELETE FROM domain WHERE name = 'clinic.example'",
        ["there are transactions of domain number 2, of which there is no row"],
    ),
    "a model is missing": (
        "DELETE FROM model WHERE name = 'Note'",
        ["there is a record of domain 'localhost', (model number 2, of which there is no row)"],
    ),
    "the two stamps of the schema do not agree": (
        "UPDATE alembic_version SET version_num = '1'",
        ["alembic_version says ['1'], and user_version 2"],
    ),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_found_where(db: Path, what: str) -> None:
    statement, expected = DAMAGE[what]
    ask(db, statement)
    said = found(db)
    for sentence in expected:
        assert [line for line in said if sentence in line], said


def test_a_record_is_named_with_domain_model_and_uuid(db: Path) -> None:
    ask(db, f"UPDATE record SET vsn = 39 WHERE uuid = {LONG}")
    assert found(db) == [
        "domain 'localhost', Todo 01a1fea1-27e8-7775-b6de-8b7b8d90d4ed: the record is version 39, and its last version "
        "is 40"
    ]


def test_all_that_is_wrong_is_said_not_the_first_thing_only(db: Path) -> None:
    ask(db, f"DELETE FROM version WHERE vsn IN (3, 7) AND uuid = {LONG}")
    ask(db, f"DELETE FROM record WHERE uuid = {NOTE}")
    assert len(found(db)) == 3


def test_what_sqlite_itself_finds_is_said(db: Path) -> None:
    with sqlite3.connect(db) as file:
        file.execute("PRAGMA writable_schema = ON")
        file.execute(
            "UPDATE sqlite_master SET sql = 'CREATE INDEX version_txn ON version (domain, vsn)' "
            "WHERE name = 'version_txn'"
        )
    assert [line for line in found(db) if line.startswith("the file: ") and "version_txn" in line]


def test_a_damaged_page_is_said_in_words(db: Path) -> None:
    page, size = ask(db, "SELECT rootpage FROM sqlite_master WHERE name = 'version'")[0][0], 4096
    ask(db, "PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(db.read_bytes())
    content[(page - 1) * size : page * size] = b"\xff" * size
    db.write_bytes(content)
    said: list[str] = []
    with pytest.raises(exc.StoreError, match="damaged"):
        said.extend(check(f"sqlite:///{db}"))


def test_models_without_history_leave_no_transactions_and_that_is_right(db: Path) -> None:
    settings = "SELECT v.txn FROM version v JOIN model m ON m.id = v.model WHERE m.name = 'limen.setting'"
    assert ask(
        db,
        f"SELECT count(*) FROM \"transaction\" JOIN domain ON id = domain WHERE name = '' AND number IN ({settings})",
    ) == [(0,)]
    assert found(db) == []


KEEPS: dict[str, Keep] = {"All": None, "None": 0, "Three": 3, "Second": timedelta(seconds=1), "Forty": 40}
"""Model to how much of its history is kept."""


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
@pytest.mark.parametrize("seed", range(2))
def test_whatever_a_store_has_written_is_right(
    engine: str, seed: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}" if engine == "sqlite" else request.getfixturevalue("postgresql_url")
    chance = Random(seed)
    newest: dict[tuple[str, str, bytes], tuple[int, bool]] = {}
    with contextlib.closing(SQLStore(url)) as store:
        for moment in range(200):
            domain, changes = chance.choice("ab"), []
            for model in chance.sample(sorted(KEEPS), chance.randint(1, 3)):
                uuid = bytes([chance.randint(1, 2)]) * 16
                vsn, gone = newest.get((domain, model, uuid), (0, False))
                kind = PUT if not vsn else REVIVE if gone else chance.choices((PUT, DELETE, ERASE), (20, 2, 1))[0]
                fields = encode_fields({"n": moment, "long": "x" * 99, **({"odd": 1} if chance.random() < 0.3 else {})})
                changes.append(Change(model, uuid, vsn, fields, kind, keep=KEEPS[model]))
                ended = kind in (DELETE, ERASE)
                newest[domain, model, uuid] = (0, False) if ended and KEEPS[model] == 0 else (vsn + 1, ended)
            store.records.commit(Transaction(domain, "ada", None, "", "", "", moment / 10), changes)
        assert list(check(url)) == []
        for domain in "ab":
            for model, keep in KEEPS.items():
                store.records.prune(domain, model, keep, 20.0)
        assert list(check(url)) == []
        store.records.prune("a", "All", 0, 20.0)  # a model that keeps no history from now on
    assert list(check(url)) == []


# -- indexes ---------------------------------------------------------------------------------------------------------
INDEX = Index((("amount", "decimal"), ("at", "datetime"), ("done", "bool"), ("n", "int"), ("text", "text")))


def filled(url: str) -> None:
    """Four records of a model with an index, one of them deleted, in two domains."""
    with contextlib.closing(SQLStore(url)) as store:
        for number, domain in enumerate(["a", "a", "b", "b"]):
            fields = {
                "amount": Decimal("1.50"),
                "at": datetime(2026, 11, 21, 9, 30, tzinfo=timezone(timedelta(hours=1))),
                "done": number == 2,
                "n": "no number" if number == 1 else number,
                "text": None if number == 2 else "Größe \0",
            }
            text = encode_fields(fields)
            change = Change("Indexed", bytes([number]) * 16, 0, text, index=INDEX, values=fields)
            store.records.commit(Transaction(domain, "ada", None, "", "", "", 1.0), [change])
        gone = Change("Indexed", bytes([3]) * 16, 1, "", kind=DELETE, index=INDEX)
        store.records.commit(Transaction("b", "ada", None, "", "", "", 1.0), [gone])
        assert store.records.indexes.settle()


@pytest.fixture(params=["sqlite", "postgresql"])
def indexed(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., list[str]]:
    """Runs statements on a database with an index (`{}` stands for its table), gives what is found to be wrong."""
    on_sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path / 'i.db'}" if on_sqlite else request.getfixturevalue("postgresql_url")
    filled(url)

    def damaged(*statements: str) -> list[str]:
        with open_postgres(url) if not on_sqlite else open_file(tmp_path / "i.db") as db:
            for statement in statements:
                catalog = db.execute("SELECT catalog FROM model WHERE name = 'Indexed'").fetchone()[0]
                db.execute(statement.format(json.loads(catalog)["tables"][0]["table"]))
            if not on_sqlite:
                db.commit()
        return list(check(url))

    return damaged


def test_an_index_that_is_as_the_records_are_is_right(indexed: Callable[..., list[str]]) -> None:
    assert indexed() == []


def test_a_record_that_its_index_does_not_have_is_found(indexed: Callable[..., list[str]]) -> None:
    assert indexed("DELETE FROM {} WHERE n_3 = 0") == [
        "domain 'a', Indexed 00000000-0000-0000-0000-000000000000: the index has no row of it"
    ]


def test_a_row_of_an_index_without_its_record_is_found(indexed: Callable[..., list[str]]) -> None:
    said = indexed("DELETE FROM version WHERE vsn = 1", "DELETE FROM record", "SELECT 1")
    assert len([line for line in said if "the index has a row of it, and there is no such record" in line]) == 3


def test_a_row_of_an_index_with_other_values_than_its_record_is_found(indexed: Callable[..., list[str]]) -> None:
    assert indexed("UPDATE {} SET n_3 = 7 WHERE n_3 = 0") == [
        "domain 'a', Indexed 00000000-0000-0000-0000-000000000000: the index has other values than the record"
    ]


def test_an_index_whose_table_is_missing_is_found(indexed: Callable[..., list[str]]) -> None:
    assert [line for line in indexed("DROP TABLE {}") if "the index of Indexed: there is no table index_" in line]


def test_an_older_database_is_not_checked_but_sent_to_migrate(tmp_path: Path) -> None:
    with pytest.raises(exc.StoreError, match="limen db migrate"):
        list(check(old_database(tmp_path / "a.db")))


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(exc.StoreError, match="There is no database"):
        list(check(f"sqlite:///{tmp_path / 'a.db'}"))
    assert list(tmp_path.iterdir()) == []
