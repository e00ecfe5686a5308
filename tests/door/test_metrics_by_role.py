"""Metrics on the server's own port: for programs that sign their requests as somebody with a role for it."""

from __future__ import annotations

from signed import header, program, serving


async def test_who_signs_with_the_role_is_told_and_nobody_else() -> None:
    app = program()
    app.config.IS_DEVELOPMENT = False
    app.config.OBSERVE_ROLES = ("monitor",)
    app.add_domain("b.example")
    async with serving(app) as site:
        right, wrong = site.key("prometheus", ("monitor",)), site.key("robot", ("machine",))
        tenant = site.key("theirs", ("monitor",), domain="b.example")
        target = "/limen/metrics"
        told = await site.ask("GET", target, authorization=header(right, "GET", target))
        assert (told.status, b"limen_processes 1.0" in told.body) == (200, True)
        refused = await site.ask("GET", target, authorization=header(wrong, "GET", target))
        signed = header(tenant, "GET", target, host="b.example")
        theirs = await site.ask("GET", target, host="b.example", authorization=signed)
        stranger = await site.ask("GET", target)
        assert [answer.status for answer in (refused, theirs, stranger)] == [404, 404, 404]
