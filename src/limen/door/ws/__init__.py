"""One WebSocket from HELLO to GOODBYE: `connection.py`.

`login.py` greets sealed sessions, `cryptosign.py` plain ones that sign.
"""
