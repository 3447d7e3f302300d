"""An S3 server for tests: moto, which checks signatures and rights here, and answers one request at a time, so that of
several creates of one key just one wins.

Prints one line of JSON once it listens: its port, a bucket, and the keys of a user with the rights that nstore is
documented to need and of one who may only read. /unfinished lists the uploads that were begun and not ended, /keys
what is there, /text?KEY is what a key holds; /objects answers all keys and what stands under them, one after the other,
after it put in what it was sent.
"""

import io
import json
import logging
import threading

import boto3
from moto import settings
from moto.core import DEFAULT_ACCOUNT_ID
from moto.backends import get_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

BUCKET = "nstore-test"
# a bucket that is not there, which the users would have their rights on
ABSENT = "nstore-absent"
READING = ["s3:GetObject", "s3:ListBucket"]
WRITING = READING + [
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:AbortMultipartUpload",
    "s3:ListBucketMultipartUploads",
]


class OneAtATime:
    """The whole request is here before its turn comes, so that a client that stalls holds nobody up."""

    def __init__(self, app):
        self.app = app
        self.turn = threading.Lock()

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] in LISTS:
            return listed(LISTS[environ["PATH_INFO"]], start_response)
        if environ["PATH_INFO"] == "/text":
            return text(environ["QUERY_STRING"], start_response)
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)
        if len(body) < length:
            return refuse(start_response, "IncompleteBody")
        environ["wsgi.input"] = io.BytesIO(body)
        with self.turn:
            if environ["PATH_INFO"] == "/objects":
                return objects(environ["REQUEST_METHOD"], body, start_response)
            return list(self.app(environ, start_response))


def refuse(start_response, code):
    start_response("400 Bad Request", [("Content-Type", "application/xml")])
    return [f"<Error><Code>{code}</Code></Error>".encode()]


def listed(keys, start_response):
    bucket = get_backend("s3")[DEFAULT_ACCOUNT_ID]["aws"].buckets[BUCKET]
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(sorted(keys(bucket))).encode()]


def text(key, start_response):
    bucket = get_backend("s3")[DEFAULT_ACCOUNT_ID]["aws"].buckets[BUCKET]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [bucket.keys[key].value]


LISTS = {
    "/unfinished": lambda bucket: [upload.key_name for upload in bucket.multiparts.values()],
    "/keys": lambda bucket: list(bucket.keys.keys()),
}


def objects(method, body, start_response):
    backend = get_backend("s3")[DEFAULT_ACCOUNT_ID]["aws"]
    if method == "POST":
        backend.put_object(BUCKET, "planted", body)
    keys = backend.buckets[BUCKET].keys.values()
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return [b"\n".join(part for key in keys for part in (key.name.encode(), key.value))]


def user(iam, name, actions):
    statement = {
        "Effect": "Allow",
        "Action": actions,
        "Resource": [f"arn:aws:s3:::{name}{keys}" for name in (BUCKET, ABSENT) for keys in ("", "/*")],
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName=name, PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}


def main():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    # as real stores do: connections are kept for the next request
    MotoRequestHandler.protocol_version = "HTTP/1.1"
    app = OneAtATime(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=MotoRequestHandler)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()

    def client(service):
        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{server.port}",
            region_name="us-east-1",
            aws_access_key_id="set-up",
            aws_secret_access_key="set-up",
        )

    client("s3").create_bucket(Bucket=BUCKET)
    iam = client("iam")
    told = {
        "port": server.port,
        "bucket": BUCKET,
        "absent": ABSENT,
        "writer": user(iam, "writer", WRITING),
        "reader": user(iam, "reader", READING),
    }
    # from here on nobody is trusted
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
    print(json.dumps(told), flush=True)
    serving.join()


main()
