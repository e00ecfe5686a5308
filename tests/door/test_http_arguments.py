"""From queries, forms and JSON to arguments."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen import exc
from limen.door.http.answers import to_json
from limen.door.http.arguments import MAX_FIELDS, Malformed, from_body, from_json, parse_fields, parse_multipart

JSON = b"application/json"
TAGGED = b"application/limen+json"


def body(data: bytes, kind: bytes | None = JSON) -> tuple[list[Any], dict[str, Any]]:
    args, kwargs, _ = from_body(data, kind)
    return args, kwargs


# -- fields -----------------------------------------------------------------------------------------------------
def test_a_name_that_comes_several_times_is_a_list() -> None:
    assert parse_fields(b"a=1&a=2&a=3&b=") == {"a": ["1", "2", "3"], "b": ""}


def test_empty_pieces_are_nothing_and_a_bare_name_is_empty_text() -> None:
    assert parse_fields(b"&&a&") == {"a": ""}


def test_plus_is_a_space_and_equals_signs_belong_to_the_value() -> None:
    assert parse_fields(b"a+b=c+d%2B%3d=") == {"a b": "c d+=="}


def test_broken_escapes_and_bad_utf8_are_refused() -> None:
    for data in (b"a=%zz", b"a=%4", b"%=1", b"a=%ff", b"a=\xff", b"a=%ed%a0%80"):
        with pytest.raises(exc.InvalidCall):
            parse_fields(data)


def test_too_many_fields_are_refused() -> None:
    assert len(parse_fields(b"&".join(b"a%d=" % n for n in range(MAX_FIELDS)))) == MAX_FIELDS
    with pytest.raises(exc.InvalidCall):
        parse_fields(b"a=&" * (MAX_FIELDS + 1))


@given(st.dictionaries(st.text(min_size=1), st.text().filter(lambda text: text[:1] != "\0")))
def test_what_a_browser_encodes_comes_back(fields: dict[str, str]) -> None:
    assert parse_fields(urlencode(fields).encode()) == fields


def test_a_text_that_begins_with_nul_is_refused_as_its_answer_in_json_would_mean_bytes() -> None:
    with pytest.raises(exc.InvalidCall):
        parse_fields(b"a=%00aGk=")
    with pytest.raises(exc.InvalidCall):
        parse_multipart(b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\0hi\r\n--x--\r\n', b"x")


def test_bytes_come_back_in_plain_json_as_they_went_out() -> None:
    assert from_json(to_json({"a": [b"hi", "hi"]}), tagged=False) == ([], {"a": [b"hi", "hi"]})
    with pytest.raises(Malformed):
        from_json(rb'{"a": "\u0000no base64"}', tagged=False)


@given(st.binary())
def test_whatever_bytes_come_they_are_fields_or_refused(data: bytes) -> None:
    try:
        fields = parse_fields(data)
    except exc.InvalidCall:
        return
    assert all(isinstance(name, str) for name in fields)


# -- multipart --------------------------------------------------------------------------------------------------
def part(name: str, value: str, more: str = "") -> str:
    return f'--x\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n'


def test_fields_of_a_multipart_form() -> None:
    data = (part("a", "1") + part("b", "ä\r\nb") + part("a", "") + "--x--\r\n").encode()
    assert parse_multipart(data, b"x") == {"a": ["1", ""], "b": "ä\r\nb"}


def test_what_a_browser_sends_is_read() -> None:
    data = (
        b"------WebKitFormBoundaryABC\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\nhello\r\n"
        b"------WebKitFormBoundaryABC--\r\n"
    )  # fmt: skip
    assert body(data, b"multipart/form-data; boundary=----WebKitFormBoundaryABC") == ([], {"text": "hello"})


def test_files_are_not_taken() -> None:
    with pytest.raises(exc.UnsupportedMediaType):
        parse_multipart((part("a", "1", '; filename="x.txt"') + "--x--").encode(), b"x")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"--x",
        b"--x--x--",
        b"--x\r\n--x--",
        b"--x\r\n\r\n1\r\n--x--",
        b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--",
        b'--x\r\nContent-Disposition: attachment; name="a"\r\n\r\n1\r\n--x--',
        b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n',
        b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\r\n--x--',
        b'--xy\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--',
    ],
)
def test_a_form_that_is_none_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_multipart(data, b"x")


@given(st.binary(max_size=200))
def test_whatever_a_form_holds_it_is_read_or_refused(data: bytes) -> None:
    for wrapped in (data, b"--x\r\n" + data + b"\r\n--x--"):
        try:
            parse_multipart(wrapped, b"x")
        except (exc.InvalidCall, Malformed):
            pass


# -- JSON -------------------------------------------------------------------------------------------------------
def test_an_object_is_by_name_and_an_array_in_order() -> None:
    assert body(b'{"a": 1}') == ([], {"a": 1})
    assert body(b"[1, {}]") == ([1, {}], {})
    assert body(b"") == ([], {})


def test_other_values_are_no_arguments() -> None:
    for data in (b'"x"', b"null", b"1", b"true"):
        with pytest.raises(exc.InvalidCall):
            body(data)


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999999999}',
        b'{"a": 1, "a": 2}',
        b'{"a": "\\ud800"}',
        b'{"a": "\xed\xa0\x80"}',
        b'{"a": "\xff"}',
        b'{"a": "x"}]]',
        '{"a": "x"}'.encode("utf-16"),
        b'{"a": "a\0b"}',
        b"[" * 100_000,
        b"[" * 129 + b"]" * 129,
        b'{"a":' + b"9" * 100_000 + b"}",
        b"\xef\xbb\xbf{}",
    ],
)
def test_what_is_no_json_for_strangers_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        body(data)
    assert caught.value.error.status == 400


def test_plain_json_holds_no_tags() -> None:
    assert body(b'{"a": {"$decimal": "1.50"}}') == ([], {"a": {"$decimal": "1.50"}})


def test_tagged_json_holds_values_and_both_kinds_of_arguments() -> None:
    from decimal import Decimal

    assert body(b'{"a": {"$decimal": "1.50"}}', TAGGED) == ([], {"a": Decimal("1.50")})
    assert body(b'[{"$decimal": "1.50"}]', TAGGED) == ([Decimal("1.50")], {})
    assert body(b'{"$call": [[{"$decimal": "1"}], {"a": 2}]}', TAGGED) == ([Decimal(1)], {"a": 2})
    for data in (b'{"$call": 1}', b'{"$call": [[]]}', b'{"$call": [{}, []]}', b'[{"$nonsense": 1}]'):
        with pytest.raises(exc.InvalidCall):
            body(data, TAGGED)


# -- types ------------------------------------------------------------------------------------------------------
def test_json_may_say_that_it_is_utf8() -> None:
    assert body(b"[1]", b"application/json; charset=utf-8") == ([1], {})
    assert body(b"[1]", b'Application/JSON;charset="UTF-8"') == ([1], {})


@pytest.mark.parametrize(
    "kind",
    [
        None,
        b"",
        b"text/plain",
        b"text/json",
        b"application/jsonp",
        b"application/json, text/plain",
        b"application/xml",
        b"application/json; charset=utf-16",
        b"application/octet-stream",
        b"application/ld+json",
    ],
)
def test_a_body_of_another_type_is_not_taken(kind: bytes | None) -> None:
    with pytest.raises(exc.UnsupportedMediaType):
        body(b"{}", kind)


def test_forms_are_text_and_json_is_not() -> None:
    assert from_body(b"a=1", b"application/x-www-form-urlencoded")[2]
    assert not from_body(b'{"a": "1"}', JSON)[2]


def test_forms_are_taken() -> None:
    assert body(b"a=1+2", b"application/x-www-form-urlencoded") == ([], {"a": "1 2"})
    for kind in (
        b"multipart/form-data",
        b"multipart/form-data; boundary=",
        b"multipart/form-data; boundary=" + b"x" * 71,
    ):
        with pytest.raises(Malformed):
            body(b"--x--", kind)
