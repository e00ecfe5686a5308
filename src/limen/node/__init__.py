"""One tree of live objects: nodes at addresses, that call each other, signal each other and hold state.

Reading order: `node` · `declared` and `signal` (what a class says of itself) · `context` · `growth` (how a tree is
bound, and how it leaves) · `tree` and `listening` (what one connection has bound, and how what comes in finds it) ·
`calling`, `hearing` (what a node does with it) · `proxy`, `passing` · `state`, `mirror` · `connection`. Beneath all of
it is `port`.
"""
