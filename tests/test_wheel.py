"""The package as others install it: from the source distribution a wheel, and from the wheel alone a server."""

from __future__ import annotations

import shutil
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.async_api import Page
from served import Server

ROOT = Path(__file__).resolve().parent.parent
BROWSER = ROOT / "src" / "limen" / "browser"
PROGRAM = """
import limen
from limen import Node, Signal, auth, bind, call, config, realm_rule, service, static

config.IS_DEVELOPMENT = True  # there is no TLS


class Bell(Node):
    on_rung = Signal()

    @call
    async def ring(self, times: int) -> str:
        await self.on_rung.notify(times)
        return "ding " * times


@service()
def origin() -> str:
    return limen.__file__


bind("house.bell", Bell)
realm_rule(["call", "register", "subscribe"], "house.", match="prefix", safe=False)
auth.add_user("ada", "lovelace")
static("/", "site", index="index.html")
"""
PAGE = '<!doctype html><link rel="icon" href="data:,"><script src="/limen/limen.js"></script>'
HEARS = """async () => {
    const { Connection, Node, when_connected } = await import("/limen/node.mjs");
    const connection = new Connection(location.origin);
    await when_connected(connection);
    const page = new Node();
    await page.node_bind("house.page", connection.new_context());
    const bell = page.remote("house.bell");
    const heard = new Promise((resolve) => bell.on_rung.connect(resolve).then(() => bell.ring(2)));
    return [await heard, await bell.ring(3)];
}"""


def build(what: str, source: Path, into: Path) -> Path:
    """The package of the kind *what*, in the folder *into*."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", what, "--directory", str(into)]
    subprocess.run(command, cwd=source, check=True, capture_output=True, text=True)
    (made,) = into.iterdir()
    return made


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the wheel holds, of a source that is the source distribution."""
    place = tmp_path_factory.mktemp("wheel")
    shutil.unpack_archive(build("sdist", ROOT, place / "sdist"), place / "unpacked", filter="data")
    (source,) = (place / "unpacked").iterdir()
    with zipfile.ZipFile(build("wheel", source, place / "built")) as wheel:
        wheel.extractall(place / "site")
    return place / "site"


@pytest.fixture
def server(installed: Path, start: Callable[..., Server], tmp_path: Path) -> Server:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text(PAGE)
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "limen.cli", "serve", "program.py", "--port", "0", "--db", "sqlite:///wheel.db"]
    return start(command, cwd=tmp_path, env={"PYTHONPATH": str(installed)})


def names(folder: Path) -> list[str]:
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in files if "__pycache__" not in path.parts)


def test_the_wheel_holds_every_file_of_the_package(installed: Path) -> None:
    assert {"limen.js", "limen.mjs", "node.mjs", "types/node.d.ts"} <= set(names(BROWSER))
    assert names(installed / "limen") == names(ROOT / "src" / "limen")


def test_what_the_browser_was_built_is_served_as_it_is(server: Server) -> None:
    for name in names(BROWSER):
        with urllib.request.urlopen(f"{server.url}/limen/{name}") as answer:
            assert (name, answer.read() == (BROWSER / name).read_bytes()) == (name, True)


async def test_a_page_calls_a_node_and_hears_its_signal(server: Server, page: Page, troubles: list[str]) -> None:
    await page.goto(server.url)
    assert await page.evaluate(HEARS) == [2, "ding ding ding "]
    assert troubles == []


async def test_a_page_logs_in_and_calls_a_service(
    server: Server, installed: Path, page: Page, troubles: list[str]
) -> None:
    await page.goto(server.url)
    await page.evaluate("Limen.login('ada', 'lovelace').then(() => null)")
    assert await page.evaluate("Limen.safe_call('origin')") == str(installed / "limen" / "__init__.py")
    assert troubles == []


async def test_what_stands_on_nodes_is_loaded_with_them(server: Server, page: Page, troubles: list[str]) -> None:
    await page.goto(server.url)
    modules = ["application", "testing", "dev", "lane", "login", "limen"]
    loaded = "async (names) => (await Promise.all(names.map((name) => import(`/limen/${name}.mjs`)))).map(Object.keys)"
    assert all(await page.evaluate(loaded, modules))
    assert troubles == []


def test_nothing_is_packed_before_the_browser_s_files_are_built(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("pyproject.toml", "README.md", "LICENSE", "tools/packing.py", "src/limen/__init__.py"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    with pytest.raises(subprocess.CalledProcessError) as refused:
        build("wheel", source, tmp_path / "built")
    assert "Run `make browser` first." in refused.value.stderr
