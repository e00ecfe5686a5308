"""What the workers of these tests serve."""

import os
import time

import limen
from limen import add_model, service, storage

limen.auth.add_user("ada", "correct horse")


@add_model
class Mark:
    @classmethod
    def index(cls, record):
        return {"key": record.get("key")}


@service(safe=False, ssl=False)
def who():
    return os.getpid()


@service(safe=False, ssl=False)
def mark(key, seconds=0.0):
    with storage("mark") as db:
        db.insert(Mark, key=key)
    time.sleep(seconds)
    return os.getpid()


@service(safe=False, ssl=False)
def marks():
    with storage("count") as db:
        return len(list(db.select(Mark)))
