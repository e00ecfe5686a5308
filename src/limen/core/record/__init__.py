"""Records: versioned, model-aware data, and the unit of work that reads and writes them.

To be read in this order:

    port.py                        what a store must do; everything stands on it
    record.py, model.py            one version of one thing; a class and its hooks
    kinds.py, expression.py        what comparing means; conditions
    query.py                       orders, pages, cursors
    reader.py, unit.py             what `db` is: questions, writes, the end
    identity.py                    what a unit knows: a snapshot of each store, one object for each record
    validate.py, delta.py          what collides; what a version's row holds: both for stores

The rest is what its name says: of models typed.py, checks.py, indexing.py, fields.py; of units arguments.py,
errors.py, past.py, savepoint.py, undo.py. uuid7.py makes the ids.
"""
