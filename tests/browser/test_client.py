"""The browser's half, as it is built and served, in Chromium, with the real server."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from chromium import find
from client.between import Between
from playwright.async_api import BrowserContext, Page, WebSocket, async_playwright, expect
from served import LIMEN, Server

APP = Path(__file__).parent / "app.py"
Serve = Callable[..., Server]

LATER = "error => ({exc: error.exc, err: error.err, ...error.facts})"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests that leave it as it was."""
    database = tmp_path_factory.mktemp("browser") / "lab.db"
    command = [LIMEN, "serve", str(APP), "--port", "0", "--db", f"sqlite:///{database}"]
    server = Server(command, cwd=APP.parent, env=dict(os.environ))
    yield server
    server.stop()


async def log_in(page: Page, user: str = "ada", password: str = "lovelace") -> None:
    """As a person does."""
    await page.fill("[name=user]", user)
    await page.fill("[name=password]", password)
    await page.click("button")


async def logged_in(page: Page, server: Server) -> Page:
    await page.goto(server.url)
    await log_in(page)
    await expect(page.locator("li")).to_have_text(["1 + 2 = 3"])
    return page


async def call(page: Page, name: str, *args: Any) -> Any:
    """The result of a sealed call, or what it rejected with."""
    return await page.evaluate(f"([name, args]) => Limen.safe_call(name, ...args).catch({LATER})", [name, list(args)])


async def until(page: Page, condition: str) -> None:
    """Playwright's wait_for_function would need 'unsafe-eval', which no page here allows."""
    async with asyncio.timeout(20):
        pause = "new Promise(later => setTimeout(later, 20))"
        await page.evaluate(f"async () => {{ while (!(await ({condition}))) await {pause}; }}")


@asynccontextmanager
async def browser(*switches: str, without: Sequence[str] = ()) -> AsyncIterator[BrowserContext]:
    """A Chromium of one's own: *switches* more, and some of Playwright's own left out."""
    more = ["--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-dev-shm-usage", *switches]
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path=find(), args=more, ignore_default_args=list(without)
        )
        yield await chromium.new_context()
        await chromium.close()


async def events(page: Page) -> list[str]:
    return [name for name, _ in await page.evaluate("seen")]


# -- in and out ---------------------------------------------------------------------------------------------------
async def test_a_page_under_a_strict_policy_logs_in_and_calls(server: Server, page: Page, troubles: list[str]) -> None:
    response = await page.goto(server.url)
    assert response is not None
    assert response.headers["content-security-policy"] == "default-src 'self'"
    assert await page.evaluate("Limen.ready.then(state => state.status)") == "anonymous"
    await log_in(page)
    await expect(page.locator("li")).to_have_text(["1 + 2 = 3"])
    await expect(page).to_have_title("online")
    assert await page.evaluate("document.querySelector('progress').value") == 1
    state = await page.evaluate("Limen.state")
    assert (state["user"], state["role"], state["roles"], state["domain"]) == ("ada", "user", ["user"], "localhost")
    assert troubles == []


async def test_the_module_has_the_same_names(server: Server, page: Page, troubles: list[str]) -> None:
    await page.goto(server.url + "/module.html")
    await expect(page).to_have_title("online grace 3")
    await page.goto(server.url)
    script = await page.evaluate("Object.keys(Limen).sort()")
    await page.goto(server.url + "/module.html")
    await until(page, "window.Limen")
    assert await page.evaluate("Object.keys(Limen).sort()") == script
    assert troubles == []


async def test_a_wrong_password_is_said_in_words_and_leaves_nothing(server: Server, page: Page) -> None:
    await page.goto(server.url)
    for times, (user, password) in enumerate((("ada", "wrong"), ("nobody", "lovelace")), 1):
        await log_in(page, user, password)
        await expect(page.locator("li")).to_have_text(["That name and password don't go together."] * times)
    assert await page.evaluate("Limen.state.status") == "anonymous"


async def test_the_password_is_nowhere_on_the_wire(server: Server, page: Page) -> None:
    sent: list[str | bytes] = []
    page.on("websocket", lambda ws: ws.on("framesent", lambda data: sent.append(data)))
    await logged_in(page, server)
    assert len(sent) >= 4
    assert not any(b"lovelace" in (data.encode() if isinstance(data, str) else data) for data in sent)
    texts = [data for data in sent if isinstance(data, str)]
    assert len(texts) == 2  # HELLO and AUTHENTICATE; all else is sealed


async def test_signed_out_no_sealed_call_leaves_the_page(server: Server, page: Page) -> None:
    sockets: list[Any] = []
    requests: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket))
    await page.goto(server.url)
    # the browser fetches a page's icon when it likes
    page.on("request", lambda request: request.url.endswith("/icon.svg") or requests.append(request.url))
    assert (await call(page, "lab.add", 1, 2))["exc"] == "Unauthorized"
    await expect(page.locator("li")).to_have_text(["Log in first."])
    assert (sockets, requests) == ([], [])


async def test_logout_ends_the_session_for_good(server: Server, page: Page) -> None:
    await logged_in(page, server)
    await page.evaluate("Limen.logout()")
    assert (await call(page, "lab.add", 1, 2))["exc"] == "Unauthorized"
    await page.reload()
    await expect(page.locator("body")).to_have_attribute("data-ready", "anonymous")


async def test_a_new_password_ends_the_other_sessions(server: Server, page: Page, context: BrowserContext) -> None:
    other = await context.new_page()
    for tab in (page, other):
        await tab.goto(server.url)
        await log_in(tab, "mary", "somerville")
        await expect(tab.locator("li")).to_have_text(["1 + 2 = 3"])
    short = await page.evaluate("Limen.change_password('shelley').catch((error) => error.name + ': ' + error.message)")
    assert short == "InvalidCredential: A new password has at least 8 characters."
    await page.evaluate("Limen.change_password('mary shelley')")
    await until(other, "Limen.state.status === 'anonymous'")
    assert await call(page, "lab.add", 1, 2) == 3
    await log_in(other, "mary", "mary shelley")
    await expect(other.locator("li").last).to_have_text("1 + 2 = 3")


async def test_an_insecure_page_says_so_before_it_asks_for_a_password(serve: Serve) -> None:
    server = serve(APP, "--domain", "lab.example")
    async with browser("--host-resolver-rules=MAP lab.example 127.0.0.1") as context:
        page = await context.new_page()
        sockets: list[WebSocket] = []
        page.on("websocket", lambda socket: sockets.append(socket))
        async with page.expect_console_message(lambda said: "nobody can log in" in said.text):
            await page.goto(f"http://lab.example:{server.port}")
        assert await page.evaluate("isSecureContext") is False
        assert await page.evaluate("Limen.state.secure") is False
        problem = await page.evaluate(f"Limen.login('ada', 'lovelace').catch({LATER})")
        assert problem["exc"] == "RequireSSL"
        assert "https" in problem["err"][0]
        assert sockets == []
        assert await page.evaluate("Limen.call('lab.open', 1)") == [[1], {}]  # plain calls go on


# -- calls ------------------------------------------------------------------------------------------------------
async def test_arguments_go_in_order_by_name_or_both(server: Server, page: Page) -> None:
    await logged_in(page, server)
    assert await call(page, "lab.add", 1, 2) == 3
    assert await call(page, "/lab/add.json", {"a": 3, "b": 4}) == 7
    assert await page.evaluate("Limen.safe_apply('lab/add', [5], {b: 6})") == 11
    assert (await call(page, "lab.add", "x", 2))["exc"] == "InvalidArguments"


async def test_values_come_as_what_they_are_and_go_back_unharmed(server: Server, page: Page) -> None:
    await logged_in(page, server)
    shown = await page.evaluate(
        """async () => {
            const v = window.values = await Limen.safe_call("lab.values");
            return [String(v.decimal), v.uuid, v.when.toISOString(), String(v.big), typeof v.big,
                    [...v.bytes], [...v.set], Object.isFrozen(v.tuple)];
        }"""
    )
    uuid = "00000000-0000-0000-0000-000000000001"
    assert shown == ["1.50", uuid, "2026-11-21T00:00:00.000Z", str(2**60), "bigint", [104, 105], [1], True]
    assert await page.evaluate("Limen.safe_apply('lab.same', [values])") is True


async def test_errors_come_by_name_with_their_facts_to_handler_and_promise(server: Server, page: Page) -> None:
    await logged_in(page, server)
    problem = await call(page, "lab.fail")
    assert problem == {"exc": "RecordVersionMismatch", "err": ["Someone was faster."], "vsn": 3}
    await expect(page.locator("li").last).to_have_text("RecordVersionMismatch: Someone was faster.")
    assert (await call(page, "lab.nothing"))["exc"] == "NotFound"


async def test_a_stream_comes_item_by_item_and_ends_when_the_page_leaves_the_loop(server: Server, page: Page) -> None:
    await logged_in(page, server)
    loop = """async n => {
        const got = [];
        for await (const i of Limen.safe_call("lab.count", 1e6, 0.005)) {
            got.push(i);
            if (i === n) break;
        }
        return got;
    }"""
    assert await page.evaluate(loop, 3) == [1, 2, 3]
    await until(page, "Limen.safe_call('lab.log').then(log => log.cancelled.includes('count'))")
    assert await call(page, "lab.count", 3) == [1, 2, 3]


async def test_an_abort_reaches_the_function(server: Server, page: Page) -> None:
    await logged_in(page, server)
    aborted = await page.evaluate(
        f"""async () => {{
            const stop = new AbortController();
            const call = Limen.safe_apply("lab.slow", ["stopped", 60], {{}}, {{signal: stop.signal}}).catch({LATER});
            while (!(await Limen.safe_call("lab.log")).ran.includes("stopped"));
            stop.abort();
            return call;
        }}"""
    )
    assert aborted["exc"] == "Canceled"
    late = await page.evaluate(f"Limen.safe_apply('lab.slow', ['late', 60], {{}}, {{timeout: 0.2}}).catch({LATER})")
    assert late["exc"] == "Timeout"
    for name in ("stopped", "late"):
        await until(page, f"Limen.safe_call('lab.log').then(log => log.cancelled.includes('{name}'))")
    await expect(page.locator("li").last).to_have_text("Timeout: The call took longer than was allowed.")


async def test_plain_calls_go_over_http_with_types_and_errors(server: Server, page: Page) -> None:
    await page.goto(server.url)
    assert await page.evaluate("Limen.call('lab.open', 1, [2])") == [[1, [2]], {}]
    assert await page.evaluate("Limen.call('/lab/open.json', {a: 1})") == [[], {"a": 1}]
    assert await page.evaluate("Limen.apply('lab/open', [1], {b: 2})") == [[1], {"b": 2}]
    assert await page.evaluate("Limen.call('lab.open', 2n ** 60n).then(([[big]]) => String(big))") == str(2**60)
    refused = await page.evaluate(f"Limen.call('/lab/add.json', 1, 2).catch({LATER})")
    assert refused["exc"] == "Unauthorized"


# -- topics -----------------------------------------------------------------------------------------------------
async def test_two_windows_hear_of_each_other(server: Server, page: Page, context: BrowserContext) -> None:
    await logged_in(page, server)
    other = await logged_in(await context.new_page(), server)
    await other.evaluate(
        """async () => {
            window.heard = [];
            window.undo = await Limen.subscribe("lab.news", (text, {by}) => heard.push([text, by]));
        }"""
    )
    await call(page, "lab.tell", "one")
    await until(other, "heard.length === 1")
    assert await other.evaluate("heard") == [["one", "ada"]]
    await other.evaluate("undo()")
    assert await call(other, "lab.add", 0, 0) == 0  # after the undo, in order
    await call(page, "lab.tell", "two")
    assert await call(other, "lab.add", 0, 0) == 0
    assert await other.evaluate("heard.length") == 1
    refused = await page.evaluate(f"Limen.subscribe('lab.secrets', () => {{}}).catch({LATER})")
    assert refused["exc"] in ("Unauthorized", "Forbidden", "NotFound")


# -- coming back --------------------------------------------------------------------------------------------------
async def test_a_reload_goes_on_without_the_password(server: Server, page: Page, troubles: list[str]) -> None:
    await logged_in(page, server)
    for _ in range(2):
        await page.reload()
        await expect(page.locator("li")).to_have_text(["3 + 4 = 7"])
        assert await page.evaluate("document.body.dataset.ready") == "online"
    await page.goto(server.url + "/module.html?")  # another page of the site, in the same tab
    await page.goto(server.url)
    assert troubles == []


async def test_the_key_can_not_leave_the_browser(server: Server, page: Page) -> None:
    await logged_in(page, server)
    tried = await page.evaluate(
        """async () => {
            const result = request => new Promise(done => (request.onsuccess = () => done(request.result)));
            const db = await result(indexedDB.open("limen"));
            const all = await result(db.transaction("slots").objectStore("slots").getAll());
            const key = all[0].own.privateKey;
            const exported = await crypto.subtle.exportKey("pkcs8", key).catch(error => error.name);
            return [all.length, key.extractable, exported, Object.keys(localStorage).length];
        }"""
    )
    assert tried == [1, False, "InvalidAccessError", 0]


async def test_a_lost_connection_comes_back_and_nothing_is_run_twice(server: Server, page: Page) -> None:
    async with Between(server.port) as network:
        await page.goto(network.url)
        await log_in(page)
        await expect(page.locator("li")).to_have_text(["1 + 2 = 3"])
        await page.evaluate("window.pending = Limen.safe_call('lab.slow', 'across', 1.5); undefined")
        await until(page, "Limen.safe_call('lab.log').then(log => log.ran.includes('across'))")
        await page.evaluate("Limen.subscribe('lab.news', text => (window.news = text)).then(() => {})")
        for times in (1, 2):
            network.cut()
            await until(page, f"seen.filter(([name]) => name === 'missed').length === {times}")
        assert await page.evaluate("pending") == "across"
        assert (await call(page, "lab.log"))["ran"].count("across") == 1
        await call(page, "lab.tell", "still here")
        await until(page, "window.news === 'still here'")


async def test_a_capture_of_the_whole_session_holds_no_word_of_it(server: Server, page: Page) -> None:
    sockets: list[list[bytes | str]] = []

    def watch(socket: WebSocket) -> None:
        frames: list[bytes | str] = []
        sockets.append(frames)
        socket.on("framesent", lambda data: frames.append(data))
        socket.on("framereceived", lambda data: frames.append(data))

    page.on("websocket", watch)
    async with Between(server.port) as network:
        await page.goto(network.url)
        await log_in(page)
        await expect(page.locator("li")).to_have_text(["1 + 2 = 3"])
        network.cut()
        await until(page, "seen.filter(([name]) => name === 'online').length === 2")
        assert await call(page, "lab.echo", [{"diagnosis": "measles"}]) == [{"diagnosis": "measles"}]
        assert (await call(page, "lab.fail"))["vsn"] == 3
        await page.evaluate("Limen.logout()")
    login, resume = sockets
    assert [str(frame)[:2] for frame in login[:3]] == ["[1", "[4", "[5"]
    assert [str(frame)[:2] for frame in resume[:2]] == ["[1", "[4"]
    sealed = login[3:] + resume[2:]
    assert len(sealed) >= 12
    words = "ada lovelace lab.echo diagnosis measles Someone vsn logout limen"
    for frame in sealed:
        assert isinstance(frame, bytes)
        assert not [word for word in words.split() if word.encode() in frame]
    assert not any("ada" in str(frame) for frame in resume)  # who comes back is named by a random handle


async def test_a_server_restart_under_an_open_page(serve: Serve, page: Page) -> None:
    server = serve(APP)
    await logged_in(page, server)
    await page.evaluate(f"window.lost = Limen.safe_call('lab.slow', 'lost', 60).catch({LATER}); undefined")
    await until(page, "Limen.safe_call('lab.log').then(log => log.ran.includes('lost'))")
    server.kill()
    await until(page, "Limen.state.status === 'offline'")
    await page.evaluate("window.waited = Limen.safe_call('lab.slow', 'waited', 0); undefined")
    server.start_again()
    assert await page.evaluate("waited") == "waited"
    assert (await page.evaluate("lost"))["exc"] == "OutcomeUnknown"
    assert (await call(page, "lab.log"))["ran"] == ["waited"]
    server.stop()  # in order: the page is told, and comes back as well
    server.start_again()
    await until(page, "seen.filter(([name]) => name === 'online').length === 3")
    assert await call(page, "lab.add", 1, 1) == 2
    assert await events(page) == ["online", "offline", "online", "offline", "online"]


async def test_a_further_tab_logs_in_and_a_duplicate_does_not_take_the_session(
    server: Server, page: Page, context: BrowserContext
) -> None:
    await logged_in(page, server)
    further = await context.new_page()
    await further.goto(server.url)
    await expect(further.locator("body")).to_have_attribute("data-ready", "anonymous")
    # "Duplicate tab" copies sessionStorage
    slot = await page.evaluate("sessionStorage.getItem('limen.slot')")
    await further.evaluate("slot => sessionStorage.setItem('limen.slot', slot)", slot)
    await further.reload()
    await expect(further.locator("body")).to_have_attribute("data-ready", "anonymous")
    assert await call(page, "lab.add", 1, 1) == 2
    assert await events(page) == ["online"]
    await log_in(further, "grace", "hopper")
    await expect(further.locator("li").last).to_have_text("1 + 2 = 3")
    assert [await tab.evaluate("Limen.state.user") for tab in (page, further)] == ["ada", "grace"]


async def test_a_copied_profile_is_noticed(server: Server, tmp_path: Path) -> None:
    path = find()
    assert path is not None
    switches = ["--no-sandbox", "--disable-quic", "--disable-background-networking", "--no-first-run"]
    async with async_playwright() as playwright:

        def launch(folder: Path) -> Awaitable[BrowserContext]:
            return playwright.chromium.launch_persistent_context(folder, executable_path=path, args=switches)

        original = await launch(tmp_path / "original")
        page = await logged_in(await original.new_page(), server)
        slot = await page.evaluate("sessionStorage.getItem('limen.slot')")
        await original.close()  # so that the files are whole
        shutil.copytree(tmp_path / "original", tmp_path / "copy", symlinks=True)

        async def opened(folder: Path) -> tuple[Any, Page]:
            context = await launch(folder)
            page = await context.new_page()
            await page.goto(server.url + "/icon.svg")
            await page.evaluate("slot => sessionStorage.setItem('limen.slot', slot)", slot)
            await page.goto(server.url)
            return context, page

        original, page = await opened(tmp_path / "original")
        await expect(page.locator("li")).to_have_text(["3 + 4 = 7"])
        copy, thief = await opened(tmp_path / "copy")
        await expect(thief.locator("li")).to_have_text(["3 + 4 = 7"])  # the newest wins …
        await until(page, "seen.some(([name]) => name === 'taken_over')")  # … and the older hears of it
        words = (await page.evaluate("seen.find(([name]) => name === 'taken_over')"))[1]
        assert "127.0.0.1" in words
        assert await page.evaluate("Limen.state.status") == "anonymous"
        await page.evaluate("dispatchEvent(new Event('online'))")  # nothing brings it back by itself
        await page.reload()
        await expect(page.locator("body")).to_have_attribute("data-ready", "anonymous")
        assert await thief.evaluate("Limen.state.status") == "online"
        await log_in(page)
        await expect(page.locator("li").last).to_have_text("1 + 2 = 3")
        await original.close()
        await copy.close()


async def test_back_and_forward_go_on_without_the_password(server: Server, page: Page) -> None:
    await logged_in(page, server)
    await page.goto(server.url + "/icon.svg")
    await page.go_back()
    await until(page, "Limen.state.status === 'online'")
    assert await call(page, "lab.add", 1, 1) == 2


async def test_a_page_out_of_the_back_forward_cache_goes_on(server: Server) -> None:
    async with browser(without=["--disable-back-forward-cache"]) as context:
        page = await logged_in(await context.new_page(), server)
        await page.evaluate("addEventListener('pageshow', ({persisted}) => (window.cached = persisted))")
        await page.goto(server.url + "/icon.svg")
        await page.evaluate("history.back()")
        await page.wait_for_url(server.url + "/", wait_until="commit")  # no "load": it was loaded before
        await until(page, "window.cached && Limen.state.status === 'online'")
        assert await call(page, "lab.add", 1, 1) == 2
