"""Floor 6: the wiring. `App` puts the rooms together; its tables say which transports, stores and logins there are."""

from .app import App

__all__ = ["App"]
