"""Call and publish over plain HTTP with a machine's secret, as Crossbar.io's HTTP bridge does it.

    POST /limen/bridge/call?key=…       {"procedure": "todo.add", "args": [1], "kwargs": {}}   ->  {"args": [2]}
    POST /limen/bridge/publish?key=…    {"topic": "alarm", "args": [], "kwargs": {}, "options": {}}  ->  {"id": 7}

What the realm or the service answers is told with 200, an error as `{"error": URI, "args": [sentences], "kwargs":
{exc, err, …}}`; what the bridge itself refuses in the same form with 4xx. The caller has a user and roles and is not
sealed: services that are `safe=False`, and what a rule of the realm allows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from limen import exc
from limen.core.guard.ledger import Kind
from limen.core.wamp.messages import Message, Published, Result
from limen.core.wamp.trace import options
from limen.door.http.answers import data_response, error_response, to_json
from limen.door.http.arguments import Malformed, from_json, media_type, parse_fields
from limen.door.http.request import Refused, carrier
from limen.web.response import Response

from .guest import Guest, failure
from .signing import bridge_principal

if TYPE_CHECKING:
    from limen.base.principal import Principal
    from limen.door.http.request import Request
    from limen.door.hub.hub import Hub

OPTIONS = ("exclude", "exclude_authid", "exclude_authrole", "eligible", "eligible_authid", "eligible_authrole")


class Bridge:
    """What stands at `/limen/bridge`."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def __call__(self, request: Request, asker: Principal, rest: tuple[str, ...]) -> Response:
        if rest not in (("call",), ("publish",)):
            raise exc.NotFound
        try:
            if request.method not in ("POST", "PUT"):
                raise exc.MethodNotAllowed(allow="POST, PUT")
            principal, event = await self._read(request, asker)
            return await (self._call if rest == ("call",) else self._publish)(request, principal, event)
        except exc.Error as error:
            return _refusal(error, error.status)
        except Refused as refused:
            return _refusal(refused.error, refused.status)

    async def _read(self, request: Request, asker: Principal) -> tuple[Principal, dict[str, Any]]:
        """Who signed, and what the body says: read only once the signature is right."""
        hub = self._hub
        kind = request.headers.get(b"content-type")
        if kind is not None and media_type(kind)[0] != b"application/json":
            raise exc.UnsupportedMediaType("The body is to be application/json.")
        query = parse_fields(request.query)
        if "signature" not in query:
            raise exc.Unauthorized("A request to the bridge is signed; `limen key new --http` makes a secret.")
        body = await request.body(hub.config.MAX_MESSAGE_SIZE, hub.config.BODY_TIMEOUT)
        principal, _ = await bridge_principal(hub, asker, query, body)
        try:
            args, event = from_json(body, tagged=False)
        except Malformed as malformed:
            hub.gate.charge(asker.domain, asker.origin, Kind.MALFORMED)
            raise malformed.error from None
        if args:
            raise exc.InvalidCall("The body is to be an object.")
        return principal, event

    async def _call(self, request: Request, principal: Principal, event: dict[str, Any]) -> Response:
        uri = _text(event, "procedure")
        args, kwargs, _ = _payload(event)
        trace = options(carrier(request.headers) or {})
        message = await self._as_guest(request, principal, lambda guest: guest.call(uri, args, kwargs, trace))
        if not isinstance(message, Result):
            return _answer(message)
        found: dict[str, Any] = {"args": message.args or []}
        if message.kwargs:
            found["kwargs"] = message.kwargs
        return data_response(found)

    async def _publish(self, request: Request, principal: Principal, event: dict[str, Any]) -> Response:
        uri = _text(event, "topic")
        args, kwargs, given = _payload(event)
        chosen = {name: given[name] for name in OPTIONS if name in given} | options(carrier(request.headers) or {})
        message = await self._as_guest(request, principal, lambda guest: guest.publish(uri, args, kwargs, chosen))
        return data_response({"id": message.publication}) if isinstance(message, Published) else _answer(message)

    async def _as_guest(self, request: Request, principal: Principal, ask: Callable[[Guest], Any]) -> Message:
        guest = Guest(self._hub, principal)
        unwatch = request.watch()
        try:
            message: Message = await ask(guest)
            return message
        finally:
            unwatch()
            guest.leave()


def _text(event: dict[str, Any], name: str) -> str:
    if not isinstance(event.get(name), str):
        raise exc.InvalidCall(f"The body names no {name}.")
    return str(event[name])


def _payload(event: dict[str, Any]) -> tuple[list[Any], dict[str, Any], dict[str, Any]]:
    args, kwargs, options = event.get("args") or [], event.get("kwargs") or {}, event.get("options") or {}
    if not isinstance(args, list) or not isinstance(kwargs, dict) or not isinstance(options, dict):
        raise exc.InvalidCall("args is an array, kwargs and options are objects.")
    return args, kwargs, options


def _answer(message: Message) -> Response:
    """What the other side of the realm has refused: Crossbar.io's clients look for "error" in what came with 200."""
    error = failure(message) or exc.InvalidCall("The realm did not take this.")
    uri = getattr(message, "error", error.uri)
    return data_response(
        {"error": uri, "args": getattr(message, "args", None) or [], "kwargs": getattr(message, "kwargs", None) or {}}
    )


def _refusal(error: exc.Error, status: int) -> Response:
    plain = error_response(error, status)
    return Response(
        plain.status,
        plain.headers,
        to_json({"error": error.uri, "args": list(error.err), "kwargs": error.to_wire()}),
    )
