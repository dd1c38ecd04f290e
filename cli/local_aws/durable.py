"""Durable functions, by the local runner of AWS's durable execution SDK.

The runner keeps an execution's steps in memory, and invokes the function again when a wait is over.  It starts a second
execution of the same name, which AWS does not; so this module remembers the names.
"""

import json
import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from aws_durable_execution_sdk_python_testing.runner import DurableFunctionTestRunner

type Handler = Callable[[Any, Any], Any]


class DurableFunction:
    """A durable function, whose executions begin and go on by themselves until it is closed.

    Args:
        name: The function's name.
        handler: Returns the handler that the next invocation calls.
        timeout_seconds: How long an execution may take.
        skip_time: Whether waits are over at once.
    """

    def __init__(
        self, name: str, handler: Callable[[], Handler], timeout_seconds: int, *, skip_time: bool = False
    ) -> None:
        # The SDK logs each failed step with its traceback.
        logging.getLogger("aws_durable_execution_sdk_python_testing").setLevel(logging.CRITICAL)
        self._name = name
        self._started: set[str] = set()
        self._is_closed = False
        self._lock = threading.Lock()
        self._runner: DurableFunctionTestRunner | None = None

        def invoke(given: Any, context: Any) -> Any:
            return handler()(given, context)  # edited code is imported anew

        self._make_runner = partial(
            DurableFunctionTestRunner, invoke, execution_timeout=timeout_seconds, skip_time=skip_time
        )

    def start(self, execution_name: str, given: Any) -> None:
        """Start an execution, unless there is one of this name already.

        Args:
            execution_name: Its name.
            given: Its input.
        """
        with self._lock:
            if execution_name in self._started or self._is_closed:
                return
            self._runner = self._runner or self._make_runner()
            self._runner.run_async(input=json.dumps(given), function_name=self._name, execution_name=execution_name)
            self._started.add(execution_name)

    def close(self) -> None:
        """Forget all executions, and start no more."""
        with self._lock:
            self._is_closed = True
            if self._runner is not None:
                self._runner.close()  # type: ignore[no-untyped-call]
