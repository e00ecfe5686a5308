"""SQLAlchemy Core on aiosqlite, as its pages show it: `store_aiosqlite.py FOLDER`. A row and its version, in
one transaction."""

import asyncio
import json
import sys
import time
import uuid

from sqlalchemy import Column, Float, Integer, LargeBinary, MetaData, Table, Text, event, insert, select
from sqlalchemy.ext.asyncio import create_async_engine
from tasks import TEXT, serve_async

meta = MetaData()
record = Table(
    "record", meta, Column("uuid", LargeBinary, primary_key=True), Column("vsn", Integer), Column("fields", Text)
)
version = Table(
    "version",
    meta,
    Column("uuid", LargeBinary, primary_key=True),
    Column("vsn", Integer, primary_key=True),
    Column("time", Float),
    Column("fields", Text),
)


async def main(folder):
    engine = create_async_engine(f"sqlite+aiosqlite:///{folder}/aiosqlite.db")

    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection, _):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")

    async with engine.begin() as connection:
        await connection.run_sync(meta.create_all)

    last = b""

    async def one(number):
        nonlocal last
        last = uuid.uuid4().bytes
        fields = json.dumps({"text": TEXT, "done": False, "number": number})
        async with engine.begin() as connection:
            await connection.execute(insert(record), {"uuid": last, "vsn": 1, "fields": fields})
            await connection.execute(insert(version), {"uuid": last, "vsn": 1, "time": time.time(), "fields": fields})

    async def add(count):
        for number in range(count):
            await one(number)

    async def fetch(count):
        for _ in range(count):
            async with engine.connect() as connection:
                row = (await connection.execute(select(record).where(record.c.uuid == last))).one()
                json.loads(row.fields)

    await serve_async({"insert": add, "fetch": fetch})


asyncio.run(main(sys.argv[1]))
