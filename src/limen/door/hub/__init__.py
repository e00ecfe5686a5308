"""What stands behind every session, however it came in: `hub.py` acts on what the realms decide.

gate.py        ledger, accounts, slots and keys: what is asked before somebody comes in
greeter.py     who comes in sealed                           entrance.py     who comes in by plain WAMP (machines.py)
identity.py    who stands behind a slot or a key
logins.py      logins and how they end                       tabs.py         a login in one place, and its calls
local.py       runs local services                           answering.py    how calls are answered, in the peer's bytes
seat.py        the ports of whoever stands before the hub    bus.py          the port to the server's other processes
files.py       files of sealed sessions                      ends.py         the end of all that a user has open
watching.py    what is seen of it all: counts.py (one picture), times.py, tree.py, tracing.py; told.py for the log
"""
