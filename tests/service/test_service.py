"""Each option: its default, its rule, what contradicts it."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from limen import exc
from limen.service.service import OPTIONS, Kind, Service, address, make_service_decorator

DEFAULTS = {
    "urlpath": "hello",
    "safe": True,
    "ssl": None,
    "auto_parse": True,
    "cache": False,
    "check_perm": None,
    "roles": (),
    "check_abusive": True,
    "csp": None,
    "methods": None,
    "max_upload": None,
    "content_disposition": None,
    "force_download": False,
    "accel": None,
    "cors": (),
    "log_exc": True,
    "postmortem_debug": False,
    "inline": False,
    "force_define": False,
    "timeout": None,
    "output": {},
}


@pytest.fixture
def declared() -> list[Service]:
    return []


@pytest.fixture
def service(declared: list[Service]) -> Any:
    return make_service_decorator(declared.append)


def test_the_function_stays_the_function_it_was(service: Any, declared: list[Service]) -> None:
    def hello(name: str = "World") -> str:
        return f"Hello, {name}!"

    same = service(safe=False)(hello)
    assert same is hello
    assert hello("Ada") == "Hello, Ada!"
    assert hello.__limen_service__ is declared[0]  # type: ignore[attr-defined]


def test_options_can_be_read_from_the_function_and_have_these_defaults(service: Any) -> None:
    @service()
    def hello() -> None: ...

    assert tuple(DEFAULTS) == OPTIONS
    assert {name: getattr(hello, name) for name in OPTIONS} == DEFAULTS


def test_without_parentheses_it_works_as_well(service: Any, declared: list[Service]) -> None:
    @service
    def hello() -> None: ...

    assert declared[0].uri == "hello"
    assert hello.safe is True


@pytest.mark.parametrize(
    ("path", "urlpath", "uri"),
    [("a", "a", "a"), ("/a/b/", "a/b", "a.b"), ("a.b", "a/b", "a.b"), ("A-1~x_y", "A-1~x_y", "A-1~x_y")],
)
def test_the_path_is_given_first_and_is_the_uri_with_slashes(
    service: Any, declared: list[Service], path: str, urlpath: str, uri: str
) -> None:
    @service(path)
    def hello() -> None: ...

    assert (hello.urlpath, declared[0].uri) == (urlpath, uri)


@pytest.mark.parametrize(
    "path", ["", "/", "a//b", "a b", "é", "a?b", "a%20b", "../a", "a..b", "limen/x", "wamp.x", "ws", 7]
)
def test_what_is_no_path_or_is_reserved_is_refused(path: Any) -> None:
    with pytest.raises(exc.InvalidAddress):
        address(path)


def test_what_a_function_is_decides_how_it_is_run(service: Any, declared: list[Service]) -> None:
    @service()
    def plain() -> None: ...

    @service()
    async def slow() -> None: ...

    @service()
    def stream() -> Any:
        yield 1

    @service()
    async def slow_stream() -> Any:
        yield 1

    @service()
    @functools.wraps(slow)
    def wrapped() -> Any:
        return slow()

    class Callable:
        async def __call__(self) -> None: ...

    service("callable")(Callable())
    service("partial")(functools.partial(slow))
    kinds = [Kind.PLAIN, Kind.ASYNC, Kind.STREAM, Kind.ASYNC_STREAM]
    assert [s.kind for s in declared][:4] == kinds
    assert [s.kind for s in declared][4:] == [Kind.ASYNC] * 3


def test_post_always_and_get_if_cache_or_methods_says_so(service: Any, declared: list[Service]) -> None:
    for options in ({}, {"cache": True}, {"methods": ["get"]}, {"methods": "PUT"}, {"methods": ("GET",), "cache": 5}):
        service("x", safe=False, **options)(lambda: None)
    assert [s.allowed_methods for s in declared] == [
        ("POST",),
        ("GET", "HEAD", "POST"),
        ("GET", "HEAD", "POST"),
        ("POST", "PUT"),
        ("GET", "HEAD", "POST"),
    ]
    assert [s.cache_seconds for s in declared] == [0, 3600, 0, 0, 5]


def test_one_text_for_a_list_of_texts(service: Any) -> None:
    @service(roles="admin")
    def a() -> None: ...

    @service(safe=False, cors="https://a.example", methods="put")
    def b() -> None: ...

    assert a.roles == ("admin",)
    assert (b.cors, b.methods) == (("https://a.example",), ("PUT",))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"cache": True}, "safe=False"),
        ({"methods": ["GET"]}, "safe=False"),
        ({"cors": ["*"]}, "safe=False"),
        ({"safe": False, "cache": True, "roles": ["admin"]}, "roles might refuse"),
        ({"safe": False, "cache": 60, "check_perm": bool}, "others"),
        ({"safe": False, "cache": -1}, "above 0"),
        ({"safe": False, "cache": float("inf")}, "above 0"),
        ({"timeout": 0}, "above 0"),
        ({"timeout": 5, "inline": True}, "inline"),
        ({"safe": False, "methods": ["FETCH"]}, "FETCH"),
        ({"safe": False, "cors": ["a.example"]}, "https://"),
        ({"csp": "a\nb"}, "one line"),
        ({"CSV": str}, "lower-case"),
    ],
)
def test_options_that_contradict_each_other_are_refused_with_a_remedy(service: Any, options: Any, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        service("x", **options)(lambda: None)


async def _async_check(state: Any) -> bool:
    return True


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"safe": "yes"}, "True or False"),
        ({"ssl": 1.5}, "ssl"),
        ({"roles": [1]}, "roles"),
        ({"timeout": True}, "seconds"),
        ({"check_perm": "admin"}, "check_perm"),
        ({"check_perm": _async_check}, "plain function"),
        ({"chache": 60}, "did you mean cache"),
        ({"csv": "text/csv"}, "function of the result"),
    ],
)
def test_an_option_of_the_wrong_type_is_refused(service: Any, options: Any, word: str) -> None:
    with pytest.raises(TypeError, match=word):
        service("x", **options)(lambda: None)


@pytest.mark.parametrize("thing", [7, int, classmethod(len), print])
def test_only_functions_can_be_services(service: Any, thing: Any) -> None:
    with pytest.raises(TypeError):
        service("x")(thing)


def test_a_method_of_a_class_is_a_service_below_classmethod(service: Any, declared: list[Service]) -> None:
    class Todo:
        @staticmethod
        @service("todo/count")
        def count() -> int:
            return 7

    assert Todo.count() == 7
    assert declared[0].function() == 7


def test_a_service_is_frozen(service: Any, declared: list[Service]) -> None:
    service("x")(lambda: None)
    with pytest.raises(AttributeError):
        declared[0].safe = False  # type: ignore[misc]
