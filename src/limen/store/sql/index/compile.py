"""Statements about the tables of indexes, written with SQLAlchemy Core: their texts are made here, once for each shape.

This is the one module that loads SQLAlchemy in a running server, and only when an index is made or first asked. What a
commit needs is kept with the index in the model's catalog, as text.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    Column,
    Index,
    LargeBinary,
    MetaData,
    Select,
    Table,
    and_,
    bindparam,
    delete,
    exists,
    false,
    func,
    literal_column,
    or_,
    select,
    true,
    tuple_,
    union,
    union_all,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.types import BigInteger, Integer, SmallInteger, UserDefinedType

from limen.store.sql import tables
from limen.store.sql.postgres.policy import policy

from .catalog import FORMAT
from .columns import TYPES, Dialect
from .lower import ALWAYS, NEVER, Shape

DOMAIN, MODEL, AT, LIMIT, FIRST = range(5)
"""Which parameter is which: four that all have, then the values of the conditions."""
_NAMES = ("domain", "model", "at", "limit")
_record, _meta, _domain = tables.record, tables.meta, tables.domain


class Text(NamedTuple):
    """A statement. *order*: which of [domain, model, at, limit, *values] each of its parameters is."""

    text: str
    order: tuple[int, ...]


class Definition(NamedTuple):
    """A table of an index to be: its name, its columns (name of the field, kind), and what makes and maintains it."""

    table: str
    create: tuple[str, ...]
    put: str
    remove: str
    clear: str


class _Named(UserDefinedType[Any]):
    """A type by its name in SQL."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        return self.name


# -- tables ---------------------------------------------------------------------------------------
def table(dialect: Dialect, name: str, columns: Sequence[tuple[str, str]]) -> Table:
    """The table of an index: one row for each record that is not deleted. A column and its mark `odd_…` (1: the value
    does not fit) for each field."""
    made = Table(
        name,
        MetaData(),
        Column("domain", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
        Column("uuid", LargeBinary, primary_key=True),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    small = SmallInteger().with_variant(Integer, "sqlite")
    for number, (field, kind) in enumerate(columns):
        made.append_column(Column(f"odd_{number}", small, nullable=False))
        made.append_column(Column(_column_name(number, field), _Named(TYPES[kind][dialect]), nullable=True))
    for number in range(len(columns)):
        odd, value = _pair(made, number)
        first = value if dialect == "sqlite" else value.nulls_first()
        Index(f"{name}_{number}", made.c.domain, odd, first, made.c.uuid)
    return made


def _column_name(number: int, field: str) -> str:
    return f"{re.sub('[^a-z0-9_]', '', field.lower())[:30]}_{number}"


def _pair(of: Any, number: int) -> tuple[Any, Any]:
    """A column's mark and the column itself."""
    columns = list(of.c)
    return columns[2 + 2 * number], columns[3 + 2 * number]


def define(dialect: Dialect, model: int, generation: int, columns: Sequence[tuple[str, str]]) -> Definition:
    """The table for an index of model number *model*; no other *generation* of it has the same name."""
    said = msgspec.json.encode([FORMAT, generation, columns])
    called = f"index_{model}_{hashlib.sha256(said).hexdigest()[:12]}"
    made = table(dialect, called, columns)
    create = [_text(CreateTable(made), dialect)]
    create += [_text(CreateIndex(each), dialect) for each in sorted(made.indexes, key=lambda index: index.name or "")]
    if dialect == "postgresql":
        create += policy(called)
    insert: Any = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(made)
    names = [column.name for column in made.columns]
    insert = insert.values({name: bindparam(name) for name in names})
    insert = insert.on_conflict_do_update(
        index_elements=["domain", "uuid"], set_={name: insert.excluded[name] for name in names[2:]}
    )
    its_key = (made.c.domain == bindparam("of"), made.c.uuid == bindparam("which"))
    some = select(made.c.domain, made.c.uuid).limit(bindparam("most")).offset(_0)
    return Definition(
        called,
        tuple(create),
        _ordered(insert, dialect, names),
        _ordered(delete(made).where(*its_key), dialect, ["of", "which"]),
        _ordered(
            delete(made).where(tuple_(made.c.domain, made.c.uuid).in_(some)).returning(made.c.domain), dialect, ["most"]
        ),
    )


def _text(clause: Any, dialect: Dialect) -> str:
    return " ".join(str(clause.compile(dialect=tables.DIALECTS[dialect])).split())


def _ordered(clause: Any, dialect: Dialect, order: list[str]) -> str:
    compiled = clause.compile(dialect=tables.DIALECTS[dialect])
    if compiled.positiontup != order:
        raise AssertionError(f"parameters {compiled.positiontup} are not {order}: {compiled}")
    return " ".join(str(compiled).split())


# -- questions ------------------------------------------------------------------------------------
Term = tuple[int, bool]
"""A term of an order: number of the column, descending."""


class Asked:
    """The statements that ask one table, for one dialect."""

    def __init__(self, dialect: Dialect, name: str, columns: Sequence[tuple[str, str]]) -> None:
        self._dialect: Dialect = dialect
        self._table: Any = table(dialect, name, columns).alias("i")

    def select(
        self, where: Shape, order: Sequence[Term], behind: Sequence[Shape] | None, used: Sequence[int], limit: bool
    ) -> Text:
        """Rows (number of the domain's last transaction, revision of the catalogs, whether there are odd ones, uuid,
        vsn, txn, fields, …) of records not changed after `at`, in that order. *behind*: conditions of which at most one
        holds, one of which must; None: all. *used*: columns that have to fit."""
        names = _names()
        own = [_condition(self._table, where, names, self._dialect)] if where != ALWAYS else []
        arms = []
        for segment in [ALWAYS] if behind is None else behind or [NEVER]:
            conditions = list(own)
            if segment != ALWAYS:
                conditions.append(_condition(self._table, segment, names, self._dialect))
            arms.append(self._arm(conditions, order, used, named=behind is not None and len(behind) > 1))
        backwards = bool(order) and order[-1][1]
        own_keys = [(_pair(self._table, number)[1], descending) for number, descending in order]
        ordered = tuple(self._sorted(own_keys, self._table.c.uuid, backwards))
        if len(arms) == 1:
            statement: Any = arms[0].order_by(*ordered)
        else:  # each arm is a range in that order: SQLite merges them, PostgreSQL sorts the first few of each
            if limit and self._dialect == "postgresql":
                arms = [arm.order_by(*ordered).limit(bindparam("limit")) for arm in arms]
            statement = union_all(*arms)
            made = statement.selected_columns
            keys = [(made[f"key_{at}"], descending) for at, (_, descending) in enumerate(order)]
            statement = statement.order_by(*self._sorted(keys, made["uuid"], backwards))
        if limit:
            statement = statement.limit(bindparam("limit")).offset(_0)
        return self._made(statement)

    def odd(self, used: Sequence[int]) -> Text:
        """The same rows of those records for which one of the columns *used* does not fit, in no order."""
        each = [
            select(self._table.c.uuid).where(self._table.c.domain == _this, _pair(self._table, n)[0] > _0) for n in used
        ]
        odd = (each[0] if len(each) == 1 else union(*each)).subquery("odd")
        record = _record.alias("r")
        its = and_(
            record.c.domain == _this,
            record.c.model == bindparam("model"),
            record.c.uuid == odd.c.uuid,
        )
        statement = select(*_head(_1), record.c.uuid, record.c.vsn, record.c.txn, record.c.fields)
        return self._made(statement.select_from(odd.outerjoin(record, its)).where(_not_after(record)))

    def count(self, where: Shape, behind: Sequence[Shape] | None, used: Sequence[int], past: bool) -> Text:
        """One row: number, revision, whether there are odd ones, how many match (at most `limit`). *past*: only
        records that were not changed after `at`."""
        names = _names()
        conditions = self._fitting(used)
        if where != ALWAYS:
            conditions.append(_condition(self._table, where, names, self._dialect))
        if behind is not None:
            conditions.append(or_(false(), *(_condition(self._table, each, names, self._dialect) for each in behind)))
        counted = select(_1.label("one")).where(*conditions)
        if past:
            record = _record.alias("r")
            counted = counted.select_from(self._table.outerjoin(record, self._its(record))).where(_not_after(record))
        counted = counted.limit(bindparam("limit")).offset(_0)
        number = select(func.count()).select_from(counted.subquery("c")).scalar_subquery()
        return self._made(select(*_head(self._any_odd(used)), number.label("n")))

    def _arm(self, conditions: list[Any], order: Sequence[Term], used: Sequence[int], named: bool) -> Select[Any]:
        record = _record.alias("r")
        keys = [_pair(self._table, number)[1].label(f"key_{at}") for at, (number, _) in enumerate(order)]
        chosen = [
            self._table.c.uuid.label("uuid"),
            record.c.vsn,
            record.c.txn,
            record.c.fields,
            *(keys if named else []),
        ]
        # An outer join, and a condition that NULL could fulfil: so the index is the one that is gone through.
        joined = self._table.outerjoin(record, self._its(record))
        arm = select(*_head(self._any_odd(used)), *chosen).select_from(joined)
        return arm.where(*self._fitting(used), *conditions, _not_after(record))

    def _its(self, record: Any) -> Any:
        return and_(
            record.c.domain == self._table.c.domain,
            record.c.model == bindparam("model"),
            record.c.uuid == self._table.c.uuid,
        )

    def _fitting(self, used: Sequence[int]) -> list[Any]:
        return [self._table.c.domain == _this, *(_pair(self._table, n)[0] == _0 for n in used)]

    def _any_odd(self, used: Sequence[int]) -> Any:
        other = self._table.element.alias("o")
        return or_(
            false(),
            *(exists(select(_1).where(other.c.domain == _this, _pair(other, number)[0] > _0)) for number in used),
        )

    def _sorted(self, keys: list[tuple[Any, bool]], uuid: Any, backwards: bool) -> Iterator[Any]:
        for key, descending in keys:
            term = key.desc() if descending else key.asc()
            if self._dialect == "postgresql":
                term = term.nulls_last() if descending else term.nulls_first()
            yield term
        yield uuid.desc() if backwards else uuid.asc()

    def _made(self, statement: Any) -> Text:
        return _made(statement, self._dialect)


def page(dialect: Dialect, behind: bool) -> Text:
    """The same rows as `Asked.select`, without any index: records by their uuids. *behind*: only those behind the
    first of the values."""
    record = _record.alias("r")
    statement = select(*_head(_0), record.c.uuid, record.c.vsn, record.c.txn, record.c.fields).where(
        record.c.domain == _this,
        record.c.model == bindparam("model"),
        record.c.deleted == _0,
        record.c.txn <= bindparam("at"),
    )
    if behind:
        statement = statement.where(record.c.uuid > bindparam("p0"))
    return _made(statement.order_by(record.c.uuid).limit(bindparam("limit")).offset(_0), dialect)


_0: Any = literal_column("0")
_1: Any = literal_column("1")
_this: Any = bindparam("domain")  # its number: PostgreSQL looks at its statistics only for what it is told


def _head(odd: Any) -> list[Any]:
    """What every row begins with: of the same moment as the rest."""
    last = select(_domain.c.txn).where(_domain.c.id == _this).scalar_subquery()
    revision = select(_meta.c.value).where(_meta.c.name == literal_column("'catalog'")).scalar_subquery()
    return [last.label("last"), revision.label("revision"), odd.label("odd")]


def _not_after(record: Any) -> Any:
    return func.coalesce(record.c.txn, _0) <= bindparam("at")


def _names() -> Callable[[], Any]:
    numbers = count()
    return lambda: bindparam(f"p{next(numbers)}")


def _condition(of: Any, shape: Shape, name: Callable[[], Any], dialect: Dialect) -> Any:
    word = shape[0]
    if word in ("and", "or"):
        return (and_ if word == "and" else or_)(*(_condition(of, part, name, dialect) for part in shape[1:]))
    if word in ("always", "never"):
        return true() if word == "always" else false()
    if word == "row":
        _, op, numbers, size = shape
        left = tuple_(*(_pair(of, number)[1] for number in numbers), of.c.uuid)
        right = tuple_(*(name() for _ in range(size)))
        return left > right if op == ">" else left < right
    _, number, size = shape
    column, values = _pair(of, number)[1], [name() for _ in range(size)]
    if word in ("contains", "lacks"):
        place = (func.instr if dialect == "sqlite" else func.strpos)(column, *values)
        return place > _0 if word == "contains" else place == _0
    return _CONDITIONS[word](column, values)


_CONDITIONS: dict[str, Callable[[Any, list[Any]], Any]] = {
    "null": lambda column, _: column.is_(None),
    "not null": lambda column, _: column.is_not(None),
    "=": lambda column, values: column == values[0],
    "isnt": lambda column, values: column.is_distinct_from(values[0]),
    "<": lambda column, values: column < values[0],
    "<=": lambda column, values: column <= values[0],
    ">": lambda column, values: column > values[0],
    ">=": lambda column, values: column >= values[0],
    "in": lambda column, values: column.in_(values),
    "not in": lambda column, values: column.not_in(values),
}


def _made(statement: Any, dialect: Dialect) -> Text:
    compiled = statement.compile(dialect=tables.DIALECTS[dialect])
    order = tuple(_NAMES.index(n) if n in _NAMES else FIRST + int(n[1:]) for n in compiled.positiontup)
    return Text(" ".join(str(compiled).split()), order)
