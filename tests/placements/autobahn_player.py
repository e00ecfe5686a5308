"""A plain WAMP client that does what the nodes of vectors/three_nodes.json do, with Autobahn|Python, without Limen:
it has what a node is on the wire. See player.py for the verbs."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any
from urllib.parse import urlsplit

from autobahn.asyncio.wamp import ApplicationSession
from autobahn.asyncio.websocket import WampWebSocketClientFactory
from autobahn.wamp.exception import ApplicationError
from autobahn.wamp.types import ComponentConfig, PublishOptions, SubscribeOptions

SAY = PublishOptions(acknowledge=True, exclude_me=False)
"""A node hears its own signals, and what else of its connection listens."""


class Session(ApplicationSession):
    def __init__(self, realm: str) -> None:
        super().__init__(ComponentConfig(realm=realm))
        self.joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.left: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def onJoin(self, details: Any) -> None:
        self.joined.set_result(None)

    def onUserError(self, fail: Any, msg: str) -> None:
        pass  # what `fail` raises

    def onDisconnect(self) -> None:
        self.left.set_result(None)


session: Session
base = ""
paths: dict[str, str] = {}
kept: dict[Any, list[Any]] = {}


def write(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def address(to: str) -> str:
    return f"{base}.{to[1:]}" if to.startswith("@") else to


def passed(path: str) -> dict[str, str]:
    return {"$path": path, "$base": base}


def does(kind: str, node: str, name: str) -> Any:
    def keep(*args: Any, **kwargs: Any) -> None:
        write(heard=[node, name, args, kwargs])

    def echo(*args: Any, **kwargs: Any) -> list[Any]:
        return [args, kwargs]

    def fail(*args: Any) -> None:
        raise ApplicationError("com.example.broken", *args)

    async def greet(other: dict[str, str]) -> Any:
        return await session.call(f"{other['$path']}.called", "a greeting")

    return {"keep": keep, "echo": echo, "fail": fail, "greet": greet}[kind]


# -- verbs ------------------------------------------------------------------------------------------------------
async def open_session(connection: str, url: str, realm: str) -> None:
    global session
    session, parts = Session(realm), urlsplit(url)
    factory = WampWebSocketClientFactory(lambda: session, url=url)
    await asyncio.get_running_loop().create_connection(factory, parts.hostname, parts.port)
    await session.joined


async def close(connection: str) -> None:
    session.leave()
    await session.left


async def bind(node: str, connection: str, path: str, base: str, spec: dict[str, Any], under: str) -> None:
    globals()["base"] = base
    at = paths[node] = f"{base}.{path}"
    for name, kind in spec.get("calls", {}).items():
        registration = await session.register(does(kind, node, name), at if name == "." else f"{at}.{name}")
        kept.setdefault(node, []).append(registration.unregister)
    for method, heard in spec.get("handlers", {}).items():
        await subscribe(node, node, method, f"{at}.{heard}" if heard.startswith("on_") else address(heard))


async def subscribe(key: Any, node: str, method: str, topic: str) -> None:
    """Every signal of a node is what has one more component than its path."""
    a_signal = topic.rpartition(".")[2].startswith("on_")
    options = SubscribeOptions() if a_signal else SubscribeOptions(match="wildcard")
    subscription = await session.subscribe(
        does("keep", node, method), topic if a_signal else f"{topic}.", options=options
    )
    kept.setdefault(key, []).append(subscription.unsubscribe)


async def unbind(node: str) -> None:
    for undo in kept.pop(node):
        await undo()


async def call(
    node: str, to: str, name: str, args: list[Any], kwargs: dict[str, Any], nodes: list[str], proxies: list[str]
) -> Any:
    uri = address(to) if name == "." else f"{address(to)}.{name}"
    addresses = [*(paths[one] for one in nodes), *map(address, proxies)]
    return await session.call(uri, *args, *map(passed, addresses), **kwargs)


async def notify(node: str, signal: str, args: list[Any], kwargs: dict[str, Any]) -> None:
    await session.publish(f"{paths[node]}.{signal}", *args, **kwargs, options=SAY)


async def say(node: str, to: str, signal: str, args: list[Any], kwargs: dict[str, Any]) -> None:
    await session.publish(f"{address(to)}.{signal}", *args, **kwargs, options=SAY)


async def listen(node: str, to: str, signal: str) -> None:
    await subscribe((node, to, signal), node, signal, f"{address(to)}.{signal}")


async def deafen(node: str, to: str, signal: str) -> None:
    for undo in kept.pop((node, to, signal)):
        await undo()


VERBS = {
    "open": open_session,
    "close": close,
    "bind": bind,
    "unbind": unbind,
    "call": call,
    "notify": notify,
    "say": say,
    "listen": listen,
    "deafen": deafen,
}


async def obey() -> None:
    loop, lines = asyncio.get_running_loop(), asyncio.StreamReader(limit=2**24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)

    async def one(id: int, do: str, **what: Any) -> None:
        try:
            write(id=id, ok=await VERBS[do](**what))
        except ApplicationError as error:
            write(id=id, failed={"error": error.error, "why": repr(error)})
        except Exception as error:
            write(id=id, failed={"error": type(error).__name__, "why": repr(error)})

    under_way = set()
    while line := await lines.readline():
        task = loop.create_task(one(**json.loads(line)))
        under_way.add(task)
        task.add_done_callback(under_way.discard)


asyncio.run(obey())
