"""examples/todo in a real browser: what a person does with it, and what befalls them."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from served import Server

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def server(serve: Callable[..., Server]) -> Server:
    return serve("examples/todo/app.py", "--dev")


@pytest.fixture
def site(server: Server) -> str:
    return f"http://localhost:{server.port}/"


async def enter(page: Page, site: str, user: str = "ada", password: str = "lovelace") -> Page:
    """Logs in, as one does."""
    await page.goto(site)
    await page.get_by_label("Name").fill(user)
    await page.get_by_label("Password", exact=True).fill(password)
    await page.get_by_role("button", name="Log in").click()
    return page


async def add(page: Page, text: str) -> None:
    await page.get_by_label("New todo").fill(text)
    await page.get_by_label("New todo").press("Enter")
    await expect(row(page, text).locator(".text")).to_be_enabled()


def row(page: Page, text: str):
    return page.locator(".todo:not(.leaving)").filter(has_text=text)


def texts(page: Page):
    return page.locator(".todo:not(.leaving) .text")


@pytest_asyncio.fixture(loop_scope="session")
async def other(browser: Browser, site: str):
    """The same page in another browser, used by grace."""
    context = await browser.new_context()
    yield await enter(await context.new_page(), site, "grace", "hopper")
    await context.close()


# -- one person -------------------------------------------------------------------------------------------------
async def test_one_logs_in_adds_ticks_edits_filters_and_removes(page: Page, site: str, troubles: list[str]) -> None:
    await enter(page, site)
    await expect(page.get_by_text("Nothing to do")).to_be_visible()
    await add(page, "Water the plants")
    await add(page, "Buy stamps")
    await expect(texts(page)).to_have_text(["Water the plants", "Buy stamps"])

    await row(page, "Buy stamps").get_by_role("checkbox").check()
    await page.get_by_label("Open").check()
    await expect(texts(page)).to_have_text(["Water the plants"])
    await page.get_by_label("Done", exact=False).first.check()
    await expect(texts(page)).to_have_text(["Buy stamps"])
    await page.get_by_label("All").check()

    await page.get_by_role("button", name="Edit: Water the plants").first.click()
    await page.get_by_label("Text").fill("Water the roses")
    await page.get_by_role("button", name="Save").click()
    await expect(texts(page)).to_have_text(["Water the roses", "Buy stamps"])

    await row(page, "Water the roses").hover()
    await page.get_by_role("button", name="Remove: Water the roses").click()
    await expect(texts(page)).to_have_text(["Buy stamps"])
    await page.get_by_role("button", name="Undo").click()
    await expect(texts(page)).to_have_text(["Water the roses", "Buy stamps"])  # in its old place

    await page.reload()
    await expect(texts(page)).to_have_text(["Water the roses", "Buy stamps"])  # still logged in, nothing lost
    assert troubles == []


async def test_the_history_of_a_todo_names_who_did_what_and_takes_it_back(
    page: Page, other: Page, site: str, troubles: list[str]
) -> None:
    await enter(page, site)
    await add(page, "Order chairs")
    await expect(texts(other)).to_have_text(["Order chairs"])
    await row(other, "Order chairs").get_by_role("checkbox").check()
    await expect(row(page, "Order chairs").get_by_role("checkbox")).to_be_checked()
    await page.get_by_role("button", name="Edit: Order chairs").first.click()
    await page.get_by_label("Text").fill("Order forty chairs")
    await page.get_by_label("Text").press("Enter")

    await row(page, "Order forty chairs").get_by_role("checkbox").focus()
    await page.keyboard.press("h")
    entries = page.get_by_role("dialog").locator("li .what")
    await expect(entries).to_have_text(
        ["ada changed “Order chairs” to “Order forty chairs”", "grace ticked it", "ada added “Order chairs”"]
    )
    await page.get_by_role("dialog").get_by_role("button", name="Undo").nth(1).click()
    await expect(row(page, "Order forty chairs").get_by_role("checkbox")).not_to_be_checked()  # grace's tick alone
    await expect(row(other, "Order forty chairs").get_by_role("checkbox")).not_to_be_checked()

    await page.keyboard.press("h")
    await page.get_by_role("dialog").get_by_role("button", name="Undo").last.click()
    await expect(page.locator(".toast")).to_contain_text("This was not undone")  # it was changed since
    await page.get_by_role("button", name="Close").click()
    await expect(texts(page)).to_have_text(["Order forty chairs"])
    assert troubles == []


async def test_one_travels_to_any_moment_looks_and_comes_back(
    page: Page, other: Page, site: str, troubles: list[str]
) -> None:
    await enter(page, site)
    await add(page, "Water the plants")
    await add(page, "Buy stamps")
    await row(page, "Water the plants").get_by_role("checkbox").check()
    await row(page, "Buy stamps").hover()
    await page.get_by_role("button", name="Remove: Buy stamps").click()
    await expect(texts(page)).to_have_text(["Water the plants"])

    await page.get_by_role("button", name="Time travel").click()
    moment = page.get_by_label("Moment")
    await expect(moment).to_be_focused()
    await expect(page.locator("#moment-words")).to_contain_text("ada removed a todo")
    await page.keyboard.press("ArrowLeft")
    await expect(texts(page)).to_have_text(["Water the plants", "Buy stamps"])
    await expect(row(page, "Water the plants").get_by_role("checkbox")).to_be_checked()
    await page.get_by_role("button", name="Earlier").click()
    await expect(row(page, "Water the plants").get_by_role("checkbox")).not_to_be_checked()
    await expect(row(page, "Water the plants").get_by_role("checkbox")).to_be_disabled()
    await expect(page.get_by_label("New todo")).to_be_disabled()

    await add(other, "News from grace")  # does not disturb who looks at the past
    await expect(page.get_by_role("button", name="Later")).to_be_enabled()
    await expect(texts(page)).to_have_text(["Water the plants", "Buy stamps"])
    await moment.press("Home")
    await expect(page.get_by_text("Before all that")).to_be_visible()
    await expect(texts(page)).to_have_count(0)

    await page.get_by_role("button", name="Back to now").click()
    await expect(texts(page)).to_have_text(["Water the plants", "News from grace"])
    await expect(row(page, "Water the plants").get_by_role("checkbox")).to_be_enabled()
    assert troubles == []


async def test_the_same_page_on_postgresql(page: Page, serve: Callable[..., Server], postgresql_url: str) -> None:
    server = serve("examples/todo/app.py", "--dev", "--db", postgresql_url)
    await enter(page, f"http://localhost:{server.port}/")
    await add(page, "Water the plants")
    await row(page, "Water the plants").get_by_role("checkbox").check()
    await page.get_by_role("button", name="Time travel").click()
    await page.get_by_role("button", name="Earlier").click()
    await expect(row(page, "Water the plants").get_by_role("checkbox")).not_to_be_checked()
    await page.get_by_role("button", name="Later").click()
    await page.get_by_role("button", name="Undo this change").click()
    await expect(row(page, "Water the plants").get_by_role("checkbox")).to_be_enabled()
    await expect(row(page, "Water the plants").get_by_role("checkbox")).not_to_be_checked()
    server.restart()
    await page.reload()
    await expect(texts(page)).to_have_text(["Water the plants"])


async def test_a_wrong_password_is_told_kindly_and_the_next_try_passes(
    page: Page, site: str, troubles: list[str]
) -> None:
    await enter(page, site, password="loveless")
    await expect(page.get_by_role("alert")).to_contain_text("That name and password don’t go together")
    await expect(page.get_by_label("Name")).to_have_value("ada")
    await page.get_by_label("Password", exact=True).fill("lovelace")
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("New todo")).to_be_focused()
    assert troubles == []


async def test_everything_goes_by_keyboard_alone(page: Page, site: str) -> None:
    await page.goto(site)
    keyboard = page.keyboard
    await expect(page.get_by_label("Name")).to_be_focused()
    await keyboard.type("ada")
    await keyboard.press("Tab")
    await keyboard.type("lovelace")
    await keyboard.press("Enter")
    await expect(page.get_by_label("New todo")).to_be_focused()
    for text in ("First", "Second"):
        await keyboard.type(text)
        await keyboard.press("Enter")
        await expect(row(page, text).locator(".text")).to_be_enabled()

    await keyboard.press("ArrowDown")  # to the first row
    await keyboard.press("ArrowDown")
    await keyboard.press("Space")
    await expect(row(page, "Second").get_by_role("checkbox")).to_be_checked()
    await keyboard.press("ArrowUp")
    await keyboard.press("Enter")
    await keyboard.type(" of all")
    await keyboard.press("Escape")
    await expect(texts(page)).to_have_text(["First", "Second"])
    await keyboard.press("Enter")
    await keyboard.type(" of all")
    await keyboard.press("Enter")
    await expect(texts(page)).to_have_text(["First of all", "Second"])
    await expect(row(page, "First of all").locator(".text")).to_be_focused()
    await keyboard.press("Delete")
    await expect(texts(page)).to_have_text(["Second"])
    await expect(row(page, "Second").get_by_role("checkbox")).to_be_focused()
    await keyboard.press("Control+z")
    await expect(texts(page)).to_have_text(["First of all", "Second"])
    await keyboard.press("/")
    await expect(page.get_by_label("New todo")).to_be_focused()


async def test_markup_in_a_todo_is_text(page: Page, site: str, troubles: list[str]) -> None:
    await enter(page, site)
    await add(page, "<img src=x onerror=alert(1)> & <b>bold</b>")
    await expect(texts(page)).to_have_text(["<img src=x onerror=alert(1)> & <b>bold</b>"])
    assert troubles == []


async def test_logging_out_leaves_nothing_on_the_page(page: Page, site: str) -> None:
    await enter(page, site)
    await add(page, "For ada’s eyes")
    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_role("button", name="Log in")).to_be_visible()
    assert "For ada’s eyes" not in await page.content()
    await page.reload()
    await expect(page.get_by_role("button", name="Log in")).to_be_visible()


# -- two windows ------------------------------------------------------------------------------------------------
async def test_a_second_window_follows_at_once(page: Page, other: Page, site: str, troubles: list[str]) -> None:
    await enter(page, site)
    await add(page, "Order chairs")
    await expect(texts(other)).to_have_text(["Order chairs"])
    await expect(other.locator(".by")).to_have_text("ada")
    await row(other, "Order chairs").get_by_role("checkbox").check()
    await expect(row(page, "Order chairs").get_by_role("checkbox")).to_be_checked()
    await row(page, "Order chairs").hover()
    await page.get_by_role("button", name="Remove: Order chairs").click()
    await expect(texts(other)).to_have_count(0)
    assert troubles == []


@pytest.mark.parametrize(
    ("choice", "outcome"),
    [("Keep mine", "Call at noon"), ("Take theirs", "Call on Monday")],
)
async def test_a_stale_edit_shows_what_the_other_wrote_and_lets_one_choose(
    page: Page, other: Page, site: str, choice: str, outcome: str
) -> None:
    await enter(page, site)
    await add(page, "Call the electrician")
    await page.get_by_role("button", name="Edit: Call the electrician").first.click()
    await page.get_by_label("Text").fill("Call at noon")

    await other.get_by_role("button", name="Edit: Call the electrician").first.click()
    await other.get_by_label("Text").fill("Call on Monday")
    await other.get_by_label("Text").press("Enter")
    await expect(page.locator(".meanwhile")).to_contain_text("grace changed this meanwhile to “Call on Monday”")

    await page.get_by_label("Text").press("Enter")
    conflict = page.get_by_role("alertdialog")
    await expect(conflict).to_contain_text("grace changed this while you were writing")
    await expect(conflict).to_contain_text("Call on Monday")
    await expect(conflict).to_contain_text("Call at noon")
    await page.get_by_role("button", name=choice).click()
    await expect(texts(page)).to_have_text([outcome])
    await expect(texts(other)).to_have_text([outcome])


async def test_an_edit_of_what_another_removed_can_be_added_again(page: Page, other: Page, site: str) -> None:
    await enter(page, site)
    await add(page, "Call the electrician")
    await page.get_by_role("button", name="Edit: Call the electrician").first.click()
    await page.get_by_label("Text").fill("Call at noon")
    await row(other, "Call the electrician").hover()
    await other.get_by_role("button", name="Remove: Call the electrician").click()
    await expect(texts(other)).to_have_count(0)
    await page.get_by_label("Text").press("Enter")
    await expect(page.get_by_role("alertdialog")).to_contain_text("grace removed this while you were writing")
    await page.get_by_role("button", name="Add mine again").click()
    await expect(texts(page)).to_have_text(["Call at noon"])
    await expect(texts(other)).to_have_text(["Call at noon"])


# -- a bad line -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("ending", [Server.stop, Server.kill])
async def test_a_server_restart_under_an_open_page_loses_and_doubles_nothing(
    page: Page, site: str, server: Server, ending: Callable[[Server], object]
) -> None:
    await enter(page, site)
    await add(page, "Before")
    await page.get_by_role("button", name="Edit: Before").first.click()
    await page.get_by_label("Text").fill("Before, half ty")

    ending(server)
    await expect(page.locator("#line")).to_contain_text("Connection lost")
    await page.get_by_label("New todo").fill("Meanwhile")
    await page.get_by_label("New todo").press("Enter")
    await expect(row(page, "Meanwhile")).to_contain_text("waiting")
    await page.get_by_label("New todo").fill("Half a thou")

    server.start_again()
    await expect(page.locator("#line")).to_have_text("Connected again.", timeout=30_000)
    await expect(row(page, "Meanwhile")).not_to_contain_text("waiting")
    await expect(page.get_by_label("Text")).to_have_value("Before, half ty")
    await expect(page.get_by_label("New todo")).to_have_value("Half a thou")
    await page.get_by_label("Text").press("Enter")
    await expect(texts(page)).to_have_text(["Before, half ty", "Meanwhile"])
    await page.reload()
    await expect(texts(page)).to_have_text(["Before, half ty", "Meanwhile"])


async def test_the_page_says_so_when_the_line_breaks_and_goes_on_when_it_is_back(
    page: Page, other: Page, site: str, server: Server
) -> None:
    await enter(page, site)
    await add(page, "Seen by both")
    server.restart()
    for window in (page, other):
        await expect(window.locator("#line")).to_have_text("Connected again.", timeout=30_000)
    await row(other, "Seen by both").get_by_role("checkbox").check()
    await expect(row(page, "Seen by both").get_by_role("checkbox")).to_be_checked()  # the subscription is renewed


async def test_a_session_that_is_ended_asks_for_the_password_and_keeps_what_was_typed(
    page: Page, serve: Callable[..., Server], tmp_path: Path
) -> None:
    database = f"sqlite:///{tmp_path / 'todo.db'}"
    server = serve("examples/todo/app.py", "--dev", "--db", database)
    await enter(page, f"http://localhost:{server.port}/")
    await page.get_by_label("New todo").fill("Half a thou")
    limen = Path(sys.executable).with_name("limen")
    subprocess.run([limen, "user", "passwd", "ada", "--db", database], input="countess\n", text=True, check=True)
    await expect(page.get_by_role("alert")).to_contain_text("Your session has ended")
    await expect(page.get_by_label("Name")).to_have_value("ada")
    await page.get_by_label("Password", exact=True).fill("countess")
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("New todo")).to_have_value("Half a thou")
    await add(page, "A whole thought")


# -- what every visitor may expect ------------------------------------------------------------------------------
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_text_stands_out_from_its_ground(page: Page, site: str, scheme: str) -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1, measured on the colours as the browser computed them."""
    await page.emulate_media(color_scheme=scheme)
    await enter(page, site)
    await add(page, "Open")
    await add(page, "Ticked")
    await row(page, "Ticked").get_by_role("checkbox").check()
    await page.mouse.move(0, 0)
    await expect(row(page, "Ticked")).to_have_class(re.compile("done"))
    assert await page.evaluate(CONTRAST) == []


async def test_it_fits_a_narrow_screen(page: Page, site: str) -> None:
    await page.set_viewport_size({"width": 320, "height": 640})
    await enter(page, site)
    await add(page, "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft")
    wide = await page.evaluate("document.documentElement.scrollWidth")
    assert wide == 320


def test_the_page_needs_no_exception_from_its_policy(site: str) -> None:
    """`default-src 'self'` and nothing inline: the browser tests above run under it and have no troubles."""
    from urllib.request import urlopen

    with urlopen(site) as answer:
        policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


def test_the_demonstration_login_is_the_one_that_the_page_and_make_demo_name() -> None:
    table = re.search(r"LOGINS = (\{.*\})", (ROOT / "examples/todo/app.py").read_text())
    assert table is not None
    for place in ("Makefile", "examples/todo/static/index.html"):
        said = re.sub(r"</?kbd>", "", (ROOT / place).read_text())
        for name, password in ast.literal_eval(table[1]).items():
            assert re.search(rf"{name} with (the password )?{password}", said), place


CONTRAST = """() => {
    const channel = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const over = (colours) => {  // the last one on top
        canvas.clearRect(0, 0, 1, 1);
        for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const wrong = [];
    for (const element of document.querySelectorAll("body *")) {
        const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!own || !element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
        if (element.closest(".visually-hidden, :disabled")) continue;
        const grounds = [];
        for (let e = element; e; e = e.parentElement) grounds.unshift(getComputedStyle(e).backgroundColor);
        const ground = over(["white", ...grounds]);
        const ink = over(["white", ...grounds, getComputedStyle(element).color]);
        const [a, b] = [light(ink), light(ground)].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        const what = `${element.tagName}.${element.className} ${element.textContent.trim()}`;
        if (ratio < 4.5) wrong.push(`${what}: ${ratio.toFixed(2)}`);
    }
    return wrong;
}"""
