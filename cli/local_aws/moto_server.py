"""moto over HTTP: the services of AWS, in memory, for functions and commands in this process and in others."""

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, override

from moto import mock_aws
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.exceptions import ServiceUnavailable
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from local_aws.quick_transactions import quick_transactions

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


# The server looks so often whether it has to end.
_POLL_SECONDS = 0.05

type Application = Callable[["WSGIEnvironment", "StartResponse"], Iterable[bytes] | None]


@dataclass(frozen=True, slots=True)
class MotoServer:
    """A server of AWS's services.

    Attributes:
        url: Its URL.
        beside: Applications that are asked before moto is.  One returns ``None`` for a request that is not for it.
    """

    url: str
    beside: list[Application] = field(default_factory=list)
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let no request through until the context ends.

        moto does not isolate requests from each other: one could read what a transaction has half written.
        """
        with self._one_at_a_time:
            yield


@contextmanager
def serve_moto(host: str) -> Iterator[MotoServer]:
    """Serve empty services in memory until the context ends.

    Args:
        host: The address to listen on.

    Yields:
        The server.

    Raises:
        OSError: This machine does not have the address.
    """
    with mock_aws(), quick_transactions(), socket.create_server((host, 0), backlog=128) as listener:
        application = DomainDispatcherApplication(create_backend_app)
        has_ended = threading.Event()

        def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
            for other in moto.beside:
                if (answered := other(environ, start_response)) is not None:
                    return answered
            with moto.alone():
                if has_ended.is_set():
                    return ServiceUnavailable()(environ, start_response)
                return list(application(environ, start_response))

        moto = MotoServer(f"http://{host}:{listener.getsockname()[1]}")
        server = ThreadedWSGIServer(host, 0, answer, _RequestHandler, fd=listener.fileno())
        thread = threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), daemon=True)
        thread.start()
        try:
            yield moto
        finally:
            with moto.alone():  # clients keep their connections, and a new server has the same memory
                has_ended.set()
            server.shutdown()
            thread.join()
            server.server_close()


class _RequestHandler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # botocore reuses its connections

    @override
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Print nothing, because requests for the API already have lines of their own."""
