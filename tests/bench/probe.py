"""Looks at a function from inside its process: the handler in place of the function's own.

Writes a line of JSON for each thing that it finds to standard error, behind ``bench:``.  ``client`` begins and ends
where a client is made; ``handler`` is the thread's CPU time in the handler, without what it spent in botocore's API
calls: the function's own work.
"""

import importlib.util
import json
import sys
import time
from importlib.abc import Loader, MetaPathFinder
from typing import Any


def _tell(**found: object) -> None:
    sys.stderr.write(f"bench: {json.dumps(found)}\n")


def _client_creation(module: Any) -> None:
    create = module.Session.create_client

    def create_client(*arguments: Any, **named: Any) -> Any:
        _tell(what="client", begins=time.perf_counter_ns())
        try:
            return create(*arguments, **named)
        finally:
            _tell(what="client", ends=time.perf_counter_ns())

    module.Session.create_client = create_client


_in_calls = 0


def _calls(module: Any) -> None:
    call = module.BaseClient._make_api_call

    def make_api_call(*arguments: Any) -> Any:
        global _in_calls  # noqa: PLW0603
        begun = time.thread_time_ns()
        try:
            return call(*arguments)
        finally:
            _in_calls += time.thread_time_ns() - begun

    module.BaseClient._make_api_call = make_api_call


_WATCHED = {"botocore.session": _client_creation, "botocore.client": _calls}


class _Watch(MetaPathFinder):
    """Changes modules once they are imported, so that the order of imports stays the function's own."""

    def find_spec(self, name: str, *_: object) -> Any:
        change = _WATCHED.pop(name, None)
        if change is None:
            return None
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert isinstance(spec.loader, Loader)
        execute = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            execute(module)
            change(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, _Watch())

import app  # type: ignore[import-not-found]  # noqa: E402 - the function's

_tell(what="imported")


def lambda_handler(event: dict[str, Any], context: object) -> Any:
    """Answer as the function does, and tell what it cost."""
    global _in_calls
    _in_calls, begun = 0, time.thread_time_ns()
    answer = app.lambda_handler(event, context)
    _tell(what="handler", ns=time.thread_time_ns() - begun - _in_calls)
    return answer
