"""The machines of WAMP's login methods: published vectors, both ends against each other, and what must be refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.pretty import pretty_repr

from limen.core.wamp.auth import cryptosign, fakes, scram, ticket, tls, wampcra
from limen.core.wamp.auth.saslprep import saslprep
from vectors import vectors

VECTORS = vectors("auth")
NONCE = base64.b64encode(bytes(range(16))).decode()
OTHER = base64.b64encode(bytes(range(16, 32))).decode()
SECRET = bytes(range(32))
EITHER = pytest.mark.parametrize("form", scram.FORMS.values(), ids=scram.FORMS)


def record(kdf: str = "pbkdf2", password: str = "pencil") -> scram.Credential:
    return scram.derive(password, b"sixteen of salt.", kdf, 4096 if kdf == "pbkdf2" else 1, 64 if "argon" in kdf else 0)


# -- vectors ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("case", VECTORS["pbkdf2"], ids=lambda case: f"{case['hash']}-{case['iterations']}")
def test_pbkdf2_gives_the_vectors_of_rfc_6070_and_7914(case: dict[str, Any]) -> None:
    key = hashlib.pbkdf2_hmac(
        case["hash"], case["password"].encode(), case["salt"].encode(), case["iterations"], case["keylen"]
    )
    assert key.hex() == case["key_hex"]
    if case["hash"] == "sha256":
        derived = wampcra.derive(case["password"], case["salt"], case["iterations"], case["keylen"])
        assert base64.b64decode(derived).hex() == case["key_hex"]


@pytest.mark.parametrize("case", VECTORS["argon2id"])
def test_argon2id_gives_the_vector(case: dict[str, Any]) -> None:
    given = (case["password"], case["salt"].encode())
    key = scram.salted_password(*given, "argon2id13", case["iterations"], case["memory"])
    assert key.hex() == case["key_hex"]
    text = scram.salted_password(*given, "argon2id-13", case["iterations"], case["memory"])
    assert text == base64.b64encode(key).rstrip(b"="), "Autobahn's key is a text"


@pytest.mark.parametrize("case", VECTORS["saslprep"], ids=lambda case: ascii(case["text"]))
def test_saslprep_gives_the_examples_of_rfc_4013(case: dict[str, Any]) -> None:
    if case["prepared"] is None:
        with pytest.raises(ValueError, match="SASLprep prohibits"):
            saslprep(case["text"])
    else:
        assert saslprep(case["text"]) == case["prepared"]


def test_scram_signs_what_rfc_5802_signs() -> None:
    case = next(case for case in VECTORS["scram"] if case["hash"] == "sha1")
    message = scram.auth_message(
        scram.SPECIFIED, case["user"], case["client_nonce"], case["nonce"], case["salt"], case["iterations"], None
    )
    salted = hashlib.pbkdf2_hmac("sha1", case["password"].encode(), base64.b64decode(case["salt"]), case["iterations"])
    server_key = hmac.digest(salted, b"Server Key", "sha1")
    assert base64.b64encode(hmac.digest(server_key, message, "sha1")).decode() == case["verifier"]


def test_scram_gives_the_vectors_of_rfc_7677() -> None:
    case = next(case for case in VECTORS["scram"] if case["hash"] == "sha256")
    credential = scram.derive(case["password"], base64.b64decode(case["salt"]), "pbkdf2", case["iterations"])
    client = scram.Client(scram.SPECIFIED, case["user"], case["password"], case["client_nonce"])
    rest = case["nonce"].removeprefix(case["client_nonce"])
    server = scram.Server(scram.SPECIFIED, case["user"], client.hello(), credential, rest)
    assert server.challenge() == {
        "nonce": case["nonce"],
        "salt": case["salt"],
        "kdf": "pbkdf2",
        "iterations": 4096,
        "memory": None,
    }
    signature, extra = client.answer(server.challenge())
    assert signature == case["proof"]
    assert extra == {"nonce": case["nonce"], "channel_binding": None, "cbind_data": None}
    assert server.passed(signature, extra)
    assert server.welcome == {"verifier": case["verifier"]}
    assert client.verify(server.welcome)
    assert client.verify({"verifier": f"v={case['verifier']}"}), "as the specification's example has it"


@pytest.mark.parametrize("case", VECTORS["autobahn_scram"], ids=lambda case: case["salt_hex"][:6])
def test_autobahns_records_are_ours(case: dict[str, Any]) -> None:
    made = scram.derive(
        case["password"], bytes.fromhex(case["salt_hex"]), case["kdf"], case["iterations"], case["memory"]
    )
    assert (made.stored_key.hex(), made.server_key.hex()) == (case["stored_key_hex"], case["server_key_hex"])


def test_wampcra_gives_autobahns_vectors() -> None:
    for case in VECTORS["wampcra"]["derive"]:
        assert wampcra.derive(case["secret"], case["salt"], case["iterations"], case["keylen"]) == case["key"]
    for case in VECTORS["wampcra"]["sign"]:
        assert wampcra.sign(case["key"], case["challenge"]) == case["signature"]


@pytest.mark.parametrize("case", VECTORS["cryptosign"], ids=lambda case: case["signature_hex"][:8])
def test_cryptosign_gives_the_vectors_of_the_specification(case: dict[str, Any]) -> None:
    channel = None if case["channel_id_hex"] is None else bytes.fromhex(case["channel_id_hex"])
    kind = None if channel is None else "tls-unique"
    client = cryptosign.Client(bytes.fromhex(case["private_key_hex"]), kind, channel)
    public = cryptosign.public_key(client.hello())
    server = cryptosign.Server(public, bytes.fromhex(case["challenge_hex"]), kind, channel)
    assert server.challenge() == {"challenge": case["challenge_hex"], "channel_binding": kind}
    assert client.answer(server.challenge()) == case["signature_hex"]
    assert server.passed(case["signature_hex"], {})
    assert server.passed(case["signature_hex"][:128], {}), "the signature alone"
    unbound = cryptosign.Server(public, bytes.fromhex(case["challenge_hex"]))
    assert unbound.passed(case["signature_hex"], {}) is (channel is None), "bound to no other connection"


# -- both ends --------------------------------------------------------------------------------------------------
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)


@given(TEXT, TEXT)
def test_a_ticket_is_passed_by_itself_alone(one: str, other: str) -> None:
    assert ticket.Server(one).passed(one, {})
    assert ticket.Server(one).passed(other, {}) is (one == other)


def ask(**facts: Any) -> str:
    about = {"authid": "ann", "authrole": "user", "authprovider": "static", "timestamp": "2026-11-21T00:00:00.000Z"}
    return wampcra.challenge(session=7, nonce=bytes(18), **about, **facts)


@given(TEXT, TEXT, st.sampled_from(["", "salt123"]))
@settings(max_examples=30)
def test_wampcra_is_passed_by_who_knows_the_secret(secret: str, guess: str, salt: str) -> None:
    credential = wampcra.salted(secret, salt, 10) if salt else wampcra.Credential(secret)
    server = wampcra.Server(credential, ask())
    assert server.passed(wampcra.answer(secret, server.challenge()), {})
    assert server.passed(wampcra.answer(guess, server.challenge()), {}) is (guess == secret)
    assert not server.passed(wampcra.answer(secret, wampcra.Server(credential, ask(x="1")).challenge()), {})


def test_a_challenge_of_wampcra_says_what_the_specification_asks_for() -> None:
    import json

    assert json.loads(ask()).keys() == {
        "authid", "authrole", "authmethod", "authprovider", "nonce", "timestamp", "session"
    }  # fmt: skip


@EITHER
@pytest.mark.parametrize("kdf", scram.KDFS)
@pytest.mark.parametrize("authid", ["user", "Grüße, a=b"])
def test_scram_is_passed_by_who_knows_the_password_and_shows_who_the_server_is(
    form: scram.Form, kdf: str, authid: str
) -> None:
    if kdf not in form.kdfs:
        return
    credential = record(kdf, "pä ß")
    client = scram.Client(form, authid, "pä ß", NONCE)
    server = scram.Server(form, authid, client.hello(), credential, OTHER)
    signature, extra = client.answer(server.challenge())
    assert server.passed(signature, extra)
    assert client.verify(server.welcome)
    assert not client.verify({form.verifier: base64.b64encode(bytes(32)).decode()})
    assert not client.verify(None)
    wrong = scram.Client(form, authid, "pa ss", NONCE)
    assert not server.passed(*wrong.answer(server.challenge()))
    again = scram.Server(form, authid, client.hello(), credential, OTHER[::-1])
    assert not again.passed(signature, extra), "an answer is good for one challenge"


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": NONCE},
        {"nonce": None},
        {"channel_binding": "tls-unique"},
        {"cbind_data": base64.b64encode(b"12 of 12 of!").decode()},
    ],
    ids=str,
)
def test_scram_must_repeat_what_was_said(change: dict[str, Any]) -> None:
    client = scram.Client(scram.SPECIFIED, "user", "pencil", NONCE)
    server = scram.Server(scram.SPECIFIED, "user", client.hello(), record(), OTHER)
    signature, extra = client.answer(server.challenge())
    assert not server.passed(signature, extra | change)
    assert server.passed(signature, extra)


def test_scram_binds_to_the_channel_that_both_see() -> None:
    binding = scram.Binding("tls-unique", b"12 of 12 of!")
    client = scram.Client(scram.SPECIFIED, "user", "pencil", NONCE, binding)

    def passed(**bindings: bytes) -> bool:
        named = {kind.replace("_", "-"): data for kind, data in bindings.items()}
        server = scram.Server(scram.SPECIFIED, "user", client.hello(), record(), OTHER, named)
        return server.passed(*client.answer(server.challenge()))

    assert passed(tls_unique=b"12 of 12 of!")
    assert not passed(tls_unique=b"another one!")
    with pytest.raises(scram.Refused, match="channel binding"):
        passed()
    with pytest.raises(scram.Refused, match="channel binding"):
        scram.Server(scram.AUTOBAHN, "user", client.hello(), record(), OTHER, {"tls-unique": b"1"})


@EITHER
@pytest.mark.parametrize("nonce", [None, 7, "", "short", "a,b=c,d=e", "x" * 300, "Grüße und so"])
def test_a_login_of_scram_needs_a_nonce(form: scram.Form, nonce: Any) -> None:
    with pytest.raises(scram.Refused):
        scram.Server(form, "user", {"nonce": nonce}, record(), OTHER)


@EITHER
@pytest.mark.parametrize(
    "change",
    [
        {"nonce": OTHER},
        {"nonce": NONCE},
        {"nonce": None},
        {"iterations": 100},
        {"iterations": 10**9},
        {"iterations": "4096"},
        {"salt": "*"},
        {"salt": None},
        {"kdf": "md5"},
        {"kdf": None},
    ],
    ids=str,
)
def test_a_client_answers_no_challenge_that_is_after_its_password(form: scram.Form, change: dict[str, Any]) -> None:
    client = scram.Client(form, "user", "pencil", NONCE)
    server = scram.Server(form, "user", client.hello(), record(), OTHER)
    with pytest.raises(scram.Refused):
        client.answer(server.challenge() | change)


def test_a_client_of_cryptosign_signs_nothing_that_is_not_bound_as_asked() -> None:
    bound = cryptosign.Client(bytes(32), "tls-unique", bytes(32))
    with pytest.raises(ValueError, match="bound"):
        bound.answer({"challenge": bytes(32).hex(), "channel_binding": None})
    with pytest.raises(ValueError, match="challenge"):
        cryptosign.Client(bytes(32)).answer({"challenge": "00", "channel_binding": None})


@pytest.mark.parametrize("change", [{"challenge": None}, {"iterations": 10**9}, {"keylen": 10**6}, {"salt": 7}])
def test_a_client_of_wampcra_answers_no_unsound_challenge(change: dict[str, Any]) -> None:
    server = wampcra.Server(wampcra.salted("secret", "salt"), ask())
    with pytest.raises(ValueError, match="challenge of wampcra"):
        wampcra.answer("secret", server.challenge() | change)


# -- strangers --------------------------------------------------------------------------------------------------
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=200) | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)
EXTRA = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("nonce", "channel_binding", "cbind_data", "pubkey"), ANYTHING),
)


@given(st.text(max_size=300), EXTRA, EXTRA, TEXT)
@settings(max_examples=300)
def test_nothing_that_strangers_say_passes_or_breaks_a_server(
    signature: str, extra: dict[str, Any], hello: dict[str, Any], authid: str
) -> None:
    exams: list[Any] = [ticket.Server("no such ticket" * 30), wampcra.Server(wampcra.Credential("s"), ask())]
    for form in scram.FORMS.values():
        for said in (hello, hello | {"nonce": NONCE}, {"nonce": NONCE}):
            try:
                exams.append(scram.Server(form, authid, said, RECORD, OTHER))
            except scram.Refused:
                continue
    try:
        exams.append(cryptosign.Server(cryptosign.public_key(hello), bytes(32)))
    except cryptosign.Refused:
        exams.append(cryptosign.Server(bytes(range(32)), bytes(32)))
    for exam in exams:
        exam.challenge()
        assert exam.passed(signature, extra) is False
        assert exam.welcome is None


RECORD = record()


# -- nobody -----------------------------------------------------------------------------------------------------
def test_an_unknown_name_is_asked_what_a_known_one_is_asked_the_same_each_time() -> None:
    known = [wampcra.salted("a", "0123456789abcdef", 100), wampcra.Credential("b")]
    one, again = (fakes.cra(SECRET, "realm", "nobody", known) for _ in range(2))
    assert one == again
    asked = [fakes.cra(SECRET, "realm", f"nobody{n}", known) for n in range(40)]
    assert {(fake.iterations, fake.keylen, len(fake.salt)) for fake in asked} == {(100, 32, 16), (1000, 32, 0)}
    assert len({fake.salt for fake in asked if fake.salt}) > 10
    assert all(not set(fake.salt) - set("0123456789abcdef") for fake in asked)
    assert fakes.cra(bytes(32), "realm", "nobody", known) != one, "it hangs on the server's secret"

    records = [record(), record("argon2id13")]
    made = [fakes.record(SECRET, "realm", f"nobody{n}", records) for n in range(40)]
    assert made == [fakes.record(SECRET, "realm", f"nobody{n}", records) for n in range(40)]
    assert {(fake.kdf, len(fake.salt)) for fake in made} == {("pbkdf2", 16), ("argon2id13", 16)}
    assert len({fake.salt for fake in made}) == 40


def test_no_password_passes_a_fake_record() -> None:
    fake = fakes.record(SECRET, "realm", "nobody", [record()])
    client = scram.Client(scram.SPECIFIED, "nobody", "pencil", NONCE)
    server = scram.Server(scram.SPECIFIED, "nobody", client.hello(), fake, OTHER)
    assert not server.passed(*client.answer(server.challenge()))


# -- secrets ----------------------------------------------------------------------------------------------------
def test_no_secret_shows() -> None:
    told = "hunter2 of the sea"
    things: list[Any] = [
        wampcra.Credential(told),
        wampcra.Server(wampcra.Credential(told), ask()),
        ticket.Server(told),
        scram.Client(scram.SPECIFIED, "user", told, NONCE),
        scram.Server(scram.SPECIFIED, "user", {"nonce": NONCE}, RECORD, OTHER),
        RECORD,
        cryptosign.Client(told.encode().ljust(32)),
    ]
    for thing in things:
        for shown in (repr(thing), str(thing), pretty_repr(thing), f"{thing!r}"):
            assert told not in shown
            assert repr(RECORD.stored_key) not in shown
            assert repr(RECORD.server_key) not in shown
    with pytest.raises(ValueError, match="SASLprep") as refused:
        scram.derive(told + "\x07", b"salt" * 4, "pbkdf2", 4096)
    assert told not in str(refused.value)


# -- certificates -----------------------------------------------------------------------------------------------
def test_a_certificate_is_known_by_itself_and_by_what_it_says() -> None:
    import trustme
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    leaf = trustme.CA().issue_cert("Pump.Example", "ops@example.com", common_name="pump")
    der = x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes()).public_bytes(Encoding.DER)
    names = tls.names(der)
    digits = hashlib.sha256(der).hexdigest()
    assert names[0] == tls.normal(digits) == tls.normal(":".join(digits[n : n + 2] for n in range(0, 64, 2)).upper())
    assert {tls.normal(name) for name in ("cn:pump", "dns:PUMP.example", "email:ops@example.com")} < set(names)
    assert tls.names(b"no certificate") == (f"sha256:{hashlib.sha256(b'no certificate').hexdigest()}",)


@pytest.mark.parametrize("name", ["", "pump", "cn:", "ab" * 31, "zz" * 32, "ip:127.0.0.1"])
def test_what_names_no_certificate_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        tls.normal(name)
