"""Files of calls: names made harmless, uploads kept or gone, nothing outside of a folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen import File, Upload, exc
from limen.base.files import Given, Sent, clean_name, clean_type


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\win.ini", "win.ini"),
        ("/etc/cron.d/x", "x"),
        ("a\0b.txt", "ab.txt"),
        ("..", "file"),
        ("...", "file"),
        (".bashrc", "bashrc"),
        ("name. . .", "name"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("zero\u200bwidth\ufeff.txt", "zerowidth.txt"),
        ("CON", "_CON"),
        ("com1.tar.gz", "_com1.tar.gz"),
        ("console.txt", "console.txt"),
        ("a:b|c?.txt", "a_b_c_.txt"),
        ("file.txt\r\nSet-Cookie: a=b", "file.txtSet-Cookie_ a=b"),
        ("e\u0301.txt", "é.txt"),
        ("\udc80.txt", "_.txt"),
        (None, "file"),
        (7, "file"),
    ],
)
def test_names_are_made_harmless(name: object, clean: str) -> None:
    assert clean_name(name) == clean


def test_a_long_name_keeps_its_extension() -> None:
    name = clean_name("ü" * 500 + ".tar")
    assert len(name.encode()) <= 255
    assert name.endswith("ü.tar")
    assert len(clean_name("a." + "b" * 500).encode()) <= 255


@given(st.text(max_size=400))
def test_every_clean_name_is_one_name_that_stays_as_it_is(name: str) -> None:
    clean = clean_name(name)
    assert 0 < len(clean.encode()) <= 255
    assert not {"/", "\\", "\0", "\r", "\n", '"'} & set(clean)
    assert not clean.startswith(".")
    assert clean_name(clean) == clean


def test_types_are_bare_and_lower_case() -> None:
    assert clean_type("TEXT/Html; charset=utf-8") == "text/html"
    for odd in ("text", "text/", "text/html\r\nX: y", "*/*", "a b/c", "x" * 100 + "/y", None, b"text/html"):
        assert clean_type(odd) == "application/octet-stream"


@pytest.fixture
def upload(tmp_path: Path) -> Upload:
    path = tmp_path / "spooled"
    path.write_bytes(b"content")
    return Upload(path, "a.txt", "text/plain", 7)


def test_an_upload_is_read_kept_and_then_stays(upload: Upload, tmp_path: Path) -> None:
    assert upload.read() == b"content"
    with upload.open() as file:
        assert file.read(4) == b"cont"
    kept = upload.keep(tmp_path / "kept", mode=0o640)
    upload.discard()
    assert kept.read_bytes() == b"content"
    assert upload.path == kept
    assert kept.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_an_upload_that_nobody_keeps_goes(upload: Upload, tmp_path: Path) -> None:
    upload.discard()
    upload.discard()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        upload.keep(tmp_path / "too late")


def test_keeping_does_not_take_the_place_of_a_file_unless_told_to(upload: Upload, tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"older")
    with pytest.raises(FileExistsError):
        upload.keep(tmp_path / "there")
    assert (tmp_path / "there").read_bytes() == b"older"
    upload.keep(tmp_path / "there", replace=True)
    assert (tmp_path / "there").read_bytes() == b"content"


def test_a_clients_own_file_is_copied_and_never_removed(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_bytes(b"mine")
    upload = Upload.of(tmp_path / "mine.txt")
    assert upload.content_type == "text/plain"  # as its name says, without a claim about the charset
    assert Upload.of(tmp_path / "mine.txt", "mine").content_type == "application/octet-stream"
    assert Upload.of(tmp_path / "mine.txt", content_type="text/csv").content_type == "text/csv"
    upload.keep(tmp_path / "kept")
    upload.discard()
    assert (tmp_path / "mine.txt").read_bytes() == (tmp_path / "kept").read_bytes() == b"mine"
    with pytest.raises(OSError, match="no file"):
        Upload.of(tmp_path)


def test_keeping_to_another_file_system_copies(upload: Upload, tmp_path: Path) -> None:
    shm = Path("/dev/shm")
    if not shm.is_dir() or shm.stat().st_dev == tmp_path.stat().st_dev:
        return
    target = shm / f"limen-test-{os.getpid()}"
    try:
        upload.keep(target)
        assert target.read_bytes() == b"content"
        assert list(tmp_path.iterdir()) == []
    finally:
        target.unlink(missing_ok=True)


@pytest.mark.parametrize(
    "name", ["..", "../x", "/etc/passwd", "a/../../x", "a//b", "", ".env", "a/.git/config", "a\0b"]
)
def test_a_name_that_leads_out_is_no_file(name: str) -> None:
    with pytest.raises(exc.NotFound):
        File.below("/srv", name)


def test_ids_that_are_none_stand_for_nothing() -> None:
    for id in ("", "../../etc/passwd", "A" * 32, "0" * 31, "0" * 33):
        with pytest.raises(ValueError, match="no"):
            Sent(id)
        with pytest.raises(ValueError, match="no"):
            Given(id, "a", "text/plain", 1)
