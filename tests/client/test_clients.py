"""One API: each client does the same, whatever way it takes."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen
from uuid import UUID

import offered
import pytest
from served import Server
from waiting import at_last

import limen
from limen import exc
from limen.client.sync import Client

PROGRAM = Path(offered.__file__)
LIMEN = str(Path(sys.executable).with_name("limen"))
WSGI = offered.make().wsgi()
"""Beside the App behind ASGI: one App is one server's, and behind WSGI it runs until the process ends."""
MAKE: dict[str, Callable[[str], Client]] = {
    "py": lambda url: limen.PyClient(offered.app),
    "asgi": lambda url: limen.AsgiClient(offered.make().asgi(), "http://localhost"),
    "wsgi": lambda url: limen.WsgiClient(WSGI, "http://localhost"),
    "http": lambda url: limen.HttpClient(url),
    "ws": lambda url: limen.WsClient(url),
}
LISTENING = ["asgi", "http", "ws"]
"""Clients that can subscribe."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    database = tmp_path_factory.mktemp("clients") / "clients.db"
    command = [LIMEN, "serve", f"{PROGRAM}:app", "--port", "0", "--dev", "--db", f"sqlite:///{database}"]
    server = Server(command, cwd=PROGRAM.parent, env=dict(os.environ))
    yield server
    server.stop()


@pytest.fixture(scope="module", params=MAKE)
def client(request: pytest.FixtureRequest, server: Server) -> Iterator[Client]:
    """Signed out."""
    with MAKE[request.param](server.url) as client:
        yield client


@pytest.fixture(scope="module")
def typed(server: Server, request: pytest.FixtureRequest) -> Iterator[Client]:
    """One whose values keep their types: all but the signed-out WsClient, which speaks plain WAMP."""
    with MAKE[request.param](server.url) as client:
        if request.param == "ws":
            client.login("ada", "lovelace")
        yield client


# -- calls ------------------------------------------------------------------------------------------------------
VALUES: list[Any] = [
    None,
    True,
    2**80,
    -1.5,
    "grüße\n\u2028",
    b"\x00\xff",
    Decimal("1.50"),
    date(2026, 11, 21),
    UUID(int=7),
    (1, (2,)),
    {1, 2},
    {"a": [1, {"$decimal": "9"}], "b": {}},
    {1: "one"},
]


@pytest.mark.parametrize("typed", MAKE, indirect=True)
def test_values_come_back_as_what_they_were(typed: Client) -> None:
    for value in VALUES:
        back = typed.call("deep.echo", value)
        assert back == value
        assert type(back) is type(value)


def test_a_signed_out_websocket_is_plain_wamp(server: Server) -> None:
    with limen.WsClient(server.url) as client:
        assert client.call("deep.echo", [Decimal("1.50"), date(2026, 11, 21)]) == ["1.50", "2026-11-21"]


def test_arguments_go_by_place_and_by_name_under_any_spelling(client: Client) -> None:
    for name in ("deep.echo", "/deep/echo", "deep/echo.json"):
        assert client.call(name, value=[1]) == [1]
    assert client.call("add", 1, b=2) == 3
    assert client.apply("add", [1], {"b": 2}) == 3


def test_errors_come_by_name_with_their_facts(client: Client) -> None:
    with pytest.raises(offered.NoneLeft, match="No bolt is left") as raised:
        client.call("out_of_stock", "bolt")
    assert raised.value.facts == {"article": "bolt", "left": 0}
    with pytest.raises(exc.NotFound):
        client.call("no.such")
    with pytest.raises(exc.InvalidArguments) as refused:
        client.call("add", "many")
    assert list(refused.value.facts["fields"]) == ["a"]
    with pytest.raises(exc.InvalidValue):
        client.call("deep.echo", object())


def test_many_threads_may_use_one_client(client: Client) -> None:
    results: dict[int, int] = {}
    threads = [threading.Thread(target=lambda n=n: results.update({n: client.call("add", n, 1)})) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {n: n + 1 for n in range(20)}


def test_a_call_that_takes_too_long_is_given_up_and_cancelled_on_the_server(client: Client) -> None:
    name = f"late {client!r}"
    with pytest.raises(exc.Timeout):
        client.apply("sleep", [1.0, name], timeout=0.05)
    if not isinstance(client, limen.WsgiClient):  # WSGI has no way to say that nobody waits any more
        at_last(lambda: client.call("was_cancelled", name))


# -- streams ----------------------------------------------------------------------------------------------------
def test_a_stream_comes_as_a_list_or_value_by_value(client: Client) -> None:
    assert client.call("count", 3) == [0, 1, 2]
    stream = client.stream("count", 1000)
    assert list(stream) == list(range(1000))
    assert stream.result == "done"
    assert list(client.stream("count", 0)) == []
    assert list(client.stream("add", 1, 2)) == []


def test_a_stream_that_is_left_ends_on_the_server(client: Client) -> None:
    name = f"left {client!r}"
    with client.stream("forever", name) as numbers:
        assert [next(numbers), next(numbers)] == [0, 1]
        assert not client.call("was_cancelled", name)
    at_last(lambda: client.call("was_cancelled", name))
    with pytest.raises(StopIteration):
        next(numbers)


def test_a_stream_that_breaks_off_gives_what_it_had_and_then_its_error(client: Client) -> None:
    stream = client.stream("breaks_off")
    assert next(stream) == 1
    with pytest.raises(exc.RecordNotFound, match="That was all") as raised:
        next(stream)
    assert raised.value.facts == {"id": 7}
    with pytest.raises(exc.NotFound):
        next(client.stream("no.such"))


# -- who --------------------------------------------------------------------------------------------------------
def test_signed_out_nothing_sealed_is_sent(client: Client) -> None:
    assert (client.user, client.role, client.roles) == (None, "anonymous", [])
    with pytest.raises(exc.Unauthorized, match="nothing was sent"):
        client.safe_call("whoami")
    with pytest.raises(exc.Unauthorized, match="nothing was sent"):
        client.safe_stream("count", 3)
    with pytest.raises(exc.Unauthorized):
        client.call("whoami")


@pytest.mark.parametrize("kind", MAKE)
def test_a_login_makes_one_a_user_and_a_logout_nobody(server: Server, kind: str) -> None:
    with MAKE[kind](server.url) as client:
        with pytest.raises(exc.InvalidCredential):
            client.login("ada", "wrong")
        assert client.user is None
        client.login("Ada", "lovelace")
        assert (client.user, client.role, client.roles) == ("ada", "nurse", ["nurse", "user"])
        assert client.profile["name"] == "Ada"
        assert client.safe_call("whoami") == client.call("whoami") == "ada"
        assert list(client.safe_stream("count", 2)) == [0, 1]
        client.logout()
        assert client.user is None
        with pytest.raises(exc.Unauthorized):
            client.safe_call("whoami")
        assert client.call("add", 1) == 1


@pytest.mark.parametrize(("kind", "user"), [("http", "emmy"), ("ws", "joan")])
def test_a_session_that_the_server_ended_is_not_replaced_by_an_open_line(server: Server, kind: str, user: str) -> None:
    over: list[Any] = []
    with MAKE[kind](server.url) as client, MAKE[kind](server.url) as elsewhere:
        client.on("signed_out", over.append)
        client.login(user, "lovelace")
        elsewhere.login(user, "lovelace")
        elsewhere.change_password("battery staple")
        with pytest.raises(exc.UnknownSession):
            at_last(lambda: client.call("whoami") is None)
        for ask in (client.call, client.safe_call):
            with pytest.raises(exc.UnknownSession):
                ask("add", 1)
        assert client.state == "closed"
        at_last(lambda: len(over) == 1)
        assert isinstance(over[0], exc.UnknownSession)
        with pytest.raises(exc.InvalidCredential):
            client.login(user, "lovelace")
        client.login(user, "battery staple")
        assert client.safe_call("whoami") == user
        assert elsewhere.safe_call("whoami") == user


def test_a_machine_comes_in_with_its_key(tmp_path: Path) -> None:
    app = offered.make()
    app.auth.add_machine("robot", roles=["machine"])
    path = tmp_path / "robot.key"
    path.write_text(app.auth.add_key("robot").dump())
    path.chmod(0o600)
    with limen.AsgiClient(app.asgi(), "http://localhost") as client:
        client.login(key=path)
        assert (client.user, client.role, client.safe_call("whoami")) == ("robot", "machine", "robot")
        for wrong in (
            {},
            {"user": "ada"},
            {"user": "ada", "password": "lovelace", "key": path},
            {"key": "nowhere.key"},
        ):
            with pytest.raises(exc.InvalidCredential):
                client.login(**wrong)
        assert client.safe_call("whoami") == "robot"


def test_a_client_that_cannot_says_which_one_can() -> None:
    with limen.WsgiClient(WSGI) as client, pytest.raises(exc.InvalidCall, match="WsClient can"):
        client.subscribe("news", print)


# -- topics -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", LISTENING)
def test_handlers_get_the_events_and_may_use_the_client(server: Server, kind: str) -> None:
    heard: list[Any] = []
    with MAKE[kind](server.url) as client:

        def handler(text: str) -> None:
            heard.append((text, client.call("add", len(text))))

        undo = client.subscribe("news", handler)
        client.call("say", "one")
        client.call("say", "four")
        at_last(lambda: len(heard) == 2)
        undo()
        client.call("say", "not heard")
    assert heard == [("one", 3), ("four", 4)]


# -- the end ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", MAKE)
def test_closing_leaves_no_thread_and_is_no_end(server: Server, kind: str) -> None:
    def threads() -> set[int | None]:
        return {thread.ident for thread in threading.enumerate() if thread.name.startswith("limen-client")}

    client, before = MAKE[kind](server.url), threads()
    for _ in range(2):
        assert client.call("add", 1) == 1
        assert threads() > before
        client.close()
        client.close()
        assert threads() == before


def test_a_server_that_is_not_there_is_said_at_once() -> None:
    for make in (limen.HttpClient, limen.WsClient):
        with make("http://localhost:9") as client, pytest.raises(exc.ConnectionLost, match="localhost:9"):
            client.call("add", 1)


# -- files ------------------------------------------------------------------------------------------------------
@pytest.fixture
def picture(tmp_path: Path) -> Path:
    (tmp_path / "grüße.png").write_bytes(bytes(range(256)) * 4096)
    return tmp_path / "grüße.png"


@pytest.mark.parametrize("typed", MAKE, indirect=True)
def test_a_file_goes_with_a_call(typed: Client, picture: Path) -> None:
    told: list[int] = []
    upload = limen.Upload.of(picture, content_type="image/png", progress=lambda done, size: told.append(done))
    expected = ["grüße.png", "image/png", 2**20, 440, "n", 2]
    assert typed.call("put_file", file=upload, note="n", times=2) == expected
    assert told == sorted(told)
    assert told[-1:] in ([2**20], [])  # in process nothing is sent
    assert typed.call("put_file", upload) == [*expected[:4], "", 1]
    assert typed.call("put_files", files=[upload, upload]) == [2**20, 2**20]
    assert picture.exists()


@pytest.mark.parametrize("typed", MAKE, indirect=True)
def test_a_file_that_is_refused_is_an_error_by_name(typed: Client, picture: Path) -> None:
    with pytest.raises(exc.Forbidden):
        typed.call("refuse_file", limen.Upload.of(picture))
    with pytest.raises(exc.InvalidArguments):
        typed.call("put_file", file=limen.Upload.of(picture), wrong=1)


@pytest.mark.parametrize("typed", MAKE, indirect=True)
def test_a_file_that_goes_away_while_it_is_sent_is_no_call(typed: Client, picture: Path) -> None:
    upload = limen.Upload.of(picture)
    picture.unlink()
    with pytest.raises((FileNotFoundError, exc.InternalError)):
        typed.call("put_file", upload)
    assert typed.call("add", 1, 2) == 3


@pytest.mark.parametrize("typed", MAKE, indirect=True)
def test_a_call_gives_a_file(typed: Client, tmp_path: Path) -> None:
    file = typed.call("get_file", 3 * 2**20, "a/../grüße.bin")
    assert (file.filename, file.content_type, file.size) == ("grüße.bin", "application/octet-stream", 3 * 2**20)
    content = file.read()
    assert content == bytes(range(256)) * (3 * 2**12)
    assert b"".join(file) == content
    assert file.save(tmp_path / "saved").read_bytes() == content
    with pytest.raises(FileExistsError):
        file.save(tmp_path / "saved")
    file.save(tmp_path / "saved", replace=True)
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]
    assert typed.call("get_file", 0).read() == b""


def test_what_plain_http_can_not_say_beside_a_file_is_refused_before_anything_is_sent(
    server: Server, picture: Path
) -> None:
    upload = limen.Upload.of(picture)
    with limen.HttpClient(server.url) as client:
        for args, kwargs in (([upload, 1], {}), ([upload], {"file": upload}), ([], {"file": upload, "note": {"a": 1}})):
            with pytest.raises(exc.InvalidCall):
                client.apply("put_file", args, kwargs)


def test_a_link_to_a_sealed_file_is_good_for_once(server: Server) -> None:
    with limen.WsClient(server.url) as client, limen.HttpClient(server.url) as plain:
        client.login("ada", "lovelace")
        path = client.call("get_file", 256).link()
        with urlopen(server.url + path) as answer:
            assert answer.read() == bytes(range(256))
        with pytest.raises(HTTPError, match="404"):
            urlopen(server.url + path)
        with pytest.raises(exc.InvalidCall):
            plain.call("get_file", 256).link()


def test_files_go_sealed_over_the_http_lane(server: Server, picture: Path, tmp_path: Path) -> None:
    with limen.HttpClient(server.url) as client:
        client.login("ada", "lovelace")
        assert client.safe_call("put_file", limen.Upload.of(picture), note="n")[:3] == [
            "grüße.png", "image/png", 2**20
        ]  # fmt: skip
        saved = client.safe_call("get_file", 2**20).save(tmp_path / "saved")
        assert saved.read_bytes() == bytes(range(256)) * 4096
