"""Login and resume: the transcripts of vectors/login.json, names, unknown users, and what is refused."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import pytest
import rbcl

from limen import exc
from limen.core.seal import login, opaque
from limen.core.seal.channel import BadFrame, Channel
from limen.core.seal.keys import KeyRing
from limen.core.seal.noise import PrivateKey
from vectors import unhex, vectors

FILE = vectors("login")
KSF = {"identity": opaque.identity, "argon2id": opaque.argon2id}


def _by_encoding(case: dict[str, Any]) -> str:
    return str(case["subprotocol"])


def _run(channel: Channel, other: Channel, rows: list[dict[str, str]], start: int = 0) -> None:
    for row in rows[start:]:
        assert channel.seal(bytes.fromhex(row["plaintext"])).hex() == row["frame"]
        assert other.open(bytes.fromhex(row["frame"])).hex() == row["plaintext"]


@pytest.mark.parametrize("case", FILE["login"], ids=_by_encoding)
def test_a_login_gives_the_transcript(case: dict[str, Any]) -> None:
    e, sub, domain = unhex(case["entropy"]), case["subprotocol"], case["domain"]
    ring = KeyRing({case["number"]: bytes.fromhex(case["secret"])})
    record = login.make_record(
        ring.domain(domain), case["typed_user"], case["typed_password"],
        entropy=e["registration_blind_entropy"] + e["envelope_nonce"], ksf=KSF[case["ksf"]],
    )  # fmt: skip
    assert record.hex() == case["registration"]["record"]
    client = login.ClientLogin(
        case["typed_user"], case["typed_password"], domain=domain, subprotocol=sub, ksf=KSF[case["ksf"]],
        entropy=e["login_blind_entropy"] + e["client_nonce"] + e["client_keyshare_seed"],
    )  # fmt: skip
    assert (client.user, client.domain) == (case["user"], domain)
    assert client.extra == {"ke1": bytes.fromhex(case["ke1"])}
    server = login.ServerLogin(
        ring, domain=domain, subprotocol=sub, user=case["user"], record=record, number=1,
        entropy=e["masking_nonce"] + e["server_nonce"] + e["server_keyshare_seed"],
    )  # fmt: skip
    hello, challenge, authenticate = (bytes.fromhex(case[k]) for k in ("hello", "challenge", "authenticate"))
    second = server.challenge(hello, client.extra)
    assert second == {"ke2": bytes.fromhex(case["ke2"])}
    third = client.answer(hello, challenge, second)
    assert third == {"ke3": bytes.fromhex(case["ke3"])}
    mine, theirs = client.channel(authenticate), server.accept(challenge, authenticate, third)
    _run(mine, theirs, case["c2s"])
    _run(theirs, mine, case["s2c"])


@pytest.mark.parametrize("case", FILE["login"], ids=_by_encoding)
def test_nobody_gets_the_fake_record_of_the_vectors(case: dict[str, Any]) -> None:
    ring = KeyRing({case["number"]: bytes.fromhex(case["secret"])})
    nobody = case["unknown_user"]
    assert ring.domain(case["domain"]).fake_record(nobody["user"]).hex() == nobody["record"]


@pytest.mark.parametrize("case", FILE["resume"], ids=_by_encoding)
def test_a_resume_gives_the_transcript(case: dict[str, Any]) -> None:
    sub, domain, slot, epoch = case["subprotocol"], case["domain"], bytes.fromhex(case["slot"]), case["epoch"]
    keys = KeyRing({1: bytes.fromhex(case["secret"])}).domain(domain)
    assert keys.resume.public.hex() == case["server_public_key"]
    tab = PrivateKey(bytes.fromhex(case["client_private_key"]))
    details = {"domain": domain, "subprotocol": sub, "slot": slot, "epoch": epoch}
    client = login.ClientResume(tab, keys.resume.public, entropy=bytes.fromhex(case["client_ephemeral"]), **details)
    assert client.extra == {"slot": bytes.fromhex(case["slot"]), "kk1": bytes.fromhex(case["kk1"])}
    assert login.slot_of(client.extra) == slot
    server = login.ServerResume(
        keys.resume, public=tab.public, entropy=bytes.fromhex(case["server_ephemeral"]), **details
    )
    hello, challenge = bytes.fromhex(case["hello"]), bytes.fromhex(case["challenge"])
    second = server.challenge(hello, client.extra)
    assert second == {"kk2": bytes.fromhex(case["kk2"])}
    mine = client.answer(hello, challenge, second)
    first = mine.seal(bytes.fromhex(case["authenticate"]))
    assert first.hex() == case["c2s"][0]["frame"]
    theirs, message = server.accept(challenge, first)
    assert message.hex() == case["authenticate"]
    _run(mine, theirs, case["c2s"], start=1)
    _run(theirs, mine, case["s2c"])


# -- one login in the small -------------------------------------------------------------------------------------
RING = KeyRing({1: b"one " * 16}).add(b"two " * 16)
HERE = {"domain": "clinic.example", "subprotocol": "limen.1.cbor"}
RECORD = login.make_record(RING.domain("clinic.example"), "ada", "right", entropy=b"r" * 96, ksf=opaque.identity)


def _client(password: str = "right", **changes: Any) -> login.ClientLogin:
    given = {"user": "ada", **HERE, "entropy": os.urandom(128), "ksf": opaque.identity, **changes}
    return login.ClientLogin(password=password, **given)


def _server(**changes: Any) -> login.ServerLogin:
    return login.ServerLogin(RING, **{"user": "ada", "record": RECORD, **HERE, "entropy": os.urandom(96), **changes})


def test_a_login_ends_in_a_channel() -> None:
    client, server = _client(), _server()
    third = client.answer(b"hello", b"challenge", server.challenge(b"hello", client.extra))
    theirs, mine = server.accept(b"challenge", b"auth", third), client.channel(b"auth")
    assert mine.open(theirs.seal(b"welcome")) == b"welcome"


@pytest.mark.parametrize("changes", [
    {"user": "eve"}, {"domain": "other.example"}, {"subprotocol": "limen.1.json"}, {"lane": "http"}, {"number": 1},
    {"record": None},
])  # fmt: skip
def test_a_login_is_good_for_one_user_domain_encoding_lane_and_key(changes: dict[str, Any]) -> None:
    client, server = _client(), _server(**changes)
    with pytest.raises(exc.InvalidCredential):
        client.answer(b"h", b"c", server.challenge(b"h", client.extra))


@pytest.mark.parametrize("frames", [(b"H", b"c", b"a"), (b"h", b"C", b"a"), (b"h", b"c", b"A")])
def test_frames_altered_on_the_way_give_channels_that_do_not_meet(frames: tuple[bytes, bytes, bytes]) -> None:
    client, server = _client(), _server()
    hello, challenge, authenticate = frames
    third = client.answer(hello, challenge, server.challenge(b"h", client.extra))
    mine, theirs = client.channel(authenticate), server.accept(b"c", b"a", third)
    with pytest.raises(BadFrame):
        mine.open(theirs.seal(b"welcome"))


def test_a_wrong_password_and_an_unknown_user_look_the_same_to_the_client() -> None:
    said = []
    for client, server in [(_client("wrong"), _server()), (_client(), _server(user="ada", record=None))]:
        with pytest.raises(exc.InvalidCredential) as refused:
            client.answer(b"h", b"c", server.challenge(b"h", client.extra))
        said.append(str(refused.value))
    assert said[0] == said[1]


def test_a_wrong_password_and_an_unknown_user_look_the_same_to_the_server() -> None:
    said = []
    for server in (_server(), _server(record=None)):
        server.challenge(b"h", _client().extra)
        with pytest.raises(login.LoginRefused) as refused:
            server.accept(b"c", b"a", {"ke3": bytes(64)})
        said.append(str(refused.value))
    assert said[0] == said[1]


def test_an_unknown_user_costs_the_server_the_same_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Group operations counted, as they are asked of libsodium; every domain's keys are derived before."""
    counts: Counter[str] = Counter()
    for name in ("crypto_scalarmult_ristretto255", "crypto_scalarmult_ristretto255_base",
                 "crypto_core_ristretto255_from_hash", "crypto_core_ristretto255_is_valid_point"):  # fmt: skip
        real = getattr(rbcl, name)
        monkeypatch.setattr(rbcl, name, lambda *a, n=name, f=real: (counts.update([n]), f(*a))[1])
    work = []
    extra = _client().extra
    for record in (RECORD, None):
        counts.clear()
        _server(record=record).challenge(b"h", extra)
        work.append(dict(counts))
    assert work[0] == work[1]
    assert work[0]["crypto_scalarmult_ristretto255"] == 4


def test_an_unknown_user_keeps_the_same_record_when_a_key_is_added() -> None:
    entropy = b"s" * 96
    extra = _client().extra
    before = login.ServerLogin(KeyRing({1: b"one " * 16}), user="eve", record=None, entropy=entropy, **HERE)
    after = login.ServerLogin(RING, user="eve", record=None, entropy=entropy, **HERE)
    assert before.challenge(b"h", extra) == after.challenge(b"h", extra)


@pytest.mark.parametrize("record", [b"", bytes(192), RECORD[:-1], RECORD + b"x"])
def test_a_damaged_record_counts_as_none(record: bytes) -> None:
    assert not _server(record=record).known
    assert not _server(number=9).known


@pytest.mark.parametrize("user", ["Ada", "", " ada", "a\x00", "\ud800", "Ａ", "x" * 256, None, 7, b"ada"])
def test_a_server_takes_names_in_normal_form_only(user: Any) -> None:
    with pytest.raises(login.LoginRefused):
        _server(user=user)


@pytest.mark.parametrize("extra", [
    None, [], {}, {"ke1": None}, {"ke1": 7}, {"ke1": b""}, {"ke1": bytes(95)}, {"ke1": bytes(96)}, {"ke1": "x" * 96},
    {"ke1": "\x00" + "AAAA" * 32}, {"ke1": [0] * 96},
])  # fmt: skip
def test_a_malformed_hello_is_refused(extra: Any) -> None:
    with pytest.raises(login.LoginRefused):
        _server().challenge(b"h", extra)


@pytest.mark.parametrize("extra", [None, {}, {"ke2": b""}, {"ke2": bytes(319)}, {"ke2": bytes(320)}])
def test_a_malformed_challenge_is_refused(extra: Any) -> None:
    with pytest.raises(login.LoginRefused):
        _client().answer(b"h", b"c", extra)


def test_a_client_has_no_channel_before_the_challenge() -> None:
    with pytest.raises(login.LoginRefused):
        _client().channel(b"a")


def test_a_channel_is_given_once() -> None:
    client, server = _client(), _server()
    third = client.answer(b"h", b"c", server.challenge(b"h", client.extra))
    client.channel(b"a")
    server.accept(b"c", b"a", third)
    with pytest.raises(login.LoginRefused):
        client.channel(b"a")
    with pytest.raises(login.LoginRefused):
        server.accept(b"c", b"a", third)


# -- resume -----------------------------------------------------------------------------------------------------
TAB, DOMAIN_KEY = PrivateKey(b"t" * 32), RING.domain("clinic.example").resume
SLOT = {**HERE, "slot": b"0123456789abcdef", "epoch": 3}


def _resume_client(**changes: Any) -> login.ClientResume:
    given = {"key": TAB, "server_key": DOMAIN_KEY.public, **SLOT, "entropy": os.urandom(32), **changes}
    return login.ClientResume(given.pop("key"), given.pop("server_key"), **given)


def _resume_server(**changes: Any) -> login.ServerResume:
    given = {"key": DOMAIN_KEY, "public": TAB.public, **SLOT, "entropy": os.urandom(32), **changes}
    return login.ServerResume(given.pop("key"), **given)


@pytest.mark.parametrize("changes", [
    {"domain": "other.example"}, {"subprotocol": "limen.1.json"}, {"lane": "http"}, {"slot": bytes(16)}, {"epoch": 4},
    {"public": DOMAIN_KEY.public}, {"key": TAB},
])  # fmt: skip
def test_a_resume_is_good_for_one_slot_epoch_domain_encoding_lane_and_key(changes: dict[str, Any]) -> None:
    with pytest.raises(login.LoginRefused):
        _resume_server(**changes).challenge(b"h", _resume_client().extra)


@pytest.mark.parametrize(("hello", "challenge"), [(b"H", b"c"), (b"h", b"C")])
def test_open_frames_of_a_resume_altered_on_the_way_are_noticed(hello: bytes, challenge: bytes) -> None:
    client, server = _resume_client(), _resume_server()
    channel = client.answer(hello, challenge, server.challenge(b"h", client.extra))
    with pytest.raises(login.LoginRefused):
        server.accept(b"c", channel.seal(b"auth"))


def test_a_recorded_message_1_leads_nowhere() -> None:
    client = _resume_client()
    recorded = client.extra
    server = _resume_server()
    channel = client.answer(b"h", b"c", server.challenge(b"h", recorded))
    first = channel.seal(b"auth")
    server.accept(b"c", first)
    replayed = _resume_server()  # the server makes a new ephemeral key each time
    replayed.challenge(b"h", recorded)
    with pytest.raises(login.LoginRefused):
        replayed.accept(b"c", first)


def test_a_server_that_does_not_know_the_slot_key_is_noticed() -> None:
    client = _resume_client()
    with pytest.raises(login.LoginRefused):
        client.answer(b"h", b"c", {"kk2": PrivateKey(b"x" * 32).public + bytes(16)})


@pytest.mark.parametrize("extra", [None, {}, {"kk1": b""}, {"kk1": bytes(48)}, {"kk1": bytes(47)}])
def test_a_malformed_resume_is_refused(extra: Any) -> None:
    with pytest.raises(login.LoginRefused):
        _resume_server().challenge(b"h", extra)


@pytest.mark.parametrize("extra", [None, {}, {"slot": b""}, {"slot": bytes(15)}, {"slot": "0123456789abcdef"}])
def test_a_resume_without_a_slot_is_refused(extra: Any) -> None:
    with pytest.raises(login.LoginRefused):
        login.slot_of(extra)


def test_an_accept_before_the_challenge_is_refused() -> None:
    with pytest.raises(login.LoginRefused):
        _resume_server().accept(b"c", bytes(20))
    with pytest.raises(login.LoginRefused):
        _server().accept(b"c", b"a", {"ke3": bytes(64)})


# -- registration -----------------------------------------------------------------------------------------------
def test_a_new_password_is_registered_by_two_messages() -> None:
    keys = RING.domain("clinic.example")
    client = login.ClientRegistration(
        "ada", "new", domain="clinic.example", entropy=os.urandom(96), ksf=opaque.identity
    )
    record = client.record(login.registration_response(keys, "ada", client.request))
    one, other = _client("new"), _server(record=record)
    third = one.answer(b"h", b"c", other.challenge(b"h", one.extra))
    other.accept(b"c", b"a", third)


@pytest.mark.parametrize("request_", [b"", bytes(32), b"\xff" * 32, bytes(33)])
def test_a_malformed_registration_is_refused(request_: bytes) -> None:
    with pytest.raises(exc.InvalidValue):
        login.registration_response(RING.domain("clinic.example"), "ada", request_)
    client = login.ClientRegistration("ada", "new", domain="x", entropy=b"r" * 96, ksf=opaque.identity)
    with pytest.raises(login.LoginRefused):
        client.record(request_ + bytes(32))


@pytest.mark.parametrize("make", [
    lambda: _client(entropy=b""), lambda: _server(entropy=bytes(95)), lambda: _resume_client(entropy=b"x"),
    lambda: _resume_server(entropy=b"x"),
])  # fmt: skip
def test_too_little_entropy_is_refused(make: Any) -> None:
    with pytest.raises(ValueError, match="random bytes"):
        make()


def test_nothing_secret_shows() -> None:
    client, server = _client("right"), _server()
    assert repr(client) == "ClientLogin('ada', 'clinic.example')"
    assert repr(server) == "ServerLogin('ada', 'clinic.example')"
    for shown in (repr(_resume_client()), repr(_resume_server())):
        assert len(shown) < 100
