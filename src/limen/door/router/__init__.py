"""What makes a WAMP router of its own: a configuration and its rules, before the same hub that `limen serve` has.

config.py    what can be said in the file; places.py, checking.py: and where it is wrong
rules.py     role, action and URI to a verdict
policy.py    rules first, then a procedure that is asked
gate.py      the gate of a router that keeps nobody
"""
