"""Small servers that deliveries are made to: what a real one answers, in good hours and in bad ones."""

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import kafkas


class Place:
    """A server that keeps what it was sent. `answer` gives a status and a body for a path and what was sent.

    What was sent is in `requests`: path, headers by their names in lower case, body. With a `port` it can be there again where it was, or come later.
    """

    def __init__(self, answer, port: int = 0):
        requests, lock = [], threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with lock:
                    requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
                status, told = answer(self.path, body)
                told = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(told)))
                self.end_headers()
                self.wfile.write(told)

            def log_message(self, *_):
                pass

        self.requests = requests
        self.http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def __enter__(self) -> "Place":
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.http.shutdown()
        self.http.server_close()

    def until(self, enough):
        """Waits until what has come is enough, and gives it."""
        deadline = time.monotonic() + kafkas.WAIT_SECONDS
        while not enough(self.requests) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert enough(self.requests), len(self.requests)
        return list(self.requests)


class Http:
    """An endpoint in Firehose's format."""

    @staticmethod
    def into(url: str, options: str = "") -> str:
        return f"INTO HTTP '{url}/in' WITH (access_key 'a'{options})"

    @staticmethod
    def answer(_path, body):
        request = json.loads(body)
        return 200, {"requestId": request["requestId"], "timestamp": request["timestamp"]}

    @staticmethod
    def rows(requests) -> list:
        return [json.loads(base64.b64decode(record["data"])) for _, _, body in requests for record in json.loads(body)["records"]]


class Search:
    """OpenSearch's bulk API."""

    @staticmethod
    def into(url: str, options: str = "") -> str:
        return f"INTO OPENSEARCH '{url}' WITH (index 'views'{options})"

    @staticmethod
    def answer(_path, body):
        return 200, {"errors": False, "items": [{"index": {"status": 201}} for _ in body.splitlines()[::2]]}

    @staticmethod
    def rows(requests) -> list:
        return [json.loads(line) for _, _, body in requests for line in body.splitlines()[1::2]]


class Collector:
    """Splunk's event collector, without acknowledgements."""

    @staticmethod
    def into(url: str, options: str = "") -> str:
        return f"INTO SPLUNK '{url}' WITH (token 'a-token'{options})"

    @staticmethod
    def answer(_path, _body):
        return 200, {"text": "Success", "code": 0}

    @staticmethod
    def rows(requests) -> list:
        return [json.loads(line)["event"] for _, _, body in requests for line in body.splitlines()]


KINDS = (Http, Search, Collector)
