"""OPAQUE (RFC 9807) and its OPRF (RFC 9497): the RFCs' vectors, and what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import rbcl
from hypothesis import given, settings
from hypothesis import strategies as st

from limen.core.seal import opaque, oprf
from vectors import unhex, vectors

VECTORS = vectors("opaque")
REAL = [v for v in VECTORS["opaque"] if v["config"]["Fake"] == "False"]
FAKE = [v for v in VECTORS["opaque"] if v["config"]["Fake"] == "True"]
IDENTITY = bytes(32)
NOT_CANONICAL = bytes([0xED]) + b"\xff" * 30 + b"\x7f"  # the field's prime itself
NO_POINT = b"\x01" + bytes(31)


def test_the_vectors_are_all_there() -> None:
    assert (len(VECTORS["oprf"][0]["vectors"]), len(REAL), len(FAKE)) == (2, 2, 1)


@pytest.mark.parametrize("suite", VECTORS["oprf"])
def test_the_oprf_gives_the_vectors_of_rfc_9497(suite: dict[str, Any]) -> None:
    private, _ = oprf.derive_key_pair(bytes.fromhex(suite["seed"]), bytes.fromhex(suite["keyInfo"]))
    assert private.hex() == suite["skSm"]
    for case in suite["vectors"]:
        data, blind = bytes.fromhex(case["Input"]), bytes.fromhex(case["Blind"])
        blinded = oprf.blind_element(data, blind)
        evaluated = oprf.blind_evaluate(private, blinded)
        assert blinded.hex() == case["BlindedElement"]
        assert evaluated.hex() == case["EvaluationElement"]
        assert oprf.finalize(data, blind, evaluated).hex() == case["Output"]


def _identities(i: dict[str, bytes]) -> dict[str, bytes | None]:
    return {"client_identity": i.get("client_identity"), "server_identity": i.get("server_identity")}


@pytest.mark.parametrize("case", REAL)
def test_registration_gives_the_vectors_of_rfc_9807(case: dict[str, Any]) -> None:
    i, o = unhex(case["inputs"]), unhex(case["outputs"])
    request = opaque.registration_request(i["password"], i["blind_registration"])
    assert request == o["registration_request"]
    response = opaque.registration_response(request, i["server_public_key"], i["credential_identifier"], i["oprf_seed"])
    assert response == o["registration_response"]
    record, export_key = opaque.registration_record(
        i["password"], i["blind_registration"], response, i["envelope_nonce"], ksf=opaque.identity, **_identities(i)
    )
    assert record == o["registration_upload"]
    assert export_key == o["export_key"]


@pytest.mark.parametrize("case", REAL)
def test_login_gives_the_vectors_of_rfc_9807(case: dict[str, Any]) -> None:
    i, o, context = unhex(case["inputs"]), unhex(case["outputs"]), bytes.fromhex(case["config"]["Context"])
    client = opaque.Client(
        i["password"], blind=i["blind_login"], nonce=i["client_nonce"], keyshare_seed=i["client_keyshare_seed"],
        context=context, ksf=opaque.identity, **_identities(i),
    )  # fmt: skip
    assert client.ke1 == o["KE1"]
    server = _server(i, o["registration_upload"], context)
    ke2 = server.ke2(client.ke1)
    assert ke2 == o["KE2"]
    ke3 = client.ke3(ke2)
    assert ke3 == o["KE3"]
    assert client.session_key == server.finish(ke3) == o["session_key"]
    assert client.export_key == o["export_key"]


@pytest.mark.parametrize("case", FAKE)
def test_an_unknown_user_gets_the_fake_answer_of_rfc_9807(case: dict[str, Any]) -> None:
    i, o = unhex(case["inputs"]), unhex(case["outputs"])
    server = _server(
        i, opaque.fake_record(i["client_public_key"], i["masking_key"]), bytes.fromhex(case["config"]["Context"])
    )
    assert server.ke2(i["KE1"]) == o["KE2"]


def _server(i: dict[str, bytes], record: bytes, context: bytes) -> opaque.Server:
    return opaque.Server(
        oprf_seed=i["oprf_seed"], private_key=i["server_private_key"], public_key=i["server_public_key"],
        credential_identifier=i["credential_identifier"], record=record, masking_nonce=i["masking_nonce"],
        nonce=i["server_nonce"], keyshare_seed=i["server_keyshare_seed"], context=context, **_identities(i),
    )  # fmt: skip


# -- what is refused --------------------------------------------------------------------------------------------
SCALAR = (5).to_bytes(32, "little")
SERVER_PRIVATE, SERVER_PUBLIC = opaque.derive_diffie_hellman_key_pair(bytes(32))


def _record(password: bytes = b"right") -> bytes:
    request = opaque.registration_request(password, SCALAR)
    response = opaque.registration_response(request, SERVER_PUBLIC, b"ada", bytes(64))
    return opaque.registration_record(password, SCALAR, response, bytes(32), ksf=opaque.identity)[0]


def _pair(password: bytes = b"right", **changes: Any) -> tuple[opaque.Client, opaque.Server]:
    client = opaque.Client(
        password, blind=SCALAR, nonce=b"n" * 32, keyshare_seed=b"k" * 32, ksf=opaque.identity, context=b"c"
    )
    given_ = {
        "oprf_seed": bytes(64), "private_key": SERVER_PRIVATE, "public_key": SERVER_PUBLIC, "record": _record(),
        "credential_identifier": b"ada", "masking_nonce": b"m" * 32, "nonce": b"s" * 32, "keyshare_seed": b"e" * 32,
        "context": b"c", **changes,
    }  # fmt: skip
    return client, opaque.Server(**given_)


def test_a_wrong_password_is_learnt_from_ke2_alone() -> None:
    client, server = _pair(b"wrong")
    with pytest.raises(opaque.EnvelopeRecoveryError):
        client.ke3(server.ke2(client.ke1))
    assert client.session_key == b""


def test_another_context_is_refused_by_the_client() -> None:
    client, server = _pair(context=b"other")
    with pytest.raises(opaque.ServerAuthenticationError):
        client.ke3(server.ke2(client.ke1))


def test_a_server_key_that_is_not_the_registered_one_is_refused() -> None:
    private, public = opaque.derive_diffie_hellman_key_pair(b"x" * 32)
    client, server = _pair(private_key=private, public_key=public)
    with pytest.raises(opaque.EnvelopeRecoveryError):
        client.ke3(server.ke2(client.ke1))
    client, server = _pair(private_key=private)  # the right public key without its private half
    with pytest.raises(opaque.ServerAuthenticationError):
        client.ke3(server.ke2(client.ke1))


def test_there_is_one_guess_at_ke3() -> None:
    client, server = _pair()
    ke3 = client.ke3(server.ke2(client.ke1))
    with pytest.raises(opaque.ClientAuthenticationError):
        server.finish(bytes(64))
    with pytest.raises(opaque.ClientAuthenticationError):
        server.finish(ke3)


@pytest.mark.parametrize("ke3", [b"", bytes(63), bytes(64), bytes(65)])
def test_an_empty_short_or_wrong_ke3_is_refused(ke3: bytes) -> None:
    client, server = _pair()
    server.ke2(client.ke1)
    with pytest.raises(opaque.ClientAuthenticationError):
        server.finish(ke3)


def test_a_ke3_before_ke2_is_refused() -> None:
    _, server = _pair()
    with pytest.raises(opaque.ClientAuthenticationError):
        server.finish(b"")


def test_a_server_answers_once() -> None:
    client, server = _pair()
    server.ke2(client.ke1)
    with pytest.raises(opaque.OpaqueError):
        server.ke2(client.ke1)


@pytest.mark.parametrize("element", [IDENTITY, NOT_CANONICAL, NO_POINT, b"\xff" * 32, b"", bytes(31), bytes(33)])
def test_what_is_no_element_is_refused_wherever_it_arrives(element: bytes) -> None:
    client, server = _pair()
    refused = pytest.raises(opaque.DeserializeError)
    with refused:
        oprf.check_element(element)
    with refused:
        oprf.multiply(SCALAR, element)
    with refused:
        server.ke2(element + client.ke1[32:])
    with refused:
        server.ke2(client.ke1[:64] + element)
    with refused:
        opaque.registration_response(element, SERVER_PUBLIC, b"ada", bytes(64))
    with refused:
        opaque.registration_record(b"right", SCALAR, SERVER_PUBLIC + element, bytes(32), ksf=opaque.identity)
    with refused:
        opaque.check_record(element + _record()[32:])
    ke2 = server.ke2(client.ke1)
    with refused:
        client.ke3(element + ke2[32:])
    with refused:
        client.ke3(ke2[:224] + element + ke2[256:])


@pytest.mark.parametrize("scalar", [bytes(32), oprf.ORDER.to_bytes(32, "little"), b"\xff" * 32, b"", bytes(31)])
def test_zero_and_unreduced_scalars_are_refused(scalar: bytes) -> None:
    with pytest.raises(opaque.DeserializeError):
        oprf.blind_element(b"x", scalar)
    with pytest.raises(opaque.DeserializeError):
        oprf.public_key(scalar)
    with pytest.raises(opaque.DeserializeError):
        oprf.finalize(b"x", scalar, SERVER_PUBLIC)


def test_entropy_that_reduces_to_zero_is_refused() -> None:
    with pytest.raises(opaque.DeserializeError):
        oprf.random_scalar(bytes(64))
    with pytest.raises(ValueError, match="64"):
        oprf.random_scalar(bytes(32))


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=320))
def test_random_bytes_never_pass_for_ke2(data: bytes) -> None:
    client, _ = _pair()
    with pytest.raises(opaque.OpaqueError):
        client.ke3(data.ljust(320, b"\x00"))


@settings(max_examples=30, deadline=None)
@given(st.binary(min_size=64, max_size=64), st.binary(max_size=200))
def test_the_oprf_output_does_not_depend_on_the_blind(entropy: bytes, data: bytes) -> None:
    blind = oprf.random_scalar(entropy) if any(entropy) else SCALAR
    key, _ = oprf.derive_key_pair(b"k" * 32, b"")
    first = oprf.finalize(data, blind, oprf.blind_evaluate(key, oprf.blind_element(data, blind)))
    second = oprf.finalize(data, SCALAR, oprf.blind_evaluate(key, oprf.blind_element(data, SCALAR)))
    assert first == second


def test_multiplication_is_exact_and_not_clamped() -> None:
    two = (2).to_bytes(32, "little")
    assert oprf.multiply(two, SERVER_PUBLIC) == rbcl.crypto_core_ristretto255_add(SERVER_PUBLIC, SERVER_PUBLIC)


def test_argon2id_has_the_parameters_of_the_specification() -> None:
    case = next(c for c in vectors("login")["ksf"] if c["name"] == "argon2id")
    assert opaque.argon2id(bytes.fromhex(case["input"])).hex() == case["output"]


def test_nothing_secret_shows() -> None:
    client, server = _pair()
    for shown in (repr(client), repr(server), str(client), str(server)):
        assert "right" not in shown
        assert len(shown) < 90


def test_several_threads_may_stretch_at_once() -> None:
    stretched: list[bytes] = []
    threads = [threading.Thread(target=lambda: stretched.append(opaque.argon2id(b"x")), daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(stretched) == 4
    assert len({*stretched}) == 1


def test_a_process_that_used_it_leaves_nothing_in_the_temporary_folder(tmp_path: Path) -> None:
    """The library beneath writes itself there at each import."""
    program = "from limen.core.seal import oprf; print(len(oprf.public_key(oprf.random_scalar(bytes(range(64))))))"
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True)
    assert (done.stdout, done.stderr, list(tmp_path.iterdir())) == ("32\n", "", [])
