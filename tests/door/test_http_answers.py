"""What the HTTP door answers: headers, formats, errors, and nothing to clients that have left."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path

from http_site import Answer, Site

from limen.base.principal import get_state

EVIL = "http://evil.example"


# -- answers ----------------------------------------------------------------------------------------------------
def strict(answer: Answer) -> bool:
    headers = answer.headers
    return (
        headers["x-content-type-options"] == "nosniff"
        and "frame-ancestors 'none'" in headers["content-security-policy"]
        and bool(headers["referrer-policy"])
        and bool(headers["cache-control"])
    )


async def test_all_answers_carry_the_strict_headers(site: Site) -> None:
    for path in ("/say", "/no", "/say/1/2/3", "/secret", "/", "/limen/limen.js", "/a/../b", "/fails/bug", "/say.txt"):
        assert strict(await site.get(path)), path
    assert strict(await site.get("/", host="evil.example"))


async def test_json_can_be_taken_for_nothing_else(site: Site) -> None:
    text = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&\u2028\u2029"
    answer = await site.post("/say", {"text": text})
    assert answer.value == text
    assert answer.headers["content-type"] == "application/json"
    assert not set(answer.body) & set(b"<>&\xe2")
    wrong = await site.get("/say/1/%3Cscript%3Ealert(1)%3C%2Fscript%3E")
    assert b"<" not in wrong.body
    assert b"alert(" not in (await site.get("/say?callback=alert")).body


async def test_formats_have_their_types_and_safe_names(site: Site) -> None:
    for path, kind, body, disposition in (
        ("/say.json?text=x", "application/json", b'"x"', None),
        ("/say?text=x", "application/json", b'"x"', None),
        ("/say/x.json", "application/json", b'"x"', 'inline; filename="answer.json"'),
        ("/say/x.bat", "application/json", b'"x.bat"', 'inline; filename="answer.json"'),
        ("/say.txt?text=<b>", "text/plain; charset=utf-8", b"<b>", None),
        ("/say/x.txt", "text/plain; charset=utf-8", b"x", 'inline; filename="answer.txt"'),
        ("/say.raw?text=x", "application/octet-stream", b"x", 'attachment; filename="answer.raw"'),
        ("/rates.csv", "text/csv; charset=utf-8", b"a\nb", None),
    ):
        answer = await site.get(path)
        assert (answer.status, answer.body) == (200, body), path
        assert answer.headers["content-type"] == kind
        assert answer.headers.get("content-disposition") == disposition, path


async def test_nothing_is_kept_unless_the_service_says_so(site: Site) -> None:
    assert (await site.get("/say")).headers["cache-control"] == "no-store"
    kept = (await site.get("/rates")).headers
    assert kept["cache-control"] == "public, max-age=60"
    assert kept["pragma"] == "public"
    assert kept["expires"].endswith("GMT")
    assert kept["vary"] == "accept, origin"
    assert (await site.post("/rates", {})).headers["cache-control"] == "no-store"
    assert (await site.get("/rates/1")).headers["cache-control"] == "no-store"


async def test_limen_peers_get_tagged_values(site: Site) -> None:
    limen = "application/limen+json"
    plain, tagged = await site.get("/gives/decimal"), await site.get("/gives/decimal", accept=limen)
    assert (plain.value, plain.headers["content-type"]) == ("1.50", "application/json")
    assert (tagged.value, tagged.headers["content-type"]) == ({"$decimal": "1.50"}, limen)
    body = json.dumps({"$call": [[{"$decimal": "2.50"}], {"x": {"$$a": 1}}]}).encode()
    answer = await site.ask("POST", "/echo", body, kind=limen, accept=limen)
    assert answer.value == [[{"$decimal": "2.50"}], {"x": {"$$a": 1}}]
    assert (await site.get("/no", accept=limen)).headers["content-type"] == limen


async def test_a_stream_comes_as_an_array(site: Site) -> None:
    assert (await site.get("/streams")).value == [0, 1, 2]


async def test_a_result_that_cannot_travel_is_the_servers_fault(site: Site) -> None:
    answer = await site.get("/gives/nan")
    assert (answer.status, answer.exc) == (500, "InvalidValue")
    assert "$.a[1]" in answer.body.decode()
    assert (await site.get("/gives/none.raw")).status == 500


# -- errors -----------------------------------------------------------------------------------------------------
async def test_errors_have_their_status_and_name(site: Site) -> None:
    for how, status, name in (
        ("missing", 404, "RecordNotFound"),
        ("stale", 409, "RecordVersionMismatch"),
        ("invalid", 422, "RecordValidationError"),
        ("busy", 503, "Busy"),
        ("odd", 500, "Error"),
        ("bug", 500, "InternalError"),
    ):
        answer = await site.get(f"/fails/{how}")
        assert (answer.status, answer.exc) == (status, name)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"
    assert (await site.get("/fails/busy")).headers["retry-after"] == "1"
    assert (await site.get("/fails/invalid")).value["fields"] == {"text": ["is empty"]}


async def test_no_detail_of_a_bug_leaves_the_server(site: Site) -> None:
    site.config.IS_DEVELOPMENT = False

    @site.service("quiet", safe=False, ssl=False, methods=("GET",))
    def quiet() -> None:
        raise KeyError("internal detail")

    answer = await site.get("/quiet")
    assert (answer.status, answer.exc) == (500, "InternalError")
    assert b"internal detail" not in answer.body
    assert b"Traceback" not in answer.body


# -- clients that leave -----------------------------------------------------------------------------------------
async def test_an_async_service_is_cancelled_when_its_client_leaves(site: Site) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    @site.service(safe=False, methods=("GET",))
    async def waits() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    _, writer = await site.connect()
    writer.write(b"GET /waits HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await asyncio.wait_for(began.wait(), 5)
    writer.transport.abort()
    await asyncio.wait_for(ended.wait(), 5)
    assert (await site.get("/say")).status == 200


async def test_a_plain_service_learns_that_its_client_left(site: Site) -> None:
    began, learnt = threading.Event(), threading.Event()

    @site.service(safe=False, methods=("GET",))
    def works() -> None:
        state = get_state()
        began.set()
        for _ in range(500):
            if state.cancelled:
                learnt.set()
                return
            threading.Event().wait(0.01)

    _, writer = await site.connect()
    writer.write(b"GET /works HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert await asyncio.to_thread(began.wait, 5)
    writer.transport.abort()
    assert await asyncio.to_thread(learnt.wait, 5)


async def test_a_client_that_leaves_in_the_middle_of_a_file_leaves_nothing_behind(site: Site, tmp_path: Path) -> None:
    big = tmp_path / "www" / "huge.bin"
    with big.open("wb") as file:
        file.truncate(200_000_000)
    reader, writer = await site.connect()
    writer.write(b"GET /huge.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await reader.readexactly(100_000)
    assert opened(big) == 1
    writer.transport.abort()
    for _ in range(1000):
        if opened(big) == 0:
            break
        await site.get("/say")
    assert opened(big) == 0


def opened(path: Path) -> int:
    found = 0
    for fd in Path("/proc/self/fd").iterdir():
        try:
            found += fd.readlink() == path
        except OSError:
            pass
    return found


async def test_a_large_file_comes_whole(site: Site) -> None:
    answer = await site.get("/big.bin")
    assert (answer.status, answer.body) == (200, b"x" * 1_000_000)
    part = await site.get("/big.bin", range="bytes=-5")
    assert (part.status, part.body, part.headers["content-range"]) == (206, b"xxxxx", "bytes 999995-999999/1000000")
