"""Application sessions: objects of the server and of one page, paired.

stays.py   who has which session, and since when they are away
"""
