"""A remote debugger for a server in development: debugpy, which VS Code, PyCharm and others attach to.

It listens on loopback only: whoever reaches it runs what they like in this process.
"""

from __future__ import annotations

from limen import exc

PORT = 5678
"""The port that editors try first."""


def listen(port: int = PORT) -> str:
    """Lets debuggers attach to this process at 127.0.0.1:*port*; the address. A second call gives the first's.

    Raises `NotFound` where debugpy is not installed, `InvalidAddress` where the port is taken.
    """
    global _listening
    if _listening:
        return _listening
    try:
        import debugpy
    except ImportError:
        raise exc.NotFound("debugpy is not installed here; say: pip install 'limen[debug]'") from None
    try:
        host, number = debugpy.listen(("127.0.0.1", port))
    except Exception as error:  # it raises RuntimeError with the adapter's words
        raise exc.InvalidAddress(f"The debugger can't listen on 127.0.0.1:{port}: {error}. Say another port.") from None
    _listening = f"{host}:{number}"
    return _listening


_listening = ""
