"""A WAMP client in a process of its own, which does what a test says.

A line of JSON each way: `{"id": 1, "do": "call", "session": "json", …}` is answered by `{"id": 1, "ok": …}` or
`{"id": 1, "failed": {"error": …, "args": …, "kwargs": …}}`; what a session hears comes unasked as `{"heard": …}`.
The verbs are the same in every puppet: open, register, unregister, call, subscribe, unsubscribe, publish, close.
"""

from __future__ import annotations

import itertools
import json
import queue
import subprocess
import threading
from collections import defaultdict
from pathlib import Path
from typing import Any

PATIENCE = 20.0


class Refused(Exception):
    """The other side answered with an error."""

    def __init__(self, error: str, args: list[Any], kwargs: dict[str, Any]) -> None:
        super().__init__(error, args, kwargs)
        self.error, self.list, self.dict = error, args, kwargs


class Puppet:
    """*command*: what starts it."""

    def __init__(self, command: list[str], cwd: Path) -> None:
        self.heard: defaultdict[str, queue.Queue[dict[str, Any]]] = defaultdict(queue.Queue)
        """By session, what came unasked."""
        self._numbers = itertools.count(1)
        self._answers: dict[int, queue.Queue[dict[str, Any]]] = {}
        self._process = subprocess.Popen(command, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            if "id" in said:
                self._answers.pop(said["id"]).put(said)
            else:
                self.heard[said["heard"].pop("session")].put(said["heard"])
        for answer in self._answers.values():  # it has died: nobody need wait
            answer.put({"failed": {"error": "the puppet has ended"}})

    def begin(self, do: str, **what: Any) -> queue.Queue[dict[str, Any]]:
        """Asks for something; the answer will be in the queue."""
        assert self._process.stdin is not None
        number = next(self._numbers)
        answer = self._answers[number] = queue.Queue()
        self._process.stdin.write(json.dumps({"id": number, "do": do, **what}) + "\n")
        self._process.stdin.flush()
        return answer

    def ask(self, do: str, **what: Any) -> Any:
        """Asks, and waits for the answer; raises `Refused`."""
        return told(self.begin(do, **what))

    def end(self) -> int:
        """Ends it; its exit code."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            return self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._reader.join()
            assert self._process.stdout is not None
            self._process.stdout.close()


def told(answer: queue.Queue[dict[str, Any]]) -> Any:
    said = answer.get(timeout=PATIENCE)
    if "failed" in said:
        failed = said["failed"]
        raise Refused(failed.get("error"), failed.get("args") or [], failed.get("kwargs") or {})
    return said.get("ok")


class Peer:
    """One session of a puppet."""

    def __init__(self, puppet: Puppet, session: str) -> None:
        self.puppet, self.session = puppet, session

    def ask(self, do: str, **what: Any) -> Any:
        return self.puppet.ask(do, session=self.session, **what)

    def call(self, uri: str, *args: Any, **kwargs: Any) -> Any:
        """`[args, kwargs]` of the result."""
        return self.ask("call", uri=uri, args=list(args), kwargs=kwargs)

    def begin(self, uri: str, *args: Any) -> queue.Queue[dict[str, Any]]:
        return self.puppet.begin("call", session=self.session, uri=uri, args=list(args), kwargs={})

    def hears(self) -> dict[str, Any]:
        """What this session hears next."""
        return self.puppet.heard[self.session].get(timeout=PATIENCE)

    @property
    def hears_nothing(self) -> bool:
        """Nothing that this session has heard is left."""
        return self.puppet.heard[self.session].empty()
