"""examples/whiteboard: two windows and a Python process on one live tree, by one command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Page, expect
from served import Server

from limen import Connection, Node, exc

WHITEBOARD = Path(__file__).resolve().parent.parent.parent / "examples" / "whiteboard"


BOARD = [str(Path(sys.executable).with_name("limen")), "serve", str(WHITEBOARD / "board.py"), "--port", "0"]


@pytest.fixture
def server(start: Callable[..., Server]) -> Server:
    return start([sys.executable, str(WHITEBOARD), "0"])


@pytest.fixture
def plotter() -> Iterator[Callable[[Server], subprocess.Popen[str]]]:
    """`plotter(server)`: the plotter alone, which has said that it is ready."""
    running: list[subprocess.Popen[str]] = []

    def plotter(server: Server) -> subprocess.Popen[str]:
        command = [sys.executable, str(WHITEBOARD / "plotter.py"), server.url]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        said = running[-1].stdout
        assert said is not None
        assert said.readline() == "The plotter is ready.\n"
        return running[-1]

    yield plotter
    for process in running:
        process.kill()
        process.communicate()


async def opened(context: BrowserContext, server: Server) -> Page:
    page = await context.new_page()
    await page.goto(server.url)
    await expect(page.get_by_role("status")).to_have_text("connected")
    await expect(page.locator("#figure option")).to_have_count(3)  # the plotter has answered
    return page


async def test_what_is_drawn_in_one_window_is_seen_in_the_other_while_it_is_drawn(
    context: BrowserContext, server: Server, troubles: list[str]
) -> None:
    one, two = await opened(context, server), await opened(context, server)
    await one.get_by_label("You are").fill("Ada")
    await one.mouse.move(300, 300)
    await one.mouse.down()
    ink = two.locator("#ink polyline")
    for step in range(1, 1000):  # a page says what was drawn at most each 40 ms
        await one.mouse.move(300 + step % 400, 300 + step % 100)
        if await ink.count():
            break
    await expect(ink).to_have_count(1)
    await expect(two.locator("#pointers text")).to_have_text("Ada")
    await one.mouse.up()
    await expect(two.locator("#strokes polyline")).to_have_count(1)
    await expect(ink).to_have_count(0)
    await one.get_by_role("button", name="Undo").click()
    await expect(two.locator("#strokes polyline")).to_have_count(0)
    await expect(two.get_by_text("Draw here.")).to_be_visible()
    assert troubles == []


async def test_a_python_process_draws_for_a_page_and_tells_it_how_far_it_is(
    context: BrowserContext, server: Server, troubles: list[str]
) -> None:
    one, two = await opened(context, server), await opened(context, server)
    await one.get_by_label("The plotter draws a").select_option("star")
    await one.get_by_role("button", name="Draw").click()
    await expect(one.get_by_label("How far the plotter is")).to_be_visible()
    await expect(one.get_by_label("How far the plotter is")).to_have_attribute("title", "star: 100 %")
    for page in (one, two):
        await expect(page.locator("#strokes polyline title")).to_have_text("by the plotter")
    await two.get_by_role("button", name="Clear").click()
    await expect(one.locator("#strokes polyline")).to_have_count(0)
    assert troubles == []


async def test_a_page_learns_of_a_plotter_that_comes_later_and_of_one_that_comes_again(
    context: BrowserContext,
    start: Callable[..., Server],
    plotter: Callable[[Server], subprocess.Popen[str]],
    troubles: list[str],
) -> None:
    server = start(BOARD)
    page = await context.new_page()
    await page.goto(server.url)
    draw, figures = page.get_by_role("button", name="Draw"), page.locator("#figure option")
    await expect(draw).to_have_attribute("title", "The plotter is not there.")
    await expect(draw).to_be_disabled()
    first = plotter(server)
    await expect(figures).to_have_count(3)
    await page.get_by_label("The plotter draws a").select_option("star")
    first.kill()
    first.wait()
    await draw.click()
    await expect(figures).to_have_count(0)
    await expect(draw).to_be_disabled()
    plotter(server)
    await expect(figures).to_have_count(3)
    await draw.click()
    await expect(page.locator("#strokes polyline title")).to_have_text("by the plotter")
    assert troubles == []


async def test_a_page_and_a_plotter_find_each_other_again_when_the_server_was_away(
    context: BrowserContext,
    start: Callable[..., Server],
    plotter: Callable[[Server], subprocess.Popen[str]],
) -> None:
    server = start(BOARD)
    plotter(server)
    page = await opened(context, server)
    server.stop()
    await expect(page.get_by_role("status")).to_have_text("the connection is lost; coming back …")
    server.start_again()
    await expect(page.get_by_role("status")).to_have_text("connected")
    draw = page.get_by_role("button", name="Draw")
    drawn = page.locator("#strokes polyline title")
    await expect(draw).to_be_enabled()
    await draw.click()
    await expect(drawn).to_have_text("by the plotter")


async def test_the_board_has_one_shape_in_every_window_so_that_nobody_draws_where_others_do_not_look(
    context: BrowserContext, server: Server, troubles: list[str]
) -> None:
    page = await opened(context, server)
    for width, height in ((1280, 800), (390, 844), (844, 390)):
        await page.set_viewport_size({"width": width, "height": height})
        board = await page.locator("#board").bounding_box()
        assert board is not None
        assert board["width"] / board["height"] == pytest.approx(1.6, rel=0.01)
        assert board["x"] >= 0
        assert board["x"] + board["width"] <= width
        assert board["y"] + board["height"] <= height
        hint = await page.locator("#hint").bounding_box()
        assert hint is not None
        assert board["y"] <= hint["y"]
        assert hint["y"] + hint["height"] <= board["y"] + board["height"]
    assert troubles == []


async def test_who_fills_the_board_takes_it_from_nobody(start: Callable[..., Server]) -> None:
    """Before, 2,000 strokes of 5,000 points each were 180 MB, which no window could be told in one message."""
    served = start(BOARD)
    async with Connection(served.url) as eve, Connection(served.url) as ada:
        widest = [-1.7976931348623157e308] * 10_000
        for number in range(40):
            await eve.session.apply("whiteboard.board.add", [f"s{number}", "eve", "#000", widest])
        with pytest.raises(exc.InvalidCall, match="full"):
            await eve.session.apply("whiteboard.board.add", ["one more", "eve", "#000", [1, 1]])
        await eve.session.apply("whiteboard.board.add", ["s1", "eve", "#000", [1, 1]])  # in the place of another
        window = Node()
        await window.node_bind("whiteboard.pads.ada", ada.new_context())
        mirror = await window.remote("whiteboard.board").stream()
        assert len(mirror) == 40
