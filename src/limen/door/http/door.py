"""The HTTP door: a request in, a response out; between them the pipeline, a file, or one clear error.

Reading order: `HttpDoor.respond`, `_route`, `_call`. Precedence of addresses: reserved (`/ws`, `/limen/…`), then
services, mounted applications and static trees, the longest path
first; of one length in this order.

What it refuses, in this order: a Host that is not ours, a path that is none, other methods, other sites' pages, origins
past the abuse limit, bodies that are too large, too slow, of another type or malformed. Only then a service is asked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Container, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from limen import exc
from limen.base.files import File
from limen.base.principal import Cancellation, Principal
from limen.base.proxies import HEADERS, look
from limen.core.guard.ledger import Kind
from limen.service.pipeline import discard
from limen.web.headers import NO_STORE, TAGGED, Pair, chosen, header_lines, replaced
from limen.web.response import Response
from limen.web.spool import Spool

from .answers import error_response, failure_page
from .arguments import Malformed, from_body, parse_fields
from .crosssite import Caller, who_asks
from .downloads import download
from .lines import Lines, wanted
from .plan import Plan
from .receiving import Receiver
from .request import MAX_PATH, Gone, Refused, Request, carrier, header_map, path_segments
from .waiting import Resumed

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from limen.base.config import Config
    from limen.service.pipeline import Pipeline
    from limen.service.registry import Match, Registry
    from limen.service.service import Service
    from limen.web.static import StaticTree

    from .places import Callers, Mounted, Places

_LOG: Final = logging.getLogger("limen.door")
_KEPT: Final = 1024
"""Most hosts, callers and services that the door remembers at once."""

_TWICE: Final = "An argument came in the query and in the body."
_FORWARDED: Final = tuple((name, name.encode()) for name in HEADERS)


class HttpDoor:
    """Plain HTTP calls, files, and Limen's own assets.

    *places*: what stands where, besides the services of *registry*. *callers*: how it knows who asks. *spool*: where
    uploads lie meanwhile. *executor*: where files are read; the loop's own if None.
    """

    def __init__(
        self,
        config: Config,
        registry: Registry,
        pipeline: Pipeline,
        places: Places,
        callers: Callers,
        *,
        spool: Spool | None = None,
        executor: Executor | None = None,
    ) -> None:
        self._config, self._registry, self._executor = config, registry, executor
        self._pipeline, self._call_service = pipeline, pipeline.call
        self._places, self._callers = places, callers
        self._receiver = Receiver(config, spool or Spool(None))
        self._chosen = chosen(config.HEADERS)
        hsts = config.HSTS and not config.IS_DEVELOPMENT and config.DOMAIN != "localhost"
        self._hsts = (b"strict-transport-security", b"max-age=%d" % config.HSTS) if hsts else None
        self._domains: dict[bytes, str] = {}
        self._principals: dict[tuple[str, str, bool], Principal] = {}
        self._plans: dict[int, Plan] = {}
        self._known: dict[bytes, Match] = {}

    async def respond(self, request: Request) -> Response:
        """The answer to *request*, whatever it is. Raises only `Gone`, and CancelledError."""
        response = await self._answer(request)
        if request.tls and self._hsts is not None:
            response.headers = (*response.headers, self._hsts)
            if response.head is not None:
                response.head += header_lines([self._hsts])
        if self._chosen:
            response.headers, response.head = replaced(response.headers, self._chosen), None
        return response

    async def _answer(self, request: Request) -> Response:
        try:
            if request.repeated:
                request.headers = header_map(request.pairs)
            if self._config.PROXIES or b"x-forwarded-for" in request.headers or b"forwarded" in request.headers:
                self._see(request)
            return await self._route(request)
        except exc.Error as error:
            if "frames" in error.facts and request.headers.get(b"sec-fetch-dest") == b"document":
                return failure_page(error)
            return error_response(error, None, request.grant, tagged=request.tagged)
        except Refused as refused:
            more = (*refused.headers, *request.grant)
            return error_response(refused.error, refused.status, more, tagged=request.tagged)
        except Gone:
            raise
        except Exception:
            path = b"/limen/link/..." if request.path.startswith(b"/limen/link/") else request.path[:200]
            _LOG.exception("The HTTP door failed at %s %r", request.method, path)
            return error_response(exc.InternalError(), tagged=request.tagged)

    # -- finding ------------------------------------------------------------------------------------------------
    async def _route(self, request: Request) -> Response:
        domain = self._domain(request.headers.get(b"host"))
        known = self._known.get(request.path)
        if known is not None and self._registry.by_uri(known.service.uri) is known.service:
            return await self._call(request, domain, known)
        segments = path_segments(request.path)
        first = segments[0]
        if first == "limen" and len(segments) > 1:
            return await self._own(request, domain, segments)
        if first == "ws" and len(segments) == 1:
            upgrade = ((b"upgrade", b"websocket"), (b"connection", b"upgrade"))
            raise Refused(exc.InvalidCall("This address speaks WebSocket only."), 426, upgrade)
        mounted = next((m for m in self._places.mounts if segments[: len(m.segments)] == m.segments), None)
        deep = -1 if mounted is None else len(mounted.segments)
        if segments[-1]:  # a service has no slash at its end
            match = self._registry.by_path(segments)
            if match is not None and match.service.urlpath.count("/") + 1 >= deep:
                if not match.rest:
                    self._remember(request.path, match)
                return await self._call(request, domain, match)
        if request.tagged and request.method == "POST":
            raise exc.NotFound()  # a client of ours means a service, never a file
        for tree in self._places.statics:
            at = len(tree.segments)
            if at > deep and segments[:at] == tree.segments:
                return await self._file(tree, request, segments[at:])
        if mounted is not None:
            return await self._mounted(request, domain, mounted, segments)
        raise exc.NotFound()

    def owns(self, path: bytes) -> bool:
        """Whether `respond` has anything for the raw *path* but NotFound. What is no path here is not ours."""
        if path in self._known:
            return True
        try:
            segments = path_segments(path)
        except (exc.Error, Refused):
            return False
        if (segments[0] == "limen" and len(segments) > 1) or segments == ("ws",):
            return True
        roots = (
            *(mounted.segments for mounted in self._places.mounts),
            *(tree.segments for tree in self._places.statics),
        )
        if any(segments[: len(root)] == root for root in roots):
            return True
        return bool(segments[-1]) and self._registry.by_path(segments) is not None

    def _see(self, request: Request) -> None:
        """Behind a proxy of `config.PROXIES`: the client's address, TLS and Host instead of the proxy's."""
        headers = request.headers
        said = {name: headers[raw].decode("latin-1") for name, raw in _FORWARDED if raw in headers}
        request.client, request.tls, host = look(self._config.PROXIES, request.client, request.tls, said)
        if host is not None:
            headers[b"host"] = host.encode()

    def _remember(self, path: bytes, match: Match) -> None:
        """An address that is all of a path means the same service as long as that stands at its URI."""
        if len(self._known) >= _KEPT:
            self._known.clear()
        self._known[path] = match

    def _domain(self, host: bytes | None) -> str:
        if host is None:
            raise exc.InvalidCall("The request names no Host.")
        domain = self._domains.get(host)
        if domain is None:
            _, colon, port = host.rpartition(b":")
            if colon and port and not port.endswith(b"]") and not port.isdigit():
                raise exc.InvalidCall("The Host's port is no number.")
            domain = self._callers.domain_of(host.decode("latin-1"))
            if domain is None:
                raise Refused(exc.InvalidAddress("This server does not answer for that host name."), 421)
            if len(self._domains) >= _KEPT:
                self._domains.clear()
            self._domains[host] = domain
        return domain

    def _principal(self, domain: str, client: str, tls: bool) -> Principal:
        """Who stands behind a request that proves nothing of itself."""
        key = (domain, client, tls)
        principal = self._principals.get(key)
        if principal is None:
            if len(self._principals) >= _KEPT:
                self._principals.clear()
            principal = self._principals[key] = Principal(domain, self._callers.origin_of(client), tls=tls)
        return principal

    def _plan(self, service: Service) -> Plan:
        plan = self._plans.get(id(service))
        if plan is None or plan.service is not service:
            if len(self._plans) >= _KEPT:
                self._plans.clear()
            plan = self._plans[id(service)] = Plan(service)
        return plan

    # -- files --------------------------------------------------------------------------------------------------
    async def _file(self, tree: StaticTree, request: Request, tail: Sequence[str]) -> Response:
        return await tree.answer(request.method, tail, request.headers, query=request.query, executor=self._executor)

    async def _own(self, request: Request, domain: str, segments: tuple[str, ...]) -> Response:
        """What stands under /limen."""
        own = self._places.own.get(segments[1])
        if own is not None:
            if who_asks(request.method, request.headers, request.tls) is Caller.FOREIGN:
                raise exc.Forbidden("Another site's page may not ask this.")
            return await own(request, self._principal(domain, request.client, request.tls), segments[2:])
        if self._places.assets is None:
            raise exc.NotFound()
        return await self._file(self._places.assets, request, segments[1:])

    # -- calling ------------------------------------------------------------------------------------------------
    async def _call(self, request: Request, domain: str, match: Match) -> Response:
        service = match.service
        plan = self._plan(service)
        headers, method = request.headers, request.method
        if method == "OPTIONS":
            return self._options(request, plan)
        if service.handlers and method in service.handlers:
            service = service.handlers[method]
            plan = self._plan(service)
        principal = self._principal(domain, request.client, request.tls)
        origin = principal.origin
        try:
            if b"origin" in headers or b"sec-fetch-site" in headers:
                request.grant = self._admit(request, plan)
            if b"authorization" in headers and self._callers.signed is not None:
                principal = await self._callers.signed(request, principal)
            if service.check_abusive and principal.user is None:
                slow = self._callers.delay(domain, origin)
                if slow > 0:
                    await self._slow(domain, origin, slow)
            args: list[Any] = match.rest
            kwargs: dict[str, Any] = {}
            text: Container[int | str] = ()
            # A sealed service called in the open: the pipeline refuses and counts it, whatever was asked.
            if not service.safe:
                if method not in plan.methods:
                    raise exc.MethodNotAllowed(allow=plan.allow)
                if args or request.query or request.unread:
                    args, kwargs, text = await self._arguments(request, principal, service, args)
        except (exc.Error, Refused) as refused:  # the pipeline, which writes a line a call, never hears of it
            if self._pipeline.on_done is not None:
                error = refused.error if isinstance(refused, Refused) else refused
                self._pipeline.on_done(service, principal, 0.0, error)
            raise
        accept = headers.get(b"accept")
        cancellation = Cancellation()
        trace = None if self._pipeline.spans is None else carrier(headers)
        if plan.streams and method != "HEAD" and (lines := wanted(accept)) is not None:
            call = partial(
                self._call_service, principal, service, args, kwargs, cancellation=cancellation, text=text, trace=trace
            )
            return await self._lines(request, plan, cancellation, Lines(lambda put: call(progress=put), lines))
        value = self._call_service(principal, service, args, kwargs, cancellation=cancellation, text=text, trace=trace)
        if not plan.at_once:
            steps = value.__await__()
            try:
                future = next(steps)
            except StopIteration as done:
                value = done.value
            else:
                value = await self._patiently(request, cancellation, Resumed(steps, future))
        if type(value) is File:
            return await download(request, service, value, self._executor)
        shape = plan.format(match.extension, bool(match.rest), accept is not None and TAGGED in accept)
        try:
            if shape.own and not service.inline:
                body = await asyncio.get_running_loop().run_in_executor(self._executor, shape.write, value)
            else:
                body = shape.write(value)
        except exc.InvalidValue as error:
            raise Refused(error, 500) from None  # the service's fault, not the caller's
        return plan.response(shape, method, body, request.grant)

    async def _arguments(
        self, request: Request, principal: Principal, service: Service, args: list[Any]
    ) -> tuple[list[Any], dict[str, Any], Container[int | str]]:
        """The arguments behind those of the path, and which of them came as text. Raises what is wrong with them."""
        kwargs: dict[str, Any] = {}
        if request.query:
            if len(request.query) > MAX_PATH:
                raise Refused(exc.InvalidAddress(f"The query is longer than {MAX_PATH} bytes."), 414)
            kwargs = parse_fields(request.query)
        text: Container[int | str] = {*range(len(args)), *kwargs} if args or kwargs else ()
        if not request.unread or request.method in ("GET", "HEAD"):
            return args, kwargs, text
        try:
            taking = self._pipeline.plan(service)
            if taking.files:
                # What is refused shall not be sent first. The pipeline asks again.
                self._pipeline.admit(principal, service)
                taken = await self._receiver.take(request, taking.files, taking.body, service.max_upload)
                if taken is not None:
                    if not kwargs.keys().isdisjoint(taken):
                        discard(None, taken)
                        raise exc.InvalidCall(_TWICE)
                    kwargs = {**kwargs, **taken}
                    text = {*range(len(args)), *kwargs}
            if request.unread:
                data = await request.body(self._config.MAX_MESSAGE_SIZE, self._config.BODY_TIMEOUT)
                more, named, form = from_body(data, request.headers.get(b"content-type"))
                args = args + more if args else more
                if kwargs and not kwargs.keys().isdisjoint(named):
                    raise exc.InvalidCall(_TWICE)
                kwargs = {**kwargs, **named} if kwargs else named
                if form:
                    text = {*range(len(args)), *kwargs}
        except Malformed as malformed:
            self._callers.charge(principal.domain, principal.origin, Kind.MALFORMED)
            raise malformed.error from None
        return args, kwargs, text

    async def _slow(self, domain: str, origin: str, delay: float) -> None:
        # The pipeline asks this again; but what is refused shall cost neither a body nor a wait.
        wait = self._callers.refused(domain, origin)
        if wait is not None:
            raise exc.Abusive(retry_after=wait)
        await asyncio.sleep(delay)

    async def _mounted(self, request: Request, domain: str, mounted: Mounted, segments: Sequence[str]) -> Response:
        """What another application answers, behind the guard of a call."""
        method, service = request.method, mounted.service
        principal = self._principal(domain, request.client, request.tls)
        try:
            if method not in mounted.methods:
                raise exc.MethodNotAllowed(allow=", ".join(mounted.methods))
            if not mounted.cross_site and who_asks(method, request.headers, request.tls) is Caller.FOREIGN:
                raise exc.Forbidden("Another site's page may not ask this.")
            if service.check_abusive:
                slow = self._callers.delay(domain, principal.origin)
                if slow > 0:
                    await self._slow(domain, principal.origin, slow)
            body = None
            if mounted.on_threads and request.unread:
                self._pipeline.admit(principal, service)  # what is refused shall not be sent first
                body = await self._receiver.whole(request)
        except (exc.Error, Refused) as refused:
            if self._pipeline.on_done is not None:
                error = refused.error if isinstance(refused, Refused) else refused
                self._pipeline.on_done(service, principal, 0.0, error)
            raise
        if len(segments) == len(mounted.segments) and segments[-1] and method in ("GET", "HEAD"):
            place = b"./" + request.path.rpartition(b"/")[2] + b"/" + (b"?" + request.query if request.query else b"")
            return Response(307, ((b"location", place), NO_STORE))
        root = "/".join([request.root, *mounted.segments])
        trace = None if self._pipeline.spans is None else carrier(request.headers)
        answer: Response = await self._call_service(principal, service, [request, root, body], trace=trace)
        return answer

    async def _patiently(self, request: Request, cancellation: Cancellation, rest: Resumed) -> Any:
        """The result of a service that waits; if the client goes away meanwhile, the service is cancelled."""
        unwatch = request.watch(cancellation.set)
        try:
            return await rest
        finally:
            unwatch()

    async def _lines(self, request: Request, plan: Plan, cancellation: Cancellation, lines: Lines) -> Response:
        unwatch = request.watch(cancellation.set)
        try:
            return await lines.response((*plan.vary, *request.grant), plan.service.csp)
        finally:
            unwatch()

    def _admit(self, request: Request, plan: Plan) -> tuple[Pair, ...]:
        """Lets in the own page, links to what may be read, and sites that `cors` names; gives the headers for these.

        Raises `exc.Forbidden`, before anything is counted: another site must not be able to lock its visitors out here.
        """
        caller = who_asks(request.method, request.headers, request.tls)
        if caller is Caller.OWN:
            return ()
        grant = plan.grant(request.headers.get(b"origin"))
        if grant is not None:
            return grant
        if caller is Caller.LINK and not plan.service.safe:
            return ()
        raise exc.Forbidden("Another site's page may not call this.")

    def _options(self, request: Request, plan: Plan) -> Response:
        headers = request.headers
        if b"access-control-request-method" in headers:
            granted = plan.preflight(headers.get(b"origin"))
            if granted is None:
                raise exc.Forbidden("Another site's page may not call this.")
            return Response(204, (*granted, NO_STORE))
        return Response(204, ((b"allow", plan.allow.encode()), NO_STORE))
