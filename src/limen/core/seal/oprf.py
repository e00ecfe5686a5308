"""OPRF(ristretto255, SHA-512), RFC 9497: a pseudorandom function whose key and whose input stay with one side each.

Elements and scalars are 32 bytes as the RFC serialises them. Whatever comes from outside is checked here: an element
that is not canonical, or is the identity, and a scalar that is zero or not below the group's order, raise
`DeserializeError` (RFC 9497, 2.1 and 4.1).
"""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import suppress
from typing import Final

import rbcl  # type: ignore[import-untyped]

from limen.core.seal.kdf import xor

if os.name == "posix":
    # At each import rbcl writes its 2.8 MB of libsodium into the temporary folder, loads it from there and leaves it: a
    # file for every process that ever started. What is mapped needs its name no longer; Windows keeps what is loaded.
    with suppress(OSError, KeyError, AttributeError):  # somebody was quicker, or another rbcl does it another way
        os.unlink(sys.modules["rbcl._sodium"].lib_path)

CONTEXT: Final = b"OPRFV1-\x00-ristretto255-SHA512"
ORDER: Final = 2**252 + 27742317777372353535851937790883648493
"""Of the group ristretto255 (RFC 9496)."""
IDENTITY: Final = bytes(32)


class OpaqueError(ValueError):
    """A step of OPRF or OPAQUE was refused; the subclass is the RFC's name for why."""


class DeserializeError(OpaqueError):
    """Bytes that are no element or scalar of the group, or of a wrong length."""


class InvalidInputError(OpaqueError):
    """An input that hashes to the identity element; it happens with negligible probability."""


class DeriveKeyPairError(OpaqueError):
    """No key in 256 attempts; it happens with negligible probability."""


def check_element(element: bytes) -> bytes:
    """*element* itself, when it is a canonical element other than the identity; else DeserializeError."""
    if len(element) != 32 or element == IDENTITY or not rbcl.crypto_core_ristretto255_is_valid_point(bytes(element)):
        raise DeserializeError("not an element of ristretto255")
    return bytes(element)


def check_scalar(scalar: bytes) -> bytes:
    """*scalar* itself, when it is 32 bytes, little endian, from 1 to the order - 1; else DeserializeError."""
    if len(scalar) != 32 or not 0 < int.from_bytes(scalar, "little") < ORDER:
        raise DeserializeError("not a scalar of ristretto255")
    return bytes(scalar)


def random_scalar(entropy: bytes) -> bytes:
    """A scalar out of 64 random bytes, by wide reduction (RFC 9497, 4.7.2)."""
    if len(entropy) != 64:
        raise ValueError("a scalar takes 64 random bytes")
    return check_scalar(rbcl.crypto_core_ristretto255_scalar_reduce(entropy))


def multiply(scalar: bytes, element: bytes) -> bytes:
    """*scalar* times *element*, both checked."""
    if len(element) != 32:
        raise DeserializeError("not an element of ristretto255")
    try:
        # libsodium decodes the element first, which is the check, and refuses a product that is the identity.
        return bytes(rbcl.crypto_scalarmult_ristretto255(check_scalar(scalar), bytes(element)))
    except RuntimeError as error:  # libsodium's answer to an invalid point and to the identity
        raise DeserializeError("not an element of ristretto255") from error


def public_key(private: bytes) -> bytes:
    """The element that stands for the scalar *private*."""
    return bytes(rbcl.crypto_scalarmult_ristretto255_base(check_scalar(private)))


def expand_message_xmd(message: bytes, dst: bytes, length: int) -> bytes:
    """RFC 9380, 5.3.1, with SHA-512; *dst* up to 255 bytes."""
    dst_prime = dst + bytes([len(dst)])
    b_0 = hashlib.sha512(bytes(128) + message + length.to_bytes(2, "big") + b"\x00" + dst_prime).digest()
    block = hashlib.sha512(b_0 + b"\x01" + dst_prime).digest()
    out = block
    for i in range(2, -(-length // 64) + 1):
        block = hashlib.sha512(xor(b_0, block) + bytes([i]) + dst_prime).digest()
        out += block
    return out[:length]


def hash_to_group(data: bytes) -> bytes:
    """RFC 9497, 4.1: bytes to an element."""
    return bytes(rbcl.crypto_core_ristretto255_from_hash(expand_message_xmd(data, b"HashToGroup-" + CONTEXT, 64)))


def hash_to_scalar(data: bytes, dst: bytes) -> bytes:
    """RFC 9497, 4.1: bytes to a scalar, zero included."""
    return bytes(rbcl.crypto_core_ristretto255_scalar_reduce(expand_message_xmd(data, dst, 64)))


def derive_key_pair(seed: bytes, info: bytes) -> tuple[bytes, bytes]:
    """(private, public), RFC 9497, 3.2.1, out of 32 bytes of *seed*."""
    private = derive_private_key(seed, info)
    return private, public_key(private)


def derive_private_key(seed: bytes, info: bytes) -> bytes:
    """The private half alone, for those who need no other: it is the quick one."""
    if len(seed) != 32:
        raise ValueError("a key pair takes a seed of 32 bytes")
    data = seed + len(info).to_bytes(2, "big") + info
    for counter in range(256):
        private = hash_to_scalar(data + bytes([counter]), b"DeriveKeyPair" + CONTEXT)
        if private != IDENTITY:
            return private
    raise DeriveKeyPairError("no key in 256 attempts")


def blind_element(data: bytes, blind: bytes) -> bytes:
    """The client's request: *data* (up to 65,535 bytes), hidden by the random scalar *blind* (RFC 9497, 3.3.1)."""
    element = hash_to_group(data)
    if element == IDENTITY:
        raise InvalidInputError("this input cannot be used")
    return multiply(blind, element)


def blind_evaluate(private: bytes, blinded: bytes) -> bytes:
    """The server's answer to a request (RFC 9497, 3.3.1)."""
    return multiply(private, blinded)


def finalize(data: bytes, blind: bytes, evaluated: bytes) -> bytes:
    """The function's 64 bytes of output, by the client (RFC 9497, 3.3.1)."""
    inverse = bytes(rbcl.crypto_core_ristretto255_scalar_invert(check_scalar(blind)))
    unblinded = multiply(inverse, evaluated)
    return hashlib.sha512(
        len(data).to_bytes(2, "big") + data + len(unblinded).to_bytes(2, "big") + unblinded + b"Finalize"
    ).digest()
