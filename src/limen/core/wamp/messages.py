"""The messages of WAMP v2, basic profile and what else Limen announces: immutable rows, one class a message.

The fields stand in the order in which they travel (WAMP specification, section "Message Definitions"). `args` and
`kwargs` are None where the message has none; an empty list is not the same as none.

    >>> Call(1, {}, "com.example.add", [2, 3])
    Call(request=1, options={}, procedure='com.example.add', args=[2, 3], kwargs=None)
    >>> Call(1, {}, "com.example.add", [2, 3]).parts()
    ((48, 1, {}, 'com.example.add'), [2, 3], None)
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

from msgspec import Meta, Struct

MAX_ID = 2**53
"""Ids are integers from 1 to this (section "IDs"): JavaScript's numbers hold no larger ones exactly."""

PUBLISH: Final = 16
SUBSCRIBE: Final = 32
UNSUBSCRIBE: Final = 34
CALL: Final = 48
REGISTER: Final = 64
UNREGISTER: Final = 66
INVOCATION: Final = 68
YIELD: Final = 70
"""Codes of the messages that ERROR may answer: its first element."""

Id: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_ID)]
IdOrZero: TypeAlias = Annotated[int, Meta(ge=0, le=MAX_ID)]
Dict: TypeAlias = dict[str, Any]
Args: TypeAlias = list[Any] | None
Kwargs: TypeAlias = dict[str, Any] | None
Parts: TypeAlias = tuple[tuple[Any, ...], Args, Kwargs]
"""What `parts()` gives: all fields before the payload with the message's code in front, args, kwargs."""


def integer(value: Any) -> int | None:
    """An integer as clients write it in options: over CBOR some write large ones as floats. None: it is none.

    >>> [integer(value) for value in (5, 5.0, 5.5, True, "5", None)]
    [5, 5, None, None, None, None]
    """
    if type(value) is int:
        return value
    return int(value) if type(value) is float and value.is_integer() else None


class _Row(Struct, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True):
    """Base of all messages: immutable, unknown to the garbage collector (data from a wire has no cycles)."""


class Hello(_Row, frozen=True, tag=1):
    realm: str
    details: Dict

    def parts(self) -> Parts:
        return (1, self.realm, self.details), None, None


class Welcome(_Row, frozen=True, tag=2):
    session: Id
    details: Dict

    def parts(self) -> Parts:
        return (2, self.session, self.details), None, None


class Abort(_Row, frozen=True, tag=3):
    details: Dict
    reason: str
    args: Args = None
    kwargs: Kwargs = None

    def parts(self) -> Parts:
        return (3, self.details, self.reason), self.args, self.kwargs


class Challenge(_Row, frozen=True, tag=4):
    method: str
    extra: Dict

    def parts(self) -> Parts:
        return (4, self.method, self.extra), None, None


class Authenticate(_Row, frozen=True, tag=5):
    signature: str
    extra: Dict

    def parts(self) -> Parts:
        return (5, self.signature, self.extra), None, None


class Goodbye(_Row, frozen=True, tag=6):
    details: Dict
    reason: str
    args: Args = None
    kwargs: Kwargs = None

    def parts(self) -> Parts:
        return (6, self.details, self.reason), self.args, self.kwargs


class Error(_Row, frozen=True, tag=8):
    """*kind*: the code of the message that failed (CALL, INVOCATION, …)."""

    kind: int
    request: Id
    details: Dict
    error: str
    args: Args = None
    kwargs: Kwargs = None

    def parts(self) -> Parts:
        return (8, self.kind, self.request, self.details, self.error), self.args, self.kwargs


class Publish(_Row, frozen=True, tag=16):
    request: Id
    options: Dict
    topic: str
    args: Args = None
    kwargs: Kwargs = None

    def parts(self) -> Parts:
        return (16, self.request, self.options, self.topic), self.args, self.kwargs


class Published(_Row, frozen=True, tag=17):
    request: Id
    publication: Id

    def parts(self) -> Parts:
        return (17, self.request, self.publication), None, None


class Subscribe(_Row, frozen=True, tag=32):
    request: Id
    options: Dict
    topic: str

    def parts(self) -> Parts:
        return (32, self.request, self.options, self.topic), None, None


class Subscribed(_Row, frozen=True, tag=33):
    request: Id
    subscription: Id

    def parts(self) -> Parts:
        return (33, self.request, self.subscription), None, None


class Unsubscribe(_Row, frozen=True, tag=34):
    request: Id
    subscription: Id

    def parts(self) -> Parts:
        return (34, self.request, self.subscription), None, None


class Unsubscribed(_Row, frozen=True, tag=35):
    request: Id

    def parts(self) -> Parts:
        return (35, self.request), None, None


class Event(_Row, frozen=True, tag=36):
    subscription: Id
    publication: Id
    details: Dict
    args: Args = None
    kwargs: Kwargs = None

    def parts(self) -> Parts:
        return (36, self.subscription, self.publication, self.details), self.args, self.kwargs


class Call(_Row, frozen=True, tag=48):
    request: Id
    options: Dict
    procedure: str
    args: Args = None
    kwargs: Kwargs = None

    def parts(self) -> Parts:
        return (48, self.request, self.options, self.procedure), self.args, self.kwargs


class Cancel(_Row, frozen=True, tag=49):
    request: Id
    options: Dict

    def parts(self) -> Parts:
        return (49, self.request, self.options), None, None


class Result(_Row, frozen=True, tag=50):
    request: Id
    details: Dict
    args: Args = None
    kwargs: Kwargs = None

    def parts(self) -> Parts:
        return (50, self.request, self.details), self.args, self.kwargs


class Register(_Row, frozen=True, tag=64):
    request: Id
    options: Dict
    procedure: str

    def parts(self) -> Parts:
        return (64, self.request, self.options, self.procedure), None, None


class Registered(_Row, frozen=True, tag=65):
    request: Id
    registration: Id

    def parts(self) -> Parts:
        return (65, self.request, self.registration), None, None


class Unregister(_Row, frozen=True, tag=66):
    request: Id
    registration: Id

    def parts(self) -> Parts:
        return (66, self.request, self.registration), None, None


class Unregistered(_Row, frozen=True, tag=67):
    """*request* 0: the router has revoked the registration that *details* names (section "Registration Revocation")."""

    request: IdOrZero
    details: Dict | None = None

    def parts(self) -> Parts:
        return (67, self.request) if self.details is None else (67, self.request, self.details), None, None


class Invocation(_Row, frozen=True, tag=68):
    request: Id
    registration: Id
    details: Dict
    args: Args = None
    kwargs: Kwargs = None

    def parts(self) -> Parts:
        return (68, self.request, self.registration, self.details), self.args, self.kwargs


class Interrupt(_Row, frozen=True, tag=69):
    request: Id
    options: Dict

    def parts(self) -> Parts:
        return (69, self.request, self.options), None, None


class Yield(_Row, frozen=True, tag=70):
    request: Id
    options: Dict
    args: Args = None
    kwargs: Kwargs = None

    def parts(self) -> Parts:
        return (70, self.request, self.options), self.args, self.kwargs


Message: TypeAlias = (
    Hello
    | Welcome
    | Abort
    | Challenge
    | Authenticate
    | Goodbye
    | Error
    | Publish
    | Published
    | Subscribe
    | Subscribed
    | Unsubscribe
    | Unsubscribed
    | Event
    | Call
    | Cancel
    | Result
    | Register
    | Registered
    | Unregister
    | Unregistered
    | Invocation
    | Interrupt
    | Yield
)

CLASSES: dict[int, type[Message]] = {cls.__struct_config__.tag: cls for cls in Message.__args__}
"""Code of a message on the wire to its class."""
