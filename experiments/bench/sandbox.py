"""Starts a function in a process of its own as Lambda does, and is the Runtime API that it asks for events."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Self

from experiments.bench.contestants import Contestant

_API = "/2018-06-01/runtime"
_REQUEST_ID = "11111111-1111-4111-8111-111111111111"
_ARN = "arn:aws:lambda:us-east-1:123456789012:function:bench:live"
# A start under valgrind takes minutes.
_LONGEST_SECONDS = 600


@dataclass(frozen=True)
class Answer:
    """The result of an event.

    Attributes:
        milliseconds: From handing out the event to the answer.
        cpu_milliseconds: Of the function's process, from handing out the event until it asks for the next one.
        body: The answer.
    """

    milliseconds: float
    cpu_milliseconds: float
    body: bytes


class _RuntimeApi(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.polled: Queue[int] = Queue()  # when, in ns
        self.events: Queue[bytes] = Queue()
        self.handed_out: Queue[int] = Queue()
        self.answers: Queue[tuple[int, str, bytes]] = Queue()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _RuntimeApi

    def parse_request(self) -> bool:
        self.arrived = time.perf_counter_ns()
        return super().parse_request()

    def do_GET(self) -> None:
        assert self.path == f"{_API}/invocation/next", self.path
        self.server.polled.put(self.arrived)
        event = self.server.events.get()
        if not event:
            self.close_connection = True
            return
        self.send_response_only(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(event)))
        self.send_header("Lambda-Runtime-Aws-Request-Id", _REQUEST_ID)
        self.send_header("Lambda-Runtime-Deadline-Ms", str(int(time.time() * 1000) + 1000 * _LONGEST_SECONDS))
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", _ARN)
        self.send_header("Lambda-Runtime-Trace-Id", f"Root=1-{0:08x}-{1:024x};Parent={1:016x};Sampled=1")
        self.end_headers()
        self.wfile.write(event)
        self.server.handed_out.put(time.perf_counter_ns())
        self.wfile.flush()

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b"".join(iter(self._chunk, b""))
        else:
            body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response_only(202)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.wfile.flush()
        self.server.answers.put((self.arrived, self.path.rpartition("/")[2], body))

    def _chunk(self) -> bytes:
        chunk = self.rfile.read(int(self.rfile.readline(), 16))
        self.rfile.readline()
        return chunk

    def log_message(self, *_: object) -> None:
        pass


class Sandbox:
    """A function's process, from its start to its end.

    Args:
        contestant: The function.
        runtime: The runtime client's folder.
        dynamodb_port: Of the database.
        command: What runs instead of Python, with Python's options.
        handler: The handler, as the runtime client is told it.

    Attributes:
        start_milliseconds: From the process's start until it asks for its first event.
        start_cpu_milliseconds: The process's CPU time until then.
    """

    def __init__(
        self,
        contestant: Contestant,
        runtime: Path,
        dynamodb_port: int,
        *,
        command: Sequence[str] = (),
        handler: str = "app.lambda_handler",
    ) -> None:
        self._api = _RuntimeApi()
        Thread(target=self._api.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._traces = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)  # X-Ray's daemon, which listens and no more
        self._traces.bind(("127.0.0.1", 0))
        environment = {
            "AWS_ACCESS_KEY_ID": "made-up",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{dynamodb_port}",
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
            "AWS_LAMBDA_FUNCTION_NAME": "bench",
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._api.server_port}",
            "AWS_REGION": "us-east-1",
            "AWS_SECRET_ACCESS_KEY": "made-up",
            "AWS_SESSION_TOKEN": "made-up",
            "AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{self._traces.getsockname()[1]}",
            "LAMBDA_RUNTIME_DIR": str(runtime),
            "LAMBDA_TASK_ROOT": str(contestant.task),
            "LANG": "C.UTF-8",
            "PATH": os.environ["PATH"],
            "POWERTOOLS_METRICS_NAMESPACE": "Bench",
            "POWERTOOLS_SERVICE_NAME": "bench",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
            # Lambda's own order: the function (which is the current folder), its layers, the runtime.
            "PYTHONPATH": f"{contestant.layers}:{runtime}",
            "TABLE_NAME": "table",
            "_HANDLER": handler,
            **dict(contestant.variables),
        }
        # Not the environment's Python, which has packages of its own.
        python = str(Path(sys.base_prefix) / "bin/python3.13")
        started = time.perf_counter_ns()
        self._process = subprocess.Popen(  # noqa: S603
            [*(command or [python]), "-S", "-m", "awslambdaric", handler],
            cwd=contestant.task,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        self.start_milliseconds = (self._wait_for_poll() - started) / 1e6
        self.start_cpu_milliseconds = self._cpu_ns() / 1e6

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def invoke(self, event: bytes) -> Answer:
        """Hand out an event and wait for its answer."""
        cpu = self._cpu_ns()
        self._api.events.put(event)
        arrived, kind, body = self._api.answers.get(timeout=_LONGEST_SECONDS)
        if kind != "response":
            raise self._failure(f"{kind}: {body.decode()}")
        self._wait_for_poll()
        handed_out = self._api.handed_out.get()
        return Answer((arrived - handed_out) / 1e6, (self._cpu_ns() - cpu) / 1e6, body)

    @property
    def peak_megabytes(self) -> float:
        """The most memory that the process has had."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    @property
    def log(self) -> str:
        """The output of the process."""
        self._log.seek(0)
        return self._log.read().decode()

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait()
        self._api.events.put(b"")
        self._api.shutdown()
        self._api.server_close()
        self._traces.close()
        self._log.close()

    def _cpu_ns(self) -> int:
        # The clock of another process's CPU time: what Linux's clock_getcpuclockid returns.
        return time.clock_gettime_ns((~self._process.pid << 3) | 2)

    def _wait_for_poll(self) -> int:
        until = time.monotonic() + _LONGEST_SECONDS
        while time.monotonic() < until:
            try:
                return self._api.polled.get(timeout=1)
            except Empty:
                if self._process.poll() is not None:
                    break
        raise self._failure("no request for an event")

    def _failure(self, reason: str) -> RuntimeError:
        return RuntimeError(f"{reason}\n{self.log}")
