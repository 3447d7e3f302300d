"""Serves one bucket, nstore, on port 9000, one request at a time, so that of several creates of one key just one wins."""

import threading

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.s3.models import s3_backends
from moto.core import DEFAULT_ACCOUNT_ID
from werkzeug.serving import make_server

TURN = threading.Lock()


def one_at_a_time(app):
    def answer(environ, start_response):
        with TURN:
            return list(app(environ, start_response))

    return answer


MotoRequestHandler.protocol_version = "HTTP/1.1"
s3_backends[DEFAULT_ACCOUNT_ID]["aws"].create_bucket("nstore", "us-east-1")
app = DomainDispatcherApplication(create_backend_app)
make_server("0.0.0.0", 9000, one_at_a_time(app), threaded=True, request_handler=MotoRequestHandler).serve_forever()
