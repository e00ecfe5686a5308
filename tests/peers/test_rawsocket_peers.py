"""RawSocket clients that others wrote, over TCP and Unix sockets, with each other and with WebSockets, and batches."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from itertools import count, product
from pathlib import Path
from queue import Queue

import pytest
import uvloop
from puppet import Peer, Puppet, Refused

from limen.app.router import Router
from limen.door.router.config import Limits, Listener, Settings, anyone

HERE = Path(__file__).parent
COMMANDS = {
    "autobahn-python": [sys.executable, str(HERE / "autobahn_python.py")],
    "autobahn-js": ["node", "--no-deprecation", str(HERE / "autobahn_js.mjs")],
}
NAMES = [
    *product(["autobahn-python"], ["tcp", "unix"], ["json", "msgpack", "cbor"]),
    *product(["autobahn-js"], ["tcp", "unix"], ["json"]),
]
BATCHED = [("autobahn-python", "ws", f"{encoding}.batched") for encoding in ("json", "msgpack", "cbor")]
OTHERS = [*NAMES, *product(COMMANDS, ["ws"], ["json", "cbor"]), *BATCHED]
VALUES = [None, True, -1, 2**40, 2.5, "", "Grüße, 世界 🎉", [], {"a": {"b": [1, None]}}, "x" * 100_000]
_uris = count(1)
Name = tuple[str, str, str]


def serve(path: str, said: Queue[dict[str, str] | BaseException], stop: threading.Event) -> None:
    """A router on a loop of its own."""

    async def work() -> None:
        listeners = (
            Listener(port=0),
            Listener(type="rawsocket", port=0),
            Listener(type="rawsocket", unix=path),
        )
        limits = Limits(ping=0.5, pong=30)  # a client that waits for its turn on a busy machine is not gone
        router = Router(Settings(realms=(anyone("realm1"),), listeners=listeners, limits=limits))
        async with router.alive() as (websocket, tcp, _):
            said.put({"ws": websocket, "tcp": tcp, "unix": f"unix:{path}"})
            await asyncio.to_thread(stop.wait)

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(work())
    except BaseException as error:
        said.put(error)


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    said: Queue[dict[str, str] | BaseException] = Queue()
    stop = threading.Event()
    thread = threading.Thread(target=serve, args=(str(tmp_path_factory.mktemp("raw") / "s"), said, stop))
    thread.start()
    urls = said.get(timeout=30)
    assert isinstance(urls, dict), urls
    yield urls
    stop.set()
    thread.join()


@pytest.fixture(scope="module")
def peers(urls: dict[str, str]) -> Iterator[dict[Name, Peer]]:
    """A session of each client over each way in each encoding."""
    puppets = {client: Puppet(command, HERE) for client, command in COMMANDS.items()}
    peers = {}
    for client, way, encoding in OTHERS:
        peer = peers[client, way, encoding] = Peer(puppets[client], f"{encoding}-{way}")
        assert sorted(peer.ask("open", url=urls[way], realm="realm1")["roles"]) == ["broker", "dealer"]
    yield peers
    assert [puppet.end() for puppet in puppets.values()] == [0, 0]


@pytest.mark.parametrize("callee", NAMES + BATCHED, ids="-".join)
def test_everybody_calls_it_and_has_every_value_back(peers: dict[Name, Peer], callee: Name) -> None:
    uri = f"com.example.raw{next(_uris)}"
    peers[callee].ask("register", uri=uri, kind="echo")
    for caller in OTHERS:
        assert peers[caller].call(uri, *VALUES, a=VALUES) == [VALUES, {"a": VALUES}], caller
        assert peers[caller].call(uri) == [[], {}]
    peers[callee].ask("unregister", uri=uri)
    with pytest.raises(Refused) as refused:
        peers[callee].call(uri)
    assert refused.value.error == "wamp.error.no_such_procedure"


@pytest.mark.parametrize("caller", NAMES, ids="-".join)
def test_an_error_comes_back_whole(peers: dict[Name, Peer], caller: Name) -> None:
    uri = f"com.example.fails{next(_uris)}"
    peers[OTHERS[0]].ask("register", uri=uri, kind="fail")
    with pytest.raises(Refused) as refused:
        peers[caller].call(uri, "why", 1)
    error = refused.value
    assert (error.error, error.list, error.dict) == ("com.example.broken", ["why", 1], {"n": 7})
    peers[OTHERS[0]].ask("unregister", uri=uri)


@pytest.mark.parametrize("publisher", NAMES + BATCHED, ids="-".join)
def test_everybody_hears_its_events_in_order(peers: dict[Name, Peer], publisher: Name) -> None:
    topic = f"com.example.news{next(_uris)}"
    listeners = [name for name in OTHERS if name != publisher]
    for name in listeners:
        peers[name].ask("subscribe", topic=topic)
    for n in range(20):
        peers[publisher].ask("publish", topic=topic, args=[n, VALUES[-1]], kwargs={"n": n})
    for name in listeners:
        heard = [peers[name].hears() for _ in range(20)]
        assert [event["args"] for event in heard] == [[n, VALUES[-1]] for n in range(20)], name
        assert peers[name].hears_nothing
        peers[name].ask("unsubscribe", topic=topic)


def test_idle_clients_stay_although_some_know_no_pings(peers: dict[Name, Peer]) -> None:
    """The server pings each half second whoever knows pings; Autobahn-Python would be gone at the first."""
    done = threading.Event()
    done.wait(2.0)
    peers[NAMES[0]].ask("register", uri="com.example.idle", kind="echo")
    for name in OTHERS:
        assert peers[name].call("com.example.idle", 1) == [[1], {}]
    peers[NAMES[0]].ask("unregister", uri="com.example.idle")


@pytest.mark.parametrize("name", NAMES, ids="-".join)
def test_goodbye_is_said_and_answered(peers: dict[Name, Peer], urls: dict[str, str], name: Name) -> None:
    _, way, encoding = name
    leaving = Peer(peers[name].puppet, f"{encoding}-leaving-{way}")
    leaving.ask("open", url=urls[way], realm="realm1")
    leaving.ask("close")
    assert "closed" in leaving.hears()
