"""Clients that others wrote, through the real `limen serve --realm-rules open`: each in every encoding that it speaks,
each against each."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from puppet import Peer, Puppet, Refused, told
from served import Server

HERE = Path(__file__).parent
COMMANDS = {
    "autobahn-python": [sys.executable, str(HERE / "autobahn_python.py")],
    "autobahn-js": ["node", str(HERE / "autobahn_js.mjs")],
    "wampy": ["node", str(HERE / "wampy_js.mjs")],
}
NAMES = [(client, encoding) for client in COMMANDS for encoding in ("json", "msgpack", "cbor")]
STREAM = [name for name in NAMES if name[0] != "autobahn-js"]
"""Autobahn-JS streams as a callee only if it is told to, and may not be told: it does not announce call canceling
(section "Progressive Call Results")."""
VALUES = [None, True, -1, 2**40, 2.5, "", "Grüße, 世界 🎉", [], [1, [2]], {"a": {"b": [1, None]}}]
_uris = count(1)


def each(argument: str, names: list[tuple[str, str]] = NAMES) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(argument, names, ids="-".join)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    limen = str(Path(sys.executable).with_name("limen"))
    command = [limen, "serve", str(HERE / "program.py"), "--port", "0", "--realm-rules", "open"]
    server = Server(command, cwd=tmp_path_factory.mktemp("served"), env=dict(os.environ))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def puppets() -> Iterator[dict[str, Puppet]]:
    puppets = {client: Puppet(command, HERE) for client, command in COMMANDS.items()}
    yield puppets
    assert [puppet.end() for puppet in puppets.values()] == [0, 0, 0]


@pytest.fixture(scope="module")
def peers(server: Server, puppets: dict[str, Puppet]) -> dict[tuple[str, str], Peer]:
    """A session of each client in each encoding."""
    url = f"ws://localhost:{server.port}/ws"
    peers = {name: Peer(puppets[name[0]], name[1]) for name in NAMES}
    for peer in peers.values():
        assert sorted(peer.ask("open", url=url, realm="localhost")["roles"]) == ["broker", "dealer"]
    return peers


Peers = dict[tuple[str, str], Peer]
Name = tuple[str, str]


def fresh_uri() -> str:
    return f"com.example.n{next(_uris)}"


# -- cryptosign --------------------------------------------------------------------------------------------------
def device(seed: bytes) -> dict[str, str]:
    return {"method": "cryptosign", "authid": "device", "secret": seed.hex()}


@each("name", [name for name in NAMES if name[1] != "msgpack"])
def test_a_peer_that_signs_has_a_user_and_roles(server: Server, puppets: dict[str, Puppet], name: Name) -> None:
    peer = Peer(puppets[name[0]], f"{name[1]}-signed")
    url = f"ws://localhost:{server.port}/ws"
    peer.ask("open", url=url, realm="localhost", login=device(bytes(range(32))))
    assert peer.call("whoami") == [[["device", "machine"]], {}]
    peer.ask("close")


@each("name", [name for name in NAMES if name[1] == "json"])
def test_a_peer_that_signs_with_another_key_is_refused(server: Server, puppets: dict[str, Puppet], name: Name) -> None:
    peer = Peer(puppets[name[0]], f"{name[1]}-refused")
    url = f"ws://localhost:{server.port}/ws"
    with pytest.raises(Refused):
        peer.ask("open", url=url, realm="localhost", login=device(bytes(32)))


@each("name", NAMES[:1])  # one: each attempt counts
def test_a_peer_that_does_not_sign_is_nobody(peers: Peers, name: Name) -> None:
    with pytest.raises(Refused) as refused:
        peers[name].call("whoami")
    assert refused.value.error == "wamp.error.not_authorized"


# -- services of the server -------------------------------------------------------------------------------------
@each("name")
def test_a_service_of_the_server_is_called(peers: Peers, name: Name) -> None:
    peer = peers[name]
    assert peer.call("add", 2, 3) == [[5], {}]
    assert peer.call("add", 2, b=40) == [[42], {}]
    assert peer.call("echo", VALUES) == [[VALUES], {}]


@each("name")
def test_what_a_service_refuses_is_an_error_that_goes_on(peers: Peers, name: Name) -> None:
    peer = peers[name]
    with pytest.raises(Refused) as refused:
        peer.call("no.such.procedure")
    assert refused.value.error == "wamp.error.no_such_procedure"
    with pytest.raises(Refused) as refused:
        peer.call("add", "many", "words")
    assert refused.value.error == "limen.error.invalid_arguments"
    assert peer.call("add", 1) == [[1], {}]


@each("name")
def test_hundred_calls_at_once_are_answered_each_with_its_own(peers: Peers, name: Name) -> None:
    """Of different sizes: an encoder that works in the background may not change their order."""
    values = ["x" * (n * 7919 % 5000) + str(n) for n in range(100)]
    begun = [peers[name].begin("echo", value) for value in values]
    assert [told(answer) for answer in begun] == [[[value], {}] for value in values]


@each("name")
def test_a_service_streams(peers: Peers, name: Name) -> None:
    peer = peers[name]
    args, kwargs, steps = peer.ask("call", uri="count", args=[5], kwargs={}, progress=True)
    assert (args in ([], [None]), kwargs, steps) == (True, {}, [[0], [1], [2], [3], [4]])


@each("name")
def test_a_cancel_reaches_the_running_service(peers: Peers, name: Name) -> None:
    peer = peers[name]
    with pytest.raises(Refused) as refused:
        peer.ask("call", uri="forever", args=[], kwargs={}, progress=True, cancel_after=3)
    assert refused.value.error == "wamp.error.canceled"
    assert peer.call("until_forever_has_ended") == [[True], {}]


@each("name")
def test_an_event_of_the_server_arrives(peers: Peers, name: Name) -> None:
    peer = peers[name]
    peer.ask("subscribe", topic="news")
    peer.call("tell", "first")
    assert peer.hears() == {"topic": "news", "args": ["first"], "kwargs": {"by": "the server"}}
    peer.ask("unsubscribe", topic="news")
    peer.call("tell", "second")
    peer.call("add", 1)
    assert peer.hears_nothing


# -- each against each ------------------------------------------------------------------------------------------
@each("callee")
def test_a_procedure_is_called_by_all(peers: Peers, callee: Name) -> None:
    uri, broken = fresh_uri(), fresh_uri()
    peers[callee].ask("register", uri=uri, kind="echo")
    peers[callee].ask("register", uri=broken, kind="fail")
    for caller in peers.values():
        assert caller.call(uri) == [[], {}]
        assert caller.call(uri, VALUES, "two", n=1, text="ä") == [[VALUES, "two"], {"n": 1, "text": "ä"}]
        with pytest.raises(Refused) as refused:
            caller.call(broken, "why", 1)
        assert (refused.value.error, refused.value.list) == ("com.example.broken", ["why", 1])
        assert refused.value.dict == {"n": 7}
    peers[callee].ask("unregister", uri=uri)
    with pytest.raises(Refused) as refused:
        peers[callee].call(uri)
    assert refused.value.error == "wamp.error.no_such_procedure"


@each("callee", STREAM)
def test_a_procedure_streams_to_all(peers: Peers, callee: Name) -> None:
    uri = fresh_uri()
    peers[callee].ask("register", uri=uri, kind="stream")
    for caller in peers.values():
        assert caller.ask("call", uri=uri, args=[3], kwargs={}, progress=True) == [["end"], {}, [[0], [1], [2]]]


@each("callee", [name for name in NAMES if name[0] == "autobahn-python"])
def test_a_cancel_reaches_the_callee(peers: Peers, callee: Name) -> None:
    """Neither JavaScript client can be interrupted as a callee."""
    uri = fresh_uri()
    peers[callee].ask("register", uri=uri, kind="hang")
    for caller in peers.values():
        with pytest.raises(Refused) as refused:
            caller.ask("call", uri=uri, args=[], kwargs={}, progress=True, cancel_after=1)
        assert refused.value.error == "wamp.error.canceled"
        assert peers[callee].hears() == {"interrupted": True}


@each("publisher")
def test_an_event_reaches_all_others(peers: Peers, publisher: Name) -> None:
    topic = fresh_uri()
    for peer in peers.values():
        peer.ask("subscribe", topic=topic)
    peers[publisher].ask("publish", topic=topic, args=[VALUES], kwargs={"by": "-".join(publisher)})
    event = {"topic": topic, "args": [VALUES], "kwargs": {"by": "-".join(publisher)}}
    for name, peer in peers.items():
        if name != publisher:
            assert peer.hears() == event
        peer.ask("unsubscribe", topic=topic)
        assert peer.hears_nothing


# -- the end ----------------------------------------------------------------------------------------------------
@each("name")
def test_a_goodbye_is_answered(server: Server, peers: Peers, name: Name) -> None:
    peer = peers[name]
    peer.ask("close")
    assert peer.hears().keys() == {"closed"}
    welcome = peer.ask("open", url=f"ws://localhost:{server.port}/ws", realm="localhost")
    assert sorted(welcome["roles"]) == ["broker", "dealer"]
    assert peer.call("add", 1) == [[1], {}]
