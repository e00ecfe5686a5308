"""docs/how-to/operate-a-router.md is true: its unit's command exists, its configuration is right, its figures are the
defaults, its metrics are there, and a stop does what it says."""

from __future__ import annotations

import asyncio
import re
import shlex
import signal
import sys
from pathlib import Path

import trustme

sys.path.insert(0, str(Path(__file__).parent.parent / "router"))
from reader import free_port
from routing import Client
from test_pages import blocks, limen_takes

from limen.core.wamp import messages as m
from limen.door.router.config import Limits
from limen.door.router.reading import read
from limen.testing.sockets import SocketClient

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
PAGE = DOCS / "how-to" / "operate-a-router.md"
UNIT = blocks(PAGE, "ini")[0][1]


def test_the_units_commands_exist() -> None:
    commands = re.findall(r"^ExecStart\w*=\S+/limen (.+)$", UNIT, re.MULTILINE)
    assert len(commands) == 2
    assert all(limen_takes(shlex.split(command)) for command in commands)
    assert "StateDirectory=router" in UNIT


def test_its_configuration_is_right(tmp_path: Path) -> None:
    certificate = trustme.CA().issue_cert("router.example")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "router.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "router.key")
    (tmp_path / "router.secret").write_text("x" * 44)
    for file in tmp_path.iterdir():
        file.chmod(0o600)
    (text,) = re.findall(r"^```toml router\.toml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    for credential in re.findall(r"LoadCredential=([\w.]+):", UNIT):
        assert f"/run/credentials/router.service/{credential}" in text
    (tmp_path / "router.toml").write_text(text.replace("/run/credentials/router.service", str(tmp_path)))
    settings, remarks = read(str(tmp_path / "router.toml"))
    assert remarks == []
    assert (len(settings.listeners), settings.control) == (2, "/run/router/control.sock")


def test_its_limits_are_the_defaults() -> None:
    said = dict(re.findall(r"`limits\.(\w+)`, ([\d,]+)", PAGE.read_text()))
    usual = Limits()
    in_mebibytes = {"queue_bytes": usual.queue_bytes / 2**20}
    assert said.keys() >= {"connections", "origin_connections", "origin_logins", "origin_abuse", "stall"}
    for name, number in said.items():
        assert float(number.replace(",", "")) == in_mebibytes.get(name, getattr(usual, name)), name


def test_its_metrics_are_there() -> None:
    said = {*re.findall(r"`(limen_\w+)`", PAGE.read_text())}
    assert len(said) > 4
    assert said <= {*re.findall(r"^\| `(limen_\w+)` \|", (DOCS / "how-to" / "observe.md").read_text(), re.MULTILINE)}


async def test_a_stop_tells_everybody_and_ends_the_calls_under_way() -> None:
    port = free_port()
    limen = Path(sys.executable).with_name("limen")
    words = ["router", "--realm", "plant", "--anonymous", "--port", str(port)]
    router = await asyncio.create_subprocess_exec(
        limen, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        assert router.stdout is not None
        assert b"Limen listens on" in await router.stdout.readline()
        callee, caller = await joined(port), await joined(port)
        await callee.ask(m.Register, "plant.pump")
        await caller.say(m.Call(1, {}, "plant.pump"))
        assert isinstance(await callee.hear(), m.Invocation)
        router.send_signal(signal.SIGTERM)
        last = await caller.hear()
        if isinstance(last, m.Error):
            assert last.error == "wamp.error.canceled"
            last = await caller.hear()
        for goodbye in (last, await callee.hear()):
            assert isinstance(goodbye, m.Goodbye)
            assert goodbye.reason == "wamp.close.system_shutdown"
        for client in (callee, caller):
            await client.gone()
        assert await asyncio.wait_for(router.wait(), 30) == 0
    finally:
        if router.returncode is None:
            router.kill()
            await router.wait()


async def joined(port: int) -> Client:
    client = Client(await SocketClient.connect(port, "/ws", ["wamp.2.json"]), "json")
    assert isinstance(await client.hello("plant"), m.Welcome)
    return client
