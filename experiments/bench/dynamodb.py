"""A DynamoDB that has the same answer for everybody, so that what is timed is the function.

usage: python -m experiments.bench.dynamodb LATENCY_MS

Prints its port.  ``GET /`` answers the operations that were requested since the last ``GET /``, as JSON.
"""

import hashlib
import json
import sys
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from experiments.bench.contestants import EVENTS

LATENCY_SECONDS = float(sys.argv[1]) / 1000 if __name__ == "__main__" else 0.0
_operations: list[str] = []


def _token_record() -> dict[str, Any]:
    secret = json.loads(EVENTS["authorizer"])["authorizationToken"].rpartition("_")[2]
    record = {
        "kind": "api_key",
        "secret_sha256": hashlib.sha256(secret.encode()).hexdigest(),
        "workspace_ids": "de300000-0000-4000-8000-000000000001",
        "user_identity_ids": "",
        "name": "",
        "created_at": "2024-01-01T00:00:00.000Z",
        # A use is noted once an hour, so that a request is timed which notes none.
        "last_used_at": "2099-01-01T00:00:00.000Z",
    }
    return {"Item": {name: {"S": value} for name, value in record.items()}}


def _items(request: dict[str, Any]) -> dict[str, Any]:
    """Return an item for each key; all are credential managers."""
    ((table, wanted),) = request["RequestItems"].items()
    rest = {"is_credential_manager": {"BOOL": True}}
    items = [{**key, **rest, "acs_system_id": {"S": key["pk"]["S"].rpartition("#")[2]}} for key in wanted["Keys"]]
    return {"Responses": {table: items}, "UnprocessedKeys": {}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        operation = self.headers["X-Amz-Target"].rpartition(".")[2]
        _operations.append(operation)
        time.sleep(LATENCY_SECONDS)
        answer: dict[str, Any] = {}
        if operation == "GetItem":
            answer = _token_record()
        elif operation == "BatchGetItem":
            answer = _items(request)
        self._answer(json.dumps(answer).encode())

    def do_GET(self) -> None:
        operations = _operations.copy()
        _operations.clear()
        self._answer(json.dumps(operations).encode())

    def _answer(self, body: bytes) -> None:
        self.send_response_only(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-amzn-RequestId", "0" * 52)
        self.send_header("x-amz-crc32", str(zlib.crc32(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        sys.stdout.write(f"{server.server_port}\n")
        sys.stdout.flush()
        server.serve_forever()
