"""Keys: the vectors, the key file, and that nothing shows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from make_vectors import keys_file

from limen.core.seal.keys import BadKeys, KeyRing
from vectors import vectors

FILE = vectors("keys")
A, B = b"a" * 64, b"b" * 64


def test_the_vectors_are_what_the_independent_script_makes() -> None:
    assert keys_file() == FILE


@pytest.mark.parametrize("case", FILE["cases"], ids=lambda c: f"{c['number']} {c['domain']}")
def test_derivations_give_the_vectors(case: dict[str, Any]) -> None:
    ring = KeyRing({case["number"]: bytes.fromhex(case["secret"])})
    keys = ring.domain(case["domain"])
    assert keys.oprf_seed.hex() == case["oprf_seed"]
    assert keys.private_key.hex() == case["server_private_key"]
    assert keys.public_key.hex() == case["server_public_key"]
    assert keys.resume.public.hex() == case["resume_public_key"]
    assert keys.fake_key.hex() == case["fake_key"]
    assert (keys.lane_key.hex(), keys.ticket_key.hex()) == (case["lane_key"], case["ticket_key"])
    assert ring.fingerprint(case["number"]) == case["fingerprint"]
    for user, record in case["fake_records"].items():
        assert keys.fake_record(user).hex() == record


def test_keys_differ_by_domain_and_by_number() -> None:
    ring = KeyRing({1: A, 2: B})
    rows = [ring.domain(d, n) for d in ("a", "b") for n in (1, 2)]
    for name in ("oprf_seed", "private_key", "public_key", "fake_key", "lane_key", "ticket_key"):
        assert len({getattr(row, name) for row in rows}) == 4
    assert len({row.resume.public for row in rows}) == 4


def test_the_last_key_is_used_for_new_records_and_the_first_for_nobody() -> None:
    ring = KeyRing({1: A}).add(B)
    assert (ring.numbers, ring.first, ring.current) == ((1, 2), 1, 2)
    assert ring.domain("a").number == 2
    assert 2 in ring
    assert 3 not in ring
    with pytest.raises(KeyError):
        ring.domain("a", 3)


def test_a_domain_is_derived_once() -> None:
    ring = KeyRing({1: A})
    assert ring.domain("a") is ring.domain("a", 1)


def test_a_flood_of_domains_does_not_fill_the_memory() -> None:
    ring = KeyRing({1: A})
    for n in range(1100):
        ring.domain(f"d{n}")
    assert len(ring._domains) <= 1024


def test_a_key_file_comes_back_as_it_was_written() -> None:
    ring = KeyRing({1: A, 4: B})
    again = KeyRing.load(ring.dump())
    assert again.fingerprints == ring.fingerprints
    assert again.dump() == ring.dump()
    assert json.loads(ring.dump())["limen"] == 1


@pytest.mark.parametrize("text", [
    "", "[]", "{}", "null", '{"limen": 2, "keys": []}', '{"limen": 1}', '{"limen": 1, "keys": []}',
    '{"limen": 1, "keys": [{"number": 1, "secret": "AAAA"}]}', '{"limen": 1, "keys": [{"number": 1}]}',
    '{"limen": 1, "keys": [{"number": 1, "secret": "?"}]}', '{"limen": 1, "keys": [7]}', "\ud800", b"\xff\xff",
])  # fmt: skip
def test_what_is_no_key_file_is_refused(text: Any) -> None:
    with pytest.raises(BadKeys):
        KeyRing.load(text)


def test_numbers_are_whole_positive_and_unique() -> None:
    for number in (0, -1, True, "1"):
        with pytest.raises(BadKeys):
            KeyRing({number: A})  # type: ignore[dict-item]
    row = json.loads(KeyRing({1: A}).dump())["keys"][0]
    with pytest.raises(BadKeys, match="twice"):
        KeyRing.load(json.dumps({"limen": 1, "keys": [row, row]}))


def test_nothing_secret_shows() -> None:
    ring = KeyRing({1: A})
    keys = ring.domain("a.example")
    assert repr(ring) == "KeyRing(numbers=(1,))"
    assert repr(keys) == "DomainKeys(number=1, domain='a.example')"
    with pytest.raises(BadKeys) as refused:
        KeyRing.load('{"limen": 1, "keys": [{"number": 1, "secret": "c2VjcmV0"}]}')
    assert "c2VjcmV0" not in str(refused.value)
    assert refused.value.__cause__ is None
