"""docs/wamp.md is whole and true: each section of the specification once, tests that exist, counts that add up, and
the features that a router announces are those that it calls done."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

from limen.core.wamp import messages as m
from limen.core.wamp.features import features

sys.path.insert(0, str(Path(__file__).parent.parent / "router"))
from routing import routing

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "wamp.md").read_text()
VERDICTS = ["done", "otherwise", "not done"]

SECTIONS = {
    "Building blocks": "URIs; IDs; Serializers; WebSocket Transport; Transport and Session Lifetime; Protocol Errors",
    "Messages": "Extensibility; No Polymorphism; Message Definitions; Extension Messages; "
    "Empty Arguments and Keyword Arguments; Additional Messages",
    "Sessions": "HELLO; WELCOME; ABORT; GOODBYE",
    "Publish and subscribe": "Subscribing and Unsubscribing; Publishing and Events",
    "Remote procedure calls": "Registering and Unregistering; Calling and Invocations; "
    "Caller Leaving During an RPC Invocation; Callee Leaving During an RPC Invocation",
    "Security model": "Ordering Guarantees; Transport Encryption and Integrity; Router Authentication; "
    "Client Authentication; Routers are trusted; Basic Profile URIs",
    "Advanced RPC": "Feature Announcement; Progressive Call Results; Progressive Call Invocations; Call Timeouts; "
    "Call Canceling; Call Re-Routing; Caller Identification; Call Trust Levels; Pattern-based Registrations; "
    "Shared Registration; Sharded Registration; Registration Revocation",
    "Advanced publish and subscribe": "Subscriber Black- and Whitelisting; Publisher Exclusion; "
    "Publisher Identification; Publication Trust Levels; Pattern-based Subscription; Sharded Subscription; "
    "Event History; Event Retention; Subscription Revocation; Session Testament",
    "Meta API": "Session Meta API; Registration Meta API; Subscriptions Meta API",
    "Authentication and authorization": "Authentication Methods; Cookie-based Authentication; "
    "Ticket-based Authentication; Challenge Response Authentication; Salted Challenge Response Authentication; "
    "Cryptosign: Client Authentication; Cryptosign: TLS Channel Binding; Cryptosign: Router Authentication; "
    "Cryptosign: Trustroots and Certificates; Cryptosign: Remote Attestation; Dynamic Authentication API; "
    "Authorization; Advanced Profile URIs",
    "Advanced transports and serializers": "RawSocket Transport; Message Batching; HTTP Longpoll Transport; "
    "Multiplexed Transport; Binary support in JSON",
    "Payloads, interfaces, links": "Payload Passthru Mode; Payload End-to-End Encryption; Interface Catalogs; "
    "WAMP IDL; Interface Reflection; Router-to-Router Links",
}
"""The sections of the specification, by the parts of the page."""

ROW = re.compile(r"^\| ([^|]+?)(?: `(\w+)`)? \| \*\*(.+?)\*\* \| (.*?) \| ?(.*?) ?\|$")
TEST = re.compile(r"\[((?:test_|Test)\w+)\]\(\.\./((?:tests|src)/[^)]+\.py)\)")


def rows() -> list[tuple[str, list[str]]]:
    """Of each row: its part; section, feature, verdict, what a peer sees, tests."""
    found, part = [], ""
    for line in re.sub(r"\\\|", "¦", PAGE).splitlines():
        if line.startswith("## "):
            part = line.removeprefix("## ")
        elif row := ROW.match(line):
            found.append((part, [cell or "" for cell in row.groups()]))
    return found


ROWS = rows()


def test_each_section_stands_there_once() -> None:
    said: dict[str, list[str]] = {}
    for part, row in ROWS:
        said.setdefault(part, []).append(row[0])
    assert said == {part: names.split("; ") for part, names in SECTIONS.items()}


def test_each_verdict_is_one_of_the_three_and_what_is_done_names_a_test() -> None:
    assert {row[2] for _, row in ROWS} == {*VERDICTS}
    assert [row[0] for _, row in ROWS if row[2] != "not done" and not (row[3] and TEST.search(row[4]))] == []


def test_the_counts_at_the_top_are_true() -> None:
    counted: dict[str, Counter[str]] = {}
    for part, row in ROWS:
        counted.setdefault(part, Counter())[row[2]] += 1
    counted["all"] = sum(counted.values(), Counter())
    said = re.findall(r"^\| (?:\[(.+?)\]\(#.+?\)|(all)) \| (\d+) \| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE)
    assert {link or bare: [*map(int, numbers)] for link, bare, *numbers in said} == {
        part: [count[verdict] for verdict in VERDICTS] for part, count in counted.items()
    }


def test_the_tests_that_it_names_exist() -> None:
    missing = [
        f"{name} in {file}"
        for name, file in TEST.findall(PAGE)
        if not (ROOT / file).is_file()
        or not re.search(rf"\bdef {name}\(|^{name} = ", (ROOT / file).read_text(), re.MULTILINE)
    ]
    assert missing == []


def test_what_is_announced_is_what_the_page_calls_done() -> None:
    announced = {name for role in features(history=True).values() for name in role["features"]}
    said = {row[1]: row[2] for _, row in ROWS if row[1]}
    assert {name for name, verdict in said.items() if verdict != "not done"} == announced


# -- claims of the page that had no test elsewhere ----------------------------------------------------------------
NAMES = """
close.system_shutdown close.close_realm close.goodbye_and_out close.killed
error.invalid_uri error.no_such_procedure error.procedure_already_exists error.no_such_registration
error.no_such_subscription error.invalid_argument error.canceled error.payload_size_exceeded error.protocol_violation
error.not_authorized error.authorization_failed error.no_such_realm error.no_such_role error.no_matching_auth_method
error.no_such_principal error.authentication_denied error.authentication_failed error.authentication_required
error.authorization_denied error.authorization_required error.timeout error.option_not_allowed
error.option_disallowed.disclose_me error.network_failure error.unavailable error.no_available_callee
error.feature_not_supported error.no_such_session
"""
"""The lists of URIs of both profiles, and what the session meta API adds."""


def test_failures_have_the_names_of_the_specification() -> None:
    code = "\n".join(path.read_text() for path in (ROOT / "src" / "limen").rglob("*.py"))
    said = {*re.findall(r'"(wamp\.(?:error|close)\.[a-z_.]+)"', code)}
    assert said - {f"wamp.{name}" for name in NAMES.split()} == {"wamp.error.runtime_error", "wamp.close.logout"}
    never = ("no_such_principal", "no_such_role", "authorization_required", "network_failure", "no_available_callee")
    assert said.isdisjoint(f"wamp.error.{name}" for name in never)


async def test_an_option_that_nobody_knows_is_passed_over() -> None:
    async with routing("realm1") as at:
        peer, other = await at.join("realm1"), await at.join("realm1")
        assert type(await other.ask(m.Subscribe, "news", get_retained_twice=True, nkey="node23")) is m.Subscribed
        assert type(await peer.ask(m.Publish, "news", [1], acknowledge=True, rkey="7", _mine=[1])) is m.Published
        event = await other.hear()
        assert isinstance(event, m.Event)
        assert event.details == {}


async def test_who_breaks_the_protocol_again_and_again_is_sent_away_for_a_while() -> None:
    async with routing("realm1") as at:
        patient = await at.join("realm1")
        for nonsense in (m.Subscribe(17, {}, "news"), m.Yield(4711, {}), m.Welcome(5, {})):
            peer = await at.join("realm1")
            await peer.say(nonsense)
            abort = await peer.hear()
            assert isinstance(abort, m.Abort)
            assert abort.reason == "wamp.error.protocol_violation"
        refused = await (await at.knock()).hello("realm1")
        assert isinstance(refused, m.Abort)
        assert refused.reason == "limen.error.abusive"
        assert refused.details["retry_after"] > 0
        assert type(await patient.ask(m.Subscribe, "news")) is m.Subscribed
