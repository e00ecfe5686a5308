"""One WebSocket from HELLO to GOODBYE: `connection.py`.

`login.py` greets sealed sessions, `connection.py` itself plain ones, by the hub's entrance.
"""
