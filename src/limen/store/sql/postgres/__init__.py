"""PostgreSQL: `engine.py` fills the port `limen.store.sql.engine.Engine`.

url.py         where a database is
connection.py  one connection: libpq in pipeline mode
pool.py        connections for those who ask and write; watch.py: one of its own that a thread listens on
claim.py       servers share a database; who migrates or restores has it alone
policy.py      row level security
"""
