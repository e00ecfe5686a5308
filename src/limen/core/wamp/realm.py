"""The realm: one domain's router, a machine without I/O. Messages go in, effects come out.

    bytes -> codec(name).decode -> realm.receive(session, message) -> effects -> the edge acts

Before a session there is `session.handshake(message, methods) -> Greeting | Abort`, for the first message of a
connection; the door authenticates the Greeting, makes a `Session(id, principal, roles, codec_name, peer)`, attaches it
and sends `Welcome(session.id, {"roles": realm.roles, …})`.

    >>> from limen.core.wamp.session import Session
    >>> from limen.core.wamp.messages import Call, Subscribe
    >>> from limen.core.wamp.verdict import ALLOWED
    >>> realm = Realm("a.example", rng=lambda: 7, procedures={"add": "the service"}.get, authorize=lambda *who: ALLOWED)
    >>> alice = Session(1)
    >>> realm.attach(alice)
    ()
    >>> realm.receive(alice, Call(1, {}, "add", [2, 3]))
    (Invoke(session=<Session 1 >, request=1, uri='add', procedure='the service', args=[2, 3], kwargs={}, options={}),)
    >>> realm.settle(alice, 1)
    True
    >>> realm.receive(alice, Subscribe(3, {}, "todo.changed"))[-1].message.reason
    'wamp.error.protocol_violation'

The edge, in full (`effects.py` says what each is):

    for effect in realm.receive(session, message):
        match effect:
            case Send(session, message): …                    # realm.undeliverable where encoding raises InvalidValue
            case Broadcast(sessions, message): …              # encode once for each codec
            case Invoke(session, request, uri, procedure, args, kwargs, options): …  # answer if realm.settle says so
            case Interrupt(session, request, mode): …         # stop that local service
            case Close(session, message): …                   # send it if there is one, then close
            case Ask(session, action, uri, options): …        # realm.decide(session, verdict), sooner or later
            case Spread() | Claim() | Unclaim() | Gather() | Listen(): …  # for other processes (`Across`)
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sized
from typing import Any, Final

from limen.core.wamp.calls.dealer import Dealer
from limen.core.wamp.calls.registrar import Registrar
from limen.core.wamp.effects import (
    Ask,
    Close,
    Effects,
    Send,
    Violation,
)
from limen.core.wamp.events.broker import Broker
from limen.core.wamp.events.keeping import USUAL, Keeping
from limen.core.wamp.features import features
from limen.core.wamp.messages import (
    CALL,
    PUBLISH,
    Abort,
    Args,
    Call,
    Cancel,
    Error,
    Goodbye,
    Invocation,
    Kwargs,
    Message,
    Publish,
    Register,
    Result,
    Subscribe,
    Unregister,
    Unsubscribe,
    Yield,
)
from limen.core.wamp.meta.meta import Meta
from limen.core.wamp.meta.registrations import RegistrationMeta
from limen.core.wamp.meta.sessions import SessionMeta
from limen.core.wamp.meta.subscriptions import SubscriptionMeta
from limen.core.wamp.meta.testaments import Testaments
from limen.core.wamp.session import GOODBYE_AND_OUT, PROTOCOL_VIOLATION, Session
from limen.core.wamp.trace import PARENT, carried
from limen.core.wamp.verdict import Authorize, Verdict
from limen.exc import InvalidValue


class Realm:
    """The router of one domain.

    *rng*: draws publication ids, 1 to 2^53. *procedures*: the local service at a URI, or None; they win over
    registrations. *authorize* (`verdict.py`): whether a session may "register", "publish" or "subscribe" there, or
    "call" a procedure that another session registered; local services guard themselves. *now*: a monotonic clock in
    seconds, the one whose time `tick` gets; *wall*: the time of day, seconds since 1970. *max_…*: bounds of one
    session (*max_pending*: calls that it waits for; *max_invocations*: calls that wait for it). *keeping*: what is kept
    for sessions, and how much. *shared*: other processes have realms of this domain, which are one router with this one
    (`Spread`, `Claim`).
    """

    def __init__(
        self,
        name: str,
        *,
        rng: Callable[[], int],
        procedures: Callable[[str], object | None],
        authorize: Authorize,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        max_pending: int = 4096,
        max_invocations: int = 32768,
        max_registrations: int = 4096,
        max_subscriptions: int = 4096,
        keeping: Keeping = USUAL,
        shared: bool = False,
    ) -> None:
        self.name = name
        self.roles = features(history=bool(keeping.history))
        """WELCOME.Details.roles."""
        self.sessions: dict[int, Session] = {}
        self._rng = rng
        self._registrar = registrar = Registrar(procedures, authorize, max_registrations, shared, wall)
        self._dealer = dealer = Dealer(
            procedures, authorize, now, lambda n: rng() % n, registrar, max_pending, max_invocations
        )
        self._broker = broker = Broker(rng, wall, authorize, max_subscriptions, keeping, shared)
        registrar.happened = broker.happened
        self._session_meta = session_meta = SessionMeta(self.sessions, self._end, broker.happened)
        self._testaments = testaments = Testaments(broker, keeping.testaments, keeping.testament_bytes)
        own = {
            **RegistrationMeta(registrar).meta,
            **SubscriptionMeta(broker.table, broker.events).meta,
            **session_meta.meta,
            **testaments.meta,
        }
        self._meta = dealer.own = Meta(authorize, own, shared)
        self._requests: dict[type[Any], Callable[..., Effects]] = {
            Call: dealer.call,
            Publish: broker.publish,
            Subscribe: broker.subscribe,
            Unsubscribe: broker.unsubscribe,
            Register: registrar.register,
            Unregister: registrar.unregister,
        }
        self._others: dict[type[Any], Callable[[Session, Any], Effects | None]] = {
            Yield: dealer.yield_,
            Error: dealer.error,
            Cancel: dealer.cancel,
            Goodbye: self._goodbye,
            Abort: self._abort,
        }
        self.settle = dealer.settle
        """`settle(session, request) -> bool`: whether the final answer of a local service is still awaited; from then
        on it is not. Whoever gets True sends the RESULT or ERROR."""
        self.progressed = dealer.progressed
        """`progressed(session, request) -> bool`: whether a progressive result of a local service is awaited."""
        self.deadlines: Sized = dealer.deadlines
        """Calls with a time-out; while it is empty nobody need ask for the next."""
        self.next_deadline = dealer.next_deadline
        """`next_deadline() -> float | None`: when `tick` is due, by *now*'s clock."""
        self.tick = dealer.tick
        """`tick(now) -> effects`: ends the calls whose time is up."""
        self.claimed, self.listening = registrar.claimed, broker.listening
        """What follows from a `Claim`, and from a `Listen`."""
        self.host, self.unhost, self.revoke_here = registrar.host, registrar.unhost, registrar.revoke_here
        self.relay, self.proceed, self.withdraw = dealer.relay, dealer.proceed, dealer.withdraw
        self.registration = registrar.table.get
        self.hearers = broker.hearers
        """`hearers(uri) -> sessions`: who has subscribed that, or a pattern that stands for it."""
        self.hear = broker.hear
        """`hear(spread) -> effects`: an event of another process."""
        self.kept, self.keep = broker.kept, broker.keep
        """What is retained, and the history: for a process that starts later."""
        self.answer, self.gathered = self._meta.answer, self._meta.gathered
        """What this process answers to a call of the meta API; and the answer of all (`Gather`)."""
        self.yielded, self.failed = dealer.yield_, dealer.error
        """What sessions that stand for those of another process do."""

    def listened(self, listens: bool) -> None:
        """Whether in other processes anybody listens to what happens to sessions, subscriptions and registrations."""
        self._broker.listened = listens

    # -- sessions -----------------------------------------------------------------------------------------------
    def attach(self, session: Session) -> Effects:
        """*session* joins the realm; others who listen hear of it. Raises ValueError for an id that is taken."""
        if session.id in self.sessions:
            raise ValueError(f"there is a session {session.id} already")
        effects = self._session_meta.came(session)
        self.sessions[session.id] = session
        session.attached = True
        return effects

    def detach(self, session: Session, *, quietly: bool = False) -> Effects:
        """*session* leaves, whatever the reason, and nothing of it stays; its callers and callees are told, and who
        reads its testaments, or listens for such (not *quietly*). Doing it twice does no harm. Local services that run
        for it are the edge's: stop them or let them go on."""
        if not session.attached:
            return ()
        session.attached = False
        del self.sessions[session.id]
        self._meta.leave(session)
        happened = self._broker.leave(session)
        effects = [*self._dealer.leave(session), *self._registrar.leave(session), *happened]
        if quietly:
            self._testaments.drop(session)
        else:
            effects += self._testaments.read(session)
            effects += self._session_meta.left(session)
        return effects

    def _end(self, session: Session, goodbye: Goodbye, quietly: bool) -> Effects:
        """Another session ends this one."""
        return [Close(session, goodbye), *self.detach(session, quietly=quietly)]

    # -- what sessions say --------------------------------------------------------------------------------------
    def receive(self, session: Session, message: Message) -> Effects:
        """What follows from *message* of *session*. Of a session that has left nothing does."""
        if not session.attached:
            return ()
        if session.held is not None and type(message) not in _NEVER_HELD:
            session.held.append((message, None))
            return ()
        try:
            request = self._requests.get(type(message))
            if request is not None:
                number: int = message.request  # type: ignore[union-attr]  # all of these have one
                if number != session.next_request:
                    return self._out_of_order(session, message, number)
                session.next_request = number + 1
                effects = request(session, message)
                if effects and type(effects[0]) is Ask:
                    session.held = deque([(message, None)])
                return effects
            other = self._others.get(type(message))
            follows = other(session, message) if other is not None else None
        except Violation as violation:
            return self._violation(session, str(violation))
        if follows is None:
            return self._violation(session, f"{type(message).__name__.upper()} was not expected here")
        return follows

    def decide(self, session: Session, verdict: Verdict) -> Effects:
        """The answer to an `Ask`: what the session has said meanwhile follows, in its order, up to the next `Ask`."""
        held = session.held
        if held is None or not session.attached:
            return ()
        asked, _ = held[0]
        try:
            effects = [*self._requests[type(asked)](session, asked, verdict)]
        except Violation as violation:
            return self._violation(session, str(violation))
        if effects and type(effects[0]) is Ask:  # it takes more than one right
            return effects
        held.popleft()
        session.held = None
        while held and session.attached:
            message, error = held.popleft()
            effects += self.receive(session, message) if error is None else self.refuse(session, message, error)
            if session.held is not None:  # it has to be asked again
                session.held += held
                break
        return effects

    def refuse(self, session: Session, message: Message, error: InvalidValue) -> Effects:
        """What follows from a *message* whose payload is not acceptable (`codecs.Unacceptable`)."""
        if type(message) is Yield and (call := session.invocations.get(message.request)) is not None:
            return self._dealer.stop(call, _failure(CALL, call.request, error))
        if session.held is not None and type(message) not in _NEVER_HELD:
            session.held.append((message, error))
            return ()
        if not isinstance(message, Call | Publish) or not session.attached:
            return self.receive(session, message)
        if message.request != session.next_request:
            return self._out_of_order(session, message, message.request, error)
        session.next_request += 1
        if type(message) is Publish and message.options.get("acknowledge") is not True:
            return ()
        return (Send(session, _failure(CALL if type(message) is Call else PUBLISH, message.request, error)),)

    def undeliverable(self, session: Session, message: Message, error: InvalidValue) -> Effects:
        """What follows where *message* could not be encoded for *session*: the caller is told why, events are lost."""
        match message:
            case Invocation(request) if request in session.invocations:
                call = session.invocations[request]
                return self._dealer.drop(call, _failure(CALL, call.request, error))
            case Result(request) if request in session.calls:
                return self._dealer.stop(session.calls[request], _failure(CALL, request, error))
            case Result(request):
                return (Send(session, _failure(CALL, request, error)),)
            case Error(kind, request, _, uri) if message.args or message.kwargs:
                return (Send(session, Error(kind, request, {}, uri)),)
        return ()

    def _goodbye(self, session: Session, message: Goodbye) -> Effects:
        answer = None if message.reason == GOODBYE_AND_OUT else Goodbye({}, GOODBYE_AND_OUT)
        return [*self.detach(session), Close(session, answer)]

    def _abort(self, session: Session, message: Abort) -> Effects:
        return [*self.detach(session), Close(session, None)]

    def _out_of_order(
        self, session: Session, message: Message, number: int, error: InvalidValue | None = None
    ) -> Effects:
        if type(message) is Call and number < session.next_request:  # a call may come in parts
            failure = None if error is None else _failure(CALL, number, error)
            try:
                return self._dealer.proceed(session, message, failure)
            except Violation as violation:
                return self._violation(session, str(violation))
        return self._violation(session, f"request {number} came where {session.next_request} was due")

    def _violation(self, session: Session, sentence: str) -> Effects:
        return [*self.detach(session), Close(session, Abort({"message": sentence}, PROTOCOL_VIOLATION))]

    # -- what the server says -----------------------------------------------------------------------------------
    def publish(self, uri: str, args: Args, kwargs: Kwargs, options: Mapping[str, Any] | None = None) -> Effects:
        """An event of the server itself. *options*: black- and whitelists, as PUBLISH has them."""
        details = carried(options) if options and PARENT in options else {}
        return self._broker.say(uri, args, kwargs, self._rng(), options or {}, details, None)

    # -- what is seen of it -------------------------------------------------------------------------------------
    def counted(self) -> dict[str, int]:
        """What has happened here since the start: calls to callees (entered, answered, failed), events (published, and
        how often one was delivered); and how many are retained."""
        dealer, broker = self._dealer, self._broker
        return {
            "calls": dealer.calls,
            "answered": dealer.answered,
            "failed": dealer.failed,
            "published": broker.published,
            "delivered": broker.delivered,
            "retained": broker.retained.count,
        }


_NEVER_HELD: Final = frozenset({Yield, Error, Abort})
"""What others wait for, or what ends it all."""


def _failure(kind: int, request: int, error: InvalidValue) -> Error:
    return Error(kind, request, {}, error.uri, list(error.err), error.to_wire())
