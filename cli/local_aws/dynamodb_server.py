"""moto's DynamoDB over HTTP, for functions in other processes or in containers."""

import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, override

from moto import mock_aws
from moto.core.request import Request
from moto.dynamodb.responses import DynamoHandler
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.wrappers import Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

# moto does not isolate transactions from each other.
_one_at_a_time = threading.Lock()


@contextmanager
def serve_dynamodb(host: str) -> Iterator[int]:
    """Serve an empty DynamoDB in memory until the context ends.

    Args:
        host: The address to listen on.

    Yields:
        The port.

    Raises:
        OSError: This machine does not have the address.
    """
    with mock_aws(), socket.create_server((host, 0), backlog=128) as listener:
        server = ThreadedWSGIServer(host, 0, _answer, _RequestHandler, fd=listener.fileno())
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.port
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def _answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    request = Request(environ)
    with _one_at_a_time:
        status, headers, body = DynamoHandler.dispatch(request, request.url, dict(request.headers))
    return Response(body, status, headers)(environ, start_response)


class _RequestHandler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # botocore reuses its connections

    @override
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Print nothing, because requests for the API already have lines of their own."""
