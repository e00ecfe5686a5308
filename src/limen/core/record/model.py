"""Models: any class, with the hooks that it has, and the types if it is a typed one.

    class Todo:
        @classmethod
        def initialize(cls, record): record.merge(done=False, text="")      what a new record starts with
        @classmethod
        def validate(cls, record): ...                                      gives a truthy dict of errors, or nothing
        @classmethod
        def index(cls, record): return {"done": record.done}                what one will want to search by
        @classmethod
        def to_dict(cls, record): ...                                       the record as callers see it

    @dataclass                                     or a msgspec.Struct, or an attrs class
    class Todo:
        text: str                                  checked whenever a record is written
        done: bool = False                         what a new record starts with
        tags: list[str] = field(default_factory=list)

Hooks are classmethods or staticmethods; the class is never instantiated. A typed class may have hooks, too: defaults
come before `initialize`, errors of the types and those of `validate` are one tree.

**Columns** are fields of the record. A typed class has one for each field of a scalar type (an enum's is that of its
values), or those that `index` names. Of a plain class `index` is asked once, with a blank record: its keys name the
columns, the values say of which kind they are; of None the store learns it from the first value. A name
under which `index` puts something that is no field of the record is no column.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from limen import exc

from .checks import Check, check_for, plain, wrong_fields
from .fields import OnClass, put
from .kinds import KINDS
from .port import OWN, Index, Keep
from .typed import COLUMN_KINDS, BadDeclaration, Declared, column_kind, declared

if TYPE_CHECKING:
    from .record import Record

log = logging.getLogger("limen")
HOOKS = ("initialize", "validate", "index", "to_dict")


class Model:
    """A class, its hooks and what it declares, looked up once.

    *keep*: how much history there will be: None all, 0 none, a number of versions or a timedelta; where it is not
    given, `__keep__` of the class. *name*: what the store calls it; `__model__` of the class, or its name. *fields*:
    the names that are declared. *index_definition*: the columns, None where there are none (or they are not known
    before the first record is written).

    Puts a field on the class for each of *fields*. Raises TypeError or ValueError for what can't be a model.
    """

    __slots__ = (
        "_checks",
        "_columns",
        "_defaults",
        "_typed",
        "cls",
        "fields",
        "index",
        "index_definition",
        "initialize",
        "keep",
        "name",
        "to_dict",
        "validate",
    )

    initialize: Callable[[Record], Any] | None
    validate: Callable[[Record], Any] | None
    index: Callable[[Record], Any] | None
    to_dict: Callable[[Record], Any] | None
    index_definition: Index | None
    _columns: dict[str, str | None] | None

    def __init__(self, cls: type, keep: Keep = None) -> None:
        if not isinstance(cls, type):
            raise TypeError(f"a model is a class, not {type(cls).__name__}")
        self.cls = cls
        self.name = str(getattr(cls, "__model__", cls.__name__))
        if self.name.startswith(OWN):
            raise ValueError(f"{cls.__name__}: names that begin with {OWN!r} are Limen's own, not {self.name!r}")
        self.keep = _checked_keep(cls.__name__, getattr(cls, "__keep__", None) if keep is None else keep)
        typed = declared(cls)
        self._typed = typed is not None
        types = {field.name: field for field in typed or ()}
        for name in types:
            if name.startswith("_"):
                raise TypeError(f"{cls.__name__}.{name}: a field's name does not begin with '_'")
        for hook in HOOKS:
            setattr(self, hook, None if hook in types else _hook(cls, hook))
        self._checks: list[tuple[str, bool, Check]] = [
            (field.name, field.required, check_for(field.kind)) for field in types.values()
        ]
        self._defaults = {field.name: field.default for field in types.values() if field.default is not None}
        self._columns = self.index_definition = None
        blank = self._blank(types)
        if self.index is None:
            kinds = {name: column_kind(field.kind) for name, field in types.items()}
            self._set_columns({name: kind for name, kind in kinds.items() if kind is not None})
        self.fields = tuple(dict.fromkeys((*types, *blank, *(self._columns or ()))))
        put(cls, self.fields, self._typed)

    # -- records -------------------------------------------------------------------------------------
    def begin(self, record: Record) -> None:
        """Gives a new record the defaults, then what `initialize` gives it."""
        if not self._typed and hasattr(self.cls, "__dataclass_fields__"):
            raise TypeError(f"{self.name} became a dataclass after it was added: put @add_model above @dataclass")
        for name, make in self._defaults.items():
            record[name] = make()
        if self.initialize is not None:
            self.initialize(record)

    def check(self, record: Record) -> tuple[Index | None, dict[str, Any] | None]:
        """The columns, and the record's values of them.

        Raises RecordValidationError with `fields`, the tree of everything that the types and `validate` found.
        """
        fields = record._fields
        errors = wrong_fields(self._checks, fields) if self._checks else {}
        if self.validate is not None:
            errors = _joined(errors, self._validated(record, bool(errors)))
        if errors:
            raise exc.RecordValidationError(
                f"{self.name}: the record was not written, because its fields do not pass their checks.",
                *_sentences("", errors),
                model=self.name,
                fields=errors,
            )
        if self._columns is None:
            if self.index is None:
                return None, None
            self._ask_index(record, {})
        values = self.columns_of(fields)
        return self.index_definition, values if self.index_definition is not None else None

    def columns_of(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The values of the columns by name, as they are stored."""
        found = {name: fields.get(name) for name in self._columns or ()}
        for name, value in found.items():
            if type(value) not in KINDS:
                found[name] = plain(value)
        return found

    def _validated(self, record: Record, wrong: bool) -> dict[str, Any]:
        try:
            errors = self.validate(record)  # type: ignore[misc]
        except Exception:
            if not wrong:
                raise
            return {}  # it stumbles on what is said already: a text is none
        if not errors:
            return {}
        if not isinstance(errors, Mapping):
            raise TypeError(f"{self.name}.validate gives a dict of errors, or nothing; not {type(errors).__name__}")
        return errors.to_dict() if hasattr(errors, "to_dict") else dict(errors)

    # -- what is declared ----------------------------------------------------------------------------
    def _blank(self, types: dict[str, Declared]) -> dict[str, Any]:
        """The fields of a record that nobody has given any; asks `index` for the columns with it."""
        from .record import Record  # which knows its Model

        record = Record(self, bytes(16))
        try:
            self.begin(record)
            for name in types:
                if name not in record:
                    record[name] = None
            if self.index is not None:
                self._ask_index(record, types)
        except BadDeclaration:
            raise
        except Exception as error:  # hooks that need more than a blank record, or a caller: then the first one written
            log.debug("%s: a blank record does not say which columns it has: %r", self.name, error)
        return {name: None for name in record._fields if type(name) is str and name.isidentifier()}

    def _ask_index(self, record: Record, types: dict[str, Declared]) -> None:
        found = self.index(record)  # type: ignore[misc]
        if not isinstance(found, Mapping):
            raise BadDeclaration(f"{self.name}.index gives a dict, not {type(found).__name__}")
        columns: dict[str, str | None] = {}
        for name, value in found.items():
            declared_kind = column_kind(types[name].kind) if name in types else None
            value = plain(value)
            if type(name) is not str or name[:1] == "_" or (value is not None and name not in record._fields):
                continue
            if value is None or type(value) in COLUMN_KINDS:
                columns[name] = declared_kind or COLUMN_KINDS.get(type(value))
        self._set_columns(columns)

    def _set_columns(self, columns: dict[str, str | None]) -> None:
        self._columns = dict(sorted(columns.items()))
        self.index_definition = Index(tuple(self._columns.items())) if columns else None

    def __copy__(self) -> Model:
        return self

    def __deepcopy__(self, memo: Any) -> Model:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Model, (self.cls, self.keep)

    def __repr__(self) -> str:
        return f"Model({self.name})"


def _checked_keep(name: str, keep: Any) -> Keep:
    if keep is None or (type(keep) is int and keep >= 0) or (isinstance(keep, timedelta) and keep > timedelta(0)):
        return keep
    raise TypeError(
        f"{name}: keep says how much history there is: None for all, 0 for none, a number of versions or a timedelta; "
        f"not {keep!r:.80}"
    )


def _hook(cls: type, name: str) -> Callable[[Record], Any] | None:
    found = inspect.getattr_static(cls, name, None)
    if found is None or isinstance(found, OnClass):
        return None
    hook = getattr(cls, name)
    if inspect.isfunction(found) and len(inspect.signature(found).parameters) != 1:
        raise TypeError(f"{cls.__name__}.{name} takes (cls, record): make it a @classmethod")
    if not callable(hook):
        raise TypeError(f"{cls.__name__}.{name} is no function")
    return hook  # type: ignore[no-any-return]


def _joined(errors: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Both trees as one. Where both say something about the same, the first is kept."""
    joined = dict(errors)
    for key, value in more.items():
        there = joined.setdefault(key, value)
        if there is not value and isinstance(there, dict) and isinstance(value, Mapping):
            joined[key] = _joined(there, dict(value))
    return joined


def _sentences(path: str, tree: Any) -> list[str]:
    """The leaves of the tree of errors, one sentence each: 'text, bad_type: int'."""
    if isinstance(tree, Mapping):
        below = [(f"{path}, {key}" if path else str(key), value) for key, value in tree.items()]
        return [line for where, value in below for line in _sentences(where, value)]
    return [f"{path}: {tree}" if isinstance(tree, str | int | float) else path]
