"""Looks at a function from inside its process: the handler in place of the function's own.

Writes a line of JSON for each thing that it finds to standard error, behind ``bench:``.  ``client`` begins and ends
where a client is made; ``handler`` is the thread's CPU time in the handler, without what it spent in the methods of
botocore's clients: the function's own work.
"""

import importlib.util
import json
import sys
import time
from collections.abc import Callable
from functools import wraps
from importlib.abc import Loader, MetaPathFinder
from typing import Any


def _tell(**found: object) -> None:
    sys.stderr.write(f"bench: {json.dumps(found)}\n")


_in_calls = 0


def _time_calls(class_attributes: dict[str, Any], **_: object) -> None:
    """Add up the CPU time of a client's methods; botocore's event for it comes before the client's class is made."""
    for name, attribute in class_attributes.items():
        if callable(attribute):
            class_attributes[name] = _timed(attribute)


def _timed(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def timed(*arguments: Any, **named: Any) -> Any:
        global _in_calls  # noqa: PLW0603
        begun = time.thread_time_ns()
        try:
            return method(*arguments, **named)
        finally:
            _in_calls += time.thread_time_ns() - begun

    return timed


def _watch_clients(module: Any) -> None:
    """Tell when a client is made, and time its calls."""
    create = module.Session.create_client

    def create_client(session: Any, *arguments: Any, **named: Any) -> Any:
        session.register("creating-client-class", _time_calls)
        _tell(what="client", begins=time.perf_counter_ns())
        try:
            return create(session, *arguments, **named)
        finally:
            _tell(what="client", ends=time.perf_counter_ns())

    module.Session.create_client = create_client


_WATCHED = {"botocore.session": _watch_clients}


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
