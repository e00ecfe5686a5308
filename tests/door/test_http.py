"""The HTTP door over real sockets: addresses, hosts, methods, bodies."""

from __future__ import annotations

from http_site import Site, read_answer

from limen.core.guard.ledger import Kind

EVIL = "http://evil.example"


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


async def test_a_service_that_takes_anothers_place_answers_at_once(site: Site) -> None:
    assert (await site.get("/deep/er/name.json")).value == "found"
    site.service("deep/er/name", safe=False, methods=("GET",))(lambda: "new")
    assert (await site.get("/deep/er/name.json")).value == "new"


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
        await site.get("/say")  # meanwhile the byte has arrived
    assert (await read_answer(reader)).body == b"1"
    writer.close()


async def test_one_connection_carries_many_calls_in_order(site: Site) -> None:
    reader, writer = await site.connect()
    for n in range(50):
        writer.write(f"GET /say?text=N{n}E HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    for n in range(50):
        assert (await read_answer(reader)).value == f"N{n}E"
    writer.close()


async def test_a_connection_ends_where_the_client_says_so(site: Site) -> None:
    for version, header in ((b"1.1", b"Connection: close\r\n"), (b"1.0", b"")):
        reader, writer = await site.connect()
        writer.write(b"GET /say?text=x HTTP/" + version + b"\r\nHost: localhost\r\n" + header + b"\r\n")
        answer = await read_answer(reader)
        assert (answer.status, answer.value, answer.closed) == (200, "x", True)
        assert await reader.read() == b""
        writer.close()
