"""What a model is searched by: the fields that `index` names, and what it computes from them.

    {"done": record.done}                                  a field: its column is read from the record
    {"year": record.due.year if record.due else None}      computed: no field of the record has that name

What is computed is no field of the record; conditions and orders see it beside the fields. `index` is asked with a
blank record when the class is added, to learn the names; where it can't take that one, with the first record that comes
along. It is asked again whenever a record is written or looked at, and sees its fields as they are stored, and `_uuid`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import UUID

from limen import exc

from .checks import plain
from .kinds import DATETIME, KINDS, OTHER, TIME, kind_and_key, stored
from .port import Index, See
from .typed import COLUMN_KINDS, BadDeclaration

if TYPE_CHECKING:
    from .model import Model
    from .record import Record

log = logging.getLogger("limen")
_SAMPLES: dict[str, Any] = {
    "bool": False,
    "int": 0,
    "float": 0.0,
    "decimal": Decimal(0),
    "text": "",
    "bytes": b"",
    "uuid": UUID(int=0),
    "date": date(2000, 1, 1),
    "time": time(),
    "datetime": datetime(2000, 1, 1, tzinfo=UTC),
    "timedelta": timedelta(),
}
"""What a blank record of a typed class has in a field without a default, where `index` can't take None."""
_AS_IT_IS = frozenset(kind for kind, of in KINDS.items() if of not in (OTHER, TIME, DATETIME))
"""Of these types what is read is what was written; times may have another tzinfo."""
_MOST = 100


class Indexing:
    """The columns of *model*. *hook*: its `index`. *kinds*: of columns, by name, as the class declares them.

    *definition*: None where there are no columns, or they are not known yet.
    """

    __slots__ = ("_hook", "_kinds", "_model", "_names", "_version", "definition")

    definition: Index | None

    def __init__(
        self, model: Model, hook: Callable[[Record], Any] | None, kinds: Mapping[str, str | None], version: int
    ) -> None:
        self._model, self._hook, self._kinds, self._version = model, hook, kinds, version
        self._names: frozenset[str] | None = None
        """Those that `index` gives; None: not known yet."""
        self.definition = None
        if hook is None:
            self._know({name: kind for name, kind in kinds.items() if kind is not None}, frozenset())

    @property
    def names(self) -> tuple[str, ...]:
        """What is to be on the class, besides the fields."""
        index = self.definition
        return () if index is None else (*(name for name, _ in index.columns), *sorted(index.computed))

    def ask_blank(self, blank: Record) -> None:
        """Learns the names with a *blank* record, and gives it the fields that `index` asks for, as None."""
        if self._hook is None:
            return
        fields = dict(blank._fields)
        try:
            found = self._with_more(blank)
        except BadDeclaration:
            raise
        except Exception as error:
            blank._fields.update({n: _SAMPLES[k] for n, k in self._kinds.items() if k and blank.get(n) is None})
            try:
                found = self._with_more(blank)
            except Exception:
                log.info(
                    "%s.index can't be asked with a blank record (%r): its columns are known once there is a record. "
                    "Let it give None for what is not there.",
                    self._model.name,
                    error,
                )
                blank._fields.clear()
                blank._fields.update(fields)
                return
        self._learn(blank, found)

    def of(self, record: Record) -> tuple[Index | None, dict[str, Any] | None]:
        """The index and the record's values of its columns, as they are stored.

        Raises what `index` raises, and TypeError where it gives other names than before, or another value than a field
        of that name has.
        """
        found: Mapping[str, Any] = {}
        if self._hook is not None:
            found = self._asked(self._as_stored(record))
            if self._names is None:
                self._learn(record, found)
            self._compare(record._fields, found)
        index = self.definition
        if index is None:
            return None, None
        fields, computed = record._fields, index.computed
        values = {name: found.get(name) if name in computed else fields.get(name) for name, _ in index.columns}
        for name, value in values.items():
            if type(value) not in KINDS:
                values[name] = plain(value)
        return index, values

    def see(self, names: Iterable[str]) -> See | None:
        """What a condition or an order that asks for *names* looks at, by uuid and fields. None: the fields alone."""
        if self._names is None:
            return self._learning
        return None if self.definition is None else self.definition.see(names)

    # -- inside ------------------------------------------------------------------------------------
    def _asked(self, record: Record) -> Mapping[str, Any]:
        found = self._hook(record)  # type: ignore[misc]
        if type(found) is not dict and not isinstance(found, Mapping):
            raise BadDeclaration(f"{self._model.name}.index gives a dict, not {type(found).__name__}")
        return found

    def _as_stored(self, record: Record) -> Record:
        """The record as it will be when it is read: what is computed must be the same then."""
        fields = record._fields
        odd = [name for name, value in fields.items() if type(value) not in _AS_IT_IS]
        if not odd:
            return record
        try:
            return self._record(record._key, {**fields, **{name: stored(fields[name]) for name in odd}})
        except exc.InvalidValue:
            return record  # it won't be stored, and is told why

    def _record(self, uuid: bytes, fields: Mapping[str, Any]) -> Record:
        from .record import Record  # which knows its Model

        return Record(self._model, uuid, 0, 0, "", dict(fields))

    def _compute(self, uuid: bytes, fields: Mapping[str, Any]) -> dict[str, Any]:
        found = self._asked(self._record(uuid, fields))
        assert self.definition is not None
        return {name: plain(found.get(name)) for name in self.definition.computed}

    def _learning(self, uuid: bytes, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """What is seen of a record before the names are known: with it they are learnt."""
        if self._names is None:
            record = self._record(uuid, fields)
            self._learn(record, self._asked(record))
        if self.definition is None or not self.definition.computed:
            return fields
        return {**fields, **self._compute(uuid, fields)}

    def _with_more(self, blank: Record) -> Mapping[str, Any]:
        """What `index` gives for *blank*; each field that it misses is there as None when it is asked again."""
        for _ in range(_MOST):
            try:
                return self._asked(blank)
            except AttributeError as error:
                name = error.name if error.obj is blank else None
            except KeyError as error:
                name = error.args[0] if error.args else None
            if type(name) is not str or name[:1] == "_" or name in blank:
                break
            blank[name] = None
        return self._asked(blank)

    def _learn(self, record: Record, found: Mapping[str, Any]) -> None:
        fields, columns, computed = record._fields, {}, []
        for name, value in found.items():
            if type(name) is not str or name[:1] == "_":
                continue
            value = plain(value)
            if name in fields:
                if not _same(value, fields[name]):
                    self._refuse_other(name, value, fields)
            elif value is not None or not self._echoes(record, name):
                computed.append(name)
            if value is None or type(value) in COLUMN_KINDS:
                columns[name] = self._kinds.get(name) or COLUMN_KINDS.get(type(value))
        self._know(columns, frozenset(computed), frozenset(found))
        self._model.put_on_class(self.names)

    def _echoes(self, record: Record, name: str) -> bool:
        """Whether `index` gives the field *name*, which this record has not: then it gives whatever is put there."""
        mark = object()
        try:
            return self._asked(self._record(record._key, {**record._fields, name: mark})).get(name) is mark
        except Exception:  # it makes something of the value
            return False

    def _know(
        self, columns: Mapping[str, str | None], computed: frozenset[str], names: frozenset[str] = frozenset()
    ) -> None:
        if columns or computed:
            self.definition = Index(
                tuple(sorted(columns.items())), computed, self._version if computed else 1, self._compute
            )
        self._names = names

    def _compare(self, fields: Mapping[str, Any], found: Mapping[str, Any]) -> None:
        names: Any = self._names
        computed = self.definition.computed if self.definition is not None else ()
        for name, value in found.items():
            there = fields.get(name)
            if name in names and (value is there or (name in computed and name not in fields)):
                continue
            if type(name) is not str or name[:1] == "_":
                continue
            if name not in names:
                raise TypeError(
                    f"{self._model.name}.index gives {name!r} for this record, and did not for the first one: "
                    f"let it give the same names for every record, and None where there is nothing"
                )
            if not _same(plain(value), there):
                self._refuse_other(name, value, fields)

    def _refuse_other(self, name: str, value: Any, fields: Mapping[str, Any]) -> NoReturn:
        has = f"is {fields[name]!r:.40}" if name in fields else "is not there"
        raise BadDeclaration(
            f"{self._model.name}.index gives {value!r:.40} under {name!r}, and the field of that name {has}. "
            f"What index computes has a name of its own: {{'{name}_…': …}}"
        )


def _same(value: Any, there: Any) -> bool:
    return value is there or kind_and_key(value) == kind_and_key(there)
