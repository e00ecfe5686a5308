"""Files that come with a call (`Upload`) and files that a call answers with (`File`).

    @service(safe=False, ssl=False)
    def put(picture: limen.Upload) -> int:
        picture.keep(FOLDER / f"{uuid4()}.png")
        return picture.size

    @service(safe=False, ssl=False, methods=["GET"])
    def get(name: str) -> limen.File:
        return limen.File.below(FOLDER, name)

What a client says of a file (its name, its type) is a claim: the name is made harmless (`clean_name`), and neither is
ever used as a path here.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final, Self

from limen import exc
from limen.base import media

UNKNOWN_TYPE: Final = "application/octet-stream"
LONGEST_NAME: Final = 255
"""Bytes of a file's name: what file systems take."""

_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,62}/[a-z0-9][a-z0-9!#$&^_.+-]{0,62}")
_DEVICE = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)\s*(\..*)?")
_ID = re.compile(r"[0-9a-f]{32}")


def clean_name(name: object, otherwise: str = "file") -> str:
    """*name* as the name of one file that is harmless on every system, of at most 255 bytes.

    Folders before it go; so do control characters, what turns the direction of text round ("gpj.exe" shown as
    "exe.jpg"), other invisible characters, dots and spaces at its ends. `<>:"|?*` become "_"; devices of Windows get
    one in front.

    >>> clean_name("../../etc/passwd"), clean_name("C:\\\\boot.ini"), clean_name("a\\u202egpj.exe")
    ('passwd', 'boot.ini', 'agpj.exe')
    >>> clean_name("NUL.txt"), clean_name('a"b\\r\\nX: y'), clean_name(".htaccess"), clean_name("..")
    ('_NUL.txt', 'a_bX_ y', 'htaccess', 'file')
    """
    text = name if isinstance(name, str) else ""
    text = unicodedata.normalize("NFC", text[-4096:].encode("utf-8", "replace").decode())
    text = re.split(r"[/\\]", text)[-1]
    text = "".join(c for c in text if unicodedata.category(c)[0] != "C" and unicodedata.category(c) not in ("Zl", "Zp"))
    text = re.sub(r'[<>:"|?*]', "_", text).strip(". \u00a0\u3000")
    if _DEVICE.fullmatch(text):
        text = "_" + text
    if len(text.encode()) > LONGEST_NAME:
        stem, dot, extension = text.rpartition(".")
        end = dot + extension if stem and len((dot + extension).encode()) <= 32 else ""
        text = text.encode()[: LONGEST_NAME - len(end.encode())].decode("utf-8", "ignore")
        text = text.rstrip(". ") + end if end else text.rstrip(". ")
    return text or otherwise


def clean_type(kind: object) -> str:
    """*kind* as a bare media type in lower case; what is none is bytes.

    >>> clean_type("Image/PNG; q=1"), clean_type("text/html\\r\\nX: y"), clean_type(None)
    ('image/png', 'application/octet-stream', 'application/octet-stream')
    """
    text = kind.partition(";")[0].strip(" \t").lower() if isinstance(kind, str) else ""
    return text if _MEDIA_TYPE.fullmatch(text) else UNKNOWN_TYPE


class Upload:
    """A file that came with a call, on the disk. It is gone when the function is over, unless `keep` was asked.

    *filename*: cleaned (`clean_name`); it may still be any text: for showing, not for opening. *content_type*: what the
    client says it is, which may be a lie. *size*: in bytes. *path*: where it lies meanwhile.

    A client gives one as an argument: `session.call("put", Upload.of("holiday.jpg"))`.
    """

    __slots__ = ("_owned", "content_type", "filename", "path", "progress", "size")

    def __init__(
        self, path: str | os.PathLike[str], filename: str, content_type: str, size: int, *, owned: bool = True
    ) -> None:
        self.path = Path(path)
        self.filename, self.content_type, self.size = clean_name(filename), clean_type(content_type), size
        self._owned = owned
        self.progress: Callable[[int, int], object] | None = None
        """Told (bytes that the server has, bytes in all) while a client sends it ahead of a sealed call."""

    @classmethod
    def of(
        cls,
        path: str | os.PathLike[str],
        filename: str | None = None,
        content_type: str | None = None,
        *,
        progress: Callable[[int, int], object] | None = None,
    ) -> Upload:
        """The file at *path*, for a client to send; it stays where it is. *filename*: its own name if None.
        *content_type*: what the name says if None. *progress*: told (bytes sent, bytes in all) now and then.

        Raises OSError for what is no file.

        >>> Upload.of(__file__).filename
        'files.py'
        """
        place = Path(path).absolute()
        status = place.stat()
        if not stat.S_ISREG(status.st_mode):
            raise IsADirectoryError(f"{place} is no file.")
        filename = filename or place.name
        content_type = content_type or media.content_type(filename).decode().partition(";")[0]
        upload = cls(place, filename, content_type, status.st_size, owned=False)
        upload.progress = progress
        return upload

    def open(self) -> BinaryIO:
        """Opens it for reading. Blocks; the caller closes it."""
        return self.path.open("rb")

    def read(self) -> bytes:
        """All of it. Blocks, and takes as much memory as the file is large."""
        return self.path.read_bytes()

    def keep(self, path: str | os.PathLike[str], *, replace: bool = False, mode: int = 0o600) -> Path:
        """Moves it to *path* for good, safe on the disk when this returns; gives the path. Blocks.

        *path*: choose it yourself (a UUID, say): a name that a stranger chose does not belong into a path. *replace*:
        whether it may take the place of a file that is there. *mode*: who may read it (0o640 for a web server's
        group). Raises FileExistsError, and OSError where it can't be moved.
        """
        target = Path(path).absolute()
        source = self.path
        if not self._owned or source.stat().st_dev != target.parent.stat().st_dev:
            source = target.with_name(f".{secrets.token_hex(8)}.part")
            shutil.copyfile(self.path, source)
        try:
            _sync(source, mode)
            if replace:
                os.replace(source, target)
            else:
                os.link(source, target)  # unlike a rename it refuses what is there
                source.unlink()
        except BaseException:
            if source != self.path:
                source.unlink(missing_ok=True)
            raise
        _sync(target.parent)
        self.discard()
        self.path, self._owned = target, False
        return target

    def discard(self) -> None:
        """Removes it, unless it was kept, or is the client's own. What opened it may read on."""
        if self._owned:
            self._owned = False
            self.path.unlink(missing_ok=True)

    def __repr__(self) -> str:
        return f"Upload({self.filename!r}, {self.content_type!r}, {self.size})"


def _sync(path: Path, mode: int | None = None) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        if mode is not None:
            os.fchmod(handle, mode)
        os.fsync(handle)
    finally:
        os.close(handle)


class File:
    """A file as the result of a service: over plain HTTP a download, in a sealed session an object that reads.

    *content*: its path, or its bytes. *filename*: what the client is to call it; the path's own name if None.
    *content_type*: by the extension if None.

    **A path that the caller has a say in** belongs into `File.below`: `File(FOLDER / name)` hands out `/etc/passwd`.

    >>> File(b"a,b", filename="table.csv")
    File('table.csv')
    """

    __slots__ = ("content", "content_type", "filename", "names", "path", "root")

    def __init__(
        self,
        content: str | os.PathLike[str] | bytes,
        *,
        filename: str | None = None,
        content_type: str | None = None,
    ) -> None:
        self.content = bytes(content) if isinstance(content, bytes | bytearray | memoryview) else None
        self.path = None if self.content is not None else Path(content).absolute()  # type: ignore[arg-type]
        self.filename = clean_name(filename or (self.path.name if self.path is not None else ""))
        self.content_type = clean_type(content_type) if content_type is not None else None
        self.root: Path | None = None
        """What it must lie below, if it was made by `below`."""
        self.names: tuple[str, ...] = ()

    @classmethod
    def below(
        cls,
        root: str | os.PathLike[str],
        name: str,
        *,
        filename: str | None = None,
        content_type: str | None = None,
    ) -> Self:
        """The file *name* ("report.pdf", "2026/report.pdf") below the folder *root*, whoever chose the name.

        No way leads out: not "..", not an absolute name, not a link whose target lies outside; and nothing hidden (a
        name that begins with a dot) is there. Raises `exc.NotFound` for such a name; whether there is a file is seen
        when it is sent.

        >>> File.below("/srv", "a/b.pdf").path
        PosixPath('/srv/a/b.pdf')
        >>> File.below("/srv", "../etc/passwd")
        Traceback (most recent call last):
        limen.exc.NotFound: There is no such file.
        """
        names = tuple(name.split("/")) if isinstance(name, str) else ("",)
        if not all(ordinary(part) for part in names):
            raise exc.NotFound("There is no such file.")
        file = cls(Path(root, *names), filename=filename, content_type=content_type)
        file.root, file.names = Path(root).absolute(), names
        return file

    def __repr__(self) -> str:
        return f"File({self.filename!r})"


def ordinary(name: str) -> bool:
    """True for a name that one folder can hold and that is not hidden.

    >>> ordinary("a.txt"), ordinary(".."), ordinary(".env"), ordinary("a/b"), ordinary("")
    (True, False, False, False, False)
    """
    return bool(name) and not name.startswith(".") and "/" not in name and "\0" not in name


class Sent:
    """What stands for a file in the arguments of a sealed call: the file was sent ahead, and *id* is its name.

    >>> Sent("0" * 32).id == "0" * 32
    True
    """

    __slots__ = ("id",)

    def __init__(self, id: str) -> None:
        if not _ID.fullmatch(id):
            raise ValueError("this is no id of an upload")
        self.id = id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sent) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)


class Given:
    """What stands for a file in the result of a sealed call: the client reads it by its *id* (`limen.file.read`)."""

    __slots__ = ("content_type", "filename", "id", "size")

    def __init__(self, id: str, filename: str, content_type: str, size: int) -> None:
        if not _ID.fullmatch(id) or not isinstance(size, int) or size < 0:
            raise ValueError("this is no file")
        self.id, self.size = id, size
        self.filename, self.content_type = clean_name(filename), clean_type(content_type)

    def facts(self) -> dict[str, object]:
        """As it travels."""
        return {"id": self.id, "filename": self.filename, "content_type": self.content_type, "size": self.size}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Given) and other.facts() == self.facts()

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"Given({self.filename!r}, {self.content_type!r}, {self.size})"
