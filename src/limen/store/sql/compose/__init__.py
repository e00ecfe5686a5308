"""Where the statements of an SQL store come from; nothing of it is loaded by a server.

    tables.py (one floor up) ─ clauses.py ┬ records.py ┬ texts.py → statements.py (one floor up), which is what runs
                                          └ indexes.py ┘

After a change to any of them:

    python -m limen.store.sql.compose         writes statements.py anew; a test compares the two
"""
