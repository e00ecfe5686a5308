"""Keys for machines, made and removed: what `limen.auth` and `limen key` do. Loaded when first needed."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

from limen import exc
from limen.core.guard.accounts import MachineKey
from limen.core.seal import machine
from limen.core.seal.noise import NoiseError, PrivateKey

if TYPE_CHECKING:
    from .app import App
    from .vault import Vault


def add_key(vault: Vault, domain: str, user: str, kind: str, public: bytes | None) -> machine.Credentials:
    """See `Auth.add_key`."""
    keys, id = vault.keys.domain(domain), secrets.token_bytes(machine.ID)
    private, server = "", ""
    match kind:
        case "x25519":
            if public is None:
                private = secrets.token_hex(32)
                public = PrivateKey(bytes.fromhex(private)).public
            _check_point(keys.resume, public)
            kept, server = public, keys.resume.public.hex()
        case "ed25519":
            if public is None:
                private = secrets.token_hex(32)
                public = machine.ed25519_public(bytes.fromhex(private))
            if len(public) != machine.PUBLIC:
                raise exc.InvalidCredential("A public Ed25519 key has 32 bytes.")
            kept, id = public, machine.ed25519_id(public)
        case "http":
            if public is not None:
                raise exc.InvalidCredential("Signed requests have a secret, which is made here, and no public key.")
            private = machine.new_secret(secrets.token_bytes(32))
            kept = machine.seal_secret(keys, id, private, secrets.token_bytes(12))
        case _:
            raise exc.InvalidCredential(f"A key is of kind {', '.join(machine.KINDS)}; not {kind!r}.")
    row = MachineKey(domain, user, id, kind, kept, keys.number, time.time())
    if not vault.machines.put(row):
        raise exc.InvalidCredential("This key is somebody's in this domain already; make another.")
    return machine.Credentials(kind, domain, user, id.hex(), private, server, keys.number)


def _check_point(own: PrivateKey, public: bytes) -> None:
    try:
        own.exchange(public)
    except NoiseError:
        raise exc.InvalidCredential("This is no public X25519 key (32 bytes).") from None


def remove_key(app: App, domain: str, id: str) -> bool:
    """See `Auth.remove_key`."""
    try:
        handle = bytes.fromhex(id)
    except ValueError:
        return False
    removed = app.vault.machines.remove(domain, handle) if len(handle) == machine.ID else None
    if removed is None:
        return False
    app.end_sessions(domain, removed.user, key=handle)  # after: whoever began with it meanwhile ends, too
    return True
