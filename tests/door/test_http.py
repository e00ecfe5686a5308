"""The HTTP door over real sockets: what it answers, and what it refuses."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from http_site import Answer, Site, read_answer, serving

from limen import exc
from limen.base.principal import get_state
from limen.core.guard.ledger import Kind
from limen.web.static import StaticTree

EVIL = "http://evil.example"


@pytest.fixture(params=["own transport", "bare uvicorn"])
async def site(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    (tmp_path / "www" / "add").mkdir(parents=True)
    (tmp_path / "www" / "index.html").write_text("<h1>page</h1>")
    (tmp_path / "www" / "add" / "index.html").write_text("a folder of the same name")
    (tmp_path / "www" / "big.bin").write_bytes(b"x" * 1_000_000)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "limen.js").write_text("var Limen")
    (tmp_path / "own" / "secret.py").write_text("")
    site = Site(assets=StaticTree("/limen", tmp_path / "own", index=None, only=frozenset({"limen.js"})))
    site.statics.append(StaticTree("/", tmp_path / "www"))
    declare(site)
    async with serving(site, own=request.param == "own transport"):
        yield site


def declare(site: Site) -> None:
    service = site.service

    @service(safe=False)
    def add(a: int, b: int = 0) -> int:
        return a + b

    @service(safe=False, methods=("GET", "POST"))
    async def echo(*args: Any, **kwargs: Any) -> Any:
        return [list(args), kwargs]

    @service(safe=False, methods=("GET",), auto_parse=False, inline=True)
    def say(text: str = "") -> str:
        return text

    @service("deep/er/name", safe=False, methods=("GET",))
    async def name() -> str:
        return "found"

    @service(safe=False, cache=60, cors=("https://partner.example",), csv=lambda rows: "\n".join(rows))
    def rates() -> list[str]:
        return ["a", "b"]

    @service(safe=False, cors=("*",))
    async def everybody() -> int:
        return 1

    @service()
    def secret() -> str:
        return "sealed"

    @service(safe=False, ssl=True)
    def over_tls() -> None: ...

    @service(safe=False, methods=("GET",))
    async def gives(what: str) -> Any:
        return {"nan": {"a": [1, float("nan")]}, "decimal": Decimal("1.50"), "none": None, "bytes": b"\x00<"}[what]

    @service(safe=False, methods=("GET",))
    async def fails(how: str) -> None:
        raise {
            "missing": exc.RecordNotFound(),
            "stale": exc.RecordVersionMismatch(theirs={"text": "<b>"}),
            "invalid": exc.RecordValidationError(fields={"text": ["is empty"]}),
            "busy": exc.Busy(),
            "odd": exc.Error("x", fact=float("nan")),
            "bug": KeyError("internal detail"),
        }[how]

    @service(safe=False, methods=("GET",))
    async def streams() -> AsyncIterator[int]:
        for n in range(3):
            yield n

    @service(safe=False, methods=("GET",))
    def who() -> dict[str, Any]:
        state = get_state()
        return {"domain": state.domain, "origin": state.origin, "user": state.user, "tls": state.tls}


# -- arguments and addresses ------------------------------------------------------------------------------------
async def test_arguments_come_by_path_query_form_object_and_array(site: Site) -> None:
    form = "application/x-www-form-urlencoded"
    for asked in (
        site.ask("POST", "/add/1/2.json"),
        site.ask("POST", "/add.json?a=1&b=2"),
        site.ask("POST", "/add", b"a=1&b=2", kind=form),
        site.ask("POST", "/add/1", b"b=2", kind=form + "; charset=UTF-8"),
        site.post("/add", {"a": 1, "b": 2}),
        site.post("/add.json", [1, 2]),
        site.post("/add/1", [2]),
        site.post("/add/1.json", {"b": 2}),
        site.post("/add?a=1", {"b": 2}),
    ):
        answer = await asked
        assert (answer.status, answer.body) == (200, b"3")


async def test_a_multipart_form_is_read_and_its_files_are_refused(site: Site) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="a"%s\r\n\r\n1\r\n--x--\r\n'
    kind = "multipart/form-data; boundary=x"
    assert (await site.ask("POST", "/add", part % b"", kind=kind)).body == b"1"
    assert (await site.ask("POST", "/add", part % b'; filename="a.txt"', kind=kind)).status == 415


async def test_only_an_extension_that_is_one_is_a_format(site: Site) -> None:
    assert (await site.get("/echo/1.5")).value == [["1.5"], {}]
    assert (await site.get("/echo/a.exe")).value == [["a.exe"], {}]
    assert (await site.get("/echo/1.5.json?x=y+z")).value == [["1.5"], {"x": "y z"}]


async def test_the_same_argument_from_two_places_is_refused(site: Site) -> None:
    assert (await site.post("/add?a=1", {"a": 1})).status == 400


async def test_services_stand_before_files_and_reserved_before_both(site: Site) -> None:
    assert (await site.get("/")).body == b"<h1>page</h1>"
    assert (await site.get("/deep/er/name")).value == "found"
    assert (await site.get("/add")).status == 405
    assert (await site.get("/add/")).body == b"a folder of the same name"
    assert (await site.get("/limen/limen.js")).body == b"var Limen"
    assert (await site.get("/limen/secret.py")).status == 404
    assert (await site.get("/limen/")).status == 404
    assert (await site.get("/deep")).status == 404
    websocket = await site.get("/ws")
    assert (websocket.status, websocket.headers["upgrade"]) == (426, "websocket")


async def test_the_status_shows_in_development_only(site: Site) -> None:
    assert "add" in (await site.get("/limen/status.json")).value["services"]
    assert (await site.get("/limen/status.json", sec_fetch_site="cross-site")).status == 403
    site.config.IS_DEVELOPMENT = False
    assert (await site.get("/limen/status.json")).status == 404


async def test_paths_that_are_none_are_400_or_404(site: Site) -> None:
    for path in (
        "/say%00", "/%00say", "/say.json%00.txt", "/say%2f..%2fsay", "/./say", "/a/../say", "//evil.example/..",
        "/say//x", "/%5cevil.example", "/say%0d%0aX-Evil:1", "/say;x.bat", "/say.bat", "/say.json/x.bat",
        "/say.json%3b/x.cmd",
    ):  # fmt: skip
        answer = await site.get(path)
        assert answer.status in (400, 404), path
        assert "x-evil" not in answer.headers
        assert "location" not in answer.headers


async def test_paths_and_queries_over_8_kib_are_414(site: Site) -> None:
    assert (await site.get("/say/" + "a" * 9000)).status == 414
    assert (await site.get("/say?text=" + "a" * 9000)).status == 414
    assert (await site.get("/say?text=" + "a" * 8000)).status == 200


async def test_the_principal_is_nobody_from_the_socket_whatever_headers_say(site: Site) -> None:
    answer = await site.get(
        "/who", X_Forwarded_For="1.2.3.4", Forwarded="for=1.2.3.4;proto=https", X_Forwarded_Proto="https"
    )
    assert answer.value == {"domain": "localhost", "origin": "127.0.0.1", "user": None, "tls": False}


# -- hosts ------------------------------------------------------------------------------------------------------
async def test_the_host_decides_the_domain(site: Site) -> None:
    assert (await site.get("/who", host="b.example")).value["domain"] == "b.example"
    assert (await site.get("/who")).value["domain"] == "localhost"


async def test_a_host_that_is_not_ours_reaches_nothing(site: Site) -> None:
    for path in ("/who", "/", "/limen/limen.js", "/no"):
        for host in ("evil.example", "localhost.evil.example", "", "[", "ä"):
            assert (await site.get(path, host=host)).status == 421, (path, host)
    assert (await site.ask("GET", "/who", host=None)).status == 400
    assert (await site.get("/who", host="localhost:x")).status == 400
    two = await site.raw(b"GET /who HTTP/1.1\r\nHost: localhost\r\nHost: b.example\r\n\r\n")
    assert two.status == 400


# -- methods ----------------------------------------------------------------------------------------------------
async def test_other_methods_are_405_with_allow(site: Site) -> None:
    for method in ("PUT", "PATCH", "DELETE"):
        answer = await site.ask(method, "/say", b"{}")
        assert (answer.status, answer.exc) == (405, "MethodNotAllowed")
        assert answer.headers["allow"] == "GET, HEAD, POST, OPTIONS"
    assert (await site.get("/add/1")).headers["allow"] == "POST, OPTIONS"
    assert (await site.ask("POST", "/", b"")).headers["allow"] == "GET, HEAD"


async def test_head_is_get_without_the_body(site: Site) -> None:
    got, head = await site.get("/say?text=hello"), await site.ask("HEAD", "/say?text=hello")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"] == "7"
    assert (await site.ask("HEAD", "/big.bin")).headers["content-length"] == "1000000"


async def test_options_names_what_is_allowed(site: Site) -> None:
    answer = await site.ask("OPTIONS", "/add")
    assert (answer.status, answer.headers["allow"]) == (204, "POST, OPTIONS")


# -- sealed services, abuse -------------------------------------------------------------------------------------
async def test_a_sealed_service_called_in_the_open_is_refused_and_counted(site: Site) -> None:
    for asked in (site.get("/secret.json"), site.post("/secret", {"x": 1}), site.ask("DELETE", "/secret/1/2")):
        answer = await asked
        assert (answer.status, answer.exc) == (401, "Unauthorized")
        assert answer.headers["www-authenticate"] == "Limen"
    assert site.charged == [("localhost", "127.0.0.1", Kind.UNSEALED)] * 3


async def test_another_site_cannot_have_its_visitors_counted(site: Site) -> None:
    for headers in (
        {"origin": EVIL},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors", "sec_fetch_dest": "image"},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"},
    ):
        assert (await site.get("/secret.json", **headers)).status == 403
    assert (await site.ask("POST", "/add", b"{{", origin=EVIL)).status == 403
    assert site.charged == []


async def test_an_origin_past_the_limit_is_refused_and_told_when_to_come_back(site: Site) -> None:
    site.refusing = 12.3
    for asked in (site.post("/add", {"a": 1}), site.get("/secret")):
        answer = await asked
        assert (answer.status, answer.exc, answer.headers["retry-after"]) == (429, "Abusive", "13")
    assert site.charged == []
    assert (await site.get("/")).status == 200


async def test_an_origin_near_the_limit_is_slowed(site: Site) -> None:
    site.delay = 0.05
    began = asyncio.get_running_loop().time()
    assert (await site.post("/add", {"a": 1})).status == 200
    assert asyncio.get_running_loop().time() - began >= 0.05


async def test_tls_is_required_where_a_service_says_so(site: Site) -> None:
    answer = await site.post("/over_tls", {})
    assert (answer.status, answer.exc) == (403, "RequireSSL")


# -- bodies -----------------------------------------------------------------------------------------------------
async def test_malformed_json_is_400_and_counted(site: Site) -> None:
    for body in (b"{", b'{"a":NaN}', b'{"a":1,"a":2}', b'{"a":"\\ud800"}', b"[" * 100_000, '{"a":1}'.encode("utf-16")):
        answer = await site.ask("POST", "/add", body)
        assert (answer.status, answer.exc) == (400, "InvalidValue"), body[:20]
    assert [kind for _, _, kind in site.charged] == [Kind.MALFORMED] * 6


async def test_wrong_arguments_are_named_and_not_counted(site: Site) -> None:
    answer = await site.post("/add", {"a": "x", "b": None})
    assert answer.status == 422
    assert set(answer.value["fields"]) == {"a", "b"}
    assert (await site.post("/add", {"a": 1, "zzz": 1})).status in (400, 422)
    assert (await site.post("/add", [1, 2, 3])).status in (400, 422)
    assert (await site.post("/add", "text")).status == 400
    assert site.charged == []


async def test_a_body_of_another_type_is_415(site: Site) -> None:
    for kind in ("text/plain", "application/json-patch+json", "application/json; charset=latin-1", None):
        assert (await site.ask("POST", "/add", b'{"a": 1}', kind=kind)).status == 415


async def test_too_large_a_body_is_413_and_the_connection_ends(site: Site) -> None:
    site.config.MAX_MESSAGE_SIZE = 1000
    announced = await site.raw(
        b"POST /add HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 10000000000\r\nExpect: 100-continue\r\n\r\n"
    )
    assert (announced.status, announced.closed) == (413, True)
    chunked = await site.raw(
        b"POST /add HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3e8\r\n" + b"[" * 1000 + b"\r\n3e8\r\n" + b"[" * 1000 + b"\r\n"
    )
    assert (chunked.status, chunked.closed) == (413, True)
    assert (await site.ask("POST", "/add", b'{"a":1}' + b" " * 900)).body == b"1"


async def test_a_body_that_does_not_come_is_408(site: Site) -> None:
    site.config.BODY_TIMEOUT = 0.05
    answer = await site.raw(
        b"POST /add HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
    )
    assert (answer.status, answer.closed, answer.exc) == (408, True, "Timeout")


async def test_a_body_that_comes_in_pieces_is_whole(site: Site) -> None:
    reader, writer = await site.connect()
    writer.write(
        b"POST /add HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n"
    )
    for byte in b'{"a":1}':
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.001)
    assert (await read_answer(reader)).body == b"1"
    writer.close()


async def test_one_connection_carries_many_calls_in_order(site: Site) -> None:
    reader, writer = await site.connect()
    for n in range(50):
        writer.write(f"GET /say?text=N{n}E HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    for n in range(50):
        assert (await read_answer(reader)).value == f"N{n}E"
    writer.close()


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


# -- other sites ------------------------------------------------------------------------------------------------
async def test_another_sites_page_cannot_make_a_browser_call(site: Site) -> None:
    ran = []
    site.service("bump", safe=False, methods=("GET", "POST"))(lambda: ran.append(1))
    form = "application/x-www-form-urlencoded"
    for asked in (
        site.post("/bump", {}, origin=EVIL),
        site.ask("POST", "/bump", b"x=1", kind=form, origin=EVIL),
        site.ask("POST", "/bump", b"", kind="text/plain", origin="null"),
        site.ask("POST", "/bump", sec_fetch_site="cross-site", sec_fetch_mode="no-cors"),
        site.post("/bump", {}, sec_fetch_site="same-site"),
        site.get("/bump", origin=EVIL),
        site.get("/bump", sec_fetch_site="cross-site", sec_fetch_mode="no-cors", sec_fetch_dest="script"),
        site.get("/bump", sec_fetch_site="cross-site", sec_fetch_mode="navigate", sec_fetch_dest="iframe"),
    ):
        answer = await asked
        assert (answer.status, answer.exc) == (403, "Forbidden")
        assert "access-control-allow-origin" not in answer.headers
    assert ran == []
    port = site.port
    assert (await site.post("/bump", {}, host="localhost", origin="http://localhost")).status == 200
    assert (await site.post("/bump", {}, origin="http://localhost", sec_fetch_site="same-origin")).status == 200
    assert (await site.post("/bump", {}, origin=f"http://localhost:{port}")).status == 403
    assert ran == [1, 1]


async def test_a_link_from_another_site_may_be_followed(site: Site) -> None:
    link = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert (await site.get("/say", **link)).status == 200
    assert (await site.ask("POST", "/say", b"", **link)).status == 403


async def test_cors_lets_in_whom_it_names(site: Site) -> None:
    partner = {"origin": "https://partner.example", "sec_fetch_site": "cross-site", "sec_fetch_mode": "cors"}
    answer = await site.get("/rates", **partner)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, "https://partner.example")
    assert "access-control-allow-credentials" not in answer.headers
    assert (await site.get("/rates/1/2", **partner)).headers["access-control-allow-origin"] == "https://partner.example"
    assert (await site.get("/rates", origin=EVIL)).status == 403
    assert (await site.post("/everybody", {}, origin=EVIL)).headers["access-control-allow-origin"] == "*"


async def test_a_preflight_is_granted_to_whom_cors_names(site: Site) -> None:
    asks = {"access_control_request_method": "POST", "access_control_request_headers": "content-type"}
    granted = await site.ask("OPTIONS", "/rates", origin="https://partner.example", **asks)
    assert granted.status == 204
    assert granted.headers["access-control-allow-origin"] == "https://partner.example"
    assert granted.headers["access-control-allow-methods"] == "GET, HEAD, POST"
    assert granted.headers["access-control-allow-headers"] == "content-type, accept"
    for path in ("/rates", "/say", "/secret"):
        refused = await site.ask("OPTIONS", path, origin=EVIL, **asks)
        assert refused.status == 403
        assert not [name for name in refused.headers if name.startswith("access-control")]


# -- clients that leave -----------------------------------------------------------------------------------------
async def test_an_async_service_is_cancelled_when_its_client_leaves(site: Site) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    @site.service(safe=False, methods=("GET",))
    async def waits() -> None:
        began.set()
        try:
            await asyncio.sleep(60)
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
    for _ in range(500):
        if opened(big) == 0:
            break
        await asyncio.sleep(0.01)
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


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    doors = [record for record in caplog.records if record.name == "limen.door"]
    assert not doors, "the door itself failed"
