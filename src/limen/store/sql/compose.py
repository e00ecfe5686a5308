"""The statements of an SQL store, written with SQLAlchemy Core for both dialects at once.

Nothing of this is loaded by a server. Core compiles the statements once, here; their texts are in `statements.py`, and
the store runs them on the driver itself. That saves half of what a unit of work costs through Core's execution, and
0.3 s and 16 MiB at the start of every server. After a change here or in tables.py:

    python -m limen.store.sql.compose         writes statements.py anew; a test compares the two
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ARRAY,
    Double,
    LargeBinary,
    Table,
    and_,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql.functions import GenericFunction

from .tables import DELTA, DIALECTS, ERASED, WHOLE, domain, meta, metadata, model, record, transaction, version


class Later(GenericFunction[float]):
    """The greater of two values: SQLite's max(a, b), PostgreSQL's greatest(a, b)."""

    name = "later"
    inherit_cache = True
    type = Double()


@compiles(Later, "sqlite")
def _max(element: Any, compiler: Any, **options: Any) -> str:
    return f"max({compiler.process(element.clauses, **options)})"


@compiles(Later, "postgresql")
def _greatest(element: Any, compiler: Any, **options: Any) -> str:
    return f"greatest({compiler.process(element.clauses, **options)})"


# -- statements: name, the statement, the order in which its parameters are given
Statement = tuple[str, Any, Sequence[str]]
EVER = 2**62
"""Greater than any number of a transaction or a version."""
_b = bindparam
_of_record = (record.c.domain == _b("domain"), record.c.model == _b("model"), record.c.uuid == _b("uuid"))
_of_version = (version.c.domain == _b("domain"), version.c.model == _b("model"), version.c.uuid == _b("uuid"))
_key = ["domain", "model", "uuid"]
_this_domain = select(domain.c.id).where(domain.c.name == _b("domain")).scalar_subquery()
_this_model = select(model.c.id).where(model.c.name == _b("model")).scalar_subquery()
_by_name = (version.c.domain == _this_domain, version.c.model == _this_model, version.c.uuid == _b("uuid"))
_row = (record.c.uuid, record.c.vsn, record.c.txn, record.c.fields, record.c.deleted)
_line = (version.c.uuid, version.c.vsn, version.c.txn, version.c.kind, version.c.body)
_who = [column for column in transaction.columns if column.name not in ("domain", "token")]
_none: Any = literal_column("0")
_one, _two = version.alias("one"), version.alias("two")


def _same(*more: Any) -> Any:
    """The record's versions for which *more* is true; for subselects."""
    return and_(
        _one.c.domain == version.c.domain, _one.c.model == version.c.model, _one.c.uuid == version.c.uuid, *more
    )


def _last_whole(*more: Any) -> Any:
    """The last version of the record that is kept whole, and for which *more* is true."""
    return select(func.max(_one.c.vsn)).where(_same(_one.c.kind == literal_column(str(WHOLE)), *more)).scalar_subquery()


def _add(table: Table, **given: Any) -> tuple[Any, list[str]]:
    names = [column.name for column in table.columns if column.name not in given]
    return insert(table).values({**{name: _b(name) for name in names}, **given}), names


def _statements(dialect: str) -> list[Statement]:
    """Statements that read take a domain's and a model's *name*: no number that was remembered can be out of date.
    Those that write take numbers, which they have got under the lock."""
    postgres = dialect == "postgresql"
    upsert: Any = postgresql.insert if postgres else sqlite.insert
    keep_meta = upsert(meta).values(name=_b("name"), value=_b("value"))
    # Always a row where there is that domain: its number is of the same moment as the record.
    its_model = domain.outerjoin(model, model.c.name == _b("model"))
    its_records = and_(record.c.domain == domain.c.id, record.c.model == model.c.id)
    in_chunk = (
        version.c.domain == _b("domain"),
        version.c.model == _b("model"),
        version.c.uuid >= _b("first"),
        version.c.uuid <= _b("last"),
    )
    newest_vsn = (
        select(record.c.vsn)
        .where(record.c.domain == version.c.domain, record.c.model == version.c.model, record.c.uuid == version.c.uuid)
        .correlate(version)
        .scalar_subquery()
    )
    return [
        # -- names
        (
            "add_domain",
            upsert(domain).inline().values(name=_b("name"), txn=_none, time=_none).on_conflict_do_nothing(),
            ["name"],
        ),
        ("add_model", upsert(model).inline().values(name=_b("name")).on_conflict_do_nothing(), ["name"]),
        ("find_domain", select(domain.c.id).where(domain.c.name == _b("name")), ["name"]),
        ("find_model", select(model.c.id).where(model.c.name == _b("name")), ["name"]),
        ("domains", select(domain.c.name).where(domain.c.txn > _none).order_by(domain.c.name), []),
        # -- reading
        ("last", select(domain.c.txn).where(domain.c.name == _b("domain")), ["domain"]),
        ("progress", select(func.coalesce(func.sum(domain.c.txn), _none).label("progress")), []),
        (
            "read",
            select(domain.c.txn.label("last"), *_row)
            .select_from(its_model.outerjoin(record, and_(its_records, record.c.uuid == _b("uuid"))))
            .where(domain.c.name == _b("domain")),
            ["model", "uuid", "domain"],
        ),
        (  # what is there now, and what was changed after the number that is asked about
            "select",
            select(domain.c.txn.label("last"), *_row)
            .select_from(
                its_model.outerjoin(
                    record,
                    and_(its_records, or_(record.c.deleted == _none, record.c.txn > _b("at"))),
                )
            )
            .where(domain.c.name == _b("domain"))
            .order_by(record.c.uuid),
            ["model", "at", "domain"],
        ),
        (  # the rows that the version as of a number is built from; by numbers, so that a writer can ask, too
            "past",
            select(*_line)
            .where(
                *_by_name,
                version.c.txn <= _b("at"),
                version.c.vsn >= func.coalesce(_last_whole(_one.c.txn <= _b("then")), _none),
            )
            .order_by(version.c.vsn),
            ["domain", "model", "uuid", "at", "then"],
        ),
        (
            "past_of_all",
            select(*_line)
            .select_from(
                record.join(
                    version,
                    and_(
                        version.c.domain == record.c.domain,
                        version.c.model == record.c.model,
                        version.c.uuid == record.c.uuid,
                    ),
                )
            )
            .where(
                record.c.domain == _this_domain,
                record.c.model == _this_model,
                record.c.txn > _b("after"),
                version.c.txn <= _b("at"),
                version.c.vsn >= func.coalesce(_last_whole(_one.c.txn <= _b("then")), _none),
            )
            .order_by(version.c.uuid, version.c.vsn),
            ["domain", "model", "after", "at", "then"],
        ),
        ("oldest", select(func.min(version.c.vsn).label("oldest")).where(*_by_name), _key),
        (
            "history",
            select(*_line, *_who)
            .select_from(
                version.outerjoin(
                    transaction,
                    and_(transaction.c.domain == version.c.domain, transaction.c.number == version.c.txn),
                )
            )
            .where(
                *_by_name,
                version.c.vsn >= func.coalesce(_last_whole(_one.c.vsn <= _b("next")), _b("from")),
            )
            .order_by(version.c.vsn)
            .limit(_b("limit"))
            .offset(_none),
            [*_key, "next", "from", "limit"],
        ),
        (
            "transaction",
            select(*_who).where(transaction.c.domain == _this_domain, transaction.c.number == _b("number")),
            ["domain", "number"],
        ),
        (
            "transaction_until",
            select(transaction.c.number, transaction.c.time)
            .where(transaction.c.domain == _this_domain, transaction.c.number <= _b("number"))
            .order_by(transaction.c.number.desc())
            .limit(literal_column("1"))
            .offset(_none),
            ["domain", "number"],
        ),
        (
            "changes",
            select(version.c.txn, model.c.name, version.c.uuid, version.c.vsn, version.c.kind, version.c.changed)
            .join_from(version, model, model.c.id == version.c.model)
            .where(version.c.domain == _this_domain, version.c.txn > _b("after"), version.c.txn <= _b("until"))
            .order_by(version.c.txn, model.c.name, version.c.uuid, version.c.vsn)
            .limit(_b("limit"))
            .offset(_none),
            ["domain", "after", "until", "limit"],
        ),
        # -- writing
        (  # the first statement of every commit: on PostgreSQL it takes the domain's lock
            "take_number",
            update(domain)
            .values(txn=domain.c.txn + literal_column("1"), time=Later(domain.c.time, _b("now")))
            .where(domain.c.name == _b("domain"))
            .returning(domain.c.id, domain.c.txn, domain.c.time, _this_model.label("model")),
            ["now", "domain", "model"],
        ),
        ("lock", select(domain.c.id, domain.c.txn).where(domain.c.name == _b("domain")).with_for_update(), ["domain"]),
        (
            "base",
            select(*_row).where(
                record.c.domain == _this_domain,
                record.c.model == _this_model,
                record.c.uuid == (func.any(_b("uuids", type_=ARRAY(LargeBinary))) if postgres else _b("uuids")),
            ),
            ["domain", "model", "uuids"],
        ),
        (
            "touched",
            select(model.c.name, version.c.uuid, func.max(version.c.txn).label("txn"))
            .join_from(version, model, model.c.id == version.c.model)
            .where(version.c.domain == _this_domain, version.c.txn > _b("after"))
            .group_by(model.c.name, version.c.uuid),
            ["domain", "after"],
        ),
        ("add_transaction", *_add(transaction)),
        (
            "landed",
            select(transaction.c.token).where(transaction.c.domain == _b("id"), transaction.c.number == _b("number")),
            ["id", "number"],
        ),
        ("add_record", *_add(record)),
        (
            "put_record",
            update(record)
            .values(vsn=_b("to"), txn=_b("number"), deleted=_b("gone"), fields=_b("text"))
            .where(*_of_record),
            ["to", "number", "gone", "text", *_key],
        ),
        ("add_version", *_add(version)),
        (
            "erase",
            update(version).values(kind=literal_column(str(ERASED)), body=null(), changed=null()).where(*_of_version),
            _key,
        ),
        # -- what need not be kept: versions before the last whole one that is not later than the oldest one to be kept
        ("drop_before", delete(version).where(*_of_version, version.c.vsn < _b("vsn")), [*_key, "vsn"]),
        (
            "drop_until",
            delete(version).where(*_of_version, version.c.vsn < _last_whole(_one.c.vsn <= _b("vsn"))),
            [*_key, "vsn"],
        ),
        (
            "newest_until",
            select(func.max(version.c.vsn).label("vsn")).where(*_of_version, version.c.txn <= _b("at")),
            [*_key, "at"],
        ),
        (
            "keys",
            select(record.c.uuid)
            .where(record.c.domain == _b("domain"), record.c.model == _b("model"), record.c.uuid > _b("after"))
            .order_by(record.c.uuid)
            .limit(_b("limit"))
            .offset(_none),
            ["domain", "model", "after", "limit"],
        ),
        (
            "prune_count",
            delete(version)
            .where(*in_chunk, version.c.vsn < _last_whole(_one.c.vsn <= newest_vsn - _b("keep")))
            .returning(version.c.vsn),
            ["domain", "model", "first", "last", "keep"],
        ),
        (
            "prune_time",
            delete(version)
            .where(
                *in_chunk,
                version.c.vsn
                < _last_whole(
                    _one.c.vsn
                    <= select(func.max(_two.c.vsn))
                    .where(
                        _two.c.domain == version.c.domain,
                        _two.c.model == version.c.model,
                        _two.c.uuid == version.c.uuid,
                        _two.c.txn <= _b("at"),
                    )
                    .correlate(version)
                    .scalar_subquery()
                ),
            )
            .returning(version.c.vsn),
            ["domain", "model", "first", "last", "at"],
        ),
        (
            "prune_all",
            delete(version).where(*in_chunk, version.c.vsn < newest_vsn).returning(version.c.vsn),
            ["domain", "model", "first", "last"],
        ),
        (  # what is left is not built from a row that was dropped
            "make_whole",
            update(version)
            .values(
                kind=literal_column(str(WHOLE)),
                body=select(record.c.fields)
                .where(
                    record.c.domain == version.c.domain,
                    record.c.model == version.c.model,
                    record.c.uuid == version.c.uuid,
                )
                .scalar_subquery(),
            )
            .where(*in_chunk, version.c.kind == literal_column(str(DELTA)), version.c.vsn == newest_vsn),
            ["domain", "model", "first", "last"],
        ),
        # -- what the database knows of itself
        ("meta", select(meta.c.value).where(meta.c.name == _b("name")), ["name"]),
        (
            "set_meta",
            keep_meta.on_conflict_do_update(index_elements=["name"], set_={"value": keep_meta.excluded.value}),
            ["name", "value"],
        ),
    ]


def _create(dialect: str) -> list[str]:
    made: list[Any] = [CreateTable(table) for table in metadata.sorted_tables]
    made += [CreateIndex(index) for table in metadata.sorted_tables for index in table.indexes]
    return [_flat(str(each.compile(dialect=DIALECTS[dialect]))) for each in made]


def _text(dialect: str, name: str, statement: Any, order: Sequence[str]) -> str:
    """The text of *statement*, whose parameters are to be given in *order*."""
    compiled = statement.compile(dialect=DIALECTS[dialect])
    if compiled.positiontup != list(order):
        raise AssertionError(f"{name}: parameters {compiled.positiontup} are not {order}: {compiled}")
    return _flat(str(compiled))


def _flat(text: str) -> str:
    return " ".join(text.split())


def written() -> str:
    """The module `statements.py`."""
    names = [name for name, _, _ in _statements("sqlite")]
    lines = [
        '"""The statements of an SQL store as text. Written by python -m limen.store.sql.compose; not to be edited."""',
        "",
        "from typing import NamedTuple",
        "",
        "",
        "class Statements(NamedTuple):",
        '    """Each statement by name, in one dialect. *create*: what makes the tables in an empty database."""',
        "",
        "    create: tuple[str, ...]",
        *(f"    {name}: str" for name in names),
        "",
        "",
    ]
    for dialect in DIALECTS:
        lines += [f"{dialect.upper()} = Statements(", "    create=("]
        lines += [f"        {_quoted(text)}," for text in _create(dialect)]
        lines += ["    ),"]
        for name, statement, order in _statements(dialect):
            lines += [f"    {name}={_quoted(_text(dialect, name, statement, order))},"]
        lines += [")"]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    wrapped = "\n".join(textwrap.wrap(text, 110, break_long_words=False, break_on_hyphens=False))
    return f'"""\\\n{wrapped}\n"""' if "\n" in wrapped or '"' in wrapped or len(wrapped) > 80 else f'"{wrapped}"'


if __name__ == "__main__":
    Path(__file__).with_name("statements.py").write_text(written(), "utf-8")
    sys.stdout.write("statements.py was written anew\n")
