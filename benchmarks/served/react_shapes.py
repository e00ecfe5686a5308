"""Changes that go through computed values, by limen.core.react or, in another environment, by reaktiv.

chain 400      so many changes of one value, each through 100 computed values, one after the other, to an effect
wide 400       … through 100 computed values beside each other, which one adds up
effects 400    … to 100 computed values with an effect each
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

WIDTH = 100


# Each as a program of that library reads: a layer between would be measured, too.
def limen_shape(name: str) -> tuple[Any, list[Any]]:
    from limen.core.react import Computed, Value, effect

    first: Any = Value(0)
    if name == "chain":
        last: Any = first
        for _ in range(WIDTH):
            last = Computed(lambda above=last: above.value + 1)
        return first, [effect(lambda: last.value)]
    many = [Computed(lambda step=step: first.value + step) for step in range(WIDTH)]
    if name == "wide":
        total = Computed(lambda: sum([node.value for node in many]))
        return first, [effect(lambda: total.value)]
    return first, [effect(lambda node=node: node.value) for node in many]


def reaktiv_shape(name: str) -> tuple[Any, list[Any]]:
    from reaktiv import Computed, Effect, Signal

    def seen(node: Any) -> Callable[[], None]:
        def run() -> None:
            node()

        return run

    first: Any = Signal(0)
    if name == "chain":
        last: Any = first
        for _ in range(WIDTH):
            last = Computed(lambda above=last: above() + 1)
        return first, [Effect(seen(last))]
    many = [Computed(lambda step=step: first() + step) for step in range(WIDTH)]
    if name == "wide":
        total = Computed(lambda: sum([node() for node in many]))
        return first, [Effect(seen(total))]
    return first, [Effect(seen(node)) for node in many]


def main(library: str) -> None:
    make = limen_shape if library == "limen" else reaktiv_shape
    shapes = {name: make(name) for name in ("chain", "wide", "effects")}
    change = (
        (lambda node, new: setattr(node, "value", new)) if library == "limen" else (lambda node, new: node.set(new))
    )
    value = 0
    print("ready", flush=True)
    for line in sys.stdin:
        name, count = line.split()
        first, _ = shapes[name]
        begun = time.process_time()
        for _ in range(int(count)):
            value += 1
            change(first, value)
        print((time.process_time() - begun) / int(count) * 1e6, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
