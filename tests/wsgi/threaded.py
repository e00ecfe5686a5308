"""A WSGI server as simple as they come: wsgiref, a thread for each request. `threaded.py PORT`."""

import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from wsgi_program import app


class Threaded(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


try:
    make_server("127.0.0.1", int(sys.argv[1]), app, Threaded, Quiet).serve_forever()
except KeyboardInterrupt:
    pass
