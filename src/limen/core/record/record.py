"""`Record`: the fields of one version of one thing, and what is known of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from limen import exc
from limen.base import values

from . import delta
from .model import Model

_Self = TypeVar("_Self", bound="Record")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_set = object.__setattr__


class Record:
    """Fields as attributes (`record.text`) and as items (`record["text"]`, for names that are a method's or no
    identifier).

    *_model*: the class. *_uuid*: UUID of version 7, from the start. *_vsn*: 0 until it is first stored, then 1, and
    one more each time it is stored. *_txn*: number of the transaction that stored it, 0 before. *_deleted*: whether
    that deleted it. These five can't be written. *_changed*: names of the fields that are different from what
    was last stored.

    What is changed while the unit of work is open, lists and dicts inside included, is stored when it ends.
    """

    __slots__ = ("_about", "_fields", "_gone", "_id", "_key", "_stored", "_touched", "_txn", "_vsn")

    _about: Model
    _fields: dict[str, Any]
    _key: bytes
    """The 16 bytes of the UUID."""
    _id: UUID
    _vsn: int
    _txn: int
    _stored: str
    """The fields as they were last stored; '' for a new record."""
    _touched: bool

    def __init__(
        self,
        model: Model,
        key: bytes,
        vsn: int = 0,
        txn: int = 0,
        stored: str = "",
        fields: dict[str, Any] | None = None,
    ) -> None:
        _set(self, "_about", model)
        _set(self, "_key", key)
        _set(self, "_vsn", vsn)
        _set(self, "_txn", txn)
        _set(self, "_stored", stored)
        _set(self, "_touched", False)
        if fields is None:
            fields = decode_fields(stored) if stored else {}
        _set(self, "_fields", fields)

    @property
    def _model(self) -> type:
        return self._about.cls

    @property
    def _uuid(self) -> UUID:
        try:
            return self._id
        except AttributeError:  # it is made when it is first asked for
            _set(self, "_id", UUID(bytes=self._key))
            return self._id

    def _was_stored(self, vsn: int, txn: int, stored: str, deleted: bool) -> None:
        """The fields as they are now are version *vsn*."""
        _set(self, "_vsn", vsn)
        _set(self, "_txn", txn)
        _set(self, "_stored", stored)
        _set(self, "_touched", False)
        if deleted:
            _set(self, "_gone", True)

    @property
    def _deleted(self) -> bool:
        """True once a unit has deleted or erased it."""
        return getattr(self, "_gone", False)

    @property
    def _changed(self) -> tuple[str, ...]:
        """The names of the fields that are different from what was last stored, sorted; of a new record all."""
        text = self._unstored()
        return () if text is None else delta.names(self._stored or "{}", text)

    def _unstored(self) -> str | None:
        """The fields as they are to be stored; None where that is what was last stored."""
        stored = self._stored
        if not self._touched and stored and "[" not in stored and stored.rfind("{") == 0:
            return None  # nothing was set, and there is no list or dict in it that could have been changed in place
        text = encode_fields(self._fields)
        return None if text == stored else text

    def _put_back(self, fields: dict[str, Any], touched: bool) -> None:
        """The fields as they once were."""
        _set(self, "_fields", fields)
        _set(self, "_touched", touched)

    # -- attributes and items
    def __getattr__(self, name: str) -> Any:
        if name[:1] != "_":  # copy and pickle look for their own names, before there are any fields
            try:
                return self._fields[name]
            except KeyError:
                pass
            raise AttributeError(f"this {self._about.name} has no field {name!r}", name=name, obj=self)
        raise AttributeError(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name[:1] == "_" or hasattr(type(self), name):
            raise AttributeError(f"{name!r} can't be written as an attribute here; write record[{name!r}] = …")
        self._fields[name] = value
        _set(self, "_touched", True)

    def __delattr__(self, name: str) -> None:
        if name not in self._fields:
            raise AttributeError(f"this {self._about.name} has no field {name!r}")
        del self[name]

    def __getitem__(self, name: str) -> Any:
        return self._fields[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if type(name) is not str or name[:1] == "_":
            raise _no_name(name)
        self._fields[name] = value
        _set(self, "_touched", True)

    def __delitem__(self, name: str) -> None:
        del self._fields[name]
        _set(self, "_touched", True)

    def __contains__(self, name: object) -> bool:
        return name in self._fields

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __bool__(self) -> bool:
        return True  # a record is there, with or without fields

    def get(self, name: str, default: Any = None) -> Any:
        """The field, or *default* where there is none."""
        return self._fields.get(name, default)

    def update(self, other: Mapping[str, Any] = {}, /, **fields: Any) -> None:
        """Sets several fields; those that are not named stay."""
        for name in fields:
            if name[:1] == "_":
                raise _no_name(name)
        if other:
            for name in other:
                if type(name) is not str or name[:1] == "_":
                    raise _no_name(name)
            self._fields.update(other)
        self._fields.update(fields)
        _set(self, "_touched", True)

    def merge(self: _Self, other: Mapping[str, Any] = {}, /, **fields: Any) -> _Self:
        """Like `update`, but dicts are joined key by key with the dict that is there. Gives the record itself."""
        for source in (other, fields):
            for name, value in source.items():
                old = self._fields.get(name)
                self[name] = _joined(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
        return self

    def to_dict(self) -> dict[str, Any]:
        """What the model's `to_dict` makes of it; without that hook the fields, `_uuid` and `_vsn`."""
        hook = self._about.to_dict
        if hook is not None:
            return hook(self)  # type: ignore[no-any-return]
        return {**self._fields, "_uuid": self._uuid, "_vsn": self._vsn}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Record):
            return NotImplemented
        mine, other_s = (self._model, self._key, self._vsn), (other._model, other._key, other._vsn)
        return mine == other_s and self._fields == other._fields

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return Record, (self._about, self._key, self._vsn, self._txn, self._stored, self._fields)

    def __repr__(self) -> str:
        return f"<{self._about.name} {self._uuid} version {self._vsn}: {self._fields!r}>"


def encode_fields(fields: dict[str, Any]) -> str:
    """Fields as a store keeps them: tagged JSON. Raises InvalidValue, with its path, for what can't be stored."""
    try:
        return _encode(values.tag(fields, "json")).decode()
    except UnicodeEncodeError:
        values.blame_text(fields)


def decode_fields(stored: str) -> dict[str, Any]:
    """Fields as the program sees them. Raises StoreError for what no store of ours has written."""
    try:
        fields = values.untag(_decode(stored), "json")
        if type(fields) is dict:
            return fields
    except (msgspec.DecodeError, exc.InvalidValue):
        pass
    raise exc.StoreError("The fields of a stored record are damaged.")


def _no_name(name: object) -> exc.InvalidValue:
    return exc.InvalidValue(f"A field's name is a text that does not begin with '_', not {name!r}.")


def _joined(old: dict[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    joined = dict(old)
    for key, value in new.items():
        below = joined.get(key)
        joined[key] = _joined(below, value) if isinstance(below, dict) and isinstance(value, Mapping) else value
    return joined
