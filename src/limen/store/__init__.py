"""Stores: where records, accounts, slots, the ledger and what a database knows of itself are kept.

A store is an object with the parts `records`, `accounts`, `slots`, `ledger` and `meta`; the ports are in
`limen.core.record.port` and `limen.core.guard.accounts`, the suites that hold them in `limen.testing.stores`. A further
one is a file here, a row in `limen/dbm.py` and a subclass of the suites.
"""
