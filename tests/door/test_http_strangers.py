"""Whom the HTTP door refuses: sealed services in the open, origins past the limit, other sites."""

from __future__ import annotations

import asyncio

from http_site import Site

from limen.core.guard.ledger import Kind

EVIL = "http://evil.example"


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


async def test_every_call_has_its_line_in_the_log_refused_ones_too(site: Site) -> None:
    done: list[tuple[str, str]] = []
    site.pipeline.on_done = lambda service, principal, seconds, error: done.append(
        (service.uri, error.exc if error is not None else "ok")
    )
    await site.post("/add", {"a": 1})
    await site.ask("PUT", "/add", b"{}")
    await site.ask("POST", "/add", b"{{")
    await site.ask("POST", "/add", b"{}", kind="text/plain")
    await site.post("/add", {"a": 1}, origin=EVIL)
    await site.get("/secret")
    site.refusing, site.delay = 12.3, 0.001
    await site.post("/add", {"a": 1})
    assert done == [
        ("add", "ok"),
        ("add", "MethodNotAllowed"),
        ("add", "InvalidValue"),
        ("add", "UnsupportedMediaType"),
        ("add", "Forbidden"),
        ("secret", "Unauthorized"),
        ("add", "Abusive"),
    ]
