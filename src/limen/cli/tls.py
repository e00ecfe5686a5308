"""`--tls local`: an authority of one's own, and a certificate by it, for HTTPS on this machine and near it."""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limen import exc

DAYS = 397
"""Days that a certificate is good for: browsers take no longer ones."""
RENEW_BEFORE = 30
"""Days before its end that a new one is made."""


@dataclass(frozen=True)
class LocalCertificate:
    """Files in PEM form. *advice*: sentences that say how to make browsers trust *authority*."""

    authority: Path
    certificate: Path
    key: Path
    advice: str


def local_certificate(names: list[str], directory: str | Path | None = None) -> LocalCertificate:
    """A certificate for *names*, this machine's name and loopback; made when missing, near its end or short of a name.

    *directory*: where authority and keys are kept, readable by their owner only (default: `~/.local/share/limen`).
    The authority is made once: whoever trusts it once trusts every certificate made here.

    Raises `exc.StoreError` where trustme is not installed.
    """
    try:
        import trustme
    except ImportError:
        raise exc.StoreError("--tls local needs the package trustme: pip install 'limen[tls]'.") from None

    home = Path(directory) if directory else Path.home() / ".local" / "share" / "limen"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority, authority_key = home / "authority.pem", home / "authority-key.pem"
    certificate, key = home / "certificate.pem", home / "certificate-key.pem"
    if authority.exists() and authority_key.exists():
        ca = trustme.CA.from_pem(authority.read_bytes(), authority_key.read_bytes())
    else:
        ca = trustme.CA(organization_name="Limen", organization_unit_name=f"on {socket.gethostname()}")
        _write(authority_key, ca.private_key_pem.bytes())
        _write(authority, ca.cert_pem.bytes())
        certificate.unlink(missing_ok=True)
    wanted = sorted({name for name in (*names, socket.gethostname(), "localhost", "127.0.0.1", "::1") if _usable(name)})
    if not (key.exists() and certificate.exists() and _good(certificate.read_bytes(), wanted)):
        until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=DAYS)
        issued = ca.issue_cert(*wanted, organization_name="Limen", not_after=until)
        _write(key, issued.private_key_pem.bytes())
        _write(certificate, b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    return LocalCertificate(authority, certificate, key, _advice(authority))


def _usable(name: str) -> bool:
    return bool(name) and name not in ("0.0.0.0", "::") and not name.startswith(".")  # noqa: S104


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all, and never readable by others."""
    new = path.with_suffix(".new")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    os.replace(new, path)


def _good(pem: bytes, wanted: list[str]) -> bool:
    from cryptography import x509

    certificate = x509.load_pem_x509_certificate(pem)
    left = certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    held: x509.SubjectAlternativeName
    held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    names: set[Any] = {*held.get_values_for_type(x509.DNSName), *held.get_values_for_type(x509.IPAddress)}
    return left.days >= RENEW_BEFORE and all(name in names or _address(name) in names for name in wanted)


def _address(name: str) -> object:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _advice(authority: Path) -> str:
    return (
        f"TLS with an authority of this machine's own. To trust it once and for all, import {authority}:\n"
        f"  Debian, Ubuntu: sudo cp {authority} /usr/local/share/ca-certificates/limen.crt; "
        f"sudo update-ca-certificates\n"
        f"  macOS:          sudo security add-trusted-cert -d -k /Library/Keychains/System.keychain {authority}\n"
        f"  Windows:        certutil -addstore -user Root {authority}\n"
        f"  Firefox:        Settings, Certificates, Authorities, Import\n"
        f"  curl:           curl --cacert {authority} …"
    )
