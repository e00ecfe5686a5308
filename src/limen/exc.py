"""The one tree of errors.

Every error that may cross the threshold is a class here. Its *name* is its code: it goes over the wire as
`{"exc": name, "err": [sentences], ...facts}` and is raised by that name on the other side. `TABLE` says which
WAMP error URI and which HTTP status stand for it.

A program adds its own by subclassing `Error`; the class registers itself under its name:

    >>> class OutOfStock(Error):
    ...     '''Nothing of that article is left.'''
    ...     status = 409
    >>> OutOfStock("No bolts are left.", article="bolt").to_wire()
    {'exc': 'OutOfStock', 'err': ['No bolts are left.'], 'article': 'bolt'}
    >>> TABLE["OutOfStock"].uri
    'limen.error.out_of_stock'
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

TABLE: dict[str, type[Error]] = {}
"""Name of an error to its class; the class holds `uri` and `status`."""

_BY_URI: dict[str, type[Error]] = {}


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


class Error(Exception):
    """An error with sentences for a person and facts for a program.

    *err*: sentences; without any, the first line of the class's docstring.
    *facts*: what the other side may know besides (JSON-like values). Never secrets.
    """

    uri: ClassVar[str] = "limen.error.error"
    status: ClassVar[int] = 500

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "uri" not in cls.__dict__:
            cls.uri = f"limen.error.{_snake(cls.__name__)}"
        TABLE[cls.__name__] = cls
        _BY_URI.setdefault(cls.uri, cls)

    def __init__(self, *err: str, **facts: Any) -> None:
        if not err:
            err = ((type(self).__doc__ or type(self).__name__).strip().splitlines()[0],)
        super().__init__(*err)
        self.err: list[str] = [str(line) for line in err]
        self.facts: dict[str, Any] = facts

    @property
    def exc(self) -> str:
        """The error's name, its code on the wire."""
        return type(self).__name__

    def __str__(self) -> str:
        return " ".join(self.err)

    def to_wire(self) -> dict[str, Any]:
        """The error as it travels: `{"exc": …, "err": […], **facts}`."""
        return {"exc": self.exc, "err": list(self.err), **self.facts}


TABLE["Error"] = Error
_BY_URI[Error.uri] = Error


# -- who is calling ---------------------------------------------------------------------------------------------
class InvalidCredential(Error):
    """User, password or domain is not right."""

    uri = "wamp.error.authentication_failed"
    status = 401


class Unauthorized(Error):
    """You must log in first, or you may not do this."""

    uri = "wamp.error.not_authorized"
    status = 401


class Forbidden(Unauthorized):
    """You are logged in, and you may not do this."""

    uri = "wamp.error.authorization_denied"
    status = 403


class UnknownSession(Unauthorized):
    """This session is not known here; log in again."""

    status = 401


class ExpiredSession(UnknownSession):
    """This session has expired; log in again."""

    status = 401


class RequireSSL(Error):
    """This service is only offered over TLS."""

    status = 403


class Abusive(Error):
    """Too many bad requests came from your address; wait and try again."""

    status = 429


class MaxActiveSessions(Error):
    """This user has as many sessions as are allowed."""

    status = 403


# -- what is called ---------------------------------------------------------------------------------------------
class NotFound(Error):
    """Nothing stands at this address."""

    uri = "wamp.error.no_such_procedure"
    status = 404


class MethodNotAllowed(Error):
    """This address does not answer to that HTTP method."""

    status = 405


class InvalidCall(Error):
    """The arguments do not fit."""

    uri = "wamp.error.invalid_argument"
    status = 400


class InvalidArguments(InvalidCall):
    """The arguments do not fit; each wrong field is named."""

    status = 422


class InvalidValue(InvalidCall):
    """A value cannot travel."""

    status = 400


class InvalidAddress(InvalidCall):
    """This is not an address."""

    uri = "wamp.error.invalid_uri"
    status = 400


class TooLarge(InvalidCall):
    """The message is larger than is allowed."""

    uri = "wamp.error.payload_size_exceeded"
    status = 413


class UnsupportedMediaType(InvalidCall):
    """The body is of a type that this address does not take."""

    status = 415


# -- what became of it ------------------------------------------------------------------------------------------
class InternalError(Error):
    """The service failed; the failure was recorded."""

    uri = "wamp.error.runtime_error"
    status = 500


class Canceled(Error):
    """The call was canceled."""

    uri = "wamp.error.canceled"
    status = 503


class Timeout(Error):
    """The call took longer than was allowed."""

    uri = "wamp.error.timeout"
    status = 504


class Busy(Error):
    """The server has as many calls under way as it can take; try again."""

    uri = "wamp.error.unavailable"
    status = 503


class NoSpace(Error):
    """The server has no room for this file now."""

    uri = "limen.error.no_space"
    status = 507


class OutcomeUnknown(Error):
    """The connection was lost; the call may or may not have run."""

    status = 503


class ConnectionLost(Error):
    """There is no connection to the server."""

    status = 503


class RemoteError(Error):
    """The other side failed with an error that has no class here; `remote_uri` says which."""

    def __init__(self, *err: str, uri: str = "", **facts: Any) -> None:
        super().__init__(*err, **facts)
        self.remote_uri = uri


# -- records ----------------------------------------------------------------------------------------------------
class RecordNotFound(Error):
    """There is no such record."""

    status = 404


class RecordVersionMismatch(Error):
    """The record was changed by someone else meanwhile."""

    status = 409


class RecordValidationError(Error):
    """The record's fields do not pass their checks."""

    status = 422


class TransactionConflict(Error):
    """Something that was read here was changed by someone else meanwhile; try again."""

    status = 409


class UndoRefused(Error):
    """What this transaction wrote was changed again since; it can't be undone."""

    status = 409


class HistoryGone(Error):
    """The past is not kept from that far back."""

    status = 410


class StoreError(Error):
    """The store cannot do this."""

    status = 500


# -- there and back ---------------------------------------------------------------------------------------------
def from_wire(uri: str, wire: Mapping[str, Any] | None, args: list[Any] | None = None) -> Error:
    """The error that travelled as *uri* and *wire* (`{exc, err, …}`): an instance of its class by name, else by URI,
    else `RemoteError`.

    >>> from_wire("wamp.error.no_such_procedure", None)
    NotFound('Nothing stands at this address.')
    """
    facts = {str(k): v for k, v in (wire or {}).items()}
    name, err = facts.pop("exc", None), facts.pop("err", None)
    lines = [str(x) for x in (err if isinstance(err, list) else args or [])]
    cls = TABLE.get(name) if isinstance(name, str) else None
    if cls is None:
        cls = _BY_URI.get(uri)
    if cls is None or cls is RemoteError:
        return RemoteError(*(lines or [uri]), uri=uri, **facts)
    return cls(*lines, **facts)
