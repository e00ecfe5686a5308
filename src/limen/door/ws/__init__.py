"""One WebSocket or RawSocket from HELLO to GOODBYE: `connection.py`.

`login.py` greets sealed sessions, `plain.py` plain ones, by the hub's entrance.
"""
