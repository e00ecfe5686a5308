from todoapp import config

from limen import server, static

static('/', config.STATIC_DIR)

server.start_wsgi_server()
