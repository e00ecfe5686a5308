"""Application sessions: a service begins one for each client, in which controllers here and views there are paired.

service.py   the one address at which sessions begin, and end
root.py      a client's session                      context.py   a controller and a view, and what they have open
roles.py     `#view`, `#controller`                  joined.py    the client's half, in Python
presence.py  how the service learns who is gone      stays.py     who is here, who is away, since when
port.py      who stands at the way in

What begins with `_` in the nodes of this room is for the room alone, and no subclass may have such a name.
"""

from .context import Context, Controller, View
from .joined import Joined, start_session
from .port import Caller
from .root import SessionRoot
from .service import ApplicationService

__all__ = [
    "ApplicationService",
    "Caller",
    "Context",
    "Controller",
    "Joined",
    "SessionRoot",
    "View",
    "start_session",
]
