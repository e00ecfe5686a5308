"""Slots as records of any store: the tabs that may come back without the password.

    limen.slot     a slot, under its handle
    limen.slots    of each user that has any: their handles. It answers how many there are without a look at those of
                   others, and of two who want a user's last free place one finds it changed
    limen.lane     of a slot of kind "lane", under its handle, what `lanes.py` keeps; it ends with the slot

None keeps history: of a slot that has ended nothing is left to learn.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Mapping
from functools import partial

import msgspec

from limen.core.guard.accounts import Slot
from limen.core.record.port import Change, RecordStore, Version

from .rows import Edit, alive, drop, everything, key, own, put, until_fresh

SLOT = "limen.slot"
SLOTS = "limen.slots"
LANE = "limen.lane"


class _Slot(msgspec.Struct):
    user: str
    public: bytes
    opened: float
    used: float
    login: float
    epoch: int
    origin: str
    key_number: int
    kind: str = "tab"
    parent: bytes = b""
    acting: str = ""
    key: bytes = b""


class _Handles(msgspec.Struct):
    user: str
    handles: list[bytes]


_slot = msgspec.json.Decoder(_Slot).decode
_handles = msgspec.json.Decoder(_Handles).decode
_encode = msgspec.json.Encoder().encode


class Slots:
    """See `limen.core.guard.accounts.SlotStore`.

    >>> from limen.store.memory import MemDictStore
    >>> slots = Slots(MemDictStore().records)
    >>> slots.put(Slot(bytes(16), "localhost", "ada", bytes(32), 1.0, 1.0, 1.0, 1), at_most=1)
    True
    >>> slots.get("localhost", bytes(16)).user, slots.count("localhost", "ada"), slots.count("localhost", "bob")
    ('ada', 1, 0)
    """

    def __init__(self, records: RecordStore) -> None:
        self._records = records

    def get(self, domain: str, handle: bytes) -> Slot | None:
        version = alive(self._records.read(domain, SLOT, handle)[1])
        return None if version is None else _as_slot(domain, version)

    def put(self, slot: Slot, *, at_most: int | None = None) -> bool:
        return until_fresh(lambda: self._put(slot, at_most))

    def displace(self, slot: Slot, at_most: int) -> builtins.list[Slot]:
        def work() -> builtins.list[Slot]:
            edit = Edit(self._records, slot.domain)
            row, there = _slots(edit, slot.user)
            others = [other for _, other in there if other.handle != slot.handle]
            gone: set[bytes] = set()
            for oldest in sorted(others, key=lambda s: (bool(s.parent), s.opened, s.handle)):
                if len(others) - len(gone) < at_most:
                    break
                gone |= _family(others, {oldest.handle})
            left = [handle for handle in _of_user(row) if handle not in gone and handle != slot.handle]
            changes = self._putting(edit, slot, row, [*left, slot.handle])
            changes += _dropped(edit, there, gone)
            self._end(edit, changes)
            return [other for other in others if other.handle in gone]

        return until_fresh(work)

    def act(self, domain: str, handle: bytes, acting: str) -> bool:
        def work() -> bool:
            edit = Edit(self._records, domain)
            version = alive(edit.read(SLOT, handle))
            if version is None:
                return False
            row = _slot(version.fields)
            row.acting = acting
            changes = [put(SLOT, handle, version, _encode(row).decode(), keep=0)]
            if row.kind == "lane" and (lane := alive(edit.read(LANE, handle))) is not None:
                # A step, so that other processes, which go on from the state that they know, look at all again.
                changes.append(put(LANE, handle, lane, lane.fields, keep=0))
            self._end(edit, changes)
            return True

        return until_fresh(work)

    def remove(self, domain: str, handle: bytes) -> builtins.list[Slot]:
        def work() -> builtins.list[Slot]:
            edit = Edit(self._records, domain)
            version = alive(edit.read(SLOT, handle))
            if version is None:
                return []
            user = _slot(version.fields).user
            return self._ended(edit, [user], lambda slot: slot.handle == handle)

        return until_fresh(work)

    def remove_user(self, domain: str, user: str, *, keep: bytes | None = None) -> builtins.list[Slot]:
        def work() -> builtins.list[Slot]:
            return self._ended(Edit(self._records, domain), [user], lambda slot: slot.handle != keep)

        return until_fresh(work)

    def touch(self, domain: str, used: Mapping[bytes, float]) -> None:
        def work() -> None:
            edit = Edit(self._records, domain)
            rows: dict[bytes, tuple[Version, _Slot]] = {}
            times = dict(used)
            while times:
                handle, time = times.popitem()
                version = alive(edit.read(SLOT, handle))
                if version is None:
                    continue
                row = rows[handle][1] if handle in rows else _slot(version.fields)
                if row.used < time:
                    row.used = time
                    rows[handle] = version, row
                if row.parent:  # a further tab keeps the one that let it in: they are one login
                    times[row.parent] = max(time, times.get(row.parent, time))
            changed = [put(SLOT, key, old, _encode(row).decode(), keep=0) for key, (old, row) in rows.items()]
            self._end(edit, changed)

        until_fresh(work)

    def count(self, domain: str, user: str) -> int:
        return len(_of_user(self._records.read(domain, SLOTS, key(user))[1]))

    def list(self, domain: str | None = None, user: str | None = None) -> builtins.list[Slot]:
        found: builtins.list[Slot] = []
        for name in self._records.domains() if domain is None else [domain]:
            if user is None:
                found += (_as_slot(name, version) for version in everything(self._records, name, SLOT))
            else:
                found += (slot for _, slot in _slots(Edit(self._records, name), user)[1])
        return sorted(found, key=lambda s: (s.opened, s.handle))

    def purge(
        self, *, used_before: float, login_before: float, epoch: int, domain: str | None = None
    ) -> builtins.list[Slot]:
        def over(slot: Slot) -> bool:
            return slot.used < used_before or slot.login < login_before or slot.epoch != epoch

        def work(domain: str) -> builtins.list[Slot]:
            users = {slot.user for slot in self.list(domain) if over(slot)}
            return self._ended(Edit(self._records, domain), users, over)

        names = self._records.domains() if domain is None else [domain]
        return [slot for name in names for slot in until_fresh(partial(work, name))]

    # -- inside ------------------------------------------------------------------------------------
    def _put(self, slot: Slot, at_most: int | None) -> bool:
        edit, handle = Edit(self._records, slot.domain), slot.handle
        of_user = edit.read(SLOTS, key(slot.user))
        handles = _of_user(of_user)
        if at_most is not None and len(handles) - (handle in handles) >= at_most:
            return False
        if slot.parent and slot.parent not in handles:
            return False
        self._end(edit, self._putting(edit, slot, of_user, handles if handle in handles else [*handles, handle]))
        return True

    def _putting(
        self, edit: Edit, slot: Slot, of_user: Version | None, handles: builtins.list[bytes]
    ) -> builtins.list[Change]:
        """What keeps *slot*, with its user's *handles* from now on."""
        row = _Slot(
            slot.user, slot.public, slot.opened, slot.used, slot.login, slot.epoch, slot.origin, slot.key_number,
            slot.kind, slot.parent, slot.acting, slot.key,
        )  # fmt: skip
        changes = [put(SLOT, slot.handle, edit.read(SLOT, slot.handle), _encode(row).decode(), keep=0)]
        if handles != _of_user(of_user):
            changes.append(_listed(slot.user, of_user, handles))
        return changes

    def _ended(self, edit: Edit, users: Iterable[str], which: Callable[[Slot], bool]) -> builtins.list[Slot]:
        """Ends those slots of *users*, and gives them."""
        changes: builtins.list[Change] = []
        gone: builtins.list[Slot] = []
        for user in users:
            changes += ending(edit, user, which, gone)
        self._end(edit, changes)
        return gone

    def _end(self, edit: Edit, changes: builtins.list[Change]) -> None:
        if changes:
            edit.commit(own(edit.domain), changes)


def ending(
    edit: Edit, user: str, which: Callable[[Slot], bool] = lambda slot: True, ended: list[Slot] | None = None
) -> list[Change]:
    """What ends those slots of a user for which *which* is true, and those that they have let in, to be committed with
    *edit*. They are added to *ended*."""
    before, slots = _slots(edit, user)
    gone = _family([slot for _, slot in slots], {slot.handle for _, slot in slots if which(slot)})
    if before is None or not gone:
        return []
    if ended is not None:
        ended += [slot for _, slot in slots if slot.handle in gone]
    left = [slot.handle for _, slot in slots if slot.handle not in gone]
    rest = _listed(user, before, left) if left else drop(SLOTS, before, keep=0)
    return [rest, *_dropped(edit, slots, gone)]


def _dropped(edit: Edit, slots: list[tuple[Version, Slot]], gone: set[bytes]) -> list[Change]:
    """The ends of those slots, and of what the HTTP lane keeps of them."""
    over = [(version, slot) for version, slot in slots if slot.handle in gone]
    lanes = (alive(edit.read(LANE, slot.handle)) for _, slot in over if slot.kind == "lane")
    states = [drop(LANE, version, keep=0) for version in lanes if version is not None]
    return [*(drop(SLOT, version, keep=0) for version, _ in over), *states]


def _family(slots: list[Slot], handles: set[bytes]) -> set[bytes]:
    """These *handles*, and those of the slots that they have let in."""
    return handles | {slot.handle for slot in slots if slot.parent in handles}


def _slots(edit: Edit, user: str) -> tuple[Version | None, list[tuple[Version, Slot]]]:
    """The row of a user's handles, and the slots."""
    row = edit.read(SLOTS, key(user))
    versions = (alive(edit.read(SLOT, handle)) for handle in _of_user(row))
    return row, [(version, _as_slot(edit.domain, version)) for version in versions if version is not None]


def _of_user(row: Version | None) -> list[bytes]:
    there = alive(row)
    return [] if there is None else _handles(there.fields).handles


def _listed(user: str, before: Version | None, handles: list[bytes]) -> Change:
    return put(SLOTS, key(user), before, _encode(_Handles(user, handles)).decode(), keep=0)


def _as_slot(domain: str, version: Version) -> Slot:
    row = _slot(version.fields)
    return Slot(
        version.uuid,
        domain,
        row.user,
        row.public,
        row.opened,
        row.used,
        row.login,
        row.epoch,
        row.origin,
        row.key_number,
        row.kind,
        row.parent,
        row.acting,
        row.key,
    )
