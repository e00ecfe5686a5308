"""The module of typed clients: mypy takes right calls and rejects wrong ones; and it calls."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import pytest
import rich_program

import limen
from limen.cli.types import write
from limen.service.describe import describe

RIGHT = """\
from decimal import Decimal

import limen
from rich_client import AsyncClient, Client

client = Client(limen.PyClient(user="ada"))
price: Decimal = client.todo.add(text="milk")["price"]
client.todo.add("x", None, tags={"a"})
for n in client.count(3):
    n.bit_length()
client.todo(item={"name": "a"})["items"][0]["kids"]
client.class_.import_(1, {"size": 1}, 1, 2, z="a")
client.constructor.init_.a_b(1, new="a", more=3)["function"]
client.constructor.init_.a_b_(1, 2)
client.meet({"name": "ada", "friends": [{"name": "bob"}]})
client.put(limen.Upload.of("a.png"))
content: bytes = client.get("a.txt").read()


async def ask(client: AsyncClient) -> str:
    async for n in client.count(4):
        n.bit_length()
    return await client.hello(name="x")


async def connected() -> None:
    async with limen.connect("http://localhost") as session:
        await ask(AsyncClient(session))
"""
HEAD = "import limen; from rich_client import AsyncClient, Client; client = Client(limen.PyClient())\n"
WRONG = """\
client.todo.add(text=7)
client.todo.ad("x")
client.todo.add()
n: int = client.hello()
client.todo(item={"nam": "a"})
client.count("3")
async def ask(client: AsyncClient) -> str: return client.hello(name="x")
AsyncClient(limen.PyClient())
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("client")
    write(describe(rich_program.app.registry), folder, "rich", ("python",))
    (folder / "right.py").write_text(RIGHT)
    (folder / "wrong.py").write_text(HEAD + WRONG)
    return folder


@pytest.fixture(scope="module")
def client(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("rich_client", folder / "rich_client.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_mypy_takes_right_calls_and_rejects_each_wrong_one(folder: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(folder / "cache")]
    done = subprocess.run(
        [*command, "rich_client.py", "right.py", "wrong.py"], cwd=folder, capture_output=True, text=True
    )
    wrong = {int(line) for line in re.findall(r"^wrong\.py:(\d+): error", done.stdout, re.MULTILINE)}
    assert wrong == {*range(2, len(WRONG.splitlines()) + 2)}, done.stdout + done.stderr
    assert re.findall(r"^(?!wrong|Found).*error.*$", done.stdout, re.MULTILINE) == []


def test_calls_go_where_they_belong(client: ModuleType) -> None:
    with limen.PyClient(rich_program.app, user="ada") as anyone:
        typed = client.Client(anyone)
        item = typed.todo.add("milk", tags={"b", "a"})
        assert (item["name"], item["price"]) == ("milk None ['a', 'b']", Decimal("1.50"))
        assert typed.todo({"name": "a"})["total"] == 1
        assert list(typed.count(3)) == [0, 1, 2]
        assert typed.class_.import_(1, {"size": 2}, 3, 4, five="5") == (8, 3)
        assert typed.constructor.init_.a_b(1, more=3) == {"function": 1, "default": 1, "more": 3}
        assert typed.hello() == "Hello, World!"
        assert [each["name"] for each in typed.todo.follow(2)] == ["0", "1"]
        assert typed.put(limen.Upload.of(__file__)) == Path(__file__).stat().st_size
        assert typed.get("a.txt").read() == b"hi"


def test_what_is_sealed_is_not_asked_for_without_a_login(client: ModuleType) -> None:
    with limen.PyClient(rich_program.app) as nobody:
        with pytest.raises(limen.exc.Unauthorized):
            client.Client(nobody).todo.add("milk")
        assert client.Client(nobody).hello("Ada") == "Hello, Ada!"


async def test_the_same_without_blocking(client: ModuleType) -> None:
    async with limen.AsyncPyClient(rich_program.app, user="ada") as anyone:
        typed = client.AsyncClient(anyone)
        assert (await typed.todo.add("milk"))["color"] == "red"
        assert [n async for n in typed.count(3)] == [0, 1, 2]
