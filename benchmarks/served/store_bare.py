"""The driver itself, writing the rows that Limen writes, into its tables: `store_bare.py URL`. sqlite3 or psycopg."""

import json
import os
import sqlite3
import sys
import time
from itertools import count

from tasks import TEXT, serve

from limen import dbm

URL = sys.argv[1]
dbm.SQLStore(URL).close()  # makes the tables
POSTGRES = URL.startswith("postgresql")
if POSTGRES:
    import psycopg

    connection = psycopg.connect(URL, autocommit=True)
    connection.execute("SELECT set_config('limen.domain', '*', false)")
    BEGIN, LATER, BYTES, MARK = "BEGIN", "greatest", "BYTEA", "%s"
else:
    connection = sqlite3.connect(URL.removeprefix("sqlite:///"), isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    BEGIN, LATER, BYTES, MARK = "BEGIN IMMEDIATE", "max", "BLOB", "?"


def sql(text):
    return text.replace("?", MARK)


NUMBER = sql(f"UPDATE domain SET txn = txn + 1, time = {LATER}(time, ?) WHERE id = ? RETURNING txn, time")
TRANSACTION = sql(
    'INSERT INTO "transaction" (domain, number, "user", impersonator, service, origin, reason, time, token) '
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
RECORD = sql("INSERT INTO record (domain, model, uuid, vsn, txn, deleted, fields) VALUES (?, ?, ?, ?, ?, ?, ?)")
VERSION = sql(
    "INSERT INTO version (domain, model, uuid, vsn, txn, kind, body, changed) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
FETCH = sql("SELECT vsn, txn, fields FROM record WHERE domain = ? AND model = ? AND uuid = ?")
execute, many = connection.execute, connection.cursor().executemany
domain = execute("INSERT INTO domain (name, txn, time) VALUES ('bare', 0, 0.0) RETURNING id").fetchone()[0]
model = execute("INSERT INTO model (name) VALUES ('Bare') RETURNING id").fetchone()[0]
last = b""
counter = count(1)


def key():
    """Sorted by time, as a UUID of version 7 is: the tables grow at their end."""
    return int(time.time() * 1000).to_bytes(6) + b"\x70" + next(counter).to_bytes(4) + os.urandom(5)


def transaction():
    number, now = execute(NUMBER, (time.time(), domain)).fetchone()
    execute(TRANSACTION, (domain, number, None, None, "", "", "benchmark", now, b"0123456789abcdef"))
    return number


def fields(number):
    return json.dumps({"text": TEXT, "done": False, "number": number})


def insert(times):
    global last
    for number in range(times):
        last, text = key(), fields(number)
        execute(BEGIN)
        txn = transaction()
        execute(RECORD, (domain, model, last, 1, txn, 0, text))
        execute(VERSION, (domain, model, last, 1, txn, 0, text, None))
        execute("COMMIT")


def hundred(times):
    for _ in range(times):
        rows = [(key(), fields(number)) for number in range(100)]
        execute(BEGIN)
        txn = transaction()
        many(RECORD, [(domain, model, each, 1, txn, 0, text) for each, text in rows])
        many(VERSION, [(domain, model, each, 1, txn, 0, text, None) for each, text in rows])
        execute("COMMIT")


def fetch(times):
    for _ in range(times):
        json.loads(execute(FETCH, (domain, model, last)).fetchone()[2])


serve({"insert": insert, "hundred": hundred, "fetch": fetch})
