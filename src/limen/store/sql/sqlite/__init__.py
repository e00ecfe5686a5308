"""SQLite: `engine.py` fills the port `limen.store.sql.engine.Engine`.

url.py         which file a URL names
claim.py       one server a file
"""
