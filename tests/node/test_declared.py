"""What a class declares."""

from __future__ import annotations

from functools import partial, wraps
from typing import Any

import pytest

from limen import exc
from limen.node.declared import Listens, call, declared, handler
from limen.node.node import Node
from limen.node.signal import Signal, signal


class First:
    on_foo = Signal()

    @call
    def one(self) -> str:
        return "one"

    @call("other")
    async def named(self) -> None: ...

    @call(".")
    def itself(self) -> None: ...

    @handler("on_foo")
    def a(self) -> None: ...

    @handler("on_foo")
    @handler("@second")
    @handler("#view.on_x")
    def b(self) -> None: ...


def test_the_table_of_a_class() -> None:
    table = declared(First)
    assert table.calls == {"one": "one", "other": "named", ".": "itself"}
    assert table.signals == {"on_foo": First.on_foo}
    assert table.own == {"on_foo": ("a", "b")}
    assert table.elsewhere == (Listens("b", "@second", None), Listens("b", "#view", "on_x"))
    assert declared(First) is table


def test_a_table_is_frozen() -> None:
    with pytest.raises(TypeError):
        declared(First).calls["two"] = "two"  # type: ignore[index]


def test_a_marked_method_stays_the_method_it_is() -> None:
    assert First().one() == "one"


def test_a_method_that_overrides_stays_what_it_was_where_it_was() -> None:
    class Second(First):
        def a(self) -> None: ...
        def one(self) -> str:
            return "two"

        @handler("on_foo")
        def c(self) -> None: ...

    assert declared(Second).own == {"on_foo": ("a", "b", "c")}
    assert declared(Second).calls["one"] == "one"


def test_a_decorator_says_anew_what_a_method_is() -> None:
    class Second(First):
        @call("uno")
        def one(self) -> str: ...

        @handler("@elsewhere")
        def a(self) -> None: ...

        @handler("on_foo")
        def b(self) -> None: ...

    table = declared(Second)
    assert "one" not in table.calls
    assert table.calls["uno"] == "one"
    assert table.own == {"on_foo": ("b",)}
    assert table.elsewhere == (Listens("a", "@elsewhere", None),)


def test_none_takes_away() -> None:
    class Second(First):
        one = None  # type: ignore[assignment]
        b = None  # type: ignore[assignment]

    assert "one" not in declared(Second).calls
    assert declared(Second).own == {"on_foo": ("a",)}
    assert declared(Second).elsewhere == ()

    class Third(First):
        on_foo = None  # type: ignore[assignment]

    assert declared(Third).signals == {}
    assert declared(Third).own == {}


def test_a_base_class_is_not_changed_by_its_subclasses() -> None:
    before = declared(First)

    class Second(First):
        @call
        def more(self) -> None: ...

    assert "more" in declared(Second).calls
    assert declared(First) is before
    assert "more" not in before.calls


class Top:
    on_down = Signal()
    on_up = Signal("bottom-up")

    @handler("on_down")
    @handler("on_up")
    def top(self) -> None: ...

    @handler("on_down")
    @handler("on_up")
    def top_too(self) -> None: ...


class Left(Top):
    @handler("on_down")
    @handler("on_up")
    def left(self) -> None: ...


class Right(Top):
    @handler("on_down")
    @handler("on_up")
    def right(self) -> None: ...


class Bottom(Left, Right):
    @handler("on_down")
    @handler("on_up")
    def bottom(self) -> None: ...


def test_handlers_are_sorted_along_the_hierarchy() -> None:
    assert declared(Bottom).own == {
        "on_down": ("top", "top_too", "right", "left", "bottom"),
        "on_up": ("bottom", "left", "right", "top", "top_too"),
    }


def test_a_mixin_of_any_kind_declares_too() -> None:
    class Mixin:
        @call
        def mixed(self) -> None: ...

    class Second(Mixin, First): ...

    assert set(declared(Second).calls) == {"one", "other", ".", "mixed"}


def test_a_mark_goes_through_other_decorators() -> None:
    def logged(function: Any) -> Any:
        @wraps(function)
        def wrapper(*args: Any) -> Any:
            return function(*args)

        return wrapper

    class Second:
        @logged
        @call
        def inner(self) -> None: ...

        @call
        @staticmethod
        def static() -> None: ...

        @staticmethod
        @call
        def static_too() -> None: ...

        @classmethod
        @call
        def of_class(cls) -> None: ...

        part = call(partial(print))

    assert set(declared(Second).calls) == {"inner", "static", "static_too", "of_class", "part"}


@pytest.mark.parametrize(
    ("address", "listens"),
    [
        ("@first.second", ("@first.second", None)),
        ("@first.second.on_foo", ("@first.second", "on_foo")),
        ("@", ("@", None)),
        ("@on_foo", ("@", "on_foo")),
        ("#view", ("#view", None)),
        ("#view.child.on_x", ("#view.child", "on_x")),
        ("other.place", ("other.place", None)),
        ("place.on_x", ("place", "on_x")),
    ],
)
def test_addresses_of_handlers(address: str, listens: tuple[str, str | None]) -> None:
    cls = type("Second", (), {"f": handler(address)(lambda self: None)})
    assert declared(cls).elsewhere == (Listens("f", *listens),)


def made(**attributes: Any) -> Any:
    return declared(type("Second", (First,), attributes))


def method(self: Any) -> None: ...


def fresh() -> Any:
    return lambda self: None


@pytest.mark.parametrize(
    ("attributes", "why"),
    [
        ({"foo": Signal()}, "'foo' has to begin with on_: `on_foo = Signal"),
        ({"on_bar": Signal}, "on_bar is the class of signals, and none of them: `on_bar = Signal"),
        ({"_hidden": call(fresh())}, "'_hidden' begins with _"),
        ({"a1": call("x")(fresh()), "a2": call("x")(fresh())}, "a1 and a2 are both the call 'x'"),
        ({"again": call("one")(fresh())}, "one = None"),
        ({"on_call": call(fresh())}, "begins with on_"),
        ({"f": call("node_stream")(fresh())}, "begins with node_"),
        ({"f": call("a.b")(fresh())}, "has a dot"),
        ({"one": 5}, "one is a call in a base class, and 5 here"),
        ({"on_foo": method}, "@handler\\('on_foo'\\)"),
        ({"one": Signal(name="one")}, "a signal here"),
        ({"f": handler("on_fooo")(fresh())}, "there is no such signal; there is on_foo"),
        ({"f": handler("foo")(fresh())}, "@foo, counted from the base"),
        ({"f": handler("@x.on_node_bind")(fresh())}, "@handler\\('on_node_bind'\\)"),
        ({"f": handler("@on_x.y")(fresh())}, "nothing is below one"),
    ],
)
def test_a_mistake_says_what_to_do(attributes: dict[str, Any], why: str) -> None:
    with pytest.raises(TypeError, match=why):
        made(**attributes)


def test_an_address_that_is_none_is_told() -> None:
    with pytest.raises(exc.InvalidAddress, match="Part 2"):
        made(f=handler("@a..b")(fresh()))
    with pytest.raises(exc.InvalidAddress):
        made(f=call("a b/c")(fresh()))


def test_one_signal_has_one_name() -> None:
    both = Signal()
    with pytest.raises(TypeError, match="a Signal\\(\\) for each name"):
        made(on_a=both, on_b=both)


def test_a_class_of_the_framework_keeps_its_names() -> None:
    class Ours:
        _limen_own = True

        @call
        def get(self) -> None: ...

        @call
        def node_values(self) -> None: ...

    class Theirs(Ours):
        def get(self) -> None: ...

    class Wrong(Ours):
        @call
        def node_values(self) -> None: ...

    class WrongToo(Ours):
        @call
        def get(self) -> None: ...

    assert set(declared(Theirs).calls) == {"get", "node_values"}
    with pytest.raises(TypeError, match="node_values is a method of Ours"):
        declared(Wrong)
    with pytest.raises(TypeError, match="@call\\('get'\\) above it"):
        declared(WrongToo)


def test_what_the_framework_calls_by_itself_is_not_replaced_by_a_name_that_happens_to_be_the_same() -> None:
    class Ours:
        _limen_own = True

        def _log(self) -> None: ...

    class OursToo(Ours):
        _limen_own = True

        def _log(self) -> None: ...

    class Theirs(OursToo):
        def _note(self) -> None: ...

    class Wrong(Theirs):
        def _log(self) -> None: ...

    declared(Theirs)
    with pytest.raises(TypeError, match="In the class Wrong: _log is a name that the class above works by itself"):
        declared(Wrong)
    with pytest.raises(TypeError, match="_call is a name"):
        type("Wrong", (Node,), {"_call": lambda self, number: number})


def test_call_may_be_written_as_a_call_like_service() -> None:
    class Second:
        @call()
        def one(self) -> None: ...

    assert declared(Second).calls == {"one": "one"}


def test_decorators_stand_above_methods() -> None:
    with pytest.raises(TypeError, match="above a method"):
        call(5)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="is no address"):
        handler(method)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="can't be marked"):
        call(len)


def test_the_wrappers_of_a_signal_are_no_signals() -> None:
    class Second:
        @signal
        def on_moved(self, x: int) -> None: ...

        @on_moved.notifying
        async def _(self, notify: Any, x: int) -> None: ...

    assert set(declared(Second).signals) == {"on_moved"}
