"""Whether a configuration makes sense: names that must fit each other, and what only looks right.

`look` is asked when each key by itself is right, or has had its own mistake. What it finds goes to `Notes`.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable
from importlib.util import find_spec
from ipaddress import ip_address
from typing import Any, Final, TypeVar

from msgspec.structs import replace

from limen import exc
from limen.base.names import domain_name
from limen.base.proxies import Proxies
from limen.core.wamp.uris import is_pattern, is_reserved, is_uri

from .checking import Notes
from .config import Authenticator, Listener, RealmSettings, Role, Rule, Settings, Tls, User
from .places import Path
from .rules import Rules
from .users import Users

T = TypeVar("T")

NO_URI: Final = "is no URI: components between dots, none empty, without spaces and #"
NO_PATTERN: Final = {
    "exact": NO_URI,
    "prefix": 'is no prefix: a URI, which may end in a dot, or "" for all there is',
    "wildcard": "is no pattern: components between dots, empty ones match any, without spaces and #",
}
WEB_ONLY: Final = ("paths", "origins", "hosts", "proxies")


def look(settings: Settings, notes: Notes) -> Settings:
    """Notes what is wrong in *settings*; gives them with paths taken from the file's folder on."""
    listeners = tuple(_listener(one, at, notes) for one, at in notes.each(settings.listeners, ("listener",)))
    _once(listeners, ("listener",), _address, "another listener has that already", notes)
    metrics = settings.metrics
    if metrics is not None and find_spec("prometheus_client") is None:
        notes.wrong(("metrics",), 'they need what is not installed: pip install "limen[observe]"')
    if metrics is not None and metrics.port and (metrics.host, metrics.port) in map(_address, listeners):
        notes.wrong(("metrics", "port"), "a listener has that already: metrics have a port of their own")
    if not settings.realms and not notes.mistakes:
        notes.wrong((), 'there is no realm: [[realm]] and name = "realm1", say')
    for realm, at in notes.each(settings.realms, ("realm",)):
        _realm(realm, at, notes)
        if not notes.mistakes:
            _trusted(settings, realm, at, notes)
            _unknown(settings, realm, at, notes)
        if settings.store is not None and not _is_host(realm.name):
            notes.remark(at, "its name is no host name, so that nobody comes into it by the sealed login")
    _once(settings.realms, ("realm",), lambda realm: realm.name, "there is a realm of that name already", notes)
    store = settings.store
    if store is not None and store.keys:
        store = replace(store, keys=notes.file(store.keys))
    return replace(
        settings, listeners=listeners, store=store, control=settings.control and notes.file(settings.control)
    )


def _once(items: Iterable[T], path: Path, key: object, what: str, notes: Notes) -> None:
    seen = set()
    for item, at in notes.each(items, path):
        value = key(item)  # type: ignore[operator]
        if value is not None and value in seen:
            notes.wrong(at, what)
        seen.add(value)


# -- listeners --------------------------------------------------------------------------------------------------------
def _address(listener: Listener) -> object:
    return listener.unix or (None if not listener.port else (listener.host, listener.port))


def _listener(listener: Listener, at: Path, notes: Notes) -> Listener:
    if not notes.sound(at):
        return listener
    if (listener.port is None) is not bool(listener.unix):
        notes.wrong(at, 'a listener has a port or a Unix socket: port = 8080, or unix = "router.sock"')
    if listener.type == "rawsocket":
        usual = Listener()
        for name in WEB_ONLY:
            if getattr(listener, name) != getattr(usual, name):
                notes.wrong((*at, name), "a RawSocket has neither paths nor pages: this is of WebSockets only")
    for path, place in notes.each(listener.paths, (*at, "paths")):
        if not path.startswith("/") or any(letter in path for letter in " ?#%"):
            notes.wrong(place, f'"{path}" is no path: "/ws", say')
    for origin, place in notes.each(listener.origins, (*at, "origins")):
        if origin not in ("own", "*") and not _is_origin(origin):
            notes.wrong(place, f'"{origin}" is no origin: "https://app.example", "own", or "*"')
        if origin == "*" and not listener.tls:
            notes.remark(place, "every page that a browser on this network shows may come in as that browser's user")
    try:
        Proxies(listener.proxies)
    except exc.InvalidAddress as error:
        notes.wrong((*at, "proxies"), str(error).removeprefix("PROXIES, --proxy: "))
    tls = listener.tls and _tls(listener.tls, (*at, "tls"), notes)
    if tls is None and not listener.unix and not _is_loopback(listener.host) and not listener.proxies:
        notes.remark(at, f"on {listener.host} without TLS: tickets and all else travel in clear")
    return replace(listener, tls=tls, unix=listener.unix and notes.file(listener.unix))


def _is_origin(text: str) -> bool:
    scheme, slashes, rest = text.partition("://")
    return bool(slashes and scheme and rest) and text == text.lower() and not any(letter in rest for letter in "/?#@ *")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_host(name: str) -> bool:
    try:
        return domain_name(name) == name
    except exc.InvalidAddress:
        return False


def _tls(tls: Tls, at: Path, notes: Notes) -> Tls:
    tls = replace(
        tls,
        certificate=notes.file(tls.certificate),
        key=notes.file(tls.key),
        client_ca=tls.client_ca and notes.file(tls.client_ca),
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(tls.certificate, tls.key)
    except ssl.SSLError as error:
        notes.wrong(at, f"{tls.certificate} and {tls.key} are no certificate and its key: {_why(error)}")
    except OSError as error:
        for name, path in (("certificate", tls.certificate), ("key", tls.key)):
            if not os.access(path, os.R_OK) or os.path.isdir(path):
                notes.wrong((*at, name), f"{path} can't be read: {_why(error)}")
    if tls.client_ca:
        try:
            context.load_verify_locations(tls.client_ca)
        except OSError as error:
            notes.wrong((*at, "client_ca"), f"{tls.client_ca} holds no certificates: {_why(error)}")
    return tls


def _why(error: OSError) -> str:
    return (error.reason if isinstance(error, ssl.SSLError) else error.strerror) or str(error)


# -- realms -----------------------------------------------------------------------------------------------------------
def _realm(realm: RealmSettings, at: Path, notes: Notes) -> None:
    if not is_uri(realm.name) or is_reserved(realm.name):
        notes.wrong((*at, "name"), f'"{realm.name}" {NO_URI}; "wamp." and "limen." are taken')
    roles = notes.names((*at, "role"))
    if realm.anonymous and realm.anonymous not in roles:
        notes.wrong((*at, "anonymous"), _no_role(realm.anonymous, roles))
    for role, place in notes.each(realm.roles, (*at, "role")):
        _role(role, place, notes)
    _once(realm.roles, (*at, "role"), lambda role: role.name, "there is a role of that name already", notes)
    for user, place in notes.each(realm.users, (*at, "user")):
        _user(user, place, realm, roles, notes)
    _once(realm.users, (*at, "user"), lambda user: user.name, "there is a user of that name already", notes)
    for history, place in notes.each(realm.history, (*at, "history")):
        if not is_pattern(history.uri, history.match):
            notes.wrong((*place, "uri"), f'"{history.uri}" {NO_PATTERN[history.match]}')
    _once(realm.history, (*at, "history"), lambda one: (one.match, one.uri), "its history is kept already", notes)
    if realm.authenticator is not None:
        _authenticator(realm.authenticator, (*at, "authenticator"), notes)
    if not realm.anonymous and not realm.users and realm.authenticator is None and not notes.mistakes:
        notes.remark(at, "nobody can come in: neither anonymous, nor [[realm.user]], nor [realm.authenticator]")


def _no_role(name: str, roles: set[str]) -> str:
    there = ", ".join(f'"{role}"' for role in sorted(roles))
    return f'the realm has no role "{name}"' + (f"; there are {there}" if there else ": [[realm.role]] and its name")


def _role(role: Role, at: Path, notes: Notes) -> None:
    if role.name.startswith("limen.") or any(letter.isspace() for letter in role.name):
        notes.wrong((*at, "name"), f'"{role.name}" can\'t be a role: it has spaces, or begins with "limen."')
    for rule, place in notes.each(role.rules, (*at, "rule")):
        _rule(rule, place, notes)
    _once(
        role.rules,
        (*at, "rule"),
        lambda rule: (rule.match, rule.uri),
        "the role has a rule for just that already: of two one would never be asked",
        notes,
    )
    if role.authorizer is not None and not is_uri(role.authorizer.procedure):
        notes.wrong((*at, "authorizer", "procedure"), f'"{role.authorizer.procedure}" {NO_URI}')


def _rule(rule: Rule, at: Path, notes: Notes) -> None:
    if not notes.sound(at):
        return
    if not is_pattern(rule.uri, rule.match):
        notes.wrong((*at, "uri"), f'"{rule.uri}" {NO_PATTERN[rule.match]}')
    for who, action in (("caller", "call"), ("publisher", "publish")):
        if who in rule.disclose and action not in rule.allow:
            notes.wrong((*at, "disclose"), f'"{who}" is disclosed by "{action}", which this rule does not allow')
    if rule.force_reregister and "register" not in rule.allow:
        notes.wrong((*at, "force_reregister"), 'it goes with "register", which this rule does not allow')
    if is_reserved(rule.uri) and {"register", "publish"} & set(rule.allow):
        notes.remark((*at, "allow"), 'nobody registers or publishes below "wamp." and "limen.", whatever is allowed')


def _user(user: User, at: Path, realm: RealmSettings, roles: set[str], notes: Notes) -> None:
    for role, place in notes.each(user.roles, (*at, "roles")):
        if role not in roles:
            notes.wrong(place, _no_role(role, roles))
    if not notes.sound(at):
        return
    if not (user.ticket or user.wampcra or user.scram or user.cryptosign or user.tls):
        notes.wrong(at, "there is no method: ticket, wampcra, scram, cryptosign or tls")
    scram = user.scram
    derived = () if scram is None else (scram.salt, scram.stored_key, scram.server_key)
    if scram is not None and ((scram.password is None) is not all(derived) or (scram.password and any(derived))):
        notes.wrong((*at, "scram"), "it has a password, or salt, stored_key and server_key")
        return
    said = {"wampcra": user.wampcra, "scram": None if scram is None or scram.password else scram}
    parts: list[tuple[Path, dict[str, Any]]] = [
        ((*at, name), {name: value}) for name, value in said.items() if value is not None
    ]
    for name in ("cryptosign", "tls"):
        parts += [(place, {name: (one,)}) for one, place in notes.each(getattr(user, name), (*at, name))]
    for place, given in parts:
        try:
            Users(replace(realm, users=(User(user.name, user.roles, **given),)), bytes(32))
        except ValueError as error:
            notes.wrong(place, str(error))


def _authenticator(authenticator: Authenticator, at: Path, notes: Notes) -> None:
    if not is_uri(authenticator.procedure):
        notes.wrong((*at, "procedure"), f'"{authenticator.procedure}" {NO_URI}')
    if authenticator.realm and authenticator.realm not in notes.names(("realm",)):
        notes.wrong((*at, "realm"), f'there is no realm "{authenticator.realm}"')


def _trusted(settings: Settings, realm: RealmSettings, at: Path, notes: Notes) -> None:
    """Who registers a procedure that is asked decides what all others may: `Policy` lets nobody without a rule."""
    rules = [(role, Rules((role,))) for role in realm.roles]
    for procedure in sorted(settings.authorities(realm.name)):
        allowed = [role.name for role, compiled in rules if compiled.names("register", procedure)]
        if not allowed:
            rule = f'{{uri = "{procedure}", allow = ["register"]}}'
            notes.remark(at, f"no role may register {procedure}, which is asked: it takes the rule {rule}")
        if realm.anonymous in allowed:
            notes.remark(at, f"anybody may register {procedure}, and so decide what all others may")


def _unknown(settings: Settings, realm: RealmSettings, at: Path, notes: Notes) -> None:
    if settings.secret is None and any(user.wampcra is not None or user.scram is not None for user in realm.users):
        notes.remark(
            at,
            "after a restart unknown names are asked something else, known ones are not, and so are told apart: "
            'secret = {file = "router.secret"} at the top, with 32 random bytes in it, keeps it the same',
        )
