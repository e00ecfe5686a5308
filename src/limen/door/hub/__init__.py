"""What stands behind every session, however it came in: `hub.py` acts on what the realms decide.

gate.py        ledger, accounts, slots and keys: what is asked before somebody comes in
identity.py    who stands behind a slot or a key
tabs.py        a login in one place, and its calls, each run once
seat.py        who calls, as own procedures know them        answering.py    how calls are answered, in the peer's bytes
files.py       files of sealed sessions                      bus.py          the port to the server's other processes
ends.py        the end of all that a user has open
"""
