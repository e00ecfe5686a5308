"""`PyClient`: services from the same process, with everything but the wire."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

import limen
from limen import App, AsyncPyClient, PyClient, exc, get_state


@pytest.fixture(scope="module")
def app() -> App:
    app = App()
    app.asked = 0  # type: ignore[attr-defined]
    app.add_domain("clinic.example")
    app.auth.add_user("ada", "correct horse", roles=["nurse", "user"], profile={"name": "Ada"})
    app.auth.add_user("ada", "battery staple", domain="clinic.example")
    app.auth.add_user("out", "correct horse")
    app.auth.disable("out")

    @app.service()
    def secret() -> str:
        app.asked += 1  # type: ignore[attr-defined]
        return "sealed"

    @app.service(safe=False)
    def add(a: int, b: int = 0) -> int:
        return a + b

    @app.service(safe=False, urlpath="deep/echo")
    def echo(value: Any) -> Any:
        return value

    @app.service(roles=["boss"])
    def for_bosses() -> None: ...

    @app.service(safe=False)
    async def who() -> list[Any]:
        await asyncio.sleep(0)
        state = get_state()
        return [state.user, list(state.roles), state.domain, state.origin, state.sealed, state.profile.get("name")]

    @app.service(safe=False)
    def count(to: int) -> Iterator[int]:
        yield from range(to)

    @app.service(safe=False)
    async def count_later(to: int) -> AsyncIterator[int]:
        for n in range(to):
            yield n

    @app.service(safe=False, inline=True)
    def count_now(to: int) -> Iterator[int]:
        yield from range(to)

    @app.service(safe=False)
    async def breaks_off() -> AsyncIterator[int]:
        yield 1
        raise exc.RecordNotFound("That was all.", id=7)

    @app.service(safe=False, log_exc=False)
    def fail() -> None:
        raise ZeroDivisionError("a secret of the server")

    return app


@pytest.fixture
def client(app: App) -> Iterator[PyClient]:
    with PyClient(app) as client:
        yield client


# -- who --------------------------------------------------------------------------------------------------------
def test_a_login_is_the_real_one(client: PyClient) -> None:
    client.login("ＡＤＡ", "correct horse")
    assert client.safe_call("secret") == "sealed"
    assert client.call("who") == ["ada", ["nurse", "user"], "localhost", "", True, "Ada"]


@pytest.mark.parametrize(
    ("user", "password"), [("ada", "wrong"), ("ada", "battery staple"), ("nobody", "x"), ("out", "correct horse")]
)
def test_what_is_wrong_with_a_login_is_not_told(client: PyClient, user: str, password: str) -> None:
    with pytest.raises(exc.InvalidCredential) as refused:
        client.login(user, password)
    assert str(refused.value) == str(exc.InvalidCredential())
    with pytest.raises(exc.Unauthorized):
        client.safe_call("secret")


def test_each_domain_has_its_own_users(app: App) -> None:
    with PyClient(app, domain="clinic.example") as client:
        client.login("ada", "battery staple")
        assert client.call("who")[:3] == ["ada", ["user"], "clinic.example"]


def test_a_password_of_the_unknown_is_worked_on_all_the_same(app: App) -> None:
    """A record that can't be used stands for an unknown user, and nothing breaks."""
    accounts = app.vault.accounts
    app.auth.add_user("broken", "correct horse")
    account = accounts.get("localhost", "broken")
    assert account is not None
    accounts.put(replace(account, record=bytes(192)))
    with PyClient(app) as client, pytest.raises(exc.InvalidCredential):
        client.login("broken", "correct horse")


def test_without_a_login_a_sealed_service_is_not_even_asked(app: App, client: PyClient) -> None:
    before = app.asked  # type: ignore[attr-defined]
    for call in (client.safe_call, client.call):
        with pytest.raises(exc.Unauthorized):
            call("secret")
    client.login("ada", "correct horse")
    client.logout()
    with pytest.raises(exc.Unauthorized):
        client.safe_call("add", 1)
    assert client.call("add", 1) == 1
    assert app.asked == before  # type: ignore[attr-defined]


def test_a_test_may_be_anyone(app: App) -> None:
    with PyClient(app, user="eve", roles=("boss",)) as client:
        assert client.safe_call("for_bosses") is None
    with PyClient(app, user="eve") as client, pytest.raises(exc.Forbidden):
        client.safe_call("for_bosses")


# -- calls ------------------------------------------------------------------------------------------------------
def test_addresses_may_be_spelt_as_in_a_page(client: PyClient) -> None:
    for name in ("deep.echo", "deep/echo", "/deep/echo", "/deep/echo.json"):
        assert client.call(name, 1) == 1
    with pytest.raises(exc.NotFound):
        client.call("deep")
    for name in ("", "/", "a b", "a..b"):
        with pytest.raises(exc.InvalidAddress):
            client.call(name)


def test_arguments_and_results_cross_as_values(client: PyClient) -> None:
    value = {"a": [Decimal("1.50"), (1, 2), {3}, b"\x00", 2**80, None], "$x": 1}
    assert client.call("deep.echo", value) == value
    kept: list[int] = [1]
    assert client.call("deep.echo", kept) is not kept
    with pytest.raises(exc.InvalidValue, match=r"\$"):
        client.call("deep.echo", object())
    assert client.call("add", 1, b=2) == 3
    with pytest.raises(exc.InvalidArguments):
        client.call("add", "many")
    with pytest.raises(exc.InvalidCall):
        client.call("add")


def test_a_failure_tells_nothing_of_the_server(client: PyClient) -> None:
    with pytest.raises(exc.InternalError) as raised:
        client.call("fail")
    assert "secret" not in str(raised.value)
    assert raised.value.facts.keys() == {"incident"}


@pytest.mark.parametrize("name", ["count", "count_later", "count_now"])
async def test_a_stream_comes_as_a_list_or_as_it_comes(app: App, name: str) -> None:
    client = AsyncPyClient(app)
    assert await client.call(name, 3) == [0, 1, 2]
    assert [n async for n in client.stream(name, 3)] == [0, 1, 2]
    async for n in client.stream(name, 10**6):
        if n == 2:
            break


@pytest.mark.parametrize("name", ["count", "count_later", "count_now"])
def test_without_a_loop_too(client: PyClient, name: str) -> None:
    assert client.call(name, 2) == [0, 1]
    assert list(client.stream(name, 3)) == [0, 1, 2]
    with client.stream(name, 10**6) as numbers:
        assert next(numbers) == 0


def test_a_stream_that_breaks_off_gives_what_it_had(client: PyClient) -> None:
    stream = client.stream("breaks_off")
    assert next(stream) == 1
    with pytest.raises(exc.RecordNotFound, match="That was all"):
        next(stream)


def test_many_threads_may_use_one_client(client: PyClient) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda n: client.call("add", n, 1), range(100))) == list(range(1, 101))


def test_closing_leaves_nothing_and_is_no_end(app: App) -> None:
    client = PyClient(app)
    for _ in range(2):
        assert client.call("add", 1) == 1
        client.close()
        client.close()
        assert not [thread for thread in threading.enumerate() if thread.name == "limen-client"]


def test_without_an_app_it_is_the_default_one() -> None:
    service = limen.default.service(safe=False, force_define=True)

    @service
    def of_the_default_app() -> int:
        return 7

    with PyClient() as client:
        assert client.call("of_the_default_app") == 7
