"""The login methods of WAMP's advanced profile, each as two machines, a server's and a client's; pure: random bytes and
times are arguments.

A server's machine is made for one login, whether the user is known or not (`fakes.py` makes what stands in for nobody):

    exam = wampcra.Server(credential, …)
    connection.challenge("wampcra", exam.challenge())   # once
    exam.passed(authenticate.signature, authenticate.extra)
    exam.welcome                                         # WELCOME.Details.authextra, where the method has any

No module here shows a secret in a repr or an error.
"""

from __future__ import annotations

from typing import Any, Protocol


class Exam(Protocol):
    """One login at the server: one question, one answer."""

    welcome: dict[str, Any] | None
    """WELCOME.Details.authextra, after it was passed."""

    def challenge(self) -> dict[str, Any]:
        """CHALLENGE.Extra."""
        ...

    def passed(self, signature: str, extra: dict[str, Any]) -> bool:
        """Whether AUTHENTICATE proves it; False for what is not well formed. In constant time for all that is."""
        ...
