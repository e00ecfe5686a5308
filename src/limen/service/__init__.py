"""Floor 3: `@service` and the way of one call: guard, values, function.

Reading order: `service` (the decorator and its options), `registry` (where services stand), `pipeline` (how a call is
run), and what it uses: `guard`, `binding`, `running`.
"""
