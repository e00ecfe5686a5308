"""Forms while they come: however their bytes are cut, the same parts come out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen.web.multipart import MAX_HEAD, BrokenForm, Multipart, Part, TooManyParts


def part(name: str, value: bytes, filename: str | None = None, boundary: bytes = b"x") -> bytes:
    named = f'; filename="{filename}"' if filename is not None else ""
    head = f'Content-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode()
    return b"--" + boundary + b"\r\n" + head + value + b"\r\n"


def read(data: bytes, size: int = 10**9, boundary: bytes = b"x", most: int = 1000) -> list[tuple[Part, bytes]]:
    form = Multipart(boundary, most)
    found: list[tuple[Part, bytes]] = []
    for start in range(0, len(data), size):
        for event in form.feed(data[start : start + size]):
            if isinstance(event, Part):
                found.append((event, b""))
            else:
                found[-1] = (found[-1][0], found[-1][1] + event)
    form.finish()
    return found


NASTY = b"\r\n--x\r\n--", b"\r\n--", b"\r", b"\n", b"--x--", b"\r\n--y", b"", b"\r\r\n-", b"a\r\n--x"

PIECES = (
    b"--x",
    b"--",
    b"\r\n",
    b"\r",
    b"\n",
    b"Content-Disposition: form-data; name=a",
    b"; filename=",
    b'"',
    b" ",
    b"x",
    b"\0",
)


@given(st.lists(st.binary(max_size=50) | st.sampled_from([piece.replace(b"--x", b"-x") for piece in NASTY])), st.data())
def test_however_a_form_is_cut_the_same_parts_come_out(values: list[bytes], data: st.DataObject) -> None:
    if any(b"--x" in value for value in values):
        return
    form = b"".join(part(f"n{i}", value, "f") for i, value in enumerate(values)) + b"--x--\r\n"
    size = data.draw(st.integers(1, max(1, len(form))))
    assert [value for _, value in read(form, size)] == values


def test_a_boundary_within_a_line_is_data() -> None:
    assert read(part("a", b"..--x.. \r\n-x") + b"--x--")[0][1] == b"..--x.. \r\n-x"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nothing of a form",
        b"--x",
        b"--x\r\n",
        part("a", b"cut"),
        part("a", b"1") + b"--x-",
        part("a", b"1") + b"--x--\r\nand more",
        part("a", b"1") + b"--xy\r\n",
        b"--x\r\n\r\nno head\r\n--x--",
        b"--x\r\nContent-Disposition: form-data\r\n\r\nno name\r\n--x--",
        b'--x\r\nContent-Disposition: attachment; name="a"\r\n\r\n1\r\n--x--',
        b"--x\r\n" + b'Content-Disposition: form-data; name="a"\r\n' * 2 + b"\r\n1\r\n--x--",
        b'--x\r\nContent-Disposition: form-data; name="\xff"\r\n\r\n1\r\n--x--',
        b'--x\r\nContent-Disposition: form-data; name="a"; name="b"\r\n\r\n1\r\n--x--',
        b'--x\r\nContent-Disposition: form-data; name="a\nX: b"\r\n\r\n1\r\n--x--',
        b'--x\r\nContent-Disposition: form-data;\r\n name="a"\r\n\r\n1\r\n--x--',
        b"--x\r\nContent-Disposition: form-data; name=a\r\n Content-Type: text/html\r\n\r\n1\r\n--x--",
        b"--x\r\nContent-Disposition : form-data; name=a\r\n\r\n1\r\n--x--",
        b"--x\r\nContent-Disposition: form-data; name=a; filename*=a; filename*0=b\r\n\r\n1\r\n--x--",
        b"--x\r\nContent-Disposition: form-data; name=a; filename*=idna''x\r\n\r\n1\r\n--x--",
    ],
)
def test_what_is_no_form_is_refused(data: bytes) -> None:
    for size in (1, 7, 1000):
        with pytest.raises(BrokenForm):
            read(data, size)


def test_a_name_beside_the_type_makes_no_file_of_a_text() -> None:
    head = b"--x\r\nContent-Disposition: form-data; name=a\r\nContent-Type: text/plain; name=b.php\r\n\r\n"
    assert read(head + b"1\r\n--x--")[0][0].filename is None


@given(st.lists(st.sampled_from(PIECES)).map(b"".join), st.integers(1, 40))
def test_whatever_the_bytes_are_they_are_a_form_or_broken_and_however_they_are_cut(data: bytes, size: int) -> None:
    def outcome(size: int) -> object:
        try:
            return read(data, size)
        except (BrokenForm, TooManyParts) as error:
            return type(error)

    assert outcome(size) == outcome(10**9)


def test_heads_boundary_lines_and_preambles_do_not_grow() -> None:
    for endless in (b"--x\r\nX: ", b"--x ", b"preamble "):
        with pytest.raises(BrokenForm):
            read(endless + b" " * 4 * MAX_HEAD, 4)


def test_more_parts_than_are_taken_are_refused_when_they_come() -> None:
    with pytest.raises(TooManyParts):
        read(part("a", b"1") * 11, most=10)


@pytest.mark.parametrize("boundary", [None, b"", b"b" * 71])
def test_a_form_without_a_proper_boundary_is_refused(boundary: bytes | None) -> None:
    with pytest.raises(BrokenForm):
        Multipart(boundary)
