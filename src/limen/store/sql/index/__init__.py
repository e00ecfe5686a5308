"""Indexes: what a program declares to be searched by, as typed columns in tables of their own.

indexes.py     what `SQLRecords` calls: `prepare` before a commit, `write` in it, `select` and `count`
catalog.py     which tables there are and what state they are in, for all processes the same
columns.py     which values fit a column, and how they stand there
build.py       brings in what was written before there was an index, while the program runs
query.py       an exact answer as of a number: lower.py makes a shape of a condition, compile.py a text of a shape
"""
