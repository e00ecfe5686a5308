"""A load test: what is counted, and that it ends. Real servers; no figure of time is judged."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from limen import App, AsyncHttpClient, AsyncPyClient
from limen.client.load import load
from limen.testing.served import Served

LIMEN = str(Path(sys.executable).with_name("limen"))


@pytest.fixture
def app() -> App:
    app = App()

    @app.service(safe=False, ssl=False)
    def half(n: int) -> float:
        return n / 2

    @app.service(safe=False, ssl=False)
    async def never() -> None:
        await asyncio.Event().wait()

    @app.service(safe=False, ssl=False)
    async def numbers(n: int) -> AsyncIterator[int]:
        for number in range(n):
            yield number

    return app


async def test_each_call_is_counted_under_its_name_and_errors_under_theirs(app: App) -> None:
    done = []

    async def visit(client: Any) -> None:
        assert await client.call("half", 3) == 1.5
        assert [n async for n in client.stream("numbers", 2)] == [0, 1]
        done.append(1)
        await client.apply("half", ["x"])

    report = await load(lambda: AsyncPyClient(app), visit, users=3, seconds=0.3)
    assert sorted(report.by_name) == ["half", "numbers"]
    assert "× InvalidArguments: n: Expected `int`, got `str`" in report.table()
    assert len(done) - 3 <= report.errors["InvalidArguments"] <= len(done)
    assert len(report.by_name["numbers"].times) == len(done)
    assert report.calls == len(report.by_name["half"].times) + len(done)
    assert report.to_dict()["calls"]["numbers"]["calls"] == len(done)


async def test_visits_under_way_at_the_end_are_cancelled_and_not_counted(app: App) -> None:
    report = await load(lambda: AsyncPyClient(app), lambda client: client.call("never"), users=5, seconds=0.2)
    assert report.calls == 0


async def test_a_rate_is_kept_and_waiting_counts(app: App) -> None:
    report = await load(
        lambda: AsyncPyClient(app), lambda client: client.call("half", 1), users=4, seconds=1.0, rate=50
    )
    assert 40 <= report.calls <= 51

    async def slow(client: Any) -> None:
        await asyncio.sleep(0.1)
        await client.call("half", 1)

    late = await load(lambda: AsyncPyClient(app), slow, users=1, seconds=1.0, rate=100)
    assert late.by_name["half"].quantile(1.0) > 0.3  # the last one should have begun long before


async def test_users_that_cannot_come_in_are_counted(app: App) -> None:
    @asynccontextmanager
    async def locked() -> AsyncIterator[AsyncPyClient]:
        async with AsyncPyClient(app) as client:
            await client.login("nobody", "wrong")
            yield client

    report = await load(locked, lambda client: client.call("half", 1), users=2, seconds=0.2)
    assert (report.calls, report.lost) == (0, {"InvalidCredential": 1})  # the same password is not tried again
    assert "1 × InvalidCredential: User, password or domain is not right." in report.table()


async def test_a_mistake_in_the_visit_ends_it_at_once(app: App) -> None:
    async def visit(client: Any) -> None:
        raise KeyError("mistake")

    with pytest.raises(ExceptionGroup) as caught:
        await load(lambda: AsyncPyClient(app), visit, users=2, seconds=60)
    assert caught.group_contains(KeyError)


async def test_users_may_share_clients(app: App) -> None:
    entered = []

    @asynccontextmanager
    async def enter() -> AsyncIterator[AsyncPyClient]:
        entered.append(1)
        async with AsyncPyClient(app) as client:
            yield client

    await load(enter, lambda client: client.call("half", 1), users=9, seconds=0.1, clients=2)
    assert len(entered) == 2


def test_from_the_shell(app: App, tmp_path: Path) -> None:
    script = tmp_path / "visit.py"
    script.write_text("async def visit(client):\n    await client.call('half', 8)\n    await client.call('nope')\n")
    app.auth.add_user("ada", "lovelace")
    with Served(app) as server:

        def run(*words: str, stdin: str = "") -> tuple[int, dict[str, Any]]:
            command = [LIMEN, "load", *words, "--seconds", "0.5", "--json"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, input=stdin)
            assert done.stdout, done.stderr
            return done.returncode, json.loads(done.stdout)

        code, plain = run(server.url, "half", "n=3", "--users", "3")
        assert (code, [*plain["calls"]]) == (0, ["half"])
        code, sealed = run(server.url.replace("http", "ws"), "half", "n=3", "--user", "ada", stdin="lovelace\n")
        assert (code, sealed["lost"]) == (0, {})
        code, scripted = run(server.url, "--script", str(script))
        assert (code, sorted(scripted["calls"])) == (1, ["half", "nope"])
        assert scripted["calls"]["nope"]["errors"] == {"NotFound": scripted["calls"]["nope"]["calls"]}


async def test_plain_http_is_load_as_well(app: App) -> None:
    with Served(app) as server:
        url = server.url
        report = await load(lambda: AsyncHttpClient(url), lambda client: client.call("half", 4), users=4, seconds=0.3)
    assert report.calls > 4
    assert report.errors == {}


def test_ctrl_c_tells_what_there_was(app: App) -> None:
    called = threading.Event()

    @app.service(safe=False, ssl=False)
    def ping() -> None:
        called.set()

    with Served(app) as server:
        command = [LIMEN, "load", server.url, "ping", "--seconds", "60", "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert called.wait(30)
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=30)
    figures = json.loads(said)
    assert figures["seconds"] < 50
    assert figures["lost"] == {}
