"""Where services stand, and which one an address means."""

from __future__ import annotations

from typing import Any

import pytest

from limen.base.config import Config
from limen.base.principal import Principal
from limen.service.registry import Registry
from limen.service.service import Service
from limen.service.topic import Topic


def service(path: str, **options: Any) -> Service:
    return Service(lambda *args: args, path, **options)


@pytest.fixture
def registry() -> Registry:
    registry = Registry(Config())
    for path in ("echo", "echo/deep", "a/b", "report"):
        registry.add(service(path, output={"csv": str} if path == "report" else {}))
    return registry


@pytest.mark.parametrize(
    ("path", "uri", "rest", "extension"),
    [
        ("/echo", "echo", [], None),
        ("/echo.json", "echo", [], "json"),
        ("/echo.txt", "echo", [], "txt"),
        ("/echo.raw", "echo", [], "raw"),
        ("/echo/", "echo", [], None),
        ("/echo/1/2/3.json", "echo", ["1", "2", "3"], "json"),
        ("/echo/1.5", "echo", ["1.5"], None),
        ("/echo/1.5.json", "echo", ["1.5"], "json"),
        ("/echo/a.csv", "echo", ["a.csv"], None),
        ("/echo/.json", "echo", [""], "json"),
        ("/echo//x", "echo", ["", "x"], None),
        ("/echo/deep", "echo.deep", [], None),
        ("/echo/deep/er.txt", "echo.deep", ["er"], "txt"),
        ("/echo/deep.json", "echo.deep", [], "json"),
        ("/echo/deep.csv", "echo", ["deep.csv"], None),
        ("/echo/deeper", "echo", ["deeper"], None),
        ("/a/b", "a.b", [], None),
        ("/report.csv", "report", [], "csv"),
        ("/report/2026.csv", "report", ["2026"], "csv"),
    ],
)
def test_the_longest_path_wins_and_only_registered_extensions_count(
    registry: Registry, path: str, uri: str, rest: list[str], extension: str | None
) -> None:
    match = registry.by_path(path)
    assert match is not None
    assert (match.service.uri, match.rest, match.extension) == (uri, rest, extension)


@pytest.mark.parametrize("path", ["/", "", "/a", "/a.json", "/nothing", "/echo.csv", "/.json", "/echoes", "/b/echo"])
def test_nothing_stands_elsewhere(registry: Registry, path: str) -> None:
    assert registry.by_path(path) is None


def test_decoded_segments_may_hold_slashes(registry: Registry) -> None:
    match = registry.by_path(["echo", "a/b.json"])
    assert match is not None
    assert (match.rest, match.extension) == (["a/b"], "json")
    assert registry.by_path([]) is None


def test_a_uri_has_one_service(registry: Registry) -> None:
    found = registry.by_uri("a.b")
    assert found is not None
    assert found.urlpath == "a/b"
    assert registry.by_uri("a/b") is None


def test_a_duplicate_is_refused_and_the_other_is_named(registry: Registry) -> None:
    with pytest.raises(ValueError, match=r"/echo is taken by .*force_define"):
        registry.add(service("echo"))


def test_force_define_takes_the_place(registry: Registry) -> None:
    new = service("echo", force_define=True)
    registry.add(new)
    assert registry.by_uri("echo") is new


def test_in_development_a_module_may_declare_again() -> None:
    config = Config()
    config.IS_DEVELOPMENT = True
    registry = Registry(config)
    registry.add(service("echo"))
    new = service("echo")
    registry.add(new)
    registry.add_topic(Topic("a.b"))
    registry.add_topic(Topic("a.b"))
    match = registry.by_path("/echo")
    assert match is not None
    assert match.service is new


def test_mounting_gives_a_prefix_now_and_later(registry: Registry) -> None:
    outer = Registry()
    outer.mount("/v1/", registry)
    registry.add(service("later"))
    for uri in ("v1.echo", "v1.a.b", "v1.later"):
        assert outer.by_uri(uri) is not None
    match = outer.by_path("/v1/later/7.json")
    assert match is not None
    assert (match.service.uri, match.rest, match.extension) == ("v1.later", ["7"], "json")
    assert registry.by_uri("v1.echo") is None


def test_mounted_duplicates_are_refused(registry: Registry) -> None:
    outer = Registry()
    outer.mount("v1", registry)
    with pytest.raises(ValueError, match="v1/echo"):
        outer.mount("v1", registry)


def test_a_topic_is_declared_once() -> None:
    registry = Registry()
    topic = Topic("todo.changed")
    registry.add_topic(topic)
    assert registry.topic("todo.changed") is topic
    assert registry.topics == {"todo.changed": topic}
    with pytest.raises(ValueError, match=r"todo\.changed"):
        registry.add_topic(Topic("todo/changed"))


def test_who_may_subscribe() -> None:
    anyone = Principal("localhost", "192.0.2.1")
    ada = Principal("localhost", "192.0.2.1", user="ada", roles=("user",), sealed=True)
    assert [Topic("t").may_subscribe(p) for p in (anyone, ada)] == [False, True]
    assert [Topic("t", safe=False).may_subscribe(p) for p in (anyone, ada)] == [True, True]
    assert [Topic("t", roles=("admin",)).may_subscribe(p) for p in (anyone, ada)] == [False, False]
    only_ada = Topic("t", check_perm=lambda state: state.user == "ada" and state.service == "t")
    assert [only_ada.may_subscribe(p) for p in (anyone, ada)] == [False, True]
    signed = Principal("localhost", "192.0.2.1", user="pump", roles=("admin",))
    in_clear = Topic("t", safe=False, roles=("admin",))
    assert [in_clear.may_subscribe(p) for p in (anyone, ada, signed)] == [False, False, True]
    assert not Topic("t", roles=("admin",)).may_subscribe(signed)
