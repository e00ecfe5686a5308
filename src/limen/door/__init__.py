"""Floor 5: the doors. Each turns bytes from a transport into calls of a realm, and the answers back into bytes.

http/        one plain request and its answer: no session            hub/        what stands behind every session
gateway/     ASGI and WSGI, both ways                                own/        what Limen itself answers there
ws/          WebSockets, sealed or not                               processes/  several processes are one server
lane/        sealed sessions over POST requests
bridge/      plain HTTP into a realm: signed calls, events

The upper rooms know http/, hub/ and own/, and not each other (`tests/floors.ini`).
"""
