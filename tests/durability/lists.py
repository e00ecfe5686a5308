"""Finds in a history of list appends what no serial execution could have done (after Elle: Kingsbury and Alvaro, 2020).

A transaction is a dict, as in the acceptance suite's isolation.py::

    {"id": 7, "process": 2, "status": "ok", "start": 1.25, "end": 1.31, "ops": [["append", "x", 41], ["r", "x", [41]]]}

*status*: ok (acknowledged), fail (surely not done), info (nobody knows). A value is appended to its list once in all; a
read gives the whole list. So the longest read of a list tells the order of its appends, and from the orders and reads
follows who came before whom: ww (appended next), wr (read what the other appended), rw (did not yet see what the other
appended), rt (was over before the other began). A circle of these is what must not be.

`anomalies` gives a dict from name to descriptions, empty where there are none:

    unwritten       a value was read that nobody appended           duplicate       a value was appended or read twice
    aborted         … that was rolled back                          intermediate    … from the middle of a transaction
    internal        a transaction does not see its own appends, or sees a list change under its hands
    fork            two reads of one list of which neither is the beginning of the other
    lost append     acknowledged, and in no later read              lost update     two appended to the same version
    write cycle     of ww                                           read cycle      of ww and wr
    read skew       one rw                                          write skew      several rw
    realtime        with rt: the order of what happened is not that of the clock on the wall
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

Transaction = dict[str, Any]
ENOUGH = 3
"""So many of a kind are described."""
TRIES = 2000
"""So many edges of a tangle are followed in search of a circle of one kind."""


def anomalies(history: Iterable[Transaction], realtime: bool = True) -> dict[str, list[str]]:
    return _History(list(history)).judge(realtime)


class _History:
    def __init__(self, history: list[Transaction]) -> None:
        self.all = {t["id"]: t for t in history}
        self.done = [t for t in history if t["status"] == "ok"]
        self.found: dict[str, list[str]] = defaultdict(list)
        self.writer: dict[tuple[str, Any], Any] = {}
        self.reads: dict[Any, dict[str, list[Any]]] = {}
        self.order: dict[str, list[Any]] = defaultdict(list)
        self.edges: dict[Any, dict[Any, set[str]]] = defaultdict(lambda: defaultdict(set))

    def judge(self, realtime: bool) -> dict[str, list[str]]:
        for t in self.all.values():
            for key, value in _appends(t):
                if self.writer.setdefault((key, value), t["id"]) != t["id"]:
                    self._note("duplicate", f"{key}:{value} is appended by {self.writer[key, value]} and by {t['id']}")
        for t in self.done:
            self.reads[t["id"]] = self._outside(t)
        self._find_order()
        self._look_at_reads()
        self._look_at_appends()
        self._draw(realtime)
        self._find_circles(realtime)
        return dict(self.found)

    def _note(self, name: str, text: str) -> None:
        if len(self.found[name]) < ENOUGH:
            self.found[name].append(text)

    def _outside(self, t: Transaction) -> dict[str, list[Any]]:
        """What *t* saw of each list that it read, without its own appends."""
        own: dict[str, list[Any]] = defaultdict(list)
        seen: dict[str, list[Any]] = {}
        for what, key, value in t["ops"]:
            if what == "append":
                own[key].append(value)
                continue
            mine = own[key]
            if len(set(value)) < len(value):
                self._note("duplicate", f"{t['id']} reads a value of {key} twice: {value}")
            if value[len(value) - len(mine) :] != mine:
                self._note("internal", f"{t['id']} has appended {mine} to {key} and reads {value}")
            elif seen.setdefault(key, value[: len(value) - len(mine)]) != value[: len(value) - len(mine)]:
                self._note("internal", f"{t['id']} reads {key} twice and sees it change: {seen[key]}, {value}")
        return seen

    def _find_order(self) -> None:
        for seen in self.reads.values():
            for key, value in seen.items():
                if len(value) > len(self.order[key]):
                    self.order[key] = value
        for t in self.done:  # a transaction that appends and reads knows its own place in the order
            appended: dict[str, list[Any]] = defaultdict(list)
            for key, value in _appends(t):
                appended[key].append(value)
            for key, seen in self.reads[t["id"]].items():
                if len(seen) + len(appended[key]) > len(self.order[key]) and seen == self.order[key][: len(seen)]:
                    longer = seen + appended[key]
                    if longer[: len(self.order[key])] == self.order[key]:
                        self.order[key] = longer

    def _look_at_reads(self) -> None:
        for id, seen in self.reads.items():
            for key, value in seen.items():
                if value != self.order[key][: len(value)]:
                    self._note("fork", f"{id} reads {key} as {value}, another as {self.order[key]}")
                for one in value:
                    by = self.writer.get((key, one))
                    if by is None:
                        self._note("unwritten", f"{id} reads {key}:{one}")
                    elif self.all[by]["status"] == "fail":
                        self._note("aborted", f"{id} reads {key}:{one} of {by}, which was rolled back")
                if value and (by := self.writer.get((key, value[-1]))) not in (None, id):
                    last = [v for k, v in _appends(self.all[by]) if k == key][-1]
                    if last != value[-1]:
                        self._note("intermediate", f"{id} reads {key} up to {value[-1]}; {by} appended {last} besides")

    def _look_at_appends(self) -> None:
        latest: dict[str, float] = defaultdict(lambda: float("-inf"))
        versions: dict[tuple[str, int], list[Any]] = defaultdict(list)
        for t in self.done:
            appended = {key for key, _ in _appends(t)}
            for key, value in self.reads[t["id"]].items():
                latest[key] = max(latest[key], t["start"])
                if key in appended:
                    versions[key, len(value)].append(t["id"])
        for (key, length), ids in versions.items():
            if len(ids) > 1:
                self._note("lost update", f"{ids[:3]} have read {key} with {length} values, and all appended to it")
        there = {key: set(order) for key, order in self.order.items()}
        for (key, value), id in self.writer.items():
            t = self.all[id]
            if t["status"] == "ok" and value not in there.get(key, ()) and t["end"] < latest[key]:
                self._note("lost append", f"{key}:{value} of {id} is in no later read")

    # -- who came before whom
    def _draw(self, realtime: bool) -> None:
        place = {key: {value: n for n, value in enumerate(order)} for key, order in self.order.items()}
        for key, order in self.order.items():
            for one, two in pairwise(order):
                self._edge(self.writer.get((key, one)), self.writer.get((key, two)), "ww")
        unread: dict[str, list[Any]] = defaultdict(list)  # acknowledged, and later than all that was read
        for (key, value), id in self.writer.items():
            if self.all[id]["status"] == "ok" and value not in place.get(key, ()):
                unread[key].append(id)
        for id, seen in self.reads.items():
            for key, value in seen.items():
                if value:
                    self._edge(self.writer.get((key, value[-1])), id, "wr")
                following = place[key].get(value[-1], -1) + 1 if value else 0
                for one in self.order[key][following:]:
                    if self.writer.get((key, one)) != id:
                        self._edge(id, self.writer.get((key, one)), "rw")
                        break
                else:
                    for later in unread[key]:
                        self._edge(id, later, "rw")
        if realtime:
            self._draw_time()

    def _draw_time(self) -> None:
        """Edges from what was over to what began, without those that follow from others."""
        over: list[Transaction] = []
        moments = [(t["start"], 1, t) for t in self.done] + [(t["end"], 0, t) for t in self.done]
        for _, begins, t in sorted(moments, key=lambda moment: moment[:2]):
            if begins:
                for before in over:
                    self._edge(before["id"], t["id"], "rt")
            else:
                over = [before for before in over if before["end"] >= t["start"]] + [t]

    def _edge(self, one: Any, two: Any, kind: str) -> None:
        if one is not None and two is not None and one != two and self.all[two]["status"] != "fail":
            self.edges[one][two].add(kind)

    def _find_circles(self, realtime: bool) -> None:
        for name, kinds, through in (
            ("write cycle", {"ww"}, "ww"),
            ("read cycle", {"ww", "wr"}, "wr"),
            ("read skew", {"ww", "wr"}, "rw"),
            ("write skew", {"ww", "wr", "rw"}, "rw"),
            ("realtime", {"ww", "wr", "rw", "rt"}, "rt"),
        ):
            if (name == "realtime" and not realtime) or (name in ("write skew", "realtime") and self._has_circles()):
                continue
            tangle = self._tangle(kinds | {through})
            starts = [(a, b) for a, bs in tangle.items() for b in bs if through in self.edges[a][b]]
            for a, b in starts[:TRIES]:
                way = _way(b, a, tangle if through in kinds else self._tangle_of(tangle, kinds))
                if way:
                    self._note(name, self._describe([a, *way]))
                    if len(self.found[name]) == ENOUGH:
                        break

    def _has_circles(self) -> bool:
        return any(self.found.get(name) for name in ("write cycle", "read cycle", "read skew", "write skew"))

    def _tangle(self, kinds: set[str]) -> dict[Any, set[Any]]:
        """The graph of these kinds without whatever surely is in no circle: taken away while nothing comes before it or
        nothing after. Empty where there is no circle."""
        after = {a: {b for b, of in bs.items() if of & kinds} for a, bs in self.edges.items()}
        for _ in range(2):
            before: dict[Any, set[Any]] = defaultdict(set)
            for a, bs in after.items():
                for b in bs:
                    before[b].add(a)
            ends = deque(node for node in before if not after.get(node))
            gone = set(ends)
            while ends:
                for a in before.get(ends.popleft(), ()):
                    if a not in gone and after[a] <= gone:
                        gone.add(a)
                        ends.append(a)
            kept = {a: bs - gone for a, bs in after.items() if a not in gone and bs - gone}
            # The same from the other end: turn the graph round.
            after = defaultdict(set)
            for a, bs in kept.items():
                for b in bs:
                    after[b].add(a)
        return dict(after)

    def _tangle_of(self, tangle: dict[Any, set[Any]], kinds: set[str]) -> dict[Any, set[Any]]:
        return {a: {b for b in bs if self.edges[a][b] & kinds} for a, bs in tangle.items()}

    def _describe(self, way: list[Any]) -> str:
        steps = [f"{a} -{'/'.join(sorted(self.edges[a][b]))}-> " for a, b in pairwise(way)]
        return "".join(steps) + str(way[-1])


def _appends(t: Transaction) -> Iterator[tuple[str, Any]]:
    return ((key, value) for what, key, value in t["ops"] if what == "append")


def _way(start: Any, end: Any, graph: dict[Any, set[Any]]) -> list[Any] | None:
    """The shortest way from *start* to *end*."""
    came: dict[Any, Any] = {start: None}
    todo = deque([start])
    while todo:
        at = todo.popleft()
        if at == end:
            way = []
            while at is not None:
                way.append(at)
                at = came[at]
            return way[::-1]
        for after in graph.get(at, ()):
            if after not in came:
                came[after] = at
                todo.append(after)
    return None
