"""The states of the HTTP lane as records of any store.

    limen.lane      a slot's state, under its handle: written with every call, ended with the slot (`slots.py`)
    limen.ticket    a passing secret of a minute, for the tickets of logins under way

Neither keeps history: of a key that is burnt nothing is left to find.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from functools import partial

import msgspec

from limen.core.guard.accounts import LaneRow
from limen.core.record.port import Change, RecordStore, Stale

from .rows import Edit, alive, drop, everything, key, own, put, until_fresh
from .slots import LANE, SLOT

TICKET = "limen.ticket"


class _Lane(msgspec.Struct):
    encoding: str
    by_password: bool
    state: bytes


class _Secret(msgspec.Struct):
    period: int
    secret: bytes


_lane = msgspec.json.Decoder(_Lane).decode
_secret = msgspec.json.Decoder(_Secret).decode
_encode = msgspec.json.Encoder().encode


class Lanes:
    """See `limen.core.guard.accounts.LaneStore`.

    >>> from limen.store.memory import MemDictStore
    >>> lanes = Lanes(MemDictStore().records)
    >>> row = lanes.begin(LaneRow("localhost", bytes(16), "msgpack", True, b"one"))
    >>> lanes.step(replace(row, state=b"two")).result().version, lanes.step(row).result() is None
    (2, True)
    """

    def __init__(self, records: RecordStore) -> None:
        self._records = records

    def get(self, domain: str, slot: bytes) -> LaneRow | None:
        version = alive(self._records.read(domain, LANE, slot)[1])
        if version is None:
            return None
        row = _lane(version.fields)
        return LaneRow(domain, slot, row.encoding, row.by_password, row.state, version.vsn)

    def begin(self, row: LaneRow) -> LaneRow:
        def work() -> LaneRow:
            edit = Edit(self._records, row.domain)
            before = edit.read(LANE, row.slot)
            change = put(LANE, row.slot, before, _fields(row), keep=0)
            edit.commit(own(row.domain), [change])
            return replace(row, version=change.base + 1)

        return until_fresh(work)

    def step(self, row: LaneRow) -> Future[LaneRow | None]:
        stepped: Future[LaneRow | None] = Future()
        change = Change(LANE, row.slot, row.version, _fields(row), keep=0)

        def done(committed: Future[int]) -> None:
            error = committed.exception()
            if isinstance(error, Stale):
                stepped.set_result(None)
            elif error is not None:
                stepped.set_exception(error)
            else:
                stepped.set_result(replace(row, version=row.version + 1))

        self._records.submit(own(row.domain), [change]).add_done_callback(done)
        return stepped

    def secret(self, domain: str, period: int, fresh: bytes) -> bytes:
        uuid = key("ticket", str(period))
        while True:
            there = alive(self._records.read(domain, TICKET, uuid)[1])
            if there is not None:
                return _secret(there.fields).secret
            try:
                made = _encode(_Secret(period, fresh)).decode()
                self._records.commit(own(domain), [Change(TICKET, uuid, 0, made, keep=0)])
            except Stale:
                continue  # another server was quicker
            return fresh

    def purge(self, period: int) -> None:
        for domain in self._records.domains():
            until_fresh(partial(self._purge, domain, period))

    def _purge(self, domain: str, period: int) -> None:
        edit = Edit(self._records, domain)
        over = [v.uuid for v in everything(self._records, domain, TICKET) if _secret(v.fields).period < period]
        gone = [drop(TICKET, v, keep=0) for uuid in over if (v := alive(edit.read(TICKET, uuid))) is not None]
        for version in everything(self._records, domain, LANE):
            if alive(edit.read(SLOT, version.uuid)) is None and (left := alive(edit.read(LANE, version.uuid))):
                gone.append(drop(LANE, left, keep=0))
        if gone:
            edit.commit(own(domain), gone)


def _fields(row: LaneRow) -> str:
    return _encode(_Lane(row.encoding, row.by_password, row.state)).decode()
