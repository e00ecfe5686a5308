"""The runner: ready line, exact port, a stop that lets calls finish, TLS, reload."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import pytest

from limen import exc
from limen.cli.reload import changes, polled
from limen.cli.serve import INHERITED, listen
from limen.cli.tls import local_certificate

PROGRAM = """
import asyncio, os, sys
from limen.base.config import Config
from limen.cli.serve import serve

class Peer:
    def opened(self, wire): self.wire = wire; wires.add(wire)
    def received(self, data, text): self.wire.send(data, text)
    def busy(self, yes): pass
    def lost(self, reason): wires.discard(self.wire)

wires = set()
running = 0

def accept(handshake):
    return None, Peer()

async def app(scope, receive, send):
    global running
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                print("lifespan over", flush=True)
                return
    running += 1
    try:
        if scope["path"] == "/slow":
            print("slow began", flush=True)
            await asyncio.sleep(float(scope["query_string"]))
        body = b"%s %d" % (scope["scheme"].encode(), os.getpid())
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})
    finally:
        running -= 1

async def drain():
    for wire in list(wires):
        wire.send(b"GOODBYE", True)
        wire.close(1001)
    while running:
        await asyncio.sleep(0.01)
    print("drained", flush=True)

tls = sys.argv[2] if len(sys.argv) > 2 else None
sys.exit(serve(app, accept, Config(), port=int(sys.argv[1]), tls=tls, directory=os.getcwd(), drain=drain))
"""


class Process:
    """A server of its own, and what it says."""

    def __init__(self, where: Path, *arguments: str, program: str = PROGRAM) -> None:
        (where / "program.py").write_text(program)
        self.process = subprocess.Popen(
            [sys.executable, "program.py", *arguments],
            cwd=where,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self.said = threading.Condition()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()
        self.url = self.until(r"Limen listens on (\S+)")[1]
        self.port = int(self.url.rpartition(":")[2])

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self.said:
                self.lines.append(line.rstrip())
                self.said.notify_all()
        with self.said:
            self.said.notify_all()

    def until(self, pattern: str) -> re.Match[str]:
        def found() -> re.Match[str] | None:
            return next((match for line in self.lines if (match := re.search(pattern, line))), None)

        with self.said:
            self.said.wait_for(lambda: found() or not self.reader.is_alive(), 20)
            match = found()
        assert match is not None, (self.lines, self.process.poll())
        return match

    def get(self, path: str = "/", context: ssl.SSLContext | None = None) -> str:
        connection: http.client.HTTPConnection
        if context is not None:
            connection = http.client.HTTPSConnection("localhost", self.port, timeout=10, context=context)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", path)
        answer = connection.getresponse().read().decode()
        connection.close()
        return answer

    def end(self) -> tuple[int, str]:
        assert self.process.stderr is not None
        with self.process.stderr:
            errors = self.process.stderr.read()
        code = self.process.wait(20)
        self.reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code, errors


@pytest.fixture
def start(tmp_path: Path) -> Any:
    started: list[Process] = []

    def begin(*arguments: str, program: str = PROGRAM) -> Process:
        started.append(Process(tmp_path, *arguments, program=program))
        return started[-1]

    yield begin
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.end()


def test_it_says_the_port_that_it_took_and_ends_with_0(start: Any) -> None:
    server = start("0")
    assert re.fullmatch(r"http://localhost:\d+", server.url)
    assert server.port > 0
    assert server.get().startswith("http ")
    server.process.send_signal(signal.SIGTERM)
    code, errors = server.end()
    assert (code, errors) == (0, "")
    assert server.lines[1:] == ["drained", "lifespan over"]


def test_calls_that_run_finish_before_it_ends_and_nobody_new_gets_in(start: Any) -> None:
    server = start("0")
    answers: list[str] = []
    calling = threading.Thread(target=lambda: answers.append(server.get("/slow?2")))
    calling.start()
    server.until("slow began")
    server.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", server.port), 1).close()
            threading.Event().wait(0.02)
        except OSError:
            break
    assert answers == []
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", server.port), 1)
    calling.join()
    assert answers[0].startswith("http ")
    assert server.end()[0] == 0


def test_a_call_that_takes_too_long_for_the_end_hears_that_nobody_knows(start: Any) -> None:
    hasty = PROGRAM.replace("tls = ", "import limen.cli.serve\nlimen.cli.serve.PATIENCE = 1\ntls = ", 1)
    server = start("0", program=hasty.replace("drain=drain", "drain=None"))
    answers: list[str] = []
    calling = threading.Thread(target=lambda: answers.append(server.get("/slow?30")))
    calling.start()
    server.until("slow began")
    server.process.send_signal(signal.SIGTERM)
    calling.join()
    assert '"exc":"OutcomeUnknown"' in answers[0]
    code, said = server.end()
    assert code == 0
    assert "Traceback" not in said


def test_a_second_interrupt_ends_at_once(start: Any) -> None:
    server = start("0")

    def call() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            server.get("/slow?30")

    calling = threading.Thread(target=call)
    calling.start()
    server.until("slow began")
    begin = time.monotonic()
    server.process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        server.process.wait(0.5)
    server.process.send_signal(signal.SIGINT)
    assert server.end()[0] == 130
    assert time.monotonic() - begin < 25  # and not when the call is over
    calling.join()


def test_tls_local_is_trusted_by_who_trusts_its_authority(start: Any, tmp_path: Path) -> None:
    server = start("0", "local")
    context = ssl.create_default_context(cafile=str(tmp_path / "authority.pem"))
    assert server.url.startswith("https://localhost:")
    assert server.get(context=context).startswith("https ")
    with pytest.raises(ssl.SSLCertVerificationError):
        server.get(context=ssl.create_default_context())
    with pytest.raises((OSError, http.client.HTTPException)):  # plain HTTP on the TLS port
        server.get()
    server.process.terminate()
    code, errors = server.end()
    assert code == 0
    assert "authority.pem" in errors


def test_tls_is_1_2_or_1_3_with_forward_secret_authenticated_ciphers_only(start: Any) -> None:
    server = start("0", "local")
    port = int(server.url.rpartition(":")[2])

    def agreed(version: ssl.TLSVersion, ciphers: str) -> str:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of the old versions
            context.minimum_version = context.maximum_version = version
        with socket.create_connection(("localhost", port), 10) as plain, context.wrap_socket(plain) as line:
            return str(line.version())

    assert agreed(ssl.TLSVersion.TLSv1_3, "ALL") == "TLSv1.3"
    assert agreed(ssl.TLSVersion.TLSv1_2, "ALL") == "TLSv1.2"
    for version, ciphers in (
        (ssl.TLSVersion.TLSv1_2, "ALL:!AESGCM:!CHACHA20"),
        (ssl.TLSVersion.TLSv1_2, "kRSA"),
        (ssl.TLSVersion.TLSv1_1, "ALL"),
        (ssl.TLSVersion.TLSv1, "ALL"),
    ):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            agreed(version, ciphers)


def test_the_authority_stays_and_the_files_are_for_their_owner_only(tmp_path: Path) -> None:
    first = local_certificate(["a.example"], tmp_path / "tls")
    before = first.authority.read_bytes(), first.certificate.read_bytes()
    again = local_certificate(["a.example"], tmp_path / "tls")
    assert (again.authority.read_bytes(), again.certificate.read_bytes()) == before
    more = local_certificate(["a.example", "b.example"], tmp_path / "tls")
    assert more.authority.read_bytes() == before[0]
    assert more.certificate.read_bytes() != before[1]
    assert {os.stat(path).st_mode & 0o777 for path in (tmp_path / "tls").iterdir()} == {0o600}
    assert os.stat(tmp_path / "tls").st_mode & 0o777 == 0o700


def test_a_port_that_is_taken_is_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(exc.InvalidAddress, match=f"Cannot listen on 127.0.0.1:{port}: another program"):
            listen("127.0.0.1", port)
    with pytest.raises(exc.InvalidAddress, match="70000"):
        listen("127.0.0.1", 70000)


@pytest.mark.parametrize("watch", [polled, changes])
def test_a_changed_file_is_seen_and_others_are_not(watch: Any, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    (tmp_path / "__pycache__").mkdir()
    found = watch(tmp_path)
    assert next(found) == set()
    (tmp_path / "__pycache__" / "b.py").write_text("1")
    (tmp_path / "notes.txt").write_text("1")
    (tmp_path / "a.py").write_text("22")
    seen: set[str] = set()
    deadline = time.monotonic() + 10
    while not seen and time.monotonic() < deadline:
        seen |= next(found)
    assert seen == {"a.py"}


def test_a_worker_that_starts_does_not_make_the_others_wait_in_accept(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as shared:
        shared.setblocking(False)  # as it is while others serve
        monkeypatch.setenv(INHERITED, str(os.dup(shared.fileno())))
        with listen("127.0.0.1", 0) as inherited, inherited.dup():
            assert not os.get_blocking(shared.fileno())


RELOADING = """
import sys
from limen.cli.reload import keep_serving
from limen.cli.serve import listen
sock = listen("127.0.0.1", 0)
print("Limen listens on http://localhost:%d" % sock.getsockname()[1], flush=True)
sys.exit(keep_serving("watched", sock, [sys.executable, "served.py", "0"]))
"""


def test_a_change_restarts_the_child_on_the_same_port(start: Any, tmp_path: Path) -> None:
    (tmp_path / "watched").mkdir()
    (tmp_path / "served.py").write_text(PROGRAM)
    server = start(program=RELOADING)
    first = server.get()
    (tmp_path / "watched" / "module.py").write_text("changed = True")
    deadline = time.monotonic() + 15
    while server.get() == first:  # no connection is refused meanwhile
        assert time.monotonic() < deadline
    server.process.terminate()
    code, errors = server.end()
    assert code == 0
    assert "module.py changed: restarting" in errors


def test_ctrl_c_ends_both_processes_in_order(start: Any, tmp_path: Path) -> None:
    (tmp_path / "watched").mkdir()
    (tmp_path / "served.py").write_text(PROGRAM)
    server = start(program=RELOADING)
    assert server.get().startswith("http ")
    os.killpg(server.process.pid, signal.SIGINT)  # as a terminal does: to the whole group
    assert server.end() == (0, "")
    assert server.lines[-2:] == ["drained", "lifespan over"]
