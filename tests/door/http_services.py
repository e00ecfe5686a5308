"""What the HTTP site of these tests offers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

from http_site import Site

from limen import exc
from limen.base.principal import get_state


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
