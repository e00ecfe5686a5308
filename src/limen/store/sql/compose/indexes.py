"""The statements about indexes: their catalog, what has changed since a number, and building."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Integer,
    Text,
    and_,
    cast,
    exists,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from limen.core.record.delta import WHOLE
from limen.store.sql.tables import domain, meta, model, record, version

from .clauses import (
    Statement,
    bind,
    catalog,
    line,
    none,
    one,
    one_more,
    this_domain,
    this_model,
)


def of_indexes(dialect: str) -> list[Statement]:
    """The statements of the catalog, and of building an index while others write."""
    return [*_of_the_catalog(dialect), *_of_what_changed(), *_of_building()]


def _of_the_catalog(dialect: str) -> list[Statement]:
    upsert: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    bump: Any = upsert(meta).inline().values(name=catalog, value=literal_column("'1'"))
    return [
        (  # one row at least where ever an index was made
            "catalogs",
            select(meta.c.value, model.c.id, model.c.name, model.c.catalog)
            .select_from(meta.outerjoin(model, model.c.catalog.is_not(None)))
            .where(meta.c.name == catalog),
            [],
        ),
        (
            "catalog",
            select(model.c.id, model.c.catalog).where(model.c.name == bind("model")).with_for_update(key_share=True),
            ["model"],
        ),
        ("set_catalog", update(model).values(catalog=bind("text")).where(model.c.id == bind("of")), ["text", "of"]),
        (
            "bump",
            bump.on_conflict_do_update(
                index_elements=["name"], set_={"value": cast(cast(meta.c.value, Integer) + one_more, Text)}
            ),
            [],
        ),
    ]


def _of_what_changed() -> list[Statement]:
    """What was there as of a number, of the records that were changed since: by the log, as few are."""
    start = (  # of each record: the whole version that its version as of a number is built from
        select(one.c.vsn)
        .where(
            one.c.domain == version.c.domain,
            one.c.model == version.c.model,
            one.c.uuid == version.c.uuid,
            one.c.kind == literal_column(str(WHOLE)),
            one.c.txn <= bind("then"),
        )
        .order_by(one.c.vsn.desc())
        .limit(one_more)
        .offset(none)
        .correlate(version)
        .scalar_subquery()
    )
    changed = (
        select(version.c.domain, version.c.model, version.c.uuid, func.coalesce(start, none).label("start"))
        .distinct()
        .where(version.c.domain == this_domain, version.c.txn > bind("after"), version.c.model == this_model)
        .subquery("changed")
    )
    return [
        (  # which records were changed after a number; by the log, as few are
            "changed",
            select(version.c.uuid)
            .distinct()
            .where(version.c.domain == this_domain, version.c.txn > bind("after"), version.c.model == this_model)
            .limit(bind("limit"))
            .offset(none),
            ["domain", "after", "model", "limit"],
        ),
        (
            "past_of_changed",
            select(*line)
            .join_from(
                changed,
                version,
                and_(
                    version.c.domain == changed.c.domain,
                    version.c.model == changed.c.model,
                    version.c.uuid == changed.c.uuid,
                ),
            )
            .where(version.c.txn <= bind("at"), version.c.vsn >= changed.c.start)
            .order_by(version.c.uuid, version.c.vsn),
            ["then", "domain", "after", "model", "at"],
        ),
    ]


def _of_building() -> list[Statement]:
    return [
        (
            "any_record",
            select(domain.c.id)
            .where(exists(select(one_more).where(record.c.domain == domain.c.id, record.c.model == bind("model"))))
            .limit(one_more)
            .offset(none),
            ["model"],
        ),
        (
            "count_records",
            select(func.count().label("number")).where(record.c.model == bind("model"), record.c.deleted == none),
            ["model"],
        ),
        (  # the next domain that has records of the model, held: nobody else commits to it meanwhile
            "hold",
            select(domain.c.id, domain.c.name)
            .where(
                domain.c.name > bind("after"),
                exists(select(one_more).where(record.c.domain == domain.c.id, record.c.model == bind("model"))),
            )
            .order_by(domain.c.name)
            .limit(one_more)
            .offset(none)
            .with_for_update(of=domain),
            ["after", "model"],
        ),
        (
            "batch",
            select(record.c.uuid, record.c.fields)
            .where(
                record.c.domain == bind("domain"),
                record.c.model == bind("model"),
                record.c.uuid > bind("after"),
                record.c.deleted == none,
            )
            .order_by(record.c.uuid)
            .limit(bind("limit"))
            .offset(none),
            ["domain", "model", "after", "limit"],
        ),
    ]
