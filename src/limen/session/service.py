"""ApplicationService: one address at which every client begins a session of its own.

    class Shop(ApplicationService):
        OPENS = Desktop

    async with Shop().bound("shop", connection.new_context()):
        …

    shop.start_session()                       -> {"address": "shop.sx7…", "token": …, …}     a new one
    shop.start_session(address, token)         -> the same session, found again after a reload

Two things keep a session its party's own. Nobody can guess its address (160 random bits). And who calls, publishes or
registers there is checked, also where the address is known: here, by what the router says of the caller; in `limen
serve` before it gets here, too, by whoever stands at the way in (`port.Doorkeeper`).

The token proves to a page that comes back that it is the same page: it stays in the tab, travels as an argument only,
and is another one after each return. A page that does not come back within GRACE seconds has lost its session: all of
it is unbound and freed.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from limen import exc
from limen.base.path import Path
from limen.base.principal import ANONYMOUS, Principal
from limen.node.context import NEAR
from limen.node.declared import call, handler
from limen.node.node import Node
from limen.node.signal import Signal

from .context import Context, Controller
from .port import Caller, Doorkeeper, Guarded
from .presence import Presence, now
from .root import SessionRoot
from .stays import Stays

if TYPE_CHECKING:
    from limen.client.callee import Invoked
    from limen.node.context import Heard, NodeContext

log = logging.getLogger("limen.session")

NOT_TOLD = (
    "The router does not say who calls, so a session here would be anybody's who learns its address: let it disclose "
    "callers and publishers to this service (Crossbar.io: `disclose` in the role's permissions)."
)


class ApplicationService(Node):
    """What a program binds at an address; a subclass says what happens there.

    *OPENS*: what each new session has open at first. *SESSION*: the class of sessions. *SAFE*: in `limen serve` only
    who has logged in, in a sealed session, may begin one; False: anybody. *USER_ROLES*: only they; if there are any.
    *GRACE*: seconds that a session waits for its page. *MAX_SESSIONS*, *MAX_PER_USER*: how many there may be;
    *MAX_PER_ORIGIN*: without a login they count by where they come from.
    """

    _limen_own = True

    on_begin = Signal()
    """The service can be called: who had a session of one before it has none, and may begin one."""

    OPENS: ClassVar[type[Context] | type[Controller] | None] = None
    SESSION: ClassVar[type[SessionRoot]] = SessionRoot
    SAFE: ClassVar[bool] = True
    USER_ROLES: ClassVar[tuple[str, ...]] = ()
    GRACE: ClassVar[float] = 60.0
    MAX_SESSIONS: ClassVar[int] = 10_000
    MAX_PER_USER: ClassVar[int] = 20
    MAX_PER_ORIGIN: ClassVar[int] = 200

    def __init__(self) -> None:
        self._stays = Stays(self.GRACE, self.MAX_SESSIONS)
        self._doorkeeper: Doorkeeper | None = None
        self._presence: Presence | None = None

    async def node_bind(self, path: Path | str, context: NodeContext | None = None, parent: Node | None = None) -> None:
        """As of `Node`. Raises `exc.Forbidden` where the router does not tell the service what it must know."""
        try:
            await super().node_bind(path, context, parent)
        except ExceptionGroup as group:
            if len(group.exceptions) == 1 and isinstance(group.exceptions[0], exc.Error):
                raise group.exceptions[0] from None
            raise

    # -- what a subclass says -----------------------------------------------------------------------------------
    async def started(self, session: SessionRoot) -> None:
        """A session begins: opens what OPENS says. A subclass may open more, or refuse by raising. The page does not
        know of it yet: what is to be said to a view is for `Controller.viewed`."""
        if self.OPENS is not None:
            await session.open(self.OPENS)

    async def ended(self, session: SessionRoot, why: str) -> None:
        """A session is about to be unbound: "end" (one of the two said so), "timeout" (its page did not come back),
        "room" (for a newer one of the same user), "stop" (the service ends)."""

    def policy(self, caller: Caller, session: SessionRoot) -> bool:
        """Whether *caller*, who is not the party of *session*, reaches it all the same: calls, publishes, subscribes
        what is below its address. Nobody does, unless a subclass says so."""
        return False

    def user_of(self, caller: Caller) -> str | None:
        """The user behind a caller, None for one who has not logged in: no two of those are the same user."""
        return None if caller.role == ANONYMOUS else caller.user

    # -- what clients call --------------------------------------------------------------------------------------
    @call
    async def start_session(
        self, address: str | None = None, token: str | None = None, details: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """A new session for the caller; with *address* and *token* the one that it had. *details*: what the program
        shall know of the page.

        Raises `exc.UnknownSession` for one that is over, `exc.MaxActiveSessions`, `exc.Busy`.
        """
        caller, party, principal = await self._whoever_calls()
        if address is not None:
            return await self._return(address, token or "", caller, party, principal)
        return await self._start(caller, party, principal, details or {})

    async def _start(self, caller: int, party: str, principal: Principal, details: Mapping[str, Any]) -> dict[str, Any]:
        payer = principal.user or (f"from {principal.origin}" if principal.origin else f"#{caller}")
        most = self.MAX_PER_ORIGIN if principal.user is None else self.MAX_PER_USER
        while (oldest := self._stays.room(payer, most)) is not None:
            await self.end(oldest, "room")
        name, token = _new_name(), _new_token()
        self._stays.open(name, _digest(token), principal.user, caller, now(), payer)
        try:
            place = str(self.node_path + name)
            if self._doorkeeper is not None:
                await self._doorkeeper.admit(place, party)
            root = self.SESSION(self, principal, details)
            context = self.node_context.new(
                session=root,
                principal=principal,
                wrap_call=root._wrap_call,
                wrap_subscribe=root._wrap_subscribe,
                wrap_invocation=root._wrap_invocation,
                wrap_event=root._wrap_event,
            )
            await root.node_bind(Path(place, place), context, parent=self)
            await self.started(root)
        except BaseException:
            await self.end(name, "refused")
            raise
        return self._told(place, token, fresh=True)

    async def _return(self, address: str, token: str, caller: int, party: str, principal: Principal) -> dict[str, Any]:
        head, _, name = address.rpartition(".")
        if head != str(self.node_path):
            raise exc.UnknownSession("This session is over, or was never here; begin a new one.")
        fresh = _new_token()
        self._stays.back(name, _digest(token), _digest(fresh), principal.user, caller, now())
        root = self._root(name)
        if root is None:  # it is just ending
            raise exc.UnknownSession
        if self._doorkeeper is not None:
            await self._doorkeeper.admit(address, party)
            if not root.node_bound:  # it has ended meanwhile, and its place was dismissed before this
                self._doorkeeper.dismiss(address)
                raise exc.UnknownSession
        root.principal = root.node_context.principal = principal
        root._page_is_away()
        self._watch()
        return self._told(address, fresh, fresh=False)

    def _told(self, address: str, token: str, *, fresh: bool) -> dict[str, Any]:
        return {"address": address, "token": token, "new": fresh, "grace": self.GRACE, "server": self._number}

    async def _whoever_calls(self) -> tuple[int, str, Principal]:
        """The WAMP session that calls, its party, and who that is."""
        call = self.node_context.call
        if call is None or call.details is NEAR:
            raise exc.InvalidCall("Sessions are for clients: start_session is called from another connection.")
        caller = _caller(call)
        if caller.session is None:
            raise exc.Forbidden(NOT_TOLD)
        if self._doorkeeper is None:
            if self.USER_ROLES and caller.role not in self.USER_ROLES:
                raise exc.Forbidden("Your role may have no session here.")
            user = self.user_of(caller)
            return (
                caller.session,
                str(caller.session),
                Principal("", user=user, roles=(caller.role,), session=caller.session),
            )
        known = await self._doorkeeper.who(caller.session)
        if known is None:
            raise exc.UnknownSession("The session that called is gone already.")
        principal = Principal(
            known["domain"],
            origin=known["origin"],
            user=known["user"],
            roles=tuple(known["roles"]),
            sealed=known["sealed"],
            tls=known["tls"],
            profile=known["profile"],
            session=caller.session,
        )
        return caller.session, known["party"], principal

    # -- what is asked of it ------------------------------------------------------------------------------------
    @property
    def sessions(self) -> tuple[SessionRoot, ...]:
        """Those that there are."""
        return tuple(node for node in self.node_children.values() if isinstance(node, SessionRoot))

    async def end(self, name: str, why: str = "end") -> None:
        """Ends the session *name*; one that is not there does no harm."""
        root = self._root(name)
        self._stays.close(name)
        self._watch()
        if root is not None and root.node_bound:
            try:
                await self.ended(root, why)
            except Exception:
                log.exception("%r.ended failed", self)
            try:
                await root.on_end.notify(why)
            except* (exc.ConnectionLost, exc.OutcomeUnknown):
                pass  # the page may not hear it
            except* Exception:
                log.exception("A handler of on_end in %r failed", root)
            root._over(why)
            await root.node_unbind()
        if self._doorkeeper is not None and self.node_bound:
            self._doorkeeper.dismiss(str(self.node_path + name))

    def _root(self, name: str) -> SessionRoot | None:
        found = self.node_children.get(name)
        return found if isinstance(found, SessionRoot) else None

    # -- for its sessions -----------------------------------------------------------------------------------------
    @property
    def _number(self) -> int | None:
        """The WAMP session by which this service is reached."""
        session = self.node_context.tree.session
        return None if session is None else session.id

    def _is_here(self, name: str) -> bool:
        """Whether the page of the session *name* is."""
        return self._stays.is_here(name)

    def _confirm(self, name: str) -> None:
        """The page of the session *name* has its token."""
        self._stays.confirm(name)

    def _lets_call(self, root: SessionRoot, call: Invoked | None) -> bool:
        """Whether a call of what is below *root* passes."""
        return call is None or call.details is NEAR or self._lets(root, _caller(call))

    def _lets_say(self, root: SessionRoot, event: Heard | None) -> bool:
        """Whether an event in the name of what is below *root* passes."""
        if event is None:
            return True
        caller = Caller(event.publisher, event.publisher_authid, event.publisher_authrole or "")
        return self._lets(root, caller)

    def _lets_reach(self, root: SessionRoot, address: str) -> bool:
        """Whether what runs in the session *root* may call *address*."""
        head = f"{self.node_path}."
        other = self._root(address[len(head) :].partition(".")[0]) if address.startswith(head) else None
        if other is None or other is root:
            return True
        role = root.principal.roles[0] if root.principal.roles else ANONYMOUS
        return self.policy(Caller(self._stays.client(root.node_name), root.user, role), other) is True

    def _lets(self, root: SessionRoot, caller: Caller) -> bool:
        if caller.session is None or not root.node_bound:
            return False
        if caller.session == self._stays.client(root.node_name):
            return True
        if self._doorkeeper is not None and root.user is not None and caller.user == root.user:
            return True  # who it is in the same tab, by a new connection, say: the doorkeeper has seen to that
        return self.policy(caller, root) is True

    def _policy_at(self, session: int | None, user: str | None, role: str, place: str) -> bool:
        root = self._root(place.rpartition(".")[2])
        return root is not None and self.policy(Caller(session, user, role), root) is True

    # -- while it stands ----------------------------------------------------------------------------------------
    @handler("on_node_register")
    async def _begin(self) -> None:
        connection = self.node_context.get("connection")
        self._doorkeeper = connection.doorkeeper if isinstance(connection, Guarded) else None
        if self._doorkeeper is not None:
            own = type(self).policy is not ApplicationService.policy
            await self._doorkeeper.declare(
                str(self.node_path), safe=self.SAFE, roles=self.USER_ROLES, policy=self._policy_at if own else None
            )
        session = self.node_context.tree.session
        if session is not None:
            self._presence = Presence(self._stays, session, self._page_is_away, self.end)
            await self._presence.begin()

    @handler("on_node_registration_success")
    async def _has_begun(self) -> None:
        await self.on_begin.notify()

    @handler("on_node_unbind")
    async def _finish(self) -> None:
        for root in self.sessions:
            await self.end(root.node_name, "stop")
        if self._presence is not None:
            self._presence.stop()
            self._presence = None
        if self._doorkeeper is not None:
            self._doorkeeper.withdraw(str(self.node_path))

    def _page_is_away(self, name: str) -> None:
        root = self._root(name)
        if root is not None:
            root._page_is_away()

    def _watch(self) -> None:
        if self._presence is not None:
            self._presence.watch()


def _caller(call: Invoked) -> Caller:
    return Caller(call.caller, call.caller_authid, call.caller_authrole or "")


def _new_name() -> str:
    return "s" + base64.b32encode(secrets.token_bytes(20)).decode().lower()


def _new_token() -> str:
    return secrets.token_urlsafe(32)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
