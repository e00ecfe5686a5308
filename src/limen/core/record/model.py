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

**Columns** are what records are searched by. A typed class has one for each field of a scalar type (an enum's is that
of its values), or those that `index` names. `index` is asked with a blank record when the class is added: its keys name
the columns, the values say of which kind they are; of None the store learns it from the first value. What it gives
under a name that is no field of the record is **computed**: `{"year": record.due.year}` makes `Todo.year == 2026` work.
Another value than that of the field of the same name is refused. Where `index` comes to compute something else under
the same names, `__index_version__ = 2` on the class says so (`indexing.py`).
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from limen import exc
from limen.base.hints import signature

from .checks import Check, check_for, wrong_fields
from .fields import OnClass, put
from .indexing import Indexing
from .port import OWN, Index, Keep, See
from .typed import BadDeclaration, Declared, column_kind, declared

if TYPE_CHECKING:
    from .record import Record

log = logging.getLogger("limen")
HOOKS = ("initialize", "validate", "index", "to_dict")


class Model:
    """A class, its hooks and what it declares, looked up once.

    *keep*: how much history there will be: None all, 0 none, a number of versions or a timedelta; where it is not
    given, `__keep__` of the class. *name*: what the store calls it; `__model__` of the class, or its name. *fields*:
    the names that are declared. *index_definition*: the columns, None where there are none (or they are not known
    before there is a record).

    Puts a field on the class for each of *fields*. Raises TypeError or ValueError for what can't be a model.
    """

    __slots__ = (
        "_checks",
        "_defaults",
        "_indexing",
        "_typed",
        "cls",
        "fields",
        "index",
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
        kinds = {name: column_kind(field.kind) for name, field in types.items()}
        self._indexing = Indexing(self, self.index, kinds, _checked_version(cls))
        blank = self._blank(types)
        self.fields = tuple(dict.fromkeys((*types, *blank)))
        self.put_on_class((*self.fields, *self._indexing.names))

    @property
    def index_definition(self) -> Index | None:
        return self._indexing.definition

    def put_on_class(self, names: Iterable[str]) -> None:
        """Makes `Todo.done` a field of expressions."""
        put(self.cls, names, self._typed)

    def see(self, names: Iterable[str]) -> See | None:
        """What conditions and orders that ask for *names* look at; None: the fields alone."""
        return self._indexing.see(names)

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
        return self._indexing.of(record)

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
        except BadDeclaration:
            raise
        except Exception as error:  # a hook that needs a caller, say
            log.debug("%s: a blank record can't be made: %r", self.name, error)
        for name in types:
            if name not in record:
                record[name] = None
        self._indexing.ask_blank(record)
        return {name: None for name in record._fields if type(name) is str and name.isidentifier()}

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


def _checked_version(cls: type) -> int:
    version = getattr(cls, "__index_version__", 1)
    if type(version) is not int or version < 1:
        raise TypeError(f"{cls.__name__}.__index_version__ is a whole number of 1 or more, not {version!r:.40}")
    return version


def _hook(cls: type, name: str) -> Callable[[Record], Any] | None:
    found = inspect.getattr_static(cls, name, None)
    if found is None or isinstance(found, OnClass):
        return None
    hook = getattr(cls, name)
    if inspect.isfunction(found) and len(signature(found).parameters) != 1:
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
