"""Python clients of a Limen server, or of any WAMP router: `async with limen.connect(url) as session: …`."""

from limen.client.calls import Answer
from limen.client.opening import connect
from limen.client.session import Session
from limen.client.stream import Stream

__all__ = ["Answer", "Session", "Stream", "connect"]
