"""A large file on its way in: processor time for each MiB, beside nginx's own WebDAV PUT, which is C; and memory.

`LIMEN_UPLOAD_MIB=1024` sends 1 GiB a round instead of 256 MiB. nginx writes the body to a temporary file and renames
it over the last one; Limen writes it to the folder of uploads, calls the service and removes it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median

from . import processes
from .measure import Report, Turn, alternate, resident, server_turn

MIB = int(os.environ.get("LIMEN_UPLOAD_MIB", "256"))
ROUNDS = 5
NGINX = """
daemon off; master_process off; worker_processes 1; pid {here}/pid; error_log {here}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off; client_max_body_size 0; client_body_temp_path {here}/temp; client_body_buffer_size {buffer};
  proxy_temp_path {here}/p; fastcgi_temp_path {here}/f; uwsgi_temp_path {here}/u; scgi_temp_path {here}/s;
  server {{ listen 127.0.0.1:{port}; root {here}/files; location / {{ dav_methods PUT; }} }}
}}
"""


@contextmanager
def nginx(buffer: str) -> Iterator[tuple[int, int]]:
    """nginx that takes PUT; gives pid and port."""
    port = processes.free_port()
    here = processes.SCRATCH / f"nginx-{port}"
    (here / "files").mkdir(parents=True)
    (here / "nginx.conf").write_text(NGINX.format(here=here, port=port, buffer=buffer))
    try:
        with processes.started(["nginx", "-p", here, "-c", here / "nginx.conf", "-e", here / "error.log"], port) as pid:
            yield pid, port
    finally:
        shutil.rmtree(here, ignore_errors=True)


def send(file: Path, port: int, head: str, before: bytes = b"", after: bytes = b"") -> None:
    """One request whose body is *before*, *file* and *after*. Raises RuntimeError for an answer that is not good."""
    length = len(before) + file.stat().st_size + len(after)
    with socket.create_connection(("127.0.0.1", port)) as sock, file.open("rb") as content:
        sock.sendall(f"{head}\r\nHost: localhost:{port}\r\nContent-Length: {length}\r\n\r\n".encode() + before)
        sock.sendfile(content)
        if after:
            sock.sendall(after)
        answer = sock.recv(65536)
        if not answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201", b"HTTP/1.1 204")):
            raise RuntimeError(f"this was not due: {answer[:500]!r}")


def contestant(pid: int, work: Callable[[], None], memory: list[float]) -> Turn:
    async def turn() -> None:
        await asyncio.to_thread(work)
        memory.append(resident(pid) / 2**20)

    return server_turn(pid, MIB, turn)


async def run(report: Report) -> None:
    report.topic(f"Upload of {MIB} MiB: processor time for each MiB")
    processes.SCRATCH.mkdir(parents=True, exist_ok=True)
    file = processes.SCRATCH / "upload.bin"
    with file.open("wb") as out:
        for _ in range(MIB):
            out.write(os.urandom(2**20))
    body = "POST /take HTTP/1.1\r\nContent-Type: image/png"
    form = "POST /take HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=----WebKitFormBoundaryAbCdEf0123456789"
    before = b"------WebKitFormBoundaryAbCdEf0123456789\r\n"
    before += b'Content-Disposition: form-data; name="file"; filename="upload.bin"\r\n\r\n'
    after = b"\r\n------WebKitFormBoundaryAbCdEf0123456789--\r\n"
    memory: dict[str, list[float]] = {}
    try:
        with ExitStack() as stack:
            pid, port = stack.enter_context(processes.limen("upload_app.py"))
            idle = resident(pid) / 2**20
            turns: dict[str, Turn] = {
                "limen, the body": contestant(pid, lambda: send(file, port, body), memory.setdefault("limen", [])),
                "limen, a form": contestant(pid, lambda: send(file, port, form, before, after), memory["limen"]),
            }
            if shutil.which("nginx"):
                for buffer in ("16k", "1m"):
                    master, at = stack.enter_context(nginx(buffer))
                    held = memory.setdefault(f"nginx, {buffer}", [])
                    put = partial(send, file, at, "PUT /upload.bin HTTP/1.1")
                    turns[f"nginx, PUT, buffer of {buffer}"] = contestant(master, put, held)
            cost = report.figures(await alternate(ROUNDS, turns))
    finally:
        file.unlink()
    if "nginx, PUT, buffer of 16k" in cost:
        usual = cost["nginx, PUT, buffer of 16k"]  # client_body_buffer_size as nginx has it
        report.target("limen, the body / nginx", cost["limen, the body"] / usual, 1 / 0.7)
        report.target("limen, a form / nginx", cost["limen, a form"] / usual, 1 / 0.7)
        report.note("limen, the body / nginx with 1 MiB", cost["limen, the body"] / cost["nginx, PUT, buffer of 1m"])
    else:
        print("  nginx is not installed, so that nothing says whether the targets beside it hold", flush=True)
    report.target("limen: memory after all, less that before", median(memory["limen"][-3:]) - idle, 16, "MiB")
