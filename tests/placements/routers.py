"""The routers that nodes are placed around: each with a realm `localhost`, in which everybody may do everything below
`test.`, started when it is first asked for."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from bootstrap import CROSSBAR, NO_CROSSBAR  # tools/bootstrap.py
from served import Server

HERE = Path(__file__).parent
LIMEN = str(Path(sys.executable).with_name("limen"))
REALM = "localhost"
ROUTERS = ("limen router", "limen serve", "crossbar")


class Crossbar(Server):
    """Crossbar.io; *folder* is its own. *disclose*: the callee is told who calls, and subscribers who publishes; then
    what is below `shop.` is open, too, and the meta API."""

    READY = re.compile(r"listening on TCP port (\d+)")

    def __init__(self, folder: Path, *, disclose: bool = False) -> None:
        if not (CROSSBAR / "done").exists():
            pytest.fail(NO_CROSSBAR, pytrace=False)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        allow = dict.fromkeys(("call", "register", "publish", "subscribe"), True)
        told = {"caller": disclose, "publisher": disclose}
        open_ = ["test.", *(["shop.", "wamp."] if disclose else [])]
        permissions = [{"uri": uri, "match": "prefix", "allow": allow, "disclose": told} for uri in open_]
        role = {"name": "anonymous", "permissions": permissions}
        transport = {
            "type": "websocket",
            "endpoint": {"type": "tcp", "port": port, "interface": "127.0.0.1"},
            "auth": {"anonymous": {"type": "static", "role": "anonymous"}},
        }
        worker = {"type": "router", "realms": [{"name": REALM, "roles": [role]}], "transports": [transport]}
        (folder / "config.json").write_text(json.dumps({"version": 2, "workers": [worker]}))
        command = [str(CROSSBAR / "bin" / "crossbar"), "start", "--cbdir", str(folder), "--loglevel", "info"]
        super().__init__(command, cwd=folder, env=dict(os.environ), patience=120)

    @property
    def port(self) -> int:
        return int(self.url)


class At(NamedTuple):
    """Where a router is. *origin*: of a page that may come in."""

    url: str
    origin: str


class Routers:
    """*folder*: what they write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: dict[str, Server] = {}

    def __call__(self, name: str) -> At:
        if name not in self.running:
            self.running[name] = self.start(name)
        port = self.running[name].port
        path = "/" if name == "crossbar" else "/ws"
        return At(f"ws://localhost:{port}{path}", f"http://localhost:{port}")

    def start(self, name: str) -> Server:
        if name == "crossbar":
            return Crossbar(self.folder)
        serve = ["serve", str(HERE / "served_tree.py")]
        what = serve if name == "limen serve" else ["router", "--realm", REALM, "--anonymous"]
        return Server([LIMEN, *what, "--port", "0"], cwd=self.folder, env=dict(os.environ))

    def stop(self) -> None:
        for server in self.running.values():
            server.stop()
