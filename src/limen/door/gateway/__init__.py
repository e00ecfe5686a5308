"""The server gateway interfaces, both ways: Limen as such an application, and such applications below Limen.

asgi.py · wsgi.py              Limen, called by a server or by another framework
mount.py · mount_wsgi.py       `limen.mount`
"""
