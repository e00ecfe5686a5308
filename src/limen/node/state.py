"""State: a node is a dictionary whose readers follow it.

    class Cart(Node):
        @call
        def add(self, what: str) -> None:
            self["items"] = [*self.get("items", ()), what]

    stop = effect(lambda: print(cart["items"]))      runs again when that key has another value
    undo = cart.watch(lambda changes: …)             is told what has changed, once a batch
    mirror = await node.remote("@cart").stream()     the same dictionary, wherever the cart is (`mirror`)

Values are immutable: what is put in is frozen (`frozen`), so that each change is one that all are told of. A node is
always true, and equal to itself alone, whatever it holds.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, MutableMapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from limen import exc
from limen.core.react import Change, ReactiveDict, batch, is_followed

from .declared import call
from .frozen import frozen
from .mirror import STREAM, Mirror, Sender

if TYPE_CHECKING:
    from .proxy import CallOptions
    from .signal import Signal


class State(MutableMapping[str, Any]):
    """The dictionary of a node; see the module. Nothing is made of it until it holds or is followed."""

    __slots__ = ("_state", "_stateful")

    _state: ReactiveDict[str, Any] | None
    _stateful: bool  # there was a key

    _limen_own = True

    if TYPE_CHECKING:
        on_node_unbind: ClassVar[Signal]
        _values_from: Callable[..., AsyncGenerator[Any, None]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        made = super().__new__(cls)
        object.__setattr__(made, "_state", None)
        object.__setattr__(made, "_stateful", False)
        return made

    def __getitem__(self, key: str) -> Any:
        return self._followed[key]

    def __setitem__(self, key: str, value: Any) -> None:
        if type(key) is not str:
            raise exc.InvalidValue(f"The key {key!r} is no text; keys of nodes are, so that all can read them.")
        value = frozen(value, key)
        if not self._stateful:
            object.__setattr__(self, "_stateful", True)
            self._state_began()
        self._made()[key] = value

    def __delitem__(self, key: str) -> None:
        del self._followed[key]

    def __contains__(self, key: object) -> bool:
        return key in self._followed

    def __iter__(self) -> Iterator[str]:
        return iter(self._followed)

    def __len__(self) -> int:
        return len(self._followed)

    def __bool__(self) -> bool:
        return True

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def update(self, *data: Any, **more: Any) -> None:
        """As a dictionary's; one change for those who follow."""
        with batch():
            super().update(*data, **more)

    def clear(self) -> None:
        """Removes every key; one change for those who follow."""
        self._followed.clear()

    def watch(self, listener: Callable[[tuple[Change, ...]], object]) -> Callable[[], None]:
        """Tells *listener* the changes of each batch: one for each key that has another value at the end of it. What is
        returned ends it when it is called."""
        return self._made().watch(listener)

    @call(STREAM)
    async def stream(self) -> AsyncGenerator[list[Any], None]:
        """What the dictionary holds, then what changes, until the node is unbound: what mirrors are made of."""
        sender = Sender(self._made())
        undo = self.on_node_unbind.connect(sender.end)
        try:
            async for message in sender:
                yield message
        finally:
            undo()
            sender.close()

    async def _mirrored(self, address: str, options: CallOptions) -> Mirror:
        """The mirror of the node at *address*, as this one sees it; it ends with this one, too."""
        mirror = Mirror(address)
        await mirror.follow(lambda: self._values_from(f"{address}.{STREAM}", (), {}, options))
        self.on_node_unbind.connect(mirror.close)
        return mirror

    @property
    def _followed(self) -> ReactiveDict[str, Any]:
        """What is read: of a node that holds nothing an empty one, unless somebody follows what is read."""
        if self._state is None and not is_followed():
            return _EMPTY
        return self._made()

    def _made(self) -> ReactiveDict[str, Any]:
        state = self._state
        if state is None:
            state = ReactiveDict(name=type(self).__name__)
            object.__setattr__(self, "_state", state)
        return state

    def _state_began(self) -> None:
        """The node is about to hold its first key: from now on it can be mirrored."""


_EMPTY: ReactiveDict[str, Any] = ReactiveDict(name="an empty node")
