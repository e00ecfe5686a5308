"""The WAMP v2 router, a machine without I/O: read `messages`, `codecs`, `session`, `realm`, `dealer`, `broker`."""
