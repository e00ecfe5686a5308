"""Plays the nodes of vectors/three_nodes.json with Limen's own: in this process, or, as a program, in one of its own.

Its verbs are those of the vectors' steps, and `open` and `close` of a connection; what a program is told and says are
lines of JSON, as tests/peers/puppet.py describes them. `autobahn_player.py`, `player.mjs` and `autobahn_player.mjs` do
the same.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from limen import Connection, Node, NodeContext, Path, Signal, call, exc, handler, when_connected

Note = Callable[[str, str, list[Any], dict[str, Any]], None]
"""Takes what a node notes: (node, method, args, kwargs)."""


class Broken(exc.Error):
    """What `fail` raises."""

    uri = "com.example.broken"


def keep(note: Note, node: str, name: str) -> Callable[..., None]:
    return lambda self, *args, **kwargs: note(node, name, list(args), kwargs)


def echo(note: Note, node: str, name: str) -> Callable[..., list[Any]]:
    return lambda self, *args, **kwargs: [list(args), kwargs]


def fail(note: Note, node: str, name: str) -> Callable[..., None]:
    def method(self: Node, *args: Any) -> None:
        raise Broken(*args)

    return method


def greet(note: Note, node: str, name: str) -> Callable[..., Awaitable[Any]]:
    async def method(self: Node, other: Any) -> Any:
        return await other.called("a greeting")

    return method


DOES: dict[str, Callable[[Note, str, str], Callable[..., Any]]] = {
    "keep": keep,
    "echo": echo,
    "fail": fail,
    "greet": greet,
}


def node_of(name: str, spec: dict[str, Any], note: Note) -> Node:
    """A node of a class of its own, which declares what *spec* says."""
    body: dict[str, Any] = {signal: Signal() for signal in spec.get("signals", ())}
    for called, does in spec.get("calls", {}).items():
        body["itself" if called == "." else called] = call(called)(DOES[does](note, name, called))
    for method, address in spec.get("handlers", {}).items():
        body[method] = handler(address)(keep(note, name, method))
    made = type(name.title(), (Node,), body)()
    assert isinstance(made, Node)
    return made


def uri_of(error: exc.Error) -> str:
    """What the error is on the wire."""
    return error.remote_uri if isinstance(error, exc.RemoteError) else error.uri


class Player:
    """*note* hears what its nodes are called with and told. *contexts*: by name, where there is a connection
    already, or none at all."""

    def __init__(self, note: Note, contexts: dict[str, NodeContext] | None = None) -> None:
        self.note, self.contexts = note, contexts or {}
        self.nodes: dict[str, Node] = {}
        self.connections: dict[str, Connection] = {}
        self.listening: dict[tuple[str, str, str], Callable[..., None]] = {}

    async def open(self, connection: str, url: str, realm: str) -> None:
        self.connections[connection] = opened = Connection(url, realm)
        await when_connected(opened)
        self.contexts[connection] = opened.new_context()

    async def close(self, connection: str) -> None:
        del self.contexts[connection]
        await self.connections.pop(connection).close()

    async def bind(self, node: str, connection: str, path: str, base: str, spec: dict[str, Any], under: str) -> None:
        """*under*: the node it is added to; "" where it stands by itself."""
        made = self.nodes[node] = node_of(node, spec, self.note)
        if under:
            await self.nodes[under].node_add(path.rpartition(".")[2], made)
        else:
            await made.node_bind(Path(base) + path, self.contexts[connection])

    async def unbind(self, node: str) -> None:
        await self.nodes.pop(node).node_unbind()

    async def call(
        self,
        node: str,
        to: str,
        name: str,
        args: list[Any],
        kwargs: dict[str, Any],
        nodes: list[str],
        proxies: list[str],
    ) -> Any:
        remote = self.nodes[node].remote(to)
        passed = [*(self.nodes[one] for one in nodes), *(self.nodes[node].remote(one) for one in proxies)]
        if name == ".":
            return await remote(*args, *passed, **kwargs)
        return await getattr(remote, name)(*args, *passed, **kwargs)

    async def notify(self, node: str, signal: str, args: list[Any], kwargs: dict[str, Any]) -> None:
        await getattr(self.nodes[node], signal).notify(*args, **kwargs)

    async def say(self, node: str, to: str, signal: str, args: list[Any], kwargs: dict[str, Any]) -> None:
        await getattr(self.nodes[node].remote(to), signal).notify(*args, **kwargs)

    async def listen(self, node: str, to: str, signal: str) -> None:
        def heard(*args: Any, **kwargs: Any) -> None:
            self.note(node, signal, list(args), kwargs)

        self.listening[node, to, signal] = heard
        await getattr(self.nodes[node].remote(to), signal).connect(heard)

    async def deafen(self, node: str, to: str, signal: str) -> None:
        heard = self.listening.pop((node, to, signal))
        await getattr(self.nodes[node].remote(to), signal).disconnect(heard)


async def obey() -> None:
    """Does what comes in by standard input, until that ends."""

    def write(**what: Any) -> None:
        sys.stdout.write(json.dumps(what) + "\n")
        sys.stdout.flush()

    def note(node: str, method: str, args: list[Any], kwargs: dict[str, Any]) -> None:
        write(heard=[node, method, args, kwargs])

    player, loop, lines = Player(note), asyncio.get_running_loop(), asyncio.StreamReader(limit=2**24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)

    async def one(id: int, do: str, **what: Any) -> None:
        try:
            write(id=id, ok=await getattr(player, do)(**what))
        except exc.Error as error:
            write(id=id, failed={"error": uri_of(error), "why": repr(error)})
        except Exception as error:
            write(id=id, failed={"error": type(error).__name__, "why": repr(error)})

    under_way = set()
    while line := await lines.readline():
        task = loop.create_task(one(**json.loads(line)))
        under_way.add(task)
        task.add_done_callback(under_way.discard)


if __name__ == "__main__":
    asyncio.run(obey())
