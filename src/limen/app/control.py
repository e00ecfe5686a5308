"""The Unix socket (0600) beside the SQLite file, over which `limen user` and `limen abuse` speak to a running server.

One request a connection: a line of JSON `{"operation": name, "arguments": {…}}`, answered by one line, `{"value": …}`
or an error as it travels, `{"exc": …, "err": […]}`. Whoever may open the socket may read the file it stands beside.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import socket
import stat
import tempfile
from typing import TYPE_CHECKING, Any

from limen import exc
from limen.base.sockets import socket_address

if TYPE_CHECKING:
    from pathlib import Path

    from .operations import Operation

MAX_LINE = 1 << 16
"""Longest request taken, in bytes."""


def router_socket(port: int | None) -> Path:
    """Where `limen router` listens for `limen top`, named after its first port (None: it has none): in the user's
    runtime folder; where the system has none, in a folder of the user's own (0700) for temporary files.

    Raises `exc.StoreError` where somebody else owns that folder.
    """
    from pathlib import Path

    runtime = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(runtime) / "limen" if runtime else Path(tempfile.gettempdir()) / f"limen-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700, parents=True)
    found = folder.lstat()
    if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o077:
        raise exc.StoreError(f"{folder} is not this user's alone; say another place for the control socket.")
    return folder / f"router-{port or 'unix'}.sock"


async def listen(path: Path, table: dict[str, Operation]) -> asyncio.AbstractServer:
    """Serves *table* at the socket *path* (0600); a stale socket of a server that died is replaced. Raises OSError."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(10):
                line = await reader.readline()
            answer = await asyncio.to_thread(_answer, table, line)
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        except (TimeoutError, ValueError, ConnectionError):
            pass  # whoever asked is gone, or said more than a line
        finally:
            writer.close()

    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(errno.EEXIST, "a file that is no socket is there", str(path))
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with socket_address(path) as address:
            before = os.umask(0o177)
            try:
                listener.bind(address)
            finally:
                os.umask(before)
        return await asyncio.start_unix_server(serve, sock=listener, limit=MAX_LINE)
    except BaseException:
        listener.close()
        raise


def is_served(path: Path) -> bool:
    """True where a server listens at *path*."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, socket_address(path) as address:
            connection.connect(address)
    except OSError:
        return False
    return True


def _answer(table: dict[str, Operation], line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line)
        operation = table.get(request["operation"])
        if operation is None:
            raise exc.NotFound(f"This server does not know {request['operation']!r}; is it of another version?")
        return {"value": operation(**request["arguments"])}
    except exc.Error as error:
        return error.to_wire()
    except (ValueError, KeyError, TypeError):
        return exc.InvalidCall("That is no request of `limen`.").to_wire()


def ask(path: Path, operation: str, /, **arguments: Any) -> Any:
    """Asks the server that listens at *path*. Raises `ConnectionLost` where none does, else what the server raised."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(30)
            with socket_address(path) as address:
                connection.connect(address)
            connection.sendall(json.dumps({"operation": operation, "arguments": arguments}).encode() + b"\n")
            with connection.makefile("rb") as answers:
                line = answers.readline()
    except PermissionError:
        raise exc.Unauthorized(f"The server at {path} takes orders from the user that runs it: be that user.") from None
    except OSError as error:
        raise exc.ConnectionLost(f"No server answers at {path}.") from error
    if not line:
        raise exc.ConnectionLost("The server closed the connection without an answer.")
    answer = json.loads(line)
    if "exc" in answer:
        raise exc.from_wire("", answer)
    return answer["value"]
