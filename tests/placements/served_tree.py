"""What `limen serve` runs for the placements: no services, and a tree that everybody may take part in."""

from limen import realm_rule

realm_rule(["register", "call", "publish", "subscribe"], "test.", match="prefix", safe=False)
