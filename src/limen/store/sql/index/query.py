"""Asking the tables of indexes.

An answer is exact as of a number S, without any transaction that stays open. One statement finds the records that
match **and have not changed since S** (the newest version of each says when it was made), and says the domain's number
N of the same moment. Where N is S, that is all. Else the records that were changed after S are taken as they were at S,
and looked at in Python; it does no harm if others change meanwhile, as they are looked for last. So are, with every
question, the records with values that do not fit their columns. Both are joined with the rest in the order asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from limen import exc
from limen.core.record.port import Answer, Version
from limen.core.record.query import Query, after, names, sort
from limen.core.record.record import decode_fields
from limen.store.sql.engine import EVER

from .catalog import Table
from .lower import Lowered, lower, segments

if TYPE_CHECKING:
    from limen.store.sql.engine import Engine

    from .compile import Text
    from .indexes import Indexes

Past = Callable[[str, str, int, int], list[Version] | None]
"""See `Indexes`."""
MOST_CHANGED: Final = 1000
"""Where more records than these were changed since, what was then is found in Python alone."""
SHAPES: Final = 500
"""Statements that are remembered for one table."""
NAMES: Final = 10_000
"""Domains whose numbers are remembered."""
LOOK_AGAIN: Final = 0.5
"""Seconds after which the catalog is read again where something is being built, maybe by another process."""
TRIES: Final = 5


class _Moved(Exception):
    """The catalog has changed meanwhile: what was asked may be old."""


class _Python(Exception):
    """It has to be found in Python; says why."""


class _Plan(NamedTuple):
    """How a query is asked. *table*: None for records by their uuids. *used*: columns that have to fit. *behind*: the
    conditions of which one must hold; None: no cursor."""

    revision: str | None
    model: int
    table: Table | None
    lowered: Lowered
    order: tuple[tuple[int, bool], ...]
    used: tuple[int, ...]
    behind: tuple[Any, ...] | None
    values: tuple[Any, ...]
    how: str


class Queries:
    """Asks the tables of one store. *indexes*: knows which there are."""

    def __init__(self, engine: Engine, indexes: Indexes, past: Past) -> None:
        self._engine, self._indexes, self._past = engine, indexes, past
        self._pages: dict[bool, Text] = {}
        self._models: dict[str, int] = {}
        self._domains: dict[str, int] = {}

    def select(self, domain: str, query: Query, at: int | None) -> Answer | str:
        """See `Indexes.select`."""
        for _ in range(TRIES):
            plan = self._plan(query)
            if isinstance(plan, str):
                return plan
            try:
                return self._answer(domain, query, at, plan)
            except _Moved:
                if at is None and plan.table is None:  # there was nothing; and now?
                    [(at,)] = self._engine.rows(self._engine.sql.last, (domain,), domain)
            except _Python as why:
                return str(why)
        return "in Python: the index changes just now"

    def count(self, domain: str, query: Query, at: int | None) -> tuple[int, int] | None:
        """See `Indexes.count`."""
        for _ in range(TRIES):
            plan = self._plan(query, counting=True)
            if isinstance(plan, str) or plan.table is None or plan.lowered.rest is not None:
                return None
            try:
                return self._counted(domain, query, at, plan)
            except _Moved:
                continue
            except _Python:
                return None
        return None

    # -- planning ----------------------------------------------------------------------------------
    def _plan(self, query: Query, counting: bool = False) -> _Plan | str:
        catalog = self._indexes.catalog()
        model = catalog.models.get(query.model)
        if model is not None and any(table.state == "building" for table in model.tables):
            catalog = self._indexes.refresh(every=LOOK_AGAIN)
            model = catalog.models.get(query.model)
        best: tuple[int, Table, Lowered] | None = None
        tables = () if model is None else model.tables
        for table in reversed(tables):
            columns = table.columns_for(query.index)
            if table.state == "ready" and not table.foreign and all(term.field in columns for term in query.order):
                lowered = lower(query.where, columns, self._engine.dialect)
                score = len(lowered.used)
                if best is None or score > best[0]:
                    best = score, table, lowered
        if best is None or not (best[2].used or query.order or counting):
            return self._without(query, tables, best is not None)
        assert model is not None
        _, table, lowered = best
        order = tuple((table.columns[term.field][0], term.descending) for term in query.order)
        used = tuple(sorted({*lowered.used, *(number for number, _ in order)}))
        values, behind = lowered.part.values, None
        if query.after is not None:
            found = segments(query.order, query.after, table.columns, self._engine.dialect)
            behind = tuple(part.shape for part in found)
            values = (*values, *(value for part in found for value in part.values))
        names = ", ".join(field for field, (number, _) in table.columns.items() if number in used)
        how = f"in the database: {table.name} ({names})"
        if lowered.rest is not None:
            how += f"; then in Python: {lowered.rest!r}"
        return _Plan(catalog.revision, model.id, table, lowered, order, used, behind, values, how)

    def _without(self, query: Query, tables: Sequence[Table], ready: bool) -> _Plan | str:
        """No index helps."""
        building = next((table for table in reversed(tables) if table.state == "building"), None)
        if query.where is None and not query.order and query.limit is not None:
            id = self._model(query.model)
            if id is not None:
                place = query.after
                values = () if place is None else (place.uuid,)
                none = lower(None, {}, self._engine.dialect)
                how = "in the database: records in the order in which they were made"
                return _Plan(None, id, None, none, (), (), None if place is None else (), values, how)
        if not tables:
            return f"in Python: {query.model} has no index"
        if query.where is None and not query.order:
            return "in Python: all records are asked for"
        asked = [*(term.field for term in query.order), *sorted(query.where.fields if query.where is not None else ())]
        if building is not None and (not ready or any(name in building.columns for name in asked)):
            stopped = self._indexes.stopped(building.name)
            if stopped is not None:
                return f"in Python: {stopped}"
            # No figure: how far it is tells how many records others have. `limen db status` says it to the operator.
            return f"in Python: the index of {query.model} is being built"
        missing = [name for name in asked if name not in tables[-1].columns_for(query.index)]
        if missing:
            return f"in Python: {query.model} has no index column {', '.join(dict.fromkeys(missing))}"
        return f"in Python: the condition takes more parameters than a statement may have: {query.where!r:.100}"

    def _model(self, name: str) -> int | None:
        return self._number(self._models, self._engine.sql.find_model, name, None)

    def _domain(self, name: str) -> int:
        """The number of a domain; 0 where there is none."""
        return self._number(self._domains, self._engine.sql.find_domain, name, name) or 0

    def _number(self, known: dict[str, int], find: str, name: str, domain: str | None) -> int | None:
        number = known.get(name)
        if number is None:
            for (number,) in self._engine.rows(find, (name,), domain):
                if len(known) >= NAMES:
                    known.clear()
                known[name] = number  # it is never another one
        return number

    # -- asking ------------------------------------------------------------------------------------
    def _answer(self, domain: str, query: Query, at: int | None, plan: _Plan) -> Answer:
        limit = 1 if query.explain else query.limit if query.limit is not None else self._no_limit
        values = [self._domain(domain), plan.model, EVER if at is None else at, limit, *plan.values]
        rows = self._ask(domain, plan, self._select(plan, query.explain or query.limit is not None), values)
        last, odd = rows[0][:3:2] if rows else self._nothing(domain, plan, values)
        at = values[2] = last if at is None else at
        found = {row[3]: _version(row) for row in rows}
        if not odd and last <= at:
            return Answer(at, list(found.values()), False, plan.how)
        others: list[Version] = []
        how = plan.how
        if odd:
            rest = self._ask(domain, plan, self._text(plan, ("odd",)), values)
            others += map(_version, rest)
            last = max([last, *(row[0] for row in rest[:1])])
            how += f"; {len(rest)} with values that do not fit their columns, in Python"
        if last > at:
            changed = self._changed(domain, query.model, at)
            others += changed
            how += f"; {len(changed)} that have changed since, in Python" if changed else ""
        return Answer(at, _joined(found, others, query), False, how)

    def _nothing(self, domain: str, plan: _Plan, values: list[Any]) -> tuple[int, bool]:
        """Number, and whether there are odd ones, of a moment at which nothing was found."""
        if plan.table is not None:
            [(last, _, odd, some)] = self._ask(
                domain, plan, self._text(plan, ("count", True)), [*values[:3], 1, *values[4:]]
            )
            if some:  # it came between the two statements
                raise _Moved
            return last or 0, bool(odd)
        [(last,)] = self._engine.rows(self._engine.sql.last, (domain,), domain) or [(0,)]
        if values[2] == EVER and last:
            # Records may have come between the two statements: asked again, as of now.
            raise _Moved
        return last, False

    def _counted(self, domain: str, query: Query, at: int | None, plan: _Plan) -> tuple[int, int] | None:
        values = [self._domain(domain), plan.model, EVER if at is None else at, query.limit or EVER, *plan.values]
        [(last, _, odd, number)] = self._ask(domain, plan, self._text(plan, ("count", False)), values)
        last = last or 0
        if odd:
            return None
        if at is None or last <= at:
            return (last if at is None else at), number
        for _ in range(TRIES):  # until nobody commits between the two questions: else one could be counted twice
            changed = self._changed(domain, query.model, at)
            [(then, _, odd, number)] = self._ask(domain, plan, self._text(plan, ("count", True)), values)
            if odd:
                return None
            if then == last:
                number += len(_joined({}, changed, replace(query, limit=None)))
                return at, min(number, values[3])
            last = then
        return None

    def _changed(self, domain: str, model: str, at: int) -> list[Version]:
        changed = self._past(domain, model, at, MOST_CHANGED)
        if changed is None:
            raise _Python(f"in Python: as of the past; more than {MOST_CHANGED} records have changed since")
        return changed

    def _ask(self, domain: str, plan: _Plan, text: Text, values: Sequence[Any]) -> list[Any]:
        """The rows of a statement. Raises _Moved where the catalog is not the one that the plan was made with."""
        try:
            rows = self._engine.rows(text.text, [values[which] for which in text.order], domain)
        except exc.StoreError:
            if self._indexes.refresh().revision != plan.revision:  # the table is gone
                raise _Moved from None
            raise
        if rows and plan.table is not None and rows[0][1] != plan.revision:
            self._indexes.refresh()
            raise _Moved
        return rows

    # -- statements --------------------------------------------------------------------------------
    @property
    def _no_limit(self) -> int | None:
        return -1 if self._engine.dialect == "sqlite" else None

    def _select(self, plan: _Plan, limit: bool) -> Text:
        if plan.table is not None:
            return self._text(plan, ("select", limit))
        behind = plan.behind is not None
        if behind not in self._pages:
            from .compile import page

            self._pages[behind] = page(self._engine.dialect, behind)
        return self._pages[behind]

    def _text(self, plan: _Plan, what: tuple[Any, ...]) -> Text:
        assert plan.table is not None
        cache = plan.table.cache
        shape = (what, plan.lowered.part.shape, plan.order, plan.behind, plan.used)
        text: Text | None = cache.get(shape)
        if text is None:
            if len(cache) > SHAPES:
                cache.clear()
            cache[shape] = text = self._made(plan, plan.table, what)
        return text

    def _made(self, plan: _Plan, table: Table, what: tuple[Any, ...]) -> Text:
        asked = table.cache.get("asked")
        if asked is None:
            from .compile import Asked

            columns = [(field, kind) for field, (_, kind) in table.columns.items()]
            asked = table.cache["asked"] = Asked(self._engine.dialect, table.name, columns)
        where = plan.lowered.part.shape
        match what:
            case ("select", limit):
                return asked.select(where, plan.order, plan.behind, plan.used, limit)
            case ("count", past):
                return asked.count(where, plan.behind, plan.used, past)
        return asked.odd(plan.used)


def _version(row: Sequence[Any]) -> Version:
    _, _, _, uuid, vsn, txn, fields = row[:7]
    if fields is None:
        raise exc.StoreError("A record that an index has is not there: the database is damaged. Run `limen db check`.")
    return Version(uuid, vsn, txn, fields, False)


def _joined(found: dict[bytes, Version], others: Sequence[Version], query: Query) -> list[Version]:
    """*found*, which are in order, and those of *others* that match and stand behind the cursor, in the order asked
    for; at most `limit`."""
    see = None if query.index is None else query.index.see(names(query.where, query.order))

    def seen(version: Version) -> Mapping[str, Any]:
        fields = decode_fields(version.fields)
        return fields if see is None else see(version.uuid, fields)

    extra: list[tuple[Mapping[str, Any], bytes]] = []
    behind = None if query.after is None else after(query.after, query.order)
    versions = dict(found)
    for version in others:
        if version.uuid in versions:
            continue
        fields = seen(version)
        if (query.where is None or query.where.matches(fields)) and (behind is None or behind(fields, version.uuid)):
            versions[version.uuid] = version
            extra.append((fields, version.uuid))
    if not extra:
        return list(found.values())
    rows = [(seen(version), version.uuid) for version in found.values()]
    ordered = sort([*rows, *extra], query.order, lambda row: row)
    return [versions[uuid] for _, uuid in ordered[: query.limit]]
