"""`App`: one program's services, pages, models and users, and how its rooms are wired together.

Reading order: `App.__init__` says what a program declares; `App.open` what a running one holds; `App.accept` and
`App.asgi` are the two doors.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from limen import exc
from limen.base.config import Config
from limen.base.names import domain_name
from limen.base.principal import Principal, get_state
from limen.service.registry import Registry
from limen.service.rule import Rule
from limen.service.service import make_service_decorator
from limen.service.topic import Topic

from .allowed import authorize
from .later import later
from .origins import host_name, is_loopback
from .server import Server

if TYPE_CHECKING:
    import pathlib
    import socket

    from limen.base.path import Path
    from limen.core.record.port import RecordStore
    from limen.core.wamp.session import Session
    from limen.core.wamp.verdict import Verdict
    from limen.door.gateway.mount import Mounted
    from limen.door.hub.hub import Hub
    from limen.node.connection import Connection
    from limen.service.pipeline import Pipeline
    from limen.transport.wire import Handshake, Peer, Refusal
    from limen.web.spool import Spool
    from limen.web.static import StaticTree

    from .auth import Auth
    from .calllog import CallLog
    from .datastore import DataStore, Storage
    from .hooks import Function, Hooks
    from .parties import Parties
    from .permissions import Permissions
    from .trees import Trees
    from .vault import Vault
    from .verdicts import Verdicts

T = TypeVar("T")


class App:
    """One program. `limen.service`, `limen.static`, … act on a default one; make another for a second in a process.

    >>> app = App()
    >>> @app.service(safe=False)
    ... def hello(name="World"):
    ...     return f"Hello, {name}!"
    >>> hello("Ada"), hello.urlpath, hello.safe
    ('Hello, Ada!', 'hello', False)
    """

    def __init__(self) -> None:
        self.config = Config()
        self._log: Callable[..., None] | None = None
        """The log of security, while a server runs."""
        self.registry = Registry(self.config)
        self.service = make_service_decorator(self.registry.add)
        """`@app.service(…)`: makes a function callable from afar; see `limen.service.service`."""
        self.statics: list[StaticTree] = []
        self.mounts: list[Mounted] = []
        self.server = Server(self)
        self.domains: set[str] = set()
        """Tenants besides `config.DOMAIN`."""
        self.rules: list[Rule] = []
        """What sessions may do besides; see `realm_rule`."""
        self.open_realms = False
        """Anonymous WAMP sessions may register, publish and subscribe anything (`--realm-rules open`)."""
        self._auth_storage: DataStore | None = None
        self._vault: Vault | None = None
        self._own_storage: DataStore | None = None
        self._pipeline: Pipeline | None = None
        self._spool: Spool | None = None
        self.hub: Hub | None = None
        """Realms and connections, while a server runs."""
        self.running = False
        """A server of it runs, on some event loop."""
        self.line: socket.socket | None = None
        """A worker's way to the others (`limen serve --workers N`); see `limen.app.line`."""

    # -- what not every program needs: loaded when it is asked for -----------------------------------------------
    @later
    def storage(self) -> Storage:
        """`with app.storage("why") as db:` is one unit of work; see `limen.app.datastore`."""
        from .datastore import Storage

        return Storage(self._default_storage)

    @later
    def auth(self) -> Auth:
        """Users; see `limen.app.auth`."""
        from .auth import Auth

        return Auth(self)

    @later
    def permissions(self) -> Permissions:
        """What was granted to roles, and the rulebook of it; see `limen.app.permissions`."""
        from .permissions import Permissions

        return Permissions(self)

    @later
    def hooks(self) -> Hooks:
        """The functions that `on` declared; see `limen.app.hooks`."""
        from .hooks import Hooks

        return Hooks()

    @later
    def trees(self) -> Trees:
        """What `bind` declared, and the connections that are open; see `limen.app.trees`."""
        from .trees import Trees

        return Trees(self)

    # -- what a program declares --------------------------------------------------------------------------------
    def static(self, urlpath: str, root: str | pathlib.Path, **options: Any) -> StaticTree:
        """Serves the files below *root* at *urlpath*; options and rules: `limen.web.static.StaticTree`."""
        from limen.web.static import StaticTree

        tree = StaticTree(urlpath, root, **options)
        self.statics.append(tree)
        self.statics.sort(key=lambda t: len(t.urlpath), reverse=True)
        return tree

    def on(self, event: str, function: Function | None = None) -> Any:
        """`@app.on("session.opened")`: the function is called when that happens; events and rules: `limen.app.hooks`.
        With the function as second argument it gives the undo. Raises ValueError for an event that there is not."""
        return self.hooks.on(event, function)

    def bind(self, path: Path | str, factory: Any = None, *, domain: str | None = None) -> Any:
        """Binds what *factory* gives, a `Node` (its class, say) or an awaitable of one, at *path* while a server
        runs, in *domain* or in each domain; `@app.bind("todo.lists")` does so with a class. One process of a server
        binds it; `limen.app.trees`. Gives the factory.

        >>> from limen import Node
        >>> @App().bind("todo.lists")
        ... class Lists(Node): ...
        """
        if factory is None:
            return lambda factory: self.bind(path, factory, domain=domain)
        self.trees.bind(path, factory, domain)
        return factory

    def connection(self, domain: str | None = None) -> Connection:
        """A `Connection` of the program itself to the App that is served, in its own process: no rule is asked about
        what it does. It is closed with the server, if not before. Raises exc.ConnectionLost where no server runs."""
        return self.trees.connection(domain)

    def mount(self, urlpath: str, application: Callable[..., Any], **options: Any) -> Mounted:
        """Serves another ASGI or WSGI application at *urlpath* and below, behind the guard of a call; "/": at whatever
        nothing else stands. Gives what stands there.

        Options: *ssl*, *check_abusive*, *check_perm* as for services; *methods*, all by default; *cross_site*: whether
        other sites' pages may ask it; *threads* of a WSGI application; *wsgi*: whether it is one, if that can't be
        seen. Raises ValueError if something stands there already, TypeError for *safe* and *roles*: nobody is logged
        in there.

        >>> async def hello(scope, receive, send):
        ...     await send({"type": "http.response.start", "status": 204})
        ...     await send({"type": "http.response.body"})
        >>> App().mount("/admin", hello).segments
        ('admin',)
        """
        from limen.door.gateway.mount import SEALED, Mounted

        if wrong := [name for name in ("safe", "roles") if name in options]:
            raise TypeError(SEALED.format(wrong[0]))
        mounted = Mounted(urlpath, application, **options)
        taken = {service.urlpath for service in self.registry} | {m.urlpath for m in self.mounts}
        if mounted.urlpath in taken | {tree.urlpath.strip("/") for tree in self.statics}:
            raise ValueError(f"/{mounted.urlpath} is taken already; mount it at another path.")
        self.mounts.append(mounted)
        self.mounts.sort(key=lambda m: len(m.segments), reverse=True)
        return mounted

    def get_url(self, target: Any, /, *args: Any, extension: str | None = None, **params: Any) -> str:
        """The URL, from Limen's own root on, that calls the service *target* (the function, or its name) with just
        these arguments: *args* become segments of the path, *params* the query, *extension* the format of the answer.

        What it gives was read again as the door does it: InvalidArguments where something else would come back. Other
        errors: NotFound where *target* is no service, InvalidCall where it is sealed.

        >>> app = App()
        >>> @app.service("shop/price", safe=False, methods=["GET"])
        ... def price(item: str, count: int = 1): ...
        >>> app.get_url(price, "green tea", count=2, extension="json")
        '/shop/price/green%20tea.json?count=2'
        >>> app.get_url(price, "green/tea")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        limen.exc.InvalidArguments: /shop/price/green%2Ftea is no path (...
        """
        from limen.door.http.urls import url_of

        return url_of(self.registry, self.pipeline, target, args, params, extension)

    def topic(
        self,
        uri: str,
        *,
        safe: bool = True,
        roles: Iterable[str] = (),
        check_perm: Callable[..., bool] | None = None,
    ) -> Topic:
        """Declares a topic that sessions may subscribe to and that only this program publishes to.

        *safe*: only sealed sessions may subscribe. *roles*, *check_perm*: as for services.
        """
        topic = Topic(uri, safe=safe, roles=tuple(roles), check_perm=check_perm, send=self._publish)
        self.registry.add_topic(topic)
        if self.hub is not None:
            self.hub.declared(topic.uri)
        return topic

    def realm_rule(self, actions: str | Iterable[str], uri: str, **options: Any) -> None:
        """Lets WAMP sessions register, call, publish or subscribe at *uri*; options: `limen.service.rule.Rule`.

        >>> app = App()
        >>> app.realm_rule(["register", "call"], "device.", match="prefix", roles=["technician"])
        """
        self.rules.append(Rule(actions, uri, **options))

    def add_model(self, model: type[T], *more: type) -> type[T]:
        """Keeps records of these models in the App's default store (`config.DB`, `--db`). Gives the first back, so that
        it may stand above a class: `@add_model`."""
        self.storage.add_models(None, model, *more)
        return model

    def add_storage(self, storage: DataStore, *models: type) -> None:
        """Keeps records of these models in *storage*."""
        self.storage.add_models(storage, *models)

    def add_domain(self, name: str) -> None:
        """Answers for one more tenant; its host name must be this."""
        self.domains.add(domain_name(name))

    def set_auth_storage(self, storage: DataStore) -> None:
        """See `Auth.setup`."""
        if self._vault is not None and self._vault.storage is not storage:
            raise exc.StoreError("auth.setup() came too late: users were read or written already; call it first.")
        self._auth_storage = storage

    @contextlib.contextmanager
    def in_memory(self) -> Iterator[None]:
        """For the length of the block, all that the program keeps is in memory and empty at first: its records,
        wherever they are kept else, users, sessions, the abuse ledger. For tests; not while the App is served.

        >>> app = App()
        >>> with app.in_memory():
        ...     app.auth.users()
        []
        """
        if self.hub is not None:
            raise exc.StoreError("This App is being served; begin with in_memory(), and serve it inside the block.")
        from limen import dbm

        from .datastore import DataStore

        before = self.storage.instead, self._auth_storage, self._vault
        store = DataStore(dbm.MemDictStore())
        self.storage.instead, self._auth_storage, self._vault = store, store, None
        try:
            yield
        finally:
            self.storage.instead, self._auth_storage, self._vault = before
            self.hub = self._pipeline = None

    # -- what a running program holds ---------------------------------------------------------------------------
    def record_stores(self) -> list[RecordStore]:
        """Every store of records that this program has, once: of models, accounts, sessions, …"""
        from .datastore import ROLES

        storages = [self._auth_storage or self._default_storage(), *self.storage.storages()]
        stores = [getattr(storage, role).records for storage in storages for role in ROLES]
        return list({id(store): store for store in stores}.values())

    def _default_storage(self) -> DataStore:
        if self._own_storage is None:
            from limen import dbm

            from .datastore import DataStore

            url = self.config.DB or os.environ.get("LIMEN_DB", "")
            self._own_storage = DataStore(dbm.SQLStore(url) if url else dbm.MemDictStore())
        return self._own_storage

    def auth_storage(self) -> DataStore:
        """Which DataStore keeps accounts, sessions and permissions."""
        return self._auth_storage or self._default_storage()

    def has_storage(self) -> bool:
        """Something is kept somewhere."""
        return self._auth_storage is not None or self._own_storage is not None

    @property
    def has_users_at_hand(self) -> bool:
        """Users, sessions or keys were asked for already, so that their stores are open."""
        return self._vault is not None

    @property
    def vault(self) -> Vault:
        """Accounts, slots, ledger and keys; opened when first needed."""
        if self._vault is None:
            from .vault import Vault

            self._vault = Vault(self._auth_storage or self._default_storage(), self.config)
        return self._vault

    @property
    def spool(self) -> Spool:
        """Where files lie on their way; see `limen.web.spool`."""
        if self._spool is None:
            from limen.web.spool import Spool

            from .vault import own_path

            own = own_path(self.vault.url)
            beside = None if own is None else own.with_name(own.name + ".uploads")
            self._spool = Spool(self.config.UPLOADS or beside, self.config.UPLOAD_TIMEOUT, self.config.UPLOAD_RESERVE)
        return self._spool

    @property
    def pipeline(self) -> Pipeline:
        """The way of every call from guard to function."""
        if self._pipeline is None:
            from limen.service.pipeline import Pipeline

            self.permissions.load()
            self._pipeline = Pipeline(self.config, rulebook=self.permissions.rulebook)
        return self._pipeline

    def open(self) -> Hub:
        """Opens the stores, and makes the hub. Called by the server at its start; a second call gives the same hub."""
        if self.hub is None:
            from .running import make_hub

            self.hub = make_hub(self)
        return self.hub

    # -- who may ------------------------------------------------------------------------------------------------
    def domain_of(self, host: str) -> str | None:
        """The domain that a Host header means, None for one that is not ours (DNS rebinding, RFC 9110 §7.4).

        >>> app = App()
        >>> app.domain_of("localhost:9000"), app.domain_of("127.0.0.1:9000"), app.domain_of("evil.example")
        ('localhost', 'localhost', None)
        """
        name = host_name(host)
        if name == self.config.DOMAIN or name in self.domains:
            return name
        if self.config.DOMAIN == "localhost" and is_loopback(name):
            return self.config.DOMAIN
        return None

    def authorize(self, session: Session, action: str, uri: str, options: Mapping[str, Any]) -> Verdict:
        """Closed by default: local services guard themselves, subscriptions need a declared topic, the rest a rule. A
        pattern is allowed where all is that it stands for. What another process must be asked is denied."""
        return authorize(self, session, action, uri, options) or self.verdicts.of(False, action)

    @later
    def verdicts(self) -> Verdicts:
        """What is said of an action."""
        from .verdicts import Verdicts

        return Verdicts()

    @later
    def parties(self) -> Parties:
        """Whose the addresses of application sessions are; see `limen.app.parties`."""
        from .parties import Parties

        return Parties(self.verdicts)

    def _publish(self, domain: str, uri: str, args: list[Any], kwargs: dict[str, Any]) -> None:
        if self.hub is not None:
            self.hub.publish(domain, uri, args, kwargs)

    def end_sessions(
        self, domain: str, user: str, keep: bytes | None = None, why: str = "ended", key: bytes | None = None
    ) -> int:
        """Ends all sessions of a user (but the slot *keep*; with *key* only those that came in with it), from any
        thread; gives how many slots. *why*: as the program's hooks are told."""
        slots = self.vault.slots
        if key is None:
            gone = slots.remove_user(domain, user, keep=keep)
        else:
            of_key = [slot.handle for slot in slots.list(domain, user) if slot.key == key]
            gone = [slot for handle in of_key for slot in slots.remove(domain, handle)]
        if self.hub is not None and self.running:
            from limen.door.hub.ends import end_user

            hub = self.hub

            def end() -> None:
                hub.logins.slots_over(gone, why)
                end_user(hub, domain, user, keep=keep, key=key, words="This session was ended.", why=why)

            hub.loop.call_soon_threadsafe(end)
        return len(gone)

    def on_loop(self, function: Callable[[], T]) -> T:
        """Runs *function* where the ledger lives: on the server's loop, or here when none runs."""
        if self.hub is None or not self.running:
            return function()
        import asyncio  # there is a loop, so it is loaded; without one nobody needs it

        if asyncio._get_running_loop() is self.hub.loop:
            return function()

        async def run() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self.hub.loop).result(30)

    def log_security(self, log: CallLog) -> Callable[[], None]:
        """On the loop of a server that begins: *log* hears what matters to security; gives what ends that."""
        hub, ledger = self.open(), self.vault.ledger

        def note(event: str, **facts: object) -> None:
            hub.loop.call_soon_threadsafe(lambda: log.event(event, **facts))

        def end() -> None:
            self._log = ledger.noted = None

        self._log = hub.gate.note = note
        ledger.noted = lambda what, entry: log.entry(ledger, what, entry)
        return end

    def note(self, event: str, **facts: object) -> None:
        """Something that matters to security, for the log of the server that runs; from any thread. `by`, the user
        whose call it is, is added where it is one's."""
        if self._log is not None:
            state = get_state()
            self._log(event, **facts, **({"by": state.impersonated_by or state.user} if state.user else {}))

    # -- the doors ----------------------------------------------------------------------------------------------
    def accept(self, handshake: Handshake) -> tuple[str | None, Peer] | Refusal:
        """The door of WebSockets and RawSockets: decides on a handshake (transport/wire.py)."""
        from .accepting import accept

        return accept(self, handshake)

    def asgi(self, inner: Callable[..., Any] | None = None) -> Callable[..., Any]:
        """The App as an ASGI application, for any ASGI server.

        *inner*: another ASGI application (FastAPI, Starlette, Django, …), which is asked, as if it stood alone, where
        no service, no folder and no mounted application of the App stands; docs/how-to/mount.md.
        """
        from .running import make_asgi

        return make_asgi(self, inner)

    def wsgi(self) -> Callable[..., Any]:
        """The App as a WSGI application: plain calls, files, and the sealed HTTP lane; no WebSockets.

        Nothing is opened before the first request: a server may fork before it. See docs/servers.md for which
        processes and threads it may run.
        """
        from limen.door.gateway.wsgi import Wsgi

        from .background import Background

        return Wsgi(Background(self).begin)

    def local(self, user: str | None = None, **more: Any) -> Principal:
        """A principal for calls in this process (tests, scripts): sealed, if *user* is given."""
        return Principal(
            more.pop("domain", self.config.DOMAIN),
            user=user,
            sealed=user is not None,
            tls=True,
            **({"roles": ("user",), "profile": {"username": user}} if user is not None else {}) | more,
        )
