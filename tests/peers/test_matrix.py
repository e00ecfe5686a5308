"""Four client libraries, in every encoding and by every login method that each speaks, through one router: each calls
each, and each hears each."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from itertools import count, product
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme
from puppet import Peer, Puppet, Refused, told
from served import Server

HERE = Path(__file__).parent
COMMANDS = {
    "autobahn-python": [sys.executable, str(HERE / "autobahn_python.py")],
    "autobahn-js": ["node", str(HERE / "autobahn_js.mjs")],
    "wampy": ["node", str(HERE / "wampy_js.mjs")],
    "xconn": [sys.executable, str(HERE / "xconn_python.py")],
}
SECRET, SEED = "correct horse battery", bytes(range(32)).hex()
USERS = {
    "anonymous": None,
    "ticket": ("ticket", SECRET),
    "wampcra": ("wampcra", SECRET),
    "salted": ("wampcra", SECRET),
    "scram": ("scram", SECRET),
    "cryptosign": ("cryptosign", SEED),
    "tls": ("tls", ""),
}
"""Users of router.py: how each logs in."""
CANNOT = {
    "autobahn-python": set[str](),
    "autobahn-js": {"scram"},
    "wampy": {"scram"},
    "xconn": {"scram", "tls"},
}
"""What a library has no code for (Autobahn|Python's SCRAM is by Argon2 alone: its PBKDF2 refuses its own arguments);
xconn can't be told to show a certificate."""


class Name(NamedTuple):
    client: str
    encoding: str
    user: str


NAMES = [
    Name(client, encoding, user)
    for client, encoding, user in product(COMMANDS, ("json", "msgpack", "cbor"), USERS)
    if user not in CANNOT[client]
]
VALUES = [None, True, -1, 2**40, 2.5, "", "Grüße, 世界 🎉", [], [1, [2]], {"a": {"b": [1, None]}}]
_uris = count(1)
each = pytest.mark.parametrize("name", NAMES, ids="-".join)


def login(user: str) -> dict[str, str] | None:
    how = USERS[user]
    return None if how is None else {"method": how[0], "authid": user, "secret": how[1]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates: the authority's, the server's and a client's."""
    made, authority = tmp_path_factory.mktemp("certificates"), trustme.CA()
    authority.cert_pem.write_to_path(made / "ca.pem")
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(made / "server.pem")
    shown = authority.issue_cert("client.example", common_name="tls")
    shown.private_key_and_cert_chain_pem.write_to_path(made / "client.pem")
    return made


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    server = Server([sys.executable, str(HERE / "router.py"), str(folder)], cwd=folder, env=dict(os.environ))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def puppets() -> Iterator[dict[str, Puppet]]:
    puppets = {client: Puppet(command, HERE) for client, command in COMMANDS.items()}
    yield puppets
    assert [puppet.end() for puppet in puppets.values()] == [0] * len(COMMANDS)


def opening(server: Server, folder: Path, user: str) -> dict[str, Any]:
    """What a puppet's `open` is asked."""
    if user != "tls":
        return {"url": server.url, "realm": "realm1", "login": login(user)}
    secure = next(line.removeprefix("TLS: ") for line in server.lines if line.startswith("TLS: "))
    tls = {"ca": str(folder / "ca.pem"), "certificate": str(folder / "client.pem")}
    return {"url": secure, "realm": "realm1", "login": login(user), "tls": tls}


@pytest.fixture(scope="module")
def peers(server: Server, folder: Path, puppets: dict[str, Puppet]) -> dict[Name, Peer]:
    """A session of each, which has come in as who it is."""
    begun = {}
    for name in NAMES:
        puppet, session = puppets[name.client], f"{name.encoding}-{name.user}"
        begun[name] = puppet, session, puppet.begin("open", session=session, **opening(server, folder, name.user))
    peers = {}
    for name, (puppet, session, answer) in begun.items():
        welcome = told(answer)
        assert sorted(welcome["roles"]) == ["broker", "dealer"]
        if name.user == "anonymous":
            assert (welcome["authid"][:10], welcome["authrole"]) == ("anonymous-", "anybody")
        else:
            assert (welcome["authid"], welcome["authrole"]) == (name.user, "user")
        peers[name] = Peer(puppet, session)
    return peers


Peers = dict[Name, Peer]


@each
def test_each_calls_each(peers: Peers, name: Name) -> None:
    uri, broken = (f"com.example.n{next(_uris)}" for _ in range(2))
    peers[name].ask("register", uri=uri, kind="echo")
    peers[name].ask("register", uri=broken, kind="fail")
    begun = {
        caller: peer.puppet.begin(
            "call", session=peer.session, uri=uri, args=[VALUES, "-".join(caller)], kwargs={"n": 1, "text": "ä"}
        )
        for caller, peer in peers.items()
    }
    for caller, answer in begun.items():
        assert told(answer) == [[VALUES, "-".join(caller)], {"n": 1, "text": "ä"}]
    for caller in [other for other in NAMES if other.user == name.user and other.encoding == name.encoding]:
        with pytest.raises(Refused) as refused:
            peers[caller].call(broken, "why", 1)
        assert (refused.value.error, refused.value.list) == ("com.example.broken", ["why", 1])
    peers[name].ask("unregister", uri=uri)
    peers[name].ask("unregister", uri=broken)


@each
def test_each_hears_each(peers: Peers, name: Name) -> None:
    topic = f"com.example.n{next(_uris)}"
    for answer in [peer.puppet.begin("subscribe", session=peer.session, topic=topic) for peer in peers.values()]:
        told(answer)
    peers[name].ask("publish", topic=topic, args=[VALUES], kwargs={"by": "-".join(name)})
    event = {"topic": topic, "args": [VALUES], "kwargs": {"by": "-".join(name)}}
    assert [peer.hears() for other, peer in peers.items() if other != name] == [event] * (len(NAMES) - 1)
    for answer in [peer.puppet.begin("unsubscribe", session=peer.session, topic=topic) for peer in peers.values()]:
        told(answer)
    assert all(peer.hears_nothing for peer in peers.values())


@pytest.mark.parametrize("name", [name for name in NAMES if name.encoding == "json"], ids="-".join)
def test_whoever_proves_nothing_stays_outside(
    server: Server, folder: Path, puppets: dict[str, Puppet], name: Name
) -> None:
    asked = opening(server, folder, name.user)
    if name.user == "anonymous":
        asked |= {"realm": "realm2"}
    elif name.user == "tls":
        del asked["tls"]
        asked["url"] = server.url
    else:
        asked["login"]["secret"] = bytes(32).hex() if name.user == "cryptosign" else "wrong"
    with pytest.raises(Refused):
        puppets[name.client].ask("open", session=f"json-{name.user}-outside", **asked)


@pytest.mark.parametrize("client", COMMANDS)
def test_a_goodbye_is_answered(peers: Peers, server: Server, folder: Path, client: str) -> None:
    peer = peers[Name(client, "json", "ticket")]
    peer.ask("close")
    assert peer.hears().keys() == {"closed"}
    peer.ask("open", **opening(server, folder, "ticket"))


def test_what_is_more_than_xconn_takes_ends_that_session_and_no_other(
    peers: Peers, server: Server, folder: Path, puppets: dict[str, Puppet]
) -> None:
    callee = peers[Name("autobahn-python", "msgpack", "ticket")]
    callee.ask("register", uri="com.example.swell", kind="swell")
    caller, other = Peer(puppets["xconn"], "cbor-large"), peers[Name("xconn", "cbor", "ticket")]
    caller.ask("open", **opening(server, folder, "ticket"))
    caller.begin("com.example.swell", 2**20 + 1000)
    assert caller.hears().keys() == {"closed"}
    assert other.call("com.example.swell", 10) == [["x" * 10], {}]
    wampy = peers[Name("wampy", "cbor", "ticket")].call("com.example.swell", 2**20 + 1000)
    assert len(wampy[0][0]) == 2**20 + 1000
