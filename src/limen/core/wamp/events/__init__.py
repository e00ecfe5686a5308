"""Events: who has subscribed what (`subscriptions`), who gets them (`broker`, `lists`), and what is kept (`kept`, by
`retained` and `history`, as much as `keeping` says).
"""
