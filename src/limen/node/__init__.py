"""One tree of live objects: nodes at addresses, that call each other, signal each other and hold state.

Reading order: `node` · `declared` and `signal` (what a class says of itself) · `context` · `tree` (what one connection
has bound, and how what comes in finds it) · `proxy` · `connection`.
"""
