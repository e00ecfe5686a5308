"""The page /limen/, in Chromium: it shows the services, calls them, and takes nothing that they say for HTML."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect
from served import Server

LIMEN = str(Path(sys.executable).with_name("limen"))
PROGRAM = '''
from dataclasses import dataclass
from limen import File, Upload, service

@dataclass
class Item:
    name: str
    pieces: int = 1

@service(safe=False)
def greet(name: str, loud: bool = False) -> str:
    """Greets </script><img src=x onerror="document.title='broken'"> everybody."""
    return f"Hello, {name}{'!' * loud}"

@service("shop/weigh", safe=False)
def weigh(items: list[Item]) -> int:
    return sum(item.pieces for item in items)

@service("shop/shelf", safe=False)
class Shelf:
    def get(self, number: int) -> str:
        return f"shelf {number}"

@service("shop/picture", safe=False)
def picture(file: Upload) -> File:
    return File(file.read() * 2, filename="double.bin")

@service("shop/sealed")
def sealed(text: str) -> str:
    return f"sealed {text}"

@service("shop/count")
def count(n: int):
    yield from range(n)
'''


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("services")
    (folder / "shop.py").write_text(PROGRAM)
    env = {**os.environ, "LIMEN_DB": "sqlite:///shop.db"}
    subprocess.run([LIMEN, "user", "add", "ada"], cwd=folder, env=env, input=b"lovelace\n", check=True)
    server = Server([LIMEN, "serve", "shop.py", "--dev", "--port", "0"], cwd=Path(folder), env=env)
    yield f"{server.url}/limen/"
    server.stop()


async def answer(page: Page, text: str) -> None:
    await expect(page.get_by_label("Answer")).to_have_text(text)


async def test_a_service_is_shown_and_called(page: Page, url: str, troubles: list[str]) -> None:
    await page.goto(url)
    await expect(page.locator("nav a")).to_have_text(
        ["greetplain", "count", "pictureplain", "sealed", "weighplain", "getplain"]
    )
    await expect(page.locator("main h2")).to_have_text("greet")
    await expect(page.locator("main p").first).to_contain_text("</script><img")
    await page.get_by_label("name", exact=True).fill("Ada")
    await page.get_by_label("loud").select_option("true")
    await page.get_by_role("button", name="Call").click()
    await answer(page, '"Hello, Ada!"')
    await expect(page.get_by_label("The same by curl")).to_contain_text("""--json '{"name":"Ada","loud":true}'""")
    assert await page.title() == "greet · Limen"
    assert troubles == []


async def test_it_can_be_used_without_a_mouse(page: Page, url: str) -> None:
    await page.goto(url)
    await expect(page.locator("nav a").first).to_be_visible()
    await page.keyboard.press("/")
    await page.keyboard.type("weigh")
    await page.keyboard.press("Enter")
    await expect(page.locator("main h2")).to_have_text("shop.weigh")
    await page.keyboard.press("Tab")  # the types
    await page.keyboard.press("Tab")
    await page.keyboard.type('[{"name": "bolt", "pieces": 2}, {"name": "nut"}]')
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await answer(page, "3")


async def test_what_does_not_fit_is_named(page: Page, url: str) -> None:
    await page.goto(f"{url}#shop.weigh")
    await page.get_by_text("Types").click()
    await expect(page.locator("details pre")).to_contain_text("pieces?: number")
    await page.get_by_label("items").fill('[{"pieces": "many"}]')
    await page.get_by_role("button", name="Call").click()
    await expect(page.get_by_label("Answer")).to_contain_text("items[0].pieces: Expected `int`, got `str`")


async def test_a_sealed_service_is_called_after_a_login_and_streams_come_one_by_one(page: Page, url: str) -> None:
    await page.goto(f"{url}#shop.sealed")
    await page.get_by_label("text").fill("milk")
    await page.get_by_role("button", name="Call").click()
    await expect(page.get_by_label("Answer")).to_contain_text("Unauthorized")
    await page.get_by_label("User").fill("ada")
    await page.get_by_label("Password").fill("lovelace")
    await page.get_by_role("button", name="Log in").click()
    await expect(page.locator("#name")).to_have_text("ada (user)")
    await page.get_by_role("button", name="Call").click()
    await answer(page, '"sealed milk"')
    await page.get_by_role("link", name="count").click()
    await page.get_by_label("n", exact=True).fill("3")
    await page.get_by_role("button", name="Call").click()
    await expect(page.get_by_label("Answer")).to_have_text("0\n1\n2\n")
    await expect(page.get_by_text("3 values")).to_be_visible()


async def test_services_are_a_tree_of_functions_for_scripts(page: Page, url: str) -> None:
    await page.goto(url)
    asked = "import('/limen/limen.mjs').then(({ plain }) => plain.shop.weigh([{ name: 'nut', pieces: 4 }]))"
    assert await page.evaluate(f"() => {asked}") == 4
    assert await page.evaluate("() => import('/limen/limen.mjs').then(({ services }) => services.then === undefined)")


async def test_a_method_of_a_class_is_asked_by_its_http_method(page: Page, url: str) -> None:
    await page.goto(f"{url}#shop.shelf.get")
    await page.get_by_label("number", exact=True).fill("7")
    await expect(page.get_by_label("The same by curl")).to_contain_text("/shop/shelf?number=7'")
    await page.get_by_role("button", name="Call").click()
    await answer(page, '"shelf 7"')


async def test_a_file_is_sent_and_one_that_comes_can_be_saved(page: Page, url: str) -> None:
    await page.goto(f"{url}#shop.picture")
    await page.get_by_label("file", exact=True).set_input_files(
        {"name": "a.bin", "mimeType": "application/octet-stream", "buffer": b"abc"}
    )
    await expect(page.get_by_label("The same by curl")).to_contain_text("-F 'file=@a.bin'")
    await page.get_by_role("button", name="Call").click()
    await expect(page.get_by_label("Answer")).to_contain_text("double.bin, application/octet-stream, 6 bytes")
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Save").click()
    assert Path(await (await download.value).path()).read_bytes() == b"abcabc"
