"""Where the nodes of vectors/three_nodes.json may stand, and how their scenario is played with each in its place.

here          this process; "here.1" and "here.2" are two connections of it
python        a Python process of its own           node    one of Node.js           page    a tab of Chromium
autobahn      a plain WAMP client, Autobahn|Python, which has no nodes: it calls, registers and publishes
autobahn-js   the same, Autobahn|JS
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import defaultdict
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from player import Player, uri_of
from playwright import async_api as playwright

from limen import NodeContext, exc
from vectors import vectors

HERE = Path(__file__).parent
NODE_BUNDLE = HERE.parent.parent / "src" / "limen" / "browser" / "node.mjs"
PROGRAMS = {
    "python": [sys.executable, str(HERE / "player.py")],
    "node": ["node", str(HERE / "player_in_node.mjs")],
    "autobahn": [sys.executable, str(HERE / "autobahn_player.py")],
    "autobahn-js": ["node", str(HERE / "autobahn_player.mjs")],
}
PLAIN = {"autobahn", "autobahn-js"}
"""Those that have no tree: what stands below another node there stands by itself."""
PATIENCE = 20.0


class Refused(Exception):
    """What was asked of a place went wrong there; *uri*: what the error is on the wire."""

    def __init__(self, uri: str, why: str = "") -> None:
        super().__init__(uri, why)
        self.uri = uri


class Place(Protocol):
    """Somewhere where nodes stand."""

    noted: dict[str, asyncio.Queue[list[Any]]]
    """By node, what it was called with and told: [method, args, kwargs]."""

    async def do(self, verb: str, **what: Any) -> Any:
        """Does it there. Raises `Refused`."""
        ...


class Here:
    """This process, with connections that are open."""

    def __init__(self, contexts: dict[str, NodeContext]) -> None:
        self.noted: dict[str, asyncio.Queue[list[Any]]] = defaultdict(asyncio.Queue)
        self.player = Player(lambda node, *what: self.noted[node].put_nowait(list(what)), contexts)

    async def do(self, verb: str, **what: Any) -> Any:
        try:
            return await getattr(self.player, verb)(**what)
        except exc.Error as error:
            raise Refused(uri_of(error), repr(error)) from error


class Program:
    """A process that plays; `await Program.start(command)`, `await program.end()`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.noted: dict[str, asyncio.Queue[list[Any]]] = defaultdict(asyncio.Queue)
        self._process = process
        self._numbers = count(1)
        self._asked: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reading = asyncio.ensure_future(self._read())

    @classmethod
    async def start(cls, command: list[str]) -> Program:
        pipe = asyncio.subprocess.PIPE
        return cls(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=2**24))

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            said = json.loads(line)
            if "id" in said:
                self._asked.pop(said["id"]).set_result(said)
            else:
                node, *what = said["heard"]
                self.noted[node].put_nowait(what)
        for asked in self._asked.values():
            asked.set_exception(AssertionError("The program has ended."))

    async def do(self, verb: str, **what: Any) -> Any:
        assert self._process.stdin is not None
        number = next(self._numbers)
        asked = self._asked[number] = asyncio.get_running_loop().create_future()
        self._process.stdin.write(json.dumps({"id": number, "do": verb, **what}).encode() + b"\n")
        said = await asyncio.wait_for(asked, PATIENCE)
        if "failed" in said:
            raise Refused(said["failed"]["error"], said["failed"].get("why", ""))
        return said.get("ok")

    async def end(self) -> None:
        """Ends it, and says so if it does not end well."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            assert await asyncio.wait_for(self._process.wait(), PATIENCE) == 0
            await self._reading
        finally:
            if self._process.returncode is None:
                self._process.kill()


class Page:
    """A page that plays, with the bundle that `limen serve` serves as /limen/node.mjs."""

    def __init__(self, page: playwright.Page) -> None:
        self.noted: dict[str, asyncio.Queue[list[Any]]] = defaultdict(asyncio.Queue)
        self._page = page

    @classmethod
    async def open(cls, context: playwright.BrowserContext, origin: str) -> Page:
        """In a new tab, as a page of *origin*, which serves nothing of it itself."""
        # What the test puts in the page's place comes from no address, so Chromium would ask a person.
        await context.grant_permissions(["local-network-access"], origin=origin)
        page = await context.new_page()
        made = cls(page)
        files = {"node.mjs": NODE_BUNDLE, "player.js": HERE / "player.js", "index.html": HERE / "player.html"}
        for name, file in files.items():
            await page.route(f"{origin}/{name}", partial(_fulfil, file=file))
        await page.expose_function("note", lambda node, *what: made.noted[node].put_nowait(list(what)))
        await page.goto(f"{origin}/index.html")
        return made

    async def do(self, verb: str, **what: Any) -> Any:
        said = await self._page.evaluate("([verb, what]) => play(verb, what)", [verb, what])
        if "failed" in said:
            raise Refused(said["failed"]["error"], said["failed"].get("why", ""))
        return said.get("ok")


async def _fulfil(route: playwright.Route, file: Path) -> None:
    await route.fulfill(path=file)


async def play(places: dict[str, Place], standing: dict[str, str], name: str = "three_nodes") -> None:
    """Plays the scenario; *standing*: node to its place, and after a dot the connection that it has there."""
    scenario = vectors(name)
    nodes, base = scenario["nodes"], scenario["base"]

    def place(node: str) -> Place:
        return places[standing[node].partition(".")[0]]

    def binding(node: str) -> dict[str, Any]:
        spec, where = nodes[node], standing[node]
        parent = spec.get("parent", "")
        together = bool(parent) and standing[parent] == where and where not in PLAIN
        return {
            "connection": where.partition(".")[2] or "only",
            "path": f"{base}.{spec['path']}" if together else spec["path"],
            "base": base,
            "spec": spec,
            "under": parent if together else "",
        }

    for number, step in enumerate(scenario["steps"]):
        what = {key: value for key, value in step.items() if key not in ("do", "gives", "fails", "heard")}
        if step["do"] in ("call", "notify", "say"):
            what = {"args": [], "kwargs": {}, **what}
        if step["do"] == "call":
            what = {"nodes": [], "proxies": [], **what}
        if step["do"] == "bind":
            what |= binding(step["node"])
        at = f"step {number}, {step}"
        try:
            gave = await place(step["node"]).do(step["do"], **what)
        except Refused as refused:
            if refused.uri != step.get("fails"):
                raise AssertionError(at) from refused
        else:
            assert "fails" not in step, f"{at} gave {gave!r}"
            assert gave == step.get("gives"), at
        for node, expected in step.get("heard", {}).items():
            noted = [await asyncio.wait_for(place(node).noted[node].get(), PATIENCE) for _ in expected]
            assert by_method(noted) == by_method(expected), at
    for node in nodes:
        assert place(node).noted[node].empty(), f"{node} was told {place(node).noted[node].get_nowait()} of nobody"


def by_method(noted: list[list[Any]]) -> dict[str, list[Any]]:
    """What each method noted, in its order: among methods that hear the same there is none."""
    found: dict[str, list[Any]] = defaultdict(list)
    for method, *what in noted:
        found[method].append(what)
    return found
