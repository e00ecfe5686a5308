"""xconn as a puppet; see puppet.py for what it is asked. It asks for no progress, and cancels nothing."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from wampproto import auth, serializers
from xconn.async_client import AsyncClient
from xconn.async_session import AsyncSession
from xconn.exception import ApplicationError
from xconn.types import Event, Invocation, Result

SERIALIZERS = {
    "json": serializers.JSONSerializer,
    "msgpack": serializers.MsgPackSerializer,
    "cbor": serializers.CBORSerializer,
}
LOGINS = {
    "ticket": auth.TicketAuthenticator,
    "wampcra": auth.WAMPCRAAuthenticator,
    "cryptosign": auth.CryptoSignAuthenticator,
}
said, sys.stdout = sys.stdout, sys.stderr  # xconn prints what goes wrong
sessions: dict[str, AsyncSession] = {}
kept: dict[str, Any] = {}


def write(**what: Any) -> None:
    said.write(json.dumps(what) + "\n")
    said.flush()


# -- what others may call ---------------------------------------------------------------------------------------------
async def echo(invocation: Invocation) -> Result:
    return Result(invocation.args, invocation.kwargs)


async def fail(invocation: Invocation) -> Result:
    raise ApplicationError("com.example.broken", *(invocation.args or []))  # its kwargs go nowhere


# -- verbs ------------------------------------------------------------------------------------------------------------
async def open_session(session: str, url: str, realm: str, login: dict[str, str] | None = None) -> dict[str, Any]:
    who = LOGINS[login["method"]](login["authid"], login["secret"]) if login else auth.AnonymousAuthenticator("")

    async def lost() -> None:
        write(heard={"session": session, "closed": None})

    client = AsyncClient(who, SERIALIZERS[session.partition("-")[0]]())
    made = sessions[session] = await client.connect(url, realm, disconnect_callback=lost)
    details = made._base_session.session_details
    return {"roles": ["broker", "dealer"], "authid": details.authid, "authrole": details.authrole}


async def register(session: str, uri: str, kind: str) -> None:
    kept[session + uri] = await sessions[session].register(uri, {"echo": echo, "fail": fail}[kind])


async def unregister(session: str, uri: str) -> None:
    await kept[session + uri].unregister()


async def call(session: str, uri: str, args: list[Any], kwargs: dict[str, Any]) -> list[Any]:
    result = await sessions[session].call(uri, args, kwargs)
    return [list(result.args or []), dict(result.kwargs or {})]


async def subscribe(session: str, topic: str) -> None:
    async def hear(event: Event) -> None:
        write(heard={"session": session, "topic": topic, "args": event.args or [], "kwargs": event.kwargs or {}})

    kept[session + topic] = await sessions[session].subscribe(topic, hear)


async def unsubscribe(session: str, topic: str) -> None:
    await kept[session + topic].unsubscribe()


async def publish(session: str, topic: str, args: list[Any], kwargs: dict[str, Any]) -> None:
    await sessions[session].publish(topic, args, kwargs, {"acknowledge": True})


async def close(session: str) -> None:
    leaving = sessions[session]
    await leaving.leave()  # waits for GOODBYE, gives up after 10 s, and calls no callback
    assert leaving._goodbye_request.result() is None
    write(heard={"session": session, "closed": None})


VERBS: dict[str, Callable[..., Awaitable[Any]]] = {
    "open": open_session,
    "register": register,
    "unregister": unregister,
    "call": call,
    "subscribe": subscribe,
    "unsubscribe": unsubscribe,
    "publish": publish,
    "close": close,
}


async def obey() -> None:
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)

    async def one(id: int, do: str, **what: Any) -> None:
        try:
            write(id=id, ok=await VERBS[do](**what))
        except ApplicationError as error:
            write(id=id, failed={"error": error.message, "args": list(error.args), "kwargs": dict(error.kwargs or {})})
        except Exception as error:
            write(id=id, failed={"error": repr(error)})

    under_way = set()
    while line := await lines.readline():
        task = loop.create_task(one(**json.loads(line)))
        under_way.add(task)
        task.add_done_callback(under_way.discard)


asyncio.run(obey())
