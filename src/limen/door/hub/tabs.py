"""Tabs: what a sealed login leaves on the server, and the calls it has under way.

A `Tab` is one login in one place: a browser tab, a Python client. While its connection lives it is *live*; when the
connection is lost it is *parked* for `PARK_TIMEOUT` seconds: its calls run on, their answers are kept. A resume
(docs/security.md) brings it back to life. A tab that has registered a resume key has a *slot* in the store, which
outlives this process; the tab itself does not.

Invariants:
- a call id is run at most once while its tab is known (`Calls`);
- a tab has at most one live connection, and the newest wins;
- nothing here is written before the client has proved itself (its first sealed frame opened).
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from limen import exc
from limen.base import values
from limen.core.guard.accounts import session_id

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Iterator

    from limen.base.principal import Cancellation

_encode = msgspec.msgpack.Encoder().encode


class Receiver(Protocol):
    """Where the answer of a kept call goes: the session and request that asked last."""

    def result(self, request: int, value: Any) -> int: ...
    def error(self, request: int, error: exc.Error) -> int: ...


class KeptCall:
    """One call of a tab: running, or answered and kept. *key*: the id that the client gave it."""

    __slots__ = (
        "answered", "calls", "cancellation", "digest", "error", "key", "receiver", "request", "size", "task", "value",
    )  # fmt: skip

    def __init__(self, calls: Calls, key: bytes, digest: bytes, receiver: Receiver | None, request: int) -> None:
        self.calls, self.key, self.digest = calls, key, digest
        self.receiver: Receiver | None = receiver
        self.request = request
        self.task: Future[None] | None = None
        self.cancellation: Cancellation | None = None
        self.answered: float | None = None
        self.value: Any = None
        self.error: exc.Error | None = None
        self.size = 0

    def finish(self, now: float, value: Any, error: exc.Error | None) -> None:
        """It has ended, wherever its tab is by now; see `Calls.finish`."""
        self.calls.finish(self.key, self, now, value, error)

    def before(self, moment: float) -> bool:
        """It was answered before *moment*."""
        return self.answered is not None and self.answered < moment

    def deliver(self) -> int:
        """Sends the answer to whoever asked last; gives its size in bytes, 0 if they are not there."""
        if self.receiver is None or self.answered is None:
            return 0
        if self.error is not None:
            return self.receiver.error(self.request, self.error)
        return self.receiver.result(self.request, self.value)

    def weigh(self) -> int:
        """The size of an answer that nobody has taken yet."""
        answer = self.value if self.error is None else self.error.to_wire()
        try:
            return len(_encode(values.tag(answer, "msgpack")))
        except Exception:
            return 0  # it can't travel: an error will say so


class Calls:
    """The calls of one tab by the id that the client gave them (16 bytes): each is run once, and answered as often as
    asked.

    *keep*: seconds that an answer is kept; *most*: answers kept; *most_bytes*: their encoded size together.
    """

    __slots__ = ("_answered", "_bytes", "_keep", "_most", "_most_bytes", "_running")

    def __init__(self, keep: float, most: int, most_bytes: int = 4 * 2**20) -> None:
        self._keep, self._most, self._most_bytes = keep, most, most_bytes
        self._running: dict[bytes, KeptCall] = {}
        self._answered: OrderedDict[bytes, KeptCall] = OrderedDict()
        self._bytes = 0

    def begin(
        self, call_id: bytes, digest: bytes, receiver: Receiver, request: int, *, repeat: bool
    ) -> KeptCall | None:
        """A new call to run, or None where the id is known: its answer then comes (or has come) from the first run.

        Raises `InvalidCall` for a known id with other content, `OutcomeUnknown` for a *repeat* that is not known.
        """
        known = self._running.get(call_id) or self._answered.get(call_id)
        if known is None:
            if repeat:
                raise exc.OutcomeUnknown
            call = self._running[call_id] = KeptCall(self, call_id, digest, receiver, request)
            return call
        if known.digest != digest:
            raise exc.InvalidCall("This call id (x_id) stands for another call already; every call needs a fresh one.")
        known.receiver, known.request = receiver, request
        known.deliver()
        return None

    def finish(
        self, call_id: bytes, call: KeptCall, now: float, value: Any = None, error: exc.Error | None = None
    ) -> None:
        """The call has ended: its answer is delivered and kept. *now*: seconds, monotonic."""
        call.task = None
        self._running.pop(call_id, None)
        self.keep(call, now, value, error)

    def keep(self, call: KeptCall, now: float, value: Any, error: exc.Error | None) -> None:
        """Delivers an answer, which came at *now*, and keeps it."""
        call.value, call.error, call.answered = value, error, now
        call.size = call.deliver() or call.weigh()
        self._answered[call.key] = call
        self._bytes += call.size
        if len(self._answered) > self._most or self._bytes > self._most_bytes:
            self.trim(now)  # what is too old goes once a second

    def under_way(self, call_id: bytes) -> KeptCall | None:
        """The call of that id, if it runs."""
        return self._running.get(call_id)

    def detach(self, receiver: Receiver) -> None:
        """The connection is gone: answers wait for the next one."""
        for call in self._running.values():
            if call.receiver is receiver:
                call.receiver = None
        for call in self._answered.values():
            if call.receiver is receiver:
                call.receiver = None

    def trim(self, now: float) -> None:
        """Lets go of answers that are too old or too many."""
        answered, before = self._answered, now - self._keep
        while answered and (
            len(answered) > self._most or self._bytes > self._most_bytes or next(iter(answered.values())).before(before)
        ):
            self._bytes -= answered.popitem(last=False)[1].size

    def run(self, call: KeptCall) -> None:
        """A call that runs already, elsewhere."""
        self._running[call.key] = call

    def answered(self) -> Iterator[KeptCall]:
        """The calls whose answers are kept, the oldest first."""
        return iter(tuple(self._answered.values()))

    def running(self) -> Iterator[KeptCall]:
        """The calls under way."""
        return iter(tuple(self._running.values()))

    def __len__(self) -> int:
        return len(self._running) + len(self._answered)


class Tab:
    """One sealed login. *slot*: the handle of its resume key once it has one."""

    __slots__ = (
        "acting", "by_password", "calls", "connection", "domain", "force", "handle", "id", "key", "kind", "login",
        "origin", "over", "parent", "parked", "received", "record", "slot", "stored", "used", "user",
    )  # fmt: skip

    def __init__(self, domain: str, user: str, login: float, calls: Calls) -> None:
        self.domain, self.user, self.login, self.calls = domain, user, login, calls
        self.slot: bytes | None = None
        self.handle = secrets.token_bytes(16)
        """That its slot will have; empty once it was given away."""
        self.id = session_id(self.handle)
        """What the session is called where people see it."""
        self.kind = "tab"
        self.parent = b""
        """Of a further tab: the slot of the one that let it in."""
        self.acting = ""
        """As whom its user acts; '' as themselves."""
        self.force = False
        """The login asked that the user's oldest session make room."""
        self.origin = ""
        """Where its last connection came from."""
        self.key = b""
        """The id of the machine's key that it came in with; b"": it came with a password."""
        self.record = b""
        """The OPAQUE record of the password that this session began with, or has set."""
        self.connection: Any = None
        self.parked: float | None = None
        """When the connection was lost (seconds, monotonic); None while live."""
        self.received: int | None = None
        """Frames of the lost connection that were opened."""
        self.by_password = True
        """The session came by a login, not by a resume."""
        self.used = login
        """Time of the last call (seconds, wall clock)."""
        self.stored = login
        """What the store knows of `used`, or will with the next batch."""
        self.over = False
        """It has ended, and does not come back."""


class Tabs:
    """All tabs of this process, live and parked."""

    __slots__ = ("_all", "_by_slot")

    def __init__(self) -> None:
        self._all: set[Tab] = set()
        self._by_slot: dict[bytes, Tab] = {}

    def add(self, tab: Tab) -> None:
        self._all.add(tab)
        if tab.slot is not None:
            self._by_slot[tab.slot] = tab

    def bind(self, tab: Tab, slot: bytes) -> None:
        """The tab has registered a resume key; its slot is *slot* from now on."""
        if tab.slot is not None:
            self._by_slot.pop(tab.slot, None)
        tab.slot, tab.handle, tab.id = slot, b"", session_id(slot)
        self._by_slot[slot] = tab

    def get(self, slot: bytes) -> Tab | None:
        return self._by_slot.get(slot)

    def let_go(self, tab: Tab) -> None:
        """The tab goes on at another process: here it is over, but what runs for it runs on."""
        self._all.discard(tab)
        tab.over = True
        if tab.slot is not None and self._by_slot.get(tab.slot) is tab:
            del self._by_slot[tab.slot]

    def remove(self, tab: Tab) -> None:
        """Ends the tab: its running calls are cancelled, its answers forgotten."""
        self.let_go(tab)
        for call in tab.calls.running():
            if call.cancellation is not None:
                call.cancellation.set()
            if call.task is not None:
                call.task.cancel()

    def of_user(self, domain: str, user: str) -> list[Tab]:
        """Those of the user, and those of others who act as them."""
        return [tab for tab in self._all if tab.domain == domain and user in (tab.user, tab.acting)]

    def __iter__(self) -> Iterator[Tab]:
        return iter(tuple(self._all))

    def __len__(self) -> int:
        return len(self._all)


def digest(uri: str, args: list[Any] | None, kwargs: dict[str, Any] | None) -> bytes:
    """What an id stands for: the address and the arguments, as they are, not as they were encoded."""
    positional = values.tag(args, "msgpack") if args else None
    named = values.tag(kwargs, "msgpack") if kwargs else None
    return hashlib.sha256(_encode((uri, positional, named))).digest()
