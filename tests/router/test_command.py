"""`limen router`, the command: a process of its own."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from routing import Client
from served import Server

from limen.core.wamp import messages as m
from limen.testing.sockets import SocketClient

COMMAND = [sys.executable, "-m", "limen.cli", "router", "--port", "0"]
Start = Callable[..., Server]


async def knock(server: Server) -> Client:
    return Client(await SocketClient.connect(server.port, "/ws", ["wamp.2.json"]), "json")


async def test_it_says_goodbye_to_all_when_it_is_told_to_end(start: Start) -> None:
    server = start([*COMMAND, "--realm", "realm1", "--realm", "com.example.realm_2", "--anonymous"])
    clients = [await knock(server), await knock(server)]
    for client, realm in zip(clients, ("realm1", "com.example.realm_2"), strict=True):
        assert type(await client.hello(realm)) is m.Welcome
    server.process.send_signal(signal.SIGTERM)
    for client in clients:
        assert await client.hear() == m.Goodbye({}, "wamp.close.system_shutdown")
        await client.gone()
    assert server.stop() == 0


async def test_it_loads_no_store_and_nothing_that_seals(start: Start, tmp_path: Path) -> None:
    """A router on a small machine: what it has not loaded takes no memory, and no time at the start."""
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, sys\n"
        "heavy = 'sqlalchemy', 'alembic', 'cryptography', 'rbcl', 'limen.store', 'websockets'\n"
        "atexit.register(lambda: print('loaded:', *[name for name in heavy if name in sys.modules], flush=True))\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    server = start([*COMMAND, "--realm", "realm1", "--anonymous"], env={"PYTHONPATH": path})
    client = await knock(server)
    assert type(await client.hello("realm1")) is m.Welcome
    await client.gone()
    assert server.stop() == 0
    assert server.lines[-1] == "loaded:"


async def test_its_calls_are_spans_where_the_configuration_says_so(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "router.toml"
    file.write_text(
        'traces = true\n[[realm]]\nname = "realm1"\nanonymous = "guest"\n[[realm.role]]\nname = "guest"\n'
        'rule = [{uri = "", match = "prefix", allow = ["call", "register"]}]\n'
    )
    server = start([*COMMAND, "--config", str(file)], env={"OTEL_TRACES_EXPORTER": "console"})
    client = await knock(server)
    assert type(await client.hello("realm1")) is m.Welcome
    registered = await client.ask(m.Register, "add")
    assert type(registered) is m.Registered
    await client.say(m.Call(next(client.numbers), {}, "add"))
    invocation = await client.hear()
    await client.say(m.Yield(invocation.request, {}, [3]))
    assert (await client.hear()).args == [3]
    await client.gone()
    assert server.stop() == 0
    assert any('"rpc.method": "add"' in line for line in server.lines), server.lines
