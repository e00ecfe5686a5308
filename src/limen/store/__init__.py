"""Stores: where records are kept; accounts, sessions, the ledger and what a database knows of itself are records, too.

A store is an object with `records`, `claim()` and `close()` (port.py); what its records must do is said in
`limen.core.record.port`, and the suites that hold it to that are in `limen.testing.stores`. A further one is a file
here, a row in `limen/dbm.py` and a subclass of the suites.
"""
