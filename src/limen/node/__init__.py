"""One tree of live objects: nodes at addresses, that call each other, signal each other and hold state.

Reading order: `node` · `declared` and `signal` (what a class says of itself) · `context` · `growth` (how a tree is
bound, and how it leaves) · `tree` and `listening` (what one connection has bound, and how what comes in finds it),
`wiring` (what the router is told of it) ·
`calling`, `hearing` (what a node does with it) · `proxy`, `passing` · `state`, `mirror` · `connection`. Beneath all of
it is `port`.

A node is one object in four layers: State, Calling, Hearing, Node. What begins with `_` in them is for this room
alone, and no subclass may have such a name (`declared`). Where a node stands and how far it has come (`_path`,
`_context`, `_tree`, `_stage`, `_growth`, `_ending`) is written by `growth`; `_wired`, what the router was asked for in
its name, by `wiring`; `_parent` and `_children` by `node`.
"""
