"""What a router's configuration says: a struct for each table of the file, a field for each key; docs/router.md lists
them. `reading.py` makes them of a file; `limen router --realm realm1 --anonymous` makes them by hand.

>>> settings = Settings(realms=(anyone("realm1"),), listeners=(Listener(port=8080),))
>>> settings.realm("realm1").anonymous, settings.realm("realm2")
('anonymous', None)
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta, Struct, field

from limen.base.config import Config
from limen.core.wamp.events.keeping import USUAL

Action: TypeAlias = Literal["call", "register", "publish", "subscribe"]
ACTIONS: Final[tuple[Action, ...]] = ("call", "register", "publish", "subscribe")
Method: TypeAlias = Literal["ticket", "wampcra", "scram", "wamp-scram", "cryptosign", "tls"]
METHODS: Final[tuple[Method, ...]] = ("ticket", "wampcra", "scram", "wamp-scram", "cryptosign", "tls")
Encoding: TypeAlias = Literal["json", "msgpack", "cbor"]
ENCODINGS: Final[tuple[Encoding, ...]] = ("json", "msgpack", "cbor")
Text: TypeAlias = Annotated[str, Meta(min_length=1, max_length=4096)]
Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255)]
Count: TypeAlias = Annotated[int, Meta(ge=1, le=2**40)]
Seconds: TypeAlias = Annotated[float, Meta(gt=0, le=86400)]


class Table(Struct, frozen=True, kw_only=True):
    """Base of all tables of the file."""


# -- secrets and users ------------------------------------------------------------------------------------------------
class Secret(Table, frozen=True):
    """`ticket = {file = "ada.ticket"}`, `{env = "ADA_TICKET"}` or `"…"`: *value* is the secret, wherever it came from.
    Not shown."""

    value: Text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return []


class Cra(Table, frozen=True):
    """WAMP-CRA. With a *salt*, *secret* is the key that the client derives by it: base64 of PBKDF2-HMAC-SHA256."""

    secret: Secret
    salt: str = ""
    iterations: Annotated[int, Meta(ge=1, le=10_000_000)] = 1000
    keylen: Annotated[int, Meta(ge=16, le=64)] = 32


class Scram(Table, frozen=True):
    """WAMP-SCRAM: the *password*, or what is derived of it (*salt*, *stored_key*, *server_key*: base64 or hexadecimal).

    *kdf*: "argon2id-13" is the dialect of Autobahn-Python.
    """

    kdf: Literal["pbkdf2", "argon2id13", "argon2id-13"] = "argon2id13"
    iterations: Annotated[int, Meta(ge=1, le=10_000_000)] = 4
    memory: Annotated[int, Meta(ge=0, le=2**22)] = 512
    """KiB, of argon2id13."""
    password: Secret | None = None
    salt: str = ""
    stored_key: str = ""
    server_key: str = ""


class User(Table, frozen=True):
    """Somebody who may come into a realm, by each of the methods that are given. *name*: the authid. *roles*: the
    first is the authrole. *cryptosign*: Ed25519 public keys in hexadecimal. *tls*: client certificates, by SHA-256 in
    hexadecimal, or "cn:NAME", "dns:NAME", "email:NAME", "uri:NAME"."""

    name: Name
    roles: Annotated[tuple[Name, ...], Meta(min_length=1)]
    ticket: Secret | None = None
    wampcra: Cra | None = None
    scram: Scram | None = None
    cryptosign: tuple[Text, ...] = ()
    tls: tuple[Text, ...] = ()


class Authenticator(Table, frozen=True):
    """A procedure that is asked about users who are not in the configuration. *realm*: where it is registered, if not
    in the same one."""

    procedure: Text
    methods: Annotated[tuple[Method, ...], Meta(min_length=1)] = METHODS
    timeout: Seconds = 5.0
    realm: str = ""


# -- roles and rules --------------------------------------------------------------------------------------------------
class Rule(Table, frozen=True):
    """What a role may do at a URI or a pattern of it. The rule that matches best decides alone.

    *allow*: actions; none: nothing. *disclose*: "caller", "publisher": callees and subscribers are told who it is,
    whether it asks for that or not. *disclose_me*: it may ask. *trust*: the trust level of its calls and events.
    *force_reregister*: its registrations may take the place of others'.
    """

    uri: str
    match: Literal["exact", "prefix", "wildcard"] = "exact"
    allow: tuple[Action, ...] = ()
    disclose: tuple[Literal["caller", "publisher"], ...] = ()
    disclose_me: bool = True
    force_reregister: bool = False
    trust: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None


class Authorizer(Table, frozen=True):
    """A procedure that is asked where no rule says anything. *cache*: seconds for which an answer holds that says it
    may be kept."""

    procedure: Text
    timeout: Seconds = 5.0
    cache: Annotated[float, Meta(ge=0, le=86400)] = 0.0


class Role(Table, frozen=True):
    name: Name
    rules: tuple[Rule, ...] = field(default=(), name="rule")
    authorizer: Authorizer | None = None


# -- realms -----------------------------------------------------------------------------------------------------------
class History(Table, frozen=True):
    """The realm keeps the last *limit* events of each topic or pattern."""

    uri: str
    match: Literal["exact", "prefix", "wildcard"] = "exact"
    limit: Annotated[int, Meta(ge=1, le=1_000_000)] = 1000


class RealmLimits(Table, frozen=True):
    """*sessions*, *retained_…*, *history_bytes*: of the realm; the others of one session. *pending_calls*: that it
    waits for; *invocations*: that wait for it."""

    sessions: Count = Config.MAX_SESSIONS
    pending_calls: Count = 4096
    invocations: Count = 32_768
    registrations: Count = 4096
    subscriptions: Count = 4096
    retained_events: Count = USUAL.retained
    retained_bytes: Count = USUAL.retained_bytes
    history_bytes: Count = USUAL.history_bytes
    testaments: Count = USUAL.testaments
    testament_bytes: Count = USUAL.testament_bytes


class RealmSettings(Table, frozen=True):
    """*anonymous*: the role of those who come in without a name; "": nobody does."""

    name: Name
    anonymous: str = ""
    roles: tuple[Role, ...] = field(default=(), name="role")
    users: tuple[User, ...] = field(default=(), name="user")
    authenticator: Authenticator | None = None
    history: tuple[History, ...] = ()
    limits: RealmLimits = RealmLimits()

    def role(self, name: str) -> Role | None:
        return next((role for role in self.roles if role.name == name), None)

    def user(self, name: str) -> User | None:
        return next((user for user in self.users if user.name == name), None)


# -- listeners --------------------------------------------------------------------------------------------------------
class Tls(Table, frozen=True):
    """Paths of PEM files. *client_ca*: who signs the certificates of clients, which are then asked for; *client*:
    whether one may come without."""

    certificate: Text
    key: Text
    client_ca: str = ""
    client: Literal["required", "optional"] = "required"


class Listener(Table, frozen=True):
    """A port, or a Unix socket (*unix*: its path). *paths*, *origins*, *hosts*: of WebSockets only.

    *origins*: pages that may come in: "own" (of this very host and port), "https://app.example", or "*", every page
    there is. *hosts*: the names under which this listener is known, for "own"; IP addresses and localhost are.
    *proxies*: addresses, networks and "unix", whose Forwarded or X-Forwarded-… headers are believed.
    """

    type: Literal["websocket", "rawsocket"] = "websocket"
    host: Text = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] | None = None
    unix: str = ""
    mode: Annotated[str, Meta(pattern="^0?[0-7]{3}$")] = "600"
    paths: tuple[Text, ...] = ("/ws", "/")
    origins: tuple[Text, ...] = ("own",)
    hosts: tuple[Text, ...] = ()
    encodings: tuple[Encoding, ...] = ENCODINGS
    proxies: tuple[Text, ...] = ()
    tls: Tls | None = None


class Limits(Table, frozen=True):
    """Of the whole router. *origin_connections*, *origin_logins* (at one time): of one IP address that has not logged
    in; *origin_abuse*: the level of misbehaviour from which it is refused (docs/security.md). *queue_bytes*, *stall*:
    what a session may leave unread before it is cut. *hello* and the other times: seconds.
    """

    connections: Count = Config.MAX_CONNECTIONS
    origin_connections: Count = Config.MAX_ORIGIN_CONNECTIONS
    origin_logins: Count = 256
    origin_abuse: Annotated[float, Meta(gt=0, le=1_000_000)] = Config.MAX_ORIGIN_ABUSE_LEVEL
    message_bytes: Count = Config.MAX_MESSAGE_SIZE
    queue_bytes: Count = Config.MAX_QUEUE_SIZE
    stall: Seconds = Config.MAX_STALL
    hello: Seconds = Config.HELLO_TIMEOUT
    login: Seconds = Config.LOGIN_TIMEOUT
    ping: Seconds = Config.PING_INTERVAL
    pong: Seconds = Config.PING_TIMEOUT


class Metrics(Table, frozen=True):
    """Where monitoring asks: `/metrics`, as Prometheus reads it. Whoever reaches it sees how much is going on."""

    port: Annotated[int, Meta(ge=0, le=65535)]
    host: Text = "127.0.0.1"


class Store(Table, frozen=True):
    """Where users of the sealed login are kept; as `--db` and `--keys` of `limen user`."""

    db: Text
    keys: str = ""


class Settings(Table, frozen=True):
    listeners: tuple[Listener, ...] = field(default=(), name="listener")
    realms: tuple[RealmSettings, ...] = field(default=(), name="realm")
    limits: Limits = Limits()
    metrics: Metrics | None = None
    traces: bool = False
    """Calls and events are spans of OpenTelemetry."""
    control: str = ""
    """The socket that `limen top` asks; "": one in the user's runtime folder, named after the first port."""
    store: Store | None = None
    secret: Secret | None = None
    """What the questions to unknown names hang on, that they be the same after a restart; random if None."""

    def realm(self, name: str) -> RealmSettings | None:
        return next((realm for realm in self.realms if realm.name == name), None)

    def authorities(self, name: str) -> frozenset[str]:
        """The procedures of the realm *name* that are asked who may come in and who may do what."""
        logins = [(one.authenticator, one.name) for one in self.realms if one.authenticator is not None]
        asked = {login.procedure for login, at in logins if (login.realm or at) == name}
        realm = self.realm(name)
        roles = realm.roles if realm is not None else ()
        return frozenset(asked | {role.authorizer.procedure for role in roles if role.authorizer is not None})


def anyone(name: str, *, strangers: bool = True) -> RealmSettings:
    """A realm whose sessions may do everything, the meta API included: *strangers*, who come in as "anonymous", and
    users of sealed logins with the role "user"."""

    def all_below(prefix: str) -> Rule:
        return Rule(uri=prefix, match="prefix", allow=ACTIONS, force_reregister=True)

    everything = (all_below(""), all_below("wamp."))
    roles = tuple(Role(name=role, rules=everything) for role in ("anonymous", "user"))
    return RealmSettings(name=name, anonymous="anonymous" if strangers else "", roles=roles)
