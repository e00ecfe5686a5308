"""One Limen, and before it nginx, Caddy and HAProxy, with the configurations of docs/how-to/proxies.md."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from fronts import NAMES, find, not_found  # tools/fronts.py
from served import Server
from through import Front

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "docs"))

from reader import files  # noqa: E402  tests/docs/reader.py

PAGE = ROOT / "docs" / "how-to" / "proxies.md"

PROGRAM = """
from limen import auth, config, get_state, service

config.DOMAIN = "shop.example"

def told():
    state = get_state()
    return {"origin": state.origin, "tls": state.tls, "domain": state.domain, "user": state.user}

@service(safe=False, methods=("GET", "POST"))
def who(): return told()

@service(safe=False, methods=("GET", "POST"), ssl=False)
def anyhow(): return told()

@service()
def sealed(): return told()

@service(safe=False)
def length(text): return len(text)

auth.add_user("ada", "correct horse")
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def limen_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("behind")
    (folder / "shop.py").write_text(PROGRAM)
    command = [str(Path(sys.executable).with_name("limen")), "serve", "shop.py", "--port", "0", "--proxy", "127.0.0.1"]
    server = Server(command, cwd=folder, env={**os.environ})
    yield server
    server.stop()


@pytest.fixture(scope="module", params=NAMES)
def front(
    request: pytest.FixtureRequest, limen_behind: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Front]:
    name: str = request.param
    program = find(name)
    if program is None:
        pytest.fail(not_found(name), pytrace=False)
    folder, authority, port = tmp_path_factory.mktemp(name), trustme.CA(), free_port()
    certificate = authority.issue_cert("shop.example")
    certificate.cert_chain_pems[0].write_to_path(str(folder / "fullchain.pem"))
    certificate.private_key_pem.write_to_path(str(folder / "privkey.pem"))
    certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "all.pem"))
    texts = {language: text for _, language, text in files(PAGE)}
    command = COMMANDS[name](program, folder, texts, port, limen_behind.port)
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            command, cwd=folder, stdout=said, stderr=said, env=os.environ | {"HOME": str(folder)}
        )
        try:
            _ready(port, process, folder / "said")
            yield Front(port, authority)
        finally:
            process.terminate()
            process.wait(20)
            shutil.rmtree(folder)


def _ready(port: int, process: subprocess.Popen[bytes], said: Path) -> None:
    for _ in range(400):
        assert process.poll() is None, said.read_text()
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.02)
    raise AssertionError(said.read_text())


# -- how each is started --------------------------------------------------------------------------------------------
def _placed(text: str, folder: Path, port: int, behind: int) -> str:
    """The page's configuration, with the ports and files of the test."""
    text = text.replace("/etc/ssl/shop", str(folder)).replace("127.0.0.1:9000", f"127.0.0.1:{behind}")
    return text.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl").replace(":443", f"127.0.0.1:{port}")


def _nginx(program: str, folder: Path, texts: dict[str, str], port: int, behind: int) -> list[str]:
    temps = "\n".join(f"{kind}_temp_path temp_{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    site = _placed(texts["nginx"], folder, port, behind)
    as_root = "user root; " if os.geteuid() == 0 else ""  # else its workers may not write to the folder
    (folder / "all.conf").write_text(
        f"{as_root}daemon off; worker_processes 1; pid nginx.pid; error_log stderr; events {{ }}\n"
        f"http {{ access_log off; {temps}\n{site} }}"
    )
    return [program, "-p", str(folder), "-c", "all.conf", "-e", "stderr"]


def _caddy(program: str, folder: Path, texts: dict[str, str], port: int, behind: int) -> list[str]:
    site = _placed(texts["caddyfile"], folder, port, behind)
    own = f"https://shop.example:{port} {{\n    tls {folder}/fullchain.pem {folder}/privkey.pem"
    (folder / "Caddyfile").write_text(
        "{\n    admin off\n    auto_https disable_redirects\n}\n" + site.replace("shop.example {", own)
    )
    return [program, "run", "--config", "Caddyfile", "--adapter", "caddyfile"]


def _haproxy(program: str, folder: Path, texts: dict[str, str], port: int, behind: int) -> list[str]:
    (folder / "haproxy.cfg").write_text("global\n    nbthread 1\n" + _placed(texts["haproxy"], folder, port, behind))
    return [program, "-db", "-f", "haproxy.cfg"]


COMMANDS: dict[str, Callable[[str, Path, dict[str, str], int, int], list[str]]] = {
    "nginx": _nginx,
    "caddy": _caddy,
    "haproxy": _haproxy,
}
