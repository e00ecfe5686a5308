"""What the processes of one server do for each other: `across.py`.

`lent.py` (procedures), `moving.py` (tabs), `meta.py` (the meta API); `heard.py` says when all know.
The port is `door/hub/bus.py`, the wire `app/line.py`.
"""
