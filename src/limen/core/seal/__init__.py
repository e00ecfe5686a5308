"""The sealed session: docs/security.md, step by step, without I/O.

Reading order: `kdf` (prefixes, HKDF) · `oprf` and `opaque` (the login's mathematics) · `noise` (the resume's) ·
`keys` (what the server holds) · `channel` (one key per frame) · `login` (the machines that a door or a client drives).
"""
