"""A store with many records of ten versions each: `store_scale.py URL RECORDS`. Fills it, then answers."""

import random
import sys
from time import time
from uuid import UUID

import msgspec
from tasks import serve

from limen import DataStore, dbm
from limen.core.record.model import Model
from limen.core.record.port import Change, Transaction
from limen.core.record.uuid7 import Source

VERSIONS, BATCH, PAGE = 10, 2000, 100
URL, RECORDS = sys.argv[1], int(sys.argv[2])
chance = random.Random(7)
store = dbm.SQLStore(URL)
storage = DataStore(store)
encode = msgspec.json.Encoder().encode


class Item:
    """A name, by which it is found, a number that changes, and a text."""

    @classmethod
    def initialize(cls, record):
        record.merge(name="", number=0, text="")

    @classmethod
    def index(cls, record):
        return {"name": record.name, "number": record.number}


def fill():
    about = Model(Item)
    index = about.index_definition
    source, keys = Source(chance.randbytes), []
    for _ in range(RECORDS):
        keys.append(source.next(int(time() * 1000)))
    who = Transaction("localhost", "ada", None, "bench", "127.0.0.1", "fill", time())
    for base in range(VERSIONS):
        for start in range(0, RECORDS, BATCH):
            changes = []
            for number in range(start, min(start + BATCH, RECORDS)):
                values = {"name": f"item {number * 7919 % RECORDS:09}", "number": base, "text": "x" * 120}
                changes.append(Change("Item", keys[number], base, encode(values).decode(), index=index, values=values))
            store.records.commit(who, changes)
    return [UUID(bytes=key) for key in keys]


keys = fill()


def fetch(count):
    for key in chance.sample(keys, count):
        with storage() as db:
            assert db.fetch(Item, key).number == VERSIONS - 1


def page(count):
    for _ in range(count):
        least = f"item {chance.randrange(RECORDS - 3 * PAGE):09}"
        with storage() as db:
            first = db.select(Item, Item.name >= least, order_by=Item.name, limit=PAGE)
            assert len(db.select(Item, Item.name >= least, order_by=Item.name, limit=PAGE, after=first.cursor)) == PAGE


def history(count):
    for key in chance.sample(keys, count):
        with storage() as db:
            assert len(db.history(Item, key)) == VERSIONS


serve({"fetch": fetch, "page": page, "history": history})
