"""The statements about domains, records, versions and transactions.

Statements that read take a domain's and a model's *name*: no number that was remembered can be out of date. Those that
write take numbers, which they have got under the lock.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    LargeBinary,
    and_,
    case,
    cast,
    delete,
    func,
    literal_column,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from limen.core.record.delta import DELTA, ERASED, WHOLE
from limen.store.sql.tables import domain, meta, model, record, transaction, version

from .clauses import (
    Later,
    Statement,
    add,
    at_that_time,
    bind,
    by_name,
    chunk,
    in_chunk,
    is_its_record,
    is_whole,
    key,
    key_again,
    last_given,
    last_of,
    line,
    none,
    numbers,
    of_its_record,
    of_record,
    of_version,
    one,
    one_more,
    past_of,
    record_by_name,
    record_chunk,
    revision,
    row,
    this_domain,
    this_model,
    versions_before,
    who,
)


def of_records(dialect: str) -> list[Statement]:
    return [
        *_of_names(dialect),
        *_of_now(),
        *_of_the_past(),
        *_of_the_log(),
        *_of_a_commit(postgres=dialect == "postgresql"),
        *_of_rows(),
        *_of_keeping(),
        *_of_pruning(),
    ]


def _of_names(dialect: str) -> list[Statement]:
    """Names to numbers, and what a database knows of itself."""
    upsert: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    keep_meta = upsert(meta).values(name=bind("name"), value=bind("value"))
    return [
        (
            "add_domain",
            upsert(domain).inline().values(name=bind("name"), txn=none, time=none).on_conflict_do_nothing(),
            ["name"],
        ),
        ("add_model", upsert(model).inline().values(name=bind("name")).on_conflict_do_nothing(), ["name"]),
        ("find_domain", select(domain.c.id).where(domain.c.name == bind("name")), ["name"]),
        ("find_model", select(model.c.id).where(model.c.name == bind("name")), ["name"]),
        ("domains", select(domain.c.name).where(domain.c.txn > none).order_by(domain.c.name), []),
        (
            "set_meta",
            keep_meta.on_conflict_do_update(index_elements=["name"], set_={"value": keep_meta.excluded.value}),
            ["name", "value"],
        ),
    ]


def _of_now() -> list[Statement]:
    """What is there. Always a row where there is that domain: its number is of the same moment as the record."""
    its_model = domain.outerjoin(model, model.c.name == bind("model"))
    its_records = and_(record.c.domain == domain.c.id, record.c.model == model.c.id)
    return [
        ("last", select(domain.c.txn).where(domain.c.name == bind("domain")), ["domain"]),
        ("progress", select(cast(func.coalesce(func.sum(domain.c.txn), none), BigInteger).label("progress")), []),
        (
            "read",
            select(domain.c.txn.label("last"), *row)
            .select_from(its_model.outerjoin(record, and_(its_records, record.c.uuid == bind("uuid"))))
            .where(domain.c.name == bind("domain")),
            ["model", "uuid", "domain"],
        ),
        (  # what is there now, and what was changed after the number that is asked about
            "select",
            select(domain.c.txn.label("last"), *row)
            .select_from(
                its_model.outerjoin(
                    record,
                    and_(its_records, or_(record.c.deleted == none, record.c.txn > bind("at"))),
                )
            )
            .where(domain.c.name == bind("domain"))
            .order_by(record.c.uuid),
            ["model", "at", "domain"],
        ),
    ]


def _of_the_past() -> list[Statement]:
    return [
        (  # the rows that the version as of a number is built from
            "past",
            select(*line)
            .join_from(record, version, is_its_record)
            .where(*record_by_name, past_of(record))
            .order_by(version.c.vsn),
            [*key, *numbers],
        ),
        (
            "past_of_all",
            select(*line)
            .join_from(record, version, is_its_record)
            .where(
                record.c.domain == this_domain,
                record.c.model == this_model,
                record.c.txn > bind("after"),
                past_of(record),
            )
            .order_by(version.c.uuid, version.c.vsn),
            ["domain", "model", "after", *numbers],
        ),
        (
            "oldest",
            select(version.c.vsn, version.c.txn).where(*by_name).order_by(version.c.vsn).limit(one_more).offset(none),
            key,
        ),
        (
            "history",
            select(*line, *who)
            .select_from(
                record.join(version, is_its_record).outerjoin(
                    transaction,
                    and_(transaction.c.domain == version.c.domain, transaction.c.number == version.c.txn),
                )
            )
            .where(
                *record_by_name,
                version.c.vsn >= func.coalesce(last_of(record, is_whole, one.c.vsn <= bind("next")), bind("from")),
            )
            .order_by(version.c.vsn)
            .limit(bind("limit"))
            .offset(none),
            [*key, "next", "from", "limit"],
        ),
    ]


def _of_the_log() -> list[Statement]:
    return [
        (
            "transaction",
            select(*who).where(transaction.c.domain == this_domain, transaction.c.number == bind("number")),
            ["domain", "number"],
        ),
        (
            "transaction_until",
            select(transaction.c.number, transaction.c.time)
            .where(transaction.c.domain == this_domain, transaction.c.number <= bind("number"))
            .order_by(transaction.c.number.desc())
            .limit(literal_column("1"))
            .offset(none),
            ["domain", "number"],
        ),
        (
            "changes",
            select(version.c.txn, model.c.name, version.c.uuid, version.c.vsn, version.c.kind, version.c.changed)
            .join_from(version, model, model.c.id == version.c.model)
            .where(version.c.domain == this_domain, version.c.txn > bind("after"), version.c.txn <= bind("until"))
            .order_by(version.c.txn, model.c.name, version.c.uuid, version.c.vsn)
            .limit(bind("limit"))
            .offset(none),
            ["domain", "after", "until", "limit"],
        ),
    ]


def _of_a_commit(postgres: bool) -> list[Statement]:
    """The number, the lock that goes with it, and what is in the way."""
    return [
        (  # the first statement of every commit; on PostgreSQL it takes the domain's lock
            "take_number",
            update(domain)
            .values(txn=domain.c.txn + one_more, time=Later(domain.c.time, bind("now")))
            .where(domain.c.name == bind("domain"))
            .returning(domain.c.id, domain.c.txn, domain.c.time, this_model.label("model"), revision.label("revision"))
            if postgres
            else select(
                domain.c.id,
                (domain.c.txn + one_more).label("txn"),
                Later(domain.c.time, bind("now")).label("time"),
                this_model.label("model"),
                revision.label("revision"),
            ).where(domain.c.name == bind("domain")),
            ["now", "domain", "model"] if postgres else ["now", "model", "domain"],
        ),
        (
            "set_number",
            update(domain).values(txn=bind("number"), time=bind("at")).where(domain.c.id == bind("of")),
            ["number", "at", "of"],
        ),
        (
            "lock",
            select(domain.c.id, domain.c.txn).where(domain.c.name == bind("domain")).with_for_update(),
            ["domain"],
        ),
        (
            "base",
            select(*row).where(
                record.c.domain == this_domain,
                record.c.model == this_model,
                record.c.uuid == (func.any(bind("uuids", type_=ARRAY(LargeBinary))) if postgres else bind("uuids")),
            ),
            ["domain", "model", "uuids"],
        ),
        (
            "touched",
            select(model.c.name, version.c.uuid, func.max(version.c.txn).label("txn"))
            .join_from(version, model, model.c.id == version.c.model)
            .where(version.c.domain == this_domain, version.c.txn > bind("after"))
            .group_by(model.c.name, version.c.uuid),
            ["domain", "after"],
        ),
        (
            "proof",
            select(transaction.c.token).where(
                transaction.c.domain == bind("id"), transaction.c.number == bind("number")
            ),
            ["id", "number"],
        ),
    ]


def _of_rows() -> list[Statement]:
    """What a commit writes."""
    return [
        ("add_transaction", *add(transaction)),
        (  # a user's name in the transactions of a range
            "rename_user",
            update(transaction)
            .values(
                user=case((transaction.c.user == bind("by"), bind("new")), else_=transaction.c.user),
                impersonator=case(
                    (transaction.c.impersonator == bind("through"), bind("renamed")), else_=transaction.c.impersonator
                ),
            )
            .where(
                transaction.c.domain == bind("id"),
                transaction.c.number > bind("after"),
                transaction.c.number <= bind("until"),
                or_(transaction.c.user == bind("user_is"), transaction.c.impersonator == bind("impersonator_is")),
            )
            .returning(transaction.c.number),
            ["by", "new", "through", "renamed", "id", "after", "until", "user_is", "impersonator_is"],
        ),
        ("add_record", *add(record)),
        (
            "put_record",
            update(record)
            .values(vsn=bind("to"), txn=bind("number"), deleted=bind("gone"), fields=bind("text"))
            .where(*of_record),
            ["to", "number", "gone", "text", *key],
        ),
        ("add_version", *add(version)),
        (
            "erase",
            update(version).values(kind=literal_column(str(ERASED)), body=null(), changed=null()).where(*of_version),
            key,
        ),
    ]


def _of_keeping() -> list[Statement]:
    """What a commit drops: versions before the last whole one that is not later than the oldest one to be kept."""
    return [
        ("drop_before", delete(version).where(*of_version, version.c.vsn < bind("vsn")), [*key, "vsn"]),
        (
            "drop_until",
            delete(version).where(*of_version, version.c.vsn < last_given(one.c.vsn <= bind("vsn"))),
            [*key, *key_again, "vsn"],
        ),
        (
            "drop_older",
            delete(version).where(*of_version, version.c.vsn < last_given(at_that_time)),
            [*key, *key_again, "time"],
        ),
        ("drop_record", delete(record).where(*of_record), key),
    ]


def _of_pruning() -> list[Statement]:
    """The same for many records at once."""
    return [
        (
            "keys",
            select(record.c.uuid)
            .where(record.c.domain == bind("domain"), record.c.model == bind("model"), record.c.uuid > bind("after"))
            .order_by(record.c.uuid)
            .limit(bind("limit"))
            .offset(none),
            ["domain", "model", "after", "limit"],
        ),
        (
            "prune_count",
            delete(version)
            .where(versions_before(last_of(record, is_whole, one.c.vsn <= record.c.vsn - bind("keep"))))
            .returning(version.c.vsn),
            [*chunk, "keep"],
        ),
        (
            "prune_time",
            delete(version).where(versions_before(last_of(record, is_whole, at_that_time))).returning(version.c.vsn),
            [*chunk, "time"],
        ),
        (
            "prune_all",
            delete(version).where(*in_chunk, version.c.vsn < of_its_record(record.c.vsn)).returning(version.c.vsn),
            chunk,
        ),
        (
            "prune_deleted",
            delete(version)
            .where(
                *in_chunk,
                of_its_record(record.c.deleted) > none,
            )
            .returning(version.c.vsn),
            chunk,
        ),
        (
            "drop_deleted",
            delete(record).where(*record_chunk, record.c.deleted > none),
            chunk,
        ),
        (  # what is left is not built from a row that was dropped
            "make_whole",
            update(version)
            .values(
                kind=literal_column(str(WHOLE)),
                body=of_its_record(record.c.fields),
            )
            .where(
                *in_chunk, version.c.kind == literal_column(str(DELTA)), version.c.vsn == of_its_record(record.c.vsn)
            ),
            chunk,
        ),
    ]
