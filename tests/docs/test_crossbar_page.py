"""docs/how-to/from-crossbar.md is true: both configurations say the same, counts add up, and what is to carry calls and
events between two routers does."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import trustme

sys.path.insert(0, str(Path(__file__).parent.parent / "router"))
from reader import files
from routing import Client, routing
from test_wamp_page import TEST

from limen.core.wamp import messages as m
from limen.door.router.config import Settings
from limen.door.router.reading import read

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "how-to" / "from-crossbar.md"
FILES = {name: text for name, _, text in files(PAGE)}


def settings(folder: Path) -> Settings:
    """What the page's TOML says, where its files are; there is nothing to remark."""
    authority = trustme.CA()
    certificate = authority.issue_cert("router.example")
    certificate.cert_chain_pems[0].write_to_path(folder / "server.crt")
    certificate.private_key_pem.write_to_path(folder / "server.key")
    (folder / "ada.secret").write_text("lovelace")
    (folder / "router.secret").write_bytes(base64.b64encode(os.urandom(32)))
    (folder / "router.toml").write_text(FILES["router.toml"])
    for file in folder.iterdir():
        file.chmod(0o600)
    said, remarks = read(str(folder / "router.toml"))
    assert remarks == []
    return said


def test_both_configurations_say_the_same(tmp_path: Path) -> None:
    (worker,) = json.loads(FILES["config.json"])["workers"]
    (theirs,), (ours,) = worker["realms"], settings(tmp_path).realms
    assert theirs["name"] == ours.name
    for role in theirs["roles"]:
        there = ours.role(role["name"])
        assert there is not None
        assert [permission(one) for one in role.get("permissions", [])] == [
            (rule.uri, rule.match, {*rule.allow}, {*rule.disclose}) for rule in there.rules
        ]
        assert role.get("authorizer") == (there.authorizer.procedure if there.authorizer else None)
    assert len(ours.roles) == len(theirs["roles"])
    kept = [(one["uri"], one["match"], one["limit"]) for one in theirs["store"]["event-history"]]
    assert kept == [(one.uri, one.match, one.limit) for one in ours.history]


def permission(said: dict[str, Any]) -> tuple[str, str, set[str], set[str]]:
    allowed = {action for action, yes in said["allow"].items() if yes}
    return said["uri"], said.get("match", "exact"), allowed, {*said.get("disclose", {})}


def test_the_same_people_come_in_by_the_same_ways(tmp_path: Path) -> None:
    (worker,) = json.loads(FILES["config.json"])["workers"]
    web, raw = worker["transports"]
    said = settings(tmp_path)
    (ours,) = said.realms
    auth = web["auth"]
    assert auth["anonymous"]["role"] == ours.anonymous
    assert ours.authenticator is not None
    assert (auth["ticket"]["authenticator"], ("ticket",)) == (
        ours.authenticator.procedure,
        ours.authenticator.methods,
    )
    people = {user.name: user for user in ours.users}
    assert {*people} == {*auth["wampcra"]["users"], *auth["cryptosign"]["principals"]}
    for name, user in auth["wampcra"]["users"].items():
        cra = people[name].wampcra
        assert cra is not None
        assert (cra.secret.value, people[name].roles) == (user["secret"], (user["role"],))
    for name, principal in auth["cryptosign"]["principals"].items():
        assert (people[name].cryptosign, people[name].roles) == (
            (*principal["authorized_keys"],),
            (principal["role"],),
        )
    tcp, unix = said.listeners
    assert (tcp.port, tcp.tls is not None, [*tcp.encodings]) == (web["endpoint"]["port"], True, web["serializers"])
    assert (unix.type, Path(unix.unix).name) == (raw["type"], raw["endpoint"]["path"])
    assert [*unix.encodings] == raw["serializers"]


def test_the_counts_are_true_and_the_tests_that_it_names_exist() -> None:
    text = PAGE.read_text()
    rows = re.findall(r"^\| .+? \| (\d+) \| .* \|$", text, re.MULTILINE)
    failed = re.search(r"suite of (\d+) checks.*?(\d+) passed, (\d+) failed, and (\d+) were", text, re.DOTALL)
    assert failed is not None
    every, passed, not_passed, left_out = map(int, failed.groups())
    assert sum(map(int, rows)) == not_passed
    assert every == passed + not_passed + left_out
    named = TEST.findall(text.replace("](../../", "](../"))
    assert len(named) > len(rows)
    assert [name for name, file in named if f"def {name}(" not in (ROOT / file).read_text()] == []


# -- the bridge ---------------------------------------------------------------------------------------------------
@contextlib.asynccontextmanager
async def bridge(folder: Path, old: int, new: int) -> AsyncIterator[None]:
    program = folder / "bridge.py"
    program.write_text(FILES["bridge.py"].replace(":8080/", f":{old}/").replace(":8081/", f":{new}/"))
    running = await asyncio.create_subprocess_exec(sys.executable, str(program))
    try:
        yield
    finally:
        running.kill()
        await running.wait()


async def until(client: Client, topic: str) -> None:
    """The bridge has subscribed or registered: *client* listens to that."""
    event = await client.hear(30)
    assert isinstance(event, m.Event), topic


async def test_the_bridge_carries_calls_to_the_old_router_and_events_both_ways(tmp_path: Path) -> None:
    async with routing("plant") as old, routing("plant") as new:
        callee, caller = await old.join("plant"), await new.join("plant")
        ready = {"wamp.subscription.on_subscribe": old, "wamp.registration.on_register": new}
        watching = {topic: await at.join("plant") for topic, at in ready.items()}
        both = await new.join("plant")
        await both.ask(m.Subscribe, "wamp.subscription.on_subscribe")
        for topic, client in watching.items():
            await client.ask(m.Subscribe, topic)
        registered = await callee.ask(m.Register, "plant.pump")
        async with bridge(tmp_path, old.port, new.port):
            for topic, client in watching.items():
                await until(client, topic)
            assert isinstance(await both.hear(30), m.Event)

            await caller.say(m.Call(next(caller.numbers), {}, "plant.pump", [7], {"slow": True}))
            invocation = await callee.hear()
            assert isinstance(invocation, m.Invocation)
            assert (invocation.registration, invocation.args) == (registered.registration, [7])
            assert invocation.kwargs == {"slow": True}
            await callee.say(m.Yield(invocation.request, {}, ["done"]))
            result = await caller.hear()
            assert isinstance(result, m.Result)
            assert result.args == ["done"]

            await callee.ask(m.Subscribe, "plant.", match="prefix")
            await caller.ask(m.Subscribe, "plant.", match="prefix")
            await callee.say(m.Publish(next(callee.numbers), {}, "plant.hot", [1]))
            await heard(caller, "plant.hot", [1])
            await caller.say(m.Publish(next(caller.numbers), {}, "plant.cold", [2]))
            await heard(callee, "plant.cold", [2])  # and nothing of plant.hot came back before it


async def heard(client: Client, topic: str, args: list[Any]) -> None:
    event = await client.hear()
    assert isinstance(event, m.Event)
    assert (event.details["topic"], event.args) == (topic, args)
