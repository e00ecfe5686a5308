"""Plain HTTP into a realm: `bridge.py` (call and publish) and `events.py` (Server-Sent Events).

Each comes in by a `guest.py`, who has signed as `signing.py` says, or is nobody.
"""
