"""`PyClient`: the services of an App from the same process, as from afar."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from limen import App, PyClient, exc, get_state


@pytest.fixture(scope="module")
def app() -> App:
    app = App()
    app.auth.add_user("ada", "correct horse", roles=["nurse"], profile={"ward": 7})

    @app.service()
    def who() -> list[object]:
        state = get_state()
        return [state.user, state.role, state.profile["ward"], state.sealed, state.domain]

    @app.service(safe=False)
    def count(to: int) -> Iterator[int]:
        yield from range(to)

    @app.service(safe=False, inline=True)
    def count_inline(to: int) -> Iterator[int]:
        yield from range(to)

    @app.service(safe=False)
    async def count_async(to: int) -> AsyncIterator[int]:
        for n in range(to):
            yield n

    return app


def test_a_login_is_the_real_one_and_a_logout_ends_it(app: App) -> None:
    with PyClient(app) as client:
        client.login("Ada", "correct horse")
        assert client.safe_call("who") == ["ada", "nurse", 7, True, "localhost"]
        assert client.call("/who.json") == client.safe_call("who")
        client.logout()
        with pytest.raises(exc.Unauthorized):
            client.safe_call("who")
        with pytest.raises(exc.Unauthorized):
            client.call("who")


@pytest.mark.parametrize("user", ["ada", "eve"])
def test_a_wrong_password_and_an_unknown_user_sound_the_same(app: App, user: str) -> None:
    with PyClient(app) as client, pytest.raises(exc.InvalidCredential, match="User, password or domain is not right"):
        client.login(user, "wrong horse")


@pytest.mark.parametrize("service", ["count", "count_inline", "count_async"])
async def test_a_stream_comes_value_by_value_or_as_a_list(app: App, service: str) -> None:
    client = PyClient(app)
    assert [n async for n in client.stream(service, 3)] == [0, 1, 2]
    assert await client.acall(service, to=3) == [0, 1, 2]


def test_errors_are_those_of_the_services(app: App) -> None:
    with PyClient(app) as client:
        with pytest.raises(exc.NotFound):
            client.call("nothing")
        with pytest.raises(exc.InvalidArguments):
            client.call("count", to="many")
        with pytest.raises(exc.InvalidAddress):
            client.call("not an address")
