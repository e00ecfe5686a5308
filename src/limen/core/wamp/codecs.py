"""WAMP messages to bytes and back: JSON, MessagePack and CBOR, for plain WAMP peers and for Limen's own.

>>> json = codec("json")
>>> json.encode(Result(1, {}, [b"hi"]))
b'[50,1,{},["\\\\u0000aGk="]]'
>>> json.decode(b'[48,1,{},"com.example.add",[2,3]]')
Call(request=1, options={}, procedure='com.example.add', args=[2, 3], kwargs=None)
>>> json.decode(b'[48,"1",{},"com.example.add"]')
Traceback (most recent call last):
limen.core.wamp.codecs.Malformed: Expected `int`, got `str` - at `$[1]`
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import cbor2
import msgspec

from limen.base import limits
from limen.base.values import Encoding, binary, blame_text, natural, untag, writer
from limen.core.wamp.messages import (
    CLASSES,
    Abort,
    Authenticate,
    Call,
    Challenge,
    Error,
    Event,
    Goodbye,
    Hello,
    Invocation,
    Message,
    Parts,
    Publish,
    Result,
    Welcome,
    Yield,
)
from limen.exc import InvalidValue

__all__ = ["Codec", "Malformed", "Unacceptable", "codec"]

MAX_DEPTH: Final = limits.MAX_DEPTH + 2
"""Of a whole message: its payload stands in a list or dict inside a list."""
LARGE: Final = 65536
"""Bytes of a message that is not small."""
PROTOCOL_ERROR: Final = 1002
INVALID_DATA: Final = 1007
"""WebSocket close codes (RFC 6455, section 7.4.1)."""


class Malformed(Exception):
    """Bytes that are no WAMP message. Answer with `abort`, then close with *close_code*."""

    def __init__(self, reason: str, close_code: int = PROTOCOL_ERROR) -> None:
        super().__init__(reason)
        self.reason = reason
        self.close_code = close_code

    @property
    def abort(self) -> Abort:
        return Abort({"message": self.reason}, "wamp.error.protocol_violation")


class Unacceptable(Exception):
    """A message that is one, with a payload that is not acceptable.

    *message*: the message without its payload; *error*: why. `Realm.receive(session, message, error)` gives the answer.
    """

    def __init__(self, message: Message, error: InvalidValue) -> None:
        super().__init__(str(error))
        self.message = message
        self.error = error


_CONVERTED: Final = frozenset({Hello, Welcome, Abort, Challenge, Authenticate, Goodbye, Call, Publish})
"""Messages whose options or details may hold more than plain values: a handshake's bytes, a profile, a call's name."""


_LADEN: Final = frozenset({Abort, Goodbye, Error, Publish, Event, Call, Result, Invocation, Yield})
"""Messages that have args and kwargs."""


_BACKSLASH, _COLON = b"\\:"
"""One byte is found four times as quickly as two are, and most messages have none of these."""
_BUSY: Final = frozenset({Call, Publish, Yield})
_BRANCHES: Final = frozenset({dict, list})


class Codec:
    """One encoding, for one kind of peer. Has no state; get one from `codec()`.

    *text*: its messages travel in text frames. *tagged*: types cross unharmed in args and kwargs (`limen.1.*`).
    """

    __slots__ = ("_dump", "_load", "_plain", "name", "tagged", "text")

    def __init__(self, name: Encoding, tagged: bool) -> None:
        self.name: Encoding = name
        self.text = name == "json"
        self.tagged = tagged
        self._plain = writer(name, tagged)
        self._load = _LOAD[name]
        self._dump = _DUMP[name]

    def encode(self, message: Message) -> bytes:
        """The bytes of *message*. Raises InvalidValue, with the path, for a value that cannot travel."""
        head, args, kwargs = message.parts()
        if type(message) in _CONVERTED:
            head = tuple([natural(part, self.name) if type(part) is dict and part else part for part in head])
        if kwargs is not None:
            head = (*head, self._plain(args) if args else [], self._keywords(kwargs))
        elif args is not None:
            head = (*head, self._plain(args) if args else [])
        return self._write(head)

    def answer(self, request: int, value: Any) -> bytes:
        """The bytes of `Result(request, {}, [value])`: what nearly every call of a local service gets, without the row.

        Raises as `encode` does.

        >>> codec("json").answer(7, "milk")
        b'[50,7,{},["milk"]]'
        """
        return self._write((50, request, {}, self._plain([value])))

    def _write(self, row: tuple[Any, ...]) -> bytes:
        try:
            return self._dump(row)
        except UnicodeEncodeError:
            blame_text(list(row))
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise InvalidValue(str(error)) from None

    def decode(self, data: bytes) -> Message:
        """The message that *data* is. Raises Malformed or Unacceptable."""
        message = self._load(data) if len(data) <= LARGE else _undisturbed(self._load, data)
        binary = self.text and _BACKSLASH in data and b"\\u0000" in data
        if not binary and not self.tagged:
            return message
        try:
            if binary:
                message = _with_bytes(message, self.tagged)
            if self.tagged:
                message = self._untagged(message)
        except InvalidValue as error:
            raise _flawed(message, error) from None
        return message

    def _keywords(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        plain = self._plain(kwargs) if kwargs else kwargs
        if type(plain) is not dict:
            raise InvalidValue("keyword arguments are a dict")
        return plain

    def _untagged(self, message: Message) -> Message:
        if type(message) not in _LADEN:
            return message
        args, kwargs = message.args, message.kwargs  # type: ignore[union-attr]
        if args:
            new = untag(args, self.name)
            if new is not args:
                message = msgspec.structs.replace(message, args=new)
        if kwargs:
            new = untag(kwargs, self.name)
            if type(new) is not dict or not all(type(key) is str for key in new):
                raise InvalidValue("Keyword arguments are a dict with texts as keys.")
            if new is not kwargs:
                message = msgspec.structs.replace(message, kwargs=new)
        return message


@cache
def codec(name: Encoding, tagged: bool = False) -> Codec:
    """The codec of an encoding: "json", "msgpack" or "cbor"; *tagged* between Limen peers (values.tag)."""
    return Codec(name, tagged)


def _undisturbed(load: Callable[[bytes], Message], data: bytes) -> Message:
    """Decodes without the garbage collector: a large message may be half a million new lists, none of them garbage, and
    it would look at them again and again while they come."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        return load(data)
    finally:
        if enabled:
            gc.enable()


# -- decoding ---------------------------------------------------------------------------------------------------
_decode_json: Callable[[bytes], Message] = msgspec.json.Decoder(Message).decode
_decode_msgpack: Callable[[bytes], Message] = msgspec.msgpack.Decoder(Message, ext_hook=limits.msgpack_ext).decode
_encode_json = msgspec.json.Encoder().encode
_encode_msgpack = msgspec.msgpack.Encoder().encode


def _load_json(data: bytes) -> Message:
    try:
        if len(data) > MAX_DEPTH:
            limits.json_depth(data, MAX_DEPTH)
        message = _decode_json(data)
    except msgspec.ValidationError as error:
        raise Malformed(str(error)) from None
    except (ValueError, RecursionError) as error:
        raise Malformed(limits.reason(error), INVALID_DATA) from None
    except InvalidValue as error:
        raise Malformed(str(error), INVALID_DATA) from None
    if _COLON in data and data.count(b":") > 1:
        try:
            limits.json_keys(data, message)
        except InvalidValue as error:
            raise _flawed(message, error) from None
    return message


def _load_msgpack(data: bytes) -> Message:
    try:
        message = _decode_msgpack(data)
    except msgspec.ValidationError:
        # Not what was expected; some clients write `undefined` (an extension type) for absent parts, and ids as floats.
        return _from_tree(data, limits.load_msgpack)
    except (ValueError, RecursionError) as error:
        raise Malformed(limits.reason(error), INVALID_DATA) from None
    except InvalidValue as error:
        raise Malformed(str(error), INVALID_DATA) from None
    if (
        type(message) in _BUSY
        and not message.options  # type: ignore[union-attr]
        and not message.kwargs  # type: ignore[union-attr]
        and _BRANCHES.isdisjoint(map(type, message.args or ()))  # type: ignore[union-attr]
    ):
        return message  # no key that could stand there twice, no depth: this is most of the traffic
    row = _row(message.parts())
    try:
        limits.check_tree(row, MAX_DEPTH)
        limits.msgpack_keys(data, len(_encode_msgpack(row)))
    except InvalidValue as error:
        raise _flawed(message, error) from None
    return message


def _load_cbor(data: bytes) -> Message:
    return _from_tree(data, limits.load_cbor)


def _from_tree(data: bytes, load: Callable[[bytes, int], Any]) -> Message:
    try:
        tree = load(data, MAX_DEPTH)
    except InvalidValue as error:
        raise Malformed(str(error), INVALID_DATA) from None
    if type(tree) is not list or not tree:
        raise Malformed("a message is a list")
    # wampy writes integers above 2^32, ids too, as float64.
    row = [int(part) if type(part) is float and part.is_integer() else part for part in tree]
    cls = CLASSES.get(row[0]) if type(row[0]) is int else None
    if cls is None:
        raise Malformed("there is no such message")
    try:
        return msgspec.convert(row, cls)
    except msgspec.ValidationError as error:
        raise Malformed(str(error)) from None


def _row(parts: Parts) -> tuple[Any, ...]:
    head, args, kwargs = parts
    if kwargs is not None:
        return (*head, args or [], kwargs)
    return head if args is None else (*head, args)


def _with_bytes(message: Message, tagged: bool) -> Message:
    """WAMP's binary strings (U+0000 and base64) made bytes; not in a tagged payload, which has tags for that."""
    if tagged and type(message) is Call:
        # Every sealed call has bytes in its options, its id: they are made in place, for the dict is nobody else's yet.
        options = message.options
        for name, value in options.items():
            if type(value) is str or type(value) is dict or type(value) is list:
                options[name] = binary(value)
        return message
    fields = ("details", "options", "extra") if tagged else ("details", "options", "extra", "args", "kwargs")
    changes = {name: binary(value) for name in fields if (value := getattr(message, name, None))}
    return msgspec.structs.replace(message, **changes) if changes else message


def _flawed(message: Message, error: InvalidValue) -> Malformed | Unacceptable:
    if isinstance(message, Call | Publish | Yield | Error | Event | Result | Invocation):
        return Unacceptable(msgspec.structs.replace(message, args=None, kwargs=None), error)
    return Malformed(str(error), INVALID_DATA)


# -- by encoding ------------------------------------------------------------------------------------------------
_LOAD: Final[dict[str, Callable[[bytes], Message]]] = {
    "json": _load_json,
    "msgpack": _load_msgpack,
    "cbor": _load_cbor,
}
_DUMP: Final[dict[str, Callable[[Any], bytes]]] = {
    "json": _encode_json,
    "msgpack": _encode_msgpack,
    "cbor": cbor2.dumps,
}
