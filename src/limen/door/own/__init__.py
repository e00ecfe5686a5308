"""What Limen itself answers in sealed sessions (docs/security.md): `own.py` has the table.

`sessions.py`, `files.py` and `services.py`: what is asked about these.
"""
