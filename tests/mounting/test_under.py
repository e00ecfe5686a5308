"""docs/how-to/mount.md: Limen below FastAPI, Flask and Django, with the page's own files."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from playwright.async_api import Page

import limen

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "docs"))

from reader import files  # noqa: E402  tests/docs/reader.py

UNDER = {
    "fastapi": ["uvicorn", "--no-proxy-headers", "shop:app", "--port", "{port}"],
    "flask": ["gunicorn", "--threads", "8", "--bind", "127.0.0.1:{port}", "flask_shop:app"],
    "django, asgi": ["hypercorn", "--bind", "127.0.0.1:{port}", "django_asgi:application"],
    "django, wsgi": ["gunicorn", "--threads", "8", "--bind", "127.0.0.1:{port}", "django_wsgi:application"],
}
SETTINGS = """
import limen
from django.http import JsonResponse
from django.urls import path

ALLOWED_HOSTS, SECRET_KEY, ROOT_URLCONF = ["*"], "of a test", __name__
urlpatterns = [path("api/prices", lambda request: JsonResponse({"tea": 3}))]

limen.config.IS_DEVELOPMENT = True
@limen.service(safe=False)
def greet(name="World"):
    return f"Hello, {name}!"

limen.static("/files", ".")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("under")
    for name, _, text in files(ROOT / "docs" / "how-to" / "mount.md"):
        (folder / name).write_text(text)
    (folder / "settings.py").write_text(SETTINGS)
    (folder / "sub").mkdir()
    (folder / "sub" / "index.html").write_text("an index")
    return folder


@pytest.fixture(scope="module", params=UNDER)
def under(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """The URL of the other framework; Limen is at /live."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
    command = [part.format(port=port) for part in UNDER[request.param]]
    command[0] = str(Path(sys.executable).with_name(command[0]))
    env = os.environ | {"DJANGO_SETTINGS_MODULE": "settings"}
    env["PYTHONPATH"] = os.pathsep.join([str(folder), env.get("PYTHONPATH", "")])
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=said, stderr=said)
    try:
        for _ in range(1000):
            assert process.poll() is None, (folder / "said").read_text()
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.02)
        yield f"http://localhost:{port}"
    finally:
        process.terminate()
        process.wait(20)


def ask(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, data, {"Content-Type": "application/json"}), timeout=20) as answer:
        return json.load(answer)


def test_both_answer(under: str) -> None:
    assert ask(f"{under}/live/greet", ["Ada"]) == "Hello, Ada!"
    assert ask(f"{under}/live/greet/Ada.json", []) == "Hello, Ada!"
    prices = f"{under}/api/prices" if status(f"{under}/prices") == 404 else f"{under}/prices"
    assert ask(prices) == {"tea": 3}
    assert status(f"{under}/live/limen/limen.js") == 200
    assert status(f"{under}/liver/greet") == 404
    assert status(f"{under}/live/%2e%2e/prices") in (400, 404)


def status(url: str) -> int:
    try:
        with urlopen(url, timeout=20) as answer:
            return int(answer.status)
    except HTTPError as error:
        error.close()
        return error.code


@pytest.mark.parametrize("under", ["fastapi"], indirect=True)
async def test_a_page_finds_its_server_below_a_prefix(under: str, page: Page, troubles: list[str]) -> None:
    await page.goto(f"{under}/api/prices")
    await page.add_script_tag(url="/live/limen/limen.js")
    assert await page.evaluate("Limen.call('greet', 'Ada')") == "Hello, Ada!"
    await page.evaluate("Limen.login('ada', 'lovelace')")
    assert await page.evaluate("Limen.safe_call('orders')") == ["tea", "biscuits"]
    assert [trouble for trouble in troubles if "404" not in trouble] == []  # FastAPI has no favicon


@pytest.mark.parametrize("under", ["flask"], indirect=True)
async def test_a_page_takes_the_lane_where_there_are_no_websockets(under: str, page: Page, troubles: list[str]) -> None:
    await page.goto(f"{under}/prices")
    await page.evaluate("""new Promise((resolve, reject) => {
        const script = document.createElement("script");
        Object.assign(script, {src: "/live/limen/limen.js", onload: resolve, onerror: reject});
        script.dataset.lane = "http";
        document.head.append(script);
    })""")
    await page.evaluate("Limen.login('ada', 'lovelace')")
    assert await page.evaluate("Limen.safe_call('orders')") == ["tea", "biscuits"]
    assert [trouble for trouble in troubles if "404" not in trouble] == []


@pytest.mark.parametrize("under", ["fastapi"], indirect=True)
async def test_python_finds_it_as_well(under: str) -> None:
    async with limen.connect(f"{under}/live", user="ada", password="lovelace") as session:
        assert await session.call("orders") == ["tea", "biscuits"]


@pytest.mark.parametrize("under", ["django, asgi"], indirect=True)
def test_a_folder_is_redirected_below_the_prefix(under: str) -> None:
    with urlopen(f"{under}/live/files/sub", timeout=20) as answer:
        assert (answer.url, answer.read()) == (f"{under}/live/files/sub/", b"an index")
