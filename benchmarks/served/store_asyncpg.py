"""asyncpg writing the rows that Limen writes, into its tables: `store_asyncpg.py URL`. The tables must be there."""

import asyncio
import json
import sys
import time
import uuid

import asyncpg
from tasks import TEXT, serve_async

NUMBER = "UPDATE domain SET txn = txn + 1, time = greatest(time, $1) WHERE id = $2 RETURNING txn, time"
TRANSACTION = (
    'INSERT INTO "transaction" (domain, number, "user", impersonator, service, origin, reason, time, token) '
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
)
RECORD = "INSERT INTO record (domain, model, uuid, vsn, txn, deleted, fields) VALUES ($1, $2, $3, $4, $5, $6, $7)"
VERSION = (
    "INSERT INTO version (domain, model, uuid, vsn, txn, kind, body, changed) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
)
FETCH = "SELECT vsn, txn, fields FROM record WHERE domain = $1 AND model = $2 AND uuid = $3"


async def main(url):
    connection = await asyncpg.connect(url)
    await connection.execute("SELECT set_config('limen.domain', '*', false)")
    domain = await connection.fetchval("INSERT INTO domain (name, txn, time) VALUES ('asyncpg', 0, 0) RETURNING id")
    model = await connection.fetchval("INSERT INTO model (name) VALUES ('Asyncpg') RETURNING id")
    last = b""

    async def insert(count):
        nonlocal last
        for number in range(count):
            last = uuid.uuid4().bytes
            text = json.dumps({"text": TEXT, "done": False, "number": number})
            async with connection.transaction():
                txn, now = await connection.fetchrow(NUMBER, time.time(), domain)
                about = (domain, txn, None, None, "", "", "benchmark", now, b"0123456789abcdef")
                await connection.execute(TRANSACTION, *about)
                await connection.execute(RECORD, domain, model, last, 1, txn, 0, text)
                await connection.execute(VERSION, domain, model, last, 1, txn, 0, text, None)

    async def fetch(count):
        for _ in range(count):
            row = await connection.fetchrow(FETCH, domain, model, last)
            json.loads(row["fields"])

    await serve_async({"insert": insert, "fetch": fetch})


asyncio.run(main(sys.argv[1]))
