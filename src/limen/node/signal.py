"""Signal: an object says that something happened, and whoever is connected hears it, here and elsewhere.

    >>> import asyncio
    >>> class Door:
    ...     on_open = Signal()
    ...     @handler("on_open")
    ...     def lamp(self, who): print("the lamp goes on for", who)
    >>> door = Door()
    >>> undo = door.on_open.connect(lambda who: print("hello", who))
    >>> asyncio.run(door.on_open.notify("Ada"))
    the lamp goes on for Ada
    hello Ada

What `notify` does, in Python and in JavaScript (`js/src/node/signal.js`; `vectors/signals.json` decides):

1. The arguments are checked, where the signal was made by `@signal`. What does not fit raises `exc.InvalidCall`.
2. The owner publishes them, where it stands in the tree of nodes (`_signal_notified`, see `Owner`).
3. Each handler is called, in this order: those of the class along its hierarchy, those that are connected in the order
   in which they were, those of the connection that listen to the address. Nothing comes between: whoever hears two
   signals hears them in the order in which they were notified.
4. What async handlers have to do is awaited, and the router's acknowledgement. Handlers of the class are one object's
   own work: after an async one the next waits for its end. Connected ones do not know each other: they run together.
5. All have run: what they raised is raised as one `ExceptionGroup`.

A handler that is connected while `notify` runs is not called in that one; one that is disconnected is not called any
more. What handlers return is not looked at.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from types import MethodType
from typing import Any, Protocol, TypeAlias, overload

from limen.node.declared import LOCAL, DeclaredSignal, Order, declared, handler
from limen.node.handlers import Handlers, Round, Undo
from limen.service.binding import Binding

__all__ = ["BoundSignal", "Owner", "Signal", "handler", "listened_to", "signal"]

Handler: TypeAlias = Callable[..., object]


class Owner(Protocol):
    """What a signal asks the object it belongs to; an object without these methods has signals all the same."""

    def _signal_notified(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Awaitable[object] | None:  # pragma: no cover
        """Publishes. Called first, and not for `on_node_…`: what it raises (a value that cannot travel) is raised, and
        nothing has run. What is returned is awaited together with async handlers."""

    def _signal_listeners(self, name: str) -> Iterable[Handlers]:  # pragma: no cover
        """Who else of this connection listens to that signal; called after the signal's own handlers."""
        ...


class Signal(DeclaredSignal):
    """A signal, in a class. Its name begins with `on_`; `instance.on_foo` is a `BoundSignal`.

    *order*: of the handlers that the class declares with `@handler("on_foo")`: "top-down", those of the base class
    first, or "bottom-up".
    """

    __slots__ = ("_binding", "_connecting", "_notifying", "_slot", "body")

    def __init__(self, order: Order = "top-down", name: str | None = None) -> None:
        if order not in ("top-down", "bottom-up"):
            raise TypeError(f"The order of a signal is 'top-down' or 'bottom-up', not {order!r}.")
        self.order = order
        self.name = ""
        self.body: Handler | None = None
        self._binding: Binding | None = None
        self._connecting: Callable[..., Undo | None] | None = None
        self._notifying: Callable[..., Awaitable[object]] | None = None
        if name:
            self._call_it(name)

    def __set_name__(self, owner: type, name: str) -> None:
        if not self.name:
            self._call_it(name)

    def _call_it(self, name: str) -> None:
        self.name = name
        self._slot = _slot(name)

    @overload
    def __get__(self, owner: None, kind: type) -> Signal: ...
    @overload
    def __get__(self, owner: object, kind: type | None = None) -> BoundSignal: ...
    def __get__(self, owner: object | None, kind: type | None = None) -> Signal | BoundSignal:
        return self if owner is None else BoundSignal(self, owner)

    def __set__(self, owner: object, value: object) -> None:
        raise AttributeError(
            f"{self.name} is a signal of {type(owner).__name__} and can't be assigned; "
            f"connect a handler: .{self.name}.connect(…)."
        )

    def __repr__(self) -> str:
        return f"<signal {self.name or 'without a name'}>"

    def notifying(self, wrapper: Callable[..., Awaitable[object]]) -> Signal:
        """*wrapper* stands round every notification: an async method `(self, notify, *args, **kwargs)` that awaits
        `notify(*args, **kwargs)`, with other arguments, or not at all.

        Also round the handlers here when somebody else published; that is not published again.
        """
        self._still_open("notifying")
        if not iscoroutinefunction(wrapper):
            raise TypeError(f"What wraps the notification of a signal is an async def; {wrapper!r} is none.")
        self._notifying = wrapper
        return self

    def connecting(self, wrapper: Callable[..., Undo | None]) -> Signal:
        """*wrapper* stands round every `connect`: a plain method `(self, connect, handler)` that calls
        `connect(handler)`, or connects another function in its place, or nothing. What `connect` gives undoes it."""
        self._still_open("connecting")
        if iscoroutinefunction(wrapper):
            raise TypeError(f"What wraps connect is a plain def; {wrapper!r} is async.")
        self._connecting = wrapper
        return self

    def _still_open(self, what: str) -> None:
        if self.name:
            raise TypeError(
                f"{self.name} belongs to a class already, and to all its subclasses; declare it anew in the one "
                f"that is meant, and then @{self.name}.{what}."
            )

    def checked(self, owner: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        """The arguments as the signature says, after the body had a look at them. Raises InvalidCall, and what the body
        raises."""
        if self.body is None:
            return args, kwargs
        binding = self._binding
        if binding is None:
            binding = self._binding = Binding(MethodType(self.body, owner), parse=False)
        bound, named = binding.bind(list(args), kwargs)
        self.body(owner, *bound, **named)
        return tuple(bound), named


@overload
def signal(body: Callable[..., None], /) -> Signal: ...
@overload
def signal(*, order: Order = "top-down") -> Callable[[Callable[..., None]], Signal]: ...
def signal(
    body: Callable[..., None] | None = None, /, *, order: Order = "top-down"
) -> Signal | Callable[[Callable[..., None]], Signal]:
    """A method as a signal: its signature says what can be notified; its body may raise to refuse it, before anything
    runs.

    >>> import asyncio
    >>> class Pawn:
    ...     @signal
    ...     def on_moved(self, x: int, y: int): "Moved to that field."
    ...     @on_moved.notifying
    ...     async def _(self, notify, x, y):
    ...         print("from", getattr(self, "field", None))
    ...         self.field = (x, y)
    ...         await notify(x, y)
    ...     @on_moved.connecting
    ...     def _(self, connect, handler):
    ...         print("one more looks on")
    ...         return connect(handler)
    >>> pawn = Pawn()
    >>> undo = pawn.on_moved.connect(print)
    one more looks on
    >>> asyncio.run(pawn.on_moved.notify(1, y=2))
    from None
    1 2
    >>> asyncio.run(pawn.on_moved.notify(1, "b"))
    Traceback (most recent call last):
    limen.exc.InvalidArguments: y: Expected `int`, got `str`
    """
    if body is None:
        return partial(_signal, order)
    return _signal(order, body)


def _signal(order: Order, body: Callable[..., None]) -> Signal:
    if not callable(body):
        raise TypeError(f"@signal stands above a method; {body!r} is none.")
    if iscoroutinefunction(body) or isgeneratorfunction(body) or isasyncgenfunction(body):
        raise TypeError(
            f"The body of the signal {body.__name__} only looks at the arguments, so it is a plain def; "
            f"what awaits stands round the notification: @{body.__name__}.notifying."
        )
    made = Signal(order)
    made.body = body
    return made


def listened_to(owner: object, name: str) -> bool:
    """Whether the signal *name* of *owner* has a handler, of its class or connected: else it need not be notified."""
    return name in declared(type(owner)).own or bool(getattr(owner, _slot(name), ()))


def _slot(name: str) -> str:
    """The attribute of an object that has the handlers of its signal *name*."""
    return f"_{name}_handlers"


class BoundSignal:
    """The signal of one object: made when it is asked for, as a bound method is. Only handlers take memory."""

    __slots__ = ("owner", "signal")

    def __init__(self, signal: Signal, owner: object) -> None:
        self.signal = signal
        self.owner = owner

    @property
    def name(self) -> str:
        return self.signal.name

    def connect(self, handler: Handler) -> Undo:
        """*handler* is called with the arguments of each `notify`; it may be async. What is returned undoes it.

        A method of an object is held weakly: it goes with the object. Functions, partials and all else are held.
        A handler that is connected already stays where it is, and is called once.
        """
        handlers: Handlers | None = getattr(self.owner, self.signal._slot, None)
        if handlers is None:
            handlers = Handlers()
            try:
                object.__setattr__(self.owner, self.signal._slot, handlers)
            except AttributeError as error:
                raise TypeError(
                    f"{type(self.owner).__name__} has no place for handlers: put {self.signal._slot!r} into its "
                    "__slots__."
                ) from error
        wrapper = self.signal._connecting
        if wrapper is None:
            return handlers.connect(handler)
        if handler in handlers:
            return handlers.undo(handler)
        return wrapper(self.owner, partial(handlers.connect, known_as=handler), handler) or handlers.undo(handler)

    def disconnect(self, handler: Handler) -> bool:
        """False if *handler* was not connected."""
        handlers: Handlers | None = getattr(self.owner, self.signal._slot, None)
        return handlers is not None and handlers.disconnect(handler)

    def is_connected(self, handler: Handler) -> bool:
        return handler in getattr(self.owner, self.signal._slot, ())

    def __len__(self) -> int:
        """How many are connected; those of the class do not count."""
        return len(getattr(self.owner, self.signal._slot, ()))

    def __bool__(self) -> bool:
        """A signal is true, whether anybody listens or not."""
        return True

    async def notify(self, *args: Any, **kwargs: Any) -> None:
        """Tells all handlers, here and elsewhere; awaits those here, and of the others that the router has it.

        Raises InvalidCall if the arguments do not fit, before anything has run, and an ExceptionGroup of what handlers
        raised, when all have run.
        """
        signal = self.signal
        if signal.body is not None:
            args, kwargs = signal.checked(self.owner, args, kwargs)
        if signal._notifying is not None:
            await signal._notifying(self.owner, self._notify, *args, **kwargs)
        elif awaitable := self._run(args, kwargs, True):
            await awaitable

    def heard(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Awaitable[object] | None:
        """Somebody else published: the signal's own handlers are called, now; nothing is published.

        What is returned has to be awaited; None if nothing is left to do. Raises as `notify` does.
        """
        signal = self.signal
        checked, named = signal.checked(self.owner, tuple(args), dict(kwargs))
        if signal._notifying is not None:
            return signal._notifying(self.owner, self._hear, *checked, **named)
        return self._run(checked, named, False)

    async def _notify(self, *args: Any, **kwargs: Any) -> None:
        if awaitable := self._run(args, kwargs, True):
            await awaitable

    async def _hear(self, *args: Any, **kwargs: Any) -> None:
        if awaitable := self._run(args, kwargs, False):
            await awaitable

    def _run(self, args: tuple[Any, ...], kwargs: dict[str, Any], here: bool) -> Awaitable[None] | None:
        """*here*: it was notified in this place, so it is published, and others in this place are told."""
        owner, name = self.owner, self.signal.name
        round = Round()
        here = here and not name.startswith(LOCAL)
        if here and (publish := getattr(owner, "_signal_notified", None)) is not None:
            published = publish(name, args, kwargs)
            if published is not None:
                round.waiting.append(published)
        own = declared(type(owner)).own.get(name, ())
        before = len(round.waiting)
        for at, attribute in enumerate(own, 1):
            round.call(getattr(owner, attribute), args, kwargs)
            if len(round.waiting) > before:
                round.waiting.append(self._in_turn(round.waiting.pop(), own[at:], args, kwargs, round.errors))
                break
        connected: Handlers | None = getattr(owner, self.signal._slot, None)
        if connected is not None:
            connected.call(args, kwargs, round)
        if here and (listeners := getattr(owner, "_signal_listeners", None)) is not None:
            for listening in listeners(name):
                listening.call(args, kwargs, round)
        if round.waiting:
            return round.finish(self._whose())
        if round.errors:
            round.judge(self._whose())
        return None

    def _whose(self) -> str:
        return f"{type(self.owner).__name__}.{self.name}"

    async def _in_turn(
        self,
        begun: Awaitable[object],
        rest: tuple[str, ...],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        errors: list[Exception],
    ) -> None:
        round = Round(errors)
        round.waiting.append(begun)
        await round.ended()
        for attribute in rest:
            round.call(getattr(self.owner, attribute), args, kwargs)
            await round.ended()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BoundSignal):
            return NotImplemented
        return self.owner is other.owner and self.signal is other.signal

    def __hash__(self) -> int:
        return hash((id(self.owner), self.signal.name))

    def __repr__(self) -> str:
        return f"<signal {self.name} of {type(self.owner).__name__}>"
