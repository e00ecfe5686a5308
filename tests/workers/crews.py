"""A server of several processes, and questions to each of them."""

from __future__ import annotations

import http.client
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from served import Server
from waiting import at_last

from limen.app.control import ask

CREW = Path(__file__).with_name("crew.py")
LIMEN = str(Path(sys.executable).with_name("limen"))


class Crew(Server):
    """`limen serve --workers N` of the program beside this file."""

    def call(self, name: str, **arguments: Any) -> Any:
        """An HTTP call over a connection of its own, at whichever worker takes it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("POST", f"/{name}", json.dumps(arguments), {"content-type": "application/json"})
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, body
            return json.loads(body)
        finally:
            connection.close()

    def picture(self) -> dict[str, Any]:
        """What `limen top` is told of all of them."""
        (socket,) = self.cwd.glob("*.sock")
        told: dict[str, Any] = ask(socket, "picture")
        return told

    def until(self, what: Callable[[], bool], patience: float = 20.0) -> None:
        """Waits for *what*, which only other processes can bring about."""
        at_last(what, patience, lambda: "\n".join(self.lines[-20:]))


def crew_of(count: int, folder: Path, *options: str) -> Crew:
    command = [LIMEN, "serve", str(CREW), "--port", "0", "--db", f"sqlite:///{folder / 'crew.db'}"]
    return Crew([*command, "--workers", str(count), *options], cwd=folder, env={**os.environ})
