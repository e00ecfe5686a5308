"""Client certificates (advanced profile, "TLS Certificate Authentication"): who somebody is by the certificate that TLS
has verified already.

A name in the configuration is one of

    64 hexadecimal digits                        the certificate itself: SHA-256 of its DER form (colons may be in it)
    cn:NAME   dns:NAME   email:NAME   uri:NAME   what it says of its subject: the common name, or a subjectAltName

The first form holds for one certificate; the others for whatever the authorities that the listener trusts have signed,
so those must sign for this purpose only.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

METHOD: Final = "tls"
KINDS: Final = ("cn", "dns", "email", "uri")


def normal(name: str) -> str:
    """A name of the configuration in the form that `names` gives. Raises ValueError for what is none.

    >>> normal("AB:" * 31 + "AB")[:14], normal("dns:Pump.Example")
    ('sha256:abababa', 'dns:pump.example')
    """
    digits = name.replace(":", "").lower()
    if len(digits) == 64 and not digits.strip("0123456789abcdef"):
        return f"sha256:{digits}"
    kind, _, rest = name.partition(":")
    if kind not in KINDS or not rest:
        raise ValueError(
            "a certificate is named by its SHA-256 (64 hexadecimal digits), or by cn:, dns:, email: or uri:"
        )
    return f"{kind}:{rest.lower()}" if kind == "dns" else name


def names(certificate: bytes) -> tuple[str, ...]:
    """What a certificate (DER) may be known by, the surest first."""
    from cryptography import x509

    found = [f"sha256:{sha256(certificate).hexdigest()}"]
    try:
        parsed = x509.load_der_x509_certificate(certificate)
        common = parsed.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        found += [f"cn:{one.value}" for one in common if isinstance(one.value, str)]
        others = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found += [f"dns:{one.lower()}" for one in others.get_values_for_type(x509.DNSName)]
        found += [f"email:{one}" for one in others.get_values_for_type(x509.RFC822Name)]
        found += [f"uri:{one}" for one in others.get_values_for_type(x509.UniformResourceIdentifier)]
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        pass  # what can't be read is no name; the certificate itself was verified by TLS
    return tuple(found)
