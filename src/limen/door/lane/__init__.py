"""The HTTP lane: sealed sessions without a WebSocket; the machine is `core/seal/lane.py`.

`lane.py` · `login.py` · `seat.py` (one session) · `call.py` (one request)
"""
