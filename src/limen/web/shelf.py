"""Files that sealed sessions send ahead of a call, and files that they are given to read; and links to these.

Everything is on the disk (`web/spool.py`), so that any process of the server goes on where another stopped. All of it
blocks. Whoever asks for what is another's, or what is not there, hears the same: `exc.NotFound`.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from limen import exc
from limen.base.files import File, Given, Upload, clean_name, clean_type
from limen.base.media import content_type

from .opened import Found, open_file
from .spool import Spool

if TYPE_CHECKING:
    from limen.base.config import Config

PIECE: Final = 256 * 1024
"""Most bytes that one message brings or takes."""
MOST_GIVEN: Final = 256
"""Most files that wait for one user to read them; beyond, the oldest go."""
LINK: Final = 30.0
"""Seconds that a link is good for."""

_ID: Final = re.compile(r"[0-9a-f]{32}")
_GONE: Final = "There is no such file: it was used, given up, or nobody asked for it in time."


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a file is: one login of one user."""

    domain: str
    user: str
    slot: bytes

    @property
    def folder(self) -> str:
        """Of all that user's files."""
        return sha256(f"{self.domain}\0{self.user}".encode()).hexdigest()[:32]

    @property
    def login(self) -> str:
        """What of the slot stands in a file."""
        return sha256(b"limen file\0" + self.slot).hexdigest()


class _Coming(msgspec.Struct):
    """What is known of a file that is being sent."""

    login: str
    filename: str
    content_type: str
    size: int


class Waiting(msgspec.Struct):
    """What is known of a file that waits to be read. *state*: device, inode, size and time of its last change, so that
    nothing else is ever read in its place."""

    login: str
    domain: str
    filename: str
    content_type: str
    size: int
    path: str
    state: tuple[int, int, int, int]
    until: float = 0.0
    inline: bool = False


_encode = msgspec.json.encode
_coming = msgspec.json.Decoder(_Coming).decode
_waiting = msgspec.json.Decoder(Waiting).decode


class Shelf:
    """Files on their way between *spool* and sealed sessions."""

    def __init__(self, config: Config, spool: Spool) -> None:
        self._config, self._spool = config, spool

    # -- in ---------------------------------------------------------------------------------------------------------
    def begin(self, owner: Owner, filename: str, kind: str, size: int) -> str:
        """Makes room for a file of *size* bytes; gives its id. Raises `exc.TooLarge`, `exc.Busy`, `exc.NoSpace`."""
        limit = self._config.MAX_UPLOAD_SIZE
        if size > limit:
            raise exc.TooLarge(f"The file is larger than {limit} bytes.", limit=limit)
        config = self._config.domain(owner.domain)
        id = secrets.token_hex(16)
        coming = _Coming(owner.login, clean_name(filename), clean_type(kind), size)
        with self._spool.locked(), self._spool.room():
            there = [
                _coming(path.read_bytes()) for path in self._spool.place("sent", owner.folder, id).parent.glob("*.json")
            ]
            if len(there) >= config.MAX_OPEN_FILES:
                raise exc.Busy(f"You are sending {len(there)} files already; finish one first.")
            self._weigh(owner, sum(file.size for file in there) + size)
            about = self._spool.place("sent", owner.folder, f"{id}.json")
            os.close(os.open(about.with_suffix(""), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            _write(about, _encode(coming))
        return id

    def _weigh(self, owner: Owner, more: int) -> None:
        kept = [p for p in self._spool.place("given", owner.folder, "-").parent.glob("*") if not p.suffix]
        most = self._config.domain(owner.domain).MAX_USER_UPLOADS
        if more + sum(path.stat().st_size for path in kept) > most:
            raise exc.TooLarge(f"Your files that are under way would be more than {most} bytes together.", limit=most)

    def write(self, owner: Owner, id: str, offset: int, data: bytes) -> int:
        """Puts *data* at *offset*, which is not beyond what is there; gives how much is there then."""
        if len(data) > PIECE:
            raise exc.TooLarge(f"At most {PIECE} bytes are sent at once.", limit=PIECE)
        path, coming = self._coming(owner, id)
        handle = _held(path)
        try:
            have = os.fstat(handle).st_size
            if not 0 <= offset <= have:
                raise exc.InvalidCall(
                    f"The file has {have} bytes so far; what comes at {offset} would leave a hole.", have=have
                )
            if offset + len(data) > coming.size:
                raise exc.InvalidCall(f"The file was announced with {coming.size} bytes, not more.")
            with self._spool.room():
                done = 0
                while done < len(data):
                    done += os.pwrite(handle, data[done:], offset + done)
            return max(have, offset + len(data))
        finally:
            os.close(handle)

    def take(self, owner: Owner, id: str) -> Upload:
        """The file, for one call: nobody finds it here again."""
        path, coming = self._coming(owner, id)
        mine = self._spool.run / secrets.token_hex(16)
        handle = _held(path)
        try:
            if os.fstat(handle).st_size != coming.size:
                raise exc.InvalidCall("The file is not whole yet: send all of it before the call.")
            path.rename(mine)
        except FileNotFoundError:
            raise exc.NotFound(_GONE) from None
        finally:
            os.close(handle)
        path.with_suffix(".json").unlink(missing_ok=True)
        return Upload(mine, coming.filename, coming.content_type, coming.size)

    def _coming(self, owner: Owner, id: str) -> tuple[Path, _Coming]:
        about = self._about("sent", owner, id)
        try:
            coming = _coming(about.read_bytes())
        except (FileNotFoundError, msgspec.DecodeError):
            raise exc.NotFound(_GONE) from None
        if coming.login != owner.login:
            raise exc.NotFound(_GONE)
        return about.with_suffix(""), coming

    def _about(self, where: str, owner: Owner, id: str) -> Path:
        if not isinstance(id, str) or not _ID.fullmatch(id):
            raise exc.NotFound(_GONE)
        return self._spool.folder / where / owner.folder / f"{id}.json"

    # -- out --------------------------------------------------------------------------------------------------------
    def give(self, owner: Owner, file: File) -> Given:
        """*file*, for its owner to read. Raises `exc.NotFound` where it is not there."""
        id = secrets.token_hex(16)
        about = self._spool.place("given", owner.folder, f"{id}.json")
        with self._spool.room():
            if file.content is not None:
                self._weigh(owner, len(file.content))
                _write(about.with_suffix(""), file.content)
                file, shown = File(about.with_suffix("")), file
            else:
                shown = file
            state = _state(file)
            kind = shown.content_type or content_type(shown.filename).partition(b";")[0].decode()
            waiting = Waiting(owner.login, owner.domain, shown.filename, kind, state[2], str(_path(file)), state)
            _write(about, _encode(waiting))
        self._make_way(about.parent)
        return Given(id, waiting.filename, waiting.content_type, waiting.size)

    def _make_way(self, folder: Path) -> None:
        waiting = list(folder.glob("*.json"))
        if len(waiting) > MOST_GIVEN:
            waiting.sort(key=lambda path: path.stat().st_mtime)
            for about in waiting[:-MOST_GIVEN]:
                about.unlink(missing_ok=True)
                about.with_suffix("").unlink(missing_ok=True)

    def read(self, owner: Owner, id: str, offset: int, length: int) -> bytes:
        """At most *length* bytes from *offset* on. Raises `exc.NotFound`, also where the file has changed meanwhile."""
        if not 0 < length <= PIECE or offset < 0:
            raise exc.InvalidCall(f"Between 1 and {PIECE} bytes are read at once.")
        about, waiting = self._waiting(owner, id)
        handle = open_waiting(waiting)
        try:
            os.utime(about)  # somebody still wants it
            return os.pread(handle, length, offset) if offset < waiting.size else b""
        finally:
            os.close(handle)

    def drop(self, owner: Owner, id: str) -> None:
        """Forgets a file, sent or given."""
        for where in ("sent", "given"):
            about = self._about(where, owner, id)
            if about.exists():
                (self._coming if where == "sent" else self._waiting)(owner, id)
                about.unlink(missing_ok=True)
                about.with_suffix("").unlink(missing_ok=True)

    def _waiting(self, owner: Owner, id: str) -> tuple[Path, Waiting]:
        about = self._about("given", owner, id)
        try:
            waiting = _waiting(about.read_bytes())
        except (FileNotFoundError, msgspec.DecodeError):
            raise exc.NotFound(_GONE) from None
        if waiting.login != owner.login:
            raise exc.NotFound(_GONE)
        return about, waiting

    # -- links ------------------------------------------------------------------------------------------------------
    def link(self, owner: Owner, id: str, *, inline: bool) -> str:
        """A token by which anybody may fetch the file once, within `LINK` seconds. Only its hash is kept."""
        _, waiting = self._waiting(owner, id)
        waiting.until, waiting.inline = time.time() + LINK, inline
        token = secrets.token_urlsafe(32)
        with self._spool.room():
            _write(self._spool.place("links", f"{digest(token).hex()}.json"), _encode(waiting))
        return token

    def linked(self, token: str, domain: str) -> Waiting:
        """What *token* stands for. Raises `exc.NotFound`. It is not used up by that; see `OnceStore`."""
        try:
            waiting = _waiting((self._spool.folder / "links" / f"{digest(token).hex()}.json").read_bytes())
        except (FileNotFoundError, msgspec.DecodeError):
            raise exc.NotFound from None
        if waiting.domain != domain or waiting.until < time.time():
            raise exc.NotFound
        return waiting

    def unlink(self, token: str) -> None:
        """The token was used."""
        (self._spool.folder / "links" / f"{digest(token).hex()}.json").unlink(missing_ok=True)


def digest(token: str) -> bytes:
    """What is kept of a link's token."""
    return sha256(b"limen link\0" + token.encode()).digest()


def open_waiting(waiting: Waiting) -> int:
    """A descriptor of the file, if it is the one that was given. Raises `exc.NotFound`."""
    handle = _opened(Path(waiting.path), os.O_RDONLY | os.O_NONBLOCK)
    if _status(handle) != waiting.state:
        os.close(handle)
        raise exc.NotFound("The file has changed since it was given; ask for it anew.")
    return handle


def found(waiting: Waiting) -> Found:
    """The file, as `web/sending.py` takes it. Raises `exc.NotFound`."""
    _, inode, size, changed = waiting.state
    return Found(
        open_waiting(waiting), waiting.filename, size, changed // 10**9, b'"%x-%x-%x"' % (changed, size, inode)
    )


def _state(file: File) -> tuple[int, int, int, int]:
    opened = open_file(file)
    if opened is None:
        raise exc.NotFound("There is no such file.")
    opened.close()
    handle = _opened(_path(file), os.O_RDONLY | os.O_NONBLOCK)
    try:
        return _status(handle)
    finally:
        os.close(handle)


def _path(file: File) -> Path:
    """Where the content lies, links resolved: what was checked is what is read later (see `open_waiting`)."""
    assert file.path is not None
    path = Path(os.path.realpath(file.path))
    if file.root is not None and not path.is_relative_to(os.path.realpath(file.root)):
        raise exc.NotFound("There is no such file.")
    return path


def _status(handle: int) -> tuple[int, int, int, int]:
    status = os.fstat(handle)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _opened(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        raise exc.NotFound(_GONE) from None


def _held(path: Path) -> int:
    """A descriptor of a file that is being sent, which nobody else writes or takes until it is closed: what a function
    was given never changes under it. Blocks."""
    handle = _opened(path, os.O_WRONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if not os.path.samestat(os.fstat(handle), path.stat(follow_symlinks=False)):
            raise exc.NotFound(_GONE)
    except BaseException as error:
        os.close(handle)
        if isinstance(error, FileNotFoundError):  # taken meanwhile
            raise exc.NotFound(_GONE) from None
        raise
    return handle


def _write(path: Path, data: bytes) -> None:
    """A file that is there whole or not at all."""
    half = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        half.rename(path)
    except BaseException:
        half.unlink(missing_ok=True)
        raise
