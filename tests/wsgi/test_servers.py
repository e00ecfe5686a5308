"""`limen.wsgi()` behind gunicorn, waitress, and wsgiref with threads."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from wsgi_here import Running, running

from limen import WsClient, exc
from limen.client import lane
from limen.client.address import site
from limen.client.http1 import Sockets

LIMEN = str(Path(sys.executable).with_name("limen"))
STRANGER = "127.0.0.5"


def ask(server: Running, path: str, body: Any = None, address: str = "127.0.0.1", **headers: str) -> HTTPResponse:
    client = server.client(address)
    data = None if body is None else json.dumps(body).encode()
    kind = {} if body is None else {"Content-Type": "application/json"}
    client.request("GET" if body is None else "POST", path, data, {"Host": "localhost"} | kind | headers)
    return client.getresponse()


def test_calls_are_answered(server: Running) -> None:
    assert json.load(ask(server, "/hello")) == "Hello, World!"
    assert json.load(ask(server, "/hello", {"name": "Ada"})) == "Hello, Ada!"
    assert ask(server, "/hello/caf%C3%A9%20%2B.txt").read().decode() == "Hello, café +!"
    refused = ask(server, "/sealed", {})
    assert (refused.status, json.load(refused)["exc"]) == (401, "Unauthorized")
    assert ask(server, "/hello", Host="evil.example").status == 421
    assert ask(server, "/ws").status == 426
    hint = "take an HttpClient" if server.name != "wsgiref" else "did not take"  # HTTP/1.0 is not read further
    with (
        WsClient(f"http://localhost:{server.port}") as client,
        pytest.raises(exc.ConnectionLost, match=hint),
    ):
        client.call("hello")


def test_a_connection_is_kept(server: Running) -> None:
    client = server.client()
    for name in ("Ada", "Bob"):
        client.request("GET", f"/hello/{name}.txt", headers={"Host": "localhost"})
        answer = client.getresponse()
        assert answer.read().decode() == f"Hello, {name}!"
        assert answer.will_close == (server.name == "wsgiref")  # that one speaks HTTP/1.0
    client.close()


def test_paths_are_read_as_they_were_sent(server: Running) -> None:
    """WSGI decodes paths; what a path must not hold is refused all the same, where the server tells how it was."""
    knows = server.name != "wsgiref"
    assert ask(server, "/files/%2e%2e/%2e%2e/etc/passwd").status == 400
    assert ask(server, "/hello/a%2Fb.txt").status == (400 if knows else 422)
    assert ask(server, "/files/..%2fprogram.py").status in (400, 404)
    assert ask(server, "/files/%2e%2e%2fsaid").status in (400, 404)


def test_bodies_go_both_ways_in_pieces(server: Running) -> None:
    assert json.load(ask(server, "/length", ["x" * 2_000_000])) == 2_000_000
    assert ask(server, "/files/big.bin").read() == bytes(range(256)) * 8192
    part = ask(server, "/files/big.bin", Range="bytes=10-19")
    assert (part.status, part.read()) == (206, bytes(range(10, 20)))
    client = server.client()
    client.request("HEAD", "/files/big.bin", headers={"Host": "localhost"})
    head = client.getresponse()
    assert (head.status, head.headers["content-length"], head.read()) == (200, str(256 * 8192), b"")


def test_a_body_without_a_length_is_read_where_the_server_can(server: Running) -> None:
    client = server.client()
    client.putrequest("POST", "/length", skip_host=True)
    for name, value in {
        "Host": "localhost",
        "Content-Type": "application/json",
        "Transfer-Encoding": "chunked",
    }.items():
        client.putheader(name, value)
    client.endheaders()
    if server.name == "wsgiref":
        assert client.getresponse().status == 411
        return
    for piece in (b'["', b"x" * 1000, b'"]', b""):
        client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
    assert json.load(client.getresponse()) == 1000


def test_a_body_that_is_too_large_is_refused(server: Running) -> None:
    try:
        assert ask(server, "/length", ["x" * 5_000_000]).status == 413
    except OSError:
        pass  # the server cut the connection while the client wrote on


def test_only_named_proxies_are_believed(server: Running) -> None:
    said = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
    told = json.load(ask(server, "/who", address="127.0.0.9", **said))
    assert (told["origin"], told["tls"]) == ("203.0.113.9", True)
    for address in (STRANGER, "127.0.0.1"):  # gunicorn itself would believe the scheme that the second one says
        told = json.load(ask(server, "/who", address=address, **said, **{"X-Forwarded-Ssl": "on"}))
        assert (told["origin"], told["tls"]) == (address, False)
    refused = ask(server, "/who", address="127.0.0.9", **{"X-Forwarded-For": "nobody"})
    assert refused.status == 400


def test_a_name_with_an_underscore_is_not_that_header(server: Running) -> None:
    fooled = server.name == "wsgiref"  # it makes one name of both; docs/servers.md says so
    told = json.load(ask(server, "/who", address="127.0.0.9", X_Forwarded_For="6.6.6.6"))
    assert told["origin"] == ("6.6.6.6" if fooled else "127.0.0.9")
    both = {"X_Forwarded_For": "6.6.6.6", "X-Forwarded-For": "1.2.3.4"}
    assert json.load(ask(server, "/who", address="127.0.0.9", **both))["origin"] == "1.2.3.4"


def test_two_processes_with_records_of_their_own_are_refused(tmp_path: Path) -> None:
    with running("gunicorn", tmp_path, "--workers", "2") as server:
        answer = ask(server, "/hello")
        assert (answer.status, json.load(answer)["err"]) == (503, ["This server is not ready; its log says why."])
        assert "gunicorn --workers 1 --threads 16" in server.said
        assert "postgresql://" in server.said


async def test_sealed_calls_go_through(server: Running) -> None:
    session = await lane.login(sockets(server), "localhost", "ada", "correct horse")
    assert await session.call("sealed", [], {}) == "ada"
    seen: list[int] = []
    await session.call("count", [5], {}, push=seen.append)
    assert seen == [0, 1, 2, 3, 4]
    assert len(await asyncio.gather(*(session.call("process", [], {}) for _ in range(6)))) == 6
    await session.logout()
    with pytest.raises(exc.Unauthorized):
        await session.call("sealed", [], {})


def sockets(server: Running) -> Sockets:
    return Sockets(site(f"http://localhost:{server.port}"), ssl=None, patience=5, open_timeout=5)


async def test_a_sealed_session_is_any_processs(tmp_path: Path, postgresql_url: str) -> None:
    add = [LIMEN, "user", "add", "ada", "--db", postgresql_url, "--keys", str(tmp_path / "keys")]
    subprocess.run(add, input="correct horse\n", text=True, env=os.environ, timeout=20, check=True)
    with running("gunicorn", tmp_path, "--workers", "2", db=postgresql_url, keys=str(tmp_path / "keys")) as server:
        session = await lane.login(sockets(server), "localhost", "ada", "correct horse")
        told: list[int] = []
        for _ in range(20):  # until both have answered: which of them takes a connection is the kernel's affair
            told += await asyncio.gather(*(session.call("process", [], {}) for _ in range(24)))
            if len(set(told)) == 2:
                break
        assert len(set(told)) == 2


def test_two_processes_share_a_database(tmp_path: Path, postgresql_url: str) -> None:
    with running(
        "gunicorn", tmp_path, "--workers", "2", "--threads", "1", db=postgresql_url, keys=str(tmp_path / "keys")
    ) as server:
        clients: list[HTTPConnection] = [server.client() for _ in range(16)]
        for client in clients:
            client.request("GET", "/who", headers={"Host": "localhost"})
        told = [client.getresponse() for client in clients]
        assert {answer.status for answer in told} == {200}
        assert 1 <= len({json.load(answer)["process"] for answer in told}) <= 2


def test_the_end_is_written_down(tmp_path: Path) -> None:
    """What the sweep of the last second has not flushed yet is flushed when the process ends."""
    url = f"sqlite:///{tmp_path}/records.db"
    with running("gunicorn", tmp_path, db=url) as server:
        assert ask(server, "/sealed", {}, address=STRANGER).status == 401
        server.stop()
        assert server.process.returncode == 0, server.said
        assert "Traceback" not in server.said
    command = [LIMEN, "abuse", "list", "--db", url]
    said = subprocess.run(command, capture_output=True, text=True, env=os.environ, timeout=20, check=True)
    assert STRANGER in said.stdout
