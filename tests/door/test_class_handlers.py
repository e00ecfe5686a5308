"""A class as a handler (P3): by HTTP method, and by name over WAMP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from http_site import Site

from limen import App, PyClient, exc, get_state
from limen.service.describe import describe
from limen.service.describe.openapi import openapi

MADE: list[object] = []


def declare(service: Any) -> type:
    @service("todo/item", safe=False, cors=["https://partner.example"])
    class Item:
        def __init__(self) -> None:
            MADE.append(self)

        def get(self, id: int) -> list[Any]:
            """The item."""
            return ["got", id, get_state().service]

        async def post(self, text: str, done: bool = False) -> list[Any]:
            return ["posted", text, done]

        @staticmethod
        def put(id: int, text: str) -> list[Any]:
            return ["put", id, text]

        @classmethod
        def delete(cls, id: int) -> list[Any]:
            return ["deleted", id, cls.__name__]

        def helper(self) -> None:
            raise AssertionError

    return Item


async def test_each_method_answers_its_own(site: Site) -> None:
    declare(site.service)
    assert (await site.get("/todo/item/7")).value == ["got", 7, "todo.item.get"]
    assert (await site.post("/todo/item", {"text": "tea"})).value == ["posted", "tea", False]
    assert (await site.ask("PUT", "/todo/item/7", b'{"text": "tea"}')).value == ["put", 7, "tea"]
    assert (await site.ask("DELETE", "/todo/item/7.json")).value == ["deleted", 7, "Item"]
    head = await site.ask("HEAD", "/todo/item/7")
    assert (head.status, head.body) == (200, b"")


async def test_a_method_that_it_has_not_gets_405_with_allow(site: Site) -> None:
    declare(site.service)
    refused = await site.ask("PATCH", "/todo/item/7", b"{}")
    assert (refused.status, refused.exc) == (405, "MethodNotAllowed")
    assert refused.headers["allow"] == "GET, HEAD, POST, PUT, DELETE, OPTIONS"
    assert (await site.ask("OPTIONS", "/todo/item")).headers["allow"] == refused.headers["allow"]


async def test_by_name_it_is_called_with_post(site: Site) -> None:
    declare(site.service)
    assert (await site.post("/todo/item/get", [7])).value == ["got", 7, "todo.item.get"]
    assert (await site.post("/todo/item/delete", {"id": 7})).value == ["deleted", 7, "Item"]
    assert (await site.get("/todo/item/get")).status == 405


async def test_openapi_tells_each_method(site: Site) -> None:
    declare(site.service)
    paths = openapi(describe(site.registry), title="")["paths"]
    assert set(paths["/todo/item/{id}"]) == {"get", "head", "put", "delete"}
    assert set(paths["/todo/item"]) == {"get", "head", "post", "put", "delete"}


async def test_other_sites_are_told_its_methods(site: Site) -> None:
    declare(site.service)
    told = {"origin": "https://partner.example", "access_control_request_method": "PUT"}
    preflight = await site.ask("OPTIONS", "/todo/item", **told)
    assert preflight.headers["access-control-allow-methods"] == "DELETE, GET, HEAD, POST, PUT"
    assert (await site.ask("DELETE", "/todo/item/7", origin="https://evil.example")).status == 403


async def test_each_call_has_an_instance_of_its_own(site: Site) -> None:
    declare(site.service)
    MADE.clear()
    await site.get("/todo/item/7")
    await site.get("/todo/item/7")
    assert len(set(map(id, MADE))) == 2
    await site.ask("PUT", "/todo/item/7", b'{"text": "tea"}')
    assert len(MADE) == 2


async def test_a_sealed_class_has_no_url(site: Site) -> None:
    @site.service("vault")
    class Vault:
        def get(self) -> str:
            return "secret"

    assert (await site.get("/vault")).status == 401
    assert (await site.ask("DELETE", "/vault")).status == 401


@pytest.fixture
def client() -> Iterator[PyClient]:
    app = App()
    declare(app.service)
    with PyClient(app) as client:
        yield client


def test_over_wamp_its_methods_have_names(client: PyClient) -> None:
    assert client.call("todo.item.get", 7) == ["got", 7, "todo.item.get"]
    assert client.call("todo.item.post", text="tea") == ["posted", "tea", False]
    for name in ("todo.item", "todo.item.patch", "todo.item.helper"):
        with pytest.raises(exc.NotFound):
            client.call(name, 7)


def test_it_is_mounted_with_its_methods() -> None:
    inner, outer = App(), App()
    declare(inner.service)
    outer.registry.mount("v1", inner.registry)
    assert [service.uri for service in outer.registry] == [
        f"v1.todo.item.{verb}" for verb in ("get", "post", "put", "delete")
    ]
    assert outer.get_url("v1.todo.item", 7) == "/v1/todo/item/7"


def test_what_can_be_no_handler_is_refused() -> None:
    app = App()
    with pytest.raises(TypeError, match="none of the methods"):
        app.service(type("Empty", (), {}))
    with pytest.raises(TypeError, match="without arguments"):

        @app.service()
        class Needy:
            def __init__(self, db: object) -> None: ...
            def get(self) -> None: ...

    with pytest.raises(ValueError, match="methods that it has"):

        @app.service(safe=False, methods=["GET"])
        class Told:
            def get(self) -> None: ...

    with pytest.raises(ValueError, match="no method get"):

        @app.service(safe=False, cache=60)
        class Kept:
            def post(self) -> None: ...

    app.service("a/get")(lambda: 1)
    with pytest.raises(ValueError, match="taken"):

        @app.service("a")
        class Taken:
            def get(self) -> None: ...
